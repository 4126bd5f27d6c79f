//! One file a command.

use std::io::{self, Write};

use crate::fail::Failure;

pub(crate) mod check;
pub(crate) mod devices;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod generate;
pub(crate) mod report;
pub(crate) mod rewrite;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod upgrade;
pub(crate) mod verify;

/// Prints a value as JSON with a line end.
fn json(out: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// The standard output, buffered and without colour where it is no terminal.
fn stdout() -> io::BufWriter<anstream::Stdout> {
    io::BufWriter::new(anstream::stdout())
}
