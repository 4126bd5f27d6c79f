//! Networks inside layers, and branches as `cond`.
//!
//! Blobs that networks overwrite are values that blocks give. Where a round of a loop may be left from inside, what
//! follows in the body stands in a `cond` on not having left, so the blobs stay what they were.

use anewrite_ir::{BlockId, Builder, Op, OpId, Str, ValueId};
use anewrite_tensor::{DType, Tensor};

use super::blobs::Blob;
use super::{Net, cast_to, own, truth};
use crate::error::Reason;

/// Truth values that say whether a round was left, and whether its loop was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    left: ValueId,
    pub(super) broke: ValueId,
}

/// How the layers of a network end.
pub(super) struct End {
    /// What stands for each of the blobs that are asked for; none for those that nothing has written.
    pub(super) blobs: Vec<Option<ValueId>>,
    /// Whether the round was left on the way, where it can be.
    pub(super) exit: Option<Exit>,
}

impl Net<'_> {
    /// Lowers a network from one of its layers on, or all of it; `wanted` are the blobs that are asked for at its end.
    pub(super) fn sequence(
        &mut self,
        b: &mut Builder<'_>,
        block: BlockId,
        from: Option<OpId>,
        wanted: &[Str],
    ) -> Result<End, Reason> {
        let p = self.p;
        let mut ops = p.ops(block).skip_while(|&op| from.is_some_and(|from| from != op)).peekable();
        while let Some(op) = ops.next() {
            let o = p.op(op);
            let here = |net: &Self, before| wanted.iter().map(|n| net.now(block, before, n)).collect();
            match &*o.kind {
                "nn.loopBreak" | "nn.loopContinue" => {
                    let flag = |b: &mut Builder<'_>, on| b.constant(Tensor::bool(on));
                    let exit = Exit { left: flag(b, true), broke: flag(b, &*o.kind == "nn.loopBreak") };
                    return Ok(End { blobs: here(self, Some(op)), exit: Some(exit) });
                }
                "nn.branch" if o.blocks.iter().any(|&b| self.exits(b)) => {
                    let Some(inputs) = self.inputs(o) else { continue };
                    let exit = match self.branch(b, o, &inputs, wanted) {
                        Ok(exit) => exit,
                        Err(reason) => {
                            self.problem(op, reason);
                            continue;
                        }
                    };
                    let next = ops.peek().copied();
                    let blobs: Vec<Option<ValueId>> = here(self, next);
                    return match (exit, next) {
                        (Some(exit), Some(next)) => self.rest(b, block, next, wanted, &blobs, exit),
                        (exit, None) => Ok(End { blobs, exit }),
                        (None, Some(next)) => self.sequence(b, block, Some(next), wanted),
                    };
                }
                _ => {
                    if let Err(reason) = self.layer(b, op) {
                        self.problem(op, reason);
                    }
                }
            }
        }
        Ok(End { blobs: wanted.iter().map(|n| self.now(block, None, n)).collect(), exit: None })
    }

    /// What follows a layer that may have left the round.
    fn rest(
        &mut self,
        b: &mut Builder<'_>,
        block: BlockId,
        next: OpId,
        wanted: &[Str],
        here: &[Option<ValueId>],
        exit: Exit,
    ) -> Result<End, Reason> {
        let kept: Vec<usize> = (0..wanted.len())
            .filter(|&i| match (here.get(i), wanted.get(i)) {
                (Some(Some(_)), _) => true,
                (_, Some(name)) => self.writes(block, Some(next), name),
                _ => false,
            })
            .collect();
        let mut dtypes: Vec<Option<DType>> = vec![None; kept.len()];
        let pred = exit.left;
        let mut results =
            b.nested("cond", &[("pred", pred)], kept.len() + 2, &[vec![], vec![]], |b, i, _| {
                let (blobs, exit) = if i == 0 {
                    (here.to_vec(), exit)
                } else {
                    let end = self.sequence(b, block, Some(next), wanted)?;
                    (end.blobs, end.exit.unwrap_or_else(|| stays(b)))
                };
                let mut outputs = Vec::with_capacity(kept.len() + 2);
                for (&i, dtype) in kept.iter().zip(&mut dtypes) {
                    let value = match (blobs.get(i), wanted.get(i)) {
                        (Some(Some(v)), _) => *v,
                        (_, Some(name)) => {
                            let missing = || Reason::Missing(format!("the blob {name}"));
                            let at =
                                self.p.block(block).args.iter().position(|&a| self.p.value(a).name == *name);
                            let like = at.and_then(|at| self.p.block(block).outputs.get(at)).copied();
                            self.unwritten(b, like.ok_or_else(missing)?)?
                        }
                        _ => continue,
                    };
                    outputs.push(fitting(b, value, dtype)?);
                }
                outputs.extend([own(b, exit.left)?, own(b, exit.broke)?]);
                Ok::<_, Reason>(outputs)
            })?;
        let (broke, left) = (results.pop(), results.pop());
        let mut blobs = vec![None; wanted.len()];
        for (&i, v) in kept.iter().zip(results) {
            if let Some(slot) = blobs.get_mut(i) {
                *slot = Some(v);
            }
        }
        let exit = left.zip(broke).map(|(left, broke)| Exit { left, broke });
        Ok(End { blobs, exit })
    }

    /// A branch, and whether it left a round of the loop around, where it can. Results are made for what is read later
    /// and for the blobs that are `wanted`.
    pub(super) fn branch(
        &mut self,
        b: &mut Builder<'_>,
        o: &Op,
        inputs: &[ValueId],
        wanted: &[Str],
    ) -> Result<Option<Exit>, Reason> {
        let input = *inputs.first().ok_or_else(|| Reason::input(0, "it is missing"))?;
        let pred = is_set(b, input)?;
        let all = self.shared(o);
        let networks = [self.network(o, "ifBranch"), self.network(o, "elseBranch")];
        let used: Vec<Blob> = (all.iter())
            .filter(|blob| wanted.contains(&blob.name) || self.live(blob.result))
            .filter(|blob| {
                blob.before.is_some() || networks.iter().flatten().any(|&n| self.writes(n, None, &blob.name))
            })
            .cloned()
            .collect();
        let names: Vec<Str> = used.iter().map(|blob| blob.name.clone()).collect();
        let leaves = o.blocks.iter().any(|&b| self.exits(b));
        let failed = self.problems.len();
        let mut dtypes: Vec<Option<DType>> = vec![None; used.len()];
        let count = used.len() + if leaves { 2 } else { 0 };
        let results = b.nested("cond", &[("pred", pred)], count, &[vec![], vec![]], |b, i, _| {
            let end = match networks.get(i).copied().flatten() {
                Some(network) => {
                    self.enter(network, all.iter().map(|blob| (&blob.name, blob.before)));
                    self.sequence(b, network, None, &names)?
                }
                None => End { blobs: used.iter().map(|blob| blob.before).collect(), exit: None },
            };
            let mut outputs = Vec::with_capacity(count);
            for ((blob, value), dtype) in used.iter().zip(end.blobs).zip(&mut dtypes) {
                let value = match value {
                    Some(v) => v,
                    None => self.unwritten(b, blob.result)?,
                };
                outputs.push(fitting(b, value, dtype)?);
            }
            if leaves {
                let exit = end.exit.unwrap_or_else(|| stays(b));
                outputs.extend([own(b, exit.left)?, own(b, exit.broke)?]);
            }
            Ok::<_, Reason>(outputs)
        });
        // What fails within is reported by itself.
        if self.problems.len() > failed {
            return Ok(None);
        }
        let results = results?;
        self.values.extend(used.iter().map(|blob| blob.result).zip(results.iter().copied()));
        for blob in all.iter().filter(|blob| !self.values.contains_key(&blob.result)) {
            self.unset.insert(blob.result);
        }
        Ok(match results.get(used.len()..) {
            Some(&[left, broke]) => Some(Exit { left, broke }),
            _ => None,
        })
    }
}

/// The exit of what is not left.
fn stays(b: &mut Builder<'_>) -> Exit {
    let no = b.constant(Tensor::bool(false));
    Exit { left: no, broke: no }
}

/// Whether a branch takes its first network: where its input is further from 0 than this, as coremltools' builder
/// documents it.
const THRESHOLD: f64 = 1e-6;

fn is_set(b: &mut Builder<'_>, v: ValueId) -> Result<ValueId, Reason> {
    let p = b.program();
    let from = p.def_op(v).map(|op| p.op(op)).filter(|o| &*o.kind == "cast").and_then(|o| o.arg("x"));
    let is = |b: &Builder<'_>, v, dtype| b.tensor(v).is_ok_and(|t| t.dtype == dtype);
    // what a comparison gave
    if let Some(flag) = from.filter(|&x| is(b, x, DType::Bool)) {
        return truth(b, flag);
    }
    let dtype = b.tensor(v)?.dtype;
    if !dtype.is_float() {
        return truth(b, v);
    }
    let size = b.op("abs", &[("x", v)])?;
    let least = b.constant(Tensor::from_f64s(dtype, &[], &[THRESHOLD])?);
    let set = b.op("greater", &[("x", size), ("y", least)])?;
    truth(b, set)
}

/// The output of a block, of the element type that the one before it has there: an op's result, for a value from around
/// must not be one as it is.
pub(super) fn fitting(b: &mut Builder<'_>, v: ValueId, dtype: &mut Option<DType>) -> Result<ValueId, Reason> {
    let v = cast_to(b, v, *dtype)?;
    dtype.get_or_insert(b.tensor(v)?.dtype);
    Ok(own(b, v)?)
}
