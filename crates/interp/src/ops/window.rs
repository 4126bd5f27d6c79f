//! Windows that slide over the spatial axes of `[batch, channel, spatial…]`.

use std::ops::Range;

use crate::call::Call;
use crate::error::EvalError;

/// The most that a step, an amount of padding or the reach of a window may be.
const MOST: i64 = 1 << 40;

/// One spatial axis under windows: tap `k` of window `o` lies at `o * stride + k * dilation - before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) input: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// Padding at the front.
    pub(crate) before: usize,
    /// Padding at the back, as far as it is stated.
    pub(crate) after: usize,
    /// Number of windows.
    pub(crate) output: usize,
}

/// An axis of extent 1, which stands for one that is not there.
const NONE: Axis = Axis { input: 1, kernel: 1, stride: 1, dilation: 1, before: 0, after: 0, output: 1 };

/// What stands around the data, as the op says it.
pub(crate) enum Pads {
    Valid,
    /// As much as gives one window for each begun stride; whether the front gets the odd one.
    Same(bool),
    /// Front and back of each axis in turn.
    Custom(Vec<usize>),
}

fn size(param: &str, n: i64, least: i64) -> Result<usize, EvalError> {
    let fits = (least..=MOST).contains(&n);
    usize::try_from(n)
        .ok()
        .filter(|_| fits)
        .ok_or_else(|| EvalError::bad(param, format!("{n} is not within {least} and {MOST}")))
}

/// As many sizes as there are spatial axes, each from `least`.
pub(crate) fn sizes(call: &Call<'_>, param: &str, n: usize, least: i64) -> Result<Vec<usize>, EvalError> {
    call.ints_n(param, n)?.into_iter().map(|x| size(param, x, least)).collect()
}

impl Pads {
    pub(crate) fn read(call: &Call<'_>, spatial: usize) -> Result<Pads, EvalError> {
        match call.text("pad_type")?.to_ascii_lowercase().as_str() {
            "valid" => Ok(Pads::Valid),
            "same" => Ok(Pads::Same(false)),
            "same_lower" => Ok(Pads::Same(true)),
            "custom" => Ok(Pads::Custom(sizes(call, "pad", 2 * spatial, 0)?)),
            other => Err(EvalError::bad(
                "pad_type",
                format!("{other:?} is none of valid, same, same_lower, custom"),
            )),
        }
    }

    /// Padding at front and back of an axis over which `count` windows of this reach spread.
    pub(crate) fn at(
        &self,
        axis: usize,
        (input, count): (usize, usize),
        stride: usize,
        reach: usize,
    ) -> [usize; 2] {
        match self {
            Pads::Valid => [0, 0],
            Pads::Custom(p) => [0, 1].map(|side| p.get(2 * axis + side).copied().unwrap_or(0)),
            Pads::Same(front) => {
                let spread = (count.saturating_sub(1)).saturating_mul(stride).saturating_add(reach);
                let total = spread.saturating_sub(input);
                let (less, more) = (total / 2, total.div_ceil(2));
                if *front { [more, less] } else { [less, more] }
            }
        }
    }
}

/// Elements from the first to the last tap of a window, both included.
pub(crate) fn reach(kernel: usize, dilation: usize) -> Result<usize, EvalError> {
    let reach = kernel.checked_sub(1).and_then(|k| k.checked_mul(dilation)?.checked_add(1));
    reach
        .filter(|&r| r as u64 <= MOST as u64)
        .ok_or_else(|| EvalError::Shape(format!("windows of {kernel} elements {dilation} apart")))
}

/// The spatial axes of a convolution or a pool. With `ceil`, a last window that reaches over the end counts, unless it
/// begins in the padding there.
pub(crate) fn axes(
    call: &Call<'_>,
    spatial: &[u64],
    kernel: &[usize],
    dilations: &[usize],
    ceil: bool,
) -> Result<Vec<Axis>, EvalError> {
    let n = spatial.len();
    let pads = Pads::read(call, n)?;
    let strides = sizes(call, "strides", n, 1)?;
    let mut out = Vec::with_capacity(n);
    for (axis, (&input, &kernel)) in spatial.iter().zip(kernel).enumerate() {
        let (stride, dilation) = (strides[axis], dilations.get(axis).copied().unwrap_or(1));
        let input = size("x", i64::try_from(input).unwrap_or(i64::MAX), 0)?;
        let reach = reach(kernel, dilation)?;
        let [before, after] = pads.at(axis, (input, input.div_ceil(stride)), stride, reach);
        let padded = input + before + after;
        let none = || EvalError::Shape(format!("no window of {reach} fits into {padded} elements"));
        let room = match padded.checked_sub(reach) {
            Some(room) => room,
            None if ceil && padded + stride > reach => 0,
            None => return Err(none()),
        };
        let steps = if ceil { room.div_ceil(stride) } else { room / stride };
        let in_padding = ceil && before + after > 0 && steps * stride >= input + before;
        let output = if in_padding { steps } else { steps + 1 };
        if output == 0 {
            return Err(none());
        }
        out.push(Axis { input, kernel, stride, dilation, before, after, output });
    }
    Ok(out)
}

/// One to three axes as three, the missing ones in front.
pub(crate) fn three(axes: &[Axis]) -> [Axis; 3] {
    let mut out = [NONE; 3];
    let front = 3usize.saturating_sub(axes.len());
    for (to, &axis) in out.iter_mut().skip(front).zip(axes) {
        *to = axis;
    }
    out
}

impl Axis {
    /// The windows whose tap `k` lies in the data.
    pub(crate) fn inside(&self, k: usize) -> Range<usize> {
        let tap = k * self.dilation;
        let first = self.before.saturating_sub(tap).div_ceil(self.stride);
        let end = match (self.input + self.before).checked_sub(tap + 1) {
            Some(last) if self.input > 0 => (last / self.stride + 1).min(self.output),
            _ => 0,
        };
        first.min(end)..end
    }

    /// Where tap `k` of window `o` lies, which [`Axis::inside`] has.
    pub(crate) fn position(&self, o: usize, k: usize) -> usize {
        (o * self.stride + k * self.dilation).saturating_sub(self.before)
    }

    /// The elements of the data that window `o` covers, where taps lie next to each other.
    pub(crate) fn covered(&self, o: usize) -> Range<usize> {
        let from = (o * self.stride).saturating_sub(self.before).min(self.input);
        let to = (o * self.stride + self.kernel).saturating_sub(self.before).min(self.input);
        from..to
    }

    /// How many elements window `o` covers within data and padding.
    pub(crate) fn padded(&self, o: usize) -> usize {
        let end = self.input + self.before + self.after;
        (o * self.stride + self.kernel).min(end).saturating_sub(o * self.stride)
    }
}

/// The number of windows, and of elements.
pub(crate) fn extents(axes: &[Axis; 3]) -> (usize, usize) {
    (axes.iter().map(|a| a.output).product(), axes.iter().map(|a| a.input).product())
}

/// Calls `f` for runs of windows whose tap lies in the data, among windows `span` in row-major order: the first of the run
/// as counted from the span's start, their number, and where the first one's tap lies in the data. From one to the next
/// the tap moves by the last axis' stride.
#[inline(always)]
pub(crate) fn runs(
    axes: &[Axis; 3],
    tap: [usize; 3],
    span: Range<usize>,
    mut f: impl FnMut(usize, usize, usize),
) {
    let [d, h, w] = axes;
    let (in_d, in_h, in_w) = (d.inside(tap[0]), h.inside(tap[1]), w.inside(tap[2]));
    if in_w.is_empty() || span.is_empty() {
        return;
    }
    let (first, last) = (span.start / w.output, (span.end - 1) / w.output);
    let (mut od, mut oh) = (first / h.output, first % h.output);
    for row in first..=last {
        if in_d.contains(&od) && in_h.contains(&oh) {
            let start = row * w.output;
            let from = (start + in_w.start).max(span.start);
            let to = (start + in_w.end).min(span.end);
            if from < to {
                let plane = d.position(od, tap[0]) * h.input + h.position(oh, tap[1]);
                f(from - span.start, to - from, plane * w.input + w.position(from - start, tap[2]));
            }
        }
        oh += 1;
        if oh == h.output {
            (od, oh) = (od + 1, 0);
        }
    }
}
