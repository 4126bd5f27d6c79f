//! N008: a `divideBroadcastable` by a constant is a multiplication.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};
use anewrite_tensor::DType;

use crate::rules::layers::layer;
use crate::rules::operands::{Held, mapping_stays, pair};

declare_rule! {
    /// ## What it does
    /// Replaces a `divideBroadcastable` by a constant by a `multiply` with a number, or by a `scale`, of the reciprocals.
    ///
    /// ## Before / after
    /// A power of two has an exact reciprocal, which becomes a field of the `multiply`:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [1]>([-8.0]), shape = [1]];
    ///     z = nn.divideBroadcastable(input = (x, c));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7]> x) {
    ///     z = nn.multiply(input = x)[alpha = -0.125];
    ///   } -> (z);
    /// }
    /// ```
    /// Other constants become the weights of a `scale`, rounded to 32 bits:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp32, [2]>([0.5, -4.0]), shape = [1, 2, 1, 1]];
    ///     z = nn.divideBroadcastable(input = (x, c));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 2, 4, 5]> x) {
    ///     z = nn.scale(input = x)[scale = tensor<fp32, [2]>([2.0, -0.25]), shapeScale = [2]];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// `x / c = x * (1 / c)` in real arithmetic. The reciprocals are rounded once to 32 bits, whatever the width of the
    /// constant, unless they are exact.
    ///
    /// ## Applies when
    /// 1. the divisor is a constant of floats, none of them 0, infinite, or so small that its reciprocal passes what
    ///    fp16 holds where the division might not
    /// 2. it is one number, or has the shape `[C]`, `[1, H, W]` or `[C, H, W]` with regard to the last three axes of an
    ///    operand of rank 3 or more
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct DivideBroadcastable = N 8 "divide-broadcastable";
    grade: Exact, purpose: Enable,
}

/// The reciprocals of smaller divisors pass 65504, which the products with them need not.
const SMALLEST: f64 = 1.0 / 65504.0;

impl Rule for DivideBroadcastable {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.divideBroadcastable")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let [x, y] = pair(m, op)?;
        let (divisors, shape) = match Held::of(m, &x, &y)? {
            Held::Number(n) => (vec![n], vec![1]),
            Held::Weights(t, shape) => (t.to_f64s()?, shape),
        };
        if let Some(bad) = divisors.iter().find(|d| !d.is_finite() || d.abs() < SMALLEST) {
            return Err(Miss::new(format!("a divisor is {bad}, whose reciprocal fp16 does not hold")));
        }
        let reciprocals: Vec<f64> = divisors.iter().map(|d| 1.0 / d).collect();
        let x_rank = x.shape.len();
        let x = patch.tap(x.value);
        let product = match reciprocals.as_slice() {
            &[r] if f64::from(r as f32) == r => {
                let attrs: Attrs = vec![("alpha".into(), Attr::Float(r))];
                layer(patch, "nn.multiply", &[(INPUT, x)], attrs)?
            }
            all => {
                ensure!(x_rank >= 3, "a layer with weights needs rank 3, the operand has rank {x_rank}");
                let weights = patch.rounded(DType::F32, &[all.len() as u64], all)?;
                let shape = shape.iter().map(|&n| Attr::Int(n as i64)).collect();
                let attrs: Attrs = vec![("shapeScale".into(), Attr::List(shape))];
                layer(patch, "nn.scale", &[(INPUT, x), ("scale", weights)], attrs)?
            }
        };
        patch.replace(m.result(op)?, product)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &DivideBroadcastable = &DivideBroadcastable;

    fn by(x: &str, data: &str, shape: &str) -> String {
        let layers = format!(
            "c = nn.loadConstantND()[data = {data}, shape = {shape}]; z = nn.divideBroadcastable(input = (x, c));"
        );
        arrays(&format!("tensor<fp32, {x}> x"), &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn a_number_without_an_exact_reciprocal_is_a_weight() {
        let got = bench(RULE).fires(&by("[2, 3, 4]", "tensor<fp16, [1]>([3.0])", "[1]"));
        assert!(got.contains("z = nn.scale(input = x, scale = fp32[1][0.3333333432674408]"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, data, shape, reason) in [
            ("[2, 3, 4]", "tensor<fp32, [1]>([0.0])", "[1]", "a divisor is 0"),
            ("[2, 3, 4]", "tensor<fp32, [2]>([1.0, inf])", "[2, 1, 1]", "a divisor is inf"),
            ("[2, 3, 4]", "tensor<fp32, [1]>([0.00001])", "[1]", "fp16 does not hold"),
            ("[3, 4]", "tensor<fp32, [1]>([3.0])", "[1]", "needs rank 3"),
            ("[2, 3, 4]", "tensor<fp32, [4]>([1.0, 2.0, 3.0, 4.0])", "[4]", "neither per channel nor"),
        ] {
            let why = bench(RULE).declines(&by(x, data, shape));
            assert!(why.contains(reason), "{data}: {why}");
        }
        let xy = "z = nn.divideBroadcastable(input = (x, y));";
        let two = "tensor<fp32, [2, 3, 4]> x, tensor<fp32, [2, 3, 4]> y";
        assert!(bench(RULE).declines(&arrays(two, xy)).contains("no operand is a constant"));
        let turned = "c = nn.loadConstantND()[data = tensor<fp32, [1]>([2.0]), shape = [1]];
                      z = nn.divideBroadcastable(input = (c, x));";
        let why = bench(RULE).declines(&arrays("tensor<fp32, [2, 3, 4]> x", turned));
        assert!(why.contains("no operand is a constant"), "{why}");
        let image = "c = nn.loadConstant()[data = tensor<fp32, [1]>([2.0]), shape = [1, 1, 1]];
                     z = nn.divideBroadcastable(input = (x, c));";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
