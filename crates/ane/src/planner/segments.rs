use std::ops::Range;

use rustc_hash::FxHashSet;

use super::{Plan, PlanOp, Work};

/// A run of ops on one side of the border between engine and CPU.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Whether it runs on the engine.
    pub on_engine: bool,
    /// The places of its ops in the program.
    pub ops: Range<usize>,
    /// The price of its ops in ms, without fixed charges.
    pub ms: f64,
    /// What there is to do.
    pub work: Work,
    /// Bytes that its ops read of results from the other side, each result counted once.
    pub bytes_in: u64,
}

/// What each side of a plan amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Ops on the engine.
    pub engine_ops: usize,
    /// Ops on the CPU.
    pub cpu_ops: usize,
    /// Work on the engine.
    pub engine: Work,
    /// Work on the CPU.
    pub cpu: Work,
    /// Prices on the engine in ms, without fixed charges.
    pub engine_ms: f64,
    /// Prices on the CPU in ms, without fixed charges.
    pub cpu_ms: f64,
    /// Places where the side changes.
    pub boundaries: usize,
    /// Bytes that cross them, each result counted once for each segment that reads it.
    pub bytes_crossing: u64,
}

pub(super) fn segment(plan: &Plan, ops: &[PlanOp], range: Range<usize>) -> Segment {
    let on_engine = plan.backends.get(range.start).is_some_and(|b| b.is_ane());
    let mut segment = Segment { on_engine, ops: range.clone(), ms: 0.0, work: Work::default(), bytes_in: 0 };
    let mut read: FxHashSet<usize> = FxHashSet::default();
    for (op, backend) in ops.iter().zip(&plan.backends).skip(range.start).take(range.len()) {
        let cost = op.costs.get(*backend as usize).copied().flatten().unwrap_or(0.0);
        segment.ms += cost;
        segment.work.flops += op.work.flops;
        segment.work.bytes += op.work.bytes;
        for &(from, bytes) in &op.reads {
            let crosses = plan.backends.get(from).is_some_and(|b| b.is_ane() != on_engine);
            if crosses && read.insert(from) {
                segment.bytes_in = segment.bytes_in.saturating_add(bytes);
            }
        }
    }
    segment
}

pub(super) fn totals(plan: &Plan, ops: &[PlanOp]) -> Totals {
    let segments = plan.segments(ops);
    let mut totals = Totals { boundaries: segments.len().saturating_sub(1), ..Totals::default() };
    for segment in &segments {
        let (count, work, ms) = if segment.on_engine {
            (&mut totals.engine_ops, &mut totals.engine, &mut totals.engine_ms)
        } else {
            (&mut totals.cpu_ops, &mut totals.cpu, &mut totals.cpu_ms)
        };
        *count += segment.ops.len();
        work.flops += segment.work.flops;
        work.bytes += segment.work.bytes;
        *ms += segment.ms;
        totals.bytes_crossing = totals.bytes_crossing.saturating_add(segment.bytes_in);
    }
    totals
}
