//! N035: an operand that was only broadcast is taken as it was before by a layer that broadcasts itself.

use anewrite_ir::{Attr, OpId, Shape, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::{BROADCASTING, layer, same};
use crate::rules::operands::{Operand, Show, padded};

declare_rule! {
    /// ## What it does
    /// Lets a layer that broadcasts take what stands before a `tile`, `broadcastToStatic` or `broadcastToLike` that only
    /// repeats axes of extent 1.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y) {
    ///     a = nn.broadcastToStatic(input = y)[targetShape = [2, 3, 4, 5]];
    ///     z = nn.multiplyBroadcastable(input = (x, a));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [3, 1, 1]> y) {
    ///     z = nn.multiplyBroadcastable(input = (x, y));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Broadcasting pairs each element with the element of the smaller operand that the repetition copied.
    ///
    /// ## Applies when
    /// 1. the layer broadcasts: arithmetic of two, comparisons, logic, a choice
    /// 2. every axis that the operand gained or grew had extent 1, and the operand no more axes than the result
    /// 3. the result has the same shape without the repetition, unknown extents included
    pub struct BroadcastOperand = N 35 "broadcast-operand";
    grade: BitExact, purpose: Enable,
}

const REPEATING: &[&str] = &["nn.tile", "nn.broadcastToStatic", "nn.broadcastToLike"];

impl Rule for BroadcastOperand {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(BROADCASTING)
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let inputs: Vec<ValueId> = m.data(op).args(INPUT).collect();
        let mut taken = Vec::with_capacity(inputs.len());
        let mut why = Miss::new("no operand comes from a layer that repeats it");
        for &v in &inputs {
            let repetition = m.program.def_op(v).filter(|&d| REPEATING.contains(&&*m.data(d).kind));
            taken.push(match repetition.map(|def| before(m, def, v)) {
                None => v,
                Some(Ok(x)) => x,
                Some(Err(miss)) => {
                    why = miss;
                    v
                }
            });
        }
        if taken == inputs {
            return Err(why);
        }
        let args: Vec<_> = taken.iter().map(|&v| (INPUT, patch.tap(v))).collect();
        let y = layer(patch, &m.data(op).kind, &args, m.data(op).attrs.clone())?;
        patch.replace(m.result(op)?, y)
    }
}

/// The value that `def` repeats to `value`.
fn before(m: &Match<'_>, def: OpId, value: ValueId) -> Result<ValueId, Miss> {
    ensure!(!m.data(def).sealed, "the repetition carries fields that this build does not understand");
    let x = m.arg(def, INPUT)?;
    ensure!(!m.program.value(x).pinned, "the name of the operand is written more than once in the model");
    let (from, to) = (Operand::of(m, x)?.shape, Operand::of(m, value)?.shape);
    let shapes = format!("{} is repeated to {}", Show(&from), Show(&to));
    ensure!(from.len() <= to.len(), "{shapes}");
    only_single_axes_grow(m, def, &from, &to).map_err(|miss| Miss::new(format!("{shapes}: {}", miss.why)))?;
    Ok(x)
}

fn only_single_axes_grow(m: &Match<'_>, def: OpId, from: &Shape, to: &Shape) -> Result<(), Miss> {
    let tile = &*m.data(def).kind == "nn.tile";
    if tile {
        ensure!(m.data(def).args(INPUT).count() == 1, "the repetitions are an input");
    }
    let reps =
        if tile { m.attr(def, "reps").and_then(Attr::as_ints).unwrap_or_default() } else { Vec::new() };
    let from = padded(from, to.len());
    for (back, (f, t)) in from.iter().rev().zip(to.iter().rev()).enumerate() {
        let still =
            if tile { reps.iter().rev().nth(back).copied().unwrap_or(1) == 1 } else { same(&[*f], &[*t]) };
        ensure!(still || f.known() == Some(1), "the {}. axis from the end is not of extent 1", back + 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench};

    const RULE: &BroadcastOperand = &BroadcastOperand;

    fn product(y: &str, repeat: &str) -> String {
        let layers = format!("a = nn.{repeat}; z = nn.multiplyBroadcastable(input = (x, a));");
        arrays(&format!("tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, {y}> y"), &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn each_repetition() {
        for (y, repeat) in [
            ("[1, 3, 1, 5]", "tile(input = y)[reps = [2, 1, 4, 1]]"),
            ("[3, 1, 5]", "tile(input = y)[reps = [1, 4, 1]]"),
            ("[5]", "broadcastToLike(input = (y, x))"),
            ("[2, 3, 4, 5]", "broadcastToLike(input = (y, x))"),
        ] {
            let got = bench(RULE).fires(&product(y, repeat));
            assert!(got.contains("z = nn.multiplyBroadcastable(input = x, input = y)"), "{got}");
        }
        let layers = "a = nn.tile(input = c)[reps = [3, 4]]; z = nn.whereBroadcastable(input = (a, x, y));";
        let args = "tensor<fp32, [1, 4]> x, tensor<fp32, [3, 1]> y, tensor<fp32, [1, 1]> c";
        assert!(bench(RULE).fires(&arrays(args, layers)).contains("(input = c, input = x, input = y)"));
    }

    #[test]
    fn declines() {
        for (y, repeat, reason) in [
            (
                "[1, 3, 2, 5]",
                "tile(input = y)[reps = [1, 1, 2, 1]]",
                "2. axis from the end is not of extent 1",
            ),
            ("[3, 1, 1]", "exp2(input = y)", "no operand comes from"),
        ] {
            let why = bench(RULE).declines(&product(y, repeat));
            assert!(why.contains(reason), "{repeat}: {why}");
        }
        // the repetition gives the result its shape
        let layers = "a = nn.tile(input = y)[reps = [1, 6]]; z = nn.addBroadcastable(input = (x, a));";
        let why = bench(RULE).declines(&arrays("tensor<fp32, [4, 1]> x, tensor<fp32, [1, 1]> y", layers));
        assert!(why.contains("would be tensor<fp32, [4, 1]>"), "{why}");
        let layers = "a = nn.tile(input = (y, r)); z = nn.addBroadcastable(input = (x, a));";
        let args = "tensor<fp32, [4, 5]> x, tensor<fp32, [1, 1]> y, tensor<fp32, [2]> r";
        let why = bench(RULE).declines(&arrays(args, layers));
        assert!(!why.is_empty(), "{why}");
    }
}
