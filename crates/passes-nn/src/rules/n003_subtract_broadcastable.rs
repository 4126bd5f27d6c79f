//! N003: a `subtractBroadcastable` is a negation and an `add`.

use anewrite_rewrite::{Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::layers::{ADD, negative};
use crate::rules::operands::{Held, Operand, mapping_stays, pair};

declare_rule! {
    /// ## What it does
    /// Replaces a `subtractBroadcastable` by a linear `activation` that negates the second operand, and an `add`; by one
    /// layer where an operand is a constant that it can hold.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y) {
    ///     z = nn.subtractBroadcastable(input = (y, x));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y) {
    ///     n = nn.activation(input = x)[linear = {alpha = -1.0}];
    ///     z = nn.add(input = (n, y));
    ///   } -> (z);
    /// }
    /// ```
    /// What is subtracted, if constant, is negated beforehand; what is subtracted from is added:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [2]>([0.5, -3.0]), shape = [2, 1, 1]];
    ///     y = nn.subtractBroadcastable(input = (x, c));
    ///     d = nn.loadConstantND()[data = tensor<fp32, [1]>([7.0]), shape = [1]];
    ///     z = nn.subtractBroadcastable(input = (d, y));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x) {
    ///     y = nn.bias(input = x)[bias = tensor<fp32, [2]>([-0.5, 3.0]), shape = [2]];
    ///     z = nn.activation(input = y)[linear = {alpha = -1.0, beta = 7.0}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// `x - y = x + (-1 * y)`: the product changes a sign and nothing else, and the sum is rounded as the difference is.
    /// The activation adds 0, so that its result for +0 is +0, and `(-0) - (+0)` is +0 afterwards and not -0.
    ///
    /// ## Applies when
    /// 1. a constant of floats is one finite number (other than 0 if it is subtracted); or has the shape `[C]`,
    ///    `[1, H, W]` or `[C, H, W]` with regard to the last three axes of an operand of rank 3 or more, and would not
    ///    be copied if it is large (over 65,536 elements): for several layers, or negated
    /// 2. or the shapes are equal; or they have at most the four axes B, C, H and W, and the smaller one, which may not
    ///    have more of them, has the other's extents in B alone, in C alone, in H and W, or in C, H and W, and 1 elsewhere
    /// 3. the result has the shape of the larger operand
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct SubtractBroadcastable = N 3 "subtract-broadcastable";
    grade: Exact, purpose: Enable, zeros: MayFlip,
}

impl Rule for SubtractBroadcastable {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.subtractBroadcastable")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let [x, y] = pair(m, op)?;
        let difference = match with_constant(m, patch, &x, &y) {
            Some(built) => built?,
            None => {
                let (minuend, subtrahend) = (patch.tap(x.value), patch.tap(y.value));
                let negated = negative(patch, subtrahend, 0.0)?;
                ADD.of_two(patch, (&x.shape, minuend), (&y.shape, negated))?
            }
        };
        patch.replace(m.result(op)?, difference)
    }
}

/// The difference where one side is a constant that a layer can hold.
fn with_constant(
    m: &Match<'_>,
    patch: &mut PatchBuilder<'_>,
    x: &Operand<'_>,
    y: &Operand<'_>,
) -> Option<Result<PatchValue, Miss>> {
    if let Ok(held) = Held::of(m, x, y).and_then(Held::not_zero).and_then(Held::negated) {
        let x = patch.tap(x.value);
        return Some(ADD.with_held(patch, x, held));
    }
    let held = Held::of(m, y, x).ok()?;
    let y = patch.tap(y.value);
    Some(match held {
        Held::Number(n) => negative(patch, y, n),
        weights => negative(patch, y, 0.0).and_then(|y| ADD.with_held(patch, y, weights)),
    })
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, constant, images};

    const RULE: &SubtractBroadcastable = &SubtractBroadcastable;
    const XY: &str = "z = nn.subtractBroadcastable(input = (x, y));";

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn the_smaller_one_is_second_whichever_is_negated() {
        let small_second = arrays("tensor<fp32, [3, 4, 5]> x, tensor<fp32, [4, 5]> y", XY);
        let after = "n = nn.activation(input = y)[linear = {alpha = -1.0}]; z = nn.add(input = (x, n));";
        bench(RULE)
            .rewrites(&small_second, &arrays("tensor<fp32, [3, 4, 5]> x, tensor<fp32, [4, 5]> y", after));
        let small_first = arrays("tensor<fp32, [4, 5]> x, tensor<fp32, [3, 4, 5]> y", XY);
        let after = "n = nn.activation(input = y)[linear = {alpha = -1.0}]; z = nn.add(input = (n, x));";
        bench(RULE)
            .rewrites(&small_first, &arrays("tensor<fp32, [4, 5]> x, tensor<fp32, [3, 4, 5]> y", after));
    }

    #[test]
    fn what_is_subtracted_from_keeps_its_bytes() {
        let args = "tensor<fp32, [2, 3, 4, 5]> x";
        let c = constant("fp16", &[4, 5]);
        let before = arrays(args, &format!("{c} z = nn.subtractBroadcastable(input = (c, x));"));
        let after = "n = nn.activation(input = x)[linear = {alpha = -1.0}];
                     z = nn.bias(input = n)[bias = random<fp16, [20]>(7), shape = [1, 4, 5]];";
        bench(RULE).rewrites(&before, &arrays(args, after));
    }

    #[test]
    fn half_precision_is_negated_in_half_precision() {
        let before =
            "c = nn.loadConstantND()[data = tensor<fp16, [3]>([0.5, -0.0, -65504.0]), shape = [3, 1, 1]];
                      z = nn.subtractBroadcastable(input = (x, c));";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [3, 4, 5]> x", before));
        assert!(got.contains("bias = fp16[3][-0.5, 0.0, 65504.0] (field)"), "{got}");
    }

    #[test]
    fn a_number_on_either_side() {
        let c = "c = nn.loadConstantND()[data = tensor<fp32, [1]>([0.25]), shape = [1]];";
        let text = |args: &str| {
            arrays("tensor<fp32, [4, 5]> x", &format!("{c} z = nn.subtractBroadcastable(input = ({args}));"))
        };
        let after = arrays("tensor<fp32, [4, 5]> x", "z = nn.add(input = x)[alpha = -0.25];");
        bench(RULE).rewrites(&text("x, c"), &after);
        let linear = "z = nn.activation(input = x)[linear = {alpha = -1.0, beta = 0.25}];";
        bench(RULE).rewrites(&text("c, x"), &arrays("tensor<fp32, [4, 5]> x", linear));
    }

    #[test]
    fn a_large_constant_is_negated_by_a_layer() {
        let c = constant("fp16", &[2, 256, 257]);
        let text = format!("{c} z = nn.subtractBroadcastable(input = (x, c));");
        let got = bench(RULE).fires(&arrays("tensor<fp32, [2, 256, 257]> x", &text));
        assert!(
            got.contains("= nn.activation(input = %2,") && got.contains("nn.add(input = x, input = %"),
            "{got}"
        );
    }

    #[test]
    fn images_of_rank_5() {
        let args = "tensor<fp32, [1, 1, 3, 4, 6]> x, tensor<fp32, [1, 1, 3, 4, 6]> y";
        let more = "w = nn.subtractBroadcastable(input = (x, y)); z = nn.exp2(input = w);";
        let got = bench(RULE).fires(&images(args, more));
        assert!(got.contains("= nn.add(input = x, input = %3)"), "{got}");
        assert!(bench(RULE).declines(&images(args, XY)).contains("last layer"));
    }

    #[test]
    fn declines() {
        for (args, reason) in [
            ("tensor<fp32, [2, 3, 4]> x, tensor<fp32, [4]> y", "does not broadcast"),
            ("tensor<fp32, [1, 2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y", "only equal shapes in rank 5"),
            ("tensor<fp32, [3]> x, tensor<fp32, [...]> y", "not known"),
        ] {
            let why = bench(RULE).declines(&arrays(args, XY));
            assert!(why.contains(reason), "{args}: {why}");
        }
    }
}
