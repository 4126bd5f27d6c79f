//! Layers that change the size of the plane: cropping, padding, interpolation.

use anewrite_ir::{Opset, ValueId};
use anewrite_tensor::{DType, Tensor};

use super::context::one;
use super::conv::edges;
use super::{Cx, Lowered, One, To};
use crate::error::Reason;
use crate::fields::Fields;

/// By amounts, or to the size of the second input.
pub(crate) fn crop(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let n = cx.arity_in(1..=2)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let rank = cx.rank_from(x, 3)?;
    let plane = |v: [i64; 2], other: i64| -> Vec<i64> {
        let [h, w] = v;
        std::iter::repeat_n(other, rank - 2).chain([h, w]).collect()
    };
    let open = |v: [bool; 2]| -> Vec<bool> {
        let [h, w] = v;
        std::iter::repeat_n(true, rank - 2).chain([h, w]).collect()
    };
    let (begin, end, end_open) = if n == 1 {
        let amounts = edges("cropAmounts", f.message_or_empty("cropAmounts")?)?;
        let at = |i: usize| amounts.get(i).copied().unwrap_or(0) as i64;
        ([at(0), at(2)], [-at(1), -at(3)], [at(1) == 0, at(3) == 0])
    } else {
        let [top, left] = f.sizes_or("offset", [0, 0])?.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let like = cx.raw(1)?;
        cx.rank_from(like, 2)?;
        let shape = cx.shape(like)?;
        let size = |back: usize| shape.iter().rev().nth(back - 1).and_then(|d| d.known());
        let (Some(h), Some(w)) = (size(2), size(1)) else {
            let at = cx.rank(like)?;
            let (h, w) = (cx.extent(like, at - 2)?, cx.extent(like, at - 1)?);
            let rest = cx.ints(&vec![-1; rank - 2])?;
            let (begin, size) = (cx.ints(&plane([top, left], 0))?, cx.concat(&[rest, h, w], 0)?);
            return one(cx.op("slice_by_size", &[("x", x), ("begin", begin), ("size", size)])?);
        };
        ([top, left], [top.saturating_add(h as i64), left.saturating_add(w as i64)], [false; 2])
    };
    let (begin, end) = (cx.ints(&plane(begin, 0))?, cx.ints(&plane(end, 0))?);
    let (from, to) = (cx.flags(&open([false; 2])), cx.flags(&open(end_open)));
    let args = [("x", x), ("begin", begin), ("end", end), ("begin_mask", from), ("end_mask", to)];
    one(cx.op("slice_by_index", &args)?)
}

/// Of the plane, by a constant, a reflection, or the edge.
pub(crate) fn padding(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    cx.rank_from(x, 2)?;
    let amounts = edges("paddingAmounts", f.message_or_empty("paddingAmounts")?)?;
    let mut args = vec![("x", x), ("pad", cx.sizes(&amounts)?)];
    if f.has("reflection") {
        args.push(("mode", cx.text("reflect")));
    } else if f.has("replication") {
        args.push(("mode", cx.text("replicate")));
    } else {
        let value = f.message_or_empty("constant")?.float("value")?;
        args.extend([("mode", cx.text("constant")), ("constant_val", cx.num(value)?)]);
    }
    one(cx.op("pad", &args)?)
}

/// Of any axes, by a constant: amounts, or (with `padToGivenOutputSizeMode`) the sizes to reach.
pub(crate) fn constant_pad(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let n = cx.arity_in(1..=2)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let value = cx.num(f.float("value")?)?;
    let amounts = match n {
        1 => Some(f.ints("padAmounts")?),
        _ => cx.known_ints(cx.raw(1)?),
    };
    let to_size = f.flag("padToGivenOutputSizeMode")?;
    let rank = cx.rank(x)?;
    let fits = |n: usize| match n == rank.saturating_mul(2) {
        true => Ok(()),
        false => Err(Reason::field("padAmounts", format!("{n} amounts for a tensor of rank {rank}"))),
    };
    let extents: Option<Vec<i64>> =
        cx.shape(x)?.iter().map(|d| d.known().and_then(|n| i64::try_from(n).ok())).collect();
    let pad = match (amounts, to_size, extents) {
        (Some(amounts), false, _) => {
            fits(amounts.len())?;
            cx.ints(&amounts)?
        }
        (Some(sizes), true, Some(have)) => {
            fits(sizes.len())?;
            let missing = |(i, &n): (usize, &i64)| match (n, have.get(i / 2)) {
                (0, _) | (_, None) => 0,
                (n, Some(have)) => n.saturating_sub(*have).max(0),
            };
            cx.ints(&sizes.iter().enumerate().map(missing).collect::<Vec<_>>())?
        }
        (None, false, _) => cx.index(1)?,
        (sizes, true, _) => {
            let sizes = match sizes {
                Some(sizes) => cx.ints(&sizes)?,
                None => cx.index(1)?,
            };
            missing_amounts(cx, x, sizes)?
        }
    };
    let mode = cx.text("constant");
    one(cx.op("pad", &[("x", x), ("pad", pad), ("mode", mode), ("constant_val", value)])?)
}

/// What is missing to computed sizes that stand in the place of amounts, or to known ones of unknown extents.
fn missing_amounts(cx: &mut Cx<'_, '_>, x: ValueId, sizes: ValueId) -> One {
    let have = cx.extents(x)?;
    let axis = cx.int(1)?;
    let pairs = cx.op("stack", &[("values", have), ("values", have), ("axis", axis)])?;
    let have = cx.reshape(pairs, &[To::Rest])?;
    let zero = cx.int(0)?;
    let none = cx.op2("mul", have, zero)?;
    let missing = cx.op2("sub", sizes, have)?;
    let missing = cx.op2("maximum", missing, zero)?;
    let asked = cx.op2("greater", sizes, zero)?;
    cx.op("select", &[("cond", asked), ("a", missing), ("b", none)])
}

/// By a factor: the nearest element, or bilinear with one of three grids.
pub(crate) fn upsample(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let rank = cx.rank_from(x, 3)?;
    let fractions = f.floats("fractionalScalingFactor")?;
    let factors = match fractions.as_slice() {
        [] => f.sizes_or("scalingFactor", [1, 1])?.map(|n| n as f64),
        [h, w] => [*h, *w],
        v => return Err(Reason::field("fractionalScalingFactor", format!("{} factors", v.len()))),
    };
    let mut args = vec![("x", x)];
    let whole = factors.iter().all(|f| f.fract() == 0.0 && f.abs() < f64::from(i32::MAX));
    for (name, factor) in ["scale_factor_height", "scale_factor_width"].into_iter().zip(factors) {
        // Both integers or both 32-bit floats, whatever is computed in.
        args.push((name, if whole { cx.int(factor as i64)? } else { single(cx, factor)? }));
    }
    match f.choice("mode", "NN")? {
        "NN" => return one(cx.op("upsample_nearest_neighbor", &args)?),
        "BILINEAR" => {}
        other => return Err(Reason::field("mode", format!("{other} is not known"))),
    }
    let (corners, centres) = match f.choice("linearUpsampleMode", "DEFAULT")? {
        "ALIGN_CORNERS_TRUE" => (true, true),
        "ALIGN_CORNERS_FALSE" => (false, true),
        "DEFAULT" => (false, false),
        other => return Err(Reason::field("linearUpsampleMode", format!("{other} is not known"))),
    };
    if !centres && cx.opset() < Opset::Ios16 {
        // The first opset's upsampling has no such grid, its resizing has, to sizes that are constants.
        let size = |axis: usize, factor: f64| -> Result<Option<i64>, Reason> {
            let n = cx.shape(x)?.get(axis).and_then(|d| d.known());
            Ok(n.map(|n| (n as f64 * factor).floor() as i64))
        };
        let [h, w] = factors;
        if let (Some(h), Some(w)) = (size(rank - 2, h)?, size(rank - 1, w)?) {
            return one(resized(cx, x, h, w, "DEFAULT")?);
        }
        let (rows, columns) = (weights(cx, x, rank - 2, h)?, weights(cx, x, rank - 1, w)?);
        let y = cx.op2("matmul", rows, x)?;
        let turned = cx.flag(true);
        return one(cx.op("matmul", &[("x", y), ("y", columns), ("transpose_y", turned)])?);
    }
    args.push(("align_corners", cx.flag(corners)));
    if !centres {
        args.push(("half_pixel_centers", cx.flag(false)));
    }
    one(cx.op("upsample_bilinear", &args)?)
}

/// What each element of an axis of unknown extent `n` counts for in each of `m = floor(n * factor)` that lie
/// `(n - n / m) / (m - 1)` apart: the matrix `[m, n]` of `max(1 - |i * step - j|, 0)`. Its places need 32 bits.
fn weights(cx: &mut Cx<'_, '_>, x: ValueId, axis: usize, factor: f64) -> One {
    let n = cx.extent(x, axis)?;
    let n = super::index::scalar(cx, n)?;
    let (zero, unit, factor) = (single(cx, 0.0)?, single(cx, 1.0)?, single(cx, factor)?);
    let single_of = |cx: &mut Cx<'_, '_>, v: ValueId| -> One {
        let dtype = cx.text(DType::F32.name());
        cx.op("cast", &[("x", v), ("dtype", dtype)])
    };
    let n = single_of(cx, n)?;
    let m = cx.op2("mul", n, factor)?;
    let m = cx.op("floor", &[("x", m)])?;
    let (each, gaps) = (cx.op2("real_div", n, m)?, cx.op2("sub", m, unit)?);
    let (length, gaps) = (cx.op2("sub", n, each)?, cx.op2("maximum", gaps, unit)?);
    let step = cx.op2("real_div", length, gaps)?;
    let places = |cx: &mut Cx<'_, '_>, end: ValueId| {
        cx.op("range_1d", &[("end", end), ("start", zero), ("step", unit)])
    };
    let (from, to) = (places(cx, n)?, places(cx, m)?);
    let (to, last) = (cx.op2("mul", to, step)?, cx.op2("sub", n, unit)?);
    let to = cx.op2("minimum", to, last)?;
    let to = cx.expand(to, &[1])?;
    let apart = cx.op2("sub", to, from)?;
    let apart = cx.op("abs", &[("x", apart)])?;
    let near = cx.op2("sub", unit, apart)?;
    let near = cx.op("relu", &[("x", near)])?;
    cx.float_of(near)
}

/// A number that is a 32-bit float whatever is computed in.
fn single(cx: &mut Cx<'_, '_>, x: f64) -> One {
    let t = Tensor::from_f64s(DType::F32, &[], &[x])?;
    Ok(cx.b.constant(t))
}

fn resized(cx: &mut Cx<'_, '_>, x: ValueId, height: i64, width: i64, grid: &str) -> One {
    let args = [
        ("x", x),
        ("target_size_height", cx.int(height)?),
        ("target_size_width", cx.int(width)?),
        ("sampling_mode", cx.text(grid)),
    ];
    cx.op("resize_bilinear", &args)
}

/// The MIL name of a `SamplingMode`.
fn grid(f: Fields<'_>) -> Result<&'static str, Reason> {
    let mode = f.message_or_empty("mode")?;
    Ok(match mode.choice("samplingMethod", "STRICT_ALIGN_ENDPOINTS_MODE")? {
        "STRICT_ALIGN_ENDPOINTS_MODE" => "STRICT_ALIGN_CORNERS",
        "ALIGN_ENDPOINTS_MODE" => "ALIGN_CORNERS",
        "UPSAMPLE_MODE" => "DEFAULT",
        "ROI_ALIGN_MODE" => "OFFSET_CORNERS",
        other => return Err(Reason::field("mode.samplingMethod", format!("{other} is not known"))),
    })
}

pub(crate) fn resize_bilinear(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    cx.rank_from(x, 3)?;
    let [h, w] = f.sizes_or("targetSize", [1, 1])?.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    one(resized(cx, x, h, w, grid(f)?)?)
}

/// Patches `[N, B, C, H, W]` of `[1, B, C, H, W]` at boxes `[N, 1, 4, 1, 1]`, or `[N, 1, C, H, W]` at boxes with
/// the number of an image before their coordinates, `[N, 1, 5, 1, 1]`.
pub(crate) fn crop_resize(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let f = cx.fields();
    let (x, boxes) = (cx.x(0)?, cx.x(1)?);
    let (x, boxes) = (cx.explicit(x)?, cx.explicit(boxes)?);
    if cx.rank(x)? != 5 || cx.rank(boxes)? != 5 {
        return Err(Reason::input(0, "both inputs must be of rank 5"));
    }
    let coordinates = cx.shape(boxes)?.get(2).and_then(|d| d.known());
    let images = cx.shape(x)?.get(1).and_then(|d| d.known());
    let x = cx.squeeze(x, &[0])?;
    let [h, w] = f.sizes_or("targetSize", [1, 1])?.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    let convention = f.message_or_empty("boxIndicesMode")?.choice("boxMode", "CORNERS_HEIGHT_FIRST")?;
    let mut args = vec![("x", x)];
    let newer = cx.opset() >= Opset::Ios17;
    let coordinates =
        coordinates.ok_or_else(|| Reason::input(1, "how many coordinates a box has must be known"))?;
    let named = coordinates == 5;
    let mut index = None;
    if newer || (named && images != Some(1)) {
        let flat = cx.reshape(boxes, &[To::Of(boxes, 0), To::Size(coordinates)])?;
        let at = if named {
            let first = cx.cut(flat, 1, Some(0), Some(1), 1)?;
            let first = cx.squeeze(first, &[1])?;
            index = Some(cx.int_of(first)?);
            cx.cut(flat, 1, Some(1), Some(5), 1)?
        } else {
            flat
        };
        if newer {
            let (at, index) = match index {
                Some(index) => (at, index),
                None => every_image(cx, at, x)?,
            };
            args.extend([("boxes", at), ("box_indices", index)]);
        } else {
            args.push(("roi", cx.expand(at, &[1, 3, 4])?));
        }
    } else {
        args.push(("roi", boxes));
    }
    args.extend([
        ("target_height", cx.int(h)?),
        ("target_width", cx.int(w)?),
        ("normalized_coordinates", cx.flag(f.flag("normalizedCoordinates")?)),
        ("spatial_scale", single(cx, f.float_or("spatialScale", 1.0)?)?),
        ("box_coordinate_mode", cx.text(convention)),
        ("sampling_mode", cx.text(grid(f)?)),
    ]);
    let y = cx.op("crop_resize", &args)?;
    let y = match index {
        _ if newer && !named => {
            let tail = (1..4).map(|i| To::Of(y, i));
            let to: Vec<To> = [To::Of(boxes, 0), To::Of(x, 0)].into_iter().chain(tail).collect();
            cx.reshape(y, &to)?
        }
        _ if newer => cx.expand(y, &[1])?,
        // Before iOS 17 every box is cut out of every image, and the one that it names is taken.
        Some(index) => {
            let (end, start, step) = (cx.extent(boxes, 0)?, cx.int(0)?, cx.int(1)?);
            let end = super::index::scalar(cx, end)?;
            let row = cx.op("range_1d", &[("end", end), ("start", start), ("step", step)])?;
            let axis = cx.int(1)?;
            let places = cx.op("stack", &[("values", row), ("values", index), ("axis", axis)])?;
            let y = cx.op("gather_nd", &[("x", y), ("indices", places)])?;
            cx.expand(y, &[1])?
        }
        None => y,
    };
    one(cx.canonical(y)?)
}

/// Boxes that name no image, once for every image, and the images' numbers.
fn every_image(cx: &mut Cx<'_, '_>, boxes: ValueId, x: ValueId) -> Result<(ValueId, ValueId), Reason> {
    let count = cx.extent(boxes, 0)?;
    let (unit, zero) = (cx.int(1)?, cx.int(0)?);
    if cx.shape(x)?.first().is_some_and(|d| d.known() == Some(1)) {
        return Ok((boxes, cx.op("fill", &[("shape", count), ("value", zero)])?));
    }
    let images = cx.extent(x, 0)?;
    let end = super::index::scalar(cx, images)?;
    let numbers = cx.op("range_1d", &[("end", end), ("start", zero), ("step", unit)])?;
    let index = cx.op("tile", &[("x", numbers), ("reps", count)])?;
    // [N, 1, 4] to [N, B, 4]: a box's copies stand together
    let (apart, one_more) = (cx.expand(boxes, &[1])?, cx.ints(&[1])?);
    let reps = cx.concat(&[one_more, images, one_more], 0)?;
    let all = cx.op("tile", &[("x", apart), ("reps", reps)])?;
    Ok((cx.reshape(all, &[To::Rest, To::Size(4)])?, index))
}
