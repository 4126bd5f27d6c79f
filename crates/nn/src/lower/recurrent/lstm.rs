//! The two LSTM layers.

use anewrite_ir::ValueId;
use smallvec::smallvec;

use super::super::{Cx, Lowered, One, Values};
use super::steps::{linear, walk};
use super::{direction, pick, results, sequence, sequence_out, state, state_out};
use crate::error::Reason;
use crate::recurrent::{Activation, Common, Lstm};

/// One direction of a layer.
struct Direction<'a> {
    lstm: Lstm,
    gates: [Activation; 3],
    /// The forget gate is what the input gate leaves of 1, and has no weights.
    coupled: bool,
    path: &'a str,
    reverse: bool,
}

impl Direction<'_> {
    /// The names of the activations in MIL's op, where that means the layer.
    fn names(&self) -> Option<[&'static str; 3]> {
        let [recurrent, cell, output] = self.gates;
        match self.coupled {
            true => None,
            false => Some([recurrent.name(true)?, cell.name(true)?, output.name(true)?]),
        }
    }

    /// Outputs, then the last states.
    fn lower(&self, cx: &mut Cx<'_, '_>, [x, h, c]: [ValueId; 3]) -> Result<[ValueId; 3], Reason> {
        let Some(names) = self.names() else { return self.written_out(cx, [x, h, c]) };
        let mut args = vec![("x", x), ("initial_h", h), ("initial_c", c)];
        self.lstm.push_weights(cx, &mut args, self.path, FORWARD)?;
        self.lstm.push_rest(cx, &mut args, direction(self.reverse), names)?;
        let out = cx.ops("lstm", &args)?;
        results(&out)
    }

    fn written_out(&self, cx: &mut Cx<'_, '_>, [x, h, c]: [ValueId; 3]) -> Result<[ValueId; 3], Reason> {
        let Lstm { common, forget_bias, peephole, clip, .. } = self.lstm;
        let Common { input, size, bias, .. } = common;
        let [recurrent, cell, output] = self.gates;
        let (mut parts, mut recursion, mut peepholes) = (Vec::new(), Vec::new(), Vec::new());
        for gate in ["inputGate", "blockInput", "outputGate", "forgetGate"] {
            let of = |what: &str| [format!("{}.{gate}{what}", self.path)];
            let forget = gate == "forgetGate";
            if forget && self.coupled {
                continue;
            }
            let plus = if forget && forget_bias { 1.0 } else { 0.0 };
            let bias = match (bias, plus != 0.0) {
                (true, _) => Some(cx.stacked(&of("BiasVector"), &[size], &[plus])?),
                (false, true) => Some(cx.blocks(&[plus], size)?),
                (false, false) => None,
            };
            let weight = cx.stacked(&of("WeightMatrix"), &[size, input], &[])?;
            parts.push(linear(cx, x, weight, bias)?);
            recursion.push(cx.stacked(&of("RecursionMatrix"), &[size, size], &[])?);
            peepholes.push(match peephole && gate != "blockInput" {
                true => Some(cx.stacked(&of("PeepholeVector"), &[size], &[])?),
                false => None,
            });
        }
        let unit = cx.num(1.0)?;
        let common = Common { reverse: self.reverse, ..common };
        let (y, states) = walk(cx, common, &parts, &[h, c], |cx, at, states| {
            let (h, c) = (pick(states, 0)?, pick(states, 1)?);
            let gate = |cx: &mut Cx<'_, '_>, i: usize, cell: ValueId, act: Activation| -> One {
                let back = linear(cx, h, pick(&recursion, i)?, None)?;
                let mut sum = cx.op2("add", pick(at, i)?, back)?;
                if let Some(Some(factors)) = peepholes.get(i) {
                    let seen = cx.op2("mul", cell, *factors)?;
                    sum = cx.op2("add", sum, seen)?;
                }
                act.clipped(cx, sum)
            };
            let (i, z) = (gate(cx, 0, c, recurrent)?, gate(cx, 1, c, cell)?);
            let f = match self.coupled {
                true => cx.op2("sub", unit, i)?,
                false => gate(cx, 3, c, recurrent)?,
            };
            let (kept, new) = (cx.op2("mul", f, c)?, cx.op2("mul", i, z)?);
            let mut c = cx.op2("add", kept, new)?;
            if let Some(clip) = clip {
                c = cx.op_num("clip", c, &[("alpha", -clip), ("beta", clip)])?;
            }
            let o = gate(cx, 2, c, recurrent)?;
            let shown = output.apply(cx, c)?;
            Ok(vec![cx.op2("mul", o, shown)?, c])
        })?;
        Ok([y, pick(&states, 0)?, pick(&states, 1)?])
    }
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
        gates: [&str; 3],
    ) -> Result<(), Reason> {
        args.push(("direction", cx.text(direction)));
        args.push(("output_sequence", cx.flag(self.common.sequence)));
        for (param, gate) in ["recurrent_activation", "cell_activation", "activation"].into_iter().zip(gates)
        {
            args.push((param, cx.text(gate)));
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
    let (lstm, gates, coupled) = Lstm::read(cx.fields(), "activations")?;
    let Common { input, size, reverse, .. } = lstm.common;
    let x = sequence(cx, input)?;
    let (h, c) = (state(cx, 1, x, size)?, state(cx, 2, x, size)?);
    let one = Direction { lstm, gates, coupled, path: "weightParams", reverse };
    let [y, h, c] = one.lower(cx, [x, h, c])?;
    Ok(smallvec![sequence_out(cx, y)?, state_out(cx, h)?, state_out(cx, c)?])
}

/// States go in and come out as h and c of the forward direction, then h and c of the other.
pub(crate) fn bidirectional_lstm(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=5)?;
    let f = cx.fields();
    let (lstm, gates, coupled) = Lstm::read(f, "activationsForwardLSTM")?;
    let (_, gates_back, _) = Lstm::read(f, "activationsBackwardLSTM")?;
    let there = Direction { lstm, gates, coupled, path: "weightParams.0", reverse: false };
    let back = Direction { gates: gates_back, path: "weightParams.1", reverse: true, ..there };
    let Common { input, size, .. } = lstm.common;
    let x = sequence(cx, input)?;
    let mut states = Vec::with_capacity(4);
    for input in 1..=4 {
        states.push(state(cx, input, x, size)?);
    }
    let [h, c, h_back, c_back] = results(&states)?;
    let Some(names) = there.names().filter(|_| gates == gates_back) else {
        let [y, h, c] = there.lower(cx, [x, h, c])?;
        let [mut y_back, h_back, c_back] = back.lower(cx, [x, h_back, c_back])?;
        if lstm.common.sequence {
            let axes = cx.ints(&[0])?;
            y_back = cx.op("reverse", &[("x", y_back), ("axes", axes)])?;
        }
        let y = cx.concat(&[y, y_back], -1)?;
        let mut all: Values = smallvec![sequence_out(cx, y)?];
        for v in [h, c, h_back, c_back] {
            all.push(state_out(cx, v)?);
        }
        return Ok(all);
    };
    let (h, c) = (cx.concat(&[h, h_back], 1)?, cx.concat(&[c, c_back], 1)?);
    let mut args = vec![("x", x), ("initial_h", h), ("initial_c", c)];
    lstm.push_weights(cx, &mut args, "weightParams.0", FORWARD)?;
    lstm.push_weights(cx, &mut args, "weightParams.1", BACKWARD)?;
    lstm.push_rest(cx, &mut args, "bidirectional", names)?;
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
