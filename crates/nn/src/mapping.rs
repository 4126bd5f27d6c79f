//! How a network sees its arrays, and what that makes of their shapes.

use anewrite_ir::{Attr, Dim, OpId, Program, Shape, TensorType, Type};
use anewrite_tensor::DType;

use crate::call::PREFIX;
use crate::registry::layer;

/// The rank that the tensors of a network have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Mapping {
    /// Every tensor is `[Seq, B, C, H, W]`: the only reading before specification 4, and still that of networks
    /// that use nothing newer. In the lowering, a tensor whose `Seq` and `B` are both 1 is `[1, C, H, W]`, and the
    /// two axes cost nothing.
    #[default]
    Rank5,
    /// Every tensor has the rank that its array or layer gives it.
    Exact,
}

impl Mapping {
    /// The attribute of a program that says how arrays are mapped.
    pub const ATTR: &'static str = "arrayInputShapeMapping";

    /// The attribute of a program that says whether an image is `[1, C, H, W]` or `[1, 1, C, H, W]`.
    pub const IMAGES: &'static str = "imageInputShapeMapping";

    /// The attribute of a program whose outputs show no shape to an application: images, labels and probabilities.
    pub const UNSEEN: &'static str = "outputsShowNoShape";

    /// The mapping of a NeuralNetwork program: exact where a mapping of its inputs is the newer one, or where it has
    /// a layer of specification 4 or later. With such a layer the format allows the older mapping of arrays only
    /// where there are none, so that the images are all that it could be about.
    ///
    /// Looks at every layer of a network where nothing is newer.
    ///
    /// ```
    /// use anewrite_ir::{Attr, DialectId, NewOp, Place, Program};
    /// use anewrite_nn::Mapping;
    ///
    /// let mut p = Program::new(DialectId::Nn);
    /// let (_, body) = p.add_function("main", "");
    /// assert_eq!(Mapping::of(&p), Mapping::Rank5);
    /// p.add_op(Place::End(body), NewOp::new("nn.loadConstantND"));
    /// assert_eq!(Mapping::of(&p), Mapping::Exact);
    ///
    /// let mut p = Program::new(DialectId::Nn);
    /// p.attrs.push(("arrayInputShapeMapping".into(), Attr::Enum("EXACT_ARRAY_MAPPING".into())));
    /// assert_eq!(Mapping::of(&p), Mapping::Exact);
    /// ```
    pub fn of(p: &Program) -> Mapping {
        let newer = || p.functions().any(|(_, f)| p.ops(f.body).any(|op| is_newer(p, op)));
        if inputs_are_exact(p) || newer() { Mapping::Exact } else { Mapping::Rank5 }
    }

    /// Whether the network says itself that its arrays or images keep the axes that they have.
    pub fn is_stated(p: &Program) -> bool {
        inputs_are_exact(p)
    }

    /// The first two layers of specification 4 or later.
    pub fn newer_layers(p: &Program) -> Vec<OpId> {
        p.functions().flat_map(|(_, f)| p.ops(f.body)).filter(|&op| is_newer(p, op)).take(2).collect()
    }

    /// Whether the mapping of the network would be another one without this layer, and an application would see that.
    ///
    /// The layers of a network of images compute the same in both mappings once none is newer: all tensors are
    /// `[1, 1, C, H, W]` before and after. What changes is the shape in which an array is given.
    pub fn rests_on(p: &Program, op: OpId) -> bool {
        let body = p.function(p.func_of(op)).body;
        let unseen = p.attrs.iter().any(|(n, a)| &**n == Mapping::UNSEEN && a.as_bool() == Some(true));
        if unseen || inputs_are_exact(p) || p.block_of(op) != body || !is_newer(p, op) {
            return false;
        }
        // outwards from the layer, for those of one age stand together
        let mut before = std::iter::successors(p.prev_op(op), |&o| p.prev_op(o));
        let mut after = std::iter::successors(p.next_op(op), |&o| p.next_op(o));
        loop {
            match (before.next(), after.next()) {
                (None, None) => return true,
                (b, a) if b.into_iter().chain(a).any(|o| is_newer(p, o)) => return false,
                _ => {}
            }
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

    /// As [`Mapping::tensor_shape`], for extents that are all known.
    pub fn tensor_dims(self, array: &[u64]) -> Vec<u64> {
        if self == Mapping::Exact || array.len() >= 5 {
            return array.to_vec();
        }
        let (before, after) = if array.len() == 1 { (2, 2) } else { (5 - array.len(), 0) };
        let ones = |n| std::iter::repeat_n(1, n);
        ones(before).chain(array.iter().copied()).chain(ones(after)).collect()
    }

    /// The extents that the lowering works on, from those of a network's value: `[1, C, H, W]` for `[1, 1, C, H, W]`
    /// under [`Mapping::Rank5`].
    ///
    /// ```
    /// use anewrite_nn::Mapping;
    /// assert_eq!(Mapping::Rank5.lowered_dims(&[1, 1, 3, 8, 6]), [1, 3, 8, 6]);
    /// assert_eq!(Mapping::Rank5.lowered_dims(&[7, 1, 3, 8, 6]), [7, 1, 3, 8, 6]);
    /// ```
    pub fn lowered_dims(self, tensor: &[u64]) -> Vec<u64> {
        match self {
            Mapping::Rank5 if tensor.len() == 5 && tensor.starts_with(&[1, 1]) => tensor[1..].to_vec(),
            _ => tensor.to_vec(),
        }
    }

    /// The type that the lowering works on, from the type of a network's value: floats for what the engine keeps
    /// as floats, and `[1, C, H, W]` for `[1, 1, C, H, W]` under [`Mapping::Rank5`].
    pub fn lowered(self, ty: &Type) -> Type {
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

/// Whether the inputs of the network have ranks of their own.
fn inputs_are_exact(p: &Program) -> bool {
    let is = |attr: &str, newer: &str| {
        let value = p.attrs.iter().find(|(n, _)| &**n == attr).map(|(_, a)| a);
        value.is_some_and(|a: &Attr| a.as_str() == Some(newer) || a.as_int() == Some(1))
    };
    is(Mapping::ATTR, "EXACT_ARRAY_MAPPING") || is(Mapping::IMAGES, "RANK4_IMAGE_MAPPING")
}

/// Whether the layer is of specification 4 or later.
fn is_newer(p: &Program, op: OpId) -> bool {
    p.op(op).kind.strip_prefix(PREFIX).and_then(layer).is_some_and(|l| l.since >= 4)
}

#[cfg(test)]
mod tests {
    use anewrite_ir::{DialectId, NewOp, Place};

    use super::*;

    fn network(kinds: &[&str]) -> (Program, Vec<OpId>) {
        let mut p = Program::new(DialectId::Nn);
        let (_, body) = p.add_function("main", "");
        let ops = kinds.iter().map(|k| p.add_op(Place::End(body), NewOp::new(k))).collect();
        (p, ops)
    }

    #[test]
    fn the_last_newer_layer_decides() {
        let (p, ops) = network(&["nn.relu", "nn.concatND", "nn.add", "nn.custom", "nn.clip"]);
        assert_eq!(Mapping::of(&p), Mapping::Exact);
        assert!(ops.iter().all(|&op| !Mapping::rests_on(&p, op)));
        let (p, ops) = network(&["nn.add", "nn.custom", "nn.clip", "nn.softmax"]);
        let found: Vec<bool> = ops.iter().map(|&op| Mapping::rests_on(&p, op)).collect();
        assert_eq!(found, [false, false, true, false]);
    }

    #[test]
    fn nothing_rests_on_a_layer_where_no_shape_is_seen() {
        let (mut p, ops) = network(&["nn.clip", "nn.add"]);
        assert!(Mapping::rests_on(&p, ops[0]));
        p.attrs.push((Mapping::UNSEEN.into(), Attr::Bool(true)));
        assert!(!Mapping::rests_on(&p, ops[0]) && Mapping::of(&p) == Mapping::Exact);
    }

    #[test]
    fn inputs_of_their_own_rank_decide_alone() {
        for (attr, value) in
            [(Mapping::ATTR, "EXACT_ARRAY_MAPPING"), (Mapping::IMAGES, "RANK4_IMAGE_MAPPING")]
        {
            let (mut p, ops) = network(&["nn.clip", "nn.add"]);
            p.attrs.push((attr.into(), Attr::Enum(value.into())));
            assert!(Mapping::of(&p) == Mapping::Exact && !Mapping::rests_on(&p, ops[0]));
        }
        let (mut p, _) = network(&["nn.add"]);
        p.attrs.push((Mapping::ATTR.into(), Attr::Enum("RANK5_ARRAY_MAPPING".into())));
        p.attrs.push((Mapping::IMAGES.into(), Attr::Int(0)));
        assert_eq!(Mapping::of(&p), Mapping::Rank5);
    }
}
