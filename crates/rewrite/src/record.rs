//! What fired: kept so that it can be listed, numbered, and replayed with parts left out.

use anewrite_ir::{Id, OpId, Program, Str, ValueId};
use rustc_hash::FxHashMap;

use crate::patch::Patch;
use crate::rule::Code;

/// One applied patch.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) code: Code,
    pub(crate) name: Str,
    pub(crate) group: u32,
    /// The first of the groups that it was weighed with.
    pub(crate) joint: u32,
    pub(crate) patch: Patch,
    pub(crate) depends: Vec<u32>,
    pub(crate) added: Vec<OpId>,
    pub(crate) removed: Vec<OpId>,
    pub(crate) made_values: Vec<ValueId>,
    /// Ops whose operands it changed.
    pub(crate) touched: Vec<OpId>,
    pub(crate) dirty: Vec<OpId>,
}

/// A group of patches that belong together: one firing of a rule and the clean-up that it needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// Its number, from 1, in the order of application; `--stop-after` counts these.
    pub number: u32,
    /// The number of the first of the firings that only together are a gain; its own where it is one alone.
    pub with: u32,
    /// The rule.
    pub code: Code,
    /// The result that the rule was about.
    pub at: Str,
    /// Ops that went: kind and name.
    pub removed: Vec<(Str, Str)>,
    /// Ops that came and stayed: kind and name.
    pub added: Vec<(Str, Str)>,
    /// What the rule has people know about it.
    pub notes: Vec<String>,
}

pub(crate) fn firings(p: &Program, records: &[Record]) -> Vec<Firing> {
    let describe = |op: &OpId| {
        let o = p.op(*op);
        let name = o.result().map_or_else(|| o.kind.clone(), |r| p.value(r).name.clone());
        (o.kind.clone(), name)
    };
    let mut out: Vec<Firing> = Vec::new();
    for r in records {
        let removed = r.removed.iter().map(describe);
        let added = r.added.iter().filter(|&&op| p.is_alive(op)).map(describe);
        match out.last_mut().filter(|f| f.number == r.group) {
            Some(f) => {
                f.removed.extend(removed);
                f.added.extend(added);
                f.notes.extend(r.patch.notes.iter().cloned());
            }
            None => out.push(Firing {
                number: r.group,
                with: r.joint,
                code: r.code,
                at: r.name.clone(),
                removed: removed.collect(),
                added: added.collect(),
                notes: r.patch.notes.clone(),
            }),
        }
    }
    out
}

/// Which identities of a first run are which of a replay.
pub(crate) struct Ids {
    first_new_op: usize,
    first_new_value: usize,
    ops: FxHashMap<OpId, OpId>,
    values: FxHashMap<ValueId, ValueId>,
}

impl Ids {
    pub(crate) fn new(first_new_op: usize, first_new_value: usize) -> Self {
        Ids { first_new_op, first_new_value, ops: FxHashMap::default(), values: FxHashMap::default() }
    }

    pub(crate) fn op(&self, id: OpId) -> Option<OpId> {
        if id.index() < self.first_new_op { Some(id) } else { self.ops.get(&id).copied() }
    }

    fn value(&self, id: ValueId) -> Option<ValueId> {
        if id.index() < self.first_new_value { Some(id) } else { self.values.get(&id).copied() }
    }

    /// The patch in the replay's identities; `None` where it needs something that the replay has not.
    pub(crate) fn translate(&self, patch: &Patch) -> Option<Patch> {
        let mut out = patch.clone();
        for (_, outer) in &mut out.taps {
            *outer = self.value(*outer)?;
        }
        for (old, _) in &mut out.replaced {
            *old = self.value(*old)?;
        }
        for (op, _, value) in &mut out.rebound {
            (*op, *value) = (self.op(*op)?, self.value(*value)?);
        }
        for op in out.removed.iter_mut().chain(out.matched.iter_mut()).chain(out.anchor.as_mut()) {
            *op = self.op(*op)?;
        }
        for place in out.places.values_mut() {
            *place = self.op(*place)?;
        }
        for w in &mut out.witnesses {
            w.old = self.value(w.old)?;
        }
        Some(out)
    }

    pub(crate) fn learn(&mut self, old: &Record, added: &[OpId], made: &[ValueId]) {
        self.ops.extend(old.added.iter().copied().zip(added.iter().copied()));
        self.values.extend(old.made_values.iter().copied().zip(made.iter().copied()));
    }
}
