//! `cargo xtask corpus-upgrade`: upgrades every NeuralNetwork of a corpus to every opset in both precisions, loads what
//! comes out with coremltools' strict loader, and has an evaluator from outside compare it with what torch computed: the
//! figures of docs/upgrade-corpus.md.

mod page;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::corpus::{find, reload::Reloader};

/// Upgrade every NeuralNetwork of a corpus and judge the results.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A Python with coremltools 9.0 (xtask/python/requirements.txt); the evaluator needs what it says itself.
    #[arg(long, value_name = "PYTHON")]
    python: PathBuf,
    /// Folders with models, at any depth.
    #[arg(long, value_name = "FOLDER", required = true, num_args = 1..)]
    models: Vec<PathBuf>,
    /// An evaluator of ML Programs for the cases with inputs and torch's outputs beside them (`case.json`): it is called
    /// as `EVALUATOR FOLDER…` and prints a line for each variant.
    #[arg(long, value_name = "SCRIPT")]
    judge: Option<PathBuf>,
    /// Write the results as a page.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Run this command instead of building the one here.
    #[arg(long, value_name = "PATH")]
    command: Option<PathBuf>,
}

/// The upgrades that are tried: iOS and precision.
const VARIANTS: [(&str, &str); 8] = [
    ("15", "fp16"),
    ("15", "fp32"),
    ("16", "fp16"),
    ("16", "fp32"),
    ("17", "fp16"),
    ("17", "fp32"),
    ("18", "fp16"),
    ("18", "fp32"),
];

/// The upgrades whose values are also compared with torch.
const VALUED: [(&str, &str); 2] = [("16", "fp16"), ("16", "fp32")];

/// What became of one model in one variant.
struct Row {
    model: String,
    variant: String,
    outcome: Outcome,
}

enum Outcome {
    /// A package was written.
    Upgraded {
        layers: u64,
        ops: u64,
        /// Whether it was verified; why not, where it was not.
        verified: Result<(), String>,
        /// Why coremltools does not load it.
        unloadable: Option<String>,
        /// How far it is from torch, as a share of the largest number; a text where the evaluator cannot tell.
        value: Option<Result<f64, String>>,
    },
    /// The command said why not, and wrote nothing.
    Refused(String),
    /// The command did what it must not.
    Broken(String),
}

impl Row {
    /// Why this row fails the check, where it does.
    fn failure(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Broken(why) => Some(why.clone()),
            Outcome::Refused(_) => None,
            Outcome::Upgraded { unloadable: Some(why), .. } => {
                Some(format!("coremltools does not load it: {why}"))
            }
            Outcome::Upgraded { value: Some(Ok(rel)), .. }
                if *rel > values::limit(&self.model, &self.variant) =>
            {
                Some(format!("{rel:.1e} off torch"))
            }
            Outcome::Upgraded { .. } => None,
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let command = crate::command::release(args.command.as_deref())?;
    let scratch = tempfile::tempdir().context("making a folder for outputs")?;
    let mut reloader = Reloader::start(&args.python)?;
    let mut rows = Vec::new();
    let mut cases: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in &args.models {
        let models = find::models(folder)?;
        for model in models.iter().filter(|m| m.extension().is_some_and(|e| e == "mlmodel")) {
            let name = model.strip_prefix(folder).unwrap_or(model).display().to_string();
            let case = model.parent().filter(|p| args.judge.is_some() && p.join("case.json").is_file());
            for (ios, precision) in VARIANTS {
                let variant = format!("{precision}-iOS{ios}");
                let kept = case.filter(|_| VALUED.contains(&(ios, precision)));
                let place = match kept {
                    Some(_) => scratch.path().join(values::folder(&name)),
                    None => scratch.path().join("out"),
                };
                std::fs::create_dir_all(&place).context("making a folder for outputs")?;
                let out = place.join(&variant).with_extension("mlpackage");
                let outcome = upgrade(&command, model, &out, ios, precision, &mut reloader)?;
                match kept {
                    Some(case) => drop(cases.insert(name.clone(), case.to_owned())),
                    None => std::fs::remove_dir_all(&place).context("removing outputs")?,
                }
                let row = Row { model: name.clone(), variant, outcome };
                println!("{}", page::line(&row));
                rows.push(row);
            }
        }
    }
    if let Some(judge) = &args.judge {
        let found = values::compare(&args.python, judge, scratch.path(), &cases)?;
        for row in &mut rows {
            let key = (row.model.clone(), row.variant.clone());
            if let (Outcome::Upgraded { value, .. }, Some(rel)) = (&mut row.outcome, found.get(&key)) {
                *value = Some(rel.clone());
            }
        }
    }
    println!("\n{}", page::summary(&rows));
    if let Some(path) = &args.page {
        std::fs::write(path, page::page(&rows)).with_context(|| format!("writing {}", path.display()))?;
    }
    let failures: Vec<String> =
        rows.iter().filter_map(|r| Some(format!("{} {}: {}", r.model, r.variant, r.failure()?))).collect();
    for failure in &failures {
        eprintln!("{failure}");
    }
    ensure!(failures.is_empty(), "{} failures", failures.len());
    Ok(())
}

/// The part of the command's report that counts here.
#[derive(Deserialize)]
struct Report {
    parts: Vec<Part>,
    verified: Verified,
}

#[derive(Deserialize)]
struct Part {
    layers: Census,
    rewrite: Rewrite,
}

#[derive(Deserialize)]
struct Rewrite {
    after: Census,
}

#[derive(Deserialize)]
struct Census {
    ops: BTreeMap<String, u64>,
}

impl Census {
    fn count(&self) -> u64 {
        self.ops.values().sum()
    }
}

#[derive(Deserialize)]
struct Verified {
    status: String,
    why: Option<String>,
}

fn upgrade(
    command: &Path,
    model: &Path,
    out: &Path,
    ios: &str,
    precision: &str,
    reloader: &mut Reloader,
) -> anyhow::Result<Outcome> {
    let done = Command::new(command)
        .arg("upgrade")
        .arg(model)
        .arg("-o")
        .arg(out)
        .args(["--ios", ios, "--precision", precision, "--format", "json"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", command.display()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).trim().replace("error: ", "").replace('\n', " ");
        return Ok(match done.status.code() {
            Some(2) if !out.exists() && !said.is_empty() => Outcome::Refused(said),
            code => Outcome::Broken(format!("ended with {code:?}: {said}")),
        });
    }
    let report: Report = match serde_json::from_slice(&done.stdout) {
        Ok(report) => report,
        Err(error) => return Ok(Outcome::Broken(format!("its report cannot be read: {error}"))),
    };
    let answer = reloader.ask(out, out, None)?;
    Ok(Outcome::Upgraded {
        layers: report.parts.iter().map(|p| p.layers.count()).sum(),
        ops: report.parts.iter().map(|p| p.rewrite.after.count()).sum(),
        verified: match report.verified.status.as_str() {
            "verified" => Ok(()),
            status => Err(report.verified.why.unwrap_or_else(|| status.to_owned())),
        },
        unloadable: answer.error.or(answer.output_error),
        value: None,
    })
}
