use anewrite_tensor::DType;
use smallvec::SmallVec;

use crate::view::{OpView, Operand, Tensor, Value};

/// An op described by hand: for ops that no graph holds (a replacement under consideration, a row of
/// a table, a test).
///
/// ```
/// use anewrite_ane::{eligibility, SimpleOp, Target};
/// use anewrite_tensor::DType;
///
/// let pool = SimpleOp::new("max_pool")
///     .input("x", DType::F16, &[1, 64, 32, 32])
///     .ints("kernel_sizes", &[9, 9])
///     .ints("strides", &[1, 1])
///     .result(DType::F16, &[1, 64, 32, 32]);
/// let m4 = Target::parse("m4")?;
/// assert!(eligibility(&pool, &m4).is_no());
/// # Ok::<(), anewrite_ane::TargetError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimpleOp {
    op: String,
    opset: Option<u32>,
    operands: Vec<(String, usize, bool, Tensor)>,
    values: Vec<(String, Value)>,
    results: Vec<Tensor>,
}

impl SimpleOp {
    /// An op of type `op` (`conv`, `nn.concatND`) with no operands and no results yet.
    pub fn new(op: &str) -> SimpleOp {
        SimpleOp {
            op: op.to_owned(),
            opset: None,
            operands: Vec::new(),
            values: Vec::new(),
            results: Vec::new(),
        }
    }

    /// Sets the opset by its iOS version.
    #[must_use]
    pub fn opset(mut self, ios: u32) -> SimpleOp {
        self.opset = Some(ios);
        self
    }

    /// Binds a tensor that is computed at run time. Several under one name are a variadic operand.
    #[must_use]
    pub fn input(self, name: &str, dtype: DType, dims: &[u64]) -> SimpleOp {
        self.tensor(name, false, Tensor::new(dtype, dims))
    }

    /// Binds a constant tensor whose elements are of no interest (weights).
    #[must_use]
    pub fn constant(self, name: &str, dtype: DType, dims: &[u64]) -> SimpleOp {
        self.tensor(name, true, Tensor::new(dtype, dims))
    }

    /// Binds a tensor of which not everything is known.
    #[must_use]
    pub fn tensor(mut self, name: &str, constant: bool, tensor: Tensor) -> SimpleOp {
        let index = self.operands.iter().filter(|o| o.0 == name).count();
        self.operands.push((name.to_owned(), index, constant, tensor));
        self
    }

    /// Binds a constant int32 vector.
    #[must_use]
    pub fn ints(self, name: &str, values: &[i64]) -> SimpleOp {
        let dims = [values.len() as u64];
        self.value(name, DType::I32, &dims, Value::Ints(SmallVec::from_slice(values)))
    }

    /// Binds a constant int32 scalar.
    #[must_use]
    pub fn int(self, name: &str, value: i64) -> SimpleOp {
        self.value(name, DType::I32, &[], Value::Ints(SmallVec::from_slice(&[value])))
    }

    /// Binds a constant truth value.
    #[must_use]
    pub fn bool(self, name: &str, value: bool) -> SimpleOp {
        self.value(name, DType::Bool, &[], Value::Bools(SmallVec::from_slice(&[value])))
    }

    /// Binds a constant text (`pad_type`, `mode`).
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> SimpleOp {
        self.value(name, DType::String, &[], Value::Text(value.to_owned()))
    }

    /// Binds a constant with its elements.
    #[must_use]
    pub fn value(mut self, name: &str, dtype: DType, dims: &[u64], value: Value) -> SimpleOp {
        self.values.push((name.to_owned(), value));
        self.tensor(name, true, Tensor::new(dtype, dims))
    }

    /// Binds a constant tensor with its elements, of which not everything needs to be known.
    #[must_use]
    pub fn value_of(mut self, name: &str, tensor: Tensor, value: Value) -> SimpleOp {
        self.values.push((name.to_owned(), value));
        self.tensor(name, true, tensor)
    }

    /// Adds a result.
    #[must_use]
    pub fn result(self, dtype: DType, dims: &[u64]) -> SimpleOp {
        self.result_tensor(Tensor::new(dtype, dims))
    }

    /// Adds a result of which not everything is known.
    #[must_use]
    pub fn result_tensor(mut self, tensor: Tensor) -> SimpleOp {
        self.results.push(tensor);
        self
    }
}

impl OpView for SimpleOp {
    fn op(&self) -> &str {
        &self.op
    }

    fn opset(&self) -> Option<u32> {
        self.opset
    }

    fn operands<'v>(&'v self, visit: &mut dyn FnMut(Operand<'v>)) {
        for (name, index, constant, tensor) in &self.operands {
            visit(Operand { name, index: *index, constant: *constant, tensor: tensor.clone() });
        }
    }

    fn results(&self, visit: &mut dyn FnMut(Tensor)) {
        for tensor in &self.results {
            visit(tensor.clone());
        }
    }

    fn value(&self, operand: &str) -> Option<Value> {
        self.values.iter().find(|(name, _)| name == operand).map(|(_, value)| value.clone())
    }
}
