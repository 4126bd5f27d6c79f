//! A model's text with the place of every op behind it.

use std::path::Path;

use anewrite_ir::text::{PrintOptions, print};
use anewrite_ir::{OpId, Program};
use coreml_package::Source;
use rustc_hash::FxHashMap;

use super::report::{CheckReport, OpCheck, OpOnFamilies, PartCheck};
use super::summary::op_name;
use crate::show::read_compiled;
use crate::{Error, Model};

/// The model as MIL text in the short style, each op with its place: where it runs on which families, what keeps it off,
/// and the planner's price of it in ms.
///
/// The report must list ops ([`CheckOptions::ops`](crate::CheckOptions::ops)); without that the text has no places.
///
/// # Errors
/// Where the model cannot be read.
///
/// ```
/// # fn main() -> Result<(), anewrite::Error> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/generated/m001_max_pool/fp16-iOS16.mlpackage");
/// use anewrite::{CheckOptions, annotate, check_path};
///
/// let report = check_path(path, &CheckOptions { ops: true, ..CheckOptions::default() })?;
/// assert!(annotate(path, &report)?.contains("(max-pool-width)"));
/// # Ok(())
/// # }
/// ```
pub fn annotate(path: impl AsRef<Path>, report: &CheckReport) -> Result<String, Error> {
    let path = path.as_ref();
    let mut out = String::new();
    match coreml_package::open(path)? {
        Source::Compiled(compiled) => {
            let program = read_compiled(&compiled)?;
            if let Some(part) = report.parts.first() {
                out.push_str(&text(&program, part));
            }
        }
        _ => {
            let model = Model::open(path)?;
            for (part, checked) in model.parts().iter().zip(&report.parts) {
                if !part.path.is_empty() {
                    out.push_str(&format!("// {}\n", part.path));
                }
                out.push_str(&text(&part.program, checked));
            }
        }
    }
    Ok(out)
}

fn text(program: &Program, part: &PartCheck) -> String {
    let mut by_op: FxHashMap<(&str, &str), &OpCheck> = FxHashMap::default();
    for function in &part.functions {
        by_op.extend(function.op_list.iter().map(|op| ((function.name.as_str(), op.op.as_str()), op)));
    }
    let comment = |op: OpId| {
        let function = program.function(program.func_of(op)).name.clone();
        let name = op_name(program, op);
        by_op.get(&(&*function, name.as_str())).map(|op| places(op))
    };
    print(program, &PrintOptions { comments: Some(&comment), ..PrintOptions::short() })
}

/// `H16 engine 0.0047 ms; H13 H14 cpu (dtype-int32)`.
fn places(op: &OpCheck) -> String {
    op.on.iter().map(place).collect::<Vec<_>>().join("; ")
}

fn place(on: &OpOnFamilies) -> String {
    let why = match (&on.row, on.verdict, on.side) {
        (Some(row), _, _) => format!(" ({row})"),
        (None, "unknown", _) => " (no source)".to_owned(),
        (None, "yes", "cpu") => " (planner)".to_owned(),
        _ => String::new(),
    };
    let ms = on.ms.map_or_else(String::new, |ms| format!(" {ms:.4} ms"));
    let absence = on.absence_ms.map_or_else(String::new, |ms| format!(", absence costs {ms:.3} ms"));
    format!("{} {}{why}{ms}{absence}", on.families.join(" "), on.side)
}
