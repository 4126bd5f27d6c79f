//! How a network sees its arrays, and what that makes of their shapes.

use anewrite_ir::{Attr, Dim, Program, Shape, TensorType, Type};
use anewrite_tensor::DType;

/// How a network maps the arrays of its interface to tensors (`arrayInputShapeMapping`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Mapping {
    /// Every tensor is `[Seq, B, C, H, W]`; the only one before specification 4, and the format's default.
    /// In the lowering, a tensor whose `Seq` and `B` are both 1 is `[1, C, H, W]`, and the two axes cost nothing.
    #[default]
    Rank5,
    /// Every tensor has the rank that its array or layer gives it.
    Exact,
}

impl Mapping {
    /// The attribute of a program that names its mapping.
    pub const ATTR: &'static str = "arrayInputShapeMapping";

    /// The mapping of a NeuralNetwork program: its attribute `arrayInputShapeMapping`, else the default.
    ///
    /// ```
    /// use anewrite_ir::{Attr, DialectId, Program};
    /// use anewrite_nn::Mapping;
    ///
    /// let mut p = Program::new(DialectId::Nn);
    /// assert_eq!(Mapping::of(&p), Mapping::Rank5);
    /// p.attrs.push(("arrayInputShapeMapping".into(), Attr::Enum("EXACT_ARRAY_MAPPING".into())));
    /// assert_eq!(Mapping::of(&p), Mapping::Exact);
    /// ```
    pub fn of(p: &Program) -> Mapping {
        let exact = |a: &Attr| a.as_str() == Some("EXACT_ARRAY_MAPPING") || a.as_int() == Some(1);
        match p.attrs.iter().find(|(n, _)| &**n == Mapping::ATTR) {
            Some((_, a)) if exact(a) => Mapping::Exact,
            _ => Mapping::Rank5,
        }
    }

    /// The tensor of an array with these extents. Under [`Mapping::Rank5`] `[C]` is `[1, 1, C, 1, 1]` and
    /// `[C, H, W]` is `[1, 1, C, H, W]`; longer ones fill the axes from the last.
    ///
    /// ```
    /// use anewrite_ir::Dim;
    /// use anewrite_nn::Mapping;
    ///
    /// let dims = |v: &[u64]| v.iter().map(|&n| Dim::Known(n)).collect();
    /// let mapped = Mapping::Rank5.tensor_shape(&dims(&[7]));
    /// assert_eq!(mapped.as_slice(), dims(&[1, 1, 7, 1, 1]).as_slice());
    /// ```
    pub fn tensor_shape(self, array: &Shape) -> Shape {
        if self == Mapping::Exact || array.len() >= 5 {
            return array.clone();
        }
        let (before, after) = if array.len() == 1 { (2, 2) } else { (5 - array.len(), 0) };
        let ones = |n| std::iter::repeat_n(Dim::Known(1), n);
        ones(before).chain(array.iter().copied()).chain(ones(after)).collect()
    }

    /// The type that the lowering works on, from the type of a network's value: floats for what the engine keeps
    /// as floats, and `[1, C, H, W]` for `[1, 1, C, H, W]` under [`Mapping::Rank5`].
    pub(crate) fn lowered(self, ty: &Type) -> Type {
        let Type::Tensor(t) = ty else { return ty.clone() };
        let dtype = if t.dtype == DType::F64 { DType::F32 } else { t.dtype };
        let shape = t.shape.as_ref().map(|s| match self {
            Mapping::Exact => s.clone(),
            Mapping::Rank5 => match self.tensor_shape(s) {
                s if s.starts_with(&[Dim::Known(1); 2]) => s.into_iter().skip(1).collect(),
                s => s,
            },
        });
        Type::Tensor(TensorType { dtype, shape })
    }

    /// The inverse of [`Mapping::lowered`] for the result of a lowering.
    pub(crate) fn raised(self, ty: &Type) -> Type {
        match ty {
            Type::Tensor(TensorType { dtype, shape: Some(s) }) if self == Mapping::Rank5 => {
                Type::Tensor(TensorType { dtype: *dtype, shape: Some(self.tensor_shape(s)) })
            }
            ty => ty.clone(),
        }
    }
}
