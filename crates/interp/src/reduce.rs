//! Reductions of tensors over any of their axes.

use anewrite_tensor::Dims;
use pulp::Arch;
use rayon::prelude::*;
use smallvec::SmallVec;

use crate::array::Element;
use crate::call::Call;
use crate::elementwise::CHUNK;
use crate::error::EvalError;
use crate::real::Real;

/// Axes as an extent and a distance, outermost first.
type Axes = SmallVec<[(usize, usize); 4]>;

/// Which elements are reduced to which result. Neighbouring axes of the same kind count as one.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    /// The axes that stay, without the innermost of all.
    kept: Axes,
    /// The axes that go, without the innermost of all.
    gone: Axes,
    /// The extent of the innermost axis.
    run: usize,
    /// Whether the innermost axis goes.
    inner_goes: bool,
    /// The extents with 1 for each axis that goes.
    pub(crate) dims: Dims,
}

impl Groups {
    /// `gone` marks the axes that are reduced.
    pub(crate) fn of(dims: &[u64], gone: &[bool]) -> Groups {
        let mut axes: SmallVec<[(usize, usize, bool); 6]> = SmallVec::new();
        let mut step = 1usize;
        for (&n, &goes) in dims.iter().zip(gone).rev().filter(|(n, _)| **n != 1) {
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            match axes.last_mut() {
                Some(last) if last.2 == goes => last.0 = last.0.saturating_mul(n),
                _ => axes.push((n, step, goes)),
            }
            step = step.saturating_mul(n);
        }
        let (run, inner_goes) = axes.first().map_or((1, true), |&(n, _, goes)| (n, goes));
        let of = |kind: bool| {
            axes.iter().skip(1).rev().filter(|a| a.2 == kind).map(|&(n, step, _)| (n, step)).collect()
        };
        let dims: Vec<u64> = dims.iter().zip(gone).map(|(&n, &g)| if g { 1 } else { n }).collect();
        Groups { kept: of(false), gone: of(true), run, inner_goes, dims: Dims::from_slice(&dims) }
    }

    /// How many elements each result comes from.
    pub(crate) fn size(&self) -> usize {
        self.rows().saturating_mul(if self.inner_goes { self.run } else { 1 })
    }

    fn rows(&self) -> usize {
        self.gone.iter().fold(1, |n, a| n.saturating_mul(a.0))
    }

    /// Whether each result comes from elements that lie together, one result after the other; then how many.
    pub(crate) fn contiguous(&self) -> Option<usize> {
        (self.inner_goes && self.gone.is_empty()).then_some(self.run)
    }
}

fn offset(axes: &[(usize, usize)], mut index: usize) -> usize {
    let mut at = 0;
    for &(n, step) in axes.iter().rev() {
        at += index % n * step;
        index /= n;
    }
    at
}

/// How elements are taken together: from `start`, element by element, and the parts with each other. The order is that
/// of the elements but for parts, which do not depend on the number of threads.
pub(crate) struct Fold<A, S, M> {
    pub(crate) start: A,
    pub(crate) step: S,
    pub(crate) merge: M,
}

impl<A: Copy + Send + Sync, S, M> Fold<A, S, M> {
    /// One result for each group, in order.
    pub(crate) fn run<T: Element, O: Element + Default>(
        &self,
        call: &Call<'_>,
        x: &[T],
        groups: &Groups,
        finish: impl Fn(A) -> O + Sync,
    ) -> Result<Vec<O>, EvalError>
    where
        S: Fn(A, T) -> A + Sync,
        M: Fn(A, A) -> A + Sync,
    {
        let mut out = call.zeros::<O>(&groups.dims)?;
        // Extents beside a 0 have no bound, so positions are not computed with them.
        if x.is_empty() {
            out.iter_mut().for_each(|o| *o = finish(self.start));
        }
        if out.is_empty() || x.is_empty() {
            return Ok(out);
        }
        let (rows, run) = (groups.rows(), groups.run);
        let piece = |at: usize, n: usize| x.get(at..at + n).unwrap_or_default();
        if groups.inner_goes {
            let each = rows.saturating_mul(run).max(1);
            let one = |i: usize, within: &(dyn Fn(&[T]) -> A + Sync)| {
                let base = offset(&groups.kept, i);
                let parts = (0..rows).map(|r| within(piece(base + offset(&groups.gone, r), run)));
                finish(parts.reduce(&self.merge).unwrap_or(self.start))
            };
            if out.len() < 4 && run > CHUNK {
                let threads = |items: &[T]| {
                    let parts: Vec<A> = items.par_chunks(CHUNK).map(|c| self.slice(c)).collect();
                    parts.into_iter().reduce(&self.merge).unwrap_or(self.start)
                };
                out.iter_mut().enumerate().for_each(|(i, o)| *o = one(i, &threads));
            } else if x.len() <= CHUNK {
                out.iter_mut().enumerate().for_each(|(i, o)| *o = one(i, &|items| self.slice(items)));
            } else {
                let batch = (CHUNK / each).max(1);
                out.par_chunks_mut(batch).enumerate().for_each(|(b, out)| {
                    for (i, o) in out.iter_mut().enumerate() {
                        *o = one(b * batch + i, &|items| self.slice(items));
                    }
                });
            }
            return Ok(out);
        }
        // Columns side by side, so that memory is read along rows.
        const COLUMNS: usize = 1024;
        let column = |base: usize, out: &mut [O]| {
            let mut sums = [self.start; COLUMNS];
            let sums = &mut sums[..out.len()];
            for r in 0..rows {
                let items = piece(base + offset(&groups.gone, r), out.len());
                Arch::new().dispatch(|| {
                    sums.iter_mut().zip(items).for_each(|(sum, &x)| *sum = (self.step)(*sum, x));
                });
            }
            out.iter_mut().zip(sums).for_each(|(o, sum)| *o = finish(*sum));
        };
        let block = |i: usize, out: &mut [O]| {
            let base = offset(&groups.kept, i);
            out.par_chunks_mut(COLUMNS).enumerate().for_each(|(c, out)| column(base + c * COLUMNS, out));
        };
        if x.len() <= CHUNK {
            for (i, out) in out.chunks_mut(run).enumerate() {
                let base = offset(&groups.kept, i);
                out.chunks_mut(COLUMNS).enumerate().for_each(|(c, out)| column(base + c * COLUMNS, out));
            }
        } else {
            out.par_chunks_mut(run).enumerate().for_each(|(i, out)| block(i, out));
        }
        Ok(out)
    }

    /// Elements that lie together: in lanes, so that vector code can be made of it.
    pub(crate) fn slice<T: Element>(&self, items: &[T]) -> A
    where
        S: Fn(A, T) -> A,
        M: Fn(A, A) -> A,
    {
        const LANES: usize = 16;
        Arch::new().dispatch(|| {
            let (blocks, rest) = items.as_chunks::<LANES>();
            let mut lanes = [self.start; LANES];
            for block in blocks {
                for (lane, &x) in lanes.iter_mut().zip(block) {
                    *lane = (self.step)(*lane, x);
                }
            }
            for (lane, &x) in lanes.iter_mut().zip(rest) {
                *lane = (self.step)(*lane, x);
            }
            lanes.into_iter().reduce(&self.merge).unwrap_or(self.start)
        })
    }
}

/// The sum of `f` of each element, in the wide type.
pub(crate) fn sum<T: Real>(f: impl Fn(f64) -> f64 + Sync) -> Fold<f64, impl Fn(f64, T) -> f64 + Sync, Merge> {
    Fold { start: 0.0, step: move |sum, x: T| sum + f(x.wide()), merge: |a, b| a + b }
}

/// A function that joins two wide parts.
pub(crate) type Merge = fn(f64, f64) -> f64;

/// The greater number, and what is no number if there is any.
#[inline(always)]
#[expect(clippy::eq_op, reason = "only what is no number differs from itself")]
pub(crate) fn greater<T: PartialOrd>(a: T, b: T) -> T {
    if b > a || b != b { b } else { a }
}

/// The smaller number, and what is no number if there is any.
#[inline(always)]
#[expect(clippy::eq_op, reason = "only what is no number differs from itself")]
pub(crate) fn smaller<T: PartialOrd>(a: T, b: T) -> T {
    if b < a || b != b { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_join_axes_of_one_kind() {
        let g = Groups::of(&[2, 3, 4, 5], &[false, false, true, true]);
        assert_eq!((g.contiguous(), g.size(), g.kept.as_slice()), (Some(20), 20, &[(6, 20)][..]));
        let g = Groups::of(&[2, 3, 4, 5], &[true, false, true, false]);
        assert_eq!((g.run, g.inner_goes, g.size()), (5, false, 8));
        assert_eq!((g.kept.as_slice(), g.gone.as_slice()), (&[(3, 20)][..], &[(2, 60), (4, 5)][..]));
        let g = Groups::of(&[7, 1], &[true, false]);
        assert_eq!(g.contiguous(), Some(7));
        assert_eq!(Groups::of(&[], &[]).size(), 1);
        assert_eq!(Groups::of(&[3, 0], &[false, true]).size(), 0);
    }
}
