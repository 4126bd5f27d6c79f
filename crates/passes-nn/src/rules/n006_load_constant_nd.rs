//! N006: a `loadConstantND` of rank 5 without Seq and B is a `loadConstant`.

use anewrite_ir::Attr;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::operands::{loaded, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `loadConstantND` of shape `[1, 1, C, H, W]` by a `loadConstant`.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 2, 1, 3]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp16, [6]>([0.5, 1.0, -2.0, 3.0, 4.0, 5.5]), shape = [1, 1, 2, 1, 3]];
    ///     y = nn.maxBroadcastable(input = (x, c));
    ///   } -> (y);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 2, 1, 3]> x) {
    ///     c = nn.loadConstant()[data = tensor<fp16, [6]>([0.5, 1.0, -2.0, 3.0, 4.0, 5.5]), shape = [2, 1, 3]];
    ///     y = nn.maxBroadcastable(input = (x, c));
    ///   } -> (y);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// `loadConstant` gives the tensor `[1, 1, C, H, W]`, whatever the mapping of the network: the same elements, which
    /// stay where they are, in the same shape.
    ///
    /// ## Applies when
    /// 1. the shape has five extents, of which the first two are 1: a constant of lower rank would gain axes
    /// 2. the constant is not quantised
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct LoadConstantNd = N 6 "load-constant-nd";
    grade: BitExact, purpose: Enable,
}

impl Rule for LoadConstantNd {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.loadConstantND")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let result = m.result(op)?;
        let shape = m.attr(op, "shape").and_then(Attr::as_ints).unwrap_or_default();
        let [1, 1, chw @ ..] = &*shape else {
            return Err(Miss::new(format!("the shape is {shape:?}, loadConstant has [1, 1, C, H, W]")));
        };
        ensure!(chw.len() == 3, "the shape is {shape:?}, loadConstant has [1, 1, C, H, W]");
        let data = loaded(m, result).ok_or(Miss::new("the constant is quantised, or not readable"))?;
        let shape = chw.iter().map(|&n| Attr::Int(n)).collect();
        let data = patch.constant(data.reshaped([data.count()])?);
        let constant =
            layer(patch, "nn.loadConstant", &[("data", data)], vec![("shape".into(), Attr::List(shape))])?;
        patch.replace(result, constant)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, constant, images};

    const RULE: &LoadConstantNd = &LoadConstantNd;

    fn loading(extents: &[u64]) -> String {
        let layers = format!("{} z = nn.maxBroadcastable(input = (x, c));", constant("fp32", extents));
        arrays("tensor<fp32, [2, 7, 3, 4, 5]> x", &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn images_of_rank_5() {
        let layers = constant("fp16", &[1, 1, 3, 1, 5]) + "z = nn.minBroadcastable(input = (x, c));";
        let got = bench(RULE).fires(&images("tensor<fp32, [1, 1, 3, 4, 5]> x", &layers));
        assert!(got.contains("= nn.loadConstant(data = fp16[15]"), "{got}");
        assert!(got.contains("shape: List([Int(3), Int(1), Int(5)])"), "{got}");
        let layers = constant("fp16", &[1, 1, 3, 4, 5]) + "z = nn.max(input = (x, c));";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 5]> x", &layers));
        assert!(why.contains("last layer"), "{why}");
    }

    #[test]
    fn declines() {
        for extents in [&[3, 4, 5][..], &[1, 1], &[1, 3, 4, 5], &[2, 1, 3, 4, 5], &[1, 7, 3, 4, 5]] {
            let why = bench(RULE).declines(&loading(extents));
            assert!(why.contains("loadConstant has [1, 1, C, H, W]"), "{extents:?}: {why}");
        }
        let quantised =
            "c = nn.loadConstantND()[data = tensor<uint8, [3]>([1, 2, 3]), shape = [1, 1, 3, 1, 1],
                           data = {quantization = {numberOfBits = 8, linearQuantization = {scale = [0.5]}}}];
                         z = nn.maxBroadcastable(input = (x, c));";
        let why = bench(RULE).declines(&arrays("tensor<fp32, [2, 1, 3, 4, 5]> x", quantised));
        assert!(why.contains("quantised"), "{why}");
    }
}
