//! Which stretches of a program some patches changed, and what stood there before.

use anewrite_ir::{BlockId, Mark, OpId, Past, Program};
use rustc_hash::FxHashSet;

use crate::objective::Stretch;

/// How many unchanged ops a stretch shows on each side: as far as the choice of a side reaches where ops are small.
const SURROUNDINGS: usize = 32;

/// What happened since a mark.
pub(crate) struct Changes<'a> {
    pub(crate) program: &'a Program,
    pub(crate) mark: Mark,
    /// Ops from this identity on were not there at the mark.
    pub(crate) known: usize,
    /// Ops that were touched, came, or went.
    pub(crate) ops: Vec<OpId>,
    /// Ops of the program, then and now.
    pub(crate) total: [usize; 2],
}

impl Changes<'_> {
    /// The stretches, which do not overlap, in the order in which the changes were made. This takes time linear in the
    /// number of changed ops.
    pub(crate) fn stretches(&self) -> Vec<Stretch> {
        let past = self.program.past(self.mark);
        let was_there = |op: OpId| anewrite_ir::Id::index(op) < self.known;
        // Ops of then that changed, went, or got new neighbours.
        let mut hit: Vec<OpId> = Vec::new();
        let mut blocks: Vec<BlockId> = Vec::new();
        let mut seen: FxHashSet<OpId> = FxHashSet::default();
        for &op in &self.ops {
            if was_there(op) {
                hit.push(op);
                continue;
            }
            if !self.program.is_alive(op) || !seen.insert(op) {
                continue;
            }
            let old = |next: &dyn Fn(OpId) -> Option<OpId>, seen: &mut FxHashSet<OpId>| {
                let mut at = next(op);
                while let Some(other) = at.filter(|&o| !was_there(o)) {
                    seen.insert(other);
                    at = next(other);
                }
                at
            };
            let before = old(&|o| self.program.prev_op(o), &mut seen);
            let after = old(&|o| self.program.next_op(o), &mut seen);
            hit.extend(before.into_iter().chain(after));
            let block = self.program.block_of(op);
            if before.is_none() && after.is_none() && past.first(block).is_none() {
                blocks.push(block);
            }
        }
        let hits: FxHashSet<OpId> = hit.iter().copied().collect();
        let mut covered: FxHashSet<OpId> = FxHashSet::default();
        let mut out = Vec::new();
        for op in hit {
            // Blocks that came with an op have no past.
            if !covered.contains(&op) && self.had(&past, op) {
                out.push(self.stretch(&past, op, &hits, &mut covered));
            }
        }
        out.extend(blocks.into_iter().map(|block| self.filled(block)));
        out
    }

    /// Whether the op stood in a block then.
    fn had(&self, past: &Past<'_>, op: OpId) -> bool {
        past.prev(op).is_some() || past.first(self.program.block_of(op)) == Some(op)
    }

    /// The stretch around `op`: on to each side for as long as another changed op is near, and the surroundings.
    fn stretch(
        &self,
        past: &Past<'_>,
        op: OpId,
        hits: &FxHashSet<OpId>,
        covered: &mut FxHashSet<OpId>,
    ) -> Stretch {
        let reach = |next: &dyn Fn(OpId) -> Option<OpId>| {
            let mut ops: Vec<OpId> = Vec::new();
            let (mut at, mut last_hit) = (next(op), 0);
            while let Some(o) = at {
                if ops.len() == last_hit + SURROUNDINGS {
                    return (ops, last_hit, false);
                }
                ops.push(o);
                if hits.contains(&o) {
                    last_hit = ops.len();
                }
                at = next(o);
            }
            (ops, last_hit, true)
        };
        let (left, left_hit, opens) = reach(&|o| past.prev(o));
        let (right, right_hit, closes) = reach(&|o| past.next(o));
        covered.insert(op);
        covered.extend(left[..left_hit].iter().chain(&right[..right_hit]));
        let (lead, trail) = (left.len() - left_hit, right.len() - right_hit);
        let before: Vec<OpId> = left.iter().rev().chain([&op]).chain(&right).copied().collect();
        let block = self.program.block_of(op);
        // Ops of the surroundings are there now as well, and in the same order.
        let first = if lead > 0 { left.last().copied() } else { self.program.ops(block).next() };
        let last = right.last().copied().filter(|_| trail > 0);
        let mut after: Vec<OpId> = Vec::with_capacity(before.len());
        let mut at = first;
        while let Some(o) = at {
            after.push(o);
            at = self.program.next_op(o).filter(|_| Some(o) != last);
        }
        let body = self.is_body(block);
        Stretch {
            before,
            after,
            lead,
            trail,
            opens: opens && body,
            closes: closes && body,
            total: self.total,
        }
    }

    /// A block that was empty.
    fn filled(&self, block: BlockId) -> Stretch {
        let body = self.is_body(block);
        let after = self.program.ops(block).collect();
        Stretch { before: Vec::new(), after, lead: 0, trail: 0, opens: body, closes: body, total: self.total }
    }

    fn is_body(&self, block: BlockId) -> bool {
        self.program.block(block).parent.is_none()
    }
}
