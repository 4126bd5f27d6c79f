use bytes::Bytes;
use smallvec::SmallVec;
use thiserror::Error;

use crate::{DType, Payload};

/// The extents of a constant, outermost first. Empty for a scalar.
pub type Dims = SmallVec<[u64; 5]>;

/// A constant: what it is and where its elements are.
#[derive(Clone, Debug)]
pub struct Tensor {
    dtype: DType,
    dims: Dims,
    payload: Payload,
}

/// Why a constant cannot be made or read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TensorError {
    /// The product of the extents passes 2^63.
    #[error("the extents {0:?} have a product over 2^63")]
    Overflow(Dims),
    /// The payload's length is not what dtype and extents ask for.
    #[error("{dtype} of shape {dims:?} needs {want} bytes, the payload has {have}")]
    Length {
        /// The declared dtype.
        dtype: DType,
        /// The declared extents.
        dims: Dims,
        /// Bytes asked for.
        want: u64,
        /// Bytes found.
        have: u64,
    },
    /// The payload cannot be read as elements of the dtype.
    #[error("the payload is not readable as {0}")]
    Unreadable(DType),
}

impl Tensor {
    /// Makes a constant and checks that the payload is as long as dtype and dims ask for.
    ///
    /// Varint payloads are checked when they are decoded, for their length does not follow from the count.
    ///
    /// ```
    /// use anewrite_tensor::{DType, Tensor};
    /// let t = Tensor::new(DType::I32, [2], vec![1, 0, 0, 0, 255, 255, 255, 255]).unwrap();
    /// assert_eq!(t.to_i64s().unwrap(), [1, -1]);
    /// ```
    pub fn new(
        dtype: DType,
        dims: impl IntoIterator<Item = u64>,
        payload: impl Into<Payload>,
    ) -> Result<Tensor, TensorError> {
        let t = Tensor { dtype, dims: dims.into_iter().collect(), payload: payload.into() };
        let count = count_of(&t.dims)?;
        let want = byte_len(dtype, count).ok_or_else(|| TensorError::Overflow(t.dims.clone()))?;
        let have = match &t.payload {
            Payload::Bytes(_) | Payload::Chunks(_) => t.payload.stored_len() as u64,
            Payload::Varints(_) => want,
            Payload::Strings(s) if s.len() as u64 == count => want,
            Payload::Strings(s) => s.len() as u64,
        };
        if have != want {
            return Err(TensorError::Length { dtype, dims: t.dims, want, have });
        }
        Ok(t)
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extents, outermost first.
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// Number of dims; 0 for a scalar.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Number of elements.
    pub fn count(&self) -> u64 {
        count_of(&self.dims).unwrap_or(u64::MAX)
    }

    /// Where the elements are.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The same elements under other extents; no byte moves.
    ///
    /// # Errors
    /// When the number of elements differs.
    pub fn reshaped(&self, dims: impl IntoIterator<Item = u64>) -> Result<Tensor, TensorError> {
        let dims: Dims = dims.into_iter().collect();
        if count_of(&dims)? != self.count() {
            return Err(TensorError::Length {
                dtype: self.dtype,
                want: count_of(&dims)?,
                have: self.count(),
                dims,
            });
        }
        Ok(Tensor { dims, ..self.clone() })
    }

    /// The elements as one run of bytes, shared with the file where it has them contiguous.
    ///
    /// # Errors
    /// [`TensorError::Unreadable`] for text and for broken varints, [`TensorError::Length`] where the varints
    /// are more or fewer than the extents ask for.
    pub fn bytes(&self) -> Result<Bytes, TensorError> {
        let width = (self.dtype.bits() / 8) as usize;
        let b = (self.payload.contiguous(width)).ok_or(TensorError::Unreadable(self.dtype))?;
        let want = byte_len(self.dtype, self.count()).unwrap_or(u64::MAX);
        if b.len() as u64 != want {
            return Err(TensorError::Length {
                dtype: self.dtype,
                dims: self.dims.clone(),
                want,
                have: b.len() as u64,
            });
        }
        Ok(b)
    }

    /// Whether both hold the same dtype, extents and bits. Reads the payloads only when all else agrees.
    pub fn same_bits(&self, other: &Tensor) -> bool {
        if self.dtype != other.dtype || self.dims != other.dims {
            return false;
        }
        match (&self.payload, &other.payload) {
            (Payload::Strings(a), Payload::Strings(b)) => a == b,
            (Payload::Bytes(a), Payload::Bytes(b)) => a == b,
            _ => match (self.bytes(), other.bytes()) {
                (Ok(a), Ok(b)) => a == b,
                _ => false,
            },
        }
    }
}

/// Bytes that `count` elements take, the last one padded up to a whole byte. `None` on overflow.
fn byte_len(dtype: DType, count: u64) -> Option<u64> {
    Some(count.checked_mul(u64::from(dtype.bits()))?.div_ceil(8))
}

fn count_of(dims: &Dims) -> Result<u64, TensorError> {
    let mut product = 1u64;
    for &d in dims {
        product = (product.checked_mul(d).filter(|&p| p < 1 << 63))
            .ok_or_else(|| TensorError::Overflow(dims.clone()))?;
    }
    Ok(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_that_overflow_are_refused() {
        let e = Tensor::new(DType::F16, [1 << 40, 1 << 40], vec![]).unwrap_err();
        assert!(matches!(e, TensorError::Overflow(_)), "{e}");
    }

    #[test]
    fn sub_byte_lengths_round_up() {
        assert!(Tensor::new(DType::U3, [3], vec![0, 0]).is_ok());
        assert!(Tensor::new(DType::U3, [3], vec![0]).is_err());
        assert!(Tensor::new(DType::I4, [5], vec![0; 3]).is_ok());
    }

    #[test]
    fn reshaping_shares_the_bytes() {
        let t = Tensor::new(DType::F16, [2, 3], vec![7; 12]).unwrap();
        let r = t.reshaped([2, 3, 1, 1]).unwrap();
        assert_eq!(t.bytes().unwrap().as_ptr(), r.bytes().unwrap().as_ptr());
        assert!(t.reshaped([5]).is_err());
    }
}
