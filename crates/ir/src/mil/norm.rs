//! Normalisations: the result has the data's type.

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{Absent, Float};
use crate::schema::Opset::{Ios15, Ios17};
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, Shape};

const X: Param = value("x").of(FLOAT);

/// Up to iOS 16 every number has the data's element type, later that of the first of them.
const fn number(name: &'static str, like: &'static str) -> Param {
    constant(name).of(FLOAT).like(like)
}

const fn optional(name: &'static str, like: &'static str) -> Param {
    constant_or(name, Absent).of(FLOAT).like(like)
}

const fn defaulted(name: &'static str, default: f64, like: &'static str) -> Param {
    constant_or(name, Float(default)).of(FLOAT).like(like)
}

const BATCH: &[Param] = &[
    X,
    number("mean", "x"),
    number("variance", "x"),
    optional("gamma", "x"),
    optional("beta", "x"),
    defaulted("epsilon", 1e-5, "x"),
];
const BATCH_17: &[Param] = &[
    X,
    constant("mean").of(FLOAT),
    number("variance", "mean"),
    optional("gamma", "mean"),
    optional("beta", "mean"),
    defaulted("epsilon", 1e-5, "mean"),
];
const INSTANCE: &[Param] =
    &[X, optional("gamma", "x"), optional("beta", "x"), defaulted("epsilon", 1e-5, "x")];
const INSTANCE_17: &[Param] = &[
    X,
    constant_or("gamma", Absent).of(FLOAT),
    optional("beta", "gamma"),
    defaulted("epsilon", 1e-5, "gamma"),
];
/// Without axes all are normalised over.
const AXES: Param = constant_or("axes", Absent).of(INT32);
const LAYER: &[Param] = &[X, AXES, INSTANCE[1], INSTANCE[2], INSTANCE[3]];
const LAYER_17: &[Param] = &[X, AXES, INSTANCE_17[1], INSTANCE_17[2], INSTANCE_17[3]];
const L2: &[Param] = &[X, defaulted("epsilon", 1e-6, "x")];
const L2_17: &[Param] = &[X, constant_or("epsilon", Float(1e-6)).of(FLOAT)];
const SIZE: Param = constant("size").of(INT32);
const LOCAL_RESPONSE: &[Param] =
    &[X, SIZE, defaulted("alpha", 1e-4, "x"), defaulted("beta", 0.75, "x"), defaulted("k", 1.0, "x")];
const LOCAL_RESPONSE_17: &[Param] = &[
    X,
    SIZE,
    constant_or("alpha", Float(1e-4)).of(FLOAT),
    defaulted("beta", 0.75, "alpha"),
    defaulted("k", 1.0, "alpha"),
];

pub(super) const OPS: &[OpSchema] = &[
    pure("batch_norm", Ios15, BATCH, batch_norm),
    pure("batch_norm", Ios17, BATCH_17, batch_norm),
    pure("instance_norm", Ios15, INSTANCE, instance_norm),
    pure("instance_norm", Ios17, INSTANCE_17, instance_norm),
    pure("l2_norm", Ios15, L2, l2_norm),
    pure("l2_norm", Ios17, L2_17, l2_norm),
    pure("layer_norm", Ios15, LAYER, layer_norm),
    pure("layer_norm", Ios17, LAYER_17, layer_norm),
    pure("local_response_norm", Ios15, LOCAL_RESPONSE, local_response_norm),
    pure("local_response_norm", Ios17, LOCAL_RESPONSE_17, local_response_norm),
];

fn batch_norm(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    by_channel(cx, &["mean", "variance", "gamma", "beta"])
}

fn instance_norm(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    by_channel(cx, &["gamma", "beta"])
}

/// Each of `params` that is given has one element a channel, which is axis 1 of x.
fn by_channel(cx: &mut InferCx<'_>, params: &[&'static str]) -> Result<Types, InferError> {
    let x = cx.shape("x")?;
    let Some(&channels) = x.get(1) else { return bad("x", "it has no channel axis") };
    params.iter().try_for_each(|p| fits(cx, p, &[channels]))?;
    same(cx)
}

fn layer_norm(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.shape("x")?;
    let axes = cx.axes("axes", x.len())?;
    let normalised = |i: &usize| axes.as_ref().is_none_or(|a| a.contains(i));
    let wanted: Shape = (0..x.len()).filter(normalised).map(|i| x[i]).collect();
    fits(cx, "gamma", &wanted)?;
    fits(cx, "beta", &wanted)?;
    same(cx)
}

fn l2_norm(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    match cx.tensor("x")?.rank() {
        Some(n) if n < 3 => bad("x", format!("rank 3 at least is needed, this has rank {n}")),
        _ => same(cx),
    }
}

fn local_response_norm(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    match cx.int("size")? {
        n if n < 1 => bad("size", format!("{n} where at least 1 is needed")),
        _ => same(cx),
    }
}

fn fits(cx: &InferCx<'_>, param: &'static str, wanted: &[Dim]) -> Result<(), InferError> {
    if cx.arg(param).is_none() {
        return Ok(());
    }
    let have = cx.shape(param)?;
    if have.len() != wanted.len() || have.iter().zip(wanted).any(|(&a, &b)| agreed(a, b).is_none()) {
        return bad(param, format!("extents {} where {} are needed", shown(have), shown(wanted)));
    }
    Ok(())
}
