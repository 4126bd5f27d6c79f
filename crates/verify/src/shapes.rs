//! The shapes that a model's inputs are tried in.

use anewrite_ir::infer::Facts;
use anewrite_ir::{BlockId, Dim, Op, Program, ValueId};
use rustc_hash::FxHashMap;

/// An input as the model describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// The described extents, 0 where one is not stated; empty where there are none.
    pub shape: Vec<u64>,
    /// Other extents that are allowed; for an image of height and width.
    pub flexible: Flexible,
    /// Whether it is an image: whole numbers from 0 to 255 in each channel.
    pub is_image: bool,
    /// What stands for each element where an application leaves it out.
    pub default: Option<f64>,
}

/// Which extents an input may have.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Flexible {
    /// Only the described ones.
    #[default]
    No,
    /// One of these.
    OneOf(Vec<Vec<u64>>),
    /// Each between two bounds; no upper one where there is `None`.
    Range(Vec<(u64, Option<u64>)>),
}

/// One shape for each input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// `fixed`, `minimum`, `default` or `maximum`.
    pub(crate) name: &'static str,
    /// By input.
    pub(crate) shapes: Vec<Vec<u64>>,
}

/// An extent that nothing bounds from above goes up to this many times the described one...
const TIMES: u64 = 2;
/// ... and to this at least.
const AT_LEAST: u64 = 32;
/// Where nothing at all is known of an extent.
const UNKNOWN: Bounds = Bounds { low: 1, usual: 8, high: 16 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    low: u64,
    usual: u64,
    high: u64,
}

/// Which of an axis's bounds to take.
#[derive(Clone, Copy)]
enum End {
    Low,
    Usual,
    High,
}

/// The settings to try: default, minimum and maximum, where they differ. `notes` gets what was chosen freely.
pub(crate) fn settings(
    p: &Program,
    body: BlockId,
    facts: &Facts,
    inputs: &[Input],
    notes: &mut Vec<String>,
) -> Vec<Setting> {
    let mut axes: Vec<Vec<Bounds>> = inputs.iter().map(|i| bounds(p, body, i, notes)).collect();
    agree(p, body, facts, inputs, &mut axes, notes);
    let mut out: Vec<Setting> = Vec::new();
    for (name, end) in [("default", End::Usual), ("minimum", End::Low), ("maximum", End::High)] {
        let shapes: Vec<Vec<u64>> = inputs.iter().zip(&axes).map(|(i, a)| shape(i, a, end)).collect();
        if out.iter().all(|s| s.shapes != shapes) {
            out.push(Setting { name, shapes });
        }
    }
    if let [one] = out.as_mut_slice() {
        one.name = "fixed";
    }
    out
}

fn shape(input: &Input, axes: &[Bounds], end: End) -> Vec<u64> {
    let size = |s: &&Vec<u64>| s.iter().map(|&n| n as u128).product::<u128>();
    let of = |b: &Bounds| match end {
        End::Low => b.low,
        End::Usual => b.usual,
        End::High => b.high,
    };
    let own: Vec<u64> = axes.iter().map(of).collect();
    let Flexible::OneOf(list) = &input.flexible else { return own };
    let chosen = match end {
        End::Usual => None,
        End::Low => list.iter().min_by_key(size),
        End::High => list.iter().max_by_key(size),
    };
    match chosen {
        Some(c) if input.is_image && c.len() == 2 && own.len() >= 2 => {
            let mut dims = own;
            let n = dims.len();
            dims[n - 2..].copy_from_slice(c);
            dims
        }
        Some(c) if !input.is_image => c.clone(),
        _ => own,
    }
}

/// The bounds of each axis of an input, as it is handed to the program.
fn bounds(p: &Program, body: BlockId, input: &Input, notes: &mut Vec<String>) -> Vec<Bounds> {
    let arg = p.block(body).args.iter().copied().find(|&v| *p.value(v).name == *input.name);
    let typed: Vec<Dim> = arg
        .and_then(|v| p.tensor_type(v)?.shape.as_ref().map(|s| s.to_vec()))
        .unwrap_or_else(|| vec![Dim::Unknown; input.shape.len()]);
    let described: Vec<u64> = if input.is_image || input.shape.is_empty() {
        // The program has batch and channels too; height and width are its last axes.
        let mut dims: Vec<u64> = typed.iter().map(|d| d.known().unwrap_or(0)).collect();
        let n = dims.len();
        if let ([h, w], true) = (input.shape.as_slice(), n >= 2) {
            (dims[n - 2], dims[n - 1]) = (*h, *w);
        }
        dims
    } else {
        input.shape.clone()
    };
    let ranges: Vec<Option<(u64, Option<u64>)>> = match &input.flexible {
        Flexible::Range(r) => {
            let lead = described.len().saturating_sub(r.len());
            (0..described.len()).map(|axis| axis.checked_sub(lead).and_then(|i| r.get(i)).copied()).collect()
        }
        _ => vec![None; described.len()],
    };
    let same_rank = typed.len() == described.len();
    let mut out = Vec::with_capacity(described.len());
    for (axis, (&n, range)) in described.iter().zip(ranges).enumerate() {
        let stated = typed.get(axis).and_then(|d| d.known()).filter(|_| same_rank);
        out.push(match (range, n) {
            _ if stated.is_some_and(|k| k > 0) => {
                let k = stated.unwrap_or(1);
                Bounds { low: k, usual: k, high: k }
            }
            (Some((low, high)), n) => {
                let low = low.max(1);
                let usual = if n == 0 { low } else { n.max(low) };
                let high = high.filter(|&h| h > 0).unwrap_or_else(|| {
                    let most = (usual * TIMES).max(AT_LEAST);
                    notes.push(format!(
                        "{}: no maximum of axis {axis} is stated; {most} was taken",
                        input.name
                    ));
                    most
                });
                Bounds { low, usual, high: high.max(low) }
            }
            (None, 0) => {
                notes.push(format!(
                    "{}: nothing is stated of axis {axis}; 1, 8 and 16 were taken",
                    input.name
                ));
                UNKNOWN
            }
            (None, n) => Bounds { low: n, usual: n, high: n },
        });
    }
    out
}

/// Ops whose operands have the same extents, but for those that are 1.
const TOGETHER: &[&str] = &[
    "add",
    "sub",
    "mul",
    "real_div",
    "floor_div",
    "mod",
    "pow",
    "maximum",
    "minimum",
    "equal",
    "not_equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "select",
    "nn.add",
    "nn.multiply",
    "nn.average",
    "nn.max",
    "nn.min",
    "nn.addBroadcastable",
    "nn.subtractBroadcastable",
    "nn.multiplyBroadcastable",
    "nn.divideBroadcastable",
    "nn.maxBroadcastable",
    "nn.minBroadcastable",
];

/// Finds axes of different inputs that must have the same extent, and gives them the same bounds.
fn agree(
    p: &Program,
    body: BlockId,
    facts: &Facts,
    inputs: &[Input],
    axes: &mut [Vec<Bounds>],
    notes: &mut Vec<String>,
) {
    let mut owners: FxHashMap<Dim, (usize, usize)> = FxHashMap::default();
    for (i, input) in inputs.iter().enumerate() {
        let Some(&arg) = p.block(body).args.iter().find(|&&v| *p.value(v).name == *input.name) else {
            continue;
        };
        let Some(shape) = facts.tensor(p, arg).and_then(|t| t.shape.clone()) else { continue };
        if shape.len() != axes[i].len() {
            continue;
        }
        for (axis, d) in shape.iter().enumerate().filter(|(_, d)| matches!(d, Dim::Expr(_))) {
            owners.entry(*d).or_insert((i, axis));
        }
    }
    if owners.len() < 2 {
        return;
    }
    let mut same: Vec<(Dim, Dim)> = Vec::new();
    for op in p.walk(body) {
        equalities(p, facts, p.op(op), &mut same);
    }
    let mut classes: Vec<Vec<Dim>> = Vec::new();
    for (a, b) in same {
        if a == b || !owners.contains_key(&a) || !owners.contains_key(&b) {
            continue;
        }
        let (i, j) =
            (classes.iter().position(|c| c.contains(&a)), classes.iter().position(|c| c.contains(&b)));
        match (i, j) {
            (Some(i), Some(j)) if i != j => {
                let other = classes.swap_remove(i.max(j));
                classes[i.min(j)].extend(other);
            }
            (Some(_), Some(_)) => {}
            (Some(i), None) => classes[i].push(b),
            (None, Some(j)) => classes[j].push(a),
            (None, None) => classes.push(vec![a, b]),
        }
    }
    for class in classes {
        let members: Vec<(usize, usize)> = class.iter().map(|d| owners[d]).collect();
        let all = members.iter().map(|&(i, axis)| axes[i][axis]);
        let Some(met) =
            all.reduce(|a, b| Bounds { low: a.low.max(b.low), usual: a.usual, high: a.high.min(b.high) })
        else {
            continue;
        };
        if met.low > met.high {
            continue;
        }
        let met = Bounds { usual: met.usual.clamp(met.low, met.high), ..met };
        let names: Vec<String> =
            members.iter().map(|&(i, axis)| format!("axis {axis} of {}", inputs[i].name)).collect();
        notes.push(format!("{} must agree", names.join(" and ")));
        for (i, axis) in members {
            axes[i][axis] = met;
        }
    }
}

/// Dims that an op needs to be equal.
fn equalities(p: &Program, facts: &Facts, o: &Op, same: &mut Vec<(Dim, Dim)>) {
    let shape = |v: ValueId| facts.tensor(p, v).and_then(|t| t.shape.clone());
    let shapes = |params: &[&str]| -> Vec<_> {
        o.operands.iter().filter(|x| params.contains(&&*x.param)).filter_map(|x| shape(x.value)).collect()
    };
    match &*o.kind {
        kind if TOGETHER.contains(&kind) => {
            let all = shapes(&["x", "y", "cond", "a", "b", "input"]);
            for pair in all.windows(2) {
                let ends = pair[0].iter().rev().zip(pair[1].iter().rev());
                same.extend(
                    ends.map(|(&a, &b)| (a, b)).filter(|(a, b)| a.known().is_none() && b.known().is_none()),
                );
            }
        }
        "concat" => {
            let axis = o.arg("axis").and_then(|v| p.constant(v)?.tensor.scalar_i64()).unwrap_or(0);
            let all = shapes(&["values"]);
            for pair in all.windows(2).filter(|w| w[0].len() == w[1].len()) {
                let skip = if axis < 0 { axis + pair[0].len() as i64 } else { axis };
                let both = pair[0].iter().zip(&pair[1]).enumerate().filter(|(i, _)| *i as i64 != skip);
                same.extend(both.map(|(_, (&a, &b))| (a, b)));
            }
        }
        "matmul" => {
            let flag =
                |name: &str| o.arg(name).and_then(|v| p.constant(v)?.tensor.scalar_i64()).unwrap_or(0) != 0;
            if let [x, y] = shapes(&["x", "y"]).as_slice() {
                let end = |s: &anewrite_ir::Shape, back: usize| {
                    s.len().checked_sub(back).and_then(|i| s.get(i).copied())
                };
                let a = end(x, if flag("transpose_x") { 2 } else { 1 });
                let b = end(y, if flag("transpose_y") { 1 } else { 2 });
                same.extend(a.zip(b));
            }
        }
        "scaled_dot_product_attention" => {
            if let [k, v] = shapes(&["key", "value"]).as_slice() {
                same.extend(k.iter().rev().nth(1).copied().zip(v.iter().rev().nth(1).copied()));
            }
        }
        _ => {}
    }
}
