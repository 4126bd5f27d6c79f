//! From a graph to what the planner takes.

use anewrite_ane::{Answer, Eligibility, Family, PlanOp, Prices, Target, Work, eligibility, prices};
use anewrite_ir::infer::Facts;
use anewrite_ir::{BlockId, OpId, Program};
use anewrite_nn::{Mapping, PREFIX};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::view::{View, is_weight};
use crate::work::layer_work;

/// An op with everything that the tables and the planner's formulas say of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The op.
    pub op: OpId,
    /// Whether the engine can run it, for every family of the target.
    pub eligibility: Eligibility,
    /// What the planner thinks it costs on each backend. `None` for a layer of a NeuralNetwork: no formula is known
    /// for those. The numbers are the same for every family; how far they can be trusted is
    /// [`charges`](anewrite_ane::charges)' `confidence`.
    pub prices: Option<Prices>,
    /// Arithmetic and bytes. Of a layer the sum over the MIL ops that it means.
    pub work: Work,
    /// Results of other ops of the same block that it, or an op nested in it, reads: the op and the bytes.
    pub reads: SmallVec<[(OpId, u64); 2]>,
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
            Some(Answer::Yes) => true,
            Some(Answer::Unknown) => doubt == Doubt::Runs,
            Some(Answer::No) | None => false,
        }
    }
}

/// Whether an op is one that a planner places: compressed weights are constants.
pub fn computes(program: &Program, op: OpId) -> bool {
    !is_weight(&program.op(op).kind)
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
    let view = View::new(program, facts, op);
    // The formulas are the same for every family; only their confidence is not, which `charges` gives.
    let family = target.families().iter().next().unwrap_or(Family::NoEngine);
    let (prices, work) = match mapping {
        Some(mapping) => (None, layer_work(program, facts, op, mapping)),
        None => {
            let prices = prices(&view, family);
            let work = prices.work;
            (Some(prices), work)
        }
    };
    Judged { op, eligibility: eligibility(&view, target), prices, work, reads: reads(program, facts, op) }
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
    let mapping = program.ops(block).next().and_then(|op| {
        let layers = program.op(op).kind.starts_with(PREFIX);
        layers.then(|| Mapping::of(program))
    });
    let ops = program.ops(block).filter(|&op| computes(program, op));
    ops.map(|op| judge_as(program, facts, op, target, mapping)).collect()
}

/// Results of ops in the same block that the op or what is nested in it reads, each once, with their bytes.
fn reads(program: &Program, facts: &Facts, op: OpId) -> SmallVec<[(OpId, u64); 2]> {
    let block = program.block_of(op);
    let mut found: SmallVec<[(OpId, u64); 2]> = SmallVec::new();
    let mut values: SmallVec<[_; 4]> = SmallVec::new();
    let mut add = |reader: OpId| {
        for operand in &program.op(reader).operands {
            let Some(from) = program.def_op(operand.value) else { continue };
            let outside = program.block_of(from) == block && from != op && computes(program, from);
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
