//! Clean-up that is right for every target: what computes nothing new goes.
//!
//! One file a rule, named by its code. To add one: write the file, add it to [`rules`]; the tests of this crate
//! then run the before and after of its page.
//!
//! This crate must not know files, conversion, or any limit of the engine.

mod rules;

pub use rules::rules;
