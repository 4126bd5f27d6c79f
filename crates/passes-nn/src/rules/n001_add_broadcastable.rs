//! N001: an `addBroadcastable` whose operands need little broadcasting is an `add`.

use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::layers::ADD;
use crate::rules::operands::{mapping_stays, pair};

declare_rule! {
    /// ## What it does
    /// Replaces an `addBroadcastable` by an `add`, or by a `bias` where one operand is a constant per channel or
    /// element.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y) {
    ///     z = nn.addBroadcastable(input = (y, x));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y) {
    ///     z = nn.add(input = (x, y));
    ///   } -> (z);
    /// }
    /// ```
    /// A number becomes a field of the `add`:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([0.5]), shape = [1]];
    ///     z = nn.addBroadcastable(input = (x, c));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     z = nn.add(input = x)[alpha = 0.5];
    ///   } -> (z);
    /// }
    /// ```
    /// A constant per channel becomes the weights of a `bias`:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [2]>([0.5, -3.0]), shape = [1, 2, 1, 1]];
    ///     z = nn.addBroadcastable(input = (c, x));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x) {
    ///     z = nn.bias(input = x)[bias = tensor<fp32, [2]>([0.5, -3.0]), shape = [2]];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Each element of the result is the sum of the same two numbers, rounded once. Addition commutes to the last
    /// bit, zeros with a sign included; of two NaNs either may be handed on.
    ///
    /// ## Applies when
    /// 1. a constant of floats is one finite number; or has the shape `[C]`, `[1, H, W]` or `[C, H, W]` with regard to
    ///    the last three axes of an operand of rank 3 or more, and would not be copied for several layers if it is
    ///    large (over 65,536 elements)
    /// 2. or the shapes are equal; or they have at most the four axes B, C, H and W, and the smaller one, which may not
    ///    have more of them, has the other's extents in B alone, in C alone, in H and W, or in C, H and W, and 1 elsewhere
    /// 3. the result has the shape of the larger operand
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct AddBroadcastable = N 1 "add-broadcastable";
    grade: BitExact, purpose: Enable,
}

impl Rule for AddBroadcastable {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.addBroadcastable")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let sum = ADD.of_pair(m, patch, &pair(m, op)?)?;
        patch.replace(m.result(op)?, sum)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, constant, images};

    const RULE: &AddBroadcastable = &AddBroadcastable;
    const XY: &str = "z = nn.addBroadcastable(input = (x, y));";

    fn with_constant(x: &str, dtype: &str, extents: &[u64]) -> String {
        let layers = format!("{} z = nn.addBroadcastable(input = (c, x));", constant(dtype, extents));
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
            ("[2, 3, 4, 5]", &[4, 5], "[1, 4, 5]"),
            ("[2, 3, 4, 5]", &[1, 3, 1, 1], "[3]"),
            ("[6, 2, 3, 4, 5]", &[3, 4, 5], "[3, 4, 5]"),
            ("[6, 2, 3, 1, 5]", &[1, 1, 3, 1, 5], "[3, 1, 5]"),
        ] {
            let count: u64 = extents.iter().product();
            let after = arrays(
                &format!("tensor<fp32, {x}> x"),
                &format!("z = nn.bias(input = x)[bias = random<fp16, [{count}]>(7), shape = {shape}];"),
            );
            bench(RULE).rewrites(&with_constant(x, "fp16", extents), &after);
        }
    }

    #[test]
    fn a_constant_that_fits_no_field_is_an_input() {
        let got = bench(RULE).fires(&with_constant("[4, 5]", "fp32", &[4, 5]));
        assert!(got.contains("z = nn.add(input = %2, input = x)"), "{got}");
        let zero = "c = nn.loadConstantND()[data = tensor<fp32, [1]>([0.0]), shape = [1]];
                    z = nn.addBroadcastable(input = (x, c));";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [4, 5]> x", zero));
        assert!(got.contains("z = nn.add(input = x, input = %2)"), "{got}");
    }

    #[test]
    fn a_small_constant_is_copied_for_several_layers_and_a_large_one_is_not() {
        let uses = "y = nn.maxBroadcastable(input = (c, x)); z = nn.addBroadcastable(input = (y, c));";
        let text = |args: &str, extents: &[u64]| arrays(args, &(constant("fp16", extents) + uses));
        let got = bench(RULE).fires(&text("tensor<fp32, [2, 3, 4]> x", &[2, 1, 1]));
        assert!(got.contains("z = nn.bias") && got.contains("nn.loadConstantND"), "{got}");
        let got = bench(RULE).fires(&text("tensor<fp32, [2, 256, 257]> x", &[256, 257]));
        assert!(got.contains("z = nn.add(input = %3, input = %2)"), "{got}");
        let why = bench(RULE).declines(&text("tensor<fp32, [1, 1, 2, 256, 257]> x", &[256, 257]));
        assert!(why.contains("65792 elements that 2 layers use") && why.contains("rank 5"), "{why}");
    }

    #[test]
    fn images_of_rank_5() {
        let args = "tensor<fp32, [1, 1, 3, 4, 6]> x, tensor<fp32, [1, 1, 3, 4, 6]> y";
        let more = "w = nn.addBroadcastable(input = (x, y)); z = nn.exp2(input = w);";
        let got = bench(RULE).fires(&images(args, more));
        assert!(got.contains("= nn.add(input = x, input = y)"), "{got}");
        let why = bench(RULE).declines(&images(args, XY));
        assert!(why.contains("last layer"), "{why}");
    }

    #[test]
    fn declines() {
        for (args, reason) in [
            ("tensor<fp32, [2, 3, 4]> x, tensor<fp32, [4]> y", "does not broadcast [2, 3, 4] and [4]"),
            ("tensor<fp32, [3, 1, 5]> x, tensor<fp32, [1, 4, 1]> y", "does not broadcast"),
            ("tensor<fp32, [1, 2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y", "only equal shapes in rank 5"),
            ("tensor<fp32, [?, 5]> x, tensor<fp32, [1, ?]> y", "does not broadcast"),
            ("tensor<fp32, [...]> x, tensor<fp32, [3]> y", "not known"),
        ] {
            let why = bench(RULE).declines(&arrays(args, XY));
            assert!(why.contains(reason), "{args}: {why}");
        }
        let why = bench(RULE).declines(&with_constant("[3, 4, 5]", "fp32", &[3, 1, 5]));
        assert!(why.contains("neither per channel nor per element"), "{why}");
        let why = bench(RULE).declines(&with_constant("[5]", "fp32", &[2, 3, 4, 5]));
        assert!(why.contains("the constant has rank 4, the other operand 1"), "{why}");
        let quantised = "c = nn.loadConstantND()[data = tensor<uint8, [5]>([1, 2, 3, 4, 5]), shape = [5],
                           data = {quantization = {numberOfBits = 8, linearQuantization = {scale = [0.5]}}}];
                         z = nn.addBroadcastable(input = (x, c));";
        let why = bench(RULE).declines(&arrays("tensor<fp32, [3, 4, 5]> x", quantised));
        assert!(why.contains("does not broadcast [3, 4, 5] and [5]"), "{why}");
    }
}
