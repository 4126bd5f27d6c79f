use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use crate::expr::Observed;
use crate::family::{Family, FamilySet};
use crate::table::{Confidence, Row};

/// Whether the engine of one family can run an op.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It can.
    Yes {
        /// The row that says so.
        row: &'static Row,
        /// How that is known on this family.
        confidence: Confidence,
    },
    /// It cannot.
    No {
        /// The row that says so.
        row: &'static Row,
        /// What was seen of the op; `None` where the op type alone decides.
        observed: Option<Observed>,
        /// How that is known on this family.
        confidence: Confidence,
    },
    /// Nobody knows.
    Unknown {
        /// Why.
        why: Why,
        /// The rows involved, in the order of the tables; none where there is no evidence at all.
        rows: SmallVec<[&'static Row; 2]>,
        /// Which way weak evidence points, if it points anywhere. To be shown as such, never acted on.
        leaning: Option<bool>,
    },
}

/// Why a verdict is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// No row speaks of the op on this family.
    NoEvidence,
    /// Sources of equal weight contradict each other.
    Disputed,
    /// The only evidence is a guess, or comes from below Core ML.
    Weak,
    /// It differs between releases of the system, and the target spans both.
    DependsOnOs,
    /// A row says that it is not known, or the op does not show what a condition asks for.
    Open(Cow<'static, str>),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::NoEvidence => "no source speaks of this op on this family",
            Why::Disputed => "sources contradict each other",
            Why::Weak => "the only evidence is weak",
            Why::DependsOnOs => "it differs between releases of the system",
            Why::Open(why) => why,
        })
    }
}

/// A verdict without its grounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The engine can run the op.
    Yes,
    /// It cannot.
    No,
    /// Nobody knows.
    Unknown,
}

impl Verdict {
    /// The verdict without its grounds.
    pub fn answer(&self) -> Answer {
        match self {
            Verdict::Yes { .. } => Answer::Yes,
            Verdict::No { .. } => Answer::No,
            Verdict::Unknown { .. } => Answer::Unknown,
        }
    }
}

/// The verdicts on one op for every family of a target.
#[derive(Clone, Debug)]
pub struct Eligibility {
    pub(crate) verdicts: SmallVec<[(Family, Verdict); 8]>,
}

impl Eligibility {
    /// The verdict for one family; `None` if the target did not name it.
    pub fn on(&self, family: Family) -> Option<&Verdict> {
        self.verdicts.iter().find(|(f, _)| *f == family).map(|(_, verdict)| verdict)
    }

    /// The verdicts, oldest family first.
    pub fn iter(&self) -> impl Iterator<Item = (Family, &Verdict)> {
        self.verdicts.iter().map(|(family, verdict)| (*family, verdict))
    }

    /// The families with the given answer.
    pub fn families(&self, answer: Answer) -> FamilySet {
        self.iter().filter(|(_, verdict)| verdict.answer() == answer).map(|(family, _)| family).collect()
    }

    /// The combined answer: yes if every family can, no if one cannot, else unknown.
    pub fn answer(&self) -> Answer {
        let mut combined = Answer::Yes;
        for (_, verdict) in self.iter() {
            match verdict.answer() {
                Answer::No => return Answer::No,
                Answer::Unknown => combined = Answer::Unknown,
                Answer::Yes => {}
            }
        }
        combined
    }

    /// Whether every family of the target can run the op.
    pub fn is_yes(&self) -> bool {
        self.answer() == Answer::Yes
    }

    /// Whether a family of the target cannot run the op.
    pub fn is_no(&self) -> bool {
        self.answer() == Answer::No
    }
}

/// A remark on an op that runs: see [`notes`](crate::notes).
#[derive(Clone, Debug)]
pub struct Note {
    /// The row that makes it.
    pub row: &'static Row,
    /// The families it concerns.
    pub families: FamilySet,
    /// What was seen of the op, where a condition decided.
    pub observed: Option<Observed>,
}
