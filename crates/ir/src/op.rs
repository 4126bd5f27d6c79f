//! Ops, operands, attributes and constants: the parts a program is made of.

use std::sync::Arc;

use anewrite_tensor::Tensor;
use smallvec::SmallVec;

use crate::ids::{BlockId, OpId, ValueId};
use crate::types::Type;

/// Shared text: names of values, kinds of ops, names of parameters.
pub type Str = Arc<str>;

/// How the file binds an operand; new operands are [`Binding::Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Binding {
    /// By the name of the value.
    #[default]
    Name,
    /// The constant stands in the argument itself.
    Inline,
    /// The constant stands in the op's attributes (`constexpr_*` of iOS16), or in a NeuralNetwork layer's field.
    Attribute,
}

/// One use of a value by an op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Which parameter it is for: `x`, `weight`; for NeuralNetwork layers `input` or the path of the field.
    /// A parameter that takes several values (`values` of `concat`) repeats, in order.
    pub param: Str,
    /// What is used.
    pub value: ValueId,
    /// How the file binds it.
    pub binding: Binding,
}

/// A compile-time parameter that is not a value: fields of NeuralNetwork layers, attributes of MIL ops beyond
/// the name.
#[derive(Clone, Debug, PartialEq)]
pub enum Attr {
    /// Truth value.
    Bool(bool),
    /// Any integer of the format but `uint64` values over `i64::MAX`, which wrap.
    Int(i64),
    /// Any float of the format.
    Float(f64),
    /// Text.
    Text(Str),
    /// Raw bytes.
    Bytes(Arc<[u8]>),
    /// The name of an enumeration's value, as the schema spells it.
    Enum(Str),
    /// A repeated field.
    List(Vec<Attr>),
    /// A nested message: its fields that are set, in order of their numbers; a member of a oneof shows which one
    /// is set by being there.
    Message(Vec<(Str, Attr)>),
}

impl Attr {
    /// The field `name` of a message.
    pub fn field(&self, name: &str) -> Option<&Attr> {
        match self {
            Attr::Message(fields) => fields.iter().find(|(n, _)| &**n == name).map(|(_, a)| a),
            _ => None,
        }
    }

    /// The integer, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Attr::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The number, if this is one.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Attr::Float(x) => Some(*x),
            Attr::Int(n) => Some(*n as f64),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Attr::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The text or enumeration name, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Attr::Text(s) | Attr::Enum(s) => Some(s),
            _ => None,
        }
    }

    /// The integers of a list, if all are.
    pub fn as_ints(&self) -> Option<Vec<i64>> {
        match self {
            Attr::List(items) => items.iter().map(Attr::as_int).collect(),
            _ => None,
        }
    }
}

/// Named attributes in the order of the file.
pub type Attrs = Vec<(Str, Attr)>;

/// What an op does besides computing its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing: it may be merged, moved and removed.
    Pure,
    /// Draws random numbers: never merged.
    Random,
    /// Reads a state or a list, so its place among writes matters.
    ReadState,
    /// Writes a state, or makes or writes a list.
    WriteState,
    /// Not known; treated as if it did everything.
    Opaque,
}

/// An op in a block.
#[derive(Clone, Debug)]
pub struct Op {
    /// `conv`, `nn.convolution`, or a type that this build does not know.
    pub kind: Str,
    /// The op's own name (the `name` attribute); NeuralNetwork: the layer's name.
    pub name: Option<Str>,
    /// What it uses, grouped by parameter.
    pub operands: Vec<Operand>,
    /// Parameters that are not values.
    pub attrs: Attrs,
    /// Nested blocks: `cond` has two, `while_loop` two, the NeuralNetwork branch and loop as their layers say.
    pub blocks: SmallVec<[BlockId; 2]>,
    /// What it defines.
    pub results: SmallVec<[ValueId; 1]>,
    /// Whether the message carries something that this build does not understand (an unknown field, an attribute
    /// out of schema, an updatable layer): no rule may match it.
    pub sealed: bool,
}

impl Op {
    /// The values bound to `param`, in order.
    pub fn args<'a>(&'a self, param: &'a str) -> impl Iterator<Item = ValueId> + 'a {
        self.operands.iter().filter(move |o| &*o.param == param).map(|o| o.value)
    }

    /// The first value bound to `param`.
    pub fn arg(&self, param: &str) -> Option<ValueId> {
        self.operands.iter().find(|o| &*o.param == param).map(|o| o.value)
    }

    /// The first result.
    pub fn result(&self) -> Option<ValueId> {
        self.results.first().copied()
    }

    /// The attribute `name`.
    pub fn attr(&self, name: &str) -> Option<&Attr> {
        self.attrs.iter().find(|(n, _)| &**n == name).map(|(_, a)| a)
    }
}

/// Where a constant comes from, so that export can put it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstOrigin {
    /// A `const` op of the source; `name` is its name attribute.
    ConstOp {
        /// The op's own name, which usually equals the value's.
        name: Option<Str>,
    },
    /// Written where it is used: inline argument, attribute, or field of a layer.
    InPlace,
    /// Made by a rewrite; becomes a `const` op (MIL) or a field (NeuralNetwork).
    New,
}

/// A constant's content and origin.
#[derive(Clone, Debug)]
pub struct Const {
    /// Type and elements.
    pub tensor: Tensor,
    /// Where it comes from.
    pub origin: ConstOrigin,
    /// Whether its message carries something that this build does not understand: it is kept, never merged or
    /// replaced.
    pub sealed: bool,
}

/// What defines a value.
#[derive(Clone, Debug)]
pub enum Def {
    /// The `index`-th result of an op.
    Op {
        /// The defining op.
        op: OpId,
        /// Position among its results.
        index: u32,
    },
    /// The `index`-th argument of a block.
    Arg {
        /// The block.
        block: BlockId,
        /// Position among its arguments.
        index: u32,
    },
    /// A constant, visible from its place in `block` on.
    Const {
        /// The block it belongs to.
        block: BlockId,
        /// Content and origin.
        data: Box<Const>,
    },
}

/// A value: what is known of it without looking at the graph.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its name in the file. Unique in its function, but for [`Value::pinned`] ones.
    pub name: Str,
    /// Its type as the file states it.
    pub ty: Type,
    /// What defines it.
    pub def: Def,
    /// Whether its name is written more than once in the source (NeuralNetwork loops, `copy`): no rewrite may
    /// define, rename or read it elsewhere.
    pub pinned: bool,
}
