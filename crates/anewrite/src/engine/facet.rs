//! One op as the objective sees it.

use std::io::Write;

use anewrite_ane::{Answer, FamilySet, Hazard, Target, VALUE_LIMIT, hazards};
use anewrite_check::{View, computes, judge_as};
use anewrite_ir::infer::Facts;
use anewrite_ir::{DialectId, OpId, Program};
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

/// Everything that the tables and formulas see of an op of an ML Program: ops that are alike have one key. `None` for ops
/// that show more than that.
pub(super) fn key(program: &Program, facts: &Facts, op: OpId) -> Option<Vec<u8>> {
    let o = program.op(op);
    if program.dialect != DialectId::Mil || !o.attrs.is_empty() || !o.blocks.is_empty() {
        return None;
    }
    let mut key = Vec::with_capacity(256);
    let opset = &program.function(program.func_of(op)).opset;
    write!(key, "{opset} {}", o.kind).ok()?;
    for operand in &o.operands {
        write!(key, ";{} {}", operand.param, facts.ty(program, operand.value)).ok()?;
        match program.constant(operand.value) {
            Some(c) if c.tensor.count() > VALUE_LIMIT as u64 => key.extend(b" const"),
            Some(c) => match c.tensor.scalar_str() {
                Some(text) => write!(key, " = {text:?}").ok()?,
                None => {
                    key.extend(b" = ");
                    key.extend_from_slice(&c.tensor.bytes().ok()?);
                }
            },
            None => {
                // Compressed weights are constants for the tables.
                let maker = program.def_op(operand.value).map(|op| &program.op(op).kind);
                write!(key, " {}", maker.filter(|k| k.starts_with("constexpr_")).map_or("", |k| k)).ok()?;
            }
        }
    }
    for &result in &o.results {
        write!(key, " -> {}", facts.ty(program, result)).ok()?;
    }
    Some(key)
}
