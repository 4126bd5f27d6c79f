//! Programs that mean the same though their interfaces differ: a NeuralNetwork and the ML Program that it became.

use anewrite_interp::{EvalError, Value};
use anewrite_ir::Str;

/// How the interface of what came of a program differs from the original's. Cases are made for the original, as its
/// model describes its inputs; what surrounds either program (preprocessing, other names, other shapes) is done here.
pub trait Bridge {
    /// What the original takes where a case says this.
    ///
    /// # Errors
    /// Where a value does not fit the description.
    fn before(&self, inputs: &[(Str, Value)]) -> Result<Vec<(Str, Value)>, EvalError>;

    /// What the new program takes where a case says this.
    ///
    /// # Errors
    /// Where a value does not fit the description.
    fn after(&self, inputs: &[(Str, Value)]) -> Result<Vec<(Str, Value)>, EvalError>;

    /// The new program's output that gives what this one of the original gives.
    fn output<'a>(&'a self, name: &'a str) -> &'a str;
}

/// A value of the new program as the original gives it: probabilities without their labels, in the original's extents
/// where there are as many elements.
pub(crate) fn like(new: Value, old: &Value) -> Value {
    let Value::Tensor(old) = old else { return new };
    let new = match new {
        Value::Dict(d) => d.values,
        Value::Tensor(a) => a,
        other => return other,
    };
    match new.reshaped(old.dims().iter().copied()) {
        Ok(same) => Value::Tensor(same),
        Err(_) => Value::Tensor(new),
    }
}
