//! Types of values. Unknown dims carry no name here; inference keeps its symbols in [`crate::dims`].

use std::fmt;

use anewrite_tensor::DType;
use smallvec::SmallVec;

use crate::dims::ExprId;

/// One extent of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Known when the model was written.
    Known(u64),
    /// Not known, and nothing is known about it; what files store for flexible shapes.
    Unknown,
    /// Not known as a number, but equal to every other dim with the same expression. Only in inferred types.
    Expr(ExprId),
}

impl Dim {
    /// The number, where there is one.
    pub fn known(self) -> Option<u64> {
        match self {
            Dim::Known(n) => Some(n),
            Dim::Unknown | Dim::Expr(_) => None,
        }
    }

    /// The dim as a file stores it: symbols become unknown.
    pub fn erased(self) -> Dim {
        match self {
            Dim::Expr(_) => Dim::Unknown,
            d => d,
        }
    }
}

/// The extents of a tensor whose rank is known, outermost first.
pub type Shape = SmallVec<[Dim; 5]>;

/// Element type and extents of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first; `None` where even the rank is unknown.
    pub shape: Option<Shape>,
}

impl TensorType {
    /// A tensor with known extents.
    ///
    /// ```
    /// use anewrite_ir::TensorType;
    /// use anewrite_tensor::DType;
    /// assert_eq!(TensorType::fixed(DType::F16, [2, 3]).to_string(), "tensor<fp16, [2, 3]>");
    /// ```
    pub fn fixed(dtype: DType, dims: impl IntoIterator<Item = u64>) -> Self {
        TensorType { dtype, shape: Some(dims.into_iter().map(Dim::Known).collect()) }
    }

    /// A tensor of known rank.
    pub fn ranked(dtype: DType, dims: impl IntoIterator<Item = Dim>) -> Self {
        TensorType { dtype, shape: Some(dims.into_iter().collect()) }
    }

    /// The rank, where known.
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(|s| s.len())
    }

    /// All extents, if every one is known.
    pub fn known_dims(&self) -> Option<SmallVec<[u64; 5]>> {
        self.shape.as_ref()?.iter().map(|d| d.known()).collect()
    }

    /// Number of elements, if every extent is known and the product fits.
    pub fn count(&self) -> Option<u64> {
        self.known_dims()?.iter().try_fold(1u64, |p, &d| p.checked_mul(d))
    }

    /// The type as a file stores it.
    pub fn erased(&self) -> TensorType {
        TensorType {
            dtype: self.dtype,
            shape: self.shape.as_ref().map(|s| s.iter().map(|d| d.erased()).collect()),
        }
    }

    /// Whether `self` says at least what `stored` says: same dtype, and every known dim of `stored` the same here.
    pub fn refines(&self, stored: &TensorType) -> bool {
        self.dtype == stored.dtype
            && match (&self.shape, &stored.shape) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(a), Some(b)) => {
                    a.len() == b.len()
                        && a.iter().zip(b).all(|(a, b)| match (a.known(), b.known()) {
                            (_, None) => true,
                            (a, b) => a == b,
                        })
                }
            }
    }
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A tensor; a scalar has rank 0.
    Tensor(TensorType),
    /// A tensor that keeps its content between predictions, as a function's input.
    State(TensorType),
    /// A list of tensors.
    List {
        /// Type of each element.
        element: TensorType,
        /// Length at its making, where known.
        length: Option<u64>,
    },
    /// A map, as `classify` returns it.
    Dict {
        /// Type of the keys.
        key: Box<Type>,
        /// Type of the values.
        value: Box<Type>,
    },
    /// Several values at once.
    Tuple(Vec<Type>),
    /// A type that the file does not state (NeuralNetwork blobs) or that is not understood.
    Unknown,
}

impl Type {
    /// The tensor type of a tensor.
    pub fn tensor(&self) -> Option<&TensorType> {
        match self {
            Type::Tensor(t) => Some(t),
            _ => None,
        }
    }

    /// The type as a file stores it: symbols become unknown dims.
    pub fn erased(&self) -> Type {
        match self {
            Type::Tensor(t) => Type::Tensor(t.erased()),
            Type::State(t) => Type::State(t.erased()),
            Type::List { element, length } => Type::List { element: element.erased(), length: *length },
            Type::Dict { key, value } => {
                Type::Dict { key: Box::new(key.erased()), value: Box::new(value.erased()) }
            }
            Type::Tuple(t) => Type::Tuple(t.iter().map(Type::erased).collect()),
            Type::Unknown => Type::Unknown,
        }
    }

    /// Whether `self` says at least what `stored` says.
    pub fn refines(&self, stored: &Type) -> bool {
        match (self, stored) {
            (_, Type::Unknown) => true,
            (Type::Tensor(a), Type::Tensor(b)) | (Type::State(a), Type::State(b)) => a.refines(b),
            (Type::List { element: a, length: n }, Type::List { element: b, length: m }) => {
                a.refines(b) && (m.is_none() || n == m)
            }
            (Type::Dict { key: a, value: x }, Type::Dict { key: b, value: y }) => {
                a.refines(b) && x.refines(y)
            }
            (Type::Tuple(a), Type::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.refines(b))
            }
            _ => false,
        }
    }
}

impl From<TensorType> for Type {
    fn from(t: TensorType) -> Self {
        Type::Tensor(t)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(n) => write!(f, "{n}"),
            Dim::Unknown => f.write_str("?"),
            Dim::Expr(e) => write!(f, "{e:?}"),
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tensor<{}, ", self.dtype)?;
        let Some(shape) = &self.shape else { return f.write_str("[...]>") };
        f.write_str("[")?;
        for (i, d) in shape.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]>")
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Tensor(t) => t.fmt(f),
            Type::State(t) => write!(f, "state<{t}>"),
            Type::List { element, length: Some(n) } => write!(f, "list<{element}, {n}>"),
            Type::List { element, length: None } => write!(f, "list<{element}, ?>"),
            Type::Dict { key, value } => write!(f, "dict<{key}, {value}>"),
            Type::Tuple(types) => {
                f.write_str("tuple<")?;
                for (i, t) in types.iter().enumerate() {
                    write!(f, "{}{t}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(">")
            }
            Type::Unknown => f.write_str("unknown"),
        }
    }
}
