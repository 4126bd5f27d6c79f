//! Windows that slide over the spatial axes of `[batch, channel, spatial…]`: convolutions and pools.

use crate::dims::{DimTable, Int};
use crate::infer::{InferCx, InferError, bad};
use crate::types::Dim;

/// What stands around the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// Nothing.
    Valid,
    /// So much that the result has one element for each begun stride. `same` and `same_lower` differ in which
    /// side gets the odd one, not in extents.
    Same,
    /// Start and end of each axis in turn.
    Custom(Vec<i64>),
}

/// How windows are placed.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    /// What stands around the data.
    pub(super) pad: Padding,
    /// Steps between windows, each at least 1.
    pub(super) strides: Vec<i64>,
    /// Steps inside a window, each at least 1.
    pub(super) dilations: Vec<i64>,
    /// Whether a last window that reaches over the end counts.
    pub(super) ceil: bool,
}

/// One integer an axis, each at least `least`.
pub(super) fn per_axis(
    cx: &InferCx<'_>,
    param: &'static str,
    count: usize,
    least: i64,
) -> Result<Vec<i64>, InferError> {
    let v = cx.known_ints(param, count)?;
    if v.len() != count {
        return bad(param, format!("{count} integers are needed, this has {}", v.len()));
    }
    match v.iter().find(|&&n| n < least) {
        Some(n) => bad(param, format!("{n} where at least {least} is needed")),
        None => Ok(v),
    }
}

impl Windows {
    /// Reads `pad_type`, `pad`, `strides` and, where `dilated`, `dilations` for `spatial` axes.
    pub(super) fn read(cx: &InferCx<'_>, spatial: usize, dilated: bool) -> Result<Windows, InferError> {
        let pad = match cx.text("pad_type")?.to_ascii_lowercase().as_str() {
            "valid" => Padding::Valid,
            "same" | "same_lower" => Padding::Same,
            "custom" => Padding::Custom(per_axis(cx, "pad", 2 * spatial, 0)?),
            other => {
                return bad("pad_type", format!("{other:?} is none of valid, same, same_lower, custom"));
            }
        };
        Ok(Windows {
            pad,
            strides: per_axis(cx, "strides", spatial, 1)?,
            dilations: if dilated { per_axis(cx, "dilations", spatial, 1)? } else { vec![1; spatial] },
            ceil: false,
        })
    }

    /// Padding at both ends of spatial axis `axis`; `None` for [`Padding::Same`], where the extent decides.
    fn both_pads(&self, axis: usize) -> Option<i128> {
        match &self.pad {
            Padding::Valid => Some(0),
            Padding::Same => None,
            Padding::Custom(p) => {
                let side = |i: usize| p.get(i).copied().map(i128::from).unwrap_or(0);
                Some(side(2 * axis) + side(2 * axis + 1))
            }
        }
    }

    /// Number of windows of `kernel` elements along spatial axis `axis` of extent `input`.
    ///
    /// # Errors
    /// Where no window fits, or the numbers are too large.
    pub(super) fn count(
        &self,
        dims: &mut DimTable,
        axis: usize,
        input: Dim,
        kernel: Dim,
    ) -> Result<Dim, InferError> {
        let (Some(&stride), Some(&dilation)) = (self.strides.get(axis), self.dilations.get(axis)) else {
            return bad("strides", format!("none for spatial axis {axis}"));
        };
        if kernel == Dim::Known(0) {
            return bad("x", format!("windows of no extent along spatial axis {axis}"));
        }
        if let (Some(i), Some(k)) = (input.known(), kernel.known()) {
            let reach = (i128::from(k) - 1).checked_mul(i128::from(dilation)).map(|r| r + 1);
            let n = reach.and_then(|reach| self.known_count(axis, i.into(), reach, stride.into()));
            return match n.map(u64::try_from) {
                Some(Ok(n)) if n > 0 => Ok(Dim::Known(n)),
                _ => bad("x", format!("no window fits into spatial axis {axis} of extent {i}")),
            };
        }
        let input = dims.int(input);
        let stride_less_one = Int::Known(stride - 1);
        let Some(pads) = self.both_pads(axis) else {
            if self.ceil {
                return Ok(dims.fresh());
            }
            // whatever the window's reach, there is one for each begun stride
            let up = dims.add(input, stride_less_one);
            return Ok(dims.floor_div(up, Int::Known(stride)).dim());
        };
        if self.ceil && pads > 0 {
            // whether the last window starts inside the padding depends on the extent
            return Ok(dims.fresh());
        }
        let Ok(pads) = i64::try_from(pads) else { return bad("pad", "it is too large") };
        let kernel = dims.int(kernel);
        let steps = dims.sub(kernel, Int::Known(1));
        let reach = dims.mul(steps, Int::Known(dilation));
        // the extent left for the start of a window, less the first start
        let room = dims.sub(input, reach);
        let room = dims.add(room, Int::Known(pads));
        let room = dims.sub(room, Int::Known(1));
        let room = if self.ceil { dims.add(room, stride_less_one) } else { room };
        let steps = dims.floor_div(room, Int::Known(stride));
        Ok(dims.add(steps, Int::Known(1)).dim())
    }

    fn known_count(&self, axis: usize, input: i128, reach: i128, stride: i128) -> Option<i128> {
        let pads = match self.both_pads(axis) {
            Some(p) => p,
            None => {
                let begun = (input + stride - 1).div_euclid(stride);
                stride.checked_mul(begun - 1)?.checked_add(reach - input)?.max(0)
            }
        };
        let room = input.checked_add(pads)?.checked_sub(reach)?;
        if !self.ceil {
            return Some(room.div_euclid(stride) + 1);
        }
        let n = (room + stride - 1).div_euclid(stride) + 1;
        // a last window that would start in the padding at the end does not count
        let in_padding = pads > 0 && 2 * (n - 1).checked_mul(stride)? >= 2 * input + pads;
        Some(if in_padding { n - 1 } else { n })
    }
}
