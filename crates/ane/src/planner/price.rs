use std::borrow::Cow;

use serde::Deserialize;

use super::Backend;
use super::cost::{Charge, Cost, Costs, Leaf, costs};
use crate::expr::{Ctx, Expr, Facts};
use crate::family::Family;
use crate::table::{Confidence, tables};
use crate::view::OpView;

/// How far a price can be trusted, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// No formula is known; the price is a lower bound.
    Bound,
    /// The op was never seen priced; it is taken to follow the general rule.
    Assumed,
    /// One case was seen; others are scaled from it.
    OnePoint,
    /// The formula is known, a threshold that picks its rate only as an interval.
    Bracketed,
    /// The formula gives every value that was seen.
    Exact,
}

/// What the planner thinks an op costs on one backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// The estimate, in ms.
    pub ms: f64,
    /// The least that it can be, in ms, by what is known.
    pub low: f64,
    /// The most, in ms; infinite for a lower bound.
    pub high: f64,
    /// How far the estimate can be trusted, on the machine that was measured.
    pub trust: Trust,
    /// Why no further, where it is not exact.
    pub why: Option<Cow<'static, str>>,
}

/// The arithmetic and the traffic of an op.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Multiplications and additions, each one; 0 for what only moves elements.
    pub flops: f64,
    /// Bytes read and written, by the planner's general rule.
    pub bytes: f64,
}

/// What the planner thinks an op costs on every backend, eligible or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    /// On the Neural Engine.
    pub ane: Price,
    /// On the CPU, by BNNS.
    pub bnns: Price,
    /// On the CPU, by the older kernels.
    pub classic_cpu: Price,
    /// What there is to do.
    pub work: Work,
    /// How the constants are known for the family: measured on an M4, a guess elsewhere.
    pub confidence: Confidence,
}

impl Prices {
    /// The price on a backend.
    pub fn on(&self, backend: Backend) -> &Price {
        match backend {
            Backend::Ane => &self.ane,
            Backend::Bnns => &self.bnns,
            Backend::ClassicCpu => &self.classic_cpu,
        }
    }
}

/// The planner's prices of an op on the machines of a family.
///
/// An extent that is not known counts as one, as the planner counts it.
///
/// ```
/// use anewrite_ane::{Family, SimpleOp, Trust, prices};
/// use anewrite_tensor::DType;
///
/// let abs = SimpleOp::new("abs").input("x", DType::F16, &[1, 64, 32, 32]).result(DType::F16, &[1, 64, 32, 32]);
/// let prices = prices(&abs, Family::H16);
/// assert!((prices.ane.ms - 0.0035903033).abs() < 1e-9 && prices.ane.trust == Trust::Exact);
/// ```
pub fn prices(op: &dyn OpView, family: Family) -> Prices {
    let costs = costs();
    let facts = Facts::new(op);
    let mut ctx = Ctx::new(&facts, &tables().limits, family);
    ctx.one_for_unknown = true;
    let (own, general) = costs.rules(op.op());
    let moved = |cost: Option<&'static Cost>| number(&ctx, cost.and_then(|c| c.memory.as_ref()));
    let bytes = own.and_then(|own| moved(Some(own))).or_else(|| moved(general)).unwrap_or(0.0);
    let by_list = costs.flops(op.op());
    let is_general = own.zip(general).is_some_and(|(own, general)| std::ptr::eq(own, general));
    let flops = number(&ctx, own.and_then(|c| c.flops.as_ref()).filter(|_| !is_general).or(by_list))
        .or_else(|| number(&ctx, general.and_then(|c| c.flops.as_ref())));
    let price = |backend| match own {
        Some(cost) => price(costs, cost, &ctx, backend, bytes),
        None => by_memory(costs, backend, bytes),
    };
    let machine = costs.machines.iter().find(|m| m.families.contains(family));
    Prices {
        ane: price(Backend::Ane),
        bnns: price(Backend::Bnns),
        classic_cpu: price(Backend::ClassicCpu),
        work: Work { flops: flops.unwrap_or(0.0), bytes },
        confidence: machine.map_or(Confidence::Guess, |m| m.confidence),
    }
}

fn number(ctx: &Ctx<'_>, expr: Option<&'static Expr>) -> Option<f64> {
    expr.and_then(|expr| ctx.number(expr).ok()).filter(|n| n.is_finite() && *n >= 0.0)
}

/// ms from work in bytes or FLOP and a rate per ns.
fn ms(work: f64, rate: f64) -> f64 {
    work / rate / 1e6
}

fn by_memory(costs: &Costs, backend: Backend, bytes: f64) -> Price {
    let ms = ms(bytes, costs.bandwidth.of(backend));
    Price { ms, low: ms, high: ms, trust: Trust::Exact, why: None }
}

fn price(costs: &Costs, cost: &'static Cost, ctx: &Ctx<'_>, backend: Backend, bytes: f64) -> Price {
    let charge = if backend.is_ane() { cost.ane } else { cost.cpu };
    let memory = by_memory(costs, backend, bytes);
    let price = match charge {
        Charge::Memory => memory,
        Charge::Work | Charge::Larger => {
            let Some(worked) = by_work(cost, ctx, backend) else {
                let why = "the op does not show what its formula counts; the bytes moved are a lower bound";
                return Price {
                    high: f64::INFINITY,
                    trust: Trust::Bound,
                    why: Some(Cow::Borrowed(why)),
                    ..memory
                };
            };
            if charge == Charge::Larger && memory.ms > worked.high { memory } else { worked }
        }
    };
    let trust = price.trust.min(cost.trust);
    let why = price.why.or_else(|| cost.why.as_deref().map(Cow::Borrowed)).filter(|_| trust < Trust::Exact);
    let high = if trust == Trust::Bound { f64::INFINITY } else { price.high };
    Price { trust, why, high, ..price }
}

fn by_work(cost: &'static Cost, ctx: &Ctx<'_>, backend: Backend) -> Option<Price> {
    let work = number(ctx, cost.work.as_ref())?;
    let (leaf, other) = match &cost.feature {
        None => (cost.leaves.first()?, None),
        Some(feature) => pick(&cost.leaves, ctx.number(feature).ok()?)?,
    };
    let own = ms(work, leaf.rate(backend)?);
    let price = Price {
        ms: own,
        low: own,
        high: own,
        trust: leaf.trust.unwrap_or(Trust::Exact),
        why: leaf.why.as_deref().map(Cow::Borrowed),
    };
    let Some(other) = other else { return Some(price) };
    let next = ms(work, other.rate(backend)?);
    Some(Price { low: own.min(next), high: own.max(next), trust: price.trust.min(Trust::Bracketed), ..price })
}

/// The leaf for a feature, and the other that it could be where it lies between two.
fn pick(leaves: &'static [Leaf], feature: f64) -> Option<(&'static Leaf, Option<&'static Leaf>)> {
    let inside =
        |leaf: &&Leaf| leaf.from.is_none_or(|from| feature >= from) && leaf.to.is_none_or(|to| feature <= to);
    if let Some(leaf) = leaves.iter().find(inside) {
        return Some((leaf, None));
    }
    let below = leaves.iter().rev().find(|leaf| leaf.to.is_some_and(|to| feature > to))?;
    let above = leaves.iter().find(|leaf| leaf.from.is_some_and(|from| feature < from))?;
    let still = below.below.is_none_or(|cut| feature < cut);
    Some(if still { (below, Some(above)) } else { (above, Some(below)) })
}
