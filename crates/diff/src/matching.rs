//! Which line of the old program became which line of the new one.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use anewrite_ir::text::{Line, LineContent};
use anewrite_ir::{Attr, BlockId, OpId, Program, Side as Facts, ValueId};
use anewrite_tensor::Tensor;
use rustc_hash::{FxHashMap, FxHasher};

use crate::same::{Side, same_bits};

/// Constants of equal type that are looked at for equal bits before a constant counts as new.
const MAX_CANDIDATES: usize = 8;

/// What a line is recognised by: no two lines of a function have the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key<'a> {
    Signature,
    End,
    /// A constant's name.
    Constant(&'a str),
    /// The name of an op's first result.
    Result(&'a str),
    /// Kind and name of an op without results.
    Effect(&'a str, Option<&'a str>),
}

/// For each new line the old line that it was; each old line at most once.
pub(crate) fn pair_lines(old: &Side<'_>, olds: &[Line], new: &Side<'_>, news: &[Line]) -> Vec<Option<usize>> {
    let mut pairs = by_key(old.p, olds, new.p, news);
    by_structure(old.p, olds, new.p, news, &mut pairs);
    nested_ends(olds, news, &mut pairs);
    pairs
}

fn keys<'a>(p: &'a Program, lines: &[Line]) -> Vec<Option<(Key<'a>, u32)>> {
    let mut seen: FxHashMap<Key<'a>, u32> = FxHashMap::default();
    let key = |line: &Line| match line.content {
        LineContent::Signature(_) => Some(Key::Signature),
        LineContent::End(_) => Some(Key::End),
        LineContent::Constant(v) => Some(Key::Constant(&p.value(v).name)),
        LineContent::Op(op) => Some(match p.op(op).result() {
            Some(r) => Key::Result(&p.value(r).name),
            None => Key::Effect(&p.op(op).kind, p.op(op).name.as_deref()),
        }),
        LineContent::NestedEnd { .. } => None,
    };
    let mut numbered = |key| {
        let n = seen.entry(key).or_insert(0);
        *n += 1;
        (key, *n)
    };
    lines.iter().map(|line| key(line).map(&mut numbered)).collect()
}

fn by_key(p: &Program, olds: &[Line], q: &Program, news: &[Line]) -> Vec<Option<usize>> {
    let index: FxHashMap<_, usize> =
        keys(p, olds).into_iter().enumerate().filter_map(|(i, k)| Some((k?, i))).collect();
    keys(q, news).into_iter().map(|k| index.get(&k?).copied()).collect()
}

/// Pairs ops and constants whose names differ: those that do the same to the same.
fn by_structure(p: &Program, olds: &[Line], q: &Program, news: &[Line], pairs: &mut [Option<usize>]) {
    let mut partner = vec![None; olds.len()];
    for (new, old) in pairs.iter().enumerate() {
        if let Some(slot) = old.and_then(|o| partner.get_mut(o)) {
            *slot = Some(new);
        }
    }
    if pairs.iter().all(Option::is_some) || partner.iter().all(Option::is_some) {
        return;
    }
    let mut free: FxHashMap<u64, VecDeque<usize>> = FxHashMap::default();
    let mut values = Values::new(p);
    for (i, line) in olds.iter().enumerate() {
        let paired = partner.get(i).is_some_and(Option::is_some);
        if let Some(structure) = values.line(line.content, paired.then_some(i)) {
            free.entry(structure).or_default().push_back(i);
        }
    }
    let mut values = Values::new(q);
    for (line, pair) in news.iter().zip(pairs) {
        let Some(structure) = values.line(line.content, *pair) else { continue };
        let Some(candidates) = free.get_mut(&structure) else { continue };
        let constant = |p: &Program, content| match content {
            LineContent::Constant(v) => p.constant(v).map(|c| c.tensor.clone()),
            _ => None,
        };
        let at = match constant(q, line.content) {
            // equal types say little: look at the bits
            Some(t) => candidates.iter().take(MAX_CANDIDATES).position(|&o| {
                let old = olds.get(o).and_then(|l| constant(p, l.content));
                old.is_some_and(|o| same_bits(&o, &t))
            }),
            None => Some(0),
        };
        *pair = at.and_then(|at| candidates.remove(at));
    }
}

/// Ends of nested blocks pair as their ops do.
fn nested_ends(olds: &[Line], news: &[Line], pairs: &mut [Option<usize>]) {
    let mut op_of: FxHashMap<OpId, OpId> = FxHashMap::default();
    for (line, pair) in news.iter().zip(pairs.iter()) {
        let old = pair.and_then(|o| olds.get(o)).map(|l| l.content);
        if let (LineContent::Op(new), Some(LineContent::Op(old))) = (line.content, old) {
            op_of.insert(new, old);
        }
    }
    let ends = olds.iter().enumerate().filter_map(|(i, line)| match line.content {
        LineContent::NestedEnd { op, ended } => Some(((op, ended), i)),
        _ => None,
    });
    let ends: FxHashMap<(OpId, u32), usize> = ends.collect();
    for (line, pair) in news.iter().zip(pairs) {
        if let LineContent::NestedEnd { op, ended } = line.content {
            *pair = op_of.get(&op).and_then(|&old| ends.get(&(old, ended)).copied());
        }
    }
}

/// What each value of one program is, in terms that hold for both.
struct Values<'a> {
    p: &'a Program,
    of: Facts<ValueId, u64>,
}

impl<'a> Values<'a> {
    fn new(p: &'a Program) -> Self {
        Values { p, of: Facts::new(0) }
    }

    /// Notes what a line's values are. `pair` is the number of the old line in its pair; a line without one gives
    /// its structure, by which it may be paired.
    fn line(&mut self, content: LineContent, pair: Option<usize>) -> Option<u64> {
        match content {
            LineContent::Signature(f) => {
                self.args(self.p.function(f).body, 0);
                None
            }
            LineContent::End(_) => None,
            LineContent::NestedEnd { op, ended } => {
                let blocks = &self.p.op(op).blocks;
                if let Some(&next) = blocks.get(ended as usize + 1) {
                    self.args(next, u64::from(ended) + 1);
                }
                None
            }
            LineContent::Constant(v) => {
                let id = self.p.constant(v).map_or(0, |c| constant(&c.tensor));
                self.of.set(v, pair.map_or(id, |i| hash(&("pair", i))));
                pair.is_none().then_some(id)
            }
            LineContent::Op(op) => {
                let id = self.structure(op);
                let shown = pair.map_or(id, |i| hash(&("pair", i)));
                for (i, &r) in self.p.op(op).results.iter().enumerate() {
                    self.of.set(r, hash(&(shown, i)));
                }
                if let Some(&first) = self.p.op(op).blocks.first() {
                    self.args(first, 0);
                }
                pair.is_none().then_some(id)
            }
        }
    }

    fn args(&mut self, block: BlockId, number: u64) {
        for (i, &a) in self.p.block(block).args.iter().enumerate() {
            self.of.set(a, hash(&("arg", number, i, &*self.p.value(a).name)));
        }
    }

    fn structure(&self, id: OpId) -> u64 {
        let op = self.p.op(id);
        let mut h = FxHasher::default();
        (&*op.kind, op.blocks.len(), op.results.len()).hash(&mut h);
        for o in &op.operands {
            let value = match self.p.constant(o.value) {
                Some(c) => constant(&c.tensor),
                None => self.of[o.value],
            };
            (&*o.param, value).hash(&mut h);
        }
        for (name, attr) in &op.attrs {
            name.hash(&mut h);
            hash_attr(attr, &mut h);
        }
        op.results.iter().for_each(|&r| self.p.ty(r).hash(&mut h));
        h.finish()
    }
}

/// Type of a constant; content too where it is small.
fn constant(t: &Tensor) -> u64 {
    let mut h = FxHasher::default();
    (t.dtype(), t.dims()).hash(&mut h);
    if t.count() <= 64 {
        match (t.strings(), t.bytes()) {
            (Some(s), _) => s.hash(&mut h),
            (None, Ok(b)) => b.hash(&mut h),
            (None, Err(_)) => {}
        }
    }
    h.finish()
}

fn hash(what: &impl Hash) -> u64 {
    let mut h = FxHasher::default();
    what.hash(&mut h);
    h.finish()
}

fn hash_attr(attr: &Attr, h: &mut FxHasher) {
    std::mem::discriminant(attr).hash(h);
    match attr {
        Attr::Bool(b) => b.hash(h),
        Attr::Int(n) => n.hash(h),
        Attr::Float(x) => x.to_bits().hash(h),
        Attr::Text(s) | Attr::Enum(s) => s.hash(h),
        Attr::Bytes(b) => b.hash(h),
        Attr::List(items) => items.iter().for_each(|x| hash_attr(x, h)),
        Attr::Message(fields) => fields.iter().for_each(|(name, x)| {
            name.hash(h);
            hash_attr(x, h);
        }),
    }
}

/// The positions of a longest run that grows, among the numbers that are there.
pub(crate) fn longest_growing(numbers: &[Option<usize>]) -> Vec<usize> {
    // tails[k] is where the growing run of length k + 1 with the smallest last number ends
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; numbers.len()];
    let at = |i: usize| numbers.get(i).copied().flatten();
    for (i, number) in numbers.iter().enumerate() {
        let Some(number) = *number else { continue };
        let k = tails.partition_point(|&t| at(t) < Some(number));
        if let (Some(slot), Some(k)) = (before.get_mut(i), k.checked_sub(1)) {
            *slot = tails.get(k).copied();
        }
        match tails.get_mut(k) {
            Some(tail) => *tail = i,
            None => tails.push(i),
        }
    }
    let last = tails.last().copied();
    let mut run: Vec<usize> = std::iter::successors(last, |&i| before.get(i).copied().flatten()).collect();
    run.reverse();
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_growing_run() {
        let some = |n: &[i64]| -> Vec<Option<usize>> { n.iter().map(|&n| usize::try_from(n).ok()).collect() };
        assert_eq!(longest_growing(&some(&[3, 1, -1, 2, 9, 4, 5])), [1, 3, 5, 6]);
        assert_eq!(longest_growing(&some(&[-1, -1])), Vec::<usize>::new());
        assert_eq!(longest_growing(&some(&[5, 4, 3])), [2]);
        assert_eq!(longest_growing(&[]), Vec::<usize>::new());
    }
}
