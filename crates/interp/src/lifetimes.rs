//! When values are used for the last time.

use anewrite_ir::{BlockId, OpId, Program, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// Which values of a block die at which of its ops.
#[derive(Debug, Default)]
pub(crate) struct Lifetimes {
    dying: FxHashMap<OpId, Vec<ValueId>>,
}

impl Lifetimes {
    /// The lifetimes of the values that `block` and the blocks nested in it define. Linear in the ops.
    pub(crate) fn of(p: &Program, block: BlockId) -> Lifetimes {
        let mut all = Lifetimes::default();
        let mut captured = Vec::new();
        all.block(p, block, &mut captured);
        all
    }

    /// Values that nothing reads after this op.
    pub(crate) fn dying(&self, op: OpId) -> &[ValueId] {
        self.dying.get(&op).map_or(&[], Vec::as_slice)
    }

    /// Walks a block backwards; `captured` receives the values from outside that it reads.
    fn block(&mut self, p: &Program, block: BlockId, captured: &mut Vec<ValueId>) {
        let mut seen: FxHashSet<ValueId> = p.block(block).outputs.iter().copied().collect();
        let is_here = |v: ValueId| p.constant(v).is_none() && p.value_block(v) == block;
        let mut outside: FxHashSet<ValueId> = seen.iter().copied().filter(|&v| !is_here(v)).collect();
        for op in p.ops_rev(block) {
            let o = p.op(op);
            let mut used: Vec<ValueId> = o.operands.iter().map(|x| x.value).collect();
            for &inner in &o.blocks {
                self.block(p, inner, &mut used);
            }
            used.extend(&o.results);
            let mut dying = Vec::new();
            for v in used.into_iter().filter(|&v| p.constant(v).is_none()) {
                if !is_here(v) {
                    outside.insert(v);
                } else if seen.insert(v) {
                    dying.push(v);
                }
            }
            if !dying.is_empty() {
                self.dying.insert(op, dying);
            }
        }
        captured.extend(outside);
    }
}
