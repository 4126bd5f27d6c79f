//! Random numbers: no two of these ops may be merged.

use anewrite_tensor::DType;

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::op::Effect;
use crate::schema::DefaultValue::{Float, Int, Text};
use crate::schema::{InferFn, OpSchema, Opset, Param, Types};
use crate::types::{Dim, Shape};

const SHAPE: Param = value("shape").of(INT32);
const SEED: Param = constant_or("seed", Int(-1)).of(INT32);
const BERNOULLI: &[Param] = &[SHAPE, constant_or("prob", Float(0.5)).of(FLOAT), SEED];
const CATEGORICAL: &[Param] = &[
    value("x").of(FLOAT),
    constant_or("mode", Text("logits")).of(TEXT),
    constant_or("size", Int(1)).of(INT32),
    SEED,
];
const NORMAL: &[Param] = &[
    SHAPE,
    constant_or("mean", Float(0.0)).of(FLOAT),
    constant_or("stddev", Float(1.0)).of(FLOAT).like("mean"),
    SEED,
];
const UNIFORM: &[Param] = &[
    SHAPE,
    constant_or("low", Float(0.0)).of(FLOAT),
    constant_or("high", Float(1.0)).of(FLOAT).like("low"),
    SEED,
];

const fn drawn(name: &'static str, params: &'static [Param], infer: InferFn) -> OpSchema {
    OpSchema { name, since: Opset::Ios15, params, effect: Effect::Random, infer }
}

pub(super) const OPS: &[OpSchema] = &[
    drawn("random_bernoulli", BERNOULLI, |cx| of_shape(cx, &["prob"])),
    drawn("random_categorical", CATEGORICAL, categorical),
    drawn("random_normal", NORMAL, |cx| of_shape(cx, &["mean", "stddev"])),
    drawn("random_uniform", UNIFORM, |cx| of_shape(cx, &["low", "high"])),
];

/// The element type is that of the distribution's numbers, which are fp32 where none is given.
fn of_shape(cx: &mut InferCx<'_>, numbers: &[&'static str]) -> Result<Types, InferError> {
    let mut dtype = None;
    for param in numbers.iter().filter(|p| cx.arg(p).is_some()) {
        let own = cx.tensor(param)?.dtype;
        if *dtype.get_or_insert(own) != own {
            return bad(param, format!("elements of {own} beside others"));
        }
    }
    let dtype = dtype.unwrap_or(DType::F32);
    match cx.ints("shape") {
        Ok(Some(ints)) => return tensor(dtype, extents("shape", &ints)?),
        Ok(None) | Err(InferError::NotKnown(_)) => {}
        Err(e) => return Err(e),
    }
    match cx.shape("shape")?.as_slice() {
        [Dim::Known(rank @ 0..=16)] => {
            let dims: Shape = (0..*rank).map(|_| cx.dims.fresh()).collect();
            tensor(dtype, dims)
        }
        [Dim::Known(rank)] => bad("shape", format!("rank {rank}")),
        [_] => unranked(dtype),
        other => bad("shape", format!("a vector is needed, this has rank {}", other.len())),
    }
}

/// `size` draws from each row of x.
fn categorical(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("x")?.dtype;
    let mut shape = cx.shape("x")?.clone();
    match cx.text("mode")? {
        "logits" | "probs" => {}
        other => return bad("mode", format!("{other:?} is neither logits nor probs")),
    }
    let (Some(last), Ok(size)) = (shape.last_mut(), u64::try_from(cx.int("size")?)) else {
        return bad("size", "draws from a scalar, or a negative number of them");
    };
    *last = Dim::Known(size);
    tensor(dtype, shape)
}
