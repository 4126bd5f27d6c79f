//! Ops that trade height and width against channels or batch, and crop. The last two axes are height and width.

use super::common::*;
use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::Opset::{Ios15, Ios16};
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::Dim;
use anewrite_tensor::DType;

const BLOCK: &[Param] = &[value("x").of(FLOAT), constant("block_size").of(INT32)];
const UPSCALE: &[Param] = &[value("x").of(FLOAT), constant("upscale_factor").of(INT32)];
const DOWNSCALE: &[Param] =
    &[value("x").of(FLOAT), constant("downscale_factor").of(DTypes::of(&[DType::U32]))];
const TO_BATCH: &[Param] =
    &[value("x").of(FLOAT), constant("block_shape").of(INT32), constant("paddings").of(INT32)];
const FROM_BATCH: &[Param] =
    &[value("x").of(FLOAT), constant("block_shape").of(INT32), constant("crops").of(INT32)];
const CROP: &[Param] =
    &[value("x").of(FLOAT), constant("crop_height").of(INT32), constant("crop_width").of(INT32)];

pub(super) const OPS: &[OpSchema] = &[
    pure("batch_to_space", Ios15, FROM_BATCH, batch_to_space),
    pure("crop", Ios15, CROP, crop),
    pure("depth_to_space", Ios15, BLOCK, |cx| to_space(cx, "block_size")),
    pure("pixel_shuffle", Ios15, UPSCALE, |cx| to_space(cx, "upscale_factor")),
    pure("pixel_unshuffle", Ios16, DOWNSCALE, |cx| to_depth(cx, "downscale_factor")),
    pure("space_to_batch", Ios15, TO_BATCH, space_to_batch),
    pure("space_to_depth", Ios15, BLOCK, |cx| to_depth(cx, "block_size")),
];

/// The four extents of `x` as integers.
fn nchw(cx: &mut InferCx<'_>) -> Result<[Int; 4], InferError> {
    let shape = shape_of_rank(cx, "x", 4)?;
    let mut out = [Int::Known(0); 4];
    for (n, &d) in out.iter_mut().zip(shape) {
        *n = cx.dims.int(d);
    }
    Ok(out)
}

/// A factor and its square.
fn factor(cx: &InferCx<'_>, param: &'static str) -> Result<(Int, Int), InferError> {
    let f = cx.int(param)?;
    match f.checked_mul(f) {
        Some(square) if f > 0 => Ok((Int::Known(f), Int::Known(square))),
        _ => bad(param, format!("a factor of {f}")),
    }
}

fn times(cx: &mut InferCx<'_>, n: Int, by: Int) -> Result<Dim, InferError> {
    extent("x", cx.dims.mul(n, by))
}

/// `n / by`, which must leave no rest.
fn over(cx: &mut InferCx<'_>, n: Int, by: Int) -> Result<Dim, InferError> {
    if let (Int::Known(n), Int::Known(by)) = (n, by)
        && n.checked_rem(by) != Some(0)
    {
        return bad("x", format!("an extent of {n}, which {by} does not divide"));
    }
    extent("x", cx.dims.floor_div(n, by))
}

fn to_space(cx: &mut InferCx<'_>, param: &'static str) -> Result<Types, InferError> {
    let dtype = cx.tensor("x")?.dtype;
    let ([n, c, h, w], (f, square)) = (nchw(cx)?, factor(cx, param)?);
    let dims = [n.dim(), over(cx, c, square)?, times(cx, h, f)?, times(cx, w, f)?];
    tensor(dtype, dims)
}

fn to_depth(cx: &mut InferCx<'_>, param: &'static str) -> Result<Types, InferError> {
    let dtype = cx.tensor("x")?.dtype;
    let ([n, c, h, w], (f, square)) = (nchw(cx)?, factor(cx, param)?);
    let dims = [n.dim(), times(cx, c, square)?, over(cx, h, f)?, over(cx, w, f)?];
    tensor(dtype, dims)
}

/// Block height and width, and what is added or taken before and after each: `[top, bottom, left, right]`.
fn blocks(cx: &InferCx<'_>, edges: &'static str) -> Result<([i64; 2], [i64; 4]), InferError> {
    let block: [i64; 2] = match <[i64; 2]>::try_from(cx.known_ints("block_shape", 2)?) {
        Ok([h, w]) if h > 0 && w > 0 => [h, w],
        _ => return bad("block_shape", "two positive extents are needed"),
    };
    match <[i64; 4]>::try_from(cx.known_ints(edges, 4)?) {
        Ok(e) if e.iter().all(|&n| n >= 0) => Ok((block, e)),
        _ => bad(edges, "two rows of two extents are needed"),
    }
}

fn space_to_batch(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("x")?.dtype;
    let ([n, c, h, w], (block, edges)) = (nchw(cx)?, blocks(cx, "paddings")?);
    let [bh, bw] = block.map(Int::Known);
    let [top, bottom, left, right] = edges.map(Int::Known);
    let batch = cx.dims.mul(bh, bw);
    let batch = times(cx, n, batch)?;
    let padded = |cx: &mut InferCx<'_>, n, a, b| {
        let n = cx.dims.add(n, a);
        cx.dims.add(n, b)
    };
    let (h, w) = (padded(cx, h, top, bottom), padded(cx, w, left, right));
    let dims = [batch, c.dim(), over(cx, h, bh)?, over(cx, w, bw)?];
    tensor(dtype, dims)
}

fn batch_to_space(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("x")?.dtype;
    let ([n, c, h, w], (block, edges)) = (nchw(cx)?, blocks(cx, "crops")?);
    let [bh, bw] = block.map(Int::Known);
    let batch = cx.dims.mul(bh, bw);
    let batch = over(cx, n, batch)?;
    let (h, w) = (cx.dims.mul(h, bh), cx.dims.mul(w, bw));
    let [top, bottom, left, right] = edges;
    let dims = [batch, c.dim(), cropped(cx, h, top, bottom)?, cropped(cx, w, left, right)?];
    tensor(dtype, dims)
}

fn cropped(cx: &mut InferCx<'_>, n: Int, before: i64, after: i64) -> Result<Dim, InferError> {
    let n = cx.dims.sub(n, Int::Known(before));
    extent("x", cx.dims.sub(n, Int::Known(after)))
}

fn crop(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let [outer @ .., h, w] = shape.as_slice() else { return bad("x", "rank 3 or more is needed") };
    if outer.is_empty() {
        return bad("x", "rank 3 or more is needed, this has rank 2");
    }
    let mut dims = outer.to_vec();
    for (param, &n) in [("crop_height", h), ("crop_width", w)] {
        let n = cx.dims.int(n);
        match cx.known_ints(param, 2)?.as_slice() {
            &[before, after] if before >= 0 && after >= 0 => dims.push(cropped(cx, n, before, after)?),
            _ => return bad(param, "two extents are needed"),
        }
    }
    tensor(x.dtype, dims)
}
