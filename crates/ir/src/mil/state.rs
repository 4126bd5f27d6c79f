//! Tensors that keep their content between predictions.

use smallvec::smallvec;

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::op::Effect;
use crate::schema::{InferFn, OpSchema, Opset, Param, Types};
use crate::types::{TensorType, Type};

const fn on_state(name: &'static str, effect: Effect, params: &'static [Param], infer: InferFn) -> OpSchema {
    OpSchema { name, since: Opset::Ios18, params, effect, infer }
}

/// `coreml_update_state` never stands in a file: coremltools writes it as `write_state` and `read_state`.
pub(super) const OPS: &[OpSchema] = &[
    on_state("read_state", Effect::ReadState, &[value("input")], read_state),
    on_state("write_state", Effect::WriteState, &[value("input"), value("data")], write_state),
    on_state("coreml_update_state", Effect::WriteState, &[value("state"), value("value")], update_state),
];

fn state<'a>(cx: &InferCx<'a>, param: &'static str) -> Result<&'a TensorType, InferError> {
    match cx.arg(param).map(|a| &a.ty) {
        Some(Type::State(t)) => Ok(t),
        Some(other) => bad(param, format!("a state is needed, this is {other}")),
        None => Err(InferError::Missing(param)),
    }
}

fn read_state(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    one(state(cx, "input")?.clone())
}

fn stored(cx: &InferCx<'_>, target: &'static str, data: &'static str) -> Result<(), InferError> {
    let (state, data_ty) = (state(cx, target)?, cx.tensor(data)?);
    if !data_ty.refines(&state.erased()) && !state.refines(&data_ty.erased()) {
        return bad(data, format!("{data_ty} does not go into {state}"));
    }
    Ok(())
}

fn write_state(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    stored(cx, "input", "data")?;
    Ok(smallvec![])
}

fn update_state(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    stored(cx, "state", "value")?;
    one(cx.tensor("value")?.clone())
}
