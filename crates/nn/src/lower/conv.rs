//! Convolutions and deconvolutions of two and three spatial axes.

use anewrite_ir::{Opset, ValueId};
use smallvec::SmallVec;

use super::context::one;
use super::{Cx, Lowered, One, To};
use crate::error::Reason;
use crate::fields::Fields;

/// How the borders of the spatial axes are treated.
#[derive(Clone, Debug)]
pub(super) enum Border {
    /// This much before and after each axis.
    Amounts(Vec<u64>),
    /// As much as keeps `ceil(size / stride)`, the odd one after the axis, or before it where `before` is set.
    Same { before: bool },
}

/// `valid` with its amounts, or `same`; neither being set is `valid` without amounts.
pub(super) fn border_2d(f: Fields<'_>) -> Result<Border, Reason> {
    if let Some(same) = f.message("same")? {
        return Ok(Border::Same {
            before: same.choice("asymmetryMode", "BOTTOM_RIGHT_HEAVY")? == "TOP_LEFT_HEAVY",
        });
    }
    let amounts = f.message_or_empty("valid")?.message_or_empty("paddingAmounts")?;
    Ok(Border::Amounts(edges("paddingAmounts", amounts)?))
}

/// The four amounts of a `BorderAmounts` message: top, bottom, left, right.
pub(super) fn edges(field: &str, amounts: Fields<'_>) -> Result<Vec<u64>, Reason> {
    let sides = amounts.messages("borderAmounts")?;
    if sides.is_empty() {
        return Ok(vec![0; 4]);
    }
    if sides.len() != 2 {
        return Err(Reason::field(field, format!("two axes are needed, this has {}", sides.len())));
    }
    let mut out = Vec::with_capacity(4);
    for side in sides {
        out.extend([side.size("startEdgeSize")?, side.size("endEdgeSize")?]);
    }
    Ok(out)
}

/// The border of a layer with three spatial axes.
pub(super) fn border_3d(f: Fields<'_>) -> Result<Border, Reason> {
    const SIDES: [&str; 6] = ["Front", "Back", "Top", "Bottom", "Left", "Right"];
    match f.choice("paddingType", "CUSTOM")? {
        "CUSTOM" => {
            let amounts: Result<Vec<u64>, Reason> =
                SIDES.iter().map(|side| f.size(&format!("customPadding{side}"))).collect();
            Ok(Border::Amounts(amounts?))
        }
        "VALID" => Ok(Border::Amounts(vec![0; 6])),
        "SAME" => Ok(Border::Same { before: false }),
        other => Err(Reason::field("paddingType", format!("{other} is not known"))),
    }
}

/// What windows over `x` reach: their extents and steps along its spatial axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach<'a> {
    pub(super) window: &'a [u64],
    pub(super) stride: &'a [u64],
}

/// Adds `pad_type` and `pad` for `border`. Where no opset's op has such a border the amounts are returned, `[begin, end]`
/// of each spatial axis in turn, for a [`pad_by`] before an op that then has none.
pub(super) fn push_border(
    cx: &mut Cx<'_, '_>,
    args: &mut SmallVec<[(&str, ValueId); 8]>,
    border: &Border,
    x: ValueId,
    reach: Reach<'_>,
) -> Result<Option<ValueId>, Reason> {
    let (name, pad) = match border {
        Border::Amounts(a) if a.iter().all(|&n| n == 0) => ("valid", None),
        Border::Amounts(a) => ("custom", Some(a.clone())),
        Border::Same { before: false } => ("same", None),
        Border::Same { before: true } if cx.opset() >= Opset::Ios16 => ("same_lower", None),
        // The first opset knows no such padding, so the amounts are worked out.
        Border::Same { before: true } => match same_lower(cx, x, reach)? {
            Some(amounts) => ("custom", Some(amounts)),
            None => {
                args.push(("pad_type", cx.text("valid")));
                return same_lower_computed(cx, x, reach).map(Some);
            }
        },
    };
    args.push(("pad_type", cx.text(name)));
    if let Some(pad) = pad {
        args.push(("pad", cx.sizes(&pad)?));
    }
    Ok(None)
}

/// The amounts for extents that are all known.
fn same_lower(cx: &Cx<'_, '_>, x: ValueId, reach: Reach<'_>) -> Result<Option<Vec<u64>>, Reason> {
    let shape = cx.shape(x)?;
    let mut pad = Vec::with_capacity(reach.window.len() * 2);
    for (i, (&k, &s)) in reach.window.iter().zip(reach.stride).enumerate() {
        let Some(n) = shape.get(2 + i).and_then(|d| d.known()) else { return Ok(None) };
        let total =
            ((n.div_ceil(s.max(1)).saturating_sub(1)).saturating_mul(s).saturating_add(k)).saturating_sub(n);
        pad.extend([total - total / 2, total / 2]);
    }
    Ok(Some(pad))
}

/// `max((ceil(n / s) - 1) * s + k - n, 0)`, the odd one before the axis.
fn same_lower_computed(cx: &mut Cx<'_, '_>, x: ValueId, reach: Reach<'_>) -> One {
    let all = cx.extents(x)?;
    let n = cx.cut(all, 0, Some(2), None, 1)?;
    let (stride, window) = (cx.sizes(reach.stride)?, cx.sizes(reach.window)?);
    let (unit, two, zero) = (cx.int(1)?, cx.int(2)?, cx.int(0)?);
    // ceil(n / s) - 1 = floor((n - 1) / s)
    let last = cx.op2("sub", n, unit)?;
    let steps = cx.op2("floor_div", last, stride)?;
    let covered = cx.op2("mul", steps, stride)?;
    let covered = cx.op2("add", covered, window)?;
    let total = cx.op2("sub", covered, n)?;
    let total = cx.op2("maximum", total, zero)?;
    let after = cx.op2("floor_div", total, two)?;
    let before = cx.op2("sub", total, after)?;
    let axis = cx.int(1)?;
    let pairs = cx.op("stack", &[("values", before), ("values", after), ("axis", axis)])?;
    cx.reshape(pairs, &[To::Rest])
}

/// Pads the spatial axes of `[N, C, ..]` by amounts that [`push_border`] returned.
pub(super) fn pad_by(cx: &mut Cx<'_, '_>, x: ValueId, amounts: ValueId, value: f64) -> One {
    let lead = cx.ints(&[0; 4])?;
    let pad = cx.concat(&[lead, amounts], 0)?;
    let (mode, value) = (cx.text("constant"), cx.num(value)?);
    cx.op("pad", &[("x", x), ("pad", pad), ("mode", mode), ("constant_val", value)])
}

/// What both kinds of convolution layers say, in the order of the spatial axes.
struct Conv {
    out: u64,
    kernel_channels: u64,
    groups: u64,
    kernel: Vec<u64>,
    stride: Vec<u64>,
    dilation: Vec<u64>,
    border: Border,
    transposed: bool,
    output_shape: Vec<u64>,
}

impl Conv {
    /// The extents that dilated kernels cover.
    fn window(&self) -> Vec<u64> {
        let wide = |(k, d): (&u64, &u64)| k.saturating_sub(1).saturating_mul(*d).saturating_add(1);
        self.kernel.iter().zip(&self.dilation).map(wide).collect()
    }

    /// What the border takes off the full product of a deconvolution, before and after axis `i`, or adds after it.
    fn crop(&self, i: usize, window: u64, stride: u64) -> (i64, i64) {
        match &self.border {
            Border::Amounts(a) => {
                let at = |j: usize| a.get(2 * i + j).copied().unwrap_or(0) as i64;
                (at(0), at(1))
            }
            Border::Same { before } => {
                let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                let total = signed(window) - signed(stride);
                let (all, half) = (total.max(0), total.max(0) / 2);
                let (lo, hi) = if *before { (all - half, half) } else { (half, all - half) };
                (lo, hi + total.min(0))
            }
        }
    }
}

pub(crate) fn convolution(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=2)?;
    let f = cx.fields();
    let conv = Conv {
        out: f.size("outputChannels")?,
        kernel_channels: f.size("kernelChannels")?,
        groups: f.size("nGroups")?.max(1),
        kernel: f.sizes_or("kernelSize", [3, 3])?.into(),
        stride: f.sizes_or("stride", [1, 1])?.into(),
        dilation: f.sizes_or("dilationFactor", [1, 1])?.into(),
        border: border_2d(f)?,
        transposed: f.flag("isDeconvolution")?,
        output_shape: f.sizes("outputShape")?,
    };
    run(cx, conv)
}

pub(crate) fn convolution3d(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let of = |what: &str| -> Result<Vec<u64>, Reason> {
        ["Depth", "Height", "Width"].iter().map(|axis| Ok(f.size(&format!("{what}{axis}"))?.max(1))).collect()
    };
    let groups = f.size("nGroups")?.max(1);
    let channels = f.size("inputChannels")?;
    let transposed = f.flag("isDeconvolution")?;
    let conv = Conv {
        out: f.size("outputChannels")?,
        kernel_channels: if transposed { channels } else { channels / groups },
        groups,
        kernel: of("kernel")?,
        stride: of("stride")?,
        dilation: of("dilation")?,
        border: border_3d(f)?,
        transposed,
        output_shape: f.sizes("outputShape")?,
    };
    run(cx, conv)
}

fn run(cx: &mut Cx<'_, '_>, conv: Conv) -> Lowered {
    let x = cx.x(0)?;
    let (x, lead) = cx.fold(x, conv.kernel.len() + 1)?;
    let y = if conv.transposed { deconvolve(cx, x, &conv)? } else { convolve(cx, x, &conv)? };
    one(cx.unfold(y, lead)?)
}

fn convolve(cx: &mut Cx<'_, '_>, x: ValueId, conv: &Conv) -> One {
    let mut dims = vec![conv.out, conv.kernel_channels];
    dims.extend(&conv.kernel);
    let weight = if cx.arity() == 2 { cx.x(1)? } else { cx.weight("weights", &dims)? };
    let mut args: SmallVec<[(&str, ValueId); 8]> = [("x", x), ("weight", weight)].into_iter().collect();
    if cx.fields().flag("hasBias")? {
        args.push(("bias", cx.weight("bias", &[conv.out])?));
    }
    push_strides(cx, &mut args, conv)?;
    let window = conv.window();
    let reach = Reach { window: &window, stride: &conv.stride };
    if let Some(amounts) = push_border(cx, &mut args, &conv.border, x, reach)? {
        let padded = pad_by(cx, x, amounts, 0.0)?;
        if let Some((_, first)) = args.first_mut() {
            *first = padded;
        }
    }
    cx.op("conv", &args)
}

fn push_strides(
    cx: &mut Cx<'_, '_>,
    args: &mut SmallVec<[(&str, ValueId); 8]>,
    conv: &Conv,
) -> Result<(), Reason> {
    for (name, v) in [("strides", &conv.stride), ("dilations", &conv.dilation)] {
        if v.iter().any(|&n| n != 1) {
            args.push((name, cx.sizes(v)?));
        }
    }
    if conv.groups != 1 {
        args.push(("groups", cx.int(i64::try_from(conv.groups).unwrap_or(i64::MAX))?));
    }
    Ok(())
}

/// The full product of a deconvolution is cropped by the border; where the output is to be larger than what is
/// left, zeros follow, and the bias is added to them too. With `same` borders the output has `size * stride` elements,
/// as the input of the convolution would have that this turns round: one with strides over its kernels pads nothing
/// and leaves its last elements alone.
///
/// The format says that dilation is ignored here; coremltools' tests against the runtime show that it is not.
fn deconvolve(cx: &mut Cx<'_, '_>, x: ValueId, conv: &Conv) -> One {
    let (weight, shape) = (deconvolution_weight(cx, conv)?, cx.shape(x)?);
    let n = conv.kernel.len();
    if !conv.output_shape.is_empty() && conv.output_shape.len() != n {
        return Err(Reason::field("outputShape", format!("{n} extents are needed")));
    }
    let open = |i: &usize| shape.get(2 + i).and_then(|d| d.known()).is_none();
    if !conv.output_shape.is_empty() && (0..n).any(|i| open(&i)) {
        return deconvolve_open(cx, x, weight, conv);
    }
    let (mut crop, mut grow) = (Vec::with_capacity(2 * n), vec![0u64; 2 * n]);
    for (i, (&k, &s)) in conv.window().iter().zip(&conv.stride).enumerate() {
        let (before, after) = conv.crop(i, k, s);
        let after = match conv.output_shape.get(i) {
            None => after,
            Some(&want) => {
                let size = shape.get(2 + i).and_then(|d| d.known()).unwrap_or(0);
                let full = size.saturating_sub(1).saturating_mul(s).saturating_add(k);
                let full = i64::try_from(full).unwrap_or(i64::MAX);
                full.saturating_sub(before).saturating_sub(i64::try_from(want).unwrap_or(i64::MAX))
            }
        };
        crop.extend([before.max(0) as u64, after.max(0) as u64]);
        if let Some(g) = grow.get_mut(2 * i + 1) {
            *g = after.min(0).unsigned_abs();
        }
    }
    let grows = grow.iter().any(|&g| g > 0);
    let has_bias = cx.fields().flag("hasBias")?;
    let mut args: SmallVec<[(&str, ValueId); 8]> = [("x", x), ("weight", weight)].into_iter().collect();
    if has_bias && !grows {
        args.push(("bias", cx.weight("bias", &[conv.out])?));
    }
    push_strides(cx, &mut args, conv)?;
    push_border(cx, &mut args, &Border::Amounts(crop), x, Reach { window: &[], stride: &[] })?;
    let mut y = cx.op("conv_transpose", &args)?;
    if grows {
        let pad = cx.sizes(&grow)?;
        y = cx.op("pad", &[("x", y), ("pad", pad)])?;
        if has_bias {
            let mut dims = vec![conv.out];
            dims.extend(std::iter::repeat_n(1, n));
            let bias = cx.weight("bias", &dims)?;
            y = cx.op2("add", y, bias)?;
        }
    }
    Ok(y)
}

/// A deconvolution of unknown size to a known one: the full product, with enough zeros behind it, from the border on.
fn deconvolve_open(cx: &mut Cx<'_, '_>, x: ValueId, weight: ValueId, conv: &Conv) -> One {
    let n = conv.kernel.len();
    let mut args: SmallVec<[(&str, ValueId); 8]> = [("x", x), ("weight", weight)].into_iter().collect();
    push_strides(cx, &mut args, conv)?;
    args.push(("pad_type", cx.text("valid")));
    let y = cx.op("conv_transpose", &args)?;
    let (mut grow, mut begin, mut size) = (vec![0; 2 * n], vec![0; 2], vec![-1; 2]);
    for (i, (&k, &s)) in conv.window().iter().zip(&conv.stride).enumerate() {
        let want = i64::try_from(*conv.output_shape.get(i).unwrap_or(&0)).unwrap_or(i64::MAX);
        let (before, _) = conv.crop(i, k, s);
        if let Some(g) = grow.get_mut(2 * i + 1) {
            *g = before.saturating_add(want);
        }
        begin.push(before);
        size.push(want);
    }
    let (pad, begin, size) = (cx.ints(&grow)?, cx.ints(&begin)?, cx.ints(&size)?);
    let y = cx.op("pad", &[("x", y), ("pad", pad)])?;
    let y = cx.op("slice_by_size", &[("x", y), ("begin", begin), ("size", size)])?;
    if !cx.fields().flag("hasBias")? {
        return Ok(y);
    }
    let mut dims = vec![conv.out];
    dims.extend(std::iter::repeat_n(1, n));
    let bias = cx.weight("bias", &dims)?;
    cx.op2("add", y, bias)
}

/// `[C_in, C_out / groups, kernel]`, the factors of quantised weights along the second axis.
fn deconvolution_weight(cx: &mut Cx<'_, '_>, conv: &Conv) -> One {
    let mut dims = vec![conv.kernel_channels, conv.out / conv.groups];
    dims.extend(&conv.kernel);
    cx.weight_along("weights", &dims, 1)
}
