//! ML Programs.

mod attr;
mod encode;
mod export;
mod export_interface;
mod export_op;
mod import;
mod import_op;
mod names;
mod source;
mod types;
pub(crate) mod value;
mod view;

pub(crate) use encode::{new_named, push_payload};
pub(crate) use export::export;
pub(crate) use import::import;
pub(crate) use source::ProgramSource;
