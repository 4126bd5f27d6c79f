//! Attention.

use rayon::prelude::*;

use crate::array::{Array, Data};
use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::gemm::{Matrix, View, accumulate};
use crate::kernel::{Table, real};
use crate::math::Math;
use crate::ops::activation::softmax_row;
use crate::ops::linear::{broadcast, starts};
use crate::sums::Sums;

pub(crate) const TABLE: Table = &[("scaled_dot_product_attention", real!(attention))];

/// Elements of scores that are held at a time by a thread.
const BLOCK: usize = 128 << 10;

/// What is added to scores: nothing, numbers, or −∞ where it is false.
#[derive(Clone, Copy)]
enum Mask<'a, T> {
    None,
    Added(&'a [T]),
    Taken(&'a [bool]),
}

/// `softmax(query · keyᵀ / √embedding + mask) · value`, with the extents `[batch…, target, embedding]`,
/// `[batch…, source, embedding]`, `[batch…, source, width]`. A row without anything to attend to is NaN.
fn attention<T: Math>(call: &Call<'_>) -> Computed {
    let (q, k, v) = (call.array("query")?, call.array("key")?, call.array("value")?);
    let misfit = || EvalError::bad("key", format!("query {q:?}, key {k:?}, value {v:?}"));
    let split = |a: &Array| match *a.dims() {
        [ref batch @ .., rows, cols] => Ok((batch.to_vec(), rows as usize, cols as usize)),
        _ => Err(misfit()),
    };
    let (batch, target, embedding) = split(q)?;
    let (k_batch, source, k_embedding) = split(k)?;
    let (v_batch, v_source, width) = split(v)?;
    if batch != k_batch || batch != v_batch || embedding != k_embedding || source != v_source {
        return Err(misfit());
    }
    let mut scores = batch.clone();
    scores.extend([target as u64, source as u64]);
    let mask = call.find("attn_mask")?;
    let (mask, at, row, col) = match mask {
        None => (Mask::None, Vec::new(), 0, 0),
        Some(m) => {
            let bad = || EvalError::bad("attn_mask", format!("{m:?} does not broadcast to {scores:?}"));
            if m.rank() > scores.len() || broadcast(&scores, m.dims())? != scores {
                return Err(bad());
            }
            let mut own = vec![1; scores.len() - m.rank()];
            own.extend_from_slice(m.dims());
            let (outer, inner) = own.split_at(batch.len());
            let [rows, cols] = [inner[0] as usize, inner[1] as usize];
            let at = starts(&batch, outer, rows * cols);
            let items = match m.data() {
                Data::Bool(b) => Mask::Taken(b),
                data => Mask::Added(T::stored(data).ok_or_else(bad)?),
            };
            (items, at, if rows == 1 { 0 } else { cols }, usize::from(cols != 1))
        }
    };
    let mut dims = batch.clone();
    dims.extend([target as u64, width as u64]);
    let mut out = call.zeros::<T>(&dims)?;
    if out.is_empty() {
        return call.one(q.dtype(), &dims, out);
    }
    let (qs, ks, vs) = (call.items::<T>("query")?, call.items::<T>("key")?, call.items::<T>("value")?);
    let sums = Sums::of(call.arithmetic());
    let scale = T::of((embedding as f64).sqrt().recip());
    let step = (BLOCK / source.max(1)).clamp(1, target);
    let tasks = out.chunks_mut(target * width).enumerate();
    let tasks = tasks.flat_map(|(i, out)| {
        out.chunks_mut(step * width).enumerate().map(move |(part, out)| (i, part * step, out))
    });
    let tasks: Vec<(usize, usize, &mut [T])> = tasks.collect();
    tasks.into_par_iter().try_for_each_init(Vec::new, |scores: &mut Vec<T>, (i, first, out)| {
        let rows = out.len() / width;
        scores.clear();
        scores.resize(rows * source, T::zero());
        let query = Matrix { items: qs, at: View::rows((i * target + first) * embedding, embedding) };
        let keys = Matrix { items: ks, at: View::cols(i * source * embedding, embedding) };
        accumulate(sums, (rows, source, embedding), query, keys, scores, View::rows(0, source), false)?;
        for (r, scores) in scores.chunks_mut(source.max(1)).enumerate() {
            let start = at.get(i).copied().unwrap_or(0) + (first + r) * row;
            masked(scores, scale, mask, start, col);
            softmax_row(scores);
        }
        let weights = Matrix { items: scores, at: View::rows(0, source) };
        let values = Matrix { items: vs, at: View::rows(i * source * width, width) };
        accumulate(sums, (rows, width, source), weights, values, out, View::rows(0, width), false)
    })?;
    call.one(q.dtype(), &dims, out)
}

/// Scales a row of scores and adds the mask's row, whose elements are `col` apart.
fn masked<T: Math>(scores: &mut [T], scale: T, mask: Mask<'_, T>, start: usize, col: usize) {
    match mask {
        Mask::None => scores.iter_mut().for_each(|s| *s *= scale),
        Mask::Added(m) => {
            for (j, s) in scores.iter_mut().enumerate() {
                *s = *s * scale + m[start + j * col];
            }
        }
        Mask::Taken(m) => {
            for (j, s) in scores.iter_mut().enumerate() {
                *s = if m[start + j * col] { *s * scale } else { T::neg_infinity() };
            }
        }
    }
}
