//! Outputs that are decisions: which value decides them, and by how much.

use anewrite_interp::{Array, EvalError, Observer, Options, Step, Value, evaluate};
use anewrite_ir::{OpId, Program, Str, ValueId};

/// The op that decides an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The output.
    pub(crate) output: Str,
    /// The op.
    pub(crate) op: OpId,
    /// Which of its results leads to the output.
    pub(crate) result: usize,
}

const DECIDERS: &[&str] = &[
    "reduce_argmax",
    "reduce_argmin",
    "argsort",
    "topk",
    "floor",
    "ceil",
    "round",
    "sign",
    "floor_div",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "equal",
    "not_equal",
    "classify",
    "cast",
    "nn.argMax",
    "nn.argMin",
    "nn.topK",
    "nn.floor",
    "nn.ceil",
    "nn.round",
    "nn.greaterThan",
    "nn.lessThan",
    "nn.greaterEqual",
    "nn.lessEqual",
    "nn.argSort",
];

/// Ops that hand a decision on.
const MOVES: &[&str] = &[
    "identity",
    "reshape",
    "transpose",
    "squeeze",
    "expand_dims",
    "slice_by_index",
    "slice_by_size",
    "reverse",
    "tile",
    "concat",
    "stack",
    "nn.squeeze",
    "nn.expandDims",
    "nn.reshapeStatic",
    "nn.transpose",
    "nn.copy",
];

/// The decisions behind the outputs of a function, where one op decides an output.
pub(crate) fn decisions(p: &Program, outputs: &[ValueId]) -> Vec<Decision> {
    outputs.iter().filter_map(|&v| decision(p, v)).collect()
}

fn decision(p: &Program, output: ValueId) -> Option<Decision> {
    let mut at = output;
    loop {
        let op = p.def_op(at)?;
        let o = p.op(op);
        let input = o.arg("x").or_else(|| o.arg("input"));
        let whole = |v: ValueId| p.tensor_type(v).is_some_and(|t| !t.dtype.is_float());
        match &*o.kind {
            // between whole numbers, a cast hands on
            "cast" if input.is_some_and(whole) => at = input?,
            // between floats it decides nothing
            "cast" if !whole(*o.results.first()?) => at = input?,
            kind if DECIDERS.contains(&kind) => {
                let result = o.results.iter().position(|&r| r == at)?;
                let values = matches!(kind, "topk" | "nn.topK") && result == 0;
                let found = Decision { output: p.value(output).name.clone(), op, result };
                return (!values).then_some(found);
            }
            kind if MOVES.contains(&kind) => at = input.or_else(|| o.arg("values"))?,
            _ => return None,
        }
    }
}

/// What a deciding op read and gave.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) kind: Str,
    pub(crate) args: Vec<(Str, Value)>,
    pub(crate) result: Value,
}

/// Keeps what deciding ops read.
pub(crate) struct Watching<'a> {
    pub(crate) program: &'a Program,
    pub(crate) decisions: &'a [Decision],
    pub(crate) seen: Vec<Option<Decided>>,
}

impl<'a> Watching<'a> {
    pub(crate) fn new(program: &'a Program, decisions: &'a [Decision]) -> Self {
        Watching { program, decisions, seen: vec![None; decisions.len()] }
    }
}

impl Observer for Watching<'_> {
    fn after(&mut self, step: &Step<'_>) -> Result<(), EvalError> {
        if !std::ptr::eq(step.program, self.program) {
            return Ok(());
        }
        for (d, seen) in self.decisions.iter().zip(&mut self.seen) {
            if d.op == step.op
                && let Some(result) = step.results.get(d.result)
            {
                let kind = self.program.op(d.op).kind.clone();
                *seen = Some(Decided { kind, args: step.args.to_vec(), result: result.clone() });
            }
        }
        Ok(())
    }
}

impl Decided {
    /// The value that decides: what is compared with others, or with a number.
    pub(crate) fn value(&self) -> Option<&Array> {
        let found =
            ["x", "input", "probabilities"].iter().find_map(|n| self.args.iter().find(|(p, _)| &**p == *n));
        found.or(self.args.first()).and_then(|(_, v)| v.tensor().ok())
    }

    /// By how much each element of the result was decided, where `other` is what the other program decided: the
    /// distance of the two candidates, or of the value from where the result changes. `None` where that is not known.
    pub(crate) fn margins(&self, other: &Value) -> Option<Vec<f64>> {
        let x = self.value()?;
        let items = x.to_f64s().ok()?;
        let kind = self.kind.trim_start_matches("nn.");
        match kind {
            "floor" | "ceil" => Some(items.iter().map(|x| (x - x.round()).abs()).collect()),
            "round" => Some(items.iter().map(|x| ((x - 0.5) - (x - 0.5).round()).abs()).collect()),
            "sign" => Some(items.iter().map(|x| x.abs()).collect()),
            "cast" => {
                let is_bool = self.result.tensor().ok()?.items::<bool>().is_some();
                let margin = |x: &f64| if is_bool { x.abs() } else { (x - x.round()).abs() };
                Some(items.iter().map(margin).collect())
            }
            "floor_div" => {
                let q = self.binary("real_div")?;
                Some(q.iter().map(|x| (x - x.round()).abs()).collect())
            }
            "greater" | "greater_equal" | "less" | "less_equal" | "equal" | "not_equal" => {
                Some(self.binary("sub")?.into_iter().map(f64::abs).collect())
            }
            "reduce_argmax" | "reduce_argmin" | "argsort" | "topk" | "argMax" | "argMin" | "topK"
            | "argSort" => self.candidates(x, &items, other.tensor().ok()?),
            "classify" => self.label(&items, other),
            _ => None,
        }
    }

    /// The distance of the probabilities of two labels.
    fn label(&self, items: &[f64], other: &Value) -> Option<Vec<f64>> {
        let classes = self.args.iter().find(|(p, _)| &**p == "classes").and_then(|(_, v)| v.tensor().ok())?;
        let place = |v: &Value| {
            let label = v.tensor().ok()?;
            match (label.as_texts(), classes.as_texts()) {
                (Some(label), Some(all)) => all.iter().position(|c| Some(c) == label.first()),
                _ => {
                    let label = label.to_i64s().ok()?;
                    classes.to_i64s().ok()?.iter().position(|c| Some(c) == label.first())
                }
            }
        };
        let (a, b) = (items.get(place(&self.result)?)?, items.get(place(other)?)?);
        Some(vec![(a - b).abs()])
    }

    fn binary(&self, kind: &str) -> Option<Vec<f64>> {
        let find = |n: &str| self.args.iter().find(|(p, _)| &**p == n).map(|(_, v)| v.clone());
        let out = evaluate(kind, &[("x", find("x")?), ("y", find("y")?)], Options::default()).ok()?;
        out.first()?.tensor().ok()?.to_f64s().ok()
    }

    /// The distance of the elements that two positions along an axis name.
    fn candidates(&self, x: &Array, items: &[f64], other: &Array) -> Option<Vec<f64>> {
        let own = self.result.tensor().ok()?;
        let (a, b) = (own.to_i64s().ok()?, other.to_i64s().ok()?);
        if a.len() != b.len() {
            return None;
        }
        let dims = x.dims();
        let axis =
            self.args.iter().find(|(p, _)| &**p == "axis").and_then(|(_, v)| v.tensor().ok()?.to_i64s().ok());
        let axis = axis.and_then(|v| v.first().copied()).unwrap_or(-1);
        let axis = usize::try_from(if axis < 0 { axis + dims.len() as i64 } else { axis }).ok()?;
        let extent = *dims.get(axis)? as usize;
        let inner: usize = dims.get(axis + 1..)?.iter().product::<u64>() as usize;
        let outer: usize = dims.get(..axis)?.iter().product::<u64>() as usize;
        let kept = a.len() / (inner * outer).max(1);
        let mut out = Vec::with_capacity(a.len());
        for (at, (&p, &q)) in a.iter().zip(&b).enumerate() {
            let (o, i) = (at / (kept * inner).max(1), at % inner.max(1));
            let find = |n: i64| {
                let n = usize::try_from(n).ok().filter(|&n| n < extent)?;
                items.get((o * extent + n) * inner + i).copied()
            };
            out.push(match (find(p), find(q)) {
                (Some(p), Some(q)) => (p - q).abs(),
                _ => f64::INFINITY,
            });
        }
        Some(out)
    }
}
