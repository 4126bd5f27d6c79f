//! N031: a `pooling` with a large stride is one with a small stride, of which some windows are left out.

use anewrite_ir::Attr;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::{Axis as Cut, layer, slice};
use crate::rules::window::{Axis, Windows, pooling};

declare_rule! {
    /// ## What it does
    /// Replaces a `pooling` whose stride passes the engine's limit by one with a smaller stride and layers that leave
    /// windows out: poolings over single elements for the factors within the limit, a `slice` for what they leave.
    ///
    /// ## Before / after
    /// With a limit of 2:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 15, 21]> x) {
    ///     z = nn.pooling(input = x)[type = AVERAGE, kernelSize = [4, 5], stride = [4, 3], valid = {}];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 15, 21]> x) {
    ///     a = nn.pooling(input = x)[type = AVERAGE, kernelSize = [4, 5], stride = [2, 1], valid = {paddingAmounts =
    ///       {borderAmounts = [{}, {}]}}];
    ///     b = nn.slice(input = a)[endIndex = 17, stride = 3, axis = WIDTH_AXIS];
    ///     z = nn.pooling(input = b)[kernelSize = [1, 1], stride = [2, 1], valid = {paddingAmounts = {borderAmounts =
    ///       [{}, {}]}}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Window `o` of a stride `a b` is window `b o` of the stride `a`: it holds the same elements, and the same padding
    /// once that is written as amounts. A pooling over single elements and a slice take every `b`-th. Windows that nobody
    /// asked for are computed: up to as many times more as the factors that the slice takes.
    ///
    /// ## Applies when
    /// 1. pooling is not global, and a stride passes the limit `LIM-POOL-STRIDE`
    /// 2. extents are known where padding depends on them, and where a stride has a prime factor over the limit
    /// 3. no last window reaches over the end (`includeLastPixel`), unless padding does not count: for averages that
    ///    include padding it would count what lies over the end
    pub struct PoolStride = N 31 "pool-stride";
    grade: BitExact, purpose: Enable,
}

impl Rule for PoolStride {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.pooling")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let kind = m.attr(op, "type").and_then(Attr::as_str).unwrap_or("MAX");
        let is_set = |name: &str| m.attr(op, name).and_then(Attr::as_bool) == Some(true);
        ensure!(!is_set("globalPooling"), "the pooling is global");
        let windows = Windows::of(m, op)?;
        let limit = i64::try_from(m.limit("LIM-POOL-STRIDE")?).unwrap_or(i64::MAX);
        let strides = windows.axes.map(|a| a.stride);
        ensure!(
            strides.iter().any(|&s| s > limit),
            "the strides {strides:?} are within the limit of {limit}"
        );
        let excluded = is_set("avgPoolExcludePadding");
        let axes = if kind == "AVERAGE" && !excluded { windows.whole()? } else { windows.completed()? };
        let mut steps = axes.map(|a| factors(a, limit));
        let first = [0, 1].map(|i| Axis { stride: steps[i].0.pop().unwrap_or(1), ..axes[i] });
        let mut attrs = pooling(kind, first);
        if excluded {
            attrs.push(("avgPoolExcludePadding".into(), Attr::Bool(true)));
        }
        let x = patch.tap(m.arg(op, INPUT)?);
        let mut y = layer(patch, "nn.pooling", &[(INPUT, x)], attrs)?;
        for (axis, (a, (_, rest))) in [Cut::Height, Cut::Width].into_iter().zip(first.iter().zip(&steps)) {
            if *rest > 1 {
                let count = a.outputs().ok_or_else(|| {
                    Miss::new(format!("a stride of {rest} is sliced, of an extent that is not known"))
                })?;
                y = slice(patch, y, axis, [0, count, *rest])?;
            }
        }
        loop {
            let [height, width] = &mut steps;
            let stride = [height.0.pop(), width.0.pop()];
            if stride == [None, None] {
                break;
            }
            let single = stride.map(|s| Axis {
                extent: None,
                kernel: 1,
                stride: s.unwrap_or(1),
                dilation: 1,
                before: 0,
                after: 0,
            });
            y = layer(patch, "nn.pooling", &[(INPUT, y)], pooling("MAX", single))?;
        }
        patch.replace(m.result(op)?, y)
    }
}

/// The factors of the stride within `limit`, the largest last, and the product of the others. A stride over a single
/// window that leaves nothing over is 1.
fn factors(a: Axis, limit: i64) -> (Vec<i64>, i64) {
    let mut rest = if a.room() == Some(0) { 1 } else { a.stride };
    let mut steps = Vec::new();
    while let Some(f) = (2..=limit.min(rest)).rev().find(|d| rest % d == 0) {
        steps.push(f);
        rest /= f;
    }
    steps.reverse();
    (steps, rest)
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::{Bench, check_page};

    use super::*;
    use crate::rules::bench::{bench_of_5, images};

    const RULE: &PoolStride = &PoolStride;

    fn bench() -> Bench<'static> {
        bench_of_5(RULE, &[("LIM-POOL-STRIDE", 2)])
    }

    fn pool(shape: &str, fields: &str) -> String {
        images(&format!("tensor<fp32, {shape}> x"), &format!("z = nn.pooling(input = x)[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&bench());
    }

    #[test]
    fn strides_are_taken_apart() {
        let axis = Axis { extent: None, kernel: 2, stride: 12, dilation: 1, before: 0, after: 0 };
        assert_eq!(factors(axis, 2), (vec![2, 2], 3));
        assert_eq!(factors(axis, 4), (vec![3, 4], 1));
        assert_eq!(factors(Axis { stride: 7, ..axis }, 4), (vec![], 7));
        // one window that leaves nothing over
        assert_eq!(factors(Axis { extent: Some(2), ..axis }, 2), (vec![], 1));
        assert_eq!(factors(Axis { extent: Some(3), ..axis }, 2), (vec![2, 2], 3));
    }

    #[test]
    fn same_padding_is_that_of_the_stride() {
        // 19 elements, stride 4: 5 windows, (5 - 1) * 4 + 6 - 19 = 3 of padding, 1 in front; 21: 6 windows, 5, 2 in front
        let got =
            bench().fires(&pool("[1, 1, 2, 19, 21]", "kernelSize = [6, 6], stride = [4, 4], same = {}"));
        assert!(got.contains("[(\"startEdgeSize\", Int(1)), (\"endEdgeSize\", Int(2))]"), "{got}");
        assert!(got.contains("[(\"startEdgeSize\", Int(2)), (\"endEdgeSize\", Int(3))]"), "{got}");
    }

    #[test]
    fn a_last_window_over_the_end_where_padding_does_not_count() {
        let last = "kernelSize = [3, 3], stride = [4, 4], includeLastPixel = {paddingAmounts = [0, 1]}";
        for (kind, more) in [("MAX", ""), ("L2", ""), ("AVERAGE", ", avgPoolExcludePadding = true")] {
            let got = bench().fires(&pool("[1, 1, 2, 20, 21]", &format!("type = {kind}, {last}{more}")));
            assert_eq!(got.matches("avgPoolExcludePadding").count(), usize::from(kind == "AVERAGE"), "{got}");
        }
        let why = bench().declines(&pool("[1, 1, 2, 20, 21]", &format!("type = AVERAGE, {last}")));
        assert!(why.contains("over the end"), "{why}");
        // 19 = 4 * 4 + 3, and 21 + 2 = 5 * 4 + 3: nothing does
        bench().fires(&pool("[1, 1, 2, 19, 21]", &format!("type = AVERAGE, {last}")));
    }

    #[test]
    fn declines() {
        for (shape, fields, reason) in [
            (
                "[1, 1, 2, 20, 21]",
                "kernelSize = [2, 2], stride = [2, 2], valid = {}",
                "within the limit of 2",
            ),
            ("[1, 1, 2, 20, 21]", "kernelSize = [2, 2], stride = [4, 4], globalPooling = true", "global"),
            ("[1, 1, 2, 20, ?]", "kernelSize = [2, 2], stride = [1, 3], valid = {}", "is not known"),
            ("[1, 1, 2, 20, ?]", "kernelSize = [2, 2], stride = [1, 4], same = {}", "is not known"),
        ] {
            let why = bench().declines(&pool(shape, fields));
            assert!(why.contains(reason), "{fields}: {why}");
        }
        let none = Bench { limits: &[], ..bench() };
        assert!(none.declines(&pool("[1, 1, 2, 20, 21]", "stride = [3, 3]")).contains("LIM-POOL-STRIDE"));
    }
}
