//! N037: layers that only give a tensor another shape are one older layer, or none.

use anewrite_ir::{Attr, Attrs, OpId, Shape, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::layers::{layer, same};
use crate::rules::operands::{Operand, Show, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Takes out layers that give a tensor the shape that it has, or had before another one; makes one of two in a row;
    /// and replaces those between shapes of rank 5 with one batch by `reshape` or `flatten`. A reshape to the shape of
    /// another tensor, or to a computed one that is known, says the shape.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 4, 5]> x, tensor<fp32, [6, 7]> y) {
    ///     a = nn.squeeze(input = x)[axes = [1]];
    ///     b = nn.reshapeStatic(input = a)[targetShape = [2, 1, 6, 10, 1]];
    ///     c = nn.expandDims(input = y)[axes = [0, 3]];
    ///     d = nn.exp2(input = c);
    ///     e = nn.squeeze(input = d)[axes = [0]];
    ///     f = nn.squeeze(input = e)[axes = [2]];
    ///   } -> (b, f);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 4, 5]> x, tensor<fp32, [6, 7]> y) {
    ///     b = nn.reshape(input = x)[targetShape = [6, 10, 1]];
    ///     c = nn.expandDims(input = y)[axes = [0, 3]];
    ///     d = nn.exp2(input = c);
    ///     f = nn.reshapeStatic(input = d)[targetShape = [6, 7]];
    ///   } -> (b, f);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// All of these layers keep the elements in row-major order, so that the last shape alone says where each stands.
    /// `reshape` and `flatten` keep the batch, the second axis of five.
    ///
    /// ## Applies when
    /// 1. the shape of the result is known, or is that of the operand
    /// 2. it is the operand's, or that of an operand further up; or the layer before has no other user; or both shapes
    ///    have rank 5 and one batch; or the shape came from an input
    /// 3. `reshape` and `flatten` do not take channels last
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Reshape = N 37 "reshape";
    grade: BitExact, purpose: Enable,
}

/// Layers that keep the elements in order, whatever else they take.
const MOVES: &[&str] = &[
    "nn.reshapeStatic",
    "nn.rankPreservingReshape",
    "nn.squeeze",
    "nn.expandDims",
    "nn.flattenTo2D",
    "nn.reshapeLike",
    "nn.reshapeDynamic",
    "nn.reshape",
    "nn.flatten",
];

impl Rule for Reshape {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(MOVES)
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        keeps_order(m, op)?;
        let result = m.result(op)?;
        let to = Operand::of(m, result)?.shape;
        let mut from = m.arg(op, INPUT)?;
        // up the layers that keep the order: the furthest value of the same shape, else past those that would go
        let (mut at, mut here) = (from, Some(from));
        for _ in 0..MAX_CHAIN {
            let Some(v) = here else { break };
            if same(&Operand::of(m, v)?.shape, &to) {
                let x = patch.tap(v);
                return patch.replace(result, x);
            }
            if m.has_one_use(v) && at == v {
                at = before(m, v).unwrap_or(v);
            }
            here = before(m, v);
        }
        let chained = at != from;
        from = at;
        let shape = Operand::of(m, from)?.shape;
        let known: Option<Vec<i64>> =
            to.iter().map(|d| d.known().and_then(|n| i64::try_from(n).ok()).filter(|n| *n > 0)).collect();
        let known = known.ok_or_else(|| Miss::new(format!("the result is {}", Show(&to))))?;
        let kind = &*m.data(op).kind;
        let x = patch.tap(from);
        let y = if let Some(old) = older(patch, x, &shape, &to, &known)? {
            ensure!(chained || !matches!(kind, "nn.reshape" | "nn.flatten"), "it is a {kind} by itself");
            old
        } else {
            let by_input = matches!(kind, "nn.reshapeLike" | "nn.reshapeDynamic");
            ensure!(
                chained || by_input,
                "{} to {}: no older layer does it, and none stands before it that would go",
                Show(&shape),
                Show(&to)
            );
            layer(patch, "nn.reshapeStatic", &[(INPUT, x)], targets(&known))?
        };
        patch.replace(result, y)
    }
}

/// Longer chains are taken in several steps.
const MAX_CHAIN: usize = 16;

fn targets(shape: &[i64]) -> Attrs {
    vec![("targetShape".into(), Attr::List(shape.iter().map(|&n| Attr::Int(n)).collect()))]
}

/// Refuses channels last, which is an order of its own.
fn keeps_order(m: &Match<'_>, op: OpId) -> Result<(), Miss> {
    let mode = m.attr(op, "mode").and_then(Attr::as_str).unwrap_or("CHANNEL_FIRST");
    ensure!(mode == "CHANNEL_FIRST", "the mode is {mode}");
    ensure!(m.data(op).results.len() == 1, "the layer has {} outputs", m.data(op).results.len());
    Ok(())
}

/// What a layer that keeps the order made this value of.
fn before(m: &Match<'_>, value: ValueId) -> Option<ValueId> {
    let def = m.program.def_op(value)?;
    let o = m.data(def);
    let free = !o.sealed && MOVES.contains(&&*o.kind) && !m.program.value(value).pinned;
    let x = o.arg(INPUT)?;
    (free && keeps_order(m, def).is_ok() && !m.program.value(x).pinned).then_some(x)
}

/// `reshape` or `flatten`, where both shapes have five axes and the same batch.
fn older(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    from: &Shape,
    to: &Shape,
    known: &[i64],
) -> Result<Option<PatchValue>, Miss> {
    let (&[from_seq, from_batch, ..], &[seq, batch, ..], 5, 5) =
        (from.as_slice(), to.as_slice(), from.len(), to.len())
    else {
        return Ok(None);
    };
    if !same(&[from_batch], &[batch]) {
        return Ok(None);
    }
    let (lead, plane) = known.split_at(2);
    if same(&[from_seq], &[seq]) {
        if plane.ends_with(&[1, 1]) {
            return layer(patch, "nn.flatten", &[(INPUT, x)], Attrs::new()).map(Some);
        }
        return layer(patch, "nn.reshape", &[(INPUT, x)], targets(plane)).map(Some);
    }
    let four: Vec<i64> = lead.iter().take(1).chain(plane).copied().collect();
    layer(patch, "nn.reshape", &[(INPUT, x)], targets(&four)).map(Some)
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, bench_of_5, images};

    const RULE: &Reshape = &Reshape;

    fn on(x: &str, layers: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("w = nn.exp2(input = x); {layers}"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn back_to_the_shape_before() {
        for layers in [
            "z = nn.reshapeStatic(input = w)[targetShape = [3, 4, 5]];",
            "z = nn.rankPreservingReshape(input = w)[targetShape = [0, 4, -1]];",
            "a = nn.expandDims(input = w)[axes = [0]]; z = nn.squeeze(input = a)[axes = [0]];",
            "a = nn.flattenTo2D(input = w)[axis = 1]; z = nn.reshapeLike(input = (a, x));",
            "a = nn.expandDims(input = w)[axes = [0]]; b = nn.expandDims(input = a)[axes = [4]];
             z = nn.squeeze(input = b)[axes = [0, 4]];",
        ] {
            let got = bench(RULE).fires(&on("[3, 4, 5]", layers));
            assert!(got.contains("z = nn.exp2(input = x)"), "{layers}: {got}");
        }
        let got = bench(RULE).fires(&on(
            "[3, ?, 5]",
            "a = nn.expandDims(input = w)[axes = [1]]; z = nn.squeeze(input = a)[axes = [1]];",
        ));
        assert!(got.contains("z = nn.exp2(input = x)"), "{got}");
    }

    #[test]
    fn older_layers_in_rank_5() {
        for (layer, want) in [
            (
                "reshapeStatic(input = w)[targetShape = [2, 3, 20, 1, 2]]",
                "nn.reshape(input = %1, targetShape: List([Int(20), Int(1), Int(2)]))",
            ),
            ("reshapeStatic(input = w)[targetShape = [2, 3, 40, 1, 1]]", "nn.flatten(input = %1)"),
            (
                "rankPreservingReshape(input = w)[targetShape = [4, 0, 5, 4, 1]]",
                "nn.reshape(input = %1, targetShape: List([Int(4), Int(5), Int(4), Int(1)]))",
            ),
        ] {
            let got = bench(RULE).fires(&on("[2, 3, 4, 5, 2]", &format!("z = nn.{layer};")));
            assert!(got.contains(&want.replace("%1", "%2")), "{got}");
        }
    }

    #[test]
    fn a_known_shape_is_said() {
        let args = "tensor<fp32, [4, 6]> x, tensor<fp32, [3, 8]> y";
        let got = bench(RULE).fires(&arrays(args, "z = nn.reshapeLike(input = (x, y));"));
        assert!(
            got.contains("z = nn.reshapeStatic(input = x, targetShape: List([Int(3), Int(8)]))"),
            "{got}"
        );
    }

    #[test]
    fn old_layers_in_a_row() {
        let layers = "a = nn.reshape(input = x)[targetShape = [6, 2, 5]]; z = nn.flatten(input = a);";
        let got = bench_of_5(RULE, &[]).fires(&images("tensor<fp32, [1, 1, 3, 4, 5]> x", layers));
        assert!(got.contains("z = nn.flatten(input = x)"), "{got}");
        let last = "a = nn.reshape(input = x)[targetShape = [6, 2, 5]]; z = nn.flatten(input = a)[mode = CHANNEL_LAST];";
        let why = bench_of_5(RULE, &[]).declines(&images("tensor<fp32, [1, 1, 3, 4, 5]> x", last));
        assert!(why.contains("CHANNEL_LAST") || why.contains("by itself"), "{why}");
    }

    #[test]
    fn declines() {
        for (x, layers, reason) in [
            ("[3, 4, 5]", "z = nn.reshapeStatic(input = w)[targetShape = [4, 3, 5]];", "no older layer"),
            ("[3, 4, 5]", "z = nn.expandDims(input = w)[axes = [0]];", "no older layer"),
            (
                "[2, 1, 3, 4, 5]",
                "z = nn.reshapeStatic(input = w)[targetShape = [1, 2, 3, 4, 5]];",
                "no older layer",
            ),
            ("[3, ?, 5]", "z = nn.expandDims(input = w)[axes = [0]];", "the result is [1, 3, ?, 5]"),
            ("[2, 1, 3, 4, 5]", "z = nn.reshape(input = w)[targetShape = [4, 3, 5]];", "by itself"),
        ] {
            let why = bench(RULE).declines(&on(x, layers));
            assert!(why.contains(reason), "{layers}: {why}");
        }
        // the layer before has another user
        let layers = "a = nn.expandDims(input = w)[axes = [0]]; b = nn.expandDims(input = a)[axes = [0]];
            z = nn.addBroadcastable(input = (b, a));";
        let why = bench(RULE).declines(&on("[3, 4]", layers));
        assert!(why.contains("no older layer"), "{why}");
        let image = "z = nn.reshapeStatic(input = x)[targetShape = [1, 1, 4, 3, 6]];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
