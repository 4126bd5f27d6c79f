//! Ops about the order of elements: sorting, the largest ones, running sums, bands, positions of non-zeros.

use smallvec::smallvec;

use super::common::*;
use super::reduction::index_dtype;
use super::shape::INDEX_17;
use crate::infer::{InferCx, InferError, bad, normal_axis};
use crate::schema::DefaultValue::{Bool, Int, Text};
use crate::schema::Opset::{Ios15, Ios16, Ios17};
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, TensorType};
use anewrite_tensor::DType;

const fn last_axis() -> Param {
    constant_or("axis", Int(-1)).of(INT32)
}
const fn ascending() -> Param {
    constant_or("ascending", Bool(false)).of(BOOL)
}
const fn sort() -> Param {
    constant_or("sort", Bool(true)).of(BOOL)
}
const fn return_indices() -> Param {
    constant_or("return_indices", Bool(true)).of(BOOL)
}

const ARGSORT: &[Param] = &[value("x").of(NUMBER), last_axis(), ascending()];
const TOPK: &[Param] = &[value("x").of(NUMBER), constant_or("k", Int(1)).of(INT32), last_axis(), ascending()];
const TOPK_16: &[Param] = &[
    value("x").of(NUMBER),
    constant_or("k", Int(1)).of(INT32),
    last_axis(),
    ascending(),
    sort(),
    return_indices(),
];
const TOPK_17: &[Param] = &[
    value("x").of(NUMBER.and(SMALL_INT)),
    constant_or("k", Int(1)).of(INDEX_17),
    last_axis(),
    ascending(),
    sort(),
    return_indices(),
    constant_or("output_indices_dtype", Text("int32")).of(TEXT),
];
const CUMSUM: &[Param] = &[
    value("x").of(NUMBER),
    constant_or("axis", Int(0)).of(INT32),
    constant_or("exclusive", Bool(false)).of(BOOL),
    constant_or("reverse", Bool(false)).of(BOOL),
];
const BAND: &[Param] = &[
    value("x").of(NUMBER_BOOL),
    constant_or("lower", Int(-1)).of(INT32),
    constant_or("upper", Int(-1)).of(INT32),
];
const NON_ZERO: &[Param] = &[value("x").of(NUMBER_BOOL)];
const NMS: &[Param] = &[
    value("boxes").of(FLOAT),
    value("scores").of(FLOAT).like("boxes"),
    constant("iou_threshold").of(FLOAT).like("boxes"),
    constant("score_threshold").of(FLOAT).like("boxes"),
    constant("max_boxes").of(INT32),
    constant_or("per_class_suppression", Bool(false)).of(BOOL),
];
const NMS_17: &[Param] = &[
    value("boxes").of(FLOAT),
    value("scores").of(FLOAT).like("boxes"),
    constant("iou_threshold").of(FLOAT).like("boxes"),
    constant("max_boxes").of(INT32),
    constant_or("per_class_suppression", Bool(false)).of(BOOL),
];

pub(super) const OPS: &[OpSchema] = &[
    pure("argsort", Ios15, ARGSORT, argsort),
    pure("band_part", Ios15, BAND, same),
    pure("cumsum", Ios15, CUMSUM, cumsum),
    pure("non_maximum_suppression", Ios15, NMS, nms),
    pure("non_maximum_suppression", Ios17, NMS_17, nms_17),
    pure("non_zero", Ios15, NON_ZERO, non_zero),
    pure("topk", Ios15, TOPK, |cx| topk(cx, Some(DType::I32))),
    pure("topk", Ios16, TOPK_16, topk_16),
    pure("topk", Ios17, TOPK_17, topk_17),
];

fn argsort(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    if let Some(rank) = x.rank() {
        cx.axis("axis", rank)?;
    }
    one(TensorType { dtype: DType::I32, shape: x.shape.clone() })
}

fn cumsum(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    if let Some(rank) = cx.tensor("x")?.rank() {
        normal_axis("axis", cx.int("axis")?, rank)?;
    }
    same(cx)
}

/// Values, and their indices where `indices` has a type.
fn topk(cx: &mut InferCx<'_>, indices: Option<DType>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let mut dims = cx.shape("x")?.clone();
    let axis = cx.axis("axis", dims.len())?;
    let k = cx.int("k")?;
    match (u64::try_from(k), dims[axis]) {
        // from iOS 17 on, −1 takes all
        (Err(_), _) if k == -1 && cx.schema.is_some_and(|s| s.since >= Ios17) => {}
        (Ok(k), Dim::Known(n)) if k > n => return bad("k", format!("{k} of {n}")),
        (Ok(k), _) => dims[axis] = Dim::Known(k),
        (Err(_), _) => return bad("k", format!("{k}")),
    }
    let mut types: Types = smallvec![TensorType { dtype: x.dtype, shape: Some(dims.clone()) }.into()];
    if let Some(dtype) = indices {
        types.push(TensorType { dtype, shape: Some(dims) }.into());
    }
    Ok(types)
}

fn topk_16(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let indices = cx.flag("return_indices")?.then_some(DType::I32);
    topk(cx, indices)
}

fn topk_17(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    if !cx.flag("return_indices")? {
        if cx.arg("output_indices_dtype").is_some() {
            return bad("output_indices_dtype", "no indices are returned");
        }
        return topk(cx, None);
    }
    let dtype = index_dtype(cx, "output_indices_dtype")?;
    topk(cx, Some(dtype))
}

/// One row a non-zero element. How many there are is known only of small constants.
fn non_zero(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let rank = Dim::Known(cx.shape("x")?.len() as u64);
    let constant = cx.constant("x").filter(|t| t.count() <= MAX_COUNTED).and_then(|t| t.to_f64s().ok());
    let rows = match constant {
        Some(numbers) => Dim::Known(numbers.iter().filter(|&&n| n != 0.0).count() as u64),
        None => {
            let count = cx.dims.fresh_int();
            cx.dims.assume_at_least(count, 0);
            count.dim()
        }
    };
    tensor(DType::I32, [rows, rank])
}

/// Constants of more elements are not read to count their non-zeros.
const MAX_COUNTED: u64 = 1 << 16;

/// The three extents of `scores`, and `max_boxes`.
fn scores(cx: &InferCx<'_>) -> Result<([Dim; 3], Dim), InferError> {
    let shape = shape_of_rank(cx, "scores", 3)?;
    shape_of_rank(cx, "boxes", 3)?;
    let most = cx.int("max_boxes")?;
    let Ok(most) = u64::try_from(most) else { return bad("max_boxes", format!("{most}")) };
    match <[Dim; 3]>::try_from(shape.as_slice()) {
        Ok(dims) => Ok((dims, Dim::Known(most))),
        Err(_) => Err(InferError::NotKnown("scores")),
    }
}

/// Boxes are rows: `[batch, box, 4]`, scores `[batch, box, class]`.
fn nms(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("boxes")?.dtype;
    let ([batch, _, classes], most) = scores(cx)?;
    Ok(smallvec![
        TensorType::ranked(dtype, [batch, most, Dim::Known(4)]).into(),
        TensorType::ranked(dtype, [batch, most, classes]).into(),
        TensorType::ranked(DType::I32, [batch, most]).into(),
        TensorType::ranked(DType::I32, [batch]).into(),
    ])
}

/// Boxes are columns: `[batch, 4, box]`, scores `[batch, class, box]`.
fn nms_17(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("boxes")?.dtype;
    let ([batch, classes, _], most) = scores(cx)?;
    Ok(smallvec![
        TensorType::ranked(dtype, [batch, Dim::Known(4), most]).into(),
        TensorType::ranked(dtype, [batch, classes, most]).into(),
        TensorType::ranked(DType::I32, [batch, most]).into(),
    ])
}
