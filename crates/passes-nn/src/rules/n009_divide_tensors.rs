//! N009: a `divideBroadcastable` by a computed value is a multiplication with its reciprocal.

use anewrite_rewrite::{
    Assumption, Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::functions::{linear, number, unary};
use crate::rules::layers::MULTIPLY;
use crate::rules::operands::{Held, mapping_stays, pair};

declare_rule! {
    /// ## What it does
    /// Replaces a `divideBroadcastable` by a computed value by a `unary` that inverts the divisor and a `multiply`.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y) {
    ///     z = nn.divideBroadcastable(input = (x, y));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y) {
    ///     r = nn.unary(input = y)[type = INVERSE, epsilon = 1.1754943508222875e-38];
    ///     z = nn.multiply(input = (x, r));
    ///   } -> (z);
    /// }
    /// ```
    /// A number as the numerator becomes the factor of a linear activation:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> y) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([-2.5]), shape = [1]];
    ///     z = nn.divideBroadcastable(input = (c, y));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> y) {
    ///     r = nn.unary(input = y)[type = INVERSE, epsilon = 1.1754943508222875e-38];
    ///     z = nn.activation(input = r)[linear = {alpha = -2.5}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: approximate
    /// `x / y = x * (1 / y)` in real arithmetic. Three things are not the same:
    /// - `unary` adds an epsilon to the divisor, which cannot be 0, for the format reads 0 as 1e-6. It is the smallest
    ///   normal number of 32 bits, 2^-126, which changes no divisor over 2e-31 in 32 bits and is 0 in 16. A division by
    ///   zero gives infinity only in 16 bits.
    /// - the reciprocal of a divisor under 1.6e-5 passes the largest fp16, where the quotient need not
    /// - the reciprocal of a divisor over 16,384 is subnormal in fp16: it has fewer digits, or is 0
    ///
    /// With divisors of magnitudes from 2^-14 to 2^14, which the rule assumes, the reciprocal is a normal number of
    /// 16 bits, and the result is within two roundings of the quotient.
    ///
    /// ## Applies when
    /// 1. the divisor is no constant, and the numerator does not have more than one element if it is a constant with
    ///    fewer axes than the divisor
    /// 2. the shapes are equal; or they have at most the four axes B, C, H and W, and the smaller one, which may not
    ///    have more of them, has the other's extents in B alone, in C alone, in H and W, or in C, H and W, and 1 elsewhere;
    ///    or the numerator is a constant that fits a field, as for N002
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    /// 4. approximate rules are allowed
    pub struct DivideTensors = N 9 "divide-tensors";
    grade: Approximate, purpose: Enable, growth: 3.0,
    assumptions: &[Assumption::Range { low: SMALLEST, high: 1.0 / SMALLEST }], zeros: MayFlip, bound: 1e-6,
}

/// Divisors of smaller magnitude have reciprocals over 2^14, and the greatest fp16 is near 2^16.
const SMALLEST: f64 = 1.0 / 16384.0;

/// Stands for no epsilon, which the format has no word for: the smallest number that no processor takes for 0.
const EPSILON: f64 = f32::MIN_POSITIVE as f64;

impl Rule for DivideTensors {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.divideBroadcastable")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let [x, y] = pair(m, op)?;
        ensure!(y.constant.is_none(), "the divisor is a constant, whose reciprocal N008 takes");
        let divisor = patch.tap(y.value);
        let inverse = unary(patch, divisor, "INVERSE", &[("epsilon", EPSILON)])?;
        let quotient = if let Some(n) = number(&y, &x) {
            linear(patch, inverse, n, 0.0)?
        } else if let Ok(held) = Held::of(m, &y, &x) {
            MULTIPLY.with_held(patch, inverse, held)?
        } else {
            let numerator = patch.tap(x.value);
            MULTIPLY.of_two(patch, (&x.shape, numerator), (&y.shape, inverse))?
        };
        patch.replace(m.result(op)?, quotient)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, constant, images};

    const RULE: &DivideTensors = &DivideTensors;
    const XY: &str = "z = nn.divideBroadcastable(input = (x, y));";

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn the_divisor_may_be_the_larger_one() {
        let text = arrays("tensor<fp32, [3, 1, 1]> x, tensor<fp32, [2, 3, 4, 5]> y", XY);
        let got = bench(RULE).fires(&text);
        assert!(got.contains("= nn.unary(input = y, type: Enum(\"INVERSE\")"), "{got}");
        assert!(got.contains("z = nn.multiply(input = %3, input = x)"), "{got}");
    }

    #[test]
    fn constant_numerators() {
        let c = constant("fp16", &[3, 1, 1]);
        let text = arrays(
            "tensor<fp32, [2, 3, 4, 5]> y",
            &format!("{c} z = nn.divideBroadcastable(input = (c, y));"),
        );
        let got = bench(RULE).fires(&text);
        assert!(got.contains("z = nn.scale(input = %2, scale"), "{got}");
    }

    #[test]
    fn declines() {
        for (args, reason) in [
            ("tensor<fp32, [2, 3, 4]> x, tensor<fp32, [4]> y", "does not broadcast [2, 3, 4] and [4]"),
            ("tensor<fp32, [?, 5]> x, tensor<fp32, [1, ?]> y", "does not broadcast"),
            ("tensor<fp32, [...]> x, tensor<fp32, [3]> y", "not known"),
        ] {
            let why = bench(RULE).declines(&arrays(args, XY));
            assert!(why.contains(reason), "{args}: {why}");
        }
        let by_constant = format!("{} z = nn.divideBroadcastable(input = (x, c));", constant("fp32", &[1]));
        let why = bench(RULE).declines(&arrays("tensor<fp32, [4, 5]> x", &by_constant));
        assert!(why.contains("the divisor is a constant"), "{why}");
        let args = "tensor<fp32, [1, 1, 3, 4, 6]> x, tensor<fp32, [1, 1, 3, 4, 6]> y";
        let why = bench(RULE).declines(&images(args, XY));
        assert!(why.contains("last layer"), "{why}");
    }
}
