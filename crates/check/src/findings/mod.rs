//! What is wrong with a program, grouped by cause. One file a group.

mod causes;
mod constants;
mod cuts;
mod eligibility;
mod layout;
mod mapping;
mod model;
mod planning;
mod remarks;
mod sums;
mod text;

pub use causes::rows_of;

use anewrite_ane::{Family, FamilySet, Target};
use anewrite_diag::{Answer, Code, Cost, Evidence, Finding, Place, Severity, kind};
use anewrite_ir::infer::Facts;
use anewrite_ir::{FuncId, OpId, Program};
use rustc_hash::FxHashSet;

use crate::placement::{Examined, Placement};

/// What is known of a model beside its program.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// The longest list of allowed shapes among the inputs.
    pub enumerated_shapes: u64,
    /// Inputs that take images: name, and the least and largest element that reaches the first op.
    pub images: Vec<(String, f64, f64)>,
}

/// What findings are made of.
pub struct Subject<'a> {
    /// The program.
    pub program: &'a Program,
    /// Types of its values.
    pub facts: &'a Facts,
    /// What it is checked for.
    pub target: &'a Target,
    /// Its functions, judged for all families: those of the target, and others so that a finding can say where the same
    /// ops do run.
    pub examined: &'a [Examined],
    /// Their placements on each family of the target.
    pub placements: &'a [Vec<Placement>],
    /// What the model says of its inputs.
    pub interface: &'a Interface,
}

/// Everything that can be said against a program on its target, the worst first.
pub fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    let mut found = eligibility::find(subject);
    found.extend(remarks::find(subject));
    found.extend(planning::find(subject));
    found.extend(layout::find(subject));
    found.extend(constants::find(subject));
    found.extend(sums::find(subject));
    found.extend(model::find(subject));
    found.extend(mapping::find(subject));
    let cost = |f: &Finding| f.cost.as_ref().map_or(0.0, |cost| cost.ms);
    found.sort_by(|a, b| {
        (b.severity.cmp(&a.severity))
            .then(cost(b).total_cmp(&cost(a)))
            .then(b.arithmetic.total_cmp(&a.arithmetic))
            .then(b.ops.len().cmp(&a.ops.len()))
            .then(a.code.cmp(&b.code))
    });
    found
}

impl Subject<'_> {
    /// The family whose plan tells what a finding costs: one whose prices were measured, else the newest.
    fn priced_family(&self) -> Option<Family> {
        let measured = anewrite_ane::Confidence::Measured;
        let families = || self.target.families().iter();
        let known = families().find(|f| anewrite_ane::charges(*f).confidence == measured);
        known.or_else(|| families().max())
    }

    /// The target's releases on every family.
    fn everywhere(&self) -> Target {
        Target::new(FamilySet::engines().union(self.target.families()), self.target.os().from)
    }

    fn function(&self, id: FuncId) -> String {
        self.program.function(id).name.to_string()
    }

    fn place(&self, op: OpId, observed: Option<String>) -> Place {
        let o = self.program.op(op);
        let value = o.result().map(|r| self.program.value(r).name.to_string());
        let name = value.or_else(|| o.name.as_ref().map(ToString::to_string)).unwrap_or_default();
        let function = self.function(self.program.func_of(op));
        Place { function, op: name, kind: o.kind.to_string(), observed, fixed_by: None }
    }

    /// All arithmetic of the program.
    fn arithmetic(&self) -> f64 {
        self.judged().map(|judged| judged.work.flops).sum()
    }

    fn judged(&self) -> impl Iterator<Item = &crate::Judged> {
        self.examined.iter().flat_map(|f| &f.scopes).flat_map(|scope| &scope.ops)
    }

    /// The share of the arithmetic that some ops do, 0 where there is none.
    fn share(&self, ops: &FxHashSet<OpId>) -> f64 {
        let of: f64 = self.judged().filter(|j| ops.contains(&j.op)).map(|j| j.work.flops).sum();
        let all = self.arithmetic();
        if all > 0.0 { of / all } else { 0.0 }
    }

    /// How much cheaper the plans of all functions would be with these ops on the engine.
    fn cost(&self, ops: &FxHashSet<OpId>) -> Option<Cost> {
        let family = self.priced_family()?;
        let (mut ms, mut of_ms) = (0.0, 0.0);
        for (function, placements) in self.examined.iter().zip(self.placements) {
            let placement = placements.iter().find(|p| p.family == family)?;
            if !placement.priced {
                return None;
            }
            let now: f64 = placement.cautious.iter().map(|planned| planned.plan.total).sum();
            let touched = function.scopes.iter().flat_map(|s| &s.ops).any(|judged| ops.contains(&judged.op));
            let then =
                if touched { placement.with_on_engine(function, &|op| ops.contains(&op)) } else { now };
            ms += (now - then).max(0.0);
            of_ms += now;
        }
        Some(Cost { family: family.to_string(), ms, of_ms })
    }
}

/// A finding with everything that its code says of it, and nothing of what was seen.
fn new(code: u16, severity: Severity, answer: Answer, message: String) -> Finding {
    let code = Code::new(code);
    let kind = kind(code);
    Finding {
        code,
        name: kind.map_or("", |k| k.name),
        severity,
        answer,
        message,
        families: Vec::new(),
        runs_on: Vec::new(),
        ops: Vec::new(),
        arithmetic: 0.0,
        cost: None,
        evidence: Vec::new(),
        fixes: Vec::new(),
        declined: Vec::new(),
        advice: None,
        page: kind.map_or_else(String::new, anewrite_diag::Kind::path),
    }
}

fn names(families: FamilySet) -> Vec<String> {
    families.iter().map(|f| f.to_string()).collect()
}

/// Evidence that is no row of the tables: a limit, or this crate's own reasoning.
fn reasoned(says: String, families: FamilySet, how: &str) -> Evidence {
    Evidence {
        says,
        families: names(families),
        row: None,
        known: vec![anewrite_diag::Known { how: how.to_owned(), families: names(families) }],
        ops: None,
        core_ml_says: None,
        sources: Vec::new(),
    }
}
