//! C012: two transposes in a row are one.

use anewrite_ir::OpId;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

declare_rule! {
    /// ## What it does
    /// Replaces a transpose of a transpose by one transpose, or by nothing where the two cancel.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 3, 5]> x) {
    ///   y = transpose(x = x, perm = [1, 2, 0]);
    ///   z = transpose(x = y, perm = [0, 2, 1]);
    /// } -> (z);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 3, 5]> x) {
    ///   z = transpose(x = x, perm = [1, 0, 2]);
    /// } -> (z);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// `y` has the axes `x∘p`, `z` has the axes `y∘q`, so `z` reads axis `p[q[i]]` of `x`. Elements move, none is
    /// computed.
    ///
    /// ## Applies when
    /// 1. both `perm` are constants (soundness: else the composition is unknown)
    /// 2. the first has no other user (profit: else no op would go), or the two cancel
    pub struct ComposeTransposes = C 12 "compose-transposes";
    grade: BitExact, purpose: Clean,
}

impl Rule for ComposeTransposes {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("transpose").operand("x", Pattern::op("transpose").named("first"))
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let (first, second) = (m.op("first")?, m.root());
        let (p, q) = (perm(m, first)?, perm(m, second)?);
        ensure!(p.len() == q.len(), "the ranks differ: {p:?} and {q:?}");
        let r: Vec<usize> = q.iter().map(|&i| p[i]).collect();
        let cancel = r.iter().enumerate().all(|(i, &axis)| i == axis);
        let shared = !m.has_one_use(m.result(first)?);
        ensure!(cancel || !shared, "the first transpose has other users, so no op would go");
        let x = patch.tap(m.arg(first, "x")?);
        if cancel {
            return patch.replace(m.result(second)?, x);
        }
        let r: Vec<i64> = r.iter().map(|&i| i as i64).collect();
        let r = patch.ints(&r)?;
        let z = patch.op("transpose", &[("x", x), ("perm", r)])?;
        patch.replace(m.result(second)?, z)
    }
}

/// A transpose's permutation, its axes counted from the front.
pub(super) fn perm(m: &Match<'_>, op: OpId) -> Result<Vec<usize>, Miss> {
    let raw = m.ints(op, "perm")?;
    let rank = raw.len();
    let axes = raw.iter().map(|&i| if i < 0 { i + rank as i64 } else { i });
    let axes: Option<Vec<usize>> = axes.map(|i| usize::try_from(i).ok().filter(|&i| i < rank)).collect();
    axes.ok_or_else(|| Miss::new(format!("{raw:?} is no permutation")))
}
