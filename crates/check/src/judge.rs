//! From a graph to what the planner takes.

use std::sync::Arc;

use anewrite_ane::{
    Answer, Eligibility, Family, FamilySet, PlanOp, Prices, Row, Target, Verdict, Work, eligibility, prices,
};
use anewrite_ir::infer::Facts;
use anewrite_ir::{BlockId, OpId, Program};
use anewrite_nn::{Mapping, PREFIX};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::signature::signature;
use crate::view::{View, is_weight};
use crate::work::layer_work;

/// An op with everything that the tables and the planner's formulas say of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The op.
    pub op: OpId,
    /// Whether the engine can run it, for every family of the target.
    pub eligibility: Arc<Eligibility>,
    /// What the planner thinks it costs on each backend. `None` for a layer of a NeuralNetwork: no formula is known
    /// for those. The numbers are the same for every family; how far they can be trusted is
    /// [`charges`](anewrite_ane::charges)' `confidence`.
    pub prices: Option<Prices>,
    /// Arithmetic and bytes. Of a layer the sum over the MIL ops that it means.
    pub work: Work,
    /// Results of other ops of the same block that it, or an op nested in it, reads: the op and the bytes.
    pub reads: SmallVec<[(OpId, u64); 2]>,
    /// Families on which nobody knows whether the compressed weights that it reads leave it on the engine.
    pub doubtful_weights: FamilySet,
}

/// How to take an op of which nobody knows whether the engine runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// The engine runs it.
    Runs,
    /// The engine refuses it.
    Refused,
}

impl Judged {
    /// Whether the op may run on the engine of a family, doubts being settled as said.
    pub fn on_engine(&self, family: Family, doubt: Doubt) -> bool {
        match self.eligibility.on(family).map(|v| v.answer()) {
            Some(Answer::Yes) => doubt == Doubt::Runs || !self.doubtful_weights.contains(family),
            Some(Answer::Unknown) => doubt == Doubt::Runs,
            Some(Answer::No) | None => false,
        }
    }
}

/// Whether an op computes: compressed weights are constants.
pub fn computes(program: &Program, op: OpId) -> bool {
    !is_weight(&program.op(op).kind)
}

/// Whether an op has a place in a plan: layers that load a constant have none either.
fn is_placed(program: &Program, op: OpId) -> bool {
    computes(program, op) && !loads_constant(&program.op(op).kind)
}

/// Whether a layer of this kind does nothing but to hold a constant.
pub(crate) fn loads_constant(kind: &str) -> bool {
    matches!(kind, "nn.loadConstant" | "nn.loadConstantND")
}

/// Asks tables and formulas about one op.
///
/// This is the whole cost of looking at an op: keep the result for as long as the op and its types stay.
pub fn judge(program: &Program, facts: &Facts, op: OpId, target: &Target) -> Judged {
    let mapping = program.op(op).kind.starts_with(PREFIX).then(|| Mapping::of(program));
    judge_as(program, facts, op, target, mapping)
}

/// As [`judge`], with the mapping of a NeuralNetwork known: finding it out may mean to look at every layer. `None` for
/// other programs.
pub fn judge_as(
    program: &Program,
    facts: &Facts,
    op: OpId,
    target: &Target,
    mapping: Option<Mapping>,
) -> Judged {
    Judge::new(program, facts, target, mapping).judge_alone(op)
}

/// Asks about every op of a block that computes, in program order. Ops of nested blocks are not among them.
///
/// ```
/// use anewrite_ane::{Family, Target, charges, plan};
/// use anewrite_check::{Doubt, judge_block, plan_ops};
/// use anewrite_ir::{DialectId, NewOp, Place, Program, TensorType, infer::infer, mil::Mil};
/// use anewrite_tensor::DType;
///
/// let mut p = Program::new(DialectId::Mil);
/// let (_, body) = p.add_function("main", "CoreML6");
/// let ty = TensorType::fixed(DType::F16, [1, 64, 32, 32]);
/// let x = p.add_arg(body, "x", ty.clone().into());
/// let a = p.add_op(Place::End(body), NewOp::new("exp").operand("x", x).result("a", ty.clone()));
/// let a = p.op(a).result().unwrap();
/// p.add_op(Place::End(body), NewOp::new("tan").operand("x", a).result("b", ty));
/// let inferred = infer(&p, &Mil);
///
/// let ops = judge_block(&p, &inferred.facts, body, &Target::parse("m4")?);
/// let ops = plan_ops(&ops, Family::H16, Doubt::Refused);
/// assert_eq!(ops[1].reads, [(0, 131072)]);
/// // Tangents are no matter of the engine, and one exponential does not pay for going there.
/// assert_eq!(plan(&ops, &charges(Family::H16)).totals(&ops).engine_ops, 0);
/// # Ok::<(), anewrite_ane::TargetError>(())
/// ```
pub fn judge_block(program: &Program, facts: &Facts, block: BlockId, target: &Target) -> Vec<Judged> {
    let layers = program.ops(block).next().is_some_and(|op| program.op(op).kind.starts_with(PREFIX));
    let mapping = layers.then(|| Mapping::of(program));
    let mut judge = Judge::new(program, facts, target, mapping);
    let ops = program.ops(block).filter(|&op| is_placed(program, op));
    ops.map(|op| judge.judge(op)).collect()
}

/// Where the form of compressed weights is not known to be taken, with the row that leaves it open. What holds for
/// tensors of every op says nothing here: the engine does not compute with the weights before they are expanded.
pub(crate) fn open_forms(judged: &Eligibility) -> impl Iterator<Item = (Option<&'static Row>, Family)> + '_ {
    judged.iter().filter_map(|(family, verdict)| match verdict {
        Verdict::Yes { .. } => None,
        Verdict::No { row, .. } if is_general(row) => None,
        Verdict::No { row, .. } => Some((Some(*row), family)),
        Verdict::Unknown { rows, .. } => {
            let row = rows.first().copied();
            if row.is_some_and(is_general) { None } else { Some((row, family)) }
        }
    })
}

fn is_general(row: &Row) -> bool {
    row.ops.iter().any(|op| op.ends_with('*'))
}

/// How deep weights that are made of weights are followed: the format has chains of two.
const MAX_WEIGHT_CHAIN: usize = 4;

struct Judge<'a> {
    program: &'a Program,
    facts: &'a Facts,
    target: &'a Target,
    /// That of the layers; `None` for ops of ML Programs.
    mapping: Option<Mapping>,
    /// Families that are not known to take compressed weights, by the op that stands for these.
    weights: FxHashMap<OpId, FamilySet>,
    /// What was judged before, by what the ops show.
    known: FxHashMap<Vec<u8>, Judged>,
}

impl<'a> Judge<'a> {
    fn new(program: &'a Program, facts: &'a Facts, target: &'a Target, mapping: Option<Mapping>) -> Self {
        Judge { program, facts, target, mapping, weights: FxHashMap::default(), known: FxHashMap::default() }
    }
}

impl Judge<'_> {
    fn judge(&mut self, op: OpId) -> Judged {
        let signature = signature(self.program, self.facts, op).filter(|_| self.mapping.is_none());
        if let Some(known) = signature.as_ref().and_then(|signature| self.known.get(signature)).cloned() {
            let doubtful_weights = self.weights_of(op, 0);
            return Judged { op, reads: reads(self.program, self.facts, op), doubtful_weights, ..known };
        }
        let judged = self.judge_alone(op);
        if let Some(signature) = signature {
            self.known.insert(signature, judged.clone());
        }
        judged
    }

    fn judge_alone(&mut self, op: OpId) -> Judged {
        let (program, facts) = (self.program, self.facts);
        let view = View::new(program, facts, op);
        // The formulas are the same for every family; only their confidence is not, which `charges` gives.
        let family = self.target.families().iter().next().unwrap_or(Family::NoEngine);
        let (prices, work) = match self.mapping {
            Some(mapping) => (None, layer_work(program, facts, op, mapping)),
            None => {
                let prices = prices(&view, family);
                let work = prices.work;
                (Some(prices), work)
            }
        };
        Judged {
            op,
            eligibility: Arc::new(eligibility(&view, self.target)),
            prices,
            work,
            reads: reads(program, facts, op),
            doubtful_weights: self.weights_of(op, 0),
        }
    }

    fn weights_of(&mut self, op: OpId, depth: usize) -> FamilySet {
        let program = self.program;
        let mut doubtful = FamilySet::EMPTY;
        for operand in &program.op(op).operands {
            let Some(from) = program.def_op(operand.value).filter(|&from| is_weight(&program.op(from).kind))
            else {
                continue;
            };
            let of_weight = match self.weights.get(&from) {
                Some(&known) => known,
                None => {
                    let judged = eligibility(&View::new(program, self.facts, from), self.target);
                    let mut found = open_forms(&judged).map(|(_, family)| family).collect::<FamilySet>();
                    if depth < MAX_WEIGHT_CHAIN {
                        found = found.union(self.weights_of(from, depth + 1));
                    }
                    self.weights.insert(from, found);
                    found
                }
            };
            doubtful = doubtful.union(of_weight);
        }
        doubtful
    }
}

/// Results of ops in the same block that the op or what is nested in it reads, each once, with their bytes.
fn reads(program: &Program, facts: &Facts, op: OpId) -> SmallVec<[(OpId, u64); 2]> {
    let block = program.block_of(op);
    let mut found: SmallVec<[(OpId, u64); 2]> = SmallVec::new();
    let mut values: SmallVec<[_; 4]> = SmallVec::new();
    let mut add = |reader: OpId| {
        for operand in &program.op(reader).operands {
            let Some(from) = program.def_op(operand.value) else { continue };
            let outside = program.block_of(from) == block && from != op && is_placed(program, from);
            if outside && !values.contains(&operand.value) {
                values.push(operand.value);
                found.push((from, bytes(program, facts, operand.value)));
            }
        }
    };
    add(op);
    for &nested in &program.op(op).blocks {
        program.walk(nested).for_each(&mut add);
    }
    found
}

/// Bytes of a value; an extent that is not known counts as one, as the planner counts it.
pub(crate) fn bytes(program: &Program, facts: &Facts, value: anewrite_ir::ValueId) -> u64 {
    let Some(t) = facts.tensor(program, value) else { return 0 };
    let dims = t.shape.iter().flatten().map(|d| d.known().unwrap_or(1));
    let elements = dims.fold(1_u64, u64::saturating_mul);
    elements.saturating_mul(u64::from(t.dtype.bits())).div_ceil(8)
}

/// The ops as [`plan`](anewrite_ane::plan) takes them for one family, in the same order.
///
/// Layers of a NeuralNetwork have no prices: they cost nothing on the engine if it runs them, and have no other
/// place then, so that the plan puts everything eligible on the engine and charges boundaries only.
pub fn plan_ops(ops: &[Judged], family: Family, doubt: Doubt) -> Vec<PlanOp> {
    let places: FxHashMap<OpId, usize> = ops.iter().enumerate().map(|(i, judged)| (judged.op, i)).collect();
    let planned = ops.iter().map(|judged| {
        let on_engine = judged.on_engine(family, doubt);
        let mut op = match &judged.prices {
            Some(prices) => PlanOp::new(prices, on_engine),
            None if on_engine => {
                PlanOp { costs: [Some(0.0), None, None], work: judged.work, reads: Vec::new() }
            }
            None => PlanOp { costs: [None, Some(0.0), Some(0.0)], work: judged.work, reads: Vec::new() },
        };
        let reads = judged.reads.iter();
        op.reads = reads.filter_map(|(from, bytes)| Some((*places.get(from)?, *bytes))).collect();
        op
    });
    planned.collect()
}
