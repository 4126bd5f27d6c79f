//! C014: a cast of a cast that lost nothing.

use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};
use anewrite_tensor::DType;

declare_rule! {
    /// ## What it does
    /// Replaces two casts in a row by one, or by nothing, where the first only widened.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML7>(tensor<fp16, [2, 3]> x) {
    ///   a = cast(x = x, dtype = "fp32");
    ///   b = cast(x = a, dtype = "fp16");
    ///   y = tanh(x = b);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML7>(tensor<fp16, [2, 3]> x) {
    ///   y = tanh(x = x);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Every value of the first dtype is a value of the middle one, so the middle cast changes none, and the last one
    /// sees what a direct cast would. A NaN stays a NaN; its payload may differ.
    ///
    /// ## Applies when
    /// 1. the middle dtype holds every value of the first: fp16 to fp32, bool to any, int8, uint8, int16 and uint16 to
    ///    int32 or fp32, int8 and uint8 to fp16
    /// 2. the first cast has no other user (profit), or the chain gives back the first dtype
    pub struct ComposeCasts = C 14 "compose-casts";
    grade: BitExact, purpose: Clean,
}

impl Rule for ComposeCasts {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("cast").operand("x", Pattern::op("cast").named("first"))
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let (first, second) = (m.op("first")?, m.root());
        let (x, y, z) = (m.arg(first, "x")?, m.result(first)?, m.result(second)?);
        let (from, middle, to) = (m.tensor(x)?.dtype, m.tensor(y)?.dtype, m.tensor(z)?.dtype);
        ensure!(holds_all(middle, from), "{middle} does not hold every value of {from}");
        if from == to {
            let x = patch.tap(x);
            return patch.replace(z, x);
        }
        ensure!(m.has_one_use(y), "the first cast has other users, so no op would go");
        let x = patch.tap(x);
        let dtype = patch.text(to.name());
        let new = patch.op("cast", &[("x", x), ("dtype", dtype)])?;
        patch.replace(z, new)
    }
}

fn holds_all(wide: DType, narrow: DType) -> bool {
    use DType::{Bool, F16, F32, I8, I16, I32, U8, U16};
    match narrow {
        Bool => matches!(wide, F16 | F32 | I8 | I16 | I32 | U8 | U16),
        F16 => wide == F32,
        I8 | U8 => matches!(wide, I32 | F32 | F16),
        I16 | U16 => matches!(wide, I32 | F32),
        _ => false,
    }
}
