//! The part of a program that a patch replaces, cut out so that it can be run.

use std::collections::BTreeSet;

use anewrite_ir::infer::Facts;
use anewrite_ir::{Effect, OpId, Program, Type, ValueId};
use anewrite_rewrite::{IndexMap, Patch};
use rustc_hash::FxHashSet;

/// Regions of more ops are not cut out.
const MOST_OPS: usize = 2000;

/// One pair of values that must agree.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// The value of the program.
    pub(crate) old: ValueId,
    /// What it is compared with.
    pub(crate) new: Side,
    /// Where the old elements are in the new value.
    pub(crate) map: IndexMap,
}

/// What an old value is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// A value of the patch.
    Patch(ValueId),
    /// Another value of the program.
    Program(ValueId),
}

/// Everything that a patch says is equal.
pub(crate) fn pairs(program: &Program, patch: &Patch) -> Vec<Pair> {
    let same = |&(old, new): &(ValueId, anewrite_rewrite::PatchValue)| Pair {
        old,
        new: Side::Patch(new.id()),
        map: IndexMap::Same,
    };
    let mut out: Vec<Pair> = patch.replaced.iter().map(same).collect();
    for &(op, slot, value) in &patch.rebound {
        if let Some(x) = program.op(op).operands.get(slot) {
            out.push(Pair { old: x.value, new: Side::Program(value), map: IndexMap::Same });
        }
    }
    for w in &patch.witnesses {
        out.push(Pair { old: w.old, new: Side::Patch(w.new.id()), map: w.map.clone() });
    }
    out
}

/// Ops of a program with the values that come in from around them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Region {
    /// In program order.
    pub(crate) ops: Vec<OpId>,
    /// Values that the ops read and do not make, constants not among them; in order of their making.
    pub(crate) inputs: Vec<ValueId>,
    /// Values wanted.
    pub(crate) wanted: Vec<ValueId>,
    /// Whether it has as many ops as a region may have, and something is missing.
    pub(crate) is_cut_short: bool,
}

/// What decides how far back a region goes.
pub(crate) struct Cut<'a> {
    pub(crate) program: &'a Program,
    pub(crate) facts: &'a Facts,
    /// Whether an op can be run apart from the rest: it is pure and known.
    pub(crate) runs: &'a dyn Fn(OpId) -> bool,
}

impl Cut<'_> {
    /// The region that computes the old values of `pairs` and the tapped values of the patch.
    ///
    /// It goes back from the old values to the tapped ones. Where old values also depend on something that is not
    /// tapped, the patch may count on how the tapped values come from the same: their ops belong to it too. `more` is
    /// how many further steps the region goes back from there.
    pub(crate) fn region(&self, pairs: &[Pair], patch: &Patch, more: usize) -> Region {
        let p = self.program;
        let taps: Vec<ValueId> =
            patch.taps.iter().map(|&(_, outer)| outer).filter(|&v| p.constant(v).is_none()).collect();
        let mut wanted: Vec<ValueId> = pairs.iter().map(|x| x.old).collect();
        for pair in pairs {
            if let Side::Program(v) = pair.new {
                wanted.push(v);
            }
        }
        let stop: FxHashSet<ValueId> = taps.iter().copied().collect();
        let matched: FxHashSet<OpId> = patch.matched.iter().chain(&patch.removed).copied().collect();
        let mut ops: BTreeSet<OpId> = BTreeSet::new();
        let mut frontier: FxHashSet<ValueId> = FxHashSet::default();
        let mut queue: Vec<(ValueId, bool)> = wanted.iter().map(|&v| (v, true)).collect();
        let mut seen: FxHashSet<ValueId> = FxHashSet::default();
        while let Some((v, first)) = queue.pop() {
            if ops.len() > MOST_OPS {
                return Region { is_cut_short: true, ..Region::default() };
            }
            if !seen.insert(v) || p.constant(v).is_some() {
                continue;
            }
            let op = p.def_op(v).filter(|&op| (self.runs)(op));
            let follow = |op: &OpId| {
                first || matched.contains(op) || self.facts.ints(v).is_some() || self.between(v, &stop, patch)
            };
            match op.filter(|op| !stop.contains(&v) && follow(op)) {
                Some(op) => {
                    ops.insert(op);
                    queue.extend(self.reads(op).into_iter().map(|v| (v, false)));
                }
                None => {
                    frontier.insert(v);
                }
            }
        }
        wanted.extend(&taps);
        // A tapped value that no old one comes from is right only by how it is made.
        let unread = taps.iter().any(|v| !frontier.contains(v));
        let untapped = unread || frontier.iter().any(|v| !stop.contains(v)) || patch.taps.is_empty();
        let mut steps = more;
        if untapped {
            frontier.extend(&taps);
            steps += 1;
        }
        for _ in 0..steps {
            self.step_back(&mut ops, &mut frontier);
        }
        self.close(ops, frontier, wanted)
    }

    /// Makes the ops that define the frontier part of the region.
    fn step_back(&self, ops: &mut BTreeSet<OpId>, frontier: &mut FxHashSet<ValueId>) {
        let mut at: Vec<ValueId> = frontier.drain().collect();
        at.sort_unstable();
        for v in at {
            match self.program.def_op(v).filter(|&op| (self.runs)(op)) {
                Some(op) => {
                    ops.insert(op);
                    frontier.extend(self.reads(op));
                }
                None => {
                    frontier.insert(v);
                }
            }
        }
    }

    /// The region of these ops: its inputs are what they read, and wanted values that they do not make.
    fn close(&self, ops: BTreeSet<OpId>, frontier: FxHashSet<ValueId>, wanted: Vec<ValueId>) -> Region {
        let p = self.program;
        let made: FxHashSet<ValueId> = ops.iter().flat_map(|&op| p.op(op).results.iter().copied()).collect();
        let mut inputs: BTreeSet<ValueId> = frontier.into_iter().collect();
        for &op in &ops {
            inputs.extend(self.reads(op));
        }
        inputs.extend(&wanted);
        inputs.retain(|v| !made.contains(v) && p.constant(*v).is_none());
        let mut ops: Vec<OpId> = ops.into_iter().collect();
        self.order(&mut ops);
        let is_cut_short = ops.len() > MOST_OPS;
        Region { ops, inputs: inputs.into_iter().collect(), wanted, is_cut_short }
    }

    /// Sorts ops so that each stands behind what it reads.
    fn order(&self, ops: &mut Vec<OpId>) {
        let p = self.program;
        let all: FxHashSet<OpId> = ops.iter().copied().collect();
        let mut done: FxHashSet<OpId> = FxHashSet::default();
        let mut out = Vec::with_capacity(ops.len());
        for &op in ops.iter() {
            let mut stack = vec![(op, false)];
            while let Some((op, ready)) = stack.pop() {
                if ready {
                    out.push(op);
                    continue;
                }
                if !done.insert(op) {
                    continue;
                }
                stack.push((op, true));
                let before = self.reads(op).into_iter().filter_map(|v| p.def_op(v));
                stack
                    .extend(before.filter(|op| all.contains(op) && !done.contains(op)).map(|op| (op, false)));
            }
        }
        *ops = out;
    }

    /// Values that an op reads from outside of itself, its blocks included; constants not.
    fn reads(&self, op: OpId) -> Vec<ValueId> {
        let p = self.program;
        let o = p.op(op);
        let mut out: Vec<ValueId> = o.operands.iter().map(|x| x.value).collect();
        if !o.blocks.is_empty() {
            let own: FxHashSet<_> = o.blocks.iter().flat_map(|&b| nested(p, b)).collect();
            for &b in &own {
                let reads = p.ops(b).flat_map(|inner| p.op(inner).operands.iter().map(|x| x.value));
                let outputs = p.block(b).outputs.iter().copied();
                out.extend(reads.chain(outputs).filter(|&v| !own.contains(&p.value_block(v))));
            }
        }
        out.retain(|&v| p.constant(v).is_none());
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Whether a value may lie between a tapped one and an old one: it is defined behind a tapped one, and near.
    fn between(&self, v: ValueId, taps: &FxHashSet<ValueId>, patch: &Patch) -> bool {
        let p = self.program;
        let Some(op) = p.def_op(v) else { return false };
        // A rule taps what its match reads, so what lies between is read through ops that it has not matched only in
        // sweeps, which match none.
        if !patch.matched.is_empty() {
            return false;
        }
        taps.iter().any(|&t| match p.def_op(t) {
            Some(def) => p.is_before(def, op),
            None => true,
        })
    }
}

fn nested(p: &Program, block: anewrite_ir::BlockId) -> Vec<anewrite_ir::BlockId> {
    let mut out = vec![block];
    let mut at = 0;
    while let Some(&b) = out.get(at) {
        out.extend(p.ops(b).flat_map(|op| p.op(op).blocks.iter().copied()));
        at += 1;
    }
    out
}

/// Whether an op can be run apart from the rest of its program.
pub(crate) fn runs_apart(p: &Program, effect: Effect, op: OpId) -> bool {
    effect == Effect::Pure
        && p.op(op).results.iter().all(|&r| !matches!(p.ty(r), Type::State(_) | Type::List { .. }))
}
