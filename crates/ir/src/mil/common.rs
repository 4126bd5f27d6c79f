//! What the definitions of all families share: how a table row is written, and arithmetic on extents.

use anewrite_tensor::{DType, Tensor};
use smallvec::smallvec;

use crate::dims::{DimTable, Int};
use crate::infer::{Arg, InferCx, InferError, bad};
use crate::op::Effect;
use crate::schema::{DTypes, DefaultValue, InferFn, OpSchema, Opset, Param, ParamKind, Types};
use crate::types::{Dim, Shape, TensorType, Type};

/// Half and single precision.
pub(super) const FLOAT: DTypes = DTypes::of(&[DType::F16, DType::F32]);
/// `int32` alone.
pub(super) const INT32: DTypes = DTypes::of(&[DType::I32]);
/// `bool` alone.
pub(super) const BOOL: DTypes = DTypes::of(&[DType::Bool]);
/// Text alone.
pub(super) const TEXT: DTypes = DTypes::of(&[DType::String]);
/// What most arithmetic takes.
pub(super) const NUMBER: DTypes = FLOAT.and(INT32);
/// What most data movement takes.
pub(super) const NUMBER_BOOL: DTypes = NUMBER.and(BOOL);
/// The integers of 8 and 16 bits, which iOS 17 brought to data movement.
pub(super) const SMALL_INT: DTypes = DTypes::of(&[DType::I8, DType::U8, DType::I16, DType::U16]);

const fn param(name: &'static str, kind: ParamKind, default: DefaultValue) -> Param {
    Param { name, kind, default, dtypes: DTypes::ANY, like: None }
}

/// A value that must be given.
pub(super) const fn value(name: &'static str) -> Param {
    param(name, ParamKind::Value, DefaultValue::Required)
}

/// A value that may be left out and then stands for `default`.
pub(super) const fn value_or(name: &'static str, default: DefaultValue) -> Param {
    param(name, ParamKind::Value, default)
}

/// A constant that must be given.
pub(super) const fn constant(name: &'static str) -> Param {
    param(name, ParamKind::Const, DefaultValue::Required)
}

/// A constant that may be left out and then stands for `default`.
pub(super) const fn constant_or(name: &'static str, default: DefaultValue) -> Param {
    param(name, ParamKind::Const, default)
}

/// A parameter that takes one value or more.
pub(super) const fn values(name: &'static str) -> Param {
    param(name, ParamKind::Values, DefaultValue::Required)
}

/// A parameter that takes any number of values, none included, and then stands for `default`.
pub(super) const fn values_or(name: &'static str, default: DefaultValue) -> Param {
    param(name, ParamKind::Values, default)
}

/// A form of an op that only computes.
pub(super) const fn pure(
    name: &'static str,
    since: Opset,
    params: &'static [Param],
    infer: InferFn,
) -> OpSchema {
    OpSchema { name, since, params, effect: Effect::Pure, infer }
}

/// One result.
pub(super) fn one(ty: impl Into<Type>) -> Result<Types, InferError> {
    Ok(smallvec![ty.into()])
}

/// One tensor with these extents.
pub(super) fn tensor(dtype: DType, dims: impl IntoIterator<Item = Dim>) -> Result<Types, InferError> {
    one(TensorType::ranked(dtype, dims))
}

/// One tensor of unknown rank.
pub(super) fn unranked(dtype: DType) -> Result<Types, InferError> {
    one(TensorType { dtype, shape: None })
}

/// The result is of `x`'s type.
pub(super) fn same(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    one(cx.tensor("x")?.clone())
}

/// The element type that the text parameter `param` names.
pub(super) fn named_dtype(cx: &InferCx<'_>, param: &'static str) -> Result<DType, InferError> {
    let name = cx.text(param)?;
    match DType::from_name(name) {
        Some(d) => Ok(d),
        None => bad(param, format!("{name:?} is not an element type")),
    }
}

/// Refuses operands that the definition does not take: required ones that are missing, element types out of range
/// or not shared.
pub(super) fn check_params(cx: &InferCx<'_>, schema: &OpSchema) -> Result<(), InferError> {
    for p in schema.params {
        let mut args = cx.args(p.name).peekable();
        if args.peek().is_none() && p.default == DefaultValue::Required {
            return Err(InferError::Missing(p.name));
        }
        let like = p.like.and_then(|other| Some((other, cx.arg(other)?.ty.tensor()?.dtype)));
        for (a, dtype) in args.filter_map(|a| Some((a, a.ty.tensor()?.dtype))) {
            if !p.dtypes.has(dtype) {
                let opset = cx.opset.name();
                return bad(p.name, format!("{opset} takes {} here, not {dtype}", p.dtypes));
            }
            if let Some((other, want)) = like
                && want != dtype
                && !is_written_default(p, a, dtype)
            {
                return bad(p.name, format!("{dtype}, where {other} is {want}"));
            }
        }
    }
    Ok(())
}

/// coremltools writes the numbers that it fills in itself in single precision, also beside half precision data.
fn is_written_default(p: &Param, a: &Arg, dtype: DType) -> bool {
    let (DefaultValue::Float(default), DType::F32) = (p.default, dtype) else { return false };
    a.constant.as_ref().and_then(Tensor::scalar_f64) == Some(f64::from(default as f32))
}

/// The shape of `param`, which must have `rank` axes.
pub(super) fn shape_of_rank<'a>(
    cx: &InferCx<'a>,
    param: &'static str,
    rank: usize,
) -> Result<&'a Shape, InferError> {
    let shape = cx.shape(param)?;
    if shape.len() != rank {
        return bad(param, format!("rank {rank} is needed, this has rank {}", shape.len()));
    }
    Ok(shape)
}

/// An extent that a known integer must not make negative.
pub(super) fn extent(param: &'static str, n: Int) -> Result<Dim, InferError> {
    match n.dim() {
        Dim::Unknown => bad(param, format!("an extent of {n:?}")),
        d => Ok(d),
    }
}

/// Integers as extents.
pub(super) fn extents(param: &'static str, ints: &[Int]) -> Result<Shape, InferError> {
    ints.iter().map(|&n| extent(param, n)).collect()
}

/// Extents as text: `[2, ?, 3]`.
pub(super) fn shown(dims: &[Dim]) -> String {
    let dims: Vec<String> = dims.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(", "))
}

/// The product of extents; 1 for none.
///
/// # Errors
/// Where the known factors' product does not fit.
pub(super) fn product(dims: &mut DimTable, of: &[Dim], param: &'static str) -> Result<Int, InferError> {
    let mut known = 1u64;
    let mut rest = Int::Known(1);
    for &d in of {
        match d {
            Dim::Known(n) => match known.checked_mul(n).filter(|&n| i64::try_from(n).is_ok()) {
                Some(n) => known = n,
                None => return bad(param, "its extents have a product over 2^63"),
            },
            d => {
                let d = dims.int(d);
                rest = dims.mul(rest, d);
            }
        }
    }
    Ok(dims.mul(Int::Known(known as i64), rest))
}

/// Two extents that must be equal: what is known of either. `None` where they are different numbers.
pub(super) fn agreed(a: Dim, b: Dim) -> Option<Dim> {
    match (a, b) {
        (Dim::Known(x), Dim::Known(y)) => (x == y).then_some(a),
        (Dim::Known(_), _) => Some(a),
        (_, Dim::Known(_)) => Some(b),
        (Dim::Unknown, d) => Some(d),
        (d, _) => Some(d),
    }
}

/// Two shapes that must be equal, axis by axis; the error names `param` as the one that does not fit.
pub(super) fn agreed_shapes(param: &'static str, a: &Shape, b: &Shape) -> Result<Shape, InferError> {
    if a.len() != b.len() {
        return bad(param, format!("rank {} against {}", b.len(), a.len()));
    }
    let mut out = Shape::new();
    for (axis, (&x, &y)) in a.iter().zip(b).enumerate() {
        match agreed(x, y) {
            Some(d) => out.push(d),
            None => return bad(param, format!("extent {y} against {x} at axis {axis}")),
        }
    }
    Ok(out)
}

/// The shape of an elementwise op of `a` and `param`'s shape `b`: aligned at the last axis, extents equal or 1.
pub(super) fn broadcast_shapes(
    cx: &mut InferCx<'_>,
    param: &'static str,
    a: &Shape,
    b: &Shape,
) -> Result<Shape, InferError> {
    let rank = a.len().max(b.len());
    let at = |s: &Shape, i: usize| {
        (i + s.len()).checked_sub(rank).and_then(|i| s.get(i)).copied().unwrap_or(Dim::Known(1))
    };
    let mut out = Shape::new();
    for i in 0..rank {
        out.push(match (at(a, i), at(b, i)) {
            (Dim::Known(1), d) | (d, Dim::Known(1)) => d,
            (Dim::Known(x), Dim::Known(y)) if x != y => {
                return bad(param, format!("extent {y} against {x} at axis {i} of the result"));
            }
            (Dim::Known(n), _) | (_, Dim::Known(n)) => Dim::Known(n),
            (x, y) if x == y && x != Dim::Unknown => x,
            (x, y) => {
                let (x, y) = (cx.dims.int(x), cx.dims.int(y));
                cx.dims.max(x, y).dim()
            }
        });
    }
    Ok(out)
}
