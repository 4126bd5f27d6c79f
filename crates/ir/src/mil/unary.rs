//! Elementwise ops of one operand.

use anewrite_tensor::DType;

use super::common::*;
use super::ints::*;
use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::Float;
use crate::schema::Opset::{Ios15, Ios17};
use crate::schema::{OpSchema, Param, Types};

const X_FLOAT: &[Param] = &[value("x").of(FLOAT)];
const X_NUMBER: &[Param] = &[value("x").of(NUMBER)];
const X_BOOL: &[Param] = &[value("x").of(BOOL)];
const IDENTITY: &[Param] = &[value("x")];
const CAST: &[Param] = &[value("x").of(NUMBER_BOOL), constant("dtype").of(TEXT)];
const CAST_17: &[Param] = &[value("x").of(NUMBER_BOOL.and(SMALL_INT)), constant("dtype").of(TEXT)];
const CLIP: &[Param] =
    &[value("x").of(FLOAT), constant("alpha").of(FLOAT).like("x"), constant("beta").of(FLOAT).like("x")];
const THRESHOLD: &[Param] = &[value("x").of(NUMBER), constant("alpha").of(NUMBER).like("x")];
const INVERSE: &[Param] = &[value("x").of(FLOAT), epsilon(1e-4).like("x")];
const INVERSE_17: &[Param] = &[value("x").of(FLOAT), epsilon(1e-4)];
const LOG: &[Param] = &[value("x").of(FLOAT), epsilon(1e-45).like("x")];
const LOG_17: &[Param] = &[value("x").of(FLOAT), epsilon(1e-45)];
const RSQRT: &[Param] = &[value("x").of(FLOAT), epsilon(1e-12).like("x")];
const RSQRT_17: &[Param] = &[value("x").of(FLOAT), epsilon(1e-12)];

const fn epsilon(default: f64) -> Param {
    constant_or("epsilon", Float(default)).of(FLOAT)
}

pub(super) const OPS: &[OpSchema] = &[
    pure("abs", Ios15, X_NUMBER, same),
    pure("acos", Ios15, X_FLOAT, same),
    pure("asin", Ios15, X_FLOAT, same),
    pure("atan", Ios15, X_FLOAT, same),
    pure("atanh", Ios15, X_FLOAT, same),
    pure("cast", Ios15, CAST, cast),
    pure("cast", Ios17, CAST_17, cast),
    pure("ceil", Ios15, X_FLOAT, same),
    pure("clip", Ios15, CLIP, same),
    pure("clip", Ios17, CLIP, clip_of_some_range),
    pure("cos", Ios15, X_FLOAT, same),
    pure("cosh", Ios15, X_FLOAT, same),
    pure("erf", Ios15, X_FLOAT, same),
    pure("exp", Ios15, X_FLOAT, same),
    pure("exp2", Ios15, X_NUMBER, same),
    pure("floor", Ios15, X_FLOAT, same),
    pure("identity", Ios15, IDENTITY, identity),
    pure("inverse", Ios15, INVERSE, same),
    pure("inverse", Ios17, INVERSE_17, same),
    pure("log", Ios15, LOG, same),
    pure("log", Ios17, LOG_17, same),
    pure("logical_not", Ios15, X_BOOL, logical_not),
    pure("round", Ios15, X_FLOAT, same),
    pure("rsqrt", Ios15, RSQRT, same),
    pure("rsqrt", Ios17, RSQRT_17, same),
    pure("sign", Ios15, X_NUMBER, same),
    pure("sin", Ios15, X_FLOAT, same),
    pure("sinh", Ios15, X_FLOAT, same),
    pure("sqrt", Ios15, X_FLOAT, same),
    pure("square", Ios15, X_NUMBER, square),
    pure("tan", Ios15, X_FLOAT, same),
    pure("tanh", Ios15, X_FLOAT, same),
    pure("threshold", Ios15, THRESHOLD, same),
];

/// Any type passes, lists too.
fn identity(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.arg("x").ok_or(InferError::Missing("x"))?;
    if let Some(t) = x.ty.tensor() {
        keep_elements(cx, "x", t.dtype);
    }
    one(x.ty.clone())
}

/// `dtype` must be one that `x` may have.
fn cast(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let dtype = named_dtype(cx, "dtype")?;
    let allowed = cx.schema.and_then(|s| s.param("x")).is_none_or(|p| p.dtypes.has(dtype));
    if !allowed {
        return bad("dtype", format!("{} has no cast to {dtype}", cx.opset.name()));
    }
    match elements(cx, "x") {
        Some(ints) if dtype == DType::Bool => {
            let truth: Option<Vec<Int>> = ints.iter().map(|&n| non_zero(cx, n)).collect();
            if let Some(truth) = truth {
                set_elements(cx, dtype, truth);
            }
        }
        _ => keep_elements(cx, "x", dtype),
    }
    one(crate::TensorType { dtype, shape: x.shape.clone() })
}

fn non_zero(cx: &InferCx<'_>, n: Int) -> Option<Int> {
    match n.known() {
        Some(n) => Some(Int::Known(i64::from(n != 0))),
        None => (cx.dims.lower_bound(n)? > 0).then_some(Int::Known(1)),
    }
}

fn logical_not(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let flipped = |ints: &[Int]| ints.iter().map(|n| Some(Int::Known(i64::from(n.known()? == 0)))).collect();
    if let Some(ints) = elements(cx, "x").and_then(flipped) {
        set_elements(cx, DType::Bool, ints);
    }
    same(cx)
}

fn square(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    if let Some(ints) = elements(cx, "x") {
        let squares = ints.iter().map(|&n| cx.dims.mul(n, n)).collect();
        set_elements(cx, x.dtype, squares);
    }
    same(cx)
}

/// From iOS 17 on the two ends must differ.
fn clip_of_some_range(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (alpha, beta) = (cx.float("alpha")?, cx.float("beta")?);
    if alpha >= beta {
        return bad("alpha", format!("{alpha} is not below beta, {beta}"));
    }
    same(cx)
}
