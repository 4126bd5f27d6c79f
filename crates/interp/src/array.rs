//! Arrays: what values are while a program runs.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use anewrite_ir::TensorType;
use anewrite_tensor::{DType, Dims, Payload, Tensor};
use bytes::Bytes;

use crate::budget::Charge;
use crate::error::EvalError;
use crate::real::Real;

/// Elements in row-major order, shared between the arrays that refer to them.
#[derive(Clone)]
pub enum Buffer<T> {
    /// In memory of our own.
    Owned(Arc<Owned<T>>),
    /// In a mapped file; its alignment was checked.
    Mapped(Bytes),
}

/// Elements in memory that is counted while it lives.
pub struct Owned<T> {
    items: Vec<T>,
    charge: Charge,
}

/// An element that arrays store.
pub trait Element: Copy + Send + Sync + 'static {
    /// The bytes of a mapped file as elements; empty where they do not fit, which whoever makes the buffer rules out.
    fn view(bytes: &[u8]) -> &[Self];

    /// The buffer as that of an array.
    fn data(buffer: Buffer<Self>) -> Data;

    /// The elements of an array, if they are stored so.
    fn stored(data: &Data) -> Option<&Buffer<Self>>;
}

macro_rules! element {
    ($t:ty, $variant:ident, $view:expr) => {
        impl Element for $t {
            fn view(bytes: &[u8]) -> &[Self] {
                let view: fn(&[u8]) -> &[$t] = $view;
                view(bytes)
            }

            fn data(buffer: Buffer<Self>) -> Data {
                Data::$variant(buffer)
            }

            fn stored(data: &Data) -> Option<&Buffer<Self>> {
                match data {
                    Data::$variant(b) => Some(b),
                    _ => None,
                }
            }
        }
    };
}

element!(f32, F32, |b| bytemuck::try_cast_slice(b).unwrap_or(&[]));
element!(f64, F64, |b| bytemuck::try_cast_slice(b).unwrap_or(&[]));
element!(i64, Int, |b| bytemuck::try_cast_slice(b).unwrap_or(&[]));
element!(bool, Bool, |_| &[]);

impl<T: Element> Buffer<T> {
    /// A buffer over elements that someone else counts.
    pub fn new(items: Vec<T>) -> Self {
        Buffer::charged(items, Charge::none())
    }

    pub(crate) fn charged(items: Vec<T>, charge: Charge) -> Self {
        Buffer::Owned(Arc::new(Owned { items, charge }))
    }

    /// The bytes of a mapped file, where this machine can read them as they lie.
    fn map(bytes: &Bytes) -> Option<Self> {
        let lie_right = cfg!(target_endian = "little") && size_of_val(T::view(bytes)) == bytes.len();
        lie_right.then(|| Buffer::Mapped(bytes.clone()))
    }

    /// The elements as a vector with what counts it: without a copy where nothing else refers to them.
    pub(crate) fn take(self) -> (Vec<T>, Charge) {
        match self {
            Buffer::Owned(owned) => match Arc::try_unwrap(owned) {
                Ok(owned) => (owned.items, owned.charge),
                Err(shared) => (shared.items.clone(), Charge::none()),
            },
            Buffer::Mapped(bytes) => (T::view(&bytes).to_vec(), Charge::none()),
        }
    }
}

impl<T: Element> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Buffer::Owned(owned) => &owned.items,
            Buffer::Mapped(bytes) => T::view(bytes),
        }
    }
}

/// The elements of an array.
#[derive(Clone)]
pub enum Data {
    /// Floats of any dtype, as fp32 and ane16 compute with them.
    F32(Buffer<f32>),
    /// Floats of any dtype, as fp64 computes with them.
    F64(Buffer<f64>),
    /// Integers of any dtype.
    Int(Buffer<i64>),
    /// Truth values.
    Bool(Buffer<bool>),
    /// Texts.
    Text(Arc<[Arc<str>]>),
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F32(b) => b.len(),
            Data::F64(b) => b.len(),
            Data::Int(b) => b.len(),
            Data::Bool(b) => b.len(),
            Data::Text(t) => t.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor while a program runs: the dtype that the program gives it, extents, and elements. Floats are stored as the
/// arithmetic computes with them, whatever their dtype.
///
/// ```
/// use anewrite_interp::Array;
/// use anewrite_tensor::DType;
///
/// let a = Array::new(DType::F16, [2, 3], vec![1f32, -2.0, 3.5, 0.0, -0.0, 7.0])?;
/// assert_eq!(a.dims(), [2, 3]);
/// assert_eq!(a.to_f64s()?[2], 3.5);
/// assert!(Array::new(DType::F16, [4], vec![0f32; 3]).is_err());
/// # Ok::<(), anewrite_interp::EvalError>(())
/// ```
#[derive(Clone)]
pub struct Array {
    dtype: DType,
    dims: Dims,
    data: Data,
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.dtype, self.dims)
    }
}

impl Array {
    /// An array over elements.
    ///
    /// # Errors
    /// Where their number is not the product of the extents.
    pub fn new<T: Element>(
        dtype: DType,
        dims: impl IntoIterator<Item = u64>,
        items: Vec<T>,
    ) -> Result<Array, EvalError> {
        Array::of(dtype, dims.into_iter().collect(), T::data(Buffer::new(items)))
    }

    /// An array over elements that may be shared.
    ///
    /// # Errors
    /// Where their number is not the product of the extents.
    pub fn of(dtype: DType, dims: Dims, data: Data) -> Result<Array, EvalError> {
        match count(&dims) {
            Some(n) if n == data.len() => Ok(Array { dtype, dims, data }),
            _ => Err(EvalError::Shape(format!("{} elements for the extents {dims:?}", data.len()))),
        }
    }

    /// An array of text.
    ///
    /// # Errors
    /// Where their number is not the product of the extents.
    pub fn texts(dims: impl IntoIterator<Item = u64>, items: Vec<Arc<str>>) -> Result<Array, EvalError> {
        Array::of(DType::String, dims.into_iter().collect(), Data::Text(items.into()))
    }

    /// A constant, with floats as `T`. Where the file holds them so, they stay there.
    ///
    /// # Errors
    /// Where the constant cannot be read.
    pub(crate) fn constant<T: Real>(t: &Tensor) -> Result<Array, EvalError> {
        let data = match t.dtype() {
            DType::String => match t.payload() {
                Payload::Strings(s) => Data::Text(s.clone()),
                _ => return Err(EvalError::Shape("text without text".into())),
            },
            DType::Bool => Data::Bool(Buffer::new(t.bytes()?.iter().map(|&b| b != 0).collect())),
            d if d.is_float() => match (d == T::DTYPE).then(|| t.bytes()).transpose()? {
                Some(bytes) => match Buffer::<T>::map(&bytes) {
                    Some(mapped) => T::data(mapped),
                    None => T::data(Buffer::new(T::widen(t)?)),
                },
                None => T::data(Buffer::new(T::widen(t)?)),
            },
            _ => Data::Int(Buffer::new(t.to_i64s()?)),
        };
        Array::of(t.dtype(), t.dims().iter().copied().collect(), data)
    }

    /// The dtype that the program gives it.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The extents, outermost first.
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// Number of extents.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements, if they are stored as `T`.
    pub fn items<T: Element>(&self) -> Option<&[T]> {
        T::stored(&self.data).map(|b| &**b)
    }

    /// The type of a value that holds this.
    pub fn ty(&self) -> TensorType {
        TensorType::fixed(self.dtype, self.dims.iter().copied())
    }

    /// The same elements under other extents.
    ///
    /// # Errors
    /// Where the products differ.
    pub fn reshaped(&self, dims: impl IntoIterator<Item = u64>) -> Result<Array, EvalError> {
        Array::of(self.dtype, dims.into_iter().collect(), self.data.clone())
    }

    /// An array without elements, which stands where another is taken out.
    pub(crate) fn empty() -> Array {
        Array { dtype: DType::F32, dims: Dims::from_slice(&[0]), data: Data::F32(Buffer::new(Vec::new())) }
    }

    /// The same elements under another dtype of the same kind.
    pub(crate) fn retyped(self, dtype: DType) -> Array {
        Array { dtype, ..self }
    }

    /// The array with its `f32` elements changed in place, or a copy where others refer to them; others as they are.
    pub(crate) fn update_f32(self, change: impl FnOnce(&mut [f32])) -> Array {
        let data = match self.data {
            Data::F32(b) => {
                let (mut items, charge) = b.take();
                change(&mut items);
                Data::F32(Buffer::charged(items, charge))
            }
            other => other,
        };
        Array { data, ..self }
    }

    /// Every element as a number; truth values as 0 and 1.
    ///
    /// # Errors
    /// For text.
    pub fn to_f64s(&self) -> Result<Vec<f64>, EvalError> {
        Ok(match &self.data {
            Data::F32(b) => b.iter().map(|&x| f64::from(x)).collect(),
            Data::F64(b) => b.to_vec(),
            Data::Int(b) => b.iter().map(|&x| x as f64).collect(),
            Data::Bool(b) => b.iter().map(|&x| f64::from(u8::from(x))).collect(),
            Data::Text(_) => return Err(EvalError::Shape("text where numbers are needed".into())),
        })
    }

    /// Every element as a whole number: integers, truth values, and floats that are whole.
    ///
    /// # Errors
    /// For text and for floats that are not whole.
    pub fn to_i64s(&self) -> Result<Vec<i64>, EvalError> {
        let whole = |x: f64| {
            let fits = x.fract() == 0.0 && x.abs() < 9e15;
            fits.then_some(x as i64)
                .ok_or_else(|| EvalError::Shape(format!("{x} where a whole number is needed")))
        };
        match &self.data {
            Data::Int(b) => Ok(b.to_vec()),
            Data::Bool(b) => Ok(b.iter().map(|&x| i64::from(x)).collect()),
            Data::F32(b) => b.iter().map(|&x| whole(f64::from(x))).collect(),
            Data::F64(b) => b.iter().map(|&x| whole(x)).collect(),
            Data::Text(_) => Err(EvalError::Shape("text where whole numbers are needed".into())),
        }
    }

    /// The elements as texts, if they are.
    pub fn as_texts(&self) -> Option<&[Arc<str>]> {
        match &self.data {
            Data::Text(t) => Some(t),
            _ => None,
        }
    }
}

/// The product of extents, where memory could be addressed for it.
pub(crate) fn count(dims: &[u64]) -> Option<usize> {
    let n = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d))?;
    usize::try_from(n).ok().filter(|&n| n <= isize::MAX as usize / 8)
}
