//! N034: a `tile` of sequences, channels or single rows and columns is older layers.

use anewrite_ir::{Attr, Attrs, Dim, OpId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::operands::{Operand, Show, mapping_stays, whole};
use crate::rules::window::both;

declare_rule! {
    /// ## What it does
    /// Replaces a `tile` by a `sequenceRepeat` along Seq, a `concat` of copies along channels, and an `upsample` of
    /// nearest neighbours along height and width of extent 1. One that repeats nothing goes.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 1, 5]> x) {
    ///     z = nn.tile(input = x)[reps = [4, 1, 2, 6, 1]];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 1, 5]> x) {
    ///     a = nn.sequenceRepeat(input = x)[nRepetitions = 4];
    ///     b = nn.concat(input = (a, a));
    ///     z = nn.upsample(input = b)[scalingFactor = [6, 1]];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// All of these layers copy elements. Copies of the whole stand one behind the other after `sequenceRepeat` and
    /// `concat`, as after `tile`. `upsample` puts the copies of each element side by side, which is the same where the
    /// axis has only one.
    ///
    /// ## Applies when
    /// 1. the repetitions are fields, or loaded
    /// 2. repeated are only the third axis from the end, the fifth, and the last two where their extent is 1
    /// 3. at most 16 copies of the channels
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Tile = N 34 "tile";
    grade: BitExact, purpose: Enable,
}

/// More inputs of a `concat` cost more than the tile.
const MAX_COPIES: i64 = 16;

impl Rule for Tile {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.tile")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = x.shape.len();
        let reps = repetitions(m, op)?;
        ensure!(reps.len() <= rank, "{} repetitions for rank {rank}", reps.len());
        ensure!(reps.iter().all(|&n| n > 0), "the repetitions are {reps:?}");
        // counted from the end, from 1
        let along = |back: usize| reps.iter().rev().nth(back - 1).copied().unwrap_or(1);
        for back in 1..=rank {
            let single = x.shape.iter().rev().nth(back - 1) == Some(&Dim::Known(1));
            let fits = match back {
                1 | 2 => single && rank >= 3,
                3 | 5 => true,
                _ => false,
            };
            ensure!(
                fits || along(back) == 1,
                "the {back}. axis from the end of {} is repeated {} times",
                Show(&x.shape),
                along(back)
            );
        }
        let mut y = patch.tap(x.value);
        if along(5) > 1 {
            let attrs = vec![("nRepetitions".into(), Attr::Int(along(5)))];
            y = layer(patch, "nn.sequenceRepeat", &[(INPUT, y)], attrs)?;
        }
        let copies = along(3);
        ensure!(copies <= MAX_COPIES, "the channels are repeated {copies} times");
        if copies > 1 {
            let all: Vec<_> = (0..copies).map(|_| (INPUT, y)).collect();
            y = layer(patch, "nn.concat", &all, Attrs::new())?;
        }
        if along(2) > 1 || along(1) > 1 {
            let attrs = vec![("scalingFactor".into(), both([along(2), along(1)]))];
            y = layer(patch, "nn.upsample", &[(INPUT, y)], attrs)?;
        }
        patch.replace(m.result(op)?, y)
    }
}

/// How often each axis is repeated, the last ones where they are fewer than axes.
fn repetitions(m: &Match<'_>, op: OpId) -> Result<Vec<i64>, Miss> {
    let inputs: Vec<_> = m.data(op).args(INPUT).collect();
    match inputs.as_slice() {
        [_] => Ok(m.attr(op, "reps").and_then(Attr::as_ints).unwrap_or_default()),
        &[_, reps] => whole(m, reps, "the repetitions"),
        other => Err(Miss::new(format!("the layer has {} inputs", other.len()))),
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Tile = &Tile;

    fn tile(x: &str, reps: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.tile(input = x)[reps = {reps}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn channels_of_any_rank_and_open_extents() {
        for (x, reps) in
            [("[3, 4, 5]", "[2, 1, 1]"), ("[2, 3, ?, 5]", "[2, 1, 1]"), ("[?, 3, 4, 5]", "[1, 2, 1, 1]")]
        {
            let got = bench(RULE).fires(&tile(x, reps));
            assert!(got.contains("z = nn.concat(input = x, input = x)"), "{got}");
        }
        let got = bench(RULE).fires(&tile("[2, 3, 1, 1]", "[1, 1, 4, 7]"));
        assert!(got.contains("z = nn.upsample(input = x, scalingFactor: List([Int(4), Int(7)]))"), "{got}");
    }

    #[test]
    fn loaded_repetitions_and_none() {
        let layers = "r = nn.loadConstantND()[data = tensor<fp32, [3]>([2.0, 1.0, 1.0]), shape = [3]];
                      z = nn.tile(input = (x, r));";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [3, 4, 5]> x", layers));
        assert!(got.contains("z = nn.concat(input = x, input = x)"), "{got}");
        let layers = "a = nn.exp2(input = x); b = nn.tile(input = a)[reps = [1, 1]]; z = nn.tanh(input = b);";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [4, 5]> x", layers));
        assert!(!got.contains("nn.tile"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, reps, reason) in [
            ("[2, 3, 4, 5]", "[1, 1, 1, 2]", "the 1. axis from the end of [2, 3, 4, 5] is repeated 2 times"),
            ("[2, 3, 4, 5]", "[1, 1, 2, 1]", "the 2. axis"),
            ("[2, 3, 4, 5]", "[2, 1, 1, 1]", "the 4. axis"),
            ("[2, 3, 4, ?]", "[1, 1, 1, 2]", "the 1. axis"),
            ("[1, 1]", "[3, 2]", "the 1. axis"),
            ("[3, 4, 5]", "[17, 1, 1]", "repeated 17 times"),
            ("[...]", "[2, 1, 1]", "not known"),
        ] {
            let why = bench(RULE).declines(&tile(x, reps));
            assert!(why.contains(reason), "{x} {reps}: {why}");
        }
        let args = "tensor<fp32, [3, 4, 5]> x, tensor<fp32, [3]> r";
        assert!(bench(RULE).declines(&arrays(args, "z = nn.tile(input = (x, r));")).contains("computed"));
        let image = "z = nn.tile(input = x)[reps = [1, 1, 2, 1, 1]];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
