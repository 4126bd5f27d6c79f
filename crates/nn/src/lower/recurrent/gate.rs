//! Activations of recurrent layers as ops.

use anewrite_ir::ValueId;

use super::super::{Cx, One};
use crate::recurrent::{Activation, Gate, Gru};

/// What an activation of a recurrent layer takes is clipped at this before.
const CLIP: f64 = Gru::CLIP;

impl Activation {
    /// The name that MIL's `lstm` takes, for an activation with its usual numbers; its other recurrent ops write the
    /// hard sigmoid the other way round.
    pub(super) fn name(self, of_lstm: bool) -> Option<&'static str> {
        Some(match self.usual().ok()? {
            Gate::Linear => "linear",
            Gate::Sigmoid => "sigmoid",
            Gate::Tanh => "tanh",
            Gate::Relu => "relu",
            Gate::HardSigmoid if of_lstm => "hard_sigmoid",
            Gate::HardSigmoid => "sigmoid_hard",
        })
    }

    /// Whether nothing changes beyond what layers clip.
    pub(super) fn is_flat(self) -> bool {
        let (alpha, beta) = self.numbers;
        match self.kind {
            Gate::Linear | Gate::Relu => false,
            Gate::Sigmoid => true,
            // tanh(20) is 1 but for 1e-17
            Gate::Tanh => CLIP * beta.abs() >= 20.0,
            Gate::HardSigmoid => CLIP * alpha.abs() >= beta.abs().max((1.0 - beta).abs()),
        }
    }

    /// Applies it to what is clipped before.
    pub(super) fn clipped(self, cx: &mut Cx<'_, '_>, v: ValueId) -> One {
        match self.kind {
            Gate::Relu => cx.op_num("clip", v, &[("alpha", 0.0), ("beta", CLIP)]),
            _ if self.is_flat() => self.apply(cx, v),
            _ => {
                let v = cx.op_num("clip", v, &[("alpha", -CLIP), ("beta", CLIP)])?;
                self.apply(cx, v)
            }
        }
    }

    pub(super) fn apply(self, cx: &mut Cx<'_, '_>, v: ValueId) -> One {
        let (alpha, beta) = self.numbers;
        let numbers = [("alpha", alpha), ("beta", beta)];
        match self.kind {
            Gate::Linear if self.usual().is_ok() => Ok(v),
            Gate::Linear => cx.op_num("linear_activation", v, &numbers),
            Gate::Relu => cx.op("relu", &[("x", v)]),
            Gate::Sigmoid => cx.op("sigmoid", &[("x", v)]),
            Gate::Tanh if self.usual().is_ok() => cx.op("tanh", &[("x", v)]),
            Gate::Tanh => cx.op_num("scaled_tanh", v, &numbers),
            Gate::HardSigmoid => cx.op_num("sigmoid_hard", v, &numbers),
        }
    }
}
