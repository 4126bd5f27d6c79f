//! One op as the objective sees it.

use anewrite_ane::{Answer, FamilySet, Hazard, Target, hazards};
use anewrite_check::{View, computes, judge_as};
use anewrite_ir::infer::Facts;
use anewrite_ir::{OpId, Program};
use anewrite_nn::Mapping;

/// What counts of an op: families as sets, so that nothing is asked twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Facet {
    /// Families whose engine runs it.
    pub(super) runs: FamilySet,
    /// Families of which nobody knows.
    pub(super) unknown: FamilySet,
    /// Families on which it is a hazard for the whole model.
    pub(super) hazard: FamilySet,
    /// Families on which values may be lost.
    pub(super) overflow: FamilySet,
    /// The planner's prices in ms; `None` where it has no formula.
    pub(super) costs: Option<[f64; 3]>,
    /// Operations or bytes moved, whichever is more.
    pub(super) amount: f64,
}

impl Facet {
    /// `None` for ops that no planner places.
    pub(super) fn of(
        program: &Program,
        facts: &Facts,
        op: OpId,
        target: &Target,
        mapping: Option<Mapping>,
    ) -> Option<Facet> {
        if !computes(program, op) {
            return None;
        }
        let judged = judge_as(program, facts, op, target, mapping);
        let mut facet = Facet {
            runs: judged.eligibility.families(Answer::Yes),
            unknown: judged.eligibility.families(Answer::Unknown),
            costs: judged.prices.map(|p| [p.ane.ms, p.bnns.ms, p.classic_cpu.ms]),
            amount: judged.work.flops.max(judged.work.bytes),
            ..Facet::default()
        };
        for (hazard, families) in hazards(&View::new(program, facts, op), target) {
            match hazard {
                Hazard::Model => facet.hazard = facet.hazard.union(families),
                Hazard::Numerics => facet.overflow = facet.overflow.union(families),
            }
        }
        Some(facet)
    }

    /// What the planner thinks that the engine saves, in ms.
    pub(super) fn saves(&self) -> Option<f64> {
        self.costs.map(|[ane, bnns, classic]| bnns.min(classic) - ane)
    }
}
