//! Weights that stay as small as the file has them, unpacked by `constexpr_*` ops.

use anewrite_ir::{Opset, ValueId};
use anewrite_tensor::{DType, Tensor};

use super::weights::{Quantization, Values, check_factors, unpack};
use super::{Cx, One};
use crate::error::Reason;

impl Cx<'_, '_> {
    /// Halves where 32-bit floats are computed with; `None` where the opset has no op for it.
    pub(super) fn widened(&mut self, halves: Tensor) -> Result<Option<ValueId>, Reason> {
        if self.call.float != DType::F32 || halves.dtype() != DType::F16 || self.opset() < Opset::Ios16 {
            return Ok(None);
        }
        let (v, to) = (self.b.constant(halves), self.text("fp32"));
        self.op("constexpr_cast", &[("source_val", v), ("output_dtype", to)]).map(Some)
    }

    /// Quantised weights; `None` where no op of the opset gives exactly their numbers.
    pub(super) fn quantised(
        &mut self,
        path: &str,
        q: &Quantization,
        raw: &Tensor,
        dims: &[u64],
        axis: usize,
    ) -> Result<Option<ValueId>, Reason> {
        let count = dims.iter().product::<u64>();
        if self.opset() < Opset::Ios16 || count == 0 {
            return Ok(None);
        }
        let bytes = unpack(raw, count, q.bits)?;
        let table = match &q.values {
            Values::Lookup(table) => table.clone(),
            Values::Linear { scale, bias } => {
                check_factors(path, scale, dims, axis)?;
                check_factors(path, bias, dims, axis)?;
                if let Some(zero) = zero_points(scale, bias) {
                    return self.affine(raw.dtype(), bytes, dims, axis, scale, &zero).map(Some);
                }
                if scale.len() > 1 || bias.len() > 1 {
                    return Ok(None);
                }
                let (s, b) = (scale.first().unwrap_or(&1.0), bias.first().unwrap_or(&0.0));
                (0..1u32 << q.bits).map(|n| f64::from(n) * s + b).collect()
            }
        };
        self.looked_up(path, bytes.as_ref(), table, q.bits, dims).map(Some)
    }

    /// `scale * (q - zero)`.
    fn affine(
        &mut self,
        dtype: DType,
        bytes: bytes::Bytes,
        dims: &[u64],
        axis: usize,
        scale: &[f64],
        zero: &[u8],
    ) -> One {
        let shape = |n: usize| if n == 1 { Vec::new() } else { vec![n as u64] };
        let data = self.b.constant(Tensor::new(dtype, dims.iter().copied(), bytes)?);
        let numbers: Vec<f64> = zero.iter().map(|&z| f64::from(z)).collect();
        let zero = self.b.constant(Tensor::from_f64s(dtype, &shape(zero.len()), &numbers)?);
        let scale = self.b.constant(Tensor::from_f64s(self.call.float, &shape(scale.len()), scale)?);
        let axis = self.int(axis as i64)?;
        let args = [("quantized_data", data), ("zero_point", zero), ("scale", scale), ("axis", axis)];
        self.op("constexpr_affine_dequantize", &args)
    }

    /// `table[q]`. Tables have 2, 4, 16, 64 or 256 entries; those of other widths are filled up.
    fn looked_up(&mut self, path: &str, q: &[u8], mut table: Vec<f64>, bits: u32, dims: &[u64]) -> One {
        if q.iter().any(|&i| usize::from(i) >= table.len()) {
            return Err(Reason::weights(path, "an index is outside the look-up table"));
        }
        let (bits, dtype) = match bits {
            1 => (1, DType::U1),
            2 => (2, DType::U2),
            3 | 4 => (4, DType::U4),
            5 | 6 => (6, DType::U6),
            _ => (8, DType::U8),
        };
        table.resize(1 << bits, 0.0);
        if self.opset() < Opset::Ios18 {
            let packed = pack(q, bits);
            let indices = self.b.constant(Tensor::new(DType::U8, [packed.len() as u64], packed)?);
            let lut = self.b.constant(Tensor::from_f64s(self.call.float, &[table.len() as u64], &table)?);
            let extents: Vec<f64> = dims.iter().map(|&n| n as f64).collect();
            let shape = self.b.constant(Tensor::from_f64s(DType::U32, &[dims.len() as u64], &extents)?);
            return self
                .op("constexpr_lut_to_dense", &[("indices", indices), ("lut", lut), ("shape", shape)]);
        }
        let indices = self.b.constant(Tensor::new(dtype, dims.iter().copied(), pack(q, bits))?);
        let mut extents = vec![1; dims.len()];
        extents.extend([table.len() as u64, 1]);
        let lut = self.b.constant(Tensor::from_f64s(self.call.float, &extents, &table)?);
        self.op("constexpr_lut_to_dense", &[("indices", indices), ("lut", lut)])
    }
}

/// The bytes that stand for zero, one or one a channel, where `q * scale + bias` has such.
fn zero_points(scale: &[f64], bias: &[f64]) -> Option<Vec<u8>> {
    if scale.is_empty() {
        return None;
    }
    let of = |(s, b): (&f64, &f64)| {
        let zero = (-b / s).round();
        let exact = (b + s * zero).abs() <= 1e-7 * b.abs();
        (exact && (0.0..=255.0).contains(&zero)).then_some(zero as u8)
    };
    match bias {
        [] => Some(vec![0]),
        bias if bias.len() == scale.len() => scale.iter().zip(bias).map(of).collect(),
        [one] => scale.iter().map(|s| of((s, one))).collect(),
        _ => None,
    }
}

/// `bits` bits an element, the first in the lowest.
fn pack(q: &[u8], bits: usize) -> Vec<u8> {
    let mut out = vec![0u8; (q.len() * bits).div_ceil(8)];
    for (i, &n) in q.iter().enumerate() {
        for bit in (0..bits).filter(|bit| n >> bit & 1 == 1) {
            let at = i * bits + bit;
            if let Some(byte) = out.get_mut(at / 8) {
                *byte |= 1 << (at % 8);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_points_are_exact_or_none() {
        assert_eq!(zero_points(&[0.5, 0.25], &[-64.0, -2.0]), Some(vec![128, 8]));
        assert_eq!(zero_points(&[0.5], &[]), Some(vec![0]));
        assert_eq!(zero_points(&[0.5], &[-0.3]), None);
        assert_eq!(zero_points(&[0.5], &[-300.0]), None);
        assert_eq!(zero_points(&[0.5], &[1.0]), None);
        assert_eq!(zero_points(&[0.0], &[1.0]), None);
        assert_eq!(zero_points(&[], &[]), None);
    }

    #[test]
    fn bits_are_packed_from_the_lowest() {
        // numpy: np.packbits of the bits of [1, 2, 3], lowest first, bitorder="little"
        assert_eq!(pack(&[1, 2, 3], 4), [0x21, 0x03]);
        assert_eq!(pack(&[0b100001, 0b000001], 6), [0b01100001, 0b00000000]);
        assert_eq!(pack(&[1, 0, 1, 1], 1), [0b1101]);
    }
}
