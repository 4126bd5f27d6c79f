//! Why a model is not upgraded.

use std::fmt;

use anewrite_convert::ImportError;
use thiserror::Error;

/// Why a model is not upgraded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// There is nothing to upgrade.
    #[error("a model of type {0} has no NeuralNetwork; what is an ML Program already stays as it is")]
    NoNetwork(String),
    /// Something in the model has no equal in an ML Program.
    #[error("it cannot be upgraded:{}", list(.0))]
    Refused(Vec<Refusal>),
    /// The place of a network in its pipeline was lost.
    #[error("there is no model at {0}")]
    Place(String),
    /// The new model cannot be put together.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// Something that has no equal in an ML Program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The network's place in its pipeline; empty for a plain model.
    pub path: String,
    /// What it is, and why.
    pub why: String,
}

impl Refusal {
    pub(crate) fn new(path: &str, why: impl Into<String>) -> Refusal {
        Refusal { path: path.to_owned(), why: why.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::place(&self.path, &self.why))
    }
}

fn list(all: &[Refusal]) -> String {
    all.iter().map(|r| format!("\n  {r}")).collect()
}
