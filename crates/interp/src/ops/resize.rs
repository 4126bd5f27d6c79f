//! Resizing, upsampling and cropping.

use rayon::prelude::*;

use crate::array::{Array, Data, Element};
use crate::call::{Call, Computed, each};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table, real};
use crate::real::Real;

pub(crate) const TABLE: Table = &[
    ("crop", Kernel::Any(crop)),
    ("resize", real!(resize)),
    ("resize_bilinear", real!(resize_bilinear)),
    ("resize_nearest_neighbor", Kernel::Any(resize_nearest)),
    ("upsample_bilinear", real!(upsample_bilinear)),
    ("upsample_nearest_neighbor", Kernel::Any(upsample_nearest)),
];

/// How the samples of an axis lie among its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grid {
    /// First and last on first and last; a single sample on the first.
    StrictAlign,
    /// The same; a single sample in the middle.
    Align,
    /// From the first element on in steps of the ratio of the extents.
    Default,
    /// In the middles of equal parts of the way from the first to the last element.
    Offset,
    /// In the middles of equal parts, elements being one wide.
    Unalign,
}

impl Grid {
    pub(super) fn of(call: &Call<'_>) -> Result<Grid, EvalError> {
        Ok(match call.text("sampling_mode")? {
            "STRICT_ALIGN_CORNERS" => Grid::StrictAlign,
            "ALIGN_CORNERS" => Grid::Align,
            "DEFAULT" => Grid::Default,
            "OFFSET_CORNERS" => Grid::Offset,
            "UNALIGN_CORNERS" => Grid::Unalign,
            other => {
                return Err(EvalError::bad("sampling_mode", format!("{other:?} is no way to place samples")));
            }
        })
    }

    /// Where sample `i` of `m` lies on an axis whose last element is at `last`: from 0 to `last`.
    pub(super) fn at(self, i: u64, m: u64, last: f64) -> f64 {
        let (i, m) = (i as f64, m as f64);
        let at = match self {
            Grid::Align if m == 1.0 => last / 2.0,
            Grid::StrictAlign if m == 1.0 => 0.0,
            Grid::Align | Grid::StrictAlign => i * (last / (m - 1.0)),
            Grid::Default => i * ((last + 1.0) / m),
            Grid::Offset => (i + 0.5) * (last.max(1.0) / m),
            Grid::Unalign => (i + 0.5) * ((last + 1.0) / m) - 0.5,
        };
        at.clamp(0.0, last.max(0.0))
    }
}

/// A sample between two elements of an axis: the first, the second, and the share of the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    pub(super) low: usize,
    pub(super) high: usize,
    pub(super) share: f64,
}

impl Tap {
    /// The sample at `at`, which lies on an axis of `n` elements.
    pub(super) fn between(at: f64, n: usize) -> Tap {
        let last = n.saturating_sub(1);
        let low = (at.floor().max(0.0) as usize).min(last);
        Tap { low, high: (low + 1).min(last), share: (at - low as f64).clamp(0.0, 1.0) }
    }

    pub(super) fn mix<T: Real>(self, low: T, high: T) -> T {
        if self.share == 0.0 { low } else { low * T::of(1.0 - self.share) + high * T::of(self.share) }
    }
}

/// An axis to be sampled.
struct Axis {
    axis: usize,
    taps: Vec<Tap>,
}

impl Axis {
    /// `m` samples of an axis of `n`: between elements, or each on one.
    fn new(
        call: &Call<'_>,
        axis: usize,
        (n, m): (u64, u64),
        at: impl Fn(u64) -> f64,
    ) -> Result<Axis, EvalError> {
        if n == 0 && m > 0 {
            return Err(EvalError::Shape(format!("{m} samples of axis {axis}, which has no elements")));
        }
        // counted, because the number of samples is the model's word
        drop(call.zeros::<f64>(&[m, 3])?);
        let taps = (0..m).map(|i| Tap::between(at(i), n as usize)).collect();
        Ok(Axis { axis, taps })
    }

    fn nearest(call: &Call<'_>, axis: usize, n: u64, m: u64) -> Result<Axis, EvalError> {
        Axis::new(call, axis, (n, m), |i| (u128::from(i) * u128::from(n) / u128::from(m.max(1))) as f64)
    }
}

/// Samples the axes one after the other; `mix` gives a sample from its two elements.
fn sample<T: Element + Default + Sync>(
    call: &Call<'_>,
    x: &[T],
    dims: &[u64],
    axes: &[Axis],
    mix: impl Fn(Tap, T, T) -> T + Sync,
) -> Result<(Vec<T>, Vec<u64>), EvalError> {
    let mut dims = dims.to_vec();
    let mut now: Option<Vec<T>> = None;
    for Axis { axis, taps } in axes {
        let from = now.as_deref().unwrap_or(x);
        let n = dims.get(*axis).copied().unwrap_or(1) as usize;
        // wraps only where another axis has no elements, and then there is nothing to do
        let inner = dims.iter().skip(axis + 1).fold(1u64, |n, &d| n.wrapping_mul(d)) as usize;
        if let Some(d) = dims.get_mut(*axis) {
            *d = taps.len() as u64;
        }
        let mut out = call.zeros::<T>(&dims)?;
        if !out.is_empty() {
            out.par_chunks_mut(taps.len() * inner).zip(from.par_chunks(n * inner)).for_each(|(out, from)| {
                if inner == 1 {
                    for (tap, y) in taps.iter().zip(out) {
                        *y = mix(*tap, from[tap.low], from[tap.high]);
                    }
                    return;
                }
                for (tap, out) in taps.iter().zip(out.chunks_exact_mut(inner)) {
                    let row = |i: usize| from.get(i * inner..(i + 1) * inner).unwrap_or_default();
                    for (y, (&a, &b)) in out.iter_mut().zip(row(tap.low).iter().zip(row(tap.high))) {
                        *y = mix(*tap, a, b);
                    }
                }
            });
        }
        now = Some(out);
    }
    Ok((now.unwrap_or_else(|| x.to_vec()), dims))
}

fn linear<T: Real>(call: &Call<'_>, axes: &[Axis]) -> Computed {
    let x = call.array("x")?;
    let (items, dims) = sample(call, call.items::<T>("x")?, x.dims(), axes, |tap, a, b| tap.mix(a, b))?;
    call.one(x.dtype(), &dims, items)
}

/// Every sample is its tap's first element.
fn nearest(call: &Call<'_>, axes: &[Axis]) -> Computed {
    let x = call.array("x")?;
    each!(x, |items| {
        let (items, dims) = sample(call, items, x.dims(), axes, |_, a, _| a)?;
        call.one(x.dtype(), &dims, items)
    })
}

/// The last two axes and their extents.
fn plane(x: &Array) -> Result<[(usize, u64); 2], EvalError> {
    match *x.dims() {
        [.., _, h, w] => Ok([(x.rank() - 2, h), (x.rank() - 1, w)]),
        _ => Err(EvalError::bad("x", format!("rank 3 at least is needed, this is {x:?}"))),
    }
}

/// The extents that the parameters state.
fn targets(call: &Call<'_>) -> Result<[u64; 2], EvalError> {
    let one = |param: &str| match u64::try_from(call.int(param)?) {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(EvalError::bad(param, "a positive extent is needed")),
    };
    Ok([one("target_size_height")?, one("target_size_width")?])
}

/// Extents times factors, rounded down; fractions multiply in fp32, as the format stores them.
fn scaled(call: &Call<'_>, plane: [(usize, u64); 2]) -> Result<[u64; 2], EvalError> {
    let one = |param: &str, n: u64| {
        let factor = call.float(param)?;
        if !(factor > 0.0 && factor.is_finite()) {
            return Err(EvalError::bad(param, format!("{factor} where a positive number is needed")));
        }
        let n = if factor.fract() == 0.0 { factor * n as f64 } else { f64::from(factor as f32 * n as f32) };
        Ok(n.floor() as u64)
    };
    let [(_, h), (_, w)] = plane;
    Ok([one("scale_factor_height", h)?, one("scale_factor_width", w)?])
}

fn resize_bilinear<T: Real>(call: &Call<'_>) -> Computed {
    let grid = Grid::of(call)?;
    by_grid::<T>(call, grid, targets(call)?)
}

fn by_grid<T: Real>(call: &Call<'_>, grid: Grid, to: [u64; 2]) -> Computed {
    let axes = plane(call.array("x")?)?.into_iter().zip(to);
    let axes = axes
        .map(|((axis, n), m)| Axis::new(call, axis, (n, m), |i| grid.at(i, m, n.saturating_sub(1) as f64)));
    linear::<T>(call, &axes.collect::<Result<Vec<_>, _>>()?)
}

fn resize_nearest(call: &Call<'_>) -> Computed {
    to_nearest(call, targets(call)?)
}

fn upsample_nearest(call: &Call<'_>) -> Computed {
    to_nearest(call, scaled(call, plane(call.array("x")?)?)?)
}

fn to_nearest(call: &Call<'_>, to: [u64; 2]) -> Computed {
    let axes = plane(call.array("x")?)?.into_iter().zip(to);
    let axes = axes.map(|((axis, n), m)| Axis::nearest(call, axis, n, m));
    nearest(call, &axes.collect::<Result<Vec<_>, _>>()?)
}

fn upsample_bilinear<T: Real>(call: &Call<'_>) -> Computed {
    let corners = call.flag("align_corners")?;
    let centres = match call.find("half_pixel_centers")? {
        Some(_) => call.flag("half_pixel_centers")?,
        None => !corners,
    };
    let grid = match (corners, centres) {
        (true, false) => Grid::StrictAlign,
        (false, true) => Grid::Unalign,
        (false, false) => Grid::Default,
        (true, true) => {
            return Err(EvalError::bad("half_pixel_centers", "it excludes align_corners"));
        }
    };
    by_grid::<T>(call, grid, scaled(call, plane(call.array("x")?)?)?)
}

/// The last `resized_dims` elements of `shape` are the new extents of as many last axes; 0 keeps the old one.
fn resize<T: Real>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let (shape, resized) = (call.counts("shape")?, call.int("resized_dims")?);
    let grid = Grid::of(call)?;
    let count = usize::try_from(resized).ok().filter(|&n| n <= shape.len() && n <= x.rank());
    let Some(count) = count else {
        return Err(EvalError::bad("resized_dims", format!("{resized} of {x:?} and {shape:?}")));
    };
    let linear_between = match call.text("interpolation_mode")? {
        "LINEAR" => true,
        "NEAREST_NEIGHBOR" => false,
        other => return Err(EvalError::bad("interpolation_mode", format!("{other:?} is not known"))),
    };
    let (first, wanted) = (x.rank() - count, shape.iter().skip(shape.len() - count));
    let mut axes = Vec::with_capacity(count);
    for (axis, (&n, &m)) in (first..).zip(x.dims().iter().skip(first).zip(wanted)) {
        let (last, m) = (n.saturating_sub(1) as f64, if m == 0 { n } else { m });
        axes.push(match linear_between {
            true => Axis::new(call, axis, (n, m), |i| grid.at(i, m, last))?,
            // coremltools' tests against the runtime show that it rounds, where the older ops cut off
            false => Axis::new(call, axis, (n, m), |i| (grid.at(i, m, last) + 0.5).floor().min(last))?,
        });
    }
    match x.data() {
        Data::Int(_) if linear_between => {
            Err(EvalError::bad("x", "between integers the op's rounding is not documented"))
        }
        _ if linear_between => linear::<T>(call, &axes),
        _ => nearest(call, &axes),
    }
}

fn crop(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let cut = |param: &str, n: u64| match call.counts(param)?[..] {
        [start, end] => match n.checked_sub(start).and_then(|n| n.checked_sub(end)) {
            Some(left) => Ok((start as usize, left as usize)),
            None => Err(EvalError::bad(param, format!("{start} and {end} of {n}"))),
        },
        ref other => Err(EvalError::bad(param, format!("two numbers are needed, not {other:?}"))),
    };
    let [(_, height), (_, width)] = plane(x)?;
    let ((top, rows), (left, cols)) = (cut("crop_height", height)?, cut("crop_width", width)?);
    let mut dims = x.dims().to_vec();
    let rank = dims.len();
    if let Some([h, w]) = dims.get_mut(rank - 2..) {
        (*h, *w) = (rows as u64, cols as u64);
    }
    each!(x, |items| {
        let mut out = call.zeros(&dims)?;
        if !out.is_empty() {
            let planes = items.chunks_exact((height * width) as usize);
            for (to, from) in out.chunks_exact_mut(rows * cols).zip(planes) {
                let lines = from.chunks_exact(width as usize).skip(top);
                for (to, from) in to.chunks_exact_mut(cols).zip(lines) {
                    to.copy_from_slice(from.get(left..left + cols).unwrap_or_default());
                }
            }
        }
        call.one(x.dtype(), &dims, out)
    })
}

#[cfg(test)]
mod tests;
