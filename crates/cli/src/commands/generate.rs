//! `anewrite completions` and `anewrite man`

use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::{Cli, Completions, Man};
use crate::fail::Failure;

pub(crate) fn completions(args: &Completions) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "anewrite", &mut script);
    std::io::Write::write_all(&mut super::stdout(), &script)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(args: &Man) -> Result<ExitCode, Failure> {
    let at = |e: std::io::Error| Failure::Other(format!("{}: {e}", args.folder.display()));
    clap_mangen::generate_to(Cli::command(), &args.folder).map_err(at)?;
    Ok(ExitCode::SUCCESS)
}
