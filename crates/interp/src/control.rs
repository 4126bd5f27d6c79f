//! Ops and layers that run blocks.

use anewrite_ir::{Attr, BlockId, OpId, ValueId};
use anewrite_nn::{INPUT, NETWORKS};
use smallvec::smallvec;

use crate::call::{Computed, Values};
use crate::error::EvalError;
use crate::run::{Flow, Run};
use crate::value::Value;

/// A loop that goes on for longer is taken for one without an end.
const MOST_ROUNDS: u64 = 1 << 20;

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
            if !self.truth(*go_on)? {
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

    /// A branch of a NeuralNetwork: what the networks share with what is around goes in and comes out.
    pub(crate) fn branch(&mut self, op: OpId, flow: &mut Flow) -> Computed {
        let p = self.program;
        let input = p.op(op).arg(INPUT).ok_or_else(|| EvalError::Missing(INPUT.into()))?;
        let name = if self.is_set(input)? { "ifBranch" } else { "elseBranch" };
        let around = self.carried(op);
        match self.network(op, name) {
            Some(block) => {
                self.enter_shared(block, &around);
                *flow = self.block(block)?;
                self.leave(block)
            }
            // without the network everything stays as it is
            None => p.op(op).blocks.first().map_or(Ok(smallvec![]), |&b| {
                self.enter_shared(b, &around);
                p.block(b).args.iter().map(|&v| self.get(v)).collect()
            }),
        }
    }

    /// A loop of a NeuralNetwork, by count or by condition.
    pub(crate) fn nn_loop(&mut self, op: OpId) -> Computed {
        let p = self.program;
        let o = p.op(op);
        let field = |name: &str| o.attrs.iter().find(|(n, _)| &**n == name).map(|(_, a)| a);
        let test = self.network(op, "conditionNetwork");
        let body = self.network(op, "bodyNetwork").ok_or_else(|| EvalError::Missing("bodyNetwork".into()))?;
        let condition = field("conditionVar").and_then(Attr::as_str).filter(|s| !s.is_empty());
        let bound = match o.arg(INPUT) {
            Some(v) => self.get(v)?.tensor()?.to_f64s()?.first().map_or(0, |&n| n as u64),
            None => match field("maxLoopIterations").and_then(Attr::as_int) {
                Some(n) if n > 0 => n as u64,
                _ if condition.is_some() => u64::MAX,
                _ => 0,
            },
        };
        let mut around = self.carried(op);
        self.rounds += 1;
        let mut round = 0;
        while round < bound {
            if round >= MOST_ROUNDS {
                return Err(EvalError::Endless(MOST_ROUNDS));
            }
            round += 1;
            if let Some(name) = condition {
                let holds = match test {
                    Some(test) => {
                        self.enter_shared(test, &around);
                        self.block(test)?;
                        around = self.names(test)?;
                        self.named_in(test, name)?
                    }
                    None => around.iter().find(|(n, _)| &**n == name).map(|(_, v)| v.clone()),
                };
                let holds = holds.ok_or_else(|| EvalError::Missing(format!("conditionVar {name}")))?;
                if !is_nonzero(&holds)? {
                    break;
                }
            }
            self.enter_shared(body, &around);
            let flow = self.block(body)?;
            around = self.names(body)?;
            if flow == Flow::Break {
                break;
            }
        }
        self.rounds -= 1;
        self.enter_shared(body, &around);
        p.block(body).args.iter().map(|&v| self.get(v)).collect()
    }

    fn truth(&mut self, v: ValueId) -> Result<bool, EvalError> {
        is_nonzero(&self.get(v)?)
    }

    /// Whether the input of a branch counts as true.
    fn is_set(&mut self, v: ValueId) -> Result<bool, EvalError> {
        is_nonzero(&self.get(v)?)
    }

    fn enter(&mut self, block: BlockId, values: &Values) {
        let args = &self.program.block(block).args;
        self.env.extend(args.iter().copied().zip(values.iter().cloned()));
    }

    fn outputs(&mut self, block: BlockId) -> Computed {
        self.program.block(block).outputs.iter().map(|&v| self.get(v)).collect()
    }

    /// The network in the layer's field of that name.
    fn network(&self, op: OpId, name: &str) -> Option<BlockId> {
        let o = self.program.op(op);
        let Some(Attr::List(names)) = o.attr(NETWORKS) else { return None };
        let at = names.iter().position(|n| n.as_str() == Some(name))?;
        o.blocks.get(at).copied()
    }

    /// The values that the networks of a layer overwrite, by the names that they have in the file.
    fn carried(&mut self, op: OpId) -> Vec<(anewrite_ir::Str, Value)> {
        let p = self.program;
        let carried = p.op(op).args(anewrite_nn::CARRIED);
        carried.filter_map(|v| Some((p.value(v).name.clone(), self.get(v).ok()?))).collect()
    }

    fn enter_shared(&mut self, block: BlockId, around: &[(anewrite_ir::Str, Value)]) {
        let p = self.program;
        for &arg in &p.block(block).args {
            match around.iter().find(|(n, _)| *n == p.value(arg).name) {
                Some((_, v)) => self.env.insert(arg, v.clone()),
                None => self.env.remove(&arg),
            };
        }
    }

    /// What a network leaves: blobs that were never written are missing.
    fn names(&mut self, block: BlockId) -> Result<Vec<(anewrite_ir::Str, Value)>, EvalError> {
        let p = self.program;
        let (args, outputs) = (&p.block(block).args, &p.block(block).outputs);
        let mut all = Vec::with_capacity(args.len());
        for (&arg, &out) in args.iter().zip(outputs) {
            // a round that was cut short leaves some blobs as they came
            if let Ok(v) = self.get(out).or_else(|_| self.get(arg)) {
                all.push((p.value(arg).name.clone(), v));
            }
        }
        Ok(all)
    }

    fn leave(&mut self, block: BlockId) -> Computed {
        let outputs = &self.program.block(block).outputs;
        outputs.iter().map(|&v| self.get(v)).collect()
    }

    /// The value that a blob has at the end of a network.
    fn named_in(&mut self, block: BlockId, name: &str) -> Result<Option<Value>, EvalError> {
        let p = self.program;
        let shared = p.block(block).args.iter().position(|&a| &*p.value(a).name == name);
        if let Some(v) = shared.and_then(|i| p.block(block).outputs.get(i).copied()) {
            return self.get(v).map(Some);
        }
        let made = p.ops_rev(block).flat_map(|op| p.op(op).results.iter().copied());
        let found = made.into_iter().find(|&v| &*p.value(v).name == name);
        found.map(|v| self.get(v)).transpose()
    }
}

/// Whether a scalar counts as true.
fn is_nonzero(v: &Value) -> Result<bool, EvalError> {
    match v.tensor()?.to_f64s()?.first() {
        Some(&x) => Ok(x != 0.0),
        None => Err(EvalError::Shape("a truth value is needed, this is empty".into())),
    }
}
