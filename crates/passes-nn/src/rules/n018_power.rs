//! N018: a `powBroadcastable` with a number on one side is a product, a root, a power or an exponential.

use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::functions::{number, power_of, product, unary};
use crate::rules::known::is_not_negative;
use crate::rules::operands::{Operand, mapping_stays, pair};

declare_rule! {
    /// ## What it does
    /// Replaces a `powBroadcastable` whose exponent is a number by products or a `unary`, and one whose base is a number
    /// by an exponential.
    ///
    /// ## Before / after
    /// Whole exponents up to 8 become products:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([3.0]), shape = [1]];
    ///     z = nn.powBroadcastable(input = (x, c));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     a = nn.multiply(input = (x, x));
    ///     z = nn.multiply(input = (x, a));
    ///   } -> (z);
    /// }
    /// ```
    /// Others the power of `unary`; 0.5 its root where the base cannot be negative:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     a = nn.unary(input = x)[type = ABS];
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([0.5]), shape = [1]];
    ///     b = nn.powBroadcastable(input = (a, c));
    ///     d = nn.loadConstantND()[data = tensor<fp32, [1]>([-1.5]), shape = [1]];
    ///     z = nn.powBroadcastable(input = (b, d));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     a = nn.unary(input = x)[type = ABS];
    ///     b = nn.unary(input = a)[type = SQRT];
    ///     z = nn.unary(input = b)[type = POWER, alpha = -1.5];
    ///   } -> (z);
    /// }
    /// ```
    /// With a number as the base, its logarithm becomes the weight of a `scale`, rounded to 32 bits:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([10.0]), shape = [1]];
    ///     z = nn.powBroadcastable(input = (c, x));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4]> x) {
    ///     a = nn.scale(input = x)[scale = tensor<fp32, [1]>([2.3025851249694824]), shapeScale = [1]];
    ///     z = nn.unary(input = a)[type = EXP];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// - The power of `unary` is the same function of the same numbers: bases under 0 have powers where the exponent is
    ///   whole, and NaN elsewhere. So have the products, which are powers by repeated squaring; no step passes what 16
    ///   bits hold where the power does not.
    /// - `x^0.5` is the root of `x` for all but -0 and minus infinity, whose powers are 0 and infinity: so only a base that
    ///   cannot be negative has a root, and a zero may change its sign.
    /// - `a^x = exp(x ln a)` for `a > 0`. The product with the logarithm is rounded before the exponential: in 16 bits
    ///   results near the ends of the range are up to 12 times as far off as those of a power.
    ///
    /// The roots and reciprocals of `unary` that have an epsilon are not used: the format cannot state an epsilon of 0.
    ///
    /// ## Applies when
    /// 1. the exponent is a constant of one finite number other than 0, and adds no axes
    /// 2. or the base is a constant of one finite number over 0 other than 1, adds no axes, and 32 bits hold its
    ///    logarithm or the exponent has rank 3 to 5
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Power = N 18 "power";
    grade: Exact, purpose: Enable, growth: 24.0, zeros: MayFlip,
}

/// A larger power has more products than its exponent is worth: one `unary` does it.
const MOST_FACTORS: f64 = 8.0;

impl Rule for Power {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.powBroadcastable")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let [x, y] = pair(m, op)?;
        let power = if let Some(exponent) = number(&x, &y) {
            to_the(m, patch, &x, exponent)?
        } else if let Some(base) = number(&y, &x) {
            ensure!(base > 0.0 && base != 1.0, "the base is {base}, whose logarithm is none or 0");
            let exponent = patch.tap(y.value);
            power_of(patch, exponent, y.shape.len(), base.ln())?
        } else {
            return Err(Miss::new(match (x.constant, y.constant) {
                (_, Some(c)) => {
                    format!("the exponent is no single finite number: it has {} elements", c.count())
                }
                (Some(c), _) => format!("the base is no single finite number: it has {} elements", c.count()),
                _ => "base and exponent are computed, of which no older layer makes a power".to_owned(),
            }));
        };
        patch.replace(m.result(op)?, power)
    }
}

/// `x` to the power of a number.
fn to_the(
    m: &Match<'_>,
    patch: &mut PatchBuilder<'_>,
    x: &Operand<'_>,
    exponent: f64,
) -> Result<PatchValue, Miss> {
    ensure!(exponent != 0.0, "the exponent is 0: the power is 1 everywhere");
    let base = patch.tap(x.value);
    if exponent == 0.5 && is_not_negative(m, x.value) {
        return unary(patch, base, "SQRT", &[]);
    }
    if !(2.0..=MOST_FACTORS).contains(&exponent) || exponent.fract() != 0.0 {
        return unary(patch, base, "POWER", &[("alpha", exponent)]);
    }
    // from the lowest bit of the exponent: `rest` squares are left, `power` is what the bits so far come to
    let (mut rest, mut square, mut power) = (exponent as u32, base, None);
    loop {
        if rest & 1 == 1 {
            power = Some(match power {
                Some(p) => product(patch, p, square)?,
                None => square,
            });
        }
        rest >>= 1;
        match power {
            Some(p) if rest == 0 => return Ok(p),
            _ => square = product(patch, square, square)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, constant, images};

    const RULE: &Power = &Power;

    fn power(x: &str, before: &str, number: &str, inputs: &str) -> String {
        let c = format!("c = nn.loadConstantND()[data = tensor<fp32, [1]>([{number}]), shape = [1]];");
        arrays(
            &format!("tensor<fp32, {x}> x"),
            &format!("{before} {c} z = nn.powBroadcastable(input = {inputs});"),
        )
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn products_by_repeated_squaring() {
        for (exponent, products) in [("2.0", 1), ("4.0", 2), ("5.0", 3), ("7.0", 4), ("8.0", 3)] {
            let got = bench(RULE).fires(&power("[4, 5]", "", exponent, "(x, c)"));
            assert_eq!(got.matches("nn.multiply").count(), products, "{exponent}: {got}");
            assert!(!got.contains("nn.unary"), "{exponent}: {got}");
        }
        let seven = power("[4, 5]", "", "7.0", "(x, c)");
        let after = "a = nn.multiply(input = (x, x)); b = nn.multiply(input = (x, a));
                     d = nn.multiply(input = (a, a)); z = nn.multiply(input = (b, d));";
        bench(RULE).rewrites(&seven, &arrays("tensor<fp32, [4, 5]> x", after));
    }

    #[test]
    fn other_exponents_stay_powers() {
        for exponent in ["-1.0", "-2.0", "2.5", "9.0", "-0.5", "0.5", "1.0"] {
            let got = bench(RULE).fires(&power("[4, 5]", "", exponent, "(x, c)"));
            let alpha: f64 = exponent.parse().unwrap();
            let want = format!("z = nn.unary(input = x, type: Enum(\"POWER\"), alpha: Float({alpha:?}))");
            assert!(got.contains(&want), "{got}");
        }
    }

    #[test]
    fn roots_of_what_is_not_negative() {
        for before in [
            "a = nn.multiply(input = (x, x));",
            "b = nn.multiply(input = (x, x)); a = nn.add(input = b)[alpha = 0.001];",
            "b = nn.activation(input = x)[ReLU = {}]; a = nn.reduceMean(input = b)[axes = [1], keepDims = true];",
            "a = nn.reduce(input = x)[mode = SUMSQUARE, axis = HW];",
        ] {
            let got = bench(RULE).fires(&power("[3, 4, 5]", before, "0.5", "(a, c)"));
            assert!(got.contains("Enum(\"SQRT\")") && !got.contains("POWER"), "{before}: {got}");
        }
        for before in [
            "b = nn.multiply(input = (x, x)); a = nn.add(input = b)[alpha = -0.001];",
            "b = nn.unary(input = x)[type = ABS]; a = nn.add(input = (x, b));",
            "a = nn.unary(input = x)[type = THRESHOLD, alpha = -1.0];",
            "a = nn.activation(input = x)[leakyReLU = {alpha = 0.1}];",
        ] {
            let got = bench(RULE).fires(&power("[3, 4, 5]", before, "0.5", "(a, c)"));
            assert!(got.contains("Enum(\"POWER\")"), "{before}: {got}");
        }
    }

    #[test]
    fn declines() {
        for (x, number, inputs, reason) in [
            ("[4, 5]", "0.0", "(x, c)", "the exponent is 0"),
            ("[4, 5]", "inf", "(x, c)", "no single finite number"),
            ("[2, 4, 5]", "-2.0", "(c, x)", "the base is -2"),
            ("[2, 4, 5]", "1.0", "(c, x)", "the base is 1"),
            ("[4, 5]", "10.0", "(c, x)", "the operand has rank 2"),
            ("[4, 5]", "2.0", "(x, x)", "base and exponent are computed"),
            ("[...]", "2.0", "(x, c)", "not known"),
        ] {
            let why = bench(RULE).declines(&power(x, "", number, inputs));
            assert!(why.contains(reason), "{number} {inputs}: {why}");
        }
        let several = format!("{} z = nn.powBroadcastable(input = (x, c));", constant("fp32", &[3, 1, 1]));
        let why = bench(RULE).declines(&arrays("tensor<fp32, [2, 3, 4, 5]> x", &several));
        assert!(why.contains("it has 3 elements"), "{why}");
        let image = "c = nn.loadConstantND()[data = tensor<fp32, [1]>([2.0]), shape = [1]];
                     z = nn.powBroadcastable(input = (x, c));";
        let got = bench(RULE).fires(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(got.contains("nn.multiply"), "{got}");
        let last = "z = nn.powBroadcastable(input = (x, x));";
        assert!(
            bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", last)).contains("last layer")
        );
    }
}
