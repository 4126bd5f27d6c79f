//! What Core ML's planner would do: prices of ops, and the cheapest way through a program.
//!
//! Placement is not eligibility: an op that the engine can run may still be left on the CPU because
//! going there and back costs more than it saves. Prices are the planner's own estimates in ms, not times.

mod cost;
mod path;
mod price;
mod segments;
mod stretch;

pub use path::{Plan, PlanOp, plan};
pub use price::{Price, Prices, Trust, Work, prices};
pub use segments::{Segment, Totals};
pub use stretch::stretch_cost;

pub(crate) use cost::costs;

use crate::family::Family;
use crate::table::Confidence;

/// A place where Core ML can run an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// The Neural Engine.
    Ane,
    /// The CPU, by the BNNS library.
    Bnns,
    /// The CPU, by the older kernels.
    ClassicCpu,
}

impl Backend {
    /// Every backend.
    pub const ALL: [Backend; 3] = [Backend::Ane, Backend::Bnns, Backend::ClassicCpu];

    /// The name in Core ML's annotations: `ane`, `bnns`, `classic_cpu`.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Ane => "ane",
            Backend::Bnns => "bnns",
            Backend::ClassicCpu => "classic_cpu",
        }
    }

    /// Whether it is the Neural Engine.
    pub const fn is_ane(self) -> bool {
        matches!(self, Backend::Ane)
    }
}

/// The fixed charges of a plan, in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charges {
    /// Once, if any op runs on the engine.
    pub launch: f64,
    /// For each pair of neighbours on different backends.
    pub switch: f64,
    /// If the last op runs on the engine.
    pub output: f64,
    /// How the numbers are known for the family.
    pub confidence: Confidence,
    /// What the confidence rests on.
    pub basis: &'static str,
}

/// The fixed charges on a family; without one that is known, those of an M4, marked as a guess.
pub fn charges(family: Family) -> Charges {
    let costs = costs();
    let machine = costs.machines.iter().find(|m| m.families.contains(family));
    Charges {
        launch: costs.charges.launch,
        switch: costs.charges.switch,
        output: costs.charges.output,
        confidence: machine.map_or(Confidence::Guess, |m| m.confidence),
        basis: machine.map_or("", |m| &m.says),
    }
}
