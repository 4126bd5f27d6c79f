//! Rules that replace ML Program ops which the engine refuses by equal ones that it takes.
//!
//! One file a rule, named by its code. To add one: write the file, add it to [`rules`]; the tests of this crate then
//! run the before and after of its page.
//!
//! This crate must not know files, conversion, or any number of the engine: limits come from
//! [`Match::limit`](anewrite_rewrite::Match::limit).

mod rules;

pub use rules::rules;
