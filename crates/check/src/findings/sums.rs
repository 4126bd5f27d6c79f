//! Convolutions and matrix products whose partial sums can pass what the engine's accumulators hold.
//!
//! Only products whose input has a known range are judged: behind an image, a saturating activation, a softmax or a clip.
//! The bound is the input's magnitude times the largest sum of weight magnitudes over the outputs.

use anewrite_ane::{FamilySet, limit};
use anewrite_diag::{Answer, Finding, Severity};
use anewrite_ir::{OpId, Program, Side, ValueId};
use anewrite_tensor::Tensor;
use rustc_hash::FxHashSet;

use super::{Subject, names, new, reasoned, text};

/// Weights longer than this are not summed up.
const LONGEST: u64 = 1 << 22;

/// Constants longer than this have no range here.
const LONGEST_RANGED: u64 = 1 << 16;

/// The least and the largest element.
type Range = (f64, f64);

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let program = subject.program;
    let least = subject
        .target
        .families()
        .iter()
        .filter_map(|f| Some((f, limit("LIM-ACC", f)?)))
        .min_by_key(|l| l.1.value);
    let Some((_, least)) = least else { return Vec::new() };
    let mut ranges = Ranges { program, of: Side::new(None) };
    for &arg in program.functions().flat_map(|(_, f)| &program.block(f.body).args) {
        let image = subject.interface.images.iter().find(|(name, ..)| **name == *program.value(arg).name);
        if let Some((_, low, high)) = image {
            ranges.of.set(arg, Some((*low, *high)));
        }
    }
    let mut ops: Vec<(OpId, String)> = Vec::new();
    for judged in subject.judged() {
        match ranges.product(judged.op) {
            Some(bound) if bound > least.value as f64 => {
                ops.push((judged.op, format!("a sum can reach {bound:.0}, the limit is {}", least.value)));
            }
            Some(_) => {}
            None => ranges.learn(judged.op),
        }
    }
    if ops.is_empty() {
        return Vec::new();
    }
    let message = "A partial sum of the product can pass what the engine's accumulators hold; it becomes infinite \
                   there, though the result would fit fp16.";
    let mut found = new(33, Severity::Warning, Answer::Hazard, message.to_owned());
    let concerned = subject.target.families().iter().filter(|f| limit("LIM-ACC", *f).is_some());
    let families: FamilySet = concerned.collect();
    found.families = names(families);
    let set: FxHashSet<OpId> = ops.iter().map(|(op, _)| *op).collect();
    found.arithmetic = subject.share(&set);
    found.ops = ops.into_iter().map(|(op, observed)| subject.place(op, Some(observed))).collect();
    found.advice = Some(
        "Scale the input or the weights down by a power of two, and the result up where it has become small again."
            .to_owned(),
    );
    let mut known = Vec::new();
    for family in families.iter() {
        if let Some(limit) = limit("LIM-ACC", family) {
            text::add(&mut known, limit.confidence, family);
        }
    }
    let mut evidence = reasoned(format!("The {} is at most {}.", least.what, least.value), families, "");
    evidence.known = known
        .iter()
        .map(|(how, on)| anewrite_diag::Known { how: text::how(*how).to_owned(), families: names(*on) })
        .collect();
    evidence.sources = text::sources(least.sources);
    found.evidence.push(evidence);
    vec![found]
}

struct Ranges<'a> {
    program: &'a Program,
    of: Side<ValueId, Option<Range>>,
}

impl Ranges<'_> {
    fn range(&self, value: ValueId) -> Option<Range> {
        match self.program.constant(value) {
            Some(c) if c.tensor.dtype().is_float() && c.tensor.count() <= LONGEST_RANGED => {
                let values = c.tensor.to_f64s().ok()?;
                let fold = |pick: fn(f64, f64) -> f64, start| values.iter().copied().fold(start, pick);
                Some((fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY)))
            }
            Some(_) => None,
            None => self.of[value],
        }
    }

    fn arg(&self, op: OpId, param: &str) -> Option<Range> {
        self.range(self.program.op(op).arg(param)?)
    }

    /// The largest magnitude that a sum of the product can have; `None` for other ops, and where a range or the weights
    /// are not known.
    fn product(&self, op: OpId) -> Option<f64> {
        let o = self.program.op(op);
        let (x, weight, bias) = match &*o.kind {
            "conv" | "linear" => ("x", "weight", "bias"),
            "nn.convolution" | "nn.innerProduct" => ("input", "weights", "bias"),
            "matmul" => return self.matmul(op),
            _ => return None,
        };
        let (low, high) = self.arg(op, x)?;
        let weights = &self.program.constant(o.arg(weight)?)?.tensor;
        let outputs = match weights.dims() {
            [outputs, _, ..] => *outputs,
            _ => u64::try_from(o.attr("outputChannels")?.as_int()?).ok()?,
        };
        let start = o.arg(bias).map_or(Some(0.0), |b| self.range(b).map(magnitude))?;
        Some(low.abs().max(high.abs()) * largest_row(weights, outputs)? + start)
    }

    fn matmul(&self, op: OpId) -> Option<f64> {
        let o = self.program.op(op);
        let (x, y) = (o.arg("x")?, o.arg("y")?);
        let (a, b) = (magnitude(self.range(x)?), magnitude(self.range(y)?));
        let dims = self.program.tensor_type(x)?.known_dims()?;
        let transposed = |name: &str| {
            let value = o.arg(name).and_then(|v| self.program.constant(v));
            value.and_then(|c| c.tensor.scalar_i64()).is_some_and(|n| n != 0)
        };
        let inner = dims.iter().rev().nth(usize::from(transposed("transpose_x")))?;
        Some(a * b * *inner as f64)
    }

    /// Takes down what is known of an op's results.
    fn learn(&mut self, op: OpId) {
        let o = self.program.op(op);
        let first = |params: &[&str]| params.iter().find_map(|param| self.arg(op, param));
        let x = || first(&["x", "input", "data"]);
        let found = match o.kind.strip_prefix("nn.").unwrap_or(&o.kind) {
            "sigmoid" | "softmax" | "sigmoid_hard" | "softmaxND" => Some((0.0, 1.0)),
            "tanh" | "erf" | "sin" | "cos" | "softsign" => Some((-1.0, 1.0)),
            "relu6" => Some((0.0, 6.0)),
            "clip" => first(&["alpha"]).zip(first(&["beta"])).map(|(a, b)| (a.0, b.1)),
            "relu" => x().map(|(low, high)| (low.max(0.0), high.max(0.0))),
            "reshape"
            | "transpose"
            | "squeeze"
            | "expand_dims"
            | "slice_by_index"
            | "slice_by_size"
            | "max_pool"
            | "cast"
            | "identity"
            | "tile"
            | "reverse"
            | "split"
            | "depth_to_space"
            | "space_to_depth"
            | "pixel_shuffle"
            | "upsample_nearest_neighbor"
            | "reduce_max"
            | "reduce_min"
            | "reduce_mean" => x(),
            "concat" | "stack" => self.union(op),
            "add" => pair(first(&["x"]), first(&["y"]), |a, b| (a.0 + b.0, a.1 + b.1)),
            "sub" => pair(first(&["x"]), first(&["y"]), |a, b| (a.0 - b.1, a.1 - b.0)),
            "mul" => pair(first(&["x"]), first(&["y"]), times),
            "real_div" => pair(first(&["x"]), first(&["y"]), divided).filter(|r| r.0.is_finite()),
            _ => None,
        };
        let Some(range) = found.filter(|(low, high)| low <= high && low.is_finite() && high.is_finite())
        else {
            return;
        };
        o.results.iter().for_each(|&r| self.of.set(r, Some(range)));
    }

    fn union(&self, op: OpId) -> Option<Range> {
        let values = self.program.op(op).args("values");
        let ranges: Option<Vec<Range>> = values.map(|v| self.range(v)).collect();
        ranges?.into_iter().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

fn pair(a: Option<Range>, b: Option<Range>, op: fn(Range, Range) -> Range) -> Option<Range> {
    Some(op(a?, b?))
}

fn magnitude((low, high): Range) -> f64 {
    low.abs().max(high.abs())
}

fn times(a: Range, b: Range) -> Range {
    let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
    let fold = |pick: fn(f64, f64) -> f64, start| corners.into_iter().fold(start, pick);
    (fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY))
}

/// A quotient by a range around zero is not bounded.
fn divided(a: Range, b: Range) -> Range {
    if b.0 <= 0.0 && b.1 >= 0.0 {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    times(a, (1.0 / b.1, 1.0 / b.0))
}

/// The largest sum of magnitudes over the rows of a matrix with so many rows.
fn largest_row(weights: &Tensor, rows: u64) -> Option<f64> {
    if weights.count() > LONGEST || !weights.dtype().is_float() {
        return None;
    }
    let values = weights.to_f64s().ok()?;
    let width = values.len() / usize::try_from(rows).ok().filter(|&rows| rows > 0)?;
    let rows = values.chunks_exact(width.max(1));
    Some(rows.map(|row| row.iter().map(|w| w.abs()).sum()).fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use anewrite_tensor::DType;

    use super::*;

    #[test]
    fn ranges_of_products_and_quotients() {
        assert_eq!(times((-2.0, 3.0), (-5.0, 1.0)), (-15.0, 10.0));
        assert_eq!(divided((1.0, 2.0), (-4.0, -2.0)), (-1.0, -0.25));
        assert!(divided((1.0, 2.0), (-1.0, 1.0)).0.is_infinite());
    }

    #[test]
    fn the_row_with_the_largest_sum_counts() {
        let weights = Tensor::from_f64s(DType::F32, &[2, 3], &[1.0, -2.0, 3.0, -7.0, 0.5, 0.0]).unwrap();
        assert_eq!(largest_row(&weights, 2), Some(7.5));
        assert_eq!(largest_row(&weights, 0), None);
    }
}
