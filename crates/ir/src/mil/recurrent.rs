//! Recurrent layers over `[step, batch, feature]`: the sequence of outputs (or the last alone), then the states.

use anewrite_tensor::DType;
use smallvec::smallvec;

use super::common::*;
use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{Absent, Bool, Text};
use crate::schema::Opset::{Ios15, Ios17, Ios18};
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::{Dim, TensorType};

/// Before iOS 17 only fp32 was taken.
const SINGLE: DTypes = DTypes::of(&[DType::F32]);
const DIRECTION: Param = constant_or("direction", Text("forward")).of(TEXT);
const OUTPUT_SEQUENCE: Param = constant_or("output_sequence", Bool(false)).of(BOOL);
const GATE: Param = constant_or("recurrent_activation", Text("sigmoid")).of(TEXT);
const CELL: Param = constant_or("cell_activation", Text("tanh")).of(TEXT);
const ACTIVATION: Param = constant_or("activation", Text("tanh")).of(TEXT);

const fn optional(name: &'static str, of: DTypes) -> Param {
    constant_or(name, Absent).of(of).like("x")
}

const fn rnn_params(of: DTypes) -> [Param; 8] {
    [
        value("x").of(of),
        value("initial_h").of(of).like("x"),
        constant("weight_ih").of(of).like("x"),
        constant("weight_hh").of(of).like("x"),
        optional("bias", of),
        DIRECTION,
        OUTPUT_SEQUENCE,
        ACTIVATION,
    ]
}

const fn gru_params(of: DTypes) -> [Param; 9] {
    let [x, h, ih, hh, bias, direction, sequence, activation] = rnn_params(of);
    [x, h, ih, hh, bias, direction, sequence, GATE, activation]
}

const fn gru_18_params() -> [Param; 11] {
    let [x, h, ih, hh, bias, direction, sequence, gate, activation] = gru_params(FLOAT);
    let reset_after = constant_or("reset_after", Absent).of(BOOL);
    let input_bias = optional("input_bias", FLOAT);
    [x, h, ih, hh, bias, direction, sequence, gate, activation, reset_after, input_bias]
}

const fn lstm_params(of: DTypes) -> [Param; 17] {
    let [x, h, ih, hh, bias, direction, sequence, gate, activation] = gru_params(of);
    let c = value("initial_c").of(of).like("x");
    let peephole = optional("peephole", of);
    let (ih_back, hh_back) = (optional("weight_ih_back", of), optional("weight_hh_back", of));
    let (bias_back, peephole_back) = (optional("bias_back", of), optional("peephole_back", of));
    let clip = optional("clip", of);
    [
        x,
        h,
        c,
        ih,
        hh,
        bias,
        peephole,
        ih_back,
        hh_back,
        bias_back,
        peephole_back,
        direction,
        sequence,
        gate,
        CELL,
        activation,
        clip,
    ]
}

pub(super) const OPS: &[OpSchema] = &[
    pure("gru", Ios15, &gru_params(SINGLE), gru),
    pure("gru", Ios17, &gru_params(FLOAT), gru),
    pure("gru", Ios18, &gru_18_params(), gru),
    pure("lstm", Ios15, &lstm_params(SINGLE), lstm),
    pure("lstm", Ios17, &lstm_params(FLOAT), lstm),
    pure("rnn", Ios15, &rnn_params(SINGLE), rnn),
    pure("rnn", Ios17, &rnn_params(FLOAT), rnn),
];

const ACTIVATIONS: &[&str] =
    &["tanh", "scaled_tanh", "sigmoid", "hard_sigmoid", "sigmoid_hard", "relu", "linear"];

fn rnn(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    one_way(cx)?;
    let hidden = hidden(cx, "weight_ih", "weight_hh", 1)?;
    results(cx, hidden, 1)
}

fn gru(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    one_way(cx)?;
    let hidden = hidden(cx, "weight_ih", "weight_hh", 3)?;
    results(cx, hidden, 1)
}

fn one_way(cx: &InferCx<'_>) -> Result<(), InferError> {
    match cx.text("direction")? {
        "forward" | "reverse" => Ok(()),
        other => bad("direction", format!("{other:?} is neither forward nor reverse")),
    }
}

fn lstm(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    for param in ["recurrent_activation", "cell_activation", "activation"] {
        let name = cx.text(param)?;
        if !ACTIVATIONS.contains(&name.to_ascii_lowercase().as_str()) {
            return bad(param, format!("{name:?} is none of {}", ACTIVATIONS.join(", ")));
        }
    }
    let size = hidden(cx, "weight_ih", "weight_hh", 4)?;
    let out = match cx.text("direction")? {
        "forward" | "reverse" => size,
        "bidirectional" => {
            let back = hidden(cx, "weight_ih_back", "weight_hh_back", 4)?;
            if agreed(size, back).is_none() {
                return bad("weight_hh_back", format!("hidden size {back} against {size}"));
            }
            let size = cx.dims.int(size);
            cx.dims.mul(size, Int::Known(2)).dim()
        }
        other => {
            return bad("direction", format!("{other:?} is none of forward, reverse, bidirectional"));
        }
    };
    results(cx, out, 2)
}

/// The hidden size, from weights `[gates * hidden, feature]` and `[gates * hidden, hidden]`.
fn hidden(
    cx: &InferCx<'_>,
    input: &'static str,
    recurrent: &'static str,
    gates: u64,
) -> Result<Dim, InferError> {
    let (ih, hh) = (shape_of_rank(cx, input, 2)?, shape_of_rank(cx, recurrent, 2)?);
    let size = hh[1];
    if let Some(size) = size.known() {
        let rows = size.checked_mul(gates).map(Dim::Known);
        for (param, have) in [(input, ih[0]), (recurrent, hh[0])] {
            if rows.and_then(|rows| agreed(rows, have)).is_none() {
                return bad(param, format!("{have} rows for {gates} gates of hidden size {size}"));
            }
        }
    }
    Ok(size)
}

/// The outputs' sequence and `states` final states, each with `width` features.
fn results(cx: &mut InferCx<'_>, width: Dim, states: usize) -> Result<Types, InferError> {
    let x = shape_of_rank(cx, "x", 3)?;
    if agreed(x[2], shape_of_rank(cx, "weight_ih", 2)?[1]).is_none() {
        return bad("weight_ih", format!("it does not take {} features", x[2]));
    }
    let initial: &[&'static str] = if states == 2 { &["initial_h", "initial_c"] } else { &["initial_h"] };
    let mut batch = x[1];
    for param in initial {
        let h = shape_of_rank(cx, param, 2)?;
        match (agreed(batch, h[0]), agreed(width, h[1])) {
            (Some(b), Some(_)) => batch = b,
            _ => return bad(param, format!("extents {} for batch {batch} and width {width}", shown(h))),
        }
    }
    let dtype = cx.tensor("x")?.dtype;
    let steps = if cx.flag("output_sequence")? { x[0] } else { Dim::Known(1) };
    let state = TensorType::ranked(dtype, [batch, width]);
    let mut types: Types = smallvec![TensorType::ranked(dtype, [steps, batch, width]).into()];
    types.extend(std::iter::repeat_n(state.into(), states));
    Ok(types)
}
