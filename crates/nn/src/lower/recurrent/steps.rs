//! Sequences written out step by step.

use anewrite_ir::{Dim, ValueId};

use super::super::index::scalar;
use super::super::{Cx, One, To};
use super::pick;
use crate::error::Reason;
use crate::recurrent::Common;

/// Steps that are written out; more of them are a loop.
const MAX_STEPS: u64 = 64;

/// What a sequence gives: its outputs `[Seq, B, size]` in the order in which they are computed, or the last one as
/// `[1, B, size]`; and the last states, of which the first is the output.
///
/// `parts` are sequences `[Seq, B, _]`, of which `cell` gets a step each, with the states before it; it gives the next
/// ones, each made by an op of its own.
pub(super) fn walk(
    cx: &mut Cx<'_, '_>,
    common: Common,
    parts: &[ValueId],
    states: &[ValueId],
    cell: impl Fn(&mut Cx<'_, '_>, &[ValueId], &[ValueId]) -> Result<Vec<ValueId>, Reason>,
) -> Result<(ValueId, Vec<ValueId>), Reason> {
    let steps = match cx.shape(pick(parts, 0)?)?.first() {
        Some(Dim::Known(n @ 1..=MAX_STEPS)) => *n as i64,
        _ => return looped(cx, common, parts, states, cell),
    };
    let mut now = states.to_vec();
    let mut all = Vec::new();
    for i in 0..steps {
        let t = if common.reverse { steps - 1 - i } else { i };
        let mut here = Vec::with_capacity(parts.len());
        for &part in parts {
            let at = cx.cut(part, 0, Some(t), Some(t + 1), 1)?;
            here.push(cx.squeeze(at, &[0])?);
        }
        now = cell(cx, &here, &now)?;
        all.push(pick(&now, 0)?);
    }
    let y = if common.sequence {
        let mut args: Vec<(&str, ValueId)> = all.iter().map(|&v| ("values", v)).collect();
        args.push(("axis", cx.int(0)?));
        cx.op("stack", &args)?
    } else {
        cx.expand(pick(&now, 0)?, &[0])?
    };
    Ok((y, now))
}

fn looped(
    cx: &mut Cx<'_, '_>,
    common: Common,
    parts: &[ValueId],
    states: &[ValueId],
    cell: impl Fn(&mut Cx<'_, '_>, &[ValueId], &[ValueId]) -> Result<Vec<ValueId>, Reason>,
) -> Result<(ValueId, Vec<ValueId>), Reason> {
    let first = pick(parts, 0)?;
    let steps = cx.extent(first, 0)?;
    let count = scalar(cx, steps)?;
    let (zero, unit, axis) = (cx.int(0)?, cx.int(1)?, cx.int(0)?);
    let last = cx.op2("sub", count, unit)?;
    let mut vars = vec![("step", zero)];
    vars.extend(states.iter().map(|&v| ("state", v)));
    if common.sequence {
        let (batch, size) = (cx.extent(first, 1)?, cx.sizes(&[common.size])?);
        let shape = match cx.shape(first)?.as_slice() {
            [Dim::Known(s), Dim::Known(b), ..] => cx.sizes(&[*s, *b, common.size])?,
            _ => cx.concat(&[steps, batch, size], 0)?,
        };
        let value = cx.num(0.0)?;
        vars.push(("outputs", cx.op("fill", &[("shape", shape), ("value", value)])?));
    }
    let test = |cx: &mut Cx<'_, '_>, now: &[ValueId]| -> One { cx.op2("less", pick(now, 0)?, count) };
    let body = |cx: &mut Cx<'_, '_>, now: &[ValueId]| -> Result<Vec<ValueId>, Reason> {
        let step = pick(now, 0)?;
        let t = if common.reverse { cx.op2("sub", last, step)? } else { step };
        let mut here = Vec::with_capacity(parts.len());
        for &part in parts {
            here.push(cx.op("gather", &[("x", part), ("indices", t), ("axis", axis)])?);
        }
        let before = now.get(1..=states.len()).unwrap_or_default();
        let after = cell(cx, &here, before)?;
        let mut next = vec![cx.op2("add", step, unit)?];
        next.extend(&after);
        if common.sequence {
            let outputs = now.last().copied().ok_or_else(|| Reason::input(0, "it is missing"))?;
            let (row, update) = (cx.expand(step, &[0])?, cx.text("update"));
            let new = cx.expand(pick(&after, 0)?, &[0])?;
            let args =
                [("data", outputs), ("indices", row), ("updates", new), ("axis", axis), ("mode", update)];
            next.push(cx.op("scatter", &args)?);
        }
        Ok(next)
    };
    let done = cx.while_loop(&vars, test, body)?;
    let after = done.get(1..=states.len()).unwrap_or_default().to_vec();
    let y = match (common.sequence, done.last()) {
        (true, Some(&y)) => y,
        _ => cx.reshape(pick(&after, 0)?, &[To::Size(1), To::Of(first, 1), To::Size(common.size)])?,
    };
    Ok((y, after))
}

/// `x W^T`, with a bias.
pub(super) fn linear(cx: &mut Cx<'_, '_>, x: ValueId, weight: ValueId, bias: Option<ValueId>) -> One {
    let mut args = vec![("x", x), ("weight", weight)];
    args.extend(bias.map(|b| ("bias", b)));
    cx.op("linear", &args)
}
