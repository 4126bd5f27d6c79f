//! Reductions over axes, and the index of the extreme along one.

use anewrite_tensor::{DType, Dims};

use crate::array::{Array, Data, Element};
use crate::call::{Call, Computed};
use crate::elementwise::{Width, chunks, zip};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table, real};
use crate::math::Math;
use crate::reduce::{Fold, Groups, greater, smaller, sum};

/// A reduction: integers stay whole, and those that need a fraction lose it at the end.
macro_rules! wide {
    ($of:expr, $finish:expr) => {
        Kernel::Real(|call| wide::<f32>(call, $of, $finish), |call| wide::<f64>(call, $of, $finish))
    };
}

pub(crate) const TABLE: Table = &[
    ("reduce_argmax", Kernel::Any(|call| arg(call, |a, b| a > b, |a, b| a > b, |a, b| a > b))),
    ("reduce_argmin", Kernel::Any(|call| arg(call, |a, b| a < b, |a, b| a < b, |a, b| a < b))),
    ("reduce_l1_norm", wide!(f64::abs, |sum, _| sum)),
    ("reduce_l2_norm", wide!(|x| x * x, |sum, _| sum.sqrt())),
    ("reduce_log_sum", wide!(|x| x, |sum, _| sum.ln())),
    ("reduce_log_sum_exp", real!(log_sum_exp)),
    ("reduce_max", Kernel::Real(extreme::<f32, true>, extreme::<f64, true>)),
    ("reduce_mean", wide!(|x| x, |sum, n| sum / n)),
    ("reduce_min", Kernel::Real(extreme::<f32, false>, extreme::<f64, false>)),
    ("reduce_prod", real!(product)),
    ("reduce_sum", wide!(|x| x, |sum, _| sum)),
    ("reduce_sum_square", wide!(|x| x * x, |sum, _| sum)),
];

/// The groups that `axes` makes, and the result's extents. Without axes all are reduced.
fn groups(call: &Call<'_>, x: &Array) -> Result<(Groups, Dims), EvalError> {
    let axes = call.axes("axes", x.rank())?;
    let mut gone = vec![axes.is_none(); x.rank()];
    for axis in axes.into_iter().flatten() {
        gone[axis] = true;
    }
    let groups = Groups::of(x.dims(), &gone);
    let dims = if call.flag("keep_dims")? {
        groups.dims.clone()
    } else {
        x.dims().iter().zip(gone).filter(|(_, g)| !g).map(|(&n, _)| n).collect()
    };
    Ok((groups, dims))
}

fn wide<T: Math>(
    call: &Call<'_>,
    of: impl Fn(f64) -> f64 + Sync,
    finish: impl Fn(f64, f64) -> f64 + Sync,
) -> Computed {
    let x = call.array("x")?;
    let (groups, dims) = groups(call, x)?;
    let n = groups.size() as f64;
    if let Data::Int(items) = x.data() {
        return whole(call, x, items, &groups, &dims, n, of, finish);
    }
    let out = sum(of).run(call, call.items::<T>("x")?, &groups, |s| T::of(finish(s, n)))?;
    call.one(x.dtype(), &dims, out)
}

#[expect(clippy::too_many_arguments, reason = "the parts of a reduction that its caller has already")]
fn whole(
    call: &Call<'_>,
    x: &Array,
    items: &[i64],
    groups: &Groups,
    dims: &[u64],
    n: f64,
    of: impl Fn(f64) -> f64 + Sync,
    finish: impl Fn(f64, f64) -> f64 + Sync,
) -> Computed {
    let width = Width::of(x.dtype());
    // Sums of integers that fit 64 bits wrap at the end; of() is exact for those of 32 bits and less, squares too,
    // as far as the sum is over 2^53 only after 2^22 of the greatest.
    let fold = Fold { start: 0i128, step: |s: i128, x: i64| s + of(x as f64) as i128, merge: |a, b| a + b };
    let out = fold.run(call, items, groups, |s| {
        let result = finish(s as f64, n);
        if result == s as f64 { width.wrap(s as i64) } else { width.truncate(result) }
    })?;
    call.one(x.dtype(), dims, out)
}

fn product<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let (groups, dims) = groups(call, x)?;
    if let Data::Int(items) = x.data() {
        let width = Width::of(x.dtype());
        let fold = Fold { start: 1i64, step: i64::wrapping_mul, merge: i64::wrapping_mul };
        return call.one(x.dtype(), &dims, fold.run(call, items, &groups, |n| width.wrap(n))?);
    }
    let fold = Fold { start: 1f64, step: |p: f64, x: T| p * x.wide(), merge: |a, b| a * b };
    call.one(x.dtype(), &dims, fold.run(call, call.items::<T>("x")?, &groups, T::of)?)
}

fn extreme<T: Math, const GREATEST: bool>(call: &Call<'_>) -> Computed {
    fn of<T: Element + PartialOrd + Default>(
        call: &Call<'_>,
        x: &[T],
        start: T,
        better: impl Fn(T, T) -> T + Sync,
    ) -> Computed {
        let a = call.array("x")?;
        let (groups, dims) = groups(call, a)?;
        if groups.size() == 0 && crate::array::count(&dims) != Some(0) {
            return Err(EvalError::bad("x", format!("{a:?} has nothing to reduce")));
        }
        let fold = Fold { start, step: &better, merge: &better };
        call.one(a.dtype(), &dims, fold.run(call, x, &groups, |x| x)?)
    }
    match (call.array("x")?.data(), GREATEST) {
        (Data::Int(x), true) => of(call, x, i64::MIN, i64::max),
        (Data::Int(x), false) => of(call, x, i64::MAX, i64::min),
        (_, true) => of::<T>(call, call.items("x")?, T::neg_infinity(), greater),
        (_, false) => of::<T>(call, call.items("x")?, T::infinity(), smaller),
    }
}

/// The greatest element is taken out first, so that nothing overflows.
fn log_sum_exp<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let (groups, dims) = groups(call, x)?;
    let floats;
    let (items, whole) = match x.data() {
        Data::Int(b) => {
            floats = b.iter().map(|&n| T::of(n as f64)).collect::<Vec<_>>();
            (&floats[..], true)
        }
        _ => (call.items::<T>("x")?, false),
    };
    let greatest = Fold { start: T::neg_infinity(), step: greater::<T>, merge: greater::<T> };
    // Infinities are left in: their powers are 0 and infinity.
    let top = |top: T| if top.is_infinite() { T::zero() } else { top };
    let tops = greatest.run(call, items, &groups, top)?;
    let (_, powers) = zip(call, (items, x.dims()), (&tops, &groups.dims), |x, top| (x - top).exponential())?;
    let sums = sum(|x| x).run(call, &powers, &groups, |s| s.ln())?;
    let out: Vec<T> = sums.into_iter().zip(tops).map(|(s, top)| T::of(s + top.wide())).collect();
    if whole {
        let width = Width::of(x.dtype());
        return call.one(x.dtype(), &dims, out.into_iter().map(|x| width.truncate(x.wide())).collect());
    }
    call.one(x.dtype(), &dims, out)
}

/// The first of several that are equal; what is no number counts as extreme.
fn arg(
    call: &Call<'_>,
    f32s: impl Fn(f32, f32) -> bool + Sync,
    f64s: impl Fn(f64, f64) -> bool + Sync,
    ints: impl Fn(i64, i64) -> bool + Sync,
) -> Computed {
    match call.array("x")?.data() {
        Data::F32(x) => arg_of(call, x, |a, b| f32s(a, b) || a.is_nan() && !b.is_nan()),
        Data::F64(x) => arg_of(call, x, |a, b| f64s(a, b) || a.is_nan() && !b.is_nan()),
        Data::Int(x) => arg_of(call, x, ints),
        _ => Err(EvalError::bad("x", "numbers are needed")),
    }
}

fn arg_of<T: Element>(call: &Call<'_>, x: &[T], better: impl Fn(T, T) -> bool + Sync) -> Computed {
    let a = call.array("x")?;
    let axis = call.axis("axis", a.rank())?;
    let dtype = match call.find_text("output_dtype")?.map(str::to_ascii_lowercase).as_deref() {
        Some("uint16") => DType::U16,
        Some("int32") | None => DType::I32,
        Some(name) => {
            return Err(EvalError::bad("output_dtype", format!("{name:?} where int32 or uint16 is needed")));
        }
    };
    let mut dims: Vec<u64> = a.dims().to_vec();
    let n = dims.get(axis).copied().unwrap_or(0) as usize;
    let inner = dims.iter().skip(axis + 1).fold(1usize, |n, &d| n.saturating_mul(d as usize));
    if call.flag("keep_dims")? {
        dims[axis] = 1;
    } else {
        dims.remove(axis);
    }
    let mut out = call.zeros::<i64>(&dims)?;
    if n == 0 && !out.is_empty() {
        return Err(EvalError::bad("x", format!("{a:?} has nothing along axis {axis}")));
    }
    chunks(&mut out, |start, out| {
        for (i, o) in out.iter_mut().enumerate() {
            let (row, column) = ((start + i) / inner.max(1), (start + i) % inner.max(1));
            let line = x.iter().skip(row * n * inner + column).step_by(inner.max(1)).take(n).enumerate();
            let best = line.reduce(|best, next| if better(*next.1, *best.1) { next } else { best });
            *o = best.map_or(0, |(i, _)| i as i64);
        }
    });
    let width = Width::of(dtype);
    out.iter_mut().for_each(|i| *i = width.wrap(*i));
    call.one(dtype, &dims, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arithmetic, Options, Value, evaluate};

    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;

    fn floats(dims: &[u64], items: &[f64]) -> Array {
        Array::new(DType::F32, dims.iter().copied(), items.to_vec()).unwrap()
    }

    fn ints(dims: &[u64], items: &[i64]) -> Array {
        Array::new(DType::I32, dims.iter().copied(), items.to_vec()).unwrap()
    }

    fn try_run(
        kind: &str,
        x: &Array,
        axes: Option<&[i64]>,
        keep: bool,
        arithmetic: Arithmetic,
    ) -> Result<Array, EvalError> {
        let name = if kind.starts_with("reduce_arg") { "axis" } else { "axes" };
        let mut args = vec![("x", Value::from(x.clone()))];
        if let Some(axes) = axes {
            let dims: &[u64] = if name == "axis" { &[] } else { &[axes.len() as u64] };
            args.push((name, ints(dims, axes).into()));
        }
        args.push(("keep_dims", Array::new(DType::Bool, [], vec![keep])?.into()));
        let out = evaluate(kind, &args, Options { arithmetic, ..Options::default() })?;
        Ok(out[0].tensor()?.clone())
    }

    fn run(kind: &str, x: &Array, axes: Option<&[i64]>) -> Array {
        try_run(kind, x, axes, false, Arithmetic::Fp32).unwrap()
    }

    fn close(kind: &str, x: &Array, axes: Option<&[i64]>, want: &[f64]) {
        for arithmetic in [Arithmetic::Fp32, Arithmetic::Fp64] {
            let got = try_run(kind, x, axes, false, arithmetic).unwrap().to_f64s().unwrap();
            assert_eq!(got.len(), want.len(), "{kind}");
            for (g, w) in got.iter().zip(want) {
                let same = g == w || g.is_nan() && w.is_nan();
                assert!(same || (g - w).abs() <= 2e-7 * w.abs(), "{kind}: {got:?} {want:?}");
            }
        }
    }

    #[test]
    fn over_every_choice_of_axes() {
        // numpy.arange(24).reshape(2, 3, 4).sum(axes)
        let x: Vec<f64> = (0..24).map(f64::from).collect();
        let x = floats(&[2, 3, 4], &x);
        close("reduce_sum", &x, None, &[276.0]);
        close("reduce_sum", &x, Some(&[2]), &[6.0, 22.0, 38.0, 54.0, 70.0, 86.0]);
        close(
            "reduce_sum",
            &x,
            Some(&[0]),
            &[12.0, 14.0, 16.0, 18.0, 20.0, 22.0, 24.0, 26.0, 28.0, 30.0, 32.0, 34.0],
        );
        close("reduce_sum", &x, Some(&[-2]), &[12.0, 15.0, 18.0, 21.0, 48.0, 51.0, 54.0, 57.0]);
        close("reduce_sum", &x, Some(&[0, -1]), &[60.0, 92.0, 124.0]);
        close("reduce_sum", &x, Some(&[0, 1]), &[60.0, 66.0, 72.0, 78.0]);
        close("reduce_sum", &x, Some(&[]), &(0..24).map(f64::from).collect::<Vec<_>>());
        assert_eq!(
            try_run("reduce_mean", &x, Some(&[0, 2]), true, Arithmetic::Fp32).unwrap().dims(),
            [1, 3, 1]
        );
        assert_eq!(run("reduce_mean", &x, None).dims(), [0u64; 0]);
    }

    #[test]
    fn each_reduction() {
        let x = floats(&[2, 3], &[-1.0, 2.0, 0.5, 3.0, -0.25, 4.0]);
        // numpy over axis 1, and scipy.special.logsumexp
        close("reduce_mean", &x, Some(&[1]), &[0.5, 2.25]);
        close("reduce_max", &x, Some(&[1]), &[2.0, 4.0]);
        close("reduce_min", &x, Some(&[0]), &[-1.0, -0.25, 0.5]);
        close("reduce_prod", &x, Some(&[1]), &[-1.0, -3.0]);
        close("reduce_l1_norm", &x, Some(&[1]), &[3.5, 7.25]);
        close("reduce_l2_norm", &x, Some(&[1]), &[5.25f64.sqrt(), 25.0625f64.sqrt()]);
        close("reduce_sum_square", &x, Some(&[1]), &[5.25, 25.0625]);
        close("reduce_log_sum", &x, Some(&[1]), &[1.5f64.ln(), 6.75f64.ln()]);
        close("reduce_log_sum_exp", &x, Some(&[1]), &[2.241_311_296_657_157, 4.323_635_681_649_824]);
        close("reduce_log_sum_exp", &floats(&[3], &[1000.0, 1000.0, -INF]), None, &[1000.0 + 2f64.ln()]);
        // torch.logsumexp
        close("reduce_log_sum_exp", &floats(&[2, 2], &[-INF, -INF, INF, 0.0]), Some(&[1]), &[-INF, INF]);
    }

    #[test]
    fn what_is_no_number_wins_and_ties_go_to_the_first() {
        let x = floats(&[2, 3], &[1.0, NAN, 5.0, 7.0, 7.0, -INF]);
        // numpy: max, min, argmax, argmin over axis 1
        close("reduce_max", &x, Some(&[1]), &[NAN, 7.0]);
        close("reduce_min", &x, Some(&[1]), &[NAN, -INF]);
        assert_eq!(run("reduce_argmax", &x, Some(&[1])).to_i64s().unwrap(), [1, 0]);
        assert_eq!(run("reduce_argmin", &x, Some(&[-1])).to_i64s().unwrap(), [1, 2]);
        assert_eq!(run("reduce_argmax", &x, Some(&[0])).to_i64s().unwrap(), [1, 0, 0]);
        let got = try_run("reduce_argmin", &x, Some(&[0]), true, Arithmetic::Fp64).unwrap();
        assert_eq!((got.dims(), got.dtype()), (&[1u64, 3][..], DType::I32));
    }

    #[test]
    fn nothing_to_reduce() {
        let x = floats(&[2, 0], &[]);
        // numpy: sum, prod, mean and max of numpy.zeros((2, 0)) over axis 1
        close("reduce_sum", &x, Some(&[1]), &[0.0, 0.0]);
        close("reduce_prod", &x, Some(&[1]), &[1.0, 1.0]);
        close("reduce_mean", &x, Some(&[1]), &[NAN, NAN]);
        assert!(try_run("reduce_max", &x, Some(&[1]), false, Arithmetic::Fp32).is_err());
        assert!(try_run("reduce_argmax", &x, Some(&[1]), false, Arithmetic::Fp32).is_err());
        assert_eq!(run("reduce_max", &x, Some(&[0])).dims(), [0]);
        let x = floats(&[0, 3, 1 << 40, 1 << 40], &[]);
        close("reduce_sum", &x, Some(&[0, 2, 3]), &[0.0; 3]);
        assert!(try_run("reduce_argmax", &x, Some(&[1]), false, Arithmetic::Fp32).is_ok());
    }

    #[test]
    fn integers() {
        let x = ints(&[2, 3], &[-7, 2, 2, 1 << 30, 1 << 30, 1 << 30]);
        let got = |kind| run(kind, &x, Some(&[1])).to_i64s().unwrap();
        // numpy of int32 over axis 1; those with a fraction without it
        assert_eq!(got("reduce_sum"), [-3, -1_073_741_824]);
        assert_eq!(got("reduce_max"), [2, 1 << 30]);
        assert_eq!(got("reduce_mean"), [-1, 1 << 30]);
        assert_eq!(got("reduce_prod"), [-28, 0]);
        assert_eq!(got("reduce_l1_norm"), [11, -1_073_741_824]);
        assert_eq!(got("reduce_l2_norm")[0], 7);
        assert_eq!(got("reduce_argmax"), [1, 0]);
    }

    #[test]
    fn long_sums_are_exact_enough() {
        // numpy.full(3 * 100001, 0.1, "float32").astype("float64") summed
        let n = 100_001u64;
        let x = floats(&[3, n], &vec![f64::from(0.1f32); 3 * n as usize]);
        let want = f64::from(0.1f32) * n as f64;
        close("reduce_sum", &x, Some(&[1]), &[want; 3]);
        close("reduce_mean", &x, None, &[f64::from(0.1f32)]);
        let x = floats(&[n, 3], &vec![f64::from(0.1f32); 3 * n as usize]);
        close("reduce_sum", &x, Some(&[0]), &[want; 3]);
    }
}
