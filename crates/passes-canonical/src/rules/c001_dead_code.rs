//! C001: ops that nothing uses.

use anewrite_ir::{Effect, OpId, Side, User};
use anewrite_rewrite::{Miss, Rule, RuleInfo, Sweep, SweepCx, declare_rule, effect};

declare_rule! {
    /// ## What it does
    /// Takes out ops whose results nothing uses.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   a = relu(x = x);
    ///   b = sigmoid(x = a);
    ///   y = tanh(x = x);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   y = tanh(x = x);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// No output depends on the op: it is neither an output of its block nor an operand of an op that stays, and it
    /// has no effect besides its results.
    ///
    /// ## Applies when
    /// 1. the op is pure, and so is everything nested in it: state reads and writes, random and unknown ops stay
    /// 2. all its results are without users, or used by ops that go as well
    /// 3. the rest of the model means the same without it: the last layer of a NeuralNetwork that makes its arrays keep
    ///    their ranks stays
    pub struct DeadCode = C 1 "dead-code";
    grade: BitExact, purpose: Clean,
}

impl Rule for DeadCode {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn sweep(&self) -> Option<&dyn Sweep> {
        Some(self)
    }
}

impl Sweep for DeadCode {
    fn sweep(&self, cx: &mut SweepCx<'_>) {
        let p = cx.program;
        let mut dead: Side<OpId, bool> = Side::new(false);
        let mut order: Vec<OpId> = Vec::new();
        for (_, f) in p.functions() {
            let all: Vec<OpId> = p.walk(f.body).collect();
            for &op in all.iter().rev() {
                let o = p.op(op);
                let used = o.results.iter().flat_map(|&r| p.uses(r)).any(|u| match u.user {
                    User::Op(user) => !dead[user],
                    User::Output(_) => true,
                });
                let goes = || effect(p, cx.dialect(), op) == Effect::Pure && !cx.dialect().bears(p, op);
                if !used && !o.sealed && goes() {
                    dead.set(op, true);
                    order.push(op);
                }
            }
        }
        if !order.is_empty() {
            cx.patch::<Miss>(|b| {
                order.iter().for_each(|&op| b.remove(op));
                Ok(())
            });
        }
    }
}
