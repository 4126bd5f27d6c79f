//! N039: a `cumSum` is sums of ever longer runs.

use anewrite_ir::{Attr, Attrs, OpId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::layers::{Axis, layer, slice};
use crate::rules::operands::{Operand, mapping_stays, whole};
use crate::rules::window::border;

declare_rule! {
    /// ## What it does
    /// Replaces a `cumSum` along channels, height or width by additions of the tensor to itself, moved by 1, 2, 4 and so on.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 6]> x) {
    ///     a = nn.cumSum(input = x)[axis = 2];
    ///     b = nn.cumSum(input = x)[axis = 1, reverse = true];
    ///   } -> (a, b);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 6]> x) {
    ///     c = nn.slice(input = x)[endIndex = 3, stride = 1, axis = HEIGHT_AXIS];
    ///     d = nn.padding(input = c)[constant = {}, paddingAmounts = {borderAmounts = [{startEdgeSize = 1}, {}]}];
    ///     e = nn.add(input = (x, d));
    ///     f = nn.slice(input = e)[endIndex = 2, stride = 1, axis = HEIGHT_AXIS];
    ///     g = nn.padding(input = f)[constant = {}, paddingAmounts = {borderAmounts = [{startEdgeSize = 2}, {}]}];
    ///     a = nn.add(input = (e, g));
    ///     h = nn.slice(input = x)[endIndex = 2, stride = 1];
    ///     i = nn.slice(input = x)[startIndex = 1, endIndex = 3, stride = 1];
    ///     j = nn.add(input = (h, i));
    ///     k = nn.slice(input = x)[startIndex = 2, endIndex = 3, stride = 1];
    ///     l = nn.concat(input = (j, k));
    ///     n = nn.slice(input = l)[endIndex = 1, stride = 1];
    ///     o = nn.slice(input = l)[startIndex = 2, endIndex = 3, stride = 1];
    ///     p = nn.add(input = (n, o));
    ///     q = nn.slice(input = l)[startIndex = 1, endIndex = 3, stride = 1];
    ///     b = nn.concat(input = (p, q));
    ///   } -> (a, b);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// After the step by `t` each element is the sum of the `2 t` elements up to its own, or of all where there are fewer:
    /// it adds the sum of the `t` elements before those that it holds. What is moved in from outside is 0, or along the
    /// channels nothing is added. A product with a triangular matrix would add `0 * x` for the others, which is no zero for
    /// infinities.
    ///
    /// ## Applies when
    /// 1. the axis is a field or loaded, one of the last three of rank 3 or more, of a known extent from 2 to 4096
    /// 2. along channels the last element counts: nothing stands for the sum before the first one
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct CumulativeSum = N 39 "cumulative-sum";
    grade: Exact, purpose: Enable, growth: 2.0, zeros: MayFlip,
}

/// Longer axes take more than 12 steps.
const LONGEST: i64 = 1 << 12;

impl Rule for CumulativeSum {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.cumSum")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = x.shape.len() as i64;
        let at = axis(m, op)?;
        ensure!((-rank..rank).contains(&at), "there is no axis {at} in rank {rank}");
        let back = if at < 0 { -at } else { rank - at };
        let axis = usize::try_from(back).ok().and_then(Axis::from_end).filter(|_| rank >= 3);
        let axis = axis.ok_or_else(|| {
            Miss::new(format!("the axis is the {back}. from the end of rank {rank}, not one of C, H and W"))
        })?;
        let extent = x.shape.get((rank - back) as usize).and_then(|d| d.known());
        let n = extent.and_then(|n| i64::try_from(n).ok()).ok_or(Miss::new("the extent is not known"))?;
        ensure!((2..=LONGEST).contains(&n), "the extent of the axis is {n}");
        let is_set = |name: &str| m.attr(op, name).and_then(Attr::as_bool) == Some(true);
        let reverse = is_set("reverse");
        let mut y = patch.tap(x.value);
        if is_set("excludeFinalSum") {
            ensure!(axis != Axis::Channel, "the last element does not count, along the channels");
            y = moved(patch, y, axis, (n, 1), reverse)?;
        }
        let mut t = 1;
        while t < n {
            y = match axis {
                Axis::Channel => step_of_channels(patch, y, (n, t), reverse)?,
                _ => {
                    let before = moved(patch, y, axis, (n, t), reverse)?;
                    layer(patch, "nn.add", &[(INPUT, y), (INPUT, before)], Attrs::new())?
                }
            };
            t *= 2;
        }
        patch.replace(m.result(op)?, y)
    }
}

fn axis(m: &Match<'_>, op: OpId) -> Result<i64, Miss> {
    let inputs: Vec<_> = m.data(op).args(INPUT).collect();
    match inputs.as_slice() {
        &[_, at] => match whole(m, at, "the axes")?.as_slice() {
            &[at] => Ok(at),
            all => Err(Miss::new(format!("the axes are {all:?}"))),
        },
        _ => m.attr(op, "axis").map_or(Some(0), Attr::as_int).ok_or(Miss::new("the axis is no integer")),
    }
}

/// `x` moved by `t` of `n` elements towards the end of the axis, or its beginning; zeros follow.
fn moved(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    axis: Axis,
    (n, t): (i64, i64),
    reverse: bool,
) -> Result<PatchValue, Miss> {
    let (kept, added) = if reverse { ([t, n, 1], [0, t]) } else { ([0, n - t, 1], [t, 0]) };
    let kept = slice(patch, x, axis, kept)?;
    let sides = if axis == Axis::Height { [added, [0; 2]] } else { [[0; 2], added] };
    let attrs =
        vec![("constant".into(), Attr::Message(Vec::new())), ("paddingAmounts".into(), border(sides))];
    layer(patch, "nn.padding", &[(INPUT, kept)], attrs)
}

/// The channels, with those `t` before added to all but the first `t`; or those behind, to all but the last.
fn step_of_channels(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    (n, t): (i64, i64),
    reverse: bool,
) -> Result<PatchValue, Miss> {
    let low = slice(patch, x, Axis::Channel, [0, n - t, 1])?;
    let high = slice(patch, x, Axis::Channel, [t, n, 1])?;
    let sum = layer(patch, "nn.add", &[(INPUT, low), (INPUT, high)], Attrs::new())?;
    let parts = if reverse {
        [sum, slice(patch, x, Axis::Channel, [n - t, n, 1])?]
    } else {
        [slice(patch, x, Axis::Channel, [0, t, 1])?, sum]
    };
    layer(patch, "nn.concat", &parts.map(|p| (INPUT, p)), Attrs::new())
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &CumulativeSum = &CumulativeSum;

    fn sums(x: &str, fields: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.cumSum(input = x)[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn steps_double_up_to_the_extent() {
        for (n, steps) in [(2, 1), (4, 2), (5, 3), (8, 3), (9, 4)] {
            let got = bench(RULE).fires(&sums(&format!("[3, 4, {n}]"), "axis = -1"));
            assert_eq!(got.matches("nn.add").count(), steps, "{got}");
        }
        let got = bench(RULE).fires(&sums("[3, ?, 2]", "axis = 2, excludeFinalSum = true"));
        assert_eq!(got.matches("nn.padding").count(), 2, "{got}");
    }

    #[test]
    fn a_loaded_axis() {
        let layers = "a = nn.loadConstantND()[data = tensor<fp32, [1]>([-2.0]), shape = [1]]; z = nn.cumSum(input = (x, a));";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [3, 4, 5]> x", layers));
        assert!(got.contains("HEIGHT_AXIS"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, fields, reason) in [
            ("[2, 3, 4, 5]", "axis = 0", "the 4. from the end of rank 4"),
            ("[4, 5]", "axis = 1", "the 1. from the end of rank 2"),
            ("[3, 4, 5]", "axis = 3", "no axis 3"),
            ("[3, 4, ?]", "axis = 2", "not known"),
            ("[3, 4, 1]", "axis = 2", "the extent of the axis is 1"),
            ("[3, 4, 5000]", "axis = 2", "the extent of the axis is 5000"),
            ("[3, 4, 5]", "axis = 0, excludeFinalSum = true", "does not count"),
        ] {
            let why = bench(RULE).declines(&sums(x, fields));
            assert!(why.contains(reason), "{x} {fields}: {why}");
        }
        let args = "tensor<fp32, [3, 4, 5]> x, tensor<fp32, [1]> a";
        let why = bench(RULE).declines(&arrays(args, "z = nn.cumSum(input = (x, a));"));
        assert!(why.contains("computed") || why.contains("not known"), "{why}");
        let image = "z = nn.cumSum(input = x)[axis = 3];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
