//! What keeps a model off the engine.

mod annotate;
mod fixes;
mod interface;
mod measured;
mod report;
mod sarif;
mod summary;

use std::path::Path;
use std::time::Instant;

use anewrite_ane::{Family, FamilySet, Os, Target};
use anewrite_check::{Examined, Interface, Placement, Subject, examine, findings, place_all};
use anewrite_ir::infer::{Inferred, infer};
use anewrite_ir::{DialectId, Opset, Program};
use coreml_package::Source;

use crate::Error;
use crate::engine::default_target;
use crate::model::{Model, dialect_of};
use crate::show::read_compiled;

pub use annotate::annotate;
pub use measured::{MeasuredOp, MeasuredPlan};
pub use report::{
    AfterRewrite, CHECK_VERSION, CheckReport, Difference as PlanDifference, FamilyCheck, FamilyInfo,
    FunctionCheck, Measured, Milliseconds, OpCheck, OpOnFamilies, PartCheck, PlanNumbers, Run, Verdicts,
};

/// How to check.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// What the model is for; by default every family that its lowest system runs on.
    pub target: Option<Target>,
    /// Whether the report lists every op with its verdict and its place.
    pub ops: bool,
    /// Whether to leave out the dry run that tells which findings a rule fixes.
    pub without_rules: bool,
    /// A plan that was measured on a Mac, to be shown in place of the prediction.
    pub plan: Option<MeasuredPlan>,
}

/// Checks a model: what runs on the engine, what does not, why, and what a rule would change.
///
/// # Errors
/// Where the dry run fails, or a measured plan does not name a chip that is known.
///
/// ```
/// # fn main() -> Result<(), anewrite::Error> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/generated/m001_max_pool/fp16-iOS16.mlpackage");
/// use anewrite::{CheckOptions, Model, Target, check};
///
/// let options = CheckOptions { target: Some(Target::parse("m4")?), ..CheckOptions::default() };
/// let report = check(&Model::open(path)?, &options)?;
/// let finding = &report.parts[0].findings[0];
/// assert_eq!(finding.code.to_string(), "ANE021");
/// assert_eq!(finding.fixes[0].rule, "M001");
/// # Ok(())
/// # }
/// ```
pub fn check(model: &Model, options: &CheckOptions) -> Result<CheckReport, Error> {
    let start = Instant::now();
    let lowest = default_target(model.document.info().spec_version);
    let target = options.target.map_or(lowest, |target| target.at_least(lowest.os().from));
    let options = &CheckOptions { target: Some(target), ..options.clone() };
    let mut parts = Vec::new();
    for part in model.parts() {
        let interface = interface::of(model.document(), part)?;
        parts.push(Checked::new(&part.program, target).report(&part.path, &interface, options)?);
    }
    let mut rules = "a dry run of the rules".to_owned();
    if options.without_rules {
        rules = "the rules were not tried".to_owned();
    } else {
        fixes::attribute(model, options, &mut parts)?;
    }
    let mut report = CheckReport::new(model.kind(), target, parts, rules);
    report.tried_rules = !options.without_rules;
    report.notes = model.document.notes().iter().map(ToString::to_string).collect();
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Checks what lies at a path: a `.mlmodel` file, a `.mlpackage` folder, or a compiled `.mlmodelc` folder.
///
/// Rules are not tried on a compiled model, which cannot be rewritten.
///
/// # Errors
/// As [`check`], and where the model cannot be read.
pub fn check_path(path: impl AsRef<Path>, options: &CheckOptions) -> Result<CheckReport, Error> {
    let start = Instant::now();
    let Source::Compiled(compiled) = coreml_package::open(path.as_ref())? else {
        return check(&Model::open(path)?, options);
    };
    let program = read_compiled(&compiled)?;
    let os = lowest_os(&program);
    let target = options.target.map_or_else(|| Target::default_for(os), |target| target.at_least(os));
    let part = Checked::new(&program, target).report("", &Interface::default(), options)?;
    let rules =
        "a compiled model cannot be rewritten; check what it was compiled from to see what rules would do";
    let mut report = CheckReport::new("mlProgram (compiled)", target, vec![part], rules.to_owned());
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// The first release that has the opsets of a program.
fn lowest_os(program: &Program) -> Os {
    let opsets = program.functions().filter_map(|(_, f)| Opset::from_name(&f.opset));
    Os(opsets.max().map_or(15, |opset| match opset {
        Opset::Ios15 => 15,
        Opset::Ios16 => 16,
        Opset::Ios17 => 17,
        Opset::Ios18 => 18,
        Opset::Ios26 => 26,
    }))
}

/// A network that was looked at.
struct Checked<'a> {
    program: &'a Program,
    inferred: Inferred,
    target: Target,
    examined: Vec<Examined>,
    placements: Vec<Vec<Placement>>,
}

impl<'a> Checked<'a> {
    fn new(program: &'a Program, target: Target) -> Checked<'a> {
        let inferred = infer(program, &*dialect_of(program));
        let everywhere = FamilySet::engines().union(target.families());
        let all = Target::new(everywhere, target.os().from);
        let examined = examine(program, &inferred.facts, &all);
        let placements = examined.iter().map(|function| place_all(function, &target)).collect();
        Checked { program, inferred, target, examined, placements }
    }

    fn report(&self, path: &str, interface: &Interface, options: &CheckOptions) -> Result<PartCheck, Error> {
        let subject = Subject {
            program: self.program,
            facts: &self.inferred.facts,
            target: &self.target,
            examined: &self.examined,
            placements: &self.placements,
            interface,
        };
        let plan = options.plan.as_ref().map(|plan| Ok::<_, Error>((plan, plan_family(plan, &self.target)?)));
        let plan = plan.transpose()?;
        let functions = self.examined.iter().zip(&self.placements).map(|(function, placements)| {
            let mut check = summary::function(self.program, function, placements, options.ops);
            if let Some((plan, family)) = plan {
                check.measured = measured::compare(plan, path, self.program, function, placements, family);
            }
            check
        });
        Ok(PartCheck {
            path: path.to_owned(),
            dialect: if self.program.dialect == DialectId::Mil { "mil" } else { "nn" },
            functions: functions.collect(),
            findings: findings(&subject),
        })
    }
}

/// The family that a measured plan is of: that of its chip, else the only one of the target.
fn plan_family(plan: &MeasuredPlan, target: &Target) -> Result<Family, Error> {
    let families = match &plan.chip {
        Some(chip) => Target::parse(chip)?.families(),
        None => target.families(),
    };
    let mut of = families.iter();
    match (of.next(), of.next()) {
        (Some(one), None) if target.families().contains(one) => Ok(one),
        (Some(one), None) => {
            Err(Error::Plan(format!("it was measured on {one}, which the target does not name")))
        }
        _ => Err(Error::Plan("it names no chip, and the target is more than one family".to_owned())),
    }
}
