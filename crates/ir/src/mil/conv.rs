//! Convolutions over `[batch, channel, spatial…]` with one to three spatial axes.

use anewrite_tensor::DType;

use super::common::*;
use super::window::{Padding, Windows};
use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{Absent, Fill, Int as IntDefault, Text};
use crate::schema::Opset::{Ios15, Ios17};
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::{Dim, Shape};

const X: Param = value("x").of(FLOAT);
const WEIGHT: Param = value("weight").of(FLOAT).like("x");
const BIAS: Param = constant_or("bias", Absent).of(FLOAT).like("x");
const WEIGHT_17: Param = value("weight").of(FLOAT);
const BIAS_17: Param = value_or("bias", Absent).of(FLOAT).like("weight");
const STRIDES: Param = constant_or("strides", Fill(1)).of(INT32);
const PAD_TYPE: Param = constant_or("pad_type", Text("valid")).of(TEXT);
const PAD: Param = constant_or("pad", Fill(0)).of(INT32);
const DILATIONS: Param = constant_or("dilations", Fill(1)).of(INT32);
const GROUPS: Param = constant_or("groups", IntDefault(1)).of(INT32);

const CONV: &[Param] = &[X, WEIGHT, BIAS, STRIDES, PAD_TYPE, PAD, DILATIONS, GROUPS];
const CONV_17: &[Param] = &[X, WEIGHT_17, BIAS_17, STRIDES, PAD_TYPE, PAD, DILATIONS, GROUPS];
const BYTE: DTypes = DTypes::of(&[DType::U8]);
const QUANTIZED: &[Param] = &[
    X,
    value("weight").of(BYTE),
    constant_or("bias", Absent).of(BYTE).like("weight"),
    constant("quantization_type").of(TEXT),
    constant_or("nbits", IntDefault(8)).of(INT32),
    constant("quant_scale").of(FLOAT).like("x"),
    constant("quant_bias").of(FLOAT).like("x"),
    STRIDES,
    PAD_TYPE,
    PAD,
    DILATIONS,
    GROUPS,
];
const OUTPUT_SHAPE: Param = constant_or("output_shape", Absent).of(INT32);
const CONST_WEIGHT: Param = constant("weight").of(FLOAT).like("x");
const TRANSPOSED: &[Param] =
    &[X, CONST_WEIGHT, BIAS, PAD, OUTPUT_SHAPE, PAD_TYPE, STRIDES, DILATIONS, GROUPS];
const TRANSPOSED_17: &[Param] =
    &[X, WEIGHT_17, BIAS_17, PAD, OUTPUT_SHAPE, PAD_TYPE, STRIDES, DILATIONS, GROUPS];

pub(super) const OPS: &[OpSchema] = &[
    pure("conv", Ios15, CONV, conv),
    pure("conv", Ios17, CONV_17, conv),
    pure("conv_quantized", Ios15, QUANTIZED, conv),
    pure("conv_transpose", Ios15, TRANSPOSED, conv_transpose),
    pure("conv_transpose", Ios17, TRANSPOSED_17, conv_transpose),
];

/// The data's batch and channels, its spatial extents, the weight's extents, and the number of groups.
struct Operands<'a> {
    batch: Dim,
    channels: Dim,
    spatial: &'a [Dim],
    weight: &'a Shape,
    groups: i64,
}

fn operands<'a>(cx: &InferCx<'a>) -> Result<Operands<'a>, InferError> {
    let (x, weight) = (cx.shape("x")?, cx.shape("weight")?);
    let (&[batch, channels, ref spatial @ ..], 3..=5) = (x.as_slice(), x.len()) else {
        return bad("x", format!("rank 3, 4 or 5 is needed, this has rank {}", x.len()));
    };
    if weight.len() != x.len() {
        return bad("weight", format!("rank {} against {} of x", weight.len(), x.len()));
    }
    let groups = cx.int("groups")?;
    if groups < 1 {
        return bad("groups", format!("{groups} where at least 1 is needed"));
    }
    Ok(Operands { batch, channels, spatial, weight, groups })
}

fn bias_fits(cx: &InferCx<'_>, channels: Dim) -> Result<(), InferError> {
    if cx.arg("bias").is_none() {
        return Ok(());
    }
    match cx.shape("bias")?.as_slice() {
        [n] if agreed(*n, channels).is_some() => Ok(()),
        [n] => bad("bias", format!("{n} elements for {channels} channels")),
        other => bad("bias", format!("a vector is needed, this has rank {}", other.len())),
    }
}

/// Weight `[out, in / groups, kernel…]`.
fn conv(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let Operands { batch, channels, spatial, weight, groups } = operands(cx)?;
    let &[out, per_group, ref kernel @ ..] = weight.as_slice() else {
        return bad("weight", "its rank is too low");
    };
    if let Some(c) = channels.known() {
        let (share, rest) = (c / groups.unsigned_abs(), c % groups.unsigned_abs());
        if rest != 0 || agreed(per_group, Dim::Known(share)).is_none() {
            return bad(
                "weight",
                format!("{per_group} channels a group for {c} channels in {groups} groups"),
            );
        }
    }
    bias_fits(cx, out)?;
    if cx.opset == Ios15 && cx.text("pad_type")? == "same_lower" {
        return bad("pad_type", "same_lower needs iOS 16");
    }
    let windows = Windows::read(cx, spatial.len(), true)?;
    let mut shape: Shape = [batch, out].into_iter().collect();
    for (axis, (&d, &k)) in spatial.iter().zip(kernel).enumerate() {
        shape.push(windows.count(cx.dims, axis, d, k)?);
    }
    tensor(cx.tensor("x")?.dtype, shape)
}

/// Weight `[in, out / groups, kernel…]`. An `output_shape` overrules the padding.
fn conv_transpose(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let Operands { batch, channels, spatial, weight, groups } = operands(cx)?;
    let &[inputs, per_group, ref kernel @ ..] = weight.as_slice() else {
        return bad("weight", "its rank is too low");
    };
    if agreed(channels, inputs).is_none() {
        return bad("weight", format!("{inputs} input channels for {channels} channels"));
    }
    let per_group = cx.dims.int(per_group);
    let out = extent("weight", cx.dims.mul(per_group, Int::Known(groups)))?;
    bias_fits(cx, out)?;
    let dtype = cx.tensor("x")?.dtype;
    if let Some(wanted) = cx.ints("output_shape")? {
        let shape = extents("output_shape", &wanted)?;
        if shape.len() != spatial.len() + 2 {
            return bad("output_shape", format!("{} extents for rank {}", shape.len(), spatial.len() + 2));
        }
        return match (agreed(shape[0], batch), agreed(shape[1], out)) {
            (Some(_), Some(_)) => tensor(dtype, shape),
            _ => {
                bad("output_shape", format!("it starts with {}, {}, not {batch}, {out}", shape[0], shape[1]))
            }
        };
    }
    if cx.text("pad_type")?.eq_ignore_ascii_case("same_lower") {
        return bad("pad_type", "a transposed convolution has no same_lower");
    }
    let windows = Windows::read(cx, spatial.len(), true)?;
    let mut shape: Shape = [batch, out].into_iter().collect();
    for (axis, (&d, &k)) in spatial.iter().zip(kernel).enumerate() {
        shape.push(spread(cx, &windows, axis, d, k)?);
    }
    tensor(dtype, shape)
}

/// The extent over which the windows of `input` elements spread.
fn spread(
    cx: &mut InferCx<'_>,
    windows: &Windows,
    axis: usize,
    input: Dim,
    kernel: Dim,
) -> Result<Dim, InferError> {
    let (Some(&stride), Some(&dilation)) = (windows.strides.get(axis), windows.dilations.get(axis)) else {
        return bad("strides", format!("none for spatial axis {axis}"));
    };
    let (input, kernel) = (cx.dims.int(input), cx.dims.int(kernel));
    let stride = Int::Known(stride);
    if windows.pad == Padding::Same {
        return extent("x", cx.dims.mul(input, stride));
    }
    let pads: i64 = match &windows.pad {
        Padding::Custom(p) => {
            let side = |i: usize| p.get(i).copied().unwrap_or(0);
            side(2 * axis).saturating_add(side(2 * axis + 1))
        }
        _ => 0,
    };
    let dims = &mut *cx.dims;
    let starts = dims.sub(input, Int::Known(1));
    let starts = dims.mul(starts, stride);
    let reach = dims.sub(kernel, Int::Known(1));
    let reach = dims.mul(reach, Int::Known(dilation));
    let all = dims.add(starts, reach);
    let cut = dims.sub(Int::Known(1), Int::Known(pads));
    extent("pad", dims.add(all, cut))
}
