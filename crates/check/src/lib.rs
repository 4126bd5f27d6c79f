//! Looks at a program with the knowledge of the engine.
//!
//! * [`View`] shows one op of a graph to the tables and formulas of `anewrite-ane`.
//! * [`judge`] and [`judge_block`] ask them everything about an op: eligibility on each family, prices, work,
//!   what it reads. [`plan_ops`] makes of that what the planner takes.
//!
//! Nothing here prints, and nothing here holds a number or an op name of the engine's: those are rows of the tables.
//!
//! # What this crate must not know
//! Files, protobuf types, rules, and how a result is shown.

mod judge;
mod view;
mod work;

pub use judge::{Doubt, Judged, computes, judge, judge_as, judge_block, plan_ops};
pub use view::View;
