//! Layers that repeat a tensor along axes of extent 1.

use anewrite_ir::{Dim, ValueId};

use super::context::one;
use super::{Cx, Lowered, One};
use crate::error::Reason;

pub(crate) fn broadcast_static(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let dims = cx.fields().sizes("targetShape")?;
    one(broadcast_to(cx, x, &dims)?)
}

pub(crate) fn broadcast_like(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, like) = (cx.x(0)?, cx.raw(1)?);
    if let Some(dims) = cx.shape(like)?.iter().map(|d| d.known()).collect::<Option<Vec<u64>>>() {
        return one(broadcast_to(cx, x, &dims)?);
    }
    let shape = cx.extents(like)?;
    one(times_ones(cx, x, shape)?)
}

pub(crate) fn broadcast_dynamic(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, shape) = (cx.x(0)?, cx.index(1)?);
    one(times_ones(cx, x, shape)?)
}

fn broadcast_to(cx: &mut Cx<'_, '_>, x: ValueId, dims: &[u64]) -> One {
    let here = cx.shape(x)?;
    let Some(before) = dims.len().checked_sub(here.len()) else {
        return Err(Reason::field(
            "targetShape",
            format!("rank {} for an input of rank {}", dims.len(), here.len()),
        ));
    };
    let mut reps = Vec::with_capacity(dims.len());
    for (i, &want) in dims.iter().enumerate() {
        let have = i.checked_sub(before).and_then(|i| here.get(i)).copied().unwrap_or(Dim::Known(1));
        reps.push(match have {
            Dim::Known(1) => want,
            Dim::Known(n) if n == want => 1,
            Dim::Known(n) => {
                return Err(Reason::field(
                    "targetShape",
                    format!("{want} at axis {i}, where the input has {n}"),
                ));
            }
            _ => {
                let shape = cx.sizes(dims)?;
                return times_ones(cx, x, shape);
            }
        });
    }
    let mut y = x;
    if before > 0 {
        y = cx.expand(y, &(0..before as i64).collect::<Vec<_>>())?;
    }
    if reps.iter().all(|&r| r == 1) {
        return Ok(y);
    }
    let reps = cx.sizes(&reps)?;
    cx.op("tile", &[("x", y), ("reps", reps)])
}

fn times_ones(cx: &mut Cx<'_, '_>, x: ValueId, shape: ValueId) -> One {
    let unit = cx.num(1.0)?;
    let ones = cx.op("fill", &[("shape", shape), ("value", unit)])?;
    cx.op2("mul", x, ones)
}
