//! N036: an `embeddingND` of indices of rank 5 is an `embedding`.

use anewrite_ir::{Attr, Attrs, Dim};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::operands::{Operand, Show, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces an `embeddingND` of indices `[Seq, B, 1, 1, 1]` or `[Seq, 1, C, H, 1]` by an `embedding` with the same table,
    /// between layers that put the rows in their place.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [7, 2, 1, 1, 1]> x, tensor<fp32, [2, 1, 3, 4, 1]> y) {
    ///     a = nn.embeddingND(input = x)[vocabSize = 5, embeddingSize = 3, weights = random<fp32, [15]>(1)];
    ///     b = nn.embeddingND(input = y)[vocabSize = 5, embeddingSize = 3, weights = random<fp32, [15]>(1)];
    ///   } -> (a, b);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [7, 2, 1, 1, 1]> x, tensor<fp32, [2, 1, 3, 4, 1]> y) {
    ///     c = nn.embedding(input = x)[inputDim = 5, outputChannels = 3, weights = random<fp32, [15]>(1)];
    ///     a = nn.permute(input = c)[axis = [0, 2, 3, 1]];
    ///     d = nn.reshape(input = y)[targetShape = [24, 1, 1, 1]];
    ///     e = nn.embedding(input = d)[inputDim = 5, outputChannels = 3, weights = random<fp32, [15]>(1)];
    ///     b = nn.reshape(input = e)[targetShape = [2, 3, 4, 3]];
    ///   } -> (a, b);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Both layers look the same rows up in the same table, whose bytes stay. `embeddingND` puts a row along the last axis,
    /// `embedding` along the channels: `permute` moves it there, or with a batch of one a reshape, for nothing else has more
    /// than one element then.
    ///
    /// ## Applies when
    /// 1. the indices have rank 5, and either C, H and W are 1, or the batch is 1 and all extents are known
    /// 2. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct EmbeddingNd = N 36 "embedding-nd";
    grade: BitExact, purpose: Enable,
}

impl Rule for EmbeddingNd {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.embeddingND")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let &[seq, batch, channels, height, last] = x.shape.as_slice() else {
            return Err(Miss::new(format!("the indices have rank {}, embedding takes 5", x.shape.len())));
        };
        let one = Dim::Known(1);
        ensure!(last == one, "the indices are {}", Show(&x.shape));
        let single = channels == one && height == one;
        let mut y = patch.tap(x.value);
        let mut back = Vec::new();
        if !single {
            ensure!(batch == one, "the indices are {}: neither C and H nor the batch are 1", Show(&x.shape));
            let known = [seq, channels, height].map(|d| d.known().and_then(|n| i64::try_from(n).ok()));
            let [Some(s), Some(c), Some(h)] = known else {
                return Err(Miss::new(format!("the indices are {}", Show(&x.shape))));
            };
            let all = s.checked_mul(c).and_then(|n| n.checked_mul(h)).filter(|n| *n > 0);
            let all = all.ok_or_else(|| Miss::new(format!("the indices are {}", Show(&x.shape))))?;
            y = layer(patch, "nn.reshape", &[(INPUT, y)], list("targetShape", &[all, 1, 1, 1]))?;
            back = vec![s, c, h];
        }
        let mut attrs = Attrs::new();
        for (from, to) in [
            ("vocabSize", "inputDim"),
            ("embeddingSize", "outputChannels"),
            ("hasBias", "hasBias"),
            ("weights", "weights"),
            ("bias", "bias"),
        ] {
            if let Some(a) = m.attr(op, from) {
                attrs.push((to.into(), a.clone()));
            }
        }
        let mut inputs = vec![(INPUT, y)];
        for o in m.data(op).operands.iter().filter(|o| &*o.param != INPUT) {
            let table = m.value_constant(o.value).ok_or(Miss::new("the table is computed"))?;
            inputs.push((&o.param, patch.constant(table.clone())));
        }
        y = layer(patch, "nn.embedding", &inputs, attrs)?;
        y = if single {
            layer(patch, "nn.permute", &[(INPUT, y)], list("axis", &[0, 2, 3, 1]))?
        } else {
            let size = m.attr(op, "embeddingSize").and_then(Attr::as_int).unwrap_or(0);
            back.push(size);
            layer(patch, "nn.reshape", &[(INPUT, y)], list("targetShape", &back))?
        };
        patch.replace(m.result(op)?, y)
    }
}

fn list(field: &str, numbers: &[i64]) -> Attrs {
    vec![(field.into(), Attr::List(numbers.iter().map(|&n| Attr::Int(n)).collect()))]
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &EmbeddingNd = &EmbeddingNd;

    const TABLE: &str = "vocabSize = 5, embeddingSize = 3, hasBias = true, weights = random<fp16, [15]>(1),
        bias = random<fp32, [3]>(2)";

    fn rows(x: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.embeddingND(input = x)[{TABLE}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn the_bias_and_open_extents() {
        let got = bench(RULE).fires(&rows("[?, ?, 1, 1, 1]"));
        assert!(got.contains("hasBias: Bool(true)") && got.contains("nn.permute"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, reason) in [
            ("[7, 1]", "rank 2"),
            ("[7, 1, 1, 1]", "rank 4"),
            ("[7, 2, 3, 1, 1]", "neither C and H nor the batch are 1"),
            ("[?, 1, 3, 1, 1]", "the indices are [?, 1, 3, 1, 1]"),
            ("[...]", "not known"),
        ] {
            let why = bench(RULE).declines(&rows(x));
            assert!(why.contains(reason), "{x}: {why}");
        }
        let image = format!("z = nn.embeddingND(input = x)[{TABLE}];");
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 1, 1, 1]> x", &image));
        assert!(why.contains("last layer"), "{why}");
    }
}
