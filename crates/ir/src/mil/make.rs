//! Ops that make tensors from extents and scalars.

use anewrite_tensor::{DType, Tensor};
use half::f16;

use super::common::*;
use super::ints::*;
use super::shape::unknown_extents;
use crate::dims::Int;
use crate::infer::{InferCx, InferError, MAX_KNOWN_INTS, bad, normal_axis};
use crate::schema::DefaultValue::{self, Float};
use crate::schema::Opset::{Ios15, Ios16};
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, TensorType};

const FILL: &[Param] = &[value("shape").of(INT32), constant_or("value", Float(0.0)).of(NUMBER_BOOL)];
const FILL_LIKE: &[Param] =
    &[value("ref_tensor").of(NUMBER_BOOL), constant_or("value", Float(0.0)).of(NUMBER_BOOL)];
const RANGE: &[Param] =
    &[value("end").of(NUMBER), value("start").of(NUMBER).like("end"), value("step").of(NUMBER).like("end")];
const ONE_HOT: &[Param] = &[
    value("indices").of(INT32),
    value("one_hot_vector_size").of(INT32),
    constant_or("axis", DefaultValue::Int(-1)).of(INT32),
    constant_or("on_value", DefaultValue::Int(1)).of(NUMBER_BOOL),
    constant_or("off_value", DefaultValue::Int(0)).of(NUMBER_BOOL).like("on_value"),
];

pub(super) const OPS: &[OpSchema] = &[
    pure("fill", Ios15, FILL, fill),
    pure("fill_like", Ios16, FILL_LIKE, fill_like),
    pure("one_hot", Ios15, ONE_HOT, one_hot),
    pure("range_1d", Ios15, RANGE, range_1d),
];

/// The element type of `value`, single precision where it is left out.
fn value_dtype(cx: &InferCx<'_>) -> Result<DType, InferError> {
    match cx.arg("value") {
        Some(_) => Ok(cx.tensor("value")?.dtype),
        None => Ok(DType::F32),
    }
}

fn fill(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = value_dtype(cx)?;
    let Some(shape) = elements(cx, "shape") else { return unknown_extents(cx, "shape", dtype) };
    let mut dims = Vec::with_capacity(shape.len());
    for &n in shape {
        dims.push(match n {
            Int::Known(_) => extent("shape", n)?,
            n if cx.dims.lower_bound(n).is_some_and(|low| low >= 0) => n.dim(),
            _ => cx.dims.fresh(),
        });
    }
    product(cx.dims, &dims, "shape")?;
    let ty = TensorType::ranked(dtype, dims);
    fill_elements(cx, &ty);
    one(ty)
}

fn fill_elements(cx: &mut InferCx<'_>, ty: &TensorType) {
    if let (Some(n), Some(count)) = (element(cx, "value"), ty.count())
        && count <= MAX_KNOWN_INTS as u64
    {
        set_elements(cx, ty.dtype, vec![n; count as usize]);
    }
}

fn fill_like(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let ty = TensorType { dtype: value_dtype(cx)?, shape: cx.tensor("ref_tensor")?.shape.clone() };
    fill_elements(cx, &ty);
    one(ty)
}

/// The depth stands at `axis` of the result. Without values the result is `int32`.
fn one_hot(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let given = if cx.arg("on_value").is_some() { "on_value" } else { "off_value" };
    let dtype = match cx.arg(given) {
        Some(_) => cx.tensor(given)?.dtype,
        None => DType::I32,
    };
    let mut dims = cx.shape("indices")?.clone();
    let axis = normal_axis("axis", cx.int("axis")?, dims.len() + 1)?;
    let depth = match element(cx, "one_hot_vector_size") {
        Some(n @ Int::Known(_)) => extent("one_hot_vector_size", n)?,
        Some(n) if cx.dims.lower_bound(n).is_some_and(|low| low >= 0) => n.dim(),
        _ => cx.dims.fresh(),
    };
    dims.insert(axis, depth);
    tensor(dtype, dims)
}

/// `start`, `start + step`… below `end` (above it for a negative step).
fn range_1d(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("end")?.dtype;
    let bounds = (element(cx, "start"), element(cx, "end"), element(cx, "step"));
    let (Some(start), Some(end), Some(step)) = bounds else {
        let count = match real_count(cx, dtype)? {
            Some(n) => Dim::Known(n),
            None => cx.dims.fresh(),
        };
        return tensor(dtype, [count]);
    };
    let Int::Known(step) = step else { return tensor(dtype, [cx.dims.fresh()]) };
    let (from, to) = match step {
        0 => return bad("step", "0"),
        1.. => (start, end),
        _ => (end, start),
    };
    let length = cx.dims.sub(to, from);
    let length = cx.dims.max(Int::Known(0), length);
    let by = Int::Known(step.saturating_abs());
    let rounded = cx.dims.add(length, Int::Known(step.saturating_abs() - 1));
    let count = cx.dims.floor_div(rounded, by);
    if let Int::Known(count @ 0..) = count
        && count <= MAX_KNOWN_INTS as i64
    {
        let at = |i: i64| i.checked_mul(step);
        let offsets: Option<Vec<i64>> = (0..count).map(at).collect();
        let ints = offsets.map(|o| o.into_iter().map(|o| cx.dims.add(start, Int::Known(o))).collect());
        if let Some(ints) = ints {
            set_elements(cx, dtype, ints);
        }
    }
    tensor(dtype, [extent("end", count)?])
}

/// The number of steps between real constants, in the precision of `dtype`: rounding decides where the ends nearly
/// meet.
fn real_count(cx: &InferCx<'_>, dtype: DType) -> Result<Option<u64>, InferError> {
    let number = |param| cx.constant(param).and_then(Tensor::scalar_f64);
    let (Some(start), Some(end), Some(step)) = (number("start"), number("end"), number("step")) else {
        return Ok(None);
    };
    let rounded = |x: f64| match dtype {
        DType::F16 => f64::from(f16::from_f64(x)),
        DType::F32 => f64::from(x as f32),
        _ => x,
    };
    let count = rounded(rounded(end - start) / step).ceil();
    if !count.is_finite() || count >= MAX_STEPS {
        return bad("step", format!("{step} from {start} to {end} makes {count} elements"));
    }
    Ok(Some(count.max(0.0) as u64))
}

/// Counts from here on do not convert to an extent without loss.
const MAX_STEPS: f64 = 9e15;
