//! Windows that slide over height and width: what pooling and convolution share.

use anewrite_ir::{Attr, Attrs, Dim, OpId, Str};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, ensure};

use crate::rules::operands::Operand;

/// One axis under windows, with the padding made explicit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// Extent of the operand, where known.
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

    /// What padded extents leave beyond one window, where known.
    pub(super) fn room(&self) -> Option<i64> {
        Some(self.extent? + self.before + self.after - self.span())
    }

    /// Number of windows, where the extent is known.
    pub(super) fn outputs(&self) -> Option<i64> {
        self.room().map(|room| room.div_euclid(self.stride) + 1)
    }
}

/// Height and width under windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// Height, width.
    pub(super) axes: [Axis; 2],
    /// Whether a last window counts that begins inside and reaches over the padded end.
    pub(super) complete: bool,
}

/// No extent, kernel, stride, dilation or padding is larger, so that sums and products of two fit.
const MOST: i64 = 1 << 24;

impl Windows {
    /// The windows of a `pooling` or `convolution`, from `kernelSize`, `stride`, `dilationFactor` and the padding.
    ///
    /// `same` pads so that there are `ceil(extent / stride)` windows, the odd element behind unless it says otherwise.
    pub(super) fn of(m: &Match<'_>, op: OpId) -> Result<Windows, Miss> {
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let Some((_, [height, width])) = x.shape.split_last_chunk::<2>() else {
            return Err(Miss::new(format!("the operand has rank {}", x.shape.len())));
        };
        let (kernel, stride) = (sizes(m, op, "kernelSize", 3)?, sizes(m, op, "stride", 1)?);
        let dilation = sizes(m, op, "dilationFactor", 1)?;
        let axis = |i: usize, d: &Dim| Axis {
            extent: d.known().and_then(|n| i64::try_from(n).ok()),
            kernel: kernel[i],
            stride: stride[i],
            dilation: dilation[i],
            before: 0,
            after: 0,
        };
        let mut axes = [axis(0, height), axis(1, width)];
        for a in &axes {
            let sizes = [a.kernel, a.stride, a.dilation, a.extent.unwrap_or(1)];
            ensure!(
                sizes.iter().all(|n| (1..=MOST).contains(n)),
                "an extent, window or step is out of range"
            );
        }
        let mut complete = false;
        if let Some(same) = m.attr(op, "same") {
            let heavy = same.field("asymmetryMode").and_then(Attr::as_str) == Some("TOP_LEFT_HEAVY");
            for a in &mut axes {
                let total = match (a.stride, a.extent) {
                    (1, _) => a.span() - 1,
                    (s, Some(e)) => ((e + s - 1) / s - 1) * s + a.span() - e,
                    (_, None) => return Err(Miss::new("`same` padding of an extent that is not known")),
                }
                .max(0);
                let (less, more) = (total / 2, total - total / 2);
                (a.before, a.after) = if heavy { (more, less) } else { (less, more) };
            }
        } else if let Some(last) = m.attr(op, "includeLastPixel") {
            let both = last.field("paddingAmounts").map_or(Some(Vec::new()), Attr::as_ints);
            let amounts = match both.as_deref() {
                Some([]) => [0, 0],
                Some(&[height, width]) => [height, width],
                _ => return Err(Miss::new("the padding is not one amount an axis")),
            };
            for (a, n) in axes.iter_mut().zip(amounts) {
                (a.before, a.after) = (n, n);
            }
            complete = stride != [1, 1];
        } else if let Some(valid) = m.attr(op, "valid") {
            let sides = match valid.field("paddingAmounts").and_then(|a| a.field("borderAmounts")) {
                None => &[][..],
                Some(Attr::List(sides)) => sides,
                Some(_) => return Err(Miss::new("the padding cannot be read")),
            };
            ensure!(sides.is_empty() || sides.len() == 2, "padding for {} axes", sides.len());
            for (a, side) in axes.iter_mut().zip(sides) {
                let edge = |name: &str| side.field(name).map_or(Some(0), Attr::as_int).unwrap_or(-1);
                (a.before, a.after) = (edge("startEdgeSize"), edge("endEdgeSize"));
            }
        }
        let fits = axes.iter().flat_map(|a| [a.before, a.after]).all(|n| (0..=MOST).contains(&n));
        ensure!(fits, "an amount of padding is out of range");
        Ok(Windows { axes, complete })
    }

    /// The windows with as much padding behind as makes the last one a whole one: for ops that do not count padding.
    pub(super) fn completed(self) -> Result<[Axis; 2], Miss> {
        let mut axes = self.axes;
        if self.complete {
            for a in &mut axes {
                let extent =
                    a.extent.ok_or(Miss::new("the last window depends on an extent that is not known"))?;
                let room = extent + a.before + a.after - a.span();
                // how far a window may begin: in the operand or the padding in front of it
                let last = (room.max(0) + a.stride - 1) / a.stride;
                let padded = a.before + a.after > 0;
                let last = if padded && last * a.stride >= extent + a.before { last - 1 } else { last };
                a.after = (last * a.stride + a.span() - extent - a.before).max(0);
            }
        }
        Ok(axes)
    }

    /// The windows where the last one is a whole one anyway.
    pub(super) fn whole(self) -> Result<[Axis; 2], Miss> {
        for a in self.axes.iter().filter(|_| self.complete) {
            let rest = a.room().map(|room| room.rem_euclid(a.stride));
            ensure!(
                a.stride == 1 || rest == Some(0),
                "the last window reaches over the end (includeLastPixel)"
            );
            // one that begins in the padding would not count
            ensure!(a.after < a.kernel, "padding of {} for a window of {}", a.after, a.kernel);
        }
        Ok(self.axes)
    }
}

/// A field of two sizes, height and width.
fn sizes(m: &Match<'_>, op: OpId, name: &str, default: i64) -> Result<[i64; 2], Miss> {
    let given = m.attr(op, name).map_or(Some(Vec::new()), Attr::as_ints);
    match given.as_deref() {
        Some([]) => Ok([default; 2]),
        Some(&[height, width]) => Ok([height, width]),
        _ => Err(Miss::new(format!("{name} is not one number an axis"))),
    }
}

/// Height and width as a field.
pub(super) fn both(sizes: [i64; 2]) -> Attr {
    Attr::List(sizes.map(Attr::Int).to_vec())
}

/// `borderAmounts`: in front of and behind height and width.
pub(super) fn border(sides: [[i64; 2]; 2]) -> Attr {
    let side = |[start, end]: [i64; 2]| {
        let fields = [("startEdgeSize", start), ("endEdgeSize", end)];
        let set = fields.into_iter().filter(|(_, n)| *n != 0);
        Attr::Message(set.map(|(name, n)| (Str::from(name), Attr::Int(n))).collect())
    };
    Attr::Message(vec![("borderAmounts".into(), Attr::List(sides.map(side).to_vec()))])
}

/// The fields of a `pooling` with these windows, none of reaches over the padded end.
pub(super) fn pooling(kind: &str, axes: [Axis; 2]) -> Attrs {
    let mut attrs = Attrs::new();
    if kind != "MAX" {
        attrs.push(("type".into(), Attr::Enum(kind.into())));
    }
    attrs.push(("kernelSize".into(), both(axes.map(|a| a.kernel))));
    attrs.push(("stride".into(), both(axes.map(|a| a.stride))));
    let sides = axes.map(|a| [a.before, a.after]);
    attrs.push(("valid".into(), Attr::Message(vec![("paddingAmounts".into(), border(sides))])));
    attrs
}
