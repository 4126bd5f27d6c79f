//! What is known of a value from the layers that compute it.

use anewrite_ir::{Attr, Op, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::Match;

use crate::rules::operands::loaded;

/// How far back the search goes: as far as a verification follows that a rule counts on what stands before.
const MAX_DEPTH: usize = 6;

/// How many values the search looks at.
const MAX_VALUES: usize = 32;

/// Layers that give 1 and 0.
const TRUTHS: &[&str] = &[
    "nn.equal",
    "nn.notEqual",
    "nn.lessThan",
    "nn.lessEqual",
    "nn.greaterThan",
    "nn.greaterEqual",
    "nn.logicalOr",
    "nn.logicalXor",
    "nn.logicalAnd",
    "nn.logicalNot",
];

/// Layers whose results hold elements of their inputs and nothing else, or products, greatest and least ones of them.
const CLOSED: &[&str] = &[
    "nn.copy",
    "nn.reshape",
    "nn.reshapeStatic",
    "nn.rankPreservingReshape",
    "nn.flatten",
    "nn.flattenTo2D",
    "nn.squeeze",
    "nn.expandDims",
    "nn.transpose",
    "nn.permute",
    "nn.reverse",
    "nn.slice",
    "nn.sliceStatic",
    "nn.crop",
    "nn.split",
    "nn.splitND",
    "nn.concat",
    "nn.concatND",
    "nn.stack",
    "nn.tile",
    "nn.sequenceRepeat",
    "nn.multiplyBroadcastable",
    "nn.max",
    "nn.maxBroadcastable",
    "nn.min",
    "nn.minBroadcastable",
];

/// Layers whose results are never negative.
const NOT_NEGATIVE: &[&str] =
    &["nn.softmax", "nn.softmaxND", "nn.exp2", "nn.cosh", "nn.reduceL1", "nn.reduceL2", "nn.reduceSumSquare"];

/// Layers that are not negative where none of their inputs is.
const KEEPS_SIGN: &[&str] =
    &["nn.addBroadcastable", "nn.average", "nn.reduceSum", "nn.reduceMean", "nn.reduceMax", "nn.reduceMin"];

/// Whether every element is 0 or 1.
pub(super) fn is_truth(m: &Match<'_>, value: ValueId) -> bool {
    every(m, value, |m, v| {
        if let Some(c) = loaded(m, v) {
            return if c.to_f64s().is_ok_and(|n| n.iter().all(|&n| n == 0.0 || n == 1.0)) {
                Next::Holds
            } else {
                Next::Fails
            };
        }
        let Some(o) = m.program.def_op(v).map(|op| m.data(op)).filter(|o| !o.sealed) else {
            return Next::Fails;
        };
        match &*o.kind {
            kind if TRUTHS.contains(&kind) => Next::Holds,
            kind if CLOSED.contains(&kind) => Next::Inputs,
            "nn.multiply" if o.args(INPUT).count() > 1 => Next::Inputs,
            // 1 - x
            "nn.activation" if linear_of(o) == Some([-1.0, 1.0]) => Next::Inputs,
            // the difference of two truths
            "nn.unary" if unary_of(o) == "ABS" && has_no_scale(o) => match difference(m, o) {
                Some(both) => Next::These(both),
                None => Next::Fails,
            },
            _ => Next::Fails,
        }
    })
}

/// Whether no element is negative; some may be no numbers.
pub(super) fn is_not_negative(m: &Match<'_>, value: ValueId) -> bool {
    every(m, value, |m, v| {
        if let Some(c) = loaded(m, v) {
            return if c.to_f64s().is_ok_and(|n| n.iter().all(|&n| n >= 0.0)) {
                Next::Holds
            } else {
                Next::Fails
            };
        }
        let Some(o) = m.program.def_op(v).map(|op| m.data(op)).filter(|o| !o.sealed) else {
            return Next::Fails;
        };
        let inputs: Vec<ValueId> = o.args(INPUT).collect();
        let alpha = float(o, "alpha");
        match &*o.kind {
            kind if TRUTHS.contains(&kind) || NOT_NEGATIVE.contains(&kind) => Next::Holds,
            // a square
            "nn.multiply" | "nn.multiplyBroadcastable" if inputs.len() == 2 && inputs[0] == inputs[1] => {
                Next::Holds
            }
            kind if CLOSED.contains(&kind) || KEEPS_SIGN.contains(&kind) => Next::Inputs,
            "nn.multiply" | "nn.add" if inputs.len() > 1 || alpha >= 0.0 => Next::Inputs,
            "nn.activation" => match o.attrs.iter().find(|(_, a)| matches!(a, Attr::Message(_))) {
                Some((kind, _)) if matches!(&**kind, "ReLU" | "sigmoid" | "softplus" | "sigmoidHard") => {
                    Next::Holds
                }
                _ => Next::Fails,
            },
            "nn.unary" => match unary_of(o) {
                "ABS" | "EXP" | "SQRT" | "RSQRT" => Next::Holds,
                "THRESHOLD" if alpha >= 0.0 => Next::Holds,
                "POWER" if alpha == 2.0 => Next::Holds,
                _ => Next::Fails,
            },
            "nn.reduce" => match o.attr("mode").and_then(Attr::as_str).unwrap_or("SUM") {
                "SUMSQUARE" | "L1" | "L2" => Next::Holds,
                "SUM" | "AVG" | "PROD" | "MAX" | "MIN" => Next::Inputs,
                _ => Next::Fails,
            },
            _ => Next::Fails,
        }
    })
}

/// What the search makes of a value.
enum Next {
    Holds,
    Fails,
    /// It holds where it holds for all inputs of the layer.
    Inputs,
    /// It holds where it holds for these.
    These([ValueId; 2]),
}

fn every(m: &Match<'_>, value: ValueId, look: impl Fn(&Match<'_>, ValueId) -> Next) -> bool {
    let mut todo = vec![(value, 0)];
    for _ in 0..MAX_VALUES {
        let Some((v, depth)) = todo.pop() else { return true };
        if depth > MAX_DEPTH {
            return false;
        }
        match look(m, v) {
            Next::Holds => {}
            Next::Fails => return false,
            Next::Inputs => {
                let inputs = m.program.def_op(v).into_iter().flat_map(|op| m.data(op).args(INPUT));
                todo.extend(inputs.map(|v| (v, depth + 1)));
            }
            // the sum and the sign lie between
            Next::These(both) => todo.extend(both.map(|v| (v, depth + 3))),
        }
    }
    todo.is_empty()
}

/// The operands of a difference that is written as `add(x, -y)`, whose absolute value `o` is.
fn difference(m: &Match<'_>, o: &Op) -> Option<[ValueId; 2]> {
    let sum = m.data(m.program.def_op(o.arg(INPUT)?)?);
    let terms: Vec<ValueId> = sum.args(INPUT).collect();
    let &[a, b] = terms.as_slice() else { return None };
    if &*sum.kind != "nn.add" {
        return None;
    }
    let negated = |v: ValueId| {
        let o = m.data(m.program.def_op(v)?);
        (&*o.kind == "nn.activation" && linear_of(o) == Some([-1.0, 0.0])).then(|| o.arg(INPUT)).flatten()
    };
    match (negated(a), negated(b)) {
        (Some(y), None) => Some([b, y]),
        (None, Some(y)) => Some([a, y]),
        _ => None,
    }
}

fn float(o: &Op, name: &str) -> f64 {
    o.attr(name).and_then(Attr::as_float).unwrap_or(0.0)
}

fn unary_of(o: &Op) -> &str {
    o.attr("type").and_then(Attr::as_str).unwrap_or("SQRT")
}

fn has_no_scale(o: &Op) -> bool {
    matches!(float(o, "scale"), 0.0 | 1.0) && float(o, "shift") == 0.0
}

/// Factor and shift of a linear activation.
fn linear_of(o: &Op) -> Option<[f64; 2]> {
    let Attr::Message(fields) = o.attr("linear")? else { return None };
    let of = |name: &str| fields.iter().find(|(n, _)| &**n == name).map_or(Some(0.0), |(_, a)| a.as_float());
    Some([of("alpha")?, of("beta")?])
}
