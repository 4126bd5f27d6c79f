//! Loops over elements: of one tensor, and of several that broadcast.

use std::ops::Range;

use anewrite_tensor::{DType, Dims};
use pulp::Arch;
use rayon::prelude::*;
use smallvec::SmallVec;

use crate::array::Element;
use crate::call::Call;
use crate::error::EvalError;

/// Elements that one thread computes at a time.
pub(crate) const CHUNK: usize = 1 << 14;

/// Runs `f(start, chunk)` over pieces of a result, in parallel where it is large.
pub(crate) fn chunks<O: Send>(out: &mut [O], f: impl Fn(usize, &mut [O]) + Sync) {
    if out.len() <= CHUNK {
        f(0, out);
    } else {
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(i, chunk)| f(i * CHUNK, chunk));
    }
}

/// `f` of each element.
pub(crate) fn map<A: Element, O: Element + Default>(
    call: &Call<'_>,
    dims: &[u64],
    x: &[A],
    f: impl Fn(A) -> O + Sync,
) -> Result<Vec<O>, EvalError> {
    let mut out = call.zeros::<O>(dims)?;
    chunks(&mut out, |start, out| {
        Arch::new().dispatch(|| {
            for (o, &x) in out.iter_mut().zip(x.get(start..).unwrap_or_default()) {
                *o = f(x);
            }
        });
    });
    Ok(out)
}

/// Axes of a result that are neighbours for all operands, as one; with the distance between an operand's elements
/// along it, 0 where the operand is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis<const N: usize> {
    extent: usize,
    steps: [usize; N],
}

/// How N operands broadcast: aligned at the last axis, extents equal or 1.
#[derive(Clone, Debug)]
pub(crate) struct Spread<const N: usize> {
    /// The result's extents.
    pub(crate) dims: Dims,
    outer: SmallVec<[Axis<N>; 4]>,
    inner: Axis<N>,
}

impl<const N: usize> Spread<N> {
    /// # Errors
    /// Where extents differ and neither is 1.
    pub(crate) fn of(operands: [&[u64]; N]) -> Result<Self, EvalError> {
        let rank = operands.iter().map(|d| d.len()).max().unwrap_or(0);
        let mut dims: SmallVec<[u64; 8]> = SmallVec::from_elem(1, rank);
        let mut axes: SmallVec<[Axis<N>; 4]> = SmallVec::new();
        let mut sizes = [1usize; N];
        for back in 1..=rank {
            let extents = operands.map(|d| d.len().checked_sub(back).map_or(1, |i| d[i]));
            let extent = extents.into_iter().find(|&n| n != 1).unwrap_or(1);
            if extents.iter().any(|&n| n != 1 && n != extent) {
                let shown = operands.map(|d| format!("{d:?}")).join(", ");
                return Err(EvalError::Shape(format!("the extents {shown} do not broadcast")));
            }
            dims[rank - back] = extent;
            if extent == 1 {
                continue;
            }
            let extent = usize::try_from(extent).unwrap_or(usize::MAX);
            let mut steps = [0; N];
            for i in 0..N {
                if extents[i] != 1 {
                    steps[i] = sizes[i];
                    sizes[i] = sizes[i].saturating_mul(extent);
                }
            }
            match axes.last_mut() {
                Some(last) if (0..N).all(|i| steps[i] == last.steps[i].saturating_mul(last.extent)) => {
                    last.extent = last.extent.saturating_mul(extent);
                }
                _ => axes.push(Axis { extent, steps }),
            }
        }
        axes.reverse();
        let inner = axes.pop().unwrap_or(Axis { extent: 1, steps: [0; N] });
        Ok(Spread { dims: Dims::from_slice(&dims), outer: axes, inner })
    }

    /// Calls `f(within, positions)` for each stretch along the innermost axis of the `len` results from `start` on:
    /// where it lies counted from `start`, and where each operand's elements begin.
    fn stretches(&self, start: usize, len: usize, mut f: impl FnMut(Range<usize>, [usize; N])) {
        let extent = self.inner.extent.max(1);
        let (mut row, mut column) = (start / extent, start % extent);
        let mut done = 0;
        while done < len {
            let mut at = self.inner.steps.map(|s| s * column);
            let mut rest = row;
            for axis in self.outer.iter().rev() {
                let index = rest % axis.extent;
                rest /= axis.extent;
                for (a, s) in at.iter_mut().zip(axis.steps) {
                    *a += s * index;
                }
            }
            let n = (extent - column).min(len - done);
            f(done..done + n, at);
            done += n;
            row += 1;
            column = 0;
        }
    }
}

/// `f` of two operands that broadcast, with the result's extents.
pub(crate) fn zip<A: Element, B: Element, O: Element + Default>(
    call: &Call<'_>,
    (a, a_dims): (&[A], &[u64]),
    (b, b_dims): (&[B], &[u64]),
    f: impl Fn(A, B) -> O + Sync,
) -> Result<(Dims, Vec<O>), EvalError> {
    let spread = Spread::of([a_dims, b_dims])?;
    let mut out = call.zeros::<O>(&spread.dims)?;
    chunks(&mut out, |start, out| {
        spread.stretches(start, out.len(), |within, [i, j]| {
            let out = &mut out[within];
            let n = out.len();
            Arch::new().dispatch(|| match spread.inner.steps {
                [0, 0] => out.fill(f(a[i], b[j])),
                [_, 0] => {
                    let y = b[j];
                    out.iter_mut().zip(&a[i..i + n]).for_each(|(o, &x)| *o = f(x, y));
                }
                [0, _] => {
                    let x = a[i];
                    out.iter_mut().zip(&b[j..j + n]).for_each(|(o, &y)| *o = f(x, y));
                }
                _ => {
                    let pairs = a[i..i + n].iter().zip(&b[j..j + n]);
                    out.iter_mut().zip(pairs).for_each(|(o, (&x, &y))| *o = f(x, y));
                }
            });
        });
    });
    Ok((spread.dims, out))
}

/// `f` of three operands that broadcast, with the result's extents.
pub(crate) fn zip3<A: Element, B: Element, C: Element, O: Element + Default>(
    call: &Call<'_>,
    (a, a_dims): (&[A], &[u64]),
    (b, b_dims): (&[B], &[u64]),
    (c, c_dims): (&[C], &[u64]),
    f: impl Fn(A, B, C) -> O + Sync,
) -> Result<(Dims, Vec<O>), EvalError> {
    let spread = Spread::of([a_dims, b_dims, c_dims])?;
    let mut out = call.zeros::<O>(&spread.dims)?;
    chunks(&mut out, |start, out| {
        spread.stretches(start, out.len(), |within, [i, j, k]| {
            let out = &mut out[within];
            let n = out.len();
            Arch::new().dispatch(|| match spread.inner.steps {
                [1, 0, 0] => {
                    let (y, z) = (b[j], c[k]);
                    out.iter_mut().zip(&a[i..i + n]).for_each(|(o, &x)| *o = f(x, y, z));
                }
                [1, 1, 1] => {
                    let all = a[i..i + n].iter().zip(&b[j..j + n]).zip(&c[k..k + n]);
                    out.iter_mut().zip(all).for_each(|(o, ((&x, &y), &z))| *o = f(x, y, z));
                }
                [s, t, u] => {
                    for (m, o) in out.iter_mut().enumerate() {
                        *o = f(a[i + m * s], b[j + m * t], c[k + m * u]);
                    }
                }
            });
        });
    });
    Ok((spread.dims, out))
}

/// The extents of a vector over axis 1 of a tensor of rank `rank`, so that it broadcasts.
pub(crate) fn along(axis: usize, count: u64, rank: usize) -> Dims {
    let after = rank.saturating_sub(axis + 1);
    let mut dims = vec![1; after + 1];
    dims[0] = count;
    Dims::from_slice(&dims)
}

/// The range of an integer dtype.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Width {
    unused: u32,
    signed: bool,
}

impl Width {
    pub(crate) fn of(dtype: DType) -> Width {
        let signed = matches!(dtype, DType::I4 | DType::I8 | DType::I16 | DType::I32 | DType::I64);
        Width { unused: 64 - dtype.bits().clamp(1, 64), signed }
    }

    /// The number that has the same low bits and is in range.
    #[inline(always)]
    pub(crate) fn wrap(self, n: i64) -> i64 {
        match self.signed {
            true => (n << self.unused) >> self.unused,
            false => (((n as u64) << self.unused) >> self.unused) as i64,
        }
    }

    /// The number without its fraction, or the end of the range that is nearer; 0 for what is no number.
    #[inline(always)]
    pub(crate) fn truncate(self, x: f64) -> i64 {
        let (low, high) = self.range();
        (x as i64).clamp(low, high)
    }

    /// The least and the greatest number, as far as arrays hold them.
    pub(crate) fn range(self) -> (i64, i64) {
        match self.signed {
            true => (i64::MIN >> self.unused, i64::MAX >> self.unused),
            false => (0, (u64::MAX >> self.unused).min(i64::MAX as u64) as i64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_that_lie_together_become_one() {
        let s = Spread::of([&[2, 3, 4, 5], &[3, 1, 1]]).unwrap();
        assert_eq!(&s.dims[..], [2, 3, 4, 5]);
        assert_eq!(s.inner, Axis { extent: 20, steps: [1, 0] });
        assert_eq!(s.outer.len(), 2);
        let s = Spread::of([&[2, 3, 4], &[2, 3, 4]]).unwrap();
        assert!(s.outer.is_empty());
        let s = Spread::of([&[1, 3, 1], &[2, 1, 4]]).unwrap();
        assert_eq!(&s.dims[..], [2, 3, 4]);
        assert!(Spread::of([&[2, 3], &[3, 2]]).is_err());
        assert!(Spread::of([&[0, 3], &[1, 3]]).unwrap().dims.contains(&0));
        assert!(Spread::of([&[0, 3], &[2, 3]]).is_err());
    }

    #[test]
    fn stretches_from_the_middle_of_a_row() {
        let s = Spread::of([&[3, 4], &[3, 1]]).unwrap();
        let mut seen = Vec::new();
        s.stretches(2, 7, |r, at| seen.push((r, at)));
        assert_eq!(seen, [(0..2, [2, 0]), (2..6, [4, 1]), (6..7, [8, 2])]);
    }

    #[test]
    fn integers_keep_to_their_width() {
        // numpy.array([200, -129, 40000]).astype("int8"), and of -1 to "uint16"
        let w = Width::of(DType::I8);
        assert_eq!([200, -129, 40000].map(|n| w.wrap(n)), [-56, 127, 64]);
        assert_eq!(Width::of(DType::U16).wrap(-1), 65535);
        assert_eq!([300.0, -300.0, -1.9, f64::NAN].map(|x| w.truncate(x)), [127, -128, -1, 0]);
        assert_eq!(Width::of(DType::U8).truncate(-3.0), 0);
        assert_eq!(Width::of(DType::I32).truncate(f64::INFINITY), i64::from(i32::MAX));
    }
}
