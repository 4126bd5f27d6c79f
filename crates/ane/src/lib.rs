//! What is known of the Apple Neural Engine, as data, and one engine that evaluates it.
//!
//! # What it answers
//! * [`Target`]: which families of engines a device, chip or system name stands for.
//! * [`limit`]: a numeric limit of a family, such as the widest convolution kernel.
//! * [`eligibility`]: whether the engine can run an op at all, with the row of the table and the
//!   observed value that decided it. `unknown` is an answer: a guess is never given as a fact.
//! * [`notes`]: what a person should know of an op that runs: hazards of value, speed, compile time;
//!   [`hazards`]: those of them, and of refusals, that reach beyond the op.
//! * [`prices`] and [`plan`]: what Core ML's planner thinks an op costs on each backend, and where it
//!   would put every op of a program. That is another question than eligibility.
//!
//! # Where the knowledge comes from
//! From public sources only: scans of every op through Core ML on an M4, Apple's own documents, reports
//! of people who looked at a compute plan, and work below Core ML. Each row of `data/*.toml` carries the
//! keys of its sources (`data/sources.toml`), how it is known ([`Confidence`]) and whether it was seen
//! through Core ML or below it ([`Route`]). Sources that contradict each other stay side by side: [`rows`]
//! gives all that is said of an op.
//!
//! # How to add a row
//! Open the file of the op's group under `data/`, add a `[[row]]` with an `id` of its own, the `ops`, the
//! `families` it speaks of and those `measured`, a `status`, the conditions (`when` it applies; what it
//! `needs`, for a restriction), the sentence a reader gets, the `sources` and the `confidence`. No Rust
//! changes: no op type and no number stands in code. The tests of this crate parse every condition and
//! check that limits and sources exist.
//!
//! # What this crate must not know
//! Graphs, files, protobuf types and rules. Who owns a graph shows one op at a time through [`OpView`].

mod annotation;
mod check;
mod device;
mod expr;
mod family;
mod judge;
mod limits;
mod os;
mod planner;
mod score;
mod simple;
mod standing;
mod table;
mod target;
mod verdict;
mod view;

pub use annotation::{AnnotatedOp, annotated_ops};
pub use check::{check, known_ops};
pub use device::{Chip, Device, chips, devices};
pub use expr::Observed;
pub use family::{Family, FamilySet};
pub use judge::{eligibility, hazards, notes};
pub use limits::{Dissent, Limit, LimitRow, LimitValue, limit, limit_set, limits};
pub use os::{Os, OsRange};
pub use planner::{
    Backend, Charges, Plan, PlanOp, Price, Prices, Segment, Totals, Trust, Work, charges, plan, prices,
    stretch_cost,
};
pub use score::{Score, score};
pub use simple::SimpleOp;
pub use standing::{Standing, restrictions, standing};
pub use table::{Confidence, Hazard, Route, Row, Source, Status, row, rows, source};
pub use target::{Target, TargetError};
pub use verdict::{Answer, Eligibility, Note, Verdict, Why};
pub use view::{Dims, OpView, Operand, Tensor, VALUE_LIMIT, Value};
