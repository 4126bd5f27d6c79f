//! Shares, segments and estimates of one function.

use anewrite_ane::{Answer, Confidence, Segment, Trust, Verdict};
use anewrite_check::{Doubt, Examined, Judged, Numbers, Placement, ScopePlan, Side};
use anewrite_ir::{OpId, Program};

use super::report::{
    FamilyCheck, FunctionCheck, Milliseconds, OpCheck, OpOnFamilies, PlanNumbers, Run, Verdicts,
};

pub(super) fn function(
    program: &Program,
    function: &Examined,
    placements: &[Placement],
    list_ops: bool,
) -> FunctionCheck {
    let all = || function.scopes.iter().flat_map(|scope| &scope.ops);
    FunctionCheck {
        name: program.function(function.function).name.to_string(),
        ops: all().count(),
        nested_ops: function.scopes.iter().filter(|s| s.nested).map(|s| s.ops.len()).sum(),
        flops: all().map(|judged| judged.work.flops).sum(),
        families: families(program, function, placements),
        after_rewrite: None,
        measured: None,
        op_list: if list_ops { ops(program, function, placements) } else { Vec::new() },
    }
}

pub(super) fn families(program: &Program, function: &Examined, placements: &[Placement]) -> Vec<FamilyCheck> {
    let check = |placement: &Placement| FamilyCheck {
        family: placement.family.to_string(),
        basis: if placement.priced { "planner" } else { "eligibility" },
        confidence: confidence(placement.confidence()),
        verdicts: verdicts(function, placement),
        cautious: numbers(program, function, placement, Doubt::Refused),
        hopeful: placement.hopeful.is_some().then(|| numbers(program, function, placement, Doubt::Runs)),
    };
    placements.iter().map(check).collect()
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Measured => "measured",
        Confidence::Derived => "derived",
        Confidence::Reported => "reported",
        Confidence::Guess => "guess",
    }
}

fn verdicts(function: &Examined, placement: &Placement) -> Verdicts {
    let mut verdicts = Verdicts::default();
    let (mut yes, mut unknown, mut all) = (0.0, 0.0, 0.0);
    for judged in function.scopes.iter().flat_map(|scope| &scope.ops) {
        all += judged.work.flops;
        match answer(judged, placement) {
            Answer::Yes => {
                verdicts.yes += 1;
                yes += judged.work.flops;
            }
            Answer::No => verdicts.no += 1,
            Answer::Unknown => {
                verdicts.unknown += 1;
                unknown += judged.work.flops;
            }
        }
    }
    let ops = verdicts.yes + verdicts.no + verdicts.unknown;
    verdicts.yes_share = share(yes, all - yes, verdicts.yes, ops - verdicts.yes);
    verdicts.unknown_share = share(unknown, all - unknown, verdicts.unknown, ops - verdicts.unknown);
    verdicts
}

/// The verdict on an op, its compressed weights included.
pub(super) fn answer(judged: &Judged, placement: &Placement) -> Answer {
    match (
        judged.on_engine(placement.family, Doubt::Refused),
        judged.on_engine(placement.family, Doubt::Runs),
    ) {
        (true, _) => Answer::Yes,
        (false, true) => Answer::Unknown,
        (false, false) => Answer::No,
    }
}

pub(super) fn answer_word(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Unknown => "unknown",
    }
}

pub(super) fn side_word(side: Side) -> &'static str {
    match side {
        Side::Engine => "engine",
        Side::Cpu => "cpu",
        Side::Unknown => "unknown",
    }
}

fn numbers(program: &Program, function: &Examined, placement: &Placement, doubt: Doubt) -> PlanNumbers {
    let Numbers { totals, engine_segments, charges, ms, bounds, cpu_only_ms, trust } =
        placement.numbers(function, doubt);
    let plans = match (&placement.hopeful, doubt) {
        (Some(hopeful), Doubt::Runs) => hopeful,
        _ => &placement.cautious,
    };
    let ms = placement.priced.then(|| Milliseconds {
        total: ms,
        engine: totals.engine_ms,
        cpu: totals.cpu_ms,
        charges,
        low: bounds.0,
        high: bounds.1.is_finite().then_some(bounds.1),
        cpu_only: cpu_only_ms,
        trust: trust.into_iter().rev().map(|(trust, ops)| (trust_word(trust), ops)).collect(),
    });
    PlanNumbers {
        engine_ops: totals.engine_ops,
        cpu_ops: totals.cpu_ops,
        engine_share: share(totals.engine.flops, totals.cpu.flops, totals.engine_ops, totals.cpu_ops),
        engine_flops: totals.engine.flops,
        cpu_flops: totals.cpu.flops,
        engine_bytes: totals.engine.bytes,
        cpu_bytes: totals.cpu.bytes,
        engine_segments,
        boundaries: totals.boundaries,
        bytes_crossing: totals.bytes_crossing,
        ms,
        runs: runs(program, function, placement.priced, plans),
    }
}

pub(super) fn share(engine: f64, cpu: f64, engine_ops: usize, cpu_ops: usize) -> f64 {
    if engine + cpu > 0.0 {
        engine / (engine + cpu)
    } else if engine_ops + cpu_ops > 0 {
        engine_ops as f64 / (engine_ops + cpu_ops) as f64
    } else {
        0.0
    }
}

fn trust_word(trust: Trust) -> &'static str {
    match trust {
        Trust::Bound => "bound",
        Trust::Assumed => "assumed",
        Trust::OnePoint => "one-point",
        Trust::Bracketed => "bracketed",
        Trust::Exact => "exact",
    }
}

fn runs(program: &Program, function: &Examined, priced: bool, plans: &[ScopePlan]) -> Vec<Run> {
    let mut runs = Vec::new();
    for (scope, planned) in function.scopes.iter().zip(plans) {
        for segment in planned.plan.segments(&planned.ops) {
            let Segment { on_engine, ops, ms, work, bytes_in } = segment;
            let name = |place: Option<usize>| {
                let judged = place.and_then(|i| scope.ops.get(i));
                judged.map_or_else(String::new, |judged| op_name(program, judged.op))
            };
            runs.push(Run {
                on_engine,
                first: name(Some(ops.start)),
                last: name(ops.end.checked_sub(1)),
                ops: ops.len(),
                flops: work.flops,
                bytes: work.bytes,
                bytes_in,
                ms: priced.then_some(ms),
            });
        }
    }
    runs
}

/// The name of an op's first result.
pub(super) fn op_name(program: &Program, op: OpId) -> String {
    let o = program.op(op);
    let result = o.result().map(|r| program.value(r).name.to_string());
    result.or_else(|| o.name.as_ref().map(ToString::to_string)).unwrap_or_default()
}

fn ops(program: &Program, function: &Examined, placements: &[Placement]) -> Vec<OpCheck> {
    let sides: Vec<Vec<Vec<Side>>> = placements.iter().map(|p| p.sides().collect()).collect();
    let mut list = Vec::new();
    for (s, scope) in function.scopes.iter().enumerate() {
        for (i, judged) in scope.ops.iter().enumerate() {
            let mut on: Vec<OpOnFamilies> = Vec::new();
            for (placement, sides) in placements.iter().zip(&sides) {
                let side =
                    sides.get(s).and_then(|of_scope| of_scope.get(i)).copied().unwrap_or(Side::Unknown);
                let one = OpOnFamilies {
                    families: vec![placement.family.to_string()],
                    verdict: answer_word(answer(judged, placement)),
                    row: row(judged, placement),
                    side: side_word(side),
                    ms: placement.price(s, i, judged).map(|(_, price)| price.ms),
                    absence_ms: (placement.priced && side != Side::Engine)
                        .then(|| placement.absence(s, i, judged))
                        .filter(|ms| *ms > 0.0),
                };
                let same = |known: &&mut OpOnFamilies| {
                    (known.verdict, &known.row, known.side) == (one.verdict, &one.row, one.side)
                };
                match on.iter_mut().find(same) {
                    Some(known) => known.families.extend(one.families),
                    None => on.push(one),
                }
            }
            let kind = program.op(judged.op).kind.to_string();
            let (flops, bytes) = (judged.work.flops, judged.work.bytes);
            list.push(OpCheck {
                op: op_name(program, judged.op),
                kind,
                nested: scope.nested,
                flops,
                bytes,
                on,
            });
        }
    }
    list
}

/// The row that keeps an op off the engine, or leaves it open.
fn row(judged: &Judged, placement: &Placement) -> Option<String> {
    match judged.eligibility.on(placement.family)? {
        Verdict::Yes { .. } => None,
        Verdict::No { row, .. } => Some(row.id.clone()),
        Verdict::Unknown { rows, .. } => rows.first().map(|row| row.id.clone()),
    }
}
