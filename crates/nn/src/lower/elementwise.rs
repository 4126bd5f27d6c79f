//! Elementwise layers: arithmetic with and without broadcasting, comparisons, logic, unary functions.

use anewrite_ir::{Dim, ValueId};

use super::activation::linear;
use super::context::one;
use super::{Cx, Lowered, One};
use crate::error::Reason;

/// A layer that is one MIL op of one operand.
pub(crate) fn same_op(cx: &mut Cx<'_, '_>, kind: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    one(cx.op(kind, &[("x", x)])?)
}

/// `asinh` and `acosh`, which are no ops: log(x + sqrt(x² ± 1)). The first one's sign is taken out, or it would
/// cancel for negative numbers.
pub(crate) fn inverse_hyperbolic(cx: &mut Cx<'_, '_>, kind: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    let (size, one_more) = match kind {
        "asinh" => (cx.op("abs", &[("x", x)])?, 1.0),
        _ => (x, -1.0),
    };
    let unit = cx.num(one_more)?;
    let square = cx.op2("mul", size, size)?;
    let below = cx.op2("add", square, unit)?;
    let root = cx.op("sqrt", &[("x", below)])?;
    let sum = cx.op2("add", size, root)?;
    let y = cx.op_num("log", sum, &[("epsilon", 0.0)])?;
    if kind != "asinh" {
        return one(y);
    }
    let sign = cx.op("sign", &[("x", x)])?;
    one(cx.op2("mul", sign, y)?)
}

/// The layer hands its input on.
pub(crate) fn copy(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    one(cx.x(0)?)
}

/// A layer that is one MIL op of two operands, broadcasting.
pub(crate) fn pair(cx: &mut Cx<'_, '_>, kind: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, y) = (cx.x(0)?, cx.x(1)?);
    one(cx.op2(kind, x, y)?)
}

/// `add`, `multiply`, `max`, `min`: over all inputs; the first two with a number where there is one input.
pub(crate) fn chain(cx: &mut Cx<'_, '_>, kind: &'static str) -> Lowered {
    let xs = cx.xs()?;
    if let [x] = xs.as_slice() {
        let alpha = match kind {
            "add" | "mul" => cx.fields().float("alpha")?,
            _ => return one(*x),
        };
        let alpha = cx.num(alpha)?;
        return one(cx.op2(kind, *x, alpha)?);
    }
    one(fold(cx, kind, &xs)?)
}

pub(crate) fn average(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let xs = cx.xs()?;
    let sum = fold(cx, "add", &xs)?;
    let n = cx.num(xs.len() as f64)?;
    one(cx.op2("real_div", sum, n)?)
}

fn fold(cx: &mut Cx<'_, '_>, kind: &str, xs: &[ValueId]) -> One {
    let mut all = xs.iter().copied();
    let first = all.next().ok_or_else(|| Reason::input(0, "it is missing"))?;
    all.try_fold(first, |y, x| cx.op2(kind, y, x))
}

/// `dot`: the product of two vectors along axis -3, or of their directions.
pub(crate) fn dot(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, y) = (cx.x(0)?, cx.x(1)?);
    let inner = |cx: &mut Cx<'_, '_>, x, y| -> One {
        let product = cx.op2("mul", x, y)?;
        let (axes, keep) = (cx.ints(&[-3])?, cx.flag(true));
        cx.op("reduce_sum", &[("x", product), ("axes", axes), ("keep_dims", keep)])
    };
    let product = inner(cx, x, y)?;
    if !cx.fields().flag("cosineSimilarity")? {
        return one(product);
    }
    let (xx, yy) = (inner(cx, x, x)?, inner(cx, y, y)?);
    let (x, y) = (cx.op("sqrt", &[("x", xx)])?, cx.op("sqrt", &[("x", yy)])?);
    let lengths = cx.op2("mul", x, y)?;
    one(cx.op2("real_div", product, lengths)?)
}

/// Comparisons give 1 and 0; one input is compared with a number.
pub(crate) fn compare(cx: &mut Cx<'_, '_>, kind: &'static str) -> Lowered {
    let n = cx.arity_in(1..=2)?;
    let x = cx.x(0)?;
    let y = match n {
        1 => {
            let alpha = cx.fields().float("alpha")?;
            cx.num(alpha)?
        }
        _ => cx.x(1)?,
    };
    let truth = cx.op2(kind, x, y)?;
    one(cx.float_of(truth)?)
}

/// Logic on "is not 0" gives 1 and 0.
pub(crate) fn logical(cx: &mut Cx<'_, '_>, kind: &'static str) -> Lowered {
    cx.arity_in(2..=2)?;
    let (x, y) = (cx.raw(0)?, cx.raw(1)?);
    let (x, y) = (cx.bool_of(x)?, cx.bool_of(y)?);
    let truth = cx.op2(kind, x, y)?;
    one(cx.float_of(truth)?)
}

pub(crate) fn logical_not(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.raw(0)?;
    let x = cx.bool_of(x)?;
    let truth = cx.op("logical_not", &[("x", x)])?;
    one(cx.float_of(truth)?)
}

/// MIL's op takes its type from the two values, so a condition that is wider than both widens one of them.
pub(crate) fn where_broadcastable(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(3..=3)?;
    let (c, mut a, b) = (cx.raw(0)?, cx.x(1)?, cx.x(2)?);
    let c = cx.bool_of(c)?;
    let (wide, x, y) = (cx.shape(c)?, cx.shape(a)?, cx.shape(b)?);
    let held = |back: usize, dim: &Dim| {
        let of = |s: &[Dim]| s.iter().rev().nth(back).copied();
        *dim == Dim::Known(1) || [of(&x), of(&y)].contains(&Some(*dim))
    };
    if !wide.iter().rev().enumerate().all(|(back, dim)| held(back, dim)) {
        let (shape, unit) = (cx.extents(c)?, cx.num(1.0)?);
        let ones = cx.op("fill", &[("shape", shape), ("value", unit)])?;
        a = cx.op2("mul", a, ones)?;
    }
    one(cx.op("select", &[("cond", c), ("a", a), ("b", b)])?)
}

/// `unary`: a function of `scale * x + shift`; a scale of 0 stands for 1, an epsilon of 0 for 1e-6.
pub(crate) fn unary(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let (alpha, epsilon) = (f.float("alpha")?, f.float_or("epsilon", 1e-6)?);
    let x = cx.x(0)?;
    let x = linear(cx, x, f.float_or("scale", 1.0)?, f.float("shift")?)?;
    one(match f.choice("type", "SQRT")? {
        "SQRT" => cx.op("sqrt", &[("x", x)])?,
        "RSQRT" => cx.op_num("rsqrt", x, &[("epsilon", epsilon)])?,
        "INVERSE" => cx.op_num("inverse", x, &[("epsilon", epsilon)])?,
        "POWER" => {
            let alpha = cx.num(alpha)?;
            cx.op2("pow", x, alpha)?
        }
        "EXP" => cx.op("exp", &[("x", x)])?,
        // The format gives the logarithm no epsilon; converters write one, and MIL's op adds it.
        "LOG" => cx.op_num("log", x, &[("epsilon", f.float("epsilon")?)])?,
        "ABS" => cx.op("abs", &[("x", x)])?,
        "THRESHOLD" => cx.op_num("threshold", x, &[("alpha", alpha)])?,
        other => return Err(Reason::field("type", format!("{other} is not known"))),
    })
}
