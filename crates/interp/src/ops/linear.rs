//! Matrix products.

#[cfg(test)]
mod tests;

use anewrite_tensor::DType;
use rayon::prelude::*;

use crate::array::{Array, Data, count};
use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::gemm::{Matrix, View, accumulate};
use crate::kernel::{Table, real};
use crate::number::Number;
use crate::real::Real;
use crate::sums::Sums;

pub(crate) const TABLE: Table = &[("linear", real!(linear)), ("matmul", real!(matmul))];

/// `x · weightᵀ + bias` over the last axis of x.
fn linear<T: Real>(call: &Call<'_>) -> Computed {
    let (x, weight) = (call.array("x")?, call.array("weight")?);
    let (&[out, inputs], Some((&last, outer))) = (weight.dims(), x.dims().split_last()) else {
        return Err(EvalError::bad("weight", format!("{weight:?} for {x:?}")));
    };
    if last != inputs {
        return Err(EvalError::bad("weight", format!("{weight:?} for {x:?}")));
    }
    let bias = call.find("bias")?;
    if bias.is_some_and(|b| b.dims() != [out]) {
        return Err(EvalError::bad("bias", format!("a vector of {out} is needed")));
    }
    let mut dims = outer.to_vec();
    dims.push(out);
    let sizes = [outer.iter().product(), out, inputs].map(|n: u64| n as usize);
    let products =
        Products { sizes, a: View::rows(0, sizes[2]), b: View::cols(0, sizes[2]), at: vec![(0, 0)] };
    multiply::<T>(call, x, weight, bias, x.dtype(), &dims, &products)
}

/// Batch axes broadcast; a vector is one row of x or one column of y, whose axis is not in the result.
fn matmul<T: Real>(call: &Call<'_>) -> Computed {
    let (x, y) = (call.array("x")?, call.array("y")?);
    let a = Side::of(x, call.flag("transpose_x")?, true)?;
    let b = Side::of(y, call.flag("transpose_y")?, false)?;
    if a.cols != b.rows {
        return Err(EvalError::bad("y", format!("{y:?} for {x:?}")));
    }
    let batch = broadcast(&a.batch, &b.batch)?;
    let mut dims = batch.clone();
    dims.extend((x.rank() > 1).then_some(a.rows as u64));
    dims.extend((y.rank() > 1).then_some(b.cols as u64));
    let is_weight = b.batch.iter().all(|&d| d == 1) && !call.flag("transpose_x")?;
    let products = if is_weight {
        // the batch adds rows
        let rows = batch.iter().product::<u64>() as usize * a.rows;
        Products { sizes: [rows, b.cols, a.cols], a: a.view, b: b.view, at: vec![(0, 0)] }
    } else {
        let at = starts(&batch, &a.batch, a.rows * a.cols).into_iter();
        let at = at.zip(starts(&batch, &b.batch, b.rows * b.cols)).collect();
        Products { sizes: [a.rows, b.cols, a.cols], a: a.view, b: b.view, at }
    };
    // a constant may have other elements than its counterpart, and then does not count
    let dtype = call.result_dtype(0, x.dtype());
    multiply::<T>(call, x, y, None, dtype, &dims, &products)
}

/// One operand as matrices.
struct Side {
    batch: Vec<u64>,
    rows: usize,
    cols: usize,
    view: View,
}

impl Side {
    fn of(a: &Array, transposed: bool, left: bool) -> Result<Side, EvalError> {
        let (batch, rows, cols) = match *a.dims() {
            [] => return Err(EvalError::Shape("a scalar is no matrix".into())),
            [n] if left => (Vec::new(), 1, n as usize),
            [n] => (Vec::new(), n as usize, 1),
            [ref batch @ .., r, c] => (batch.to_vec(), r as usize, c as usize),
        };
        Ok(match transposed && a.rank() > 1 {
            true => Side { batch, rows: cols, cols: rows, view: View::cols(0, cols) },
            false => Side { batch, rows, cols, view: View::rows(0, cols) },
        })
    }
}

/// The extents to which both broadcast.
pub(super) fn broadcast(a: &[u64], b: &[u64]) -> Result<Vec<u64>, EvalError> {
    let rank = a.len().max(b.len());
    let at = |dims: &[u64], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    let both = (0..rank).map(|i| match (at(a, i), at(b, i)) {
        (1, n) | (n, 1) => Ok(n),
        (n, m) if n == m => Ok(n),
        _ => Err(EvalError::Shape(format!("the extents {a:?} and {b:?} do not broadcast"))),
    });
    both.collect()
}

/// Where the matrices of an operand begin, for each place in the batch that its own broadcasts to.
pub(super) fn starts(batch: &[u64], own: &[u64], size: usize) -> Vec<usize> {
    let mut out = vec![0];
    let front = batch.len() - own.len();
    for (i, &n) in batch.iter().enumerate() {
        let own = i.checked_sub(front).map_or(1, |i| own[i]);
        let next = out
            .iter()
            .flat_map(|&at| (0..n).map(move |j| at * own as usize + if own == 1 { 0 } else { j as usize }));
        out = next.collect();
    }
    out.iter_mut().for_each(|at| *at *= size);
    out
}

/// Products of matrices that lie one after the other in the result.
struct Products {
    /// Rows, columns, and elements of a sum.
    sizes: [usize; 3],
    a: View,
    b: View,
    /// Where the operands of each begin.
    at: Vec<(usize, usize)>,
}

fn multiply<T: Real>(
    call: &Call<'_>,
    x: &Array,
    y: &Array,
    bias: Option<&Array>,
    dtype: DType,
    dims: &[u64],
    products: &Products,
) -> Computed {
    let integers = [Some(x), Some(y), bias].iter().flatten().all(|a| matches!(a.data(), Data::Int(_)));
    if integers {
        return of_ints(call, x, y, bias, dtype, dims, products);
    }
    let floats = |param, a: &Array| {
        T::stored(a.data()).cloned().ok_or_else(|| EvalError::bad(param, format!("{a:?} beside others")))
    };
    let (x, y) = (floats("x", x)?, floats("y", y)?);
    let mut out = call.zeros::<T>(dims)?;
    let [m, n, k] = products.sizes;
    if out.is_empty() {
        return call.one(dtype, dims, out);
    }
    if let Some(bias) = bias {
        let bias = floats("bias", bias)?;
        out.par_chunks_mut(n * 64)
            .for_each(|rows| rows.chunks_mut(n).for_each(|row| row.copy_from_slice(&bias)));
    }
    let sums = Sums::of(call.arithmetic());
    let one = |out: &mut [T], at: (usize, usize), parallel: bool| {
        let a = Matrix { items: &x[..], at: View { offset: at.0, ..products.a } };
        let b = Matrix { items: &y[..], at: View { offset: at.1, ..products.b } };
        accumulate(sums, (m, n, k), a, b, out, View::rows(0, n), parallel)
    };
    if products.at.len() >= rayon::current_num_threads() {
        let least = (1 << 16) / (m * n * k).max(1) + 1;
        let tasks = out.par_chunks_mut(m * n).zip(&products.at).with_min_len(least);
        tasks.try_for_each(|(out, &at)| one(out, at, false))?;
    } else {
        for (out, &at) in out.chunks_mut(m * n).zip(&products.at) {
            one(out, at, true)?;
        }
    }
    call.one(dtype, dims, out)
}

/// Whole numbers, which wrap at the width of their dtype.
fn of_ints(
    call: &Call<'_>,
    x: &Array,
    y: &Array,
    bias: Option<&Array>,
    dtype: DType,
    dims: &[u64],
    products: &Products,
) -> Computed {
    let (x, y) = (x.items::<i64>().unwrap_or(&[]), y.items::<i64>().unwrap_or(&[]));
    let bias = bias.and_then(Array::items::<i64>);
    let [m, n, k] = products.sizes;
    let mut out = Vec::with_capacity(count(dims).unwrap_or(0));
    drop(call.zeros::<i64>(dims)?);
    for &(at_a, at_b) in &products.at {
        for i in 0..m {
            for j in 0..n {
                let mut sum = bias.and_then(|b| b.get(j)).copied().unwrap_or(0);
                for l in 0..k {
                    let a = x.get(at_a + i * products.a.row + l * products.a.col).copied().unwrap_or(0);
                    let b = y.get(at_b + l * products.b.row + j * products.b.col).copied().unwrap_or(0);
                    sum = sum.wrapping_add(a.wrapping_mul(b));
                }
                out.push(sum.within(dtype));
            }
        }
    }
    call.one(dtype, dims, out)
}
