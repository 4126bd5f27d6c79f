//! Whether two lines say the same, told from the graph: printing every line would cost more, and would not tell
//! constants apart whose bytes do not show.

use anewrite_ir::text::{Line, LineContent, Printer};
use anewrite_ir::{Op, OpId, Operand, Program, ValueId};
use anewrite_tensor::{Payload, Tensor};

/// One of the two programs, with what prints its lines.
pub(crate) struct Side<'a> {
    pub(crate) p: &'a Program,
    pub(crate) printer: Printer<'a>,
}

/// Whether both lines print the same and their constants have the same bits.
pub(crate) fn same_line(old: &Side<'_>, a: Line, new: &Side<'_>, b: Line) -> bool {
    if a.depth != b.depth {
        return false;
    }
    match (a.content, b.content) {
        (LineContent::Op(x), LineContent::Op(y)) => same_op(old, x, new, y),
        (LineContent::Constant(x), LineContent::Constant(y)) => same_constant(old, x, new, y),
        _ => old.printer.line(a) == new.printer.line(b),
    }
}

fn same_op(old: &Side<'_>, x: OpId, new: &Side<'_>, y: OpId) -> bool {
    let (a, b) = (old.p.op(x), new.p.op(y));
    a.kind == b.kind
        && a.sealed == b.sealed
        && a.attrs == b.attrs
        && shown_name(old.p, a) == shown_name(new.p, b)
        && a.blocks.len() == b.blocks.len()
        && same_values(old, &a.results, new, &b.results)
        && a.operands.len() == b.operands.len()
        && a.operands.iter().zip(&b.operands).all(|(x, y)| same_operand(old, x, new, y))
        && match (a.blocks.first(), b.blocks.first()) {
            (Some(&f), Some(&g)) => same_values(old, &old.p.block(f).args, new, &new.p.block(g).args),
            _ => true,
        }
}

/// The op's own name where it is not the first result's.
fn shown_name<'p>(p: &'p Program, op: &'p Op) -> Option<&'p str> {
    let result = op.result().map(|r| &*p.value(r).name);
    op.name.as_deref().filter(|n| result != Some(n))
}

/// Values where they are defined: names and types.
fn same_values(old: &Side<'_>, xs: &[ValueId], new: &Side<'_>, ys: &[ValueId]) -> bool {
    let same = |(&x, &y): (&ValueId, &ValueId)| same_name(old, x, new, y) && old.p.ty(x) == new.p.ty(y);
    xs.len() == ys.len() && xs.iter().zip(ys).all(same)
}

fn same_name(old: &Side<'_>, x: ValueId, new: &Side<'_>, y: ValueId) -> bool {
    old.p.value(x).name == new.p.value(y).name && old.printer.suffix(x) == new.printer.suffix(y)
}

fn same_operand(old: &Side<'_>, x: &Operand, new: &Side<'_>, y: &Operand) -> bool {
    if x.param != y.param {
        return false;
    }
    match (old.printer.is_inline(x), new.printer.is_inline(y)) {
        (true, true) => match (old.p.constant(x.value), new.p.constant(y.value)) {
            (Some(c), Some(d)) => x.binding == y.binding && same_bits(&c.tensor, &d.tensor),
            _ => false,
        },
        (false, false) => same_name(old, x.value, new, y.value),
        _ => false,
    }
}

fn same_constant(old: &Side<'_>, x: ValueId, new: &Side<'_>, y: ValueId) -> bool {
    match (old.p.constant(x), new.p.constant(y)) {
        (Some(c), Some(d)) => {
            same_name(old, x, new, y) && c.sealed == d.sealed && same_bits(&c.tensor, &d.tensor)
        }
        _ => false,
    }
}

/// Whether two constants are equal; those that share their bytes are not read.
pub(crate) fn same_bits(a: &Tensor, b: &Tensor) -> bool {
    let shared = match (a.payload(), b.payload()) {
        (Payload::Bytes(x), Payload::Bytes(y)) => x.as_ptr() == y.as_ptr() && x.len() == y.len(),
        (Payload::Chunks(x), Payload::Chunks(y)) => std::sync::Arc::ptr_eq(x, y),
        _ => false,
    };
    a.dtype() == b.dtype() && a.dims() == b.dims() && (shared || a.same_bits(b))
}
