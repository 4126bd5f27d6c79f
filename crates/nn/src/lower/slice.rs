//! Layers that cut pieces out of a tensor.

use anewrite_ir::ValueId;

use super::context::one;
use super::{Cx, Lowered, One};
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

/// Everything but what is squeezed may be computed: a value's rank is part of its type.
pub(crate) fn slice_dynamic(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let n = cx.arity_in(2..=7)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let begin = cx.index(1)?;
    let end = if n > 2 { cx.index(2)? } else { cx.ints(&f.ints("endIds")?)? };
    let known = |cx: &Cx<'_, '_>, i: usize| -> Result<Option<Vec<i64>>, Reason> {
        Ok(if n > i { cx.known_ints(cx.raw(i)?) } else { None })
    };
    let flags = |v: Vec<i64>| v.into_iter().map(|b| b != 0).collect::<Vec<bool>>();
    let squeezed = match known(cx, 6)? {
        Some(mask) => flags(mask),
        None if n > 6 => return Err(Reason::Missing("a slice whose rank is computed (squeezeMasks)".into())),
        None => f.flags("squeezeMasks")?,
    };
    let (strides, from, to) = (known(cx, 3)?, known(cx, 4)?, known(cx, 5)?);
    if (3..n.min(6)).zip([&strides, &from, &to]).any(|(_, v)| v.is_none()) {
        return cut_computed(cx, x, begin, end, &squeezed);
    }
    let strides = strides.map_or_else(|| f.ints("strides"), Ok)?;
    let from = from.map_or_else(|| f.flags("beginMasks"), |v| Ok(flags(v)))?;
    let to = to.map_or_else(|| f.flags("endMasks"), |v| Ok(flags(v)))?;
    cut_box(cx, x, begin, end, strides, [from, to, squeezed])
}

/// Strides or masks that are computed, which MIL's slices do not take: what is left of each axis is a range, whose
/// elements are gathered. Bounds are clamped as those of slices are.
fn cut_computed(cx: &mut Cx<'_, '_>, x: ValueId, begin: ValueId, end: ValueId, squeezed: &[bool]) -> Lowered {
    let (n, f, rank) = (cx.arity(), cx.fields(), cx.rank(x)?);
    let (zero, unit, before) = (cx.int(0)?, cx.int(1)?, cx.int(-1)?);
    let sizes = cx.extents(x)?;
    let last = cx.op2("sub", sizes, unit)?;
    let strides = match n {
        4.. => cx.index(3)?,
        _ => whole(cx, f.ints("strides")?, rank, 1)?,
    };
    let forward = cx.op2("greater", strides, zero)?;
    let either = |cx: &mut Cx<'_, '_>, cond, a, b| cx.op("select", &[("cond", cond), ("a", a), ("b", b)]);
    let sizes_before = cx.op2("mul", sizes, zero)?;
    let sizes_before = cx.op2("add", sizes_before, before)?;
    let zeros = cx.op2("mul", sizes, zero)?;
    // where the first and the place behind the last element are, by direction
    let (low, high) = (either(cx, forward, zeros, sizes_before)?, either(cx, forward, sizes, last)?);
    let mut bounds = Vec::with_capacity(2);
    for (bound, input, field) in [(begin, 4, "beginMasks"), (end, 5, "endMasks")] {
        let negative = cx.op2("less", bound, zero)?;
        let wrapped = cx.op2("add", bound, sizes)?;
        let at = either(cx, negative, wrapped, bound)?;
        let at = cx.op2("maximum", at, low)?;
        let at = cx.op2("minimum", at, high)?;
        let mask = match n > input {
            true => {
                let mask = cx.raw(input)?;
                cx.bool_of(mask)?
            }
            false => {
                let mask = f.flags(field)?.into_iter().map(i64::from).collect();
                let mask = whole(cx, mask, rank, 0)?;
                cx.bool_of(mask)?
            }
        };
        let open = if input == 4 { either(cx, forward, low, high)? } else { either(cx, forward, high, low)? };
        bounds.push(either(cx, mask, open, at)?);
    }
    let [begin, end] = <[ValueId; 2]>::try_from(bounds).map_err(|_| Reason::input(1, "it is missing"))?;
    let mut y = x;
    for axis in 0..rank {
        let at = |cx: &mut Cx<'_, '_>, v: ValueId| -> One {
            let v = cx.cut(v, 0, Some(axis as i64), Some(axis as i64 + 1), 1)?;
            cx.squeeze(v, &[0])
        };
        let start = at(cx, begin)?;
        let args = match squeezed.get(axis) {
            Some(true) => {
                let end = cx.op2("add", start, unit)?;
                [("start", start), ("end", end), ("step", unit)]
            }
            _ => [("start", start), ("end", at(cx, end)?), ("step", at(cx, strides)?)],
        };
        let places = cx.op("range_1d", &args)?;
        let axis = cx.int(axis as i64)?;
        y = cx.op("gather", &[("x", y), ("indices", places), ("axis", axis)])?;
    }
    let gone: Vec<i64> = (0..rank as i64).zip(squeezed).filter(|(_, s)| **s).map(|(i, _)| i).collect();
    let y = if gone.is_empty() { y } else { cx.squeeze(y, &gone)? };
    one(cx.at_least_vector(y)?)
}

/// A field with a number for each axis, or none, which stands for `default` each.
fn whole(cx: &mut Cx<'_, '_>, mut v: Vec<i64>, rank: usize, default: i64) -> One {
    if v.is_empty() {
        v = vec![default; rank];
    }
    cx.ints(&v)
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
