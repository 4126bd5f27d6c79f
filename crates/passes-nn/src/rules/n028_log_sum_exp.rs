//! N028: a `reduceLogSumExp` takes its maximum out first, a `reduceLogSum` is a logarithm of a sum.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::axes::{name, reduced};
use crate::rules::functions::{at_least, at_most, unary};
use crate::rules::layers::{ADD, layer, negative};
use crate::rules::operands::{Operand, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `reduceLogSumExp` over channels, planes or images by its formula in older layers, with the maximum taken
    /// out of the sum, so that nothing overflows; and a `reduceLogSum` by a sum and its logarithm.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 3, 4, 5]> x) {
    ///     z = nn.reduceLogSumExp(input = x)[axes = [1], keepDims = true];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 3, 4, 5]> x) {
    ///     a = nn.reduce(input = x)[mode = MAX, axis = C];
    ///     b = nn.unary(input = a)[type = THRESHOLD, alpha = -3.4028234663852886e38];
    ///     c = nn.unary(input = b)[type = THRESHOLD, alpha = -3.4028234663852886e38, scale = -1.0];
    ///     top = nn.activation(input = c)[linear = {alpha = -1.0}];
    ///     d = nn.activation(input = top)[linear = {alpha = -1.0}];
    ///     e = nn.add(input = (x, d));
    ///     f = nn.unary(input = e)[type = EXP];
    ///     g = nn.reduce(input = f)[axis = C];
    ///     h = nn.unary(input = g)[type = LOG];
    ///     z = nn.add(input = (h, top));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     z = nn.reduceLogSum(input = x)[axes = [3], keepDims = true];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     a = nn.reduce(input = x)[axis = W];
    ///     z = nn.unary(input = a)[type = LOG];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// `reduceLogSum` is the logarithm of a sum by definition, NaN where the sum is negative. And
    /// `log Σ exp(x) = t + log Σ exp(x - t)` for every finite `t`. With the maximum as `t` the largest term is 1: where `n`
    /// elements are summed, 16 bits hold the sum up to `n = 65504`, while `Σ exp(x)` passes them from `x = ln(65504 / n)`.
    /// An infinite maximum is held to the largest finite number of 32 bits, so that infinities come out as they do without.
    ///
    /// ## Applies when
    /// 1. the axes are kept, and are C, H and W, or all three, which are the last three of a tensor of rank 3 or 4; for
    ///    `reduceLogSum` H or W too, and rank 5
    /// 2. for `reduceLogSumExp`, the batch is 1 where they are not all three: the maximum must broadcast over the operand as an `add` does it
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct LogSumExp = N 28 "log-sum-exp";
    grade: Exact, purpose: Enable, growth: 4.0, zeros: MayFlip,
}

const LARGEST: f64 = f32::MAX as f64;

impl Rule for LogSumExp {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.reduceLogSumExp", "nn.reduceLogSum"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let operand = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = operand.shape.len();
        if &*m.data(op).kind == "nn.reduceLogSum" {
            ensure!((3..=5).contains(&rank), "the operand has rank {rank}, reduce takes 3 to 5");
            let axis = name(&reduced(m, op, rank)?)?;
            let x = patch.tap(operand.value);
            let sum = reduce(patch, x, "SUM", axis)?;
            let log = unary(patch, sum, "LOG", &[])?;
            return patch.replace(m.result(op)?, log);
        }
        ensure!(
            (3..=4).contains(&rank),
            "the operand has rank {rank}, and the maximum broadcasts in rank 3 and 4"
        );
        let axis = name(&reduced(m, op, rank)?)?;
        ensure!(
            !matches!(axis, "H" | "W"),
            "the axis is {axis}, along which the older layers do not broadcast the maximum"
        );
        let x = patch.tap(operand.value);
        let top = reduce(patch, x, "MAX", axis)?;
        let top = at_least(patch, top, -LARGEST)?;
        let top = at_most(patch, top, LARGEST)?;
        let below = negative(patch, top, 0.0)?;
        let tops =
            patch.tensor(below)?.shape.clone().ok_or(Miss::new("the rank of the maximum is not known"))?;
        let shifted = ADD.of_two(patch, (&operand.shape, x), (&tops, below))?;
        let terms = unary(patch, shifted, "EXP", &[])?;
        let sum = reduce(patch, terms, "SUM", axis)?;
        let log = unary(patch, sum, "LOG", &[])?;
        let result = layer(patch, "nn.add", &[(INPUT, log), (INPUT, top)], Attrs::new())?;
        patch.replace(m.result(op)?, result)
    }
}

fn reduce(patch: &mut PatchBuilder<'_>, x: PatchValue, mode: &str, axis: &str) -> Result<PatchValue, Miss> {
    let mut attrs = Attrs::new();
    for (field, value, default) in [("mode", mode, "SUM"), ("axis", axis, "CHW")] {
        if value != default {
            attrs.push((field.into(), Attr::Enum(value.into())));
        }
    }
    layer(patch, "nn.reduce", &[(INPUT, x)], attrs)
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &LogSumExp = &LogSumExp;

    fn sum(x: &str, fields: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.reduceLogSumExp(input = x)[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn planes_and_images() {
        let got = bench(RULE).fires(&sum("[1, 3, 4, 5]", "axes = [-1, 2], keepDims = true"));
        assert_eq!(got.matches("Enum(\"HW\")").count(), 2, "{got}");
        let got = bench(RULE).fires(&sum("[2, 3, 4, 5]", "axes = [1, 2, 3], keepDims = true"));
        assert!(got.contains("z = nn.add"), "{got}");
        let got = bench(RULE).fires(&sum("[3, 4, 5]", "reduceAll = true, keepDims = true"));
        assert!(got.contains("nn.reduce(input = x, mode: Enum(\"MAX\"))"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, fields, reason) in [
            ("[2, 3, 4, 5]", "axes = [3], keepDims = true", "the axis is W"),
            ("[2, 3, 4, 5]", "axes = [-2], keepDims = true", "the axis is H"),
            (
                "[2, 3, 4, 5]",
                "axes = [1], keepDims = true",
                "does not broadcast [2, 3, 4, 5] and [2, 1, 4, 5]",
            ),
            ("[2, 3, 4, 5]", "axes = [2, 3], keepDims = true", "does not broadcast"),
            ("[2, 3, 4, 5]", "axes = [0], keepDims = true", "[4] from the end"),
            ("[2, 3, 4, 5]", "axes = [1]", "the reduced axes go"),
            ("[1, 2, 3, 4, 5]", "axes = [2], keepDims = true", "rank 5"),
            ("[...]", "axes = [2], keepDims = true", "not known"),
        ] {
            let why = bench(RULE).declines(&sum(x, fields));
            assert!(why.contains(reason), "{x} {fields}: {why}");
        }
        for (x, fields, reason) in [
            ("[4, 5]", "axes = [1], keepDims = true", "rank 2"),
            ("[2, 3, 4, 5]", "axes = [1]", "the reduced axes go"),
            ("[2, 3, 4, 5]", "axes = [0], keepDims = true", "[4] from the end"),
        ] {
            let layer = format!("z = nn.reduceLogSum(input = x)[{fields}];");
            let why = bench(RULE).declines(&arrays(&format!("tensor<fp32, {x}> x"), &layer));
            assert!(why.contains(reason), "{x} {fields}: {why}");
        }
        let image = "z = nn.reduceLogSumExp(input = x)[axes = [2], keepDims = true];";
        assert!(
            bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image)).contains("last layer")
        );
    }
}
