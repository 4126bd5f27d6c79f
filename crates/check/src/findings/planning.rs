//! Ops that the engine could run and the planner leaves, and the ways between the two sides.

use anewrite_ane::FamilySet;
use anewrite_diag::{Answer, Finding, Severity};
use anewrite_ir::OpId;
use rustc_hash::FxHashSet;

use super::{Subject, names, new, reasoned, text};
use crate::placement::{Examined, Placement, Side};
use crate::{Doubt, Judged};

/// A share of the arithmetic from which ops on the wrong side are worth a warning.
const MUCH: f64 = 0.01;

/// Families on which some ops have something against them, and those ops in program order.
#[derive(Default)]
struct Found {
    families: FamilySet,
    ops: Vec<OpId>,
}

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (function, placements) in subject.examined.iter().zip(subject.placements) {
        let left = collect(function, placements, left_on_cpu);
        if !left.ops.is_empty() {
            join(&mut found, left_finding(subject, function, placements, &left));
        }
        let between = collect(function, placements, between_segments);
        if !between.ops.is_empty() {
            join(&mut found, between_finding(subject, placements, &between));
        }
    }
    found
}

/// Adds a finding; what holds for several functions is one.
fn join(found: &mut Vec<Finding>, more: Finding) {
    let same = |f: &&mut Finding| {
        (f.code, &f.message, &f.families, f.severity)
            == (more.code, &more.message, &more.families, more.severity)
    };
    match found.iter_mut().find(same) {
        Some(known) => {
            known.ops.extend(more.ops);
            known.arithmetic += more.arithmetic;
            if let (Some(cost), Some(more)) = (&mut known.cost, more.cost) {
                cost.ms += more.ms;
            }
        }
        None => found.push(more),
    }
}

fn collect(
    function: &Examined,
    placements: &[Placement],
    pick: fn(&Examined, &Placement) -> FxHashSet<OpId>,
) -> Found {
    let (mut found, mut all) = (Found::default(), FxHashSet::default());
    for placement in placements {
        let ops = pick(function, placement);
        if !ops.is_empty() {
            found.families.insert(placement.family);
            all.extend(ops);
        }
    }
    let in_order = function.scopes.iter().flat_map(|scope| &scope.ops).map(|judged| judged.op);
    found.ops = in_order.filter(|op| all.contains(op)).collect();
    found
}

/// Each op of the function's body with its side.
fn sided<'a>(function: &'a Examined, placement: &'a Placement) -> impl Iterator<Item = (&'a Judged, Side)> {
    let scopes = function.scopes.iter().zip(placement.sides()).filter(|(scope, _)| !scope.nested);
    scopes.flat_map(|(scope, sides)| scope.ops.iter().zip(sides))
}

/// Ops that the engine is known to run and that are on the CPU whatever is unknown.
fn left_on_cpu(function: &Examined, placement: &Placement) -> FxHashSet<OpId> {
    if !placement.priced {
        return FxHashSet::default();
    }
    let left = |(op, side): &(&Judged, Side)| {
        *side == Side::Cpu && op.on_engine(placement.family, Doubt::Refused) && !is_free(op)
    };
    sided(function, placement).filter(left).map(|(op, _)| op.op).collect()
}

/// Whether an op costs nothing by the planner's formulas, so that its side says nothing.
fn is_free(op: &Judged) -> bool {
    op.prices.as_ref().is_some_and(|prices| prices.ane.ms == 0.0 && prices.classic_cpu.ms == 0.0)
}

/// Ops on the CPU with ops on the engine before and after them.
fn between_segments(function: &Examined, placement: &Placement) -> FxHashSet<OpId> {
    let ops: Vec<_> = sided(function, placement).collect();
    let is_engine = |(_, side): &(&Judged, Side)| *side == Side::Engine;
    let Some((first, last)) = ops.iter().position(is_engine).zip(ops.iter().rposition(is_engine)) else {
        return FxHashSet::default();
    };
    let inner = ops.iter().take(last).skip(first);
    inner.filter(|(_, side)| *side == Side::Cpu).map(|(op, _)| op.op).collect()
}

fn left_finding(
    subject: &Subject<'_>,
    function: &Examined,
    placements: &[Placement],
    left: &Found,
) -> Finding {
    let (families, ops) = (left.families, &left.ops);
    let set: FxHashSet<OpId> = ops.iter().copied().collect();
    let arithmetic = subject.share(&set);
    let of_families = || placements.iter().filter(|p| families.contains(p.family));
    let none_there = of_families().all(|p| p.numbers(function, Doubt::Runs).totals.engine_ops == 0);
    // The best that any rewrite of what is refused could do.
    let never = none_there && of_families().all(|p| !p.gains_from_engine(function));
    let severity = if arithmetic >= MUCH && !never { Severity::Warning } else { Severity::Note };
    let (message, advice) = if never {
        (
            "The engine runs these ops, and everything stays on the CPU: even with every op on the engine, the way \
             there and back would cost Core ML's planner more than it saves.",
            "Nothing, if this is all that runs: such a small model is not worth the engine. Join it with the model \
             before or after it, or give it larger inputs.",
        )
    } else if none_there {
        (
            "The engine runs these ops, and everything stays on the CPU: what is refused leaves too little for the \
             engine to pay for the way there and back.",
            "Bring what is refused to the engine; the other findings tell what that is.",
        )
    } else {
        (
            "The engine runs these ops, but they save less than the way there and back costs Core ML's planner.",
            "Bring the ops around them to the engine; the other findings tell what stands between.",
        )
    };
    let mut found = new(43, severity, Answer::Unplaced, message.to_owned());
    found.families = names(families);
    found.runs_on = names(families);
    found.arithmetic = arithmetic;
    found.ops = ops.iter().map(|&op| subject.place(op, None)).collect();
    found.advice = Some(advice.to_owned());
    found.evidence = of_families()
        .map(|p| {
            reasoned(p.charges.basis.to_owned(), FamilySet::from_iter([p.family]), text::how(p.confidence()))
        })
        .collect();
    merge_evidence(&mut found);
    found
}

fn between_finding(subject: &Subject<'_>, placements: &[Placement], between: &Found) -> Finding {
    let (families, ops) = (between.families, &between.ops);
    let set: FxHashSet<OpId> = ops.iter().copied().collect();
    let of_families = || placements.iter().filter(|p| families.contains(p.family));
    let segments = of_families()
        .map(|p| {
            let plans = p
                .hopeful
                .as_ref()
                .unwrap_or(&p.cautious)
                .iter()
                .map(|planned| planned.plan.segments(&planned.ops));
            plans.flatten().filter(|s| s.on_engine).count()
        })
        .max()
        .unwrap_or(0);
    let message = format!(
        "The work on the engine is cut into {segments} pieces by ops on the CPU, and each cut is paid for twice."
    );
    let mut found = new(42, Severity::Warning, Answer::Unplaced, message);
    found.families = names(families);
    found.arithmetic = subject.share(&set);
    found.cost = subject.cost(&set);
    if super::eligibility::is_free(&found) {
        found.severity = Severity::Note;
    }
    found.ops = ops.iter().map(|&op| subject.place(op, None)).collect();
    found.advice = Some(
        "Rewrite, move or merge the ops listed, those that cost the plan most first; move what has to stay to the \
         beginning or the end."
            .to_owned(),
    );
    found.evidence = of_families()
        .map(|p| {
            let how = if p.priced { text::how(p.confidence()) } else { "guess" };
            reasoned(p.charges.basis.to_owned(), FamilySet::from_iter([p.family]), how)
        })
        .collect();
    merge_evidence(&mut found);
    found
}

/// Families of which the same is known the same way are one piece of evidence.
fn merge_evidence(found: &mut Finding) {
    let mut merged: Vec<anewrite_diag::Evidence> = Vec::new();
    for evidence in found.evidence.drain(..) {
        let same = |m: &&mut anewrite_diag::Evidence| {
            m.says == evidence.says
                && m.known.first().map(|k| &k.how) == evidence.known.first().map(|k| &k.how)
        };
        match merged.iter_mut().find(same) {
            Some(m) => {
                m.families.extend(evidence.families.iter().cloned());
                if let Some(known) = m.known.first_mut() {
                    known.families.extend(evidence.families);
                }
            }
            None => merged.push(evidence),
        }
    }
    found.evidence = merged;
}
