//! What the driver asks of others: what do these ops come to, and is this patch equal to what it replaces?

use std::ops::Range;

use anewrite_ir::dims::DimTable;
use anewrite_ir::{OpId, Program, infer::Facts};

use crate::patch::Patch;
use crate::rule::RuleInfo;

/// One way to look at prices: for one target, with what nobody knows taken one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The target, as its user calls it.
    pub target: String,
    /// How ops are taken of which nobody knows whether the target runs them.
    pub doubt: Doubt,
}

/// How to take an op of which nobody knows whether the target runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// The target runs it.
    Runs,
    /// The target refuses it.
    Refused,
}

/// What some ops come to in one scenario. The fields stand in the order in which they count; less is better.
///
/// One in which all is unsaid ([`Price::default`]) is the price of no ops.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    /// Hazards for the whole model: what costs it the engine as such.
    pub hazards: u32,
    /// Arithmetic that the engine does not run, or could run on islands too small to go there: operations or bytes
    /// moved, for each op whichever is more. It counts where arithmetic goes over from one side to the other; work that
    /// only one side gains or is rid of is a matter of cost.
    pub off_engine: f64,
    /// The other arithmetic.
    pub on_engine: f64,
    /// Changes of side, where they count in place of the cost: no formula is known for the target.
    pub boundaries: u32,
    /// The plan's cost in ms, where a formula is known for the target.
    pub cost: Option<f64>,
    /// Ops, where a cost is known.
    pub ops: u32,
    /// The cost in ms by the formula of another target. It can speak for a rewrite when all else is equal, and not
    /// against one.
    pub hint: Option<f64>,
    /// Hazards of 16-bit arithmetic. They count for rules of purpose [`Numerics`](crate::Purpose::Numerics) alone.
    pub overflows: u32,
}

/// A stretch of a block before and after some patches, in program order, with the ops around it that stayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The ops before. Those that went still answer; those whose operands changed were [noted](Pricing::note).
    pub before: Vec<OpId>,
    /// The ops after.
    pub after: Vec<OpId>,
    /// How many at the start of both lists are the same ops, unchanged.
    pub lead: usize,
    /// How many at the end of both lists are the same ops, unchanged.
    pub trail: usize,
    /// Whether it begins where the function does: else more ops stand before it.
    pub opens: bool,
    /// Whether it ends where the function does: else more ops stand behind it.
    pub closes: bool,
    /// Ops of the whole program before and after.
    pub total: [usize; 2],
}

impl Stretch {
    /// The places of the ops in [`Stretch::before`] that are not of the surroundings.
    pub fn core_before(&self) -> Range<usize> {
        self.lead..self.before.len().saturating_sub(self.trail).max(self.lead)
    }

    /// The places of the ops in [`Stretch::after`] that are not of the surroundings.
    pub fn core_after(&self) -> Range<usize> {
        self.lead..self.after.len().saturating_sub(self.trail).max(self.lead)
    }
}

/// Knows what is good for the target.
pub trait Objective: Sync {
    /// The smallest value of a limit over the target's families; `None` where nothing is known.
    fn limit(&self, id: &str) -> Option<u64>;

    /// The scenarios in which ops are priced; none where no target is set.
    fn scenarios(&self) -> Vec<Scenario>;

    /// Prices the ops of one program, from now on.
    fn pricing(&self) -> Box<dyn Pricing + '_>;

    /// Whether the benefit on record in the row `id` is one for the target.
    ///
    /// # Errors
    /// Why not.
    fn on_record(&self, id: &str) -> Result<(), String> {
        Err(format!("no target is set, and {id} is on record for some only"))
    }
}

/// Prices ops of one program. It may remember what it found out about an op for as long as it is not told that the op
/// changes.
pub trait Pricing {
    /// The prices of a stretch before and after, for each scenario in their order.
    ///
    /// The neighbours of the stretch may be on either side; what it shares on both ends is there so that the price
    /// of going there and back shows.
    fn price(&mut self, program: &Program, facts: &Facts, stretch: &Stretch) -> Vec<[Price; 2]>;

    /// `op` is about to change: how it is now counts as before until [`Pricing::settle`].
    fn note(&mut self, program: &Program, facts: &Facts, op: OpId) {
        let _ = (program, facts, op);
    }

    /// `op` is not what it was.
    fn forget(&mut self, op: OpId) {
        let _ = op;
    }

    /// What was changed since the last time stays, or is all undone.
    fn settle(&mut self, kept: bool) {
        let _ = kept;
    }
}

/// That a patch computes what it replaces, as its rule promises: what an oracle judges.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// The rule, which says how exactly it keeps values.
    pub rule: &'a RuleInfo,
    /// The program before the patch.
    pub program: &'a Program,
    /// Types of its values.
    pub facts: &'a Facts,
    /// The symbols that the types are written in.
    pub dims: &'a DimTable,
    /// The patch.
    pub patch: &'a Patch,
}

/// Judges whether patches compute what they replace.
pub trait Oracle: Sync {
    /// Called once for each patch, before it is put in.
    ///
    /// # Errors
    /// The difference, in words: which value, on which input, by how much.
    fn equal(&self, claim: &Claim<'_>) -> Result<(), String>;

    /// Whether a patch that is not equal is left out, and rewriting goes on; else it ends there.
    fn leaves_out(&self) -> bool {
        false
    }
}

/// An objective that knows nothing: every limit is unknown and nothing is better. For tests of clean-up rules.
pub struct NoObjective;

impl Objective for NoObjective {
    fn limit(&self, _: &str) -> Option<u64> {
        None
    }

    fn scenarios(&self) -> Vec<Scenario> {
        Vec::new()
    }

    fn pricing(&self) -> Box<dyn Pricing + '_> {
        Box::new(NoPricing)
    }
}

struct NoPricing;

impl Pricing for NoPricing {
    fn price(&mut self, _: &Program, _: &Facts, _: &Stretch) -> Vec<[Price; 2]> {
        Vec::new()
    }
}
