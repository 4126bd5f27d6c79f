//! ML Programs.

mod import;
mod names;
mod source;
mod types;
pub(crate) mod value;
mod view;

pub(crate) use import::import;
pub(crate) use source::ProgramSource;
