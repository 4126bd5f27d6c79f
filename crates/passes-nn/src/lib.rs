//! Rules that replace NeuralNetwork layers of specification 4 by equal ones of the first specification, which are
//! those that the engine's compiler for networks knows.
//!
//! The newer layers work on tensors of any rank; the older ones know the axes Seq, B, C, H and W, counted from the
//! last, and broadcast little. Each rule applies where the two mean the same and the old layer is allowed, and says
//! what stands in its way elsewhere.
//!
//! One file a rule, named by its code. To add one: write the file, add it to [`rules`]; its page's before and after
//! run as a test.
//!
//! This crate must not know files, conversion, or any number of the engine: limits come from
//! [`Match::limit`](anewrite_rewrite::Match::limit).

mod rules;

pub use rules::rules;
