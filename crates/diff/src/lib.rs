//! Structural comparison of two programs, and the reports made from it.
//!
//! [`compare`] pairs the lines of two programs' text form: an op with the op whose first result has the same name,
//! what is left by structure (kind, attributes and operands, as far as those are paired). What pairs in another
//! order counts as moved. The result prints as a diff that a person can review op by op, and that is stable enough
//! to commit: it holds no line numbers, times or paths. [`Census`] counts ops and parameters for a table.
//!
//! Constants are compared by their bits, but only those that are paired, and not where both are the same slice of
//! the same file; so comparing a program with what a rewrite made of it reads no weights that were not touched.
//!
//! This crate must not know files, rules, colours or the terminal.
//!
//! ```
//! use anewrite_diff::{DiffOptions, compare};
//! use anewrite_ir::text::parse;
//!
//! let before = parse("func main<CoreML6>(tensor<fp16, [2, 3]> x) { a = relu(x = x); y = add(x = a, y = 1.0); } -> (y);");
//! let after = parse("func main<CoreML6>(tensor<fp16, [2, 3]> x) { y = add(x = x, y = 1.0); } -> (y);");
//! let diff = compare(&before.unwrap(), &after.unwrap(), &DiffOptions::default());
//! assert_eq!(diff.text(), "\
//! @@ main @@
//!  func main<CoreML6>(tensor<fp16, [2, 3]> x) {
//! -    tensor<fp16, [2, 3]> a = relu(x = x);
//! -    tensor<fp16, [2, 3]> y = add(x = a, y = 1.0);
//! +    tensor<fp16, [2, 3]> y = add(x = x, y = 1.0);
//!  } -> (y);
//! ");
//! assert_eq!(diff.summary().to_string(), "0 ops added, 1 removed, 1 changed, 0 moved");
//! ```

mod census;
mod compare;
mod matching;
mod report;
mod same;

pub use census::{Census, Row, Table};
pub use compare::{DiffOptions, compare};
pub use report::{
    Change, ChangeKind, DiffLine, FactChange, FunctionDiff, FunctionStatus, LineKind, LineSign, ProgramDiff,
    Summary, compare_facts,
};
