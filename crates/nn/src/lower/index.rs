//! Layers that take or give indices. A network's indices are floats; an op's are integers.

use anewrite_ir::{Opset, ValueId};

use smallvec::smallvec;

use super::context::one;
use super::{Cx, Lowered, One, Values};
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

/// The number that input `i` holds, or the field where there is no such input.
fn number(cx: &Cx<'_, '_>, i: usize, field: &str, what: &str) -> Result<i64, Reason> {
    if cx.arity() <= i {
        return cx.fields().int(field);
    }
    match cx.known_ints(cx.raw(i)?).as_deref() {
        Some([n]) => Ok(*n),
        _ => Err(Reason::Missing(format!("{what} that is computed while the model runs"))),
    }
}

pub(crate) fn topk(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=2)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let k = number(cx, 1, "K", "a number of largest elements")?;
    let args = [
        ("x", x),
        ("k", cx.int(k)?),
        ("axis", cx.int(f.int("axis")?)?),
        ("ascending", cx.flag(f.flag("useBottomK")?)),
    ];
    let out = cx.ops("topk", &args)?;
    out.into_iter().map(|v| cx.float_of(v)).collect()
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
    let axis = number(cx, 1, "axis", "a cumulative sum along an axis")?;
    let args = [
        ("x", x),
        ("axis", cx.int(axis)?),
        ("exclusive", cx.flag(f.flag("excludeFinalSum")?)),
        ("reverse", cx.flag(f.flag("reverse")?)),
    ];
    one(cx.op("cumsum", &args)?)
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

/// `NonMaximumSuppression`: boxes, scores, indices, counts. Thresholds that come as inputs must be constants.
pub(crate) fn nms(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let n = cx.arity_in(2..=5)?;
    let f = cx.fields();
    let (boxes, scores) = (cx.x(0)?, cx.x(1)?);
    let mut limits = Vec::with_capacity(2);
    for (i, field) in [(2, "iouThreshold"), (3, "scoreThreshold")] {
        limits.push(match n > i {
            false => cx.num(f.float(field)?)?,
            true => {
                let v = cx.raw(i)?;
                let known = cx.b.as_constant(v).and_then(|t| t.scalar_f64());
                let known = known.or_else(|| Some(*cx.known_ints(v)?.first()? as f64));
                let missing = || Reason::Missing(format!("a computed {field} of a non-maximum suppression"));
                cx.num(known.ok_or_else(missing)?)?
            }
        });
    }
    let max = number(cx, 4, "maxBoxes", "a number of boxes")?;
    let max = cx.int(max)?;
    let per_class = cx.flag(f.flag("perClassSuppression")?);
    let (iou, least) = (pick(&limits, 0)?, pick(&limits, 1)?);
    let last = [("max_boxes", max), ("per_class_suppression", per_class)];
    if cx.opset() < Opset::Ios17 {
        let mut args = vec![("boxes", boxes), ("scores", scores), ("iou_threshold", iou)];
        args.push(("score_threshold", least));
        args.extend(last);
        let out: Values = cx.ops("non_maximum_suppression", &args)?;
        return out.into_iter().map(|v| cx.float_of(v)).collect();
    }
    let (boxes, scores) = (cx.transpose(boxes, &[0, 2, 1])?, cx.transpose(scores, &[0, 2, 1])?);
    let mut args = vec![("boxes", boxes), ("scores", scores), ("iou_threshold", iou)];
    args.extend(last);
    let out: Values = cx.ops("non_maximum_suppression", &args)?;
    let (boxes, scores, index) = (pick(&out, 0)?, pick(&out, 1)?, pick(&out, 2)?);
    let (boxes, scores) = (cx.transpose(boxes, &[0, 2, 1])?, cx.transpose(scores, &[0, 2, 1])?);
    above_threshold(cx, boxes, scores, index, least, max)
}

/// Rejects low scores behind an op that does not. Boxes come in descending order of their scores, so one that is
/// rejected has suppressed none that stays. Where none would stay the first one does.
fn above_threshold(
    cx: &mut Cx<'_, '_>,
    boxes: ValueId,
    scores: ValueId,
    index: ValueId,
    least: ValueId,
    max: ValueId,
) -> Lowered {
    let (axes, keep) = (cx.ints(&[-1])?, cx.flag(false));
    let best = cx.op("reduce_max", &[("x", scores), ("axes", axes), ("keep_dims", keep)])?;
    let high = cx.op2("greater_equal", best, least)?;
    let (none, start, step) = (cx.int(-1)?, cx.int(0)?, cx.int(1)?);
    let place = cx.op("range_1d", &[("end", max), ("start", start), ("step", step)])?;
    let first = cx.op2("equal", place, start)?;
    let kept = cx.op2("logical_or", high, first)?;
    let real = cx.op2("greater_equal", index, start)?;
    let kept = cx.op2("logical_and", kept, real)?;
    let wide = cx.expand(kept, &[-1])?;
    let zero = cx.num(0.0)?;
    let index = cx.op("select", &[("cond", kept), ("a", index), ("b", none)])?;
    let count = cx.float_of(kept)?;
    let count = cx.op("reduce_sum", &[("x", count), ("axes", axes), ("keep_dims", keep)])?;
    Ok(smallvec![
        cx.op("select", &[("cond", wide), ("a", boxes), ("b", zero)])?,
        cx.op("select", &[("cond", wide), ("a", scores), ("b", zero)])?,
        cx.float_of(index)?,
        count,
    ])
}

fn pick(v: &[ValueId], i: usize) -> One {
    v.get(i).copied().ok_or_else(|| Reason::input(i, "it is missing"))
}
