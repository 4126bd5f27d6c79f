//! `anewrite diff`

use std::io::Write;
use std::process::ExitCode;

use super::{json, stdout};
use crate::args::{Diff, Format};
use crate::fail::Failure;

pub(crate) fn run(args: &Diff) -> Result<ExitCode, Failure> {
    let diff = anewrite::diff(&args.before, &args.after)?;
    let mut out = stdout();
    match args.format {
        Format::Json => json(&mut out, &diff)?,
        Format::Text => write!(out, "{diff}")?,
    }
    out.flush()?;
    Ok(if diff.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
