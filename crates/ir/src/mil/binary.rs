//! Elementwise ops of two operands: arithmetic, comparison, logic, selection. Shapes broadcast.

use anewrite_tensor::DType;

use super::common::*;
use super::ints::*;
use crate::dims::{DimTable, Int};
use crate::infer::{InferCx, InferError};
use crate::schema::Opset::Ios15;
use crate::schema::{OpSchema, Param, Types};

const XY: &[Param] = &[value("x").of(NUMBER), value("y").of(NUMBER).like("x")];
const XY_BOOL: &[Param] = &[value("x").of(BOOL), value("y").of(BOOL).like("x")];
const SELECT: &[Param] =
    &[value("cond").of(BOOL), value("a").of(NUMBER_BOOL), value("b").of(NUMBER_BOOL).like("a")];

pub(super) const OPS: &[OpSchema] = &[
    pure("add", Ios15, XY, |cx| arithmetic(cx, |d, a, b| Some(d.add(a, b)))),
    pure("equal", Ios15, XY, |cx| compare(cx, |low, high| within(low, high, 0, 0))),
    pure("floor_div", Ios15, XY, |cx| arithmetic(cx, floor_div)),
    pure("greater", Ios15, XY, |cx| compare(cx, |low, high| within(low, high, 1, i64::MAX))),
    pure("greater_equal", Ios15, XY, |cx| compare(cx, |low, high| within(low, high, 0, i64::MAX))),
    pure("less", Ios15, XY, |cx| compare(cx, |low, high| within(low, high, i64::MIN, -1))),
    pure("less_equal", Ios15, XY, |cx| compare(cx, |low, high| within(low, high, i64::MIN, 0))),
    pure("logical_and", Ios15, XY_BOOL, |cx| logic(cx, |a, b| a & b)),
    pure("logical_or", Ios15, XY_BOOL, |cx| logic(cx, |a, b| a | b)),
    pure("logical_xor", Ios15, XY_BOOL, |cx| logic(cx, |a, b| a ^ b)),
    pure("maximum", Ios15, XY, |cx| arithmetic(cx, |d, a, b| Some(d.max(a, b)))),
    pure("minimum", Ios15, XY, |cx| arithmetic(cx, |d, a, b| Some(d.min(a, b)))),
    pure("mod", Ios15, XY, |cx| arithmetic(cx, modulo)),
    pure("mul", Ios15, XY, |cx| arithmetic(cx, |d, a, b| Some(d.mul(a, b)))),
    pure("not_equal", Ios15, XY, |cx| compare(cx, |low, high| within(low, high, 0, 0).map(|b| !b))),
    pure("pow", Ios15, XY, |cx| arithmetic(cx, power)),
    pure("real_div", Ios15, XY, |cx| arithmetic(cx, exact_div)),
    pure("select", Ios15, SELECT, select),
    pure("sub", Ios15, XY, |cx| arithmetic(cx, |d, a, b| Some(d.sub(a, b)))),
];

fn broadcast(
    cx: &mut InferCx<'_>,
    a: &'static str,
    b: &'static str,
    dtype: DType,
) -> Result<Types, InferError> {
    let (x, y) = (cx.tensor(a)?, cx.tensor(b)?);
    let (Some(x), Some(y)) = (&x.shape, &y.shape) else { return unranked(dtype) };
    tensor(dtype, broadcast_shapes(cx, b, x, y)?)
}

fn arithmetic(
    cx: &mut InferCx<'_>,
    f: impl Fn(&mut DimTable, Int, Int) -> Option<Int>,
) -> Result<Types, InferError> {
    let dtype = cx.tensor("x")?.dtype;
    zip_elements(cx, "x", "y", dtype, f);
    broadcast(cx, "x", "y", dtype)
}

fn floor_div(d: &mut DimTable, a: Int, b: Int) -> Option<Int> {
    (b != Int::Known(0)).then(|| d.floor_div(a, b))
}

/// Only where nothing is left over: integers divide into integers here.
fn exact_div(d: &mut DimTable, a: Int, b: Int) -> Option<Int> {
    let q = floor_div(d, a, b)?;
    (d.mul(q, b) == a).then_some(q)
}

/// The remainder has the divisor's sign.
fn modulo(d: &mut DimTable, a: Int, b: Int) -> Option<Int> {
    let q = floor_div(d, a, b)?;
    let whole = d.mul(q, b);
    Some(d.sub(a, whole))
}

fn power(d: &mut DimTable, a: Int, b: Int) -> Option<Int> {
    let times = b.known().filter(|n| (0..=4).contains(n))?;
    Some((0..times).fold(Int::Known(1), |product, _| d.mul(product, a)))
}

/// Whether a number between the bounds `low` and `high` lies in `from..=to`; `None` where it may or may not.
fn within(low: Option<i64>, high: Option<i64>, from: i64, to: i64) -> Option<bool> {
    let (low, high) = (low.unwrap_or(i64::MIN), high.unwrap_or(i64::MAX));
    if low >= from && high <= to {
        Some(true)
    } else if high < from || low > to {
        Some(false)
    } else {
        None
    }
}

/// `f` decides from the bounds of `x - y`.
fn compare(
    cx: &mut InferCx<'_>,
    f: impl Fn(Option<i64>, Option<i64>) -> Option<bool>,
) -> Result<Types, InferError> {
    zip_elements(cx, "x", "y", DType::Bool, |d, a, b| {
        let difference = d.sub(a, b);
        f(d.lower_bound(difference), d.upper_bound(difference)).map(|b| Int::Known(i64::from(b)))
    });
    broadcast(cx, "x", "y", DType::Bool)
}

fn logic(cx: &mut InferCx<'_>, f: impl Fn(i64, i64) -> i64) -> Result<Types, InferError> {
    zip_elements(cx, "x", "y", DType::Bool, |_, a, b| Some(Int::Known(f(a.known()?, b.known()?))));
    broadcast(cx, "x", "y", DType::Bool)
}

/// The result has the shape of `a` and `b` broadcast; `cond` does not widen it.
fn select(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = cx.tensor("a")?.dtype;
    if let Some(Int::Known(cond)) = element(cx, "cond") {
        let (taken, other) = if cond != 0 { ("a", "b") } else { ("b", "a") };
        zip_elements(cx, taken, other, dtype, |_, taken, _| Some(taken));
    } else if let Some(cond) = elements(cx, "cond")
        && let (Some(a), Some(b)) = (elements(cx, "a"), elements(cx, "b"))
        && (a.len(), b.len()) == (cond.len(), cond.len())
    {
        let picked = cond.iter().zip(a.iter().zip(b)).map(|(c, (a, b))| match c.known()? {
            0 => Some(*b),
            _ => Some(*a),
        });
        if let Some(picked) = picked.collect() {
            set_elements(cx, dtype, picked);
        }
    }
    broadcast(cx, "a", "b", dtype)
}
