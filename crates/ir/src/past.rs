//! The order that ops had at an earlier point of a program's history.

use rustc_hash::FxHashMap;

use crate::edit::{Edit, Mark};
use crate::ids::{BlockId, OpId};
use crate::program::Program;

/// The order of ops as it was at a [`Mark`], read off the edits made since: it costs as much as those, and no more.
///
/// Ops that were there then still answer, but with the operands that they have now.
///
/// ```
/// use anewrite_ir::{DialectId, NewOp, Place, Program};
///
/// let mut p = Program::new(DialectId::Mil);
/// let (_, body) = p.add_function("main", "CoreML6");
/// let a = p.add_op(Place::End(body), NewOp::new("relu"));
/// let b = p.add_op(Place::End(body), NewOp::new("relu"));
/// let mark = p.mark();
/// let c = p.add_op(Place::Before(b), NewOp::new("relu"));
/// p.remove_op(a);
/// let past = p.past(mark);
/// assert_eq!((past.first(body), past.next(a), past.next(b)), (Some(a), Some(b), None));
/// assert_eq!((p.prev_op(b), past.prev(b)), (Some(c), Some(a)));
/// ```
#[derive(Debug)]
pub struct Past<'p> {
    program: &'p Program,
    /// Neighbours that were others: before and after.
    links: FxHashMap<OpId, (Option<OpId>, Option<OpId>)>,
    /// Blocks that began or ended with another op.
    ends: FxHashMap<BlockId, (Option<OpId>, Option<OpId>)>,
}

impl Program {
    /// The order of ops at `mark`.
    pub fn past(&self, mark: Mark) -> Past<'_> {
        let mut past = Past { program: self, links: FxHashMap::default(), ends: FxHashMap::default() };
        for edit in self.edits_since(mark).iter().rev() {
            match *edit {
                Edit::AddOp(op) => past.unlink(op),
                Edit::RemoveOp { op, before } => past.relink(op, before),
                _ => {}
            }
        }
        past
    }
}

impl Past<'_> {
    /// The op that stood before `op` in its block.
    pub fn prev(&self, op: OpId) -> Option<OpId> {
        self.links.get(&op).map_or_else(|| self.program.prev_op(op), |l| l.0)
    }

    /// The op that stood after `op` in its block.
    pub fn next(&self, op: OpId) -> Option<OpId> {
        self.links.get(&op).map_or_else(|| self.program.next_op(op), |l| l.1)
    }

    /// The op that the block began with.
    pub fn first(&self, block: BlockId) -> Option<OpId> {
        self.ends(block).0
    }

    fn ends(&self, block: BlockId) -> (Option<OpId>, Option<OpId>) {
        let b = self.program.block(block);
        self.ends.get(&block).copied().unwrap_or((b.first, b.last))
    }

    fn set_next(&mut self, block: BlockId, op: Option<OpId>, next: Option<OpId>) {
        match op {
            Some(op) => {
                let prev = self.prev(op);
                self.links.insert(op, (prev, next));
            }
            None => {
                let last = self.ends(block).1;
                self.ends.insert(block, (next, last));
            }
        }
    }

    fn set_prev(&mut self, block: BlockId, op: Option<OpId>, prev: Option<OpId>) {
        match op {
            Some(op) => {
                let next = self.next(op);
                self.links.insert(op, (prev, next));
            }
            None => {
                let first = self.ends(block).0;
                self.ends.insert(block, (first, prev));
            }
        }
    }

    fn unlink(&mut self, op: OpId) {
        let (block, prev, next) = (self.program.block_of(op), self.prev(op), self.next(op));
        self.set_next(block, prev, next);
        self.set_prev(block, next, prev);
    }

    fn relink(&mut self, op: OpId, next: Option<OpId>) {
        let block = self.program.block_of(op);
        let prev = match next {
            Some(next) => self.prev(next),
            None => self.ends(block).1,
        };
        self.links.insert(op, (prev, next));
        self.set_next(block, prev, Some(op));
        self.set_prev(block, next, Some(op));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{NewOp, Place};
    use crate::program::DialectId;

    fn order(past: &Past<'_>, block: BlockId) -> Vec<OpId> {
        std::iter::successors(past.first(block), |&op| past.next(op)).collect()
    }

    #[test]
    fn the_order_of_a_mark_is_kept_through_removals_and_insertions_at_both_ends() {
        let mut p = Program::new(DialectId::Mil);
        let (_, b) = p.add_function("main", "CoreML6");
        let relu = || NewOp::new("relu");
        let ops: Vec<OpId> = (0..5).map(|_| p.add_op(Place::End(b), relu())).collect();
        let mark = p.mark();
        p.add_op(Place::Before(ops[0]), relu());
        let middle = p.add_op(Place::Before(ops[2]), relu());
        for op in [ops[2], ops[1], ops[4], middle, ops[0]] {
            assert!(p.remove_op(op));
        }
        let late = p.mark();
        p.add_op(Place::End(b), relu());
        p.remove_op(ops[3]);
        assert_eq!(order(&p.past(mark), b), ops);
        assert_eq!(order(&p.past(late), b).len(), 2);
        let back: Vec<OpId> = std::iter::successors(Some(ops[4]), |&op| p.past(mark).prev(op)).collect();
        assert_eq!(back, ops.iter().rev().copied().collect::<Vec<_>>());
        p.rollback(mark);
        assert_eq!(p.ops(b).collect::<Vec<_>>(), ops);
    }
}
