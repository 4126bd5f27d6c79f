//! N044: a `pooling` over the whole plane is a global one, and an average over a large window one over its parts.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::layers::{Axis as Cut, layer, scaled, slice};
use crate::rules::window::{Axis, Windows, border, pooling};

declare_rule! {
    /// ## What it does
    /// Replaces a `pooling` whose window passes the engine's limit and is the whole plane by a global one, and an average
    /// over a larger window than the limit by averages over parts of it.
    ///
    /// ## Before / after
    /// With a limit of 6:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 7, 5]> x) {
    ///     z = nn.pooling(input = x)[type = L2, kernelSize = [7, 5], stride = [1, 1], valid = {}];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 7, 5]> x) {
    ///     z = nn.pooling(input = x)[type = L2, valid = {}, globalPooling = true];
    ///   } -> (z);
    /// }
    /// ```
    /// A window and a stride with a common factor are averages of averages; other windows are cut in two or more, whose
    /// averages are added by their share:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 15, 20]> x) {
    ///     z = nn.pooling(input = x)[type = AVERAGE, kernelSize = [9, 8], stride = [3, 1], valid = {}];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 4, 15, 20]> x) {
    ///     a = nn.pooling(input = x)[type = AVERAGE, kernelSize = [3, 1], stride = [3, 1], valid = {paddingAmounts =
    ///       {borderAmounts = [{}, {}]}}];
    ///     b = nn.pooling(input = a)[type = AVERAGE, kernelSize = [3, 1], stride = [1, 1], valid = {paddingAmounts =
    ///       {borderAmounts = [{}, {}]}}];
    ///     c = nn.slice(input = b)[endIndex = 16, stride = 1, axis = WIDTH_AXIS];
    ///     d = nn.pooling(input = c)[type = AVERAGE, kernelSize = [1, 4], stride = [1, 1], valid = {paddingAmounts =
    ///       {borderAmounts = [{}, {}]}}];
    ///     e = nn.multiply(input = d)[alpha = 0.5];
    ///     f = nn.slice(input = b)[startIndex = 4, endIndex = 20, stride = 1, axis = WIDTH_AXIS];
    ///     g = nn.pooling(input = f)[type = AVERAGE, kernelSize = [1, 4], stride = [1, 1], valid = {paddingAmounts =
    ///       {borderAmounts = [{}, {}]}}];
    ///     h = nn.multiply(input = g)[alpha = 0.5];
    ///     z = nn.add(input = (e, h));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// A window that is the whole plane has one result, of every element. The mean of a window is that of its rows'
    /// means, the mean of equal parts the mean of their means, and the mean of other parts the sum of their means by their
    /// share of the elements. Where parts lie side by side and the stride is a whole number of parts, the means of all
    /// parts are computed once. Padding that counts is written as zeros. Shares without an exact value are rounded once
    /// to 32 bits.
    ///
    /// ## Applies when
    /// 1. pooling is not global, and a window passes the limit: `LIM-AVGPOOL` for averages, `LIM-MAXPOOL` for others
    /// 2. the window is the whole plane; or the type is AVERAGE
    /// 3. averages: padding counts, or there is none; no last window reaches over the end (`includeLastPixel`)
    /// 4. at most 8 parts along an axis, whose extent is known where they have no common factor with the stride
    pub struct AveragePool = N 44 "average-pool";
    grade: Exact, purpose: Enable, growth: 2.0, zeros: MayFlip,
}

/// More parts cost more than the pooling: each computes the plane once.
const MAX_PARTS: i64 = 8;

impl Rule for AveragePool {
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
        let average = kind == "AVERAGE";
        let limit = m.limit(if average { "LIM-AVGPOOL" } else { "LIM-MAXPOOL" })?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).max(1);
        let kernel = windows.axes.map(|a| a.kernel);
        ensure!(kernel.iter().any(|&k| k > limit), "the windows {kernel:?} are within the limit of {limit}");
        let excluded = is_set("avgPoolExcludePadding");
        let axes = if average && !excluded { windows.whole()? } else { windows.completed()? };
        let mut y = patch.tap(m.arg(op, INPUT)?);
        let padded = axes.iter().any(|a| a.before > 0 || a.after > 0);
        let counts = average && !excluded && padded;
        if axes.iter().all(is_whole) && !counts {
            let mut attrs = Attrs::new();
            if kind != "MAX" {
                attrs.push(("type".into(), Attr::Enum(kind.into())));
            }
            // some padding must be named, and none of it counts
            attrs.push(("valid".into(), Attr::Message(Vec::new())));
            attrs.push(("globalPooling".into(), Attr::Bool(true)));
            y = layer(patch, "nn.pooling", &[(INPUT, y)], attrs)?;
            return patch.replace(m.result(op)?, y);
        }
        ensure!(average, "the type is {kind}, and the window not the whole plane");
        ensure!(!(excluded && padded), "padding does not count, so that means are of different numbers");
        if padded {
            let sides = axes.map(|a| [a.before, a.after]);
            let attrs = vec![
                ("constant".into(), Attr::Message(Vec::new())),
                ("paddingAmounts".into(), border(sides)),
            ];
            y = layer(patch, "nn.padding", &[(INPUT, y)], attrs)?;
        }
        for (i, a) in axes.into_iter().enumerate() {
            let extent = a.extent.map(|e| e + a.before + a.after);
            y = along(patch, y, i, Axis { extent, before: 0, after: 0, ..a }, limit)?;
        }
        patch.replace(m.result(op)?, y)
    }
}

/// Whether the only window holds every element.
fn is_whole(a: &Axis) -> bool {
    a.outputs() == Some(1) && a.extent.is_some_and(|e| a.before + e <= a.kernel)
}

/// The means along one axis without padding, the other as it is.
fn along(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    axis: usize,
    mut a: Axis,
    limit: i64,
) -> Result<PatchValue, Miss> {
    let mut y = x;
    let one = Axis { extent: None, kernel: 1, stride: 1, dilation: 1, before: 0, after: 0 };
    let pool = |patch: &mut PatchBuilder<'_>, x: PatchValue, kernel: i64, stride: i64| {
        let mut axes = [one; 2];
        if let Some(a) = axes.get_mut(axis) {
            (a.kernel, a.stride) = (kernel, stride);
        }
        layer(patch, "nn.pooling", &[(INPUT, x)], pooling("AVERAGE", axes))
    };
    while a.kernel > limit {
        let Some(part) = (2..=limit).rev().find(|p| a.kernel % p == 0 && a.stride % p == 0) else { break };
        y = pool(patch, y, part, part)?;
        a = Axis {
            kernel: a.kernel / part,
            stride: a.stride / part,
            extent: a.extent.map(|e| e / part),
            ..a
        };
    }
    if (a.kernel, a.stride) == (1, 1) {
        return Ok(y);
    }
    if a.kernel <= limit {
        return pool(patch, y, a.kernel, a.stride);
    }
    let count = (a.kernel + limit - 1) / limit;
    ensure!(count <= MAX_PARTS, "a window of {} would be cut into {count} parts", a.kernel);
    let windows = a.outputs().ok_or(Miss::new("the extent that parts are cut out of is not known"))?;
    let cut = if axis == 0 { Cut::Height } else { Cut::Width };
    let mut sum = Vec::new();
    let mut begin = 0;
    for i in 0..count {
        let size = a.kernel / count + i64::from(i < a.kernel % count);
        let end = begin + (windows - 1) * a.stride + size;
        let part = slice(patch, y, cut, [begin, end, 1])?;
        let part = pool(patch, part, size, a.stride)?;
        sum.push((INPUT, scaled(patch, part, size as f64 / a.kernel as f64)?));
        begin += size;
    }
    layer(patch, "nn.add", &sum, Attrs::new())
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::{Bench, check_page};

    use super::*;
    use crate::rules::bench::{bench_of_5, images};

    const RULE: &AveragePool = &AveragePool;

    fn bench() -> Bench<'static> {
        bench_of_5(RULE, &[("LIM-AVGPOOL", 6), ("LIM-MAXPOOL", 6)])
    }

    fn pool(shape: &str, fields: &str) -> String {
        images(&format!("tensor<fp32, {shape}> x"), &format!("z = nn.pooling(input = x)[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&bench());
    }

    #[test]
    fn the_whole_plane() {
        for fields in [
            "kernelSize = [7, 5], valid = {}",
            "type = AVERAGE, kernelSize = [7, 5], stride = [9, 9], valid = {}",
            "type = AVERAGE, avgPoolExcludePadding = true, kernelSize = [9, 5], stride = [2, 1], valid = {paddingAmounts =
               {borderAmounts = [{startEdgeSize = 2}, {}]}}",
            "kernelSize = [8, 5], stride = [2, 1], valid = {paddingAmounts = {borderAmounts = [{startEdgeSize = 1}, {}]}}",
            "kernelSize = [8, 6], stride = [2, 2], includeLastPixel = {paddingAmounts = [0, 0]}",
        ] {
            let got = bench().fires(&pool("[1, 1, 2, 7, 5]", fields));
            assert!(got.contains("globalPooling: Bool(true)") && !got.contains("kernelSize"), "{got}");
        }
    }

    #[test]
    fn parts_of_different_size_have_their_share() {
        let got = bench().fires(&pool(
            "[1, 1, 2, 20, 9]",
            "type = AVERAGE, kernelSize = [7, 2], stride = [2, 3], valid = {}",
        ));
        assert!(
            got.contains(
                "startIndex: Int(4), endIndex: Int(19), stride: Int(1), axis: Enum(\"HEIGHT_AXIS\")"
            ),
            "{got}"
        );
        assert!(got.contains("endIndex: Int(16), stride: Int(1), axis: Enum(\"HEIGHT_AXIS\")"), "{got}");
        // 4 / 7 and 3 / 7
        assert!(got.contains("fp32[1][0.571428") && got.contains("fp32[1][0.428571"), "{got}");
    }

    #[test]
    fn padding_that_counts_is_zeros() {
        let fields =
            "type = AVERAGE, kernelSize = [1, 8], stride = [1, 4], valid = {paddingAmounts = {borderAmounts =
                        [{}, {startEdgeSize = 2, endEdgeSize = 3}]}}";
        let got = bench().fires(&pool("[1, 1, 2, 5, ?]", fields));
        assert!(got.contains("nn.padding(input = x, constant: Message([])"), "{got}");
        assert_eq!(got.matches("nn.pooling").count(), 2, "{got}");
    }

    #[test]
    fn declines() {
        for (shape, fields, reason) in [
            ("[1, 1, 2, 7, 5]", "type = AVERAGE, kernelSize = [6, 5], valid = {}", "within the limit of 6"),
            ("[1, 1, 2, 7, 5]", "kernelSize = [7, 5], globalPooling = true", "global"),
            ("[1, 1, 2, 8, 5]", "kernelSize = [7, 5], valid = {}", "the type is MAX"),
            ("[1, 1, 2, 7, 6]", "type = L2, kernelSize = [7, 5], valid = {}", "the type is L2"),
            ("[1, 1, 2, ?, 5]", "kernelSize = [7, 5], valid = {}", "the type is MAX"),
            ("[1, 1, 2, ?, 5]", "type = AVERAGE, kernelSize = [7, 5], valid = {}", "is not known"),
            ("[1, 1, 2, 60, 5]", "type = AVERAGE, kernelSize = [49, 5], valid = {}", "9 parts"),
            (
                "[1, 1, 2, 20, 5]",
                "type = AVERAGE, avgPoolExcludePadding = true, kernelSize = [7, 5], valid = {paddingAmounts =
                   {borderAmounts = [{startEdgeSize = 1}, {}]}}",
                "does not count",
            ),
            (
                "[1, 1, 2, 20, 5]",
                "type = AVERAGE, kernelSize = [7, 5], stride = [2, 1], includeLastPixel = {}",
                "over the end",
            ),
        ] {
            let why = bench().declines(&pool(shape, fields));
            assert!(why.contains(reason), "{fields}: {why}");
        }
        let none = Bench { limits: &[], ..bench() };
        assert!(none.declines(&pool("[1, 1, 2, 20, 21]", "type = AVERAGE")).contains("LIM-AVGPOOL"));
    }
}
