//! Normalisations.

use anewrite_tensor::DType;

use crate::array::Array;
use crate::call::{Call, Computed, one};
use crate::elementwise::{along, zip, zip3};
use crate::error::EvalError;
use crate::kernel::{Table, real};
use crate::math::Math;
use crate::ops::activation::rows;
use crate::ops::unary::parameter;
use crate::reduce::{Groups, sum};

pub(crate) const TABLE: Table = &[
    ("batch_norm", real!(batch_norm)),
    ("instance_norm", real!(instance_norm)),
    ("l2_norm", real!(l2_norm)),
    ("layer_norm", real!(layer_norm)),
    ("local_response_norm", real!(local_response_norm)),
];

/// What coremltools writes for numbers that it fills in itself is in single precision.
fn epsilon<T: Math>(call: &Call<'_>) -> Result<f64, EvalError> {
    Ok(parameter::<T>(call, "epsilon", DType::F32)?.wide())
}

/// A parameter with one element for each of `count` channels, else `default` for each.
fn per_channel<T: Math>(
    call: &Call<'_>,
    param: &str,
    count: u64,
    default: Option<f64>,
) -> Result<Vec<f64>, EvalError> {
    let items: Vec<f64> = match (call.find_items::<T>(param)?, default) {
        (Some(items), _) => items.iter().map(|x| x.wide()).collect(),
        (None, Some(x)) => vec![x; count as usize],
        (None, None) => return Err(EvalError::Missing(param.to_owned())),
    };
    match items.as_slice() {
        [one] => Ok(vec![*one; count as usize]),
        all if all.len() as u64 == count => Ok(items),
        all => Err(EvalError::bad(param, format!("{} elements for {count} channels", all.len()))),
    }
}

fn channels(x: &Array) -> Result<u64, EvalError> {
    x.dims().get(1).copied().ok_or_else(|| EvalError::bad("x", format!("{x:?} has no channel axis")))
}

fn batch_norm<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    if x.is_empty() {
        return one(x.clone());
    }
    let count = channels(x)?;
    let mean = per_channel::<T>(call, "mean", count, None)?;
    let variance = per_channel::<T>(call, "variance", count, None)?;
    let gamma = per_channel::<T>(call, "gamma", count, Some(1.0))?;
    let beta = per_channel::<T>(call, "beta", count, Some(0.0))?;
    let epsilon = epsilon::<T>(call)?;
    let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
    let shift = beta.iter().zip(mean.iter().zip(&scale)).map(|(b, (m, s))| T::of(b - m * s));
    let shift: Vec<T> = shift.collect();
    let scale: Vec<T> = scale.into_iter().map(T::of).collect();
    let dims = along(1, count, x.rank());
    let (_, out) = zip3(
        call,
        (call.items::<T>("x")?, x.dims()),
        (&scale, &dims),
        (&shift, &dims),
        |x, scale, shift| x * scale + shift,
    )?;
    call.one(x.dtype(), x.dims(), out)
}

/// The mean of a row, and 1 / √(variance + ε).
fn moments<T: Math>(row: &[T], epsilon: f64) -> (f64, f64) {
    let n = row.len() as f64;
    let mean = sum::<T>(|x| x).slice(row) / n;
    let variance = sum::<T>(|x| (x - mean) * (x - mean)).slice(row) / n;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

fn instance_norm<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    if x.is_empty() {
        return one(x.clone());
    }
    let count = channels(x)?;
    let gamma = per_channel::<T>(call, "gamma", count, Some(1.0))?;
    let beta = per_channel::<T>(call, "beta", count, Some(0.0))?;
    let epsilon = epsilon::<T>(call)?;
    let items = call.items::<T>("x")?;
    let n: usize = x.dims().iter().skip(2).map(|&d| d as usize).product();
    let mut out = call.zeros::<T>(x.dims())?;
    rows(&mut out, n, |start, out| {
        let row = items.get(start..start + n).unwrap_or_default();
        let channel = (start / n.max(1)) % (count as usize).max(1);
        let (mean, inverse) = moments(row, epsilon);
        let (Some(gamma), Some(beta)) = (gamma.get(channel), beta.get(channel)) else { return };
        let scale = inverse * gamma;
        pulp::Arch::new().dispatch(|| {
            out.iter_mut().zip(row).for_each(|(o, &x)| *o = T::of((x.wide() - mean) * scale + beta));
        });
    });
    call.one(x.dtype(), x.dims(), out)
}

fn layer_norm<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    if x.is_empty() {
        return one(x.clone());
    }
    let items = call.items::<T>("x")?;
    let axes = call.axes("axes", x.rank())?;
    let mut over = vec![axes.is_none(); x.rank()];
    for axis in axes.into_iter().flatten() {
        over[axis] = true;
    }
    let groups = Groups::of(x.dims(), &over);
    let epsilon = epsilon::<T>(call)?;
    let (gamma, beta) = (call.find_items::<T>("gamma")?, call.find_items::<T>("beta")?);
    for (param, given) in [("gamma", gamma), ("beta", beta)] {
        if let Some(given) = given.filter(|g| g.len() != groups.size()) {
            let why = format!("{} elements where {} are normalised together", given.len(), groups.size());
            return Err(EvalError::bad(param, why));
        }
    }
    let Some(n) = groups.contiguous().filter(|&n| n > 0) else {
        let out = scattered(call, x, items, &over, &groups, epsilon, gamma, beta)?;
        return call.one(x.dtype(), x.dims(), out);
    };
    let mut out = call.zeros::<T>(x.dims())?;
    rows(&mut out, n, |start, out| {
        let row = items.get(start..start + n).unwrap_or_default();
        let (mean, inverse) = moments(row, epsilon);
        pulp::Arch::new().dispatch(|| {
            out.iter_mut().zip(row).for_each(|(o, &x)| *o = T::of((x.wide() - mean) * inverse));
            if let Some(gamma) = gamma {
                out.iter_mut().zip(gamma).for_each(|(o, &g)| *o *= g);
            }
            if let Some(beta) = beta {
                out.iter_mut().zip(beta).for_each(|(o, &b)| *o += b);
            }
        });
    });
    call.one(x.dtype(), x.dims(), out)
}

/// Layer norm of elements that do not lie together.
#[expect(clippy::too_many_arguments, reason = "the parts that its caller has already")]
fn scattered<T: Math>(
    call: &Call<'_>,
    x: &Array,
    items: &[T],
    over: &[bool],
    groups: &Groups,
    epsilon: f64,
    gamma: Option<&[T]>,
    beta: Option<&[T]>,
) -> Result<Vec<T>, EvalError> {
    let n = groups.size() as f64;
    let means = sum(|x| x).run(call, items, groups, |s| T::of(s / n))?;
    let (_, apart) = zip(call, (items, x.dims()), (&means, &groups.dims), |x, m| x - m)?;
    let inverses = sum(|x| x * x).run(call, &apart, groups, |s| T::of(1.0 / (s / n + epsilon).sqrt()))?;
    let (_, mut out) = zip(call, (&apart, x.dims()), (&inverses, &groups.dims), |x, i| x * i)?;
    let along: Vec<u64> = x.dims().iter().zip(over).map(|(&n, &o)| if o { n } else { 1 }).collect();
    if let Some(gamma) = gamma {
        out = zip(call, (&out, x.dims()), (gamma, &along), |x, g| x * g)?.1;
    }
    if let Some(beta) = beta {
        out = zip(call, (&out, x.dims()), (beta, &along), |x, b| x + b)?.1;
    }
    Ok(out)
}

/// Over the last three axes.
fn l2_norm<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    if x.is_empty() {
        return one(x.clone());
    }
    let items = call.items::<T>("x")?;
    let epsilon = epsilon::<T>(call)?;
    let n: usize = x.dims().iter().rev().take(3).map(|&d| d as usize).product();
    let mut out = call.zeros::<T>(x.dims())?;
    rows(&mut out, n, |start, out| {
        let row = items.get(start..start + n).unwrap_or_default();
        let length = (sum::<T>(|x| x * x).slice(row) + epsilon).sqrt();
        pulp::Arch::new().dispatch(|| {
            out.iter_mut().zip(row).for_each(|(o, &x)| *o = T::of(x.wide() / length));
        });
    });
    call.one(x.dtype(), x.dims(), out)
}

/// Each element is divided by a power of the squares around it along axis 1: `size / 2` before it, the rest from it on.
fn local_response_norm<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    if x.is_empty() {
        return one(x.clone());
    }
    let items = call.items::<T>("x")?;
    let count = channels(x)? as usize;
    let size = usize::try_from(call.int("size")?).ok().filter(|&n| n > 0);
    let size = size.ok_or_else(|| EvalError::bad("size", "at least 1 is needed"))?;
    let alpha = parameter::<T>(call, "alpha", DType::F32)?.wide() / size as f64;
    let beta = parameter::<T>(call, "beta", DType::F32)?.wide();
    let k = parameter::<T>(call, "k", DType::F32)?.wide();
    let inner: usize = x.dims().iter().skip(2).map(|&d| d as usize).product();
    let mut out = call.zeros::<T>(x.dims())?;
    let squares = sum::<T>(|x| x * x);
    rows(&mut out, inner, |start, out| {
        let row = start / inner.max(1);
        let (batch, channel) = (row / count.max(1), row % count.max(1));
        let from = channel.saturating_sub(size / 2);
        let to = channel.saturating_add((size - 1) / 2).min(count.saturating_sub(1));
        let plane = |c: usize| {
            let at = (batch * count + c) * inner;
            items.get(at..at + inner).unwrap_or_default()
        };
        let mut sums = vec![squares.start; inner];
        for c in from..=to {
            sums.iter_mut().zip(plane(c)).for_each(|(s, &x)| *s = (squares.step)(*s, x));
        }
        let all = out.iter_mut().zip(plane(channel)).zip(sums);
        all.for_each(|((o, &x), s)| *o = T::of(x.wide() / (k + alpha * s).powf(beta)));
    });
    call.one(x.dtype(), x.dims(), out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arithmetic, Options, Value, evaluate};

    fn floats(dims: &[u64], items: &[f64]) -> Array {
        Array::new(DType::F32, dims.iter().copied(), items.to_vec()).unwrap()
    }

    /// Elements that are not alike: sin of the index.
    fn waves(dims: &[u64]) -> Array {
        let n = dims.iter().product::<u64>();
        floats(dims, &(0..n).map(|i| ((i * i + 3 * i) as f64).sin()).collect::<Vec<_>>())
    }

    fn check(kind: &str, x: &Array, more: &[(&str, Value)], want: &[f64]) {
        for (arithmetic, tolerance) in [(Arithmetic::Fp32, 5e-7), (Arithmetic::Fp64, 1e-11)] {
            let mut args = vec![("x", Value::from(x.clone()))];
            args.extend(more.iter().cloned());
            let options = Options { arithmetic, ..Options::default() };
            let got = evaluate(kind, &args, options).unwrap()[0].tensor().unwrap().to_f64s().unwrap();
            assert_eq!(got.len(), want.len());
            for (g, w) in got.iter().zip(want) {
                assert!((g - w).abs() <= tolerance * w.abs().max(0.1), "{kind}: {got:?} {want:?}");
            }
        }
    }

    fn vector(name: &'static str, items: &[f64]) -> (&'static str, Value) {
        (name, floats(&[items.len() as u64], items).into())
    }

    fn number(name: &'static str, x: f64) -> (&'static str, Value) {
        (name, floats(&[], &[x]).into())
    }

    fn axes(items: &[i64]) -> (&'static str, Value) {
        ("axes", Array::new(DType::I32, [items.len() as u64], items.to_vec()).unwrap().into())
    }

    // Expected values: torch.nn.functional in float64 on sin(i² + 3i), i from 0.

    #[test]
    fn batch_norm_with_and_without_scale() {
        let x = waves(&[1, 2, 2, 1]);
        let mut args = vec![vector("mean", &[0.1, -0.3]), vector("variance", &[0.5, 2.0])];
        check(
            "batch_norm",
            &x,
            &args,
            &[-0.141_419_942_045, -1.211_689_592_305, -0.172_548_550_892, -0.318_895_343_184],
        );
        args.extend([vector("gamma", &[2.0, -1.0]), vector("beta", &[0.5, 0.25]), number("epsilon", 1e-3)]);
        check(
            "batch_norm",
            &x,
            &args,
            &[0.217_439_706_680, -1.920_983_643_918, 0.422_505_861_187, 0.568_816_446_270],
        );
    }

    #[test]
    fn instance_norm_of_each_channel() {
        let args = [vector("gamma", &[2.0, -1.0]), vector("beta", &[0.5, 0.25]), number("epsilon", 1e-3)];
        check(
            "instance_norm",
            &waves(&[2, 2, 3]),
            &args,
            &[
                3.208_015_253_754,
                -1.518_450_406_023,
                -0.189_564_847_731,
                1.592_771_446_337,
                -0.042_064_569_096,
                -0.800_706_877_241,
                -1.852_522_556_992,
                3.028_705_353_843,
                0.323_817_203_149,
                -0.999_285_786_513,
                1.446_361_241_108,
                0.302_924_545_405,
            ],
        );
    }

    #[test]
    fn layer_norm_over_the_last_axes_and_over_one_between() {
        let gamma = floats(&[3, 2], &[-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
        let beta = floats(&[3, 2], &[0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        let args = [axes(&[-1, 1]), ("gamma", gamma.into()), ("beta", beta.into())];
        check(
            "layer_norm",
            &waves(&[2, 3, 2]),
            &args,
            &[
                -0.616_391_540_111,
                1.542_905_702_429,
                1.000_000_000_000,
                0.467_476_122_299,
                3.583_674_845_218,
                7.415_285_654_317,
                1.779_723_824_110,
                -0.621_260_872_328,
                1.000_000_000_000,
                2.852_041_474_684,
                -0.900_419_012_102,
                2.079_860_917_675,
            ],
        );
        let args = [axes(&[1]), vector("gamma", &[1.0, -2.0, 0.5]), vector("beta", &[0.0, 1.0, 2.0])];
        check(
            "layer_norm",
            &waves(&[2, 3, 2]),
            &args,
            &[
                0.268_646_644_219,
                -0.711_210_368_724,
                3.673_426_149_272,
                2.405_962_103_973,
                2.534_033_215_208,
                2.707_095_710_356,
                -0.186_816_816_029,
                0.523_799_656_944,
                -1.614_762_246_084,
                -0.751_411_113_038,
                1.439_717_846_493,
                1.300_247_393_269,
            ],
        );
    }

    #[test]
    fn nothing_to_normalise() {
        // the result has the extents of x, and no element, however large the others are
        let x = Value::from(floats(&[0, 1 << 40, 1 << 40], &[]));
        for kind in ["batch_norm", "instance_norm", "layer_norm", "l2_norm", "local_response_norm"] {
            let out = evaluate(kind, &[("x", x.clone())], Options::default()).unwrap();
            assert_eq!(out[0].tensor().unwrap().dims(), [0, 1 << 40, 1 << 40]);
        }
    }

    #[test]
    fn l2_norm_over_three_axes() {
        check(
            "l2_norm",
            &waves(&[2, 3, 2]),
            &[],
            &[
                0.000_000_000_000,
                -0.349_027_401_240,
                -0.250_895_412_912,
                -0.346_345_484_760,
                0.124_938_202_318,
                0.343_636_433_077,
                -0.257_706_192_528,
                0.356_908_248_985,
                0.016_325_233_714,
                0.427_436_558_907,
                -0.428_952_685_389,
                -0.028_556_848_756,
            ],
        );
        check(
            "l2_norm",
            &waves(&[2, 1, 3, 2]),
            &[number("epsilon", 0.25)],
            &[
                0.000_000_000_000,
                -0.497_802_187_769,
                -0.357_840_917_376,
                -0.493_977_090_122,
                0.178_193_775_701,
                0.490_113_290_748,
                -0.328_680_745_087,
                0.455_203_920_609,
                0.020_821_346_698,
                0.545_156_347_547,
                -0.547_090_028_600,
                -0.036_421_656_128,
            ],
        );
    }

    #[test]
    fn local_response_norm_of_odd_and_even_size() {
        let size = |n: i64| ("size", Value::from(Array::new(DType::I32, [], vec![n]).unwrap()));
        let mut args = vec![size(3), number("alpha", 0.9), number("k", 1.5)];
        check(
            "local_response_norm",
            &waves(&[1, 4, 2]),
            &args,
            &[
                0.000_000_000_000,
                -0.478_838_160_298,
                -0.380_481_541_090,
                -0.445_274_985_945,
                0.181_603_698_714,
                0.440_501_412_598,
                -0.389_923_355_113,
                0.488_613_253_519,
            ],
        );
        args.push(number("beta", 0.5));
        args[0] = size(2);
        check(
            "local_response_norm",
            &waves(&[1, 4, 2]),
            &args,
            &[
                0.000_000_000_000,
                -0.570_828_364_781,
                -0.425_694_973_589,
                -0.529_504_159_903,
                0.209_871_663_853,
                0.526_397_216_350,
                -0.431_946_918_930,
                0.544_595_860_409,
            ],
        );
    }
}
