//! Recurrent layers. Their sequences are `[Seq, B, size, 1, 1]`, MIL's `[Seq, B, size]`.
//!
//! MIL has an op for each of the layers. What it does not take (activations with numbers of their own, gates that share
//! their weights) is written out step by step, or as a loop over steps where there are many or an unknown number.

mod gate;
mod gru;
mod lstm;
mod steps;

use anewrite_ir::{Dim, ValueId};

use super::{Cx, One, To};
use crate::error::Reason;
use crate::mapping::Mapping;

pub(crate) use gru::{gru, simple_recurrent};
pub(crate) use lstm::{bidirectional_lstm, unidirectional_lstm};

/// The first input as `[Seq, B, size]`.
fn sequence(cx: &mut Cx<'_, '_>, size: u64) -> One {
    let x = cx.x(0)?;
    let shape = cx.shape(x)?;
    match (shape.as_slice(), cx.call.mapping) {
        ([.., Dim::Known(1), Dim::Known(1)], _) if shape.len() == 5 => cx.squeeze(x, &[-2, -1]),
        ([_, _, _, _, _], _) => cx.reshape(x, &[To::Of(x, 0), To::Of(x, 1), To::Size(size)]),
        ([_, _, _, _], Mapping::Rank5) => cx.reshape(x, &[To::Size(1), To::Of(x, 0), To::Size(size)]),
        (s, _) => Err(Reason::input(0, format!("rank 5 is needed, this has rank {}", s.len()))),
    }
}

/// The state that starts a sequence, `[B, size]`: an input of the layer, or zeros.
fn state(cx: &mut Cx<'_, '_>, input: usize, x: ValueId, size: u64) -> One {
    if input < cx.arity() {
        let v = cx.x(input)?;
        return cx.reshape(v, &[To::Of(x, 1), To::Size(size)]);
    }
    let (batch, n) = (cx.extent(x, 1)?, cx.sizes(&[size])?);
    let shape = match cx.shape(x)?.get(1) {
        Some(Dim::Known(b)) => cx.sizes(&[*b, size])?,
        _ => cx.concat(&[batch, n], 0)?,
    };
    let zero = cx.num(0.0)?;
    cx.op("fill", &[("shape", shape), ("value", zero)])
}

/// A sequence as the layer gives it out.
fn sequence_out(cx: &mut Cx<'_, '_>, y: ValueId) -> One {
    let shape = cx.shape(y)?;
    if cx.call.mapping == Mapping::Rank5 && shape.starts_with(&[Dim::Known(1); 2]) {
        return cx.reshape(y, &[To::Size(1), To::Of(y, 2), To::Size(1), To::Size(1)]);
    }
    cx.expand(y, &[-2, -1])
}

/// A last state `[B, size]` as the layer gives it out, `[1, B, size, 1, 1]`.
fn state_out(cx: &mut Cx<'_, '_>, h: ValueId) -> One {
    if cx.call.mapping == Mapping::Rank5 && cx.shape(h)?.first() == Some(&Dim::Known(1)) {
        return cx.expand(h, &[-2, -1]);
    }
    cx.expand(h, &[0, 3, 4])
}

fn direction(reverse: bool) -> &'static str {
    if reverse { "reverse" } else { "forward" }
}

fn pick(v: &[ValueId], i: usize) -> One {
    v.get(i).copied().ok_or_else(|| Reason::input(i, "it is missing"))
}

fn results<const N: usize>(out: &[ValueId]) -> Result<[ValueId; N], Reason> {
    let short = || Reason::Missing(format!("a recurrent op with {N} results"));
    out.get(..N).and_then(|v| v.try_into().ok()).ok_or_else(short)
}
