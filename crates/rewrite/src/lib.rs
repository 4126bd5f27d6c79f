//! Rewriting: what a rule is, how it is matched, and how its replacements get into a program.
//!
//! A rule never changes a program. It looks for ops by a [`Pattern`], checks its conditions on the [`Match`], and
//! builds a [`Patch`] beside the program; patches go in at one place, in a fixed order, and are recorded so that a
//! run can be replayed with parts left out. What is good for a target is asked of an [`Objective`], what is equal
//! of an [`Oracle`].
//!
//! This crate must not know any one rule, the engine, or files.

mod apply;
mod driver;
mod matching;
mod objective;
mod patch;
mod record;
mod rule;
mod stretch;
mod sweep;
mod weigh;

pub use apply::effect;
pub use driver::{Context, DriverError, NearMiss, Outcome, run, run_some};
pub use matching::{Match, Miss, Pattern};
pub use objective::{Claim, Doubt, NoObjective, Objective, Oracle, Price, Pricing, Scenario, Stretch};
pub use patch::{IndexMap, Patch, PatchBuilder, PatchValue, Witness};
pub use record::Firing;
pub use rule::{Assumption, BadCode, Code, Grade, Purpose, Rule, RuleInfo, Zeros};
pub use sweep::{Sweep, SweepCx};
