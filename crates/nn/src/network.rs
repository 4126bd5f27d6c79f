//! Whole networks as MIL ops: layer by layer, branches as `cond` and loops as `while_loop`.

mod blobs;
mod control;
mod loops;

use anewrite_ir::infer::{Facts, infer};
use anewrite_ir::mil::identifier;
use anewrite_ir::{BlockId, BuildError, Builder, Op, OpId, Program, ValueId};
use anewrite_tensor::{DType, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};
use thiserror::Error;

use crate::call::{CARRIED, INPUT, LayerCall, PREFIX};
use crate::dialect::Nn;
use crate::error::{LowerError, Reason};
use crate::lower::lower;
use crate::mapping::Mapping;
use crate::whole::{Whole, whole_numbers};

/// How a network is lowered.
#[derive(Clone, Copy, Debug)]
pub struct NetworkOptions {
    /// What ops compute in: [`DType::F32`] or [`DType::F16`]. Layers whose ops take no F16 compute in F32.
    pub float: DType,
    /// Whether quantised and narrower weights stay so, unpacked by `constexpr_*` ops, where the opset has such.
    pub compressed: bool,
}

/// A layer of a network that does not lower.
#[derive(Clone, Debug, Error)]
#[error("layer {name}: {source}")]
pub struct LayerProblem {
    /// The layer's name, or that of its first output.
    pub name: String,
    /// Why.
    pub source: LowerError,
}

/// Adds the ops that mean a network, at the builder's place; the values of its outputs, in order.
///
/// `inputs` stand for the network's inputs, in the shapes that [`Mapping::lowered`] gives them.
///
/// # Errors
/// All layers that do not lower, in order. Ops made so far stay in the program.
///
/// ```
/// use anewrite_ir::{Builder, DialectId, NewOp, Opset, Place, Program, TensorType, Type};
/// use anewrite_ir::{dims::DimTable, infer::Facts, mil::Mil};
/// use anewrite_nn::{INPUT, NetworkOptions, lower_network};
/// use anewrite_tensor::DType;
///
/// let mut network = Program::new(DialectId::Nn);
/// let (_, main) = network.add_function("main", "");
/// let x = network.add_arg(main, "x", TensorType::fixed(DType::F32, [2, 3]).into());
/// let op = NewOp::new("nn.tanh").operand(INPUT, x).result("y", Type::Unknown);
/// let op = network.add_op(Place::End(main), op);
/// network.add_output(main, network.op(op).results[0]);
///
/// let mut p = Program::new(DialectId::Mil);
/// let (_, body) = p.add_function("main", "CoreML6");
/// let x = p.add_arg(body, "x", TensorType::fixed(DType::F32, [2, 3]).into());
/// let (mut facts, mut dims) = (Facts::default(), DimTable::default());
/// let mut b = Builder::new(&mut p, &mut facts, &mut dims, &Mil, Opset::Ios16, Place::End(body));
/// let options = NetworkOptions { float: DType::F16, compressed: false };
/// let out = lower_network(&network, &mut b, &[x], options).unwrap();
/// assert_eq!(b.tensor(out[0]).unwrap().to_string(), "tensor<fp16, [2, 3]>");
/// ```
pub fn lower_network(
    network: &Program,
    b: &mut Builder<'_>,
    inputs: &[ValueId],
    options: NetworkOptions,
) -> Result<Vec<ValueId>, Vec<LayerProblem>> {
    let mapping = Mapping::of(network);
    let inferred = infer(network, &Nn { mapping });
    let mut net = Net {
        p: network,
        facts: &inferred.facts,
        mapping,
        options,
        values: FxHashMap::default(),
        unset: FxHashSet::default(),
        exact: whole_numbers(network),
        named: FxHashSet::default(),
        problems: Vec::new(),
    };
    let Some((_, function)) = network.functions().next() else { return Ok(Vec::new()) };
    let body = network.block(function.body);
    net.values.extend(body.args.iter().copied().zip(inputs.iter().copied()));
    net.block(b, function.body);
    let outputs: Option<Vec<ValueId>> = body.outputs.iter().map(|v| net.values.get(v).copied()).collect();
    match outputs {
        Some(outputs) if net.problems.is_empty() => Ok(outputs),
        _ => Err(net.problems),
    }
}

struct Net<'n> {
    p: &'n Program,
    facts: &'n Facts,
    mapping: Mapping,
    options: NetworkOptions,
    /// What stands for each value of the network; nothing for what layers that do not lower give.
    values: FxHashMap<ValueId, ValueId>,
    /// Blobs that nothing has written where they stand.
    unset: FxHashSet<ValueId>,
    /// Layers that compute with whole numbers, in 32 bits.
    exact: Whole,
    /// Values that have the name of a blob.
    named: FxHashSet<ValueId>,
    problems: Vec<LayerProblem>,
}

impl<'n> Net<'n> {
    fn block(&mut self, b: &mut Builder<'_>, block: BlockId) {
        let p = self.p;
        for op in p.ops(block) {
            if let Err(reason) = self.layer(b, op) {
                self.problem(op, reason);
            }
        }
    }

    fn problem(&mut self, op: OpId, reason: Reason) {
        let p = self.p;
        let o = p.op(op);
        let result = o.result().map(|r| p.value(r).name.clone());
        let name = o.name.clone().or(result).unwrap_or_else(|| "".into());
        let layer = o.kind.strip_prefix(PREFIX).unwrap_or(&o.kind).to_owned();
        self.problems.push(LayerProblem { name: name.to_string(), source: LowerError { layer, reason } });
    }

    fn layer(&mut self, b: &mut Builder<'_>, op: OpId) -> Result<(), Reason> {
        let o = self.p.op(op);
        let Some(inputs) = self.inputs(o) else { return Ok(()) };
        match &*o.kind {
            "nn.branch" => self.branch(b, o, &inputs, &[]).map(drop),
            "nn.loop" => self.nn_loop(b, o, &inputs),
            "nn.loopBreak" | "nn.loopContinue" => {
                Err(Reason::Missing("leaving a round of a loop where there is none".into()))
            }
            _ => self.plain(b, op, &inputs),
        }
    }

    /// What stands for a layer's inputs; `None` behind a layer that does not lower, which is not looked at.
    fn inputs(&self, o: &Op) -> Option<Vec<ValueId>> {
        let known = |v: ValueId| self.values.get(&v).copied();
        let defined = |v: &ValueId| known(*v).is_some() || self.unset.contains(v);
        let inputs: Option<Vec<ValueId>> = o.args(INPUT).map(known).collect();
        inputs.filter(|_| o.args(CARRIED).all(|v| defined(&v)))
    }

    fn plain(&mut self, b: &mut Builder<'_>, op: OpId, inputs: &[ValueId]) -> Result<(), Reason> {
        let opaque = || Reason::Opaque("it is not one of the format's layer types");
        let call = LayerCall::of(self.p, op, self.mapping).ok_or_else(opaque)?;
        let float = if self.exact.layers.contains(&op) { DType::F32 } else { self.options.float };
        let call = call.compressed(self.options.compressed);
        let made = lower(&call.clone().float(float), b, inputs);
        let made = match made {
            // some ops take no halves before iOS 17
            Err(e) if float != DType::F32 && matches!(e.reason, Reason::Build(_)) => {
                lower(&call.float(DType::F32), b, inputs)
            }
            made => made,
        };
        let made = made.map_err(|e| e.reason)?;
        for (&blob, value) in self.p.op(op).results.iter().zip(made) {
            // what a layer hands on as it is has the name of who made it
            if self.named.insert(value) && !inputs.contains(&value) {
                b.name(value, &identifier(&self.p.value(blob).name));
            }
            self.values.insert(blob, value);
        }
        Ok(())
    }
}

fn int(b: &mut Builder<'_>, n: i64) -> Result<ValueId, Reason> {
    let n = i32::try_from(n).unwrap_or(i32::MAX);
    Ok(b.constant(Tensor::i32(n)))
}

fn cast_to(b: &mut Builder<'_>, v: ValueId, to: Option<DType>) -> Result<ValueId, BuildError> {
    match to {
        Some(to) if b.tensor(v)?.dtype != to => {
            let dtype = b.constant(Tensor::string(to.name()));
            b.op("cast", &[("x", v), ("dtype", dtype)])
        }
        _ => Ok(v),
    }
}

/// A value of the block that is built: an op's result there, or a copy.
fn own(b: &mut Builder<'_>, v: ValueId) -> Result<ValueId, BuildError> {
    b.op("identity", &[("x", v)])
}

/// One element as a scalar.
fn scalar(b: &mut Builder<'_>, v: ValueId) -> Result<ValueId, Reason> {
    let rank = b.tensor(v)?.rank();
    match rank {
        Some(0) => Ok(v),
        Some(_) | None => {
            let one = b.constant(Tensor::i32s([1]));
            let v = b.op("reshape", &[("x", v), ("shape", one)])?;
            let axes = b.constant(Tensor::i32s([0]));
            Ok(b.op("squeeze", &[("x", v), ("axes", axes)])?)
        }
    }
}

/// Whether the one element of a value is not 0.
fn truth(b: &mut Builder<'_>, v: ValueId) -> Result<ValueId, Reason> {
    let v = cast_to(b, v, Some(DType::Bool))?;
    scalar(b, v)
}

/// The one element of a value as an integer.
fn whole(b: &mut Builder<'_>, v: ValueId) -> Result<ValueId, Reason> {
    let v = cast_to(b, v, Some(DType::I32))?;
    scalar(b, v)
}
