//! Ops that pick elements by index.

use anewrite_tensor::DType;

use crate::array::{Array, Element};
use crate::call::{Call, Computed, each, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::ops::shape::product;

pub(crate) const TABLE: Table = &[
    ("gather", Kernel::Any(gather)),
    ("gather_along_axis", Kernel::Any(gather_along_axis)),
    ("gather_nd", Kernel::Any(gather_nd)),
];

/// What indices outside the axis mean. Up to iOS 16 those below 0 count from the end and others are errors. From iOS 17
/// on all are errors if `validate_indices` is set; else their meaning is left open but memory is safe, and they are
/// taken as TensorFlow documents it for devices that do not check: zero is read, and nothing is written. coremltools
/// folds negative ones that are read as counting from the end, so they are here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indices {
    from_end: bool,
    lenient: bool,
}

impl Indices {
    /// For an op that reads.
    pub(crate) fn read(call: &Call<'_>) -> Result<Indices, EvalError> {
        let checked = Indices::of(call)?;
        Ok(Indices { from_end: checked.from_end || checked.lenient, ..checked })
    }

    /// For an op that writes.
    pub(crate) fn of(call: &Call<'_>) -> Result<Indices, EvalError> {
        match call.schema.is_some_and(|s| s.param("validate_indices").is_some()) {
            true => Ok(Indices { from_end: false, lenient: !call.flag("validate_indices")? }),
            false => Ok(Indices { from_end: true, lenient: false }),
        }
    }

    /// The place that an index means among `n`; `None` for no place.
    pub(crate) fn place(self, index: i64, n: u64) -> Result<Option<usize>, EvalError> {
        let extent = i64::try_from(n).unwrap_or(i64::MAX);
        let from_front = if index < 0 && self.from_end { index.saturating_add(extent) } else { index };
        match (0..extent).contains(&from_front) {
            true => Ok(Some(from_front as usize)),
            false if self.lenient => Ok(None),
            false => Err(EvalError::bad("indices", format!("{index} in an extent of {n}"))),
        }
    }
}

/// How many batch axes there are; forms before iOS 16 have none.
fn batch_dims(call: &Call<'_>, most: usize) -> Result<usize, EvalError> {
    if call.schema.is_some_and(|s| s.param("batch_dims").is_none()) {
        return Ok(0);
    }
    let n = call.int("batch_dims")?;
    let fits = usize::try_from(n).ok().filter(|&n| n <= most);
    fits.ok_or_else(|| EvalError::bad("batch_dims", format!("{n}, where at most {most} is possible")))
}

fn same_batch(x: &Array, indices: &Array, batch: usize) -> Result<(), EvalError> {
    match x.dims().get(..batch) == indices.dims().get(..batch) {
        true => Ok(()),
        false => Err(EvalError::bad("batch_dims", format!("{batch} for {x:?} and {indices:?}"))),
    }
}

/// Copies one block a place, in order; zeros where there is no place.
fn blocks<T: Element + Default>(
    call: &Call<'_>,
    dtype: DType,
    items: &[T],
    dims: &[u64],
    block: usize,
    places: impl Iterator<Item = Result<Option<usize>, EvalError>>,
) -> Result<Array, EvalError> {
    let mut out = call.zeros::<T>(dims)?;
    if !out.is_empty() {
        for (to, place) in out.chunks_exact_mut(block).zip(places) {
            if let Some(at) = place? {
                let from = items.get(at * block..(at + 1) * block);
                to.copy_from_slice(from.ok_or_else(|| EvalError::bad("indices", "beyond the tensor"))?);
            }
        }
    }
    call.make(dtype, dims, out)
}

/// The indices' extents, without the batch ones, take the place of the axis.
fn gather(call: &Call<'_>) -> Computed {
    let (x, indices) = (call.array("x")?, call.array("indices")?);
    let (axis, rule) = (call.axis("axis", x.rank())?, Indices::read(call)?);
    let batch = batch_dims(call, axis.min(indices.rank()))?;
    same_batch(x, indices, batch)?;
    let (outer, rest) = x.dims().split_at(axis);
    let (n, after) = (rest[0], &rest[1..]);
    let dims = [outer, &indices.dims()[batch..], after].concat();
    let (between, block) = (product(&outer[batch..])? as usize, product(after)? as usize);
    let list = indices.to_i64s()?;
    let each = product(&indices.dims()[batch..])? as usize;
    let rows = list.chunks(each.max(1)).flat_map(|row| (0..between).map(move |_| row)).enumerate();
    let places = rows.flat_map(|(o, row)| {
        row.iter().map(move |&i| Ok(rule.place(i, n)?.map(|place| o * n as usize + place)))
    });
    one(each!(x, |items| blocks(call, x.dtype(), items, &dims, block, places))?)
}

/// Element `[o, k, i]` is `[o, indices[o, k, i], i]` of `x`.
fn gather_along_axis(call: &Call<'_>) -> Computed {
    let (x, indices) = (call.array("x")?, call.array("indices")?);
    let (axis, rule) = (call.axis("axis", x.rank())?, Indices::read(call)?);
    let (n, inner) = along(x, indices, axis, "indices")?;
    let list = indices.to_i64s()?;
    let row = indices.dims()[axis] as usize * inner;
    let places = list.iter().enumerate().map(|(at, &i)| {
        let (o, i_in) = (at / row, at % inner);
        Ok(rule.place(i, n)?.map(|place| (o * n as usize + place) * inner + i_in))
    });
    one(each!(x, |items| blocks(call, x.dtype(), items, indices.dims(), 1, places))?)
}

/// The extent of `axis` and the number of elements inside it, where both shapes are equal but along it.
pub(crate) fn along(x: &Array, indices: &Array, axis: usize, param: &str) -> Result<(u64, usize), EvalError> {
    let same = |(i, (a, b)): (usize, (&u64, &u64))| a == b || i == axis;
    if x.rank() != indices.rank() || !x.dims().iter().zip(indices.dims()).enumerate().all(same) {
        return Err(EvalError::bad(param, format!("{indices:?} for {x:?} along axis {axis}")));
    }
    let (n, after) = (x.dims()[axis], &x.dims()[axis + 1..]);
    Ok((n, if indices.is_empty() { 1 } else { product(after)? as usize }))
}

/// Indices as rows: what one row picks, how large it is, and how many rows there are.
pub(crate) struct Rows<'a> {
    /// Extents that a row counts in.
    pub(crate) within: &'a [u64],
    /// Extents of what it picks.
    pub(crate) rest: &'a [u64],
}

impl<'a> Rows<'a> {
    /// The last extent of the indices says how many axes of `dims` each row decides.
    pub(crate) fn of(dims: &'a [u64], indices: &Array) -> Result<Rows<'a>, EvalError> {
        let depth = indices.dims().last().copied().and_then(|d| usize::try_from(d).ok());
        match depth.filter(|&d| d <= dims.len()) {
            Some(depth) => Ok(Rows { within: &dims[..depth], rest: &dims[depth..] }),
            None => Err(EvalError::bad("indices", format!("{indices:?} for extents {dims:?}"))),
        }
    }

    /// The place that a row means.
    pub(crate) fn place(&self, row: &[i64], rule: Indices) -> Result<Option<usize>, EvalError> {
        let mut at = 0;
        for (&i, &n) in row.iter().zip(self.within) {
            match rule.place(i, n)? {
                Some(place) => at = at * n as usize + place,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }
}

fn gather_nd(call: &Call<'_>) -> Computed {
    let (x, indices) = (call.array("x")?, call.array("indices")?);
    let rule = Indices::read(call)?;
    let batch = batch_dims(call, x.rank().min(indices.rank().saturating_sub(1)))?;
    same_batch(x, indices, batch)?;
    let rows = Rows::of(&x.dims()[batch..], indices)?;
    let outer = &indices.dims()[..indices.rank() - 1];
    let dims = [outer, rows.rest].concat();
    let block = product(rows.rest)? as usize;
    let (count, each) = (product(outer)? as usize, product(&outer[batch..])?.max(1) as usize);
    let blocks_in_batch = product(rows.within)? as usize;
    let (list, depth) = (indices.to_i64s()?, rows.within.len());
    let places = (0..count).map(|r| {
        let row = list.get(r * depth..(r + 1) * depth).unwrap_or_default();
        Ok(rows.place(row, rule)?.map(|at| r / each * blocks_in_batch + at))
    });
    one(each!(x, |items| blocks(call, x.dtype(), items, &dims, block, places))?)
}

#[cfg(test)]
mod tests {
    use anewrite_ir::mil::Mil;
    use anewrite_ir::{Dialect, Opset};

    use super::*;
    use crate::testing::{dims, flag, int, int_list, ints, numbers, on};
    use crate::{Arithmetic, Value};

    fn list(d: &[u64], items: &[i64]) -> Value {
        int_list(items).tensor().unwrap().reshaped(d.iter().copied()).unwrap().into()
    }

    #[test]
    fn indices_take_the_place_of_the_axis() {
        // numpy.take(numpy.arange(6).reshape(2, 3), [[2, -3], [1, 1]], axis=1)
        let args = [("x", ints(&[2, 3])), ("indices", list(&[2, 2], &[2, -3, 1, 1])), ("axis", int(-1))];
        let y = on("gather", &args).unwrap();
        assert_eq!((dims(&y), numbers(&y)), (vec![2, 2, 2], vec![2., 0., 1., 1., 5., 3., 4., 4.]));
        let y = on("gather", &[("x", ints(&[4, 2])), ("indices", int(3))]).unwrap();
        assert_eq!((dims(&y), numbers(&y)), (vec![2], vec![6., 7.]));
    }

    #[test]
    fn batches() {
        // tensorflow.gather(arange(24).reshape(2, 3, 4), [[3, 0], [1, 1]], axis=2, batch_dims=1)
        let args = [
            ("x", ints(&[2, 3, 4])),
            ("indices", list(&[2, 2], &[3, 0, 1, 1])),
            ("axis", int(2)),
            ("batch_dims", int(1)),
        ];
        let y = on("gather", &args).unwrap();
        assert_eq!(dims(&y), [2, 3, 2]);
        assert_eq!(numbers(&y), [3., 0., 7., 4., 11., 8., 13., 13., 17., 17., 21., 21.]);
        // tensorflow.gather_nd(arange(24).reshape(2, 3, 4), [[[2, 1]], [[0, 3]]], batch_dims=1)
        let args =
            [("x", ints(&[2, 3, 4])), ("indices", list(&[2, 1, 2], &[2, 1, 0, 3])), ("batch_dims", int(1))];
        let y = on("gather_nd", &args).unwrap();
        assert_eq!((dims(&y), numbers(&y)), (vec![2, 1], vec![9., 15.]));
    }

    #[test]
    fn along_an_axis_and_by_rows() {
        // numpy.take_along_axis(arange(12).reshape(2, 3, 2), [[[2, 0]], [[1, 1]]], 1)
        let args = [("x", ints(&[2, 3, 2])), ("indices", list(&[2, 1, 2], &[2, 0, 1, 1])), ("axis", int(1))];
        assert_eq!(numbers(&on("gather_along_axis", &args).unwrap()), [4., 1., 8., 9.]);
        // tensorflow.gather_nd(arange(12).reshape(2, 3, 2), [[1, 2], [0, 1]])
        let args = [("x", ints(&[2, 3, 2])), ("indices", list(&[2, 2], &[1, 2, 0, 1]))];
        assert_eq!(numbers(&on("gather_nd", &args).unwrap()), [10., 11., 2., 3.]);
    }

    #[test]
    fn indices_that_fit_nothing() {
        let args = |i: i64, check: bool| {
            [("x", ints(&[3])), ("indices", int_list(&[1, i])), ("validate_indices", flag(check))]
        };
        assert!(on("gather", &args(3, true)).is_err() && on("gather", &args(-1, true)).is_err());
        assert_eq!(numbers(&on("gather", &args(3, false)).unwrap()), [1., 0.]);
        assert_eq!(numbers(&on("gather", &args(-1, false)).unwrap()), [1., 2.]);
        // the form of iOS 15 counts from the end and refuses others
        let shared = crate::call::Shared {
            arithmetic: Arithmetic::Fp32,
            meter: crate::budget::Meter::new(None),
            seed: 0,
            draws: 0.into(),
        };
        let old = |i: i64| {
            let args = [("x".into(), ints(&[3])), ("indices".into(), int_list(&[i]))];
            let schema = Mil.schema("gather", Opset::Ios15);
            gather(&Call { kind: "gather", schema, args: &args, results: &[], shared: &shared })
        };
        assert_eq!(numbers(&old(-3).unwrap()[0]), [0.]);
        assert!(old(-4).is_err() && old(3).is_err());
    }
}
