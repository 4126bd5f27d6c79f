//! Pools.

use pulp::Arch;
use rayon::prelude::*;

use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::kernel::{Table, real};
use crate::ops::window::{Axis, axes, extents, sizes, three};
use crate::real::Real;

pub(crate) const TABLE: Table =
    &[("avg_pool", real!(average)), ("l2_pool", real!(l2)), ("max_pool", real!(maximum))];

/// The largest element under a window; padding does not count, NaN wins.
fn maximum<T: Real>(call: &Call<'_>) -> Computed {
    let larger = |a: T, b: T| if b > a || b.is_nan() { b } else { a };
    pool(call, T::neg_infinity(), |x| x, larger, |_, _| {})
}

/// The mean under a window. Padding counts as zeros unless it is excluded; what a last window reaches beyond it does not.
fn average<T: Real>(call: &Call<'_>) -> Computed {
    let excluded = call.flag("exclude_padding_from_average")?;
    pool(
        call,
        T::zero(),
        |x| x,
        |a, b| a + b,
        |axes, y| {
            let count =
                |a: &Axis, o: usize| T::of(if excluded { a.covered(o).len() } else { a.padded(o) } as f64);
            let [d, h, w] = axes;
            let mut y = y.iter_mut();
            for od in 0..d.output {
                for oh in 0..h.output {
                    let plane = count(d, od) * count(h, oh);
                    for (ow, y) in y.by_ref().take(w.output).enumerate() {
                        *y /= plane * count(w, ow);
                    }
                }
            }
        },
    )
}

/// The root of the sum of squares under a window.
fn l2<T: Real>(call: &Call<'_>) -> Computed {
    if call.array("x")?.rank() > 4 {
        return Err(EvalError::bad("x", "l2_pool has one or two spatial axes"));
    }
    pool(call, T::zero(), |x| x * x, |a, b| a + b, |_, y| y.iter_mut().for_each(|y| *y = y.sqrt()))
}

/// Folds the elements under each window, one axis after the other, and finishes each plane.
fn pool<T: Real>(
    call: &Call<'_>,
    start: T,
    enter: impl Fn(T) -> T + Sync,
    fold: impl Fn(T, T) -> T + Sync + Copy,
    finish: impl Fn(&[Axis; 3], &mut [T]) + Sync,
) -> Computed {
    let x = call.array("x")?;
    let (&[batch, channels, ref spatial @ ..], 3..=5) = (x.dims(), x.rank()) else {
        return Err(EvalError::bad("x", format!("{x:?}, where the rank is 3, 4 or 5")));
    };
    let kernel = sizes(call, "kernel_sizes", spatial.len(), 1)?;
    let list = axes(call, spatial, &kernel, &[], call.flag("ceil_mode")?)?;
    let mut dims = vec![batch, channels];
    dims.extend(list.iter().map(|a| a.output as u64));
    let axes = three(&list);
    let mut y = call.zeros::<T>(&dims)?;
    let (windows, plane) = extents(&axes);
    if y.is_empty() {
        return call.one(x.dtype(), &dims, y);
    }
    let items = call.items::<T>("x")?;
    let scratch = || (Vec::new(), Vec::new());
    y.par_chunks_mut(windows).enumerate().for_each_init(scratch, |(from, to), (i, y)| {
        from.clear();
        from.extend(items.iter().skip(i * plane).take(plane).map(|&x| enter(x)));
        let mut outer = axes[0].input * axes[1].input;
        let mut inner = 1;
        for (at, axis) in axes.iter().enumerate().rev() {
            to.clear();
            to.resize(outer * axis.output * inner, start);
            Arch::new().dispatch(|| along(axis, outer, inner, from, to, fold));
            std::mem::swap(from, to);
            inner *= axis.output;
            outer /= at.checked_sub(1).map_or(1, |before| axes[before].input.max(1));
        }
        y.copy_from_slice(from);
        finish(&axes, y);
    });
    call.one(x.dtype(), &dims, y)
}

/// Folds along the middle axis of `[outer, axis, inner]`.
#[inline(always)]
fn along<T: Real>(
    axis: &Axis,
    outer: usize,
    inner: usize,
    from: &[T],
    to: &mut [T],
    fold: impl Fn(T, T) -> T,
) {
    for at in 0..outer {
        let from = &from[at * axis.input * inner..(at + 1) * axis.input * inner];
        let to = &mut to[at * axis.output * inner..(at + 1) * axis.output * inner];
        if inner > 1 {
            for (o, to) in to.chunks_mut(inner).enumerate() {
                let covered = axis.covered(o);
                for from in from[covered.start * inner..covered.end * inner].chunks(inner) {
                    to.iter_mut().zip(from).for_each(|(to, &x)| *to = fold(*to, x));
                }
            }
        } else if axis.stride < axis.kernel {
            // windows overlap: one tap of all of them at a time
            for k in 0..axis.kernel {
                let windows = axis.inside(k);
                let from = &from[axis.position(windows.start, k).min(from.len())..];
                let to = &mut to[windows];
                match axis.stride {
                    1 => to.iter_mut().zip(from).for_each(|(to, &x)| *to = fold(*to, x)),
                    s => to.iter_mut().zip(from.iter().step_by(s)).for_each(|(to, &x)| *to = fold(*to, x)),
                }
            }
        } else {
            for (o, to) in to.iter_mut().enumerate() {
                *to = from[axis.covered(o)].iter().fold(*to, |a, &b| fold(a, b));
            }
        }
    }
}
