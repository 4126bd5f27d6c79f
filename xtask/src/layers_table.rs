//! `cargo xtask layers-table`: docs/layers.md, which says of every NeuralNetwork layer how far it lowers to MIL ops and
//! what the values of the lowering were checked against.
//!
//! The page follows from the registry of layers and the golden cases beside it, which crates/interp/tests/layers.rs
//! evaluates in every opset; `--check` compares it with what is there.

use std::collections::BTreeMap;
use std::fmt::Write;

use anewrite_nn::{Status, layers};
use anyhow::{Context, ensure};
use serde::Deserialize;

/// Write docs/layers.md, the table of NeuralNetwork layers.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Compare the page with what would be written.
    #[arg(long)]
    check: bool,
}

const PAGE: &str = "docs/layers.md";
const CASES: &str = "crates/nn/tests/golden/layers.json";

/// What the table needs of a golden case.
#[derive(Deserialize)]
struct Case {
    kind: String,
    mapping: String,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    data: Vec<Option<f64>>,
}

/// Golden cases of one layer.
#[derive(Default)]
struct Tried {
    exact: usize,
    rank5: usize,
    /// Cases that say shapes alone, because their values are random.
    shapes: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = crate::workspace_root();
    let text = std::fs::read_to_string(root.join(CASES)).with_context(|| format!("reading {CASES}"))?;
    let page = page(&text)?;
    let path = root.join(PAGE);
    if args.check {
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        ensure!(there == page, "{PAGE} is not what `cargo xtask layers-table` writes; run it");
        return Ok(());
    }
    std::fs::write(&path, page).with_context(|| format!("writing {PAGE}"))
}

fn page(text: &str) -> anyhow::Result<String> {
    let cases: Vec<Case> = serde_json::from_str(text).context(CASES)?;
    let mut tried: BTreeMap<String, Tried> = BTreeMap::new();
    for case in cases {
        let row = tried.entry(case.kind).or_default();
        *(if case.mapping == "rank5" { &mut row.rank5 } else { &mut row.exact }) += 1;
        let values = case.outputs.iter().flat_map(|o| &o.data);
        row.shapes += usize::from(values.clone().count() > 0 && values.into_iter().all(Option::is_none));
    }
    let mut page = HEAD.to_owned();
    for layer in layers() {
        let lowered = match layer.status {
            Status::Lowered => "yes".to_owned(),
            Status::Partly(but) => format!("but for {but}"),
            Status::Missing(why) => format!("no: {why}"),
        };
        let (lowered, evaluated, upgraded) = match (layer.name, layer.status) {
            ("branch", _) => ("with its networks".into(), "by its networks", "cond"),
            ("loop", _) => ("with its networks".into(), "by its networks", "while_loop"),
            ("loopBreak" | "loopContinue", _) => ("with its loop".into(), "within a loop", "within a loop"),
            (_, Status::Missing(_)) => (lowered, "no", "refused"),
            _ => (lowered, "yes", "yes"),
        };
        let networks = matches!(layer.name, "branch" | "loop" | "loopBreak" | "loopContinue");
        let checked = match tried.get(layer.name) {
            Some(Tried { exact, rank5, shapes }) => {
                let truth = if *shapes == exact + rank5 { "shapes alone" } else { "torch, numpy" };
                format!("{truth}: {exact} exact, {rank5} rank 5")
            }
            None if networks => "python: networks of crates/interp/tests/control.rs".into(),
            None => "nothing to check".into(),
        };
        writeln!(
            page,
            "| `{}` | {} | {lowered} | {evaluated} | {upgraded} | {checked} |",
            layer.name, layer.since
        )?;
    }
    Ok(page)
}

const HEAD: &str = "# NeuralNetwork layers

Written by `cargo xtask layers-table`. Every layer means its lowering to MIL ops (`crates/nn`); types, evaluation and the
upgrade to ML Programs read that one definition. *Checked* counts the cases of `crates/nn/tests/golden`, whose expected
values come from torch and numpy, by the array mapping of their network; each is evaluated in the opsets of iOS 15 to 18.

| layer | since specification | lowered | evaluated | upgraded | checked |
|---|---|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_a_row_without_an_empty_cell() {
        let page = page(r#"[{"kind":"tanh","mapping":"exact","outputs":[{"data":[0.5]}]}]"#).unwrap();
        let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
        assert_eq!(rows.len(), 158);
        assert!(rows.iter().all(|r| r.split('|').filter(|c| c.trim().is_empty()).count() == 2));
        assert!(page.contains("| `tanh` | 4 | yes | yes | yes | torch, numpy: 1 exact, 0 rank 5 |"));
    }
}
