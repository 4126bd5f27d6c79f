//! N005: a `splitND` of channels into equal parts is a `split`.

use anewrite_ir::Attr;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::operands::{Operand, axis_from_end, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `splitND` into equal parts along the third axis from the end by a `split`.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 6, 4, 5]> x) {
    ///     a, b, c = nn.splitND(input = x)[axis = -3, splitSizes = [2, 2, 2]];
    ///   } -> (a, c, b);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 6, 4, 5]> x) {
    ///     a, b, c = nn.split(input = x)[nOutputs = 3];
    ///   } -> (a, c, b);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Both layers cut the same axis at the same places: `split` cuts the third from the end into equal parts.
    ///
    /// ## Applies when
    /// 1. the axis is the third from the end
    /// 2. the parts are equal: their number is given, or their sizes are all the same
    /// 3. each part is an output, and there are at least two
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct SplitNd = N 5 "split-nd";
    grade: BitExact, purpose: Enable,
}

impl Rule for SplitNd {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.splitND")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = m.arg(op, INPUT)?;
        match axis_from_end(m, op, Operand::of(m, x)?.shape.len())? {
            3 => {}
            n => return Err(Miss::new(format!("the axis is the {n}. from the end, not the third"))),
        }
        let outputs = &m.data(op).results;
        ensure!(outputs.len() >= 2, "split needs two outputs, the layer has {}", outputs.len());
        let sizes =
            m.attr(op, "splitSizes").map(|a| a.as_ints().ok_or(Miss::new("the sizes are not integers")));
        let sizes = sizes.transpose()?.unwrap_or_default();
        ensure!(sizes.windows(2).all(|w| w[0] == w[1]), "the parts are of the sizes {sizes:?}");
        let parts = if sizes.is_empty() {
            let number = m.attr(op, "numSplits").and_then(Attr::as_int);
            number.ok_or(Miss::new("neither a number of parts nor their sizes are given"))?
        } else {
            sizes.len() as i64
        };
        ensure!(
            usize::try_from(parts) == Ok(outputs.len()),
            "{parts} parts, of which {} are outputs",
            outputs.len()
        );
        let x = patch.tap(x);
        let attrs = vec![("nOutputs".into(), Attr::Int(parts))];
        let pieces = patch.op_with("nn.split", &[(INPUT, x)], attrs)?;
        ensure!(pieces.len() == outputs.len(), "split has {} outputs", pieces.len());
        for (&old, &new) in outputs.iter().zip(&pieces) {
            patch.replace(old, new)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &SplitNd = &SplitNd;

    fn split(x: &str, outputs: &str, fields: &str) -> String {
        let layers = format!("z{outputs} = nn.splitND(input = x)[{fields}];");
        arrays(&format!("tensor<fp32, {x}> x"), &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn channels_in_each_rank() {
        for (x, axis) in [("[6, 4, 5]", 0), ("[7, 6, 4, 5]", 1), ("[8, 7, 6, 4, 5]", 2), ("[7, 6, ?, ?]", -3)]
        {
            let got = bench(RULE).fires(&split(x, ", a", &format!("axis = {axis}, numSplits = 2")));
            assert!(got.contains("nn.split(input = x, nOutputs: Int(2))"), "{got}");
        }
    }

    #[test]
    fn images_of_rank_5() {
        let layer = "w, a = nn.splitND(input = x)[axis = 2, numSplits = 2];";
        let x = "tensor<fp32, [1, 1, 4, 5, 6]> x";
        let got = bench(RULE).fires(&images(x, &format!("{layer} z = nn.exp2(input = w);")));
        assert!(got.contains("= nn.split(input = x"), "{got}");
        let old = format!("{layer} z = nn.tanh(input = w);").replace("nn.tanh", "nn.softmax");
        assert!(bench(RULE).declines(&images(x, &old)).contains("last layer"));
    }

    #[test]
    fn declines() {
        for (x, outputs, fields, reason) in [
            ("[6, 4, 5]", ", a", "axis = 1, numSplits = 2", "the 2. from the end"),
            ("[6, 4]", ", a", "axis = 0, numSplits = 2", "the 2. from the end"),
            ("[6, 4, 5]", ", a", "axis = 0, splitSizes = [2, 4]", "sizes [2, 4]"),
            ("[6, 4, 5]", "", "axis = 0, numSplits = 2", "two outputs, the layer has 1"),
            ("[6, 4, 5]", ", a", "axis = 0, numSplits = 3", "3 parts, of which 2 are outputs"),
            ("[6, 4, 5]", ", a", "axis = 0", "neither a number of parts nor"),
            ("[...]", ", a", "axis = -3, numSplits = 2", "not known"),
        ] {
            let why = bench(RULE).declines(&split(x, outputs, fields));
            assert!(why.contains(reason), "{x} {fields}: {why}");
        }
    }
}
