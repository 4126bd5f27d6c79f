//! `anewrite report`

use std::io::Write;
use std::process::ExitCode;

use super::stdout;
use crate::args::{Report, ReportWhat};
use crate::fail::Failure;

pub(crate) fn run(args: &Report) -> Result<ExitCode, Failure> {
    let ReportWhat::Ops { output } = &args.what;
    let page = anewrite::supported_ops();
    match output {
        Some(path) => {
            std::fs::write(path, page).map_err(|e| Failure::Other(format!("{}: {e}", path.display())))?
        }
        None => {
            let mut out = stdout();
            out.write_all(page.as_bytes())?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
