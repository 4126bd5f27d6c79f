//! `anewrite explain`

use std::io::Write;
use std::process::ExitCode;

use super::stdout;
use crate::args::Explain;
use crate::fail::Failure;

pub(crate) fn run(args: &Explain) -> Result<ExitCode, Failure> {
    let info = anewrite::rule(&args.code)?.info();
    let mut out = stdout();
    writeln!(out, "# {} {}\n", info.code, info.name)?;
    for line in info.page.lines() {
        // A doc comment's lines begin with the blank that stands behind its slashes.
        writeln!(out, "{}", line.strip_prefix(' ').unwrap_or(line))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
