//! N040: a `reverse` of channels is slices, joined backwards.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::{Axis, layer, slice};
use crate::rules::operands::{Operand, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `reverse` of the third axis from the end by a `slice` of each channel and a `concat`. One that turns
    /// nothing goes.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     z = nn.reverse(input = x)[reverseDim = [false, true, false, false]];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     a = nn.slice(input = x)[startIndex = 2, endIndex = 3, stride = 1];
    ///     b = nn.slice(input = x)[startIndex = 1, endIndex = 2, stride = 1];
    ///     c = nn.slice(input = x)[endIndex = 1, stride = 1];
    ///     z = nn.concat(input = (a, b, c));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Each channel is handed on as it is, the last one first.
    ///
    /// ## Applies when
    /// 1. turned are only the third axis from the end, and axes of extent 1
    /// 2. it has from 2 to 16 channels (profit: each costs a layer)
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Reverse = N 40 "reverse";
    grade: BitExact, purpose: Enable,
}

/// More slices cost more than the layer.
const MAX_CHANNELS: i64 = 16;

impl Rule for Reverse {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.reverse")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = x.shape.len();
        let turned: Vec<bool> = match m.attr(op, "reverseDim") {
            Some(Attr::List(items)) => items.iter().map(|a| a.as_bool() == Some(true)).collect(),
            _ => Vec::new(),
        };
        ensure!(turned.len() <= rank, "{} axes are named in rank {rank}", turned.len());
        let extent = |i: usize| x.shape.get(i).and_then(|d| d.known());
        let axes: Vec<usize> = turned.iter().enumerate().filter(|(_, t)| **t).map(|(i, _)| i).collect();
        let axes: Vec<usize> = axes.into_iter().filter(|&i| extent(i) != Some(1)).collect();
        let mut y = patch.tap(x.value);
        match axes.as_slice() {
            [] => {}
            &[i] if i + 3 == rank => {
                let n = extent(i).and_then(|n| i64::try_from(n).ok());
                let n = n.ok_or(Miss::new("the number of channels is not known"))?;
                ensure!((2..=MAX_CHANNELS).contains(&n), "it has {n} channels");
                let mut parts = Vec::new();
                for i in (0..n).rev() {
                    parts.push((INPUT, slice(patch, y, Axis::Channel, [i, i + 1, 1])?));
                }
                y = layer(patch, "nn.concat", &parts, Attrs::new())?;
            }
            all => {
                return Err(Miss::new(format!(
                    "the axes {all:?} of rank {rank} are turned, not the channels"
                )));
            }
        }
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Reverse = &Reverse;

    fn turn(x: &str, dims: &str) -> String {
        let layers = format!("a = nn.exp2(input = x); z = nn.reverse(input = a)[reverseDim = {dims}];");
        arrays(&format!("tensor<fp32, {x}> x"), &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn nothing_to_turn() {
        for (x, dims) in [("[3, 4]", "[false, false]"), ("[3, 1, ?]", "[false, true, false]")] {
            let got = bench(RULE).fires(&turn(x, dims));
            assert!(got.contains("z = nn.exp2(input = x)"), "{got}");
        }
    }

    #[test]
    fn declines() {
        for (x, dims, reason) in [
            ("[2, 3, 4]", "[false, true, false]", "the axes [1] of rank 3"),
            ("[2, 3, 4]", "[true, true, false]", "the axes [0, 1] of rank 3"),
            ("[2, 3]", "[true, false]", "the axes [0] of rank 2"),
            ("[17, 3, 4]", "[true, false, false]", "17 channels"),
            ("[?, 3, 4]", "[true, false, false]", "not known"),
        ] {
            let why = bench(RULE).declines(&turn(x, dims));
            assert!(why.contains(reason), "{x} {dims}: {why}");
        }
        let image = "z = nn.reverse(input = x)[reverseDim = [false, false, true, false, false]];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
