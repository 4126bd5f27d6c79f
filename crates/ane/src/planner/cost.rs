use std::sync::OnceLock;

use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::Backend;
use super::price::Trust;
use crate::expr::Expr;
use crate::family::FamilySet;
use crate::table::Confidence;

/// How a backend charges an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Charge {
    /// By the bytes it moves.
    Memory,
    /// By its work at the rate of a leaf.
    Work,
    /// By the larger of both.
    Larger,
}

/// A leaf of the planner's decision trees: rates of work, in bytes or FLOP per ns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Leaf {
    /// The smallest and largest feature that were seen with these rates; open where absent.
    pub(super) from: Option<f64>,
    pub(super) to: Option<f64>,
    /// Above `to` and below this the leaf is assumed to hold still.
    pub(super) below: Option<f64>,
    ane: Option<f64>,
    bnns: Option<f64>,
    classic_cpu: Option<f64>,
    pub(super) trust: Option<Trust>,
    pub(super) why: Option<String>,
}

impl Leaf {
    pub(super) fn rate(&self, backend: Backend) -> Option<f64> {
        match backend {
            Backend::Ane => self.ane,
            Backend::Bnns => self.bnns,
            Backend::ClassicCpu => self.classic_cpu,
        }
    }
}

/// How ops are priced.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    pub(crate) ops: Vec<String>,
    /// Bytes moved; the general rule where absent.
    pub(super) memory: Option<Expr>,
    pub(super) work: Option<Expr>,
    /// What picks a leaf.
    pub(super) feature: Option<Expr>,
    /// The arithmetic in truth, which the planner's work is not always.
    pub(super) flops: Option<Expr>,
    pub(super) ane: Charge,
    pub(super) cpu: Charge,
    pub(super) trust: Trust,
    pub(super) why: Option<String>,
    #[serde(default, rename = "leaf")]
    pub(super) leaves: Vec<Leaf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    charges: ChargeData,
    bandwidth: Bandwidth,
    #[serde(rename = "machine")]
    machines: Vec<Machine>,
    #[serde(rename = "cost")]
    costs: Vec<Cost>,
    flops: Vec<Flops>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChargeData {
    pub(super) launch: f64,
    pub(super) switch: f64,
    pub(super) output: f64,
    #[expect(dead_code, reason = "the data file explains itself to its readers")]
    says: String,
    #[expect(dead_code, reason = "the data file names its sources to its readers")]
    sources: Vec<String>,
}

/// Bytes per ns.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bandwidth {
    ane: f64,
    bnns: f64,
    classic_cpu: f64,
}

impl Bandwidth {
    pub(super) fn of(&self, backend: Backend) -> f64 {
        match backend {
            Backend::Ane => self.ane,
            Backend::Bnns => self.bnns,
            Backend::ClassicCpu => self.classic_cpu,
        }
    }
}

/// On which families the constants were measured.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    pub(super) families: FamilySet,
    pub(super) confidence: Confidence,
    pub(super) says: String,
    #[expect(dead_code, reason = "the data file names its sources to its readers")]
    sources: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flops {
    ops: Vec<String>,
    count: Expr,
}

/// Everything that the planner's data file holds.
#[derive(Debug)]
pub(crate) struct Costs {
    pub(super) charges: ChargeData,
    pub(super) bandwidth: Bandwidth,
    pub(super) machines: Vec<Machine>,
    rows: Vec<Cost>,
    by_op: FxHashMap<String, usize>,
    flops: FxHashMap<String, Expr>,
}

impl Costs {
    pub(crate) fn load() -> Result<Costs, String> {
        let file: File = toml::from_str(include_str!("../../data/planner.toml"))
            .map_err(|e| format!("data/planner.toml: {e}"))?;
        if file.costs.first().is_none_or(|general| general.ops != ["*"] || general.memory.is_none()) {
            return Err("data/planner.toml: the first cost must be the general rule for `*`".to_owned());
        }
        let rows = file.costs.iter().enumerate();
        let by_op = rows.flat_map(|(i, cost)| cost.ops.iter().map(move |op| (op.clone(), i))).collect();
        let counts = file.flops.into_iter();
        let flops = counts.flat_map(|f| f.ops.into_iter().map(move |op| (op, f.count.clone()))).collect();
        Ok(Costs {
            charges: file.charges,
            bandwidth: file.bandwidth,
            machines: file.machines,
            rows: file.costs,
            by_op,
            flops,
        })
    }

    /// The rule for an op type, and the general one that fills its gaps.
    pub(super) fn rules(&self, op: &str) -> (Option<&Cost>, Option<&Cost>) {
        let general = self.rows.first();
        (self.by_op.get(op).and_then(|&i| self.rows.get(i)).or(general), general)
    }

    /// How the arithmetic of an op type is counted, where neither its own rule nor the general one says it.
    pub(super) fn flops(&self, op: &str) -> Option<&Expr> {
        self.flops.get(op)
    }
}

/// The planner's data, read on first use.
pub(crate) fn costs() -> &'static Costs {
    static COSTS: OnceLock<Costs> = OnceLock::new();
    COSTS.get_or_init(|| match Costs::load() {
        Ok(costs) => costs,
        Err(error) => unreachable!("the data files are checked by this crate's tests: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_sound() {
        let costs = Costs::load().expect("the planner's data parses");
        for cost in &costs.rows {
            let by_work = cost.ane != Charge::Memory || cost.cpu != Charge::Memory;
            assert_eq!(by_work, cost.work.is_some() && !cost.leaves.is_empty(), "{:?}", cost.ops);
            assert_eq!(cost.feature.is_some(), cost.leaves.len() > 1, "{:?}", cost.ops);
            for leaf in &cost.leaves {
                assert_eq!(leaf.rate(Backend::Ane).is_some(), cost.ane != Charge::Memory, "{:?}", cost.ops);
                assert!(leaf.rate(Backend::Bnns).is_some() && leaf.rate(Backend::ClassicCpu).is_some());
            }
        }
        let named: usize = costs.rows.iter().map(|c| c.ops.len()).sum();
        assert_eq!(named, costs.by_op.len(), "an op has two rules");
    }
}
