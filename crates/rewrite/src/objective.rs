//! What the driver asks of others: is this better, and is it equal?

use anewrite_ir::dims::DimTable;
use anewrite_ir::{OpId, Program, infer::Facts};

use crate::patch::Patch;
use crate::rule::RuleInfo;

/// Some ops of a program, which may have been removed since.
#[derive(Clone, Copy)]
pub struct Region<'a> {
    /// The program that has or had them.
    pub program: &'a Program,
    /// Types of its values.
    pub facts: &'a Facts,
    /// The ops.
    pub ops: &'a [OpId],
}

/// How a region compares with what would replace it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Better for one target at least, and worse for none.
    Better,
    /// No difference that is known.
    Same(String),
    /// Worse for a target: which, and why.
    Worse(String),
}

/// Knows what is good for the target.
pub trait Objective: Sync {
    /// The smallest value of a limit over the target's families; `None` where nothing is known.
    fn limit(&self, id: &str) -> Option<u64>;

    /// Compares ops with those that would replace them.
    fn compare(&self, before: Region<'_>, after: Region<'_>) -> Comparison;
}

/// That a patch computes what it replaces, as its rule promises: what an oracle judges.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// The rule, which says how exactly it keeps values.
    pub rule: &'a RuleInfo,
    /// The program before the patch.
    pub program: &'a Program,
    /// Types of its values.
    pub facts: &'a Facts,
    /// The symbols that the types are written in.
    pub dims: &'a DimTable,
    /// The patch.
    pub patch: &'a Patch,
}

/// Judges whether patches compute what they replace.
pub trait Oracle: Sync {
    /// Called once for each patch, before it is put in.
    ///
    /// # Errors
    /// The difference, in words: which value, on which input, by how much.
    fn equal(&self, claim: &Claim<'_>) -> Result<(), String>;

    /// Whether a patch that is not equal is left out, and rewriting goes on; else it ends there.
    fn leaves_out(&self) -> bool {
        false
    }
}

/// An objective that knows nothing: every limit is unknown and nothing is better. For tests of clean-up rules.
pub struct NoObjective;

impl Objective for NoObjective {
    fn limit(&self, _: &str) -> Option<u64> {
        None
    }

    fn compare(&self, _: Region<'_>, _: Region<'_>) -> Comparison {
        Comparison::Same("no target is set".into())
    }
}
