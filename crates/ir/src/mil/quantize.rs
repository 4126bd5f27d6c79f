//! Quantising and dequantising while the model runs.

use anewrite_tensor::DType;

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::Absent;
use crate::schema::Opset::Ios17;
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::TensorType;

const BYTES: DTypes = DTypes::of(&[DType::U8, DType::I8]);
const AXIS: Param = constant_or("axis", Absent).of(INT32);
const QUANTIZE: &[Param] = &[
    value("input").of(FLOAT),
    constant_or("zero_point", Absent).of(BYTES),
    constant("scale").of(FLOAT).like("input"),
    AXIS,
    constant("output_dtype").of(TEXT),
];
const DEQUANTIZE: &[Param] = &[
    value("input").of(BYTES),
    constant_or("zero_point", Absent).of(BYTES).like("input"),
    constant("scale").of(FLOAT),
    AXIS,
];

pub(super) const OPS: &[OpSchema] =
    &[pure("quantize", Ios17, QUANTIZE, quantize), pure("dequantize", Ios17, DEQUANTIZE, dequantize)];

fn quantize(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = named_dtype(cx, "output_dtype")?;
    if !BYTES.has(dtype) {
        return bad("output_dtype", format!("{dtype} where int8 or uint8 is needed"));
    }
    if let Some(zero) = cx.arg("zero_point").and_then(|a| a.ty.tensor())
        && zero.dtype != dtype
    {
        return bad("zero_point", format!("elements of {} for results of {dtype}", zero.dtype));
    }
    scale_fits(cx)?;
    one(TensorType { dtype, shape: cx.tensor("input")?.shape.clone() })
}

fn dequantize(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("scale")?.dtype;
    scale_fits(cx)?;
    one(TensorType { dtype, shape: cx.tensor("input")?.shape.clone() })
}

/// Scalars for the whole tensor, or vectors along `axis`.
fn scale_fits(cx: &InferCx<'_>) -> Result<(), InferError> {
    let scale = cx.shape("scale")?;
    if cx.arg("zero_point").is_some() && cx.shape("zero_point")?.len() != scale.len() {
        return bad("zero_point", format!("its rank differs from that of scale, {}", scale.len()));
    }
    if scale.is_empty() {
        return match cx.ints("axis")? {
            Some(_) => bad("axis", "it does not go with a scalar scale"),
            None => Ok(()),
        };
    }
    let input = cx.shape("input")?;
    let along = input[cx.axis("axis", input.len())?];
    for param in ["scale", "zero_point"] {
        if cx.arg(param).is_none() {
            continue;
        }
        match cx.shape(param)?.as_slice() {
            [n] if agreed(*n, along).is_some() => {}
            other => {
                return bad(param, format!("extents {} where {along} elements are needed", shown(other)));
            }
        }
    }
    Ok(())
}
