//! Reading images at computed places.

use anewrite_tensor::DType;

use super::common::*;
use super::resize::size;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{Absent, Bool, Float, Int, Text};
use crate::schema::Opset::{Ios15, Ios16, Ios17};
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::Dim;

const SINGLE: DTypes = DTypes::of(&[DType::F32]);
const U16: DTypes = DTypes::of(&[DType::U16]);

const X: Param = value("x").of(FLOAT);
const ROI: Param = value("roi").of(FLOAT).like("x");
const HEIGHT: Param = constant_or("target_height", Int(1)).of(INT32);
const WIDTH: Param = constant_or("target_width", Int(1)).of(INT32);
const NORMALIZED: Param = constant_or("normalized_coordinates", Bool(false)).of(BOOL);
const SPATIAL_SCALE: Param = constant_or("spatial_scale", Float(1.0)).of(SINGLE);
const BOX_MODE: Param = constant_or("box_coordinate_mode", Text("CORNERS_HEIGHT_FIRST")).of(TEXT);
const SAMPLING: Param = constant_or("sampling_mode", Text("DEFAULT")).of(TEXT);
const PAD_VALUE: Param = constant_or("pad_value", Float(0.0)).of(FLOAT).like("x");

const CROP_RESIZE: &[Param] = &[X, ROI, HEIGHT, WIDTH, NORMALIZED, SPATIAL_SCALE, BOX_MODE, SAMPLING];
const CROP_RESIZE_16: &[Param] =
    &[X, ROI, HEIGHT, WIDTH, NORMALIZED, SPATIAL_SCALE, BOX_MODE, SAMPLING, PAD_VALUE];
/// Without `box_indices` box n reads image n.
const CROP_RESIZE_17: &[Param] = &[
    X,
    value("boxes").of(FLOAT.and(U16)),
    value_or("box_indices", Absent).of(INT32.and(U16)),
    HEIGHT,
    WIDTH,
    NORMALIZED,
    SPATIAL_SCALE,
    BOX_MODE,
    SAMPLING,
    PAD_VALUE,
];

const fn resample_params(places: DTypes) -> [Param; 7] {
    [
        X,
        value("coordinates").of(places),
        constant("sampling_mode").of(TEXT),
        constant("padding_mode").of(TEXT),
        constant("padding_value").of(FLOAT).like("x"),
        constant("coordinates_mode").of(TEXT),
        constant("align_corners").of(BOOL),
    ]
}

const AFFINE: &[Param] = &[
    X,
    value("transform_matrix").of(FLOAT).like("x"),
    constant("output_height").of(INT32),
    constant("output_width").of(INT32),
    constant("sampling_mode").of(TEXT),
    constant("padding_mode").of(TEXT),
    constant("padding_value").of(FLOAT).like("x"),
    constant("coordinates_mode").of(TEXT),
    constant("align_corners").of(BOOL),
];

pub(super) const OPS: &[OpSchema] = &[
    pure("affine", Ios15, AFFINE, affine),
    pure("crop_resize", Ios15, CROP_RESIZE, crop_resize),
    pure("crop_resize", Ios16, CROP_RESIZE_16, crop_resize),
    pure("crop_resize", Ios17, CROP_RESIZE_17, crop_resize_17),
    pure("resample", Ios15, &resample_params(INT32.and(SINGLE)), resample),
    pure("resample", Ios16, &resample_params(NUMBER), resample),
    pure("resample", Ios17, &resample_params(NUMBER.and(SMALL_INT)), resample),
];

/// `sampling_mode` must be one that resizing knows.
pub(super) fn sampling_mode(cx: &InferCx<'_>) -> Result<(), InferError> {
    match cx.text("sampling_mode")? {
        "STRICT_ALIGN_CORNERS" | "ALIGN_CORNERS" | "UNALIGN_CORNERS" | "DEFAULT" | "OFFSET_CORNERS" => Ok(()),
        other => bad("sampling_mode", format!("{other:?} is no way to place samples")),
    }
}

fn box_mode(cx: &InferCx<'_>) -> Result<(), InferError> {
    match cx.text("box_coordinate_mode")? {
        "CORNERS_HEIGHT_FIRST"
        | "CORNERS_WIDTH_FIRST"
        | "CENTER_SIZE_HEIGHT_FIRST"
        | "CENTER_SIZE_WIDTH_FIRST" => Ok(()),
        other => bad("box_coordinate_mode", format!("{other:?} is no way to write a box")),
    }
}

/// Regions `[box, 1, 4 or 5, 1, 1]` of images `[batch, channel, height, width]`.
fn crop_resize(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    sampling_mode(cx)?;
    box_mode(cx)?;
    let x = shape_of_rank(cx, "x", 4)?;
    let boxes = shape_of_rank(cx, "roi", 5)?[0];
    tensor(cx.tensor("x")?.dtype, [boxes, x[0], x[1], size(cx, "target_height")?, size(cx, "target_width")?])
}

/// Boxes `[box, 4]`, each of one image.
fn crop_resize_17(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    sampling_mode(cx)?;
    box_mode(cx)?;
    let x = shape_of_rank(cx, "x", 4)?;
    let coordinates = cx.tensor("boxes")?.dtype;
    if cx.flag("normalized_coordinates")? && !coordinates.is_float() {
        return bad("boxes", format!("elements of {coordinates} are no normalised coordinates"));
    }
    let boxes = shape_of_rank(cx, "boxes", 2)?;
    if agreed(boxes[1], Dim::Known(4)).is_none() {
        return bad("boxes", format!("{} numbers a box where 4 are needed", boxes[1]));
    }
    if cx.arg("box_indices").is_some() {
        let count = shape_of_rank(cx, "box_indices", 1)?[0];
        if agreed(count, boxes[0]).is_none() {
            return bad("box_indices", format!("{count} indices for {} boxes", boxes[0]));
        }
    }
    tensor(cx.tensor("x")?.dtype, [boxes[0], x[1], size(cx, "target_height")?, size(cx, "target_width")?])
}

/// One place `(x, y)` for each element of the result: coordinates `[batch, height, width, 2]`.
fn resample(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (x, at) = (shape_of_rank(cx, "x", 4)?, shape_of_rank(cx, "coordinates", 4)?);
    let Some(batch) = agreed(x[0], at[0]) else {
        return bad("coordinates", format!("batch {} for {} of x", at[0], x[0]));
    };
    if agreed(at[3], Dim::Known(2)).is_none() {
        return bad("coordinates", format!("{} numbers a place where 2 are needed", at[3]));
    }
    tensor(cx.tensor("x")?.dtype, [batch, x[1], at[1], at[2]])
}

/// One 2 by 3 matrix, as six numbers, for each image or for all.
fn affine(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    for (param, only) in [
        ("sampling_mode", "bilinear"),
        ("coordinates_mode", "normalized_minus_one_to_one"),
        ("padding_mode", "constant"),
    ] {
        let name = cx.text(param)?;
        if !name.eq_ignore_ascii_case(only) {
            return bad(param, format!("{name:?} where {only} is needed"));
        }
    }
    let (x, matrix) = (shape_of_rank(cx, "x", 4)?, shape_of_rank(cx, "transform_matrix", 2)?);
    if agreed(matrix[1], Dim::Known(6)).is_none() {
        return bad("transform_matrix", format!("{} numbers where 6 are needed", matrix[1]));
    }
    tensor(cx.tensor("x")?.dtype, [x[0], x[1], size(cx, "output_height")?, size(cx, "output_width")?])
}
