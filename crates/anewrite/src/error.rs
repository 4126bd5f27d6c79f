//! What can go wrong, each with what, where and what to do.

use std::path::PathBuf;

use thiserror::Error;

/// Why a command could not do its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is not a model file that can be opened.
    #[error(transparent)]
    Open(#[from] coreml_package::OpenError),
    /// The model cannot be read.
    #[error(transparent)]
    Import(#[from] anewrite_convert::ImportError),
    /// The rewritten model cannot be put together.
    #[error(transparent)]
    Export(#[from] anewrite_convert::ExportError),
    /// A NeuralNetwork cannot become an ML Program.
    #[error(transparent)]
    Upgrade(#[from] anewrite_upgrade::UpgradeError),
    /// The output cannot be written.
    #[error(transparent)]
    Write(#[from] coreml_package::WriteError),
    /// A target's name is not known.
    #[error(transparent)]
    Target(#[from] anewrite_ane::TargetError),
    /// A selection names a rule that does not exist.
    #[error("`{0}` is no rule and no group of rules; `anewrite rules` lists them")]
    UnknownRule(String),
    /// Rewriting did not end, or a rule was wrong.
    #[error("{path}: {source}")]
    Rewrite {
        /// The part of the model.
        path: String,
        /// What happened.
        source: anewrite_rewrite::DriverError,
    },
    /// The rewritten model computes something else than the original.
    #[error("{path}: the rewritten model is not equal to the original: {what}{}{}", first.as_ref().map_or(String::new(), |f| format!("; it first differs at {f}")), patch.as_ref().map_or(String::new(), |p| format!("; patch {p} makes the difference")))]
    NotEqual {
        /// The part of the model.
        path: String,
        /// The output, on which input, by how much.
        what: String,
        /// The first op whose inputs agree and whose output does not: kind, name and difference.
        first: Option<String>,
        /// The patch that makes the difference: number, rule and place.
        patch: Option<String>,
    },
    /// The rewritten program breaks an invariant; nothing was written.
    #[error("{path}: the rewritten program is not well-formed, which is an error of a rule: {violations}")]
    NotWellFormed {
        /// The part of the model.
        path: String,
        /// The violations, one a line.
        violations: String,
    },
    /// A compiled model was given where one that can be written is needed.
    #[error("{}: a compiled model cannot be rewritten; rewrite the .mlpackage or .mlmodel that it was compiled from", .0.display())]
    Compiled(PathBuf),
    /// A compiled model's text cannot be read.
    #[error("{}: {source}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<anewrite_ir::text::ParseError>,
    },
    /// A model that was read from memory cannot be written next to files that it has not.
    #[error("a model that was read from memory has no file to write from; use `to_bytes`")]
    InMemory,
    /// The pieces of a rewritten model do not fit its source.
    #[error("the rewritten model does not fit its source: {0}")]
    Splice(String),
    /// A file of inputs or outputs cannot be read or written.
    #[error("{}: {why}", path.display())]
    Features {
        /// The file.
        path: PathBuf,
        /// The feature, and what is wrong.
        why: String,
    },
    /// A model cannot be run.
    #[error("{part}{source}")]
    Run {
        /// The part of a pipeline, with a colon; empty for a plain model.
        part: String,
        /// What is wrong.
        source: Box<anewrite_interp::EvalError>,
    },
    /// An input or output does not fit the model.
    #[error("{0}")]
    Interface(String),
    /// Nothing has the name that was to be explained.
    #[error("`{name}` is no rule, finding, limit, row or op{}", suggestions(similar))]
    NothingToExplain {
        /// The name.
        name: String,
        /// Names close to it.
        similar: Vec<String>,
    },
    /// A measured plan cannot be read, or does not fit the target.
    #[error("the measured plan cannot be used: {0}")]
    Plan(String),
    /// A compiled model's program is no text.
    #[error("{}: the program is not UTF-8 text", .0.display())]
    NotText(PathBuf),
}

fn suggestions(similar: &[String]) -> String {
    if similar.is_empty() { String::new() } else { format!("; did you mean {}?", similar.join(", ")) }
}

impl Error {
    /// Whether a rewrite was found to be unequal to what it replaces.
    pub fn is_inequality(&self) -> bool {
        let by_patch =
            matches!(self, Error::Rewrite { source: anewrite_rewrite::DriverError::NotEqual { .. }, .. });
        by_patch || matches!(self, Error::NotEqual { .. })
    }

    /// What to do about it, where that is not in the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Open(e) => e.hint(),
            Error::NothingToExplain { .. } => {
                Some("`anewrite rules` lists the rules, docs/findings/README.md the findings".to_owned())
            }
            Error::Write(e) => e.hint().map(str::to_owned),
            e if e.is_inequality() => Some(
                "nothing was written; --keep-going leaves the patch out and goes on, --stop-after N keeps the ones before it"
                    .into(),
            ),
            _ => None,
        }
    }
}
