//! Pools over `[batch, channel, spatial…]` with one to three spatial axes.

use super::common::*;
use super::window::{Padding, Windows, per_axis};
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{Bool, Fill};
use crate::schema::Opset::Ios15;
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, Shape};

const POOL: &[Param] = &[
    value("x").of(FLOAT),
    constant("kernel_sizes").of(INT32),
    constant_or("strides", Fill(1)).of(INT32),
    constant("pad_type").of(TEXT),
    constant_or("pad", Fill(0)).of(INT32),
    constant_or("ceil_mode", Bool(false)).of(BOOL),
];
const AVERAGE: &[Param] = &[
    POOL[0],
    POOL[1],
    POOL[2],
    POOL[3],
    POOL[4],
    POOL[5],
    constant_or("exclude_padding_from_average", Bool(false)).of(BOOL),
];

pub(super) const OPS: &[OpSchema] = &[
    pure("avg_pool", Ios15, AVERAGE, pool),
    pure("l2_pool", Ios15, POOL, l2_pool),
    pure("max_pool", Ios15, POOL, pool),
];

fn l2_pool(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    if cx.shape("x")?.len() > 4 {
        return bad("x", "l2_pool has one or two spatial axes");
    }
    pool(cx)
}

fn pool(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("x")?.dtype;
    let x = cx.shape("x")?;
    let (&[batch, channels, ref spatial @ ..], 3..=5) = (x.as_slice(), x.len()) else {
        return bad("x", format!("rank 3, 4 or 5 is needed, this has rank {}", x.len()));
    };
    let pad_type = cx.text("pad_type")?;
    if cx.opset == Ios15 && pad_type == "same_lower" {
        return bad("pad_type", "same_lower needs iOS 16");
    }
    let kernel = per_axis(cx, "kernel_sizes", spatial.len(), 1)?;
    let mut windows = Windows::read(cx, spatial.len(), false)?;
    windows.ceil = cx.flag("ceil_mode")?;
    if windows.ceil {
        if spatial.len() > 2 {
            return bad("ceil_mode", "it needs one or two spatial axes");
        }
        if pad_type.eq_ignore_ascii_case("same") {
            return bad("ceil_mode", "it does not go with pad_type same");
        }
        if let Padding::Custom(pads) = &windows.pad
            && pads.chunks(2).any(|p| p.first() != p.last())
        {
            return bad("pad", "it must be the same at both ends where ceil_mode is set");
        }
    }
    let mut shape: Shape = [batch, channels].into_iter().collect();
    for (axis, (&d, &k)) in spatial.iter().zip(&kernel).enumerate() {
        shape.push(windows.count(cx.dims, axis, d, Dim::Known(k.unsigned_abs()))?);
    }
    tensor(dtype, shape)
}
