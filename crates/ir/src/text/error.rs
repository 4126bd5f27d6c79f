//! What is wrong with a text, and where.

use std::fmt;

use thiserror::Error;

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
    /// What to write instead, where that can be told.
    pub hint: Option<String>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// An error whose place is still a byte offset; boxed, for it travels through every parser function.
#[derive(Debug)]
pub(super) struct Fault(Box<(usize, String, Option<String>)>);

impl Fault {
    pub(super) fn new(at: usize, what: impl Into<String>) -> Fault {
        Fault(Box::new((at, what.into(), None)))
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.0.2 = Some(hint.into());
        self
    }

    /// The error with line and column.
    pub(super) fn locate(self, text: &str) -> ParseError {
        let (at, what, hint) = *self.0;
        let before: &str = text.get(..at.min(text.len())).unwrap_or(text);
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        ParseError { line, column, what, hint }
    }
}
