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
    /// For each op, the cheapest plan that has it on the engine, without its own price.
    around: Vec<f64>,
}

/// Costs in ms closer than this are equal: far above the rounding of sums, far below the difference that
/// one element makes.
const EQUAL: f64 = 1e-10;

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
    let arrivals = arrivals(ops, charges);
    let departures = departures(ops, charges);
    let mut plan = Plan { backends: Vec::new(), total: 0.0, margins: Vec::new(), around: Vec::new() };
    // Where the way came from: the state, and the cost up to it.
    let mut before: Option<(Backend, bool, f64)> = None;
    for ((op, arrive), depart) in ops.iter().zip(&arrivals).zip(&departures) {
        let around = |s: usize| arrive[s] + depart[s];
        let least = |engine: bool| {
            let of_side = states().filter(|(_, backend, _)| backend.is_ane() == engine);
            of_side.map(|(s, backend, _)| around(s) + price(op, backend)).fold(f64::INFINITY, f64::min)
        };
        plan.total = least(true).min(least(false));
        // Among the states of some cheapest way, one that the ops before lead to at that same cost.
        let leads = |s: usize, backend, entered| match before {
            None => true,
            Some((from, was, cost)) => step(from, was, backend, entered, charges)
                .is_some_and(|charge| cost + charge <= arrive[s] + EQUAL),
        };
        let on_way = |&(s, backend, entered): &(usize, Backend, bool)| {
            around(s) + price(op, backend) <= plan.total + EQUAL && leads(s, backend, entered)
        };
        let (s, backend, entered) = states().find(on_way).unwrap_or((0, Backend::ClassicCpu, false));
        before = Some((backend, entered, arrive[s] + price(op, backend)));
        let margin = least(!backend.is_ane()) - least(backend.is_ane());
        plan.margins.push(if margin.is_nan() { f64::INFINITY } else { margin });
        plan.backends.push(backend);
        let on_engine = states().filter(|(_, backend, _)| backend.is_ane());
        plan.around.push(on_engine.map(|(s, _, _)| around(s)).fold(f64::INFINITY, f64::min));
    }
    settle_last(ops, charges, &mut plan);
    plan
}

/// Settles a tie of the last op, which is the only kind seen between engine and CPU.
///
/// Core ML's choice looks like the rounding of its sums: prices added from the last op backwards, then the
/// launch, then the output or the switch, and the CPU where that is strictly less. That rule gave 58 of 61
/// such choices, so the margin of 0 is the answer to rely on.
fn settle_last(ops: &[PlanOp], charges: &Charges, plan: &mut Plan) {
    let Plan { backends, margins, .. } = plan;
    let Some(last) = ops.len().checked_sub(1) else { return };
    let tied = margins[last].abs() <= EQUAL && !backends[last].is_ane();
    let run = backends[..last].iter().rev().take_while(|b| b.is_ane()).count();
    if !tied || run == 0 {
        return;
    }
    let launch = if backends[..last - run].iter().any(|b| b.is_ane()) { 0.0 } else { charges.launch };
    let before = || ops[last - run..last].iter().rev().map(|op| price(op, Backend::Ane));
    let on_engine =
        before().fold(price(&ops[last], Backend::Ane), |sum, ms| sum + ms) + launch + charges.output;
    let on_cpu =
        before().fold(0.0, |sum, ms| sum + ms) + launch + charges.switch + price(&ops[last], backends[last]);
    if on_engine <= on_cpu {
        backends[last] = Backend::Ane;
    }
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

/// The charge for going from one state to the next; `None` where the second does not follow.
fn step(from: Backend, was: bool, to: Backend, entered: bool, charges: &Charges) -> Option<f64> {
    if entered != (was || to.is_ane()) {
        return None;
    }
    let launch = if entered && !was { charges.launch } else { 0.0 };
    Some(launch + if from == to { 0.0 } else { charges.switch })
}

/// The cheapest way to each state of each op, the op itself not priced.
fn arrivals(ops: &[PlanOp], charges: &Charges) -> Vec<[f64; STATES]> {
    let mut table: Vec<[f64; STATES]> = Vec::with_capacity(ops.len());
    let mut last: Option<(&PlanOp, [f64; STATES])> = None;
    for op in ops {
        let mut row = [f64::INFINITY; STATES];
        for (s, backend, entered) in states() {
            row[s] = match &last {
                None if entered != backend.is_ane() => f64::INFINITY,
                None if entered => charges.launch,
                None => 0.0,
                Some((before, come)) => states()
                    .filter_map(|(t, from, was)| {
                        Some(come[t] + price(before, from) + step(from, was, backend, entered, charges)?)
                    })
                    .fold(f64::INFINITY, f64::min),
            };
        }
        table.push(row);
        last = Some((op, row));
    }
    table
}

/// The cheapest way from each state of each op to the end, the op itself not priced.
fn departures(ops: &[PlanOp], charges: &Charges) -> Vec<[f64; STATES]> {
    let mut table = vec![[f64::INFINITY; STATES]; ops.len()];
    let mut next: Option<(&PlanOp, [f64; STATES])> = None;
    for (op, row) in ops.iter().zip(&mut table).rev() {
        for (s, backend, entered) in states() {
            row[s] = match &next {
                None if backend.is_ane() => charges.output,
                None => 0.0,
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

    /// What the plan costs more in ms because the op at `place` is not on the engine, where it would cost `ms`.
    /// 0 where the engine would not help, or there is no such op.
    pub fn price_of_absence(&self, place: usize, ms: f64) -> f64 {
        self.around.get(place).map_or(0.0, |around| (self.total - around - ms).max(0.0))
    }
}
