//! Ops that take or replace a regular part of a tensor.

use anewrite_ir::Shape;

use crate::array::{Array, Element};
use crate::call::{Call, Computed, each, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::ops::movement::viewed;
use crate::view::{Axis, View, put};

pub(crate) const TABLE: Table = &[
    ("slice_by_index", Kernel::Any(slice_by_index)),
    ("slice_by_size", Kernel::Any(slice_by_size)),
    ("slice_update", Kernel::Any(slice_update)),
    ("sliding_windows", Kernel::Any(sliding_windows)),
];

/// What is taken along one axis.
struct Cut {
    first: i64,
    step: i64,
    extent: u64,
    squeezed: bool,
}

/// The cuts along all axes, as Python's slices have them: bounds below 0 count from the end, and those beyond an end
/// stop there.
fn cuts(call: &Call<'_>, x: &Array, stated: Option<&Shape>) -> Result<Vec<Cut>, EvalError> {
    let rank = x.rank();
    let fit = |param: &str, n: usize| match n == rank {
        true => Ok(()),
        false => Err(EvalError::bad(param, format!("{n} elements for rank {rank}"))),
    };
    let bounds = |param: &str, needed: bool| -> Result<Option<Vec<i64>>, EvalError> {
        let list = if needed { Some(call.ints(param)?) } else { call.find_ints(param)? };
        // bounds of no elements mean none at all
        let list = list.filter(|l| !l.is_empty());
        list.as_ref().map_or(Ok(()), |l| fit(param, l.len()))?;
        Ok(list)
    };
    let mask = |param: &str| -> Result<Vec<bool>, EvalError> {
        let mask = call.find_flags(param)?.unwrap_or_else(|| vec![false; rank]);
        fit(param, mask.len()).map(|()| mask)
    };
    let (begin, end) = (bounds("begin", true)?, bounds("end", true)?);
    let stride = bounds("stride", false)?.unwrap_or_else(|| vec![1; rank]);
    let (begin_mask, end_mask, squeeze) = (mask("begin_mask")?, mask("end_mask")?, mask("squeeze_mask")?);
    let mut stated = stated.into_iter().flatten();
    let mut cuts = Vec::with_capacity(rank);
    for (i, &d) in x.dims().iter().enumerate() {
        let n = i64::try_from(d).unwrap_or(i64::MAX);
        let from_front = |b: i64| if b < 0 { b.saturating_add(n) } else { b };
        let begin = begin.as_ref().filter(|_| !begin_mask[i]).map(|b| from_front(b[i]));
        let end = end.as_ref().filter(|_| !end_mask[i]).map(|e| from_front(e[i]));
        let step = stride[i];
        if squeeze[i] {
            let first = begin.unwrap_or(0);
            if !(0..n).contains(&first) {
                return Err(EvalError::bad("begin", format!("{first} at axis {i} of extent {d}")));
            }
            cuts.push(Cut { first, step: 1, extent: 1, squeezed: true });
            continue;
        }
        let (first, length) = match step {
            0 => return Err(EvalError::bad("stride", format!("0 at axis {i}"))),
            1.. => {
                let first = begin.unwrap_or(0).clamp(0, n);
                (first, end.unwrap_or(n).clamp(0, n) - first)
            }
            _ => {
                let first = begin.unwrap_or(n - 1).clamp(-1, n - 1);
                (first, first - end.unwrap_or(-1).clamp(-1, n - 1))
            }
        };
        let extent = (length.max(0) as u64).div_ceil(step.unsigned_abs());
        let stated = stated.next().and_then(|d| d.known());
        // a bound that passes the only element still takes it, where the program says so
        cuts.push(match (d, extent, stated) {
            (1, 0, Some(1)) => Cut { first: 0, step: 1, extent: 1, squeezed: false },
            _ => Cut { first, step, extent, squeezed: false },
        });
    }
    Ok(cuts)
}

fn cut_view(x: &Array, cuts: &[Cut]) -> View {
    let whole = View::of(x.dims());
    cuts.iter().enumerate().fold(whole, |view, (i, c)| view.cut(i, c.first, c.step, c.extent))
}

fn slice_by_index(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let stated = call.results.first().and_then(|t| t.tensor()?.shape.as_ref());
    let cuts = cuts(call, x, stated)?;
    let dims: Vec<u64> = cuts.iter().filter(|c| !c.squeezed).map(|c| c.extent).collect();
    one(viewed(call, x, &cut_view(x, &cuts), &dims)?)
}

fn slice_update(call: &Call<'_>) -> Computed {
    let (x, update) = (call.array("x")?, call.array("update")?);
    let place = cut_view(x, &cuts(call, x, None)?);
    let wanted: u64 = crate::ops::shape::product(&place.dims())?;
    if wanted != update.len() as u64 {
        return Err(EvalError::bad("update", format!("{update:?} for a part of {:?}", place.dims())));
    }
    one(each!(x, |items| updated(call, x, items, update, &place))?)
}

fn updated<T: Element + Default>(
    call: &Call<'_>,
    x: &Array,
    items: &[T],
    update: &Array,
    place: &View,
) -> Result<Array, EvalError> {
    let from = update.items::<T>();
    let from = from.ok_or_else(|| EvalError::bad("update", format!("{update:?} goes into {x:?}")))?;
    let mut out = call.zeros::<T>(x.dims())?;
    out.copy_from_slice(items);
    put(&mut out, place, from, &View::of(&place.dims()))?;
    call.make(x.dtype(), x.dims(), out)
}

/// A size of −1 means all from `begin` on.
fn slice_by_size(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let (begin, size) = (call.ints("begin")?, call.ints("size")?);
    if begin.len() != x.rank() || size.len() != x.rank() {
        return Err(EvalError::bad("begin", format!("{begin:?} and sizes {size:?} for rank {}", x.rank())));
    }
    let mut view = View::of(x.dims());
    for (i, (&b, &s)) in begin.iter().zip(&size).enumerate() {
        let n = x.dims()[i] as i64;
        let first = if b < 0 { b.saturating_add(n) } else { b };
        let extent = if s == -1 { n.saturating_sub(first) } else { s };
        let fits = first >= 0 && extent >= 0 && first.checked_add(extent).is_some_and(|end| end <= n);
        if !fits {
            return Err(EvalError::bad("size", format!("{s} from {b} at axis {i} of extent {n}")));
        }
        view = view.cut(i, first, 1, extent as u64);
    }
    let dims = view.dims();
    one(viewed(call, x, &view, &dims)?)
}

/// The windows' count takes the place of the axis, their size stands behind it.
fn sliding_windows(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let axis = call.axis("axis", x.rank())?;
    let (size, stride) = (call.int("size")?, call.int("stride")?);
    let n = x.dims()[axis];
    let room = n.checked_sub(size as u64).filter(|_| size > 0 && stride > 0);
    let room = room.ok_or_else(|| {
        EvalError::bad("size", format!("windows of {size} every {stride} in an extent of {n}"))
    })?;
    let whole = View::of(x.dims());
    let mut axes = whole.axes().to_vec();
    let step = axes[axis].step;
    axes[axis] = Axis { extent: room / stride as u64 + 1, step: step.wrapping_mul(stride) };
    axes.insert(axis + 1, Axis { extent: size as u64, step });
    let view = View::new(0, axes);
    let dims = view.dims();
    one(viewed(call, x, &view, &dims)?)
}

#[cfg(test)]
mod tests {
    use crate::Value;
    use crate::testing::{dims, int, int_list, ints, numbers, on};

    fn mask(m: &[i64]) -> Value {
        int_list(m)
    }

    #[test]
    fn slices_backwards_with_masks_and_a_squeezed_axis() {
        // numpy.arange(24).reshape(2, 4, 3)[1, ::-2, 1:]
        let args = [
            ("x", ints(&[2, 4, 3])),
            ("begin", int_list(&[-1, 0, 1])),
            ("end", int_list(&[0, 0, 3])),
            ("stride", int_list(&[1, -2, 1])),
            ("begin_mask", mask(&[0, 1, 0])),
            ("end_mask", mask(&[0, 1, 0])),
            ("squeeze_mask", mask(&[1, 0, 0])),
        ];
        let y = on("slice_by_index", &args).unwrap();
        assert_eq!((dims(&y), numbers(&y)), (vec![2, 2], vec![22., 23., 16., 17.]));
    }

    #[test]
    fn bounds_beyond_the_ends() {
        let cut = |b: i64, e: i64, s: i64| {
            let args = [
                ("x", ints(&[5])),
                ("begin", int_list(&[b])),
                ("end", int_list(&[e])),
                ("stride", int_list(&[s])),
            ];
            numbers(&on("slice_by_index", &args).unwrap())
        };
        // numpy.arange(5)[b:e:s]
        assert_eq!(cut(-9, 9, 2), [0., 2., 4.]);
        assert_eq!(cut(9, -9, -2), [4., 2., 0.]);
        assert_eq!(cut(3, 1, 1), [0f64; 0]);
        assert_eq!(cut(-1, -4, -1), [4., 3., 2.]);
        assert_eq!(cut(i64::MIN, i64::MAX, i64::MAX), [0.]);
        assert_eq!(cut(i64::MAX, i64::MIN, i64::MIN), [4.]);
    }

    #[test]
    fn a_part_is_replaced() {
        // x = numpy.arange(12).reshape(3, 4); x[::-2, 1:3] = [[-1, -2], [-3, -4]]
        let update = int_list(&[-1, -2, -3, -4]).tensor().unwrap().reshaped([2, 2]).unwrap();
        let args = [
            ("x", ints(&[3, 4])),
            ("update", update.into()),
            ("begin", int_list(&[0, 1])),
            ("end", int_list(&[0, 3])),
            ("stride", int_list(&[-2, 1])),
            ("begin_mask", mask(&[1, 0])),
            ("end_mask", mask(&[1, 0])),
        ];
        let y = numbers(&on("slice_update", &args).unwrap());
        assert_eq!(y, [0., -3., -4., 3., 4., 5., 6., 7., 8., -1., -2., 11.]);
    }

    #[test]
    fn sizes() {
        let cut = |b: &[i64], s: &[i64]| {
            on("slice_by_size", &[("x", ints(&[3, 4])), ("begin", int_list(b)), ("size", int_list(s))])
        };
        // numpy.arange(12).reshape(3, 4)[1:3, 2:]
        assert_eq!(numbers(&cut(&[1, -2], &[2, -1]).unwrap()), [6., 7., 10., 11.]);
        assert!(cut(&[2, 0], &[2, 1]).is_err() && cut(&[0, 0], &[-2, 1]).is_err());
        assert!(cut(&[i64::MIN, 0], &[-1, 1]).is_err() && cut(&[1, 0], &[i64::MAX, 1]).is_err());
    }

    #[test]
    fn windows() {
        // numpy.lib.stride_tricks.sliding_window_view(x, 3, 0)[::2].transpose(0, 2, 1) of arange(12).reshape(6, 2)
        let args = [("x", ints(&[6, 2])), ("axis", int(0)), ("size", int(3)), ("stride", int(2))];
        let y = on("sliding_windows", &args).unwrap();
        assert_eq!(dims(&y), [2, 3, 2]);
        assert_eq!(numbers(&y), [0., 1., 2., 3., 4., 5., 4., 5., 6., 7., 8., 9.]);
    }
}
