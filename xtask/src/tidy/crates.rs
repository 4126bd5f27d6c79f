//! Which crate may use which: the design's graph, as a table.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::Complaint;

/// A crate of the workspace and what it may use.
struct Row {
    name: &'static str,
    may_use: &'static [&'static str],
    /// What the crate must not know: the sentence that a complaint repeats.
    invariant: &'static str,
}

const fn row(name: &'static str, may_use: &'static [&'static str], invariant: &'static str) -> Row {
    Row { name, may_use, invariant }
}

const IR: &str = "anewrite-ir";
const TENSOR: &str = "anewrite-tensor";
const PASS: &[&str] = &[IR, TENSOR, "anewrite-interp", "anewrite-rewrite"];
/// Every crate of the workspace.
const ANY: &[&str] = &["*"];
const PASSES: &str = "rules know neither conversion nor files nor each other";

const TABLE: &[Row] = &[
    row(
        "anewrite-diag",
        &[],
        "findings are data: they know neither how they are made nor how they are shown",
    ),
    row("coreml-proto", &[], "the wire format knows nothing else: no files, no graphs, no tensors"),
    row("coreml-package", &[], "files do not know what is in them: no messages, no graphs"),
    row(TENSOR, &[], "constants do not know the wire format, files or graphs"),
    row(IR, &[TENSOR], "the graph knows neither the wire format nor files"),
    row("anewrite-nn", &[IR, TENSOR], "the nn dialect defines layers and knows no rules"),
    row(
        "anewrite-interp",
        &[IR, "anewrite-nn", TENSOR],
        "the evaluator runs programs and knows neither rules nor files",
    ),
    row("anewrite-ane", &[TENSOR], "what the engine runs is data, beside the graph and the rules"),
    row(
        "anewrite-check",
        &["anewrite-ane", "anewrite-diag", IR, "anewrite-nn", TENSOR],
        "a check looks at programs with the tables, and knows no rules, no files and no output",
    ),
    row(
        "anewrite-convert",
        &["coreml-proto", "coreml-package", IR, "anewrite-nn", TENSOR],
        "conversion alone sees both messages and graphs, and knows no rules",
    ),
    row("anewrite-rewrite", &[IR, TENSOR], "the driver knows no single rule, no engine and no files"),
    row(
        "anewrite-verify",
        &["anewrite-interp", IR, "anewrite-nn", "anewrite-rewrite", TENSOR],
        "verification runs programs and patches, and knows no files, no messages and no single rule",
    ),
    row("anewrite-passes-canonical", PASS, PASSES),
    row("anewrite-passes-nn", &[IR, "anewrite-nn", TENSOR, "anewrite-rewrite"], PASSES),
    row("anewrite-passes-ops", PASS, PASSES),
    row(
        "anewrite-upgrade",
        &["coreml-proto", "anewrite-convert", IR, "anewrite-nn", TENSOR],
        "the upgrade knows neither rules nor the engine, nor how files are written",
    ),
    row("anewrite-diff", &[IR, TENSOR], "a diff compares programs, wherever they come from"),
    row(
        "anewrite",
        &[
            "anewrite-ane",
            "anewrite-check",
            "anewrite-convert",
            "anewrite-diag",
            "anewrite-diff",
            "anewrite-interp",
            IR,
            "anewrite-nn",
            "anewrite-passes-canonical",
            "anewrite-passes-nn",
            "anewrite-passes-ops",
            "anewrite-rewrite",
            TENSOR,
            "anewrite-upgrade",
            "anewrite-verify",
            "coreml-package",
        ],
        "the library wires the crates; messages stay behind conversion, and it does not know the terminal",
    ),
    row("anewrite-cli", &["anewrite"], "the command is a thin front of the library"),
    row(
        "anewrite-testkit",
        &["coreml-proto", IR, "anewrite-rewrite", TENSOR],
        "harnesses know no single rule and no engine, and models for tests are not written by what they test",
    ),
    row("xtask", ANY, "chores may look into every crate"),
];

/// Outside crates that only some crates may use, because what they do is those crates' concern.
const OUTSIDE: &[(&str, &[&str], &str)] = &[
    ("petgraph", &[IR], "def-use edges are private to the graph, whose ids are never reused"),
    ("memmap2", &["coreml-package"], "one crate maps files"),
    (
        "prost",
        &["coreml-proto", "anewrite-convert", "anewrite-testkit", "xtask"],
        "messages stay behind conversion",
    ),
    ("prost-reflect", &["coreml-proto", "anewrite-convert"], "descriptors are the wire format's concern"),
    ("clap", &["anewrite-cli", "xtask"], "only the fronts have a command line"),
    ("indicatif", &["anewrite-cli"], "only the front prints"),
    ("anyhow", &["xtask"], "libraries have typed errors"),
];

pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Complaint>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    judge(&output.stdout)
}

/// The part of `cargo metadata` that counts here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for what the crate itself uses, else `dev` or `build`.
    kind: Option<String>,
    /// Where it lies, for a crate of the workspace.
    path: Option<String>,
}

fn judge(metadata: &[u8]) -> anyhow::Result<Vec<Complaint>> {
    let metadata: Metadata = serde_json::from_slice(metadata).context("reading what cargo metadata says")?;
    let mut complaints = Vec::new();
    for package in &metadata.packages {
        let place = format!("crate {}", package.name);
        let Some(row) = TABLE.iter().find(|row| row.name == package.name) else {
            complaints.push(Complaint::new(
                place,
                "is not in the table of crates",
                "say in xtask/src/tidy/crates.rs what it may use and what it must not know",
            ));
            continue;
        };
        for used in package.dependencies.iter().filter(|used| used.kind.is_none()) {
            if used.path.is_some() && !row.may_use.iter().any(|may| *may == used.name || *may == ANY[0]) {
                complaints.push(Complaint::new(
                    &place,
                    format!("uses {}, but {}", used.name, row.invariant),
                    "move the code to a crate that may know both, or change the design and its table with a reason",
                ));
            }
            let outside = OUTSIDE.iter().find(|(name, ..)| used.path.is_none() && *name == used.name);
            if let Some((name, users, why)) = outside
                && !users.contains(&row.name)
            {
                complaints.push(Complaint::new(
                    &place,
                    format!("uses {name}, but {why}"),
                    format!("go through {}", users.join(" or ")),
                ));
            }
        }
    }
    let present: BTreeSet<&str> = metadata.packages.iter().map(|package| &*package.name).collect();
    for row in TABLE.iter().filter(|row| !present.contains(row.name)) {
        complaints.push(Complaint::new(
            format!("crate {}", row.name),
            "is in the table of crates and not in the workspace",
            "take its row out of xtask/src/tidy/crates.rs",
        ));
    }
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All crates of the table, with one crate's dependencies given as JSON.
    fn workspace(name: &str, dependencies: &str) -> Vec<u8> {
        let mut packages: Vec<String> = TABLE
            .iter()
            .filter(|row| row.name != name)
            .map(|row| format!(r#"{{"name":"{}","dependencies":[]}}"#, row.name))
            .collect();
        packages.push(format!(r#"{{"name":"{name}","dependencies":[{dependencies}]}}"#));
        format!(r#"{{"packages":[{}],"version":1}}"#, packages.join(",")).into_bytes()
    }

    fn complaints(name: &str, dependencies: &str) -> Vec<String> {
        judge(&workspace(name, dependencies))
            .unwrap()
            .iter()
            .map(|c| format!("{}: {}", c.place, c.what))
            .collect()
    }

    #[test]
    fn what_the_table_allows_passes() {
        let used = r#"{"name":"anewrite-tensor","kind":null,"path":"/a"},{"name":"petgraph","kind":null}"#;
        assert_eq!(complaints(IR, used), [""; 0]);
    }

    #[test]
    fn a_forbidden_edge_repeats_the_invariant() {
        let found = complaints(IR, r#"{"name":"coreml-proto","kind":null,"path":"/a"}"#);
        assert_eq!(
            found,
            ["crate anewrite-ir: uses coreml-proto, but the graph knows neither the wire format nor files"]
        );
    }

    #[test]
    fn what_only_tests_use_is_free() {
        let used = r#"{"name":"anewrite-testkit","kind":"dev","path":"/a"},{"name":"anyhow","kind":"dev"}"#;
        assert_eq!(complaints(IR, used), [""; 0]);
    }

    #[test]
    fn an_outside_crate_has_its_place() {
        let found = complaints("anewrite", r#"{"name":"petgraph","kind":null}"#);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crate anewrite: uses petgraph, but "), "{found:?}");
    }

    #[test]
    fn the_table_and_the_workspace_name_the_same_crates() {
        assert_eq!(complaints("newcomer", ""), ["crate newcomer: is not in the table of crates"]);
        let without = String::from_utf8(workspace(TENSOR, "")).unwrap().replace(TENSOR, IR);
        let found = judge(without.as_bytes()).unwrap();
        assert_eq!(found[0].place, "crate anewrite-tensor");
    }

    #[test]
    fn the_table_has_no_cycle() {
        // A crate uses only crates of rows above its own.
        for (index, row) in TABLE.iter().enumerate() {
            for used in row.may_use.iter().filter(|used| **used != ANY[0]) {
                let at = TABLE.iter().position(|other| other.name == *used);
                assert!(at.is_some_and(|at| at < index), "{} uses {used}", row.name);
            }
        }
    }
}
