//! N023: a `clip` or `clampedReLU` is a threshold or a leaky ReLU, and a threshold from above.

use anewrite_ir::Attr;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::functions::{activation, at_least, at_most};
use crate::rules::operands::mapping_stays;

declare_rule! {
    /// ## What it does
    /// Replaces a `clip` by thresholds, and a `clampedReLU` by a leaky ReLU and a threshold.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     y = nn.clip(input = x)[minVal = -0.5, maxVal = 6.0];
    ///     z = nn.clampedReLU(input = y)[alpha = 0.125, beta = 3.0];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     a = nn.unary(input = x)[type = THRESHOLD, alpha = -0.5];
    ///     b = nn.unary(input = a)[type = THRESHOLD, alpha = -6.0, scale = -1.0];
    ///     y = nn.activation(input = b)[linear = {alpha = -1.0}];
    ///     c = nn.activation(input = y)[leakyReLU = {alpha = 0.125}];
    ///     d = nn.unary(input = c)[type = THRESHOLD, alpha = -3.0, scale = -1.0];
    ///     z = nn.activation(input = d)[linear = {alpha = -1.0}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// `clip` is `min(max(x, low), high)`, `clampedReLU` is `min(leaky(x), beta)`. A threshold is
    /// `max(scale * x + shift, alpha)`, and `min(x, a) = -max(-x, -a)`, where changing a sign rounds nothing. A zero may
    /// change its sign. NaN stays NaN.
    ///
    /// ## Applies when
    /// 1. the bounds are numbers; one at infinity is left out
    /// 2. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Clip = N 23 "clip";
    grade: Exact, purpose: Enable, zeros: MayFlip,
}

impl Rule for Clip {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.clip", "nn.clampedReLU"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let field = |name: &str| m.attr(op, name).map_or(Some(0.0), Attr::as_float);
        let number = |name: &str| field(name).filter(|n| !n.is_nan());
        let x = patch.tap(m.arg(op, INPUT)?);
        let is_clip = &*m.data(op).kind == "nn.clip";
        let (first, second) = if is_clip { ("minVal", "maxVal") } else { ("alpha", "beta") };
        let (Some(low), Some(high)) = (number(first), number(second)) else {
            return Err(Miss::new("a bound is no number"));
        };
        ensure!(low < f64::INFINITY && high > f64::NEG_INFINITY, "the bounds are {low} and {high}");
        let above = if !is_clip {
            ensure!(low.is_finite(), "the slope is {low}");
            activation(patch, x, "leakyReLU", &[("alpha", low)])?
        } else if low.is_finite() {
            at_least(patch, x, low)?
        } else {
            ensure!(high.is_finite(), "nothing is cut off");
            x
        };
        let y = if high.is_finite() { at_most(patch, above, high)? } else { above };
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Clip = &Clip;

    fn text(layer: &str) -> String {
        arrays("tensor<fp32, [4, ?]> x", &format!("z = nn.{layer};"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn bounds_of_0_and_at_infinity() {
        let got = bench(RULE).fires(&text("clip(input = x)[maxVal = 6.0]"));
        assert!(got.contains("nn.unary(input = x, type: Enum(\"THRESHOLD\"))"), "{got}");
        let got = bench(RULE).fires(&text("clip(input = x)[minVal = -1.0, maxVal = inf]"));
        assert!(got.contains("z = nn.unary") && !got.contains("nn.activation"), "{got}");
        let got = bench(RULE).fires(&text("clip(input = x)[minVal = -inf, maxVal = 2.0]"));
        assert!(
            got.contains(
                "nn.unary(input = x, type: Enum(\"THRESHOLD\"), alpha: Float(-2.0), scale: Float(-1.0))"
            ),
            "{got}"
        );
        let got = bench(RULE).fires(&text("clampedReLU(input = x)[beta = 6.0]"));
        assert!(got.contains("leakyReLU: Message([])") && got.contains("alpha: Float(-6.0)"), "{got}");
    }

    #[test]
    fn declines() {
        for (layer, reason) in [
            ("clip(input = x)[minVal = -inf, maxVal = inf]", "nothing is cut off"),
            ("clip(input = x)[minVal = nan, maxVal = 1.0]", "no number"),
            ("clip(input = x)[minVal = inf, maxVal = inf]", "the bounds are inf"),
            ("clampedReLU(input = x)[alpha = -inf, beta = 1.0]", "the slope is -inf"),
        ] {
            let why = bench(RULE).declines(&text(layer));
            assert!(why.contains(reason), "{layer}: {why}");
        }
        let image = images("tensor<fp32, [1, 1, 3, 4, 6]> x", "z = nn.clip(input = x)[maxVal = 1.0];");
        assert!(bench(RULE).declines(&image).contains("last layer"));
    }
}
