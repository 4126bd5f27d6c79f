//! Constants that 16 bits do not hold: masks of minus infinity or a billion, and epsilons that become zero.

use anewrite_ane::{Family, FamilySet, Limit, limit};
use anewrite_diag::{Answer, Finding, Severity};
use anewrite_ir::{OpId, Program, ValueId};
use anewrite_tensor::Tensor;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Subject, names, new, reasoned, text};
use crate::{Doubt, Judged};

/// Constants longer than this are weights or tables, and reading them would cost more than the whole check.
const LONGEST: u64 = 1 << 20;

/// Elements read in all; later constants are left aside.
const BUDGET: u64 = 1 << 24;

/// Up to this a positive number is zero in 16 bits: half of the smallest one that they hold.
const ZERO: f64 = 1.0 / 33_554_432.0;

/// What was seen in a constant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Extremes {
    infinite: bool,
    /// The finite element of the largest magnitude.
    far: f64,
    /// A scalar that is not zero and is too small.
    tiny: Option<f64>,
}

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let families = subject.target.families();
    let largest = families.iter().find_map(|f| limit("LIM-FP16MAX", f));
    let Some(largest) = largest else { return Vec::new() };
    let mut scan = Scan { program: subject.program, seen: FxHashMap::default(), left: BUDGET };
    let (mut beyond, mut infinite, mut tiny, mut stacked) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for judged in subject.judged().filter(|judged| !is_product(judged)) {
        for operand in &subject.program.op(judged.op).operands {
            let Some(extremes) = scan.of(operand.value) else { continue };
            let about = |value: String| (judged.op, Some(format!("{} holds {value}", operand.param)));
            if bounds(subject.program, judged.op, &operand.param) {
                continue;
            }
            if extremes.infinite {
                infinite.push(about("an infinity".to_owned()));
            } else if extremes.far.abs() > largest.value as f64 {
                beyond.push(about(short(extremes.far)));
            } else if extremes.far < -(largest.value as f64) / 2.0
                && scan.adds_to_mask(judged.op, largest.value)
            {
                stacked.push(about(short(extremes.far)));
            }
            if let Some(value) = extremes.tiny.filter(|_| !told_by_row(subject, judged, &operand.param)) {
                tiny.push(about(short(value)));
            }
        }
    }
    let findings = [
        (
            30,
            "The engine computes in fp16, where these constants are infinite.",
            beyond,
            "Use a number that fp16 holds: -1e4 is enough for a mask.",
        ),
        (
            32,
            "The engine computes in fp16 and turns NaN into infinity; an infinite constant makes NaN where it meets \
              zero or another infinity.",
            infinite,
            "Use a finite number that fp16 holds: -1e4 is enough for a mask.",
        ),
        (
            32,
            "Two masks of this size are added, and their sum is infinite in fp16.",
            stacked,
            "Use a smaller number in each mask: -1e4 is enough.",
        ),
        (31, "This constant is zero in fp16.", tiny, "Use an epsilon of at least 6e-8."),
    ];
    let found = findings.into_iter().filter(|(_, _, ops, _)| !ops.is_empty());
    found.map(|(code, says, ops, advice)| finding(subject, code, says, ops, advice, &largest)).collect()
}

/// Whether the constant is a bound, which may be infinite: nothing is computed with it.
fn bounds(program: &Program, op: OpId, param: &str) -> bool {
    let kind = program.op(op).kind.strip_prefix("nn.").unwrap_or(&program.op(op).kind);
    matches!(kind, "maximum" | "minimum" | "max" | "min" | "maxBroadcastable" | "minBroadcastable")
        || (kind == "clip" && matches!(param, "alpha" | "beta"))
}

/// Whether a row of the tables speaks of this epsilon: it does where the op may run.
fn told_by_row(subject: &Subject<'_>, judged: &Judged, param: &str) -> bool {
    param == "epsilon" && subject.target.families().iter().any(|f| judged.on_engine(f, Doubt::Runs))
}

/// Whether an op multiplies and sums, so that its constants are weights.
fn is_product(judged: &Judged) -> bool {
    judged.work.flops > judged.work.bytes
}

fn short(value: f64) -> String {
    if (0.001..100_000.0).contains(&value.abs()) { value.to_string() } else { format!("{value:e}") }
}

struct Scan<'a> {
    program: &'a Program,
    seen: FxHashMap<ValueId, Option<Extremes>>,
    left: u64,
}

impl Scan<'_> {
    fn of(&mut self, value: ValueId) -> Option<Extremes> {
        let tensor = &self.program.constant(value)?.tensor;
        if let Some(known) = self.seen.get(&value) {
            return *known;
        }
        let fits = tensor.dtype().is_float() && tensor.count() <= LONGEST.min(self.left);
        let found = fits.then(|| extremes(tensor)).flatten();
        if fits {
            self.left -= tensor.count();
        }
        self.seen.insert(value, found);
        found
    }

    /// Whether the op adds to what another op has added a mask to.
    fn adds_to_mask(&mut self, op: OpId, largest: u64) -> bool {
        let program = self.program;
        let adds = |op: OpId| matches!(&*program.op(op).kind, "add" | "nn.add" | "nn.addBroadcastable");
        let before =
            program.op(op).operands.iter().filter_map(|o| program.def_op(o.value)).find(|&b| adds(b));
        let Some(before) = before.filter(|_| adds(op)) else { return false };
        let masks: Vec<ValueId> = program.op(before).operands.iter().map(|o| o.value).collect();
        masks.into_iter().filter_map(|v| self.of(v)).any(|e| e.far < -(largest as f64) / 2.0)
    }
}

fn extremes(tensor: &Tensor) -> Option<Extremes> {
    let values = tensor.to_f64s().ok()?;
    let mut found = Extremes::default();
    for &value in &values {
        if value.is_infinite() {
            found.infinite = true;
        } else if value.abs() > found.far.abs() {
            found.far = value;
        }
    }
    found.tiny = match values[..] {
        [one] if one != 0.0 && one.abs() <= ZERO => Some(one),
        _ => None,
    };
    Some(found)
}

fn finding(
    subject: &Subject<'_>,
    code: u16,
    says: &str,
    ops: Vec<(OpId, Option<String>)>,
    advice: &str,
    largest: &Limit,
) -> Finding {
    let mut found = new(code, Severity::Warning, Answer::Hazard, says.to_owned());
    let families: FamilySet =
        subject.target.families().iter().filter(|f| Family::ENGINES.contains(f)).collect();
    found.families = names(families);
    let set: FxHashSet<OpId> = ops.iter().map(|(op, _)| *op).collect();
    found.arithmetic = subject.share(&set);
    found.ops = ops.into_iter().map(|(op, observed)| subject.place(op, observed)).collect();
    found.advice = Some(advice.to_owned());
    let what = format!("The largest magnitude of fp16 is {}.", largest.value);
    let mut evidence = reasoned(what, families, text::how(largest.confidence));
    evidence.sources = text::sources(largest.sources);
    found.evidence.push(evidence);
    found
}

#[cfg(test)]
mod tests {
    use anewrite_tensor::DType;

    use super::*;

    #[test]
    fn extremes_of_constants() {
        let of = |values: &[f64]| {
            extremes(&Tensor::from_f64s(DType::F32, &[values.len() as u64], values).unwrap()).unwrap()
        };
        assert!(of(&[0.0, f64::NEG_INFINITY]).infinite);
        assert_eq!(of(&[2.0, -1e9, 5.0]).far, -1e9);
        assert_eq!(of(&[1e-9, 0.0]).tiny, None, "a vector is no epsilon");
        assert!(of(&[1e-9]).tiny.is_some() && of(&[0.0]).tiny.is_none() && of(&[1e-7]).tiny.is_none());
    }
}
