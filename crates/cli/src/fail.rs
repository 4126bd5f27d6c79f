//! How the command ends when it cannot do its work.

use std::io::Write;
use std::process::ExitCode;

/// The exit code of wrong input.
const BAD_INPUT: u8 = 2;

/// The exit code of a rewrite that is not equal.
const NOT_EQUAL: u8 = 3;

/// Why the command ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's error.
    Library(Box<anewrite::Error>),
    /// A problem of the command line's own.
    Other(String),
    /// The reader of the output has gone: nothing to say, and nobody to hear it.
    ClosedPipe,
}

impl From<anewrite::Error> for Failure {
    fn from(e: anewrite::Error) -> Self {
        Failure::Library(Box::new(e))
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        match e.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Other(e.to_string()),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(e: serde_json::Error) -> Self {
        std::io::Error::from(e).into()
    }
}

impl Failure {
    /// Prints what went wrong and what to do, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (text, hint, code) = match self {
            Failure::ClosedPipe => return ExitCode::SUCCESS,
            Failure::Other(text) => (text.clone(), None, BAD_INPUT),
            Failure::Library(e) => {
                let code = if e.is_inequality() { NOT_EQUAL } else { BAD_INPUT };
                (chain(&**e), e.hint(), code)
            }
        };
        let (red, bold) = (anstyle::AnsiColor::Red.on_default().bold(), anstyle::Style::new().bold());
        let mut err = anstream::stderr().lock();
        // There is nowhere to report that the report failed.
        let _ = writeln!(err, "{red}error{red:#}: {text}");
        if let Some(hint) = hint {
            let _ = writeln!(err, "{bold}help{bold:#}: {hint}");
        }
        ExitCode::from(code)
    }
}

/// The error with its causes, where they say something that it does not.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        at = cause.source();
    }
    text
}
