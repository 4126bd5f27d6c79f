//! N007: a `maxBroadcastable` or `minBroadcastable` of equal shapes, or with a number, is one of the first layers.

use anewrite_ir::Attrs;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::functions::{at_least, at_most, number};
use crate::rules::layers::{layer, same};
use crate::rules::operands::{Show, mapping_stays, pair};

declare_rule! {
    /// ## What it does
    /// Replaces a `maxBroadcastable` or `minBroadcastable` of two tensors of one shape by a `max` or `min`, and one with
    /// a number by a threshold.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [2, 3, 4, 5]> y) {
    ///     z = nn.minBroadcastable(input = (y, x));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [2, 3, 4, 5]> y) {
    ///     z = nn.min(input = (y, x));
    ///   } -> (z);
    /// }
    /// ```
    /// A number becomes the threshold of a unary function:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 7]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([-0.5]), shape = [1]];
    ///     z = nn.maxBroadcastable(input = (c, x));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 7]> x) {
    ///     z = nn.unary(input = x)[type = THRESHOLD, alpha = -0.5];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 7]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([6.0]), shape = [1]];
    ///     z = nn.minBroadcastable(input = (x, c));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 7]> x) {
    ///     n = nn.unary(input = x)[type = THRESHOLD, alpha = -6.0, scale = -1.0];
    ///     z = nn.activation(input = n)[linear = {alpha = -1.0}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// Each element of the result is one of the same two numbers. A threshold is `max(scale * x + shift, alpha)`, and
    /// `min(x, a) = -max(-x, -a)`, where changing a sign rounds nothing. Between zeros of different sign either may be
    /// handed on.
    ///
    /// ## Applies when
    /// 1. one operand is one finite number, and the other has at least its rank
    /// 2. or the shapes are equal
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct ExtremumBroadcastable = N 7 "extremum-broadcastable";
    grade: Exact, purpose: Enable, zeros: MayFlip,
}

impl Rule for ExtremumBroadcastable {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.maxBroadcastable", "nn.minBroadcastable"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let [x, y] = pair(m, op)?;
        let is_max = &*m.data(op).kind == "nn.maxBroadcastable";
        let threshold = |patch: &mut PatchBuilder<'_>, value, n| {
            let x = patch.tap(value);
            if is_max { at_least(patch, x, n) } else { at_most(patch, x, n) }
        };
        let result = match (number(&x, &y), number(&y, &x)) {
            (Some(n), _) => threshold(patch, x.value, n)?,
            (_, Some(n)) => threshold(patch, y.value, n)?,
            _ => {
                ensure!(
                    same(&x.shape, &y.shape),
                    "the older layer takes only equal shapes, these are {} and {}",
                    Show(&x.shape),
                    Show(&y.shape)
                );
                let (x, y) = (patch.tap(x.value), patch.tap(y.value));
                let kind = if is_max { "nn.max" } else { "nn.min" };
                layer(patch, kind, &[(INPUT, x), (INPUT, y)], Attrs::new())?
            }
        };
        patch.replace(m.result(op)?, result)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, constant, images};

    const RULE: &ExtremumBroadcastable = &ExtremumBroadcastable;
    const XY: &str = "z = nn.maxBroadcastable(input = (x, y));";

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn a_threshold_of_zero_is_a_field_left_out() {
        let c = "c = nn.loadConstantND()[data = tensor<fp16, [1]>([0.0]), shape = [1, 1]];";
        let text = format!("{c} z = nn.maxBroadcastable(input = (x, c));");
        let got = bench(RULE).fires(&arrays("tensor<fp32, [4, 5]> x", &text));
        assert!(got.contains("z = nn.unary(input = x, type: Enum(\"THRESHOLD\"))"), "{got}");
    }

    #[test]
    fn a_tensor_that_is_loaded_is_an_input() {
        let text = format!("{} z = nn.minBroadcastable(input = (x, c));", constant("fp32", &[4, 5]));
        let got = bench(RULE).fires(&arrays("tensor<fp32, [4, 5]> x", &text));
        assert!(got.contains("z = nn.min(input = x, input = %2)"), "{got}");
    }

    #[test]
    fn images_of_rank_5() {
        let args = "tensor<fp32, [1, 1, 3, 4, 6]> x, tensor<fp32, [1, 1, 3, 4, 6]> y";
        let more = "w = nn.maxBroadcastable(input = (x, y)); z = nn.exp2(input = w);";
        let got = bench(RULE).fires(&images(args, more));
        assert!(got.contains("= nn.max(input = x, input = y)"), "{got}");
        assert!(bench(RULE).declines(&images(args, XY)).contains("last layer"));
    }

    #[test]
    fn declines() {
        for (args, reason) in [
            ("tensor<fp32, [2, 3, 4]> x, tensor<fp32, [3, 1]> y", "only equal shapes"),
            ("tensor<fp32, [?, 3]> x, tensor<fp32, [?, 3]> y", "only equal shapes"),
            ("tensor<fp32, [...]> x, tensor<fp32, [3]> y", "not known"),
        ] {
            let why = bench(RULE).declines(&arrays(args, XY));
            assert!(why.contains(reason), "{args}: {why}");
        }
        for c in ["tensor<fp32, [1]>([inf]), shape = [1]", "tensor<fp32, [1]>([0.5]), shape = [1, 1, 1]"] {
            let c = format!("c = nn.loadConstantND()[data = {c}]; z = nn.maxBroadcastable(input = (x, c));");
            let why = bench(RULE).declines(&arrays("tensor<fp32, [4, 5]> x", &c));
            assert!(why.contains("only equal shapes"), "{why}");
        }
    }
}
