//! Whole models on disk, valid under coremltools' strict loader.

mod blobs;
mod chains;
mod large;
mod mix;
mod network;
mod package;
mod program;
mod random;

pub use chains::{Chain, chain_program};
pub use large::large_program;
pub use mix::mixed_program;
pub use network::large_network;

use std::io::{Error, ErrorKind};

/// An error for arguments that no model can have.
fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, why.into())
}
