//! Patches as programs, with their constants as they are stored and as they were before they were rounded.

use anewrite_interp::{Array, EvalError, Evaluator, Options, Value};
use anewrite_ir::{DialectId, Program, Str, TensorType, ValueId};
use anewrite_rewrite::Patch;
use anewrite_tensor::{DType, Tensor};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use rustc_hash::FxHashMap;

use crate::compare::{Difference, EXACT, exceeds, spacing};
use crate::copy::{Copier, PART};
use crate::pairs::Judge;
use crate::region::{Pair, Side};

/// Random changes of the constants by which a bound for their rounding is measured.
const PROBES: u64 = 4;

/// How far the rounding may move a value beyond what random changes of the same size did.
const MARGIN: f64 = 4.0;

/// The body of a patch, ready to be run.
pub(crate) struct Bodies {
    program: Program,
    args: Vec<(ValueId, Str)>,
    outputs: Vec<ValueId>,
    /// Constants that became arguments: what is stored, and what it was before.
    rounded: Vec<(Str, Tensor, Tensor)>,
    /// Constants of layers that were rounded: what is stored, and what it was before.
    held: Vec<(Str, Tensor, Tensor)>,
    /// The same program with those changed at random.
    probes: Vec<Program>,
    values: FxHashMap<ValueId, ValueId>,
}

impl Bodies {
    pub(crate) fn of(patch: &Patch, opset: &str) -> Bodies {
        let body = &patch.body;
        let mut copier = Copier::new(body, opset);
        let mut args = Vec::new();
        for &(inner, _) in &patch.taps {
            if body.constant(inner.id()).is_none() {
                let ty = patch.facts.ty(body, inner.id()).clone();
                args.push((inner.id(), copier.argument(inner.id(), Some(ty))));
            }
        }
        let mut rounded = Vec::new();
        let mut held = Vec::new();
        let mut probes = Vec::new();
        if body.dialect == DialectId::Nn && !patch.unrounded.is_empty() {
            for (v, exact) in &patch.unrounded {
                if let Some(c) = body.constant(v.id()) {
                    held.push((body.value(v.id()).name.clone(), c.tensor.clone(), exact.clone()));
                }
            }
            probes = (0..PROBES).map(|n| probe(patch, opset, n)).collect();
        }

        for (v, exact) in patch.unrounded.iter().filter(|_| body.dialect == DialectId::Mil) {
            let Some(stored) = body.constant(v.id()).map(|c| c.tensor.clone()) else { continue };
            let ty = TensorType::fixed(stored.dtype(), stored.dims().iter().copied());
            rounded.push((copier.argument(v.id(), Some(ty.into())), stored, exact.clone()));
        }
        for op in body.all_ops().collect::<Vec<_>>() {
            copier.op(op);
        }
        let outputs = Vec::new();
        Bodies { program: copier.program, args, outputs, rounded, held, probes, values: copier.values }
    }

    /// Makes a value of the patch an output.
    pub(crate) fn output(&mut self, value: ValueId) {
        if self.outputs.contains(&value) {
            return;
        }
        let body = self.program.functions().next().map(|(_, f)| f.body);
        if let (Some(body), Some(&v)) = (body, self.values.get(&value)) {
            // copies of one body number their values alike
            self.each(|p| p.add_output(body, v));
            self.outputs.push(value);
        }
    }

    pub(crate) fn each(&mut self, change: impl Fn(&mut Program)) {
        change(&mut self.program);
        self.probes.iter_mut().for_each(change);
    }

    /// Whether it holds constants that were rounded and can be run as they were before.
    pub(crate) fn rounds(&self) -> bool {
        !self.rounded.is_empty()
    }

    /// How far each pair's value may be off because of constants that belong to layers: a layer reads them from itself,
    /// so it cannot be run on what they were before they were rounded. Nothing where there are none.
    ///
    /// # Errors
    /// A constant that is not the nearest one; a run that fails.
    pub(crate) fn slack(
        &self,
        taps: &FxHashMap<ValueId, Value>,
        options: Options,
        judge: &Judge<'_>,
    ) -> Result<Vec<f64>, String> {
        if self.held.is_empty() {
            return Ok(Vec::new());
        }
        let text = |e: EvalError| e.to_string();
        for (name, stored, exact) in &self.held {
            nearest(name, stored, exact)?;
        }
        let stored = self.run(taps, options).map_err(text)?;
        let mut slack = vec![0f64; judge.pairs.len()];
        for probe in &self.probes {
            let moved = self.run_program(probe, taps, options, Vec::new()).map_err(text)?;
            for (d, most) in distances(judge, &stored, &moved).into_iter().zip(&mut slack) {
                *most = most.max(MARGIN * d.max_abs);
            }
        }
        Ok(slack)
    }

    /// Runs the patch on the tapped values, with constants as they were before they were rounded.
    pub(crate) fn run(
        &self,
        taps: &FxHashMap<ValueId, Value>,
        options: Options,
    ) -> Result<FxHashMap<ValueId, Value>, EvalError> {
        self.run_with(taps, options, |(_, _, exact)| numbers(exact))
    }

    fn run_with(
        &self,
        taps: &FxHashMap<ValueId, Value>,
        options: Options,
        constant: impl Fn(&(Str, Tensor, Tensor)) -> Result<Vec<f64>, EvalError>,
    ) -> Result<FxHashMap<ValueId, Value>, EvalError> {
        let mut constants: Vec<(Str, Value)> = Vec::with_capacity(self.rounded.len());
        for c in &self.rounded {
            let (name, stored, _) = c;
            let array = Array::new(stored.dtype(), stored.dims().iter().copied(), constant(c)?)?;
            constants.push((name.clone(), array.into()));
        }
        self.run_program(&self.program, taps, options, constants)
    }

    fn run_program(
        &self,
        program: &Program,
        taps: &FxHashMap<ValueId, Value>,
        options: Options,
        mut inputs: Vec<(Str, Value)>,
    ) -> Result<FxHashMap<ValueId, Value>, EvalError> {
        for (v, name) in &self.args {
            let value = taps.get(v).ok_or_else(|| EvalError::Missing(name.to_string()))?;
            inputs.push((name.clone(), value.clone()));
        }
        let out = Evaluator::new(program, options).run(PART, inputs)?;
        Ok(self.outputs.iter().copied().zip(out.values.into_iter().map(|(_, v)| v)).collect())
    }

    /// Whether the stored constants are the nearest ones, and move no value further than their rounding can.
    ///
    /// The bound is measured: random changes by half the distance of two numbers of the dtype, which is the most that
    /// rounding does, move each value by some root mean square, and the rounding may move it by a few times that.
    ///
    /// # Errors
    /// The constant, or the value.
    pub(crate) fn allow(
        &self,
        taps: &FxHashMap<ValueId, Value>,
        options: Options,
        judge: &Judge<'_>,
    ) -> Result<(), String> {
        let text = |e: EvalError| e.to_string();
        for (name, stored, exact) in &self.rounded {
            nearest(name, stored, exact)?;
        }
        let exact = self.run_with(taps, options, |(_, _, exact)| numbers(exact)).map_err(text)?;
        let stored = self.run_with(taps, options, |(_, stored, _)| numbers(stored)).map_err(text)?;
        let mut bound = vec![0f64; judge.pairs.len()];
        for probe in 0..PROBES {
            let moved = self.run_with(taps, options, |(_, stored, exact)| {
                let mut rng = StdRng::seed_from_u64(options.seed.wrapping_add(probe));
                let mut items = numbers(exact)?;
                for x in &mut items {
                    let sign = if rng.next_u32() & 1 == 0 { 0.5 } else { -0.5 };
                    *x += sign * spacing(stored.dtype(), *x);
                }
                Ok(items)
            });
            let moved = moved.map_err(text)?;
            for (d, most) in distances(judge, &exact, &moved).into_iter().zip(&mut bound) {
                *most = most.max(d.rms);
            }
        }
        for ((d, bound), pair) in distances(judge, &exact, &stored).into_iter().zip(bound).zip(judge.pairs) {
            let allowed = MARGIN * bound + EXACT * d.scale;
            if d.rms > allowed {
                let name = &judge.claim.program.value(pair.old).name;
                return Err(format!(
                    "{name}: rounding constants moves it by {:.2e}, and may by {allowed:.2e}",
                    d.rms
                ));
            }
        }
        Ok(())
    }
}

/// How far the patch's values of each pair are apart in two runs.
fn distances(
    judge: &Judge<'_>,
    a: &FxHashMap<ValueId, Value>,
    b: &FxHashMap<ValueId, Value>,
) -> Vec<Difference> {
    let items = |run: &FxHashMap<ValueId, Value>, v: ValueId| {
        run.get(&v).and_then(|v| v.tensor().ok()?.to_f64s().ok())
    };
    let one = |pair: &Pair| match pair.new {
        Side::Patch(v) => {
            items(a, v).zip(items(b, v)).map(|(a, b)| Difference::of(&a, &b)).unwrap_or_default()
        }
        Side::Program(_) => Difference::default(),
    };
    judge.pairs.iter().map(one).collect()
}

fn numbers(t: &Tensor) -> Result<Vec<f64>, EvalError> {
    if t.dtype() == DType::String {
        return Err(EvalError::Shape("text where numbers are needed".into()));
    }
    Ok(t.to_f64s()?)
}

/// Whether a stored constant is what it was before, rounded to nearest.
fn nearest(name: &str, stored: &Tensor, exact: &Tensor) -> Result<(), String> {
    let text = |e: EvalError| e.to_string();
    let (items, exact) = (numbers(stored).map_err(text)?, numbers(exact).map_err(text)?);
    for (i, (&s, &x)) in items.iter().zip(&exact).enumerate() {
        let half = spacing(stored.dtype(), x) / 2.0;
        if x.is_finite() && exceeds((s - x).abs(), half * (1.0 + 1e-12)) {
            return Err(format!("the constant {name} holds {s:e} at {i}, which is not {x:e} rounded"));
        }
    }
    Ok(())
}

/// The body with each rounded constant moved to one of its neighbours.
fn probe(patch: &Patch, opset: &str, n: u64) -> Program {
    let mut copier = Copier::new(&patch.body, opset);
    let mut rng = StdRng::seed_from_u64(n);
    for (v, _) in &patch.unrounded {
        let Some(stored) = patch.body.constant(v.id()).map(|c| &c.tensor) else { continue };
        let Ok(mut items) = numbers(stored) else { continue };
        for x in &mut items {
            let sign = if rng.next_u32() & 1 == 0 { 1.0 } else { -1.0 };
            *x += sign * spacing(stored.dtype(), *x);
        }
        if let Ok(moved) = Tensor::from_f64s(stored.dtype(), stored.dims(), &items) {
            copier.replace(v.id(), moved);
        }
    }
    for &(inner, _) in &patch.taps {
        if patch.body.constant(inner.id()).is_none() {
            copier.argument(inner.id(), Some(patch.facts.ty(&patch.body, inner.id()).clone()));
        }
    }
    for op in patch.body.all_ops().collect::<Vec<_>>() {
        copier.op(op);
    }
    copier.program
}
