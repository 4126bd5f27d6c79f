//! C015: transposes that cancel across elementwise ops.

use anewrite_interp::fold;
use anewrite_ir::{BlockId, OpId, Program, Side, TensorType, User, ValueId};
use anewrite_rewrite::{Miss, PatchBuilder, PatchValue, Rule, RuleInfo, Sweep, SweepCx, declare_rule};
use anewrite_tensor::Tensor;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::rules::elementwise::{data_params, is_elementwise};

declare_rule! {
    /// ## What it does
    /// Takes transposes off both ends of a group of elementwise ops, where that leaves fewer transposes.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [1, 2, 3, 5]> x, tensor<fp16, [1, 2, 3, 5]> z) {
    ///   a = transpose(x = x, perm = [0, 2, 3, 1]);
    ///   b = transpose(x = z, perm = [0, 2, 3, 1]);
    ///   c = relu(x = a);
    ///   d = add(x = c, y = b);
    ///   e = mul(x = d, y = tensor<fp16, [2]>([2.0, -3.0]));
    ///   y = transpose(x = e, perm = [0, 3, 1, 2]);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [1, 2, 3, 5]> x, tensor<fp16, [1, 2, 3, 5]> z) {
    ///   c = relu(x = x);
    ///   d = add(x = c, y = z);
    ///   y = mul(x = d, y = tensor<fp16, [1, 2, 1, 1]>([2.0, -3.0]));
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// An elementwise op computes each element from the elements at the same index, so it gives the same elements in
    /// whichever order the axes stand, if all its operands have them in that order. Constants are moved once, when the
    /// model is rewritten.
    ///
    /// ## Applies when
    /// 1. every op of the group is elementwise, and its operands are results of the group, results of transposes,
    ///    constants of at most 65,536 elements, or single numbers; others need a transpose, which counts
    /// 2. all have one rank; constants of a lower one are aligned at the last axis
    /// 3. fewer transposes stay than go: a value of the group that others use needs one behind it
    pub struct CancelTransposes = C 15 "cancel-transposes";
    grade: BitExact, purpose: Clean,
}

/// Constants with more elements are not moved: it would copy a weight for the sake of one op.
const MAX_CONSTANT: u64 = 1 << 16;

impl Rule for CancelTransposes {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn sweep(&self) -> Option<&dyn Sweep> {
        Some(self)
    }
}

impl Sweep for CancelTransposes {
    fn sweep(&self, cx: &mut SweepCx<'_>) {
        let p = cx.program;
        let blocks: Vec<BlockId> = p.blocks().map(|(id, _)| id).collect();
        for block in blocks {
            for group in groups(p, block) {
                let Some(plan) = Plan::best(cx, &group) else { continue };
                cx.patch(|b| plan.build(p, b));
            }
        }
    }
}

/// Elementwise ops of a block that are connected by their values, in order.
fn groups(p: &Program, block: BlockId) -> Vec<Vec<OpId>> {
    let mut root: Side<OpId, Option<OpId>> = Side::new(None);
    fn find(root: &mut Side<OpId, Option<OpId>>, op: OpId) -> OpId {
        let mut at = op;
        while let Some(up) = root[at].filter(|&up| up != at) {
            let next = root[up].unwrap_or(up);
            root.set(at, Some(next));
            at = next;
        }
        at
    }
    let fits = |op: OpId| {
        let o = p.op(op);
        is_elementwise(&o.kind)
            && !o.sealed
            && !o.results.iter().chain(o.operands.iter().map(|x| &x.value)).any(|&v| p.value(v).pinned)
    };
    let members: Vec<OpId> = p.ops(block).filter(|&op| fits(op)).collect();
    for &op in &members {
        root.set(op, Some(op));
    }
    for &op in &members {
        for x in &p.op(op).operands {
            if let Some(def) = p.def_op(x.value).filter(|&d| root[d].is_some() && p.block_of(d) == block) {
                let (a, b) = (find(&mut root, op), find(&mut root, def));
                root.set(a, Some(b));
            }
        }
    }
    let mut index: FxHashMap<OpId, usize> = FxHashMap::default();
    let mut out: Vec<Vec<OpId>> = Vec::new();
    for op in members {
        let r = find(&mut root, op);
        let i = *index.entry(r).or_insert_with(|| {
            out.push(Vec::new());
            out.len() - 1
        });
        out[i].push(op);
    }
    out
}

/// What taking a permutation out of a group would do.
struct Plan<'a> {
    group: &'a [OpId],
    /// Each value of the group has the axes `x∘perm` of the value that will stand for it.
    perm: Vec<usize>,
    /// Transposes by `perm` that feed the group.
    sources: FxHashSet<OpId>,
    /// Transposes that undo `perm` behind the group.
    sinks: Vec<OpId>,
    /// Values of the group that others use.
    seen_outside: FxHashSet<ValueId>,
    /// Computed operands that need a transpose in front of the group.
    foreign: FxHashSet<ValueId>,
}

impl<'a> Plan<'a> {
    fn best(cx: &SweepCx<'_>, group: &'a [OpId]) -> Option<Plan<'a>> {
        let p = cx.program;
        let mut tried: Vec<Vec<usize>> = Vec::new();
        for &op in group {
            for x in &p.op(op).operands {
                let Some(perm) = p.def_op(x.value).and_then(|def| perm_of(p, def)) else { continue };
                if tried.contains(&perm) || tried.len() == 4 {
                    continue;
                }
                if let Some(plan) = Plan::new(cx, group, &perm).filter(|plan| plan.gain(p) > 0) {
                    return Some(plan);
                }
                tried.push(perm);
            }
        }
        None
    }

    fn new(cx: &SweepCx<'_>, group: &'a [OpId], perm: &[usize]) -> Option<Plan<'a>> {
        let p = cx.program;
        let inside: FxHashSet<OpId> = group.iter().copied().collect();
        let mut plan = Plan {
            group,
            perm: perm.to_vec(),
            sources: FxHashSet::default(),
            sinks: Vec::new(),
            seen_outside: FxHashSet::default(),
            foreign: FxHashSet::default(),
        };
        let undo = inverse(perm);
        for &op in group {
            let o = p.op(op);
            let result = o.result()?;
            if cx.facts.tensor(p, result)?.rank()? != perm.len() {
                return None;
            }
            for x in o.operands.iter().filter(|x| data_params(&o.kind).contains(&&*x.param)) {
                if let Some(c) = p.constant(x.value) {
                    let t = &c.tensor;
                    let movable =
                        t.count() <= MAX_CONSTANT && t.dtype().bits() % 8 == 0 && t.dtype().bits() > 0;
                    if t.count() != 1 && (!movable || t.rank() > perm.len()) {
                        return None;
                    }
                    continue;
                }
                let rank = cx.facts.tensor(p, x.value)?.rank()?;
                match p.def_op(x.value) {
                    Some(def) if inside.contains(&def) => {}
                    Some(def) if perm_of(p, def).as_deref() == Some(perm) => {
                        plan.sources.insert(def);
                    }
                    _ if rank == perm.len() => {
                        plan.foreign.insert(x.value);
                    }
                    _ => return None,
                }
            }
            let mut outside = false;
            for u in p.uses(result) {
                match u.user {
                    User::Op(user) if inside.contains(&user) => {}
                    User::Op(user) if perm_of(p, user).as_deref() == Some(&undo) => plan.sinks.push(user),
                    _ => outside = true,
                }
            }
            if outside {
                plan.seen_outside.insert(result);
            }
        }
        Some(plan)
    }

    /// Transposes that go, less those that come.
    fn gain(&self, p: &Program) -> i64 {
        let group: FxHashSet<OpId> = self.group.iter().copied().collect();
        let only_here = |op: &&OpId| {
            let mut users = p.op(**op).results.iter().flat_map(|&r| p.uses_unsorted(r));
            users.all(|u| matches!(u.user, User::Op(user) if group.contains(&user)))
        };
        let gone = self.sources.iter().filter(only_here).count() + self.sinks.len();
        gone as i64 - (self.seen_outside.len() + self.foreign.len()) as i64
    }

    fn build(&self, p: &Program, b: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let undo = inverse(&self.perm);
        let as_ints = |perm: &[usize]| perm.iter().map(|&i| i as i64).collect::<Vec<_>>();
        let mut moved: FxHashMap<ValueId, PatchValue> = FxHashMap::default();
        for &op in self.group {
            b.at(op);
            let o = p.op(op);
            let data = data_params(&o.kind);
            let mut args = Vec::with_capacity(o.operands.len());
            for x in &o.operands {
                let value = match moved.get(&x.value) {
                    Some(&v) => v,
                    None if !data.contains(&&*x.param) => b.tap(x.value),
                    None => {
                        let source = p.def_op(x.value).filter(|d| self.sources.contains(d));
                        let v = match (p.constant(x.value), source) {
                            (Some(c), _) if c.tensor.count() == 1 => b.tap(x.value),
                            (Some(c), _) => b.constant(transposed(&c.tensor, &undo)?),
                            (None, Some(t)) => b.tap(p.op(t).arg("x").ok_or(Miss::new("x is left out"))?),
                            (None, None) => {
                                let v = b.tap(x.value);
                                let perm = b.ints(&as_ints(&undo))?;
                                b.op("transpose", &[("x", v), ("perm", perm)])?
                            }
                        };
                        moved.insert(x.value, v);
                        v
                    }
                };
                args.push((&*x.param, value));
            }
            let new = b.op(&o.kind, &args)?;
            let result = o.result().ok_or(Miss::new("the op has no result"))?;
            moved.insert(result, new);
            if self.seen_outside.contains(&result) {
                let perm = b.ints(&as_ints(&self.perm))?;
                let back = b.op("transpose", &[("x", new), ("perm", perm)])?;
                b.replace(result, back)?;
            }
        }
        for &sink in &self.sinks {
            let o = p.op(sink);
            if let (Some(x), Some(y)) = (o.arg("x"), o.result()) {
                let new = moved.get(&x).ok_or(Miss::new("the transpose's input is not in the group"))?;
                b.replace(y, *new)?;
                b.remove(sink);
            }
        }
        for &op in self.group.iter().rev().chain(&self.sources) {
            b.remove(op);
        }
        Ok(())
    }
}

/// The permutation of a transpose with a constant one.
fn perm_of(p: &Program, op: OpId) -> Option<Vec<usize>> {
    let o = p.op(op);
    if &*o.kind != "transpose" || o.sealed {
        return None;
    }
    let raw = p.constant(o.arg("perm")?)?.tensor.to_i64s().ok()?;
    let rank = raw.len() as i64;
    let front = |&i: &i64| usize::try_from(if i < 0 { i + rank } else { i }).ok().filter(|&i| i < raw.len());
    raw.iter().map(front).collect()
}

fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut out = vec![0; perm.len()];
    for (i, &p) in perm.iter().enumerate() {
        out[p] = i;
    }
    out
}

/// A constant, aligned at the last axis with a tensor of the permutation's rank, with its axes reordered.
fn transposed(t: &Tensor, perm: &[usize]) -> Result<Tensor, Miss> {
    let mut dims = vec![1u64; perm.len() - t.rank()];
    dims.extend(t.dims());
    let ty = TensorType::fixed(t.dtype(), perm.iter().map(|&i| dims[i]));
    let x = t.reshaped(dims)?;
    let axes = Tensor::i32s(perm.iter().map(|&i| i as i32));
    fold("transpose", &[("x", &x), ("perm", &axes)], &ty, MAX_CONSTANT * 8)
        .map_err(|e| Miss::new(e.to_string()))
}
