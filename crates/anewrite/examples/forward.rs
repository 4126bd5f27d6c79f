//! Forward passes of a model at fp32, timed: `forward MODEL INPUTS [EXPECTED] [--ops]`, with features as `anewrite run`
//! reads them.
//!
//! Runs once, then prints `ready`, the bytes of the largest live set, the most bytes that arrays had at a time, and the
//! largest difference from the expected outputs over their scale. For every line of the standard input it then prints
//! the seconds of one pass. `--ops` prints the time of each kind of op at the end.
#![allow(clippy::print_stdout, reason = "an example")]

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::{Duration, Instant};

use anewrite::{Features, Model, RunOptions, Runner, Watch, read_features};
use anewrite_convert::Part;
use anewrite_interp::{Arithmetic, Array, Data, EvalError, Evaluator, Observer, Options, Step, Value};
use anewrite_ir::{OpId, Program, ValueId};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let (options, paths): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let [model, inputs, expected @ ..] = paths.as_slice() else {
        return Err("forward MODEL INPUTS [EXPECTED] [--ops]".into());
    };
    let (model, inputs) = (Model::open(model)?, read_features(inputs)?);
    let evaluator = Options { arithmetic: Arithmetic::Fp32, ..Options::default() };
    let mut runner = Runner::new(&model, &RunOptions { evaluator, function: None })?;
    let mut sizes = Sizes::default();
    let outputs = runner.watch(&inputs, &mut sizes)?;
    let mut live = 0;
    for part in &model.document().parts {
        live = live.max(sizes.live(&part.program));
    }
    let peak = peak(&model, &inputs, evaluator)?;
    let difference = match expected.first() {
        Some(path) => difference(&outputs, &read_features(path)?)?,
        None => 0.0,
    };
    drop(outputs);
    let mut out = std::io::stdout();
    writeln!(out, "ready {live} {peak} {difference:e}")?;
    out.flush()?;
    let mut times = Times { at: Instant::now(), by_kind: BTreeMap::new() };
    for line in std::io::stdin().lines() {
        line?;
        let start = Instant::now();
        times.at = start;
        match options.is_empty() {
            true => drop(runner.predict(&inputs)?),
            false => drop(runner.watch(&inputs, &mut times)?),
        }
        writeln!(out, "{}", start.elapsed().as_secs_f64())?;
        out.flush()?;
    }
    let mut rows: Vec<_> = times.by_kind.into_iter().collect();
    rows.sort_by_key(|&(_, (time, _))| std::cmp::Reverse(time));
    for (kind, (time, count)) in rows {
        writeln!(out, "{:10.3} ms  {count:6} × {kind}", time.as_secs_f64() * 1e3)?;
    }
    Ok(())
}

/// The most bytes that the arrays of a run had at a time.
fn peak(model: &Model, inputs: &Features, options: Options) -> Outcome<u64> {
    let mut most = 0;
    for part in &model.document().parts {
        let program = &part.program;
        let named = inputs.iter().map(|(n, v)| (n.as_str().into(), v.clone())).collect();
        let name = program.functions().next().map(|(_, f)| f.name.to_string()).unwrap_or_default();
        // what surrounds a network, such as an image's preprocessing, is not part of it
        if let Ok(outputs) = Evaluator::new(program, options).run(&name, named) {
            most = most.max(outputs.peak);
        }
    }
    Ok(most)
}

/// The largest difference over the largest expected value, of all outputs that are arrays.
fn difference(outputs: &Features, expected: &Features) -> Outcome<f64> {
    let mut most: f64 = 0.0;
    for (name, value) in expected {
        let (Some(Value::Tensor(have)), Value::Tensor(want)) = (outputs.get(name), value) else { continue };
        let (have, want) = (have.to_f64s()?, want.to_f64s()?);
        if have.len() != want.len() {
            return Err(format!("{name} has {} elements, not {}", have.len(), want.len()).into());
        }
        let scale = want.iter().fold(0f64, |m, x| m.max(x.abs()));
        most = have.iter().zip(&want).fold(most, |m, (a, b)| m.max((a - b).abs() / scale));
    }
    Ok(most)
}

/// What each op of a program gave: bytes, and the operand whose memory it is.
#[derive(Default)]
struct Sizes {
    results: HashMap<OpId, Vec<(u64, Option<usize>)>>,
}

fn place(a: &Array) -> (usize, u64) {
    let (at, size) = match a.data() {
        Data::F32(b) => (b.as_ptr() as usize, size_of_val::<[f32]>(b)),
        Data::F64(b) => (b.as_ptr() as usize, size_of_val::<[f64]>(b)),
        Data::Int(b) => (b.as_ptr() as usize, size_of_val::<[i64]>(b)),
        Data::Bool(b) => (b.as_ptr() as usize, size_of_val::<[bool]>(b)),
        Data::Text(_) => (0, 0),
    };
    (at, size as u64)
}

impl Observer for Sizes {
    fn after(&mut self, step: &Step<'_>) -> Result<(), EvalError> {
        let args: Vec<_> = step.args.iter().map(|(_, v)| v.tensor().ok().map(|a| place(a).0)).collect();
        let result = |v: &Value| match v {
            Value::Tensor(a) => {
                let (at, size) = place(a);
                (size, args.iter().position(|&arg| arg == Some(at)))
            }
            _ => (0, None),
        };
        self.results.insert(step.op, step.results.iter().map(result).collect());
        Ok(())
    }
}

impl Watch for Sizes {
    fn part(&mut self, _: &Part) -> &mut dyn Observer {
        self
    }
}

impl Sizes {
    /// The bytes of the results that are alive at the same time, at most; memory that several share counts once, inputs and
    /// constants do not count.
    fn live(&self, p: &Program) -> u64 {
        let Some((_, f)) = p.functions().next() else { return 0 };
        let ops: Vec<OpId> = p.ops(f.body).collect();
        let mut origin: HashMap<ValueId, ValueId> = HashMap::new();
        let mut memory: HashMap<ValueId, (u64, usize, usize)> = HashMap::new();
        for (at, &op) in ops.iter().enumerate() {
            let o = p.op(op);
            for x in &o.operands {
                if let Some((.., last)) = origin.get(&x.value).and_then(|v| memory.get_mut(v)) {
                    *last = at;
                }
            }
            for (&v, &(size, same)) in o.results.iter().zip(self.results.get(&op).into_iter().flatten()) {
                let from = same.and_then(|i| o.operands.get(i)).and_then(|x| origin.get(&x.value)).copied();
                origin.insert(v, from.unwrap_or(v));
                memory.entry(from.unwrap_or(v)).or_insert((size, at, at)).2 = at;
            }
        }
        for v in &p.block(f.body).outputs {
            if let Some((.., last)) = origin.get(v).and_then(|v| memory.get_mut(v)) {
                *last = ops.len();
            }
        }
        let at = |at: usize| memory.values().filter(|m| (m.1..=m.2).contains(&at)).map(|m| m.0).sum();
        (0..ops.len()).map(at).max().unwrap_or(0)
    }
}

/// Time by kind of op.
struct Times {
    at: Instant,
    by_kind: BTreeMap<String, (Duration, usize)>,
}

impl Observer for Times {
    fn after(&mut self, step: &Step<'_>) -> Result<(), EvalError> {
        let entry = self.by_kind.entry(step.program.op(step.op).kind.to_string()).or_default();
        entry.0 += self.at.elapsed();
        entry.1 += 1;
        self.at = Instant::now();
        Ok(())
    }
}

impl Watch for Times {
    fn part(&mut self, _: &Part) -> &mut dyn Observer {
        self
    }
}
