//! Replacements, built beside the program and put into it in one place.

use anewrite_ir::dims::DimTable;
use anewrite_ir::infer::Facts;
use anewrite_ir::{
    Attrs, BlockId, Builder, Const, ConstOrigin, Dialect, OpId, Opset, Place, Program, TensorType, Type,
    ValueId,
};
use anewrite_tensor::{DType, Tensor};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::matching::Miss;

/// A value of a patch, not of the program that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatchValue(pub(crate) ValueId);

impl PatchValue {
    /// Its identity in [`Patch::body`].
    pub fn id(self) -> ValueId {
        self.0
    }
}

/// Where the elements of an old value are in a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexMap {
    /// At the same index.
    Same,
    /// The new value is the old one transposed by this permutation.
    Transposed(SmallVec<[usize; 5]>),
    /// The same elements in row-major order, under other extents.
    Reshaped,
}

/// Two values that a verification can compare.
#[derive(Clone, Debug)]
pub struct Witness {
    /// A value of the program.
    pub old: ValueId,
    /// A value of the patch.
    pub new: PatchValue,
    /// Where the old elements are in the new value.
    pub map: IndexMap,
}

/// A replacement: a small program whose arguments are values of the large one.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The ops to be put in, as a program of one function.
    pub body: Program,
    /// Types of the body's values, in the symbols of the large program.
    pub facts: Facts,
    /// Arguments and constants of the body that stand for values of the program.
    pub taps: Vec<(PatchValue, ValueId)>,
    /// Values of the program, and what their users use from now on.
    pub replaced: Vec<(ValueId, PatchValue)>,
    /// Operands that use another value from now on: op, operand, value of the program.
    pub rebound: Vec<(OpId, usize, ValueId)>,
    /// Ops that are to go, which must have no users then.
    pub removed: Vec<OpId>,
    /// Values to compare besides the replaced ones.
    pub witnesses: Vec<Witness>,
    /// New constants that hold rounded numbers, with the numbers as `fp64`, for verification; dropped after it.
    pub unrounded: Vec<(PatchValue, Tensor)>,
    /// What the rule has people know about this replacement, as what it costs; of no effect.
    pub notes: Vec<String>,
    /// The ops that the rule looked at.
    pub matched: SmallVec<[OpId; 3]>,
    /// The op that new ones are put before, where they have no place of their own.
    pub anchor: Option<OpId>,
    /// New ops that stand before another op of the program than the anchor.
    pub places: FxHashMap<OpId, OpId>,
}

impl Patch {
    pub(crate) fn empty(opset: Opset, program: &Program) -> (Patch, BlockId) {
        let mut body = Program::new(program.dialect);
        body.attrs.clone_from(&program.attrs);
        let (_, block) = body.add_function("patch", opset.name());
        let patch = Patch {
            body,
            facts: Facts::default(),
            taps: Vec::new(),
            replaced: Vec::new(),
            rebound: Vec::new(),
            removed: Vec::new(),
            witnesses: Vec::new(),
            unrounded: Vec::new(),
            notes: Vec::new(),
            matched: SmallVec::new(),
            anchor: None,
            places: FxHashMap::default(),
        };
        (patch, block)
    }

    /// Whether it would change nothing.
    pub fn is_empty(&self) -> bool {
        self.replaced.is_empty() && self.rebound.is_empty() && self.removed.is_empty()
    }

    /// The ops to be put in, in order.
    pub fn new_ops(&self) -> Vec<OpId> {
        self.body.all_ops().collect()
    }
}

/// Builds a [`Patch`] for one match.
pub struct PatchBuilder<'a> {
    program: &'a Program,
    facts: &'a Facts,
    dims: &'a mut DimTable,
    dialect: &'a dyn Dialect,
    opset: Opset,
    block: BlockId,
    place: Option<OpId>,
    patch: Patch,
}

impl<'a> PatchBuilder<'a> {
    pub(crate) fn new(
        program: &'a Program,
        facts: &'a Facts,
        dims: &'a mut DimTable,
        dialect: &'a dyn Dialect,
        opset: Opset,
    ) -> Self {
        let (patch, block) = Patch::empty(opset, program);
        PatchBuilder { program, facts, dims, dialect, opset, block, place: None, patch }
    }

    pub(crate) fn finish(self) -> Patch {
        self.patch
    }

    /// Makes the ops that follow stand before `op`, the one that they replace, and not before the match's root.
    pub fn at(&mut self, op: OpId) {
        self.place = Some(op);
    }

    /// A value of the program, for use in the patch.
    pub fn tap(&mut self, value: ValueId) -> PatchValue {
        if let Some((inner, _)) = self.patch.taps.iter().find(|(_, outer)| *outer == value) {
            return *inner;
        }
        let source = self.program.value(value);
        let inner = match self.program.constant(value) {
            Some(c) => self.patch.body.add_const(self.block, &source.name, c.clone()),
            None => self.patch.body.add_arg(self.block, &source.name, source.ty.clone()),
        };
        let ints = self.facts.ints(value).cloned();
        self.patch.facts.set(inner, self.facts.ty(self.program, value).clone(), ints);
        self.patch.taps.push((PatchValue(inner), value));
        PatchValue(inner)
    }

    /// A new constant.
    pub fn constant(&mut self, tensor: Tensor) -> PatchValue {
        let func = self.patch.body.block(self.block).func;
        let name = self.patch.body.fresh_name(func, "const");
        let data = Const { tensor, origin: ConstOrigin::New, sealed: false };
        PatchValue(self.patch.body.add_const(self.block, &name, data))
    }

    /// A new constant of floats that were computed, each rounded to the nearest number of `dtype`. Verification
    /// compares the rewrite with the numbers as they are here, and then allows for the rounding.
    ///
    /// # Errors
    /// Where their number is not the product of the extents, or `dtype` is not of floats.
    pub fn rounded(&mut self, dtype: DType, dims: &[u64], values: &[f64]) -> Result<PatchValue, Miss> {
        let unrounded = Tensor::from_f64s(DType::F64, dims, values)?;
        let value = self.constant(Tensor::from_f64s(dtype, dims, values)?);
        self.patch.unrounded.push((value, unrounded));
        Ok(value)
    }

    /// A new vector of integers.
    ///
    /// # Errors
    /// Where one does not fit 32 bits.
    pub fn ints(&mut self, values: &[i64]) -> Result<PatchValue, Miss> {
        let v: Result<Vec<i32>, _> = values.iter().map(|&v| i32::try_from(v)).collect();
        let v = v.map_err(|_| Miss::new("an integer of the replacement does not fit 32 bits"))?;
        Ok(self.constant(Tensor::i32s(v)))
    }

    /// A new integer scalar.
    ///
    /// # Errors
    /// Where it does not fit 32 bits.
    pub fn int(&mut self, value: i64) -> Result<PatchValue, Miss> {
        let v = i32::try_from(value);
        let v = v.map_err(|_| Miss::new("an integer of the replacement does not fit 32 bits"))?;
        Ok(self.constant(Tensor::i32(v)))
    }

    /// A new truth value.
    pub fn bool(&mut self, value: bool) -> PatchValue {
        self.constant(Tensor::bool(value))
    }

    /// A new text.
    pub fn text(&mut self, value: &str) -> PatchValue {
        self.constant(Tensor::string(value))
    }

    /// A new op with one result.
    ///
    /// # Errors
    /// Where the operands do not fit it.
    pub fn op(&mut self, kind: &str, args: &[(&str, PatchValue)]) -> Result<PatchValue, Miss> {
        match self.op_with(kind, args, Vec::new())?.as_slice() {
            [one] => Ok(*one),
            r => Err(Miss::new(format!("{kind} has {} results where the rule reads one", r.len()))),
        }
    }

    /// A new op with attributes and any number of results.
    ///
    /// # Errors
    /// Where the operands do not fit it.
    pub fn op_with(
        &mut self,
        kind: &str,
        args: &[(&str, PatchValue)],
        attrs: Attrs,
    ) -> Result<SmallVec<[PatchValue; 1]>, Miss> {
        let args: Vec<(&str, ValueId)> = args.iter().map(|(n, v)| (*n, v.0)).collect();
        let Patch { body, facts, .. } = &mut self.patch;
        let mut b = Builder::new(body, facts, self.dims, self.dialect, self.opset, Place::End(self.block));
        let results = b.op_with(kind, &args, attrs)?;
        if let (Some(place), Some(&op)) = (self.place, b.made().first()) {
            self.patch.places.insert(op, place);
        }
        Ok(results.into_iter().map(PatchValue).collect())
    }

    /// The type of a value of the patch.
    ///
    /// # Errors
    /// Where it is not known to be a tensor.
    pub fn tensor(&self, value: PatchValue) -> Result<&TensorType, Miss> {
        self.patch
            .facts
            .tensor(&self.patch.body, value.0)
            .ok_or(Miss::new("the replacement's type is not known"))
    }

    /// Makes the users of `old` use `new`.
    ///
    /// # Errors
    /// Where the two have not the same type.
    pub fn replace(&mut self, old: ValueId, new: PatchValue) -> Result<(), Miss> {
        let have = self.patch.facts.ty(&self.patch.body, new.0);
        let want = self.facts.ty(self.program, old);
        if !interchangeable(have, want) {
            let name = &self.program.value(old).name;
            return Err(Miss::new(format!("the replacement of {name} would be {have}, it is {want}")));
        }
        self.patch.replaced.push((old, new));
        Ok(())
    }

    /// Makes one operand use another value of the program, of the same type.
    ///
    /// # Errors
    /// Where the two have not the same type.
    pub fn rebind(&mut self, op: OpId, slot: usize, value: ValueId) -> Result<(), Miss> {
        let Some(old) = self.program.op(op).operands.get(slot) else {
            return Err(Miss::new("there is no such operand"));
        };
        let (have, want) = (self.facts.ty(self.program, value), self.facts.ty(self.program, old.value));
        if !interchangeable(have, want) {
            return Err(Miss::new(format!("the operand would be {have}, it is {want}")));
        }
        self.patch.rebound.push((op, slot, value));
        Ok(())
    }

    /// Takes out an op that has no users.
    pub fn remove(&mut self, op: OpId) {
        self.patch.removed.push(op);
    }

    /// Ops of the patch so far.
    pub fn op_count(&self) -> usize {
        self.patch.body.op_count()
    }

    /// Has people know this about the replacement: it is shown with the firing.
    pub fn note(&mut self, text: impl Into<String>) {
        self.patch.notes.push(text.into());
    }

    /// Adds a pair of values for verification.
    pub fn witness(&mut self, old: ValueId, new: PatchValue, map: IndexMap) {
        self.patch.witnesses.push(Witness { old, new, map });
    }
}

/// Whether users cannot tell a value of one type from one of the other.
fn interchangeable(new: &Type, old: &Type) -> bool {
    match (new, old) {
        (_, Type::Unknown) => true,
        (new, old) => new == old,
    }
}
