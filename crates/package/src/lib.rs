//! Core ML files on disk: model files, packages, manifests and weight blob files.
//!
//! Reading: [`open`] tells a `.mlmodel` file, a `.mlpackage` folder and a `.mlmodelc` folder apart
//! by content and gives a [`Source`]. Files are mapped, so that gigabytes of weights cost nothing
//! until somebody reads them; a weight is a slice of the map ([`BlobFile::blob`]).
//!
//! Writing: a file is a list of [`Chunk`]s, most of them ranges of an input that the operating
//! system copies. A [`WeightPlan`] lays out a weight file: old blobs stay, new ones follow.
//! [`write_model_file`], [`write_package`] and [`copy`] make outputs that appear whole or not at
//! all, also when the process is killed, and never touch an input.
//!
//! All input is taken for hostile: sizes and offsets are checked, and no path inside a package
//! leads out of it.
//!
//! This crate must not know what is inside a specification: no Protocol Buffers, no graphs, no
//! tensors. Blobs are bytes with a type number.

mod blob;
mod chunk;
mod confine;
mod contents;
mod create;
mod dedup;
mod destination;
mod dtype;
mod error;
mod file;
mod manifest;
mod map;
mod options;
mod output;
mod package;
mod plan;
mod source;
mod staging;
mod walk;
mod weights;

pub use blob::{Blob, BlobFile, BlobRecord};
pub use chunk::{ByteStream, Chunk, chunks_of};
pub use destination::{OutputKind, check_destination};
pub use dtype::BlobType;
pub use error::{BlobError, BlobProblem, OpenError, OpenProblem, WriteError, WriteProblem};
pub use file::SourceFile;
pub use manifest::{Manifest, ManifestItem};
pub use map::Access;
pub use options::{Progress, WriteOptions};
pub use output::{PackageOutput, Written, copy, write_model_file, write_package};
pub use package::Package;
pub use plan::{BlobData, BlobId, WeightLayout, WeightPlan};
pub use source::{Compiled, ModelFile, Source, open};
