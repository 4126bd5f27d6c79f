//! Ops about order and position: topk, argsort, cumsum, bands, positions of non-zeros.

use std::cmp::Ordering;

use anewrite_tensor::DType;
use rayon::prelude::*;
use smallvec::smallvec;

use crate::array::Array;
use crate::call::{Call, Computed, each, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::number::Number;
use crate::ops::shape::product;
use crate::value::Value;

pub(crate) const TABLE: Table = &[
    ("argsort", Kernel::Any(argsort)),
    ("band_part", Kernel::Any(band_part)),
    ("cumsum", Kernel::Any(cumsum)),
    ("non_zero", Kernel::Any(non_zero)),
    ("topk", Kernel::Any(topk)),
];

/// The first `k` places along an axis in the order of their elements, lower places first among equals; NaN is above
/// all numbers, as torch has it. Places are `[lane][k]`, lanes in the order of the outer and inner axes.
fn sorted<T: Number>(items: &[T], lanes: Lanes, k: usize, ascending: bool) -> Vec<i64> {
    let order = |a: &(T, i64), b: &(T, i64)| -> Ordering {
        let by_value = if ascending { a.0.order(b.0) } else { b.0.order(a.0) };
        by_value.then(a.1.cmp(&b.1))
    };
    let lane = |l: usize| {
        let mut lane: Vec<(T, i64)> = (0..lanes.n).map(|i| (items[lanes.at(l, i)], i as i64)).collect();
        if k < lane.len() / 4 {
            lane.select_nth_unstable_by(k, order);
            lane.truncate(k);
        }
        lane.sort_unstable_by(order);
        lane.into_iter().take(k).map(|(_, i)| i)
    };
    if items.len() < 1 << 14 {
        return (0..lanes.count).flat_map(lane).collect();
    }
    (0..lanes.count).into_par_iter().flat_map_iter(lane).collect()
}

/// The lanes along one axis of a tensor with elements.
#[derive(Clone, Copy)]
struct Lanes {
    n: usize,
    inner: usize,
    count: usize,
}

impl Lanes {
    fn of(x: &Array, axis: usize) -> Lanes {
        let n = x.dims()[axis] as usize;
        let inner = x.dims()[axis + 1..].iter().fold(1, |p: usize, &d| p.saturating_mul(d as usize));
        Lanes { n, inner, count: x.len().checked_div(n).unwrap_or(0) }
    }

    /// Where element `i` of lane `l` is.
    fn at(self, l: usize, i: usize) -> usize {
        (l / self.inner * self.n + i) * self.inner + l % self.inner
    }
}

/// Charges what sorting needs beside the result: a copy of the elements with their places.
fn room(call: &Call<'_>, x: &Array) -> Result<(), EvalError> {
    drop(call.shared.meter.charge(8 * x.len() as u64)?);
    Ok(())
}

fn argsort(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let (axis, ascending) = (call.axis("axis", x.rank())?, call.flag("ascending")?);
    let (_, places) = each!(x, |items| ranked(call, x, items, axis, x.dims()[axis], ascending))?;
    one(places.retyped(DType::I32))
}

/// The first `k` elements along an axis, and their places.
fn ranked<T: Number>(
    call: &Call<'_>,
    x: &Array,
    items: &[T],
    axis: usize,
    k: u64,
    ascending: bool,
) -> Result<(Array, Array), EvalError> {
    let mut dims = x.dims().to_vec();
    dims[axis] = k;
    let (mut values, mut places) = (call.zeros::<T>(&dims)?, call.zeros::<i64>(&dims)?);
    if !values.is_empty() {
        room(call, x)?;
        let lanes = Lanes::of(x, axis);
        let picked = Lanes { n: k as usize, ..lanes };
        for (j, place) in sorted(items, lanes, k as usize, ascending).into_iter().enumerate() {
            let (l, to) = (j / k as usize, j % k as usize);
            values[picked.at(l, to)] = items[lanes.at(l, place as usize)];
            places[picked.at(l, to)] = place;
        }
    }
    Ok((call.make(x.dtype(), &dims, values)?, call.make(DType::I32, &dims, places)?))
}

/// −1 for `k` takes all. Unsorted results are sorted too, which is one of the orders that they may have.
fn topk(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let axis = call.axis("axis", x.rank())?;
    let (n, k) = (x.dims()[axis], call.int("k")?);
    let k = if k == -1 { Some(n) } else { u64::try_from(k).ok().filter(|&k| k <= n) };
    let k = k.ok_or_else(|| EvalError::bad("k", format!("{} of {n}", call.int("k").unwrap_or(0))))?;
    let ascending = call.flag("ascending")?;
    let has = |param: &str| call.schema.is_none_or(|s| s.param(param).is_some());
    let (values, places) = each!(x, |items| ranked(call, x, items, axis, k, ascending))?;
    if has("return_indices") && !call.flag("return_indices")? {
        return one(values);
    }
    let dtype = match call.find_text("output_indices_dtype")?.map(str::to_ascii_lowercase).as_deref() {
        None | Some("int32") => DType::I32,
        Some("uint16") => DType::U16,
        Some(other) => return Err(EvalError::bad("output_indices_dtype", other)),
    };
    Ok(smallvec![Value::Tensor(values), Value::Tensor(places.retyped(dtype))])
}

fn cumsum(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let axis = call.axis("axis", x.rank())?;
    let (exclusive, reverse) = (call.flag("exclusive")?, call.flag("reverse")?);
    // sums of narrow floats are kept in the wide type, as torch keeps them, but for what the engine does in its own
    let narrow = call.arithmetic().numerics().is_some();
    fn sums<T: Number>(
        call: &Call<'_>,
        x: &Array,
        items: &[T],
        lanes: Lanes,
        [exclusive, reverse, wide]: [bool; 3],
    ) -> Result<Array, EvalError> {
        let mut out = call.zeros::<T>(x.dims())?;
        for l in 0..lanes.count {
            let (mut sum, mut total) = (T::default(), 0f64);
            for i in 0..lanes.n {
                let at = lanes.at(l, if reverse { lanes.n - 1 - i } else { i });
                let before = if wide { T::of(total) } else { sum };
                total += items[at].wide();
                sum = sum.plus(items[at]);
                let after = if wide { T::of(total) } else { sum };
                out[at] = if exclusive { before } else { after }.within(x.dtype());
            }
        }
        call.make(x.dtype(), x.dims(), out)
    }
    let wide = x.dtype().is_float() && !narrow;
    let lanes = Lanes::of(x, axis);
    one(each!(x, |items| sums(call, x, items, lanes, [exclusive, reverse, wide]))?)
}

/// Elements of the innermost matrices that are further below or above the diagonal become zero; negative bounds keep
/// all.
fn band_part(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let &[.., rows, columns] = x.dims() else {
        return Err(EvalError::bad("x", format!("rank 2 or more is needed, this is {x:?}")));
    };
    let (lower, upper) = (call.int("lower")?, call.int("upper")?);
    fn band<T: Number>(
        call: &Call<'_>,
        x: &Array,
        items: &[T],
        [rows, columns]: [usize; 2],
        [lower, upper]: [i64; 2],
    ) -> Result<Array, EvalError> {
        let mut out = call.zeros::<T>(x.dims())?;
        if !out.is_empty() {
            let lines = out.chunks_exact_mut(columns).zip(items.chunks_exact(columns));
            for (i, (to, from)) in lines.enumerate() {
                let m = (i % rows) as i64;
                let first = if lower < 0 { 0 } else { m.saturating_sub(lower).max(0) };
                let end = if upper < 0 { i64::MAX } else { m.saturating_add(upper).saturating_add(1) };
                let (first, end) = (first.min(columns as i64) as usize, end.min(columns as i64) as usize);
                if first < end {
                    to[first..end].copy_from_slice(&from[first..end]);
                }
            }
        }
        call.make(x.dtype(), x.dims(), out)
    }
    let size = [rows as usize, columns as usize];
    one(each!(x, |items| band(call, x, items, size, [lower, upper]))?)
}

/// One row a non-zero element: its index.
fn non_zero(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    fn found<T: Number>(items: &[T]) -> Result<Vec<usize>, EvalError> {
        let zero = T::default();
        Ok(items.iter().enumerate().filter(|(_, x)| **x != zero).map(|(i, _)| i).collect())
    }
    let places = each!(x, |items| found(items))?;
    let dims = [places.len() as u64, x.rank() as u64];
    product(&dims)?;
    let mut out = call.zeros::<i64>(&dims)?;
    for (row, mut place) in out.chunks_exact_mut(x.rank().max(1)).zip(places) {
        for (to, &d) in row.iter_mut().zip(x.dims()).rev() {
            *to = (place as u64 % d) as i64;
            place /= d as usize;
        }
    }
    one(call.ints_out(&dims, out)?)
}

#[cfg(test)]
mod tests {
    use crate::Value;
    use crate::testing::{all_on, dims, flag, floats, int, int_list, ints, numbers, on, text};

    fn best(x: Value, k: i64, axis: i64, ascending: bool) -> (Vec<f64>, Vec<f64>) {
        let args = [("x", x), ("k", int(k)), ("axis", int(axis)), ("ascending", flag(ascending))];
        let y = all_on("topk", &args).unwrap();
        (numbers(&y[0]), numbers(&y[1]))
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        let x = floats(&[2, 4], &[3., 1., 3., 1., -1., 5., 5., 2.]);
        // numpy.argsort(-x, 1, kind="stable")[:, :3], numpy.argsort(x, 1, kind="stable")[:, :2]
        assert_eq!(best(x.clone(), 3, 1, false).1, [0., 2., 1., 1., 2., 3.]);
        assert_eq!(best(x.clone(), 2, -1, true), (vec![1., 1., -1., 2.], vec![1., 3., 0., 3.]));
        // torch.topk(x, 1, 0)
        assert_eq!(best(x.clone(), 1, 0, false), (vec![3., 5., 5., 2.], vec![0., 1., 1., 1.]));
        assert_eq!(best(x, -1, 1, false).1.len(), 8);
    }

    #[test]
    fn large_lanes_and_nan() {
        let x: Vec<f32> = (0..20000).map(|i| ((i * 7919) % 20011) as f32).collect();
        // numpy.argsort(-x, kind="stable")[:3] of (numpy.arange(20000) * 7919) % 20011
        assert_eq!(best(floats(&[20000], &x), 3, 0, false).1, [18980., 17949., 16918.]);
        // torch.topk(tensor([1, nan, inf]), 2).indices
        assert_eq!(best(floats(&[3], &[1., f32::NAN, f32::INFINITY]), 2, 0, false).1, [1., 2.]);
    }

    #[test]
    fn forms_of_topk() {
        let x = ints(&[1, 3]);
        let args = [("x", x.clone()), ("k", int(2)), ("return_indices", flag(false))];
        assert_eq!(all_on("topk", &args).unwrap().len(), 1);
        let args = [("x", x.clone()), ("k", int(2)), ("output_indices_dtype", text("uint16"))];
        let y = all_on("topk", &args).unwrap();
        assert_eq!(y[1].tensor().unwrap().dtype(), anewrite_tensor::DType::U16);
        assert!(on("topk", &[("x", x.clone()), ("k", int(4))]).is_err());
        assert!(on("topk", &[("x", x), ("k", int(-2))]).is_err());
        // numpy.argsort([[2, 0, 1]], 1) and of its negative
        let x = int_list(&[2, 0, 1]);
        assert_eq!(
            numbers(&on("argsort", &[("x", x.clone()), ("ascending", flag(true))]).unwrap()),
            [1., 2., 0.]
        );
        assert_eq!(numbers(&on("argsort", &[("x", x)]).unwrap()), [0., 2., 1.]);
    }

    #[test]
    fn running_sums() {
        let sum = |exclusive: bool, reverse: bool| {
            let args = [
                ("x", floats(&[2, 3], &[1., 2., 4., 8., 16., 32.])),
                ("axis", int(1)),
                ("exclusive", flag(exclusive)),
                ("reverse", flag(reverse)),
            ];
            numbers(&on("cumsum", &args).unwrap())
        };
        // tensorflow.cumsum(x, 1, exclusive, reverse)
        assert_eq!(sum(false, false), [1., 3., 7., 8., 24., 56.]);
        assert_eq!(sum(true, false), [0., 1., 3., 0., 8., 24.]);
        assert_eq!(sum(false, true), [7., 6., 4., 56., 48., 32.]);
        assert_eq!(sum(true, true), [6., 4., 0., 48., 32., 0.]);
        // numpy.cumsum(numpy.int32([2**31 - 1, 1]))
        let y = on("cumsum", &[("x", int_list(&[i64::from(i32::MAX), 1]))]).unwrap();
        assert_eq!(numbers(&y), [f64::from(i32::MAX), f64::from(i32::MIN)]);
    }

    #[test]
    fn bands_and_positions() {
        let band = |lower: i64, upper: i64| {
            let args = [
                ("x", int_list(&[1; 12]).tensor().unwrap().reshaped([3, 4]).unwrap().into()),
                ("lower", int(lower)),
                ("upper", int(upper)),
            ];
            numbers(&on("band_part", &args).unwrap()).iter().map(|&x| x as u8).collect::<Vec<_>>()
        };
        // tensorflow.linalg.band_part(ones(3, 4), lower, upper)
        assert_eq!(band(0, -1), [1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 1, 1]);
        assert_eq!(band(1, 0), [1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0]);
        // numpy.transpose(numpy.nonzero(x))
        let x = floats(&[3, 2], &[0., 2., -0.0, 0., f32::NAN, 1.]);
        let y = on("non_zero", &[("x", x)]).unwrap();
        assert_eq!((dims(&y), numbers(&y)), (vec![3, 2], vec![0., 1., 2., 0., 2., 1.]));
        assert_eq!(dims(&on("non_zero", &[("x", floats(&[0, 2], &[]))]).unwrap()), [0, 2]);
    }
}
