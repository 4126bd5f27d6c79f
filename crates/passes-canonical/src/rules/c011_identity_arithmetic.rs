//! C011: arithmetic with the neutral element.

use anewrite_ir::OpId;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

declare_rule! {
    /// ## What it does
    /// Takes out additions of 0, multiplications by 1, divisions by 1 and powers of 1.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   a = mul(x = x, y = tensor<fp16, []>(1.0));
    ///   b = sub(x = a, y = tensor<fp16, [3]>([0.0, 0.0, 0.0]));
    ///   y = tanh(x = b);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   y = tanh(x = x);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: exact
    /// 0 and 1 are the neutral elements; NaN and infinities pass unchanged. Signed zero: -0 + 0 is +0 and becomes -0.
    ///
    /// ## Applies when
    /// 1. one operand is a constant whose every element is the neutral one, on the side where it is neutral
    /// 2. input and result have the same type: the constant does not broadcast the input
    pub struct IdentityArithmetic = C 11 "identity-arithmetic";
    grade: Exact, purpose: Clean, zeros: MayFlip,
}

/// Constants with more elements are not read to see whether all are neutral.
const MAX_ELEMENTS: u64 = 1 << 16;

impl Rule for IdentityArithmetic {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["add", "sub", "mul", "real_div", "pow"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let (neutral, commutes) = match &*m.data(op).kind {
            "add" => (0.0, true),
            "sub" => (0.0, false),
            "mul" => (1.0, true),
            _ => (1.0, false),
        };
        let input = if is_all(m, op, "y", neutral)? {
            m.arg(op, "x")?
        } else if commutes && is_all(m, op, "x", neutral)? {
            m.arg(op, "y")?
        } else {
            return Err(Miss::new(format!("no operand is the constant {neutral}")));
        };
        let output = m.result(op)?;
        ensure!(
            m.facts.ty(m.program, input) == m.facts.ty(m.program, output),
            "the constant broadcasts the input"
        );
        let input = patch.tap(input);
        patch.replace(output, input)
    }
}

fn is_all(m: &Match<'_>, op: OpId, param: &str, neutral: f64) -> Result<bool, Miss> {
    match m.value_constant(m.arg(op, param)?) {
        Some(t) if t.count() <= MAX_ELEMENTS => Ok(t.to_f64s()?.iter().all(|&v| v == neutral)),
        _ => Ok(false),
    }
}
