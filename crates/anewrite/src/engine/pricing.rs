//! Prices of stretches of a program: eligible arithmetic, boundaries, and the planner's shortest path.

use std::rc::Rc;

use anewrite_ane::{Charges, Confidence, Family, Target, charges, limit, stretch_cost};
use anewrite_ir::infer::Facts;
use anewrite_ir::{DialectId, OpId, Program};
use anewrite_nn::Mapping;
use anewrite_rewrite::{Doubt, Price, Pricing, Stretch};
use rustc_hash::FxHashMap;

use super::facet::{Facet, key};

/// What is known of an op; `None` if no planner places it.
type Known = Option<Rc<Facet>>;

/// Prices ops of one program for one target.
pub(super) struct EnginePricing<'a> {
    target: &'a Target,
    cases: Vec<Case>,
    /// How a network maps its arrays, once it was asked for.
    mapping: Option<Option<Mapping>>,
    now: FxHashMap<OpId, Known>,
    /// What is known of ops that look like this.
    alike: FxHashMap<Vec<u8>, Known>,
    /// Ops that changed since the last settling, as they were.
    past: FxHashMap<OpId, Known>,
}

/// One family, and one way to take what nobody knows.
struct Case {
    family: Family,
    doubt: Doubt,
    charges: Charges,
    /// The largest number of ops that the engine takes of a program.
    most_ops: Option<u64>,
}

impl Case {
    fn runs(&self, facet: &Facet) -> bool {
        facet.runs.contains(self.family) || (self.doubt == Doubt::Runs && facet.unknown.contains(self.family))
    }

    /// Whether the planner's constants are those of this family. Else boundaries decide, and the cost is a hint.
    fn is_measured(&self) -> bool {
        self.charges.confidence > Confidence::Guess
    }
}

/// How far the surroundings were looked at in one case, as long as that is not far enough.
#[derive(Clone, Copy)]
enum Reach {
    /// Ops that the engine can run, next to those that are priced: what they save in ms, and how many they are.
    Run { saved: f64, ops: u32 },
    /// Ops behind it that the engine cannot run.
    Gap,
}

/// Ops with what stands around them.
struct Ops {
    facets: Vec<Rc<Facet>>,
    opens: bool,
    closes: bool,
    /// Ops of the whole program.
    total: usize,
}

impl<'a> EnginePricing<'a> {
    pub(super) fn new(target: &'a Target, cases: Vec<(Family, Doubt)>) -> Self {
        let case = |(family, doubt)| Case {
            family,
            doubt,
            charges: charges(family),
            most_ops: limit("LIM-OPS", family).map(|l| l.value),
        };
        EnginePricing {
            target,
            cases: cases.into_iter().map(case).collect(),
            mapping: None,
            now: FxHashMap::default(),
            alike: FxHashMap::default(),
            past: FxHashMap::default(),
        }
    }

    fn judge(&mut self, program: &Program, facts: &Facts, op: OpId) -> Known {
        let key = key(program, facts, op);
        if let Some(known) = key.as_ref().and_then(|key| self.alike.get(key)) {
            return known.clone();
        }
        let of = |p: &Program| (p.dialect == DialectId::Nn).then(|| Mapping::of(p));
        let mapping = *self.mapping.get_or_insert_with(|| of(program));
        let known = Facet::of(program, facts, op, self.target, mapping).map(Rc::new);
        if let Some(key) = key {
            self.alike.insert(key, known.clone());
        }
        known
    }

    fn now(&mut self, program: &Program, facts: &Facts, op: OpId) -> Known {
        if let Some(known) = self.now.get(&op) {
            return known.clone();
        }
        let known = self.judge(program, facts, op);
        self.now.insert(op, known.clone());
        known
    }

    fn then(&mut self, program: &Program, facts: &Facts, op: OpId) -> Known {
        match self.past.get(&op) {
            Some(known) => known.clone(),
            None => self.now(program, facts, op),
        }
    }

    /// The surroundings that matter, nearest first, and whether that is all of them: in every case up to where the run
    /// pays for going there and back whatever stands behind it, or else up to the next run.
    fn surroundings(
        &mut self,
        program: &Program,
        facts: &Facts,
        ops: impl Iterator<Item = OpId>,
    ) -> (Vec<Rc<Facet>>, bool) {
        let mut out: Vec<Rc<Facet>> = Vec::new();
        let mut open: Vec<Option<Reach>> = vec![Some(Reach::Run { saved: 0.0, ops: 0 }); self.cases.len()];
        for op in ops {
            if open.iter().all(Option::is_none) {
                return (out, false);
            }
            let Some(facet) = self.now(program, facts, op) else { continue };
            for (case, run) in self.cases.iter().zip(&mut open) {
                *run = match *run {
                    Some(Reach::Run { saved, ops }) if case.runs(&facet) => {
                        let more = facet.saves();
                        let saved = saved + more.unwrap_or(0.0);
                        let pays = if more.is_some() { saved > 2.0 * case.charges.switch } else { ops > 0 };
                        Some(Reach::Run { saved, ops: ops + 1 }).filter(|_| !pays)
                    }
                    Some(_) if !case.runs(&facet) => Some(Reach::Gap),
                    _ => None,
                };
            }
            out.push(facet);
        }
        (out, true)
    }
}

impl Pricing for EnginePricing<'_> {
    fn price(&mut self, program: &Program, facts: &Facts, s: &Stretch) -> Vec<[Price; 2]> {
        let lead = s.after.iter().take(s.lead).rev().copied();
        let (mut lead, at_start) = self.surroundings(program, facts, lead);
        lead.reverse();
        let trail = s.after.iter().skip(s.core_after().end).copied();
        let (trail, at_end) = self.surroundings(program, facts, trail);
        let around = |core: Vec<Rc<Facet>>, total| Ops {
            facets: lead.iter().chain(&core).chain(&trail).cloned().collect(),
            opens: s.opens && at_start,
            closes: s.closes && at_end,
            total,
        };
        let core = s.before.get(s.core_before()).unwrap_or_default().iter();
        let before: Vec<_> = core.filter_map(|&op| self.then(program, facts, op)).collect();
        let core = s.after.get(s.core_after()).unwrap_or_default().iter();
        let after: Vec<_> = core.filter_map(|&op| self.now(program, facts, op)).collect();
        let sides = [around(before, s.total[0]), around(after, s.total[1])];
        let mut done: Vec<(Vec<bool>, bool, [Price; 2])> = Vec::new();
        let cases = self.cases.iter();
        let priced = cases.map(|case| {
            // Families that run the same ops pay the same.
            let all = sides.iter().flat_map(|ops| &ops.facets);
            let runs: Vec<bool> = all.map(|facet| case.runs(facet)).collect();
            let like = done.iter().find(|(r, measured, _)| *r == runs && *measured == case.is_measured());
            let mut prices = match like {
                Some((.., prices)) => *prices,
                None => {
                    let (then, now) = runs.split_at(sides[0].facets.len());
                    let prices = [sides[0].price(case, then), sides[1].price(case, now)];
                    done.push((runs, case.is_measured(), prices));
                    prices
                }
            };
            for (ops, price) in sides.iter().zip(&mut prices) {
                ops.add_hazards(case, price);
            }
            prices
        });
        priced.collect()
    }

    fn note(&mut self, program: &Program, facts: &Facts, op: OpId) {
        let known = self.now.remove(&op);
        if !self.past.contains_key(&op) {
            let known = known.unwrap_or_else(|| self.judge(program, facts, op));
            self.past.insert(op, known);
        }
    }

    fn forget(&mut self, op: OpId) {
        self.now.remove(&op);
    }

    fn settle(&mut self, kept: bool) {
        let past = std::mem::take(&mut self.past);
        if !kept {
            self.now.extend(past);
        }
    }
}

impl Ops {
    /// What the ops come to where those that `runs` says may run on the engine. Hazards are not among it.
    fn price(&self, case: &Case, runs: &[bool]) -> Price {
        let facets = &self.facets;
        let (mut off_engine, mut on_engine, mut boundaries, mut at) = (0.0, 0.0, 0, 0);
        let mut last: Option<bool> = None;
        // Where the first run begins and the last one ends: what stands outside of them separates nothing.
        let first = runs.iter().position(|&on| on).unwrap_or(runs.len());
        let end = runs.iter().rposition(|&on| on).map_or(0, |i| i + 1);
        for run in runs.chunk_by(|a, b| a == b) {
            let range = at..at + run.len();
            at = range.end;
            let before = range.start > 0 && (range.start > first || !self.opens);
            let after = range.end < facets.len() && (range.end < end || !self.closes);
            let others = usize::from(before) + usize::from(after);
            let ops = facets.get(range).unwrap_or_default();
            let eligible = run.first() == Some(&true) && !is_island(ops, others, case);
            let side = if eligible { &mut on_engine } else { &mut off_engine };
            *side += ops.iter().map(|f| f.amount).sum::<f64>();
            boundaries += u32::from(last.is_some_and(|side| side != eligible));
            last = Some(eligible);
        }
        let costs = facets.iter().zip(runs).map(|(facet, runs)| {
            let [ane, bnns, classic] = facet.costs?;
            Some([runs.then_some(ane), Some(bnns), Some(classic)])
        });
        let costs: Option<Vec<_>> = costs.collect();
        let cost = costs.map(|ops| stretch_cost(&ops, &case.charges, self.opens, self.closes));
        let price = Price { off_engine, on_engine, ..Price::default() };
        if case.is_measured() && cost.is_some() {
            Price { cost, ops: facets.len() as u32, ..price }
        } else {
            Price { boundaries, hint: cost, ..price }
        }
    }

    fn add_hazards(&self, case: &Case, price: &mut Price) {
        let on = |f: &&Rc<Facet>| f.hazard.contains(case.family);
        let too_many = case.most_ops.is_some_and(|most| self.total as u64 > most);
        price.hazards = self.facets.iter().filter(on).count() as u32 + u32::from(too_many);
        let lost = |f: &&Rc<Facet>| f.overflow.contains(case.family);
        price.overflows = self.facets.iter().filter(lost).count() as u32;
    }
}

/// Whether a run of ops that the engine can run, cut off from so many other such runs, is too small to go there: it
/// saves less than the changes of side cost, or, where no prices are known, is one op between two runs.
fn is_island(run: &[Rc<Facet>], others: usize, case: &Case) -> bool {
    let saved: Option<f64> = run.iter().map(|f| f.saves()).sum();
    match saved {
        _ if others == 0 => false,
        Some(saved) => saved < others as f64 * case.charges.switch,
        None => others == 2 && run.len() == 1,
    }
}
