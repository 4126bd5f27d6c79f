//! Ops that pick or write elements by index.

use super::common::*;
use super::ints::*;
use super::shape::INDEX_17;
use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{self, Bool, Text};
use crate::schema::Opset::{Ios15, Ios16, Ios17};
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::{Dim, Shape};
use anewrite_tensor::DType;

const INDICES_16: DTypes = INT32.and(DTypes::of(&[DType::I16, DType::U16]));
const INDICES_17: DTypes = INDEX_17.and(SMALL_INT);
const DATA_17: DTypes = NUMBER.and(SMALL_INT);

const fn axis() -> Param {
    constant_or("axis", DefaultValue::Int(0)).of(INT32)
}
const fn batch_dims() -> Param {
    constant_or("batch_dims", DefaultValue::Int(0)).of(INT32)
}
const fn validate() -> Param {
    constant_or("validate_indices", Bool(false)).of(BOOL)
}
const fn mode() -> Param {
    constant_or("mode", Text("add")).of(TEXT)
}

const GATHER: &[Param] = &[value("x").of(NUMBER), value("indices").of(INT32), axis()];
const GATHER_16: &[Param] = &[value("x").of(NUMBER), value("indices").of(INDICES_16), axis(), batch_dims()];
const GATHER_17: &[Param] =
    &[value("x").of(DATA_17), value("indices").of(INDICES_17), axis(), batch_dims(), validate()];
const ALONG_16: &[Param] = &[value("x").of(NUMBER), value("indices").of(INDICES_16), axis()];
const ALONG_17: &[Param] = &[value("x").of(DATA_17), value("indices").of(INDICES_17), axis(), validate()];
const ND: &[Param] = &[value("x").of(NUMBER), value("indices").of(INT32)];
const ND_16: &[Param] = &[value("x").of(NUMBER), value("indices").of(INDICES_16), batch_dims()];
const ND_17: &[Param] = &[value("x").of(DATA_17), value("indices").of(INDICES_17), batch_dims(), validate()];
const SCATTER: &[Param] = &[
    value("data").of(NUMBER),
    value("indices").of(INT32),
    value("updates").of(NUMBER).like("data"),
    axis(),
    mode(),
];
const SCATTER_17: &[Param] = &[
    value("data").of(NUMBER),
    value("indices").of(INT32),
    value("updates").of(NUMBER).like("data"),
    axis(),
    mode(),
    validate(),
];
const SCATTER_ND: &[Param] =
    &[value("data").of(NUMBER), value("indices").of(INT32), value("updates").of(NUMBER).like("data"), mode()];
const SCATTER_ND_17: &[Param] = &[
    value("data").of(NUMBER),
    value("indices").of(INT32),
    value("updates").of(NUMBER).like("data"),
    mode(),
    validate(),
];

pub(super) const OPS: &[OpSchema] = &[
    pure("gather", Ios15, GATHER, gather),
    pure("gather", Ios16, GATHER_16, gather),
    pure("gather", Ios17, GATHER_17, gather),
    pure("gather_along_axis", Ios15, GATHER, gather_along_axis),
    pure("gather_along_axis", Ios16, ALONG_16, gather_along_axis),
    pure("gather_along_axis", Ios17, ALONG_17, gather_along_axis),
    pure("gather_nd", Ios15, ND, gather_nd),
    pure("gather_nd", Ios16, ND_16, gather_nd),
    pure("gather_nd", Ios17, ND_17, gather_nd),
    pure("scatter", Ios15, SCATTER, scatter),
    pure("scatter", Ios17, SCATTER_17, scatter),
    pure("scatter_along_axis", Ios15, SCATTER, scatter_along_axis),
    pure("scatter_along_axis", Ios17, SCATTER_17, scatter_along_axis),
    pure("scatter_nd", Ios15, SCATTER_ND, scatter_nd),
    pure("scatter_nd", Ios17, SCATTER_ND_17, scatter_nd),
];

/// `batch_dims`, which forms before iOS 16 do not have, at most `most`.
fn leading(cx: &InferCx<'_>, most: usize) -> Result<usize, InferError> {
    if cx.schema.is_some_and(|s| s.param("batch_dims").is_none()) {
        return Ok(0);
    }
    let n = cx.int("batch_dims")?;
    match usize::try_from(n) {
        Ok(n) if n <= most => Ok(n),
        _ => bad("batch_dims", format!("{n}, where at most {most} is possible")),
    }
}

/// The indices' extents, without the batch ones, take the place of the axis.
fn gather(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let (shape, indices) = (cx.shape("x")?, cx.shape("indices")?);
    let axis = cx.axis("axis", shape.len())?;
    let batch = leading(cx, indices.len().min(shape.len() - 1))?;
    if let (Some(ints), Some(places), 1) = (elements(cx, "x"), elements(cx, "indices"), shape.len()) {
        let pick = |n: &Int| {
            let n = n.known()?;
            let n = if n < 0 { n.checked_add(ints.len() as i64)? } else { n };
            ints.get(usize::try_from(n).ok()?).copied()
        };
        if let Some(picked) = places.iter().map(pick).collect() {
            set_elements(cx, x.dtype, picked);
        }
    }
    let (before, after) = (shape.iter().take(axis), shape.iter().skip(axis + 1));
    tensor(x.dtype, before.chain(indices.iter().skip(batch)).chain(after).copied())
}

/// Shapes are equal but along `axis`.
fn same_but_along(
    param: &'static str,
    shape: &Shape,
    other: &Shape,
    axis: usize,
) -> Result<Shape, InferError> {
    let mut expected = shape.clone();
    match (expected.get_mut(axis), other.get(axis)) {
        (Some(d), Some(&n)) => *d = n,
        _ => return bad(param, format!("rank {} against {}", other.len(), shape.len())),
    }
    agreed_shapes(param, &expected, other)
}

fn gather_along_axis(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let (shape, indices) = (cx.shape("x")?, cx.shape("indices")?);
    let axis = cx.axis("axis", shape.len())?;
    tensor(x.dtype, same_but_along("indices", shape, indices, axis)?)
}

/// The last extent of the indices, and the others.
fn index_depth<'a>(cx: &InferCx<'a>) -> Result<(usize, &'a [Dim]), InferError> {
    match cx.shape("indices")?.as_slice() {
        [outer @ .., Dim::Known(depth)] => Ok((usize::try_from(*depth).unwrap_or(usize::MAX), outer)),
        [_, ..] => Err(InferError::NotKnown("indices")),
        [] => bad("indices", "rank 1 or more is needed, this is a scalar"),
    }
}

/// The extents of what indices of that depth pick, counted from axis `batch`.
fn picked(shape: &Shape, depth: usize, batch: usize) -> Result<&[Dim], InferError> {
    match depth.checked_add(batch).and_then(|n| shape.get(n..)) {
        Some(rest) => Ok(rest),
        None => bad("indices", format!("a last extent of {depth} for rank {}", shape.len())),
    }
}

fn gather_nd(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let batch = leading(cx, shape.len())?;
    let (depth, outer) = index_depth(cx)?;
    tensor(x.dtype, outer.iter().chain(picked(shape, depth, batch)?).copied())
}

fn data(cx: &InferCx<'_>) -> Result<Types, InferError> {
    one(cx.tensor("data")?.clone())
}

fn scatter(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (shape, indices) = (cx.shape("data")?, cx.shape("indices")?);
    let axis = cx.axis("axis", shape.len())?;
    let (before, after) = (shape.iter().take(axis), shape.iter().skip(axis + 1));
    let expected: Shape = before.chain(indices).chain(after).copied().collect();
    agreed_shapes("updates", &expected, cx.shape("updates")?)?;
    data(cx)
}

fn scatter_along_axis(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (shape, indices) = (cx.shape("data")?, cx.shape("indices")?);
    let axis = cx.axis("axis", shape.len())?;
    same_but_along("indices", shape, indices, axis)?;
    agreed_shapes("updates", indices, cx.shape("updates")?)?;
    data(cx)
}

fn scatter_nd(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let shape = cx.shape("data")?;
    let (depth, outer) = index_depth(cx)?;
    let expected: Shape = outer.iter().chain(picked(shape, depth, 0)?).copied().collect();
    agreed_shapes("updates", &expected, cx.shape("updates")?)?;
    data(cx)
}
