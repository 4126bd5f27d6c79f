//! Changing the extents of the last two axes, or of the last few.

use anewrite_tensor::DType;

use super::common::*;
use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{Absent, Bool, Int as IntDefault, Text};
use crate::schema::Opset::{Ios15, Ios16, Ios17};
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::{Dim, Shape};

const X: Param = value("x").of(FLOAT);
const FACTOR: DTypes = DTypes::of(&[DType::F32, DType::I32]);
const FACTOR_HEIGHT: Param = constant_or("scale_factor_height", IntDefault(1)).of(FACTOR);
const FACTOR_WIDTH: Param =
    constant_or("scale_factor_width", IntDefault(1)).of(FACTOR).like("scale_factor_height");
const NEAREST: &[Param] = &[X, FACTOR_HEIGHT, FACTOR_WIDTH];
const ALIGN_CORNERS: Param = constant_or("align_corners", Bool(true)).of(BOOL);
const BILINEAR: &[Param] = &[X, FACTOR_HEIGHT, FACTOR_WIDTH, ALIGN_CORNERS];
const BILINEAR_16: &[Param] =
    &[X, FACTOR_HEIGHT, FACTOR_WIDTH, ALIGN_CORNERS, constant_or("half_pixel_centers", Absent).of(BOOL)];
const TO_NEAREST: &[Param] =
    &[X, constant("target_size_height").of(INT32), constant("target_size_width").of(INT32)];
const SAMPLING: Param = constant_or("sampling_mode", Text("DEFAULT")).of(TEXT);
const TO_BILINEAR: &[Param] = &[
    X,
    constant_or("target_size_height", IntDefault(1)).of(INT32),
    constant_or("target_size_width", IntDefault(1)).of(INT32),
    SAMPLING,
];
const EXTENTS: DTypes = INT32.and(DTypes::of(&[DType::I16, DType::U16, DType::U32]));
const RESIZE: &[Param] = &[
    value("x").of(NUMBER),
    value("shape").of(EXTENTS),
    constant("resized_dims").of(DTypes::of(&[DType::U32])),
    constant_or("interpolation_mode", Text("LINEAR")).of(TEXT),
    SAMPLING,
];
const CROP: &[Param] = &[X, constant("crop_height").of(INT32), constant("crop_width").of(INT32)];

pub(super) const OPS: &[OpSchema] = &[
    pure("crop", Ios15, CROP, crop),
    pure("resize", Ios17, RESIZE, resize),
    pure("resize_bilinear", Ios15, TO_BILINEAR, resize_bilinear),
    pure("resize_nearest_neighbor", Ios15, TO_NEAREST, to_size),
    pure("upsample_bilinear", Ios15, BILINEAR, by_factor),
    pure("upsample_bilinear", Ios16, BILINEAR_16, by_factor),
    pure("upsample_nearest_neighbor", Ios15, NEAREST, by_factor),
];

/// The shape of x without its last two axes, and those two.
fn plane(cx: &InferCx<'_>) -> Result<(Shape, Dim, Dim), InferError> {
    let mut shape = cx.shape("x")?.clone();
    if shape.len() < 3 {
        return bad("x", format!("rank 3 at least is needed, this has rank {}", shape.len()));
    }
    match (shape.pop(), shape.pop()) {
        (Some(width), Some(height)) => Ok((shape, height, width)),
        _ => Err(InferError::NotKnown("x")),
    }
}

fn by_factor(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (mut shape, height, width) = plane(cx)?;
    shape.push(scaled(cx, "scale_factor_height", height)?);
    shape.push(scaled(cx, "scale_factor_width", width)?);
    tensor(cx.tensor("x")?.dtype, shape)
}

/// `dim` times the factor `param`, rounded down. A fractional factor multiplies in fp32, as the format stores it:
/// 10 / 7 times 7 is then 10.
fn scaled(cx: &mut InferCx<'_>, param: &'static str, dim: Dim) -> Result<Dim, InferError> {
    let factor = cx.float(param)?;
    if !(factor > 0.0 && factor.is_finite()) {
        return bad(param, format!("{factor} where a positive number is needed"));
    }
    if factor.fract() == 0.0 && factor < 9e15 {
        let dim = cx.dims.int(dim);
        return extent(param, cx.dims.mul(dim, Int::Known(factor as i64)));
    }
    match dim.known() {
        None => Ok(cx.dims.fresh()),
        Some(n) => {
            let product = (factor as f32 * n as f32).floor();
            if product < 9e15 {
                Ok(Dim::Known(product as u64))
            } else {
                bad(param, format!("an extent of {product}"))
            }
        }
    }
}

fn resize_bilinear(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    super::sample::sampling_mode(cx)?;
    to_size(cx)
}

fn to_size(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (mut shape, _, _) = plane(cx)?;
    for param in ["target_size_height", "target_size_width"] {
        shape.push(size(cx, param)?);
    }
    tensor(cx.tensor("x")?.dtype, shape)
}

/// The positive extent that `param` states.
pub(super) fn size(cx: &InferCx<'_>, param: &'static str) -> Result<Dim, InferError> {
    match u64::try_from(cx.int(param)?) {
        Ok(n) if n > 0 => Ok(Dim::Known(n)),
        _ => bad(param, "a positive extent is needed"),
    }
}

/// The last `resized_dims` elements of `shape` are the new extents of as many last axes; 0 keeps the old one.
fn resize(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("x")?.dtype;
    match cx.text("interpolation_mode")? {
        "LINEAR" | "NEAREST_NEIGHBOR" => {}
        other => {
            return bad("interpolation_mode", format!("{other:?} is neither LINEAR nor NEAREST_NEIGHBOR"));
        }
    }
    super::sample::sampling_mode(cx)?;
    let mut shape = cx.shape("x")?.clone();
    let &[given] = cx.shape("shape")?.as_slice() else {
        return bad("shape", "a vector is needed");
    };
    let resized = cx.int("resized_dims")?;
    let Some(first) = usize::try_from(resized).ok().and_then(|n| shape.len().checked_sub(n)) else {
        return bad("resized_dims", format!("{resized} axes of rank {}", shape.len()));
    };
    if given.known().is_some_and(|n| n < resized.unsigned_abs() || n > shape.len() as u64) {
        return bad("shape", format!("{given} extents for {resized} axes of rank {}", shape.len()));
    }
    let wanted = match cx.ints("shape") {
        Ok(ints) => ints,
        Err(InferError::NotKnown(_)) => None,
        Err(e) => return Err(e),
    };
    for axis in first..shape.len() {
        let from_end = shape.len() - axis;
        let wanted = wanted.as_ref().and_then(|w| w.len().checked_sub(from_end).and_then(|i| w.get(i)));
        shape[axis] = match wanted {
            Some(Int::Known(0)) => shape[axis],
            Some(&n @ Int::Known(_)) => extent("shape", n)?,
            // an expression may turn out 0, which keeps the old extent
            Some(Int::Expr(_)) | None => cx.dims.fresh(),
        };
    }
    tensor(dtype, shape)
}

fn crop(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (mut shape, height, width) = plane(cx)?;
    for (param, dim) in [("crop_height", height), ("crop_width", width)] {
        let cut = cx.known_ints(param, 2)?;
        let &[start, end] = cut.as_slice() else {
            return bad(param, format!("two integers are needed, this has {}", cut.len()));
        };
        let dim = cx.dims.int(dim);
        let rest = cx.dims.sub(dim, Int::Known(start));
        shape.push(extent(param, cx.dims.sub(rest, Int::Known(end)))?);
    }
    tensor(cx.tensor("x")?.dtype, shape)
}
