//! Layers that cut pieces out of a tensor.

use anewrite_ir::ValueId;

use super::context::one;
use super::{Cx, Lowered};
use crate::error::Reason;

/// `slice`: along C, H or W.
pub(crate) fn slice(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let back = match f.choice("axis", "CHANNEL_AXIS")? {
        "CHANNEL_AXIS" => 3,
        "HEIGHT_AXIS" => 2,
        "WIDTH_AXIS" => 1,
        other => return Err(Reason::field("axis", format!("{other} is not known"))),
    };
    let axis = cx.rank_from(x, back)? - back;
    let (begin, end) = (f.int("startIndex")?, f.int("endIndex")?);
    one(cx.cut(x, axis, Some(begin), Some(end), f.int("stride")?.max(1))?)
}

pub(crate) fn slice_static(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let (begin, end) = (cx.ints(&f.ints("beginIds")?)?, cx.ints(&f.ints("endIds")?)?);
    cut_box(
        cx,
        x,
        begin,
        end,
        f.ints("strides")?,
        [f.flags("beginMasks")?, f.flags("endMasks")?, f.flags("squeezeMasks")?],
    )
}

/// The bounds may be computed; strides and masks must be known, for MIL's op takes no others.
pub(crate) fn slice_dynamic(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let n = cx.arity_in(2..=7)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let begin = cx.index(1)?;
    let end = if n > 2 { cx.index(2)? } else { cx.ints(&f.ints("endIds")?)? };
    let known = |cx: &Cx<'_, '_>, i: usize| -> Result<Vec<i64>, Reason> {
        cx.known_ints(cx.raw(i)?)
            .ok_or_else(|| Reason::Missing(format!("slices whose strides or masks (input {i}) are computed")))
    };
    let strides = if n > 3 { known(cx, 3)? } else { f.ints("strides")? };
    let mut masks = [f.flags("beginMasks")?, f.flags("endMasks")?, f.flags("squeezeMasks")?];
    for (i, mask) in masks.iter_mut().enumerate().filter(|(i, _)| n > 4 + i) {
        *mask = known(cx, 4 + i)?.into_iter().map(|b| b != 0).collect();
    }
    cut_box(cx, x, begin, end, strides, masks)
}

fn cut_box(
    cx: &mut Cx<'_, '_>,
    x: ValueId,
    begin: ValueId,
    end: ValueId,
    strides: Vec<i64>,
    masks: [Vec<bool>; 3],
) -> Lowered {
    let mut args = vec![("x", x), ("begin", begin), ("end", end)];
    if strides.iter().any(|&s| s != 1) {
        args.push(("stride", cx.ints(&strides)?));
    }
    for (name, mask) in ["begin_mask", "end_mask", "squeeze_mask"].into_iter().zip(&masks) {
        if mask.iter().any(|&m| m) {
            args.push((name, cx.flags(mask)));
        }
    }
    let y = cx.op("slice_by_index", &args)?;
    one(cx.at_least_vector(y)?)
}

/// `sliceBySize`: from a computed place on, along one axis.
pub(crate) fn slice_by_size(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let f = cx.fields();
    let (x, begin) = (cx.x(0)?, cx.index(1)?);
    let rank = cx.rank(x)?;
    let axis = cx.axis("axis", f.int("axis")?, rank)?;
    let size = f.int("size")?;
    let begin = cx.at_least_vector(begin)?;
    let mut parts = Vec::with_capacity(3);
    if axis > 0 {
        parts.push(cx.ints(&vec![0; axis])?);
    }
    parts.push(begin);
    if axis + 1 < rank {
        parts.push(cx.ints(&vec![0; rank - axis - 1])?);
    }
    let begin = if parts.len() > 1 { cx.concat(&parts, 0)? } else { begin };
    let sizes: Vec<i64> = (0..rank).map(|i| if i == axis { size } else { -1 }).collect();
    let sizes = cx.ints(&sizes)?;
    one(cx.op("slice_by_size", &[("x", x), ("begin", begin), ("size", sizes)])?)
}

pub(crate) fn sliding_windows(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let args = [
        ("x", x),
        ("axis", cx.int(f.int("axis")?)?),
        ("size", cx.int(f.int("windowSize")?)?),
        ("stride", cx.int(f.int("step")?.max(1))?),
    ];
    one(cx.op("sliding_windows", &args)?)
}
