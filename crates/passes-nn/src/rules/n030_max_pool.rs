//! N030: a max `pooling` with a large window is a chain of ones with small windows.

use anewrite_ir::Attr;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;
use crate::rules::window::{Axis, Windows, pooling};

declare_rule! {
    /// ## What it does
    /// Replaces a max `pooling` whose window passes the engine's limit by a chain of max poolings with windows within it.
    ///
    /// ## Before / after
    /// With a limit of 8:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 15, 20]> x) {
    ///     z = nn.pooling(input = x)[kernelSize = [9, 13], stride = [1, 2], valid = {paddingAmounts = {borderAmounts =
    ///       [{startEdgeSize = 4, endEdgeSize = 3}, {startEdgeSize = 6, endEdgeSize = 5}]}}];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 15, 20]> x) {
    ///     a = nn.pooling(input = x)[kernelSize = [8, 8], stride = [1, 1], valid = {paddingAmounts = {borderAmounts =
    ///       [{startEdgeSize = 4, endEdgeSize = 3}, {startEdgeSize = 6, endEdgeSize = 5}]}}];
    ///     z = nn.pooling(input = a)[kernelSize = [2, 6], stride = [1, 2], valid = {paddingAmounts = {borderAmounts =
    ///       [{}, {}]}}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// The maximum over a window of `k1 + k2 - 1` elements is the maximum over `k2` neighbouring maxima over `k1`
    /// elements: the windows of the first stage cover those of the whole, and an element counted twice does not
    /// change a maximum. The stride stands on the last stage only, for it skips whole windows. Padding counts as
    /// minus infinity, which changes no maximum. It is divided over the stages, at most `ki - 1` on each side of stage
    /// `i`: each window then holds an element of the operand, and a window that the next stage takes for padding lies
    /// within the first window that it sees. `same` padding and a last window over the end (`includeLastPixel`) become
    /// amounts of padding.
    ///
    /// ## Applies when
    /// 1. the type is MAX, pooling is not global, and a window passes the limit `LIM-MAXPOOL`
    /// 2. the padding on each side is less than the window
    /// 3. extents are known where padding depends on them: `same` with a stride, `includeLastPixel` with a stride
    /// 4. at most 16 stages
    /// 5. the window is not the whole plane, which [N044] pools at once
    pub struct MaxPool = N 30 "max-pool";
    grade: BitExact, purpose: Enable,
}

impl Rule for MaxPool {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.pooling")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let kind = m.attr(op, "type").and_then(Attr::as_str).unwrap_or("MAX");
        ensure!(kind == "MAX", "the type is {kind}");
        ensure!(m.attr(op, "globalPooling").and_then(Attr::as_bool) != Some(true), "the pooling is global");
        let windows = Windows::of(m, op)?;
        let limit = i64::try_from(m.limit("LIM-MAXPOOL")?).unwrap_or(i64::MAX);
        ensure!(limit >= 2, "windows of {limit} cannot be chained");
        let kernel = windows.axes.map(|a| a.kernel);
        ensure!(kernel.iter().any(|&k| k > limit), "the windows {kernel:?} are within the limit of {limit}");
        let axes = windows.completed()?;
        for (a, stated) in axes.iter().zip(windows.axes) {
            let most = stated.before.max(stated.after).max(a.after);
            ensure!(most < a.kernel, "padding of {most} for a window of {}", a.kernel);
        }
        let is_whole =
            |a: &Axis| a.outputs() == Some(1) && a.extent.is_some_and(|e| a.before + e <= a.kernel);
        ensure!(!axes.iter().all(is_whole), "the window is the whole plane");
        // ceil((kernel - 1) / (limit - 1)): a stage with a window of `limit` covers `limit - 1` more elements
        let count = kernel.map(|k| (k - 1 + limit - 2) / (limit - 1)).into_iter().max().unwrap_or(1);
        ensure!(count <= MAX_STAGES, "windows of {kernel:?} take {count} stages");
        let mut y = patch.tap(m.arg(op, INPUT)?);
        for stage in stages(axes, limit, count) {
            y = layer(patch, "nn.pooling", &[(INPUT, y)], pooling("MAX", stage))?;
        }
        patch.replace(m.result(op)?, y)
    }
}

/// More stages cost more than the pooling: each computes the plane once.
const MAX_STAGES: i64 = 16;

/// The stages of the chain, each with windows of at most `limit`, which is at least 2.
fn stages(axes: [Axis; 2], limit: i64, count: i64) -> Vec<[Axis; 2]> {
    let mut left = axes;
    let mut out = Vec::new();
    for i in 0..count {
        let last = i + 1 == count;
        out.push(left.map(|a| {
            let kernel = a.kernel.min(limit);
            let (before, after) = (a.before.min(kernel - 1), a.after.min(kernel - 1));
            Axis { kernel, before, after, stride: if last { a.stride } else { 1 }, ..a }
        }));
        left = left.map(|a| {
            let kernel = a.kernel.min(limit);
            Axis {
                kernel: a.kernel - (kernel - 1),
                before: a.before - a.before.min(kernel - 1),
                after: a.after - a.after.min(kernel - 1),
                ..a
            }
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::{Bench, check_page};

    use super::*;
    use crate::rules::bench::{arrays, bench_of_5, images};

    const RULE: &MaxPool = &MaxPool;

    fn bench() -> Bench<'static> {
        bench_of_5(RULE, &[("LIM-MAXPOOL", 8)])
    }

    fn pool(shape: &str, fields: &str) -> String {
        images(&format!("tensor<fp32, {shape}> x"), &format!("z = nn.pooling(input = x)[{fields}];"))
    }

    fn axis(kernel: i64, stride: i64, before: i64, after: i64) -> Axis {
        Axis { extent: Some(40), kernel, stride, dilation: 1, before, after }
    }

    #[test]
    fn page() {
        check_page(&bench());
    }

    #[test]
    fn padding_beyond_the_first_stage_is_divided() {
        let stages = stages([axis(20, 2, 11, 3), axis(3, 3, 1, 2)], 8, 3);
        let got: Vec<_> = stages.iter().map(|s| s.map(|a| (a.kernel, a.stride, a.before, a.after))).collect();
        assert_eq!(
            got,
            [[(8, 1, 7, 3), (3, 1, 1, 2)], [(8, 1, 4, 0), (1, 1, 0, 0)], [(6, 2, 0, 0), (1, 3, 0, 0)]]
        );
    }

    #[test]
    fn same_padding_and_a_last_window_over_the_end_become_amounts() {
        // 19 elements, stride 3: 7 windows, (7 - 1) * 3 + 10 - 19 = 9 of padding
        let edges = |start: i64, end: i64| {
            format!("[(\"startEdgeSize\", Int({start})), (\"endEdgeSize\", Int({end}))]")
        };
        for (mode, start, end) in [("same = {}", 4, 5), ("same = {asymmetryMode = TOP_LEFT_HEAVY}", 5, 4)] {
            let got = bench().fires(&pool(
                "[1, 1, 2, 19, 19]",
                &format!("kernelSize = [10, 10], stride = [3, 3], {mode}"),
            ));
            assert_eq!(got.matches(&edges(start, end)).count(), 2, "{got}");
        }
        // height: 20 + 2 * 1 - 9 = 13 begun in steps of 2: a last window begins at 14, of which 23 - 21 = 2 are padding
        // width: 21 + 2 * 1 - 9 = 14: the last window begins there and ends with the padding
        let last = "kernelSize = [9, 9], stride = [2, 2], includeLastPixel = {paddingAmounts = [1, 1]}";
        let got = bench().fires(&pool("[1, 1, 2, 20, 21]", last));
        assert!(got.contains(&edges(1, 2)) && got.contains(&edges(1, 1)), "{got}");
        // without a stride there is nothing to complete
        let fields = "kernelSize = [9, 9], includeLastPixel = {paddingAmounts = [0, 0]}";
        bench().fires(&pool("[1, 1, 2, ?, 21]", fields));
    }

    #[test]
    fn any_rank_and_batch() {
        let fields = "kernelSize = [2, 9], stride = [1, 1], valid = {}";
        let text = arrays("tensor<fp32, [2, 3, 12, 13]> x", &format!("z = nn.pooling(input = x)[{fields}];"));
        let exact = Bench { dialect: &anewrite_nn::Nn { mapping: anewrite_nn::Mapping::Exact }, ..bench() };
        assert_eq!(exact.fires(&text).matches("nn.pooling").count(), 2);
    }

    #[test]
    fn declines() {
        for (shape, fields, reason) in [
            (
                "[1, 1, 2, 20, 21]",
                "kernelSize = [8, 8], stride = [1, 1], valid = {}",
                "within the limit of 8",
            ),
            ("[1, 1, 2, 20, 21]", "stride = [1, 1], valid = {}", "within the limit of 8"),
            ("[1, 1, 2, 20, 21]", "type = AVERAGE, kernelSize = [9, 9], valid = {}", "the type is AVERAGE"),
            ("[1, 1, 2, 20, 21]", "kernelSize = [9, 9], globalPooling = true", "global"),
            ("[1, 1, 2, 9, 10]", "kernelSize = [9, 10], stride = [1, 1], valid = {}", "the whole plane"),
            ("[1, 1, 2, ?, 21]", "kernelSize = [9, 9], stride = [2, 2], same = {}", "not known"),
            (
                "[1, 1, 2, ?, 21]",
                "kernelSize = [9, 9], stride = [2, 2], includeLastPixel = {paddingAmounts = [0, 0]}",
                "not known",
            ),
            (
                "[1, 1, 2, 20, 21]",
                "kernelSize = [9, 9], valid = {paddingAmounts = {borderAmounts = [{endEdgeSize = 9}, {}]}}",
                "padding of 9",
            ),
            ("[1, 1, 2, 900, 21]", "kernelSize = [200, 9], valid = {}", "take 29 stages"),
        ] {
            let why = bench().declines(&pool(shape, fields));
            assert!(why.contains(reason), "{fields}: {why}");
        }
        let none = Bench { limits: &[], ..bench() };
        assert!(none.declines(&pool("[1, 1, 2, 20, 21]", "kernelSize = [9, 9]")).contains("LIM-MAXPOOL"));
    }
}
