//! M002: a convolution with a wide kernel is a sum of convolutions with narrow ones.

use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};
use anewrite_tensor::{Payload, Tensor};

use crate::rules::window::{Axis, axes, pads};

declare_rule! {
    /// ## What it does
    /// Replaces a `conv` whose kernel is wider than the engine's limit by convolutions with pieces of the kernel, each
    /// over its part of the input, and adds them up.
    ///
    /// ## Before / after
    /// With a limit of 2:
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [1, 1, 2, 9]> x) {
    ///   y = conv(x = x, weight = tensor<fp16, [1, 1, 1, 3]>([1.0, -2.0, 3.0]), bias = tensor<fp16, [1]>([5.0]), strides = [1, 2], pad_type = "custom", pad = [0, 0, 0, 2], dilations = [1, 1], groups = 1);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [1, 1, 2, 9]> x) {
    ///   p = pad(x = x, pad = [0, 0, 0, 0, 0, 0, 0, 2], mode = "constant", constant_val = tensor<fp16, []>(0.0));
    ///   a = slice_by_index(x = p, begin = [0, 0, 0, 0], end = [0, 0, 0, 10], begin_mask = [true, true, true, false], end_mask = [true, true, true, false]);
    ///   b = conv(x = a, weight = tensor<fp16, [1, 1, 1, 2]>([1.0, -2.0]), bias = tensor<fp16, [1]>([5.0]), strides = [1, 2], pad_type = "custom", pad = [0, 0, 0, 0], dilations = [1, 1], groups = 1);
    ///   c = slice_by_index(x = p, begin = [0, 0, 0, 2], end = [0, 0, 0, 11], begin_mask = [true, true, true, false], end_mask = [true, true, true, false]);
    ///   d = conv(x = c, weight = tensor<fp16, [1, 1, 1, 1]>([3.0]), strides = [1, 2], pad_type = "custom", pad = [0, 0, 0, 0], dilations = [1, 1], groups = 1);
    ///   y = add(x = b, y = d);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: exact
    /// `y[o] = sum over t of x[o*s + t*d] * w[t]`; the sum over `t` is split into runs. Run `[a, b)` reads
    /// `x[o*s + a*d + (t - a)*d]`, a convolution with the kernel `w[a..b]` over the input from `a*d` on. The padding is
    /// made by a `pad` first, so that each run sees it. The bias is added once, with the first run. Each further run
    /// adds one rounding under 16-bit arithmetic. Signed zero: where all products are -0, the sum of the runs may be +0.
    ///
    /// ## Applies when
    /// 1. the kernel's last extent passes the limit
    /// 2. the weight is a constant of a dtype that has whole bytes; the input's last extent is known
    /// 3. no other than the last axis needs splitting, into at most 8 runs (profit: each costs a convolution)
    pub struct SplitWideConv = M 2 "split-wide-conv";
    grade: Exact, purpose: Enable, growth: 2.0, zeros: MayFlip,
}

/// More convolutions than this cost more than they gain.
const MAX_RUNS: usize = 8;

impl Rule for SplitWideConv {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("conv")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let limit = i64::try_from(m.limit("LIM-CONV-KW")?).unwrap_or(i64::MAX);
        ensure!(limit >= 1, "no kernel is within a limit of {limit}");
        let weight = m.constant(op, "weight")?;
        ensure!(weight.rank() >= 3, "the weight has rank {}", weight.rank());
        let kernel: Vec<i64> =
            weight.dims()[2..].iter().map(|&k| i64::try_from(k).unwrap_or(i64::MAX)).collect();
        let last = kernel.len() - 1;
        ensure!(
            kernel[last] > limit,
            "the kernel's width of {} is within the limit of {limit}",
            kernel[last]
        );
        let axes = axes(m, op, &kernel)?;
        let wide = axes[last];
        ensure!(wide.extent.is_some(), "the width of x is not known");
        let outputs = wide.outputs().filter(|&n| n > 0).ok_or(Miss::new("there is no output"))?;

        let runs = runs(wide.kernel, limit);
        ensure!(runs.len() <= MAX_RUNS, "the kernel would take {} convolutions", runs.len());
        let x = patch.tap(m.arg(op, "x")?);
        let padded = pad_width(patch, m, x, &wide, kernel.len())?;
        let mut narrow = axes.clone();
        narrow[last] = Axis { before: 0, after: 0, ..wide };
        let mut sum: Option<PatchValue> = None;
        for (from, to) in runs {
            let begin = from * wide.dilation;
            let length = (outputs - 1) * wide.stride + (to - from - 1) * wide.dilation + 1;
            let part = slice_width(patch, padded, kernel.len() + 2, begin, begin + length)?;
            let piece = patch.constant(columns(weight, from as u64, to as u64)?);
            let mut args = vec![("x", part), ("weight", piece)];
            if let (None, Some(bias)) = (sum, m.data(op).arg("bias")) {
                args.push(("bias", patch.tap(bias)));
            }
            args.push(("strides", patch.ints(&narrow.iter().map(|a| a.stride).collect::<Vec<_>>())?));
            args.push(("pad_type", patch.text("custom")));
            args.push(("pad", patch.ints(&pads(&narrow))?));
            args.push(("dilations", patch.ints(&narrow.iter().map(|a| a.dilation).collect::<Vec<_>>())?));
            args.push(("groups", patch.int(m.int_or(op, "groups", 1)?)?));
            let y = patch.op("conv", &args)?;
            sum = Some(match sum {
                None => y,
                Some(s) => patch.op("add", &[("x", s), ("y", y)])?,
            });
        }
        let sum = sum.ok_or(Miss::new("the kernel is empty"))?;
        patch.replace(m.result(op)?, sum)
    }
}

/// Runs of at most `limit` elements, as even as possible: a kernel of 17 becomes 9 and 8, not 15 and 2.
fn runs(kernel: i64, limit: i64) -> Vec<(i64, i64)> {
    let count = (kernel + limit - 1) / limit;
    let mut out = Vec::new();
    let mut from = 0;
    for i in 0..count {
        let to = from + (kernel - from + count - i - 1) / (count - i);
        out.push((from, to));
        from = to;
    }
    out
}

/// `x` with the padding of its last axis made by an op; `x` itself where there is none.
fn pad_width(
    patch: &mut PatchBuilder<'_>,
    m: &Match<'_>,
    x: PatchValue,
    wide: &Axis,
    spatial: usize,
) -> Result<PatchValue, Miss> {
    if wide.before == 0 && wide.after == 0 {
        return Ok(x);
    }
    let mut amounts = vec![0; 2 * (spatial + 2)];
    let n = amounts.len();
    (amounts[n - 2], amounts[n - 1]) = (wide.before, wide.after);
    let dtype = m.tensor(m.arg(m.root(), "x")?)?.dtype;
    let pad = patch.ints(&amounts)?;
    let mode = patch.text("constant");
    let zero = patch.constant(Tensor::from_f64s(dtype, &[], &[0.0])?);
    patch.op("pad", &[("x", x), ("pad", pad), ("mode", mode), ("constant_val", zero)])
}

/// The elements `[begin, end)` of the last axis.
fn slice_width(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    rank: usize,
    begin: i64,
    end: i64,
) -> Result<PatchValue, Miss> {
    let last = |v: i64| (0..rank).map(|i| if i + 1 == rank { v } else { 0 }).collect::<Vec<_>>();
    let (from, to) = (patch.ints(&last(begin))?, patch.ints(&last(end))?);
    let whole: Vec<bool> = (0..rank).map(|i| i + 1 != rank).collect();
    let begin_mask = patch.constant(Tensor::bools(whole.clone()));
    let end_mask = patch.constant(Tensor::bools(whole));
    patch.op(
        "slice_by_index",
        &[("x", x), ("begin", from), ("end", to), ("begin_mask", begin_mask), ("end_mask", end_mask)],
    )
}

/// The elements `[from, to)` of the last axis of a constant.
fn columns(t: &Tensor, from: u64, to: u64) -> Result<Tensor, Miss> {
    let bits = t.dtype().bits();
    ensure!(bits > 0 && bits.is_multiple_of(8), "a weight of {} cannot be cut between bytes", t.dtype());
    let width = bits as usize / 8;
    let row = t.dims().last().copied().unwrap_or(1) as usize * width;
    let source = t.bytes()?;
    let cut = from as usize * width..to as usize * width;
    let mut out = Vec::with_capacity(source.len() / row.max(1) * cut.len());
    for r in source.chunks_exact(row.max(1)) {
        out.extend_from_slice(r.get(cut.clone()).unwrap_or_default());
    }
    let mut dims: Vec<u64> = t.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = to - from;
    }
    Ok(Tensor::new(t.dtype(), dims, Payload::from(out))?)
}

#[cfg(test)]
mod tests {
    use anewrite_ir::mil::Mil;
    use anewrite_testkit::{Bench, check_page};

    use super::*;

    const BENCH: Bench<'_> = Bench { rule: &SplitWideConv, dialect: &Mil, limits: &[("LIM-CONV-KW", 15)] };

    fn conv(x: &str, weight: &str, args: &str) -> String {
        format!(
            "func main<CoreML6>(tensor<fp16, {x}> x) {{
               w = const()[name = \"w\", val = random<fp16, {weight}>(7)];
               y = conv(x = x, weight = w, {args});
             }} -> (y);"
        )
    }

    #[test]
    fn page() {
        check_page(&Bench { limits: &[("LIM-CONV-KW", 2)], ..BENCH });
    }

    #[test]
    fn runs_are_even() {
        assert_eq!(runs(17, 15), [(0, 9), (9, 17)]);
        assert_eq!(runs(31, 15), [(0, 11), (11, 21), (21, 31)]);
        assert_eq!(runs(16, 8), [(0, 8), (8, 16)]);
    }

    #[test]
    fn strided_dilated_padded_with_bias() {
        let args = "bias = tensor<fp16, [2]>([1.0, -2.0]), strides = [1, 2], pad_type = \"custom\", \
                    pad = [0, 1, 7, 8], dilations = [1, 3], groups = 2";
        let got = BENCH.fires(&conv("[1, 4, 9, 70]", "[2, 2, 1, 17]", args));
        let lines: Vec<&str> = got.lines().collect();
        assert!(lines[1].contains("pad(constant_val = fp16[][0.0]"), "{got}");
        assert!(lines[1].contains("pad = int32[8][0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0, 8.0]"), "{got}");
        // 85 padded columns, a window of 49: 19 outputs; the second run starts at 9 * 3
        assert!(lines[2].contains("begin = int32[4][0.0, 0.0, 0.0, 0.0]"), "{got}");
        assert!(lines[2].contains("end = int32[4][0.0, 0.0, 0.0, 61.0]"), "{got}");
        assert!(
            lines[3].contains("bias") && lines[3].contains("pad = int32[4][0.0, 1.0, 0.0, 0.0]"),
            "{got}"
        );
        assert!(lines[4].contains("begin = int32[4][0.0, 0.0, 0.0, 27.0]"), "{got}");
        assert!(lines[4].contains("end = int32[4][0.0, 0.0, 0.0, 85.0]"), "{got}");
        assert!(lines[5].starts_with("%") && !lines[5].contains("bias"), "{got}");
        assert!(lines[6].starts_with("y = add"), "{got}");
    }

    #[test]
    fn pieces_together_are_the_kernel() {
        let t = Tensor::from_f64s(anewrite_tensor::DType::F16, &[2, 1, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
            .unwrap();
        assert_eq!(columns(&t, 0, 2).unwrap().to_f64s().unwrap(), [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(columns(&t, 2, 3).unwrap().to_f64s().unwrap(), [3.0, 6.0]);
    }

    #[test]
    fn declines() {
        let narrow = conv("[1, 4, 9, 70]", "[2, 4, 1, 15]", "pad_type = \"valid\"");
        assert!(BENCH.declines(&narrow).contains("within the limit"));
        let long = conv("[1, 4, 9, 700]", "[2, 4, 1, 256]", "pad_type = \"valid\"");
        assert!(BENCH.declines(&long).contains("18 convolutions"));
        let computed = "func main<CoreML6>(tensor<fp16, [1, 4, 9, 70]> x, tensor<fp16, [2, 4, 1, 17]> w) {
                          y = conv(x = x, weight = w, pad_type = \"valid\");
                        } -> (y);";
        assert!(BENCH.declines(computed).contains("no constant"));
        let flexible = conv("[1, 4, 9, ?]", "[2, 4, 1, 17]", "pad_type = \"valid\"");
        assert!(BENCH.declines(&flexible).contains("not known"));
    }
}
