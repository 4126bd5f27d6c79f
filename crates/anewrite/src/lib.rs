//! Makes existing Core ML models run on the Apple Neural Engine.
//!
//! A model is [opened](Model::open), [rewritten](rewrite) and [written](Rewritten::write); what no rule touched keeps
//! its bytes. The same verbs are on the command line.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/ironmill_mnist_base.mlpackage");
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("out.mlpackage");
//! use anewrite::{Model, RewriteOptions, WriteOptions, rewrite};
//!
//! let model = Model::open(path)?;
//! let mut rewritten = rewrite(&model, &RewriteOptions::default())?;
//! rewritten.write(&out, &WriteOptions::new())?;
//! # Ok(())
//! # }
//! ```
//!
//! This crate wires the others and must not know the terminal.

mod bridge;
mod check;
mod diff;
mod engine;
mod error;
mod explain;
mod export_cases;
mod features;
mod model;
mod plan;
mod ranges;
mod recorder;
mod report;
mod rewrite;
mod run;
mod selection;
mod show;
mod supported;
mod upgrade;
mod verify;

pub use anewrite_ane::{Chip, Confidence, Device, Family, Target, chips, devices};
pub use anewrite_convert::{Color, Feature, FeatureKind, Flexible, Interface};
pub use anewrite_convert::{Document, Part};
pub use anewrite_diag::{
    Answer as FindingAnswer, Code as FindingCode, Finding, Kind as FindingKind, Severity,
    kind as finding_kind, kinds as finding_kinds,
};
pub use anewrite_diff::{Census, ProgramDiff, Table};
pub use anewrite_interp::{Arithmetic, Options as EvaluatorOptions, Value};
pub use anewrite_ir::Opset;
pub use anewrite_rewrite::{Code, Grade, Purpose, Rule, RuleInfo};
pub use anewrite_tensor::DType;
pub use anewrite_upgrade::{Refusal, UpgradeError};
pub use anewrite_verify::{
    Difference as Distance, Divergence, Event, Mode, ModelReport, OutputReport, PatchSummary, Plan,
};
pub use check::{
    AfterRewrite, CHECK_VERSION, CheckOptions, CheckReport, FamilyCheck, FamilyInfo, FunctionCheck, Measured,
    MeasuredOp, MeasuredPlan, Milliseconds, OpCheck, OpOnFamilies, PartCheck, PlanDifference, PlanNumbers,
    Run, Verdicts, annotate, check, check_path,
};
pub use coreml_package::{Progress, WriteOptions, Written};
pub use diff::{Difference, PartDifference, diff};
pub use error::Error;
pub use explain::explain;
pub use export_cases::export_cases;
pub use features::{Features, read_features, write_features};
pub use model::Model;
pub use plan::{PlanFigures, PlanReport};
pub use ranges::{RANGES_VERSION, RangeWatch, Ranges, ValueRange};
pub use recorder::{Intermediates, Recorder};
pub use report::{FiringReport, NearMissReport, PartReport, REPORT_VERSION, Report, Verification};
pub use rewrite::{RewriteOptions, Rewritten, check_output, rewrite, rewrite_with};
pub use run::{RunOptions, Runner, Watch};
pub use selection::{Selection, rule, rules};
pub use show::{ShowOptions, show, show_model};
pub use supported::supported_ops;
pub use upgrade::{
    UpgradeOptions, UpgradeReport, UpgradeVerification, Upgraded, UpgradedPart, check_upgrade_output,
    upgrade, upgrade_with,
};
pub use verify::{
    ComparedPart, ComparisonReport, OnEvent, PartVerification, VerifiedReport, VerifyOptions, verify,
};
