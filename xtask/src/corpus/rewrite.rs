//! The command, run over one model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;

use super::trees;

/// What the command made of a model.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// Nothing applied, and the output is the input byte for byte.
    Unchanged {
        /// Wall time of the whole process.
        time: Duration,
    },
    /// Rules fired.
    Rewritten {
        /// Wall time of the whole process.
        time: Duration,
        /// Firings by rule.
        firings: BTreeMap<String, usize>,
    },
    /// The command said why not, and wrote nothing.
    Refused {
        /// The first line of what it said.
        why: String,
    },
    /// The command did what it must not.
    Broken {
        /// What that was.
        why: String,
    },
}

/// The part of the command's report that counts here.
#[derive(Deserialize)]
struct Report {
    changed: bool,
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    firings: Vec<Firing>,
}

#[derive(Deserialize)]
struct Firing {
    code: String,
}

/// The command and where it writes to.
pub(super) struct Tool {
    pub(super) command: PathBuf,
    pub(super) folder: PathBuf,
}

/// The exit code for input that cannot be read, and that for a rewrite that would not be equal.
const REFUSALS: &[i32] = &[2, 3];

impl Tool {
    /// Where the rewritten model goes.
    pub(super) fn output(&self, model: &Path) -> PathBuf {
        self.named("out", model)
    }

    fn named(&self, name: &str, model: &Path) -> PathBuf {
        let ending = model.extension().unwrap_or_default();
        self.folder.join(name).with_extension(ending)
    }

    pub(super) fn rewrite(&self, model: &Path) -> anyhow::Result<Outcome> {
        let out = self.output(model);
        let start = Instant::now();
        let done = self.run(model, &out, &[])?;
        let time = start.elapsed();
        let broken = |why: String| Ok(Outcome::Broken { why });
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            let why = said.lines().next().unwrap_or_default().to_owned();
            return match done.status.code() {
                Some(code) if REFUSALS.contains(&code) && !out.exists() && !why.is_empty() => {
                    Ok(Outcome::Refused { why })
                }
                code => broken(format!("ended with {code:?}, and an output: {}: {why}", out.exists())),
            };
        }
        let report: Report = match serde_json::from_slice(&done.stdout) {
            Ok(report) => report,
            Err(error) => return broken(format!("its report cannot be read: {error}")),
        };
        if !report.changed {
            return match trees::difference(model, &out)? {
                None => Ok(Outcome::Unchanged { time }),
                Some(found) => broken(format!("said to be unchanged, but {found}")),
            };
        }
        let mut firings = BTreeMap::new();
        for firing in report.parts.into_iter().flat_map(|part| part.firings) {
            *firings.entry(firing.code).or_default() += 1;
        }
        Ok(Outcome::Rewritten { time, firings })
    }

    /// The model after clean-up rules alone, for comparison with coremltools' passes.
    pub(super) fn clean(&self, model: &Path) -> anyhow::Result<Option<PathBuf>> {
        let out = self.named("clean", model);
        let done = self.run(model, &out, &["--select", "C"])?;
        Ok(done.status.success().then_some(out))
    }

    /// Removes what was written.
    pub(super) fn clear(&self) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(&self.folder).context("listing the outputs")? {
            let path = entry.context("listing the outputs")?.path();
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) }
                .with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    fn run(&self, model: &Path, out: &Path, more: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.command);
        command.arg("rewrite").arg(model).arg("-o").arg(out).args(["--format", "json"]).args(more);
        command.stdin(Stdio::null()).output().with_context(|| format!("running {}", self.command.display()))
    }
}
