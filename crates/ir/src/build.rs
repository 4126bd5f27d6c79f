//! Making ops with inferred types: for lowerings, patches and tests.

use std::sync::Arc;

use anewrite_tensor::{Tensor, TensorError};
use smallvec::SmallVec;
use thiserror::Error;

use crate::dims::{DimTable, Int};
use crate::edit::{NewOp, Place};
use crate::ids::{FuncId, OpId, ValueId};
use crate::infer::{Arg, Facts, InferCx, InferError, infer_op};
use crate::op::{Attrs, Binding, Const, ConstOrigin};
use crate::program::{DialectId, Program};
use crate::schema::{Dialect, Opset};
use crate::types::{TensorType, Type};

/// Why an op cannot be made.
#[derive(Clone, Debug, Error)]
pub enum BuildError {
    /// Its operands do not fit.
    #[error("{kind}: {source}")]
    Infer {
        /// The op's kind.
        kind: String,
        /// What does not fit.
        source: InferError,
    },
    /// The op has another number of results than the caller reads.
    #[error("{kind} has {have} results, {want} are read")]
    Results {
        /// The op's kind.
        kind: String,
        /// Its results.
        have: usize,
        /// Results that were asked for.
        want: usize,
    },
    /// A constant cannot be made or read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A type that is needed is not known.
    #[error("{0}")]
    NotKnown(String),
}

/// Appends ops to a program, their types inferred from their operands.
///
/// ```
/// use anewrite_ir::{Builder, DialectId, Program, TensorType, dims::DimTable, infer::Facts, mil::Mil, Opset, Place};
/// use anewrite_tensor::{DType, Tensor};
///
/// let mut p = Program::new(DialectId::Mil);
/// let (func, body) = p.add_function("main", "CoreML6");
/// let x = p.add_arg(body, "x", TensorType::fixed(DType::F16, [2, 3, 5]).into());
/// let (mut facts, mut dims) = (Facts::default(), DimTable::default());
/// let mut b = Builder::new(&mut p, &mut facts, &mut dims, &Mil, Opset::Ios16, Place::End(body));
/// let perm = b.constant(Tensor::i32s([1, 2, 0]));
/// let y = b.op("transpose", &[("x", x), ("perm", perm)]).unwrap();
/// assert_eq!(b.tensor(y).unwrap().to_string(), "tensor<fp16, [3, 5, 2]>");
/// ```
pub struct Builder<'a> {
    program: &'a mut Program,
    facts: &'a mut Facts,
    dims: &'a mut DimTable,
    dialect: &'a dyn Dialect,
    opset: Opset,
    place: Place,
    made: Vec<OpId>,
}

impl<'a> Builder<'a> {
    /// A builder that adds at `place`.
    pub fn new(
        program: &'a mut Program,
        facts: &'a mut Facts,
        dims: &'a mut DimTable,
        dialect: &'a dyn Dialect,
        opset: Opset,
        place: Place,
    ) -> Self {
        Builder { program, facts, dims, dialect, opset, place, made: Vec::new() }
    }

    /// The program that is built.
    pub fn program(&self) -> &Program {
        self.program
    }

    /// The program's symbols.
    pub fn dims(&mut self) -> &mut DimTable {
        self.dims
    }

    /// The opset of the function that is built.
    pub fn opset(&self) -> Opset {
        self.opset
    }

    /// Ops made so far.
    pub fn made(&self) -> &[OpId] {
        &self.made
    }

    /// The type of a value.
    pub fn ty(&self, value: ValueId) -> &Type {
        self.facts.ty(self.program, value)
    }

    /// The tensor type of a value.
    ///
    /// # Errors
    /// Where it is no tensor, or not known to be one.
    pub fn tensor(&self, value: ValueId) -> Result<&TensorType, BuildError> {
        self.facts
            .tensor(self.program, value)
            .ok_or_else(|| BuildError::NotKnown(format!("{} is no tensor", self.program.value(value).name)))
    }

    /// The constant behind a value.
    pub fn as_constant(&self, value: ValueId) -> Option<&Tensor> {
        self.program.constant(value).map(|c| &c.tensor)
    }

    /// The elements of a small value, as far as they are known to be whole numbers or expressions of them.
    pub fn ints(&self, value: ValueId) -> Option<&Arc<[Int]>> {
        self.facts.ints(value)
    }

    /// Names a value that an op made, or nearly so where the function has that name already.
    pub fn name(&mut self, value: ValueId, name: &str) {
        if self.program.def_op(value).is_some() {
            let name = self.program.fresh_name(self.func(), name);
            self.program.rename(value, &name);
        }
    }

    /// Adds a constant.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let block = self.block();
        let name = self.program.fresh_name(self.func(), "const");
        self.program.add_const(block, &name, Const { tensor, origin: ConstOrigin::New, sealed: false })
    }

    /// Adds an op with one result and returns that.
    ///
    /// # Errors
    /// Where the operands do not fit the op, or it has not exactly one result.
    pub fn op(&mut self, kind: &str, args: &[(&str, ValueId)]) -> Result<ValueId, BuildError> {
        let results = self.op_with(kind, args, Vec::new())?;
        match results.as_slice() {
            [one] => Ok(*one),
            r => Err(BuildError::Results { kind: kind.into(), have: r.len(), want: 1 }),
        }
    }

    /// Adds an op with attributes and any number of results.
    ///
    /// # Errors
    /// Where the operands do not fit the op.
    pub fn op_with(
        &mut self,
        kind: &str,
        args: &[(&str, ValueId)],
        attrs: Attrs,
    ) -> Result<SmallVec<[ValueId; 1]>, BuildError> {
        let facts: Vec<Arg> = args
            .iter()
            .map(|&(param, value)| {
                let param = self.program.intern(param);
                self.facts.arg(self.program, param, value)
            })
            .collect();
        let schema = self.dialect.schema(kind, self.opset);
        let mut cx = InferCx {
            kind,
            opset: self.opset,
            args: &facts,
            attrs: &attrs,
            blocks: &[],
            dims: self.dims,
            stored: &[],
            ints_out: Vec::new(),
            schema,
        };
        let types = self.dialect.infer(&mut cx);
        let types = types.map_err(|source| BuildError::Infer { kind: kind.into(), source })?;
        let ints = cx.ints_out;
        let func = self.func();
        let mut new = NewOp::new(kind);
        for &(param, value) in args {
            new = new.operand(param, value);
        }
        if self.program.dialect == DialectId::Nn {
            // the constants of a layer stand in its fields
            for o in &mut new.op.operands {
                if self.program.constant(o.value).is_some() {
                    o.binding = Binding::Attribute;
                }
            }
        }
        new.op.attrs = attrs;
        let mut base = kind.trim_start_matches("nn.").to_owned();
        base.retain(|c| c.is_ascii_alphanumeric() || c == '_');
        let mut taken = Vec::new();
        for ty in &types {
            let mut name = self.program.fresh_name(func, &base);
            if taken.contains(&name) {
                name = self.program.fresh_name(func, &format!("{base}_{}", taken.len()));
            }
            taken.push(name.clone());
            new.results.push((name, ty.erased()));
        }
        let op = self.program.add_op(self.place, new);
        self.made.push(op);
        let results = self.program.op(op).results.clone();
        for (i, (&r, ty)) in results.iter().zip(types).enumerate() {
            let known = ints.iter().find(|(n, _)| *n == i).map(|(_, v)| v.clone());
            self.facts.set(r, ty, known);
        }
        Ok(results)
    }

    /// Adds an op with nested blocks: as many as `args` has, each with arguments of these names and types, and with the
    /// outputs that `fill` gives after it added the block's ops. Returns the op's results, `count` of them.
    ///
    /// # Errors
    /// Those of `fill`, and where operands or blocks do not fit the op. What was made by then stays in the program.
    pub fn nested<E: From<BuildError>>(
        &mut self,
        kind: &str,
        operands: &[(&str, ValueId)],
        count: usize,
        args: &[Vec<(&str, Type)>],
        mut fill: impl FnMut(&mut Self, usize, &[ValueId]) -> Result<Vec<ValueId>, E>,
    ) -> Result<Vec<ValueId>, E> {
        let func = self.func();
        let mut new = NewOp::new(kind);
        for &(param, value) in operands {
            new = new.operand(param, value);
        }
        let mut taken = Vec::new();
        for i in 0..count {
            let mut name = self.program.fresh_name(func, kind);
            if taken.contains(&name) {
                name = self.program.fresh_name(func, &format!("{kind}_{i}"));
            }
            taken.push(name.clone());
            new.results.push((name, Type::Unknown));
        }
        let op = self.program.add_op(self.place, new);
        let around = self.place;
        for (i, args) in args.iter().enumerate() {
            let block = self.program.add_block(op);
            let mut values = Vec::with_capacity(args.len());
            for (name, ty) in args {
                let name = self.program.fresh_name(func, name);
                let value = self.program.add_arg(block, &name, ty.erased());
                self.facts.set(value, ty.clone(), None);
                values.push(value);
            }
            self.place = Place::End(block);
            let outputs = fill(self, i, &values);
            self.place = around;
            for v in outputs? {
                self.program.add_output(block, v);
            }
        }
        self.made.push(op);
        let known = infer_op(self.program, self.dialect, self.opset, op, self.facts, self.dims);
        let known = known.map_err(|source| BuildError::Infer { kind: kind.into(), source })?;
        let results = self.program.op(op).results.to_vec();
        if known.types.len() != results.len() {
            return Err(BuildError::Results {
                kind: kind.into(),
                have: known.types.len(),
                want: results.len(),
            }
            .into());
        }
        for (&r, ty) in results.iter().zip(known.types) {
            self.program.set_type(r, ty.erased());
            self.facts.set(r, ty, None);
        }
        Ok(results)
    }

    fn block(&self) -> crate::BlockId {
        match self.place {
            Place::Before(op) => self.program.block_of(op),
            Place::End(block) => block,
        }
    }

    fn func(&self) -> FuncId {
        self.program.block(self.block()).func
    }
}
