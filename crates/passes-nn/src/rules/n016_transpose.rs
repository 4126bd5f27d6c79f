//! N016: a `transpose` of rank 5 that leaves the batch in its place is a `permute`.

use anewrite_ir::{Attr, Attrs, Dim};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::operands::{Operand, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `transpose` of `[Seq, B, C, H, W]` by a `permute` of the four axes other than B.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5, 6]> x) {
    ///     z = nn.transpose(input = x)[axes = [3, 1, 0, 4, 2]];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5, 6]> x) {
    ///     z = nn.permute(input = x)[axis = [2, 0, 3, 1]];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// A batch of one may change places with another axis of extent 1, which is nothing:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 5, 6]> x) {
    ///     z = nn.transpose(input = x)[axes = [1, 0, 4, 2, 3]];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 5, 6]> x) {
    ///     z = nn.permute(input = x)[axis = [0, 3, 1, 2]];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Both layers say for each axis of the result which one of the operand it is; `permute` counts them without B. Of two
    /// axes of extent 1 either can stand for the other.
    ///
    /// ## Applies when
    /// 1. the operand has rank 5, which is what `permute` takes
    /// 2. its second axis stays the second, or has extent 1 and gives its place to another of extent 1
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Transpose = N 16 "transpose";
    grade: BitExact, purpose: Enable,
}

impl Rule for Transpose {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.transpose")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        ensure!(x.shape.len() == 5, "the operand has rank {}, permute takes 5", x.shape.len());
        let axes = m.attr(op, "axes").and_then(Attr::as_ints).unwrap_or_default();
        let mut front: Vec<i64> = axes.iter().map(|&a| if a < 0 { a + 5 } else { a }).collect();
        let single =
            |axis: i64| usize::try_from(axis).ok().and_then(|i| x.shape.get(i)) == Some(&Dim::Known(1));
        if let (Some(&second), Some(at)) = (front.get(1), front.iter().position(|&a| a == 1))
            && single(second)
            && single(1)
        {
            front.swap(1, at);
        }
        let &[seq, 1, channels, height, width] = front.as_slice() else {
            return Err(Miss::new(format!("the axes are {axes:?}, permute leaves the second in its place")));
        };
        let order = [seq, channels, height, width].map(|a| if a == 0 { 0 } else { a - 1 });
        let mut sorted = order;
        sorted.sort_unstable();
        ensure!(sorted == [0, 1, 2, 3], "{axes:?} is no order of five axes");
        let x = patch.tap(x.value);
        let attrs: Attrs = vec![("axis".into(), Attr::List(order.map(Attr::Int).to_vec()))];
        let y = layer(patch, "nn.permute", &[(INPUT, x)], attrs)?;
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Transpose = &Transpose;

    fn transpose(x: &str, axes: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.transpose(input = x)[axes = {axes}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn declines() {
        for (x, axes, reason) in [
            ("[2, 3, 4, 5]", "[0, 2, 1, 3]", "rank 4"),
            ("[2, 3, 4, 5, 6]", "[1, 0, 2, 3, 4]", "second in its place"),
            ("[2, 3, 4, 5, 6]", "[0, 2, 1, 3, 4]", "second in its place"),
            ("[2, 1, 4, 5, 6]", "[1, 0, 2, 3, 4]", "second in its place"),
            ("[1, 3, 4, 5, 6]", "[1, 0, 2, 3, 4]", "second in its place"),
            ("[1, ?, 4, 5, 6]", "[1, 0, 2, 3, 4]", "second in its place"),
            ("[...]", "[0, 1]", "not known"),
        ] {
            let why = bench(RULE).declines(&transpose(x, axes));
            assert!(why.contains(reason), "{axes}: {why}");
        }
        let image = "z = nn.transpose(input = x)[axes = [0, 1, 3, 4, 2]];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
