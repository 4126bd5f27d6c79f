//! The evaluator: what programs compute, on any machine.
//!
//! An [`Evaluator`] runs the functions of a program under one [`Arithmetic`]; [`evaluate`] computes one op; an
//! [`Observer`] sees every value of a run. NeuralNetwork layers are evaluated as what they lower to, so there is one
//! definition of each op and each layer.
//!
//! [`fold`] is for rewriting: it covers the ops that only move elements, whatever their dtype, and the arithmetic of
//! integers and truth values, both of which have one right answer. Arithmetic of floats is refused there: its rounding
//! belongs to the machine that runs the model.
//!
//! This crate must not know rules or files.

mod arithmetic;
mod array;
mod budget;
mod call;
mod control;
mod elementwise;
mod error;
mod fold;
mod gemm;
mod kernel;
mod layer;
mod lifetimes;
mod math;
mod number;
mod ops;
mod partial;
mod real;
mod reduce;
mod run;
mod sums;
#[cfg(test)]
mod testing;
mod value;
mod view;
mod wide;

pub use arithmetic::{Accumulator, Arithmetic, Numerics, Rounding};
pub use array::{Array, Buffer, Data, Element};
pub use error::{EvalError, FoldError};
pub use fold::{Arg, fold};
pub use kernel::evaluated;
pub use run::{Evaluator, Observer, Options, Outputs, Step, evaluate};
pub use value::{Dict, List, State, Value};
