//! Whether two programs compute the same.
//!
//! [`PatchOracle`] judges the patches of a rewrite one by one: what a patch replaces and what it puts in are run on
//! inputs that tell programs apart, and compared at the grade of the rule. [`verify`] compares whole programs, original
//! and rewritten side by side, in fp64 and as the engine computes.
//!
//! This crate must not know files, messages, or any one rule.

mod bridge;
mod cases;
mod compare;
mod copy;
mod cost;
mod decide;
mod diverge;
mod domain;
mod extents;
mod fill;
mod judge;
mod key;
mod model;
mod oracle;
mod pairs;
mod region;
mod rounding;
mod shapes;

pub use bridge::Bridge;
pub use cases::Case;
pub use compare::{Difference, EXACT, half_ulp_spacing};
pub use diverge::{Divergence, first_difference};
pub use domain::Domain;
pub use fill::Fill;
pub use judge::{LEAST_GROWTH, OutputReport};
pub use model::{Event, Failure, Mode, ModelOptions, ModelReport, Plan, Subject, cases, recheck, verify};
pub use oracle::{Note, PatchOptions, PatchOracle, PatchSummary};
pub use shapes::{Flexible, Input};
