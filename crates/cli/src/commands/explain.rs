//! `anewrite explain`

use std::io::Write;
use std::process::ExitCode;

use super::stdout;
use crate::args::Explain;
use crate::fail::Failure;

pub(crate) fn run(args: &Explain) -> Result<ExitCode, Failure> {
    let page = anewrite::explain(&args.name)?;
    let mut out = stdout();
    out.write_all(page.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
