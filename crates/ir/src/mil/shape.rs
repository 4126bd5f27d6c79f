//! Ops that read or change a shape and leave the elements in their order.

use anewrite_tensor::DType;

use super::common::*;
use super::ints::*;
use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad, normal_axis};
use crate::schema::DefaultValue::{self, Absent};
use crate::schema::Opset::{Ios15, Ios16, Ios17};
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::{Dim, Shape};

pub(super) const MOVED_17: DTypes = NUMBER_BOOL.and(SMALL_INT);
/// Signed integers, which iOS 17 takes for extents and positions.
pub(super) const INDEX_17: DTypes = DTypes::of(&[DType::I8, DType::I16, DType::I32]);

const X: &[Param] = &[value("x").of(NUMBER_BOOL)];
const EXPAND: &[Param] = &[value("x").of(NUMBER_BOOL), constant("axes").of(INT32)];
const EXPAND_17: &[Param] = &[value("x").of(MOVED_17), constant("axes").of(INT32)];
const SQUEEZE: &[Param] = &[value("x").of(NUMBER_BOOL), constant_or("axes", Absent).of(INT32)];
const SQUEEZE_17: &[Param] = &[value("x").of(MOVED_17), constant_or("axes", Absent).of(INT32)];
const FLATTEN: &[Param] = &[value("x").of(NUMBER_BOOL), constant_or("axis", DefaultValue::Int(1)).of(INT32)];
const RESHAPE: &[Param] = &[value("x").of(NUMBER_BOOL), value("shape").of(INT32)];
const RESHAPE_17: &[Param] = &[value("x").of(MOVED_17), value("shape").of(INDEX_17)];
const LIKE: &[Param] = &[
    value("x").of(NUMBER_BOOL),
    values("ref_tensors"),
    values("begins"),
    values("ends"),
    values("end_masks"),
];
const LIKE_17: &[Param] =
    &[value("x").of(MOVED_17), values("ref_tensors"), values("begins"), values("ends"), values("end_masks")];

pub(super) const OPS: &[OpSchema] = &[
    pure("expand_dims", Ios15, EXPAND, expand_dims),
    pure("expand_dims", Ios17, EXPAND_17, expand_dims),
    pure("flatten2d", Ios15, FLATTEN, flatten2d),
    pure("reshape", Ios15, RESHAPE, |cx| reshape(cx, Zeros::SameAxis)),
    pure("reshape", Ios17, RESHAPE_17, |cx| reshape(cx, Zeros::FromTheRight)),
    pure("reshape_like", Ios16, LIKE, reshape_like),
    pure("reshape_like", Ios17, LIKE_17, reshape_like),
    pure("shape", Ios15, X, shape),
    pure("squeeze", Ios15, SQUEEZE, squeeze),
    pure("squeeze", Ios17, SQUEEZE_17, squeeze),
];

/// Axes count in the result.
fn expand_dims(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let new = cx.ints("axes")?.ok_or(InferError::Missing("axes"))?;
    let rank = shape.len() + new.len();
    let axes = cx.axes("axes", rank)?.ok_or(InferError::Missing("axes"))?;
    let mut added = vec![false; rank];
    for axis in axes {
        added[axis] = true;
    }
    let mut old = shape.iter().copied();
    let dims: Option<Shape> =
        added.into_iter().map(|new| if new { Some(Dim::Known(1)) } else { old.next() }).collect();
    keep_elements(cx, "x", x.dtype);
    tensor(x.dtype, dims.ok_or(InferError::NotKnown("x"))?)
}

/// Without `axes` every extent of 1 goes. A named axis goes only where its extent is known to be 1.
fn squeeze(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let named = match cx.axes("axes", shape.len())? {
        None => vec![true; shape.len()],
        Some(axes) => {
            let mut named = vec![false; shape.len()];
            axes.into_iter().for_each(|axis| named[axis] = true);
            named
        }
    };
    let kept = shape.iter().zip(named).filter(|&(&d, named)| !(named && d == Dim::Known(1))).map(|(&d, _)| d);
    keep_elements(cx, "x", x.dtype);
    tensor(x.dtype, kept)
}

fn shape(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let Some(shape) = &cx.tensor("x")?.shape else { return tensor(DType::I32, [cx.dims.fresh()]) };
    let mut ints = Vec::with_capacity(shape.len());
    for &d in shape {
        let n = cx.dims.int(d);
        cx.dims.assume_at_least(n, 0);
        ints.push(n);
    }
    set_elements(cx, DType::I32, ints);
    tensor(DType::I32, [Dim::Known(shape.len() as u64)])
}

/// All extents before `axis`, and all from it on, as one each.
fn flatten2d(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let axis = match cx.int("axis")? {
        n if n == shape.len() as i64 => shape.len(),
        n => normal_axis("axis", n, shape.len())?,
    };
    let (outer, inner) = shape.split_at(axis);
    let outer = product(cx.dims, outer, "x")?;
    let inner = product(cx.dims, inner, "x")?;
    keep_elements(cx, "x", x.dtype);
    tensor(x.dtype, [extent("x", outer)?, extent("x", inner)?])
}

/// Which extent of `x` a 0 in `shape` repeats.
#[derive(Clone, Copy)]
enum Zeros {
    /// The one at the same place; ranks must be equal.
    SameAxis,
    /// The one as far from the last, or 1 where `x` has none.
    FromTheRight,
}

/// One −1 in `shape` takes what is left. An element that is not known to be an extent is treated like −1 where it is
/// the only one, for the number of elements decides it.
fn reshape(cx: &mut InferCx<'_>, zeros: Zeros) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let Some(target) = elements(cx, "shape") else {
        return unknown_extents(cx, "shape", x.dtype);
    };
    let from = x.shape.as_ref();
    let mut open = None;
    let mut unclear = 0;
    let mut dims = Vec::with_capacity(target.len());
    for (i, &n) in target.iter().enumerate() {
        dims.push(match n {
            Int::Known(-1) if open.is_some() => return bad("shape", "-1 stands in it twice"),
            Int::Known(-1) => {
                open = Some(i);
                Dim::Unknown
            }
            Int::Known(0) => {
                let from = from.ok_or(InferError::NotKnown("x"))?;
                match zeros {
                    Zeros::SameAxis if from.len() != target.len() => {
                        return bad(
                            "shape",
                            format!("a 0 among {} extents for rank {}", target.len(), from.len()),
                        );
                    }
                    Zeros::SameAxis => from.get(i).copied().unwrap_or(Dim::Known(1)),
                    Zeros::FromTheRight => (from.len() + i)
                        .checked_sub(target.len())
                        .and_then(|i| from.get(i).copied())
                        .unwrap_or(Dim::Known(1)),
                }
            }
            n if n.known().is_none() && cx.dims.lower_bound(n).is_none_or(|low| low < 0) => {
                unclear += 1;
                Dim::Unknown
            }
            n => extent("shape", n)?,
        });
    }
    if open.is_none() && unclear == 1 {
        open = dims.iter().position(|&d| d == Dim::Unknown);
        unclear = 0;
    }
    if let Some(from) = from
        && unclear == 0
    {
        settle(cx, from, &mut dims, open)?;
    }
    keep_elements(cx, "x", x.dtype);
    let dims: Vec<Dim> =
        dims.into_iter().map(|d| if d == Dim::Unknown { cx.dims.fresh() } else { d }).collect();
    tensor(x.dtype, dims)
}

/// Finds the extent at `open`, or the only one that is no number, from the number of elements; checks that number
/// where nothing is open.
fn settle(
    cx: &mut InferCx<'_>,
    from: &Shape,
    dims: &mut [Dim],
    open: Option<usize>,
) -> Result<(), InferError> {
    // extents on both sides cancel first, so that a quotient of sums is not left standing
    let mut left: Vec<Dim> = from.to_vec();
    let mut right: Vec<Dim> = Vec::new();
    for (i, &d) in dims.iter().enumerate() {
        match left.iter().position(|&l| l == d && d != Dim::Known(0)) {
            Some(at) if Some(i) != open => {
                left.swap_remove(at);
            }
            None if Some(i) != open => right.push(d),
            _ => {}
        }
    }
    let total = product(cx.dims, &left, "x")?;
    let others = product(cx.dims, &right, "shape")?;
    let Some(open) = open else {
        return match (total, others) {
            (Int::Known(a), Int::Known(b)) if a != b => {
                bad("shape", format!("{b} elements where x has {a}, besides extents that are equal"))
            }
            (Int::Known(a), Int::Expr(_)) => only_symbol(dims, &right, a),
            _ => Ok(()),
        };
    };
    let found = match (total, others) {
        (_, Int::Known(0)) => return bad("shape", "-1 beside an extent of 0"),
        (Int::Known(a), Int::Known(b)) if a % b != 0 => {
            return bad("shape", format!("{a} elements are no multiple of {b}"));
        }
        (total, others) => cx.dims.floor_div(total, others),
    };
    if let Some(d) = dims.get_mut(open) {
        *d = extent("shape", found)?;
    }
    Ok(())
}

/// `total` elements in extents of which only one is no number: that one is the quotient.
fn only_symbol(dims: &mut [Dim], right: &[Dim], total: i64) -> Result<(), InferError> {
    let mut symbols = right.iter().filter(|d| d.known().is_none());
    let (Some(&symbol), None) = (symbols.next(), symbols.next()) else { return Ok(()) };
    let known = right.iter().filter_map(|d| d.known()).try_fold(1u64, |p, n| p.checked_mul(n));
    let total = total.unsigned_abs();
    match known.and_then(|known| Some((total.checked_rem(known)?, total.checked_div(known)?))) {
        Some((0, quotient)) => {
            if let Some(d) = dims.iter_mut().find(|d| **d == symbol) {
                *d = Dim::Known(quotient);
            }
            Ok(())
        }
        _ => bad("shape", format!("{total} elements are no multiple of its known extents")),
    }
}

/// A result whose rank is the length of the vector `param`, if that is known, and nothing else.
pub(super) fn unknown_extents(
    cx: &mut InferCx<'_>,
    param: &'static str,
    dtype: DType,
) -> Result<Types, InferError> {
    let rank = match cx.tensor(param)?.shape.as_deref() {
        Some([Dim::Known(rank)]) => *rank,
        Some([_]) | None => return unranked(dtype),
        Some(s) => return bad(param, format!("a vector is needed, this has rank {}", s.len())),
    };
    if rank > MAX_RANK {
        return bad(param, format!("{rank} extents"));
    }
    let dims: Vec<Dim> = (0..rank).map(|_| cx.dims.fresh()).collect();
    tensor(dtype, dims)
}

/// Results of more axes than this are refused where a vector's extent decides the rank.
const MAX_RANK: u64 = 64;

/// The extents `begins..ends` of each reference, one after another; a true end mask means to the last.
fn reshape_like(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let scalar = |a: &crate::infer::Arg, param| match a.ints.as_deref() {
        Some([Int::Known(n)]) => Ok(*n),
        _ => Err(InferError::NotKnown(param)),
    };
    let (mut begins, mut ends, mut masks) = (cx.args("begins"), cx.args("ends"), cx.args("end_masks"));
    let mut dims: Vec<Dim> = Vec::new();
    for reference in cx.args("ref_tensors") {
        let shape = reference.ty.tensor().and_then(|t| t.shape.as_ref());
        let shape = shape.ok_or(InferError::NotKnown("ref_tensors"))?;
        let begin = scalar(begins.next().ok_or(InferError::Missing("begins"))?, "begins")?;
        let end = scalar(ends.next().ok_or(InferError::Missing("ends"))?, "ends")?;
        let to_last = scalar(masks.next().ok_or(InferError::Missing("end_masks"))?, "end_masks")? != 0;
        let place = |n: i64| {
            let n = if n < 0 { n.saturating_add(shape.len() as i64) } else { n };
            usize::try_from(n).unwrap_or(0).min(shape.len())
        };
        let range = place(begin)..if to_last { shape.len() } else { place(end) };
        dims.extend(shape.get(range).unwrap_or_default());
    }
    if let Some(from) = &x.shape {
        settle(cx, from, &mut dims, None)?;
    }
    keep_elements(cx, "x", x.dtype);
    tensor(x.dtype, dims)
}
