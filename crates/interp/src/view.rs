//! Strided copies: what all ops that only move elements come down to.

use rayon::prelude::*;
use smallvec::SmallVec;

use crate::array::{Element, count};
use crate::call::Call;
use crate::error::EvalError;

/// Copies of fewer elements are made by one thread.
const PARALLEL: usize = 1 << 16;
/// How many rows of a transposition are written at a time: as many elements are read in one go.
const ROWS: usize = 16;

/// A regular part of a buffer: extents, and how far apart neighbours along each are.
#[derive(Clone, Debug)]
pub(crate) struct View {
    start: i64,
    axes: SmallVec<[Axis; 6]>,
}

/// An extent of a view, and the distance of neighbours along it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) extent: u64,
    pub(crate) step: i64,
}

impl View {
    /// All elements of a row-major buffer of these extents.
    pub(crate) fn of(dims: &[u64]) -> View {
        let axes = dims.iter().zip(strides(dims)).map(|(&extent, step)| Axis { extent, step });
        View { start: 0, axes: axes.collect() }
    }

    pub(crate) fn new(start: i64, axes: impl IntoIterator<Item = Axis>) -> View {
        View { start, axes: axes.into_iter().collect() }
    }

    /// The axes in another order.
    pub(crate) fn permuted(mut self, perm: impl IntoIterator<Item = usize>) -> View {
        self.axes = perm.into_iter().filter_map(|a| self.axes.get(a).copied()).collect();
        self
    }

    /// `extent` elements along `axis` from `first` on, each `step` after the one before.
    pub(crate) fn cut(mut self, axis: usize, first: i64, step: i64, extent: u64) -> View {
        if let Some(a) = self.axes.get_mut(axis) {
            self.start = self.start.wrapping_add(first.wrapping_mul(a.step));
            *a = Axis { extent, step: step.wrapping_mul(a.step) };
        }
        self
    }

    /// The axes.
    pub(crate) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// The extents.
    pub(crate) fn dims(&self) -> SmallVec<[u64; 6]> {
        self.axes.iter().map(|a| a.extent).collect()
    }

    fn is_empty(&self) -> bool {
        self.axes.iter().any(|a| a.extent == 0)
    }

    /// Whether every element lies within a buffer of `len`.
    fn fits(&self, len: usize) -> bool {
        let (mut low, mut high) = (i128::from(self.start), i128::from(self.start));
        for a in &self.axes {
            let last = i128::from(a.extent.saturating_sub(1)).saturating_mul(a.step.into());
            let end = if last < 0 { &mut low } else { &mut high };
            *end = end.saturating_add(last);
        }
        self.is_empty() || (low >= 0 && high < len as i128)
    }
}

/// How far apart the neighbours along each axis of a row-major buffer are.
pub(crate) fn strides(dims: &[u64]) -> SmallVec<[i64; 6]> {
    let mut out: SmallVec<[i64; 6]> = SmallVec::from_elem(1, dims.len());
    for i in (1..dims.len()).rev() {
        // buffers without elements may have extents whose product is out of range
        out[i - 1] = out[i].saturating_mul(i64::try_from(dims[i]).unwrap_or(i64::MAX));
    }
    out
}

/// The elements of a view, in order.
///
/// # Errors
/// Where the view reaches beyond the buffer, and where the result is more than the run may use.
pub(crate) fn take<T: Element + Default>(
    call: &Call<'_>,
    from: &[T],
    view: &View,
) -> Result<Vec<T>, EvalError> {
    let dims = view.dims();
    let mut out = call.zeros::<T>(&dims)?;
    if out.is_empty() {
        return Ok(out);
    }
    if !view.fits(from.len()) {
        return Err(outside());
    }
    let pairs = merged(&View::of(&dims), view);
    match pairs.as_slice() {
        [first, rest @ ..] if out.len() >= PARALLEL && first.n > 1 => {
            let inner: usize = rest.iter().map(|p| p.n).product();
            let rows = first.n.div_ceil(4 * rayon::current_num_threads()).max(1);
            out.par_chunks_mut(rows * inner).enumerate().for_each(|(i, chunk)| {
                let mut pairs: SmallVec<[Pair; 6]> = SmallVec::from_slice(&pairs);
                pairs[0].n = chunk.len() / inner;
                copy(chunk, 0, from, view.start as isize + (i * rows) as isize * first.from, &pairs);
            });
        }
        pairs => copy(&mut out, 0, from, view.start as isize, pairs),
    }
    Ok(out)
}

/// Copies the elements of one view to those of another of the same extents.
///
/// # Errors
/// Where a view reaches beyond its buffer, or the extents differ.
pub(crate) fn put<T: Element>(
    to: &mut [T],
    to_view: &View,
    from: &[T],
    from_view: &View,
) -> Result<(), EvalError> {
    if to_view.dims() != from_view.dims() {
        return Err(EvalError::Shape(format!("{:?} elements into {:?}", from_view.dims(), to_view.dims())));
    }
    if !to_view.fits(to.len()) || !from_view.fits(from.len()) {
        return Err(outside());
    }
    if !to_view.is_empty() {
        let pairs = merged(to_view, from_view);
        if let [Pair { n, to: 1, from: 1 }] = pairs[..]
            && n >= 2 * PARALLEL
        {
            let (first, start) = (to_view.start as usize, from_view.start as usize);
            let to = to[first..first + n].par_chunks_mut(PARALLEL);
            to.zip(from[start..start + n].par_chunks(PARALLEL))
                .for_each(|(to, from)| to.copy_from_slice(from));
            return Ok(());
        }
        copy(to, to_view.start as isize, from, from_view.start as isize, &pairs);
    }
    Ok(())
}

fn outside() -> EvalError {
    EvalError::Shape("elements outside the tensor are asked for".into())
}

/// The elements in the order of per-axis tables of positions: element `[i, j]` is that at `tables[0][i] +
/// tables[1][j]`.
///
/// # Errors
/// Where a position is beyond the buffer, and where the result is more than the run may use.
pub(crate) fn pick<T: Element + Default>(
    call: &Call<'_>,
    from: &[T],
    tables: &[Vec<usize>],
) -> Result<Vec<T>, EvalError> {
    let dims: SmallVec<[u64; 6]> = tables.iter().map(|t| t.len() as u64).collect();
    let mut out = call.zeros::<T>(&dims)?;
    let furthest = tables.iter().try_fold(0usize, |sum, t| sum.checked_add(t.iter().copied().max()?));
    match furthest {
        Some(last) if last < from.len() => pick_rows(&mut out, from, 0, tables),
        _ if out.is_empty() => {}
        _ => return Err(outside()),
    }
    Ok(out)
}

fn pick_rows<T: Copy>(out: &mut [T], from: &[T], base: usize, tables: &[Vec<usize>]) {
    match tables {
        [] => out.iter_mut().for_each(|o| *o = from[base]),
        [row] => out.iter_mut().zip(row).for_each(|(o, &at)| *o = from[base + at]),
        [first, rest @ ..] => {
            let inner = out.len() / first.len().max(1);
            for (chunk, &at) in out.chunks_mut(inner.max(1)).zip(first) {
                pick_rows(chunk, from, base + at, rest);
            }
        }
    }
}

/// One axis of a copy: extent, and the distances in both buffers.
#[derive(Clone, Copy, Debug)]
struct Pair {
    n: usize,
    to: isize,
    from: isize,
}

/// The axes of a copy without those of extent 1, and with those taken together that run on in both buffers.
fn merged(to: &View, from: &View) -> SmallVec<[Pair; 6]> {
    let mut out: SmallVec<[Pair; 6]> = SmallVec::new();
    for (t, f) in to.axes.iter().zip(&from.axes).filter(|(t, _)| t.extent != 1) {
        let next = Pair { n: t.extent as usize, to: t.step as isize, from: f.step as isize };
        let n = next.n as isize;
        match out.last_mut() {
            Some(p) if p.to == next.to.wrapping_mul(n) && p.from == next.from.wrapping_mul(n) => {
                *p = Pair { n: p.n * next.n, ..next };
            }
            _ => out.push(next),
        }
    }
    out
}

/// Copies along all axes; every position was checked to lie within its buffer.
fn copy<T: Copy>(dst: &mut [T], to: isize, src: &[T], from: isize, axes: &[Pair]) {
    match axes {
        [] => dst[to as usize] = src[from as usize],
        [row] => copy_row(dst, to, src, from, row),
        [first, rest @ ..] => {
            let across = first.from == 1 && rest.last().is_some_and(|p| p.from != 1);
            if !across {
                for i in 0..first.n as isize {
                    copy(dst, to + i * first.to, src, from + i * first.from, rest);
                }
                return;
            }
            for at in (0..first.n).step_by(ROWS) {
                let (rows, at) = (ROWS.min(first.n - at), at as isize);
                columns(dst, to + at * first.to, src, from + at, rows, first.to, rest);
            }
        }
    }
}

fn copy_row<T: Copy>(dst: &mut [T], to: isize, src: &[T], from: isize, row: &Pair) {
    let (t, f) = (to as usize, from as usize);
    match (row.to, row.from) {
        (1, 1) => dst[t..t + row.n].copy_from_slice(&src[f..f + row.n]),
        (1, 0) => dst[t..t + row.n].fill(src[f]),
        (1, step) => {
            for (i, d) in dst[t..t + row.n].iter_mut().enumerate() {
                *d = src[(from + i as isize * step) as usize];
            }
        }
        (to_step, step) => {
            for i in 0..row.n as isize {
                dst[(to + i * to_step) as usize] = src[(from + i * step) as usize];
            }
        }
    }
}

/// Some rows of a transposition: runs of the source become columns.
fn columns<T: Copy>(
    dst: &mut [T],
    to: isize,
    src: &[T],
    from: isize,
    rows: usize,
    apart: isize,
    axes: &[Pair],
) {
    let Some((next, rest)) = axes.split_first() else { return };
    for i in 0..next.n as isize {
        let (to, from) = (to + i * next.to, from + i * next.from);
        if !rest.is_empty() {
            columns(dst, to, src, from, rows, apart, rest);
            continue;
        }
        for (r, &x) in src[from as usize..from as usize + rows].iter().enumerate() {
            dst[(to + r as isize * apart) as usize] = x;
        }
    }
}

/// The product of extents as a length.
///
/// # Errors
/// Where it is out of range.
pub(crate) fn length(dims: &[u64]) -> Result<usize, EvalError> {
    count(dims).ok_or_else(|| EvalError::Shape(format!("the extents {dims:?} are too large")))
}
