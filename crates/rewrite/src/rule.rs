//! What a rule is.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::matching::{Match, Miss, Pattern};
use crate::patch::PatchBuilder;
use crate::sweep::Sweep;

/// How exactly a rewrite keeps values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Data only moves: every output bit is the same.
    BitExact,
    /// Equal in real arithmetic; roundings may differ.
    Exact,
    /// Within a stated bound; applied only where the user allows it.
    Approximate,
}

/// What a rule is for, which decides when it may fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Never makes the plan worse: always applied.
    Clean,
    /// Makes an op that the engine refuses eligible.
    Enable,
    /// Makes the plan cheaper.
    Plan,
    /// Removes an fp16 hazard.
    Numerics,
    /// Has a benefit on record that the planner does not see.
    Measured,
}

/// What must hold for the data, beyond what shapes and constants say, for a rewrite to be right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Assumption {
    /// No infinities and no NaN reach the op.
    Finite,
    /// Every element lies in this range.
    Range {
        /// Smallest.
        low: f64,
        /// Largest.
        high: f64,
    },
}

/// What a rewrite does to the signs of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zeros {
    /// Every zero keeps its sign.
    Keep,
    /// A zero may come out with the other sign; the rule's page says when.
    MayFlip,
}

/// A rule's code: a letter for the kind and three digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code {
    letter: char,
    number: u16,
}

impl Code {
    /// Letters that are in use.
    pub const LETTERS: &'static str = "CNMLPS";

    /// The code `letter` followed by `number`. For declarations: text from outside goes through [`Code::from_str`].
    pub const fn new(letter: char, number: u16) -> Code {
        Code { letter, number }
    }

    /// The letter for its kind.
    pub fn letter(self) -> char {
        self.letter
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:03}", self.letter, self.number)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no rule code.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no rule code: one is a letter of {letters} and three digits, as C012", letters = Code::LETTERS)]
pub struct BadCode(pub String);

impl FromStr for Code {
    type Err = BadCode;
    fn from_str(s: &str) -> Result<Code, BadCode> {
        let bad = || BadCode(s.to_owned());
        let mut chars = s.chars();
        let letter = chars.next().filter(|c| Code::LETTERS.contains(*c)).ok_or_else(bad)?;
        let digits = chars.as_str();
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Code { letter, number: digits.parse().map_err(|_| bad())? })
    }
}

/// What is declared of a rule: see [`declare_rule!`](crate::declare_rule).
#[derive(Debug)]
pub struct RuleInfo {
    /// Its code.
    pub code: Code,
    /// Its name in words, as in the file's name: `compose-transposes`.
    pub name: &'static str,
    /// How exactly it keeps values.
    pub grade: Grade,
    /// What it is for.
    pub purpose: Purpose,
    /// What must be true of the data.
    pub assumptions: &'static [Assumption],
    /// By how much the rounding error under 16-bit arithmetic may grow against the original op's; 1.0 where
    /// nothing is computed anew.
    pub growth: f64,
    /// What it does to the signs of zeros.
    pub zeros: Zeros,
    /// For [`Grade::Approximate`]: the largest difference that it promises, as a share of the largest magnitude of
    /// the value.
    pub bound: f64,
    /// For [`Purpose::Measured`]: the row of the capability tables that has the benefit on record.
    pub record: Option<&'static str>,
    /// Its page: what it does, before and after, why the two are equal, when it applies.
    pub page: &'static str,
}

impl RuleInfo {
    /// The first sentence of the page.
    pub fn summary(&self) -> &'static str {
        let text = self.page.trim_start();
        let text = text.strip_prefix("## What it does").unwrap_or(text).trim_start();
        text.split("\n\n").next().unwrap_or(text).trim()
    }
}

/// One rewrite.
pub trait Rule: Sync {
    /// Code, grade, purpose and page.
    fn info(&self) -> &'static RuleInfo;

    /// The ops it looks for; its root is the op that the new ones stand before. A rule with a sweep has none.
    fn pattern(&self) -> Pattern {
        Pattern::any()
    }

    /// Checks the conditions and builds the replacement.
    ///
    /// # Errors
    /// The first condition that fails, with the value that fails it.
    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let _ = (m, patch);
        Err(Miss::new("the rule looks at the whole program at once"))
    }

    /// A rule that looks at the whole program at once gives its sweep here and is not matched op by op.
    fn sweep(&self) -> Option<&dyn Sweep> {
        None
    }
}

/// Declares a rule's type with its page and [`RuleInfo`]: `rule.info()` becomes `&INFO`.
///
/// The doc comment is the page that `explain` prints. A rule that says nothing of zeros keeps their signs.
///
/// ```
/// anewrite_rewrite::declare_rule! {
///     /// ## What it does
///     /// Nothing; it shows the form.
///     pub struct Nothing = C 999 "nothing";
///     grade: BitExact, purpose: Clean,
/// }
/// assert_eq!(INFO.code.to_string(), "C999");
/// assert_eq!(INFO.summary(), "Nothing; it shows the form.");
/// ```
#[macro_export]
macro_rules! declare_rule {
    ($(#[doc = $doc:expr])* pub struct $name:ident = $letter:ident $number:literal $words:literal;
     grade: $grade:ident, purpose: $purpose:ident
     $(, growth: $growth:expr)? $(, assumptions: $assumptions:expr)? $(, zeros: $zeros:ident)?
     $(, bound: $bound:expr)? $(, record: $record:literal)? $(,)?) => {
        $(#[doc = $doc])*
        pub struct $name;

        /// What is declared of this rule.
        pub static INFO: $crate::RuleInfo = $crate::RuleInfo {
            code: $crate::Code::new(stringify!($letter).as_bytes()[0] as char, $number),
            name: $words,
            grade: $crate::Grade::$grade,
            purpose: $crate::Purpose::$purpose,
            assumptions: $crate::declare_rule!(@or $($assumptions)?, &[]),
            growth: $crate::declare_rule!(@or $($growth)?, 1.0),
            zeros: $crate::declare_rule!(@or $($crate::Zeros::$zeros)?, $crate::Zeros::Keep),
            bound: $crate::declare_rule!(@or $($bound)?, 0.0),
            record: $crate::declare_rule!(@or $(Some($record))?, None),
            page: concat!($($doc, "\n"),*),
        };
    };
    (@or $given:expr, $default:expr) => { $given };
    (@or , $default:expr) => { $default };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_a_letter_and_three_digits() {
        assert_eq!("M003".parse::<Code>().unwrap().to_string(), "M003");
        for bad in ["", "M", "M3", "M0003", "X001", "m001", "M+12", "M 12"] {
            assert!(bad.parse::<Code>().is_err(), "{bad}");
        }
    }
}
