//! Whether a value can hold infinities or NaN, told from how it is computed.

use anewrite_ir::ValueId;
use anewrite_rewrite::Match;
use anewrite_tensor::DType;

/// How far back the search goes.
const MAX_DEPTH: usize = 8;

/// Ops whose result holds elements of `x` and nothing else, converted at most. A cast that narrows can overflow only
/// where the value was no integer.
const MOVES: &[&str] =
    &["cast", "reshape", "transpose", "squeeze", "expand_dims", "slice_by_index", "reverse", "tile"];

/// Whether no element can be infinite or NaN: the value comes from integers or truth values, or from constants.
pub(super) fn is_finite(m: &Match<'_>, value: ValueId) -> bool {
    let mut at = value;
    for _ in 0..MAX_DEPTH {
        if let Some(t) = m.facts.tensor(m.program, at).filter(|t| !t.dtype.is_float()) {
            // Wider integers can pass the largest fp16.
            return matches!(t.dtype, DType::Bool | DType::I8 | DType::U8);
        }
        if let Some(c) = m.value_constant(at) {
            return c.to_f64s().is_ok_and(|v| v.iter().all(|x| x.is_finite()));
        }
        let Some(op) = m.program.def_op(at) else { return false };
        let o = m.data(op);
        let next = if MOVES.contains(&&*o.kind) { o.arg("x") } else { None };
        match next {
            Some(v) => at = v,
            None => return false,
        }
    }
    false
}
