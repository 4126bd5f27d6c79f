//! Layers that bring values of their own: constants, fills, ranges, shapes.

use anewrite_ir::ValueId;

use super::context::one;
use super::index::scalar;
use super::{Cx, Lowered};
use crate::error::Reason;
use crate::mapping::Mapping;

/// `loadConstant`: `[C, H, W]` as `[1, 1, C, H, W]`.
pub(crate) fn load_constant(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(0..=0)?;
    let dims = cx.fields().sizes("shape")?;
    let before = match cx.call.mapping {
        Mapping::Rank5 => 4,
        Mapping::Exact => 5,
    };
    let ones = std::iter::repeat_n(1, usize::saturating_sub(before, dims.len()));
    let dims: Vec<u64> = ones.chain(dims).collect();
    one(cx.weight("data", &dims)?)
}

pub(crate) fn load_constant_nd(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(0..=0)?;
    let dims = cx.fields().sizes("shape")?;
    one(cx.weight("data", &dims)?)
}

pub(crate) fn fill_like(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let like = cx.raw(0)?;
    let shape = cx.extents(like)?;
    fill(cx, shape)
}

pub(crate) fn fill_static(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(0..=0)?;
    let shape = cx.sizes(&cx.fields().sizes("targetShape")?)?;
    fill(cx, shape)
}

pub(crate) fn fill_dynamic(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let shape = cx.index(0)?;
    fill(cx, shape)
}

fn fill(cx: &mut Cx<'_, '_>, shape: ValueId) -> Lowered {
    let value = cx.num(cx.fields().float("value")?)?;
    one(cx.op("fill", &[("shape", shape), ("value", value)])?)
}

pub(crate) fn get_shape(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.raw(0)?;
    let shape = cx.op("shape", &[("x", x)])?;
    one(cx.float_of(shape)?)
}

pub(crate) fn range_static(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(0..=0)?;
    range(cx, &["endValue", "startValue", "stepSizeValue"])
}

/// End, start and step: as inputs as far as there are any, as fields from there on.
pub(crate) fn range_dynamic(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=3)?;
    range(cx, &["", "startValue", "stepSizeValue"])
}

fn range(cx: &mut Cx<'_, '_>, fields: &[&str; 3]) -> Lowered {
    let mut args = Vec::with_capacity(3);
    for (i, (param, field)) in ["end", "start", "step"].into_iter().zip(fields).enumerate() {
        let v = if i < cx.arity() {
            let v = cx.x(i)?;
            match cx.known_ints(v).as_deref() {
                Some([n]) => cx.num(*n as f64)?,
                _ => scalar(cx, v)?,
            }
        } else {
            let n = cx.fields().float(field)?;
            if param == "step" && n == 0.0 {
                return Err(Reason::field(*field, "a step of 0"));
            }
            cx.num(n)?
        };
        args.push((param, v));
    }
    one(cx.op("range_1d", &args)?)
}
