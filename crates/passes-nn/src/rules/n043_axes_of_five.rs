//! N043: a `softmaxND` or `concatND` of other axes of rank 5 is that of channels, between two permutations.

use anewrite_ir::{Attr, Attrs, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::operands::{Operand, axis_from_end, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `softmaxND` along Seq, height or width, or a `concatND` along height or width, of tensors
    /// `[Seq, B, C, H, W]`, by a `softmax` or `concat` of tensors whose channels have changed places with that axis.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 4, 5]> x) {
    ///     z = nn.softmaxND(input = x)[axis = -1];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 4, 5]> x) {
    ///     a = nn.permute(input = x)[axis = [0, 3, 2, 1]];
    ///     b = nn.softmax(input = a);
    ///     z = nn.permute(input = b)[axis = [0, 3, 2, 1]];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Both layers compute the same function of the same elements. Two axes that change places twice are where they were.
    ///
    /// ## Applies when
    /// 1. every operand has rank 5
    /// 2. `softmaxND`: the axis is Seq, H or W; N010 takes channels. `concatND`: it is H or W; N004 takes the others
    /// 3. `concatND`: from 2 to 8 operands, not interleaved
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct AxesOfFive = N 43 "axes-of-five";
    grade: BitExact, purpose: Enable,
}

/// Each operand costs a permutation.
const MAX_OPERANDS: usize = 8;

impl Rule for AxesOfFive {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.softmaxND", "nn.concatND"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let joins = &*m.data(op).kind == "nn.concatND";
        let inputs: Vec<ValueId> = m.data(op).args(INPUT).collect();
        for &v in &inputs {
            let rank = Operand::of(m, v)?.shape.len();
            ensure!(rank == 5, "an operand has rank {rank}, permute takes 5");
        }
        let from_end = axis_from_end(m, op, 5)?;
        // permute counts Seq, C, H and W
        let order = match from_end {
            1 => [0, 3, 2, 1],
            2 => [0, 2, 1, 3],
            5 if !joins => [1, 0, 2, 3],
            n => return Err(Miss::new(format!("the axis is the {n}. from the end"))),
        };
        let count = inputs.len();
        let kind = if joins { "nn.concat" } else { "nn.softmax" };
        ensure!(!joins || (2..=MAX_OPERANDS).contains(&count), "the layer has {count} inputs");
        let interleaved = m.attr(op, "interleave").and_then(Attr::as_bool) == Some(true);
        ensure!(!interleaved, "the inputs are interleaved");
        let permuted = |patch: &mut PatchBuilder<'_>, x| {
            let attrs: Attrs = vec![("axis".into(), Attr::List(order.map(Attr::Int).to_vec()))];
            layer(patch, "nn.permute", &[(INPUT, x)], attrs)
        };
        let mut turned = Vec::with_capacity(count);
        for &v in &inputs {
            let x = patch.tap(v);
            turned.push((INPUT, permuted(patch, x)?));
        }
        let y = layer(patch, kind, &turned, Attrs::new())?;
        let y = permuted(patch, y)?;
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &AxesOfFive = &AxesOfFive;

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn each_axis() {
        for (axis, order) in
            [(0, "[Int(1), Int(0), Int(2), Int(3)]"), (3, "[Int(0), Int(2), Int(1), Int(3)]")]
        {
            let text = format!("z = nn.softmaxND(input = x)[axis = {axis}];");
            let got = bench(RULE).fires(&arrays("tensor<fp32, [2, ?, 3, 4, 5]> x", &text));
            assert_eq!(got.matches(order).count(), 2, "{got}");
        }
        let args = "tensor<fp32, [2, 1, 3, 4, 5]> x, tensor<fp32, [2, 1, 3, 6, 5]> y";
        let got = bench(RULE).fires(&arrays(args, "z = nn.concatND(input = (x, y))[axis = -2];"));
        assert_eq!((got.matches("nn.permute").count(), got.matches("nn.concat(").count()), (3, 1), "{got}");
    }

    #[test]
    fn declines() {
        for (x, layer, reason) in [
            ("[2, 3, 4, 5]", "softmaxND(input = x)[axis = -1]", "rank 4"),
            ("[2, 1, 3, 4, 5]", "softmaxND(input = x)[axis = 1]", "the 4. from the end"),
            ("[2, 1, 3, 4, 5]", "softmaxND(input = x)[axis = 2]", "the 3. from the end"),
            ("[2, 1, 3, 4, 5]", "concatND(input = (x, x))", "the 5. from the end"),
            ("[2, 1, 3, 4, 5]", "concatND(input = (x, x))[axis = 4, interleave = true]", "interleaved"),
            ("[2, 1, 3, 4, 5]", "concatND(input = x)[axis = 4]", "has 1 inputs"),
        ] {
            let why =
                bench(RULE).declines(&arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.{layer};")));
            assert!(why.contains(reason), "{layer}: {why}");
        }
        let image = images("tensor<fp32, [1, 1, 3, 4, 6]> x", "z = nn.softmaxND(input = x)[axis = -1];");
        assert!(bench(RULE).declines(&image).contains("last layer"));
    }
}
