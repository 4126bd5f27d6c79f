//! Layers that move elements and compute none.

use anewrite_ir::{Dim, ValueId};

use super::context::one;
use super::{Cx, Lowered, To};
use crate::error::Reason;
use crate::mapping::Mapping;

/// Extents as a layer states them; -1 is whatever is left.
fn targets(field: &str, dims: &[i64]) -> Result<Vec<To>, Reason> {
    let to = |&n: &i64| match u64::try_from(n) {
        Ok(n @ 1..) => Ok(To::Size(n)),
        _ if n == -1 => Ok(To::Rest),
        _ => Err(Reason::field(field, format!("an extent of {n}"))),
    };
    dims.iter().map(to).collect()
}

fn elements(cx: &Cx<'_, '_>, v: ValueId, last: usize) -> Result<To, Reason> {
    let shape = cx.shape(v)?;
    let known = shape.iter().rev().take(last).map(|d| d.known());
    let product = known.collect::<Option<Vec<u64>>>();
    let product = product.and_then(|v| v.into_iter().try_fold(1u64, u64::checked_mul));
    Ok(product.map_or(To::Rest, To::Size))
}

/// The order of axes that moves the channels behind height and width (`true`), or back before them.
fn channels_last(lead: usize, to_last: bool) -> Vec<i64> {
    let n = lead as i64;
    let tail: [i64; 3] = if to_last { [n + 1, n + 2, n] } else { [n + 2, n, n + 1] };
    (0..n).chain(tail).collect()
}

/// `flatten`: C, H and W into C.
pub(crate) fn flatten(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let rank = cx.rank_from(x, 3)?;
    let x = match last_first(cx)? {
        true => cx.transpose(x, &channels_last(rank - 3, true))?,
        false => x,
    };
    let all = elements(cx, x, 3)?;
    let to: Vec<To> = (0..rank - 3).map(|i| To::Of(x, i)).chain([all, To::Size(1), To::Size(1)]).collect();
    one(cx.reshape(x, &to)?)
}

/// Whether the layer's order is `CHANNEL_LAST`.
fn last_first(cx: &Cx<'_, '_>) -> Result<bool, Reason> {
    match cx.fields().choice("mode", "CHANNEL_FIRST")? {
        "CHANNEL_FIRST" => Ok(false),
        "CHANNEL_LAST" => Ok(true),
        other => Err(Reason::field("mode", format!("{other} is not known"))),
    }
}

/// How many axes stand before C, H and W of a tensor that must be `[Seq, B, C, H, W]`.
fn lead_of_five(cx: &Cx<'_, '_>, x: ValueId) -> Result<usize, Reason> {
    match (cx.rank(x)?, cx.call.mapping) {
        (5, _) => Ok(2),
        (4, Mapping::Rank5) => Ok(1),
        (rank, _) => Err(Reason::input(0, format!("rank 5 is needed, this has rank {rank}"))),
    }
}

/// `reshape`: to `[C, H, W]`, keeping Seq, or to `[Seq, C, H, W]`.
pub(crate) fn reshape(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let lead = lead_of_five(cx, x)?;
    let target = targets("targetShape", &cx.fields().ints("targetShape")?)?;
    let kept = |n: usize| (0..n).map(|i| To::Of(x, i)).collect::<Vec<To>>();
    let (before, [c, h, w]) = match *target.as_slice() {
        [c, h, w] => (kept(lead), [c, h, w]),
        [To::Size(1), c, h, w] if lead == 1 => (vec![To::Size(1)], [c, h, w]),
        [seq, c, h, w] if lead == 1 => (vec![seq, To::Size(1)], [c, h, w]),
        [seq, c, h, w] => (vec![seq, To::Of(x, 1)], [c, h, w]),
        _ => return Err(Reason::field("targetShape", "three or four extents are needed")),
    };
    let y = if last_first(cx)? {
        let moved = cx.transpose(x, &channels_last(lead, true))?;
        let to: Vec<To> = before.iter().copied().chain([h, w, c]).collect();
        let moved = cx.reshape(moved, &to)?;
        cx.transpose(moved, &channels_last(before.len(), false))?
    } else {
        let to: Vec<To> = before.into_iter().chain([c, h, w]).collect();
        cx.reshape(x, &to)?
    };
    one(cx.canonical(y)?)
}

/// `permute`: an order of Seq, C, H and W; B stays.
pub(crate) fn permute(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let lead = lead_of_five(cx, x)?;
    let order = cx.fields().sizes_or("axis", [0, 1, 2, 3])?;
    let mut seen = order;
    seen.sort_unstable();
    if seen != [0, 1, 2, 3] {
        return Err(Reason::field("axis", format!("{order:?} is no order of four axes")));
    }
    if lead == 1 {
        let y = cx.transpose(x, &order.map(|a| a as i64))?;
        if cx.shape(y)?.first() == Some(&Dim::Known(1)) {
            return one(y);
        }
        return one(cx.expand(y, &[1])?);
    }
    let axis = |a: u64| if a == 0 { 0 } else { a as i64 + 1 };
    let [s, c, h, w] = order.map(axis);
    let y = cx.transpose(x, &[s, 1, c, h, w])?;
    one(cx.canonical(y)?)
}

/// `concat`: along axis -3, or along Seq.
pub(crate) fn concat(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let mut xs = cx.xs()?;
    let sequence = cx.fields().flag("sequenceConcat")?;
    let ranks: Vec<usize> = xs.iter().map(|&x| cx.rank(x)).collect::<Result<_, _>>()?;
    if sequence || ranks.windows(2).any(|w| w.first() != w.last()) {
        for x in &mut xs {
            *x = cx.explicit(*x)?;
        }
    }
    if let [x] = xs.as_slice() {
        return one(*x);
    }
    let y = cx.concat(&xs, if sequence { -5 } else { -3 })?;
    one(cx.canonical(y)?)
}

pub(crate) fn concat_nd(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let f = cx.fields();
    let xs = cx.xs()?;
    if let [x] = xs.as_slice() {
        return one(*x);
    }
    let mut args: Vec<(&str, ValueId)> = xs.iter().map(|&v| ("values", v)).collect();
    args.push(("axis", cx.int(f.int("axis")?)?));
    if f.flag("interleave")? {
        args.push(("interleave", cx.flag(true)));
    }
    one(cx.op("concat", &args)?)
}

pub(crate) fn stack(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let xs = cx.xs()?;
    let mut args: Vec<(&str, ValueId)> = xs.iter().map(|&v| ("values", v)).collect();
    args.push(("axis", cx.int(cx.fields().int("axis")?)?));
    one(cx.op("stack", &args)?)
}

/// `split`: axis -3 into equal parts.
pub(crate) fn split(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    cx.rank_from(x, 3)?;
    equal_parts(cx, x, cx.fields().int("nOutputs")?, -3)
}

pub(crate) fn split_nd(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let axis = f.int("axis")?;
    let sizes = f.ints("splitSizes")?;
    let sizes = match sizes.is_empty() {
        true => match uneven(cx, x, f.int("numSplits")?, axis)? {
            Some(sizes) => sizes,
            None => return equal_parts(cx, x, f.int("numSplits")?, axis),
        },
        false => sizes,
    };
    let (sizes, axis) = (cx.ints(&sizes)?, cx.int(axis)?);
    cx.ops("split", &[("x", x), ("split_sizes", sizes), ("axis", axis)])
}

/// The sizes of parts where an extent has a remainder, which goes to the first ones, one each.
fn uneven(cx: &Cx<'_, '_>, x: ValueId, parts: i64, axis: i64) -> Result<Option<Vec<i64>>, Reason> {
    let shape = cx.shape(x)?;
    let at = if axis < 0 { axis + shape.len() as i64 } else { axis };
    let extent = usize::try_from(at).ok().and_then(|at| shape.get(at)).and_then(|d| d.known());
    let (Some(extent), 1..=MAX_PARTS) = (extent.and_then(|n| i64::try_from(n).ok()), parts) else {
        return Ok(None);
    };
    let rest = extent % parts;
    Ok((rest != 0).then(|| (0..parts).map(|i| extent / parts + i64::from(i < rest)).collect()))
}

/// More parts than any layer has.
const MAX_PARTS: i64 = 1 << 16;

fn equal_parts(cx: &mut Cx<'_, '_>, x: ValueId, parts: i64, axis: i64) -> Lowered {
    let parts = match (parts, cx.call.outputs) {
        (0, Some(named)) => i64::try_from(named).unwrap_or(i64::MAX),
        (n, _) => n,
    };
    let (parts, axis) = (cx.int(parts)?, cx.int(axis)?);
    cx.ops("split", &[("x", x), ("num_splits", parts), ("axis", axis)])
}

/// `sequenceRepeat`: Seq, several times.
pub(crate) fn sequence_repeat(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let n = cx.fields().size("nRepetitions")?.max(1);
    if n == 1 {
        return one(x);
    }
    let x = cx.explicit(x)?;
    let rank = cx.rank_from(x, 5)?;
    let reps: Vec<u64> = (0..rank).map(|i| if i + 5 == rank { n } else { 1 }).collect();
    let reps = cx.sizes(&reps)?;
    one(cx.op("tile", &[("x", x), ("reps", reps)])?)
}

/// `reorganizeData`: between channels and blocks of the plane.
pub(crate) fn reorganize(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let (x, lead) = cx.fold(x, 3)?;
    let block = cx.int(f.int("blockSize")?)?;
    let (op, param) = match f.choice("mode", "SPACE_TO_DEPTH")? {
        "SPACE_TO_DEPTH" => ("space_to_depth", "block_size"),
        "DEPTH_TO_SPACE" => ("depth_to_space", "block_size"),
        "PIXEL_SHUFFLE" => ("pixel_shuffle", "upscale_factor"),
        other => return Err(Reason::field("mode", format!("{other} is not known"))),
    };
    let y = cx.op(op, &[("x", x), (param, block)])?;
    one(cx.unfold(y, lead)?)
}

pub(crate) fn squeeze(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let shape = cx.shape(x)?;
    let mut axes: Vec<usize> = if f.flag("squeezeAll")? {
        if shape.iter().any(|d| d.known().is_none()) {
            return Err(Reason::input(0, "all axes of extent 1 go, and not every extent is known"));
        }
        (0..shape.len()).filter(|&i| shape.get(i) == Some(&Dim::Known(1))).collect()
    } else {
        f.ints("axes")?.iter().map(|&a| cx.axis("axes", a, shape.len())).collect::<Result<_, _>>()?
    };
    axes.sort_unstable();
    axes.dedup();
    if axes.len() == shape.len() {
        axes.pop();
    }
    if axes.is_empty() {
        return one(x);
    }
    let axes: Vec<i64> = axes.into_iter().map(|a| a as i64).collect();
    one(cx.squeeze(x, &axes)?)
}

pub(crate) fn expand_dims(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let axes = cx.fields().ints("axes")?;
    one(cx.expand(x, &axes)?)
}

pub(crate) fn transpose(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let axes = cx.fields().ints("axes")?;
    let rank = cx.rank(x)?;
    if axes.len() != rank {
        return Err(Reason::field("axes", format!("{} axes for a tensor of rank {rank}", axes.len())));
    }
    one(cx.transpose(x, &axes)?)
}

pub(crate) fn reshape_static(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let to = targets("targetShape", &cx.fields().ints("targetShape")?)?;
    one(cx.reshape(x, &to)?)
}

/// 0 keeps the extent of the axis.
pub(crate) fn rank_preserving_reshape(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let dims = cx.fields().ints("targetShape")?;
    let rank = cx.rank(x)?;
    if dims.len() != rank {
        return Err(Reason::field("targetShape", format!("{} extents for rank {rank}", dims.len())));
    }
    let to = |(i, &n): (usize, &i64)| match n {
        0 => Ok(To::Of(x, i)),
        n => Ok(*targets("targetShape", &[n])?.first().unwrap_or(&To::Rest)),
    };
    let to: Vec<To> = dims.iter().enumerate().map(to).collect::<Result<_, Reason>>()?;
    one(cx.reshape(x, &to)?)
}

pub(crate) fn reshape_like(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, like) = (cx.x(0)?, cx.raw(1)?);
    let shape = cx.extents(like)?;
    one(cx.op("reshape", &[("x", x), ("shape", shape)])?)
}

pub(crate) fn reshape_dynamic(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, shape) = (cx.x(0)?, cx.index(1)?);
    one(cx.op("reshape", &[("x", x), ("shape", shape)])?)
}

pub(crate) fn flatten_to_2d(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let axis = cx.fields().int("axis")?;
    let axis = cx.int(axis)?;
    one(cx.op("flatten2d", &[("x", x), ("axis", axis)])?)
}

pub(crate) fn tile(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let n = cx.arity_in(1..=2)?;
    let x = cx.x(0)?;
    let reps = match n {
        2 => {
            let reps = cx.index(1)?;
            let given = match cx.shape(reps)?.as_slice() {
                [Dim::Known(n)] => usize::try_from(*n).unwrap_or(usize::MAX),
                s => return Err(Reason::input(1, format!("a vector of known length is needed, not {s:?}"))),
            };
            match cx.rank(x)?.saturating_sub(given) {
                0 => reps,
                before => {
                    let ones = cx.ints(&vec![1; before])?;
                    cx.concat(&[ones, reps], 0)?
                }
            }
        }
        _ => {
            let reps = cx.fields().ints("reps")?;
            let before = cx.rank(x)?.saturating_sub(reps.len());
            let all: Vec<i64> = std::iter::repeat_n(1, before).chain(reps).collect();
            cx.ints(&all)?
        }
    };
    one(cx.op("tile", &[("x", x), ("reps", reps)])?)
}

pub(crate) fn reverse(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let turned = cx.fields().flags("reverseDim")?;
    let axes: Vec<i64> = (turned.iter().enumerate()).filter(|(_, r)| **r).map(|(i, _)| i as i64).collect();
    if axes.is_empty() {
        return one(x);
    }
    let axes = cx.ints(&axes)?;
    one(cx.op("reverse", &[("x", x), ("axes", axes)])?)
}

pub(crate) fn reverse_sequence(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let f = cx.fields();
    let (x, lengths) = (cx.x(0)?, cx.index(1)?);
    let (batch, seq) = (cx.int(f.int("batchAxis")?)?, cx.int(f.int("sequenceAxis")?)?);
    one(cx.op(
        "reverse_sequence",
        &[("x", x), ("lengths", lengths), ("seq_axis", seq), ("batch_axis", batch)],
    )?)
}
