//! The NeuralNetwork dialect: what each of the format's 158 layer types means, as MIL ops.
//!
//! A layer has one definition, its lowering ([`lower`]): an expansion into MIL ops for the array mapping of its
//! network. Shape inference ([`Nn`]), evaluation and the upgrade to an ML Program read that one definition, so they
//! cannot disagree. [`layers`] lists the types, and how far each lowers.
//!
//! How a layer stands in a program: an op of kind `nn.<field of NeuralNetworkLayer>`; its data inputs are the
//! operands named `input`, in order; its parameters are attributes by the schema's names, only those that are set
//! (proto3's defaults stand for the rest; the member of a oneof that is set is there); its weights are constant
//! operands named by the dotted path of their field (`weights`, `weightParams.0.inputGateWeightMatrix`), flat.
//! `branch` and `loop` hold their networks as blocks; what those overwrite enters each block as arguments and leaves
//! it as outputs, all of it in one order, and is the op's operands named `carried` and its results.
//!
//! This crate must not know files, protobuf, rules or the engine.

mod call;
mod dialect;
mod error;
mod fields;
mod lower;
mod mapping;
mod network;
pub mod recurrent;
mod registry;
mod whole;

pub use call::{CARRIED, Detail, INPUT, LayerCall, NETWORKS, PREFIX};
pub use dialect::Nn;
pub use error::{LowerError, Reason};
pub use lower::lower;
pub use mapping::Mapping;
pub use network::{LayerProblem, NetworkOptions, lower_network};
pub use registry::{Layer, Status, layer, layers};
pub use whole::{Whole, whole_numbers};
