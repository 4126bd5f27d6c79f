//! Where the planner would put the ops of a function, family by family.

use std::sync::Arc;

use anewrite_ane::{
    Backend, Charges, Confidence, Family, Plan, PlanOp, Price, Target, Totals, Trust, charges, plan,
};
use anewrite_ir::infer::Facts;
use anewrite_ir::{BlockId, FuncId, OpId, Program};
use rustc_hash::FxHashMap;

use crate::judge::{Doubt, Judged, judge_block, plan_ops};

/// The ops of one block that compute, in program order.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The block.
    pub block: BlockId,
    /// Whether control flow is around it: how often it runs, and where, is not known.
    pub nested: bool,
    /// What is known of its ops.
    pub ops: Vec<Judged>,
}

/// The blocks of a function, its body first.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The function.
    pub function: FuncId,
    /// Its blocks with ops that compute.
    pub scopes: Vec<Scope>,
}

/// Asks tables and formulas about every op of every function, nested ones too.
pub fn examine(program: &Program, facts: &Facts, target: &Target) -> Vec<Examined> {
    let scope = |block, nested| Scope { block, nested, ops: judge_block(program, facts, block, target) };
    let functions = program.functions().map(|(function, f)| {
        let nested = program.walk(f.body).flat_map(|op| program.op(op).blocks.iter().copied());
        let scopes = std::iter::once(scope(f.body, false)).chain(nested.map(|block| scope(block, true)));
        Examined { function, scopes: scopes.filter(|s| !s.ops.is_empty()).collect() }
    });
    functions.collect()
}

/// The side that an op runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The engine.
    Engine,
    /// The CPU.
    Cpu,
    /// It depends on what nobody knows.
    Unknown,
}

/// A plan of one block with what was planned.
#[derive(Clone, Debug)]
pub struct ScopePlan {
    /// The ops as the planner takes them.
    pub ops: Vec<PlanOp>,
    /// The cheapest way.
    pub plan: Plan,
}

/// The plans of one function on one family.
#[derive(Clone, Debug)]
pub struct Placement {
    /// The family.
    pub family: Family,
    /// The fixed charges, and how they are known for the family.
    pub charges: Charges,
    /// Whether ops have prices. Layers of a NeuralNetwork have none: everything that the engine runs is taken to be on
    /// the engine then.
    pub priced: bool,
    /// By block: the plan if the engine refuses every op of which nobody knows, and every op inside control flow.
    pub cautious: Arc<[ScopePlan]>,
    /// By block: the plan if it runs them. `None` where nothing is unknown.
    pub hopeful: Option<Arc<[ScopePlan]>>,
}

/// Plans a function for one family.
///
/// `function` is one of what [`examine`] gave.
pub fn place(function: &Examined, family: Family) -> Placement {
    let charges = charges(family);
    let plans = |doubt| {
        let scopes = function.scopes.iter().map(|scope| {
            let mut ops = plan_ops(&scope.ops, family, doubt);
            if scope.nested && doubt == Doubt::Refused {
                for (op, judged) in ops.iter_mut().zip(&scope.ops) {
                    op.costs = cpu_only(judged);
                }
            }
            ScopePlan { plan: plan(&ops, &charges), ops }
        });
        scopes.collect::<Vec<_>>()
    };
    let all = || function.scopes.iter().flat_map(|scope| scope.ops.iter().map(move |op| (scope.nested, op)));
    let differs = |(nested, op): (bool, &Judged)| {
        op.on_engine(family, Doubt::Runs) && (nested || !op.on_engine(family, Doubt::Refused))
    };
    Placement {
        family,
        charges,
        priced: all().all(|(_, op)| op.prices.is_some()),
        cautious: plans(Doubt::Refused).into(),
        hopeful: all().any(differs).then(|| plans(Doubt::Runs).into()),
    }
}

fn cpu_only(judged: &Judged) -> [Option<f64>; 3] {
    match &judged.prices {
        Some(prices) => [None, Some(prices.bnns.ms), Some(prices.classic_cpu.ms)],
        None => [None, Some(0.0), Some(0.0)],
    }
}

/// Places a function on every family of the target.
pub fn place_all(function: &Examined, target: &Target) -> Vec<Placement> {
    let ops = || function.scopes.iter().flat_map(|scope| &scope.ops);
    let mut placed: Vec<(Vec<(bool, bool)>, Placement)> = Vec::new();
    for family in target.families().iter() {
        let both = |op: &Judged| (op.on_engine(family, Doubt::Refused), op.on_engine(family, Doubt::Runs));
        let runs: Vec<_> = ops().map(both).collect();
        let own = charges(family);
        let same = placed.iter().find(|(known, p)| {
            let charges = (p.charges.launch, p.charges.switch, p.charges.output);
            *known == runs && charges == (own.launch, own.switch, own.output)
        });
        // Prices do not depend on the family: what the same ops run on is planned the same.
        let placement = match same {
            Some((_, same)) => Placement { family, charges: own, ..same.clone() },
            None => place(function, family),
        };
        placed.push((runs, placement));
    }
    placed.into_iter().map(|(_, placement)| placement).collect()
}

/// What a plan of a whole function amounts to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Work and ops of each side, boundaries and what crosses them.
    pub totals: Totals,
    /// Runs of ops on the engine.
    pub engine_segments: usize,
    /// The fixed charges, in ms.
    pub charges: f64,
    /// What the plan costs, in ms.
    pub ms: f64,
    /// The least and the most that it can be, in ms, as far as the formulas can be trusted; the most is infinite where a
    /// price is only a lower bound.
    pub bounds: (f64, f64),
    /// What the same ops cost on the CPU alone, in ms.
    pub cpu_only_ms: f64,
    /// Ops by how far their price can be trusted, in the order of [`Trust`].
    pub trust: Vec<(Trust, usize)>,
}

impl Placement {
    /// The side of each op of each block, in order.
    pub fn sides(&self) -> impl Iterator<Item = Vec<Side>> + '_ {
        self.cautious.iter().enumerate().map(|(i, cautious)| {
            let hopeful = self.hopeful.as_ref().and_then(|plans| plans.get(i)).unwrap_or(cautious);
            let pairs = cautious.plan.backends.iter().zip(&hopeful.plan.backends);
            pairs
                .map(|(a, b)| match (a.is_ane(), b.is_ane()) {
                    (true, true) => Side::Engine,
                    (false, false) => Side::Cpu,
                    _ => Side::Unknown,
                })
                .collect()
        })
    }

    /// What the cautious plan, or the hopeful one, amounts to. `function` is what was placed.
    pub fn numbers(&self, function: &Examined, doubt: Doubt) -> Numbers {
        let plans = match (&self.hopeful, doubt) {
            (Some(hopeful), Doubt::Runs) => hopeful,
            _ => &self.cautious,
        };
        let mut numbers = Numbers::default();
        let mut trust: FxHashMap<Trust, usize> = FxHashMap::default();
        for (scope, planned) in function.scopes.iter().zip(plans.iter()) {
            let totals = planned.plan.totals(&planned.ops);
            let charged = planned.plan.total - totals.engine_ms - totals.cpu_ms;
            add(&mut numbers.totals, &totals);
            numbers.engine_segments +=
                planned.plan.segments(&planned.ops).iter().filter(|s| s.on_engine).count();
            if !self.priced {
                continue;
            }
            numbers.charges += charged;
            numbers.ms += planned.plan.total;
            numbers.bounds.0 += charged;
            numbers.bounds.1 += charged;
            for (judged, backend) in scope.ops.iter().zip(&planned.plan.backends) {
                let Some(price) = judged.prices.as_ref().map(|prices| prices.on(*backend)) else { continue };
                numbers.bounds.0 += price.low;
                numbers.bounds.1 += price.high;
                *trust.entry(price.trust).or_default() += 1;
            }
            numbers.cpu_only_ms += scope.ops.iter().filter_map(cheapest_cpu).sum::<f64>();
        }
        numbers.trust = trust.into_iter().collect();
        numbers.trust.sort_unstable();
        numbers
    }

    /// The price of an op on the side it has in the cautious plan.
    pub fn price<'j>(&self, scope: usize, place: usize, judged: &'j Judged) -> Option<(Backend, &'j Price)> {
        let backend = *self.cautious.get(scope)?.plan.backends.get(place)?;
        Some((backend, judged.prices.as_ref()?.on(backend)))
    }

    /// What the cautious plan costs more, in ms, because one op is not on the engine; 0 where it is.
    pub fn absence(&self, scope: usize, place: usize, judged: &Judged) -> f64 {
        let planned = self.cautious.get(scope).zip(judged.prices.as_ref());
        planned.map_or(0.0, |(planned, prices)| planned.plan.price_of_absence(place, prices.ane.ms))
    }

    /// What the cautious plan would cost, in ms, if the engine ran these ops too.
    pub fn with_on_engine(&self, function: &Examined, ops: &dyn Fn(OpId) -> bool) -> f64 {
        let scopes = function.scopes.iter().zip(self.cautious.iter()).map(|(scope, planned)| {
            let mut changed = false;
            let mut trial = planned.ops.clone();
            for (op, judged) in trial.iter_mut().zip(&scope.ops) {
                if op.costs[0].is_none() && ops(judged.op) {
                    op.costs[0] = judged.prices.as_ref().map(|prices| prices.ane.ms);
                    changed = true;
                }
            }
            if changed { plan(&trial, &self.charges).total } else { planned.plan.total }
        });
        scopes.sum()
    }

    /// Whether the planner would put anything on the engine if that ran every op.
    pub fn gains_from_engine(&self, function: &Examined) -> bool {
        function.scopes.iter().any(|scope| {
            let ops: Vec<PlanOp> = scope.ops.iter().map(everywhere).collect();
            plan(&ops, &self.charges).backends.iter().any(|backend| backend.is_ane())
        })
    }

    /// How the prices are known: measured on this family, or a guess from another one.
    pub fn confidence(&self) -> Confidence {
        self.charges.confidence
    }
}

fn everywhere(judged: &Judged) -> PlanOp {
    let costs = judged.prices.as_ref().map_or([Some(0.0); 3], |prices| {
        // As far as the formulas can be trusted, in favour of the engine.
        [Some(prices.ane.low), Some(prices.bnns.high), Some(prices.classic_cpu.high)]
    });
    PlanOp { costs, work: judged.work, reads: Vec::new() }
}

fn cheapest_cpu(judged: &Judged) -> Option<f64> {
    judged.prices.as_ref().map(|prices| prices.bnns.ms.min(prices.classic_cpu.ms))
}

fn add(to: &mut Totals, more: &Totals) {
    to.engine_ops += more.engine_ops;
    to.cpu_ops += more.cpu_ops;
    to.engine.flops += more.engine.flops;
    to.engine.bytes += more.engine.bytes;
    to.cpu.flops += more.cpu.flops;
    to.cpu.bytes += more.cpu.bytes;
    to.engine_ms += more.engine_ms;
    to.cpu_ms += more.cpu_ms;
    to.boundaries += more.boundaries;
    to.bytes_crossing = to.bytes_crossing.saturating_add(more.bytes_crossing);
}
