//! What a rewrite did, in numbers and names.

use anewrite_diff::Census;
use anewrite_rewrite::Firing;
use serde::Serialize;

use crate::plan::PlanReport;

use crate::verify::VerifiedReport;

/// The version of the JSON forms of reports: raised when a field changes its meaning or goes.
pub const REPORT_VERSION: u32 = 1;

/// What a rewrite did to a model.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this form: [`REPORT_VERSION`].
    pub version: u32,
    /// The model's type.
    pub kind: String,
    /// Families that it was rewritten for.
    pub target: Vec<String>,
    /// Whether anything changed.
    pub changed: bool,
    /// Whether the result was compared with the original numerically, and why not where it was not.
    pub verified: Verification,
    /// Its networks.
    pub parts: Vec<PartReport>,
    /// What was left aside when the model was read.
    pub notes: Vec<String>,
    /// Bytes of the model before.
    pub bytes_before: u64,
    /// Bytes of the model after; absent until it was written.
    pub bytes_after: Option<u64>,
    /// Seconds that reading and rewriting took.
    pub seconds: f64,
}

/// Whether values were compared.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Verification {
    /// Each patch and the whole model were compared with the original, and agree.
    Verified(Box<VerifiedReport>),
    /// Each patch was compared with what it replaces; the whole model cannot be run here.
    PatchesOnly {
        /// Why not.
        why: String,
        /// What came of the patches.
        report: Box<VerifiedReport>,
    },
    /// Nothing was compared.
    NotVerified {
        /// Why not.
        why: String,
    },
}

/// One network before and after.
#[derive(Clone, Debug, Serialize)]
pub struct PartReport {
    /// Its place in the model; empty for a plain model.
    pub path: String,
    /// What fired, in order.
    pub firings: Vec<FiringReport>,
    /// Ops and parameters before.
    pub before: Census,
    /// Ops and parameters after.
    pub after: Census,
    /// What becomes of the plan on each family; empty where nothing but clean-up fired.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<PlanReport>,
    /// The best near misses of the rule that was asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near_misses: Vec<NearMissReport>,
}

/// One rule's firing.
#[derive(Clone, Debug, Serialize)]
pub struct FiringReport {
    /// Its number, from 1: what `--stop-after` counts.
    pub number: u32,
    /// The number of the first of the firings that only together are a gain; its own where it is one alone.
    pub with: u32,
    /// The rule's code.
    pub code: String,
    /// The rule's name.
    pub name: &'static str,
    /// The result that it was about.
    pub at: String,
    /// Ops that went, as `kind name`.
    pub removed: Vec<String>,
    /// Ops that came, as `kind name`.
    pub added: Vec<String>,
    /// What the rule has people know about it, as what it costs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl FiringReport {
    pub(crate) fn of(f: &Firing, name: &'static str) -> FiringReport {
        let list = |ops: &[(anewrite_ir::Str, anewrite_ir::Str)]| {
            ops.iter().map(|(kind, name)| format!("{kind} {name}")).collect()
        };
        FiringReport {
            number: f.number,
            with: f.with,
            code: f.code.to_string(),
            name,
            at: f.at.to_string(),
            removed: list(&f.removed),
            added: list(&f.added),
            notes: f.notes.clone(),
        }
    }
}

/// Why a rule did not fire at an op.
#[derive(Clone, Debug, Serialize)]
pub struct NearMissReport {
    /// The op's result.
    pub op: String,
    /// The op's type.
    pub kind: String,
    /// The condition that failed.
    pub why: String,
}
