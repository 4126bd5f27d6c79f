//! N013: a `constantPad` of height and width is a `padding`.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::operands::{Operand, mapping_stays};
use crate::rules::window::border;

declare_rule! {
    /// ## What it does
    /// Replaces a `constantPad` that adds to the last two axes by a `padding`.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     z = nn.constantPad(input = x)[padAmounts = [0, 0, 0, 0, 1, 2, 0, 3], value = -0.5];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     z = nn.padding(input = x)[constant = {value = -0.5}, paddingAmounts = {borderAmounts =
    ///       [{startEdgeSize = 1, endEdgeSize = 2}, {endEdgeSize = 3}]}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Both layers put the same number around the same elements: `padding` along height and width, which are the last
    /// two axes.
    ///
    /// ## Applies when
    /// 1. the amounts are fields, not an input, and not the size to reach
    /// 2. something is added, and only to the last two axes of a tensor of rank 3 or more
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct ConstantPad = N 13 "constant-pad";
    grade: BitExact, purpose: Enable,
}

impl Rule for ConstantPad {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.constantPad")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        ensure!(m.data(op).args(INPUT).count() == 1, "the amounts are an input");
        let to_size = m.attr(op, "padToGivenOutputSizeMode").and_then(Attr::as_bool);
        ensure!(to_size != Some(true), "the amounts are sizes to reach");
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let amounts = m.attr(op, "padAmounts").and_then(Attr::as_ints).unwrap_or_default();
        let rank = x.shape.len();
        ensure!(rank >= 3, "the operand has rank {rank}, padding needs 3");
        ensure!(amounts.len() == 2 * rank, "{} amounts for rank {rank}", amounts.len());
        let Some((lead, &[top, bottom, left, right])) = amounts.split_last_chunk::<4>() else {
            return Err(Miss::new("amounts for two axes are needed"));
        };
        ensure!(lead.iter().all(|&n| n == 0), "axes before the last two are padded: {amounts:?}");
        ensure!([top, bottom, left, right] != [0; 4], "nothing is added");
        let value: Attrs = match m.attr(op, "value").and_then(Attr::as_float) {
            Some(x) if x != 0.0 => vec![("value".into(), Attr::Float(x))],
            _ => Attrs::new(),
        };
        let attrs: Attrs = vec![
            ("constant".into(), Attr::Message(value)),
            ("paddingAmounts".into(), border([[top, bottom], [left, right]])),
        ];
        let x = patch.tap(x.value);
        let y = layer(patch, "nn.padding", &[(INPUT, x)], attrs)?;
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &ConstantPad = &ConstantPad;

    fn pad(x: &str, fields: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.constantPad(input = x)[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn zero_is_a_field_left_out() {
        let got = bench(RULE).fires(&pad("[3, ?, 5]", "padAmounts = [0, 0, 0, 0, 4, 0]"));
        assert!(got.contains("z = nn.padding(input = x, constant: Message([])"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, fields, reason) in [
            ("[3, 4, 5]", "padAmounts = [1, 0, 0, 0, 0, 0]", "axes before the last two"),
            ("[3, 4, 5]", "padAmounts = [0, 0, 0, 0, 0, 0]", "nothing is added"),
            (
                "[3, 4, 5]",
                "padAmounts = [0, 0, 0, 6, 0, 0], padToGivenOutputSizeMode = true",
                "sizes to reach",
            ),
            ("[4, 5]", "padAmounts = [0, 1, 0, 0]", "rank 2"),
        ] {
            let why = bench(RULE).declines(&pad(x, fields));
            assert!(why.contains(reason), "{fields}: {why}");
        }
        let image = "z = nn.constantPad(input = x)[padAmounts = [0, 0, 0, 0, 0, 0, 1, 1, 0, 0]];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
