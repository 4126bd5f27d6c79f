//! The plan of a network before and after a rewrite.

use anewrite_ane::{Answer, Confidence, Family, Target, charges, plan};
use anewrite_check::{Doubt, Judged, computes, judge_as, plan_ops};
use anewrite_ir::infer::Facts;
use anewrite_ir::{DialectId, OpId, Program};
use anewrite_nn::Mapping;
use rustc_hash::FxHashMap;
use serde::Serialize;

/// What becomes of a network on some families, which all plan it alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanReport {
    /// The families.
    pub families: Vec<String>,
    /// `measured`: the estimates are those of the family's own planner; `guess`: those of another family's are used in
    /// their place; `none`: there is no formula, and everything eligible is taken to run on the engine.
    pub estimates: &'static str,
    /// The network as it was.
    pub before: PlanFigures,
    /// The rewritten network.
    pub after: PlanFigures,
}

/// A network's plan in numbers, ops of which nobody knows being taken to be refused. Ops inside of control flow are not
/// counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PlanFigures {
    /// Share of the arithmetic that the engine can run, from 0 to 1: operations or bytes moved, for each op whichever is
    /// more.
    pub eligible: f64,
    /// Share of the arithmetic of which nobody knows.
    pub unknown: f64,
    /// Runs of ops that the planner would put on the engine.
    pub segments: usize,
    /// Changes between engine and CPU.
    pub boundaries: usize,
    /// The planner's estimate in ms, which is no measured time; absent without a formula.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
}

/// Plans a network before and after, family by family, those together that come out the same. `facts` are those of the
/// rewritten program, whose ops and values keep the identities that they had.
pub(crate) fn plans(before: &Program, after: &Program, facts: &Facts, target: &Target) -> Vec<PlanReport> {
    let old = Planned::of(before, facts, target, None);
    let new = Planned::of(after, facts, target, Some((before, &old)));
    let mut out: Vec<PlanReport> = Vec::new();
    // Families on which the same ops run have the same plan.
    let mut seen: Vec<(Vec<bool>, [PlanFigures; 2])> = Vec::new();
    for family in target.families().iter() {
        let runs: Vec<bool> = old.runs(family).chain(new.runs(family)).collect();
        let [before, after] = match seen.iter().find(|(r, _)| *r == runs) {
            Some((_, figures)) => *figures,
            None => {
                let figures = [&old, &new].map(|planned| planned.figures(family));
                seen.push((runs, figures));
                figures
            }
        };
        let [before, after] = [(&old, before), (&new, after)]
            .map(|(p, f)| PlanFigures { unknown: p.share(family, Answer::Unknown), ..f });
        let estimates = match charges(family).confidence {
            _ if before.ms.or(after.ms).is_none() => "none",
            Confidence::Guess => "guess",
            _ => "measured",
        };
        let like = |r: &&mut PlanReport| (r.estimates, &r.before, &r.after) == (estimates, &before, &after);
        match out.iter_mut().find(like) {
            Some(report) => report.families.push(family.to_string()),
            None => out.push(PlanReport { families: vec![family.to_string()], estimates, before, after }),
        }
    }
    out
}

/// The judged ops of each function.
struct Planned {
    functions: Vec<Vec<Judged>>,
}

impl Planned {
    /// Judges a program's ops, but for those that are as they were in another one that is judged already.
    fn of(program: &Program, facts: &Facts, target: &Target, known: Option<(&Program, &Planned)>) -> Planned {
        let mapping = (program.dialect == DialectId::Nn).then(|| Mapping::of(program));
        let old: FxHashMap<OpId, &Judged> =
            known.iter().flat_map(|(_, planned)| planned.ops()).map(|j| (j.op, j)).collect();
        let same = |op: OpId| {
            // An identity in `old` is one of the other program.
            let judged = old.get(&op)?;
            let then = known?.0.op(op);
            let now = program.op(op);
            let operands = now.operands.iter().map(|o| o.value).eq(then.operands.iter().map(|o| o.value));
            (operands && now.kind == then.kind && now.blocks.is_empty()).then(|| (*judged).clone())
        };
        let judged = |op| same(op).unwrap_or_else(|| judge_as(program, facts, op, target, mapping));
        let of = |body| program.ops(body).filter(|&op| computes(program, op)).map(judged).collect();
        Planned { functions: program.functions().map(|(_, f)| of(f.body)).collect() }
    }

    fn ops(&self) -> impl Iterator<Item = &Judged> {
        self.functions.iter().flatten()
    }

    fn runs(&self, family: Family) -> impl Iterator<Item = bool> + '_ {
        self.ops().map(move |judged| judged.on_engine(family, Doubt::Refused))
    }

    /// The share of the arithmetic whose ops have this answer; 0 where there is none.
    fn share(&self, family: Family, answer: Answer) -> f64 {
        let amount = |j: &Judged| j.work.flops.max(j.work.bytes);
        let is = |j: &&Judged| j.eligibility.on(family).is_some_and(|v| v.answer() == answer);
        let sum = |total: f64, j| total + amount(j);
        let all = self.ops().fold(0.0, sum);
        if all > 0.0 { self.ops().filter(is).fold(0.0, sum) / all } else { 0.0 }
    }

    fn figures(&self, family: Family) -> PlanFigures {
        let mut figures = PlanFigures { eligible: self.share(family, Answer::Yes), ..PlanFigures::default() };
        let mut ms = Some(0.0);
        for judged in self.functions.iter().filter(|f| !f.is_empty()) {
            let ops = plan_ops(judged, family, Doubt::Refused);
            let plan = plan(&ops, &charges(family));
            let runs = plan.backends.chunk_by(|a, b| a.is_ane() == b.is_ane());
            let (segments, all) = runs.fold((0, 0), |(on, all), run| {
                (on + usize::from(run.first().is_some_and(|b| b.is_ane())), all + 1)
            });
            figures.segments += segments;
            figures.boundaries += all - 1;
            let priced = judged.iter().all(|j| j.prices.is_some());
            ms = ms.filter(|_| priced).map(|sum: f64| sum + plan.total);
        }
        PlanFigures { ms, ..figures }
    }
}
