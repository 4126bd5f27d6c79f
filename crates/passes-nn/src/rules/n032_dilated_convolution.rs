//! N032: a dilated `convolution` is a dense one over the phases of its operand.

use anewrite_ir::{Attr, Attrs, OpId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};
use anewrite_tensor::{DType, Tensor};

use crate::rules::layers::layer;
use crate::rules::operands::Operand;
use crate::rules::window::{Axis, Windows, border, both};

declare_rule! {
    /// ## What it does
    /// Replaces a `convolution` with a dilation `d` by a dense one with the same kernel: `reorganizeData` puts each `d`-th
    /// element side by side, as channels, and back.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 1, 7, 8]> x) {
    ///     z = nn.convolution(input = x)[outputChannels = 1, kernelChannels = 1, kernelSize = [1, 2], stride = [1, 1],
    ///       dilationFactor = [1, 2], valid = {}, weights = tensor<fp16, [2]>([0.5, -3.0])];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 1, 7, 8]> x) {
    ///     a = nn.padding(input = x)[constant = {}, paddingAmounts = {borderAmounts = [{endEdgeSize = 1}, {}]}];
    ///     b = nn.reorganizeData(input = a)[blockSize = 2];
    ///     c = nn.convolution(input = b)[outputChannels = 4, kernelChannels = 1, nGroups = 4, kernelSize = [1, 2],
    ///       stride = [1, 1], valid = {paddingAmounts = {borderAmounts = [{}, {}]}},
    ///       weights = tensor<fp16, [8]>([0.5, -3.0, 0.5, -3.0, 0.5, -3.0, 0.5, -3.0])];
    ///     d = nn.reorganizeData(input = c)[mode = DEPTH_TO_SPACE, blockSize = 2];
    ///     z = nn.crop(input = d)[cropAmounts = {borderAmounts = [{endEdgeSize = 1}, {}]}];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// Output `o = j d + r` sums elements `o + t d` for each `t` of the kernel: elements `j + t` of phase `r`, which holds
    /// every `d`-th element from `r` on. Each phase is a convolution of its own, so the phases are groups with the same
    /// weights. Rows and columns that fill up the last block are zeros behind the operand, and what they add is cut off.
    /// The products are the same, as many as before; weights are held `d * d` times. A kernel with zeros between its
    /// elements would do as well for finite data alone.
    ///
    /// ## Applies when
    /// 1. a dilation is over 1 along an axis where the kernel has more than one element, and the same along both axes, or
    ///    the kernel has one element along the other
    /// 2. strides are 1; it is no deconvolution, and the weights are floats in its fields
    /// 3. height and width are known
    /// 4. the repeated weights are at most 4,194,304
    pub struct DilatedConvolution = N 32 "dilated-convolution";
    grade: Exact, purpose: Enable, zeros: MayFlip,
}

/// More weights than this are not written anew.
const MAX_WEIGHTS: u64 = 1 << 22;

impl Rule for DilatedConvolution {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.convolution")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let is_set = |name: &str| m.attr(op, name).and_then(Attr::as_bool) == Some(true);
        let axes = Windows::of(m, op)?.axes;
        let d = block(axes)?;
        ensure!(!is_set("isDeconvolution"), "it is a deconvolution");
        ensure!(axes.iter().all(|a| a.stride == 1), "the strides are {:?}", axes.map(|a| a.stride));
        ensure!(m.data(op).args(INPUT).count() == 1, "the weights are computed");
        let size = |name: &str| m.attr(op, name).and_then(Attr::as_int).unwrap_or(0);
        let (out, kernel_channels, groups) =
            (size("outputChannels"), size("kernelChannels"), size("nGroups").max(1));
        ensure!(out > 0 && kernel_channels > 0, "{out} channels by {kernel_channels}");
        let phases = d.checked_mul(d).ok_or(Miss::new("the dilation is out of range"))?;
        let out = out.checked_mul(phases).ok_or(Miss::new("the channels are out of range"))?;
        let groups = groups.checked_mul(phases).ok_or(Miss::new("the groups are out of range"))?;
        let mut repeated = vec![("weights", repeat(m, op, "weights", phases)?)];
        if is_set("hasBias") {
            repeated.push(("bias", repeat(m, op, "bias", phases)?));
        }

        let mut filled = [[0; 2]; 2];
        let mut surplus = [[0; 2]; 2];
        for ((fill, more), a) in filled.iter_mut().zip(&mut surplus).zip(&axes) {
            let extent = a.extent.ok_or(Miss::new("height or width is not known"))?;
            let padded = extent + a.before + a.after;
            let missing = (d - padded % d) % d;
            *fill = [a.before, a.after + missing];
            *more = [0, missing];
        }
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        ensure!(x.shape.len() >= 3, "the operand has rank {}", x.shape.len());
        let mut y = patch.tap(x.value);
        if filled != [[0; 2]; 2] {
            let attrs: Attrs = vec![
                ("constant".into(), Attr::Message(Vec::new())),
                ("paddingAmounts".into(), border(filled)),
            ];
            y = layer(patch, "nn.padding", &[(INPUT, y)], attrs)?;
        }
        y = layer(patch, "nn.reorganizeData", &[(INPUT, y)], vec![("blockSize".into(), Attr::Int(d))])?;
        let mut attrs: Attrs = vec![
            ("outputChannels".into(), Attr::Int(out)),
            ("kernelChannels".into(), Attr::Int(kernel_channels)),
            ("nGroups".into(), Attr::Int(groups)),
            ("kernelSize".into(), both(axes.map(|a| a.kernel))),
            ("stride".into(), both([1; 2])),
            ("valid".into(), Attr::Message(vec![("paddingAmounts".into(), border([[0; 2]; 2]))])),
        ];
        if is_set("hasBias") {
            attrs.push(("hasBias".into(), Attr::Bool(true)));
        }
        let mut inputs = vec![(INPUT, y)];
        inputs.extend(repeated.into_iter().map(|(field, t)| (field, patch.constant(t))));
        y = layer(patch, "nn.convolution", &inputs, attrs)?;
        let attrs =
            vec![("mode".into(), Attr::Enum("DEPTH_TO_SPACE".into())), ("blockSize".into(), Attr::Int(d))];
        y = layer(patch, "nn.reorganizeData", &[(INPUT, y)], attrs)?;
        if surplus != [[0; 2]; 2] {
            let attrs = vec![("cropAmounts".into(), border(surplus))];
            y = layer(patch, "nn.crop", &[(INPUT, y)], attrs)?;
        }
        patch.replace(m.result(op)?, y)
    }
}

/// The dilation of both axes, an axis with a kernel of one element having any.
fn block(axes: [Axis; 2]) -> Result<i64, Miss> {
    let [h, w] = axes.map(|a| (a.kernel > 1).then_some(a.dilation));
    let d = h.or(w).unwrap_or(1);
    ensure!(h.is_none() || w.is_none() || h == w, "the dilations are {:?}", axes.map(|a| a.dilation));
    ensure!(d > 1, "it is not dilated");
    Ok(d)
}

/// The floats of a field, `times` one after the other.
fn repeat(m: &Match<'_>, op: OpId, field: &str, times: i64) -> Result<Tensor, Miss> {
    let t = m.constant(op, field)?;
    let is_float = matches!(t.dtype(), DType::F32 | DType::F16);
    ensure!(is_float, "the field {field} is quantised");
    let times = u64::try_from(times).unwrap_or(0);
    let count = t.count().checked_mul(times).filter(|n| *n <= MAX_WEIGHTS);
    let count =
        count.ok_or_else(|| Miss::new(format!("{} weights would be written {times} times", t.count())))?;
    let bytes = t.bytes()?.repeat(times as usize);
    Ok(Tensor::new(t.dtype(), [count], bytes)?)
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::{Bench, check_page};

    use super::*;
    use crate::rules::bench::{bench_of_5, images};

    const RULE: &DilatedConvolution = &DilatedConvolution;

    fn bench() -> Bench<'static> {
        bench_of_5(RULE, &[])
    }

    fn conv(shape: &str, fields: &str) -> String {
        let x = format!("tensor<fp32, {shape}> x");
        images(&x, &format!("z = nn.convolution(input = x)[{fields}];"))
    }

    const WEIGHTS: &str = "outputChannels = 6, kernelChannels = 2, nGroups = 2, hasBias = true,
        weights = random<fp32, [108]>(1), bias = random<fp32, [6]>(2)";

    #[test]
    fn page() {
        check_page(&bench());
    }

    #[test]
    fn padding_and_groups() {
        // 10 + 2 * 3 = 16 and 14 + 1 = 15 are no multiples and multiples of 3: 2 and 0 are missing
        let padding = "valid = {paddingAmounts = {borderAmounts = [{startEdgeSize = 3, endEdgeSize = 3}, {endEdgeSize = 1}]}}";
        let got = bench()
            .fires(&conv("[1, 1, 4, 10, 14]", &format!("{WEIGHTS}, dilationFactor = [3, 3], {padding}")));
        assert!(got.contains("nGroups: Int(18)") && got.contains("outputChannels: Int(54)"), "{got}");
        let filled =
            "[(\"startEdgeSize\", Int(3)), (\"endEdgeSize\", Int(5))]), Message([(\"endEdgeSize\", Int(1))])";
        assert!(got.contains(filled), "{got}");
        assert!(got.contains("cropAmounts: Message([(\"borderAmounts\", List([Message([(\"endEdgeSize\", Int(2))]), Message([])]))])"), "{got}");
    }

    #[test]
    fn multiples_without_padding_need_neither_padding_nor_crop() {
        let got = bench()
            .fires(&conv("[1, 1, 4, 10, 14]", &format!("{WEIGHTS}, dilationFactor = [2, 2], valid = {{}}")));
        assert!(!got.contains("nn.padding") && !got.contains("nn.crop"), "{got}");
        // `same` spans the dilated kernel: (3 - 1) * 2 = 4 of padding
        let got = bench()
            .fires(&conv("[1, 1, 4, 10, 14]", &format!("{WEIGHTS}, dilationFactor = [2, 2], same = {{}}")));
        assert!(got.contains("[(\"startEdgeSize\", Int(2)), (\"endEdgeSize\", Int(2))]"), "{got}");
    }

    #[test]
    fn declines() {
        for (shape, fields, reason) in [
            ("[1, 1, 4, 10, 14]", "valid = {}", "not dilated"),
            ("[1, 1, 4, 10, 14]", "kernelSize = [1, 1], dilationFactor = [2, 2], valid = {}", "not dilated"),
            ("[1, 1, 4, 10, 14]", "dilationFactor = [2, 3], valid = {}", "the dilations are [2, 3]"),
            (
                "[1, 1, 4, 10, 14]",
                "dilationFactor = [2, 2], stride = [1, 2], valid = {}",
                "the strides are [1, 2]",
            ),
            ("[1, 1, 4, ?, 14]", "dilationFactor = [2, 2], valid = {}", "not known"),
            (
                "[1, 1, 4, 900, 900]",
                "dilationFactor = [200, 200], valid = {}",
                "108 weights would be written 40000 times",
            ),
        ] {
            let why = bench().declines(&conv(shape, &format!("{WEIGHTS}, {fields}")));
            assert!(why.contains(reason), "{fields}: {why}");
        }
        let turned = "outputChannels = 2, kernelChannels = 4, kernelSize = [2, 2], dilationFactor = [2, 2], valid = {},
            weights = random<fp32, [32]>(1)";
        let why = bench().declines(&conv("[1, 1, 4, 10, 14]", &format!("{turned}, isDeconvolution = true")));
        assert!(why.contains("deconvolution") || why.contains("not known"), "{why}");
        let bytes = "outputChannels = 1, kernelChannels = 1, kernelSize = [1, 3], dilationFactor = [2, 2], valid = {},
            weights = tensor<uint8, [3]>([1, 2, 3]),
            weights = {quantization = {numberOfBits = 8, linearQuantization = {scale = [0.5]}}}";
        let why = bench().declines(&conv("[1, 1, 1, 10, 14]", bytes));
        assert!(why.contains("quantised"), "{why}");
        let two = "tensor<fp32, [1, 1, 1, 10, 14]> x, tensor<fp32, [1, 1, 1, 1, 3]> w";
        let layers =
            "z = nn.convolution(input = (x, w))[outputChannels = 1, kernelChannels = 1, kernelSize = [1, 3],
            dilationFactor = [2, 2], valid = {}];";
        assert!(bench().declines(&images(two, layers)).contains("computed"));
    }
}
