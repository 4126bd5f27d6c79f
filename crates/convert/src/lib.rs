//! Import from and export to the Core ML specification: the only crate that sees both the messages and the graph.
//!
//! [`import`] reads a model into a [`Document`]: a program for each network in it, beside the places in the file that
//! its parts came from. Bytes are never copied: weights, and everything else that is large, stay slices of the mapped
//! file. What a program cannot say (fields of a newer schema, attributes, doc strings) stays in the file too, and the op
//! that has it is sealed against rewriting.
//!
//! This crate must not know rules, nor how files are opened and written.

mod blobs;
mod document;
mod error;
mod export;
mod interface;
mod mil;
mod model;
mod nn;
mod note;
mod place;
mod read;
mod skeleton;
mod weights;

pub use document::{Document, ModelInfo, Part};
pub use error::{ImportError, Problem};
pub use export::{Export, ExportError, ExportProblem, export, export_anew};
pub use interface::{
    Color, Feature, FeatureKind, Flexible, Interface, Labels, NetworkHead, Preprocessing, PreprocessingStep,
};
pub use model::{import, import_spec};
pub use note::Note;
pub use skeleton::{NewModel, NewPackage};
pub use weights::{NoWeights, WeightSource};
