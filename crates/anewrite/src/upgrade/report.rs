//! What an upgrade did, in numbers and names.

use anewrite_diff::Census;
use serde::Serialize;

use crate::report::{PartReport, Verification};
use crate::verify::ComparedPart;

/// What an upgrade did to a model.
#[derive(Clone, Debug, Serialize)]
pub struct UpgradeReport {
    /// Version of this form: [`REPORT_VERSION`](crate::REPORT_VERSION).
    pub version: u32,
    /// The model's type before.
    pub kind_before: String,
    /// The model's type now.
    pub kind: String,
    /// The opset of the programs, as `CoreML6`.
    pub opset: String,
    /// What they compute in: `fp16` or `fp32`.
    pub precision: String,
    /// Families that the programs were rewritten for.
    pub target: Vec<String>,
    /// Its networks.
    pub parts: Vec<UpgradedPart>,
    /// What is not as it was: names and element types of the interface.
    pub notes: Vec<String>,
    /// How the result compares with the original.
    pub verified: UpgradeVerification,
    /// Bytes of the model before.
    pub bytes_before: u64,
    /// Bytes of the model after; absent until it was written.
    pub bytes_after: Option<u64>,
    /// Seconds that upgrading took.
    pub seconds: f64,
}

/// One network before and after.
#[derive(Clone, Debug, Serialize)]
pub struct UpgradedPart {
    /// Whether it is a network that became a program; parts of a pipeline may have been programs before.
    pub upgraded: bool,
    /// The layers that it had.
    pub layers: Census,
    /// Its path, and what rules made of the program.
    pub rewrite: PartReport,
}

/// How an upgraded model compares with the original.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum UpgradeVerification {
    /// It agrees.
    Verified {
        /// The program as it was lowered, with all constants as they are: equal in fp64. Empty where no constant is
        /// rounded, for then this is the program that is written.
        lowering: Vec<ComparedPart>,
        /// What the rules did to it.
        rules: Box<Verification>,
        /// The program that is written: in fp64, up to the rounding of its constants, and under 16-bit arithmetic.
        program: Vec<ComparedPart>,
    },
    /// Nothing was compared.
    NotVerified {
        /// Why not.
        why: String,
    },
}
