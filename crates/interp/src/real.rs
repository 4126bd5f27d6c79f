//! The two float types that kernels compute with.

use anewrite_tensor::{DType, Tensor};
use half::slice::HalfFloatSliceExt;

use crate::arithmetic::{Numerics, Rounding};
use crate::array::Element;
use crate::error::EvalError;
use crate::sums::to_half;

/// A float that kernels compute with: `f32` under fp32 and ane16, `f64` under fp64.
pub(crate) trait Real:
    Element
    + num_traits::Float
    + num_traits::NumAssign
    + std::iter::Sum
    + Default
    + std::fmt::Debug
    + bytemuck::Pod
{
    /// Its dtype.
    const DTYPE: DType;

    /// The nearest value to `x`.
    fn of(x: f64) -> Self;

    /// The value as the wider type.
    fn wide(self) -> f64;

    /// A constant of any float dtype.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn widen(t: &Tensor) -> Result<Vec<Self>, EvalError>;
}

impl Real for f32 {
    const DTYPE: DType = DType::F32;

    fn of(x: f64) -> Self {
        x as f32
    }

    fn wide(self) -> f64 {
        self.into()
    }

    fn widen(t: &Tensor) -> Result<Vec<Self>, EvalError> {
        let bytes = t.bytes()?;
        Ok(match t.dtype() {
            DType::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            DType::F16 => {
                let halves: Vec<half::f16> =
                    bytes.as_chunks().0.iter().map(|&b| half::f16::from_le_bytes(b)).collect();
                let mut out = vec![0.0; halves.len()];
                halves.convert_to_f32_slice(&mut out);
                out
            }
            _ => t.to_f64s()?.into_iter().map(|x| x as f32).collect(),
        })
    }
}

impl Real for f64 {
    const DTYPE: DType = DType::F64;

    fn of(x: f64) -> Self {
        x
    }

    fn wide(self) -> f64 {
        self
    }

    fn widen(t: &Tensor) -> Result<Vec<Self>, EvalError> {
        Ok(t.to_f64s()?)
    }
}

/// The nearest value that fp16 has, for each; beyond 65519 infinity. Where the numerics know no NaN, `nan` stands for it.
pub(crate) fn round_to_half(items: &mut [f32], numerics: Numerics, nan: f32) {
    match numerics.rounding {
        Rounding::HalfEven => {
            let mut halves = [half::f16::ZERO; 512];
            for chunk in items.chunks_mut(halves.len()) {
                let halves = &mut halves[..chunk.len()];
                halves.convert_from_f32_slice(chunk);
                halves.convert_to_f32_slice(chunk);
            }
        }
        Rounding::HalfAway => {
            for x in items.iter_mut() {
                *x = to_half(f64::from(*x), Rounding::HalfAway) as f32;
            }
        }
    }
    if numerics.no_nan {
        for x in items {
            *x = if x.is_nan() { nan } else { *x + 0.0 };
        }
    }
}
