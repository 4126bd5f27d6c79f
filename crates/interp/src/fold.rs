//! One op on constants, through the kernels of the evaluator.
//!
//! Ops that only move elements do it with the bits of whatever they are, so payloads of NaN and signs of zero stay.
//! Arithmetic of integers is done twice, as integers and as doubles: where both agree below 2⁵³ nothing overflowed.

use anewrite_ir::mil::Mil;
use anewrite_ir::{Dialect, Opset, TensorType};
use anewrite_tensor::{DType, Payload, Tensor};

use crate::arithmetic::Arithmetic;
use crate::array::Array;
use crate::budget::Meter;
use crate::call::{Call, Shared};
use crate::error::{EvalError, FoldError};
use crate::kernel::compute;
use crate::value::Value;

/// One constant operand: the parameter, and the constant.
pub type Arg<'a> = (&'a str, &'a Tensor);

/// Ops that give the same elements other extents.
const SHAPES: &[&str] = &["identity", "reshape", "squeeze", "expand_dims", "flatten2d"];

/// Ops that move elements, and the operands that hold them.
const MOVES: &[(&str, &[&str])] = &[
    ("concat", &["values"]),
    ("fill", &["value"]),
    ("gather", &["x"]),
    ("reverse", &["x"]),
    ("select", &["a", "b"]),
    ("slice_by_index", &["x"]),
    ("slice_by_size", &["x"]),
    ("stack", &["values"]),
    ("tile", &["x"]),
    ("transpose", &["x"]),
];

/// Arithmetic that integers can overflow.
const ARITHMETIC: &[&str] = &[
    "abs",
    "add",
    "floor_div",
    "maximum",
    "minimum",
    "mod",
    "mul",
    "pow",
    "range_1d",
    "reduce_max",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "sign",
    "square",
    "sub",
];

/// Ops whose results are truth values.
const TRUTHS: &[&str] = &[
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
];

/// The operands of arithmetic and comparisons that are computed with.
const NUMBERS: &[&str] = &["x", "y", "start", "end", "step"];

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
    let dims = result.known_dims();
    let dims = dims.ok_or_else(|| FoldError::Bad(format!("the shape is not known: {result}")))?.to_vec();
    let bytes = dims.iter().try_fold(u64::from(result.dtype.bits()), |n, &d| n.checked_mul(d));
    match bytes.map(|bits| bits.div_ceil(8)) {
        Some(n) if n <= budget => {}
        n => return Err(FoldError::TooLarge(n.unwrap_or(u64::MAX))),
    }
    let folding = Folding { kind, args, dtype: result.dtype, dims, budget };
    if SHAPES.contains(&kind) {
        return Ok(folding.get("x")?.reshaped(folding.dims.iter().copied())?);
    }
    match MOVES.iter().find(|(k, _)| *k == kind) {
        Some((_, moved)) => folding.moved(moved),
        None if kind == "cast" => folding.cast(),
        None if ARITHMETIC.contains(&kind) => folding.arithmetic(),
        None if TRUTHS.contains(&kind) => folding.truths(),
        None => Err(FoldError::Unsupported(kind.to_owned())),
    }
}

/// An op under evaluation.
struct Folding<'a> {
    kind: &'a str,
    args: &'a [Arg<'a>],
    dtype: DType,
    dims: Vec<u64>,
    budget: u64,
}

impl Folding<'_> {
    fn get(&self, param: &'static str) -> Result<&Tensor, FoldError> {
        let found = self.args.iter().find(|(name, _)| *name == param).map(|(_, t)| *t);
        found.ok_or(FoldError::Missing(param))
    }

    /// Runs the op's kernel on the operands as `stored` gives them; the result's extents are those of its type.
    fn run(
        &self,
        arithmetic: Arithmetic,
        stored: impl Fn(&str, &Tensor) -> Result<Array, FoldError>,
    ) -> Result<Array, FoldError> {
        // the form of iOS 16 says of each index where it is
        let schema = Mil.schema(self.kind, Opset::Ios16);
        let args = self.args.iter().map(|(param, t)| Ok(((*param).into(), stored(param, t)?.into())));
        let args = args.collect::<Result<Vec<(anewrite_ir::Str, Value)>, FoldError>>()?;
        // elements are stored wider than the constant has them
        let limit = self.budget.saturating_mul(16).saturating_add(1 << 16);
        let shared = Shared { arithmetic, meter: Meter::new(Some(limit)), seed: 0, draws: 0.into() };
        let call = Call { kind: self.kind, schema, args: &args, results: &[], shared: &shared };
        let out = compute(&call).map_err(|e| match e {
            EvalError::Memory { wanted, .. } => FoldError::TooLarge(wanted),
            EvalError::Tensor(e) => FoldError::Tensor(e),
            EvalError::Missing(param) => match schema.and_then(|s| s.param(&param)) {
                Some(p) => FoldError::Missing(p.name),
                None => FoldError::Bad(format!("{param} is missing")),
            },
            other => FoldError::Bad(other.to_string()),
        })?;
        match out.first().map(Value::tensor) {
            Some(Ok(a)) if out.len() == 1 && a.dims() == self.dims => Ok(a.clone()),
            _ => Err(FoldError::Bad(format!("{} does not give extents {:?}", self.kind, self.dims))),
        }
    }

    fn moved(&self, moved: &[&str]) -> Result<Tensor, FoldError> {
        let mut dtype = None;
        for (_, t) in self.args.iter().filter(|(param, _)| moved.contains(param)) {
            if dtype.replace(t.dtype()).is_some_and(|d| d != t.dtype()) {
                return Err(FoldError::Bad("the operands have several dtypes".into()));
            }
        }
        let dtype = dtype.ok_or(FoldError::Missing("x"))?;
        let stored = |param: &str, t: &Tensor| if moved.contains(&param) { bits(t) } else { plain(t) };
        let out = self.run(Arithmetic::Fp64, stored)?;
        let Some(items) = out.items::<i64>() else {
            return Err(FoldError::Unsupported(format!("{} without elements of its own", self.kind)));
        };
        let width = dtype.bits() as usize / 8;
        let bytes: Vec<u8> = items.iter().flat_map(|x| x.to_le_bytes().into_iter().take(width)).collect();
        Ok(Tensor::new(dtype, self.dims.iter().copied(), Payload::from(bytes))?)
    }

    /// A number to compute with: no float.
    fn whole(&self, param: &str, t: &Tensor) -> Result<Array, FoldError> {
        if t.dtype().is_float() && NUMBERS.contains(&param) {
            return Err(FoldError::Rounds { kind: self.kind.to_owned(), dtype: t.dtype() });
        }
        plain(t)
    }

    fn arithmetic(&self) -> Result<Tensor, FoldError> {
        let ints = self.run(Arithmetic::Fp64, |param, t| {
            let a = self.whole(param, t)?;
            match NUMBERS.contains(&param) {
                true => Ok(Array::new(DType::I64, t.dims().iter().copied(), t.to_i64s()?)?),
                false => Ok(a),
            }
        })?;
        let doubles = self.run(Arithmetic::Fp64, |param, t| match NUMBERS.contains(&param) {
            true => Ok(Array::new(DType::F64, t.dims().iter().copied(), t.to_f64s()?)?),
            false => plain(t),
        })?;
        let (ints, doubles) = (ints.to_i64s()?, doubles.to_f64s()?);
        let agree = |(&i, &x): (&i64, &f64)| i.unsigned_abs() < 1 << 53 && i as f64 == x;
        if !ints.iter().zip(&doubles).all(agree) {
            return Err(FoldError::Overflow);
        }
        Tensor::from_f64s(self.dtype, &self.dims, &doubles).map_err(|_| FoldError::Overflow)
    }

    fn truths(&self) -> Result<Tensor, FoldError> {
        let out = self.run(Arithmetic::Fp64, |param, t| self.whole(param, t))?;
        Tensor::from_f64s(self.dtype, &self.dims, &out.to_f64s()?).map_err(|_| FoldError::Overflow)
    }

    /// From integers, truth values and floats to anything that holds the value, and to floats by rounding to
    /// nearest-even, which is what storing a constant in that dtype does.
    fn cast(&self) -> Result<Tensor, FoldError> {
        let values = self.get("x")?.to_f64s()?;
        let to_int = !self.dtype.is_float() && self.dtype != DType::Bool;
        let values: Vec<f64> = match to_int {
            true => values.iter().map(|v| v.trunc()).collect(),
            false => values,
        };
        Tensor::from_f64s(self.dtype, &self.dims, &values).map_err(|_| FoldError::Overflow)
    }
}

impl From<EvalError> for FoldError {
    fn from(e: EvalError) -> Self {
        match e {
            EvalError::Tensor(e) => FoldError::Tensor(e),
            other => FoldError::Bad(other.to_string()),
        }
    }
}

/// The elements' bits, as integers.
fn bits(t: &Tensor) -> Result<Array, FoldError> {
    fn wide<const N: usize>(bytes: &[u8]) -> Vec<i64> {
        let whole = |b: &[u8; N]| b.iter().rev().fold(0u64, |n, &x| n << 8 | u64::from(x)) as i64;
        bytes.as_chunks::<N>().0.iter().map(whole).collect()
    }
    let unsupported = || FoldError::Unsupported(format!("an op on {}", t.dtype()));
    let width = t.dtype().bits();
    if !matches!(width, 8 | 16 | 32 | 64) {
        return Err(unsupported());
    }
    let bytes = t.bytes()?;
    let items = match width {
        8 => wide::<1>(&bytes),
        16 => wide::<2>(&bytes),
        32 => wide::<4>(&bytes),
        _ => wide::<8>(&bytes),
    };
    Ok(Array::new(t.dtype(), t.dims().iter().copied(), items)?)
}

/// A constant as programs have it.
fn plain(t: &Tensor) -> Result<Array, FoldError> {
    Ok(Array::constant::<f64>(t)?)
}

#[cfg(test)]
mod tests;
