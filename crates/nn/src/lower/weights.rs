//! The weights of a layer as MIL values: shared with the file where the form allows, unpacked by ops otherwise.

use anewrite_ir::{Opset, ValueId};
use anewrite_tensor::{DType, Tensor};

use super::{Cx, One};
use crate::call::Detail;
use crate::error::Reason;
use crate::fields::Fields;

/// How quantised weights become numbers.
pub(super) struct Quantization {
    pub(super) bits: u32,
    pub(super) values: Values,
}

pub(super) enum Values {
    /// `q * scale + bias`; one each, or one each per output channel.
    Linear { scale: Vec<f64>, bias: Vec<f64> },
    /// `table[q]`.
    Lookup(Vec<f64>),
}

impl<'c> Cx<'c, '_> {
    fn stored(&self, path: &str) -> Option<&'c Tensor> {
        self.call.weights.iter().find(|(p, _)| *p == path).map(|(_, t)| *t)
    }

    /// Whether the field at `path` holds weights.
    pub(crate) fn has_weight(&self, path: &str) -> bool {
        self.stored(path).is_some_and(|t| t.count() > 0)
    }

    /// How many weights the field at `path` holds, if they are floats.
    pub(crate) fn weight_count(&self, path: &str) -> Option<u64> {
        self.stored(path).filter(|t| t.dtype().is_float()).map(Tensor::count)
    }

    /// The weights at `path` under `dims`, output channels outermost.
    pub(crate) fn weight(&mut self, path: &str, dims: &[u64]) -> One {
        self.weight_along(path, dims, 0)
    }

    /// The weights at `path` under `dims`, `axis` being the one of the output channels.
    pub(crate) fn weight_along(&mut self, path: &str, dims: &[u64], axis: usize) -> One {
        let count = product(path, dims)?;
        let Some(t) = self.stored(path).filter(|t| t.count() > 0) else {
            // Types do not need the values that a network may leave to its training.
            return match self.call.detail {
                Detail::Types => self.stand_in(dims),
                Detail::Full => Err(Reason::weights(path, "they are missing")),
            };
        };
        if t.dtype().is_float() {
            self.check_count(path, t.count(), count)?;
            let t = t.reshaped(dims.iter().copied())?;
            if self.call.compressed
                && let Some(v) = self.widened(t.clone())?
            {
                return Ok(v);
            }
            let v = self.b.constant(t);
            return self.float_of(v);
        }
        let q = self.quantization(path)?;
        self.check_count(path, t.count(), packed_len(count, q.bits))?;
        if self.call.detail == Detail::Types {
            return self.stand_in(dims);
        }
        if self.call.compressed
            && let Some(v) = self.quantised(path, &q, t, dims, axis)?
        {
            return Ok(v);
        }
        if self.call.compressed || self.opset() < Opset::Ios17 {
            // Earlier opsets compute nothing with bytes, and weights are better not computed at all.
            let all = self.numbers(path, count, dims, axis)?;
            return Ok(self.b.constant(Tensor::from_f64s(self.call.float, dims, &all)?));
        }
        let raw = unpack(t, count, q.bits)?;
        let raw = self.b.constant(Tensor::new(t.dtype(), dims.iter().copied(), raw)?);
        match q.values {
            Values::Lookup(table) => {
                let table = Tensor::from_f64s(self.call.float, &[table.len() as u64], &table)?;
                let table = self.b.constant(table);
                let index = self.widen(raw, DType::I32)?;
                let axis = self.int(0)?;
                self.op("gather", &[("x", table), ("indices", index), ("axis", axis)])
            }
            Values::Linear { scale, bias } => {
                let mut v = self.widen(raw, self.call.float)?;
                for (op, factors) in [("mul", scale), ("add", bias)] {
                    if !factors.is_empty() {
                        let per_channel = self.per_channel(path, &factors, dims, axis)?;
                        v = self.op2(op, v, per_channel)?;
                    }
                }
                Ok(v)
            }
        }
    }

    /// Several weights of the same extents, one after the other along the first axis; `add[i]` is added to each
    /// element of the `i`-th. One constant, for ops that take nothing else.
    pub(crate) fn stacked(&mut self, paths: &[String], each: &[u64], add: &[f64]) -> One {
        let mut dims = each.to_vec();
        if let Some(d) = dims.first_mut() {
            *d = d.saturating_mul(paths.len() as u64);
        }
        if self.call.detail == Detail::Types {
            return self.stand_in(&dims);
        }
        let count = product("", each)?;
        let mut all = Vec::new();
        for (i, path) in paths.iter().enumerate() {
            let plus = add.get(i).copied().unwrap_or(0.0);
            all.extend(self.numbers(path, count, each, 0)?.into_iter().map(|x| x + plus));
        }
        Ok(self.b.constant(Tensor::from_f64s(self.call.float, &dims, &all)?))
    }

    /// Equal numbers, block by block.
    pub(crate) fn blocks(&mut self, each: &[f64], size: u64) -> One {
        let dims = [size.saturating_mul(each.len() as u64)];
        if self.call.detail == Detail::Types {
            return self.stand_in(&dims);
        }
        // Bounded by the recursion matrix, which has as many rows and is in the file.
        let n = usize::try_from(size).unwrap_or(0);
        let all: Vec<f64> = each.iter().flat_map(|&x| std::iter::repeat_n(x, n)).collect();
        Ok(self.b.constant(Tensor::from_f64s(self.call.float, &dims, &all)?))
    }

    /// The weights at `path` as numbers.
    fn numbers(&self, path: &str, count: u64, dims: &[u64], axis: usize) -> Result<Vec<f64>, Reason> {
        let t = self.stored(path).ok_or_else(|| Reason::weights(path, "they are missing"))?;
        if t.dtype().is_float() {
            self.check_count(path, t.count(), count)?;
            return Ok(t.to_f64s()?);
        }
        let q = self.quantization(path)?;
        self.check_count(path, t.count(), packed_len(count, q.bits))?;
        let raw = Tensor::new(t.dtype(), [count], unpack(t, count, q.bits)?)?.to_i64s()?;
        if let Values::Linear { scale, bias } = &q.values {
            check_factors(path, scale, dims, axis)?;
            check_factors(path, bias, dims, axis)?;
        }
        let inner: u64 = dims.iter().skip(axis + 1).product();
        let channels = dims.get(axis).copied().unwrap_or(1).max(1);
        let channel = |i: usize| (i as u64 / inner.max(1) % channels) as usize;
        let pick = |v: &[f64], i: usize, none: f64| match v {
            [] => none,
            [one] => *one,
            v => v.get(channel(i)).copied().unwrap_or(f64::NAN),
        };
        let number = |(i, &n): (usize, &i64)| match &q.values {
            Values::Lookup(table) => usize::try_from(n).ok().and_then(|n| table.get(n).copied()),
            Values::Linear { scale, bias } => Some(n as f64 * pick(scale, i, 1.0) + pick(bias, i, 0.0)),
        };
        let all: Option<Vec<f64>> = raw.iter().enumerate().map(number).collect();
        all.ok_or_else(|| Reason::weights(path, "an index is outside the look-up table"))
    }

    /// A value of this type whose content does not matter.
    pub(crate) fn stand_in(&mut self, dims: &[u64]) -> One {
        let (shape, value) = (self.sizes(dims)?, self.num(0.0)?);
        self.op("fill", &[("shape", shape), ("value", value)])
    }

    fn widen(&mut self, v: ValueId, to: DType) -> One {
        let dtype = self.text(to.name());
        self.op("cast", &[("x", v), ("dtype", dtype)])
    }

    fn per_channel(&mut self, path: &str, factors: &[f64], dims: &[u64], axis: usize) -> One {
        let n = factors.len() as u64;
        check_factors(path, factors, dims, axis)?;
        let shape: Vec<u64> = match n {
            1 => Vec::new(),
            n => (0..dims.len()).map(|i| if i == axis { n } else { 1 }).collect(),
        };
        Ok(self.b.constant(Tensor::from_f64s(self.call.float, &shape, factors)?))
    }

    fn quantization(&self, path: &str) -> Result<Quantization, Reason> {
        let missing = || Reason::weights(path, "they are raw bytes without quantization parameters");
        let weights = self.fields().at(path).ok_or_else(missing)?;
        let q = weights.message("quantization")?.ok_or_else(missing)?;
        let bits = match q.int("numberOfBits")? {
            n @ 1..=8 => n as u32,
            n => return Err(Reason::weights(path, format!("{n} bits an element"))),
        };
        let values = if let Some(lut) = q.message("lookupTableQuantization")? {
            Values::Lookup(lut.floats("floatValue")?)
        } else {
            let linear = q.message("linearQuantization")?.unwrap_or(Fields(&[]));
            Values::Linear { scale: linear.floats("scale")?, bias: linear.floats("bias")? }
        };
        Ok(Quantization { bits, values })
    }

    fn check_count(&self, path: &str, have: u64, want: u64) -> Result<(), Reason> {
        if have == want {
            return Ok(());
        }
        Err(Reason::weights(path, format!("{want} are needed, there are {have}")))
    }
}

/// One factor, one each output channel, or none.
pub(super) fn check_factors(path: &str, factors: &[f64], dims: &[u64], axis: usize) -> Result<(), Reason> {
    let (n, channels) = (factors.len() as u64, dims.get(axis).copied().unwrap_or(1));
    if n <= 1 || n == channels {
        return Ok(());
    }
    Err(Reason::weights(path, format!("{n} factors for {channels} output channels")))
}

fn packed_len(count: u64, bits: u32) -> u64 {
    count.saturating_mul(u64::from(bits)).div_ceil(8)
}

fn product(path: &str, dims: &[u64]) -> Result<u64, Reason> {
    let all = dims.iter().try_fold(1u64, |p, &d| p.checked_mul(d));
    all.ok_or_else(|| Reason::weights(path, format!("the extents {dims:?} have a product over 2^64")))
}

/// One byte an element, from elements packed with the highest bit first.
pub(super) fn unpack(t: &Tensor, count: u64, bits: u32) -> Result<bytes::Bytes, Reason> {
    let packed = t.bytes()?;
    if bits == 8 {
        return Ok(packed);
    }
    let bit = |at: u64| -> u8 {
        let byte = packed.get((at / 8) as usize).copied().unwrap_or(0);
        (byte >> (7 - at % 8)) & 1
    };
    let element = |i: u64| {
        let start = i * u64::from(bits);
        (start..start + u64::from(bits)).fold(0u8, |n, at| n << 1 | bit(at))
    };
    Ok((0..count).map(element).collect::<Vec<u8>>().into())
}
