//! Convolutions as products: the weights of a group with columns of the data under its windows. Columns are made for a
//! block of windows at a time; where a window is one element, the data already is such columns.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::Conv;
use crate::error::EvalError;
use crate::gemm::{Matrix, View, accumulate};
use crate::ops::window::runs;
use crate::real::Real;

/// Elements that the columns of a block and its results may have, so that they stay in a core's own cache.
const BLOCK: usize = 160 << 10;
/// Rows of columns that are made at a time.
const ROWS: usize = 1024;
/// Products of a sum up to which loops over the data are faster than making columns.
const DIRECT: usize = 32;

/// One group of one example: its result and where it stands.
struct Image<'y, T> {
    batch: usize,
    group: usize,
    y: &'y mut [T],
}

/// Adds a convolution to `y`, which is zero.
pub(super) fn run<T: Real>(conv: &Conv<'_, T>, y: &mut [T]) -> Result<(), EvalError> {
    let (windows, _) = conv.extents();
    let size = conv.outputs * windows;
    if y.is_empty() || size == 0 {
        return Ok(());
    }
    if conv.bias.is_some() {
        for (i, channel) in y.chunks_mut(windows).enumerate() {
            channel.fill(conv.start(i % (conv.groups * conv.outputs)));
        }
    }
    let images = y.chunks_mut(size).enumerate().map(|(i, y)| Image {
        batch: i / conv.groups,
        group: i % conv.groups,
        y,
    });
    let images: Vec<Image<'_, T>> = images.collect();
    let products = conv.inputs * conv.taps();
    let pointwise = conv.axes.iter().all(|a| a.kernel == 1 && a.stride == 1 && a.before + a.after == 0);
    let many = images.len() >= rayon::current_num_threads();
    if pointwise {
        return match many {
            true => images.into_par_iter().try_for_each(|image| whole(conv, image, false)),
            false => images.into_iter().try_for_each(|image| whole(conv, image, true)),
        };
    }
    if conv.sums.is_none() && conv.outputs * conv.inputs <= 4 && products <= DIRECT * 4 {
        images.into_par_iter().for_each(|image| Arch::new().dispatch(|| direct(conv, image)));
        return Ok(());
    }
    let rows = if conv.sums.is_some() { products } else { products.min(ROWS) }.max(1);
    let most = (BLOCK / (rows + conv.outputs)).clamp(16, windows.max(16));
    let blocks = windows.div_ceil(most);
    if images.len() * blocks < rayon::current_num_threads() {
        return images.into_iter().try_for_each(|image| wide(conv, image, rows));
    }
    // even blocks, and where few images wait for many threads a multiple of the threads
    let threads = rayon::current_num_threads();
    let blocks = if images.len() >= 2 * threads { blocks } else { blocks.next_multiple_of(threads) };
    let step = windows.div_ceil(blocks).max(1);
    let tasks: Vec<Task<'_, T>> = images.into_iter().flat_map(|image| tasks(image, windows, step)).collect();
    tasks.into_par_iter().try_for_each_init(Vec::new, |columns, task| block(conv, task, rows, columns))
}

/// The products of a convolution whose windows are one element.
fn whole<T: Real>(conv: &Conv<'_, T>, image: Image<'_, T>, parallel: bool) -> Result<(), EvalError> {
    let (windows, plane) = conv.extents();
    let first = (image.batch * conv.groups + image.group) * conv.inputs;
    let weights =
        Matrix { items: conv.weight, at: View::rows(image.group * conv.outputs * conv.inputs, conv.inputs) };
    let data = Matrix { items: conv.x, at: View::rows(first * plane, plane) };
    let shape = (conv.outputs, windows, conv.inputs);
    accumulate(conv.sums, shape, weights, data, image.y, View::rows(0, windows), parallel)
}

/// Few products a sum, as with one channel a group: a row of results at a time.
#[inline(always)]
fn direct<T: Real>(conv: &Conv<'_, T>, image: Image<'_, T>) {
    let (windows, plane) = conv.extents();
    let (taps, stride) = (conv.taps(), conv.axes[2].stride);
    for (channel, y) in image.y.chunks_mut(windows).enumerate() {
        let weights = (image.group * conv.outputs + channel) * conv.inputs * taps;
        for input in 0..conv.inputs {
            let x = (image.batch * conv.groups + image.group) * conv.inputs + input;
            let x = &conv.x[x * plane..(x + 1) * plane];
            rows(conv, y, |span, y| {
                for tap in 0..taps {
                    let w = conv.weight[weights + input * taps + tap];
                    runs(&conv.axes, conv.tap(tap), span.clone(), |at, n, from| {
                        let y = &mut y[at..at + n];
                        match stride {
                            1 => y.iter_mut().zip(&x[from..from + n]).for_each(|(y, &x)| *y += w * x),
                            s => {
                                y.iter_mut().zip(x[from..].iter().step_by(s)).for_each(|(y, &x)| *y += w * x)
                            }
                        }
                    });
                }
            });
        }
    }
}

/// Calls `f` for each row of windows.
#[inline(always)]
fn rows<T: Real>(conv: &Conv<'_, T>, y: &mut [T], mut f: impl FnMut(Range<usize>, &mut [T])) {
    let width = conv.axes[2].output;
    for (i, row) in y.chunks_mut(width).enumerate() {
        f(i * width..i * width + row.len(), row);
    }
}

/// Windows `span` of one image: a piece of each of its channels.
struct Task<'y, T> {
    batch: usize,
    group: usize,
    span: Range<usize>,
    channels: Vec<&'y mut [T]>,
}

fn tasks<T>(image: Image<'_, T>, windows: usize, step: usize) -> Vec<Task<'_, T>> {
    let spans = (0..windows).step_by(step).map(|from| from..(from + step).min(windows));
    let mut tasks: Vec<Task<'_, T>> = spans
        .map(|span| Task { batch: image.batch, group: image.group, span, channels: Vec::new() })
        .collect();
    for channel in image.y.chunks_mut(windows) {
        for (task, piece) in tasks.iter_mut().zip(channel.chunks_mut(step)) {
            task.channels.push(piece);
        }
    }
    tasks
}

/// Computes a block: columns for some rows at a time, their products with the weights, and the results put in place.
fn block<T: Real>(
    conv: &Conv<'_, T>,
    mut task: Task<'_, T>,
    rows: usize,
    scratch: &mut Vec<T>,
) -> Result<(), EvalError> {
    let n = task.span.len();
    let products = conv.inputs * conv.taps();
    scratch.resize((rows + conv.outputs) * n, T::default());
    let (results, columns) = scratch.split_at_mut(conv.outputs * n);
    for (to, from) in results.chunks_mut(n).zip(&task.channels) {
        to.copy_from_slice(from);
    }
    for from in (0..products).step_by(rows) {
        let to = (from + rows).min(products);
        let columns = &mut columns[..(to - from) * n];
        for (row, columns) in (from..to).zip(columns.chunks_mut(n)) {
            fill(conv, task.batch, task.group, row, task.span.clone(), columns);
        }
        multiply(conv, task.group, from..to, columns, n, results, false)?;
    }
    for (from, to) in results.chunks(n).zip(&mut task.channels) {
        to.copy_from_slice(from);
    }
    Ok(())
}

/// Computes an image whose windows are too few to share out: threads share the rows of its products.
fn wide<T: Real>(conv: &Conv<'_, T>, image: Image<'_, T>, rows: usize) -> Result<(), EvalError> {
    let (windows, _) = conv.extents();
    let products = conv.inputs * conv.taps();
    let mut columns = vec![T::default(); rows * windows];
    for from in (0..products).step_by(rows) {
        let to = (from + rows).min(products);
        let columns = &mut columns[..(to - from) * windows];
        columns.par_chunks_mut(windows).with_min_len(64).enumerate().for_each(|(row, columns)| {
            fill(conv, image.batch, image.group, from + row, 0..windows, columns);
        });
        multiply(conv, image.group, from..to, columns, windows, image.y, true)?;
    }
    Ok(())
}

/// Adds the products of the weights at `rows` of each output channel with columns.
fn multiply<T: Real>(
    conv: &Conv<'_, T>,
    group: usize,
    rows: Range<usize>,
    columns: &[T],
    n: usize,
    results: &mut [T],
    parallel: bool,
) -> Result<(), EvalError> {
    let products = conv.inputs * conv.taps();
    let offset = group * conv.outputs * products + rows.start;
    let weights = Matrix { items: conv.weight, at: View { offset, row: products, col: 1 } };
    let columns = Matrix { items: columns, at: View::rows(0, n) };
    let shape = (conv.outputs, n, rows.len());
    accumulate(conv.sums, shape, weights, columns, results, View::rows(0, n), parallel)
}

/// What lies under one tap of windows `span`, in one channel; zero beyond the data.
fn fill<T: Real>(
    conv: &Conv<'_, T>,
    batch: usize,
    group: usize,
    row: usize,
    span: Range<usize>,
    to: &mut [T],
) {
    let (_, plane) = conv.extents();
    let taps = conv.taps();
    let tap = conv.tap(row % taps);
    let channel = (batch * conv.groups + group) * conv.inputs + row / taps;
    let x = &conv.x[channel * plane..(channel + 1) * plane];
    if conv.axes.iter().zip(tap).any(|(a, k)| a.inside(k) != (0..a.output)) {
        to.fill(T::default());
    }
    let stride = conv.axes[2].stride;
    runs(&conv.axes, tap, span, |at, n, from| {
        let to = &mut to[at..at + n];
        match stride {
            1 => to.copy_from_slice(&x[from..from + n]),
            s => to.iter_mut().zip(x[from..].iter().step_by(s)).for_each(|(to, &x)| *to = x),
        }
    });
}
