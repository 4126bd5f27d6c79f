//! Transposed convolutions: products of the weights with the data, added up where the windows over the result lie.

use pulp::Arch;
use rayon::prelude::*;

use super::Conv;
use crate::error::EvalError;
use crate::gemm::{Matrix, View, product};
use crate::ops::window::runs;
use crate::real::Real;

/// Elements of the products that are made at a time.
const BLOCK: usize = 128 << 10;

/// Some output channels of one group of one example.
struct Task<'y, T> {
    batch: usize,
    group: usize,
    /// The first of them, within the group.
    first: usize,
    y: &'y mut [T],
}

/// Adds a transposed convolution to `y`, which is zero. In `conv`, windows slide over the result: `inputs` counts its
/// channels in a group, `outputs` those of the data.
pub(super) fn run<T: Real>(conv: &Conv<'_, T>, y: &mut [T]) -> Result<(), EvalError> {
    let (windows, plane) = conv.extents();
    if y.is_empty() || plane == 0 || conv.inputs == 0 {
        return Ok(());
    }
    for (i, channel) in y.chunks_mut(plane).enumerate() {
        channel.fill(conv.start(i % (conv.groups * conv.inputs)));
    }
    if windows == 0 || conv.outputs == 0 || conv.taps() == 0 {
        return Ok(());
    }
    let share = rayon::current_num_threads().div_ceil((conv.batch * conv.groups).max(1));
    let step = conv.inputs.div_ceil(share).max(1);
    let tasks = y.chunks_mut(conv.inputs * plane).enumerate().flat_map(|(i, y)| {
        y.chunks_mut(step * plane).enumerate().map(move |(part, y)| Task {
            batch: i / conv.groups,
            group: i % conv.groups,
            first: part * step,
            y,
        })
    });
    let tasks: Vec<Task<'_, T>> = tasks.collect();
    if conv.sums.is_some() {
        return tasks.into_par_iter().try_for_each(|task| one_by_one(conv, task));
    }
    tasks.into_par_iter().try_for_each(|task| spread(conv, task))
}

fn spread<T: Real>(conv: &Conv<'_, T>, task: Task<'_, T>) -> Result<(), EvalError> {
    let (windows, plane) = conv.extents();
    let taps = conv.taps();
    let stride = conv.axes[2].stride;
    let rows = task.y.len() / plane * taps;
    let step = (BLOCK / rows).clamp(16, windows.max(16));
    let mut products = vec![T::default(); rows * step.min(windows)];
    let weight = (task.group * conv.outputs * conv.inputs + task.first) * taps;
    let weights =
        || Matrix { items: conv.weight, at: View { offset: weight, row: 1, col: conv.inputs * taps } };
    for from in (0..windows).step_by(step) {
        let n = step.min(windows - from);
        let products = &mut products[..rows * n];
        let first = (task.batch * conv.groups + task.group) * conv.outputs * windows + from;
        let data = View { offset: first, row: windows, col: 1 };
        let a = weights();
        product(
            (rows, n, conv.outputs),
            a.items,
            a.at,
            conv.x,
            data,
            products,
            View::rows(0, n),
            false,
            false,
        )?;
        Arch::new().dispatch(|| {
            for (channel, y) in task.y.chunks_mut(plane).enumerate() {
                for tap in 0..taps {
                    let row = (channel * taps + tap) * n;
                    let products = &products[row..row + n];
                    runs(&conv.axes, conv.tap(tap), from..from + n, |at, n, to| {
                        let products = &products[at..at + n];
                        match stride {
                            1 => y[to..to + n].iter_mut().zip(products).for_each(|(y, &p)| *y += p),
                            s => y[to..].iter_mut().step_by(s).zip(products).for_each(|(y, &p)| *y += p),
                        }
                    });
                }
            }
        });
    }
    Ok(())
}

/// Every element of the result by itself, with its products in the order of channels, then taps.
fn one_by_one<T: Real>(conv: &Conv<'_, T>, task: Task<'_, T>) -> Result<(), EvalError> {
    let Some(sums) = conv.sums else { return Ok(()) };
    let (windows, plane) = conv.extents();
    let [d, h, w] = conv.axes;
    let taps = conv.taps();
    let data = (task.batch * conv.groups + task.group) * conv.outputs * windows;
    let weights = task.group * conv.outputs * conv.inputs * taps;
    let window = |axis: super::Axis, at: usize, k: usize| {
        let o = (at + axis.before).checked_sub(k * axis.dilation)?;
        (o % axis.stride == 0 && o / axis.stride < axis.output).then_some(o / axis.stride)
    };
    for (i, y) in task.y.iter_mut().enumerate() {
        let (channel, at) = (task.first + i / plane, i % plane);
        let at = [at / (h.input * w.input), at / w.input % h.input, at % w.input];
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for tap in 0..taps {
            let k = conv.tap(tap);
            let place = (window(d, at[0], k[0]), window(h, at[1], k[1]), window(w, at[2], k[2]));
            if let (Some(od), Some(oh), Some(ow)) = place {
                pairs.push((tap, (od * h.output + oh) * w.output + ow));
            }
        }
        let products = (0..conv.outputs).flat_map(|c| {
            pairs.iter().map(move |&(tap, window)| {
                let weight = conv.weight[weights + (c * conv.inputs + channel) * taps + tap];
                (weight.wide(), conv.x[data + c * windows + window].wide())
            })
        });
        *y = T::of(sums.dot(y.wide(), products));
    }
    Ok(())
}
