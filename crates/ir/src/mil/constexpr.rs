//! Weights that are stored in less space and computed before the model runs.
//!
//! The forms of iOS 16 keep their parameters in the op's attributes, those of iOS 18 in its arguments, where one
//! `constexpr` op may feed another.

use anewrite_tensor::DType;
use smallvec::smallvec;

use super::common::*;
use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad, normal_axis};
use crate::schema::DefaultValue::Absent;
use crate::schema::Opset::{Ios16, Ios18};
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::{Dim, Shape, TensorType};

const U8: DTypes = DTypes::of(&[DType::U8]);
const U32: DTypes = DTypes::of(&[DType::U32]);
const U1: DTypes = DTypes::of(&[DType::U1]);
const BYTES: DTypes = DTypes::of(&[DType::U8, DType::I8]);
const HALF: DTypes = DTypes::of(&[DType::F16]);
const ENTRIES: DTypes = BYTES.and(FLOAT);
const INDICES: DTypes = DTypes::of(&[DType::U1, DType::U2, DType::U3, DType::U4, DType::U6, DType::U8]);
const QUANTIZED: DTypes = DTypes::of(&[DType::I4, DType::U4]).and(BYTES).and(FLOAT);

const AFFINE: &[Param] = &[
    constant("quantized_data").of(BYTES),
    constant("zero_point").of(BYTES.and(DTypes::of(&[DType::F32]))),
    constant("scale").of(FLOAT),
    constant("axis").of(INT32),
];
const CAST: &[Param] = &[constant("source_val").of(HALF), constant("output_dtype").of(TEXT)];
const SHAPE: Param = constant("shape").of(U32);
const LUT_OF: Param = constant("lut").of(ENTRIES);
const VECTOR_AXIS: Param = constant_or("vector_axis", Absent).of(INT32);
const LUT_16: &[Param] = &[constant("indices").of(U8), LUT_OF, SHAPE];
const LUT: &[Param] = &[constant("indices").of(INDICES), LUT_OF, VECTOR_AXIS];
const SPARSE_16: &[Param] = &[constant("nonzero_data").of(ENTRIES), constant("mask").of(U8), SHAPE];
const SPARSE: &[Param] = &[constant("nonzero_data").of(QUANTIZED), constant("mask").of(U1)];
const SPARSE_LUT: &[Param] =
    &[constant("indices_mask").of(U1), constant("indices_nonzero_data").of(INDICES), LUT_OF, VECTOR_AXIS];
const SCALE: Param = constant("scale").of(FLOAT);
const OFFSET: Param = constant_or("offset", Absent).of(QUANTIZED);
const SHIFT_SCALE: &[Param] = &[constant("data").of(QUANTIZED), SCALE, OFFSET];
const SPARSE_SHIFT_SCALE: &[Param] =
    &[constant("data_mask").of(U1), constant("nonzero_data").of(QUANTIZED), SCALE, OFFSET];

pub(super) const OPS: &[OpSchema] = &[
    pure("constexpr_affine_dequantize", Ios16, AFFINE, affine_dequantize),
    pure("constexpr_blockwise_shift_scale", Ios18, SHIFT_SCALE, blockwise_shift_scale),
    pure("constexpr_cast", Ios16, CAST, cast),
    pure("constexpr_lut_to_dense", Ios16, LUT_16, lut_to_dense_16),
    pure("constexpr_lut_to_dense", Ios18, LUT, lut_to_dense),
    pure("constexpr_lut_to_sparse", Ios18, SPARSE_LUT, lut_to_sparse),
    pure("constexpr_sparse_blockwise_shift_scale", Ios18, SPARSE_SHIFT_SCALE, sparse_shift_scale),
    pure("constexpr_sparse_to_dense", Ios16, SPARSE_16, sparse_to_dense_16),
    pure("constexpr_sparse_to_dense", Ios18, SPARSE, sparse_to_dense),
];

fn affine_dequantize(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let data = cx.tensor("quantized_data")?;
    let dtype = cx.tensor("scale")?.dtype;
    let shape = cx.shape("quantized_data")?;
    let along = shape[cx.axis("axis", shape.len())?];
    for param in ["scale", "zero_point"] {
        match cx.shape(param)?.as_slice() {
            [] => {}
            [n] if agreed(*n, along).is_some() => {}
            other => {
                return bad(
                    param,
                    format!("extents {} where a scalar or {along} elements are needed", shown(other)),
                );
            }
        }
    }
    one(TensorType { dtype, shape: data.shape.clone() })
}

fn cast(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let shape = cx.tensor("source_val")?.shape.clone();
    match named_dtype(cx, "output_dtype")? {
        dtype @ DType::F32 => one(TensorType { dtype, shape }),
        other => bad("output_dtype", format!("{other} where fp32 is needed")),
    }
}

/// The result's extents as the iOS 16 forms state them, and their product.
fn stated_shape(cx: &InferCx<'_>) -> Result<(Shape, u64), InferError> {
    let ints = cx.known_ints("shape", 0)?;
    let ints: Vec<Int> = ints.into_iter().map(Int::Known).collect();
    let shape = extents("shape", &ints)?;
    let count = shape.iter().try_fold(1u64, |n, d| n.checked_mul(d.known()?));
    match count.filter(|&n| n < 1 << 60) {
        Some(n) => Ok((shape, n)),
        None => bad("shape", "the product of its extents is over 2^60"),
    }
}

/// The extent of the vector `param`.
fn vector(cx: &InferCx<'_>, param: &'static str) -> Result<Dim, InferError> {
    Ok(shape_of_rank(cx, param, 1)?[0])
}

/// `param` must hold `bits` bits for each of `count` elements, packed into bytes.
fn packed(cx: &InferCx<'_>, param: &'static str, count: u64, bits: u64) -> Result<(), InferError> {
    let want = count.checked_mul(bits).map(|b| b.div_ceil(8));
    match (vector(cx, param)?.known(), want) {
        (Some(have), Some(want)) if have != want => {
            bad(param, format!("{have} bytes where {want} are needed"))
        }
        (_, None) => bad("shape", "the product of its extents is too large"),
        _ => Ok(()),
    }
}

fn lut_to_dense_16(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("lut")?.dtype;
    let (shape, count) = stated_shape(cx)?;
    let bits = match vector(cx, "lut")? {
        Dim::Known(n @ (2 | 4 | 16 | 64 | 256)) => u64::from(n.trailing_zeros()),
        other => return bad("lut", format!("{other} elements where 2, 4, 16, 64 or 256 are needed")),
    };
    packed(cx, "indices", count, bits)?;
    tensor(dtype, shape)
}

fn sparse_to_dense_16(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("nonzero_data")?.dtype;
    vector(cx, "nonzero_data")?;
    let (shape, count) = stated_shape(cx)?;
    packed(cx, "mask", count, 1)?;
    tensor(dtype, shape)
}

/// The extent over which one look-up spreads, and the axis: `lut` is `[groups…, entries, vector]` with one group
/// axis for each axis of the indices.
fn lut_fits(
    cx: &InferCx<'_>,
    indices: &[Dim],
    param: &'static str,
) -> Result<Option<(usize, u64)>, InferError> {
    let bits = cx.tensor(param)?.dtype.bits();
    let lut = cx.shape("lut")?;
    let Some((groups, &[entries, vector])) = lut.split_last_chunk::<2>() else {
        return bad("lut", format!("rank {} is too low", lut.len()));
    };
    if indices.is_empty() || groups.len() != indices.len() {
        return bad("lut", format!("rank {} for indices of rank {}", lut.len(), indices.len()));
    }
    divides("lut", groups, indices)?;
    if entries.known().is_some_and(|n| n != 1 << bits) {
        return bad("lut", format!("{entries} entries for indices of {bits} bits"));
    }
    let Some(width) = vector.known() else { return Err(InferError::NotKnown("lut")) };
    match cx.ints("vector_axis")? {
        Some(_) => {
            let axis = normal_axis("vector_axis", cx.int("vector_axis")?, indices.len())?;
            Ok((width != 1).then_some((axis, width)))
        }
        None if width > 1 => bad("vector_axis", format!("it is needed for vectors of {width}")),
        None => Ok(None),
    }
}

/// Every extent of `small` must divide its counterpart.
fn divides(param: &'static str, small: &[Dim], large: &[Dim]) -> Result<(), InferError> {
    let whole = |(a, b): (&Dim, &Dim)| match (a.known(), b.known()) {
        (Some(a), Some(b)) => b.checked_rem(a) == Some(0),
        _ => true,
    };
    if small.len() == large.len() && small.iter().zip(large).all(whole) {
        return Ok(());
    }
    bad(param, format!("extents {} do not divide {}", shown(small), shown(large)))
}

/// `dim * n`.
fn times(dim: Dim, n: u64, param: &'static str) -> Result<Dim, InferError> {
    match dim.known().map(|d| d.checked_mul(n)) {
        Some(Some(d)) => Ok(Dim::Known(d)),
        Some(None) => bad(param, "an extent over 2^64"),
        None => Ok(Dim::Unknown),
    }
}

fn lut_to_dense(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let mut shape = cx.shape("indices")?.clone();
    let dtype = cx.tensor("lut")?.dtype;
    if let Some((axis, width)) = lut_fits(cx, &shape, "indices")? {
        shape[axis] = times(shape[axis], width, "lut")?;
    }
    tensor(dtype, shape)
}

fn lut_to_sparse(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let mask = cx.tensor("indices_mask")?.dtype;
    let mut shape = cx.shape("indices_mask")?.clone();
    let dtype = cx.tensor("lut")?.dtype;
    let mut count = vector(cx, "indices_nonzero_data")?;
    if let Some((axis, width)) = lut_fits(cx, &shape, "indices_nonzero_data")? {
        shape[axis] = times(shape[axis], width, "lut")?;
        count = times(count, width, "lut")?;
    }
    Ok(smallvec![TensorType::ranked(mask, shape).into(), TensorType::ranked(dtype, [count]).into()])
}

/// One scale, and one offset if any, for each block of `data`.
fn scales_fit(cx: &InferCx<'_>, data: &[Dim], param: &'static str) -> Result<DType, InferError> {
    let of = cx.tensor(param)?.dtype;
    let dtype = cx.tensor("scale")?.dtype;
    let scale = cx.shape("scale")?;
    if data.is_empty() {
        return bad(param, "a scalar has no blocks");
    }
    divides("scale", scale, data)?;
    if cx.arg("offset").is_some() {
        let offset = cx.tensor("offset")?;
        if !offset.dtype.is_float() && offset.dtype != of {
            return bad("offset", format!("elements of {} for {of}", offset.dtype));
        }
        agreed_shapes("offset", scale, cx.shape("offset")?)?;
    }
    Ok(dtype)
}

fn blockwise_shift_scale(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let data = cx.shape("data")?;
    let dtype = scales_fit(cx, data, "data")?;
    tensor(dtype, data.iter().copied())
}

fn sparse_shift_scale(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let mask = cx.tensor("data_mask")?;
    let count = vector(cx, "nonzero_data")?;
    let dtype = scales_fit(cx, cx.shape("data_mask")?, "nonzero_data")?;
    Ok(smallvec![mask.clone().into(), TensorType::ranked(dtype, [count]).into()])
}

fn sparse_to_dense(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("nonzero_data")?.dtype;
    vector(cx, "nonzero_data")?;
    tensor(dtype, cx.shape("mask")?.iter().copied())
}
