//! Normalisations, softmax, and the layers that scale and shift by constants.

use anewrite_ir::ValueId;

use super::context::one;
use super::{Cx, Lowered, One};
use crate::error::Reason;

/// Per channel (axis -3), with stored or computed statistics.
pub(crate) fn batchnorm(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let c = f.size("channels")?;
    let epsilon = f.float_or("epsilon", 1e-5)?;
    if f.flag("computeMeanVar")? && !f.flag("instanceNormalization")? {
        return one(batch_statistics(cx, x, c, epsilon)?);
    }
    let (x, lead) = cx.fold(x, 3)?;
    let mut args = vec![("x", x)];
    let kind = match f.flag("computeMeanVar")? {
        true => "instance_norm",
        false => {
            args.push(("mean", cx.weight("mean", &[c])?));
            args.push(("variance", cx.weight("variance", &[c])?));
            "batch_norm"
        }
    };
    for name in ["gamma", "beta"] {
        if cx.has_weight(name) {
            args.push((name, cx.weight(name, &[c])?));
        }
    }
    args.push(("epsilon", cx.num(epsilon)?));
    let y = cx.op(kind, &args)?;
    one(cx.unfold(y, lead)?)
}

/// Statistics of each channel over the whole batch.
fn batch_statistics(cx: &mut Cx<'_, '_>, x: ValueId, c: u64, epsilon: f64) -> One {
    let rank = cx.rank_from(x, 3)? as i64;
    let axes: Vec<i64> = (0..rank).filter(|&a| a != rank - 3).collect();
    let y = centred(cx, x, &axes)?;
    let (axes, keep) = (cx.ints(&axes)?, cx.flag(true));
    let square = cx.op2("mul", y, y)?;
    let variance = cx.op("reduce_mean", &[("x", square), ("axes", axes), ("keep_dims", keep)])?;
    let factor = cx.op_num("rsqrt", variance, &[("epsilon", epsilon)])?;
    let mut y = cx.op2("mul", y, factor)?;
    for (name, op) in [("gamma", "mul"), ("beta", "add")] {
        if cx.has_weight(name) {
            let w = cx.weight(name, &[c, 1, 1])?;
            y = cx.op2(op, y, w)?;
        }
    }
    Ok(y)
}

fn centred(cx: &mut Cx<'_, '_>, x: ValueId, axes: &[i64]) -> One {
    let (axes, keep) = (cx.ints(axes)?, cx.flag(true));
    let mean = cx.op("reduce_mean", &[("x", x), ("axes", axes), ("keep_dims", keep)])?;
    cx.op2("sub", x, mean)
}

/// Mean and variance over H and W, or over C too.
pub(crate) fn mvn(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    cx.rank_from(x, 3)?;
    let axes: &[i64] = if f.flag("acrossChannels")? { &[-3, -2, -1] } else { &[-2, -1] };
    if !f.flag("normalizeVariance")? {
        return one(centred(cx, x, axes)?);
    }
    let (axes, epsilon) = (cx.ints(axes)?, cx.num(f.float_or("epsilon", 1e-6)?)?);
    one(cx.op("layer_norm", &[("x", x), ("axes", axes), ("epsilon", epsilon)])?)
}

pub(crate) fn layer_normalization(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let shape = f.sizes("normalizedShape")?;
    cx.rank_from(x, shape.len())?;
    let axes: Vec<i64> = (1..=shape.len() as i64).rev().map(|a| -a).collect();
    let mut args = vec![("x", x), ("axes", cx.ints(&axes)?)];
    for name in ["gamma", "beta"] {
        if cx.has_weight(name) {
            args.push((name, cx.weight(name, &shape)?));
        }
    }
    args.push(("epsilon", cx.num(f.float("eps")?)?));
    one(cx.op("layer_norm", &args)?)
}

/// Over the last three axes.
pub(crate) fn l2_normalize(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    cx.rank_from(x, 3)?;
    let epsilon = cx.fields().float_or("epsilon", 1e-6)?;
    one(cx.op_num("l2_norm", x, &[("epsilon", epsilon)])?)
}

/// Over a window of channels.
pub(crate) fn lrn(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let (x, lead) = cx.fold(x, 3)?;
    let args = [
        ("x", x),
        ("size", cx.int(f.int("localSize")?)?),
        ("alpha", cx.num(f.float("alpha")?)?),
        ("beta", cx.num(f.float("beta")?)?),
        ("k", cx.num(f.float_or("k", 1.0)?)?),
    ];
    let y = cx.op("local_response_norm", &args)?;
    one(cx.unfold(y, lead)?)
}

/// Along axis -3.
pub(crate) fn softmax(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    cx.rank_from(x, 3)?;
    let axis = cx.int(-3)?;
    one(cx.op("softmax", &[("x", x), ("axis", axis)])?)
}

pub(crate) fn softmax_nd(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let axis = cx.axis("axis", cx.fields().int("axis")?, cx.rank(x)?)?;
    let axis = cx.int(axis as i64)?;
    one(cx.op("softmax", &[("x", x), ("axis", axis)])?)
}

pub(crate) fn scale(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let factor = against_channels(cx, "scale", "shapeScale")?;
    let y = cx.op2("mul", x, factor)?;
    if !cx.fields().flag("hasBias")? {
        return one(y);
    }
    let shift = against_channels(cx, "bias", "shapeBias")?;
    one(cx.op2("add", y, shift)?)
}

pub(crate) fn bias(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let shift = against_channels(cx, "bias", "shape")?;
    one(cx.op2("add", x, shift)?)
}

/// Constants of shape `[1]`, `[C]`, `[1, H, W]` or `[C, H, W]`, so that they broadcast along axis -3.
fn against_channels(cx: &mut Cx<'_, '_>, path: &str, shape: &str) -> One {
    let dims = cx.fields().sizes(shape)?;
    match dims.as_slice() {
        [] => Err(Reason::field(shape, "it is empty")),
        [1] => cx.weight(path, &[1]),
        &[c] => cx.weight(path, &[c, 1, 1]),
        dims => cx.weight(path, dims),
    }
}
