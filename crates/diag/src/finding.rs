use serde::Serialize;

use crate::code::Code;

/// How bad a finding is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know: speed, memory, values at the edge of a range.
    Note,
    /// It may keep ops off the engine, or give wrong values; or the engine could run them and will not be asked to.
    Warning,
    /// Ops are known to stay off the engine of a family of the target.
    Error,
}

/// What is said of the ops of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The engine cannot run them.
    Refused,
    /// Nobody knows whether it can.
    Unknown,
    /// It can, and Core ML's planner is thought to leave them on the CPU.
    Unplaced,
    /// It runs them, and their values may be wrong.
    Hazard,
    /// It runs them at a cost in time, memory or compilation.
    Slow,
}

/// One op of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The function that holds it; `main` in most models.
    pub function: String,
    /// The name of its first result; for a finding on the whole model the name of an input or nothing.
    pub op: String,
    /// Its type, `conv` or `nn.convolution`.
    pub kind: String,
    /// The value that decided, with the condition that it does not meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// The code of the rule that replaces it in a dry run for the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_by: Option<String>,
}

/// On which families something is known how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// `measured`, `derived`, `reported`, `guess` or `unknown`.
    pub how: String,
    /// The families.
    pub families: Vec<String>,
}

/// A public source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceRef {
    /// Its key in the tables, such as `S1`.
    pub key: String,
    /// Where it is found.
    pub place: String,
}

/// What a finding rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What the source says, as a sentence.
    pub says: String,
    /// The families that it decides here.
    pub families: Vec<String>,
    /// The row of the tables; absent where no row speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// How it is known, by families.
    pub known: Vec<Known>,
    /// How many of the finding's ops it decides about; absent where it is about all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ops: Option<usize>,
    /// What Core ML itself prints in such a case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_ml_says: Option<String>,
    /// The sources.
    pub sources: Vec<SourceRef>,
}

/// What the ops of a finding cost a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The family whose plan it is.
    pub family: String,
    /// How much cheaper the plan would be, in the planner's milliseconds, with these ops on the engine.
    pub ms: f64,
    /// What the plan costs, in the same milliseconds.
    pub of_ms: f64,
}

/// A rule that replaces ops of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The rule's code.
    pub rule: String,
    /// The rule's name.
    pub name: String,
    /// How many of the ops it replaces.
    pub ops: usize,
}

/// A rule that looked at an op of a finding and declined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Declined {
    /// The rule's code.
    pub rule: String,
    /// The op.
    pub op: String,
    /// The condition that failed, with the value that failed it.
    pub why: String,
}

/// One diagnosed problem with all ops that have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Its code.
    pub code: Code,
    /// The code in words, such as `int32-island`.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is said of the ops.
    pub answer: Answer,
    /// What is wrong, as a sentence.
    pub message: String,
    /// Families of the target that it concerns.
    pub families: Vec<String>,
    /// Families, of the target or not, that do run all these ops.
    pub runs_on: Vec<String>,
    /// The ops, in program order.
    pub ops: Vec<Place>,
    /// Share of the network's arithmetic that these ops do, from 0 to 1.
    pub arithmetic: f64,
    /// What they cost the plan, where the planner's prices are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What it rests on, what decides first.
    pub evidence: Vec<Evidence>,
    /// Rules that replace some of the ops, by a dry run.
    pub fixes: Vec<Fix>,
    /// Rules that looked at ops that no rule replaces, and why they declined.
    pub declined: Vec<Declined>,
    /// What a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The page of the code, in the repository.
    pub page: String,
}

impl Finding {
    /// Whether a rule replaces at least one of its ops.
    pub fn is_fixable(&self) -> bool {
        !self.fixes.is_empty()
    }
}
