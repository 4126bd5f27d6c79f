//! Lists of tensors.

use anewrite_tensor::DType;

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::op::Effect::{self, ReadState, WriteState};
use crate::schema::DefaultValue::{Absent, Bool, Int, Text};
use crate::schema::Opset::Ios15;
use crate::schema::{InferFn, OpSchema, Param, Types};
use crate::types::{Dim, Shape, TensorType, Type};

/// `elem_shape` has one value an axis, text for an extent that is not known; none at all for scalars.
const MAKE: &[Param] = &[
    value_or("init_length", Int(1)).of(INT32),
    constant_or("dynamic_length", Bool(true)).of(BOOL),
    values_or("elem_shape", Absent),
    constant_or("dtype", Text("fp32")).of(TEXT),
];
const LIST: Param = value("ls");
const INDEX: Param = value("index").of(INT32);
const INDICES: Param = value("indices").of(INT32);
const VALUE: Param = value("value").of(NUMBER_BOOL);

const fn on_list(name: &'static str, effect: Effect, params: &'static [Param], infer: InferFn) -> OpSchema {
    OpSchema { name, since: Ios15, params, effect, infer }
}

/// Whether a written list shares its elements with the list before is not documented, so reads and writes keep their
/// order and no two lists are taken for one.
pub(super) const OPS: &[OpSchema] = &[
    on_list("list_gather", ReadState, &[LIST, INDICES], list_gather),
    on_list("list_length", ReadState, &[LIST], list_length),
    on_list("list_read", ReadState, &[LIST, INDEX], list_read),
    on_list("list_scatter", WriteState, &[LIST, INDICES, VALUE], list_scatter),
    on_list("list_write", WriteState, &[LIST, INDEX, VALUE], list_write),
    on_list("make_list", WriteState, MAKE, make_list),
];

fn make_list(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let dtype = named_dtype(cx, "dtype")?;
    let mut shape = Shape::new();
    for arg in cx.args("elem_shape") {
        let text = arg.constant.as_ref().and_then(|c| c.scalar_str());
        let number = arg.constant.as_ref().and_then(|c| c.scalar_i64());
        shape.push(match (text, number.map(u64::try_from)) {
            (Some(_), _) => Dim::Unknown,
            (None, Some(Ok(n))) => Dim::Known(n),
            (None, Some(Err(_))) => return bad("elem_shape", "a negative extent"),
            (None, None) => return Err(InferError::NotKnown("elem_shape")),
        });
    }
    let length = match cx.ints("init_length") {
        Ok(Some(n)) => n.first().and_then(|n| n.known()).and_then(|n| u64::try_from(n).ok()),
        _ => None,
    };
    one(Type::List { element: TensorType { dtype, shape: Some(shape) }, length })
}

fn element<'a>(cx: &InferCx<'a>) -> Result<&'a TensorType, InferError> {
    match cx.arg("ls").map(|a| &a.ty) {
        Some(Type::List { element, .. }) => Ok(element),
        Some(other) => bad("ls", format!("a list is needed, this is {other}")),
        None => Err(InferError::Missing("ls")),
    }
}

fn list_length(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    element(cx)?;
    tensor(DType::I32, [])
}

fn list_read(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let element = element(cx)?;
    one(opened(cx, element))
}

/// Elements may differ in extents that are not known, so each that is taken out has its own.
fn opened(cx: &mut InferCx<'_>, element: &TensorType) -> TensorType {
    let mut fresh = |d: &Dim| if d.known().is_some() { *d } else { cx.dims.fresh() };
    TensorType {
        dtype: element.dtype,
        shape: element.shape.as_ref().map(|s| s.iter().map(&mut fresh).collect()),
    }
}

fn list_write(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let value = cx.tensor("value")?;
    holds(cx, value.dtype, value.shape.as_deref())?;
    list_of(cx)
}

fn list_of(cx: &InferCx<'_>) -> Result<Types, InferError> {
    one(cx.arg("ls").ok_or(InferError::Missing("ls"))?.ty.clone())
}

fn holds(cx: &InferCx<'_>, dtype: DType, shape: Option<&[Dim]>) -> Result<(), InferError> {
    let element = element(cx)?;
    let fits = element.dtype == dtype
        && match (&element.shape, shape) {
            (Some(a), Some(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| agreed(a, b).is_some())
            }
            _ => true,
        };
    if fits { Ok(()) } else { bad("value", format!("the list holds {element}")) }
}

fn list_gather(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let element = element(cx)?;
    let count = shape_of_rank(cx, "indices", 1)?[0];
    let TensorType { dtype, shape: Some(rest) } = opened(cx, element) else {
        return Err(InferError::NotKnown("ls"));
    };
    tensor(dtype, std::iter::once(count).chain(rest))
}

fn list_scatter(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let count = shape_of_rank(cx, "indices", 1)?[0];
    let value = cx.tensor("value")?;
    match cx.shape("value")?.as_slice() {
        [n, rest @ ..] if agreed(*n, count).is_some() => holds(cx, value.dtype, Some(rest))?,
        other => return bad("value", format!("extents {} for {count} indices", shown(other))),
    }
    list_of(cx)
}
