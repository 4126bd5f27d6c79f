//! N010: a `softmaxND` over channels is a `softmax`.

use anewrite_ir::Attrs;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::operands::{Operand, axis_from_end, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `softmaxND` along the third axis from the end by a `softmax`.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     z = nn.softmaxND(input = x)[axis = 1];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     z = nn.softmax(input = x);
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Both layers compute the same function of the same elements; `softmax` takes channels, which are the third axis
    /// from the end.
    ///
    /// ## Applies when
    /// 1. the rank is known, from 3 to 5, and the axis is the third from the end
    /// 2. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct SoftmaxNd = N 10 "softmax-nd";
    grade: BitExact, purpose: Enable,
}

impl Rule for SoftmaxNd {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.softmaxND")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = x.shape.len();
        ensure!(rank <= 5, "the operand has rank {rank}, softmax takes up to 5");
        let from_end = axis_from_end(m, op, rank)?;
        ensure!(from_end == 3, "the axis is the {from_end}. from the end, softmax takes the third");
        let x = patch.tap(x.value);
        let y = layer(patch, "nn.softmax", &[(INPUT, x)], Attrs::new())?;
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &SoftmaxNd = &SoftmaxNd;

    fn softmax(x: &str, axis: i64) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.softmaxND(input = x)[axis = {axis}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn channels_in_each_rank() {
        for (x, axis) in [("[3, 4, 5]", 0), ("[3, ?, 5]", -3), ("[7, 2, 3, 4, 5]", 2)] {
            let got = bench(RULE).fires(&softmax(x, axis));
            assert!(got.contains("z = nn.softmax(input = x)"), "{got}");
        }
    }

    #[test]
    fn declines() {
        for (x, axis, reason) in [
            ("[2, 3, 4, 5]", -1, "the 1. from the end"),
            ("[2, 3, 4, 5]", 0, "the 4. from the end"),
            ("[3, 4]", 0, "the 2. from the end"),
            ("[3, 4]", 2, "no axis 2"),
            ("[...]", 0, "not known"),
        ] {
            let why = bench(RULE).declines(&softmax(x, axis));
            assert!(why.contains(reason), "{x} {axis}: {why}");
        }
        let image = images("tensor<fp32, [1, 1, 3, 4, 6]> x", "z = nn.softmaxND(input = x)[axis = 2];");
        assert!(bench(RULE).declines(&image).contains("last layer"));
    }
}
