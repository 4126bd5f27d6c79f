//! Activation functions. All keep the type of `x`.

use super::common::*;
use crate::infer::{InferCx, InferError, bad, normal_axis};
use crate::schema::DefaultValue::{Int, Text};
use crate::schema::Opset::{Ios15, Ios17};
use crate::schema::{OpSchema, Param, Types};
use crate::types::Dim;

const X: &[Param] = &[value("x").of(FLOAT)];
const ALPHA: &[Param] = &[value("x").of(FLOAT), constant("alpha").of(FLOAT).like("x")];
const ALPHA_17: &[Param] = &[value("x").of(FLOAT), constant("alpha").of(FLOAT)];
const ALPHA_BETA: &[Param] =
    &[value("x").of(FLOAT), constant("alpha").of(FLOAT).like("x"), constant("beta").of(FLOAT).like("x")];
const ALPHA_BETA_17: &[Param] =
    &[value("x").of(FLOAT), constant("alpha").of(FLOAT), constant("beta").of(FLOAT).like("alpha")];
const GELU: &[Param] = &[value("x").of(FLOAT), constant_or("mode", Text("EXACT")).of(TEXT)];
const SOFTMAX: &[Param] = &[value("x").of(FLOAT), constant_or("axis", Int(-1)).of(INT32)];

pub(super) const OPS: &[OpSchema] = &[
    pure("clamped_relu", Ios15, ALPHA_BETA, same),
    pure("clamped_relu", Ios17, ALPHA_BETA_17, same),
    pure("elu", Ios15, ALPHA, same),
    pure("elu", Ios17, ALPHA_17, same),
    pure("gelu", Ios15, GELU, gelu),
    pure("leaky_relu", Ios15, ALPHA, same),
    pure("leaky_relu", Ios17, ALPHA_17, same),
    pure("linear_activation", Ios15, ALPHA_BETA, same),
    pure("linear_activation", Ios17, ALPHA_BETA_17, same),
    pure("prelu", Ios15, ALPHA, prelu),
    pure("prelu", Ios17, ALPHA_17, prelu),
    pure("relu", Ios15, X, same),
    pure("relu6", Ios15, X, same),
    pure("scaled_tanh", Ios15, ALPHA_BETA, same),
    pure("scaled_tanh", Ios17, ALPHA_BETA_17, same),
    pure("sigmoid", Ios15, X, same),
    pure("sigmoid_hard", Ios15, ALPHA_BETA, same),
    pure("sigmoid_hard", Ios17, ALPHA_BETA_17, same),
    pure("silu", Ios15, X, same),
    pure("softmax", Ios15, SOFTMAX, softmax),
    pure("softplus", Ios15, X, same),
    pure("softplus_parametric", Ios15, ALPHA_BETA, softplus_parametric),
    pure("softplus_parametric", Ios17, ALPHA_BETA_17, softplus_parametric),
    pure("softsign", Ios15, X, same),
    pure("thresholded_relu", Ios15, ALPHA, same),
    pure("thresholded_relu", Ios17, ALPHA_17, same),
];

fn gelu(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    match cx.text("mode")? {
        "EXACT" | "TANH_APPROXIMATION" | "SIGMOID_APPROXIMATION" => same(cx),
        mode => bad("mode", format!("{mode:?} is no way to compute gelu")),
    }
}

fn softmax(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    if let Some(rank) = cx.tensor("x")?.rank().filter(|&r| r > 0) {
        normal_axis("axis", cx.int("axis")?, rank)?;
    }
    same(cx)
}

/// `x` has rank 3 to 5; other ranks than 4 take only slopes that are all equal.
fn prelu(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let rank = cx.shape("x")?.len();
    if !(3..=5).contains(&rank) {
        return bad("x", format!("rank 3 to 5 is needed, this has rank {rank}"));
    }
    per_channel(cx, "alpha")?;
    if rank != 4 && cx.constant("alpha").is_some_and(|t| t.count() <= MAX_SLOPES && !all_equal(t)) {
        return bad("alpha", format!("the slopes differ, which rank {rank} does not take"));
    }
    same(cx)
}

/// Longer constants are not read for the check that all slopes are equal.
const MAX_SLOPES: u64 = 1 << 16;

fn all_equal(t: &anewrite_tensor::Tensor) -> bool {
    let Ok(slopes) = t.to_f64s() else { return true };
    slopes.first().is_none_or(|first| slopes.iter().all(|s| (s - first).abs() <= 1e-5))
}

fn softplus_parametric(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let rank = cx.shape("x")?.len();
    if rank < 3 {
        return bad("x", format!("rank 3 or more is needed, this has rank {rank}"));
    }
    per_channel(cx, "alpha")?;
    per_channel(cx, "beta")?;
    same(cx)
}

/// A vector with one element for each extent of axis 1 of `x`.
fn per_channel(cx: &InferCx<'_>, param: &'static str) -> Result<(), InferError> {
    let channels = cx.shape("x")?.get(1).copied().unwrap_or(Dim::Unknown);
    let count = shape_of_rank(cx, param, 1)?.first().copied().unwrap_or(Dim::Unknown);
    match agreed(channels, count) {
        Some(_) => Ok(()),
        None => bad(param, format!("{count} elements for {channels} channels")),
    }
}
