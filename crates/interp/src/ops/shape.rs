//! Ops that read a shape, or give the same elements other extents.

use anewrite_ir::Opset;
use smallvec::smallvec;

use crate::array::Array;
use crate::call::{Call, Computed, normal, one};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};

pub(crate) const TABLE: Table = &[
    ("expand_dims", Kernel::Any(expand_dims)),
    ("flatten2d", Kernel::Any(flatten2d)),
    ("identity", Kernel::Any(identity)),
    ("reshape", Kernel::Any(reshape)),
    ("reshape_like", Kernel::Any(reshape_like)),
    ("shape", Kernel::Any(shape)),
    ("squeeze", Kernel::Any(squeeze)),
];

fn identity(call: &Call<'_>) -> Computed {
    Ok(smallvec![call.value("x")?.clone()])
}

/// Axes count in the result.
fn expand_dims(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let axes = call.ints("axes")?;
    let rank = x.rank() + axes.len();
    let mut added = vec![false; rank];
    for axis in axes {
        added[normal("axes", axis, rank)?] = true;
    }
    let mut old = x.dims().iter().copied();
    let dims: Option<Vec<u64>> =
        added.into_iter().map(|new| if new { Some(1) } else { old.next() }).collect();
    match dims {
        Some(dims) if old.next().is_none() => one(x.reshaped(dims)?),
        _ => Err(EvalError::bad("axes", "an axis stands in it twice")),
    }
}

/// Without `axes` every extent of 1 goes; of the named ones those that are 1.
fn squeeze(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let named = call.axes("axes", x.rank())?;
    let goes = |i: usize, d: u64| d == 1 && named.as_ref().is_none_or(|n| n.contains(&i));
    let kept = x.dims().iter().enumerate().filter(|&(i, &d)| !goes(i, d)).map(|(_, &d)| d);
    one(x.reshaped(kept)?)
}

fn flatten2d(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let axis = match call.int("axis")? {
        n if n == x.rank() as i64 => x.rank(),
        n => normal("axis", n, x.rank())?,
    };
    let (outer, inner) = x.dims().split_at(axis);
    one(x.reshaped([product(outer)?, product(inner)?])?)
}

/// The number of elements in these extents.
///
/// # Errors
/// Where it is out of range, which extents beside one of 0 can make it.
pub(crate) fn product(dims: &[u64]) -> Result<u64, EvalError> {
    let n = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
    n.ok_or_else(|| EvalError::Shape(format!("the extents {dims:?} are too large")))
}

/// A 0 repeats an extent of `x`: the one at the same place, and from iOS 17 on the one as far from the last. One −1
/// takes what is left.
fn reshape(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let target = call.ints("shape")?;
    let from_right = call.schema.is_none_or(|s| s.since >= Opset::Ios17);
    if !from_right && target.contains(&0) && target.len() != x.rank() && !x.is_empty() {
        return Err(EvalError::bad("shape", format!("a 0 among {target:?} for rank {}", x.rank())));
    }
    let repeated = |i: usize| match from_right {
        true => (x.rank() + i).checked_sub(target.len()).and_then(|i| x.dims().get(i)).copied().unwrap_or(1),
        false => x.dims().get(i).copied().unwrap_or(0),
    };
    let mut open = None;
    let mut dims = Vec::with_capacity(target.len());
    for (i, &n) in target.iter().enumerate() {
        dims.push(match (n, u64::try_from(n)) {
            (0, _) => repeated(i),
            (-1, _) if open.replace(i).is_none() => 1,
            (_, Ok(n)) => n,
            _ => return Err(EvalError::bad("shape", format!("{target:?}"))),
        });
    }
    if let Some(i) = open {
        let (have, others) = (x.len() as u64, product(&dims)?);
        dims[i] = match have.checked_rem(others) {
            Some(0) => have / others,
            _ => return Err(EvalError::bad("shape", format!("{have} elements do not fit {target:?}"))),
        };
    }
    one(x.reshaped(dims)?)
}

/// The extents `begins..ends` of each reference, one after another; a true end mask means to the last.
fn reshape_like(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let (begins, ends, masks) = (call.all("begins")?, call.all("ends")?, call.all("end_masks")?);
    let scalar = |list: &[&Array], i: usize, param: &str| match list.get(i).map(|a| a.to_i64s()) {
        Some(n) => match n?.as_slice() {
            [n] => Ok(*n),
            n => Err(EvalError::bad(param, format!("one number is needed, not {n:?}"))),
        },
        None => Err(EvalError::Missing(param.to_owned())),
    };
    let mut dims = Vec::new();
    for (i, reference) in call.all("ref_tensors")?.into_iter().enumerate() {
        let rank = reference.rank() as i64;
        let place = |n: i64| (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize;
        let begin = place(scalar(&begins, i, "begins")?);
        let end = match scalar(&masks, i, "end_masks")? {
            0 => place(scalar(&ends, i, "ends")?),
            _ => reference.rank(),
        };
        dims.extend(reference.dims().get(begin..end).unwrap_or_default());
    }
    one(x.reshaped(dims)?)
}

fn shape(call: &Call<'_>) -> Computed {
    let dims = call.array("x")?.dims();
    let ints = dims.iter().map(|&d| d as i64).collect();
    one(call.ints_out(&[dims.len() as u64], ints)?)
}

#[cfg(test)]
mod tests {
    use crate::testing::{dims, ints, on};

    #[test]
    fn zeros_and_minus_one_in_a_shape() {
        // torch.arange(24).reshape(2, 3, 4): 0 keeps the extent as far from the last, -1 takes the rest
        let x = ints(&[2, 3, 4]);
        let to = |s: &[i64]| on("reshape", &[("x", x.clone()), ("shape", ints_of(s))]).map(|y| dims(&y));
        assert_eq!(to(&[-1, 0]).unwrap(), [6, 4]);
        assert_eq!(to(&[1, 0, -1, 0]).unwrap(), [1, 2, 3, 4]);
        assert_eq!(to(&[0, 0, -1, 0, 0]).unwrap(), [1, 1, 2, 3, 4]);
        assert!(
            to(&[-1, -1]).is_err() && to(&[5, -1]).is_err() && to(&[7]).is_err() && to(&[-2, 12]).is_err()
        );
    }

    fn ints_of(s: &[i64]) -> crate::Value {
        crate::testing::int_list(s)
    }

    #[test]
    fn axes_come_and_go() {
        let x = ints(&[1, 3, 1]);
        let run = |kind: &str, axes: &[i64]| {
            on(kind, &[("x", x.clone()), ("axes", ints_of(axes))]).map(|y| dims(&y))
        };
        // numpy.expand_dims(x, (0, -2)).shape, numpy.squeeze(x, -1).shape
        assert_eq!(run("expand_dims", &[0, -2]).unwrap(), [1, 1, 3, 1, 1]);
        assert_eq!(run("squeeze", &[-1]).unwrap(), [1, 3]);
        assert!(run("expand_dims", &[0, 0]).is_err() && run("squeeze", &[3]).is_err());
        assert_eq!(dims(&on("squeeze", &[("x", x.clone())]).unwrap()), [3]);
        let flat = |axis| on("flatten2d", &[("x", ints(&[2, 3, 4])), ("axis", ints_of(&[axis]))]);
        assert_eq!([-1, 0, 3].map(|a| dims(&flat(a).unwrap())), [[6, 4], [1, 24], [24, 1]]);
    }

    #[test]
    fn extents_of_others() {
        let args = [
            ("x", ints(&[5, 24])),
            ("ref_tensors", ints(&[2, 3, 4])),
            ("ref_tensors", ints(&[1, 5, 4])),
            ("begins", ints_of(&[0])),
            ("begins", ints_of(&[-2])),
            ("ends", ints_of(&[2])),
            ("ends", ints_of(&[0])),
            ("end_masks", ints_of(&[0])),
            ("end_masks", ints_of(&[1])),
        ];
        assert_eq!(dims(&on("reshape_like", &args).unwrap()), [2, 3, 5, 4]);
    }
}
