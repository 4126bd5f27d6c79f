//! Products of matrices.

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{Absent, Bool};
use crate::schema::Opset::{Ios15, Ios17};
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, Shape};

const X: Param = value("x").of(NUMBER);
/// A missing bias is zero.
const LINEAR: &[Param] =
    &[X, constant("weight").of(NUMBER).like("x"), constant_or("bias", Absent).of(NUMBER).like("x")];
const LINEAR_17: &[Param] =
    &[X, constant("weight").of(NUMBER), constant_or("bias", Absent).of(NUMBER).like("weight")];
const TRANSPOSE_X: Param = constant_or("transpose_x", Bool(false)).of(BOOL);
const TRANSPOSE_Y: Param = constant_or("transpose_y", Bool(false)).of(BOOL);
const MATMUL: &[Param] = &[X, value("y").of(NUMBER).like("x"), TRANSPOSE_X, TRANSPOSE_Y];
const MATMUL_17: &[Param] = &[X, value("y").of(NUMBER), TRANSPOSE_X, TRANSPOSE_Y];
const EINSUM: &[Param] = &[values("values"), constant("equation").of(TEXT)];

pub(super) const OPS: &[OpSchema] = &[
    pure("einsum", Ios15, EINSUM, super::einsum::einsum),
    pure("linear", Ios15, LINEAR, linear),
    pure("linear", Ios17, LINEAR_17, linear),
    pure("matmul", Ios15, MATMUL, matmul),
    pure("matmul", Ios17, MATMUL_17, matmul),
];

/// Weight `[out, in]`; the last axis of x goes from `in` to `out`.
fn linear(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let &[out, inputs] = cx.shape("weight")?.as_slice() else {
        return bad("weight", format!("rank 2 is needed, this has rank {}", cx.shape("weight")?.len()));
    };
    let mut shape = cx.shape("x")?.clone();
    let Some(last) = shape.last_mut() else { return bad("x", "a scalar has no axis to multiply over") };
    if agreed(*last, inputs).is_none() {
        return bad("weight", format!("{inputs} inputs for a last axis of extent {last}"));
    }
    if cx.arg("bias").is_some() {
        match cx.shape("bias")?.as_slice() {
            [n] if agreed(*n, out).is_some() => {}
            [n] => return bad("bias", format!("{n} elements for {out} outputs")),
            other => return bad("bias", format!("a vector is needed, this has rank {}", other.len())),
        }
    }
    *last = out;
    tensor(cx.tensor("x")?.dtype, shape)
}

/// Where the element types differ one side is constant, and the result has the other side's.
fn matmul(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let shape = multiplied(cx)?;
    let (x, y) = (cx.tensor("x")?.dtype, cx.tensor("y")?.dtype);
    match (cx.constant("x").is_some(), cx.constant("y").is_some()) {
        (true, false) => tensor(y, shape),
        (false, true) => tensor(x, shape),
        _ if x == y => tensor(x, shape),
        _ => bad("y", format!("elements of {y} against {x} in x")),
    }
}

/// Batch axes broadcast. A vector counts as one row of x or one column of y, and its axis is not in the result.
fn multiplied(cx: &mut InferCx<'_>) -> Result<Shape, InferError> {
    let (x_vector, mut x) = matrix(cx, "x", "transpose_x", 0)?;
    let (y_vector, mut y) = matrix(cx, "y", "transpose_y", 1)?;
    let (Some(x_inner), Some(rows)) = (x.pop(), x.pop()) else { return Err(InferError::NotKnown("x")) };
    let (Some(columns), Some(y_inner)) = (y.pop(), y.pop()) else { return Err(InferError::NotKnown("y")) };
    if agreed(x_inner, y_inner).is_none() {
        return bad("y", format!("{y_inner} rows for {x_inner} columns of x"));
    }
    let mut out = broadcast_shapes(cx, "y", &x, &y)?;
    if !x_vector {
        out.push(rows);
    }
    if !y_vector {
        out.push(columns);
    }
    Ok(out)
}

/// The shape of `param` with at least two axes, the last two swapped where `flag` says so; whether it is a vector,
/// to which an extent of 1 was added at `at`.
fn matrix(
    cx: &InferCx<'_>,
    param: &'static str,
    flag: &'static str,
    at: usize,
) -> Result<(bool, Shape), InferError> {
    let mut shape = cx.shape(param)?.clone();
    let transposed = cx.flag(flag)?;
    match shape.len() {
        0 => bad(param, "a scalar is no matrix"),
        1 if transposed => bad(flag, "a vector cannot be transposed"),
        1 => {
            shape.insert(at, Dim::Known(1));
            Ok((true, shape))
        }
        n => {
            if transposed {
                shape.swap(n - 1, n - 2);
            }
            Ok((false, shape))
        }
    }
}
