//! Layers that take or give indices. A network's indices are floats; an op's are integers.

use anewrite_ir::{Opset, ValueId};

use smallvec::smallvec;

use super::context::one;
use super::{Cx, Lowered, One, To};
use crate::error::Reason;

/// Indices counted from the end become counted from the front, where the opset's ops want that. `axes` are those
/// of `x` that the indices' last axis names, or the one that all indices are for.
fn wrapped(cx: &mut Cx<'_, '_>, index: ValueId, x: ValueId, axes: std::ops::Range<usize>) -> One {
    let known = cx.known_ints(index);
    if cx.opset() < Opset::Ios17 || known.is_some_and(|v| v.iter().all(|&n| n >= 0)) {
        return Ok(index);
    }
    let mut sizes = Vec::with_capacity(axes.len());
    for axis in axes {
        sizes.push(cx.extent(x, axis)?);
    }
    let size = match sizes.as_slice() {
        [one] => *one,
        all => cx.concat(all, 0)?,
    };
    let zero = cx.int(0)?;
    let fits = cx.op2("greater_equal", index, zero)?;
    let moved = cx.op2("add", index, size)?;
    cx.op("select", &[("cond", fits), ("a", index), ("b", moved)])
}

pub(crate) fn gather(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, index) = (cx.x(0)?, cx.index(1)?);
    let axis = cx.axis("axis", cx.fields().int("axis")?, cx.rank(x)?)?;
    let index = wrapped(cx, index, x, axis..axis + 1)?;
    let axis = cx.int(axis as i64)?;
    one(cx.op("gather", &[("x", x), ("indices", index), ("axis", axis)])?)
}

pub(crate) fn gather_along_axis(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, index) = (cx.x(0)?, cx.index(1)?);
    let axis = cx.axis("axis", cx.fields().int("axis")?, cx.rank(x)?)?;
    let index = wrapped(cx, index, x, axis..axis + 1)?;
    let axis = cx.int(axis as i64)?;
    one(cx.op("gather_along_axis", &[("x", x), ("indices", index), ("axis", axis)])?)
}

/// The axes that a multi-index names: as many as the last axis of the indices is long.
fn named_axes(cx: &Cx<'_, '_>, index: ValueId) -> Result<std::ops::Range<usize>, Reason> {
    let last = cx.shape(index)?.last().and_then(|d| d.known());
    let n = last.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= 5);
    n.map(|n| 0..n).ok_or_else(|| Reason::input(1, "the last axis must be of known extent, at most 5"))
}

pub(crate) fn gather_nd(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, index) = (cx.x(0)?, cx.index(1)?);
    let index = wrapped(cx, index, x, named_axes(cx, index)?)?;
    one(cx.op("gather_nd", &[("x", x), ("indices", index)])?)
}

/// How what is scattered meets what is there.
fn mode(cx: &mut Cx<'_, '_>) -> One {
    let name = match cx.fields().choice("mode", "SCATTER_UPDATE")? {
        "SCATTER_UPDATE" => "update",
        "SCATTER_ADD" => "add",
        "SCATTER_SUB" => "sub",
        "SCATTER_MUL" => "mul",
        "SCATTER_DIV" => "div",
        "SCATTER_MAX" => "max",
        "SCATTER_MIN" => "min",
        other => return Err(Reason::field("mode", format!("{other} is not known"))),
    };
    Ok(cx.text(name))
}

/// `scatter` and `scatterAlongAxis`.
fn scatter_on_axis(cx: &mut Cx<'_, '_>, kind: &str) -> Lowered {
    cx.arity_in(3..=3)?;
    let (x, index, updates) = (cx.x(0)?, cx.index(1)?, cx.x(2)?);
    let axis = cx.axis("axis", cx.fields().int("axis")?, cx.rank(x)?)?;
    let index = wrapped(cx, index, x, axis..axis + 1)?;
    let (axis, mode) = (cx.int(axis as i64)?, mode(cx)?);
    let args = [("data", x), ("indices", index), ("updates", updates), ("axis", axis), ("mode", mode)];
    one(cx.op(kind, &args)?)
}

pub(crate) fn scatter(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    scatter_on_axis(cx, "scatter")
}

pub(crate) fn scatter_along_axis(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    scatter_on_axis(cx, "scatter_along_axis")
}

pub(crate) fn scatter_nd(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(3..=3)?;
    let (x, index, updates) = (cx.x(0)?, cx.index(1)?, cx.x(2)?);
    let index = wrapped(cx, index, x, named_axes(cx, index)?)?;
    let mode = mode(cx)?;
    one(cx.op("scatter_nd", &[("data", x), ("indices", index), ("updates", updates), ("mode", mode)])?)
}

/// The number that input `i` holds, or the field where there is no such input; `None` for a computed one.
pub(super) fn number(cx: &Cx<'_, '_>, i: usize, field: &str) -> Result<Option<i64>, Reason> {
    if cx.arity() <= i {
        return cx.fields().int(field).map(Some);
    }
    match cx.known_ints(cx.raw(i)?).as_deref() {
        Some([n]) => Ok(Some(*n)),
        Some(v) => Err(Reason::input(i, format!("one number is needed, this has {}", v.len()))),
        None => Ok(None),
    }
}

/// Among equal elements the first comes first, as in a stable sort; the format leaves that open.
pub(crate) fn topk(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=2)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let axis = cx.axis("axis", f.int("axis")?, cx.rank(x)?)?;
    let (at, up) = (cx.int(axis as i64)?, cx.flag(f.flag("useBottomK")?));
    if let Some(k) = number(cx, 1, "K")? {
        let args = [("x", x), ("k", cx.int(k)?), ("axis", at), ("ascending", up)];
        let out = cx.ops("topk", &args)?;
        return out.into_iter().map(|v| cx.float_of(v)).collect();
    }
    // MIL's op takes constants only, so everything is sorted.
    let k = cx.index(1)?;
    let k = cx.reshape(k, &[To::Size(1)])?;
    let order = cx.op("argsort", &[("x", x), ("axis", at), ("ascending", up)])?;
    let sorted = cx.op("gather_along_axis", &[("x", x), ("indices", order), ("axis", at)])?;
    let (values, order) = (first(cx, sorted, axis, k)?, first(cx, order, axis, k)?);
    Ok(smallvec![values, cx.float_of(order)?])
}

/// The first elements along an axis; how many is a vector of one integer.
fn first(cx: &mut Cx<'_, '_>, v: ValueId, axis: usize, count: ValueId) -> One {
    let rank = cx.rank(v)?;
    let mut parts = Vec::with_capacity(3);
    if axis > 0 {
        parts.push(cx.ints(&vec![-1; axis])?);
    }
    parts.push(count);
    if axis + 1 < rank {
        parts.push(cx.ints(&vec![-1; rank - axis - 1])?);
    }
    let (size, begin) = (cx.concat(&parts, 0)?, cx.ints(&vec![0; rank])?);
    cx.op("slice_by_size", &[("x", v), ("begin", begin), ("size", size)])
}

/// `argMax`, `argMin`.
pub(crate) fn argmax(cx: &mut Cx<'_, '_>, kind: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let (axis, keep) = (cx.int(f.int("axis")?)?, cx.flag(!f.flag("removeDim")?));
    let y = cx.op(kind, &[("x", x), ("axis", axis), ("keep_dims", keep)])?;
    let y = cx.at_least_vector(y)?;
    one(cx.float_of(y)?)
}

pub(crate) fn argsort(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let (axis, up) = (cx.int(f.int("axis")?)?, cx.flag(!f.flag("descending")?));
    let y = cx.op("argsort", &[("x", x), ("axis", axis), ("ascending", up)])?;
    one(cx.float_of(y)?)
}

pub(crate) fn cumsum(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=2)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let (exclusive, reverse) = (cx.flag(f.flag("excludeFinalSum")?), cx.flag(f.flag("reverse")?));
    let along = |cx: &mut Cx<'_, '_>, axis: i64| -> One {
        let axis = cx.int(axis)?;
        cx.op("cumsum", &[("x", x), ("axis", axis), ("exclusive", exclusive), ("reverse", reverse)])
    };
    if let Some(axis) = number(cx, 1, "axis")? {
        return one(along(cx, axis)?);
    }
    // MIL's op takes constants only, so the axis picks among the sums along each.
    let rank = cx.rank_from(x, 1)? as i64;
    let axis = cx.index(1)?;
    let axis = scalar(cx, axis)?;
    let mut y = along(cx, 0)?;
    for i in 1..rank {
        let (front, back) = (cx.int(i)?, cx.int(i - rank)?);
        let (front, back) = (cx.op2("equal", axis, front)?, cx.op2("equal", axis, back)?);
        let here = cx.op2("logical_or", front, back)?;
        let sum = along(cx, i)?;
        y = cx.op("select", &[("cond", here), ("a", sum), ("b", y)])?;
    }
    one(y)
}

pub(crate) fn one_hot(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let n = cx.arity_in(1..=2)?;
    let f = cx.fields();
    let index = cx.index(0)?;
    let size = match n {
        1 => cx.int(f.int("oneHotVectorSize")?)?,
        _ => {
            let size = cx.index(1)?;
            scalar(cx, size)?
        }
    };
    let args = [
        ("indices", index),
        ("one_hot_vector_size", size),
        ("axis", cx.int(f.int("axis")?)?),
        ("on_value", cx.num(f.float("onValue")?)?),
        ("off_value", cx.num(f.float("offValue")?)?),
    ];
    one(cx.op("one_hot", &args)?)
}

/// A tensor of one element as a scalar.
pub(super) fn scalar(cx: &mut Cx<'_, '_>, v: ValueId) -> One {
    let rank = cx.rank(v)?;
    if rank == 0 {
        return Ok(v);
    }
    if let Some([n]) = cx.known_ints(v).as_deref()
        && cx.b.tensor(v)?.dtype.is_int()
    {
        return cx.int(*n);
    }
    cx.squeeze(v, &(0..rank as i64).collect::<Vec<_>>())
}

pub(crate) fn non_zero(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let y = cx.op("non_zero", &[("x", x)])?;
    one(cx.float_of(y)?)
}
