//! Running programs.

use std::sync::atomic::AtomicU64;

use anewrite_ir::mil::Mil;
use anewrite_ir::{
    BlockId, Dialect, DialectId, FuncId, Function, OpId, Opset, Program, Str, TensorType, Type, ValueId,
};
use anewrite_nn::{Mapping, PREFIX};
use anewrite_tensor::DType;
use rustc_hash::FxHashMap;
use smallvec::smallvec;

use crate::arithmetic::Arithmetic;
use crate::array::Array;
use crate::budget::Meter;
use crate::call::{Call, Computed, Shared, Values, adopt};
use crate::control::Blobs;
use crate::error::EvalError;
use crate::kernel::compute;
use crate::layer::Layers;
use crate::lifetimes::Lifetimes;
use crate::real::round_to_half;
use crate::value::{State, Value};
use crate::wide::Wide;

/// How programs are run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How floats are computed.
    pub arithmetic: Arithmetic,
    /// The most bytes that arrays may have at a time, beyond weights that are read where the file has them.
    pub memory: u64,
    /// What random ops draw from.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { arithmetic: Arithmetic::default(), memory: 16 << 30, seed: 0 }
    }
}

/// An op that was computed, for those who watch.
pub struct Step<'a> {
    /// The program that has the op: the one that is run, or the lowering of a layer of it.
    pub program: &'a Program,
    /// The op.
    pub op: OpId,
    /// The layer whose lowering has the op.
    pub layer: Option<(&'a Program, OpId)>,
    /// What it took, by parameter.
    pub args: &'a [(Str, Value)],
    /// What it gave.
    pub results: &'a [Value],
    pub(crate) shared: &'a Shared,
    pub(crate) opset: Opset,
}

impl Step<'_> {
    /// Computes the op again, on other operands.
    ///
    /// # Errors
    /// Where they do not fit, and for ops with blocks.
    pub fn again(&self, args: &[(Str, Value)]) -> Result<Vec<Value>, EvalError> {
        let op = self.program.op(self.op);
        let call = Call {
            kind: &op.kind,
            schema: Mil.schema(&op.kind, self.opset),
            args,
            results: &[],
            shared: self.shared,
        };
        Ok(compute(&call)?.into_vec())
    }
}

/// Watches a run.
pub trait Observer {
    /// Called after each op, in the order of the run; ops of nested blocks come before the op that has them.
    ///
    /// # Errors
    /// Ends the run.
    fn after(&mut self, step: &Step<'_>) -> Result<(), EvalError>;
}

/// What a run gave.
#[derive(Debug)]
pub struct Outputs {
    /// The function's outputs by name, in order.
    pub values: Vec<(Str, Value)>,
    /// The most bytes that arrays had at a time.
    pub peak: u64,
}

impl Outputs {
    /// The output of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(n, _)| &**n == name).map(|(_, v)| v)
    }
}

/// Runs the functions of a program, again and again. States keep their content between runs.
///
/// Values are dropped at their last use; weights stay in the mapped file where this machine can read them there.
///
/// ```
/// use anewrite_interp::{Array, Evaluator, Options};
/// use anewrite_ir::{DialectId, NewOp, Place, Program, TensorType};
/// use anewrite_tensor::DType;
///
/// let mut p = Program::new(DialectId::Mil);
/// let (func, body) = p.add_function("main", "CoreML6");
/// let ty = TensorType::fixed(DType::F16, [3]);
/// let x = p.add_arg(body, "x", ty.clone().into());
/// let op = p.add_op(Place::End(body), NewOp::new("identity").operand("x", x).result("y", ty));
/// p.add_output(body, p.op(op).results[0]);
///
/// let x = Array::new(DType::F16, [3], vec![1f32, 2.0, 3.0])?;
/// let y = Evaluator::new(&p, Options::default()).run("main", vec![("x".into(), x.into())])?;
/// assert_eq!(y.get("y").unwrap().tensor()?.to_f64s()?, vec![1.0, 2.0, 3.0]);
/// # Ok::<(), anewrite_interp::EvalError>(())
/// ```
pub struct Evaluator<'p> {
    program: &'p Program,
    options: Options,
    states: FxHashMap<Str, State>,
    lifetimes: FxHashMap<FuncId, Lifetimes>,
    wide: Wide,
}

impl<'p> Evaluator<'p> {
    /// An evaluator whose states are all zero.
    pub fn new(program: &'p Program, options: Options) -> Self {
        let wide = if options.arithmetic.numerics().is_some() { Wide::of(program) } else { Wide::default() };
        Evaluator { program, options, states: FxHashMap::default(), lifetimes: FxHashMap::default(), wide }
    }

    /// The states that runs made so far, by the name of the input.
    pub fn states(&self) -> impl Iterator<Item = (&str, &State)> {
        self.states.iter().map(|(n, s)| (&**n, s))
    }

    /// Gives a state a content.
    pub fn set_state(&mut self, name: &str, content: Array) {
        self.states
            .entry(name.into())
            .and_modify(|s| s.set(content.clone()))
            .or_insert_with(|| State::new(content));
    }

    /// Makes all states zero again.
    pub fn reset(&mut self) {
        self.states.clear();
    }

    /// Runs a function on inputs by name. Floats of any width are taken for inputs of any float dtype.
    ///
    /// # Errors
    /// Where an input is missing or does not fit, and where an op cannot be computed.
    pub fn run(&mut self, function: &str, inputs: Vec<(Str, Value)>) -> Result<Outputs, EvalError> {
        self.watch(function, inputs, &mut ())
    }

    /// As [`Evaluator::run`], with someone watching.
    ///
    /// # Errors
    /// As [`Evaluator::run`], and those of the observer.
    pub fn watch(
        &mut self,
        function: &str,
        inputs: Vec<(Str, Value)>,
        observer: &mut dyn Observer,
    ) -> Result<Outputs, EvalError> {
        let p = self.program;
        let found = p.functions().find(|(_, f)| &*f.name == function);
        let (id, f) = found.ok_or_else(|| EvalError::Function(function.to_owned()))?;
        let lifetimes = self.lifetimes.entry(id).or_insert_with(|| Lifetimes::of(p, f.body));
        let shared = Shared {
            arithmetic: self.options.arithmetic,
            meter: Meter::new(Some(self.options.memory)),
            seed: self.options.seed,
            draws: AtomicU64::new(0),
        };
        let mapping = (p.dialect == DialectId::Nn).then(|| Mapping::of(p));
        let mut run = Run::new(p, f, lifetimes, &shared, &self.wide, mapping, observer);
        let mut inputs: FxHashMap<Str, Value> = inputs.into_iter().collect();
        for &arg in &p.block(f.body).args {
            let v = p.value(arg);
            let given = inputs.remove(&v.name);
            let value = match &v.ty {
                Type::State(t) => {
                    if let Some(given) = given {
                        let content = enter(given.tensor()?, t, mapping, &shared, false)?;
                        self.states.insert(v.name.clone(), State::new(content));
                    }
                    Value::State(state(&mut self.states, &v.name, t, &shared)?)
                }
                ty => {
                    let given = given
                        .ok_or_else(|| input(&v.name, format!("it is missing; the function takes {ty}")))?;
                    match (ty, given) {
                        (Type::Tensor(t), Value::Tensor(a)) => {
                            let entered = enter(&a, t, mapping, &shared, self.wide.keeps(arg, t.dtype));
                            Value::Tensor(entered.map_err(|e| input(&v.name, e.to_string()))?)
                        }
                        (_, given) => given,
                    }
                }
            };
            run.env.insert(arg, value);
        }
        if let Some(name) = inputs.keys().min() {
            return Err(input(name, format!("the function {function} has no input of this name")));
        }
        run.block(f.body)?;
        let values = p.block(f.body).outputs.iter().map(|&v| Ok((p.value(v).name.clone(), run.get(v)?)));
        let values = values.collect::<Result<Vec<_>, EvalError>>()?;
        Ok(Outputs { values, peak: shared.meter.peak() })
    }
}

impl Observer for () {
    fn after(&mut self, _: &Step<'_>) -> Result<(), EvalError> {
        Ok(())
    }
}

/// Computes one op of the newest opset that has it, without a program.
///
/// ```
/// use anewrite_interp::{Array, Options, evaluate};
/// use anewrite_tensor::DType;
///
/// let x = Array::new(DType::F32, [2], vec![1f32, 4.0])?;
/// let y = evaluate("identity", &[("x", x.into())], Options::default())?;
/// assert_eq!(y[0].tensor()?.to_f64s()?, vec![1.0, 4.0]);
/// # Ok::<(), anewrite_interp::EvalError>(())
/// ```
///
/// # Errors
/// Where the operands do not fit, and for ops with blocks.
pub fn evaluate(kind: &str, args: &[(&str, Value)], options: Options) -> Result<Vec<Value>, EvalError> {
    let shared = Shared {
        arithmetic: options.arithmetic,
        meter: Meter::new(Some(options.memory)),
        seed: options.seed,
        draws: AtomicU64::new(0),
    };
    let args: Vec<(Str, Value)> = args
        .iter()
        .map(|(n, v)| {
            let v = match v {
                Value::Tensor(a) => Value::Tensor(stored(a, a.dtype(), &shared)?),
                other => other.clone(),
            };
            Ok((Str::from(*n), v))
        })
        .collect::<Result<_, EvalError>>()?;
    let schema = Mil.schema(kind, Opset::Ios18);
    let mut out = compute(&Call { kind, schema, args: &args, results: &[], shared: &shared })?;
    round(&mut out, &shared, |_, _| false);
    Ok(out.into_vec())
}

fn input(name: &str, why: String) -> EvalError {
    EvalError::Input { name: name.to_owned(), why }
}

fn state(
    states: &mut FxHashMap<Str, State>,
    name: &Str,
    t: &TensorType,
    shared: &Shared,
) -> Result<State, EvalError> {
    if let Some(s) = states.get(name) {
        return Ok(s.clone());
    }
    let dims = t.known_dims().ok_or_else(|| input(name, format!("a state of unknown extents: {t}")))?;
    let n = crate::array::count(&dims).ok_or_else(|| input(name, format!("{t} is too large")))?;
    drop(shared.meter.charge(8 * n as u64)?);
    let zero = Array::new(t.dtype, dims, vec![0f64; n])?;
    let s = State::new(stored(&zero, t.dtype, shared)?);
    states.insert(name.clone(), s.clone());
    Ok(s)
}

/// An array as the run stores it.
fn stored(a: &Array, dtype: DType, shared: &Shared) -> Result<Array, EvalError> {
    Ok(rounded(adopted(a, dtype, shared)?, shared))
}

fn adopted(a: &Array, dtype: DType, shared: &Shared) -> Result<Array, EvalError> {
    if shared.arithmetic == Arithmetic::Fp64 { adopt::<f64>(a, dtype) } else { adopt::<f32>(a, dtype) }
}

/// An input as the function takes it.
fn enter(
    a: &Array,
    t: &TensorType,
    mapping: Option<Mapping>,
    shared: &Shared,
    is_wide: bool,
) -> Result<Array, EvalError> {
    let fits = |dims: &[u64]| {
        t.shape.as_ref().is_none_or(|s| {
            s.len() == dims.len() && s.iter().zip(dims).all(|(d, &n)| d.known().is_none_or(|k| k == n))
        })
    };
    let mut a = if is_wide { adopted(a, t.dtype, shared)? } else { stored(a, t.dtype, shared)? };
    if let Some(mapping) = mapping
        && (!fits(a.dims()) || mapping == Mapping::Rank5)
    {
        let mapped = mapping.tensor_dims(a.dims());
        a = a.reshaped(mapped)?;
    }
    if fits(a.dims()) {
        Ok(a)
    } else {
        Err(EvalError::Shape(format!("the extents {:?} do not fit {t}", a.dims())))
    }
}

/// An input or a constant as the arithmetic stores it.
fn rounded(a: Array, shared: &Shared) -> Array {
    match shared.arithmetic.numerics() {
        Some(numerics) => a.update_f32(|items| round_to_half(items, numerics, f32::INFINITY)),
        None => a,
    }
}

fn round(values: &mut Values, shared: &Shared, is_wide: impl Fn(usize, DType) -> bool) {
    let Some(numerics) = shared.arithmetic.numerics() else { return };
    for (i, v) in values.iter_mut().enumerate() {
        if let Value::Tensor(a) = v
            && !is_wide(i, a.dtype())
        {
            let whole = std::mem::replace(a, Array::empty());
            *a = whole.update_f32(|items| round_to_half(items, numerics, 0.0));
        }
    }
}

/// How a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// After its last op.
    Through,
    /// At a layer that ends the loop around it.
    Break,
    /// At a layer that starts the loop's next round.
    Continue,
}

/// One run of a function, or of the lowering of a layer.
pub(crate) struct Run<'r> {
    pub(crate) program: &'r Program,
    pub(crate) shared: &'r Shared,
    pub(crate) env: FxHashMap<ValueId, Value>,
    lifetimes: &'r Lifetimes,
    /// What is not rounded.
    wide: &'r Wide,
    opset: Opset,
    mapping: Option<Mapping>,
    observer: &'r mut dyn Observer,
    /// The layer that is lowered.
    layer: Option<(&'r Program, OpId)>,
    /// How many loops are around the block that runs.
    pub(crate) rounds: u32,
    /// What the networks of the layer around share with what is around it.
    pub(crate) blobs: Blobs,
    /// Constants and lowerings that loops use again.
    kept: FxHashMap<ValueId, Array>,
    layers: Layers,
}

impl<'r> Run<'r> {
    fn new(
        program: &'r Program,
        f: &Function,
        lifetimes: &'r Lifetimes,
        shared: &'r Shared,
        wide: &'r Wide,
        mapping: Option<Mapping>,
        observer: &'r mut dyn Observer,
    ) -> Self {
        Run {
            program,
            shared,
            env: FxHashMap::default(),
            lifetimes,
            wide,
            opset: Opset::from_name(&f.opset).unwrap_or(Opset::Ios18),
            mapping,
            observer,
            layer: None,
            rounds: 0,
            blobs: Blobs::default(),
            kept: FxHashMap::default(),
            layers: Layers::default(),
        }
    }

    /// Runs the lowering of a layer; the values of `outputs`.
    pub(crate) fn lowering(
        &mut self,
        program: &Program,
        args: Vec<(ValueId, Value)>,
        outputs: &[ValueId],
        op: OpId,
    ) -> Computed {
        let Some((_, f)) = program.functions().next() else { return Ok(smallvec![]) };
        let lifetimes = Lifetimes::of(program, f.body);
        let wide = self.wide.within(op);
        let mut inner = Run::new(program, f, &lifetimes, self.shared, &wide, None, self.observer);
        inner.layer = Some((self.program, op));
        inner.env.extend(args);
        inner.block(f.body)?;
        outputs.iter().map(|&v| inner.get(v)).collect()
    }

    pub(crate) fn block(&mut self, block: BlockId) -> Result<Flow, EvalError> {
        let p = self.program;
        for op in p.ops(block) {
            let o = p.op(op);
            let name = || o.result().map(|v| p.value(v).name.clone()).or(o.name.clone()).unwrap_or("".into());
            let flow = self.step(op).map_err(|e| match e {
                EvalError::Stopped(_) | EvalError::At { .. } => e,
                source => EvalError::At {
                    kind: o.kind.to_string(),
                    name: name().to_string(),
                    source: source.into(),
                },
            })?;
            if flow != Flow::Through {
                return Ok(flow);
            }
        }
        Ok(Flow::Through)
    }

    fn step(&mut self, op: OpId) -> Result<Flow, EvalError> {
        let o = self.program.op(op);
        let mut args = Vec::new();
        let mut results = match &*o.kind {
            "cond" => self.cond(op)?,
            "while_loop" => self.while_loop(op)?,
            "nn.branch" | "nn.loop" => return self.networks(op),
            "nn.loopBreak" => return Ok(Flow::Break),
            "nn.loopContinue" => return Ok(Flow::Continue),
            kind => {
                args.reserve(o.operands.len());
                let is_layer = kind.starts_with(PREFIX);
                for x in o.operands.iter().filter(|x| !is_layer || self.program.constant(x.value).is_none()) {
                    args.push((x.param.clone(), self.get(x.value)?));
                }
                match self.mapping {
                    Some(mapping) if is_layer => self.layer(op, &args, mapping)?,
                    _ => self.compute(op, &args)?,
                }
            }
        };
        if results.len() != o.results.len() {
            return Err(EvalError::Shape(format!("{} results for {}", results.len(), o.results.len())));
        }
        let is_wide = |i: usize, dtype| o.results.get(i).is_some_and(|&v| self.wide.keeps(v, dtype));
        round(&mut results, self.shared, is_wide);
        self.check(op, &results)?;
        self.observe(op, &args, &results)?;
        drop(args);
        for (&v, value) in o.results.iter().zip(results) {
            self.define(v, value);
        }
        self.release(op);
        Ok(Flow::Through)
    }

    pub(crate) fn observe(
        &mut self,
        op: OpId,
        args: &[(Str, Value)],
        results: &[Value],
    ) -> Result<(), EvalError> {
        let step = Step {
            program: self.program,
            op,
            layer: self.layer,
            args,
            results,
            shared: self.shared,
            opset: self.opset,
        };
        self.observer.after(&step)
    }

    /// Gives a value its content.
    pub(crate) fn define(&mut self, v: ValueId, value: Value) {
        if !self.blobs.is_empty()
            && let Some(blob) = self.blobs.get_mut(&self.program.value(v).name)
        {
            *blob = Some(value.clone());
        }
        self.env.insert(v, value);
    }

    /// Drops what nothing reads after an op.
    pub(crate) fn release(&mut self, op: OpId) {
        for v in self.lifetimes.dying(op) {
            self.env.remove(v);
        }
    }

    fn compute(&mut self, op: OpId, args: &[(Str, Value)]) -> Computed {
        let o = self.program.op(op);
        let types: smallvec::SmallVec<[Type; 1]> =
            o.results.iter().map(|&v| self.program.ty(v).clone()).collect();
        let schema = Mil.schema(&o.kind, self.opset);
        compute(&Call { kind: &o.kind, schema, args, results: &types, shared: self.shared })
    }

    fn layer(&mut self, op: OpId, args: &[(Str, Value)], mapping: Mapping) -> Computed {
        let mut layers = std::mem::take(&mut self.layers);
        let done = layers.compute(self, op, args, mapping);
        self.layers = layers;
        done
    }

    /// Holds results to the types that the program states.
    fn check(&self, op: OpId, results: &[Value]) -> Result<(), EvalError> {
        for (&v, value) in self.program.op(op).results.iter().zip(results) {
            let stated = self.program.ty(v);
            if let (Type::Tensor(stated), Value::Tensor(a)) = (stated, value)
                && !a.ty().refines(&stated.erased())
            {
                return Err(EvalError::Shape(format!("it gives {} where the program says {stated}", a.ty())));
            }
        }
        Ok(())
    }

    /// The value as it is now.
    pub(crate) fn get(&mut self, v: ValueId) -> Result<Value, EvalError> {
        if let Some(c) = self.program.constant(v) {
            if let Some(a) = self.kept.get(&v) {
                return Ok(Value::Tensor(a.clone()));
            }
            let a = match self.shared.arithmetic {
                Arithmetic::Fp64 => Array::constant::<f64>(&c.tensor)?,
                _ if self.wide.keeps(v, c.tensor.dtype()) => Array::constant::<f32>(&c.tensor)?,
                _ => rounded(Array::constant::<f32>(&c.tensor)?, self.shared),
            };
            if self.rounds > 0 {
                self.kept.insert(v, a.clone());
            }
            return Ok(Value::Tensor(a));
        }
        let missing = || EvalError::Shape(format!("{} has no value yet", self.program.value(v).name));
        self.env.get(&v).cloned().ok_or_else(missing)
    }
}
