//! The forms of a check's report.

use anewrite_ane::{Family, Target, chips};
use anewrite_diag::{Finding, Severity};
use serde::Serialize;

/// The version of the JSON form of checks: raised when a field changes its meaning or goes.
pub const CHECK_VERSION: u32 = 1;

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// Version of this form: [`CHECK_VERSION`].
    pub version: u32,
    /// The model's type.
    pub kind: String,
    /// Families that it was checked for.
    pub target: Vec<FamilyInfo>,
    /// The oldest system of the target, by its iOS and macOS number.
    pub os: String,
    /// Its networks: one, or those of a pipeline.
    pub parts: Vec<PartCheck>,
    /// Whether the rules were tried, in a dry run, to tell which findings they fix.
    pub tried_rules: bool,
    /// Why they were not, or that they were.
    pub rules: String,
    /// What was left aside when the model was read.
    pub notes: Vec<String>,
    /// Seconds that the check took.
    pub seconds: f64,
}

/// A family and the chips that have its engine.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyInfo {
    /// The family, `H16`.
    pub family: String,
    /// Its chips, variants left out: `A17 Pro, M4`.
    pub chips: String,
}

/// One network.
#[derive(Clone, Debug, Serialize)]
pub struct PartCheck {
    /// Its place in the model; empty for a plain model.
    pub path: String,
    /// `mil` or `nn`.
    pub dialect: &'static str,
    /// Its functions.
    pub functions: Vec<FunctionCheck>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

/// One function.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionCheck {
    /// Its name.
    pub name: String,
    /// Ops that compute, nested ones included.
    pub ops: usize,
    /// Those of them inside control flow.
    pub nested_ops: usize,
    /// Multiplications and additions, each one; an extent that is not known counts as one.
    pub flops: f64,
    /// Family by family.
    pub families: Vec<FamilyCheck>,
    /// The same after `rewrite`, where a rule would fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_rewrite: Option<AfterRewrite>,
    /// What a plan measured on a device says in place of the prediction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Every op, where it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub op_list: Vec<OpCheck>,
}

/// What `rewrite` would make of a function.
#[derive(Clone, Debug, Serialize)]
pub struct AfterRewrite {
    /// Ops that compute.
    pub ops: usize,
    /// Family by family.
    pub families: Vec<FamilyCheck>,
}

/// A function on one family.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyCheck {
    /// The family.
    pub family: String,
    /// `planner`: placed by the planner's own estimates. `eligibility`: no estimates are known, and everything that the
    /// engine runs is taken to be on it.
    pub basis: &'static str,
    /// How the estimates are known for the family: `measured`, or `guess` where they are another family's.
    pub confidence: &'static str,
    /// Ops by what is known of them.
    pub verdicts: Verdicts,
    /// The plan if the engine refuses what nobody knows of, and everything inside control flow.
    pub cautious: PlanNumbers,
    /// The plan if it runs all that; absent where nothing is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hopeful: Option<PlanNumbers>,
}

/// Ops by what is known of them, wherever they are placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Verdicts {
    /// The engine can run them.
    pub yes: usize,
    /// It cannot.
    pub no: usize,
    /// Nobody knows.
    pub unknown: usize,
    /// Share of the arithmetic that it can run, from 0 to 1; of the ops, where there is no arithmetic.
    pub yes_share: f64,
    /// Share of which nobody knows.
    pub unknown_share: f64,
}

/// What a plan amounts to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanNumbers {
    /// Ops on the engine.
    pub engine_ops: usize,
    /// Ops on the CPU.
    pub cpu_ops: usize,
    /// Share of the arithmetic on the engine, from 0 to 1; of the ops, where there is no arithmetic.
    pub engine_share: f64,
    /// Multiplications and additions on the engine.
    pub engine_flops: f64,
    /// Multiplications and additions on the CPU.
    pub cpu_flops: f64,
    /// Bytes moved on the engine.
    pub engine_bytes: f64,
    /// Bytes moved on the CPU.
    pub cpu_bytes: f64,
    /// Runs of ops on the engine.
    pub engine_segments: usize,
    /// Places where the side changes.
    pub boundaries: usize,
    /// Bytes that cross them.
    pub bytes_crossing: u64,
    /// The planner's estimates, where there are formulas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<Milliseconds>,
    /// The runs of ops on one side, in program order.
    pub runs: Vec<Run>,
}

/// The planner's own estimates, which are no measured times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Milliseconds {
    /// The whole plan.
    pub total: f64,
    /// Ops on the engine.
    pub engine: f64,
    /// Ops on the CPU.
    pub cpu: f64,
    /// Launch, switches and output.
    pub charges: f64,
    /// The least that the total can be, as far as the formulas are known.
    pub low: f64,
    /// The most; absent where a formula gives only a lower bound.
    pub high: Option<f64>,
    /// Everything on the CPU.
    pub cpu_only: f64,
    /// Ops by how far their price can be trusted: `exact`, `bracketed`, `one-point`, `assumed`, `bound`.
    pub trust: Vec<(&'static str, usize)>,
}

/// A run of ops on one side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Whether it is on the engine.
    pub on_engine: bool,
    /// Its first op.
    pub first: String,
    /// Its last op.
    pub last: String,
    /// How many ops it has.
    pub ops: usize,
    /// Its arithmetic.
    pub flops: f64,
    /// Bytes that it moves.
    pub bytes: f64,
    /// Bytes that it reads from the other side.
    pub bytes_in: u64,
    /// The planner's estimate, without charges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
}

/// One op.
#[derive(Clone, Debug, Serialize)]
pub struct OpCheck {
    /// The name of its first result.
    pub op: String,
    /// Its type.
    pub kind: String,
    /// Whether it is inside control flow.
    pub nested: bool,
    /// Its arithmetic.
    pub flops: f64,
    /// Bytes that it moves.
    pub bytes: f64,
    /// Its verdict and place, families with the same ones together.
    pub on: Vec<OpOnFamilies>,
}

/// An op on some families.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpOnFamilies {
    /// The families.
    pub families: Vec<String>,
    /// Whether the engine can run it: `yes`, `no`, `unknown`.
    pub verdict: &'static str,
    /// The row of the tables that decides, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Where it is placed: `engine`, `cpu`, or `unknown` where that depends on what nobody knows.
    pub side: &'static str,
    /// The planner's estimate there, in ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// What the whole plan costs more, in ms, because this one op is not on the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absence_ms: Option<f64>,
}

/// A plan measured on a device, beside the prediction.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Device, system and compute units, as the plan states them.
    pub source: String,
    /// The family of its chip.
    pub family: String,
    /// Ops of the function that the plan has too.
    pub matched: usize,
    /// Ops of the function that the plan has not.
    pub missing: usize,
    /// Ops that the plan prefers to run on the engine.
    pub engine_ops: usize,
    /// On the GPU.
    pub gpu_ops: usize,
    /// On the CPU.
    pub cpu_ops: usize,
    /// Share of the arithmetic on the engine, from 0 to 1.
    pub engine_share: f64,
    /// Ops that the plan has and of which a side was predicted.
    pub predicted: usize,
    /// Those of them that are where they were predicted.
    pub agreed: usize,
    /// Where prediction and measurement differ, in program order.
    pub differences: Vec<Difference>,
}

/// An op that a measured plan has elsewhere than predicted, or of which it settles what was not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The op.
    pub op: String,
    /// Its type.
    pub kind: String,
    /// Where it was predicted: `engine`, `cpu`, `unknown`.
    pub predicted: &'static str,
    /// What was known of it: `yes`, `no`, `unknown`.
    pub verdict: &'static str,
    /// Where it is: `engine`, `cpu`, `gpu`.
    pub measured: String,
    /// Whether the plan lists the engine among the devices that support it.
    pub supported: bool,
}

impl CheckReport {
    pub(super) fn new(kind: &str, target: Target, parts: Vec<PartCheck>, rules: String) -> CheckReport {
        let family = |f: Family| FamilyInfo { family: f.to_string(), chips: chips_of(f) };
        CheckReport {
            version: CHECK_VERSION,
            kind: kind.to_owned(),
            target: target.families().iter().map(family).collect(),
            os: target.os().from.to_string(),
            parts,
            tried_rules: false,
            rules,
            notes: Vec::new(),
            seconds: 0.0,
        }
    }

    /// All findings of all networks.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.parts.iter().flat_map(|part| &part.findings)
    }

    /// How bad the worst finding is.
    pub fn worst(&self) -> Option<Severity> {
        self.findings().map(|f| f.severity).max()
    }

    /// Whether a rule fixes something that is off the engine, or a hazard.
    pub fn is_fixable(&self) -> bool {
        self.findings().any(Finding::is_fixable)
    }
}

/// The chips of a family, those that are variants of another left out.
fn chips_of(family: Family) -> String {
    let of_family: Vec<&str> = chips().iter().filter(|c| c.family == family).map(|c| c.name).collect();
    let is_variant = |name: &str| {
        of_family.iter().any(|other| name.strip_prefix(other).is_some_and(|rest| rest.starts_with(' ')))
    };
    let kept: Vec<&str> = of_family.iter().copied().filter(|name| !is_variant(name)).collect();
    kept.join(", ")
}
