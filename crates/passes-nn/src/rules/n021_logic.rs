//! N021: logic on zeros and ones is arithmetic, and so is a choice of two numbers.

use anewrite_ir::{Attrs, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};
use anewrite_tensor::{DType, Tensor};

use crate::rules::functions::{linear, number, unary};
use crate::rules::known::is_truth;
use crate::rules::layers::{ADD, MULTIPLY, layer, negative, same};
use crate::rules::operands::{Operand, mapping_stays, pair};

declare_rule! {
    /// ## What it does
    /// Replaces `logicalAnd`, `logicalOr`, `logicalXor` and `logicalNot` by a product, a maximum, the absolute value of a
    /// difference, and `1 - x`, where the operands are known to be 0 or 1; and a `whereBroadcastable` that chooses between
    /// two numbers by a linear activation of such a condition.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x, tensor<fp32, [3, 4, 5]> y) {
    ///     a = nn.greaterThan(input = x)[alpha = 0.5];
    ///     b = nn.lessThan(input = (x, y));
    ///     c = nn.logicalAnd(input = (a, b));
    ///     d = nn.logicalNot(input = c);
    ///     e = nn.logicalXor(input = (d, b));
    ///     z = nn.logicalOr(input = (e, a));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x, tensor<fp32, [3, 4, 5]> y) {
    ///     a = nn.greaterThan(input = x)[alpha = 0.5];
    ///     b = nn.lessThan(input = (x, y));
    ///     c = nn.multiply(input = (a, b));
    ///     d = nn.activation(input = c)[linear = {alpha = -1.0, beta = 1.0}];
    ///     n = nn.activation(input = b)[linear = {alpha = -1.0}];
    ///     s = nn.add(input = (d, n));
    ///     e = nn.unary(input = s)[type = ABS];
    ///     z = nn.max(input = (e, a));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x) {
    ///     a = nn.greaterThan(input = x)[alpha = 0.5];
    ///     b = nn.loadConstantND()[data = tensor<fp32, [1]>([0.5]), shape = [1]];
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([-4.0]), shape = [1]];
    ///     z = nn.whereBroadcastable(input = (a, b, c));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [3, 4, 5]> x) {
    ///     a = nn.greaterThan(input = x)[alpha = 0.5];
    ///     z = nn.activation(input = a)[linear = {alpha = 4.5, beta = -4.0}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// The layers give 1 and 0 for what is not 0 and what is. Of operands that are 0 or 1, `xy`, `max(x, y)`, `|x - y|` and
    /// `1 - x` are the same four functions, computed without rounding. Where shapes differ, `max` does not
    /// broadcast, and `1 - (1 - x)(1 - y)` stands for it. A choice of `a` and `b` is `(a - b) x + b`, where 16 bits hold all
    /// three numbers. Of two values that are computed it is not `a x + b (1 - x)`, which is NaN where one that is not chosen
    /// is infinite.
    ///
    /// ## Applies when
    /// 1. the operands are results of comparisons or logical layers, constants of zeros and ones, or made from these by
    ///    layers that move elements, multiply them or take maxima and minima; the rule looks six layers back
    /// 2. the shapes are equal; or they have at most the four axes B, C, H and W, and the smaller one, which may not
    ///    have more of them, has the other's extents in B alone, in C alone, in H and W, or in C, H and W, and 1 elsewhere
    /// 3. the two numbers of a choice are constants that add no axes, neither is -0, and 16 bits hold them and their
    ///    difference
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Logic = N 21 "logic";
    grade: BitExact, purpose: Enable,
}

impl Rule for Logic {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&[
            "nn.logicalAnd",
            "nn.logicalOr",
            "nn.logicalXor",
            "nn.logicalNot",
            "nn.whereBroadcastable",
        ])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let truth = |o: &Operand<'_>| {
            let name = &m.program.value(o.value).name;
            ensure!(is_truth(m, o.value), "{name} is not known to hold only 0 and 1");
            Ok(())
        };
        let result = if &*m.data(op).kind == "nn.logicalNot" {
            let x = Operand::of(m, m.arg(op, INPUT)?)?;
            truth(&x)?;
            let x = patch.tap(x.value);
            not(patch, x)?
        } else if &*m.data(op).kind == "nn.whereBroadcastable" {
            let inputs: Vec<ValueId> = m.data(op).args(INPUT).collect();
            let &[x, a, b] = inputs.as_slice() else {
                return Err(Miss::new(format!("the layer has {} inputs", inputs.len())));
            };
            let x = Operand::of(m, x)?;
            truth(&x)?;
            let (a, b) = (number(&x, &Operand::of(m, a)?), number(&x, &Operand::of(m, b)?));
            let (Some(a), Some(b)) = (a, b) else {
                return Err(Miss::new("a choice is no finite number, which a product with 0 would keep out"));
            };
            let in_16_bits =
                |n: f64| Tensor::from_f64s(DType::F16, &[1], &[n]).ok().and_then(|t| t.scalar_f64());
            let held = |n: f64| in_16_bits(n) == Some(n) && (n != 0.0 || n.is_sign_positive());
            ensure!(held(a) && held(b) && held(a - b), "16 bits do not hold {a}, {b} and their difference");
            let x = patch.tap(x.value);
            linear(patch, x, a - b, b)?
        } else {
            let [x, y] = pair(m, op)?;
            truth(&x)?;
            truth(&y)?;
            let (vx, vy) = (patch.tap(x.value), patch.tap(y.value));
            match &*m.data(op).kind {
                "nn.logicalAnd" => MULTIPLY.of_two(patch, (&x.shape, vx), (&y.shape, vy))?,
                "nn.logicalOr" if same(&x.shape, &y.shape) => {
                    layer(patch, "nn.max", &[(INPUT, vx), (INPUT, vy)], Attrs::new())?
                }
                "nn.logicalOr" => {
                    let (nx, ny) = (not(patch, vx)?, not(patch, vy)?);
                    let neither = MULTIPLY.of_two(patch, (&x.shape, nx), (&y.shape, ny))?;
                    not(patch, neither)?
                }
                _ => {
                    let minus = negative(patch, vy, 0.0)?;
                    let difference = ADD.of_two(patch, (&x.shape, vx), (&y.shape, minus))?;
                    unary(patch, difference, "ABS", &[])?
                }
            }
        };
        patch.replace(m.result(op)?, result)
    }
}

fn not(patch: &mut PatchBuilder<'_>, x: PatchValue) -> Result<PatchValue, Miss> {
    linear(patch, x, -1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Logic = &Logic;

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn shapes_that_differ() {
        let text = |kind: &str| {
            let layers = format!(
                "a = nn.greaterThan(input = x)[alpha = 0.5]; b = nn.equal(input = y)[alpha = 1.0];
                 z = nn.{kind}(input = (a, b));"
            );
            arrays("tensor<fp32, [3, 1, 1]> x, tensor<fp32, [2, 3, 4, 5]> y", &layers)
        };
        let got = bench(RULE).fires(&text("logicalAnd"));
        assert!(got.contains("z = nn.multiply"), "{got}");
        let got = bench(RULE).fires(&text("logicalOr"));
        assert!(got.matches("Float(1.0))])").count() == 3 && !got.contains("nn.max"), "{got}");
        let got = bench(RULE).fires(&text("logicalXor"));
        assert!(got.contains("z = nn.unary") && got.contains("nn.add"), "{got}");
    }

    #[test]
    fn what_only_moves_truths_or_joins_them_is_looked_through() {
        let layers = "a = nn.lessEqual(input = x)[alpha = 0.5];
                      t = nn.transpose(input = a)[axes = [0, 2, 1]];
                      c = nn.loadConstantND()[data = tensor<fp32, [2]>([0.0, 1.0]), shape = [2, 1, 1]];
                      b = nn.minBroadcastable(input = (t, c));
                      z = nn.logicalNot(input = b);";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [2, 3, 4]> x", layers));
        assert!(got.contains("z = nn.activation"), "{got}");
    }

    #[test]
    fn declines() {
        let x = "tensor<fp32, [2, 3, 4]> x";
        for (layers, reason) in [
            ("z = nn.logicalNot(input = x);", "x is not known"),
            ("a = nn.lessThan(input = x)[alpha = 1.0]; z = nn.logicalAnd(input = (a, x));", "x is not known"),
            ("a = nn.lessThan(input = x)[alpha = 1.0]; b = nn.add(input = (a, a)); z = nn.logicalOr(input = (a, b));", "b is not known"),
            ("a = nn.lessThan(input = x)[alpha = 1.0]; b = nn.activation(input = a)[linear = {alpha = -1.0, beta = 2.0}];
              z = nn.logicalNot(input = b);", "b is not known"),
            ("a = nn.lessThan(input = x)[alpha = 1.0]; b = nn.multiply(input = a)[alpha = 2.0]; z = nn.logicalNot(input = b);",
             "b is not known"),
            ("a = nn.lessThan(input = x)[alpha = 1.0];
              c = nn.loadConstantND()[data = tensor<fp32, [4]>([0.0, 1.0, 2.0, 1.0]), shape = [4]];
              z = nn.logicalXor(input = (a, c));", "c is not known"),
            ("a = nn.lessThan(input = x)[alpha = 1.0];
              c = nn.loadConstantND()[data = tensor<fp32, [4]>([0.0, 1.0, 0.0, 1.0]), shape = [4]];
              z = nn.logicalXor(input = (a, c));", "does not broadcast"),
        ] {
            let why = bench(RULE).declines(&arrays(x, layers));
            assert!(why.contains(reason), "{layers}: {why}");
        }
        for (a, b, reason) in [
            ("0.1", "0.0", "16 bits do not hold 0.1"),
            ("2049.0", "0.0", "16 bits do not hold"),
            ("2048.0", "-1.0", "and their difference"),
            ("60000.0", "-60000.0", "and their difference"),
            ("-0.0", "1.0", "16 bits do not hold -0"),
            ("inf", "0.0", "no finite number"),
        ] {
            let number =
                |n: &str| format!("nn.loadConstantND()[data = tensor<fp32, [1]>([{n}]), shape = [1]];");
            let layers = format!(
                "t = nn.lessThan(input = x)[alpha = 1.0]; a = {} b = {} z = nn.whereBroadcastable(input = (t, a, b));",
                number(a),
                number(b)
            );
            let why = bench(RULE).declines(&arrays(x, &layers));
            assert!(why.contains(reason), "{a} {b}: {why}");
        }
        let computed =
            "t = nn.lessThan(input = x)[alpha = 1.0]; z = nn.whereBroadcastable(input = (t, x, x));";
        assert!(bench(RULE).declines(&arrays(x, computed)).contains("no finite number"));
        let far = (0..8)
            .map(|i| format!("a{} = nn.reverse(input = a{i})[reverseDim = [true, false, false]];", i + 1));
        let far = far.collect::<String>();
        let layers =
            format!("a0 = nn.lessThan(input = x)[alpha = 1.0]; {far} z = nn.logicalNot(input = a8);");
        assert!(bench(RULE).declines(&arrays(x, &layers)).contains("a8 is not known"));
        let image = "z = nn.logicalNot(input = x);";
        assert!(
            bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image)).contains("last layer")
        );
    }
}
