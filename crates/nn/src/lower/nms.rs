//! Suppression of boxes that overlap better ones.

use anewrite_ir::{Opset, ValueId};
use smallvec::smallvec;

use super::index::{number, scalar};
use super::{Cx, Lowered, One, Values};
use crate::error::Reason;

/// `NonMaximumSuppression`: boxes, scores, indices, counts.
pub(crate) fn nms(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=5)?;
    let (boxes, scores) = (cx.x(0)?, cx.x(1)?);
    let (iou, known) = limit(cx, 2, "iouThreshold")?;
    let (least, sorted_out) = limit(cx, 3, "scoreThreshold")?;
    let max = number(cx, 4, "maxBoxes")?;
    let per_class = cx.fields().flag("perClassSuppression")?;
    let (Some(max), true, true) = (max, known, sorted_out || cx.opset() >= Opset::Ios17) else {
        let max = match max {
            Some(n) => cx.int(n)?,
            None => {
                let v = cx.index(4)?;
                scalar(cx, v)?
            }
        };
        return Suppression { boxes, scores, iou, least, max, per_class }.lower(cx);
    };
    let (max, per_class) = (cx.int(max)?, cx.flag(per_class));
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

/// The threshold that input `i` holds or the field, and whether it is a constant.
fn limit(cx: &mut Cx<'_, '_>, i: usize, field: &str) -> Result<(ValueId, bool), Reason> {
    if cx.arity() <= i {
        let n = cx.fields().float(field)?;
        return Ok((cx.num(n)?, true));
    }
    let v = cx.raw(i)?;
    let known = cx.b.as_constant(v).and_then(|t| t.scalar_f64());
    match known.or_else(|| Some(*cx.known_ints(v)?.first()? as f64)) {
        Some(n) => Ok((cx.num(n)?, true)),
        None => {
            let v = cx.x(i)?;
            Ok((scalar(cx, v)?, false))
        }
    }
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
    let (none, start) = (cx.int(-1)?, cx.int(0)?);
    let place = range(cx, max)?;
    let first = cx.op2("equal", place, start)?;
    let kept = cx.op2("logical_or", high, first)?;
    let real = cx.op2("greater_equal", index, start)?;
    let kept = cx.op2("logical_and", kept, real)?;
    let index = choose(cx, kept, index, none)?;
    outputs(cx, boxes, scores, index, kept)
}

/// What is not kept becomes 0; counts are the numbers of what is.
fn outputs(cx: &mut Cx<'_, '_>, boxes: ValueId, scores: ValueId, index: ValueId, kept: ValueId) -> Lowered {
    let wide = cx.expand(kept, &[-1])?;
    let zero = cx.num(0.0)?;
    let count = cx.float_of(kept)?;
    let (axes, keep) = (cx.ints(&[-1])?, cx.flag(false));
    let count = cx.op("reduce_sum", &[("x", count), ("axes", axes), ("keep_dims", keep)])?;
    Ok(smallvec![choose(cx, wide, boxes, zero)?, choose(cx, wide, scores, zero)?, cx.float_of(index)?, count])
}

/// A suppression with limits that are computed, which MIL's op does not take: the best box that is left is taken again
/// and again, and what overlaps it goes. One without enough of a score counts for none, but for the best of all.
struct Suppression {
    boxes: ValueId,
    scores: ValueId,
    iou: ValueId,
    least: ValueId,
    max: ValueId,
    per_class: bool,
}

impl Suppression {
    fn lower(&self, cx: &mut Cx<'_, '_>) -> Lowered {
        let (batch, count) = (cx.extent(self.boxes, 0)?, cx.extent(self.boxes, 1)?);
        let (axes, out) = (cx.ints(&[-1])?, cx.flag(false));
        let best = cx.op("reduce_max", &[("x", self.scores), ("axes", axes), ("keep_dims", out)])?;
        let last = cx.int(-1)?;
        let class = cx.op("reduce_argmax", &[("x", self.scores), ("axis", last), ("keep_dims", out)])?;
        let (sides, area) = self.corners(cx)?;
        let places = {
            let end = scalar(cx, count)?;
            range(cx, end)?
        };
        let (gone, one_axis, keep) = (cx.num(f64::NEG_INFINITY)?, cx.int(1)?, cx.flag(true));
        let top = cx.op("reduce_argmax", &[("x", best), ("axis", one_axis), ("keep_dims", keep)])?;
        let (high, top) = (cx.op2("greater_equal", best, self.least)?, cx.op2("equal", places, top)?);
        let start = cx.op2("logical_or", high, top)?;
        let start = choose(cx, start, best, gone)?;
        let size = {
            let max = cx.expand(self.max, &[0])?;
            cx.concat(&[batch, max], 0)?
        };
        let (none, zero) = (cx.int(-1)?, cx.int(0)?);
        let chosen = cx.op("fill", &[("shape", size), ("value", none)])?;
        let vars = [("round", zero), ("left", start), ("chosen", chosen)];
        let test = |cx: &mut Cx<'_, '_>, now: &[ValueId]| -> One {
            let (round, left) = (pick(now, 0)?, pick(now, 1)?);
            let (axes, out) = (cx.ints(&[0, 1])?, cx.flag(false));
            let best = cx.op("reduce_max", &[("x", left), ("axes", axes), ("keep_dims", out)])?;
            let (more, fits) = (cx.op2("greater", best, gone)?, cx.op2("less", round, self.max)?);
            cx.op2("logical_and", more, fits)
        };
        let body = |cx: &mut Cx<'_, '_>, now: &[ValueId]| -> Result<Vec<ValueId>, Reason> {
            let (round, left, chosen) = (pick(now, 0)?, pick(now, 1)?, pick(now, 2)?);
            let (axis, axes, keep) = (cx.int(1)?, cx.ints(&[1])?, cx.flag(true));
            let at = cx.op("reduce_argmax", &[("x", left), ("axis", axis), ("keep_dims", keep)])?;
            let score = cx.op("reduce_max", &[("x", left), ("axes", axes), ("keep_dims", keep)])?;
            let mut hit = overlaps(cx, &sides, area, at, self.iou)?;
            if self.per_class {
                let own = cx.op("gather_along_axis", &[("x", class), ("indices", at), ("axis", axis)])?;
                let same = cx.op2("equal", class, own)?;
                hit = cx.op2("logical_and", hit, same)?;
            }
            let itself = cx.op2("equal", places, at)?;
            let hit = cx.op2("logical_or", hit, itself)?;
            let left = choose(cx, hit, gone, left)?;
            let some = cx.op2("greater", score, gone)?;
            let at = choose(cx, some, at, none)?;
            let (row, unit) = (cx.expand(round, &[0])?, cx.int(1)?);
            let update = cx.text("update");
            let args =
                [("data", chosen), ("indices", row), ("updates", at), ("axis", axis), ("mode", update)];
            Ok(vec![cx.op2("add", round, unit)?, left, cx.op("scatter", &args)?])
        };
        let done = cx.while_loop(&vars, test, body)?;
        let index = pick(&done, 2)?;
        let kept = cx.op2("greater_equal", index, zero)?;
        let safe = cx.op2("maximum", index, zero)?;
        let boxes = rows(cx, self.boxes, safe)?;
        let scores = rows(cx, self.scores, safe)?;
        outputs(cx, boxes, scores, index, kept)
    }

    /// Left, bottom, right and top of each box, which is given as centre and size, and its area.
    fn corners(&self, cx: &mut Cx<'_, '_>) -> Result<([ValueId; 4], ValueId), Reason> {
        let half = cx.num(0.5)?;
        let column = |cx: &mut Cx<'_, '_>, i: i64| -> One {
            let v = cx.cut(self.boxes, 2, Some(i), Some(i + 1), 1)?;
            cx.squeeze(v, &[2])
        };
        let mut ends = Vec::with_capacity(4);
        for side in 0..2 {
            let (centre, size) = (column(cx, side)?, column(cx, side + 2)?);
            let half = cx.op2("mul", size, half)?;
            let (a, b) = (cx.op2("sub", centre, half)?, cx.op2("add", centre, half)?);
            ends.extend([cx.op2("minimum", a, b)?, cx.op2("maximum", a, b)?]);
        }
        let [left, right, bottom, top] =
            <[ValueId; 4]>::try_from(ends).map_err(|_| Reason::input(0, "a box has four numbers"))?;
        let (w, h) = (cx.op2("sub", right, left)?, cx.op2("sub", top, bottom)?);
        Ok(([left, bottom, right, top], cx.op2("mul", w, h)?))
    }
}

/// Whether what each box shares with the one at `at` is more than `iou` of what they cover together; a box without an
/// area shares nothing.
fn overlaps(cx: &mut Cx<'_, '_>, sides: &[ValueId; 4], area: ValueId, at: ValueId, iou: ValueId) -> One {
    let axis = cx.int(1)?;
    let own = |cx: &mut Cx<'_, '_>, v: ValueId| -> One {
        cx.op("gather_along_axis", &[("x", v), ("indices", at), ("axis", axis)])
    };
    let zero = cx.num(0.0)?;
    let [left, bottom, right, top] = *sides;
    let mut lengths = Vec::with_capacity(2);
    for (low, high) in [(left, right), (bottom, top)] {
        let (own_low, own_high) = (own(cx, low)?, own(cx, high)?);
        let (low, high) = (cx.op2("maximum", low, own_low)?, cx.op2("minimum", high, own_high)?);
        let length = cx.op2("sub", high, low)?;
        lengths.push(cx.op2("maximum", length, zero)?);
    }
    let shared = cx.op2("mul", pick(&lengths, 0)?, pick(&lengths, 1)?)?;
    let own_area = own(cx, area)?;
    let both = cx.op2("add", area, own_area)?;
    let both = cx.op2("sub", both, shared)?;
    let share = cx.op2("real_div", shared, both)?;
    let least = cx.op2("minimum", area, own_area)?;
    let real = cx.op2("greater", least, zero)?;
    let share = choose(cx, real, share, zero)?;
    cx.op2("greater", share, iou)
}

/// Rows of `[batch, row, column]` by the numbers in `[batch, row]`.
fn rows(cx: &mut Cx<'_, '_>, v: ValueId, index: ValueId) -> One {
    let (unit, columns) = (cx.ints(&[1])?, cx.extent(v, 2)?);
    let reps = cx.concat(&[unit, unit, columns], 0)?;
    let index = cx.expand(index, &[2])?;
    let index = cx.op("tile", &[("x", index), ("reps", reps)])?;
    let axis = cx.int(1)?;
    cx.op("gather_along_axis", &[("x", v), ("indices", index), ("axis", axis)])
}

/// The integers from 0 to below `end`.
fn range(cx: &mut Cx<'_, '_>, end: ValueId) -> One {
    let (start, step) = (cx.int(0)?, cx.int(1)?);
    cx.op("range_1d", &[("end", end), ("start", start), ("step", step)])
}

fn choose(cx: &mut Cx<'_, '_>, cond: ValueId, a: ValueId, b: ValueId) -> One {
    cx.op("select", &[("cond", cond), ("a", a), ("b", b)])
}

fn pick(v: &[ValueId], i: usize) -> One {
    v.get(i).copied().ok_or_else(|| Reason::input(i, "it is missing"))
}
