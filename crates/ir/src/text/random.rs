//! Constants drawn from a seed.

use anewrite_tensor::{DType, Tensor};

use super::number::{Packer, pattern};
use crate::types::TensorType;

/// Elements that one text may draw: enough for any example, little enough for any machine.
pub(super) const MAX_DRAWN: u64 = 1 << 22;

/// The constant `random<dtype, dims>(seed)`: multiples of 1/256 from −1 to 1, which every float of 16 bits or more
/// has exactly; integers from −8 to 7, or 0 to 15, or what fits; 8-bit floats multiples of 1/8 from −1 to 1.
pub(super) fn draw(ty: &TensorType, seed: u64) -> Result<Tensor, String> {
    let (dims, count) = ty
        .known_dims()
        .zip(ty.count())
        .ok_or_else(|| format!("the extents of {ty} are not known, or their product is too large"))?;
    if count > MAX_DRAWN {
        return Err(format!("{count} elements are asked for; one text may draw {MAX_DRAWN}"));
    }
    let mut state = seed;
    let mut packer = Packer::new(ty.dtype);
    for _ in 0..count {
        packer.push(element(ty.dtype, split_mix(&mut state))?);
    }
    Tensor::new(ty.dtype, dims, packer.finish()).map_err(|e| e.to_string())
}

fn element(dtype: DType, random: u64) -> Result<u64, String> {
    let random = random >> 16;
    match dtype {
        DType::String => Err("text cannot be drawn".into()),
        DType::Bool => Ok(random & 1),
        DType::F8E4M3 | DType::F8E5M2 => {
            let eighths = [-1.0, -0.75, -0.5, -0.25, -0.125, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0];
            pattern(dtype, &format!("{:?}", eighths[(random % 12) as usize]))
        }
        d if d.is_float() => pattern(d, &format!("{:?}", (random % 513) as f64 / 256.0 - 1.0)),
        DType::I4 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => Ok(((random % 16) as i64 - 8) as u64),
        d => Ok((random % 16) & ((1 << d.bits().min(4)) - 1)),
    }
}

/// Steele, Lea and Flood's SplitMix64.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // first outputs of SplitMix64 for seed 1234567, as its reference code prints them
        let mut state = 1234567;
        let out: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        assert_eq!(out, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn draws_fit_their_dtype() {
        for dtype in DType::ALL.into_iter().filter(|d| *d != DType::String) {
            let ty = TensorType::fixed(dtype, [3, 5]);
            let t = draw(&ty, 7).unwrap();
            let values = t.to_f64s().unwrap();
            assert!(values.iter().any(|v| *v != values[0]), "{dtype}");
            assert!(values.iter().all(|v| v.abs() <= 15.0));
            assert!(t.same_bits(&draw(&ty, 7).unwrap()));
        }
        assert!(draw(&TensorType::fixed(DType::F32, [1 << 30]), 0).is_err());
        assert!(draw(&TensorType::fixed(DType::String, [1]), 0).is_err());
    }
}
