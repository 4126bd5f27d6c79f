//! Activations: the 13 kinds of `activation`, `clip`, `clampedReLU`, `gelu`.

use anewrite_ir::ValueId;

use super::context::one;
use super::{Cx, Lowered, One};
use crate::error::Reason;

pub(crate) fn activation(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let f = cx.fields();
    let has = |name: &str| f.message(name);
    let y = if has("ReLU")?.is_some() {
        cx.op("relu", &[("x", x)])?
    } else if let Some(p) = has("leakyReLU")? {
        cx.op_num("leaky_relu", x, &[("alpha", p.float("alpha")?)])?
    } else if let Some(p) = has("linear")? {
        linear(cx, x, p.float("alpha")?, p.float("beta")?)?
    } else if let Some(p) = has("thresholdedReLU")? {
        cx.op_num("thresholded_relu", x, &[("alpha", p.float("alpha")?)])?
    } else if has("PReLU")?.is_some() {
        prelu(cx, x)?
    } else if has("tanh")?.is_some() {
        cx.op("tanh", &[("x", x)])?
    } else if let Some(p) = has("scaledTanh")? {
        cx.op_num("scaled_tanh", x, &[("alpha", p.float("alpha")?), ("beta", p.float("beta")?)])?
    } else if has("sigmoid")?.is_some() {
        cx.op("sigmoid", &[("x", x)])?
    } else if let Some(p) = has("sigmoidHard")? {
        cx.op_num("sigmoid_hard", x, &[("alpha", p.float("alpha")?), ("beta", p.float("beta")?)])?
    } else if let Some(p) = has("ELU")? {
        cx.op_num("elu", x, &[("alpha", p.float("alpha")?)])?
    } else if has("softsign")?.is_some() {
        cx.op("softsign", &[("x", x)])?
    } else if has("softplus")?.is_some() {
        cx.op("softplus", &[("x", x)])?
    } else if has("parametricSoftplus")?.is_some() {
        parametric_softplus(cx, x)?
    } else {
        return Err(Reason::field("NonlinearityType", "no activation is set"));
    };
    one(y)
}

/// `alpha * x + beta`, without what changes nothing.
pub(super) fn linear(cx: &mut Cx<'_, '_>, x: ValueId, alpha: f64, beta: f64) -> One {
    match (alpha, beta) {
        (1.0, 0.0) => Ok(x),
        _ => cx.op_num("linear_activation", x, &[("alpha", alpha), ("beta", beta)]),
    }
}

/// Per channel (axis -3), or with one factor for all.
fn prelu(cx: &mut Cx<'_, '_>, x: ValueId) -> One {
    const ALPHA: &str = "PReLU.alpha";
    let shape = cx.shape(x)?;
    let channels = channel_count(cx, ALPHA, x)?;
    if channels == 1 || shape.len() != 4 {
        // max(x, 0) + alpha * min(x, 0): in any rank, and for one factor that MIL's op would want repeated.
        let alpha = channel_weight(cx, ALPHA, channels)?;
        let zero = cx.num(0.0)?;
        let (above, below) = (cx.op("relu", &[("x", x)])?, cx.op2("minimum", x, zero)?);
        let below = cx.op2("mul", below, alpha)?;
        return cx.op2("add", above, below);
    }
    let alpha = cx.weight(ALPHA, &[channels])?;
    cx.op("prelu", &[("x", x), ("alpha", alpha)])
}

/// `alpha * log(1 + exp(beta * x))`.
fn parametric_softplus(cx: &mut Cx<'_, '_>, x: ValueId) -> One {
    const ALPHA: &str = "parametricSoftplus.alpha";
    const BETA: &str = "parametricSoftplus.beta";
    let (a, b) = (channel_count(cx, ALPHA, x)?, channel_count(cx, BETA, x)?);
    if a == b && a > 1 && cx.rank(x)? == 4 {
        let (alpha, beta) = (cx.weight(ALPHA, &[a])?, cx.weight(BETA, &[b])?);
        return cx.op("softplus_parametric", &[("x", x), ("alpha", alpha), ("beta", beta)]);
    }
    let (alpha, beta) = (channel_weight(cx, ALPHA, a)?, channel_weight(cx, BETA, b)?);
    let y = cx.op2("mul", x, beta)?;
    let y = cx.op("softplus", &[("x", y)])?;
    cx.op2("mul", y, alpha)
}

/// How many factors the weights at `path` hold: the number of channels of `x`, or 1.
fn channel_count(cx: &Cx<'_, '_>, path: &str, x: ValueId) -> Result<u64, Reason> {
    let rank = cx.rank_from(x, 3)?;
    let channels = cx.shape(x)?.get(rank - 3).and_then(|d| d.known());
    cx.weight_count(path)
        .or(channels)
        .ok_or_else(|| Reason::weights(path, "neither they nor the input say how many channels there are"))
}

/// One factor as a scalar, several to be multiplied along axis -3.
fn channel_weight(cx: &mut Cx<'_, '_>, path: &str, channels: u64) -> One {
    match channels {
        1 => cx.weight(path, &[1]),
        n => cx.weight(path, &[n, 1, 1]),
    }
}

pub(crate) fn clip(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let (x, f) = (cx.x(0)?, cx.fields());
    one(cx.op_num("clip", x, &[("alpha", f.float("minVal")?), ("beta", f.float("maxVal")?)])?)
}

pub(crate) fn clamped_relu(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let (x, f) = (cx.x(0)?, cx.fields());
    one(cx.op_num("clamped_relu", x, &[("alpha", f.float("alpha")?), ("beta", f.float("beta")?)])?)
}

pub(crate) fn gelu(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let x = cx.x(0)?;
    let mode = cx.fields().choice("mode", "EXACT")?;
    if !matches!(mode, "EXACT" | "TANH_APPROXIMATION" | "SIGMOID_APPROXIMATION") {
        return Err(Reason::field("mode", format!("{mode} is not known")));
    }
    let mode = cx.text(mode);
    one(cx.op("gelu", &[("x", x), ("mode", mode)])?)
}
