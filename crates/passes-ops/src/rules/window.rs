//! Windows that slide over spatial axes: what pooling and convolution share.

use anewrite_ir::OpId;
use anewrite_rewrite::{Match, Miss, ensure};

/// One spatial axis of a window op, with the padding made explicit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// Extent of the input, where known.
    pub(super) extent: Option<i64>,
    /// Elements of the window.
    pub(super) kernel: i64,
    /// Step between windows.
    pub(super) stride: i64,
    /// Step between the elements of a window.
    pub(super) dilation: i64,
    /// Padding in front.
    pub(super) before: i64,
    /// Padding behind.
    pub(super) after: i64,
}

impl Axis {
    /// Elements that a window spans.
    pub(super) fn span(&self) -> i64 {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Number of windows, where the extent is known.
    pub(super) fn outputs(&self) -> Option<i64> {
        Some((self.extent? + self.before + self.after - self.span()).div_euclid(self.stride) + 1)
    }
}

/// The spatial axes of a pooling or convolution op, from its `strides`, `pad_type`, `pad` and `dilations`.
///
/// `same` pads so that the output has `ceil(extent / stride)` elements, the odd one behind (`same_lower`: in front).
pub(super) fn axes(m: &Match<'_>, op: OpId, kernel: &[i64]) -> Result<Vec<Axis>, Miss> {
    let n = kernel.len();
    let strides = m.ints_or(op, "strides", &vec![1; n])?;
    let dilations = m.ints_or(op, "dilations", &vec![1; n])?;
    let pad_type = m.text_or(op, "pad_type", "valid")?;
    let pads = m.ints_or(op, "pad", &vec![0; 2 * n])?;
    ensure!(strides.len() == n && dilations.len() == n, "strides or dilations are not one an axis");
    let shape = m.tensor(m.arg(op, "x")?)?.shape.as_ref().ok_or(Miss::new("the rank of x is not known"))?;
    ensure!(shape.len() == n + 2, "x has rank {} for {n} spatial axes", shape.len());
    let mut out = Vec::with_capacity(n);
    for i in 0..n {
        let mut a = Axis {
            extent: shape[i + 2].known().and_then(|d| i64::try_from(d).ok()),
            kernel: kernel[i],
            stride: strides[i],
            dilation: dilations[i],
            before: 0,
            after: 0,
        };
        ensure!(
            a.kernel > 0 && a.stride > 0 && a.dilation > 0,
            "kernel, stride and dilation must be positive"
        );
        match pad_type {
            "valid" => {}
            "custom" => {
                ensure!(pads.len() == 2 * n, "pad has {} elements for {n} axes", pads.len());
                (a.before, a.after) = (pads[2 * i], pads[2 * i + 1]);
            }
            "same" | "same_lower" => {
                let total = match (a.stride, a.extent) {
                    (1, _) => a.span() - 1,
                    (s, Some(e)) => ((e + s - 1) / s - 1) * s + a.span() - e,
                    (_, None) => return Err(Miss::new("`same` padding of an extent that is not known")),
                }
                .max(0);
                let less = total / 2;
                let more = total - less;
                (a.before, a.after) = if pad_type == "same" { (less, more) } else { (more, less) };
            }
            other => return Err(Miss::new(format!("the pad_type {other} is not known"))),
        }
        out.push(a);
    }
    Ok(out)
}

/// `pad` of a `custom` padding for these axes.
pub(super) fn pads(axes: &[Axis]) -> Vec<i64> {
    axes.iter().flat_map(|a| [a.before, a.after]).collect()
}
