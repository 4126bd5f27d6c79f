//! Harnesses for tests: running one rule on a program in text form, the pages of rules as tests, and, with the feature
//! `models`, whole Core ML models made from a seed.
//!
//! This crate must not know any one rule or the engine: limits are given by the test. Nor must it know what reads its
//! models: it writes messages and weight files by itself, so that a mistake of the project's own writer does not hide
//! in its test data.

#[cfg(feature = "models")]
pub mod models;
mod normal;
mod rules;

pub use normal::normal_form;
pub use rules::{Bench, check_page};
