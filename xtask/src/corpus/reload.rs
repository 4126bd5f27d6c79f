//! coremltools' opinion, asked of one process for all models: importing it takes longer than most models.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// What judge_outputs.py is asked.
#[derive(Serialize)]
struct Question<'a> {
    input: &'a Path,
    output: &'a Path,
    clean: Option<&'a Path>,
}

/// What it answers; the script says what the fields are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    pub(crate) error: Option<String>,
    pub(crate) input_error: Option<String>,
    pub(crate) output_error: Option<String>,
    pub(crate) passes_error: Option<String>,
    /// Ops of the input, the output and the cleaned input, and what coremltools leaves.
    pub(crate) ops: [Option<u64>; 4],
    /// Types of which our clean-up leaves more, with both numbers.
    pub(crate) more: BTreeMap<String, (u64, u64)>,
}

/// The running script.
pub(crate) struct Reloader {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Reloader {
    pub(crate) fn start(python: &Path) -> anyhow::Result<Reloader> {
        let script = crate::workspace_root().join("xtask/python/judge_outputs.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("running {}", python.display()))?;
        let questions = child.stdin.take().context("the script takes no questions")?;
        let answers = BufReader::new(child.stdout.take().context("the script gives no answers")?);
        Ok(Reloader { child, questions, answers })
    }

    pub(crate) fn ask(
        &mut self,
        input: &Path,
        output: &Path,
        clean: Option<&Path>,
    ) -> anyhow::Result<Answer> {
        let question = serde_json::to_string(&Question { input, output, clean })?;
        writeln!(self.questions, "{question}").context("the script has ended")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "judge_outputs.py ended without an answer: is coremltools installed?");
        serde_json::from_str(&line).with_context(|| format!("judge_outputs.py answered {line}"))
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        // It ends by itself when its questions end; what is killed here has failed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
