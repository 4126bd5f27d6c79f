//! Elementwise ops, and transpose as the simplest data movement.

use smallvec::smallvec;

use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad};
use crate::op::Effect;
use crate::schema::{DefaultValue, OpSchema, Opset, Param, ParamKind, Types};
use crate::types::{Dim, Shape, TensorType};

const fn value(name: &'static str) -> Param {
    Param { name, kind: ParamKind::Value, default: DefaultValue::Required }
}

const X: &[Param] = &[value("x")];
const XY: &[Param] = &[value("x"), value("y")];
const TRANSPOSE: &[Param] =
    &[value("x"), Param { name: "perm", kind: ParamKind::Const, default: DefaultValue::Required }];

const fn pure(name: &'static str, params: &'static [Param], infer: crate::schema::InferFn) -> OpSchema {
    OpSchema { name, since: Opset::Ios15, params, effect: Effect::Pure, infer }
}

pub(super) const OPS: &[OpSchema] = &[
    pure("relu", X, same),
    pure("add", XY, broadcast),
    pure("mul", XY, broadcast),
    pure("transpose", TRANSPOSE, transpose),
];

fn same(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    Ok(smallvec![cx.tensor("x")?.clone().into()])
}

fn broadcast(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (x, y) = (cx.tensor("x")?, cx.tensor("y")?);
    let (Some(a), Some(b)) = (&x.shape, &y.shape) else {
        return Ok(smallvec![TensorType { dtype: x.dtype, shape: None }.into()]);
    };
    let shape = broadcast_shapes(cx, a, b)?;
    Ok(smallvec![TensorType::ranked(x.dtype, shape).into()])
}

/// The shape of an elementwise op of two: aligned at the last axis, extents equal or 1.
pub(super) fn broadcast_shapes(cx: &mut InferCx<'_>, a: &Shape, b: &Shape) -> Result<Shape, InferError> {
    let rank = a.len().max(b.len());
    let at = |s: &Shape, i: usize| (i + s.len()).checked_sub(rank).map_or(Dim::Known(1), |i| s[i]);
    let mut out = Shape::new();
    for i in 0..rank {
        out.push(match (at(a, i), at(b, i)) {
            (Dim::Known(1), d) | (d, Dim::Known(1)) => d,
            (Dim::Known(x), Dim::Known(y)) if x != y => {
                return bad("y", format!("extent {y} against {x} at axis {i} of the result"));
            }
            (Dim::Known(n), _) | (_, Dim::Known(n)) => Dim::Known(n),
            (x, y) if x == y && x != Dim::Unknown => x,
            (x, y) => {
                let (x, y) = (cx.dims.int(x), cx.dims.int(y));
                match cx.dims.max(x, y) {
                    Int::Known(n) => Int::Known(n).dim(),
                    Int::Expr(e) => Dim::Expr(e),
                }
            }
        });
    }
    Ok(out)
}

fn transpose(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let perm = cx.axes("perm", shape.len())?.ok_or(InferError::Missing("perm"))?;
    if perm.len() != shape.len() {
        return bad("perm", format!("{} axes for a tensor of rank {}", perm.len(), shape.len()));
    }
    Ok(smallvec![TensorType::ranked(x.dtype, perm.iter().map(|&p| shape[p])).into()])
}
