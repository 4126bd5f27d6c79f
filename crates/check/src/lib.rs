//! Looks at a program with the knowledge of the engine.
//!
//! * [`View`] shows one op of a graph to the tables and formulas of `anewrite-ane`.
//! * [`judge`] and [`judge_block`] ask them everything about an op: eligibility on each family, prices, work,
//!   what it reads. [`plan_ops`] makes of that what the planner takes.
//! * [`examine`] does so for every function, [`place`] plans it for a family.
//! * [`findings`] tells what is wrong, grouped by cause, with evidence.
//!
//! Nothing here prints, and nothing here holds a number or an op name of the engine's: those are rows of the tables.
//!
//! # What this crate must not know
//! Files, protobuf types, rules, and how a result is shown.

mod findings;
mod judge;
mod placement;
mod signature;
mod view;
mod work;

pub use findings::{Interface, Subject, findings, rows_of};
pub use judge::{Doubt, Judged, computes, judge, judge_as, judge_block, plan_ops};
pub use placement::{Examined, Numbers, Placement, Scope, ScopePlan, Side, examine, place, place_all};
pub use view::View;
