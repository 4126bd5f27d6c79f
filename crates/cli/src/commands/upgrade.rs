//! `anewrite upgrade`

use std::io::Write;
use std::process::ExitCode;

use anewrite::{DType, Model, Opset, UpgradeOptions, WriteOptions};

use super::stdout;
use crate::args::Upgrade;
use crate::fail::Failure;
use crate::progress::Spinner;

pub(crate) fn run(args: &Upgrade) -> Result<ExitCode, Failure> {
    let options = UpgradeOptions {
        opset: match args.ios.as_str() {
            "16" => Opset::Ios16,
            "17" => Opset::Ios17,
            "18" => Opset::Ios18,
            _ => Opset::Ios15,
        },
        precision: if args.precision == "fp32" { DType::F32 } else { DType::F16 },
    };
    let write = WriteOptions::new().force(args.force).fsync(args.fsync).input(&args.input);
    anewrite::check_upgrade_output(&args.output, &write)?;
    let spinner = Spinner::start("upgrading");
    let model = Model::open(&args.input)?;
    let upgraded = anewrite::upgrade(&model, options)?;
    let written = upgraded.write(&args.output, &write)?;
    drop(spinner);
    let mut out = stdout();
    for part in &upgraded.document.parts {
        let path = if part.path.is_empty() { String::new() } else { format!("{}: ", part.path) };
        writeln!(out, "{path}{} ops", part.program.op_count())?;
    }
    for note in &upgraded.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "{} bytes, {} before", written.bytes, model.byte_len())?;
    if let Some(leftover) = written.leftover {
        let mut err = anstream::stderr().lock();
        writeln!(err, "warning: what was replaced could not be removed: {}", leftover.display())?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
