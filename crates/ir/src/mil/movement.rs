//! Ops that move or repeat elements along axes: transposes, reversals, tiles, padding.

use super::common::*;
use super::ints::*;
use super::shape::{INDEX_17, MOVED_17, unknown_extents};
use crate::dims::Int;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{self, Absent, Float, Text};
use crate::schema::Opset::{Ios15, Ios17};
use crate::schema::{OpSchema, Param, Types};
use crate::types::Dim;

const TRANSPOSE: &[Param] = &[value("x").of(NUMBER_BOOL), constant("perm").of(INT32)];
const TRANSPOSE_17: &[Param] = &[value("x").of(MOVED_17), constant("perm").of(INT32)];
const REVERSE: &[Param] = &[value("x").of(NUMBER_BOOL), constant_or("axes", Absent).of(INT32)];
const REVERSE_17: &[Param] = &[value("x").of(MOVED_17), constant_or("axes", Absent).of(INT32)];
const SEQUENCE: &[Param] = &[
    value("x").of(NUMBER_BOOL),
    value("lengths").of(INT32),
    constant_or("seq_axis", DefaultValue::Int(0)).of(INT32),
    constant_or("batch_axis", DefaultValue::Int(0)).of(INT32),
];
const SEQUENCE_17: &[Param] = &[
    value("x").of(MOVED_17),
    value("lengths").of(INDEX_17),
    constant_or("seq_axis", DefaultValue::Int(0)).of(INT32),
    constant_or("batch_axis", DefaultValue::Int(0)).of(INT32),
];
const TILE: &[Param] = &[value("x").of(NUMBER_BOOL), value("reps").of(INT32)];
const PAD: &[Param] = &[
    value("x").of(FLOAT),
    value("pad").of(INT32),
    constant_or("mode", Text("constant")).of(TEXT),
    constant_or("constant_val", Float(0.0)).of(FLOAT).like("x"),
];

pub(super) const OPS: &[OpSchema] = &[
    pure("pad", Ios15, PAD, pad),
    pure("reverse", Ios15, REVERSE, reverse),
    pure("reverse", Ios17, REVERSE_17, reverse),
    pure("reverse_sequence", Ios15, SEQUENCE, reverse_sequence),
    pure("reverse_sequence", Ios17, SEQUENCE_17, reverse_sequence),
    pure("tile", Ios15, TILE, tile),
    pure("transpose", Ios15, TRANSPOSE, transpose),
    pure("transpose", Ios17, TRANSPOSE_17, transpose),
];

fn transpose(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let perm = cx.axes("perm", shape.len())?.ok_or(InferError::Missing("perm"))?;
    if perm.len() != shape.len() {
        return bad("perm", format!("{} axes for a tensor of rank {}", perm.len(), shape.len()));
    }
    if shape.len() <= 1 {
        keep_elements(cx, "x", x.dtype);
    }
    tensor(x.dtype, perm.iter().map(|&p| shape[p]))
}

fn reverse(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    if let Some(rank) = x.rank() {
        let axes = cx.axes("axes", rank)?;
        if let Some(ints) = elements(cx, "x").filter(|_| rank == 1) {
            let turned = axes.is_none_or(|a| !a.is_empty());
            let ints = if turned { ints.iter().rev().copied().collect() } else { ints.to_vec() };
            set_elements(cx, x.dtype, ints);
        }
    }
    same(cx)
}

fn reverse_sequence(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    if let Some(rank) = cx.tensor("x")?.rank() {
        cx.axis("seq_axis", rank)?;
        cx.axis("batch_axis", rank)?;
    }
    same(cx)
}

fn tile(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let Some(shape) = &x.shape else { return unknown_extents(cx, "reps", x.dtype) };
    let Some(reps) = elements(cx, "reps") else {
        let dims: Vec<Dim> = shape.iter().map(|_| cx.dims.fresh()).collect();
        return tensor(x.dtype, dims);
    };
    if reps.len() != shape.len() || reps.is_empty() {
        return bad("reps", format!("{} of them for rank {}", reps.len(), shape.len()));
    }
    let mut dims = Vec::with_capacity(reps.len());
    for (&d, &rep) in shape.iter().zip(reps) {
        dims.push(match rep {
            Int::Known(..=0) => return bad("reps", format!("{rep:?} is not positive")),
            rep if cx.dims.lower_bound(rep).is_none_or(|low| low < 0) => cx.dims.fresh(),
            rep => {
                let n = cx.dims.int(d);
                extent("reps", cx.dims.mul(n, rep))?
            }
        });
    }
    if let (Some(ints), [Int::Known(n)]) = (elements(cx, "x"), reps)
        && let Ok(n) = usize::try_from(*n)
        && n.saturating_mul(ints.len()) <= crate::infer::MAX_KNOWN_INTS
    {
        set_elements(cx, x.dtype, ints.repeat(n));
    }
    tensor(x.dtype, dims)
}

/// `pad` has two elements an axis, before and after, for the last axes of `x`.
fn pad(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    if !matches!(cx.text("mode")?, "constant" | "reflect" | "replicate") {
        return bad("mode", "constant, reflect and replicate are possible");
    }
    let length = match shape_of_rank(cx, "pad", 1)?.first() {
        Some(Dim::Known(n)) => *n,
        _ => return Err(InferError::NotKnown("pad")),
    };
    let axes = usize::try_from(length / 2).ok().filter(|&n| n <= shape.len() && length % 2 == 0);
    let Some(axes) = axes else {
        return bad("pad", format!("{length} elements for rank {}", shape.len()));
    };
    let pads = elements(cx, "pad").filter(|p| p.len() as u64 == length);
    let (outer, padded) = shape.split_at(shape.len() - axes);
    let mut dims = outer.to_vec();
    for (i, &d) in padded.iter().enumerate() {
        let both = pads.and_then(|p| p.get(2 * i).copied().zip(p.get(2 * i + 1).copied()));
        let Some((before, after)) = both else {
            dims.push(cx.dims.fresh());
            continue;
        };
        if let (Int::Known(..=-1), _) | (_, Int::Known(..=-1)) = (before, after) {
            return bad("pad", format!("{before:?} and {after:?} at axis {}", outer.len() + i));
        }
        let n = cx.dims.int(d);
        let n = cx.dims.add(n, before);
        dims.push(extent("pad", cx.dims.add(n, after))?);
    }
    tensor(x.dtype, dims)
}
