//! Short ways to run single ops in unit tests.

use anewrite_tensor::DType;

use crate::{Arithmetic, Array, EvalError, Options, Value, evaluate};

/// 0, 1, 2… in these extents, as int32.
pub(crate) fn ints(dims: &[u64]) -> Value {
    let n = dims.iter().product::<u64>() as i64;
    Array::new(DType::I32, dims.iter().copied(), (0..n).collect::<Vec<i64>>()).unwrap().into()
}

/// A vector of int32.
pub(crate) fn int_list(items: &[i64]) -> Value {
    Array::new(DType::I32, [items.len() as u64], items.to_vec()).unwrap().into()
}

/// An int32 scalar.
pub(crate) fn int(item: i64) -> Value {
    Array::new(DType::I32, [], vec![item]).unwrap().into()
}

/// A truth value.
pub(crate) fn flag(item: bool) -> Value {
    Array::new(DType::Bool, [], vec![item]).unwrap().into()
}

/// Floats in these extents, as fp32.
pub(crate) fn floats(dims: &[u64], items: &[f32]) -> Value {
    Array::new(DType::F32, dims.iter().copied(), items.to_vec()).unwrap().into()
}

/// A text.
pub(crate) fn text(item: &str) -> Value {
    Array::texts([], vec![item.into()]).unwrap().into()
}

/// All results of an op at fp32.
pub(crate) fn all_on(kind: &str, args: &[(&str, Value)]) -> Result<Vec<Value>, EvalError> {
    evaluate(kind, args, Options { arithmetic: Arithmetic::Fp32, memory: 1 << 24, seed: 0 })
}

/// The first result of an op at fp32.
pub(crate) fn on(kind: &str, args: &[(&str, Value)]) -> Result<Value, EvalError> {
    Ok(all_on(kind, args)?.swap_remove(0))
}

/// The extents of a result.
pub(crate) fn dims(v: &Value) -> Vec<u64> {
    v.tensor().unwrap().dims().to_vec()
}

/// The elements of a result.
pub(crate) fn numbers(v: &Value) -> Vec<f64> {
    v.tensor().unwrap().to_f64s().unwrap()
}
