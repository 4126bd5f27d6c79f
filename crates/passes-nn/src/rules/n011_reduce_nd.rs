//! N011: a reduction over the last axes that keeps them is a `reduce`.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::axes::{name, reduced};
use crate::rules::layers::layer;
use crate::rules::operands::{Operand, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a reduction over channels, height, width, both, or all three, which stay as axes of extent 1, by a
    /// `reduce`.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     z = nn.reduceMean(input = x)[axes = [3, -2], keepDims = true];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     z = nn.reduce(input = x)[mode = AVG, axis = HW];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// Both layers compute the same function of the same elements, and may add them in another order. `reduceLogSum` has
    /// no counterpart: it is the logarithm of the sum, the mode `LOGSUM` of `reduce` a sum of logarithms.
    ///
    /// ## Applies when
    /// 1. the mode is a sum, mean, maximum, minimum, product, L1 or L2 norm, or sum of squares
    /// 2. the axes are C, H, W, H and W, or all three, which are the last three of a tensor of known rank, and are kept
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct ReduceNd = N 11 "reduce-nd";
    grade: Exact, purpose: Enable, zeros: MayFlip,
}

/// Layers with the mode of `reduce` that is the same.
const MODES: &[(&str, &str)] = &[
    ("nn.reduceSum", "SUM"),
    ("nn.reduceMean", "AVG"),
    ("nn.reduceProd", "PROD"),
    ("nn.reduceSumSquare", "SUMSQUARE"),
    ("nn.reduceL1", "L1"),
    ("nn.reduceL2", "L2"),
    ("nn.reduceMax", "MAX"),
    ("nn.reduceMin", "MIN"),
];

impl Rule for ReduceNd {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&[
            "nn.reduceSum",
            "nn.reduceMean",
            "nn.reduceProd",
            "nn.reduceSumSquare",
            "nn.reduceL1",
            "nn.reduceL2",
            "nn.reduceMax",
            "nn.reduceMin",
        ])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = x.shape.len();
        let axis = name(&reduced(m, op, rank)?)?;
        let kind = &*m.data(op).kind;
        let mode = MODES.iter().find(|(layer, _)| *layer == kind).map_or("SUM", |(_, mode)| mode);
        let mut attrs = Attrs::new();
        if mode != "SUM" {
            attrs.push(("mode".into(), Attr::Enum(mode.into())));
        }
        if axis != "CHW" {
            attrs.push(("axis".into(), Attr::Enum(axis.into())));
        }
        let x = patch.tap(x.value);
        let y = layer(patch, "nn.reduce", &[(INPUT, x)], attrs)?;
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &ReduceNd = &ReduceNd;

    fn reduce(kind: &str, x: &str, fields: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.{kind}(input = x)[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn each_mode_and_axis() {
        for (kind, mode) in MODES {
            let kind = kind.trim_start_matches("nn.");
            let got = bench(RULE).fires(&reduce(kind, "[3, 4, 5]", "axes = [0], keepDims = true"));
            let mode = if *mode == "SUM" { String::new() } else { format!("mode: Enum({mode:?}), ") };
            assert!(got.contains(&format!("z = nn.reduce(input = x, {mode}axis: Enum(\"C\"))")), "{got}");
        }
        for (fields, axis) in [
            ("axes = [-1], keepDims = true", ", axis: Enum(\"W\")"),
            ("axes = [2], keepDims = true", ", axis: Enum(\"H\")"),
            ("axes = [-1, 1, 2], keepDims = true", ""),
        ] {
            let got = bench(RULE).fires(&reduce("reduceSum", "[2, 3, 4, 5]", fields));
            assert!(got.contains(&format!("z = nn.reduce(input = x{axis})")), "{got}");
        }
        let all = reduce("reduceSum", "[3, 4, 5]", "reduceAll = true, keepDims = true");
        assert!(bench(RULE).fires(&all).contains("z = nn.reduce(input = x)"));
    }

    #[test]
    fn declines() {
        for (kind, x, fields, reason) in [
            ("reduceSum", "[2, 3, 4, 5]", "axes = [1]", "the reduced axes go"),
            ("reduceSum", "[2, 3, 4, 5]", "axes = [0], keepDims = true", "[4] from the end"),
            ("reduceSum", "[2, 3, 4, 5]", "axes = [1, 2], keepDims = true", "[2, 3] from the end"),
            ("reduceMax", "[2, 3, 4, 5]", "reduceAll = true, keepDims = true", "[1, 2, 3, 4]"),
            ("reduceMax", "[3, 4, 5]", "axes = [3], keepDims = true", "no axis 3"),
            ("reduceMax", "[...]", "axes = [0], keepDims = true", "not known"),
        ] {
            let why = bench(RULE).declines(&reduce(kind, x, fields));
            assert!(why.contains(reason), "{fields}: {why}");
        }
        let image = "z = nn.reduceSum(input = x)[axes = [2], keepDims = true];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
