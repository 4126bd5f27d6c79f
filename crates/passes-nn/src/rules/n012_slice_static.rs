//! N012: a `sliceStatic` of channels, height and width is a `slice` for each.

use anewrite_ir::{Attr, Dim, OpId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::layers::{self, Axis};
use crate::rules::operands::{Operand, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `sliceStatic` by one `slice` for each axis of which it leaves something out.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 6, 7, 9]> x) {
    ///     z = nn.sliceStatic(input = x)[beginIds = [0, 1, 0, 2], beginMasks = [false, false, true, false],
    ///       endIds = [2, 5, 0, -1], endMasks = [false, false, true, false], strides = [1, 2, 1, 1]];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 6, 7, 9]> x) {
    ///     c = nn.slice(input = x)[startIndex = 1, endIndex = 5, stride = 2];
    ///     z = nn.slice(input = c)[startIndex = 2, endIndex = 8, stride = 1, axis = WIDTH_AXIS];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// A box is the slice of a slice: each layer leaves out what the box leaves out along its axis, and hands on the rest
    /// as it is.
    ///
    /// ## Applies when
    /// 1. something is left out, and only along the last three axes, whose extents are known
    /// 2. no stride is negative, nothing is empty, and no axis goes
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct SliceStatic = N 12 "slice-static";
    grade: BitExact, purpose: Enable,
}

impl Rule for SliceStatic {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.sliceStatic")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let y = Bounds::of_fields(m, op).cut(patch, &x)?;
        patch.replace(m.result(op)?, y)
    }
}

/// The bounds of a box, one an axis; those left out are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounds {
    pub(super) begins: Vec<i64>,
    pub(super) ends: Vec<i64>,
    pub(super) strides: Vec<i64>,
    pub(super) open_begins: Vec<bool>,
    pub(super) open_ends: Vec<bool>,
    /// Axes that go.
    pub(super) gone: Vec<bool>,
}

impl Bounds {
    /// What the fields of a layer say.
    pub(super) fn of_fields(m: &Match<'_>, op: OpId) -> Bounds {
        let ints = |name: &str| m.attr(op, name).and_then(Attr::as_ints).unwrap_or_default();
        let flags = |name: &str| match m.attr(op, name) {
            Some(Attr::List(items)) => items.iter().map(|a| a.as_bool() == Some(true)).collect(),
            _ => Vec::new(),
        };
        Bounds {
            begins: ints("beginIds"),
            ends: ints("endIds"),
            strides: ints("strides"),
            open_begins: flags("beginMasks"),
            open_ends: flags("endMasks"),
            gone: flags("squeezeMasks"),
        }
    }

    /// The box cut out of `x`, by a `slice` for each axis of which something is left out.
    pub(super) fn cut(&self, patch: &mut PatchBuilder<'_>, x: &Operand<'_>) -> Result<PatchValue, Miss> {
        ensure!(!self.gone.contains(&true), "an axis goes, which a slice keeps");
        let rank = x.shape.len();
        let mut cuts = Vec::new();
        for (i, d) in x.shape.iter().enumerate() {
            let is_open = |masks: &[bool]| masks.get(i).copied().unwrap_or(false);
            let (begin, end) = (
                (!is_open(&self.open_begins)).then(|| self.begins.get(i).copied()).flatten(),
                (!is_open(&self.open_ends)).then(|| self.ends.get(i).copied()).flatten(),
            );
            let stride = self.strides.get(i).copied().unwrap_or(1);
            if begin.unwrap_or(0) == 0 && end.is_none() && stride == 1 {
                continue;
            }
            let Dim::Known(n) = *d else {
                return Err(Miss::new(format!("the extent of axis {i} is not known")));
            };
            let n = i64::try_from(n).unwrap_or(i64::MAX);
            let from_front = |at: i64| (if at < 0 { at.saturating_add(n) } else { at }).clamp(0, n);
            let (begin, end) = (from_front(begin.unwrap_or(0)), from_front(end.unwrap_or(n)));
            if (begin, end, stride) == (0, n, 1) {
                continue;
            }
            ensure!(stride > 0, "the stride of axis {i} is {stride}");
            ensure!(begin < end, "nothing is left of axis {i}");
            let beyond =
                || Miss::new(format!("axis {i} of rank {rank} is cut, a slice takes the last three"));
            cuts.push((Axis::from_end(rank - i).ok_or_else(beyond)?, [begin, end, stride]));
        }
        ensure!(!cuts.is_empty() && rank >= 3, "nothing is left out, or the rank is under 3");
        let mut y = patch.tap(x.value);
        for (axis, cut) in cuts {
            y = layers::slice(patch, y, axis, cut)?;
        }
        Ok(y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &SliceStatic = &SliceStatic;

    fn slice(x: &str, fields: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.sliceStatic(input = x)[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn ends_from_the_end_and_beyond() {
        let text = slice("[6, 7, 9]", "beginIds = [-4, 0, 0], endIds = [99, 7, 9], strides = [3, 1, 1]");
        let got = bench(RULE).fires(&text);
        assert!(
            got.contains("nn.slice(input = x, startIndex: Int(2), endIndex: Int(6), stride: Int(3))"),
            "{got}"
        );
    }

    #[test]
    fn a_stride_of_1_is_written() {
        let got = bench(RULE).fires(&slice("[6, 7, 9]", "beginIds = [0, 0, 0], endIds = [6, 3, 9]"));
        assert!(got.contains("nn.slice(input = x, endIndex: Int(3), stride: Int(1), axis:"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, fields, reason) in [
            (
                "[6, 7, 9]",
                "beginIds = [0, 0, 0], endIds = [6, 7, 9], strides = [1, 1, 1]",
                "nothing is left out",
            ),
            (
                "[6, 7, 9]",
                "beginIds = [5, 0, 0], endIds = [0, 7, 9], strides = [-1, 1, 1]",
                "the stride of axis 0 is -1",
            ),
            (
                "[6, 7, 9]",
                "beginIds = [3, 0, 0], endIds = [3, 7, 9], strides = [1, 1, 1]",
                "nothing is left of axis 0",
            ),
            ("[?, 7, 9]", "beginIds = [1, 0, 0], endIds = [3, 7, 9], strides = [1, 1, 1]", "not known"),
            (
                "[2, 6, 7, 9]",
                "beginIds = [1, 0, 0, 0], endIds = [2, 6, 7, 9], strides = [1, 1, 1, 1]",
                "axis 0 of rank 4",
            ),
            (
                "[6, 7, 9]",
                "beginIds = [1, 0, 0], endIds = [2, 7, 9], strides = [1, 1, 1], squeezeMasks = [true, false, false]",
                "an axis goes",
            ),
            ("[7, 9]", "beginIds = [1, 0], endIds = [3, 9], strides = [1, 1]", "under 3"),
        ] {
            let why = bench(RULE).declines(&slice(x, fields));
            assert!(why.contains(reason), "{fields}: {why}");
        }
        let image = "z = nn.sliceStatic(input = x)[beginIds = [0, 0, 1, 0, 0], endIds = [1, 1, 3, 4, 6], strides = [1, 1, 1, 1, 1]];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
