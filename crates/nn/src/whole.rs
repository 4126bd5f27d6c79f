//! Layers whose results must be exact whole numbers: what indices, counts and comparisons are made of.
//!
//! A network computes everything in floats, indices included, and 16 bits hold whole numbers up to 2,048 only. A program
//! that computes in 16 bits keeps these layers in 32.

use anewrite_ir::{BlockId, OpId, Program, ValueId};
use rustc_hash::FxHashSet;

use crate::call::{CARRIED, INPUT, PREFIX};

/// Layers that read an index or a count, and the first data input that is one; where only that one is, the flag is set.
const READERS: &[(&str, usize, bool)] = &[
    ("embedding", 0, true),
    ("embeddingND", 0, true),
    ("gather", 1, true),
    ("gatherND", 1, true),
    ("gatherAlongAxis", 1, true),
    ("scatter", 1, true),
    ("scatterND", 1, true),
    ("scatterAlongAxis", 1, true),
    ("oneHot", 0, true),
    ("sliceDynamic", 1, false),
    ("sliceBySize", 1, false),
    ("reshapeDynamic", 1, false),
    ("broadcastToDynamic", 1, false),
    ("fillDynamic", 0, false),
    ("rangeDynamic", 0, false),
    ("randomNormalDynamic", 0, false),
    ("randomUniformDynamic", 0, false),
    ("randomBernoulliDynamic", 0, false),
    ("tile", 1, false),
    ("topK", 1, false),
    ("cumSum", 1, false),
    ("constantPad", 1, false),
    ("reverseSeq", 1, false),
    ("branch", 0, true),
    ("loop", 0, true),
];

/// Comparisons: exact where what they compare is made of whole numbers alone.
const COMPARISONS: &[&str] = &[
    "equal",
    "notEqual",
    "lessThan",
    "lessEqual",
    "greaterThan",
    "greaterEqual",
    "modBroadcastable",
    "floorDivBroadcastable",
];

/// Layers through which whole numbers are followed back: they move them or compute with them. Others make them.
const THROUGH: &[&str] = &[
    "activation",
    "add",
    "addBroadcastable",
    "bias",
    "branch",
    "broadcastToDynamic",
    "broadcastToLike",
    "broadcastToStatic",
    "clip",
    "concat",
    "concatND",
    "constantPad",
    "copy",
    "crop",
    "cumSum",
    "divideBroadcastable",
    "expandDims",
    "fillDynamic",
    "fillLike",
    "fillStatic",
    "flatten",
    "flattenTo2D",
    "floorDivBroadcastable",
    "gather",
    "gatherAlongAxis",
    "gatherND",
    "getShape",
    "loadConstant",
    "loadConstantND",
    "logicalAnd",
    "logicalNot",
    "logicalOr",
    "logicalXor",
    "loop",
    "max",
    "maxBroadcastable",
    "min",
    "minBroadcastable",
    "modBroadcastable",
    "multiply",
    "multiplyBroadcastable",
    "padding",
    "permute",
    "powBroadcastable",
    "rangeDynamic",
    "rangeStatic",
    "rankPreservingReshape",
    "reduceMax",
    "reduceMin",
    "reduceProd",
    "reduceSum",
    "reshape",
    "reshapeDynamic",
    "reshapeLike",
    "reshapeStatic",
    "reverse",
    "reverseSeq",
    "scale",
    "scatter",
    "scatterAlongAxis",
    "scatterND",
    "sequenceRepeat",
    "slice",
    "sliceBySize",
    "sliceDynamic",
    "sliceStatic",
    "split",
    "splitND",
    "squeeze",
    "stack",
    "subtractBroadcastable",
    "tile",
    "transpose",
    "unary",
    "whereBroadcastable",
];

/// What of a network must be exact whole numbers.
#[derive(Debug, Default)]
pub struct Whole {
    /// Layers that give such.
    pub layers: FxHashSet<OpId>,
    /// Values that are such: results of these layers, and what they come from.
    pub values: FxHashSet<ValueId>,
}

/// The layers and values of a network that must be exact whole numbers.
///
/// ```
/// use anewrite_nn::whole_numbers;
///
/// let network = anewrite_ir::text::parse(
///     "program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
///        func main(tensor<fp32, [5, 2]> x, tensor<fp32, [3]> rows) {
///          y = nn.gather(input = (x, rows))[axis = 0];
///        } -> (y);
///      }",
/// )
/// .unwrap();
/// let (_, main) = network.functions().next().unwrap();
/// let args = &network.block(main.body).args;
/// let whole = whole_numbers(&network);
/// assert!(whole.values.contains(&args[1]) && !whole.values.contains(&args[0]));
/// ```
pub fn whole_numbers(p: &Program) -> Whole {
    let mut exact = Whole::default();
    for op in p.all_ops() {
        let o = p.op(op);
        let kind = o.kind.strip_prefix(PREFIX).unwrap_or(&o.kind);
        let inputs: Vec<ValueId> = o.args(INPUT).collect();
        if let Some(&(_, from, one)) = READERS.iter().find(|(name, ..)| *name == kind) {
            let end = if one { from + 1 } else { inputs.len() };
            let roots = inputs.get(from..end.min(inputs.len())).unwrap_or_default();
            Back::from(p, roots, &exact).add(&mut exact);
            if kind == "loop" {
                let counters = loop_conditions(p, op);
                Back::from(p, &counters, &exact).add(&mut exact);
            }
        } else if COMPARISONS.contains(&kind) {
            let back = Back::from(p, &inputs, &exact);
            if !back.is_made {
                back.add(&mut exact);
                exact.layers.insert(op);
                exact.values.extend(&p.op(op).results);
            }
        }
    }
    exact
}

/// What decides whether a loop goes on: all that its condition network gives.
fn loop_conditions(p: &Program, op: OpId) -> Vec<ValueId> {
    let o = p.op(op);
    let name = o.attr("conditionVar").and_then(anewrite_ir::Attr::as_str).unwrap_or_default();
    let named = |&v: &ValueId| !name.is_empty() && *p.value(v).name == *name;
    let of = |&b: &BlockId| {
        let made = p.ops(b).flat_map(|op| p.op(op).results.iter().copied());
        made.chain(p.block(b).args.iter().copied()).filter(named).collect::<Vec<_>>()
    };
    o.blocks.iter().flat_map(of).collect()
}

/// What values come from, through layers that move whole numbers and compute with them.
struct Back {
    layers: Vec<OpId>,
    values: FxHashSet<ValueId>,
    /// Whether some of it is made by another layer.
    is_made: bool,
}

impl Back {
    /// Goes back from values; not beyond layers that are known to be exact.
    fn from(p: &Program, values: &[ValueId], known: &Whole) -> Back {
        let mut back = Back { layers: Vec::new(), values: FxHashSet::default(), is_made: false };
        let mut stack = values.to_vec();
        while let Some(v) = stack.pop() {
            if !back.values.insert(v) || p.constant(v).is_some() {
                continue;
            }
            let Some(op) = p.def_op(v) else {
                stack.extend(around(p, v));
                continue;
            };
            if known.layers.contains(&op) {
                continue;
            }
            let o = p.op(op);
            let kind = o.kind.strip_prefix(PREFIX).unwrap_or(&o.kind);
            back.layers.push(op);
            if !THROUGH.contains(&kind) {
                back.is_made = true;
                continue;
            }
            stack.extend(o.args(INPUT));
            // a blob that networks overwrite: what each leaves for it, and what stood there before
            if !o.blocks.is_empty() {
                stack.extend(left_under(p, op, &p.value(v).name));
            }
        }
        back
    }

    fn add(self, exact: &mut Whole) {
        exact.layers.extend(self.layers);
        exact.values.extend(self.values);
    }
}

/// What an argument of a nested network stands for: the blob before the layer, and what its networks leave for it.
fn around(p: &Program, arg: ValueId) -> Vec<ValueId> {
    match p.block(p.value_block(arg)).parent {
        Some(op) => left_under(p, op, &p.value(arg).name),
        None => Vec::new(),
    }
}

fn left_under(p: &Program, op: OpId, name: &str) -> Vec<ValueId> {
    let o = p.op(op);
    let mut out: Vec<ValueId> = o.args(CARRIED).filter(|&v| *p.value(v).name == *name).collect();
    for &b in &o.blocks {
        let body = p.block(b);
        let at = body.args.iter().position(|&a| *p.value(a).name == *name);
        out.extend(at.and_then(|at| body.outputs.get(at)));
    }
    out
}

#[cfg(test)]
mod tests {
    use anewrite_ir::text;

    use super::*;

    fn exact(layers: &str) -> Vec<String> {
        let p = text::parse(&format!(
            "program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {{
               func main(tensor<fp32, [4, 3]> x, tensor<fp32, [4]> ids) {{ {layers} }} -> (z);
             }}"
        ))
        .unwrap();
        let exact = whole_numbers(&p);
        let mut names: Vec<String> = exact
            .layers
            .iter()
            .filter_map(|&op| Some(p.value(p.op(op).result()?).name.to_string()))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn indices_are_followed_back_to_what_makes_them() {
        let found = exact(
            "one = nn.loadConstantND()[data = tensor<fp32, [1]>([1.0]), shape = [1]];
             next = nn.addBroadcastable(input = (ids, one));
             moved = nn.expandDims(input = next)[axes = [-1]];
             scaled = nn.multiplyBroadcastable(input = (x, one));
             best = nn.argMax(input = scaled)[axis = -1, removeDim = true];
             row = nn.gather(input = (x, best))[axis = 0];
             z = nn.gather(input = (row, moved))[axis = 0];",
        );
        // what decides the greatest is data, and so is what rows are taken from
        assert_eq!(found, ["best", "moved", "next", "one"]);
    }

    #[test]
    fn comparisons_of_whole_numbers_and_not_of_data() {
        let found = exact(
            "end = nn.loadConstantND()[data = tensor<fp32, [1]>([3000.0]), shape = [1]];
             mask = nn.lessThan(input = (ids, end));
             soft = nn.softmaxND(input = x)[axis = -1];
             most = nn.reduceMax(input = soft)[axes = [1], keepDims = true];
             top = nn.equal(input = (soft, most));
             z = nn.whereBroadcastable(input = (top, x, soft));",
        );
        assert_eq!(found, ["end", "mask"]);
    }
}
