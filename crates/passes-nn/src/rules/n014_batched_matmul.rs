//! N014: a `batchedMatmul` with a matrix of its own is an `innerProduct`.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::operands::{Operand, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `batchedMatmul` with weights by an `innerProduct` with the same weights.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 7, 3]> x) {
    ///     z = nn.batchedMatmul(input = x)[weightMatrixFirstDimension = 3, weightMatrixSecondDimension = 2,
    ///       hasBias = true, weights = random<fp16, [6]>(1), bias = random<fp32, [2]>(2)];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 7, 3]> x) {
    ///     z = nn.innerProduct(input = x)[inputChannels = 3, outputChannels = 2,
    ///       hasBias = true, weights = random<fp16, [6]>(1), bias = random<fp32, [2]>(2)];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Up to rank 3 both layers multiply the last axis by a matrix. One stores it column by column, the other by rows of
    /// the transposed matrix, which are the same bytes.
    ///
    /// ## Applies when
    /// 1. the matrix is in the layer's fields
    /// 2. the operand has a known rank of at most 3: from 4 on an `innerProduct` takes C, H and W together
    /// 3. inputs are not quantised while the model runs
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct BatchedMatmul = N 14 "batched-matmul";
    grade: BitExact, purpose: Enable,
}

impl Rule for BatchedMatmul {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.batchedMatmul")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let data = m.data(op);
        ensure!(data.args(INPUT).count() == 1, "both matrices are computed");
        let is_set = |name: &str| m.attr(op, name).and_then(Attr::as_bool) == Some(true);
        ensure!(!is_set("int8DynamicQuantize"), "inputs are quantised while the model runs");
        ensure!(!is_set("transposeA") && !is_set("transposeB"), "an operand is transposed");
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = x.shape.len();
        ensure!(
            (1..=3).contains(&rank),
            "the operand has rank {rank}, innerProduct takes the last axis up to 3"
        );
        let mut attrs = Attrs::new();
        for (from, to) in [
            ("weightMatrixFirstDimension", "inputChannels"),
            ("weightMatrixSecondDimension", "outputChannels"),
            ("hasBias", "hasBias"),
            ("weights", "weights"),
            ("bias", "bias"),
        ] {
            if let Some(a) = m.attr(op, from) {
                attrs.push((to.into(), a.clone()));
            }
        }
        let x = patch.tap(x.value);
        let mut inputs = vec![(INPUT, x)];
        for o in data.operands.iter().filter(|o| &*o.param != INPUT) {
            let constant = m.value_constant(o.value).ok_or(Miss::new("the matrix is computed"))?;
            inputs.push((&o.param, patch.constant(constant.clone())));
        }
        let y = layer(patch, "nn.innerProduct", &inputs, attrs)?;
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &BatchedMatmul = &BatchedMatmul;
    const SIZES: &str = "weightMatrixFirstDimension = 3, weightMatrixSecondDimension = 2";

    fn product(x: &str, more: &str) -> String {
        let layer =
            format!("z = nn.batchedMatmul(input = x)[{SIZES}, weights = random<fp32, [6]>(1){more}];");
        arrays(&format!("tensor<fp32, {x}> x"), &layer)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn vectors_and_matrices() {
        for x in ["[3]", "[5, 3]", "[?, 5, 3]"] {
            let got = bench(RULE).fires(&product(x, ""));
            assert!(got.contains("z = nn.innerProduct(input = x, weights = fp32[6]"), "{got}");
        }
    }

    #[test]
    fn declines() {
        for (x, more, reason) in [
            ("[2, 4, 5, 3]", "", "rank 4"),
            ("[5, 3]", ", int8DynamicQuantize = true", "quantised while"),
            ("[5, 3]", ", transposeA = true", "transposed"),
            ("[...]", "", "not known"),
        ] {
            let why = bench(RULE).declines(&product(x, more));
            assert!(why.contains(reason), "{x}: {why}");
        }
        let two =
            arrays("tensor<fp32, [5, 3]> x, tensor<fp32, [3, 4]> y", "z = nn.batchedMatmul(input = (x, y));");
        assert!(bench(RULE).declines(&two).contains("both matrices"));
        let image = format!("z = nn.batchedMatmul(input = x)[{SIZES}, weights = random<fp32, [6]>(1)];");
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 3]> x", &image));
        assert!(why.contains("last layer"), "{why}");
    }
}
