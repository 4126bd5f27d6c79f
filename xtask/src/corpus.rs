//! `cargo xtask corpus`: rewrites every model of a corpus and judges what comes out, the figures of docs/corpus.md.
//!
//! A model is unchanged, rewritten or refused. What is reported as unchanged must be its input byte for byte; what is
//! rewritten must reload in coremltools wherever its input does. On each ML Program, clean-up is run alone as well, and
//! the ops that it leaves are compared with those that coremltools' passes of the same kinds leave.

mod evaluate;
pub(crate) mod find;
mod page;
pub(crate) mod reload;
mod rewrite;
mod trees;

use std::path::PathBuf;

use anyhow::{Context, ensure};

use self::reload::{Answer, Reloader};
use self::rewrite::{Outcome, Tool};

/// Rewrite every model of a corpus and judge the results with coremltools.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A Python with coremltools 9.0 (xtask/python/requirements.txt); the evaluator needs what it says itself.
    #[arg(long, value_name = "PYTHON")]
    python: PathBuf,
    /// Folders with models, at any depth.
    #[arg(long, value_name = "FOLDER", required = true, num_args = 1..)]
    models: Vec<PathBuf>,
    /// An evaluator to run over each of the folders that is a corpus with inputs (`case.json`): it is called as
    /// `EVALUATOR --corpus FOLDER --tool 'COMMAND rewrite {in} -o {out}'`.
    #[arg(long, value_name = "SCRIPT")]
    judge: Option<PathBuf>,
    /// Write the results as a page.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Run this command instead of building the one here.
    #[arg(long, value_name = "PATH")]
    command: Option<PathBuf>,
}

/// What became of one model.
struct Row {
    /// Its path from the folder that was given.
    name: String,
    outcome: Outcome,
    /// What coremltools says; nothing where there is no output.
    answer: Option<Answer>,
}

impl Row {
    /// Why this model fails the check, where it does.
    fn failure(&self) -> Option<String> {
        if let Outcome::Broken { why } = &self.outcome {
            return Some(why.clone());
        }
        let answer = self.answer.as_ref()?;
        if let Some(error) = &answer.error {
            return Some(format!("could not be judged: {error}"));
        }
        match (&answer.input_error, &answer.output_error) {
            (None, Some(error)) => Some(format!("the output does not reload: {error}")),
            (Some(before), Some(after)) if before != after => Some(format!(
                "the output fails to reload otherwise than the input: {after}; the input: {before}"
            )),
            _ => None,
        }
    }

    /// Ops that clean-up leaves, ours and coremltools'.
    fn left(&self) -> Option<(u64, u64)> {
        let [_, _, ours, theirs] = self.answer.as_ref()?.ops;
        Some((ours?, theirs?))
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let command = crate::command::release(args.command.as_deref())?;
    let scratch = tempfile::tempdir().context("making a folder for outputs")?;
    let tool = Tool { command: command.clone(), folder: scratch.path().to_owned() };
    let mut reloader = Reloader::start(&args.python)?;
    let mut rows = Vec::new();
    for folder in &args.models {
        for model in find::models(folder)? {
            let name = model.strip_prefix(folder).unwrap_or(&model).display().to_string();
            let outcome = tool.rewrite(&model)?;
            let answer = match &outcome {
                Outcome::Unchanged { .. } | Outcome::Rewritten { .. } => {
                    let clean = tool.clean(&model)?;
                    Some(reloader.ask(&model, &tool.output(&model), clean.as_deref())?)
                }
                Outcome::Refused { .. } | Outcome::Broken { .. } => None,
            };
            tool.clear()?;
            let row = Row { name, outcome, answer };
            println!("{}", page::line(&row));
            rows.push(row);
        }
    }
    let mut failures: Vec<String> =
        rows.iter().filter_map(|row| Some(format!("{}: {}", row.name, row.failure()?))).collect();
    println!("\n{}", page::summary(&rows));
    let mut verdicts = Vec::new();
    if let Some(judge) = &args.judge {
        for folder in args.models.iter().filter(|folder| find::is_corpus(folder)) {
            let verdict = evaluate::run(&args.python, judge, folder, &command)?;
            println!("{}", verdict.last_line);
            if !verdict.passed {
                failures.push(format!("{}: {}", judge.display(), verdict.last_line));
            }
            verdicts.push(verdict.last_line);
        }
    }
    if let Some(path) = &args.page {
        std::fs::write(path, page::page(&rows, &verdicts))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    for failure in &failures {
        eprintln!("{failure}");
    }
    ensure!(failures.is_empty(), "{} failures", failures.len());
    Ok(())
}
