//! C021: ops on constants are constants.

use anewrite_interp::fold;
use anewrite_ir::DialectId;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};
use anewrite_tensor::Tensor;

declare_rule! {
    /// ## What it does
    /// Replaces an op whose operands are all constants by its result, where that only moves elements or computes with
    /// integers.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   a = transpose(x = tensor<fp16, [3, 2]>([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), perm = [1, 0]);
    ///   y = add(x = x, y = a);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   y = add(x = x, y = tensor<fp16, [2, 3]>([1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// The op gives this result in every run. Arithmetic of floats is left alone: its rounding belongs to the machine
    /// that runs the model.
    ///
    /// ## Applies when
    /// 1. all operands are constants, of at most 1 MiB each
    /// 2. the result has a known shape and at most 1 MiB, and is not an output of a block
    /// 3. the model is an ML Program: NeuralNetwork layers take no constants as inputs
    /// 4. the op does not hold compressed weights (`constexpr_*`), which stay compressed
    pub struct FoldConstants = C 21 "fold-constants";
    grade: BitExact, purpose: Clean,
}

/// The most bytes that a folded constant and what it is made of may have.
const BUDGET: u64 = 1 << 20;

impl Rule for FoldConstants {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::any()
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        ensure!(m.dialect() == DialectId::Mil, "layers take no constants as inputs");
        let op = m.data(m.root());
        let constants: Option<Vec<(&str, &Tensor)>> =
            op.operands.iter().map(|x| Some((&*x.param, m.value_constant(x.value)?))).collect();
        let constants =
            constants.filter(|c| !c.is_empty()).ok_or(Miss::new("an operand is not a constant"))?;
        ensure!(!op.kind.starts_with("constexpr_"), "compressed weights stay compressed");
        for (param, t) in &constants {
            ensure!(t.payload().stored_len() as u64 <= BUDGET, "{param} passes {BUDGET} bytes");
        }
        let y = m.result(m.root())?;
        ensure!(!m.program.is_output(y), "the result is an output");
        let folded = fold(&op.kind, &constants, m.tensor(y)?, BUDGET);
        let folded = patch.constant(folded.map_err(|e| Miss::new(e.to_string()))?);
        patch.replace(y, folded)
    }
}
