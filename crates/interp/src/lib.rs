//! The evaluator
