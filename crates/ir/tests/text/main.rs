//! The text form: what Core ML's compiler wrote reads and prints as it stands; everything printed reads back.

mod compiled;
mod errors;
mod forms;
mod literals;

use anewrite_ir::Program;
use anewrite_ir::text::{PrintOptions, parse, print};

/// `source`, parsed and printed twice: the second text must be the first.
fn stable(source: &str, options: &PrintOptions<'_>) -> String {
    let p = parse(source).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let once = print(&p, options);
    let again = parse(&once).unwrap_or_else(|e| panic!("{e}\n{once}"));
    assert_eq!(print(&again, options), once);
    once
}

/// Everything spelled out, functions only.
fn full() -> PrintOptions<'static> {
    PrintOptions { header: false, ..Default::default() }
}

/// Statements in a function of one input `x` of shape 2×3.
fn body(statements: &str) -> String {
    format!("func main<CoreML6>(tensor<fp16, [2, 3]> x) {{\n{statements}\n}} -> (x);")
}

/// The same ops, in the same order, with the same types and constants.
fn same_ops(p: &Program, q: &Program) {
    assert_eq!(p.op_count(), q.op_count());
    for (a, b) in p.all_ops().zip(q.all_ops()) {
        let (a, b) = (p.op(a), q.op(b));
        assert_eq!((&a.kind, &a.attrs, a.sealed), (&b.kind, &b.attrs, b.sealed));
        for (&r, &s) in a.results.iter().zip(&b.results) {
            assert_eq!((p.ty(r), &p.value(r).name), (q.ty(s), &q.value(s).name));
        }
        assert_eq!(a.operands.len(), b.operands.len());
        for (x, y) in a.operands.iter().zip(&b.operands) {
            assert_eq!(x.param, y.param);
            match (p.constant(x.value), q.constant(y.value)) {
                (Some(c), Some(d)) => assert!(c.tensor.same_bits(&d.tensor), "{}", x.param),
                (None, None) => assert_eq!(p.value(x.value).name, q.value(y.value).name),
                _ => panic!("{} is constant on one side only", x.param),
            }
        }
    }
}
