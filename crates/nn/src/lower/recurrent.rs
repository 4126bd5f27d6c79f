//! Recurrent layers. Their sequences are `[Seq, B, size, 1, 1]`, MIL's `[Seq, B, size]`.

use anewrite_ir::{Dim, ValueId};
use smallvec::smallvec;

use super::{Cx, Lowered, One, To, Values};
use crate::error::Reason;
use crate::mapping::Mapping;
use crate::recurrent::{Common, Gate, Gru, Lstm, SimpleRecurrent};

/// Steps that a GRU is written out for at most, where MIL's op does not have its activations.
const MAX_STEPS: u64 = 64;

impl Gate {
    /// The name that MIL's `lstm` takes; its other recurrent ops write the hard sigmoid the other way round.
    fn name(self, of_lstm: bool) -> &'static str {
        match self {
            Gate::Linear => "linear",
            Gate::Sigmoid => "sigmoid",
            Gate::Tanh => "tanh",
            Gate::Relu => "relu",
            Gate::HardSigmoid if of_lstm => "hard_sigmoid",
            Gate::HardSigmoid => "sigmoid_hard",
        }
    }

    /// Applies it, to what the layer first clips at 50. Where the activation is flat out there nothing is clipped.
    fn apply(self, cx: &mut Cx<'_, '_>, v: ValueId) -> One {
        let params = |(alpha, beta): (f64, f64)| [("alpha", alpha), ("beta", beta)];
        match self {
            Gate::Linear => cx.op_num("clip", v, &params((-Gru::CLIP, Gru::CLIP))),
            Gate::Relu => cx.op_num("clip", v, &params((0.0, Gru::CLIP))),
            Gate::HardSigmoid => cx.op_num("sigmoid_hard", v, &params(Gate::HARD_SIGMOID)),
            Gate::Sigmoid | Gate::Tanh => cx.op(self.name(false), &[("x", v)]),
        }
    }
}

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

impl Lstm {
    /// Adds the weights found under `path`, for the forward direction or (`_back`) the other. MIL's order of the
    /// gates is input, forget, output, cell.
    fn push_weights(
        &self,
        cx: &mut Cx<'_, '_>,
        args: &mut Vec<(&'static str, ValueId)>,
        path: &str,
        names: [&'static str; 4],
    ) -> Result<(), Reason> {
        let of = |what: &str, gates: &[&str]| -> Vec<String> {
            gates.iter().map(|gate| format!("{path}.{gate}{what}")).collect()
        };
        let Common { input, size, bias: biased, .. } = self.common;
        const GATES: [&str; 4] = ["inputGate", "forgetGate", "outputGate", "blockInput"];
        let [ih, hh, bias, peephole] = names;
        args.push((ih, cx.stacked(&of("WeightMatrix", &GATES), &[size, input], &[])?));
        args.push((hh, cx.stacked(&of("RecursionMatrix", &GATES), &[size, size], &[])?));
        let plus = if self.forget_bias { [0.0, 1.0, 0.0, 0.0] } else { [0.0; 4] };
        if biased {
            args.push((bias, cx.stacked(&of("BiasVector", &GATES), &[size], &plus)?));
        } else if self.forget_bias {
            args.push((bias, cx.blocks(&plus, size)?));
        }
        if self.peephole {
            let three = GATES.get(..3).unwrap_or_default();
            args.push((peephole, cx.stacked(&of("PeepholeVector", three), &[size], &[])?));
        }
        Ok(())
    }

    fn push_rest(
        &self,
        cx: &mut Cx<'_, '_>,
        args: &mut Vec<(&'static str, ValueId)>,
        direction: &str,
    ) -> Result<(), Reason> {
        args.push(("direction", cx.text(direction)));
        args.push(("output_sequence", cx.flag(self.common.sequence)));
        for (param, gate) in
            ["recurrent_activation", "cell_activation", "activation"].into_iter().zip(self.gates)
        {
            args.push((param, cx.text(gate.name(true))));
        }
        if let Some(clip) = self.clip {
            args.push(("clip", cx.num(clip)?));
        }
        Ok(())
    }
}

const FORWARD: [&str; 4] = ["weight_ih", "weight_hh", "bias", "peephole"];
const BACKWARD: [&str; 4] = ["weight_ih_back", "weight_hh_back", "bias_back", "peephole_back"];

pub(crate) fn unidirectional_lstm(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=3)?;
    let lstm = Lstm::one_way(cx.call.attrs)?;
    let Common { input, size, reverse, .. } = lstm.common;
    let x = sequence(cx, input)?;
    let (h, c) = (state(cx, 1, x, size)?, state(cx, 2, x, size)?);
    let mut args = vec![("x", x), ("initial_h", h), ("initial_c", c)];
    lstm.push_weights(cx, &mut args, "weightParams", FORWARD)?;
    lstm.push_rest(cx, &mut args, direction(reverse))?;
    let out = cx.ops("lstm", &args)?;
    let [y, h, c] = results(&out)?;
    Ok(smallvec![sequence_out(cx, y)?, state_out(cx, h)?, state_out(cx, c)?])
}

/// States go in and come out as h and c of the forward direction, then h and c of the other.
pub(crate) fn bidirectional_lstm(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=5)?;
    let lstm = Lstm::both_ways(cx.call.attrs)?;
    let Common { input, size, .. } = lstm.common;
    let x = sequence(cx, input)?;
    let mut both = Vec::with_capacity(2);
    for (forward, backward) in [(1, 3), (2, 4)] {
        let (a, b) = (state(cx, forward, x, size)?, state(cx, backward, x, size)?);
        both.push(cx.concat(&[a, b], 1)?);
    }
    let [h, c] = results(&both)?;
    let mut args = vec![("x", x), ("initial_h", h), ("initial_c", c)];
    lstm.push_weights(cx, &mut args, "weightParams.0", FORWARD)?;
    lstm.push_weights(cx, &mut args, "weightParams.1", BACKWARD)?;
    lstm.push_rest(cx, &mut args, "bidirectional")?;
    let out = cx.ops("lstm", &args)?;
    let [y, h, c] = results(&out)?;
    let mut all: Values = smallvec![sequence_out(cx, y)?];
    if cx.call.outputs == Some(1) {
        return Ok(all);
    }
    let half = |cx: &mut Cx<'_, '_>, v: ValueId, second: bool| -> One {
        let n = i64::try_from(size).unwrap_or(i64::MAX);
        let (begin, end) = if second { (Some(n), None) } else { (None, Some(n)) };
        let part = cx.cut(v, 1, begin, end, 1)?;
        state_out(cx, part)
    };
    for second in [false, true] {
        all.push(half(cx, h, second)?);
        all.push(half(cx, c, second)?);
    }
    Ok(all)
}

pub(crate) fn simple_recurrent(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=2)?;
    let SimpleRecurrent { common, activation } = SimpleRecurrent::of(cx.call.attrs)?;
    let Common { input, size, .. } = common;
    let x = sequence(cx, input)?;
    let mut args = vec![
        ("x", x),
        ("initial_h", state(cx, 1, x, size)?),
        ("weight_ih", cx.weight("weightMatrix", &[size, input])?),
        ("weight_hh", cx.weight("recursionMatrix", &[size, size])?),
    ];
    if common.bias {
        args.push(("bias", cx.weight("biasVector", &[size])?));
    }
    args.push(("direction", cx.text(direction(common.reverse))));
    args.push(("output_sequence", cx.flag(common.sequence)));
    args.push(("activation", cx.text(activation.name(false))));
    let out = cx.ops("rnn", &args)?;
    let [y, h] = results(&out)?;
    Ok(smallvec![sequence_out(cx, y)?, state_out(cx, h)?])
}

/// The layer clips what its activations take at 50, which only shows where they are not flat out there. With such
/// activations it is written out step by step.
pub(crate) fn gru(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=2)?;
    let gru = Gru::of(cx.call.attrs)?;
    let Common { input, size, bias, reverse, sequence: every, .. } = gru.common;
    let x = sequence(cx, input)?;
    if gru.gate.is_bounded() && gru.output.is_bounded() {
        return gru_op(cx, x, gru);
    }
    let steps = match cx.shape(x)?.first() {
        Some(Dim::Known(n @ 1..=MAX_STEPS)) => *n as i64,
        _ => {
            let what =
                format!("a GRU with linear activations whose sequence is not of 1 to {MAX_STEPS} steps");
            return Err(Reason::Missing(what));
        }
    };
    let mut h = state(cx, 1, x, size)?;
    let mut projected = Vec::with_capacity(3);
    let mut recursion = Vec::with_capacity(3);
    for gate in ["updateGate", "resetGate", "outputGate"] {
        let weight = cx.weight(&format!("{gate}WeightMatrix"), &[size, input])?;
        let mut args = vec![("x", x), ("weight", weight)];
        if bias {
            args.push(("bias", cx.weight(&format!("{gate}BiasVector"), &[size])?));
        }
        projected.push(cx.op("linear", &args)?);
        recursion.push(cx.weight(&format!("{gate}RecursionMatrix"), &[size, size])?);
    }
    let unit = cx.num(1.0)?;
    let mut all = Vec::new();
    for i in 0..steps {
        let t = if reverse { steps - 1 - i } else { i };
        let gate = |cx: &mut Cx<'_, '_>, i: usize, state: ValueId, act: Gate| -> One {
            let (from, by) = (pick(&projected, i)?, pick(&recursion, i)?);
            let at = cx.cut(from, 0, Some(t), Some(t + 1), 1)?;
            let at = cx.squeeze(at, &[0])?;
            let back = cx.op("linear", &[("x", state), ("weight", by)])?;
            let sum = cx.op2("add", at, back)?;
            act.apply(cx, sum)
        };
        let (z, r) = (gate(cx, 0, h, gru.gate)?, gate(cx, 1, h, gru.gate)?);
        let kept = cx.op2("mul", h, r)?;
        let o = gate(cx, 2, kept, gru.output)?;
        let rest = cx.op2("sub", unit, z)?;
        let (new, old) = (cx.op2("mul", rest, o)?, cx.op2("mul", z, h)?);
        h = cx.op2("add", new, old)?;
        all.push(h);
    }
    let y = if every {
        let mut args: Vec<(&str, ValueId)> = all.iter().map(|&v| ("values", v)).collect();
        args.push(("axis", cx.int(0)?));
        cx.op("stack", &args)?
    } else {
        cx.expand(h, &[0])?
    };
    Ok(smallvec![sequence_out(cx, y)?, state_out(cx, h)?])
}

/// MIL's op has the gates in the order reset, new, update.
fn gru_op(cx: &mut Cx<'_, '_>, x: ValueId, gru: Gru) -> Lowered {
    let Common { input, size, bias, reverse, sequence, .. } = gru.common;
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
    args.push(("recurrent_activation", cx.text(gru.gate.name(false))));
    args.push(("activation", cx.text(gru.output.name(false))));
    let out = cx.ops("gru", &args)?;
    let [y, h] = results(&out)?;
    Ok(smallvec![sequence_out(cx, y)?, state_out(cx, h)?])
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
