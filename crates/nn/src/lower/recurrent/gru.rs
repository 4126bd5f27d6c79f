//! `simpleRecurrent` and `gru`.

use anewrite_ir::ValueId;
use smallvec::smallvec;

use super::super::{Cx, Lowered, One};
use super::steps::{linear, walk};
use super::{direction, pick, results, sequence, sequence_out, state, state_out};
use crate::recurrent::{Activation, Common};

pub(crate) fn simple_recurrent(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=2)?;
    let f = cx.fields();
    let common = Common::of(f, f, "hasBiasVector")?;
    let activation = Activation::of(f.message_or_empty("activation")?)?;
    let Common { input, size, .. } = common;
    let x = sequence(cx, input)?;
    let h = state(cx, 1, x, size)?;
    let weight = cx.weight("weightMatrix", &[size, input])?;
    let recursion = cx.weight("recursionMatrix", &[size, size])?;
    let bias = match common.bias {
        true => Some(cx.weight("biasVector", &[size])?),
        false => None,
    };
    let Some(name) = activation.name(false) else {
        let part = linear(cx, x, weight, bias)?;
        let (y, states) = walk(cx, common, &[part], &[h], |cx, at, states| {
            let back = linear(cx, pick(states, 0)?, recursion, None)?;
            let sum = cx.op2("add", pick(at, 0)?, back)?;
            Ok(vec![activation.clipped(cx, sum)?])
        })?;
        return Ok(smallvec![sequence_out(cx, y)?, state_out(cx, pick(&states, 0)?)?]);
    };
    let mut args = vec![("x", x), ("initial_h", h), ("weight_ih", weight), ("weight_hh", recursion)];
    args.extend(bias.map(|b| ("bias", b)));
    args.push(("direction", cx.text(direction(common.reverse))));
    args.push(("output_sequence", cx.flag(common.sequence)));
    args.push(("activation", cx.text(name)));
    let out = cx.ops("rnn", &args)?;
    let [y, h] = results(&out)?;
    Ok(smallvec![sequence_out(cx, y)?, state_out(cx, h)?])
}

/// The layer clips what its activations take at 50, which only shows where they are not flat out there. With such
/// activations it is written out.
pub(crate) fn gru(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=2)?;
    let f = cx.fields();
    let common = Common::of(f, f, "hasBiasVectors")?;
    let [outer, inner] = Activation::all(f, "activations")?;
    let Common { input, size, .. } = common;
    let x = sequence(cx, input)?;
    let flat = outer.is_flat() && inner.is_flat();
    if let (Some(outer), Some(inner), true) = (outer.name(false), inner.name(false), flat) {
        return gru_op(cx, x, common, [outer, inner]);
    }
    let h = state(cx, 1, x, size)?;
    let mut projected = Vec::with_capacity(3);
    let mut recursion = Vec::with_capacity(3);
    for gate in ["updateGate", "resetGate", "outputGate"] {
        let weight = cx.weight(&format!("{gate}WeightMatrix"), &[size, input])?;
        let bias = match common.bias {
            true => Some(cx.weight(&format!("{gate}BiasVector"), &[size])?),
            false => None,
        };
        projected.push(linear(cx, x, weight, bias)?);
        recursion.push(cx.weight(&format!("{gate}RecursionMatrix"), &[size, size])?);
    }
    let unit = cx.num(1.0)?;
    let (y, states) = walk(cx, common, &projected, &[h], |cx, at, states| {
        let h = pick(states, 0)?;
        let gate = |cx: &mut Cx<'_, '_>, i: usize, state: ValueId, act: Activation| -> One {
            let back = linear(cx, state, pick(&recursion, i)?, None)?;
            let sum = cx.op2("add", pick(at, i)?, back)?;
            act.clipped(cx, sum)
        };
        let (z, r) = (gate(cx, 0, h, outer)?, gate(cx, 1, h, outer)?);
        let kept = cx.op2("mul", h, r)?;
        let o = gate(cx, 2, kept, inner)?;
        let rest = cx.op2("sub", unit, z)?;
        let (new, old) = (cx.op2("mul", rest, o)?, cx.op2("mul", z, h)?);
        Ok(vec![cx.op2("add", new, old)?])
    })?;
    Ok(smallvec![sequence_out(cx, y)?, state_out(cx, pick(&states, 0)?)?])
}

/// MIL's op has the gates in the order reset, new, update.
fn gru_op(cx: &mut Cx<'_, '_>, x: ValueId, common: Common, [outer, inner]: [&str; 2]) -> Lowered {
    let Common { input, size, bias, reverse, sequence, .. } = common;
    let of = |what: &str| -> Vec<String> {
        ["reset", "output", "update"].iter().map(|gate| format!("{gate}Gate{what}")).collect()
    };
    let mut args = vec![
        ("x", x),
        ("initial_h", state(cx, 1, x, size)?),
        ("weight_ih", cx.stacked(&of("WeightMatrix"), &[size, input], &[])?),
        ("weight_hh", cx.stacked(&of("RecursionMatrix"), &[size, size], &[])?),
    ];
    if bias {
        args.push(("bias", cx.stacked(&of("BiasVector"), &[size], &[])?));
    }
    args.push(("direction", cx.text(direction(reverse))));
    args.push(("output_sequence", cx.flag(sequence)));
    args.push(("recurrent_activation", cx.text(outer)));
    args.push(("activation", cx.text(inner)));
    let out = cx.ops("gru", &args)?;
    let [y, h] = results(&out)?;
    Ok(smallvec![sequence_out(cx, y)?, state_out(cx, h)?])
}
