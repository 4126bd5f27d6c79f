//! Loops as `while_loop`.
//!
//! A condition network that writes blobs is computed before the loop and at the end of each round, and the loop carries
//! what it says; one that does not is a part of the loop's own test.

use anewrite_ir::{Attr, BlockId, Builder, Dim, Op, Str, TensorType, Type, ValueId};
use anewrite_tensor::{DType, Tensor};

use super::blobs::{Blob, named};
use super::control::fitting;
use super::{Net, cast_to, int, own, truth, whole};
use crate::error::Reason;

/// What a loop is made of.
#[derive(Clone, Copy)]
struct Loop<'a> {
    body: BlockId,
    /// What it carries.
    blobs: &'a [Blob],
    condition: Option<&'a str>,
    /// The condition network.
    test: Option<BlockId>,
}

impl Net<'_> {
    pub(super) fn nn_loop(&mut self, b: &mut Builder<'_>, o: &Op, inputs: &[ValueId]) -> Result<(), Reason> {
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
        // Without a name the condition network decides nothing, and is not run.
        let test = test.filter(|_| condition.is_some());
        if test.is_some_and(|test| self.exits(test)) {
            return Err(Reason::field("conditionNetwork", "it leaves the loop"));
        }
        let all = self.shared(o);
        let live = |blob: &Blob| {
            self.live(blob.result)
                || o.blocks.iter().any(|&n| self.arg(n, &blob.name).is_some_and(|a| self.live(a)))
        };
        let is_condition = |blob: &Blob| condition == Some(&*blob.name);
        let writes = |blob: &Blob| test.is_some_and(|test| self.writes(test, None, &blob.name));
        let leaves = self.exits(body);
        // A test that only says whether to go on is a part of the loop's own test.
        let apart = test.is_some()
            && (leaves || all.iter().any(|blob| writes(blob) && (!is_condition(blob) || live(blob))));
        let carried = |blob: &Blob| live(blob) || (is_condition(blob) && (apart || test.is_none()));
        let blobs: Vec<Blob> = all
            .iter()
            .filter(|blob| carried(blob) && (apart || !(writes(blob) && is_condition(blob))))
            .filter(|blob| blob.before.is_some() || writes(blob) || self.writes(body, None, &blob.name))
            .cloned()
            .collect();
        let failed = self.problems.len();
        let mut starts: Vec<Option<ValueId>> = blobs.iter().map(|blob| blob.before).collect();
        let (test_apart, test_within) = if apart { (test, None) } else { (None, test) };
        let frame = Loop { body, blobs: &blobs, condition, test: test_apart };
        let mut go_on = None;
        if frame.test.is_some() {
            let (blobs, goes_on) = self.tested(b, &frame, &starts)?;
            if self.problems.len() > failed {
                return Ok(());
            }
            (starts, go_on) = (blobs, Some(goes_on));
        } else if leaves {
            go_on = Some(b.constant(Tensor::bool(true)));
        }
        let mut vars: Vec<(Str, ValueId, Type)> = Vec::new();
        for (blob, start) in blobs.iter().zip(&starts) {
            let start = match *start {
                Some(start) => start,
                None => self.unwritten(b, blob.result)?,
            };
            // The body's own type: what the loop widens, in what the start has.
            let start_type = b.tensor(start)?.clone();
            let typed = match blob.before {
                Some(_) => self.arg(body, &blob.name).unwrap_or(blob.result),
                None => blob.result,
            };
            let ty = match self.mapping.lowered(self.facts.ty(p, typed)) {
                Type::Tensor(TensorType { shape: Some(shape), .. })
                    if start_type.rank() == Some(shape.len()) =>
                {
                    // extents that are not known are named in another program
                    let open = |d: Dim| if d.known().is_some() { d } else { b.dims().fresh() };
                    TensorType::ranked(start_type.dtype, shape.into_iter().map(open)).into()
                }
                _ => start_type.into(),
            };
            vars.push((blob.name.clone(), start, ty));
        }
        if bound.is_some() {
            let zero = int(b, 0)?;
            vars.push(("round".into(), zero, TensorType::fixed(DType::I32, []).into()));
        }
        if let Some(go_on) = go_on {
            vars.push(("goes_on".into(), go_on, TensorType::fixed(DType::Bool, []).into()));
        }
        let operands: Vec<(&str, ValueId)> = vars.iter().map(|(_, v, _)| ("loop_vars", *v)).collect();
        let args: Vec<(&str, Type)> = vars.iter().map(|(n, _, t)| (&**n, t.clone())).collect();
        let count = vars.len();
        let results = b.nested("while_loop", &operands, count, &[args.clone(), args], |b, i, now| {
            let here: Vec<Option<ValueId>> = now.iter().take(blobs.len()).copied().map(Some).collect();
            let round = bound.and_then(|_| now.get(blobs.len()).copied());
            if i == 0 {
                let mut all = Vec::new();
                if let (Some(round), Some(bound)) = (round, bound) {
                    all.push(b.op("less", &[("x", round), ("y", bound)])?);
                }
                if go_on.is_some() {
                    all.extend(now.last().copied());
                }
                if let Some(test) = test_within {
                    let own = Loop { test: Some(test), ..frame };
                    all.push(self.tested(b, &own, &here)?.1);
                } else if let (Some(condition), None) = (condition, frame.test) {
                    all.push(self.holds(b, &frame, condition, &here)?);
                }
                let mut all = all.into_iter();
                let Some(first) = all.next() else { return Ok(Vec::new()) };
                let mut goes_on = own(b, first)?;
                for other in all {
                    goes_on = b.op("logical_and", &[("x", goes_on), ("y", other)])?;
                }
                return Ok(vec![goes_on]);
            }
            let (next, goes_on) = self.turn(b, &frame, &here)?;
            let mut outputs = Vec::with_capacity(count);
            for ((blob, (_, _, ty)), value) in blobs.iter().zip(&vars).zip(next) {
                let value = value.ok_or_else(|| Reason::Missing(format!("the blob {}", blob.name)))?;
                let value = cast_to(b, value, ty.tensor().map(|t| t.dtype))?;
                outputs.push(own(b, value)?);
            }
            if let Some(round) = round {
                let one = int(b, 1)?;
                outputs.push(b.op("add", &[("x", round), ("y", one)])?);
            }
            if go_on.is_some() {
                let goes_on = match goes_on {
                    Some(v) => v,
                    None => b.constant(Tensor::bool(true)),
                };
                outputs.push(own(b, goes_on)?);
            }
            Ok::<_, Reason>(outputs)
        });
        if self.problems.len() > failed {
            return Ok(());
        }
        self.values.extend(blobs.iter().map(|blob| blob.result).zip(results?));
        for blob in all.iter().filter(|blob| !self.values.contains_key(&blob.result)) {
            self.unset.insert(blob.result);
        }
        Ok(())
    }

    /// A round: the body and, where it stands apart, the test, which is not computed after a break. The blobs after it,
    /// and whether there may be another round.
    #[allow(clippy::type_complexity, reason = "a pair that is taken apart at once")]
    fn turn(
        &mut self,
        b: &mut Builder<'_>,
        frame: &Loop<'_>,
        here: &[Option<ValueId>],
    ) -> Result<(Vec<Option<ValueId>>, Option<ValueId>), Reason> {
        let names: Vec<Str> = frame.blobs.iter().map(|blob| blob.name.clone()).collect();
        self.enter(frame.body, named(frame.blobs, here));
        let end = self.sequence(b, frame.body, None, &names)?;
        let Some(exit) = end.exit else {
            return match frame.test {
                None => Ok((end.blobs, None)),
                Some(_) => self.tested(b, frame, &end.blobs).map(|(blobs, goes_on)| (blobs, Some(goes_on))),
            };
        };
        if frame.test.is_none() {
            let goes_on = b.op("logical_not", &[("x", exit.broke)])?;
            return Ok((end.blobs, Some(goes_on)));
        }
        let mut dtypes: Vec<Option<DType>> = vec![None; names.len()];
        let count = names.len() + 1;
        let mut results =
            b.nested("cond", &[("pred", exit.broke)], count, &[vec![], vec![]], |b, i, _| {
                let (blobs, goes_on) = if i == 0 {
                    (end.blobs.clone(), b.constant(Tensor::bool(false)))
                } else {
                    self.tested(b, frame, &end.blobs)?
                };
                let mut outputs = Vec::with_capacity(count);
                for ((blob, value), dtype) in frame.blobs.iter().zip(blobs).zip(&mut dtypes) {
                    let value = match value {
                        Some(v) => v,
                        None => self.unwritten(b, blob.result)?,
                    };
                    outputs.push(fitting(b, value, dtype)?);
                }
                outputs.push(own(b, goes_on)?);
                Ok::<_, Reason>(outputs)
            })?;
        let goes_on = results.pop();
        Ok((results.into_iter().map(Some).collect(), goes_on))
    }

    /// The blobs after the condition network, and whether it says to go on.
    fn tested(
        &mut self,
        b: &mut Builder<'_>,
        frame: &Loop<'_>,
        here: &[Option<ValueId>],
    ) -> Result<(Vec<Option<ValueId>>, ValueId), Reason> {
        let (Some(test), Some(condition)) = (frame.test, frame.condition) else {
            return Err(Reason::field("conditionVar", "it is not set"));
        };
        self.enter(test, named(frame.blobs, here));
        let names: Vec<Str> = frame.blobs.iter().map(|blob| blob.name.clone()).collect();
        let end = self.sequence(b, test, None, &names)?;
        let missing = || Reason::field("conditionVar", "no blob has this name");
        let holds = self.now(test, None, condition).or_else(|| self.made_in(test, condition));
        Ok((end.blobs, truth(b, holds.ok_or_else(missing)?)?))
    }

    /// Whether a blob that the body writes says to go on.
    fn holds(
        &mut self,
        b: &mut Builder<'_>,
        frame: &Loop<'_>,
        condition: &str,
        here: &[Option<ValueId>],
    ) -> Result<ValueId, Reason> {
        let found = named(frame.blobs, here).find(|(n, _)| ***n == *condition).and_then(|(_, v)| v);
        truth(b, found.ok_or_else(|| Reason::field("conditionVar", "no blob has this name"))?)
    }

    /// What stands for a blob that an op of the network itself makes.
    fn made_in(&self, block: BlockId, name: &str) -> Option<ValueId> {
        let p = self.p;
        let made = p.ops_rev(block).flat_map(|op| p.op(op).results.iter().copied());
        let found = made.into_iter().find(|&v| *p.value(v).name == *name)?;
        self.values.get(&found).copied()
    }
}
