//! One layer to lower: its type, fields and weights.

use anewrite_ir::infer::InferCx;
use anewrite_ir::{Attrs, OpId, Program};
use anewrite_tensor::{DType, Tensor};

use crate::fields::Fields;
use crate::mapping::Mapping;

/// The operand name of a layer's data inputs; all others but [`CARRIED`] ones are
/// constants named by their field's path.
pub const INPUT: &str = "input";

/// The operand name of values that the networks inside a layer overwrite.
pub const CARRIED: &str = "carried";

/// The attribute of a layer with networks in it that names their fields, in order of the op's blocks.
pub const NETWORKS: &str = "layer.networks";

/// The prefix of layer types as op kinds: `nn.convolution`.
pub const PREFIX: &str = "nn.";

/// What a lowering is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Detail {
    /// To be computed or written: every constant holds its values.
    #[default]
    Full,
    /// Only the types of the results are asked for: where a weight would have to be rearranged in memory, a value
    /// of its type stands in for it.
    Types,
}

/// A layer: what [`lower`](crate::lower) needs to know of it besides its inputs.
#[derive(Clone, Debug)]
pub struct LayerCall<'a> {
    pub(crate) kind: &'a str,
    pub(crate) attrs: &'a Attrs,
    pub(crate) weights: Vec<(&'a str, &'a Tensor)>,
    pub(crate) outputs: Option<usize>,
    pub(crate) mapping: Mapping,
    pub(crate) float: DType,
    pub(crate) detail: Detail,
    pub(crate) compressed: bool,
}

impl<'a> LayerCall<'a> {
    /// A layer of type `kind` (`convolution`) with these fields, no weights, all outputs that it can have,
    /// exact array mapping and 32-bit floats.
    pub fn new(kind: &'a str, attrs: &'a Attrs) -> Self {
        LayerCall {
            kind,
            attrs,
            weights: Vec::new(),
            outputs: None,
            mapping: Mapping::Exact,
            float: DType::F32,
            detail: Detail::Full,
            compressed: false,
        }
    }

    /// A layer of a program with `nn` ops, whose [mapping](Mapping::of) is the same for all of them. `None` for an op
    /// whose kind does not start with `nn.`.
    pub fn of(p: &'a Program, op: OpId, mapping: Mapping) -> Option<Self> {
        let o = p.op(op);
        let mut call = LayerCall::new(o.kind.strip_prefix(PREFIX)?, &o.attrs);
        call.mapping = mapping;
        call.outputs = Some(o.results.len());
        for x in o.operands.iter().filter(|x| &*x.param != INPUT) {
            if let Some(c) = p.constant(x.value) {
                call.weights.push((&x.param, &c.tensor));
            }
        }
        Some(call)
    }

    /// The layer that an inference looks at.
    pub(crate) fn of_inference(kind: &'a str, cx: &InferCx<'a>, mapping: Mapping) -> Self {
        let mut call = LayerCall::new(kind, cx.attrs);
        call.mapping = mapping;
        call.detail = Detail::Types;
        call.outputs = (!cx.stored.is_empty()).then_some(cx.stored.len());
        for a in cx.args.iter().filter(|a| &*a.param != INPUT) {
            if let Some(t) = &a.constant {
                call.weights.push((&a.param, t));
            }
        }
        call
    }

    /// Adds the weights of the field at `path` (`weights`, `weightParams.0.inputGateWeightMatrix`): flat, F32, F16,
    /// or the raw bytes of quantised ones.
    #[must_use]
    pub fn weight(mut self, path: &'a str, weights: &'a Tensor) -> Self {
        self.weights.push((path, weights));
        self
    }

    /// Sets the array mapping of the network.
    #[must_use]
    pub fn mapping(mut self, mapping: Mapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Sets how many outputs the layer names.
    #[must_use]
    pub fn outputs(mut self, outputs: usize) -> Self {
        self.outputs = Some(outputs);
        self
    }

    /// Sets the element type that the ops of the lowering compute in: [`DType::F32`] or [`DType::F16`].
    #[must_use]
    pub fn float(mut self, float: DType) -> Self {
        self.float = float;
        self
    }

    /// Sets what the lowering is made for.
    #[must_use]
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// Sets whether quantised and narrower weights stay so, unpacked by `constexpr_*` ops, where the opset has such.
    #[must_use]
    pub fn compressed(mut self, compressed: bool) -> Self {
        self.compressed = compressed;
        self
    }

    /// The layer's type, without `nn.`.
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    pub(crate) fn fields(&self) -> Fields<'a> {
        Fields(self.attrs)
    }
}
