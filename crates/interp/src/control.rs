//! Ops and layers that run blocks.
//!
//! Loops and branches of NeuralNetworks work on blobs by name, as the format's documentation describes them: a network
//! inside reads and overwrites the blobs around it, and what it leaves is what was written last, wherever it was cut
//! short.

use anewrite_ir::{Attr, BlockId, OpId, Str, ValueId};
use anewrite_nn::{CARRIED, INPUT, NETWORKS};
use rustc_hash::FxHashMap;

use crate::call::{Computed, Values};
use crate::error::EvalError;
use crate::run::{Flow, Run};
use crate::value::Value;

/// A loop that goes on for longer is taken for one without an end.
const MOST_ROUNDS: u64 = 1 << 20;
/// A branch takes its first network where its input is further from 0 than this, as coremltools' builder documents it.
const THRESHOLD: f64 = 1e-6;

/// Blobs by name; `None` until something writes them.
pub(crate) type Blobs = FxHashMap<Str, Option<Value>>;

impl Run<'_> {
    pub(crate) fn cond(&mut self, op: OpId) -> Computed {
        let o = self.program.op(op);
        let [yes, no] = o.blocks.as_slice() else {
            return Err(EvalError::Shape(format!("{} blocks where a cond has two", o.blocks.len())));
        };
        let pred = o.arg("pred").ok_or_else(|| EvalError::Missing("pred".into()))?;
        let taken = if self.truth(pred)? { *yes } else { *no };
        self.block(taken)?;
        self.outputs(taken)
    }

    pub(crate) fn while_loop(&mut self, op: OpId) -> Computed {
        let p = self.program;
        let o = p.op(op);
        let [test, body] = o.blocks.as_slice() else {
            return Err(EvalError::Shape(format!("{} blocks where a while_loop has two", o.blocks.len())));
        };
        let mut vars: Values = o.args("loop_vars").map(|v| self.get(v)).collect::<Result<_, _>>()?;
        self.rounds += 1;
        for _ in 0..MOST_ROUNDS {
            self.enter(*test, &vars);
            self.block(*test)?;
            let [go_on] = p.block(*test).outputs.as_slice() else {
                return Err(EvalError::Shape("the test of a while_loop gives one truth value".into()));
            };
            let goes_on = self.truth(*go_on)?;
            self.forget(*test);
            if !goes_on {
                self.rounds -= 1;
                return Ok(vars);
            }
            self.enter(*body, &vars);
            drop(std::mem::take(&mut vars));
            self.block(*body)?;
            vars = self.outputs(*body)?;
        }
        Err(EvalError::Endless(MOST_ROUNDS))
    }

    /// A layer that holds networks, and how it ended. Blobs that nothing wrote have no value after it.
    pub(crate) fn networks(&mut self, op: OpId) -> Result<Flow, EvalError> {
        let p = self.program;
        let o = p.op(op);
        let names = o.results.iter().map(|&v| (p.value(v).name.clone(), None));
        let mut inside: Blobs = names.collect();
        for v in o.args(CARRIED) {
            inside.insert(p.value(v).name.clone(), self.get(v).ok());
        }
        let around = std::mem::replace(&mut self.blobs, inside);
        let flow = match &*o.kind {
            "nn.branch" => self.branch(op)?,
            _ => self.nn_loop(op)?,
        };
        let inside = std::mem::replace(&mut self.blobs, around);
        let left = o.results.iter().map(|&v| inside.get(&p.value(v).name).cloned().flatten());
        let left: Vec<Option<Value>> = left.collect();
        if let Some(all) = left.iter().cloned().collect::<Option<Vec<Value>>>() {
            self.observe(op, &[], &all)?;
        }
        for (&v, value) in o.results.iter().zip(left) {
            if let Some(value) = value {
                self.define(v, value);
            }
        }
        self.release(op);
        Ok(flow)
    }

    fn branch(&mut self, op: OpId) -> Result<Flow, EvalError> {
        let input = self.program.op(op).arg(INPUT).ok_or_else(|| EvalError::Missing(INPUT.into()))?;
        let is_set = first(&self.get(input)?)?.abs() > THRESHOLD;
        match self.network(op, if is_set { "ifBranch" } else { "elseBranch" }) {
            Some(block) => self.run_network(block),
            None => Ok(Flow::Through),
        }
    }

    /// A loop by count, by condition or by both. The condition is computed before each round, and once more after the
    /// last one that the count allows.
    fn nn_loop(&mut self, op: OpId) -> Result<Flow, EvalError> {
        let o = self.program.op(op);
        let field = |name: &str| o.attrs.iter().find(|(n, _)| &**n == name).map(|(_, a)| a);
        let test = self.network(op, "conditionNetwork");
        let body = self.network(op, "bodyNetwork").ok_or_else(|| EvalError::Missing("bodyNetwork".into()))?;
        let condition = field("conditionVar").and_then(Attr::as_str).filter(|s| !s.is_empty());
        if let Some(name) = condition {
            self.blobs.entry(name.into()).or_default();
        }
        let bound = match o.arg(INPUT) {
            Some(v) => first(&self.get(v)?)? as u64,
            None => match field("maxLoopIterations").and_then(Attr::as_int) {
                Some(n) if n > 0 => n as u64,
                _ if condition.is_some() => u64::MAX,
                _ => 0,
            },
        };
        self.rounds += 1;
        for round in 0.. {
            if let Some(name) = condition {
                if let Some(test) = test {
                    self.run_network(test)?;
                }
                let holds = self.blobs.get(name).and_then(Option::as_ref);
                let holds = holds.ok_or_else(|| EvalError::Missing(format!("conditionVar {name}")))?;
                if first(holds)? == 0.0 {
                    break;
                }
            }
            if round >= bound {
                break;
            }
            if round >= MOST_ROUNDS {
                return Err(EvalError::Endless(MOST_ROUNDS));
            }
            if self.run_network(body)? == Flow::Break {
                break;
            }
        }
        self.rounds -= 1;
        Ok(Flow::Through)
    }

    /// Runs a network on the blobs as they are.
    fn run_network(&mut self, block: BlockId) -> Result<Flow, EvalError> {
        let p = self.program;
        for &arg in &p.block(block).args {
            match self.blobs.get(&p.value(arg).name).cloned().flatten() {
                Some(v) => self.env.insert(arg, v),
                None => self.env.remove(&arg),
            };
        }
        let flow = self.block(block)?;
        self.forget(block);
        Ok(flow)
    }

    fn truth(&mut self, v: ValueId) -> Result<bool, EvalError> {
        Ok(first(&self.get(v)?)? != 0.0)
    }

    fn enter(&mut self, block: BlockId, values: &Values) {
        let args = &self.program.block(block).args;
        self.env.extend(args.iter().copied().zip(values.iter().cloned()));
    }

    /// What a block gives; it keeps nothing.
    fn outputs(&mut self, block: BlockId) -> Computed {
        let outputs = self.program.block(block).outputs.iter().map(|&v| self.get(v));
        let outputs = outputs.collect::<Computed>()?;
        self.forget(block);
        Ok(outputs)
    }

    /// Drops the arguments and outputs of a block, which live to its end.
    fn forget(&mut self, block: BlockId) {
        let p = self.program;
        let b = p.block(block);
        for &v in b.args.iter().chain(&b.outputs) {
            if p.constant(v).is_none() && p.value_block(v) == block {
                self.env.remove(&v);
            }
        }
    }

    /// The network in the layer's field of that name.
    fn network(&self, op: OpId, name: &str) -> Option<BlockId> {
        let o = self.program.op(op);
        let Some(Attr::List(names)) = o.attr(NETWORKS) else { return None };
        let at = names.iter().position(|n| n.as_str() == Some(name))?;
        o.blocks.get(at).copied()
    }
}

/// The only element of a scalar, or the first of what stands for one.
fn first(v: &Value) -> Result<f64, EvalError> {
    let empty = || EvalError::Shape("one number is needed, this is empty".into());
    v.tensor()?.to_f64s()?.first().copied().ok_or_else(empty)
}
