//! N020: a `modBroadcastable` by a power of two is what the rounded quotient leaves.

use anewrite_ir::Attrs;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::functions::{linear, number};
use crate::rules::layers::layer;
use crate::rules::operands::pair;

declare_rule! {
    /// ## What it does
    /// Replaces a `modBroadcastable` by a power of two, which the engine has no layer for, by a `floor` of the quotient
    /// and a difference.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([4.0]), shape = [1]];
    ///     z = nn.modBroadcastable(input = (x, c));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     a = nn.activation(input = x)[linear = {alpha = 0.25}];
    ///     b = nn.floor(input = a);
    ///     d = nn.activation(input = b)[linear = {alpha = -4.0}];
    ///     z = nn.add(input = (x, d));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// The remainder has the divisor's sign: `mod(x, c) = x - c * floor(x / c)`. The reciprocal of a power of two is exact,
    /// so the quotient is; multiples of `c` meet the floor exactly, and the difference is rounded once, as the remainder
    /// is. Of other divisors the product with a rounded reciprocal can fall below a whole number where the quotient is
    /// one. Infinities give NaN on both sides. A remainder of 0 is +0, also by a negative divisor. In 16 bits a
    /// negative `x` under half of the least number times `c` has a quotient of 0, so that the result is `x` and not `c + x`.
    ///
    /// ## Applies when
    /// 1. the divisor is a constant of one number that adds no axes
    /// 2. it is a power of two from 1 to 32,768, or its negative: the quotient by it cannot overflow, and fp16 holds it
    pub struct Modulo = N 20 "modulo";
    grade: Exact, purpose: Enable, zeros: MayFlip,
}

/// The largest power of two that fp16 holds.
const LARGEST: f64 = 32768.0;

impl Rule for Modulo {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.modBroadcastable")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let [x, y] = pair(m, op)?;
        let Some(c) = number(&x, &y) else {
            return Err(Miss::new(
                "the divisor is not one constant number, of which quotients would be exact",
            ));
        };
        // a power of two has no digits behind the first one
        let is_power = c.abs().to_bits().trailing_zeros() >= f64::MANTISSA_DIGITS - 1;
        ensure!(
            is_power && (1.0..=LARGEST).contains(&c.abs()),
            "the divisor is {c}, no power of two from 1 to {LARGEST}"
        );
        let x = patch.tap(x.value);
        let quotient = if c == 1.0 { x } else { linear(patch, x, 1.0 / c, 0.0)? };
        let whole = layer(patch, "nn.floor", &[(INPUT, quotient)], Attrs::new())?;
        let part = linear(patch, whole, -c, 0.0)?;
        let rest = layer(patch, "nn.add", &[(INPUT, x), (INPUT, part)], Attrs::new())?;
        patch.replace(m.result(op)?, rest)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Modulo = &Modulo;

    fn modulo(args: &str, number: &str, inputs: &str) -> String {
        let c = format!("c = nn.loadConstantND()[data = tensor<fp32, [1]>([{number}]), shape = [1]];");
        arrays(args, &format!("{c} z = nn.modBroadcastable(input = {inputs});"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn one_and_negative_divisors() {
        let got = bench(RULE).fires(&modulo("tensor<fp32, [4, 5]> x", "1.0", "(x, c)"));
        assert!(got.contains("nn.floor(input = x)") && got.contains("(\"alpha\", Float(-1.0))"), "{got}");
        let got = bench(RULE).fires(&modulo("tensor<fp32, [4, 5]> x", "-2.0", "(x, c)"));
        assert!(got.contains("Float(-0.5)") && got.contains("Float(2.0)"), "{got}");
    }

    #[test]
    fn the_floor_keeps_the_ranks_of_images() {
        let layers = "c = nn.loadConstantND()[data = tensor<fp32, [1]>([2.0]), shape = [1]];
                      z = nn.modBroadcastable(input = (x, c));";
        let got = bench(RULE).fires(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", layers));
        assert!(got.contains("nn.floor"), "{got}");
    }

    #[test]
    fn declines() {
        let x = "tensor<fp32, [4, 5]> x";
        for number in ["3.0", "0.5", "65536.0", "0.0", "-6.0", "1.5"] {
            let why = bench(RULE).declines(&modulo(x, number, "(x, c)"));
            assert!(why.contains("no power of two"), "{number}: {why}");
        }
        for (args, inputs) in [(x, "(c, x)"), ("tensor<fp32, [4, 5]> x, tensor<fp32, [4, 5]> y", "(x, y)")] {
            let why = bench(RULE).declines(&modulo(args, "2.0", inputs));
            assert!(why.contains("not one constant number"), "{inputs}: {why}");
        }
        assert!(bench(RULE).declines(&modulo(x, "nan", "(x, c)")).contains("not one constant"));
    }
}
