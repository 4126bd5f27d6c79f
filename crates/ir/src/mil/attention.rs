//! Attention as one op.

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::Absent;
use crate::schema::Opset::Ios18;
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, Shape};

const ATTENTION: &[Param] = &[
    value("query").of(FLOAT),
    value("key").of(FLOAT).like("query"),
    value("value").of(FLOAT).like("query"),
    value_or("attn_mask", Absent).of(FLOAT.and(BOOL)),
];

pub(super) const OPS: &[OpSchema] = &[pure("scaled_dot_product_attention", Ios18, ATTENTION, attention)];

/// Query `[batch…, target, embedding]`, key `[batch…, source, embedding]`, value `[batch…, source, width]`; the
/// mask broadcasts to `[batch…, target, source]`.
fn attention(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let (mut q, q_batch) = split(cx, "query")?;
    let (k, k_batch) = split(cx, "key")?;
    let (v, v_batch) = split(cx, "value")?;
    let mut batch = Shape::new();
    for (param, other) in [("key", &k_batch), ("value", &v_batch)] {
        if other.len() != q_batch.len() {
            return bad(param, format!("rank {} for {} of the query", other.len() + 2, q_batch.len() + 2));
        }
    }
    for (i, &d) in q_batch.iter().enumerate() {
        match agreed(d, k_batch[i]).and_then(|d| agreed(d, v_batch[i])) {
            Some(d) => batch.push(d),
            None => return bad("key", format!("batch axis {i} is not the same in query, key and value")),
        }
    }
    if agreed(q[1], k[1]).is_none() {
        return bad("key", format!("embedding {} for {} of the query", k[1], q[1]));
    }
    let Some(source) = agreed(k[0], v[0]) else {
        return bad("value", format!("{} elements for {} keys", v[0], k[0]));
    };
    if cx.arg("attn_mask").is_some() {
        let mask = cx.shape("attn_mask")?;
        let scores: Shape = batch.iter().copied().chain([q[0], source]).collect();
        if mask.last().is_none_or(|&s| agreed(s, source).is_none()) {
            return bad("attn_mask", format!("extents {} for {source} keys", shown(mask)));
        }
        broadcast_shapes(cx, "attn_mask", &scores, mask)?;
    }
    q[1] = v[1];
    tensor(cx.tensor("query")?.dtype, batch.into_iter().chain(q))
}

/// The last two extents of `param` and those before.
fn split(cx: &InferCx<'_>, param: &'static str) -> Result<([Dim; 2], Shape), InferError> {
    let shape = cx.shape(param)?;
    match shape.split_last_chunk::<2>() {
        Some((batch, last)) if !batch.is_empty() => Ok((*last, batch.iter().copied().collect())),
        _ => bad(param, format!("rank 3 at least is needed, this has rank {}", shape.len())),
    }
}
