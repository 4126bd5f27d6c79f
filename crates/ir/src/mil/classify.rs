//! The op at the end of a classifier.

use anewrite_tensor::DType;
use smallvec::smallvec;

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::Opset::Ios15;
use crate::schema::{DTypes, OpSchema, Param, Types};
use crate::types::{TensorType, Type};

const CLASSIFY: &[Param] = &[value("probabilities").of(DTypes::of(&[DType::F32])), constant("classes")];

pub(super) const OPS: &[OpSchema] = &[pure("classify", Ios15, CLASSIFY, classify)];

/// The label of the greatest probability, and the probability of each label.
fn classify(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let probabilities = cx.tensor("probabilities")?;
    let (label, count) = match cx.arg("classes").map(|a| &a.ty) {
        None => return Err(InferError::Missing("classes")),
        Some(Type::Tensor(t)) => (t.dtype, t.count()),
        Some(Type::List { element, length }) => (element.dtype, *length),
        Some(other) => return bad("classes", format!("labels are needed, this is {other}")),
    };
    if !matches!(label, DType::String | DType::I64) {
        return bad("classes", format!("elements of {label} are no labels"));
    }
    if let (Some(labels), Some(n)) = (count, probabilities.count())
        && labels != n
    {
        return bad("classes", format!("{labels} labels for {n} probabilities"));
    }
    let label = Type::Tensor(TensorType::fixed(label, []));
    let probability = Type::Tensor(TensorType::fixed(DType::F64, []));
    Ok(smallvec![label.clone(), Type::Dict { key: Box::new(label), value: Box::new(probability) }])
}
