//! Findings as data: what was found, where, how it is known, what to do.
//!
//! Every finding has a [`Code`]; every code has a page under `docs/findings/`, which is also what `explain` prints.
//!
//! # What this crate must not know
//! How findings are made, and how they are printed.

mod catalogue;
mod code;
mod finding;

pub use catalogue::{Kind, kind, kinds};
pub use code::{BadCode, Code};
pub use finding::{Answer, Cost, Declined, Evidence, Finding, Fix, Known, Place, Severity, SourceRef};
