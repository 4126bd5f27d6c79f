use anewrite_tensor::DType;
use smallvec::SmallVec;

/// The extents of a tensor, outermost first; `None` where an extent is not a known constant.
///
/// Six extents fit without an allocation: one more than the highest rank that Core ML itself accepts.
pub type Dims = SmallVec<[Option<u64>; 6]>;

/// The element type and shape of one value, as far as the caller knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The element type; `None` where it is not known.
    pub dtype: Option<DType>,
    /// The extents; `None` where not even the rank is known. A scalar has no extents.
    pub dims: Option<Dims>,
}

impl Tensor {
    /// A tensor of which everything is known.
    pub fn new(dtype: DType, dims: &[u64]) -> Tensor {
        Tensor { dtype: Some(dtype), dims: Some(dims.iter().map(|&d| Some(d)).collect()) }
    }
}

/// One tensor bound to an operand of an op.
#[derive(Clone, Debug)]
pub struct Operand<'a> {
    /// The operand's name in its op's schema: `x`, `weight`, `values`.
    pub name: &'a str,
    /// The place among the tensors of a variadic operand (`values` of `concat`), 0 for all others.
    pub index: usize,
    /// Whether the value is a constant of the program, compressed weights included.
    pub constant: bool,
    /// Type and shape.
    pub tensor: Tensor,
}

/// The elements of a small constant operand, row by row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Integers of any width.
    Ints(SmallVec<[i64; 8]>),
    /// Floating-point numbers, widened.
    Floats(SmallVec<[f64; 4]>),
    /// Truth values.
    Bools(SmallVec<[bool; 8]>),
    /// One text.
    Text(String),
}

/// What the capability tables and the planner need to see of one op.
///
/// Whoever owns a graph implements this on a borrowed op. The order of calls is free, and no call needs to
/// allocate for ordinary ranks and parameters.
///
/// Operands go by the names of their op's schema. For a layer of a NeuralNetwork the parameters are constant
/// operands that go by the field names of the protobuf schema (`kernelSize`, `dilationFactor`, `globalPooling`);
/// where a parameter is a choice between messages, as the function of an `activation`, its operand is `type`
/// and its value the name of the case (`softplus`).
pub trait OpView {
    /// The op type: `max_pool`, or `nn.addBroadcastable` for a layer of a NeuralNetwork model.
    fn op(&self) -> &str;

    /// The opset that the op belongs to, by its iOS version (15, 16, 17, 18, 26); `None` for layers
    /// of a NeuralNetwork and where it is not known.
    fn opset(&self) -> Option<u32>;

    /// Visits every bound operand in the schema's order, constants included, unbound ones not.
    fn operands<'v>(&'v self, visit: &mut dyn FnMut(Operand<'v>));

    /// Visits the results in order.
    fn results(&self, visit: &mut dyn FnMut(Tensor));

    /// The elements of the constant operand `operand`; `None` when it is not bound, not a constant,
    /// or longer than [`VALUE_LIMIT`] elements.
    fn value(&self, operand: &str) -> Option<Value>;
}

/// The longest constant that [`OpView::value`] is asked to give, in elements. The tables look at
/// kernel sizes, strides, axes and modes; never at weights.
pub const VALUE_LIMIT: usize = 64;
