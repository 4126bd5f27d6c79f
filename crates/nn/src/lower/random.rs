//! Layers that draw random numbers.

use anewrite_ir::ValueId;

use super::context::one;
use super::{Cx, Lowered, One};

/// The extents that are asked for: those of the input, those in a field, or the input's elements.
fn shape(cx: &mut Cx<'_, '_>, from: &str) -> One {
    match from {
        "like" => {
            let like = cx.raw(0)?;
            cx.extents(like)
        }
        "static" => cx.sizes(&cx.fields().sizes("outputShape")?),
        _ => cx.index(0),
    }
}

fn draw(cx: &mut Cx<'_, '_>, from: &str, kind: &str, params: &[(&'static str, &str)]) -> Lowered {
    let mut args: Vec<(&str, ValueId)> = vec![("shape", shape(cx, from)?)];
    for &(param, field) in params {
        args.push((param, cx.num(cx.fields().float(field)?)?));
    }
    args.push(("seed", seed(cx)?));
    one(cx.op(kind, &args)?)
}

fn seed(cx: &mut Cx<'_, '_>) -> One {
    cx.int(cx.fields().int("seed")?)
}

pub(crate) fn normal(cx: &mut Cx<'_, '_>, from: &'static str) -> Lowered {
    draw(cx, from, "random_normal", &[("mean", "mean"), ("stddev", "stdDev")])
}

pub(crate) fn uniform(cx: &mut Cx<'_, '_>, from: &'static str) -> Lowered {
    draw(cx, from, "random_uniform", &[("low", "minVal"), ("high", "maxVal")])
}

pub(crate) fn bernoulli(cx: &mut Cx<'_, '_>, from: &'static str) -> Lowered {
    draw(cx, from, "random_bernoulli", &[("prob", "prob")])
}

/// Probabilities at a temperature are logits that it divides: `log(p + eps) / temperature`.
pub(crate) fn categorical(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let mut x = cx.x(0)?;
    let temperature = f.float_or("temperature", 1.0)?;
    let mut logits = f.flag("isLogits")?;
    if temperature != 1.0 {
        if !logits {
            x = cx.op_num("log", x, &[("epsilon", f.float_or("eps", 1e-10)?)])?;
            logits = true;
        }
        let t = cx.num(temperature)?;
        x = cx.op2("real_div", x, t)?;
    }
    let args = [
        ("x", x),
        ("mode", cx.text(if logits { "logits" } else { "probs" })),
        ("size", cx.int(f.int("numSamples")?)?),
        ("seed", seed(cx)?),
    ];
    one(cx.op("random_categorical", &args)?)
}
