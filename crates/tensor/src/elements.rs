//! Reading and making constants element by element.

use std::sync::Arc;

use half::{bf16, f16};

use crate::{DType, Payload, Tensor, TensorError};

impl Tensor {
    /// Integer, boolean (0 or 1) and sub-byte elements as `i64`, row-major.
    ///
    /// # Errors
    /// [`TensorError::Unreadable`] for floats, text, and `u64` values over `i64::MAX`.
    pub fn to_i64s(&self) -> Result<Vec<i64>, TensorError> {
        let bad = || TensorError::Unreadable(self.dtype());
        let b = self.bytes()?;
        let out = match self.dtype() {
            DType::Bool => b.iter().map(|&x| i64::from(x != 0)).collect(),
            DType::U8 => b.iter().map(|&x| i64::from(x)).collect(),
            DType::I8 => b.iter().map(|&x| i64::from(x as i8)).collect(),
            DType::I16 => le(&b, |x| i64::from(i16::from_le_bytes(x))),
            DType::U16 => le(&b, |x| i64::from(u16::from_le_bytes(x))),
            DType::I32 => le(&b, |x| i64::from(i32::from_le_bytes(x))),
            DType::U32 => le(&b, |x| i64::from(u32::from_le_bytes(x))),
            DType::I64 => le(&b, i64::from_le_bytes),
            DType::U64 => {
                let v: Vec<Option<i64>> = le(&b, |x| u64::from_le_bytes(x).try_into().ok());
                v.into_iter().collect::<Option<_>>().ok_or_else(bad)?
            }
            DType::I4 => sub_byte(&b, 4, self.count()).map(|x| (i64::from(x) << 60) >> 60).collect(),
            DType::U1 | DType::U2 | DType::U3 | DType::U4 | DType::U6 => {
                sub_byte(&b, self.dtype().bits(), self.count()).map(i64::from).collect()
            }
            _ => return Err(bad()),
        };
        Ok(out)
    }

    /// Every numeric element as `f64`, row-major: exact for all dtypes but 64-bit integers over 2^53.
    ///
    /// # Errors
    /// [`TensorError::Unreadable`] for text.
    pub fn to_f64s(&self) -> Result<Vec<f64>, TensorError> {
        let b = match self.dtype() {
            d if !d.is_float() => {
                return Ok(self.to_i64s()?.into_iter().map(|x| x as f64).collect());
            }
            _ => self.bytes()?,
        };
        Ok(match self.dtype() {
            DType::F16 => le(&b, |x| f64::from(f16::from_le_bytes(x))),
            DType::BF16 => le(&b, |x| f64::from(bf16::from_le_bytes(x))),
            DType::F32 => le(&b, |x| f64::from(f32::from_le_bytes(x))),
            DType::F64 => le(&b, f64::from_le_bytes),
            DType::F8E4M3 => b.iter().map(|&x| f8(x, 3, 7, true)).collect(),
            DType::F8E5M2 => b.iter().map(|&x| f8(x, 2, 15, false)).collect(),
            d => return Err(TensorError::Unreadable(d)),
        })
    }

    /// The text elements, if this is text.
    pub fn strings(&self) -> Option<&[Arc<str>]> {
        match self.payload() {
            Payload::Strings(s) => Some(s),
            _ => None,
        }
    }

    /// The one integer of a constant with one element, whatever its rank.
    pub fn scalar_i64(&self) -> Option<i64> {
        if self.count() != 1 {
            return None;
        }
        self.to_i64s().ok()?.first().copied()
    }

    /// The one number of a constant with one element, whatever its rank.
    pub fn scalar_f64(&self) -> Option<f64> {
        if self.count() != 1 {
            return None;
        }
        self.to_f64s().ok()?.first().copied()
    }

    /// The one text of a constant with one element.
    pub fn scalar_str(&self) -> Option<&str> {
        match self.strings()? {
            [one] => Some(one),
            _ => None,
        }
    }

    /// An `int32` vector of shape `[values.len()]`.
    pub fn i32s(values: impl IntoIterator<Item = i32>) -> Tensor {
        let b: Vec<u8> = values.into_iter().flat_map(i32::to_le_bytes).collect();
        let n = b.len() as u64 / 4;
        whole(DType::I32, &[n], b.into())
    }

    /// An `int32` scalar.
    pub fn i32(value: i32) -> Tensor {
        whole(DType::I32, &[], value.to_le_bytes().to_vec().into())
    }

    /// A `bool` scalar.
    pub fn bool(value: bool) -> Tensor {
        whole(DType::Bool, &[], vec![u8::from(value)].into())
    }

    /// A `bool` vector of shape `[values.len()]`.
    pub fn bools(values: impl IntoIterator<Item = bool>) -> Tensor {
        let b: Vec<u8> = values.into_iter().map(u8::from).collect();
        whole(DType::Bool, &[b.len() as u64], b.into())
    }

    /// A text scalar.
    pub fn string(value: &str) -> Tensor {
        whole(DType::String, &[], Payload::Strings([Arc::from(value)].into()))
    }

    /// Numbers rounded to nearest-even into `dtype`, under `dims`.
    ///
    /// # Errors
    /// [`TensorError::Length`] when `values` and `dims` disagree, [`TensorError::Unreadable`] for dtypes that
    /// have no such rounding here (text, sub-byte, 8-bit floats) and for integers out of range.
    pub fn from_f64s(dtype: DType, dims: &[u64], values: &[f64]) -> Result<Tensor, TensorError> {
        let bad = TensorError::Unreadable(dtype);
        let int = |lo: f64, hi: f64, v: &f64| (v.fract() == 0.0 && *v >= lo && *v <= hi).then_some(*v as i64);
        let mut b = Vec::with_capacity(values.len() * (dtype.bits() as usize).div_ceil(8));
        for v in values {
            match dtype {
                DType::F16 => b.extend(f16::from_f64(*v).to_le_bytes()),
                DType::BF16 => b.extend(bf16::from_f64(*v).to_le_bytes()),
                DType::F32 => b.extend((*v as f32).to_le_bytes()),
                DType::F64 => b.extend(v.to_le_bytes()),
                DType::Bool => b.push(u8::from(*v != 0.0)),
                DType::I8 => b.extend((int(-128.0, 127.0, v).ok_or(bad.clone())? as i8).to_le_bytes()),
                DType::U8 => b.push(int(0.0, 255.0, v).ok_or(bad.clone())? as u8),
                DType::I16 => {
                    b.extend((int(-32768.0, 32767.0, v).ok_or(bad.clone())? as i16).to_le_bytes());
                }
                DType::U16 => b.extend((int(0.0, 65535.0, v).ok_or(bad.clone())? as u16).to_le_bytes()),
                DType::I32 => {
                    b.extend((int(-2147483648.0, 2147483647.0, v).ok_or(bad.clone())? as i32).to_le_bytes())
                }
                DType::U32 => {
                    b.extend((int(0.0, 4294967295.0, v).ok_or(bad.clone())? as u32).to_le_bytes());
                }
                _ => return Err(bad),
            }
        }
        Tensor::new(dtype, dims.iter().copied(), b)
    }
}

/// For payloads made here, whose length is right by construction.
fn whole(dtype: DType, dims: &[u64], payload: Payload) -> Tensor {
    match Tensor::new(dtype, dims.iter().copied(), payload) {
        Ok(t) => t,
        Err(e) => unreachable!("{e}"),
    }
}

fn le<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|c| f(*c)).collect()
}

/// Elements of `bits` < 8 bits, packed from the low bit of the first byte up.
fn sub_byte(bytes: &[u8], bits: u32, count: u64) -> impl Iterator<Item = u8> + '_ {
    (0..count).map(move |i| {
        let at = i * u64::from(bits);
        let (byte, shift) = ((at / 8) as usize, (at % 8) as u32);
        let low = bytes.get(byte).copied().unwrap_or(0);
        let high = bytes.get(byte + 1).copied().unwrap_or(0);
        let pair = u16::from(low) | u16::from(high) << 8;
        ((pair >> shift) as u8) & ((1u8 << bits) - 1)
    })
}

fn f8(byte: u8, mantissa_bits: u32, bias: i32, finite_only: bool) -> f64 {
    let sign = if byte & 0x80 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((byte & 0x7f) >> mantissa_bits);
    let mantissa = i32::from(byte & ((1 << mantissa_bits) - 1));
    let top = 0x7f >> mantissa_bits;
    let fraction = f64::from(mantissa) / f64::from(1 << mantissa_bits);
    match (exponent, mantissa) {
        (0, _) => sign * fraction * 2f64.powi(1 - bias),
        (e, m) if finite_only && e == top && m == (1 << mantissa_bits) - 1 => f64::NAN,
        (e, 0) if !finite_only && e == top => sign * f64::INFINITY,
        (e, _) if !finite_only && e == top => f64::NAN,
        (e, _) => sign * (1.0 + fraction) * 2f64.powi(e - bias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bit_elements_straddle_bytes() {
        // numpy.packbits(bitorder="little") of the 3-bit forms of 1, 6, 5, 7, 2
        let t = Tensor::new(DType::U3, [5], vec![0b0111_0001, 0b0010_1111]).unwrap();
        assert_eq!(t.to_i64s().unwrap(), [1, 6, 5, 7, 2]);
    }

    #[test]
    fn signed_nibbles_extend_their_sign() {
        let t = Tensor::new(DType::I4, [3], vec![0x8f, 0x07]).unwrap();
        assert_eq!(t.to_i64s().unwrap(), [-1, -8, 7]);
    }

    #[test]
    fn eight_bit_floats_at_their_edges() {
        // values from the OCP 8-bit floating point specification, table 2
        let t = Tensor::new(DType::F8E4M3, [4], vec![0x7e, 0x01, 0x08, 0xc0]).unwrap();
        assert_eq!(t.to_f64s().unwrap(), [448.0, 2f64.powi(-9), 2f64.powi(-6), -2.0]);
        let t = Tensor::new(DType::F8E5M2, [3], vec![0x7b, 0x01, 0x7c]).unwrap();
        assert_eq!(t.to_f64s().unwrap(), [57344.0, 2f64.powi(-16), f64::INFINITY]);
    }

    #[test]
    fn rounding_refuses_what_does_not_fit() {
        assert!(Tensor::from_f64s(DType::I8, &[1], &[128.0]).is_err());
        assert!(Tensor::from_f64s(DType::I32, &[1], &[0.5]).is_err());
        let t = Tensor::from_f64s(DType::F16, &[2], &[1.0 / 3.0, 70000.0]).unwrap();
        assert_eq!(t.to_f64s().unwrap(), [0.333251953125, f64::INFINITY]);
    }
}
