//! N029: an `average` is a sum with a factor, a `dot` a product and a sum.

use anewrite_ir::{Attr, Attrs, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::functions::{product, scaled};
use crate::rules::layers::{layer, same};
use crate::rules::operands::{Operand, Show};

declare_rule! {
    /// ## What it does
    /// Replaces an `average` of several values by an `add` and a factor, and a `dot` by a `multiply` and a sum over the
    /// channels.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0) {
    ///   func main(tensor<fp32, [1, 1, 3, 4, 5]> x, tensor<fp32, [1, 1, 3, 4, 5]> y) {
    ///     a = nn.average(input = (x, y));
    ///     z = nn.dot(input = (a, y));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0) {
    ///   func main(tensor<fp32, [1, 1, 3, 4, 5]> x, tensor<fp32, [1, 1, 3, 4, 5]> y) {
    ///     s = nn.add(input = (x, y));
    ///     a = nn.activation(input = s)[linear = {alpha = 0.5}];
    ///     p = nn.multiply(input = (a, y));
    ///     z = nn.reduce(input = p)[axis = C];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// The mean of `n` values is their sum divided by `n`, here multiplied by `1 / n`, which is rounded once to 32 bits where
    /// it is not exact, and is then the weight of a `scale`. The dot product is the sum of the products along the
    /// channels, the third axis from the end, which stays with extent 1.
    ///
    /// ## Applies when
    /// 1. there are at least two inputs, two for `dot`, and their shapes are equal
    /// 2. the rank is from 3 to 5 where it is a `dot`, or `1 / n` is not exact
    /// 3. the `dot` is not one of directions (`cosineSimilarity`), which divides by lengths that may be 0
    pub struct MeansAndDots = N 29 "means-and-dots";
    grade: Exact, purpose: Enable, growth: 2.0, zeros: MayFlip,
}

impl Rule for MeansAndDots {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.average", "nn.dot"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let inputs: Vec<ValueId> = m.data(op).args(INPUT).collect();
        let n = inputs.len();
        let operands: Vec<Operand<'_>> =
            inputs.iter().map(|&v| Operand::of(m, v)).collect::<Result<_, _>>()?;
        let Some(first) = operands.first().filter(|_| n > 1) else {
            return Err(Miss::new(format!("the layer has {n} inputs")));
        };
        if let Some(other) = operands.iter().find(|o| !same(&o.shape, &first.shape)) {
            let (a, b) = (Show(&first.shape), Show(&other.shape));
            return Err(Miss::new(format!("the shapes differ, or are not known to be equal: {a} and {b}")));
        }
        let rank = first.shape.len();
        let values: Vec<PatchValue> = inputs.iter().map(|&v| patch.tap(v)).collect();
        let result = match (&*m.data(op).kind, values.as_slice()) {
            ("nn.dot", &[x, y]) => {
                let of_directions = m.attr(op, "cosineSimilarity").and_then(Attr::as_bool) == Some(true);
                ensure!(!of_directions, "it divides by the lengths, which may be 0");
                ensure!((3..=5).contains(&rank), "the operands have rank {rank}, reduce takes 3 to 5");
                let terms = product(patch, x, y)?;
                let channels = vec![("axis".into(), Attr::Enum("C".into()))];
                layer(patch, "nn.reduce", &[(INPUT, terms)], channels)?
            }
            ("nn.average", all) => {
                let all: Vec<_> = all.iter().map(|&v| (INPUT, v)).collect();
                let sum = layer(patch, "nn.add", &all, Attrs::new())?;
                scaled(patch, sum, rank, [1.0 / n as f64, 0.0])?
            }
            _ => return Err(Miss::new(format!("the layer has {n} inputs"))),
        };
        patch.replace(m.result(op)?, result)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_nn::{Mapping, Nn};
    use anewrite_testkit::{Bench, check_page};

    use super::*;
    use crate::rules::bench::{arrays, bench};

    static RANK5: Nn = Nn { mapping: Mapping::Rank5 };
    const RULE: &MeansAndDots = &MeansAndDots;

    #[test]
    fn page() {
        check_page(&Bench { rule: RULE, dialect: &RANK5, limits: &[] });
    }

    #[test]
    fn a_third_is_a_weight() {
        let text = arrays("tensor<fp32, [2, 4, 5]> x", "z = nn.average(input = (x, x, x));");
        let got = bench(RULE).fires(&text);
        assert!(
            got.contains("nn.add(input = x, input = x, input = x)") && got.contains("z = nn.scale"),
            "{got}"
        );
    }

    #[test]
    fn declines() {
        for (args, layer, reason) in [
            ("tensor<fp32, [4, 5]> x", "average(input = (x, x, x))", "the operand has rank 2"),
            ("tensor<fp32, [4, 5]> x", "average(input = x)", "1 inputs"),
            ("tensor<fp32, [3, 4, 5]> x", "dot(input = (x, x))[cosineSimilarity = true]", "lengths"),
            (
                "tensor<fp32, [3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y",
                "average(input = (x, y))",
                "[3, 4, 5] and [3, 1, 1]",
            ),
            (
                "tensor<fp32, [3, 4, ?]> x, tensor<fp32, [3, 4, ?]> y",
                "dot(input = (x, y))",
                "not known to be equal",
            ),
            ("tensor<fp32, [...]> x", "dot(input = (x, x))", "not known"),
        ] {
            let why = bench(RULE).declines(&arrays(args, &format!("z = nn.{layer};")));
            assert!(why.contains(reason), "{layer}: {why}");
        }
    }
}
