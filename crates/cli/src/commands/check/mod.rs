//! `anewrite check`

mod families;
mod findings;
mod summary;

use std::io::Write;
use std::process::ExitCode;

use anewrite::{CheckOptions, CheckReport, MeasuredPlan, Severity, Target};

use super::{json, stdout};
use crate::args::{Check, CheckFormat, FailOn};
use crate::fail::Failure;
use crate::progress::Spinner;

pub(crate) fn run(args: &Check) -> Result<ExitCode, Failure> {
    let options = CheckOptions {
        target: args.target.as_deref().map(Target::parse).transpose().map_err(anewrite::Error::from)?,
        ops: args.verbose,
        without_rules: args.no_rules,
        plan: args.compute_plan.as_ref().map(MeasuredPlan::open).transpose()?,
    };
    let spinner = Spinner::start("checking");
    let report = anewrite::check_path(&args.model, &options)?;
    drop(spinner);
    let mut out = stdout();
    match args.format {
        CheckFormat::Json => json(&mut out, &report)?,
        CheckFormat::Sarif => json(&mut out, &report.to_sarif(&args.model.to_string_lossy()))?,
        CheckFormat::Text => {
            let name = args.model.file_name().unwrap_or(args.model.as_os_str()).to_string_lossy();
            summary::print(&mut out, &name, &report)?;
            findings::print(&mut out, &report, args.verbose)?;
            if args.verbose {
                writeln!(out, "\n{}", anewrite::annotate(&args.model, &report)?)?;
            }
        }
    }
    out.flush()?;
    Ok(if fails(&report, args.fail_on) { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn fails(report: &CheckReport, on: FailOn) -> bool {
    match on {
        FailOn::Fixable => report.is_fixable(),
        FailOn::Error => report.worst() >= Some(Severity::Error),
        FailOn::Warning => report.worst() >= Some(Severity::Warning),
        FailOn::Never => false,
    }
}
