//! Elementwise ops, and transpose as the simplest data movement.

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::{OpSchema, Opset, Param, Types};

const X: &[Param] = &[value("x")];
const XY: &[Param] = &[value("x"), value("y")];
const TRANSPOSE: &[Param] = &[value("x"), constant("perm")];

pub(super) const OPS: &[OpSchema] = &[
    pure("relu", Opset::Ios15, X, same),
    pure("add", Opset::Ios15, XY, broadcast),
    pure("mul", Opset::Ios15, XY, broadcast),
    pure("transpose", Opset::Ios15, TRANSPOSE, transpose),
];

fn broadcast(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (x, y) = (cx.tensor("x")?, cx.tensor("y")?);
    let (Some(a), Some(b)) = (&x.shape, &y.shape) else { return unranked(x.dtype) };
    tensor(x.dtype, broadcast_shapes(cx, "y", a, b)?)
}

fn transpose(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let perm = cx.axes("perm", shape.len())?.ok_or(InferError::Missing("perm"))?;
    if perm.len() != shape.len() {
        return bad("perm", format!("{} axes for a tensor of rank {}", perm.len(), shape.len()));
    }
    tensor(x.dtype, perm.iter().map(|&p| shape[p]))
}
