//! Random numbers. Under every arithmetic the same numbers are drawn, rounded to what it stores.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::kernel::{Table, real};
use crate::real::Real;
use anewrite_tensor::DType;

pub(crate) const TABLE: Table = &[
    ("random_bernoulli", real!(bernoulli)),
    ("random_categorical", real!(categorical)),
    ("random_normal", real!(normal)),
    ("random_uniform", real!(uniform)),
];

/// What the op draws from: its own seed where that is set, else the run's.
fn source(call: &Call<'_>) -> Result<StdRng, EvalError> {
    let seed = match u64::try_from(call.int("seed")?) {
        Ok(own) => own,
        Err(_) => call.draw(),
    };
    Ok(StdRng::seed_from_u64(seed))
}

/// A tensor of the extents in `shape`, whose element type is that of the distribution's numbers.
fn fill<T: Real>(call: &Call<'_>, like: &[&str], mut next: impl FnMut(&mut StdRng) -> f64) -> Computed {
    let mut dtype = DType::F32;
    for param in like {
        if let Some(a) = call.find(param)? {
            dtype = a.dtype();
        }
    }
    let dims = call.counts("shape")?;
    let mut items = call.zeros::<T>(&dims)?;
    let mut source = source(call)?;
    items.iter_mut().for_each(|x| *x = T::of(next(&mut source)));
    call.one(call.result_dtype(0, dtype), &dims, items)
}

fn uniform<T: Real>(call: &Call<'_>) -> Computed {
    let (low, high) = (call.float("low")?, call.float("high")?);
    fill::<T>(call, &["low", "high"], |r| {
        let x = low + (high - low) * r.random::<f64>();
        // rounding may reach the upper bound, which is not in the interval
        if T::of(x) >= T::of(high) { low } else { x }
    })
}

fn normal<T: Real>(call: &Call<'_>) -> Computed {
    let (mean, deviation) = (call.float("mean")?, call.float("stddev")?);
    fill::<T>(call, &["mean", "stddev"], |r| mean + deviation * gauss(r))
}

/// A number of the standard normal distribution, by the transformation of Box and Muller.
fn gauss(r: &mut StdRng) -> f64 {
    let (a, b) = (1.0 - r.random::<f64>(), r.random::<f64>());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

fn bernoulli<T: Real>(call: &Call<'_>) -> Computed {
    let p = call.float("prob")?;
    fill::<T>(call, &["prob"], |r| f64::from(u8::from(r.random::<f64>() < p)))
}

/// Indices into the last axis, as numbers of the element type of `x`. A row without a distribution gives NaN.
fn categorical<T: Real>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let logits = match call.text("mode")? {
        "logits" => true,
        "probs" => false,
        other => return Err(EvalError::bad("mode", format!("{other:?} is neither logits nor probs"))),
    };
    let size = call.int("size")?;
    let (Some((&last, outer)), Ok(size)) = (x.dims().split_last(), u64::try_from(size)) else {
        return Err(EvalError::bad("size", format!("{size} draws from {x:?}")));
    };
    let mut dims = outer.to_vec();
    dims.push(size);
    let mut items = call.zeros::<T>(&dims)?;
    let mut source = source(call)?;
    let (rows, n) = (call.items::<T>("x")?, size as usize);
    if last == 0 || n == 0 {
        items.iter_mut().for_each(|x| *x = T::nan());
        return call.one(x.dtype(), &dims, items);
    }
    for (row, out) in rows.chunks_exact(last as usize).zip(items.chunks_exact_mut(n)) {
        let largest = row.iter().map(|x| x.wide()).fold(f64::NEG_INFINITY, f64::max);
        let weight = |x: &T| if logits { (x.wide() - largest).exp() } else { x.wide() };
        let mut total = 0.0;
        let up_to: Vec<f64> = row
            .iter()
            .map(|x| {
                total += weight(x);
                total
            })
            .collect();
        for slot in out {
            let at = source.random::<f64>() * total;
            let found = up_to.iter().position(|&sum| at < sum);
            *slot = found.map_or_else(T::nan, |i| T::of(i as f64));
        }
    }
    call.one(x.dtype(), &dims, items)
}

#[cfg(test)]
mod tests {
    use crate::{Array, Options, evaluate};
    use anewrite_tensor::DType;

    fn scalar(x: f32) -> Array {
        Array::new(DType::F32, [], vec![x]).unwrap()
    }

    fn int(x: i64) -> Array {
        Array::new(DType::I32, [], vec![x]).unwrap()
    }

    fn drawn(kind: &str, args: &[(&str, Array)], options: Options) -> Vec<f64> {
        let args: Vec<(&str, crate::Value)> = args.iter().map(|(n, a)| (*n, a.clone().into())).collect();
        evaluate(kind, &args, options).unwrap()[0].tensor().unwrap().to_f64s().unwrap()
    }

    fn moments(v: &[f64]) -> (f64, f64) {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        (mean, v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64)
    }

    const SHAPE: [i64; 2] = [100, 100];

    fn shape() -> Array {
        Array::new(DType::I32, [2], SHAPE.to_vec()).unwrap()
    }

    #[test]
    fn distributions_have_their_moments() {
        // (low + high) / 2 and (high - low)^2 / 12
        let args = [("shape", shape()), ("low", scalar(-1.0)), ("high", scalar(3.0)), ("seed", int(7))];
        let v = drawn("random_uniform", &args, Options::default());
        assert!(v.iter().all(|x| (-1.0..3.0).contains(x)));
        let (mean, variance) = moments(&v);
        assert!((mean - 1.0).abs() < 0.05 && (variance - 16.0 / 12.0).abs() < 0.05, "{mean} {variance}");
        let args = [("shape", shape()), ("mean", scalar(-2.0)), ("stddev", scalar(0.5)), ("seed", int(7))];
        let (mean, variance) = moments(&drawn("random_normal", &args, Options::default()));
        assert!((mean + 2.0).abs() < 0.03 && (variance - 0.25).abs() < 0.02, "{mean} {variance}");
        let args = [("shape", shape()), ("prob", scalar(0.2)), ("seed", int(7))];
        let v = drawn("random_bernoulli", &args, Options::default());
        assert!(v.iter().all(|&x| x == 0.0 || x == 1.0));
        assert!((moments(&v).0 - 0.2).abs() < 0.02);
    }

    #[test]
    fn a_seed_of_the_op_decides_and_else_that_of_the_run() {
        let args = |seed| [("shape", shape()), ("seed", int(seed))];
        let other = Options { seed: 5, ..Options::default() };
        let first = drawn("random_uniform", &args(3), Options::default());
        assert_eq!(first, drawn("random_uniform", &args(3), other));
        assert_ne!(first, drawn("random_uniform", &args(4), Options::default()));
        let first = drawn("random_uniform", &args(-1), Options::default());
        assert_eq!(first, drawn("random_uniform", &args(-1), Options::default()));
        assert_ne!(first, drawn("random_uniform", &args(-1), other));
    }

    #[test]
    fn categories_come_as_often_as_they_are_likely() {
        let x = |v: Vec<f32>| Array::new(DType::F32, [2, 3], v).unwrap();
        let probs = [0.1f32, 0.9, 0.0, 0.25, 0.25, 0.5];
        let logits = probs.iter().map(|p| p.ln() + 40.0).collect();
        let text = |s: &str| Array::texts([], vec![s.into()]).unwrap();
        for (mode, x) in [("probs", x(probs.to_vec())), ("logits", x(logits))] {
            let args = [("x", x), ("mode", text(mode)), ("size", int(5000)), ("seed", int(1))];
            let v = drawn("random_categorical", &args, Options::default());
            for (row, want) in v.chunks(5000).zip(probs.chunks(3)) {
                for (i, &p) in want.iter().enumerate() {
                    let share = row.iter().filter(|&&x| x == i as f64).count() as f64 / 5000.0;
                    assert!((share - f64::from(p)).abs() < 0.03, "{mode} {i}: {share} for {p}");
                }
            }
        }
    }
}
