//! N002: a `multiplyBroadcastable` whose operands need little broadcasting is a `multiply` or a `scale`.

use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::layers::MULTIPLY;
use crate::rules::operands::{mapping_stays, pair};

declare_rule! {
    /// ## What it does
    /// Replaces a `multiplyBroadcastable` by a `multiply`, or by a `scale` where one operand is a constant per channel
    /// or element.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x, tensor<fp32, [4, 5]> y) {
    ///     z = nn.multiplyBroadcastable(input = (y, x));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x, tensor<fp32, [4, 5]> y) {
    ///     z = nn.multiply(input = (x, y));
    ///   } -> (z);
    /// }
    /// ```
    /// A constant per channel becomes the weights of a `scale`, a number a field of the `multiply`:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp16, [2]>([0.5, -3.0]), shape = [2, 1, 1]];
    ///     y = nn.multiplyBroadcastable(input = (x, c));
    ///     d = nn.loadConstantND()[data = tensor<fp32, [1]>([-2.0]), shape = [1]];
    ///     z = nn.multiplyBroadcastable(input = (d, y));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x) {
    ///     y = nn.scale(input = x)[scale = tensor<fp16, [2]>([0.5, -3.0]), shapeScale = [2]];
    ///     z = nn.multiply(input = y)[alpha = -2.0];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// Each element of the result is the product of the same two numbers, rounded once. A `scale` has a bias too, and
    /// where it computes one that is left out as 0, a product of -0 becomes +0.
    ///
    /// ## Applies when
    /// 1. a constant of floats is one finite number other than 0; or has the shape `[C]`, `[1, H, W]` or `[C, H, W]`
    ///    with regard to the last three axes of an operand of rank 3 or more, and would not be copied for several
    ///    layers if it is large (over 65,536 elements)
    /// 2. or the shapes are equal; or they have at most the four axes B, C, H and W, and the smaller one, which may not
    ///    have more of them, has the other's extents in B alone, in C alone, in H and W, or in C, H and W, and 1 elsewhere
    /// 3. the result has the shape of the larger operand
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct MultiplyBroadcastable = N 2 "multiply-broadcastable";
    grade: Exact, purpose: Enable, zeros: MayFlip,
}

impl Rule for MultiplyBroadcastable {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.multiplyBroadcastable")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let product = MULTIPLY.of_pair(m, patch, &pair(m, op)?)?;
        patch.replace(m.result(op)?, product)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, constant, images};

    const RULE: &MultiplyBroadcastable = &MultiplyBroadcastable;
    const XY: &str = "z = nn.multiplyBroadcastable(input = (x, y));";

    fn with_constant(x: &str, dtype: &str, extents: &[u64]) -> String {
        let layers = format!("{} z = nn.multiplyBroadcastable(input = (x, c));", constant(dtype, extents));
        arrays(&format!("tensor<fp32, {x}> x"), &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn weights_of_each_shape_stay_as_they_are() {
        for (x, extents, shape) in [
            ("[3, 4, 5]", &[3, 4, 5][..], "[3, 4, 5]"),
            ("[2, 3, 4, 5]", &[1, 1, 4, 5], "[1, 4, 5]"),
            ("[6, 2, 3, 4, 5]", &[3, 1, 1], "[3]"),
        ] {
            let count: u64 = extents.iter().product();
            let after = arrays(
                &format!("tensor<fp32, {x}> x"),
                &format!(
                    "z = nn.scale(input = x)[scale = random<fp16, [{count}]>(7), shapeScale = {shape}];"
                ),
            );
            bench(RULE).rewrites(&with_constant(x, "fp16", extents), &after);
        }
    }

    #[test]
    fn factors_that_a_field_cannot_hold_stay_inputs() {
        for number in ["0.0", "-0.0", "inf", "nan"] {
            let c = format!("c = nn.loadConstantND()[data = tensor<fp32, [1]>([{number}]), shape = [1]];");
            let got = bench(RULE).fires(&arrays(
                "tensor<fp32, [4, 5]> x",
                &format!("{c} z = nn.multiplyBroadcastable(input = (c, x));"),
            ));
            assert!(got.contains("z = nn.multiply(input = x, input = %2)"), "{number}: {got}");
        }
    }

    #[test]
    fn images_of_rank_5() {
        let args = "tensor<fp32, [1, 1, 3, 4, 6]> x";
        let c = constant("fp32", &[3, 1, 1]);
        let more = "w = nn.multiplyBroadcastable(input = (x, c)); z = nn.exp2(input = w);";
        let got = bench(RULE).fires(&images(args, &format!("{c} {more}")));
        assert!(got.contains("= nn.scale(input = x, scale = fp32[3]"), "{got}");
        let last = "z = nn.multiplyBroadcastable(input = (x, x));";
        assert!(bench(RULE).declines(&images(args, last)).contains("last layer"));
    }

    #[test]
    fn declines() {
        for (args, reason) in [
            ("tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [2, 3, 1, 1]> y", "does not broadcast"),
            (
                "tensor<fp32, [1, 1, 3, 4, 5]> x, tensor<fp32, [1, 1, 3, 1, 1]> y",
                "only equal shapes in rank 5",
            ),
            ("tensor<fp32, [...]> x, tensor<fp32, [3]> y", "not known"),
        ] {
            let why = bench(RULE).declines(&arrays(args, XY));
            assert!(why.contains(reason), "{args}: {why}");
        }
        let why = bench(RULE).declines(&with_constant("[3, 4, 5]", "fp32", &[4, 1]));
        assert!(why.contains("[4, 1] is neither per channel nor per element of [3, 4, 5]"), "{why}");
        let why = bench(RULE).declines(&with_constant("[4, 5]", "fp32", &[5]));
        assert!(why.contains("needs rank 3"), "{why}");
    }
}
