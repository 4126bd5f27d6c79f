//! `anewrite rules`

use std::io::Write;
use std::process::ExitCode;

use anewrite::{Grade, Purpose, RuleInfo};
use serde::Serialize;

use super::{json, stdout};
use crate::args::{Format, Rules};
use crate::fail::Failure;

#[derive(Serialize)]
struct Row {
    code: String,
    name: &'static str,
    grade: &'static str,
    purpose: &'static str,
    summary: String,
}

pub(crate) fn run(args: &Rules) -> Result<ExitCode, Failure> {
    let rows: Vec<Row> = anewrite::rules().iter().map(|r| row(r.info())).collect();
    let mut out = stdout();
    match args.format {
        Format::Json => json(&mut out, &rows)?,
        Format::Text => {
            for r in rows {
                writeln!(out, "{} {} ({}, {})\n    {}", r.code, r.name, r.grade, r.purpose, r.summary)?;
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn row(info: &RuleInfo) -> Row {
    Row {
        code: info.code.to_string(),
        name: info.name,
        grade: match info.grade {
            Grade::BitExact => "bit-exact",
            Grade::Exact => "exact",
            Grade::Approximate => "approximate",
        },
        purpose: match info.purpose {
            Purpose::Clean => "clean",
            Purpose::Enable => "enable",
            Purpose::Plan => "plan",
            Purpose::Numerics => "numerics",
            Purpose::Measured => "measured",
        },
        summary: info.summary().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
