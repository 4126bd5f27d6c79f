//! The blobs that networks inside a layer share with what is around them.

use anewrite_ir::{Attr, BlockId, Builder, Dim, Op, OpId, Str, User, ValueId};
use anewrite_tensor::Tensor;
use rustc_hash::FxHashSet;

use super::Net;
use crate::call::{CARRIED, NETWORKS};
use crate::error::Reason;

/// A blob: its name, the value before the layer if there is one, and the layer's result.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) name: Str,
    pub(super) before: Option<ValueId>,
    pub(super) result: ValueId,
}

impl Net<'_> {
    /// The network in the layer's field of that name.
    pub(super) fn network(&self, o: &Op, name: &str) -> Option<BlockId> {
        let Some(Attr::List(names)) = o.attr(NETWORKS) else { return None };
        let at = names.iter().position(|n| n.as_str() == Some(name))?;
        o.blocks.get(at).copied()
    }

    /// The blobs that the layer's networks share with what is around.
    pub(super) fn shared(&self, o: &Op) -> Vec<Blob> {
        let Some(&first) = o.blocks.first() else { return Vec::new() };
        let args = &self.p.block(first).args;
        let results = o.results.iter().skip(o.results.len().saturating_sub(args.len()));
        let name = |v: ValueId| self.p.value(v).name.clone();
        let before = |arg| {
            let v = o.args(CARRIED).find(|&v| name(v) == name(arg))?;
            self.values.get(&v).copied()
        };
        let blob = |(&arg, &result)| Blob { name: name(arg), before: before(arg), result };
        args.iter().zip(results).map(blob).collect()
    }

    /// Lets the arguments of a network stand for these values, by name.
    pub(super) fn enter<'s>(
        &mut self,
        block: BlockId,
        shared: impl Iterator<Item = (&'s Str, Option<ValueId>)> + Clone,
    ) {
        let p = self.p;
        for &arg in &p.block(block).args {
            let name = &p.value(arg).name;
            match shared.clone().find(|(n, _)| *n == name) {
                Some((_, Some(v))) => {
                    self.unset.remove(&arg);
                    self.values.insert(arg, v);
                }
                _ => {
                    self.unset.insert(arg);
                    self.values.remove(&arg);
                }
            }
        }
    }

    /// The argument of a network that is this blob.
    pub(super) fn arg(&self, block: BlockId, name: &str) -> Option<ValueId> {
        self.p.block(block).args.iter().copied().find(|&a| *self.p.value(a).name == *name)
    }

    /// The network's value that is this blob before an op of the block, or at the end.
    fn last(&self, block: BlockId, before: Option<OpId>, name: &str) -> Option<ValueId> {
        let p = self.p;
        let own = self.arg(block, name);
        if before.is_none()
            && let Some(at) = p.block(block).args.iter().position(|&a| Some(a) == own)
        {
            return p.block(block).outputs.get(at).copied();
        }
        let ops = p.ops(block).take_while(|&op| Some(op) != before);
        let made = ops.flat_map(|op| p.op(op).results.iter().copied());
        made.filter(|&v| *p.value(v).name == *name).last().or(own)
    }

    /// What stands for a blob before an op of the block, or at the end.
    pub(super) fn now(&self, block: BlockId, before: Option<OpId>, name: &str) -> Option<ValueId> {
        self.last(block, before, name).and_then(|v| self.values.get(&v).copied())
    }

    /// Whether an op of the block from `from` on writes the blob, or lets something in it do so.
    pub(super) fn writes(&self, block: BlockId, from: Option<OpId>, name: &str) -> bool {
        let p = self.p;
        let ops = p.ops(block).skip_while(|&op| from.is_some_and(|from| from != op));
        ops.flat_map(|op| p.op(op).results.iter()).any(|&v| *p.value(v).name == *name)
    }

    /// Whether a round of the loop around may end in the block.
    pub(super) fn exits(&self, block: BlockId) -> bool {
        let p = self.p;
        p.ops(block).any(|op| {
            let o = p.op(op);
            match &*o.kind {
                "nn.loopBreak" | "nn.loopContinue" => true,
                "nn.branch" => o.blocks.iter().any(|&b| self.exits(b)),
                _ => false,
            }
        })
    }

    /// Whether a layer reads the value, or the network gives it, perhaps as a blob of a layer around.
    pub(super) fn live(&self, v: ValueId) -> bool {
        let mut seen = FxHashSet::default();
        let mut todo = vec![v];
        let p = self.p;
        while let Some(v) = todo.pop() {
            if !seen.insert(v) {
                continue;
            }
            for u in p.uses_unsorted(v) {
                let User::Output(block) = u.user else { return true };
                let Some(holder) = p.block(block).parent else { return true };
                let o = p.op(holder);
                let name = &p.value(v).name;
                let at = p.block(block).outputs.iter().zip(&p.block(block).args).filter(|(o, _)| **o == v);
                let names: Vec<Str> = at.map(|(_, &a)| p.value(a).name.clone()).collect();
                let same = |w: &ValueId| p.value(*w).name == *name || names.contains(&p.value(*w).name);
                todo.extend(o.results.iter().copied().filter(|w| same(w)));
                if &*o.kind == "nn.loop" {
                    let args = o.blocks.iter().flat_map(|&b| p.block(b).args.iter().copied());
                    todo.extend(args.filter(|w| same(w)));
                }
            }
        }
        false
    }

    /// A value for a blob that nothing has written on this way: zeros of the type that it has on others. The format does
    /// not say what is read there.
    pub(super) fn unwritten(&self, b: &mut Builder<'_>, like: ValueId) -> Result<ValueId, Reason> {
        let p = self.p;
        let shape = |v: ValueId| {
            let ty = self.mapping.lowered(self.facts.ty(p, v));
            ty.tensor().and_then(|t| t.shape.clone())
        };
        // of the blob itself, or of a value that a layer gives it in the networks around
        let holder = p.def_op(like).or_else(|| p.block(p.value_block(like)).parent);
        let blocks = holder.map(|op| p.op(op).blocks.to_vec()).unwrap_or_default();
        let inside = blocks
            .into_iter()
            .flat_map(|block| p.walk(block))
            .flat_map(|op| p.op(op).results.iter().copied());
        let same = inside.filter(|&v| p.value(v).name == p.value(like).name);
        let shape = std::iter::once(like).chain(same).find_map(shape);
        let shape = shape.ok_or_else(|| {
            let name = &self.p.value(like).name;
            Reason::Missing(format!("a blob of unknown rank that is written on one way only ({name})"))
        })?;
        let extent = |d: &Dim| i32::try_from(d.known().unwrap_or(1)).unwrap_or(i32::MAX);
        let shape = b.constant(Tensor::i32s(shape.iter().map(extent)));
        let zero = b.constant(Tensor::from_f64s(self.options.float, &[], &[0.0])?);
        Ok(b.op("fill", &[("shape", shape), ("value", zero)])?)
    }
}

/// The names of blobs with their values.
pub(super) fn named<'s>(
    blobs: &'s [Blob],
    values: &'s [Option<ValueId>],
) -> impl Iterator<Item = (&'s Str, Option<ValueId>)> + Clone + 's {
    blobs.iter().map(|blob| &blob.name).zip(values.iter().copied())
}
