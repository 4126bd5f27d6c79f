//! The verifier: whether a program is what the rest of the workspace takes it to be.
//!
//! What must hold, by [`Invariant`]:
//!
//! - **Order.** The ops of a block form one chain: neighbours agree, ends are the block's, every op on it is in that
//!   block and not removed, and the labels that decide "before" grow along it. No op stands in two places, and none
//!   that is not removed stands in none.
//! - **Nesting.** A function's body is nested in no op; any other block is nested in the op that lists it, once, and
//!   belongs to that op's function. So nesting has no cycle.
//! - **Definition.** A result knows its op and its position, an argument its block and its position. A constant of a
//!   tensor type has the type of its content.
//! - **Dominance.** What an op uses is defined before it in its block, or in a block around before the op that it is
//!   nested in; a constant is visible in its block and those within. So the data flow has no cycle.
//! - **Output.** What a block gives is visible at its end.
//! - **Name.** A function has each name once, pinned values aside; it may come back only in blocks of which neither
//!   is within the other. Constants that stand in an argument have no name in the file and are left out. The table
//!   of taken names holds every name.
//! - **Edges.** Def-use edges and use counts are what operands and block outputs say.
//! - **Opset.** An op that is known is in the opset of its function.
//! - **Param.** An op that is known, and not sealed, has only parameters of its definition, each at one place and once
//!   unless it takes several values, and all that are required.
//! - **Constant.** Parameters that must be constant are, or follow from constants alone (`constexpr` ops).
//! - **Type.** The types that inference finds say at least what the stored ones say, result by result; operands,
//!   nested blocks and their arguments and outputs fit the op. Where inference needs a value that is only known when
//!   the model runs, the stored type stands.
//!
//! All violations are collected, in the order of this list where one would hide another: when order, nesting,
//! definitions or dominance are broken, types are not looked at. The time is linear in the program's size, but for
//! sorting uses and names.

mod op;
mod structure;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::ids::{BlockId, FuncId, OpId, ValueId};
use crate::infer::{InferError, infer};
use crate::program::Program;
use crate::schema::Dialect;
use crate::text::{self, PrintOptions};

/// What is to hold; see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Ops of a block form one chain with growing labels.
    Order,
    /// Each nested block is in one op.
    Nesting,
    /// Values and what defines them agree.
    Definition,
    /// What is used is defined before.
    Dominance,
    /// What a block gives is defined at its end.
    Output,
    /// Names are taken once.
    Name,
    /// Def-use edges are the operands.
    Edges,
    /// Ops are in their function's opset.
    Opset,
    /// Operands are those of the definition.
    Param,
    /// Constant parameters are constant.
    Constant,
    /// Inferred types refine stored ones.
    Type,
}

impl Invariant {
    /// Whether a program without it cannot be walked, inferred or printed as one.
    fn is_structural(self) -> bool {
        self <= Invariant::Dominance
    }
}

/// What a violation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity {
    /// A function.
    Function(FuncId),
    /// A block.
    Block(BlockId),
    /// An op.
    Op(OpId),
    /// A value.
    Value(ValueId),
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What should hold.
    pub invariant: Invariant,
    /// What it is about.
    pub entity: Entity,
    /// The entity in words: an op with its results and operands, a value with its type and definition.
    pub context: String,
    /// What is the case instead.
    pub what: String,
}

/// Everything that does not hold, in program order within each invariant's group of checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl std::error::Error for Violations {}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entity::Function(x) => write!(f, "{x:?}"),
            Entity::Block(x) => write!(f, "{x:?}"),
            Entity::Op(x) => write!(f, "{x:?}"),
            Entity::Value(x) => write!(f, "{x:?}"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}: {}\n    {}", self.invariant, self.entity, self.what, self.context)
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.len();
        write!(f, "the program breaks {n} invariant{}", if n == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|v| write!(f, "\n{v}"))
    }
}

impl Violations {
    /// The program with a comment at each op that a violation is about, after the list of all. Only the list where
    /// the program is too broken to be printed.
    pub fn annotated(&self, p: &Program) -> String {
        if self.0.iter().any(|v| v.invariant.is_structural()) {
            return self.to_string();
        }
        let comment = |op: OpId| {
            let here = self.0.iter().filter(|v| v.entity == Entity::Op(op));
            let words: Vec<String> = here.map(|v| format!("{:?}: {}", v.invariant, v.what)).collect();
            (!words.is_empty()).then(|| words.join("; "))
        };
        let options = PrintOptions { comments: Some(&comment), digest: false, ..PrintOptions::short() };
        format!("{self}\n\n{}", text::print(p, &options))
    }
}

/// Checks a program against every invariant of this [module](self).
///
/// ```
/// use anewrite_ir::verify::{Invariant, verify};
/// use anewrite_ir::{DialectId, NewOp, Place, Program, TensorType, mil::Mil};
/// use anewrite_tensor::DType;
///
/// let mut p = Program::new(DialectId::Mil);
/// let (_, body) = p.add_function("main", "CoreML6");
/// let x = p.add_arg(body, "x", TensorType::fixed(DType::F16, [2, 3]).into());
/// let wrong = TensorType::fixed(DType::F16, [3, 2]);
/// p.add_op(Place::End(body), NewOp::new("relu").operand("x", x).result("y", wrong));
/// let found = verify(&p, &Mil).unwrap_err();
/// assert_eq!(found.0[0].invariant, Invariant::Type);
/// assert_eq!(found.0[0].context, "tensor<fp16, [3, 2]> y = relu(x = x) in main");
/// ```
///
/// # Errors
/// All violations.
pub fn verify(p: &Program, dialect: &dyn Dialect) -> Result<(), Violations> {
    let walked = structure::check(p, dialect);
    let mut found = walked.found;
    if !found.iter().any(|v| v.invariant.is_structural()) {
        op::check(p, dialect, &walked.ops, &walked.fixed, &mut found);
        types(p, dialect, &mut found);
    }
    if found.is_empty() { Ok(()) } else { Err(Violations(found)) }
}

fn types(p: &Program, dialect: &dyn Dialect, found: &mut Vec<Violation>) {
    for d in infer(p, dialect).disagreements {
        let op = p.op(d.op);
        let missing = matches!(d.inferred, Err(InferError::Missing(_)));
        let what = match (d.inferred, op.results.get(d.result)) {
            (Err(InferError::NotKnown(_)), _) => continue,
            (Err(e), _) => e.to_string(),
            (Ok(ty), Some(&r)) => format!("{} is stated as {}, inferred as {ty}", p.value(r).name, p.ty(r)),
            (Ok(ty), None) => format!("result {} of type {ty} is missing", d.result),
        };
        if !op.sealed {
            let entity = Entity::Op(d.op);
            let invariant = if missing { Invariant::Param } else { Invariant::Type };
            found.push(Violation { invariant, entity, context: context(p, entity), what });
        }
    }
}

/// The entity in words, whatever state the program is in.
fn context(p: &Program, entity: Entity) -> String {
    let func = |id: FuncId| p.functions.get(id).map_or("?", |f| &f.name).to_owned();
    let block = |id: BlockId| p.blocks.get(id).map_or("?".into(), |b| func(b.func));
    let name = |id: ValueId| p.values.get(id).map_or("?", |v| &v.name).to_owned();
    match entity {
        Entity::Function(f) => format!("func {}", func(f)),
        Entity::Block(b) => {
            let parent = p.blocks.get(b).and_then(|b| b.parent).and_then(|op| p.ops.get(op));
            match parent {
                Some(s) => format!("a block of {} in {}", s.op.kind, block(b)),
                None => format!("the body of {}", block(b)),
            }
        }
        Entity::Op(op) => {
            let Some(slot) = p.ops.get(op) else { return "no such op".into() };
            let results: Vec<String> = slot.op.results.iter().map(|&r| typed(p, r)).collect();
            let operands: Vec<String> =
                slot.op.operands.iter().map(|o| format!("{} = {}", o.param, name(o.value))).collect();
            let equals = if results.is_empty() { "" } else { " = " };
            let (kind, results, operands) = (&slot.op.kind, results.join(", "), operands.join(", "));
            format!("{results}{equals}{kind}({operands}) in {}", block(slot.block))
        }
        Entity::Value(v) => typed(p, v),
    }
}

fn typed(p: &Program, v: ValueId) -> String {
    p.values.get(v).map_or("no such value".into(), |v| format!("{} {}", v.ty, v.name))
}
