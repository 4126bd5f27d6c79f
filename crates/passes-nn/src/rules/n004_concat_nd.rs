//! N004: a `concatND` of channels, or of the axis Seq, is a `concat`.

use anewrite_ir::{Attr, Attrs, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::operands::{Operand, axis_from_end, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `concatND` along the third axis from the end by a `concat`, and along the fifth from the end by one of
    /// sequences.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x, tensor<fp32, [1, 3, 4, 5]> y) {
    ///     z = nn.concatND(input = (y, x, y))[axis = 1];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x, tensor<fp32, [1, 3, 4, 5]> y) {
    ///     z = nn.concat(input = (y, x, y));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 4, 5]> x, tensor<fp32, [6, 1, 3, 4, 5]> y) {
    ///     z = nn.concatND(input = (x, y))[axis = -5];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 4, 5]> x, tensor<fp32, [6, 1, 3, 4, 5]> y) {
    ///     z = nn.concat(input = (x, y))[sequenceConcat = true];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Both layers put the same inputs one behind the other along the same axis: `concat` along the third from the end,
    /// or the fifth with `sequenceConcat`.
    ///
    /// ## Applies when
    /// 1. there are at least two inputs, all of one known rank
    /// 2. the axis is the third or the fifth from the end
    /// 3. the inputs are not interleaved
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct ConcatNd = N 4 "concat-nd";
    grade: BitExact, purpose: Enable,
}

impl Rule for ConcatNd {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.concatND")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let inputs: Vec<ValueId> = m.data(op).args(INPUT).collect();
        let ranks = inputs.iter().map(|&v| Ok(Operand::of(m, v)?.shape.len()));
        let ranks: Vec<usize> = ranks.collect::<Result<_, Miss>>()?;
        let (Some(&rank), true) = (ranks.first(), ranks.len() >= 2) else {
            return Err(Miss::new(format!("concat needs two inputs, the layer has {}", ranks.len())));
        };
        ensure!(ranks.iter().all(|&r| r == rank), "the inputs have the ranks {ranks:?}");
        ensure!(
            m.attr(op, "interleave").is_none_or(|a| a.as_bool() == Some(false)),
            "the inputs are interleaved"
        );
        let attrs: Attrs = match axis_from_end(m, op, rank)? {
            3 => Attrs::new(),
            5 => vec![("sequenceConcat".into(), Attr::Bool(true))],
            n => return Err(Miss::new(format!("the axis is the {n}. from the end, not the third or fifth"))),
        };
        let inputs: Vec<_> = inputs.into_iter().map(|v| (INPUT, patch.tap(v))).collect();
        let joined = layer(patch, "nn.concat", &inputs, attrs)?;
        patch.replace(m.result(op)?, joined)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &ConcatNd = &ConcatNd;

    fn concat(args: &str, fields: &str) -> String {
        arrays(args, &format!("z = nn.concatND(input = (x, y))[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn channels_in_each_rank() {
        for (x, y, axis) in [
            ("[2, 4, 5]", "[3, 4, 5]", 0),
            ("[2, 4, 5]", "[3, 4, 5]", -3),
            ("[7, 2, 4, 5]", "[7, 3, 4, 5]", 1),
            ("[6, 7, 2, 4, 5]", "[6, 7, 3, 4, 5]", 2),
            ("[6, ?, 2, ?, 5]", "[6, ?, 3, ?, 5]", 2),
        ] {
            let args = format!("tensor<fp32, {x}> x, tensor<fp32, {y}> y");
            let got = bench(RULE).fires(&concat(&args, &format!("axis = {axis}")));
            assert!(got.contains("z = nn.concat(input = x, input = y)"), "{got}");
        }
    }

    #[test]
    fn images_of_rank_5() {
        let args = "tensor<fp32, [1, 1, 3, 4, 6]> x, tensor<fp32, [1, 1, 1, 4, 6]> y";
        let layer = "nn.concatND(input = (x, y))[axis = 2];";
        let got = bench(RULE).fires(&images(args, &format!("w = {layer} z = nn.exp2(input = w);")));
        assert!(got.contains("= nn.concat(input = x, input = y)"), "{got}");
        assert!(bench(RULE).declines(&images(args, &format!("z = {layer}"))).contains("last layer"));
    }

    #[test]
    fn declines() {
        let four = "tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [2, 3, 4, 5]> y";
        for (axis, n) in [("axis = 2", 2), ("axis = -1", 1), ("axis = -4", 4), ("", 4)] {
            let why = bench(RULE).declines(&concat(four, axis));
            assert!(why.contains(&format!("the {n}. from the end")), "{axis}: {why}");
        }
        let why = bench(RULE).declines(&concat(four, "axis = 1, interleave = true"));
        assert!(why.contains("interleaved"), "{why}");
        let why = bench(RULE).declines(&concat(four, "axis = 4"));
        assert!(why.contains("no axis 4"), "{why}");
        let why = bench(RULE)
            .declines(&concat("tensor<fp32, [2, 3, 4]> x, tensor<fp32, [2, 3, 4, 5]> y", "axis = 1"));
        assert!(why.contains("the ranks [3, 4]"), "{why}");
        let why = bench(RULE).declines(&concat("tensor<fp32, [2, 3]> x, tensor<fp32, [2, 3]> y", "axis = 0"));
        assert!(why.contains("the 2. from the end"), "{why}");
        let one = arrays("tensor<fp32, [2, 3, 4]> x", "z = nn.concatND(input = x)[axis = 0];");
        assert!(bench(RULE).declines(&one).contains("the layer has 1"));
        let unknown = concat("tensor<fp32, [...]> x, tensor<fp32, [2, 3, 4]> y", "axis = 0");
        assert!(bench(RULE).declines(&unknown).contains("not known"));
    }
}
