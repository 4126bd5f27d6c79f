//! `anewrite show`

use std::io::Write;
use std::process::ExitCode;

use anewrite::ShowOptions;

use super::stdout;
use crate::args::Show;
use crate::fail::Failure;

pub(crate) fn run(args: &Show) -> Result<ExitCode, Failure> {
    let options = ShowOptions { digest: !args.no_digest, inferred: args.inferred };
    let text = anewrite::show(&args.model, &options)?;
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
