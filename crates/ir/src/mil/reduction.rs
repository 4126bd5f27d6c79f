//! Reductions over axes, and the index of the extreme along one.

use anewrite_tensor::DType;

use super::common::*;
use super::ints::*;
use crate::dims::{DimTable, Int};
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{self, Absent, Bool, Text};
use crate::schema::Opset::{Ios15, Ios17};
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, Shape};

const AXES: &[Param] = &[
    value("x").of(NUMBER),
    constant_or("axes", Absent).of(INT32),
    constant_or("keep_dims", Bool(false)).of(BOOL),
];
const AXIS: &[Param] = &[
    value("x").of(NUMBER),
    constant_or("axis", DefaultValue::Int(-1)).of(INT32),
    constant_or("keep_dims", Bool(false)).of(BOOL),
];
const AXIS_17: &[Param] = &[
    value("x").of(NUMBER),
    constant_or("axis", DefaultValue::Int(-1)).of(INT32),
    constant_or("keep_dims", Bool(false)).of(BOOL),
    constant_or("output_dtype", Text("int32")).of(TEXT),
];

pub(super) const OPS: &[OpSchema] = &[
    pure("reduce_argmax", Ios15, AXIS, |cx| arg(cx, DType::I32)),
    pure("reduce_argmax", Ios17, AXIS_17, arg_17),
    pure("reduce_argmin", Ios15, AXIS, |cx| arg(cx, DType::I32)),
    pure("reduce_argmin", Ios17, AXIS_17, arg_17),
    pure("reduce_l1_norm", Ios15, AXES, reduce),
    pure("reduce_l2_norm", Ios15, AXES, reduce),
    pure("reduce_log_sum", Ios15, AXES, reduce),
    pure("reduce_log_sum_exp", Ios15, AXES, reduce),
    pure("reduce_max", Ios15, AXES, |cx| fold(cx, DimTable::max)),
    pure("reduce_mean", Ios15, AXES, reduce),
    pure("reduce_min", Ios15, AXES, |cx| fold(cx, DimTable::min)),
    pure("reduce_prod", Ios15, AXES, |cx| fold(cx, DimTable::mul)),
    pure("reduce_sum", Ios15, AXES, |cx| fold(cx, DimTable::add)),
    pure("reduce_sum_square", Ios15, AXES, reduce),
];

/// `axes` left out means all of them.
fn reduce(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let axes = cx.axes("axes", shape.len())?;
    tensor(x.dtype, reduced(shape, axes.as_deref(), cx.flag("keep_dims")?))
}

fn reduced(shape: &Shape, axes: Option<&[usize]>, keep: bool) -> Shape {
    let mut gone = vec![axes.is_none(); shape.len()];
    for &axis in axes.unwrap_or_default() {
        gone[axis] = true;
    }
    let kept = shape.iter().zip(gone).filter_map(|(&d, gone)| match (gone, keep) {
        (false, _) => Some(d),
        (true, true) => Some(Dim::Known(1)),
        (true, false) => None,
    });
    kept.collect()
}

/// A reduction whose result is known where all elements reduce to one and are known.
fn fold(cx: &mut InferCx<'_>, f: impl Fn(&mut DimTable, Int, Int) -> Int) -> Result<Types, InferError> {
    let types = reduce(cx)?;
    let result = types.first().and_then(|t| t.tensor());
    if let (Some([first, rest @ ..]), Some(result)) = (elements(cx, "x"), result)
        && result.count() == Some(1)
    {
        let all = rest.iter().fold(*first, |sum, &n| f(cx.dims, sum, n));
        set_elements(cx, result.dtype, vec![all]);
    }
    Ok(types)
}

fn arg(cx: &mut InferCx<'_>, dtype: DType) -> Result<Types, InferError> {
    let shape = cx.shape("x")?;
    let axis = cx.axis("axis", shape.len())?;
    tensor(dtype, reduced(shape, Some(&[axis]), cx.flag("keep_dims")?))
}

fn arg_17(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = index_dtype(cx, "output_dtype")?;
    arg(cx, dtype)
}

/// The element type of indices that an op of iOS 17 returns: `int32` or `uint16`.
pub(super) fn index_dtype(cx: &InferCx<'_>, param: &'static str) -> Result<DType, InferError> {
    match cx.text(param)?.to_ascii_lowercase().as_str() {
        "int32" => Ok(DType::I32),
        "uint16" => Ok(DType::U16),
        name => bad(param, format!("{name:?}, where int32 and uint16 are possible")),
    }
}
