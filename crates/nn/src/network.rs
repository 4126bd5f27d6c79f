//! Whole networks as MIL ops: layer by layer, branches as `cond` and loops as `while_loop`.

use anewrite_ir::infer::{Facts, infer};
use anewrite_ir::{
    Attr, BlockId, BuildError, Builder, Op, OpId, Program, Str, TensorType, Type, User, ValueId,
};
use anewrite_tensor::{DType, Tensor};
use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::call::{CARRIED, INPUT, LayerCall, NETWORKS, PREFIX};
use crate::dialect::Nn;
use crate::error::{LowerError, Reason};
use crate::lower::lower;
use crate::mapping::Mapping;

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
    problems: Vec<LayerProblem>,
}

impl<'n> Net<'n> {
    fn block(&mut self, b: &mut Builder<'_>, block: BlockId) {
        let p = self.p;
        for op in p.ops(block) {
            if let Err(reason) = self.layer(b, op) {
                let o = p.op(op);
                let result = o.result().map(|r| p.value(r).name.clone());
                let name = o.name.clone().or(result).unwrap_or_else(|| "".into());
                let layer = o.kind.strip_prefix(PREFIX).unwrap_or(&o.kind).to_owned();
                self.problems
                    .push(LayerProblem { name: name.to_string(), source: LowerError { layer, reason } });
            }
        }
    }

    fn layer(&mut self, b: &mut Builder<'_>, op: OpId) -> Result<(), Reason> {
        let o = self.p.op(op);
        // What follows a layer that does not lower is not looked at.
        let known = |v: ValueId| self.values.get(&v).copied();
        let inputs: Option<Vec<ValueId>> = o.args(INPUT).map(known).collect();
        let Some(inputs) = inputs.filter(|_| o.args(CARRIED).all(|v| known(v).is_some())) else {
            return Ok(());
        };
        match &*o.kind {
            "nn.branch" => self.branch(b, o, &inputs),
            "nn.loop" => self.nn_loop(b, o, &inputs),
            "nn.loopBreak" | "nn.loopContinue" => {
                Err(Reason::Missing("leaving a round of a loop from inside".into()))
            }
            _ => self.plain(b, op, &inputs),
        }
    }

    fn plain(&mut self, b: &mut Builder<'_>, op: OpId, inputs: &[ValueId]) -> Result<(), Reason> {
        let opaque = || Reason::Opaque("it is not one of the format's layer types");
        let call = LayerCall::of(self.p, op, self.mapping).ok_or_else(opaque)?;
        let call = call.compressed(self.options.compressed);
        let made = lower(&call.clone().float(self.options.float), b, inputs);
        let made = match made {
            // some ops take no halves before iOS 17
            Err(e) if self.options.float != DType::F32 && matches!(e.reason, Reason::Build(_)) => {
                lower(&call.float(DType::F32), b, inputs)
            }
            made => made,
        };
        let made = made.map_err(|e| e.reason)?;
        self.values.extend(self.p.op(op).results.iter().copied().zip(made));
        Ok(())
    }

    /// The network in the layer's field of that name.
    fn network(&self, o: &Op, name: &str) -> Option<BlockId> {
        let Some(Attr::List(names)) = o.attr(NETWORKS) else { return None };
        let at = names.iter().position(|n| n.as_str() == Some(name))?;
        o.blocks.get(at).copied()
    }

    /// The blobs that the layer's networks share with what is around: name, value before the layer if there is one, and
    /// the layer's result.
    fn shared(&self, o: &Op) -> Vec<(Str, Option<ValueId>, ValueId)> {
        let Some(&first) = o.blocks.first() else { return Vec::new() };
        let args = &self.p.block(first).args;
        let results = o.results.iter().skip(o.results.len().saturating_sub(args.len()));
        let name = |v: ValueId| self.p.value(v).name.clone();
        let before = |arg| o.args(CARRIED).find(|&v| name(v) == name(arg));
        args.iter().zip(results).map(|(&arg, &r)| (name(arg), before(arg), r)).collect()
    }

    /// Lets the arguments of a network stand for these values, by name.
    fn enter(&mut self, block: BlockId, shared: &[(Str, Option<ValueId>)]) {
        for &arg in &self.p.block(block).args {
            let name = &self.p.value(arg).name;
            match shared.iter().find(|(n, _)| n == name) {
                Some((_, Some(v))) => self.values.insert(arg, *v),
                _ => self.values.remove(&arg),
            };
        }
    }

    /// What stands for a shared blob at the end of a network.
    fn left(&self, block: BlockId, name: &str) -> Option<ValueId> {
        let body = self.p.block(block);
        let at = body.args.iter().position(|&a| *self.p.value(a).name == *name)?;
        self.values.get(body.outputs.get(at)?).copied()
    }

    fn branch(&mut self, b: &mut Builder<'_>, o: &Op, inputs: &[ValueId]) -> Result<(), Reason> {
        let input = *inputs.first().ok_or_else(|| Reason::input(0, "it is missing"))?;
        let pred = truth(b, input)?;
        let all = self.shared(o);
        let before: Vec<(Str, Option<ValueId>)> =
            all.iter().map(|(n, v, _)| (n.clone(), v.and_then(|v| self.values.get(&v).copied()))).collect();
        let used: Vec<&(Str, Option<ValueId>, ValueId)> =
            all.iter().filter(|(_, _, r)| self.p.use_count(*r) > 0).collect();
        let networks = [self.network(o, "ifBranch"), self.network(o, "elseBranch")];
        let failed = self.problems.len();
        let mut dtypes: Vec<Option<DType>> = vec![None; used.len()];
        let results = b.nested("cond", &[("pred", pred)], used.len(), &[vec![], vec![]], |b, i, _| {
            let network = networks.get(i).copied().flatten();
            if let Some(network) = network {
                self.enter(network, &before);
                self.block(b, network);
            }
            let mut outputs = Vec::with_capacity(used.len());
            for ((name, _, _), dtype) in used.iter().zip(&mut dtypes) {
                let left = match network {
                    Some(network) => self.left(network, name),
                    None => before.iter().find(|(n, _)| n == name).and_then(|(_, v)| *v),
                };
                let Some(left) = left else {
                    return Err(Reason::Missing(format!("a blob that one branch alone makes ({name})")));
                };
                let left = cast_to(b, left, *dtype)?;
                dtype.get_or_insert(b.tensor(left)?.dtype);
                // an output of a block must not be a value from around it as it is
                outputs.push(own(b, left)?);
            }
            Ok::<_, Reason>(outputs)
        });
        // What fails within is reported by itself.
        if self.problems.len() > failed {
            return Ok(());
        }
        self.values.extend(used.iter().map(|(_, _, r)| *r).zip(results?));
        Ok(())
    }

    fn nn_loop(&mut self, b: &mut Builder<'_>, o: &Op, inputs: &[ValueId]) -> Result<(), Reason> {
        let p = self.p;
        let body = self.network(o, "bodyNetwork");
        let body = body.ok_or_else(|| Reason::field("bodyNetwork", "a loop needs a body"))?;
        let test = self.network(o, "conditionNetwork");
        let condition = o.attr("conditionVar").and_then(Attr::as_str).filter(|s| !s.is_empty());
        let bound = match (inputs.first(), o.attr("maxLoopIterations").and_then(Attr::as_int)) {
            (Some(&v), _) => Some(whole(b, v)?),
            (None, Some(n)) if n > 0 => Some(int(b, n)?),
            _ if condition.is_none() => Some(int(b, 0)?),
            _ => None,
        };
        if let Some(test) = test {
            let body = p.block(test);
            let kept = body.args.iter().zip(&body.outputs);
            let changed =
                |(a, o): (&ValueId, &ValueId)| a != o && condition.is_none_or(|c| *p.value(*a).name != *c);
            if kept.into_iter().any(changed) {
                return Err(Reason::Missing("a loop whose condition network changes its blobs".into()));
            }
        }
        let mut vars: Vec<(Str, ValueId, Option<ValueId>, Type)> = Vec::new();
        for (name, before, result) in self.shared(o) {
            let arg = p.block(body).args.iter().copied().find(|&a| p.value(a).name == name);
            let Some(arg) = arg else { continue };
            let tested = test.is_some() && condition == Some(&*name);
            let start = before.filter(|_| !tested).and_then(|v| self.values.get(&v).copied());
            let Some(start) = start else {
                let read = p.uses_unsorted(arg).any(|u| matches!(u.user, User::Op(_)));
                if p.use_count(result) > 0 || (tested && read) {
                    return Err(Reason::Missing(format!("a blob that a loop alone makes ({name})")));
                }
                continue;
            };
            // The body's own type: what the loop widens, in what the start has.
            let start_type = b.tensor(start)?.clone();
            let ty = match self.mapping.lowered(self.facts.ty(p, arg)) {
                Type::Tensor(t) if t.rank() == start_type.rank() => {
                    Type::Tensor(TensorType { dtype: start_type.dtype, shape: t.shape })
                }
                _ => start_type.into(),
            };
            vars.push((name, start, Some(result), ty));
        }
        if bound.is_some() {
            let zero = int(b, 0)?;
            vars.push(("round".into(), zero, None, TensorType::fixed(DType::I32, []).into()));
        }
        let operands: Vec<(&str, ValueId)> = vars.iter().map(|(_, v, _, _)| ("loop_vars", *v)).collect();
        let args: Vec<(&str, Type)> = vars.iter().map(|(n, _, _, t)| (&**n, t.clone())).collect();
        let failed = self.problems.len();
        let results = b.nested("while_loop", &operands, vars.len(), &[args.clone(), args], |b, i, now| {
            let here: Vec<(Str, Option<ValueId>)> =
                vars.iter().zip(now).map(|((n, ..), &v)| (n.clone(), Some(v))).collect();
            let round = bound.and_then(|_| now.last().copied());
            if i == 0 {
                let mut go_on = match (round, bound) {
                    (Some(round), Some(bound)) => Some(b.op("less", &[("x", round), ("y", bound)])?),
                    _ => None,
                };
                if let Some(condition) = condition {
                    let holds = match test {
                        Some(test) => {
                            self.enter(test, &here);
                            self.block(b, test);
                            self.left(test, condition).or_else(|| self.made_in(test, condition))
                        }
                        None => here.iter().find(|(n, _)| **n == *condition).and_then(|(_, v)| *v),
                    };
                    let holds =
                        holds.ok_or_else(|| Reason::field("conditionVar", "no blob has this name"))?;
                    let holds = truth(b, holds)?;
                    go_on = Some(match go_on {
                        Some(other) => b.op("logical_and", &[("x", other), ("y", holds)])?,
                        None => own(b, holds)?,
                    });
                }
                return Ok(go_on.into_iter().collect());
            }
            self.enter(body, &here);
            self.block(b, body);
            let mut outputs = Vec::with_capacity(vars.len());
            for (name, _, result, ty) in &vars {
                let next = match (result, round) {
                    (None, Some(round)) => {
                        let one = int(b, 1)?;
                        b.op("add", &[("x", round), ("y", one)])?
                    }
                    _ => {
                        let left = self.left(body, name);
                        let left = left.ok_or_else(|| Reason::Missing(format!("the blob {name}")))?;
                        let left = cast_to(b, left, ty.tensor().map(|t| t.dtype))?;
                        own(b, left)?
                    }
                };
                outputs.push(next);
            }
            Ok::<_, Reason>(outputs)
        });
        if self.problems.len() > failed {
            return Ok(());
        }
        for ((_, _, result, _), value) in vars.iter().zip(results?) {
            if let Some(result) = result {
                self.values.insert(*result, value);
            }
        }
        Ok(())
    }

    /// What stands for a blob that an op of the network itself makes.
    fn made_in(&self, block: BlockId, name: &str) -> Option<ValueId> {
        let p = self.p;
        let made = p.ops_rev(block).flat_map(|op| p.op(op).results.iter().copied());
        let found = made.into_iter().find(|&v| *p.value(v).name == *name)?;
        self.values.get(&found).copied()
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
