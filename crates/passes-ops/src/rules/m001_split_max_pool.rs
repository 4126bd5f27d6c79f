//! M001: a max pool with a large window is a chain of max pools with small ones.

use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::window::{Axis, axes, pads};

declare_rule! {
    /// ## What it does
    /// Replaces a `max_pool` whose window passes the engine's limit by a chain of `max_pool`s with windows within it.
    ///
    /// ## Before / after
    /// With a limit of 8:
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [1, 4, 15, 20]> x) {
    ///   y = max_pool(x = x, kernel_sizes = [9, 13], strides = [1, 2], pad_type = "custom", pad = [4, 4, 6, 5], ceil_mode = false);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [1, 4, 15, 20]> x) {
    ///   a = max_pool(x = x, kernel_sizes = [8, 8], strides = [1, 1], pad_type = "custom", pad = [4, 4, 6, 5], ceil_mode = false);
    ///   y = max_pool(x = a, kernel_sizes = [2, 6], strides = [1, 2], pad_type = "custom", pad = [0, 0, 0, 0], ceil_mode = false);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// The maximum over a window of `k1 + k2 - 1` elements is the maximum over `k2` neighbouring maxima over `k1`
    /// elements: the windows of the first stage cover those of the whole, and an element counted twice does not
    /// change a maximum. The stride stands on the last stage only, for it skips whole windows. Padding counts as
    /// minus infinity, which changes no maximum. It is divided over the stages, at most `ki - 1` on each side of stage
    /// `i`: each window then holds an element of the input, and a window that the next stage takes for padding lies
    /// within the first window that it sees.
    ///
    /// ## Applies when
    /// 1. a window passes the limit
    /// 2. the padding on each side is less than the window
    /// 3. `ceil_mode` is off, or changes nothing
    pub struct SplitMaxPool = M 1 "split-max-pool";
    grade: BitExact, purpose: Enable,
}

impl Rule for SplitMaxPool {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("max_pool")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let limit = i64::try_from(m.limit("LIM-MAXPOOL")?).unwrap_or(i64::MAX);
        ensure!(limit >= 2, "windows of {limit} cannot be chained");
        let kernel = m.ints(op, "kernel_sizes")?;
        ensure!(kernel.iter().any(|&k| k > limit), "the windows {kernel:?} are within the limit of {limit}");
        let axes = axes(m, op, &kernel)?;
        for a in &axes {
            ensure!(
                a.before < a.kernel && a.after < a.kernel,
                "padding of {} for a window of {}",
                a.before,
                a.kernel
            );
        }
        if m.flag_or(op, "ceil_mode", false)? {
            for a in &axes {
                let rest = a.extent.map(|e| (e + a.before + a.after - a.kernel).rem_euclid(a.stride));
                ensure!(a.stride == 1 || rest == Some(0), "ceil_mode adds a window that is partly outside");
            }
        }
        let mut value = patch.tap(m.arg(op, "x")?);
        for stage in stages(&axes, limit) {
            let kernel = patch.ints(&stage.iter().map(|a| a.kernel).collect::<Vec<_>>())?;
            let strides = patch.ints(&stage.iter().map(|a| a.stride).collect::<Vec<_>>())?;
            let pad = patch.ints(&pads(&stage))?;
            let custom = patch.text("custom");
            let ceil = patch.bool(false);
            value = patch.op(
                "max_pool",
                &[
                    ("x", value),
                    ("kernel_sizes", kernel),
                    ("strides", strides),
                    ("pad_type", custom),
                    ("pad", pad),
                    ("ceil_mode", ceil),
                ],
            )?;
        }
        patch.replace(m.result(op)?, value)
    }
}

/// The stages of the chain, each with windows of at most `limit`.
fn stages(axes: &[Axis], limit: i64) -> Vec<Vec<Axis>> {
    // ceil((kernel - 1) / (limit - 1)): a stage with a window of `limit` covers `limit - 1` more elements.
    let count = axes.iter().map(|a| (a.kernel + limit - 3) / (limit - 1)).max().unwrap_or(1).max(1);
    let mut left: Vec<Axis> = axes.to_vec();
    let mut out = Vec::new();
    for i in 0..count {
        let last = i + 1 == count;
        let mut stage = Vec::with_capacity(left.len());
        for a in &mut left {
            let kernel = a.kernel.min(limit);
            let (before, after) = (a.before.min(kernel - 1), a.after.min(kernel - 1));
            stage.push(Axis { kernel, before, after, stride: if last { a.stride } else { 1 }, ..*a });
            a.kernel -= kernel - 1;
            a.before -= before;
            a.after -= after;
        }
        out.push(stage);
    }
    out
}

#[cfg(test)]
mod tests {
    use anewrite_ir::mil::Mil;
    use anewrite_testkit::{Bench, check_page};

    use super::*;

    const BENCH: Bench<'_> = Bench { rule: &SplitMaxPool, dialect: &Mil, limits: &[("LIM-MAXPOOL", 8)] };

    fn pool(shape: &str, args: &str) -> String {
        format!("func main<CoreML6>(tensor<fp16, {shape}> x) {{ y = max_pool(x = x, {args}); }} -> (y);")
    }

    #[test]
    fn page() {
        check_page(&BENCH);
    }

    #[test]
    fn the_window_at_the_limit_stays() {
        let args = "kernel_sizes = [8, 8], strides = [1, 1], pad_type = \"valid\"";
        assert!(BENCH.declines(&pool("[1, 2, 20, 21]", args)).contains("within the limit"));
    }

    #[test]
    fn same_padding_depends_on_the_extent() {
        // 19 elements, stride 3: 7 outputs, (7 - 1) * 3 + 10 - 19 = 9 of padding, 4 in front and 5 behind
        let args = "kernel_sizes = [10], strides = [3], pad_type = \"same\"";
        let after =
            "kernel_sizes = [8], strides = [1], pad_type = \"custom\", pad = [4, 5], ceil_mode = false";
        let last =
            "kernel_sizes = [3], strides = [3], pad_type = \"custom\", pad = [0, 0], ceil_mode = false";
        let want = format!(
            "func main<CoreML6>(tensor<fp16, [1, 2, 19]> x) {{ a = max_pool(x = x, {after}); y = max_pool(x = a, {last}); }} -> (y);"
        );
        BENCH.rewrites(&pool("[1, 2, 19]", args), &want);
    }

    #[test]
    fn padding_beyond_the_first_stage_is_divided() {
        let stages =
            stages(&[Axis { extent: None, kernel: 20, stride: 2, dilation: 1, before: 11, after: 3 }], 8);
        let got: Vec<_> =
            stages.iter().map(|s| (s[0].kernel, s[0].stride, s[0].before, s[0].after)).collect();
        assert_eq!(got, [(8, 1, 7, 3), (8, 1, 4, 0), (6, 2, 0, 0)]);
        assert_eq!(got.iter().map(|s| s.0 - 1).sum::<i64>(), 19);
    }

    #[test]
    fn a_window_that_hangs_over_the_edge_declines() {
        let args = "kernel_sizes = [9, 9], strides = [2, 2], pad_type = \"valid\", ceil_mode = true";
        assert!(BENCH.declines(&pool("[1, 2, 20, 21]", args)).contains("ceil_mode"));
        let args = "kernel_sizes = [9, 9], strides = [2, 2], pad_type = \"valid\", ceil_mode = true";
        BENCH.fires(&pool("[1, 2, 19, 21]", args));
    }

    #[test]
    fn padding_as_large_as_the_window_declines() {
        let args = "kernel_sizes = [9], strides = [1], pad_type = \"custom\", pad = [9, 0]";
        assert!(BENCH.declines(&pool("[1, 2, 19]", args)).contains("padding of 9"));
    }
}
