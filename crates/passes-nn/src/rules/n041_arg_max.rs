//! N041: an `argMax` or `argMin` along one of the last axes that keeps it is a `reduce`.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::{layer, negative};
use crate::rules::operands::{Operand, axis_from_end, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces an `argMax` along channels, height or width, which stays as an axis of extent 1, by a `reduce`; an `argMin`
    /// by one of the operand with the opposite sign.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     a = nn.argMax(input = x)[axis = 1];
    ///     b = nn.argMin(input = x)[axis = -1];
    ///   } -> (a, b);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     a = nn.reduce(input = x)[mode = ARGMAX, axis = C];
    ///     c = nn.activation(input = x)[linear = {alpha = -1.0}];
    ///     b = nn.reduce(input = c)[mode = ARGMAX, axis = W];
    ///   } -> (a, b);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Both layers give the place of the largest element, of equal ones the first. The smallest element is the largest of
    /// the negated ones, which are equal where the elements are.
    ///
    /// ## Applies when
    /// 1. the axis is one of the last three of rank 3 or more, and stays
    /// 2. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct ArgMax = N 41 "arg-max";
    grade: BitExact, purpose: Enable,
}

impl Rule for ArgMax {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.argMax", "nn.argMin"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = x.shape.len();
        let goes = m.attr(op, "removeDim").and_then(Attr::as_bool) == Some(true);
        ensure!(!goes, "the axis goes, reduce keeps it");
        let axis = match axis_from_end(m, op, rank)? {
            3 => "C",
            2 if rank >= 3 => "H",
            1 if rank >= 3 => "W",
            n => return Err(Miss::new(format!("the axis is the {n}. from the end of rank {rank}"))),
        };
        let mut y = patch.tap(x.value);
        if &*m.data(op).kind == "nn.argMin" {
            y = negative(patch, y, 0.0)?;
        }
        let attrs: Attrs =
            vec![("mode".into(), Attr::Enum("ARGMAX".into())), ("axis".into(), Attr::Enum(axis.into()))];
        let y = layer(patch, "nn.reduce", &[(INPUT, y)], attrs)?;
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &ArgMax = &ArgMax;

    fn place(x: &str, call: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.{call};"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn rows_of_open_extent() {
        let got = bench(RULE).fires(&place("[3, ?, 5]", "argMax(input = x)[axis = 1]"));
        assert!(got.contains("z = nn.reduce(input = x, mode: Enum(\"ARGMAX\"), axis: Enum(\"H\"))"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, call, reason) in [
            ("[2, 3, 4, 5]", "argMax(input = x)[axis = 1, removeDim = true]", "the axis goes"),
            ("[2, 3, 4, 5]", "argMax(input = x)", "the 4. from the end of rank 4"),
            ("[4, 5]", "argMin(input = x)[axis = -1]", "the 1. from the end of rank 2"),
            ("[...]", "argMin(input = x)[axis = -1]", "not known"),
        ] {
            let why = bench(RULE).declines(&place(x, call));
            assert!(why.contains(reason), "{x} {call}: {why}");
        }
        let image = "z = nn.argMax(input = x)[axis = 2];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
