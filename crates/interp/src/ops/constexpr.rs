//! Weights that are stored in less space.
//!
//! Results are as exact as the arithmetic: what Core ML stores of them in half precision is not rounded here.

use anewrite_tensor::{DType, Dims};
use smallvec::smallvec;

use crate::array::{Array, Element, count};
use crate::call::{Call, Computed, each, normal};
use crate::elementwise::{CHUNK, zip3};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table, real};
use crate::math::Math;
use crate::ops::quantize::{spread, zeros_of};
use crate::value::Value;

pub(crate) const TABLE: Table = &[
    ("constexpr_affine_dequantize", real!(affine_dequantize)),
    ("constexpr_blockwise_shift_scale", real!(blockwise_shift_scale)),
    ("constexpr_cast", Kernel::Any(cast)),
    ("constexpr_lut_to_dense", Kernel::Any(lut_to_dense)),
    ("constexpr_lut_to_sparse", Kernel::Any(lut_to_sparse)),
    ("constexpr_sparse_blockwise_shift_scale", real!(sparse_shift_scale)),
    ("constexpr_sparse_to_dense", Kernel::Any(sparse_to_dense)),
];

/// `scale * (quantized_data - zero_point)`.
fn affine_dequantize<T: Math>(call: &Call<'_>) -> Computed {
    let (x, scale) = (call.array("quantized_data")?, call.array("scale")?);
    let (zero, zero_dims) = zeros_of::<T>(call, x)?;
    let (_, out) = zip3(
        call,
        (call.items::<i64>("quantized_data")?, x.dims()),
        (call.items::<T>("scale")?, &spread(call, scale, x)?),
        (&zero, &zero_dims),
        |x, scale: T, zero: T| scale * (T::of(x as f64) - zero),
    )?;
    call.one(scale.dtype(), x.dims(), out)
}

/// Only from half to single precision, which both are wider here.
fn cast(call: &Call<'_>) -> Computed {
    match call.text("output_dtype")? {
        "fp32" => crate::call::one(call.array("source_val")?.clone().retyped(DType::F32)),
        other => Err(EvalError::bad("output_dtype", format!("{other} where fp32 is needed"))),
    }
}

/// Which block of `small` an element of `large` belongs to, where every extent of `small` divides that of `large`.
struct Blocks {
    axes: Vec<[usize; 3]>,
}

impl Blocks {
    fn of(param: &str, small: &[u64], large: &[u64]) -> Result<Blocks, EvalError> {
        let divides = |(&a, &b): (&u64, &u64)| b.checked_rem(a) == Some(0);
        if small.len() != large.len() || !small.iter().zip(large).all(divides) {
            return Err(EvalError::bad(param, format!("the extents {small:?} do not divide {large:?}")));
        }
        let mut step = 1usize;
        let mut axes = Vec::new();
        for (&a, &b) in small.iter().zip(large).rev() {
            axes.push([b as usize, (b / a) as usize, step]);
            step = step.saturating_mul(a as usize);
        }
        Ok(Blocks { axes })
    }

    /// The position in `small` for a position in `large`.
    fn block(&self, mut at: usize) -> usize {
        let mut block = 0;
        for &[extent, size, step] in &self.axes {
            block += at % extent.max(1) / size.max(1) * step;
            at /= extent.max(1);
        }
        block
    }
}

/// Scales, and what is taken off before, with the extents of both.
struct Shifts<'a, T> {
    scale: &'a [T],
    offset: Vec<T>,
    blocks: Blocks,
}

impl<'a, T: Math> Shifts<'a, T> {
    fn of(call: &Call<'a>, dims: &[u64]) -> Result<Self, EvalError> {
        let of = call.array("scale")?;
        let scale = call.items::<T>("scale")?;
        let offset: Vec<T> = match call.find("offset")? {
            Some(offset) if offset.dims() != of.dims() => {
                return Err(EvalError::bad("offset", format!("{offset:?} for scales {of:?}")));
            }
            Some(offset) => offset.to_f64s()?.into_iter().map(T::of).collect(),
            None => vec![T::zero(); scale.len()],
        };
        Ok(Shifts { scale, offset, blocks: Blocks::of("scale", of.dims(), dims)? })
    }

    fn apply(&self, x: T, at: usize) -> T {
        let block = self.blocks.block(at);
        match (self.scale.get(block), self.offset.get(block)) {
            (Some(&scale), Some(&offset)) => scale * (x - offset),
            _ => T::nan(),
        }
    }
}

/// Numbers of any kind as floats.
fn floats<'a, T: Math>(call: &Call<'a>, param: &str) -> Result<std::borrow::Cow<'a, [T]>, EvalError> {
    let x = call.array(param)?;
    Ok(match x.items::<T>() {
        Some(items) => items.into(),
        None => x.to_f64s()?.into_iter().map(T::of).collect::<Vec<_>>().into(),
    })
}

/// `scale * (data - offset)`, with one scale for each block.
fn blockwise_shift_scale<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("data")?;
    let shifts = Shifts::<T>::of(call, x.dims())?;
    let items = floats::<T>(call, "data")?;
    let mut out = call.zeros::<T>(x.dims())?;
    // Along the innermost axis one block is a run.
    let run = shifts.blocks.axes.first().map_or(1, |&[_, size, _]| size).max(1);
    let batch = (CHUNK / run).max(1) * run;
    use rayon::prelude::*;
    out.par_chunks_mut(batch).enumerate().for_each(|(b, out)| {
        for (i, out) in out.chunks_mut(run).enumerate() {
            let at = b * batch + i * run;
            let block = shifts.blocks.block(at);
            let (Some(&scale), Some(&offset)) = (shifts.scale.get(block), shifts.offset.get(block)) else {
                continue;
            };
            let items = items.get(at..).unwrap_or_default();
            out.iter_mut().zip(items).for_each(|(o, &x)| *o = scale * (x - offset));
        }
    });
    call.one(call.array("scale")?.dtype(), x.dims(), out)
}

/// Where the bits of a mask are set, in order.
fn set(call: &Call<'_>, param: &str) -> Result<Vec<usize>, EvalError> {
    let mask = call.items::<i64>(param)?;
    Ok(mask.iter().enumerate().filter(|(_, m)| **m != 0).map(|(i, _)| i).collect())
}

fn agree(param: &str, bits: usize, items: usize) -> Result<(), EvalError> {
    if bits == items {
        return Ok(());
    }
    Err(EvalError::bad(param, format!("{items} elements where the mask has {bits} bits set")))
}

fn sparse_shift_scale<T: Math>(call: &Call<'_>) -> Computed {
    let mask = call.array("data_mask")?;
    let shifts = Shifts::<T>::of(call, mask.dims())?;
    let items = floats::<T>(call, "nonzero_data")?;
    let set = set(call, "data_mask")?;
    agree("nonzero_data", set.len(), items.len())?;
    let out: Vec<T> = items.iter().zip(&set).map(|(&x, &at)| shifts.apply(x, at)).collect();
    let dense = call.make(call.array("scale")?.dtype(), &[out.len() as u64], out)?;
    Ok(smallvec![Value::Tensor(mask.clone()), Value::Tensor(dense)])
}

/// The extents that the iOS 16 forms state.
fn stated(call: &Call<'_>) -> Result<Option<Vec<u64>>, EvalError> {
    call.find("shape")?.map(|_| call.counts("shape")).transpose()
}

/// Unsigned numbers of `bits` bits out of bytes, from the lowest bit on: a number may reach into the next byte.
fn unpack(bytes: &[i64], bits: usize, at: usize) -> Option<usize> {
    let from = at.checked_mul(bits)?;
    let low = *bytes.get(from / 8)? as usize & 0xff;
    let high = bytes.get(from / 8 + 1).map_or(0, |&b| b as usize & 0xff);
    Some((high << 8 | low) >> (from % 8) & ((1 << bits) - 1))
}

fn lut_to_dense(call: &Call<'_>) -> Computed {
    each!(call.array("lut")?, |lut| match stated(call)? {
        Some(dims) => packed_lut(call, lut, &dims),
        None => {
            let (dims, out) = looked_up(call, lut, call.array("indices")?)?;
            call.one(call.array("lut")?.dtype(), &dims, out)
        }
    })
}

/// The form of iOS 16: one table, and indices packed into bytes.
fn packed_lut<T: Element + Default>(call: &Call<'_>, lut: &[T], dims: &[u64]) -> Computed {
    let bytes = call.items::<i64>("indices")?;
    let bits = match lut.len() {
        n @ (2 | 4 | 16 | 64 | 256) => n.trailing_zeros() as usize,
        n => return Err(EvalError::bad("lut", format!("{n} entries where 2, 4, 16, 64 or 256 are needed"))),
    };
    let n = count(dims).ok_or_else(|| EvalError::bad("shape", format!("{dims:?} is too large")))?;
    let want = n.checked_mul(bits).map(|n| n.div_ceil(8));
    if want != Some(bytes.len()) {
        return Err(EvalError::bad("indices", format!("{} bytes for {n} elements", bytes.len())));
    }
    let mut out = call.zeros::<T>(dims)?;
    for (i, o) in out.iter_mut().enumerate() {
        *o = unpack(bytes, bits, i).and_then(|at| lut.get(at)).copied().unwrap_or_default();
    }
    call.one(call.array("lut")?.dtype(), dims, out)
}

/// A table for each block of `dims`: `[groups…, entries, vector]`, and the axis over which vectors spread.
struct Tables<'a, T> {
    lut: &'a [T],
    entries: usize,
    vector: usize,
    axis: usize,
    blocks: Blocks,
}

impl<'a, T: Element> Tables<'a, T> {
    fn of(call: &Call<'a>, lut: &'a [T], dims: &[u64]) -> Result<Self, EvalError> {
        let of = call.array("lut")?;
        let Some((groups, &[entries, vector])) = of.dims().split_last_chunk::<2>() else {
            return Err(EvalError::bad("lut", format!("{of:?} has too few axes")));
        };
        let axis = match call.find_ints("vector_axis")?.as_deref() {
            Some(&[axis]) => normal("vector_axis", axis, dims.len())?,
            None if vector <= 1 => 0,
            _ => {
                let why = format!("one axis is needed for vectors of {vector}");
                return Err(EvalError::bad("vector_axis", why));
            }
        };
        let blocks = Blocks::of("lut", groups, dims)?;
        Ok(Tables { lut, entries: entries as usize, vector: vector as usize, axis, blocks })
    }

    /// The vector for an index that lies at `at`.
    fn vector(&self, index: i64, at: usize) -> Result<&'a [T], EvalError> {
        let outside =
            || EvalError::bad("indices", format!("{index} where there are {} entries", self.entries));
        let index = usize::try_from(index).ok().filter(|&i| i < self.entries).ok_or_else(outside)?;
        let entry = self.blocks.block(at).checked_mul(self.entries).and_then(|n| n.checked_add(index));
        let from = entry.and_then(|n| n.checked_mul(self.vector)).ok_or_else(outside)?;
        self.lut.get(from..).and_then(|rest| rest.get(..self.vector)).ok_or_else(outside)
    }

    /// `dims` with vectors spread over their axis, and the elements that come after that axis.
    fn spread(&self, dims: &[u64]) -> Result<(Vec<u64>, usize), EvalError> {
        let mut out = dims.to_vec();
        if let Some(d) = out.get_mut(self.axis) {
            *d = d
                .checked_mul(self.vector as u64)
                .ok_or_else(|| EvalError::bad("lut", "an extent over 2^64"))?;
        }
        let after = dims.iter().skip(self.axis + 1).fold(1usize, |n, &d| n.saturating_mul(d as usize));
        Ok((out, after))
    }
}

/// The form of iOS 18: each index is replaced by its vector.
fn looked_up<T: Element + Default>(
    call: &Call<'_>,
    lut: &[T],
    indices: &Array,
) -> Result<(Dims, Vec<T>), EvalError> {
    let items = call.items::<i64>("indices")?;
    let of = call.array("lut")?;
    let tables = Tables::of(call, of.items::<T>().unwrap_or(lut), indices.dims())?;
    let (dims, after) = tables.spread(indices.dims())?;
    let mut out = call.zeros::<T>(&dims)?;
    for (at, &index) in items.iter().enumerate() {
        let (before, behind) = (at / after.max(1), at % after.max(1));
        for (k, &x) in tables.vector(index, at)?.iter().enumerate() {
            if let Some(o) = out.get_mut((before * tables.vector + k) * after + behind) {
                *o = x;
            }
        }
    }
    Ok((Dims::from_slice(&dims), out))
}

fn lut_to_sparse(call: &Call<'_>) -> Computed {
    each!(call.array("lut")?, |lut| sparse_lut(call, lut))
}

/// The elements come in the order of the result's mask: with vectors spread over an axis that is not the last, those
/// of one index do not lie together.
fn sparse_lut<T: Element + Default>(call: &Call<'_>, lut: &[T]) -> Computed {
    let of = call.array("indices_mask")?;
    let mask = call.items::<i64>("indices_mask")?;
    let items = call.items::<i64>("indices_nonzero_data")?;
    agree("indices_nonzero_data", set(call, "indices_mask")?.len(), items.len())?;
    let tables = Tables::of(call, call.array("lut")?.items::<T>().unwrap_or(lut), of.dims())?;
    let (dims, after) = tables.spread(of.dims())?;
    let mut bits = call.zeros::<i64>(&dims)?;
    let mut dense = call.zeros::<T>(&dims)?;
    let mut items = items.iter();
    for at in (0..mask.len()).filter(|&at| mask[at] != 0) {
        let Some(&index) = items.next() else { break };
        let (before, behind) = (at / after.max(1), at % after.max(1));
        for (k, &x) in tables.vector(index, at)?.iter().enumerate() {
            let to = (before * tables.vector + k) * after + behind;
            if let (Some(bit), Some(o)) = (bits.get_mut(to), dense.get_mut(to)) {
                (*bit, *o) = (1, x);
            }
        }
    }
    let kept: Vec<T> = dense.into_iter().zip(&bits).filter(|(_, b)| **b != 0).map(|(x, _)| x).collect();
    let values = call.make(call.array("lut")?.dtype(), &[kept.len() as u64], kept)?;
    Ok(smallvec![Value::Tensor(call.make(of.dtype(), &dims, bits)?), Value::Tensor(values)])
}

fn sparse_to_dense(call: &Call<'_>) -> Computed {
    fn of<T: Element + Default>(call: &Call<'_>, items: &[T]) -> Computed {
        let mask = call.items::<i64>("mask")?;
        let (dims, packed) = match stated(call)? {
            Some(dims) => (dims, true),
            None => (call.array("mask")?.dims().to_vec(), false),
        };
        let mut out = call.zeros::<T>(&dims)?;
        if packed && mask.len() != out.len().div_ceil(8) {
            let why = format!("{} bytes for {} elements", mask.len(), out.len());
            return Err(EvalError::bad("mask", why));
        }
        let bit = |i: usize| match packed {
            true => unpack(mask, 1, i) == Some(1),
            false => mask.get(i).is_some_and(|&m| m != 0),
        };
        let mut next = items.iter();
        let mut bits = 0;
        for (i, o) in out.iter_mut().enumerate() {
            if bit(i) {
                bits += 1;
                *o = next.next().copied().unwrap_or_default();
            }
        }
        agree("nonzero_data", bits, items.len())?;
        call.one(call.array("nonzero_data")?.dtype(), &dims, out)
    }
    each!(call.array("nonzero_data")?, |items| of(call, items))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arithmetic, Options, evaluate};

    fn array<T: Element>(dtype: DType, dims: &[u64], items: Vec<T>) -> Value {
        Array::new(dtype, dims.iter().copied(), items).unwrap().into()
    }

    fn run(kind: &str, args: &[(&str, Value)]) -> Result<Vec<Vec<f64>>, EvalError> {
        let options = Options { arithmetic: Arithmetic::Fp32, ..Options::default() };
        let out = evaluate(kind, args, options)?;
        Ok(out.iter().map(|v| v.tensor().unwrap().to_f64s().unwrap()).collect())
    }

    fn halves(dims: &[u64], items: &[f64]) -> Value {
        array(DType::F16, dims, items.to_vec())
    }

    #[test]
    fn indices_of_six_bits_reach_into_the_next_byte() {
        // coremltools.optimize._utils.pack_elements_into_bits([5, 60, 33, 7, 63], 6) and [1, 0, 2, 3, 1] of 2 bits
        let lut = |n: u64| halves(&[n], &(0..n).map(|i| i as f64 * 0.5 - 1.0).collect::<Vec<_>>());
        let args = |bytes: &[i64], n: u64| {
            [
                ("indices", array(DType::U8, &[bytes.len() as u64], bytes.to_vec())),
                ("lut", lut(n)),
                ("shape", array(DType::U32, &[2], vec![1i64, 5])),
            ]
        };
        let got = run("constexpr_lut_to_dense", &args(&[0x05, 0x1f, 0x1e, 0x3f], 64)).unwrap();
        assert_eq!(got[0], [1.5, 29.0, 15.5, 2.5, 30.5]);
        let got = run("constexpr_lut_to_dense", &args(&[0b1110_0001, 0b01], 4)).unwrap();
        assert_eq!(got[0], [-0.5, -1.0, 0.0, 0.5, -0.5]);
        assert!(run("constexpr_lut_to_dense", &args(&[0], 4)).is_err());
    }

    #[test]
    fn a_table_for_each_group() {
        // the first case of the op's documentation
        let indices = array(DType::U2, &[6, 2], vec![2i64, 3, 3, 0, 1, 0, 3, 0, 2, 1, 0, 3]);
        let lut = halves(&[2, 1, 4, 1], &[1.0, 5.0, 9.0, 13.0, 2.0, 10.0, 18.0, 26.0]);
        let got = run("constexpr_lut_to_dense", &[("indices", indices), ("lut", lut)]).unwrap();
        assert_eq!(got[0], [9.0, 13.0, 13.0, 1.0, 5.0, 1.0, 26.0, 2.0, 18.0, 10.0, 2.0, 26.0]);
    }

    #[test]
    fn vectors_spread_over_their_axis() {
        // the second case of the op's documentation, a = 1, 2, 3 and b = 4, 5, 6
        let indices = array(DType::U1, &[2, 2, 2], vec![0i64, 0, 1, 0, 1, 1, 0, 0]);
        let lut = array(DType::I8, &[1, 1, 1, 2, 3], vec![1i64, 2, 3, 4, 5, 6]);
        let axis = |n: i64| array(DType::I32, &[], vec![n]);
        let args = [("indices", indices.clone()), ("lut", lut.clone()), ("vector_axis", axis(1))];
        let got = run("constexpr_lut_to_dense", &args).unwrap();
        let want = [1, 1, 2, 2, 3, 3, 4, 1, 5, 2, 6, 3, 4, 4, 5, 5, 6, 6, 1, 1, 2, 2, 3, 3].map(f64::from);
        assert_eq!(got[0], want);
        let args = [("indices", indices), ("lut", lut), ("vector_axis", axis(-1))];
        let got = run("constexpr_lut_to_dense", &args).unwrap();
        let want = [1, 2, 3, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 4, 5, 6, 1, 2, 3, 1, 2, 3].map(f64::from);
        assert_eq!(got[0], want);
    }

    #[test]
    fn sparse_vectors_follow_the_spread_mask() {
        // the documentation's example with its vectors told apart: [2, 2.5] and [3, 3.5]
        let mask = vec![
            1i64, 1, 0, 0, 0, 0, //
            1, 1, 0, 0, 0, 1, //
            0, 1, 1, 0, 1, 0, //
            0, 0, 0, 1, 0, 0,
        ];
        let args = [
            ("indices_mask", array(DType::U1, &[4, 6], mask.clone())),
            ("indices_nonzero_data", array(DType::U1, &[9], vec![0i64, 1, 1, 0, 1, 1, 0, 0, 1])),
            ("lut", halves(&[1, 1, 2, 2], &[2.0, 2.5, 3.0, 3.5])),
            ("vector_axis", array(DType::I32, &[], vec![0i64])),
        ];
        let got = run("constexpr_lut_to_sparse", &args).unwrap();
        let rows: Vec<f64> = mask.chunks(6).flat_map(|r| [r, r]).flatten().map(|&m| m as f64).collect();
        assert_eq!(got[0], rows);
        assert_eq!(
            got[1],
            [2.0, 3.0, 2.5, 3.5, 3.0, 2.0, 3.0, 3.5, 2.5, 3.5, 3.0, 2.0, 2.0, 3.5, 2.5, 2.5, 3.0, 3.5]
        );
    }

    #[test]
    fn blocks_have_their_own_scale() {
        // numpy: numpy.repeat(scale, 2, 1) * (data - numpy.repeat(offset, 2, 1))
        let data = array(DType::I4, &[2, 4], vec![-8i64, 7, 1, 2, 3, -4, 5, 0]);
        let scale = halves(&[2, 2], &[0.5, 2.0, 0.25, -1.0]);
        let offset = array(DType::I4, &[2, 2], vec![1i64, -1, 0, 2]);
        let args = [("data", data.clone()), ("scale", scale.clone()), ("offset", offset)];
        let got = run("constexpr_blockwise_shift_scale", &args).unwrap();
        assert_eq!(got[0], [-4.5, 3.0, 4.0, 6.0, 0.75, -1.0, -3.0, 2.0]);
        let got = run("constexpr_blockwise_shift_scale", &[("data", data), ("scale", scale)]).unwrap();
        assert_eq!(got[0], [-4.0, 3.5, 2.0, 4.0, 0.75, -1.0, -5.0, 0.0]);
    }

    #[test]
    fn sparse_data_is_scaled_where_it_lies() {
        // the example of the op's documentation, with scales that fp32 has
        let args = [
            ("data_mask", array(DType::U1, &[4, 4], vec![1i64, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0])),
            ("nonzero_data", array(DType::U8, &[9], vec![10i64, 11, 3, 4, 5, 6, 7, 8, 9])),
            ("scale", halves(&[1, 4], &[1.0, 2.0, 4.0, 8.0])),
            ("offset", array(DType::U8, &[1, 4], vec![1i64, 2, 3, 4])),
        ];
        let got = run("constexpr_sparse_blockwise_shift_scale", &args).unwrap();
        assert_eq!(got[1], [9.0, 18.0, 2.0, 4.0, 8.0, 12.0, 24.0, 7.0, 14.0]);
    }

    #[test]
    fn bit_masks_say_where_elements_are() {
        let data = ("nonzero_data", halves(&[3], &[1.5, -2.0, 3.0]));
        // numpy.packbits([0, 1, 0, 0, 1, 0, 0, 0, 0, 1], bitorder="little")
        let packed = [
            data.clone(),
            ("mask", array(DType::U8, &[2], vec![0b0001_0010i64, 0b10])),
            ("shape", array(DType::U32, &[2], vec![2i64, 5])),
        ];
        let want = [0.0, 1.5, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, 0.0, 3.0];
        assert_eq!(run("constexpr_sparse_to_dense", &packed).unwrap()[0], want);
        let mask = ("mask", array(DType::U1, &[2, 5], vec![0i64, 1, 0, 0, 1, 0, 0, 0, 0, 1]));
        assert_eq!(run("constexpr_sparse_to_dense", &[data.clone(), mask]).unwrap()[0], want);
        let mask = ("mask", array(DType::U1, &[1, 5], vec![0i64, 1, 0, 0, 1]));
        assert!(run("constexpr_sparse_to_dense", &[data, mask]).is_err());
    }

    #[test]
    fn affine_along_an_axis() {
        let args = [
            ("quantized_data", array(DType::U8, &[2, 3], vec![0i64, 128, 255, 1, 2, 3])),
            ("zero_point", array(DType::U8, &[], vec![128i64])),
            ("scale", halves(&[2], &[0.5, -2.0])),
            ("axis", array(DType::I32, &[], vec![0i64])),
        ];
        // scale * (q - zero)
        let got = run("constexpr_affine_dequantize", &args).unwrap();
        assert_eq!(got[0], [-64.0, 0.0, 63.5, 254.0, 252.0, 250.0]);
    }
}
