//! Type inference of one op: what it may look at and what it may answer. Over a program:
//! [`infer`].

mod program;

use std::sync::Arc;

use anewrite_tensor::Tensor;
use thiserror::Error;

pub(crate) use self::program::note;
pub use self::program::{Disagreement, Inferred, infer};
use crate::dims::{DimTable, Int};
use crate::ids::{BlockId, OpId, Side, ValueId};
use crate::op::{Attr, Attrs, Str};
use crate::program::Program;
use crate::schema::{DefaultValue, Dialect, OpSchema, Opset, Types};
use crate::types::{Dim, Shape, TensorType, Type};

/// Integer tensors with more elements than this are not followed element by element.
pub const MAX_KNOWN_INTS: usize = 64;

/// Parameters with more integers than this are refused: none means more than a few an axis.
const MAX_PARAM_INTS: u64 = 1 << 16;

/// Why the types of an op's results cannot be derived.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InferError {
    /// There is no definition of the op.
    #[error("the op {0} has no definition here")]
    Unknown(String),
    /// A parameter that must be given is missing.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter has the wrong type, rank, extent or value.
    #[error("{param}: {why}")]
    Bad {
        /// Which parameter.
        param: &'static str,
        /// What is wrong, with the value seen.
        why: String,
    },
    /// A parameter that decides the result is not known before the model runs.
    #[error("the value of {0} is not known")]
    NotKnown(&'static str),
}

/// Shorthand for [`InferError::Bad`].
pub fn bad<T>(param: &'static str, why: impl Into<String>) -> Result<T, InferError> {
    Err(InferError::Bad { param, why: why.into() })
}

/// What is known of one operand.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Which parameter it is for.
    pub param: Str,
    /// Its type.
    pub ty: Type,
    /// Its content, if constant.
    pub constant: Option<Tensor>,
    /// Its elements as integers, if small and known at least as expressions.
    pub ints: Option<Arc<[Int]>>,
}

/// What is known of one nested block of an op.
#[derive(Clone, Debug, Default)]
pub struct BlockTypes {
    /// Types of its arguments.
    pub args: Vec<Type>,
    /// Types of its outputs.
    pub outputs: Vec<Type>,
}

/// One op under inference: its operands, what is known of them, and where new symbols come from.
pub struct InferCx<'a> {
    /// The op's kind.
    pub kind: &'a str,
    /// The opset of its function.
    pub opset: Opset,
    /// Its operands.
    pub args: &'a [Arg],
    /// Its attributes.
    pub attrs: &'a Attrs,
    /// Its nested blocks, if it has any.
    pub blocks: &'a [BlockTypes],
    /// The program's symbols.
    pub dims: &'a mut DimTable,
    /// The types that the file states for the results; empty for new ops.
    pub stored: &'a [Type],
    /// To be filled where the elements of an integer result are known: result, elements.
    pub ints_out: Vec<(usize, Arc<[Int]>)>,
    /// Its definition, for defaults.
    pub schema: Option<&'static OpSchema>,
}

impl<'a> InferCx<'a> {
    /// The operand bound to `param`.
    pub fn arg(&self, param: &str) -> Option<&'a Arg> {
        self.args.iter().find(|a| &*a.param == param)
    }

    /// The operands bound to `param`, in order.
    pub fn args(&self, param: &'static str) -> impl Iterator<Item = &'a Arg> + use<'a> {
        self.args.iter().filter(move |a| &*a.param == param)
    }

    /// The tensor type of `param`.
    ///
    /// # Errors
    /// Where it is missing or no tensor.
    pub fn tensor(&self, param: &'static str) -> Result<&'a TensorType, InferError> {
        match self.arg(param) {
            None => Err(InferError::Missing(param)),
            Some(Arg { ty: Type::Tensor(t), .. }) => Ok(t),
            Some(a) => bad(param, format!("a tensor is needed, this is {}", a.ty)),
        }
    }

    /// The shape of `param`.
    ///
    /// # Errors
    /// Where it is missing, no tensor, or of unknown rank.
    pub fn shape(&self, param: &'static str) -> Result<&'a Shape, InferError> {
        self.tensor(param)?.shape.as_ref().ok_or(InferError::NotKnown(param))
    }

    /// The constant bound to `param`.
    pub fn constant(&self, param: &str) -> Option<&'a Tensor> {
        self.arg(param)?.constant.as_ref()
    }

    /// The integers bound to `param`, known or as expressions, else the default's. `None` where the parameter is
    /// absent and its default is [`DefaultValue::Absent`].
    ///
    /// # Errors
    /// Where the elements are not known.
    pub fn ints(&self, param: &'static str) -> Result<Option<Vec<Int>>, InferError> {
        let Some(arg) = self.arg(param) else {
            return Ok(match self.default(param) {
                DefaultValue::Int(n) => Some(vec![Int::Known(n)]),
                DefaultValue::Ints(n) => Some(n.iter().map(|&n| Int::Known(n)).collect()),
                _ => None,
            });
        };
        if let Some(ints) = &arg.ints {
            return Ok(Some(ints.to_vec()));
        }
        let t = arg.constant.as_ref().ok_or(InferError::NotKnown(param))?;
        if t.count() > MAX_PARAM_INTS {
            return bad(param, format!("{} integers, where {MAX_PARAM_INTS} are the most", t.count()));
        }
        let ints = t.to_i64s().map_err(|e| InferError::Bad { param, why: e.to_string() })?;
        Ok(Some(ints.into_iter().map(Int::Known).collect()))
    }

    /// The integers bound to `param` as numbers; [`DefaultValue::Fill`] gives `count` equal ones.
    ///
    /// # Errors
    /// Where it is missing without a default, or its elements are not all known.
    pub fn known_ints(&self, param: &'static str, count: usize) -> Result<Vec<i64>, InferError> {
        match (self.ints(param)?, self.default(param)) {
            (Some(v), _) => {
                v.iter().map(|i| i.known()).collect::<Option<_>>().ok_or(InferError::NotKnown(param))
            }
            (None, DefaultValue::Fill(n)) => Ok(vec![n; count]),
            (None, _) => Err(InferError::Missing(param)),
        }
    }

    /// One integer: the constant, or the default.
    ///
    /// # Errors
    /// Where it is missing without a default, not one element, or not known.
    pub fn int(&self, param: &'static str) -> Result<i64, InferError> {
        match self.known_ints(param, 1)?.as_slice() {
            [n] => Ok(*n),
            v => bad(param, format!("one integer is needed, this has {}", v.len())),
        }
    }

    /// An axis of a tensor of rank `rank`, negative ones counted from the end.
    ///
    /// # Errors
    /// As [`InferCx::int`], and where it is out of range.
    pub fn axis(&self, param: &'static str, rank: usize) -> Result<usize, InferError> {
        normal_axis(param, self.int(param)?, rank)
    }

    /// Axes of a tensor of rank `rank`, negative ones counted from the end; `None` where the parameter is absent.
    ///
    /// # Errors
    /// Where one is not known, out of range, or named twice.
    pub fn axes(&self, param: &'static str, rank: usize) -> Result<Option<Vec<usize>>, InferError> {
        let Some(ints) = self.ints(param)? else { return Ok(None) };
        let mut named = vec![false; rank];
        let mut out = Vec::with_capacity(ints.len());
        for i in ints {
            let axis = normal_axis(param, i.known().ok_or(InferError::NotKnown(param))?, rank)?;
            if std::mem::replace(&mut named[axis], true) {
                return bad(param, format!("axis {axis} is named twice"));
            }
            out.push(axis);
        }
        Ok(Some(out))
    }

    /// A truth value: the constant, or the default.
    ///
    /// # Errors
    /// Where it is missing without a default or not a constant.
    pub fn flag(&self, param: &'static str) -> Result<bool, InferError> {
        match (self.arg(param), self.default(param)) {
            (Some(_), _) => Ok(self.int(param)? != 0),
            (None, DefaultValue::Bool(b)) => Ok(b),
            (None, _) => Err(InferError::Missing(param)),
        }
    }

    /// Truth values, one an axis; absent means all false.
    ///
    /// # Errors
    /// Where they are not constant or not `count`.
    pub fn flags(&self, param: &'static str, count: usize) -> Result<Vec<bool>, InferError> {
        let Some(v) = self.ints(param)? else { return Ok(vec![false; count]) };
        if v.len() != count {
            return bad(param, format!("{count} elements are needed, this has {}", v.len()));
        }
        v.iter().map(|i| i.known().map(|n| n != 0)).collect::<Option<_>>().ok_or(InferError::NotKnown(param))
    }

    /// A number: the constant, or the default.
    ///
    /// # Errors
    /// Where it is missing without a default, or not a constant of one element.
    pub fn float(&self, param: &'static str) -> Result<f64, InferError> {
        match (self.arg(param), self.default(param)) {
            (Some(a), _) => {
                a.constant.as_ref().and_then(Tensor::scalar_f64).ok_or(InferError::NotKnown(param))
            }
            (None, DefaultValue::Float(x)) => Ok(x),
            (None, DefaultValue::Int(n)) => Ok(n as f64),
            (None, _) => Err(InferError::Missing(param)),
        }
    }

    /// Text: the constant, or the default.
    ///
    /// # Errors
    /// Where it is missing without a default, or not one constant text.
    pub fn text(&self, param: &'static str) -> Result<&'a str, InferError> {
        match (self.arg(param), self.default(param)) {
            (Some(a), _) => {
                a.constant.as_ref().and_then(Tensor::scalar_str).ok_or(InferError::NotKnown(param))
            }
            (None, DefaultValue::Text(s)) => Ok(s),
            (None, _) => Err(InferError::Missing(param)),
        }
    }

    /// The attribute `name`.
    pub fn attr(&self, name: &str) -> Option<&'a Attr> {
        self.attrs.iter().find(|(n, _)| &**n == name).map(|(_, a)| a)
    }

    /// Says that the elements of integer result `result` are known.
    pub fn set_ints(&mut self, result: usize, ints: Vec<Int>) {
        if ints.len() <= MAX_KNOWN_INTS {
            self.ints_out.push((result, ints.into()));
        }
    }

    fn default(&self, param: &str) -> DefaultValue {
        self.schema.and_then(|s| s.param(param)).map_or(DefaultValue::Absent, |p| p.default)
    }
}

/// `axis` counted from the front.
///
/// # Errors
/// Where it is outside `-rank..rank`.
pub fn normal_axis(param: &'static str, axis: i64, rank: usize) -> Result<usize, InferError> {
    let n = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(n) {
        Ok(n) if n < rank => Ok(n),
        _ => bad(param, format!("axis {axis} of a tensor of rank {rank}")),
    }
}

/// What inference found out about a program's values, beside what the file says.
#[derive(Clone, Debug)]
pub struct Facts {
    types: Side<ValueId, Option<Type>>,
    ints: Side<ValueId, Option<Arc<[Int]>>>,
}

impl Default for Facts {
    fn default() -> Self {
        Facts { types: Side::new(None), ints: Side::new(None) }
    }
}

impl Facts {
    /// The inferred type of a value, else the stored one.
    pub fn ty<'a>(&'a self, p: &'a Program, value: ValueId) -> &'a Type {
        self.types[value].as_ref().unwrap_or_else(|| p.ty(value))
    }

    /// The tensor type of a value, if it is a tensor.
    pub fn tensor<'a>(&'a self, p: &'a Program, value: ValueId) -> Option<&'a TensorType> {
        self.ty(p, value).tensor()
    }

    /// The elements of a small integer value, as far as known.
    pub fn ints(&self, value: ValueId) -> Option<&Arc<[Int]>> {
        self.ints[value].as_ref()
    }

    /// Sets what is known of a value.
    pub fn set(&mut self, value: ValueId, ty: Type, ints: Option<Arc<[Int]>>) {
        self.types.set(value, Some(ty));
        self.ints.set(value, ints);
    }

    /// What an inference about an op with this operand may look at.
    pub fn arg(&self, p: &Program, param: Str, value: ValueId) -> Arg {
        let constant = p.constant(value).map(|c| c.tensor.clone());
        let ints = self.ints[value].clone().or_else(|| known_ints(constant.as_ref()?));
        Arg { param, ty: self.ty(p, value).clone(), constant, ints }
    }
}

fn known_ints(t: &Tensor) -> Option<Arc<[Int]>> {
    if !(t.dtype().is_int() || t.dtype() == anewrite_tensor::DType::Bool) || t.count() > MAX_KNOWN_INTS as u64
    {
        return None;
    }
    Some(t.to_i64s().ok()?.into_iter().map(Int::Known).collect())
}

/// What inference says about the results of one op.
#[derive(Clone, Debug)]
pub struct OpFacts {
    /// Their types.
    pub types: Types,
    /// The elements of small integer results: position, elements.
    pub ints: Vec<(usize, Arc<[Int]>)>,
}

/// Infers one op of a program from the facts about its operands.
///
/// # Errors
/// As the dialect's [`Dialect::infer`].
pub fn infer_op(
    p: &Program,
    dialect: &dyn Dialect,
    opset: Opset,
    op: OpId,
    facts: &Facts,
    dims: &mut DimTable,
) -> Result<OpFacts, InferError> {
    let o = p.op(op);
    let args: Vec<Arg> = o.operands.iter().map(|x| facts.arg(p, x.param.clone(), x.value)).collect();
    let stored: Vec<Type> = o.results.iter().map(|&r| p.ty(r).clone()).collect();
    let blocks: Vec<BlockTypes> = o.blocks.iter().map(|&b| block_types(p, facts, b)).collect();
    let schema = dialect.schema(&o.kind, opset);
    let mut cx = InferCx {
        kind: &o.kind,
        opset,
        args: &args,
        attrs: &o.attrs,
        blocks: &blocks,
        dims,
        stored: &stored,
        ints_out: Vec::new(),
        schema,
    };
    let types = dialect.infer(&mut cx)?;
    Ok(OpFacts { types, ints: cx.ints_out })
}

fn block_types(p: &Program, facts: &Facts, block: BlockId) -> BlockTypes {
    let types = |values: &[ValueId]| values.iter().map(|&v| facts.ty(p, v).clone()).collect();
    let block = p.block(block);
    BlockTypes { args: types(&block.args), outputs: types(&block.outputs) }
}

/// The type with a fresh symbol for each unknown dim.
pub fn with_symbols(ty: &Type, dims: &mut DimTable) -> Type {
    let mut fresh = |t: &TensorType| TensorType {
        dtype: t.dtype,
        shape: t
            .shape
            .as_ref()
            .map(|s| s.iter().map(|d| if matches!(d, Dim::Known(_)) { *d } else { dims.fresh() }).collect()),
    };
    match ty {
        Type::Tensor(t) => Type::Tensor(fresh(t)),
        Type::State(t) => Type::State(fresh(t)),
        t => t.clone(),
    }
}
