use std::ops::Range;

use super::{Backend, Charges, Prices, Segment, Totals, Work, segments};

/// One op of a program, as the planner sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanOp {
    /// The price in ms on each backend in the order of [`Backend::ALL`]; `None` where it cannot run.
    pub costs: [Option<f64>; 3],
    /// What there is to do.
    pub work: Work,
    /// What it reads of other ops' results: the place of the op in the program, and the bytes.
    pub reads: Vec<(usize, u64)>,
}

impl PlanOp {
    /// An op with the planner's prices, which every CPU backend can run and the engine if `on_engine`.
    pub fn new(prices: &Prices, on_engine: bool) -> PlanOp {
        let ane = on_engine.then_some(prices.ane.ms);
        PlanOp {
            costs: [ane, Some(prices.bnns.ms), Some(prices.classic_cpu.ms)],
            work: prices.work,
            reads: Vec::new(),
        }
    }
}

/// The cheapest way through a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The backend of each op.
    pub backends: Vec<Backend>,
    /// The cost in ms, charges included; infinite if an op has no backend at all.
    pub total: f64,
    /// For each op, how much more in ms the cheapest plan costs that has it on the other side of the
    /// border between engine and CPU; 0 is a tie, infinite where the other side cannot run it.
    pub margins: Vec<f64>,
    charges: Charges,
}

/// Costs closer than this are equal: far above rounding, far below any price.
const EQUAL: f64 = 1e-12;

/// Of equally cheap ways the first in this order is taken, as Core ML was seen to do between the CPUs.
const PREFERRED: [Backend; 3] = [Backend::ClassicCpu, Backend::Bnns, Backend::Ane];

/// A state of the path: the backend of an op, and whether the engine was entered up to it.
const STATES: usize = 6;

fn states() -> impl Iterator<Item = (usize, Backend, bool)> {
    let all = [false, true].into_iter().flat_map(|entered| PREFERRED.map(|backend| (backend, entered)));
    all.enumerate().map(|(i, (backend, entered))| (i, backend, entered))
}

/// Finds the cheapest way through the ops in program order, in time linear in their number.
///
/// ```
/// use anewrite_ane::{Backend, Family, PlanOp, Work, charges, plan};
///
/// let op = |ane, cpu| PlanOp { costs: [Some(ane), Some(cpu), Some(cpu)], work: Work::default(), reads: vec![] };
/// let saves_too_little = plan(&[op(0.01, 0.2)], &charges(Family::H16));
/// assert_eq!(saves_too_little.backends, [Backend::ClassicCpu]);
/// let saves_enough = plan(&[op(0.01, 0.3)], &charges(Family::H16));
/// assert_eq!(saves_enough.backends, [Backend::Ane]);
/// ```
pub fn plan(ops: &[PlanOp], charges: &Charges) -> Plan {
    let forward = forward(ops, charges);
    let backward = backward(ops, charges);
    let (mut backends, mut margins) = (Vec::with_capacity(ops.len()), Vec::with_capacity(ops.len()));
    let mut total: f64 = 0.0;
    let mut before: Option<(Backend, bool)> = None;
    for (i, op) in ops.iter().enumerate() {
        let through = |s: usize| forward[i][s] + backward[i][s];
        let best = (0..STATES).map(through).fold(f64::INFINITY, f64::min);
        let side = |engine: bool| {
            let of_side = states().filter(|(_, backend, _)| backend.is_ane() == engine);
            of_side.map(|(s, _, _)| through(s)).fold(f64::INFINITY, f64::min)
        };
        // Among the states of some cheapest way, one that the ops before lead to at that same cost.
        let mut chosen = None;
        for (s, backend, entered) in states() {
            let leads = before.is_none_or(|(from, was)| {
                step(from, was, backend, entered, charges).is_some_and(|charge| {
                    let so_far = forward[i - 1][index(from, was)] + charge + price(op, backend);
                    so_far <= forward[i][s] + EQUAL
                })
            });
            if through(s) <= best + EQUAL && leads && chosen.is_none() {
                chosen = Some((backend, entered));
            }
        }
        let (backend, entered) = chosen.unwrap_or((Backend::ClassicCpu, false));
        margins.push(side(!backend.is_ane()) - side(backend.is_ane()));
        backends.push(backend);
        before = Some((backend, entered));
        total = best;
    }
    Plan { backends, total, margins, charges: *charges }
}

fn price(op: &PlanOp, backend: Backend) -> f64 {
    let [ane, bnns, classic] = op.costs;
    let cost = match backend {
        Backend::Ane => ane,
        Backend::Bnns => bnns,
        Backend::ClassicCpu => classic,
    };
    cost.unwrap_or(f64::INFINITY)
}

fn index(backend: Backend, entered: bool) -> usize {
    states().find(|(_, b, e)| *b == backend && *e == entered).map_or(0, |(i, _, _)| i)
}

/// The charge for going from one state to the next; `None` where the second does not follow.
fn step(from: Backend, was: bool, to: Backend, entered: bool, charges: &Charges) -> Option<f64> {
    if entered != (was || to.is_ane()) {
        return None;
    }
    let launch = if entered && !was { charges.launch } else { 0.0 };
    Some(launch + if from == to { 0.0 } else { charges.switch })
}

/// The cheapest way to each state of each op, the op included.
fn forward(ops: &[PlanOp], charges: &Charges) -> Vec<[f64; STATES]> {
    let mut table: Vec<[f64; STATES]> = Vec::with_capacity(ops.len());
    for op in ops {
        let mut row = [f64::INFINITY; STATES];
        for (s, backend, entered) in states() {
            let come = match table.last() {
                None if entered == backend.is_ane() => {
                    if entered {
                        charges.launch
                    } else {
                        0.0
                    }
                }
                None => f64::INFINITY,
                Some(last) => states()
                    .filter_map(|(t, from, was)| Some(last[t] + step(from, was, backend, entered, charges)?))
                    .fold(f64::INFINITY, f64::min),
            };
            row[s] = come + price(op, backend);
        }
        table.push(row);
    }
    table
}

/// The cheapest way from each state of each op to the end, the op not included.
fn backward(ops: &[PlanOp], charges: &Charges) -> Vec<[f64; STATES]> {
    let mut table = vec![[f64::INFINITY; STATES]; ops.len()];
    let mut next: Option<(&PlanOp, [f64; STATES])> = None;
    for (op, row) in ops.iter().zip(&mut table).rev() {
        for (s, backend, entered) in states() {
            row[s] = match &next {
                None => {
                    if backend.is_ane() {
                        charges.output
                    } else {
                        0.0
                    }
                }
                Some((after, rest)) => states()
                    .filter_map(|(t, to, then)| {
                        Some(step(backend, entered, to, then, charges)? + price(after, to) + rest[t])
                    })
                    .fold(f64::INFINITY, f64::min),
            };
        }
        next = Some((op, *row));
    }
    table
}

impl Plan {
    /// The places of ops that could as well be on the other side: the plan costs the same either way.
    pub fn ties(&self) -> impl Iterator<Item = usize> {
        self.margins.iter().enumerate().filter(|(_, margin)| margin.abs() <= EQUAL).map(|(i, _)| i)
    }

    /// The runs of ops on one side, in program order. `ops` are those that were planned.
    pub fn segments(&self, ops: &[PlanOp]) -> Vec<Segment> {
        let mut found = Vec::new();
        let mut start = 0;
        for run in self.backends.chunk_by(|a, b| a.is_ane() == b.is_ane()) {
            let range: Range<usize> = start..start + run.len();
            start = range.end;
            found.push(segments::segment(self, ops, range));
        }
        found
    }

    /// The totals of each side. `ops` are those that were planned.
    pub fn totals(&self, ops: &[PlanOp]) -> Totals {
        segments::totals(self, ops)
    }

    /// What the plan costs more in ms because op `place` is off the engine: the same plan with it on the
    /// engine, at the price `ms`, against this one. 0 where it would not help or there is no such op.
    pub fn price_of_absence(&self, ops: &[PlanOp], place: usize, ms: f64) -> f64 {
        let mut with = ops.to_vec();
        match with.get_mut(place) {
            Some(op) => op.costs[0] = Some(ms),
            None => return 0.0,
        }
        (self.total - plan(&with, &self.charges).total).max(0.0)
    }
}
