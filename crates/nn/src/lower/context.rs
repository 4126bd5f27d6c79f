//! What lowerings are written with: a layer's inputs, constants, ops, and types of values.

use anewrite_ir::{Attrs, BuildError, Builder, Opset, Shape, Type, ValueId};
use anewrite_tensor::{DType, Tensor};
use smallvec::{SmallVec, smallvec};

use super::{One, Values};
use crate::call::LayerCall;
use crate::error::Reason;
use crate::fields::Fields;

/// A layer being lowered.
pub(crate) struct Cx<'c, 'p> {
    pub(super) call: &'c LayerCall<'c>,
    pub(super) b: &'c mut Builder<'p>,
    inputs: SmallVec<[ValueId; 4]>,
}

impl<'c, 'p> Cx<'c, 'p> {
    pub(super) fn new(call: &'c LayerCall<'c>, b: &'c mut Builder<'p>, inputs: &[ValueId]) -> Self {
        Cx { call, b, inputs: inputs.into() }
    }

    /// The layer's fields.
    pub(crate) fn fields(&self) -> Fields<'c> {
        self.call.fields()
    }

    /// The opset that ops are taken from.
    pub(crate) fn opset(&self) -> Opset {
        self.b.opset()
    }

    /// Number of data inputs.
    pub(crate) fn arity(&self) -> usize {
        self.inputs.len()
    }

    /// Gives every data input all of its axes.
    pub(super) fn make_inputs_explicit(&mut self) -> Result<(), Reason> {
        for i in 0..self.inputs.len() {
            let v = self.raw(i)?;
            let v = self.explicit(v)?;
            if let Some(slot) = self.inputs.get_mut(i) {
                *slot = v;
            }
        }
        Ok(())
    }

    /// Refuses a layer with more or fewer data inputs.
    pub(crate) fn arity_in(&self, range: std::ops::RangeInclusive<usize>) -> Result<usize, Reason> {
        let n = self.inputs.len();
        if range.contains(&n) {
            return Ok(n);
        }
        Err(Reason::input(
            n,
            format!("the layer takes {} to {} inputs, this has {n}", range.start(), range.end()),
        ))
    }

    /// Data input `i` as floats.
    pub(crate) fn x(&mut self, i: usize) -> One {
        let v = self.raw(i)?;
        self.float_of(v)
    }

    /// All data inputs as floats; at least one.
    pub(crate) fn xs(&mut self) -> Result<Values, Reason> {
        if self.inputs.is_empty() {
            return Err(Reason::input(0, "the layer needs an input"));
        }
        (0..self.inputs.len()).map(|i| self.x(i)).collect()
    }

    /// Data input `i` as integers.
    pub(crate) fn index(&mut self, i: usize) -> One {
        let v = self.raw(i)?;
        self.int_of(v)
    }

    /// Data input `i` as it is.
    pub(crate) fn raw(&self, i: usize) -> One {
        self.inputs.get(i).copied().ok_or_else(|| Reason::input(i, "it is missing"))
    }

    /// Adds an op with one result.
    pub(crate) fn op(&mut self, kind: &str, args: &[(&str, ValueId)]) -> One {
        Ok(self.b.op(kind, args)?)
    }

    /// Adds an op with any number of results.
    pub(crate) fn ops(&mut self, kind: &str, args: &[(&str, ValueId)]) -> Result<Values, Reason> {
        Ok(self.b.op_with(kind, args, Attrs::new())?)
    }

    // Constants.

    /// An integer scalar.
    pub(crate) fn int(&mut self, n: i64) -> One {
        let n = narrow(n)?;
        Ok(self.b.constant(Tensor::i32(n)))
    }

    /// An integer vector.
    pub(crate) fn ints(&mut self, v: &[i64]) -> One {
        let v: Vec<i32> = v.iter().map(|&n| narrow(n)).collect::<Result<_, _>>()?;
        Ok(self.b.constant(Tensor::i32s(v)))
    }

    /// An integer vector of extents.
    pub(crate) fn sizes(&mut self, v: &[u64]) -> One {
        let v: Vec<i64> = v.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect();
        self.ints(&v)
    }

    /// A number of the element type that is computed in.
    pub(crate) fn num(&mut self, x: f64) -> One {
        let t = Tensor::from_f64s(self.call.float, &[], &[x])?;
        Ok(self.b.constant(t))
    }

    /// A truth value.
    pub(crate) fn flag(&mut self, b: bool) -> ValueId {
        self.b.constant(Tensor::bool(b))
    }

    /// Truth values.
    pub(crate) fn flags(&mut self, v: &[bool]) -> ValueId {
        self.b.constant(Tensor::bools(v.iter().copied()))
    }

    /// Text.
    pub(crate) fn text(&mut self, s: &str) -> ValueId {
        self.b.constant(Tensor::string(s))
    }

    /// Adds a loop over values with names, which keep their types: `test` says whether there is another round, `body`
    /// makes the next values. Both give values of ops of their own.
    pub(crate) fn while_loop(
        &mut self,
        vars: &[(&str, ValueId)],
        test: impl Fn(&mut Cx<'_, '_>, &[ValueId]) -> One,
        body: impl Fn(&mut Cx<'_, '_>, &[ValueId]) -> Result<Vec<ValueId>, Reason>,
    ) -> Result<Vec<ValueId>, Reason> {
        let operands: Vec<(&str, ValueId)> = vars.iter().map(|(_, v)| ("loop_vars", *v)).collect();
        let args: Vec<(&str, Type)> = vars.iter().map(|(n, v)| (*n, self.b.ty(*v).clone())).collect();
        let call = self.call;
        self.b.nested("while_loop", &operands, vars.len(), &[args.clone(), args], |b, block, now| {
            let mut cx = Cx::new(call, b, &[]);
            if block == 0 { Ok(vec![test(&mut cx, now)?]) } else { body(&mut cx, now) }
        })
    }

    /// An op of one operand and a number: `elu(x, alpha)`.
    pub(crate) fn op_num(&mut self, kind: &str, x: ValueId, params: &[(&str, f64)]) -> One {
        let mut args: SmallVec<[(&str, ValueId); 4]> = smallvec![("x", x)];
        for &(name, n) in params {
            args.push((name, self.num(n)?));
        }
        self.op(kind, &args)
    }

    /// An op of two operands `x` and `y`.
    pub(crate) fn op2(&mut self, kind: &str, x: ValueId, y: ValueId) -> One {
        self.op(kind, &[("x", x), ("y", y)])
    }

    // Types.

    /// The extents of a value.
    pub(crate) fn shape(&self, v: ValueId) -> Result<Shape, Reason> {
        let name = || self.b.program().value(v).name.to_string();
        match &self.b.tensor(v)?.shape {
            Some(s) => Ok(s.clone()),
            None => Err(BuildError::NotKnown(format!("the rank of {} is not known", name())).into()),
        }
    }

    /// The number of axes of a value.
    pub(crate) fn rank(&self, v: ValueId) -> Result<usize, Reason> {
        Ok(self.shape(v)?.len())
    }

    /// Refuses an input of lower rank.
    pub(crate) fn rank_from(&self, v: ValueId, least: usize) -> Result<usize, Reason> {
        let rank = self.rank(v)?;
        if rank < least {
            return Err(Reason::input(0, format!("rank {least} or more is needed, this has rank {rank}")));
        }
        Ok(rank)
    }

    /// `axis` of a tensor of `rank` axes, negative ones counted from the end.
    pub(crate) fn axis(&self, field: &str, axis: i64, rank: usize) -> Result<usize, Reason> {
        let n = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        match usize::try_from(n) {
            Ok(n) if n < rank => Ok(n),
            _ => Err(Reason::field(field, format!("axis {axis} of a tensor of rank {rank}"))),
        }
    }

    /// The value as the floats that are computed in.
    pub(crate) fn float_of(&mut self, v: ValueId) -> One {
        let float = self.call.float;
        if self.b.tensor(v)?.dtype == float {
            return Ok(v);
        }
        // a small constant stays one, so that what indices and extents are made of stays known
        if let Some(t) = self.b.as_constant(v)
            && (t.dtype(), float) == (DType::F16, DType::F32)
            && t.count() <= anewrite_ir::infer::MAX_KNOWN_INTS as u64
        {
            let wide = Tensor::from_f64s(float, t.dims(), &t.to_f64s()?)?;
            return Ok(self.b.constant(wide));
        }
        self.cast(v, float)
    }

    /// The value as integers; a constant where its elements are known.
    pub(crate) fn int_of(&mut self, v: ValueId) -> One {
        let t = self.b.tensor(v)?;
        if t.dtype.is_int() {
            return Ok(v);
        }
        if let Some(dims) = t.known_dims()
            && let Some(known) = self.known_ints(v)
        {
            let t = Tensor::i32s(known.iter().map(|&n| narrow(n)).collect::<Result<Vec<_>, _>>()?);
            return Ok(self.b.constant(t.reshaped(dims)?));
        }
        self.cast(v, DType::I32)
    }

    /// The value as truth values: whether an element is not 0.
    pub(crate) fn bool_of(&mut self, v: ValueId) -> One {
        if self.b.tensor(v)?.dtype == DType::Bool {
            return Ok(v);
        }
        self.cast(v, DType::Bool)
    }

    fn cast(&mut self, v: ValueId, to: DType) -> One {
        let dtype = self.text(to.name());
        self.op("cast", &[("x", v), ("dtype", dtype)])
    }

    /// The elements of a small value of whole numbers, where all are known.
    pub(crate) fn known_ints(&self, v: ValueId) -> Option<Vec<i64>> {
        if let Some(ints) = self.b.ints(v) {
            return ints.iter().map(|i| i.known()).collect();
        }
        whole_numbers(self.b.as_constant(v)?)
    }
}

/// One result.
pub(crate) fn one(v: ValueId) -> super::Lowered {
    Ok(smallvec![v])
}

fn narrow(n: i64) -> Result<i32, Reason> {
    i32::try_from(n)
        .map_err(|_| BuildError::NotKnown(format!("{n} does not fit the 32 bits of an index")).into())
}

/// The elements of a small constant, where all are whole numbers that 32 bits hold.
pub(crate) fn whole_numbers(t: &Tensor) -> Option<Vec<i64>> {
    if t.count() > anewrite_ir::infer::MAX_KNOWN_INTS as u64 {
        return None;
    }
    let whole = |x: f64| (x.fract() == 0.0 && x.abs() < f64::from(i32::MAX)).then_some(x as i64);
    t.to_f64s().ok()?.into_iter().map(whole).collect()
}
