//! Inference over a whole program.

use rustc_hash::FxHashMap;

use super::{BlockTypes, Facts, InferError, OpFacts, block_types, infer_op, with_symbols};
use crate::dims::DimTable;
use crate::ids::{BlockId, OpId, ValueId};
use crate::program::Program;
use crate::schema::{Dialect, Opset};
use crate::types::{Dim, TensorType, Type};

/// Blocks nested deeper than this keep their stored types.
const MAX_NESTING: usize = 100;

/// In loops nested deeper than this nothing is assumed about what stays the same from round to round: finding
/// that out may take three inferences of the body, and as many for each loop around.
const MAX_ASSUMING_LOOPS: usize = 3;

/// An op whose inferred types and stored types do not agree, or whose types cannot be inferred.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The op.
    pub op: OpId,
    /// Which result, where the types differ.
    pub result: usize,
    /// What inference says.
    pub inferred: Result<Type, InferError>,
}

/// The outcome of inference over a program.
#[derive(Debug, Default)]
pub struct Inferred {
    /// Types and integers by value.
    pub facts: Facts,
    /// The symbols that the types are written in.
    pub dims: DimTable,
    /// Where the file disagrees, in program order.
    pub disagreements: Vec<Disagreement>,
    /// Ops without a definition, and sealed ones that inference cannot follow: results keep their stored types.
    pub opaque: Vec<OpId>,
    /// Results that are known more precisely than the file says.
    pub refined: Vec<ValueId>,
}

/// Infers the types of a program's values, function by function, in program order.
///
/// Each unknown dim of an input gets a symbol of its own. Where inference and file disagree the stored type stays.
///
/// ```
/// use anewrite_ir::{Dim, DialectId, NewOp, Place, Program, TensorType, infer::infer, mil::Mil};
/// use anewrite_tensor::DType;
///
/// let mut p = Program::new(DialectId::Mil);
/// let (_, body) = p.add_function("main", "CoreML6");
/// let ty = TensorType::ranked(DType::F16, [Dim::Unknown, Dim::Known(3)]);
/// let x = p.add_arg(body, "x", ty.clone().into());
/// let op = p.add_op(Place::End(body), NewOp::new("relu").operand("x", x).result("y", ty));
/// let inferred = infer(&p, &Mil);
/// assert!(inferred.disagreements.is_empty());
/// let y = p.op(op).result().unwrap();
/// assert_eq!(inferred.facts.ty(&p, y), inferred.facts.ty(&p, x));
/// ```
pub fn infer(p: &Program, dialect: &dyn Dialect) -> Inferred {
    let mut out = Inferred::default();
    for (_, f) in p.functions() {
        let opset = Opset::from_name(&f.opset).unwrap_or(Opset::Ios26);
        let mut run = Run { p, dialect, opset, out: &mut out, depth: 0, loops: 0 };
        run.block(f.body);
    }
    out
}

struct Run<'a> {
    p: &'a Program,
    dialect: &'a dyn Dialect,
    opset: Opset,
    out: &'a mut Inferred,
    /// How many blocks there are around.
    depth: usize,
    /// How many of them are loops'.
    loops: usize,
}

impl Run<'_> {
    fn block(&mut self, block: BlockId) {
        for &arg in &self.p.block(block).args {
            if self.out.facts.types[arg].is_none() {
                let ty = with_symbols(self.p.ty(arg), &mut self.out.dims);
                self.out.facts.set(arg, ty, None);
            }
        }
        for op in self.p.ops(block) {
            let outcome = if self.p.op(op).blocks.is_empty() {
                self.op(op)
            } else if self.depth >= MAX_NESTING {
                let why = format!("more than {MAX_NESTING} nested blocks");
                Err(InferError::Bad { param: "blocks", why })
            } else {
                self.depth += 1;
                self.nested(op);
                self.depth -= 1;
                self.op(op)
            };
            note(self.p, op, outcome, self.out);
        }
    }

    fn op(&mut self, op: OpId) -> Result<OpFacts, InferError> {
        infer_op(self.p, self.dialect, self.opset, op, &self.out.facts, &mut self.out.dims)
    }

    fn nested(&mut self, op: OpId) {
        let p = self.p;
        let blocks = p.op(op).blocks.clone();
        let vars: Vec<ValueId> = p.op(op).args("loop_vars").collect();
        let takes_vars = |b: &&BlockId| !vars.is_empty() && p.block(**b).args.len() == vars.len();
        let body = blocks.iter().rfind(|b| takes_vars(b) && p.block(**b).outputs.len() == vars.len());
        let repeats = self.dialect.repeats(&p.op(op).kind);
        let round = usize::from(body.is_some() || repeats);
        self.loops += round;
        match body {
            Some(&body) => self.looped(&blocks, body, &vars),
            None => self.sharing(op, &blocks, repeats),
        }
        self.loops -= round;
    }

    /// Blocks without types of their own that share values by name with what is around them: each takes all of
    /// them and gives all of them. They run one after the other and again, or one of them runs.
    fn sharing(&mut self, op: OpId, blocks: &[BlockId], repeats: bool) {
        let p = self.p;
        let around: FxHashMap<&str, ValueId> =
            p.op(op).operands.iter().map(|o| (&*p.value(o.value).name, o.value)).collect();
        let args = blocks.first().map_or(&[][..], |&b| &p.block(b).args);
        let start: Vec<Type> = args
            .iter()
            .map(|&a| match around.get(&*p.value(a).name) {
                Some(&v) if *p.ty(a) == Type::Unknown => self.out.facts.ty(p, v).clone(),
                _ => with_symbols(p.ty(a), &mut self.out.dims),
            })
            .collect();
        let assuming = self.loops <= MAX_ASSUMING_LOOPS;
        let mut state = start.clone();
        if repeats && !assuming {
            state.fill(Type::Unknown);
        }
        for round in 0..3 {
            let mark = (self.out.disagreements.len(), self.out.opaque.len(), self.out.refined.len());
            let mut now = state.clone();
            for &b in blocks {
                for (&arg, ty) in p.block(b).args.iter().zip(&now) {
                    self.out.facts.set(arg, ty.clone(), None);
                }
                self.block(b);
                let made = block_types(p, &self.out.facts, b).outputs;
                if repeats && made.len() == now.len() {
                    now = made;
                }
            }
            let (wider, changed) = weakened(&start, &state, &now, &mut self.out.dims);
            if !repeats || !changed || !assuming || round == 2 {
                return;
            }
            state = if round == 0 { wider } else { vec![Type::Unknown; start.len()] };
            self.out.disagreements.truncate(mark.0);
            self.out.opaque.truncate(mark.1);
            self.out.refined.truncate(mark.2);
        }
    }

    /// The blocks of a loop: each extent of a value is first taken to stay what it is at the start; where the body
    /// makes another of it, it gets a symbol of its own and the blocks are inferred again.
    fn looped(&mut self, blocks: &[BlockId], body: BlockId, vars: &[ValueId]) {
        let stored: Vec<Type> = self.p.block(body).args.iter().map(|&a| self.p.ty(a).clone()).collect();
        let start: Vec<Type> = vars.iter().map(|&v| self.out.facts.ty(self.p, v).clone()).collect();
        let unassuming: Vec<Type> = stored.iter().map(|t| with_symbols(t, &mut self.out.dims)).collect();
        let mut args: Vec<Type> = if self.loops > MAX_ASSUMING_LOOPS {
            unassuming.clone()
        } else {
            stored.iter().zip(&start).map(|(s, t)| assumed(s, t, &mut self.out.dims)).collect()
        };
        for round in 0..3 {
            let mark = (self.out.disagreements.len(), self.out.opaque.len(), self.out.refined.len());
            for &b in blocks {
                for (&arg, ty) in self.p.block(b).args.iter().zip(&args) {
                    let own = if ty.refines(self.p.ty(arg)) {
                        ty.clone()
                    } else {
                        with_symbols(self.p.ty(arg), &mut self.out.dims)
                    };
                    self.out.facts.set(arg, own, None);
                }
                self.block(b);
            }
            let made = block_types(self.p, &self.out.facts, body);
            let (wider, changed) = widened(&made, &start, &stored, &mut self.out.dims);
            if !changed || self.loops > MAX_ASSUMING_LOOPS || round == 2 {
                return;
            }
            // what still does not hold in the second round is not worth a search
            args = if round == 0 { wider } else { unassuming.clone() };
            self.out.disagreements.truncate(mark.0);
            self.out.opaque.truncate(mark.1);
            self.out.refined.truncate(mark.2);
        }
    }
}

/// Records what inference says about an op beside what the file says.
pub(crate) fn note(p: &Program, op: OpId, outcome: Result<OpFacts, InferError>, out: &mut Inferred) {
    let results = &p.op(op).results;
    let OpFacts { types, ints } = match outcome {
        Ok(x) => x,
        Err(e) => {
            for &r in results {
                let ty = with_symbols(p.ty(r), &mut out.dims);
                out.facts.set(r, ty, None);
            }
            match e {
                InferError::Unknown(_) => out.opaque.push(op),
                // part of it was not read, so what is missing need not be missing in the file
                _ if p.op(op).sealed => out.opaque.push(op),
                e => out.disagreements.push(Disagreement { op, result: 0, inferred: Err(e) }),
            }
            return;
        }
    };
    for (i, &r) in results.iter().enumerate() {
        let stored = p.ty(r);
        match types.get(i) {
            Some(ty) if ty.refines(stored) => {
                if ty.erased() != *stored && *stored != Type::Unknown {
                    out.refined.push(r);
                }
                let known = ints.iter().find(|(n, _)| *n == i).map(|(_, v)| v.clone());
                out.facts.set(r, ty.clone(), known);
            }
            ty => {
                let inferred = ty.cloned().ok_or(InferError::NotKnown("the number of results"));
                out.disagreements.push(Disagreement { op, result: i, inferred });
                let ty = with_symbols(stored, &mut out.dims);
                out.facts.set(r, ty, None);
            }
        }
    }
    if let Some(missing) = types.get(results.len()) {
        let inferred = Ok(missing.clone());
        out.disagreements.push(Disagreement { op, result: results.len(), inferred });
    }
}

/// The type of a loop's value if the loop keeps its extents: what the file states, else those of the start.
fn assumed(stored: &Type, start: &Type, dims: &mut DimTable) -> Type {
    match (stored, start) {
        (
            Type::Tensor(TensorType { dtype, shape: Some(s) }),
            Type::Tensor(TensorType { shape: Some(t), .. }),
        ) if s.len() == t.len() => {
            let dim = |(&s, &t): (&Dim, &Dim)| match (s, t) {
                (Dim::Known(_), _) => s,
                (_, Dim::Unknown) => dims.fresh(),
                (_, t) => t,
            };
            TensorType::ranked(*dtype, s.iter().zip(t).map(dim)).into()
        }
        _ => with_symbols(stored, dims),
    }
}

/// The types of a loop's values with a symbol for each extent that was assumed to stay and did not, and whether
/// there is one.
fn widened(body: &BlockTypes, start: &[Type], stored: &[Type], dims: &mut DimTable) -> (Vec<Type>, bool) {
    let shape = |t: Option<&Type>| t.and_then(Type::tensor).and_then(|t| t.shape.clone());
    let mut changed = false;
    let mut types = body.args.clone();
    for (i, ty) in types.iter_mut().enumerate() {
        let Type::Tensor(TensorType { shape: Some(arg), .. }) = ty else { continue };
        let (Some(next), Some(start), Some(stored)) =
            (shape(body.outputs.get(i)), shape(start.get(i)), shape(stored.get(i)))
        else {
            continue;
        };
        for (axis, dim) in arg.iter_mut().enumerate() {
            let assumed =
                start.get(axis) == Some(dim) && stored.get(axis).is_some_and(|d| d.known().is_none());
            if assumed && next.get(axis) != Some(dim) {
                *dim = dims.fresh();
                changed = true;
            }
        }
    }
    (types, changed)
}

/// What holds of values that are of the types `state` before a round and `next` after it, and whether that is less
/// than `state` says because it was only assumed from the types of the `start`.
fn weakened(start: &[Type], state: &[Type], next: &[Type], dims: &mut DimTable) -> (Vec<Type>, bool) {
    let mut changed = false;
    let mut out = Vec::with_capacity(state.len());
    for (i, ty) in state.iter().enumerate() {
        let (start, next) = (start.get(i).unwrap_or(ty), next.get(i).unwrap_or(ty));
        out.push(match (ty, next, start) {
            (Type::Unknown, ..) => Type::Unknown,
            (
                Type::Tensor(TensorType { dtype, shape: Some(a) }),
                Type::Tensor(TensorType { dtype: e, shape: Some(b) }),
                Type::Tensor(TensorType { shape: Some(s), .. }),
            ) if dtype == e && a.len() == b.len() && a.len() == s.len() => {
                let dim = |((&a, &b), &s): ((&Dim, &Dim), &Dim)| {
                    if a == b || a != s {
                        return a;
                    }
                    changed = true;
                    dims.fresh()
                };
                TensorType::ranked(*dtype, a.iter().zip(b).zip(s).map(dim)).into()
            }
            (ty, next, _) if ty == next => ty.clone(),
            _ => {
                changed = true;
                Type::Unknown
            }
        });
    }
    (out, changed)
}
