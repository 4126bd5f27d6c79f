//! C002: one constant for all that hold the same bits.

use anewrite_ir::{Binding, BlockId, Const, ConstOrigin, DialectId, Program, Side, ValueId};
use anewrite_rewrite::{Rule, RuleInfo, Sweep, SweepCx, declare_rule};
use anewrite_tensor::{DType, Tensor};
use rustc_hash::FxHashMap;

use super::content::{digest, fingerprint};

declare_rule! {
    /// ## What it does
    /// Makes ops that use constants of equal dtype, shape and bits use the first of them.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 128]> x) {
    ///   v = const()[name = "v", val = random<fp16, [128]>(7)];
    ///   w = const()[name = "w", val = random<fp16, [128]>(7)];
    ///   a = add(x = x, y = v);
    ///   y = mul(x = a, y = w);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 128]> x) {
    ///   v = const()[name = "v", val = random<fp16, [128]>(7)];
    ///   a = add(x = x, y = v);
    ///   y = mul(x = a, y = v);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// The operands hold the same bits before and after.
    ///
    /// ## Applies when
    /// 1. both are `const` ops, without fields that this build does not know; constants written in place stay
    /// 2. dtype, shape and every bit agree (0.0 and -0.0 differ)
    /// 3. they have at least 100 elements: merging strides and paddings saves little and would show in every diff
    /// 4. the first stands in the body of the function, where all can see it
    /// 5. no op that would change carries fields that this build does not know
    pub struct DuplicateConstants = C 2 "duplicate-constants";
    grade: BitExact, purpose: Clean,
}

impl Rule for DuplicateConstants {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn sweep(&self) -> Option<&dyn Sweep> {
        Some(self)
    }
}

impl Sweep for DuplicateConstants {
    fn sweep(&self, cx: &mut SweepCx<'_>) {
        let p = cx.program;
        if p.dialect == DialectId::Nn {
            return;
        }
        for (_, f) in p.functions() {
            let alike = alike(p, f.body);
            let mut known = Known::default();
            let mut same_as: Side<ValueId, Option<ValueId>> = Side::new(None);
            let mut seen: Side<ValueId, bool> = Side::new(false);
            let mut rebinds = Vec::new();
            for op in p.walk(f.body) {
                let o = p.op(op);
                for (slot, x) in o.operands.iter().enumerate() {
                    let Some(c) = p.constant(x.value).filter(|c| mergeable(c) && x.binding == Binding::Name)
                    else {
                        continue;
                    };
                    if !seen[x.value]
                        && alike.get(&(c.tensor.dtype(), c.tensor.dims())).is_some_and(|&n| n > 1)
                    {
                        seen.set(x.value, true);
                        let serves = p.value_block(x.value) == f.body;
                        same_as.set(x.value, known.twin(p, x.value, &c.tensor, serves));
                    }
                    if let Some(v) = same_as[x.value].filter(|_| !o.sealed) {
                        rebinds.push((op, slot, v));
                    }
                }
            }
            if !rebinds.is_empty() {
                cx.patch(|b| rebinds.iter().try_for_each(|&(op, slot, v)| b.rebind(op, slot, v)));
            }
        }
    }
}

/// The first constant of each content.
#[derive(Default)]
struct Known {
    /// By fingerprint; none is read in full before a second of its fingerprint comes.
    alone: FxHashMap<u64, Option<ValueId>>,
    /// By digest: those whose fingerprint is not theirs alone.
    read: FxHashMap<u64, Vec<ValueId>>,
}

impl Known {
    /// An earlier constant with the same bits. Where there is none, this one serves those that come, if it may.
    fn twin(&mut self, p: &Program, value: ValueId, t: &Tensor, serves: bool) -> Option<ValueId> {
        let look = fingerprint(t);
        match self.alone.get_mut(&look) {
            None => {
                if serves {
                    self.alone.insert(look, Some(value));
                }
                return None;
            }
            Some(alone) => {
                if let Some((first, known)) = alone.take().and_then(|v| Some((v, tensor(p, v)?))) {
                    self.read.entry(digest(known)).or_default().push(first);
                }
            }
        }
        let alike = self.read.entry(digest(t)).or_default();
        let twin = alike.iter().copied().find(|&v| tensor(p, v).is_some_and(|known| known.same_bits(t)));
        if twin.is_none() && serves {
            alike.push(value);
        }
        twin
    }
}

/// Smaller constants are left alone; coremltools draws the line at the same number.
pub(super) const MIN_ELEMENTS: u64 = 100;

fn mergeable(c: &Const) -> bool {
    !c.sealed && !matches!(c.origin, ConstOrigin::InPlace) && c.tensor.count() >= MIN_ELEMENTS
}

/// How many constants there are of each dtype and shape: one that is alone of its kind need not be read.
fn alike(p: &Program, body: BlockId) -> FxHashMap<(DType, &[u64]), u32> {
    let mut count = FxHashMap::default();
    let mut seen: Side<ValueId, bool> = Side::new(false);
    for op in p.walk(body) {
        for x in &p.op(op).operands {
            if let Some(c) = p.constant(x.value).filter(|c| mergeable(c) && !seen[x.value]) {
                seen.set(x.value, true);
                *count.entry((c.tensor.dtype(), c.tensor.dims())).or_default() += 1;
            }
        }
    }
    count
}

fn tensor(p: &Program, value: ValueId) -> Option<&Tensor> {
    p.constant(value).map(|c| &c.tensor)
}
