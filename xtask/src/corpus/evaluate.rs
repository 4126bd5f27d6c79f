//! An evaluator from outside, run over a corpus with inputs.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

/// What the evaluator said.
pub(super) struct Verdict {
    /// Whether it ended well.
    pub(super) passed: bool,
    /// Its last line: the counts.
    pub(super) last_line: String,
}

pub(super) fn run(python: &Path, judge: &Path, corpus: &Path, command: &Path) -> anyhow::Result<Verdict> {
    let mut tool = OsString::from(command);
    tool.push(" rewrite {in} -o {out}");
    let mut child = Command::new(python)
        .arg(judge)
        .arg("--corpus")
        .arg(corpus)
        .arg("--tool")
        .arg(tool)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("running {}", judge.display()))?;
    let mut last_line = String::new();
    for line in BufReader::new(child.stdout.take().context("the evaluator prints nothing")?).lines() {
        let line = line.context("reading what the evaluator prints")?;
        println!("{line}");
        last_line = line;
    }
    Ok(Verdict { passed: child.wait()?.success(), last_line })
}
