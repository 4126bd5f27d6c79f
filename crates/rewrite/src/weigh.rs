//! Weighs what ops came to before against what they come to after.

use std::cmp::Ordering;
use std::fmt::Write;

use crate::objective::{Doubt, Price, Scenario};

/// Prices before and after in every scenario, summed over stretches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights(Vec<[Price; 2]>);

/// How some ops compare with what would replace them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Better in one scenario at least, and worse in none.
    Better,
    /// No difference that counts.
    Same(String),
    /// Worse in a scenario: which, and by what.
    Worse(String),
}

/// What decides between two prices, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Criterion {
    Hazards,
    OffEngine,
    Boundaries,
    Cost,
    Ops,
}

/// Differences below this share of the larger number are roundings of sums.
const ROUNDING: f64 = 1e-9;

impl Weights {
    pub(crate) fn none(scenarios: usize) -> Weights {
        Weights(vec![[Price::default(); 2]; scenarios])
    }

    pub(crate) fn add(&mut self, prices: &[[Price; 2]]) {
        for (sum, more) in self.0.iter_mut().zip(prices) {
            for (sum, more) in sum.iter_mut().zip(more) {
                let known = |a: Option<f64>, b| a.zip(b).map(|(a, b)| a + b).or(a).or(b);
                *sum = Price {
                    hazards: sum.hazards + more.hazards,
                    off_engine: sum.off_engine + more.off_engine,
                    on_engine: sum.on_engine + more.on_engine,
                    boundaries: sum.boundaries + more.boundaries,
                    cost: known(sum.cost, more.cost),
                    ops: sum.ops + more.ops,
                    hint: known(sum.hint, more.hint),
                    overflows: sum.overflows + more.overflows,
                };
            }
        }
    }

    /// Weighs what the planner sees.
    pub(crate) fn plan(&self, scenarios: &[Scenario]) -> Comparison {
        self.weigh(scenarios, |prices| Gain::of(prices).order(&Gain::default())).0
    }

    /// As [`Weights::plan`], where a lower cost alone is not enough: more has to run on the engine.
    pub(crate) fn eligibility(&self, scenarios: &[Scenario]) -> Comparison {
        match self.weigh(scenarios, |prices| Gain::of(prices).order(&Gain::default())) {
            (Comparison::Better, Some(Criterion::Cost | Criterion::Ops)) => {
                Comparison::Same("it would be cheaper, and nothing more would run on the engine".into())
            }
            (weighed, _) => weighed,
        }
    }

    /// Weighs hazards of 16-bit arithmetic, which may not be paid for with hazards for the whole model.
    pub(crate) fn numerics(&self, scenarios: &[Scenario]) -> Comparison {
        let weighed = self.weigh(scenarios, |prices| {
            let gain = Gain::of(prices);
            let brought = gain.hazards.max(0).cmp(&0);
            (brought.then(gain.overflows.cmp(&0)), Criterion::Hazards)
        });
        match weighed.0 {
            Comparison::Same(_) => Comparison::Same("it removes no hazard of 16-bit arithmetic".into()),
            Comparison::Worse(_) => Comparison::Worse("it would bring hazards in".into()),
            Comparison::Better => Comparison::Better,
        }
    }

    /// Whether this is as good as `other` in every scenario, both having started from the same program.
    pub(crate) fn no_worse_than(&self, other: &Weights) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(mine, theirs)| Gain::of(mine).order(&Gain::of(theirs)).0).all(Ordering::is_le)
    }

    fn weigh(
        &self,
        scenarios: &[Scenario],
        compare: impl Fn(&[Price; 2]) -> (Ordering, Criterion),
    ) -> (Comparison, Option<Criterion>) {
        if self.0.is_empty() {
            return (Comparison::Same("no target is set".into()), None);
        }
        let (mut better, mut same) = (None::<Criterion>, Same::default());
        for (scenario, prices) in scenarios.iter().zip(&self.0) {
            match compare(prices) {
                (Ordering::Less, by) => better = Some(better.map_or(by, |b| b.min(by))),
                (Ordering::Equal, _) => same.add(scenario, prices),
                (Ordering::Greater, by) => {
                    let mut why = by.worse(scenario, prices);
                    let others = scenarios.iter().zip(&self.0).filter(|(s, _)| s.target == scenario.target);
                    if others.into_iter().any(|(_, other)| other != prices) {
                        why.push_str(match scenario.doubt {
                            Doubt::Refused => ", if it refuses what nobody knows",
                            Doubt::Runs => ", if it runs what nobody knows",
                        });
                    }
                    return (Comparison::Worse(why), Some(by));
                }
            }
        }
        match better {
            Some(by) => (Comparison::Better, Some(by)),
            None => (Comparison::Same(same.to_string()), None),
        }
    }
}

/// What stands behind a gain of nothing: the targets, and for the first of them the numbers.
#[derive(Default)]
struct Same {
    targets: Vec<String>,
    prices: Option<[Price; 2]>,
}

impl Same {
    fn add(&mut self, scenario: &Scenario, prices: &[Price; 2]) {
        if !self.targets.contains(&scenario.target) {
            self.targets.push(scenario.target.clone());
        }
        self.prices.get_or_insert(*prices);
    }
}

impl std::fmt::Display for Same {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "on {}", self.targets.join(", "))?;
        let Some([before, after]) = self.prices else { return Ok(()) };
        if let (Some(old), Some(new)) = (before.cost.or(before.hint), after.cost.or(after.hint)) {
            write!(f, " the plan costs {} before and {} after,", Ms(old), Ms(new))?;
        }
        write!(f, " off the engine stay {} and {}", Amount(before.off_engine), Amount(after.off_engine))
    }
}

/// What comes on top of the price before.
#[derive(Clone, Copy, Debug, Default)]
struct Gain {
    hazards: i64,
    off_engine: f64,
    on_engine: f64,
    boundaries: i64,
    cost: f64,
    ops: i64,
    hint: f64,
    overflows: i64,
    /// The sizes of the sums of arithmetic, cost and hint, whose roundings are no differences.
    scale: [f64; 3],
}

impl Gain {
    fn of([before, after]: &[Price; 2]) -> Gain {
        let count = |of: fn(&Price) -> u32| i64::from(of(after)) - i64::from(of(before));
        let costs = before.cost.zip(after.cost).unwrap_or_default();
        let hints = before.hint.zip(after.hint).unwrap_or_default();
        let arithmetic = |p: &Price| p.off_engine + p.on_engine;
        Gain {
            hazards: count(|p| p.hazards),
            off_engine: after.off_engine - before.off_engine,
            on_engine: after.on_engine - before.on_engine,
            boundaries: count(|p| p.boundaries),
            cost: costs.1 - costs.0,
            ops: count(|p| p.ops),
            hint: hints.1 - hints.0,
            overflows: count(|p| p.overflows),
            scale: [arithmetic(before).max(arithmetic(after)), costs.0.max(costs.1), hints.0.max(hints.1)],
        }
    }

    /// How this compares with another gain, less being better, and what decides.
    fn order(&self, other: &Gain) -> (Ordering, Criterion) {
        let numbers = |mine: f64, theirs: f64, i: usize| {
            let least = self.scale[i].max(other.scale[i]).max(1.0) * ROUNDING;
            if (mine - theirs).abs() <= least { Ordering::Equal } else { mine.total_cmp(&theirs) }
        };
        let off = numbers(self.off_engine, other.off_engine, 0);
        let on = numbers(self.on_engine, other.on_engine, 0);
        let off = if off == on.reverse() { off } else { Ordering::Equal };
        let hint = match numbers(self.hint, other.hint, 2) {
            Ordering::Greater => Ordering::Equal,
            less => less,
        };
        let by = [
            (self.hazards.cmp(&other.hazards), Criterion::Hazards),
            (off, Criterion::OffEngine),
            (self.boundaries.cmp(&other.boundaries), Criterion::Boundaries),
            (numbers(self.cost, other.cost, 1), Criterion::Cost),
            (self.ops.cmp(&other.ops), Criterion::Ops),
        ];
        by.into_iter().find(|(o, _)| o.is_ne()).unwrap_or((hint, Criterion::Cost))
    }
}

impl Criterion {
    /// What gets worse, with the old and the new number.
    fn worse(self, scenario: &Scenario, [before, after]: &[Price; 2]) -> String {
        let mut out = match self {
            Criterion::Hazards => {
                format!("hazards for the whole model would go from {} to {}", before.hazards, after.hazards)
            }
            Criterion::OffEngine => format!(
                "what stays off the engine would go from {} to {}",
                Amount(before.off_engine),
                Amount(after.off_engine)
            ),
            Criterion::Boundaries => {
                format!("boundaries would go from {} to {}", before.boundaries, after.boundaries)
            }
            Criterion::Cost => format!(
                "the plan would go from {} to {}",
                Ms(before.cost.unwrap_or(0.0)),
                Ms(after.cost.unwrap_or(0.0))
            ),
            Criterion::Ops => format!("ops would go from {} to {}", before.ops, after.ops),
        };
        let _ = write!(out, " on {}", scenario.target);
        out
    }
}

/// A price in ms.
struct Ms(f64);

impl std::fmt::Display for Ms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.abs() < 0.01 { write!(f, "{:.4} µs", self.0 * 1e3) } else { write!(f, "{:.4} ms", self.0) }
    }
}

/// Arithmetic, rounded for people.
struct Amount(f64);

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            n if n >= 1e9 => write!(f, "{:.2} G", n / 1e9),
            n if n >= 1e6 => write!(f, "{:.2} M", n / 1e6),
            n if n >= 1e4 => write!(f, "{:.1} k", n / 1e3),
            n => write!(f, "{n:.0}"),
        }
    }
}
