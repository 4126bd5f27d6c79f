//! `cargo xtask ops-table`: docs/ops.md, which says of every op whether it is evaluated and what its results were
//! checked against.
//!
//! The page follows from the op definitions, the evaluator's kernels, the golden files in testdata/ops and, where it is
//! there, docs/ops-suite.md; `--check` compares it with what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anewrite_ir::mil::schemas;
use anyhow::{Context, ensure};
use serde::Deserialize;

/// Write docs/ops.md, the table of ops.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Compare the page with what would be written.
    #[arg(long)]
    check: bool,
}

const PAGE: &str = "docs/ops.md";

/// What the table needs of a golden case; crates/interp/tests reads the rest.
#[derive(Deserialize)]
struct Case {
    op: String,
    #[serde(default)]
    also: Vec<String>,
    truth: String,
}

/// What is known of one op.
#[derive(Default)]
struct Row {
    since: BTreeSet<&'static str>,
    /// Golden cases by where their results come from.
    truths: BTreeMap<String, usize>,
    /// The golden files that have them.
    files: BTreeSet<String>,
    /// Cases of coremltools' own tests that pass.
    suite: Option<usize>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = crate::workspace_root();
    let page = page(root)?;
    let path = root.join(PAGE);
    if args.check {
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        ensure!(there == page, "{PAGE} is not what `cargo xtask ops-table` writes; run it");
        return Ok(());
    }
    std::fs::write(&path, page).with_context(|| format!("writing {PAGE}"))
}

fn rows(root: &Path) -> anyhow::Result<BTreeMap<String, Row>> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for s in schemas() {
        rows.entry(s.name.to_owned()).or_default().since.insert(s.since.name());
    }
    let folder = root.join("testdata/ops");
    let files = std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
    for file in files {
        let file = file?.path();
        if file.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&file)?;
        let cases: Vec<Case> = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for case in cases {
            for op in std::iter::once(&case.op).chain(&case.also) {
                let row = rows.get_mut(op).with_context(|| format!("{name} tries {op}, which is no op"))?;
                *row.truths.entry(case.truth.clone()).or_default() += 1;
                row.files.insert(name.clone());
            }
        }
    }
    let suite = std::fs::read_to_string(root.join("docs/ops-suite.md")).unwrap_or_default();
    for line in suite.lines() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        if let (Some(op), Some(Ok(n))) = (cells.next(), cells.next().map(str::parse))
            && let Some(row) = rows.get_mut(op.trim_matches('`'))
        {
            row.suite = Some(n);
        }
    }
    Ok(rows)
}

fn page(root: &Path) -> anyhow::Result<String> {
    let rows = rows(root)?;
    let evaluated = anewrite_interp::evaluated();
    let there = rows.keys().filter(|op| evaluated.contains(&op.as_str())).count();
    let checked = rows.values().filter(|r| !r.truths.is_empty()).count();
    let mut out = format!(
        "# Ops\n\nWritten by `cargo xtask ops-table`, which CI holds against the code.\n\n\
         Of the {} ops of ML Programs, {there} are evaluated and {checked} are checked against results from outside. \
         `torch`, `numpy` and `onnxruntime` computed the numbers in testdata/ops; `formula` is the op's documentation \
         written out in numpy, where none of the three has the op. crates/interp/tests/golden.rs runs each case in fp64 \
         and fp32, and under the engine's arithmetic where its numbers are fp16. The last column counts the cases of \
         coremltools' own tests that pass with the evaluator in the runtime's place (`cargo xtask ops-suite`).\n\n\
         | op | opsets | evaluated | checked against, with cases | golden files | coremltools' tests |\n\
         |---|---|---|---|---|---:|\n",
        rows.len()
    );
    for (op, row) in &rows {
        let since: Vec<&str> = row.since.iter().copied().collect();
        let truths: Vec<String> = row.truths.iter().map(|(t, n)| format!("{t} {n}")).collect();
        let files: Vec<&str> = row.files.iter().map(String::as_str).collect();
        out += &format!(
            "| `{op}` | {} | {} | {} | {} | {} |\n",
            since.join(", "),
            if evaluated.contains(&op.as_str()) { "yes" } else { "no" },
            truths.join(", "),
            files.join(", "),
            row.suite.map_or(String::new(), |n| n.to_string()),
        );
    }
    Ok(out)
}
