//! One op on constants.

use anewrite_ir::TensorType;
use anewrite_tensor::{DType, Tensor};

use crate::error::FoldError;
use crate::{ints, moves};

/// One constant operand: the parameter, and the constant.
pub type Arg<'a> = (&'a str, &'a Tensor);

/// Evaluates an op with one result on constants. `result` is the type that inference gives it; `budget` the most bytes
/// that it may have.
///
/// # Errors
/// Where the op is not covered, its operands do not fit, or the result is too large.
///
/// ```
/// use anewrite_interp::fold;
/// use anewrite_ir::TensorType;
/// use anewrite_tensor::{DType, Tensor};
///
/// let x = Tensor::i32s([5, 6, 7]).reshaped([1, 3])?;
/// let perm = Tensor::i32s([1, 0]);
/// let y = fold("transpose", &[("x", &x), ("perm", &perm)], &TensorType::fixed(DType::I32, [3, 1]), 1 << 20)?;
/// assert_eq!((y.dims(), y.to_i64s()?), (&[3u64, 1][..], vec![5, 6, 7]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fold(kind: &str, args: &[Arg<'_>], result: &TensorType, budget: u64) -> Result<Tensor, FoldError> {
    let call = Call { kind, args, dtype: result.dtype, dims: dims(result)? };
    let bytes = call.dims.iter().try_fold(u64::from(result.dtype.bits()), |n, &d| n.checked_mul(d));
    match bytes.map(|bits| bits.div_ceil(8)) {
        Some(n) if n <= budget => {}
        n => return Err(FoldError::TooLarge(n.unwrap_or(u64::MAX))),
    }
    match moves::evaluate(&call) {
        Err(FoldError::Unsupported(_)) => ints::evaluate(&call),
        done => done,
    }
}

fn dims(t: &TensorType) -> Result<Vec<u64>, FoldError> {
    let known = t.known_dims().ok_or_else(|| FoldError::Bad(format!("the shape is not known: {t}")))?;
    Ok(known.to_vec())
}

/// An op under evaluation.
pub(crate) struct Call<'a> {
    pub(crate) kind: &'a str,
    args: &'a [Arg<'a>],
    /// The result's dtype.
    pub(crate) dtype: DType,
    /// The result's extents.
    pub(crate) dims: Vec<u64>,
}

impl<'a> Call<'a> {
    pub(crate) fn find(&self, param: &str) -> Option<&'a Tensor> {
        self.args.iter().find(|(name, _)| *name == param).map(|(_, t)| *t)
    }

    pub(crate) fn get(&self, param: &'static str) -> Result<&'a Tensor, FoldError> {
        self.find(param).ok_or(FoldError::Missing(param))
    }

    pub(crate) fn all<'b>(&'b self, param: &'b str) -> impl Iterator<Item = &'a Tensor> + 'b {
        self.args.iter().filter(move |(name, _)| *name == param).map(|(_, t)| *t)
    }

    pub(crate) fn ints(&self, param: &'static str) -> Result<Option<Vec<i64>>, FoldError> {
        Ok(self.find(param).map(Tensor::to_i64s).transpose()?)
    }

    pub(crate) fn int_or(&self, param: &str, default: i64) -> Result<i64, FoldError> {
        match self.find(param) {
            None => Ok(default),
            Some(t) => t.scalar_i64().ok_or_else(|| FoldError::Bad(format!("{param} is not one integer"))),
        }
    }

    /// The parameter as an axis of a tensor of rank `rank`.
    pub(crate) fn axis(&self, param: &str, default: i64, rank: usize) -> Result<usize, FoldError> {
        normal(self.int_or(param, default)?, rank)
    }
}

/// An axis counted from the front.
pub(crate) fn normal(axis: i64, rank: usize) -> Result<usize, FoldError> {
    let front = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(front)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| FoldError::Bad(format!("there is no axis {axis} in rank {rank}")))
}

/// Walks the indices of a tensor of these extents, row by row.
pub(crate) fn each_index(
    dims: &[u64],
    mut f: impl FnMut(&[u64]) -> Result<(), FoldError>,
) -> Result<(), FoldError> {
    let count = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).ok_or(FoldError::TooLarge(u64::MAX))?;
    let mut index = vec![0u64; dims.len()];
    for _ in 0..count {
        f(&index)?;
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            if index[axis] < dims[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Ok(())
}

/// Position of an index in row-major order.
pub(crate) fn position(dims: &[u64], index: &[u64]) -> u64 {
    dims.iter().zip(index).fold(0, |at, (&d, &i)| at * d + i)
}

/// The index of an operand that broadcasts to the result: aligned at the last axis, 0 where its extent is 1.
pub(crate) fn broadcast(dims: &[u64], index: &[u64]) -> u64 {
    let skip = index.len().saturating_sub(dims.len());
    dims.iter().zip(&index[skip..]).fold(0, |at, (&d, &i)| at * d + if d == 1 { 0 } else { i })
}
