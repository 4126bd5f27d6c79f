//! C020: integers that follow from shapes.

use anewrite_ir::DialectId;
use anewrite_ir::dims::Int;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};
use anewrite_tensor::Tensor;

declare_rule! {
    /// ## What it does
    /// Replaces an integer that can be told before the model runs, such as an extent read by `shape` and computed with,
    /// by a constant.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 3, 5]> x) {
    ///   s = shape(x = x);
    ///   n = reduce_prod(x = s, axes = [0], keep_dims = true);
    ///   y = reshape(x = x, shape = n);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 3, 5]> x) {
    ///   y = reshape(x = x, shape = [30]);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Inference follows small integer tensors element by element; a result all of whose elements are numbers has
    /// these elements in every run.
    ///
    /// ## Applies when
    /// 1. the op has one result, of dtype int32 and at most 64 elements, all known
    /// 2. the result is not an output of a block: an output must be computed by an op
    /// 3. the model is an ML Program: NeuralNetwork layers take no constants as inputs
    pub struct KnownIntegers = C 20 "known-integers";
    grade: BitExact, purpose: Clean,
}

impl Rule for KnownIntegers {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::any()
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        ensure!(m.dialect() == DialectId::Mil, "layers take no constants as inputs");
        let y = m.result(m.root())?;
        let ints = m.facts.ints(y).ok_or(Miss::new("the result is not known element by element"))?;
        let known: Option<Vec<i64>> = ints.iter().map(|i| Int::known(*i)).collect();
        let known = known.ok_or(Miss::new("an element is known as an expression only"))?;
        ensure!(!m.program.is_output(y), "the result is an output");
        let t = m.tensor(y)?;
        let dims = t.known_dims().ok_or(Miss::new("the shape is not known"))?;
        let values: Vec<f64> = known.iter().map(|&n| n as f64).collect();
        let c = patch.constant(Tensor::from_f64s(t.dtype, &dims, &values)?);
        patch.replace(y, c)
    }
}
