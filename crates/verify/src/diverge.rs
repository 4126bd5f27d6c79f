//! Where two programs part: the first op whose inputs agree and whose output does not.

use anewrite_interp::{Arithmetic, EvalError, Evaluator, Observer, Options, Step, Value};
use anewrite_ir::{Program, Str, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use crate::compare::{Difference, EXACT, describe, exceeds};
use crate::model::{Failure, ModelOptions, Subject};

/// The op at which two programs part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// The op's kind, in the rewritten model.
    pub kind: String,
    /// Its first result that differs.
    pub name: String,
    /// By how much.
    pub how: String,
    /// Whether the values were too many to keep, so that only some elements of each were compared.
    pub sampled: bool,
}

/// Elements that are kept of a value once memory is used up.
const SAMPLE: usize = 512;

/// Differences below this share of a value's scale are agreement: rounding in fp64 and its growth along the model.
const AGREE: f64 = 1e3 * EXACT;

/// Under 16-bit arithmetic roundings differ everywhere.
const AGREE_16: f64 = 2e-2;

/// Runs both programs on a case that shows a difference, and compares the values that they have in common by name.
///
/// `None` where no op can be told: the values that differ have no namesake, or the difference comes from many small ones.
pub fn first_difference(
    subject: &Subject<'_>,
    options: &ModelOptions,
    failure: &Failure,
) -> Option<Divergence> {
    let run = Options { arithmetic: failure.arithmetic, memory: options.memory, seed: options.seed };
    let share = if failure.arithmetic == Arithmetic::Fp64 { AGREE } else { AGREE_16 };
    let inputs = failure.case.steps.first()?;
    let entered = |p: &Program| subject.enter(p, inputs).ok();
    let mut keep = Keep { program: subject.before, seen: FxHashMap::default(), left: options.memory / 4 };
    // what was seen before an error is worth comparing
    let _ = Evaluator::new(subject.before, run).watch(
        &failure.case.function,
        entered(subject.before)?,
        &mut keep,
    );
    let mut compare = Compare {
        program: subject.after,
        kept: &keep.seen,
        differing: FxHashSet::default(),
        found: None,
        share,
        any_extents: subject.bridge.is_some(),
    };
    let ended = Evaluator::new(subject.after, run).watch(
        &failure.case.function,
        entered(subject.after)?,
        &mut compare,
    );
    match (compare.found, ended) {
        (Some(found), _) => Some(found),
        (None, Err(EvalError::At { kind, name, source })) => {
            Some(Divergence { kind, name, how: format!("it does not run: {source}"), sampled: false })
        }
        _ => None,
    }
}

/// What is kept of a value.
struct Kept {
    dims: Vec<u64>,
    items: Vec<f64>,
    /// Every so many elements are kept.
    stride: usize,
}

struct Keep<'a> {
    program: &'a Program,
    seen: FxHashMap<Str, Kept>,
    left: u64,
}

impl Observer for Keep<'_> {
    fn after(&mut self, step: &Step<'_>) -> Result<(), EvalError> {
        if !std::ptr::eq(step.program, self.program) {
            return Ok(());
        }
        for (&v, value) in self.program.op(step.op).results.iter().zip(step.results) {
            let Value::Tensor(a) = value else { continue };
            let Ok(items) = a.to_f64s() else { continue };
            let bytes = 8 * items.len() as u64;
            let stride = if bytes <= self.left { 1 } else { items.len().div_ceil(SAMPLE).max(1) };
            let items: Vec<f64> =
                if stride == 1 { items } else { items.into_iter().step_by(stride).collect() };
            self.left = self.left.saturating_sub(8 * items.len() as u64);
            self.seen
                .insert(self.program.value(v).name.clone(), Kept { dims: a.dims().to_vec(), items, stride });
        }
        Ok(())
    }
}

struct Compare<'a> {
    program: &'a Program,
    kept: &'a FxHashMap<Str, Kept>,
    differing: FxHashSet<ValueId>,
    found: Option<Divergence>,
    share: f64,
    /// Whether values with as many elements are compared whatever their extents are.
    any_extents: bool,
}

impl Observer for Compare<'_> {
    fn after(&mut self, step: &Step<'_>) -> Result<(), EvalError> {
        if !std::ptr::eq(step.program, self.program) || self.found.is_some() {
            return Ok(());
        }
        let o = self.program.op(step.op);
        let tainted = o.operands.iter().any(|x| self.differing.contains(&x.value));
        for (&v, value) in o.results.iter().zip(step.results) {
            let name = &self.program.value(v).name;
            let (Some(kept), Value::Tensor(a)) = (self.kept.get(name), value) else {
                // A value without a namesake hands on what is known of its operands.
                if tainted {
                    self.differing.insert(v);
                }
                continue;
            };
            let Ok(items) = a.to_f64s() else { continue };
            let items: Vec<f64> = items.into_iter().step_by(kept.stride).collect();
            let fits = a.dims() == kept.dims || (self.any_extents && items.len() == kept.items.len());
            let how = if !fits {
                Some(format!("its extents are {:?} and were {:?}", a.dims(), kept.dims))
            } else {
                let d = Difference::of(&kept.items, &items);
                let differs = d.broken + d.healed > 0 || exceeds(d.max_abs, self.share * d.scale);
                differs.then(|| describe(&d, &kept.items, &items))
            };
            match how {
                None => {}
                Some(_) if tainted => {
                    self.differing.insert(v);
                }
                Some(how) => {
                    self.found = Some(Divergence {
                        kind: o.kind.to_string(),
                        name: name.to_string(),
                        how,
                        sampled: kept.stride > 1,
                    });
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
