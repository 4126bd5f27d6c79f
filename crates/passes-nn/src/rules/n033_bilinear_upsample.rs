//! N033: a bilinear `upsample` by whole factors is a deconvolution with a fixed kernel.

use anewrite_ir::{Attr, Attrs, OpId, Str};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};
use anewrite_tensor::DType;

use crate::rules::layers::layer;
use crate::rules::operands::Operand;
use crate::rules::window::{border, both};

declare_rule! {
    /// ## What it does
    /// Replaces a bilinear `upsample` or `resizeBilinear` by whole factors, one of them over the engine's limit, by a
    /// deconvolution of each channel for itself, with a kernel of triangles, over the edges repeated.
    ///
    /// ## Before / after
    /// With a limit of 2:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 2, 5, 7]> x) {
    ///     z = nn.upsample(input = x)[scalingFactor = [1, 4], mode = BILINEAR, linearUpsampleMode = ALIGN_CORNERS_FALSE];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = RANK5_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 2, 5, 7]> x) {
    ///     a = nn.padding(input = x)[replication = {}, paddingAmounts = {borderAmounts =
    ///       [{}, {startEdgeSize = 1, endEdgeSize = 1}]}];
    ///     z = nn.convolution(input = a)[outputChannels = 2, kernelChannels = 2, nGroups = 2, kernelSize = [1, 8],
    ///       stride = [1, 4], valid = {paddingAmounts = {borderAmounts = [{}, {startEdgeSize = 6, endEdgeSize = 6}]}},
    ///       isDeconvolution = true, weights = tensor<fp32, [16]>([0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125,
    ///       0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125])];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// An element of the result at place `p`, in steps of the operand, is the sum of the operand's elements, each with
    /// `max(0, 1 - |p - i|)` along either axis. Element `o` of an upsampling by `f` lies at `o / f` in the default mode and
    /// at `(o + 1/2) / f - 1/2` with `ALIGN_CORNERS_FALSE`: the same distances again after `f` elements, which is what a
    /// deconvolution with stride `f` adds up. Places beyond the first and the last element have that element's value,
    /// which repeating it gives; what the deconvolution adds around the result is cut off. With `ALIGN_CORNERS_TRUE` the
    /// distances differ along the whole axis, and no kernel holds them. Weights are rounded to 32 bits where `f` is no
    /// power of two.
    ///
    /// ## Applies when
    /// 1. the mode is bilinear, and corners are not aligned; of `resizeBilinear`: the grid is that of the default mode
    /// 2. both factors are whole numbers, and one passes the limit `LIM-UPSAMPLE`
    /// 3. the number of channels is known, of `resizeBilinear` height and width too
    /// 4. the kernel is within `LIM-CONV-KH` and `LIM-CONV-KW`: it is twice as large as the factor, one less if that is odd
    ///    or the mode is the default one
    /// 5. the weights are at most 1,048,576
    pub struct BilinearUpsample = N 33 "bilinear-upsample";
    grade: Exact, purpose: Enable, growth: 2.0, zeros: MayFlip,
}

/// More weights than this would be a network of their own.
const MAX_WEIGHTS: u64 = 1 << 20;

/// How one axis is upsampled.
#[derive(Debug, PartialEq)]
struct Axis {
    /// The kernel, of which neighbours lie one step of the result apart.
    kernel: Vec<f64>,
    factor: i64,
    /// How often the first and the last element are repeated.
    repeat: [i64; 2],
    /// What is cut off in front and behind.
    crop: [i64; 2],
}

impl Axis {
    /// `centred`: whether places are the middles of equal parts.
    fn new(factor: i64, centred: bool) -> Axis {
        let f = factor as f64;
        match (factor, centred) {
            (1, _) => Axis { kernel: vec![1.0], factor, repeat: [0; 2], crop: [0; 2] },
            (_, true) => {
                // the middle of the kernel lies between two places where the factor is even
                let size = if factor % 2 == 0 { 2 * factor } else { 2 * factor - 1 };
                let middle = (size - 1) as f64 / 2.0;
                let kernel = (0..size).map(|t| 1.0 - (t as f64 - middle).abs() / f).collect();
                Axis { kernel, factor, repeat: [1; 2], crop: [(factor + size) / 2; 2] }
            }
            (_, false) => {
                let kernel = (1 - factor..factor).map(|t| 1.0 - t.abs() as f64 / f).collect();
                Axis { kernel, factor, repeat: [0, 1], crop: [factor - 1, factor] }
            }
        }
    }
}

impl Rule for BilinearUpsample {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.upsample", "nn.resizeBilinear"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let Some((_, [channels, height, width])) = x.shape.split_last_chunk::<3>() else {
            return Err(Miss::new(format!("the operand has rank {}", x.shape.len())));
        };
        let (factors, centred) = match &*m.data(op).kind {
            "nn.upsample" => upsampling(m, op)?,
            _ => resizing(m, op, [height.known(), width.known()])?,
        };
        let limit = i64::try_from(m.limit("LIM-UPSAMPLE")?).unwrap_or(i64::MAX);
        ensure!(
            factors.iter().any(|&f| f > limit),
            "the factors {factors:?} are within the limit of {limit}"
        );
        ensure!(factors.iter().all(|f| (1..1 << 12).contains(f)), "the factors are {factors:?}");
        let channels = channels.known().ok_or(Miss::new("the number of channels is not known"))?;
        let axes = factors.map(|f| Axis::new(f, centred));
        let [h, w] = &axes;
        for (a, id) in [(h, "LIM-CONV-KH"), (w, "LIM-CONV-KW")] {
            let (size, most) = (a.kernel.len() as u64, m.limit(id)?);
            ensure!(size <= most, "a factor of {} takes a kernel of {size}, over {id} of {most}", a.factor);
        }
        let one = h.kernel.len() * w.kernel.len();
        let count = channels.checked_mul(one as u64).filter(|n| (1..=MAX_WEIGHTS).contains(n));
        let count = count.ok_or_else(|| Miss::new(format!("{channels} kernels of {one} weights")))?;
        let kernel: Vec<f64> = h.kernel.iter().flat_map(|a| w.kernel.iter().map(move |b| a * b)).collect();
        let kernels: Vec<f64> = kernel.iter().copied().cycle().take(count as usize).collect();

        let y = patch.tap(x.value);
        let attrs: Attrs = vec![
            ("replication".into(), Attr::Message(Vec::new())),
            ("paddingAmounts".into(), border([h.repeat, w.repeat])),
        ];
        let y = layer(patch, "nn.padding", &[(INPUT, y)], attrs)?;
        let weights = patch.rounded(DType::F32, &[count], &kernels)?;
        let channels = Attr::Int(channels as i64);
        let crop = Attr::Message(vec![("paddingAmounts".into(), border([h.crop, w.crop]))]);
        let attrs: Vec<(Str, Attr)> = vec![
            ("outputChannels".into(), channels.clone()),
            ("kernelChannels".into(), channels.clone()),
            ("nGroups".into(), channels),
            ("kernelSize".into(), both([h.kernel.len() as i64, w.kernel.len() as i64])),
            ("stride".into(), both([h.factor, w.factor])),
            ("valid".into(), crop),
            ("isDeconvolution".into(), Attr::Bool(true)),
        ];
        let y = layer(patch, "nn.convolution", &[(INPUT, y), ("weights", weights)], attrs)?;
        patch.replace(m.result(op)?, y)
    }
}

/// The factors of an `upsample`, and whether places are the middles of equal parts.
fn upsampling(m: &Match<'_>, op: OpId) -> Result<([i64; 2], bool), Miss> {
    let mode = m.attr(op, "mode").and_then(Attr::as_str).unwrap_or("NN");
    ensure!(mode == "BILINEAR", "the mode is {mode}");
    let fractions = match m.attr(op, "fractionalScalingFactor") {
        Some(Attr::List(f)) => f.iter().filter_map(Attr::as_float).collect(),
        _ => Vec::new(),
    };
    let scales = m.attr(op, "scalingFactor").and_then(Attr::as_ints).unwrap_or_default();
    let factors = match (fractions.as_slice(), scales.as_slice()) {
        (&[h, w], _) => {
            let whole = |f: f64| f.fract() == 0.0 && f.abs() < 4096.0;
            ensure!(whole(h) && whole(w), "the factors {h} and {w} are no whole numbers");
            [h as i64, w as i64]
        }
        ([], &[h, w]) => [h, w],
        _ => return Err(Miss::new("the factors are not one an axis")),
    };
    match m.attr(op, "linearUpsampleMode").and_then(Attr::as_str).unwrap_or("DEFAULT") {
        "DEFAULT" => Ok((factors, false)),
        "ALIGN_CORNERS_FALSE" => Ok((factors, true)),
        other => Err(Miss::new(format!("the grid is {other}, whose distances differ along the axis"))),
    }
}

/// The same of a `resizeBilinear` of this height and width. `ROI_ALIGN_MODE` goes in steps of `(I - 1) / O`, so that it
/// is no upsampling by `O / I`.
fn resizing(m: &Match<'_>, op: OpId, from: [Option<u64>; 2]) -> Result<([i64; 2], bool), Miss> {
    let [Some(height), Some(width)] = from else {
        return Err(Miss::new("the extents that are resized are not known"));
    };
    let to = m.attr(op, "targetSize").and_then(Attr::as_ints).unwrap_or_default();
    let &[h, w] = to.as_slice() else {
        return Err(Miss::new(format!("the size is {to:?}")));
    };
    let mut factors = [0; 2];
    for (f, (to, from)) in factors.iter_mut().zip([(h, height), (w, width)]) {
        let from = i64::try_from(from).ok().filter(|&n| n > 0 && to > 0 && to % n == 0);
        *f = to / from.ok_or_else(|| Miss::new(format!("{height} by {width} does not divide {h} by {w}")))?;
    }
    let grid = m.attr(op, "mode").and_then(|a| a.field("samplingMethod")).and_then(Attr::as_str);
    match grid.unwrap_or("STRICT_ALIGN_ENDPOINTS_MODE") {
        "UPSAMPLE_MODE" => Ok((factors, false)),
        other => Err(Miss::new(format!("the grid is {other}, whose distances differ along the axis"))),
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::{Bench, check_page};

    use super::*;
    use crate::rules::bench::{bench_of_5, images};

    const RULE: &BilinearUpsample = &BilinearUpsample;

    fn bench() -> Bench<'static> {
        bench_of_5(RULE, &[("LIM-UPSAMPLE", 2), ("LIM-CONV-KH", 29), ("LIM-CONV-KW", 15)])
    }

    fn on(shape: &str, call: &str) -> String {
        images(&format!("tensor<fp32, {shape}> x"), &format!("z = nn.{call};"))
    }

    #[test]
    fn page() {
        check_page(&bench());
    }

    #[test]
    fn kernels_of_odd_factors_have_a_middle() {
        let third = 1.0 / 3.0;
        let near =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        for centred in [false, true] {
            let got = Axis::new(3, centred);
            assert!(near(&got.kernel, &[third, 2.0 * third, 1.0, 2.0 * third, third]), "{got:?}");
        }
        assert_eq!(Axis::new(3, true).crop, [4, 4]);
        assert_eq!(Axis::new(3, false).crop, [2, 3]);
        assert_eq!(Axis::new(2, true).kernel, [0.25, 0.75, 0.75, 0.25]);
        assert_eq!(Axis::new(2, false).kernel, [0.5, 1.0, 0.5]);
    }

    #[test]
    fn unknown_extents_of_the_plane() {
        let call = "upsample(input = x)[scalingFactor = [3, 4], mode = BILINEAR, linearUpsampleMode = ALIGN_CORNERS_FALSE]";
        let got = bench().fires(&on("[1, 1, 2, ?, 7]", call));
        assert!(got.contains("kernelSize: List([Int(5), Int(8)])"), "{got}");
    }

    #[test]
    fn resizing_by_whole_factors() {
        let call = "resizeBilinear(input = x)[targetSize = [15, 7], mode = {samplingMethod = UPSAMPLE_MODE}]";
        let got = bench().fires(&on("[1, 1, 2, 5, 7]", call));
        assert!(got.contains("stride: List([Int(3), Int(1)])"), "{got}");
    }

    #[test]
    fn declines() {
        for (shape, call, reason) in [
            ("[1, 1, 2, 5, 7]", "upsample(input = x)[scalingFactor = [4, 4], mode = NN]", "the mode is NN"),
            (
                "[1, 1, 2, 5, 7]",
                "upsample(input = x)[scalingFactor = [2, 2], mode = BILINEAR]",
                "within the limit",
            ),
            (
                "[1, 1, 2, 5, 7]",
                "upsample(input = x)[scalingFactor = [4, 4], mode = BILINEAR, linearUpsampleMode = ALIGN_CORNERS_TRUE]",
                "ALIGN_CORNERS_TRUE",
            ),
            (
                "[1, 1, 2, 5, 7]",
                "upsample(input = x)[fractionalScalingFactor = [2.5, 4.0], mode = BILINEAR, linearUpsampleMode = ALIGN_CORNERS_FALSE]",
                "no whole numbers",
            ),
            (
                "[1, 1, ?, 5, 7]",
                "upsample(input = x)[scalingFactor = [4, 4], mode = BILINEAR]",
                "channels is not known",
            ),
            (
                "[1, 1, 9999, 5, 7]",
                "upsample(input = x)[scalingFactor = [8, 8], mode = BILINEAR]",
                "9999 kernels of 225",
            ),
            (
                "[1, 1, 2, 5, 7]",
                "upsample(input = x)[scalingFactor = [8, 8], mode = BILINEAR, linearUpsampleMode = ALIGN_CORNERS_FALSE]",
                "a factor of 8 takes a kernel of 16, over LIM-CONV-KW of 15",
            ),
            (
                "[1, 1, 2, 5, 7]",
                "upsample(input = x)[scalingFactor = [16, 1], mode = BILINEAR]",
                "a factor of 16 takes a kernel of 31, over LIM-CONV-KH of 29",
            ),
            ("[1, 1, 2, 5, 7]", "resizeBilinear(input = x)[targetSize = [15, 21]]", "STRICT_ALIGN"),
            (
                "[1, 1, 2, 5, 7]",
                "resizeBilinear(input = x)[targetSize = [15, 21], mode = {samplingMethod = ROI_ALIGN_MODE}]",
                "ROI_ALIGN",
            ),
            (
                "[1, 1, 2, 5, 7]",
                "resizeBilinear(input = x)[targetSize = [16, 21], mode = {samplingMethod = UPSAMPLE_MODE}]",
                "does not divide",
            ),
            (
                "[1, 1, 2, ?, 7]",
                "resizeBilinear(input = x)[targetSize = [15, 21], mode = {samplingMethod = UPSAMPLE_MODE}]",
                "not known",
            ),
        ] {
            let why = bench().declines(&on(shape, call));
            assert!(why.contains(reason), "{call}: {why}");
        }
    }
}
