//! N025: a `layerNormalization` over planes or whole images is an `mvn` and a `scale`.

use anewrite_ir::{Attr, Attrs, Dim};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};
use anewrite_tensor::DType;

use crate::rules::layers::layer;
use crate::rules::operands::{Operand, Show, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `layerNormalization` over height and width, or over channels too, by an `mvn`, with a `scale` or `bias` for
    /// its weights.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 1, 4]> x) {
    ///     z = nn.layerNormalization(input = x)[normalizedShape = [1, 4], eps = 0.001,
    ///       gamma = tensor<fp32, [4]>([1.0, 0.5, -2.0, 3.0]), beta = tensor<fp32, [4]>([0.0, 1.0, 0.25, -1.0])];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 1, 4]> x) {
    ///     a = nn.mvn(input = x)[normalizeVariance = true, epsilon = 0.001];
    ///     z = nn.scale(input = a)[scale = tensor<fp32, [4]>([1.0, 0.5, -2.0, 3.0]),
    ///       bias = tensor<fp32, [4]>([0.0, 1.0, 0.25, -1.0]),
    ///       shapeScale = [1, 1, 4], hasBias = true, shapeBias = [1, 1, 4]];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// Both subtract the mean over the same axes and divide by `sqrt(variance + epsilon)`; `mvn` takes height and width, or
    /// channels, height and width. The weights are multiplied and added afterwards, element by element.
    ///
    /// ## Applies when
    /// 1. the rank is known, from 3 to 5, and the last two or three axes are normalised, or the last one alone where the
    ///    height is 1; their extents are known
    /// 2. the epsilon is not 0, which `mvn` takes for 1e-6
    /// 3. the weights are floats, not quantised, and not updated on the device
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct LayerNormalization = N 25 "layer-normalization";
    grade: Exact, purpose: Enable, growth: 2.0, zeros: MayFlip,
}

impl Rule for LayerNormalization {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.layerNormalization")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        ensure!((3..=5).contains(&x.shape.len()), "the operand has rank {}, mvn takes 3 to 5", x.shape.len());
        let shape = m.attr(op, "normalizedShape").and_then(Attr::as_ints).unwrap_or_default();
        let named: Vec<Dim> = shape.iter().filter_map(|&n| u64::try_from(n).ok()).map(Dim::Known).collect();
        ensure!(
            !shape.is_empty() && named.len() == shape.len() && x.shape.ends_with(&named),
            "the normalised axes have the extents {shape:?}, the operand is {}",
            Show(&x.shape)
        );
        let height = x.shape.iter().rev().nth(1).and_then(|d| d.known());
        let across = match shape.len() {
            3 => true,
            2 => false,
            1 => {
                ensure!(
                    height == Some(1),
                    "the width alone is normalised, mvn takes height and width, and the operand is {}",
                    Show(&x.shape)
                );
                false
            }
            n => return Err(Miss::new(format!("{n} axes are normalised, mvn takes two or three"))),
        };
        let epsilon = m.attr(op, "eps").and_then(Attr::as_float).unwrap_or(0.0);
        ensure!(epsilon != 0.0, "the epsilon is 0, which mvn takes for 1e-6");
        let mut fields: Attrs = Vec::new();
        if across {
            fields.push(("acrossChannels".into(), Attr::Bool(true)));
        }
        fields.push(("normalizeVariance".into(), Attr::Bool(true)));
        fields.push(("epsilon".into(), Attr::Float(epsilon)));
        // [C, H, W], with ones for axes that are not normalised
        let ones = std::iter::repeat_n(1, 3 - shape.len());
        let weights = Attr::List(ones.chain(shape).map(Attr::Int).collect());
        let (gamma, beta) = (held(m, patch, "gamma")?, held(m, patch, "beta")?);
        let x = patch.tap(x.value);
        let y = layer(patch, "nn.mvn", &[(INPUT, x)], fields)?;
        let z = match (gamma, beta) {
            (None, None) => y,
            (None, Some(beta)) => {
                layer(patch, "nn.bias", &[(INPUT, y), ("bias", beta)], vec![("shape".into(), weights)])?
            }
            (Some(gamma), None) => {
                let attrs = vec![("shapeScale".into(), weights)];
                layer(patch, "nn.scale", &[(INPUT, y), ("scale", gamma)], attrs)?
            }
            (Some(gamma), Some(beta)) => {
                let attrs = vec![
                    ("shapeScale".into(), weights.clone()),
                    ("hasBias".into(), Attr::Bool(true)),
                    ("shapeBias".into(), weights),
                ];
                layer(patch, "nn.scale", &[(INPUT, y), ("scale", gamma), ("bias", beta)], attrs)?
            }
        };
        patch.replace(m.result(op)?, z)
    }
}

/// The weights in a field of the layer, for a field of another.
fn held(m: &Match<'_>, patch: &mut PatchBuilder<'_>, field: &str) -> Result<Option<PatchValue>, Miss> {
    let data = m.data(m.root());
    let is_plain = data.attr(field).is_none_or(|a| matches!(a, Attr::Message(fields) if fields.is_empty()));
    ensure!(is_plain, "{field} is quantised, or may be updated on the device");
    let Some(value) = data.arg(field) else { return Ok(None) };
    let constant = m.program.constant(value).ok_or_else(|| Miss::new(format!("{field} is computed")))?;
    ensure!(
        !constant.sealed && matches!(constant.tensor.dtype(), DType::F32 | DType::F16),
        "{field} is of {}",
        constant.tensor.dtype()
    );
    Ok(Some(patch.constant(constant.tensor.clone())))
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &LayerNormalization = &LayerNormalization;

    fn norm(x: &str, fields: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.layerNormalization(input = x)[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn each_choice_of_axes_and_weights() {
        let got = bench(RULE).fires(&norm("[?, 3, 4, 5]", "normalizedShape = [3, 4, 5], eps = 0.001"));
        assert!(got.contains("acrossChannels: Bool(true)") && !got.contains("nn.scale"), "{got}");
        let fields = "normalizedShape = [4, 5], eps = 0.001, gamma = random<fp16, [20]>(3)";
        let got = bench(RULE).fires(&norm("[3, 4, 5]", fields));
        assert!(!got.contains("acrossChannels"), "{got}");
        assert!(
            got.contains("shapeScale: List([Int(1), Int(4), Int(5)])") && !got.contains("hasBias"),
            "{got}"
        );
        let fields = "normalizedShape = [3, 4, 5], eps = 0.001, beta = random<fp32, [60]>(3)";
        let got = bench(RULE).fires(&norm("[7, 2, 3, 4, 5]", fields));
        assert!(
            got.contains("z = nn.bias") && got.contains("shape: List([Int(3), Int(4), Int(5)])"),
            "{got}"
        );
        let got = bench(RULE).fires(&norm("[2, 3, 1, 5]", "normalizedShape = [5], eps = 0.001"));
        assert!(got.contains("z = nn.mvn(input = x, normalizeVariance"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, fields, reason) in [
            ("[2, 3, 4, 5]", "normalizedShape = [5], eps = 0.001", "the width alone"),
            ("[2, 3, 4, 5]", "normalizedShape = [2, 3, 4, 5], eps = 0.001", "4 axes"),
            ("[2, 3, 4, 5]", "normalizedShape = [4, 6], eps = 0.001", "the extents [4, 6]"),
            ("[2, 3, 4, 5]", "normalizedShape = [4, -5], eps = 0.001", "the extents [4, -5]"),
            ("[2, 3, ?, 5]", "normalizedShape = [4, 5], eps = 0.001", "the operand is [2, 3, ?, 5]"),
            ("[2, 3, 4, 5]", "normalizedShape = [4, 5]", "the epsilon is 0"),
            ("[4, 5]", "normalizedShape = [4, 5], eps = 0.001", "rank 2"),
            ("[...]", "normalizedShape = [4, 5], eps = 0.001", "not known"),
        ] {
            let why = bench(RULE).declines(&norm(x, fields));
            assert!(why.contains(reason), "{x} {fields}: {why}");
        }
        let quantised = "normalizedShape = [5], eps = 0.001, gamma = tensor<uint8, [5]>([1, 2, 3, 4, 5]),
                         gamma = {quantization = {numberOfBits = 8, linearQuantization = {scale = [0.5]}}}";
        let why = bench(RULE).declines(&norm("[2, 3, 1, 5]", quantised));
        assert!(why.contains("gamma is quantised"), "{why}");
        let image = "z = nn.layerNormalization(input = x)[normalizedShape = [4, 6], eps = 0.001];";
        assert!(
            bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image)).contains("last layer")
        );
    }
}
