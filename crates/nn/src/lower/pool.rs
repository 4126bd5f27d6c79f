//! Pooling over two and three spatial axes.

use anewrite_ir::ValueId;
use smallvec::SmallVec;

use super::context::one;
use super::conv::{Border, Reach, border_2d, border_3d, pad_by, push_border};
use super::{Cx, Lowered, One};
use crate::error::Reason;

pub(crate) fn pooling(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let kind = f.choice("type", "MAX")?;
    if f.flag("globalPooling")? {
        cx.rank_from(x, 3)?;
        return one(global(cx, x, kind, &[-2, -1])?);
    }
    let (kernel, stride) = (f.sizes_or("kernelSize", [3, 3])?, f.sizes_or("stride", [1, 1])?);
    let (x, lead) = cx.fold(x, 3)?;
    let mut args: SmallVec<[(&str, ValueId); 8]> = window(cx, x, &kernel, &stride)?;
    let reach = Reach { window: &kernel, stride: &stride };
    let padded = match f.message("includeLastPixel")? {
        Some(complete) => {
            let [h, w] = complete.sizes_or("paddingAmounts", [0, 0])?;
            let padded = push_border(cx, &mut args, &Border::Amounts(vec![h, h, w, w]), x, reach)?;
            if stride != [1, 1] {
                args.push(("ceil_mode", cx.flag(true)));
            }
            padded
        }
        None => push_border(cx, &mut args, &border_2d(f)?, x, reach)?,
    };
    let own = kind == "AVERAGE" && f.flag("avgPoolExcludePadding")?;
    let op = match kind {
        "MAX" => "max_pool",
        "L2" => "l2_pool",
        "AVERAGE" => "avg_pool",
        other => return Err(Reason::field("type", format!("{other} is not known"))),
    };
    let y = match padded {
        Some(amounts) => padded_pool(cx, op, args, amounts, own)?,
        None => {
            if own {
                args.push(("exclude_padding_from_average", cx.flag(true)));
            }
            cx.op(op, &args)?
        }
    };
    one(cx.unfold(y, lead)?)
}

/// Pooling of what is padded beforehand; an average without the padding is divided by the share of each window that is
/// none.
fn padded_pool(
    cx: &mut Cx<'_, '_>,
    op: &str,
    mut args: SmallVec<[(&str, ValueId); 8]>,
    amounts: ValueId,
    exclude: bool,
) -> One {
    let x = args.first().map(|(_, x)| *x).ok_or_else(|| Reason::input(0, "it is missing"))?;
    let mut pooled = |cx: &mut Cx<'_, '_>, x: ValueId| -> One {
        let padded = pad_by(cx, x, amounts, if op == "max_pool" { f64::NEG_INFINITY } else { 0.0 })?;
        if let Some((_, first)) = args.first_mut() {
            *first = padded;
        }
        cx.op(op, &args)
    };
    let y = pooled(cx, x)?;
    if !exclude {
        return Ok(y);
    }
    let (shape, unit) = (cx.extents(x)?, cx.num(1.0)?);
    let ones = cx.op("fill", &[("shape", shape), ("value", unit)])?;
    let share = pooled(cx, ones)?;
    cx.op2("real_div", y, share)
}

fn window(
    cx: &mut Cx<'_, '_>,
    x: ValueId,
    kernel: &[u64],
    stride: &[u64],
) -> Result<SmallVec<[(&'static str, ValueId); 8]>, Reason> {
    let mut args: SmallVec<[(&str, ValueId); 8]> = SmallVec::new();
    args.push(("x", x));
    args.push(("kernel_sizes", cx.sizes(kernel)?));
    if stride.iter().any(|&s| s != 1) {
        args.push(("strides", cx.sizes(stride)?));
    }
    Ok(args)
}

fn global(cx: &mut Cx<'_, '_>, x: ValueId, kind: &str, axes: &[i64]) -> One {
    let op = match kind {
        "MAX" => "reduce_max",
        "AVERAGE" => "reduce_mean",
        "L2" => "reduce_l2_norm",
        other => return Err(Reason::field("type", format!("{other} is not known"))),
    };
    let (axes, keep) = (cx.ints(axes)?, cx.flag(true));
    cx.op(op, &[("x", x), ("axes", axes), ("keep_dims", keep)])
}

pub(crate) fn pooling3d(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let (x, lead) = cx.fold(x, 4)?;
    let of = |what: &str| -> Result<Vec<u64>, Reason> {
        ["Depth", "Height", "Width"].iter().map(|axis| Ok(f.size(&format!("{what}{axis}"))?.max(1))).collect()
    };
    let (kernel, stride) = (of("kernel")?, of("stride")?);
    let mut args = window(cx, x, &kernel, &stride)?;
    push_border(cx, &mut args, &border_3d(f)?, x, Reach { window: &kernel, stride: &stride })?;
    let op = match f.choice("type", "MAX")? {
        "MAX" => "max_pool",
        "AVERAGE" => {
            if f.flag("countExcludePadding")? {
                args.push(("exclude_padding_from_average", cx.flag(true)));
            }
            "avg_pool"
        }
        other => return Err(Reason::field("type", format!("{other} is not known"))),
    };
    let y = cx.op(op, &args)?;
    one(cx.unfold(y, lead)?)
}

pub(crate) fn global_pooling3d(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    cx.rank_from(x, 3)?;
    let kind = cx.fields().choice("type", "MAX")?;
    one(global(cx, x, kind, &[-3, -2, -1])?)
}
