//! The Core ML specification's messages, and wire-level access to them that loses nothing.
//!
//! [`spec`] and [`mil`] hold the types that prost generates from the schema in `proto/`: a typed view of a message, not the
//! way to write an existing one back. Decoding drops unknown fields and re-encoding changes map order and packing, so
//! whoever edits a model works on byte ranges and uses the types only for messages that are new.
//!
//! The types are committed: building this crate needs no `protoc`. `cargo xtask proto` makes them anew and
//! `cargo xtask proto --check` proves that they are what the schema gives.
//!
//! This crate knows nothing about files, graphs or tensors: its input is bytes.

pub mod hollow;
pub mod rope;
mod schema;
pub mod splice;
pub mod wire;

pub use schema::{descriptor_of, message, pool};
pub use spec::mil_spec as mil;

/// The messages of package `CoreML.Specification`: the model, its interface, neural networks and classical models.
// Generated code: its comments come from the schema, and its shape from prost.
#[allow(missing_docs, clippy::all)]
pub mod spec {
    include!("gen/core_ml.specification.rs");

    /// The messages of package `CoreML.Specification.MILSpec`: ML Programs.
    pub mod mil_spec {
        include!("gen/core_ml.specification.mil_spec.rs");
    }

    /// The messages of package `CoreML.Specification.CoreMLModels`: models that are built into the system.
    pub mod core_ml_models {
        include!("gen/core_ml.specification.core_ml_models.rs");
    }
}
