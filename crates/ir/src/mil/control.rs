//! Ops with nested blocks.

use anewrite_tensor::DType;

use super::common::*;
use crate::dims::DimTable;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::Opset::Ios15;
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, TensorType, Type};

const COND: &[Param] = &[value("pred").of(BOOL)];
const WHILE: &[Param] = &[values("loop_vars")];

pub(super) const OPS: &[OpSchema] =
    &[pure("cond", Ios15, COND, cond), pure("while_loop", Ios15, WHILE, while_loop)];

/// Two blocks without arguments: what happens if `pred` holds, and what else.
fn cond(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    one_bool("pred", &cx.tensor("pred")?.clone().into())?;
    let [yes, no] = cx.blocks else { return blocks(cx, "a block for each outcome") };
    if !yes.args.is_empty() || !no.args.is_empty() {
        return bad("pred", "the blocks of a cond take no arguments");
    }
    if yes.outputs.len() != no.outputs.len() {
        return bad("pred", format!("{} outputs against {}", yes.outputs.len(), no.outputs.len()));
    }
    yes.outputs.iter().zip(&no.outputs).map(|(a, b)| either(cx.dims, "pred", a, b)).collect()
}

/// A block that says whether to go on and one that makes the next values, both of them taking the loop's values.
fn while_loop(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let [test, body] = cx.blocks else { return blocks(cx, "a test and a body") };
    let vars: Vec<&Type> = cx.args("loop_vars").map(|a| &a.ty).collect();
    match test.outputs.as_slice() {
        [go_on] => one_bool("loop_vars", go_on)?,
        other => return bad("loop_vars", format!("{} outputs of the test", other.len())),
    }
    for (what, n) in [
        ("arguments of the test", test.args.len()),
        ("arguments of the body", body.args.len()),
        ("outputs of the body", body.outputs.len()),
    ] {
        if n != vars.len() {
            return bad("loop_vars", format!("{n} {what} for {} values", vars.len()));
        }
    }
    let mut types = Types::new();
    for (i, &var) in vars.iter().enumerate() {
        compatible(var, &test.args[i])?;
        compatible(var, &body.args[i])?;
        compatible(&body.outputs[i], &body.args[i])?;
        types.push(after_loop(cx.dims, var, &body.args[i], &body.outputs[i]));
    }
    Ok(types)
}

fn blocks<T>(cx: &InferCx<'_>, what: &str) -> Result<T, InferError> {
    let param = if cx.kind == "cond" { "pred" } else { "loop_vars" };
    bad(param, format!("{what} is needed, this has {} blocks", cx.blocks.len()))
}

fn one_bool(param: &'static str, ty: &Type) -> Result<(), InferError> {
    match ty {
        Type::Tensor(t) if t.dtype == DType::Bool && t.count().is_none_or(|n| n == 1) => Ok(()),
        ty => bad(param, format!("one truth value is needed, this is {ty}")),
    }
}

/// The type of a value that is of type `a` or of type `b`.
fn either(dims: &mut DimTable, param: &'static str, a: &Type, b: &Type) -> Result<Type, InferError> {
    let differ = || bad(param, format!("{a} in one block, {b} in the other"));
    let (Type::Tensor(x), Type::Tensor(y)) = (a, b) else {
        return if a.refines(b) || b.refines(a) { Ok(a.clone()) } else { differ() };
    };
    let (Some(p), Some(q)) = (&x.shape, &y.shape) else {
        return if x.dtype == y.dtype { Ok(a.clone()) } else { differ() };
    };
    if x.dtype != y.dtype || p.len() != q.len() || p.iter().zip(q).any(|(&d, &e)| agreed(d, e).is_none()) {
        return differ();
    }
    // a number in the first block is what files state for the result
    let dim = |(&d, &e): (&Dim, &Dim)| if d == e || d.known().is_some() { d } else { dims.fresh() };
    Ok(TensorType::ranked(x.dtype, p.iter().zip(q).map(dim)).into())
}

fn compatible(given: &Type, wanted: &Type) -> Result<(), InferError> {
    let fits = match (given, wanted) {
        (Type::Tensor(a), Type::Tensor(b)) => {
            a.dtype == b.dtype
                && match (&a.shape, &b.shape) {
                    (Some(p), Some(q)) => {
                        p.len() == q.len() && p.iter().zip(q).all(|(&d, &e)| agreed(d, e).is_some())
                    }
                    _ => true,
                }
        }
        (Type::List { element: a, .. }, Type::List { element: b, .. }) => a.refines(b) || b.refines(a),
        (a, b) => a.refines(b) || b.refines(a),
    };
    if fits { Ok(()) } else { bad("loop_vars", format!("{given} where the loop has {wanted}")) }
}

/// The type of a loop's value after any number of rounds, none included: an extent that the body keeps is the one
/// that the loop started with.
fn after_loop(dims: &mut DimTable, start: &Type, arg: &Type, next: &Type) -> Type {
    let shapes = |t: &Type| t.tensor().and_then(|t| t.shape.clone());
    let (Some(a), Some(b), Some(c)) = (shapes(start), shapes(arg), shapes(next)) else { return next.clone() };
    let dtype = next.tensor().map_or(DType::F32, |t| t.dtype);
    let dim = |((&a, &b), &c): ((&Dim, &Dim), &Dim)| match c {
        Dim::Known(_) => c,
        c if a == b && b == c && c != Dim::Unknown => c,
        _ => dims.fresh(),
    };
    TensorType::ranked(dtype, a.iter().zip(&b).zip(&c).map(dim)).into()
}
