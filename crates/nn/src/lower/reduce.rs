//! Reductions: `reduce` with its ten modes, and the layers that reduce any axes.

use super::context::one;
use super::{Cx, Lowered};
use crate::error::Reason;

/// `reduce`: over C, H and W or some of them, which stay as axes of extent 1.
pub(crate) fn reduce(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let axes: &[i64] = match f.choice("axis", "CHW")? {
        "CHW" => &[-3, -2, -1],
        "HW" => &[-2, -1],
        "C" => &[-3],
        "H" => &[-2],
        "W" => &[-1],
        other => return Err(Reason::field("axis", format!("{other} is not known"))),
    };
    let mut x = cx.x(0)?;
    cx.rank_from(x, axes.iter().map(|a| a.unsigned_abs() as usize).max().unwrap_or(1))?;
    let kind = match f.choice("mode", "SUM")? {
        "SUM" => "reduce_sum",
        "AVG" => "reduce_mean",
        "PROD" => "reduce_prod",
        // The sum of logarithms, where MIL's reduce_log_sum is the logarithm of the sum.
        "LOGSUM" => {
            x = cx.op_num("log", x, &[("epsilon", f.float_or("epsilon", 1e-6)?)])?;
            "reduce_sum"
        }
        "SUMSQUARE" => "reduce_sum_square",
        "L1" => "reduce_l1_norm",
        "L2" => "reduce_l2_norm",
        "MAX" => "reduce_max",
        "MIN" => "reduce_min",
        "ARGMAX" => {
            let [axis] = axes else { return Err(Reason::field("axis", "ARGMAX takes C, H or W")) };
            let (axis, keep) = (cx.int(*axis)?, cx.flag(true));
            let y = cx.op("reduce_argmax", &[("x", x), ("axis", axis), ("keep_dims", keep)])?;
            return one(cx.float_of(y)?);
        }
        other => return Err(Reason::field("mode", format!("{other} is not known"))),
    };
    let (axes, keep) = (cx.ints(axes)?, cx.flag(true));
    one(cx.op(kind, &[("x", x), ("axes", axes), ("keep_dims", keep)])?)
}

/// `reduceSum` and its like: over the named axes, or over all.
pub(crate) fn reduce_nd(cx: &mut Cx<'_, '_>, kind: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let rank = cx.rank(x)?;
    let all = f.flag("reduceAll")?;
    let axes = f.ints("axes")?;
    if axes.is_empty() && !all {
        return Err(Reason::field("axes", "no axis is named and reduceAll is not set"));
    }
    let axes: Vec<i64> = match all {
        true => (0..rank as i64).collect(),
        false => axes.iter().map(|&a| Ok(cx.axis("axes", a, rank)? as i64)).collect::<Result<_, Reason>>()?,
    };
    let (axes, keep) = (cx.ints(&axes)?, cx.flag(f.flag("keepDims")?));
    let y = cx.op(kind, &[("x", x), ("axes", axes), ("keep_dims", keep)])?;
    one(cx.at_least_vector(y)?)
}
