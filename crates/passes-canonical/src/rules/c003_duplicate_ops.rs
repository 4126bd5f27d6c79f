//! C003: one op for all that compute the same from the same.

use std::hash::{Hash, Hasher};

use anewrite_ir::{BlockId, DialectId, Effect, OpId, Program, Side, ValueId};
use anewrite_rewrite::{Miss, Rule, RuleInfo, Sweep, SweepCx, declare_rule, effect};
use anewrite_tensor::Tensor;
use rustc_hash::{FxHashMap, FxHasher};

use super::c002_duplicate_constants::MIN_ELEMENTS;
use super::content::{self, hash_field};

declare_rule! {
    /// ## What it does
    /// Makes the users of an op use an earlier op of the same kind with the same operands.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   a = relu(x = x);
    ///   b = relu(x = x);
    ///   c = tanh(x = b);
    ///   y = add(x = a, y = c);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   a = relu(x = x);
    ///   c = tanh(x = a);
    ///   y = add(x = a, y = c);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// A pure op gives the same result for the same operands, wherever it stands.
    ///
    /// ## Applies when
    /// 1. both are pure and without nested blocks: random ops, state reads and unknown ops stay
    /// 2. kind, attributes and operands agree; constants by being one value, or, below the 100 elements from which on
    ///    C002 makes them one, by dtype, shape and bits (in ML Programs: weights of layers may be there to be trained)
    /// 3. both stand in one block
    /// 4. the later one's result is not an output of the model, which would lose its name
    pub struct DuplicateOps = C 3 "duplicate-ops";
    grade: BitExact, purpose: Clean,
}

impl Rule for DuplicateOps {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn sweep(&self) -> Option<&dyn Sweep> {
        Some(self)
    }
}

impl Sweep for DuplicateOps {
    fn sweep(&self, cx: &mut SweepCx<'_>) {
        let p = cx.program;
        let mut canonical: Side<ValueId, Option<ValueId>> = Side::new(None);
        let mut first: FxHashMap<u64, Vec<OpId>> = FxHashMap::default();
        let mut duplicates = Vec::new();
        for op in p.all_ops() {
            let o = p.op(op);
            let pinned =
                o.results.iter().chain(o.operands.iter().map(|x| &x.value)).any(|&v| p.value(v).pinned);
            let used = o.results.iter().any(|&r| p.use_count(r) > 0);
            if o.sealed
                || pinned
                || !used
                || !o.blocks.is_empty()
                || effect(p, cx.dialect(), op) != Effect::Pure
            {
                continue;
            }
            let block = p.block_of(op);
            let twins = first.entry(fingerprint(p, op, block, &canonical)).or_default();
            match twins.iter().copied().find(|&t| same(p, t, op, &canonical)) {
                Some(twin) if !o.results.iter().any(|&r| p.is_output(r)) => {
                    for (&old, &new) in o.results.iter().zip(&p.op(twin).results) {
                        canonical.set(old, Some(new));
                    }
                    duplicates.push((op, twin));
                }
                _ => twins.push(op),
            }
        }
        for (op, twin) in duplicates {
            let (old, new) = (&cx.program.op(op).results, &cx.program.op(twin).results);
            cx.patch(|b| {
                for (&old, &new) in old.iter().zip(new) {
                    let new = b.tap(new);
                    b.replace(old, new)?;
                }
                b.remove(op);
                Ok::<_, Miss>(())
            });
        }
    }
}

fn resolve(v: ValueId, canonical: &Side<ValueId, Option<ValueId>>) -> ValueId {
    canonical[v].unwrap_or(v)
}

fn fingerprint(p: &Program, op: OpId, block: BlockId, canonical: &Side<ValueId, Option<ValueId>>) -> u64 {
    let o = p.op(op);
    let mut h = FxHasher::default();
    (block, &o.kind, o.results.len(), o.attrs.len()).hash(&mut h);
    for x in &o.operands {
        x.param.hash(&mut h);
        match small_constant(p, x.value) {
            Some(t) => content::fingerprint(t).hash(&mut h),
            None => resolve(x.value, canonical).hash(&mut h),
        }
    }
    for (name, attr) in &o.attrs {
        name.hash(&mut h);
        hash_field(attr, &mut h);
    }
    h.finish()
}

/// A constant that is compared by what it holds. Weights of layers are not: they may be there to be trained apart.
fn small_constant(p: &Program, value: ValueId) -> Option<&Tensor> {
    let c = p.constant(value).filter(|_| p.dialect == DialectId::Mil)?;
    (!c.sealed && c.tensor.count() < MIN_ELEMENTS).then_some(&c.tensor)
}

fn same(p: &Program, a: OpId, b: OpId, canonical: &Side<ValueId, Option<ValueId>>) -> bool {
    let (x, y) = (p.op(a), p.op(b));
    let same_value = |x: ValueId, y: ValueId| match (small_constant(p, x), small_constant(p, y)) {
        (Some(x), Some(y)) => x.same_bits(y),
        _ => resolve(x, canonical) == resolve(y, canonical),
    };
    p.block_of(a) == p.block_of(b)
        && x.kind == y.kind
        && x.attrs == y.attrs
        && x.results.len() == y.results.len()
        && x.operands.len() == y.operands.len()
        && x.operands.iter().zip(&y.operands).all(|(x, y)| x.param == y.param && same_value(x.value, y.value))
}
