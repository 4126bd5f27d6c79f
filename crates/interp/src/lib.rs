//! The evaluator: what an op computes from constants.
//!
//! [`fold`] covers the ops that only move elements, whatever their dtype, and the arithmetic of integers and truth
//! values, both of which have one right answer. Arithmetic of floats is refused: its rounding belongs to the machine
//! that runs the model.
//!
//! This crate must not know rules or files.

mod error;
mod fold;
mod ints;
mod moves;

pub use error::FoldError;
pub use fold::{Arg, fold};
