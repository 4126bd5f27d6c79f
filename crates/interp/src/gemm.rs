//! Matrix products, through the `gemm` crate.

use gemm::Parallelism;

use crate::error::EvalError;
use crate::real::Real;
use crate::sums::Sums;

/// A matrix within a slice: element (r, c) is at `offset + r * row + c * col`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) offset: usize,
    pub(crate) row: usize,
    pub(crate) col: usize,
}

impl View {
    /// A matrix with rows of `cols` elements, one after the other.
    pub(crate) fn rows(offset: usize, cols: usize) -> View {
        View { offset, row: cols, col: 1 }
    }

    /// The transpose of [`View::rows`].
    pub(crate) fn cols(offset: usize, rows: usize) -> View {
        View { offset, row: 1, col: rows }
    }

    /// One more than the last position that a matrix of these extents touches.
    fn end(self, rows: usize, cols: usize) -> Option<usize> {
        if rows == 0 || cols == 0 {
            return Some(0);
        }
        let last = (rows - 1).checked_mul(self.row)?.checked_add((cols - 1).checked_mul(self.col)?)?;
        self.offset.checked_add(last)?.checked_add(1)
    }
}

/// A matrix with the elements it lies in.
pub(crate) struct Matrix<'a, T> {
    pub(crate) items: &'a [T],
    pub(crate) at: View,
}

/// `c += a · b`, as [`product`], with the sums of an op: `c` holds what they start from.
///
/// # Errors
/// Where a matrix reaches beyond its slice.
pub(crate) fn accumulate<T: Real>(
    sums: Option<Sums>,
    (m, n, k): (usize, usize, usize),
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    c: &mut [T],
    at_c: View,
    parallel: bool,
) -> Result<(), EvalError> {
    let Some(sums) = sums else {
        return product((m, n, k), a.items, a.at, b.items, b.at, c, at_c, true, parallel);
    };
    let outside = || EvalError::Shape(format!("a product of {m}x{k} and {k}x{n} beyond its operands"));
    let fits = |view: View, rows, cols, len| view.end(rows, cols).is_some_and(|end| end <= len);
    if !fits(a.at, m, k, a.items.len()) || !fits(b.at, k, n, b.items.len()) {
        return Err(outside());
    }
    for i in 0..m {
        for j in 0..n {
            let row = a.items.iter().skip(a.at.offset + i * a.at.row).step_by(a.at.col.max(1));
            let col = b.items.iter().skip(b.at.offset + j * b.at.col).step_by(b.at.row.max(1));
            let c = c.get_mut(at_c.offset + i * at_c.row + j * at_c.col).ok_or_else(outside)?;
            let products = row.zip(col).take(k).map(|(&a, &b)| (a.wide(), b.wide()));
            *c = T::of(sums.dot(c.wide(), products));
        }
    }
    Ok(())
}

/// `c = a · b`, or `c += a · b` where `add` is set, with `a` of m×k, `b` of k×n, `c` of m×n.
///
/// # Errors
/// Where a matrix reaches beyond its slice.
#[expect(clippy::too_many_arguments, reason = "three matrices with three extents")]
pub(crate) fn product<T: Real>(
    (m, n, k): (usize, usize, usize),
    a: &[T],
    at_a: View,
    b: &[T],
    at_b: View,
    c: &mut [T],
    at_c: View,
    add: bool,
    parallel: bool,
) -> Result<(), EvalError> {
    let fits = |view: View, rows, cols, len| view.end(rows, cols).is_some_and(|end| end <= len);
    let distinct =
        at_c.row >= n.max(1) * at_c.col && at_c.col > 0 || at_c.col >= m.max(1) * at_c.row && at_c.row > 0;
    if !fits(at_a, m, k, a.len()) || !fits(at_b, k, n, b.len()) || !fits(at_c, m, n, c.len()) || !distinct {
        return Err(EvalError::Shape(format!("a product of {m}x{k} and {k}x{n} beyond its operands")));
    }
    if m == 0 || n == 0 {
        return Ok(());
    }
    let parallelism = if parallel { Parallelism::Rayon(0) } else { Parallelism::None };
    // Sound: the checks above keep every position within its slice, elements of c apart from each other, and c is
    // borrowed alone. The crate has no interface over slices.
    #[expect(unsafe_code, reason = "the interface of gemm takes pointers")]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr().add(at_c.offset),
            at_c.col as isize,
            at_c.row as isize,
            add,
            a.as_ptr().add(at_a.offset),
            at_a.col as isize,
            at_a.row as isize,
            b.as_ptr().add(at_b.offset),
            at_b.col as isize,
            at_b.row as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            parallelism,
        );
    }
    Ok(())
}
