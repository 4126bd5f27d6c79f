//! Harnesses for tests: running one rule on a program in text form, and the pages of rules as tests.
//!
//! This crate must not know any one rule or the engine: limits are given by the test.

mod normal;
mod rules;

pub use normal::normal_form;
pub use rules::{Bench, check_page};
