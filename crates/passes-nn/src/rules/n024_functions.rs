//! N024: `tanh`, `exp2` and `cosh` are activations and exponentials.

use anewrite_ir::Attrs;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::functions::{activation, linear, power_of, product, unary};
use crate::rules::layers::layer;
use crate::rules::operands::{Operand, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `tanh` by the activation, an `exp2` by an exponential, and a `cosh` by two.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 6, 7]> x) {
    ///     y = nn.tanh(input = x);
    ///     z = nn.exp2(input = y);
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 6, 7]> x) {
    ///     y = nn.activation(input = x)[tanh = {}];
    ///     a = nn.scale(input = y)[scale = tensor<fp32, [1]>([0.6931472]), shapeScale = [1]];
    ///     z = nn.unary(input = a)[type = EXP];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     z = nn.cosh(input = x);
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     a = nn.unary(input = x)[type = EXP, scale = 0.5];
    ///     b = nn.activation(input = a)[linear = {alpha = 0.5}];
    ///     c = nn.multiply(input = (a, b));
    ///     d = nn.unary(input = x)[type = EXP, scale = -0.5];
    ///     e = nn.activation(input = d)[linear = {alpha = 0.5}];
    ///     f = nn.multiply(input = (d, e));
    ///     z = nn.add(input = (c, f));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// - The two layers of the hyperbolic tangent are the same function.
    /// - `2^x = exp(x ln 2)`, with the logarithm rounded to 32 bits. The product with it is rounded before the exponential:
    ///   in 16 bits results near the ends of the range are up to 12 times as far off.
    /// - `cosh x = e^x / 2 + e^-x / 2`, and each half is `e^(x/2) (e^(x/2) / 2)`, which overflows only where the result does:
    ///   `e^x` would do so earlier. Both are positive, so nothing cancels.
    ///
    /// The hyperbolic sine is the same with a difference, which has no correct digit in 16 bits where `x` is near 0; it
    /// stays, as do the functions for which the older layers have no formula.
    ///
    /// ## Applies when
    /// 1. for `exp2`, the rank is known, from 3 to 5, for the logarithm is a weight
    /// 2. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Functions = N 24 "functions";
    grade: Exact, purpose: Enable, growth: 24.0,
}

impl Rule for Functions {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.tanh", "nn.exp2", "nn.cosh"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let operand = m.arg(op, INPUT)?;
        let x = patch.tap(operand);
        let y = match &*m.data(op).kind {
            "nn.tanh" => activation(patch, x, "tanh", &[])?,
            "nn.exp2" => {
                let rank = Operand::of(m, operand)?.shape.len();
                power_of(patch, x, rank, std::f64::consts::LN_2)?
            }
            _ => {
                let (rising, falling) = (half_power(patch, x, 0.5)?, half_power(patch, x, -0.5)?);
                layer(patch, "nn.add", &[(INPUT, rising), (INPUT, falling)], Attrs::new())?
            }
        };
        patch.replace(m.result(op)?, y)
    }
}

/// `exp(2 * scale * x) / 2`.
fn half_power(patch: &mut PatchBuilder<'_>, x: PatchValue, scale: f64) -> Result<PatchValue, Miss> {
    let root = unary(patch, x, "EXP", &[("scale", scale)])?;
    let half = linear(patch, root, 0.5, 0.0)?;
    product(patch, root, half)
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Functions = &Functions;

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn a_tangent_of_any_rank() {
        let got = bench(RULE).fires(&arrays("tensor<fp32, [...]> x", "z = nn.tanh(input = x);"));
        assert!(got.contains("z = nn.activation"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, reason) in [("[6, 7]", "the operand has rank 2"), ("[...]", "not known")] {
            let why =
                bench(RULE).declines(&arrays(&format!("tensor<fp32, {x}> x"), "z = nn.exp2(input = x);"));
            assert!(why.contains(reason), "{why}");
        }
        for kind in ["tanh", "exp2", "cosh"] {
            let image = images("tensor<fp32, [1, 1, 3, 4, 6]> x", &format!("z = nn.{kind}(input = x);"));
            assert!(bench(RULE).declines(&image).contains("last layer"));
        }
        assert_eq!(bench(RULE).declines(&arrays("tensor<fp32, [6, 7]> x", "z = nn.sinh(input = x);")), "");
    }
}
