//! One op about to be computed: its operands, and its parameters with the defaults of its schema.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anewrite_ir::{DefaultValue, OpSchema, Str, Type};
use anewrite_tensor::{DType, Dims};
use smallvec::{SmallVec, smallvec};

use crate::arithmetic::Arithmetic;
use crate::array::{Array, Buffer, Data, Element, count};
use crate::budget::Meter;
use crate::error::EvalError;
use crate::value::Value;

/// The values of an op's results.
pub(crate) type Values = SmallVec<[Value; 1]>;
/// What a kernel returns.
pub(crate) type Computed = Result<Values, EvalError>;

/// One result.
pub(crate) fn one(a: Array) -> Computed {
    Ok(smallvec![Value::Tensor(a)])
}

/// What all ops of a run share.
pub(crate) struct Shared {
    pub(crate) arithmetic: Arithmetic,
    pub(crate) meter: Arc<Meter>,
    pub(crate) seed: u64,
    pub(crate) draws: AtomicU64,
}

/// An op about to be computed.
pub(crate) struct Call<'a> {
    /// The op's kind.
    pub(crate) kind: &'a str,
    /// Its definition in the opset of its function.
    pub(crate) schema: Option<&'static OpSchema>,
    /// What it takes, grouped by parameter.
    pub(crate) args: &'a [(Str, Value)],
    /// The types of its results, as far as the program states them.
    pub(crate) results: &'a [Type],
    pub(crate) shared: &'a Shared,
}

impl<'a> Call<'a> {
    /// How floats are computed.
    pub(crate) fn arithmetic(&self) -> Arithmetic {
        self.shared.arithmetic
    }

    /// A seed that no other draw of this run has.
    pub(crate) fn draw(&self) -> u64 {
        let n = self.shared.draws.fetch_add(1, Relaxed);
        self.shared.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(n)
    }

    /// The operand, if it is given.
    pub(crate) fn find_value(&self, param: &str) -> Option<&'a Value> {
        self.args.iter().find(|(name, _)| &**name == param).map(|(_, v)| v)
    }

    /// The operand.
    pub(crate) fn value(&self, param: &str) -> Result<&'a Value, EvalError> {
        self.find_value(param).ok_or_else(|| EvalError::Missing(param.to_owned()))
    }

    /// The tensor, if it is given.
    pub(crate) fn find(&self, param: &str) -> Result<Option<&'a Array>, EvalError> {
        self.find_value(param).map(Value::tensor).transpose()
    }

    /// The tensor.
    pub(crate) fn array(&self, param: &str) -> Result<&'a Array, EvalError> {
        self.value(param)?.tensor()
    }

    /// All tensors of a parameter that takes several.
    pub(crate) fn all(&self, param: &str) -> Result<Vec<&'a Array>, EvalError> {
        self.args.iter().filter(|(name, _)| &**name == param).map(|(_, v)| v.tensor()).collect()
    }

    /// The elements of a tensor that are stored as `T`.
    pub(crate) fn items<T: Element>(&self, param: &str) -> Result<&'a [T], EvalError> {
        let a = self.array(param)?;
        a.items().ok_or_else(|| EvalError::bad(param, format!("{a:?} has elements of another kind")))
    }

    /// As [`Call::items`], if the tensor is given.
    pub(crate) fn find_items<T: Element>(&self, param: &str) -> Result<Option<&'a [T]>, EvalError> {
        self.find(param)?.map(|_| self.items(param)).transpose()
    }

    fn default(&self, param: &str) -> Option<DefaultValue> {
        let p = self.schema?.param(param)?;
        (!matches!(p.default, DefaultValue::Required | DefaultValue::Absent)).then_some(p.default)
    }

    /// Whole numbers: the operand's, else the schema's default, else `None`.
    pub(crate) fn find_ints(&self, param: &str) -> Result<Option<Vec<i64>>, EvalError> {
        match (self.find(param)?, self.default(param)) {
            (Some(a), _) => Ok(Some(a.to_i64s()?)),
            (None, Some(DefaultValue::Int(n))) => Ok(Some(vec![n])),
            (None, Some(DefaultValue::Ints(list))) => Ok(Some(list.to_vec())),
            (None, _) => Ok(None),
        }
    }

    /// Whole numbers.
    pub(crate) fn ints(&self, param: &str) -> Result<Vec<i64>, EvalError> {
        self.find_ints(param)?.ok_or_else(|| EvalError::Missing(param.to_owned()))
    }

    /// As many whole numbers as there are spatial axes, where the default is one number for all.
    pub(crate) fn ints_n(&self, param: &str, n: usize) -> Result<Vec<i64>, EvalError> {
        let list = match (self.find(param)?, self.default(param)) {
            (None, Some(DefaultValue::Fill(x))) => vec![x; n],
            _ => self.ints(param)?,
        };
        if list.len() == n {
            Ok(list)
        } else {
            Err(EvalError::bad(param, format!("{n} numbers are needed, not {list:?}")))
        }
    }

    /// One whole number.
    pub(crate) fn int(&self, param: &str) -> Result<i64, EvalError> {
        match self.ints(param)?.as_slice() {
            [one] => Ok(*one),
            other => Err(EvalError::bad(param, format!("one number is needed, not {other:?}"))),
        }
    }

    /// Extents or counts: whole numbers from 0.
    pub(crate) fn counts(&self, param: &str) -> Result<Vec<u64>, EvalError> {
        let fit = |n: i64| u64::try_from(n).map_err(|_| EvalError::bad(param, format!("{n} is negative")));
        self.ints(param)?.into_iter().map(fit).collect()
    }

    /// One number: the operand's, else the schema's default, else `None`.
    pub(crate) fn find_float(&self, param: &str) -> Result<Option<f64>, EvalError> {
        match (self.find(param)?, self.default(param)) {
            (Some(a), _) => match a.to_f64s()?.as_slice() {
                [one] => Ok(Some(*one)),
                _ => Err(EvalError::bad(param, format!("one number is needed, not {a:?}"))),
            },
            (None, Some(DefaultValue::Float(x))) => Ok(Some(x)),
            (None, Some(DefaultValue::Int(n))) => Ok(Some(n as f64)),
            (None, _) => Ok(None),
        }
    }

    /// One number.
    pub(crate) fn float(&self, param: &str) -> Result<f64, EvalError> {
        self.find_float(param)?.ok_or_else(|| EvalError::Missing(param.to_owned()))
    }

    /// A truth value.
    pub(crate) fn flag(&self, param: &str) -> Result<bool, EvalError> {
        match (self.find(param)?, self.default(param)) {
            (Some(a), _) => match a.to_i64s()?.as_slice() {
                [one] => Ok(*one != 0),
                _ => Err(EvalError::bad(param, format!("one truth value is needed, not {a:?}"))),
            },
            (None, Some(DefaultValue::Bool(b))) => Ok(b),
            (None, _) => Err(EvalError::Missing(param.to_owned())),
        }
    }

    /// Truth values, if they are given.
    pub(crate) fn find_flags(&self, param: &str) -> Result<Option<Vec<bool>>, EvalError> {
        Ok(match self.find(param)? {
            Some(a) => Some(a.to_i64s()?.into_iter().map(|x| x != 0).collect()),
            None => None,
        })
    }

    /// Text, if there is any.
    pub(crate) fn find_text(&self, param: &str) -> Result<Option<&'a str>, EvalError> {
        match (self.find(param)?, self.default(param)) {
            (Some(a), _) => match a.as_texts() {
                Some([one]) => Ok(Some(one)),
                _ => Err(EvalError::bad(param, format!("one text is needed, not {a:?}"))),
            },
            (None, Some(DefaultValue::Text(t))) => Ok(Some(t)),
            (None, _) => Ok(None),
        }
    }

    /// Text.
    pub(crate) fn text(&self, param: &str) -> Result<&'a str, EvalError> {
        self.find_text(param)?.ok_or_else(|| EvalError::Missing(param.to_owned()))
    }

    /// One axis, counted from the front.
    pub(crate) fn axis(&self, param: &str, rank: usize) -> Result<usize, EvalError> {
        normal(param, self.int(param)?, rank)
    }

    /// Axes, counted from the front; `None` where they are left out.
    pub(crate) fn axes(&self, param: &str, rank: usize) -> Result<Option<Vec<usize>>, EvalError> {
        let Some(axes) = self.find_ints(param)? else { return Ok(None) };
        axes.into_iter().map(|a| normal(param, a, rank)).collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// The element type that the program states for a result, else `like`'s.
    pub(crate) fn result_dtype(&self, index: usize, like: DType) -> DType {
        self.results.get(index).and_then(Type::tensor).map_or(like, |t| t.dtype)
    }

    /// Memory for a result with these extents, all zero.
    ///
    /// # Errors
    /// Where it is more than the run may use.
    pub(crate) fn zeros<T: Element + Default>(&self, dims: &[u64]) -> Result<Vec<T>, EvalError> {
        let n = count(dims).ok_or_else(|| EvalError::Shape(format!("the extents {dims:?} are too large")))?;
        drop(self.shared.meter.charge((n as u64).saturating_mul(size_of::<T>() as u64))?);
        Ok(vec![T::default(); n])
    }

    /// A result over elements that a kernel made.
    pub(crate) fn make<T: Element>(
        &self,
        dtype: DType,
        dims: &[u64],
        items: Vec<T>,
    ) -> Result<Array, EvalError> {
        let charge = self.shared.meter.charge(size_of_val::<[T]>(&items) as u64)?;
        Array::of(dtype, Dims::from_slice(dims), T::data(Buffer::charged(items, charge)))
    }

    /// A kernel's only result.
    pub(crate) fn one<T: Element>(&self, dtype: DType, dims: &[u64], items: Vec<T>) -> Computed {
        one(self.make(dtype, dims, items)?)
    }

    /// Whole numbers as an int32 result, for shapes and counts.
    pub(crate) fn ints_out(&self, dims: &[u64], items: Vec<i64>) -> Result<Array, EvalError> {
        self.make(DType::I32, dims, items)
    }
}

/// An axis counted from the front.
pub(crate) fn normal(param: &str, axis: i64, rank: usize) -> Result<usize, EvalError> {
    let front = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(front)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| EvalError::bad(param, format!("there is no axis {axis} in rank {rank}")))
}

/// Applies a generic function to the elements of an array, whatever they are stored as: `each!(a, |x| body)`; text is
/// an error.
macro_rules! each {
    ($array:expr, |$items:ident| $body:expr) => {
        match $array.data() {
            $crate::array::Data::F32(b) => {
                let $items: &[f32] = b;
                $body
            }
            $crate::array::Data::F64(b) => {
                let $items: &[f64] = b;
                $body
            }
            $crate::array::Data::Int(b) => {
                let $items: &[i64] = b;
                $body
            }
            $crate::array::Data::Bool(b) => {
                let $items: &[bool] = b;
                $body
            }
            $crate::array::Data::Text(_) => {
                Err($crate::error::EvalError::Shape("text where numbers are needed".into()))
            }
        }
    };
}
pub(crate) use each;

/// The array stored as `T` where it holds floats; other arrays as they are.
pub(crate) fn adopt<T: crate::real::Real>(a: &Array, dtype: DType) -> Result<Array, EvalError> {
    let dims = a.dims().iter().copied();
    let misfit = |what| Err(EvalError::Shape(format!("{what} where {dtype} is needed")));
    match (a.data(), dtype) {
        (Data::Text(_), DType::String) => Ok(a.clone()),
        (Data::Text(_), _) => misfit("text"),
        (_, DType::String) => misfit("numbers"),
        (Data::Bool(_), DType::Bool) => Ok(a.clone()),
        (_, DType::Bool) => Array::new(dtype, dims, a.to_f64s()?.into_iter().map(|x| x != 0.0).collect()),
        (Data::Int(_), d) if !d.is_float() => Ok(a.clone().retyped(d)),
        (_, d) if !d.is_float() => Array::new(dtype, dims, a.to_i64s()?),
        (data, _) if T::stored(data).is_some() => Ok(a.clone().retyped(dtype)),
        (Data::F32(b), _) => Array::new(dtype, dims, b.iter().map(|&x| T::of(x.into())).collect()),
        _ => Array::new(dtype, dims, a.to_f64s()?.into_iter().map(T::of).collect()),
    }
}
