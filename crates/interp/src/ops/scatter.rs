//! Ops that write elements by index. Updates are applied in order, so the last of several to one place stays where they
//! replace.

use crate::array::Array;
use crate::call::{Call, Computed, each, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::number::Number;
use crate::ops::gather::{Indices, Rows, along};
use crate::ops::shape::product;

pub(crate) const TABLE: Table = &[
    ("scatter", Kernel::Any(scatter)),
    ("scatter_along_axis", Kernel::Any(scatter_along_axis)),
    ("scatter_nd", Kernel::Any(scatter_nd)),
];

/// What becomes of an element and an update to it.
type Combine<T> = fn(T, T) -> Option<T>;

fn combine<T: Number>(mode: &str) -> Result<Combine<T>, EvalError> {
    Ok(match mode {
        "update" => |_, b| Some(b),
        "add" => |a, b| Some(a.plus(b)),
        "sub" => |a, b| Some(a.minus(b)),
        "mul" => |a, b| Some(a.times(b)),
        "div" => T::over,
        "max" => |a, b| Some(if b > a || is_nan(b) { b } else { a }),
        "min" => |a, b| Some(if b < a || is_nan(b) { b } else { a }),
        other => return Err(EvalError::bad("mode", other)),
    })
}

fn is_nan<T: Number>(x: T) -> bool {
    x.partial_cmp(&x).is_none()
}

/// Applies updates in blocks: each block of `updates` to the block of `data` at its place.
fn apply<T: Number>(
    call: &Call<'_>,
    data: &Array,
    items: &[T],
    updates: &Array,
    block: usize,
    places: impl Iterator<Item = Result<Option<usize>, EvalError>>,
) -> Result<Array, EvalError> {
    let combine = combine::<T>(call.text("mode")?)?;
    let from = updates.items::<T>();
    let from = from.ok_or_else(|| EvalError::bad("updates", format!("{updates:?} for {data:?}")))?;
    let mut out = call.zeros::<T>(data.dims())?;
    out.copy_from_slice(items);
    if !from.is_empty() {
        for (update, place) in from.chunks_exact(block).zip(places) {
            let Some(at) = place? else { continue };
            let to = out.get_mut(at * block..(at + 1) * block);
            let to = to.ok_or_else(|| EvalError::bad("indices", "beyond the tensor"))?;
            for (a, &b) in to.iter_mut().zip(update) {
                let new = combine(*a, b);
                let new = new.ok_or_else(|| EvalError::bad("updates", "an integer is divided by zero"))?;
                *a = new.within(data.dtype());
            }
        }
    }
    call.make(data.dtype(), data.dims(), out)
}

fn shaped(updates: &Array, dims: &[u64]) -> Result<(), EvalError> {
    match updates.dims() == dims {
        true => Ok(()),
        false => Err(EvalError::bad("updates", format!("{updates:?}, where {dims:?} is needed"))),
    }
}

/// The indices' extents take the place of the axis in the updates.
fn scatter(call: &Call<'_>) -> Computed {
    let (data, indices, updates) = (call.array("data")?, call.array("indices")?, call.array("updates")?);
    let (axis, rule) = (call.axis("axis", data.rank())?, Indices::of(call)?);
    let (outer, rest) = data.dims().split_at(axis);
    let (n, after) = (rest[0], &rest[1..]);
    shaped(updates, &[outer, indices.dims(), after].concat())?;
    let (list, block) = (indices.to_i64s()?, product(after)? as usize);
    let places = (0..product(outer)? as usize)
        .flat_map(|o| list.iter().map(move |&i| Ok(rule.place(i, n)?.map(|place| o * n as usize + place))));
    one(each!(data, |items| apply(call, data, items, updates, block, places))?)
}

/// Element `[o, k, i]` of the updates goes to `[o, indices[o, k, i], i]`.
fn scatter_along_axis(call: &Call<'_>) -> Computed {
    let (data, indices, updates) = (call.array("data")?, call.array("indices")?, call.array("updates")?);
    let (axis, rule) = (call.axis("axis", data.rank())?, Indices::of(call)?);
    let (n, inner) = along(data, indices, axis, "indices")?;
    shaped(updates, indices.dims())?;
    let list = indices.to_i64s()?;
    let row = indices.dims()[axis] as usize * inner;
    let places = list.iter().enumerate().map(|(at, &i)| {
        let (o, i_in) = (at / row, at % inner);
        Ok(rule.place(i, n)?.map(|place| (o * n as usize + place) * inner + i_in))
    });
    one(each!(data, |items| apply(call, data, items, updates, 1, places))?)
}

fn scatter_nd(call: &Call<'_>) -> Computed {
    let (data, indices, updates) = (call.array("data")?, call.array("indices")?, call.array("updates")?);
    let rule = Indices::of(call)?;
    let rows = Rows::of(data.dims(), indices)?;
    let outer = &indices.dims()[..indices.rank() - 1];
    shaped(updates, &[outer, rows.rest].concat())?;
    let (list, depth) = (indices.to_i64s()?, rows.within.len());
    let places = (0..product(outer)? as usize)
        .map(|r| rows.place(list.get(r * depth..(r + 1) * depth).unwrap_or_default(), rule));
    let block = product(rows.rest)? as usize;
    one(each!(data, |items| apply(call, data, items, updates, block, places))?)
}

#[cfg(test)]
mod tests {
    use anewrite_tensor::DType;

    use crate::testing::{flag, floats, int, int_list, numbers, on, text};
    use crate::{Array, Value};

    fn list(d: &[u64], items: &[i64]) -> Value {
        int_list(items).tensor().unwrap().reshaped(d.iter().copied()).unwrap().into()
    }

    #[test]
    fn every_mode_with_several_updates_to_one_place() {
        // tensorflow.compat.v1.scatter_<mode>(Variable([8, 9, 10, 11.]), [2, 0, 2], [4, -2, 5.])
        let run = |mode: &str| {
            let args = [
                ("data", floats(&[4], &[8., 9., 10., 11.])),
                ("indices", int_list(&[2, 0, 2])),
                ("updates", floats(&[3], &[4., -2., 5.])),
                ("mode", text(mode)),
            ];
            on("scatter", &args).map(|y| numbers(&y))
        };
        assert_eq!(run("update").unwrap(), [-2., 9., 5., 11.]);
        assert_eq!(run("add").unwrap(), [6., 9., 19., 11.]);
        assert_eq!(run("sub").unwrap(), [10., 9., 1., 11.]);
        assert_eq!(run("mul").unwrap(), [-16., 9., 200., 11.]);
        assert_eq!(run("div").unwrap(), [-4., 9., 0.5, 11.]);
        assert_eq!(run("max").unwrap(), [8., 9., 10., 11.]);
        assert_eq!(run("min").unwrap(), [-2., 9., 4., 11.]);
        assert!(run("mean").is_err());
    }

    #[test]
    fn along_axes_and_by_rows() {
        // coremltools' documentation: rows 1 and 0 are added to
        let data = floats(&[2, 3], &[1., 2., 3., 4., 5., 6.]);
        let updates = floats(&[2, 3], &[5., 6., 7., 8., 9., 10.]);
        let mut args = vec![("data", data), ("indices", int_list(&[1, 0])), ("updates", updates)];
        assert_eq!(numbers(&on("scatter", &args).unwrap()), [9., 11., 13., 9., 11., 13.]);
        // numpy.put_along_axis(data, indices, updates, 0)
        args[1].1 = list(&[2, 3], &[1, 0, 1, 1, 1, 0]);
        args.push(("mode", text("update")));
        let y = on("scatter_along_axis", &args).unwrap();
        assert_eq!(numbers(&y), [1., 6., 10., 8., 9., 7.]);
        // tensorflow.tensor_scatter_nd_add(data, [[1, 0], [0, 2]], [5, 10])
        let args = [
            args[0].clone(),
            ("indices", list(&[2, 2], &[1, 0, 0, 2])),
            ("updates", floats(&[2], &[5., 10.])),
        ];
        assert_eq!(numbers(&on("scatter_nd", &args).unwrap()), [1., 2., 13., 9., 5., 6.]);
        // along the second axis: data[:, [2, 0]] += updates
        let args = [
            args[0].clone(),
            ("indices", int_list(&[2, 0])),
            ("updates", floats(&[2, 2], &[10., 20., 30., 40.])),
            ("axis", int(1)),
        ];
        assert_eq!(numbers(&on("scatter", &args).unwrap()), [21., 2., 13., 44., 5., 36.]);
    }

    #[test]
    fn indices_outside_write_nothing_unless_they_are_validated() {
        let args = |check: bool| {
            [
                ("data", floats(&[2], &[1., 2.])),
                ("indices", int_list(&[-1, 0, 2])),
                ("updates", floats(&[3], &[10., 20., 30.])),
                ("validate_indices", flag(check)),
            ]
        };
        assert_eq!(numbers(&on("scatter", &args(false)).unwrap()), [21., 2.]);
        assert!(on("scatter", &args(true)).is_err());
    }

    #[test]
    fn small_integers_wrap() {
        let bytes = |x: &[i64]| Array::new(DType::U8, [x.len() as u64], x.to_vec()).unwrap().into();
        let args = [("data", bytes(&[250, 3])), ("indices", int_list(&[0])), ("updates", bytes(&[10]))];
        // numpy.uint8(250) + numpy.uint8(10)
        assert_eq!(numbers(&on("scatter", &args).unwrap()), [4., 3.]);
        let args = [args[0].clone(), args[1].clone(), ("updates", bytes(&[0])), ("mode", text("div"))];
        assert!(on("scatter", &args).is_err());
    }
}
