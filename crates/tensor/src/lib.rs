//! Element types, shapes and constant payloads.
//!
//! A [`Tensor`] describes a constant: dtype, dims, and a [`Payload`] that is usually a byte range of a
//! mapped file. Nothing is copied, and nothing is assumed about alignment, until a caller asks for the
//! elements. This crate must not know files, protobuf or graphs.

mod dtype;
mod elements;
mod payload;
mod tensor;

pub use dtype::DType;
pub use payload::Payload;
pub use tensor::{Dims, Tensor, TensorError};
