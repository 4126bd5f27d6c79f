//! N005: a `splitND` of channels into equal parts is a `split`, another one a `slice` for each part.

use anewrite_ir::{Attr, OpId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::{Axis, slice};
use crate::rules::operands::{Operand, axis_from_end, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `splitND` into equal parts along the third axis from the end by a `split`, and one into other parts, or
    /// along the last two axes, by a `slice` for each part.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 6, 4, 5]> x) {
    ///     a, b, c = nn.splitND(input = x)[axis = -3, splitSizes = [2, 2, 2]];
    ///   } -> (a, c, b);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 6, 4, 5]> x) {
    ///     a, b, c = nn.split(input = x)[nOutputs = 3];
    ///   } -> (a, c, b);
    /// }
    /// ```
    ///
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 6, 4, 5]> x) {
    ///     a, b = nn.splitND(input = x)[axis = -1, splitSizes = [1, 4]];
    ///   } -> (a, b);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 6, 4, 5]> x) {
    ///     a = nn.slice(input = x)[endIndex = 1, stride = 1, axis = WIDTH_AXIS];
    ///     b = nn.slice(input = x)[startIndex = 1, endIndex = 5, stride = 1, axis = WIDTH_AXIS];
    ///   } -> (a, b);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// All of these layers cut the same axis at the same places: `split` cuts the third from the end into equal parts. A
    /// number of parts that does not divide the extent gives the first ones an element more.
    ///
    /// ## Applies when
    /// 1. the axis is one of the last three of rank 3 or more
    /// 2. the parts are equal and channels, or the extent is known
    /// 3. each part is an output, and there are at least two; at most 16 where each is a slice
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct SplitNd = N 5 "split-nd";
    grade: BitExact, purpose: Enable,
}

impl Rule for SplitNd {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.splitND")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = x.shape.len();
        let back = axis_from_end(m, op, rank)?;
        let axis = usize::try_from(back).ok().and_then(Axis::from_end).filter(|_| rank >= 3);
        let axis = axis.ok_or_else(|| {
            Miss::new(format!("the axis is the {back}. from the end of rank {rank}, not one of C, H and W"))
        })?;
        let outputs = &m.data(op).results;
        ensure!(outputs.len() >= 2, "split needs two outputs, the layer has {}", outputs.len());
        let extent = x.shape.get(rank - back as usize).and_then(|d| d.known());
        let sizes = sizes(m, op, extent)?;
        let parts = match &sizes {
            Parts::Sizes(s) => s.len(),
            Parts::Number(n) => *n,
        };
        ensure!(parts == outputs.len(), "{parts} parts, of which {} are outputs", outputs.len());
        let y = patch.tap(x.value);
        match sizes {
            Parts::Sizes(s) if axis != Axis::Channel || s.windows(2).any(|w| w[0] != w[1]) => {
                ensure!(extent.is_some(), "the extent of the axis is not known");
                ensure!(parts <= MAX_SLICES, "{parts} parts would each be a slice");
                let mut begin = 0;
                for (&old, size) in outputs.iter().zip(s) {
                    let end = begin + size;
                    if m.program.use_count(old) > 0 || m.program.is_output(old) {
                        let piece = slice(patch, y, axis, [begin, end, 1])?;
                        patch.replace(old, piece)?;
                    }
                    begin = end;
                }
            }
            Parts::Number(_) if axis != Axis::Channel => {
                return Err(Miss::new("the extent of the axis is not known"));
            }
            _ => {
                let attrs = vec![("nOutputs".into(), Attr::Int(parts as i64))];
                let pieces = patch.op_with("nn.split", &[(INPUT, y)], attrs)?;
                ensure!(pieces.len() == outputs.len(), "split has {} outputs", pieces.len());
                for (&old, &new) in outputs.iter().zip(&pieces) {
                    patch.replace(old, new)?;
                }
            }
        }
        Ok(())
    }
}

/// More slices of one tensor cost more than a split.
const MAX_SLICES: usize = 16;

/// How an axis is cut.
enum Parts {
    /// Into parts of these sizes.
    Sizes(Vec<i64>),
    /// Into so many equal parts of an extent that is not known.
    Number(usize),
}

fn sizes(m: &Match<'_>, op: OpId, extent: Option<u64>) -> Result<Parts, Miss> {
    let sizes = m.attr(op, "splitSizes").map(|a| a.as_ints().ok_or(Miss::new("the sizes are not integers")));
    let sizes = sizes.transpose()?.unwrap_or_default();
    let extent = extent.and_then(|n| i64::try_from(n).ok());
    if !sizes.is_empty() {
        let sum = sizes.iter().try_fold(0i64, |a, &n| if n > 0 { a.checked_add(n) } else { None });
        let sum = sum.ok_or_else(|| Miss::new(format!("the parts are of the sizes {sizes:?}")))?;
        ensure!(extent.is_none_or(|n| n == sum), "the parts {sizes:?} are not the whole axis");
        return Ok(Parts::Sizes(sizes));
    }
    let number = m.attr(op, "numSplits").and_then(Attr::as_int);
    let number = number.ok_or(Miss::new("neither a number of parts nor their sizes are given"))?;
    let count = usize::try_from(number).ok().filter(|n| (1..=MOST).contains(n));
    let count = count.ok_or_else(|| Miss::new(format!("{number} parts")))?;
    Ok(match extent {
        None => Parts::Number(count),
        Some(n) => Parts::Sizes((0..number).map(|i| n / number + i64::from(i < n % number)).collect()),
    })
}

/// More parts than any layer has.
const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &SplitNd = &SplitNd;

    fn split(x: &str, outputs: &str, fields: &str) -> String {
        let layers = format!("z{outputs} = nn.splitND(input = x)[{fields}];");
        arrays(&format!("tensor<fp32, {x}> x"), &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn channels_in_each_rank() {
        for (x, axis) in [("[6, 4, 5]", 0), ("[7, 6, 4, 5]", 1), ("[8, 7, 6, 4, 5]", 2), ("[7, 6, ?, ?]", -3)]
        {
            let got = bench(RULE).fires(&split(x, ", a", &format!("axis = {axis}, numSplits = 2")));
            assert!(got.contains("nn.split(input = x, nOutputs: Int(2))"), "{got}");
        }
    }

    #[test]
    fn other_parts_are_slices() {
        let layers = "a, b, c = nn.splitND(input = x)[axis = 0, numSplits = 3]; z = nn.concatND(input = (c, a, b))[axis = 0];";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [7, 4, 5]> x", layers));
        for bounds in [
            "endIndex: Int(3)",
            "startIndex: Int(3), endIndex: Int(5)",
            "startIndex: Int(5), endIndex: Int(7)",
        ] {
            assert!(got.contains(&format!("nn.slice(input = x, {bounds}, stride: Int(1))")), "{got}");
        }
        let layers = "a, z = nn.splitND(input = x)[axis = 1, splitSizes = [2, 4]];";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [7, 6, 5]> x", layers));
        let bounds = "startIndex: Int(2), endIndex: Int(6), stride: Int(1), axis: Enum(\"HEIGHT_AXIS\")";
        assert!(got.contains(bounds) && !got.contains("endIndex: Int(2)"), "{got}");
    }

    #[test]
    fn images_of_rank_5() {
        let layer = "w, a = nn.splitND(input = x)[axis = 2, numSplits = 2];";
        let x = "tensor<fp32, [1, 1, 4, 5, 6]> x";
        let got = bench(RULE).fires(&images(x, &format!("{layer} z = nn.exp2(input = w);")));
        assert!(got.contains("= nn.split(input = x"), "{got}");
        let old = format!("{layer} z = nn.tanh(input = w);").replace("nn.tanh", "nn.softmax");
        assert!(bench(RULE).declines(&images(x, &old)).contains("last layer"));
    }

    #[test]
    fn declines() {
        for (x, outputs, fields, reason) in [
            ("[2, 6, 4, 5]", ", a", "axis = 0, numSplits = 2", "the 4. from the end of rank 4"),
            ("[6, 4]", ", a", "axis = 0, numSplits = 2", "the 2. from the end of rank 2"),
            ("[6, ?, 5]", ", a", "axis = 1, numSplits = 2", "the extent of the axis is not known"),
            ("[6, ?, 5]", ", a", "axis = 1, splitSizes = [2, 4]", "the extent of the axis is not known"),
            ("[6, 4, 5]", "", "axis = 0, numSplits = 2", "two outputs, the layer has 1"),
            ("[6, 4, 5]", ", a", "axis = 0, numSplits = 3", "3 parts, of which 2 are outputs"),
            ("[6, 4, 5]", ", a", "axis = 0", "neither a number of parts nor"),
            ("[...]", ", a", "axis = -3, numSplits = 2", "not known"),
        ] {
            let why = bench(RULE).declines(&split(x, outputs, fields));
            assert!(why.contains(reason), "{x} {fields}: {why}");
        }
    }
}
