//! N019: a comparison with a number of fitting sign is a thresholded ReLU, cut off at 1.

use anewrite_ir::Attr;
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Assumption, Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::functions::{activation, linear, number, unary};
use crate::rules::operands::{Operand, mapping_stays, pair};

declare_rule! {
    /// ## What it does
    /// Replaces `x >= c` and `x < c` for positive numbers `c`, and `x <= c` and `x > c` for negative ones, by a thresholded ReLU
    /// that is scaled and cut off.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     z = nn.greaterEqual(input = x)[alpha = 0.75];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     a = nn.activation(input = x)[thresholdedReLU = {alpha = 0.75}];
    ///     b = nn.unary(input = a)[type = THRESHOLD, alpha = -1.0, scale = -4.0];
    ///     z = nn.activation(input = b)[linear = {alpha = -1.0}];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([-3.0]), shape = [1]];
    ///     z = nn.lessThan(input = (c, x));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     n = nn.activation(input = x)[linear = {alpha = -1.0}];
    ///     a = nn.activation(input = n)[thresholdedReLU = {alpha = 3.0}];
    ///     b = nn.unary(input = a)[type = THRESHOLD, alpha = -1.0, scale = -1.0];
    ///     z = nn.activation(input = b)[linear = {alpha = 1.0, beta = 1.0}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: approximate
    /// A thresholded ReLU gives `x` where `x >= c`, and 0 elsewhere. Its negative times `k`, with `k c >= 1`, held to at least
    /// -1, is -1 and 0; `-y` is then `x >= c`, and `1 + y` is `x < c`. No step rounds: `k` is a power of two, and what
    /// overflows is held to -1. With `-x` and `-c` the two others follow. Infinities compare as they should.
    ///
    /// NaN is neither less nor greater, but passes through these layers. So the rule assumes that there is none, which
    /// nothing proves: it is approximate, and exact wherever that holds.
    ///
    /// ## Applies when
    /// 1. the other side is a constant of one number that adds no axes, or the field `alpha`
    /// 2. its magnitude is from 2^-14 to 65504, so that 16 bits hold it and its reciprocal
    /// 3. it is positive for `>=` and `<`, negative for `<=` and `>`: the others leave out `x = c`, for which a threshold would
    ///    have to be the next number, and that is another one in each format
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    /// 5. approximate rules are allowed
    pub struct CompareWithNumber = N 19 "compare-with-number";
    grade: Approximate, purpose: Enable, assumptions: &[Assumption::Finite], bound: 1e-9,
}

/// The least normal and the greatest number of fp16.
const HELD: std::ops::RangeInclusive<f64> = 1.0 / 16384.0..=65504.0;

impl Rule for CompareWithNumber {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.greaterEqual", "nn.lessThan", "nn.lessEqual", "nn.greaterThan"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let kind = m.data(op).kind.trim_start_matches("nn.");
        let (x, c, kind) = match m.data(op).args(INPUT).count() {
            1 => {
                let alpha = m.attr(op, "alpha").map_or(Some(0.0), Attr::as_float);
                let c = alpha.ok_or(Miss::new("alpha is no number"))?;
                (Operand::of(m, m.arg(op, INPUT)?)?, c, kind)
            }
            _ => {
                let [x, y] = pair(m, op)?;
                match (number(&x, &y), number(&y, &x)) {
                    (Some(c), _) => (x, c, kind),
                    (_, Some(c)) => (y, c, turned(kind)),
                    _ => return Err(Miss::new("neither side is one constant number")),
                }
            }
        };
        ensure!(HELD.contains(&c.abs()), "the number is {c}, which or whose reciprocal 16 bits do not hold");
        let fits = matches!(kind, "greaterEqual" | "lessThan") == (c > 0.0);
        ensure!(fits, "{kind} with {c} would need the next number as a threshold");
        let mut x = patch.tap(x.value);
        if c < 0.0 {
            x = linear(patch, x, -1.0, 0.0)?;
        }
        let beyond = activation(patch, x, "thresholdedReLU", &[("alpha", c.abs())])?;
        // a power of two that takes the threshold to 2 or more: 1 with room for its rounding to 16 bits
        let scale = (2.0 / c.abs()).log2().ceil().max(0.0).exp2();
        let cut = unary(patch, beyond, "THRESHOLD", &[("alpha", -1.0), ("scale", -scale)])?;
        let is_not = matches!(kind, "lessThan" | "greaterThan");
        let truth = if is_not { linear(patch, cut, 1.0, 1.0)? } else { linear(patch, cut, -1.0, 0.0)? };
        patch.replace(m.result(op)?, truth)
    }
}

/// The comparison with its sides exchanged.
fn turned(kind: &str) -> &'static str {
    match kind {
        "greaterEqual" => "lessEqual",
        "lessEqual" => "greaterEqual",
        "lessThan" => "greaterThan",
        _ => "lessThan",
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, constant, images};

    const RULE: &CompareWithNumber = &CompareWithNumber;

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn each_comparison_of_fitting_sign() {
        for (kind, alpha, negated, inverted) in [
            ("greaterEqual", "0.3", false, false),
            ("lessThan", "1000.0", false, true),
            ("lessEqual", "-0.0001", true, false),
            ("greaterThan", "-2.0", true, true),
        ] {
            let layer = format!("z = nn.{kind}(input = x)[alpha = {alpha}];");
            let got = bench(RULE).fires(&arrays("tensor<fp32, [4, 5]> x", &layer));
            assert_eq!(got.contains("nn.activation(input = x, linear"), negated, "{got}");
            assert_eq!(got.contains("(\"beta\", Float(1.0))"), inverted, "{got}");
            let scale: f64 =
                got.split("scale: Float(-").nth(1).unwrap().split(')').next().unwrap().parse().unwrap();
            let threshold = alpha.parse::<f64>().unwrap().abs() * scale;
            assert!(threshold >= 2.0 && scale <= 32768.0 && scale.log2().fract() == 0.0, "{got}");
        }
    }

    #[test]
    fn declines() {
        let x = "tensor<fp32, [4, 5]> x";
        for (layer, reason) in [
            ("greaterEqual(input = x)[alpha = -0.5]", "greaterEqual with -0.5"),
            ("greaterThan(input = x)[alpha = 0.5]", "greaterThan with 0.5"),
            ("lessEqual(input = x)[alpha = 0.5]", "next number"),
            ("lessThan(input = x)[alpha = -0.5]", "next number"),
            ("lessThan(input = x)", "the number is 0"),
            ("lessThan(input = x)[alpha = 1e-5]", "the number is 0.00001"),
            ("lessThan(input = x)[alpha = 70000.0]", "the number is 70000"),
            ("lessThan(input = (x, x))", "neither side is one constant number"),
        ] {
            let why = bench(RULE).declines(&arrays(x, &format!("z = nn.{layer};")));
            assert!(why.contains(reason), "{layer}: {why}");
        }
        let several = format!("{} z = nn.lessThan(input = (x, c));", constant("fp32", &[5]));
        assert!(bench(RULE).declines(&arrays(x, &several)).contains("neither side"));
        let turned = "c = nn.loadConstantND()[data = tensor<fp32, [1]>([0.5]), shape = [1]];
                      z = nn.greaterEqual(input = (c, x));";
        assert!(bench(RULE).declines(&arrays(x, turned)).contains("lessEqual with 0.5"));
        let image = "z = nn.greaterEqual(input = x)[alpha = 0.5];";
        assert!(
            bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image)).contains("last layer")
        );
    }
}
