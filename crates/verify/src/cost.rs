//! What running a program costs, told beforehand.

use anewrite_ir::{Attr, OpId, Program, ValueId};

/// Rounds that a loop is taken to run for where nothing is known.
const ROUNDS: f64 = 16.0;

/// The extents of a value, where they are known.
pub(crate) type Extents<'a> = &'a dyn Fn(ValueId) -> Option<Vec<u64>>;

/// Multiplications and additions of an op and its blocks, elements read and written counting as one each.
pub(crate) fn work(p: &Program, op: OpId, extents: Extents<'_>) -> f64 {
    let o = p.op(op);
    let count = |v: ValueId| extents(v).map_or(0.0, |d| d.iter().map(|&n| n as f64).product());
    let out: f64 = o.results.iter().map(|&r| count(r)).sum();
    let moved: f64 =
        o.operands.iter().filter(|x| p.constant(x.value).is_none()).map(|x| count(x.value)).sum();
    let weights = ["weight", "weights", "weight_ih", "weight_hh"];
    let weight: f64 = weights.iter().filter_map(|w| o.arg(w)).map(count).sum();
    let first = |param: &str| o.arg(param).and_then(extents).and_then(|d| d.first().copied()).unwrap_or(1);
    let products = match &*o.kind {
        "conv" => weight * out / first("weight").max(1) as f64,
        "conv_transpose" => weight * moved / first("weight").max(1) as f64,
        "linear" => weight * out / first("weight").max(1) as f64,
        "matmul" | "einsum" => {
            let inner = o.arg("x").and_then(extents).and_then(|d| d.last().copied()).unwrap_or(1);
            out * inner as f64
        }
        "scaled_dot_product_attention" => {
            let seq =
                o.arg("key").and_then(extents).and_then(|d| d.iter().rev().nth(1).copied()).unwrap_or(1);
            2.0 * out * seq as f64
        }
        "lstm" | "gru" | "rnn" => weight * first("x").max(1) as f64,
        kind if kind.starts_with("nn.") && weight > 0.0 => {
            let channels = o.attr("outputChannels").and_then(Attr::as_int).unwrap_or(1).max(1);
            weight * out / channels as f64
        }
        _ => 0.0,
    };
    let inner: f64 = o.blocks.iter().flat_map(|&b| p.ops(b)).map(|op| work(p, op, extents)).sum();
    products + out + moved + ROUNDS * inner
}

/// The most bytes that the values of a block take at a time with `width` bytes an element, each living from its making
/// to its last use.
pub(crate) fn peak(p: &Program, ops: &[OpId], extents: Extents<'_>, width: u64) -> u64 {
    let bytes = |v: ValueId| {
        let n = extents(v).map_or(0, |d| d.iter().fold(1u64, |n, &d| n.saturating_mul(d)));
        n.saturating_mul(width)
    };
    let mut last = rustc_hash::FxHashMap::default();
    for &op in ops {
        for x in &p.op(op).operands {
            last.insert(x.value, op);
        }
    }
    let (mut live, mut most) = (0u64, 0u64);
    for &op in ops {
        let o = p.op(op);
        live = o.results.iter().fold(live, |n, &r| n.saturating_add(bytes(r)));
        let weights = o.operands.iter().filter(|x| p.constant(x.value).is_some()).map(|x| bytes(x.value));
        most = most.max(weights.fold(live, u64::saturating_add));
        let mut dead: Vec<ValueId> = o.operands.iter().map(|x| x.value).collect();
        dead.sort_unstable();
        dead.dedup();
        for v in dead {
            if last.get(&v) == Some(&op) && p.def_op(v).is_some() {
                live = live.saturating_sub(bytes(v));
            }
        }
    }
    most
}
