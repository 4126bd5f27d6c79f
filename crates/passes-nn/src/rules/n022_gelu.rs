//! N022: an approximated `gelu` is its formula in older layers.

use anewrite_ir::Attr;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::functions::{activation, linear, product, scaled};
use crate::rules::operands::{Operand, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `gelu` that is approximated by a hyperbolic tangent or a sigmoid by that formula, in activations and
    /// products.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x) {
    ///     z = nn.gelu(input = x)[mode = TANH_APPROXIMATION];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x) {
    ///     a = nn.multiply(input = (x, x));
    ///     b = nn.scale(input = a)[scale = tensor<fp32, [1]>([0.035677407]), bias = tensor<fp32, [1]>([0.7978846]),
    ///       shapeScale = [1], hasBias = true, shapeBias = [1]];
    ///     c = nn.multiply(input = (x, b));
    ///     d = nn.activation(input = c)[tanh = {}];
    ///     e = nn.activation(input = d)[linear = {alpha = 0.5, beta = 0.5}];
    ///     z = nn.multiply(input = (x, e));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x) {
    ///     z = nn.gelu(input = x)[mode = SIGMOID_APPROXIMATION];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x) {
    ///     a = nn.scale(input = x)[scale = tensor<fp32, [1]>([1.702]), shapeScale = [1]];
    ///     b = nn.activation(input = a)[sigmoid = {}];
    ///     z = nn.multiply(input = (x, b));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// The modes are defined as `x (1 + tanh(s (x + 0.044715 x³))) / 2` with `s = sqrt(2 / π)`, and as
    /// `x sigmoid(1.702 x)`. The first one's argument is `x (0.044715 s x² + s)`, whose two constants are rounded to 32
    /// bits, as 1.702 is. Where a square passes the largest fp16, at magnitudes over 255, the argument is infinite and the
    /// tangent 1 or -1, as it is of any argument over 5 in 16 bits.
    ///
    /// The mode `EXACT` uses the error function, which no older layer has. The tangent form is up to 4.74e-4 off from it.
    ///
    /// ## Applies when
    /// 1. the mode is `TANH_APPROXIMATION` or `SIGMOID_APPROXIMATION`
    /// 2. the rank is known, from 3 to 5, for the constants are weights
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Gelu = N 22 "gelu";
    grade: Exact, purpose: Enable, growth: 4.0, zeros: MayFlip,
}

impl Rule for Gelu {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.gelu")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let operand = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = operand.shape.len();
        let x = patch.tap(operand.value);
        let share = match m.attr(op, "mode").and_then(Attr::as_str).unwrap_or("EXACT") {
            "TANH_APPROXIMATION" => {
                let s = std::f64::consts::FRAC_2_PI.sqrt();
                let square = product(patch, x, x)?;
                let factor = scaled(patch, square, rank, [0.044715 * s, s])?;
                let argument = product(patch, x, factor)?;
                let tanh = activation(patch, argument, "tanh", &[])?;
                linear(patch, tanh, 0.5, 0.5)?
            }
            "SIGMOID_APPROXIMATION" => {
                let argument = scaled(patch, x, rank, [1.702, 0.0])?;
                activation(patch, argument, "sigmoid", &[])?
            }
            mode => {
                let why = format!("the mode is {mode}, and no older layer has the error function");
                return Err(Miss::new(why));
            }
        };
        let y = product(patch, x, share)?;
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Gelu = &Gelu;

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn declines() {
        for (x, fields, reason) in [
            ("[3, 4, 5]", "", "the mode is EXACT"),
            ("[3, 4, 5]", "[mode = EXACT]", "error function"),
            ("[4, 5]", "[mode = TANH_APPROXIMATION]", "the operand has rank 2"),
            ("[4, 5]", "[mode = SIGMOID_APPROXIMATION]", "the operand has rank 2"),
            ("[...]", "[mode = SIGMOID_APPROXIMATION]", "not known"),
        ] {
            let layers = format!("z = nn.gelu(input = x){fields};");
            let why = bench(RULE).declines(&arrays(&format!("tensor<fp32, {x}> x"), &layers));
            assert!(why.contains(reason), "{x} {fields}: {why}");
        }
        let image =
            images("tensor<fp32, [1, 1, 3, 4, 6]> x", "z = nn.gelu(input = x)[mode = TANH_APPROXIMATION];");
        assert!(bench(RULE).declines(&image).contains("last layer"));
    }
}
