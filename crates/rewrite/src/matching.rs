//! Finding the ops that a rule is about.

use std::borrow::Cow;

use anewrite_ir::{Attr, DialectId, Op, OpId, Opset, Program, TensorType, ValueId, infer::Facts};
use anewrite_tensor::Tensor;
use smallvec::SmallVec;

use crate::objective::Objective;

/// Why a rule does not fire here.
#[derive(Clone, Debug)]
pub struct Miss {
    /// The condition that fails and the value seen.
    pub why: Cow<'static, str>,
    /// How many of the pattern's ops were found before it failed: the best near miss has the most.
    pub depth: u32,
}

impl Miss {
    /// A miss for this reason.
    pub fn new(why: impl Into<Cow<'static, str>>) -> Miss {
        Miss { why: why.into(), depth: 0 }
    }
}

impl From<anewrite_ir::BuildError> for Miss {
    fn from(e: anewrite_ir::BuildError) -> Self {
        Miss::new(format!("the replacement cannot be built: {e}"))
    }
}

impl From<anewrite_tensor::TensorError> for Miss {
    fn from(e: anewrite_tensor::TensorError) -> Self {
        Miss::new(format!("a constant cannot be read: {e}"))
    }
}

/// Ends the rule with a reason unless the condition holds.
///
/// ```
/// use anewrite_rewrite::{Miss, ensure};
/// fn even(n: i64) -> Result<(), Miss> {
///     ensure!(n % 2 == 0, "{n} is odd");
///     Ok(())
/// }
/// assert_eq!(even(3).unwrap_err().why, "3 is odd");
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::Miss::new(format!($($why)+)));
        }
    };
}

/// The ops that a rule looks for: a root and, through its operands, the ops before it.
#[derive(Clone, Debug)]
pub struct Pattern {
    kinds: Vec<&'static str>,
    name: &'static str,
    operands: Vec<(&'static str, Pattern)>,
}

impl Pattern {
    /// An op of one kind, called `root` in the match unless [named](Pattern::named).
    pub fn op(kind: &'static str) -> Pattern {
        Pattern::one_of(&[kind])
    }

    /// An op of one of these kinds.
    pub fn one_of(kinds: &[&'static str]) -> Pattern {
        Pattern { kinds: kinds.to_vec(), name: "root", operands: Vec::new() }
    }

    /// An op of any kind.
    pub fn any() -> Pattern {
        Pattern::one_of(&[])
    }

    /// Names the op, for [`Match::op`].
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Pattern {
        self.name = name;
        self
    }

    /// Asks that the first value bound to `param` is defined by an op that matches `producer`.
    #[must_use]
    pub fn operand(mut self, param: &'static str, producer: Pattern) -> Pattern {
        self.operands.push((param, producer));
        self
    }

    /// The kinds that the root may have; empty for any.
    pub fn root_kinds(&self) -> &[&'static str] {
        &self.kinds
    }

    pub(crate) fn find(&self, p: &Program, root: OpId) -> Result<Found, Miss> {
        let mut found = SmallVec::new();
        match self.bind(p, root, &mut found) {
            Ok(()) => Ok(found),
            Err(mut miss) => {
                miss.depth = found.len() as u32;
                Err(miss)
            }
        }
    }

    fn bind(&self, p: &Program, op: OpId, found: &mut Found) -> Result<(), Miss> {
        let o = p.op(op);
        if !self.kinds.is_empty() && !self.kinds.contains(&&*o.kind) {
            return Err(Miss::new("no op of the kind that the pattern asks for stands here"));
        }
        if o.sealed {
            return Err(Miss::new("the op carries fields that this build does not understand"));
        }
        let pinned = o.results.iter().chain(o.operands.iter().map(|x| &x.value)).any(|&v| p.value(v).pinned);
        if pinned {
            return Err(Miss::new(
                "a name that the op reads or writes is written more than once in the model",
            ));
        }
        found.push((self.name, op));
        for (param, producer) in &self.operands {
            let value = o.arg(param).ok_or(Miss::new("an operand that the pattern asks for is left out"))?;
            let def = p.def_op(value).ok_or(Miss::new("an operand is not computed by an op"))?;
            producer.bind(p, def, found)?;
        }
        Ok(())
    }
}

pub(crate) type Found = SmallVec<[(&'static str, OpId); 3]>;

/// The ops that were found, with what a rule may ask about them.
pub struct Match<'a> {
    /// The program before the rewrite.
    pub program: &'a Program,
    /// Inferred types and small integers.
    pub facts: &'a Facts,
    /// The opset of the function.
    pub opset: Opset,
    pub(crate) found: Found,
    pub(crate) objective: &'a dyn Objective,
}

impl<'a> Match<'a> {
    /// The root op.
    pub fn root(&self) -> OpId {
        self.found[0].1
    }

    /// The op that the pattern calls `name`.
    ///
    /// # Errors
    /// Where the pattern has no such name.
    pub fn op(&self, name: &str) -> Result<OpId, Miss> {
        let hit = self.found.iter().find(|(n, _)| *n == name);
        hit.map(|(_, op)| *op).ok_or_else(|| Miss::new(format!("the pattern names no op `{name}`")))
    }

    /// The data of an op.
    pub fn data(&self, op: OpId) -> &'a Op {
        self.program.op(op)
    }

    /// The value bound to `param`.
    ///
    /// # Errors
    /// Where it is left out.
    pub fn arg(&self, op: OpId, param: &str) -> Result<ValueId, Miss> {
        self.program.op(op).arg(param).ok_or_else(|| Miss::new(format!("{param} is left out")))
    }

    /// The only result.
    ///
    /// # Errors
    /// Where the op has none or several.
    pub fn result(&self, op: OpId) -> Result<ValueId, Miss> {
        match self.program.op(op).results.as_slice() {
            [one] => Ok(*one),
            r => Err(Miss::new(format!("the op has {} results", r.len()))),
        }
    }

    /// The constant bound to `param`.
    ///
    /// # Errors
    /// Where it is left out or computed.
    pub fn constant(&self, op: OpId, param: &str) -> Result<&'a Tensor, Miss> {
        self.value_constant(self.arg(op, param)?).ok_or_else(|| Miss::new(format!("{param} is no constant")))
    }

    /// The constant behind a value.
    pub fn value_constant(&self, value: ValueId) -> Option<&'a Tensor> {
        self.program.constant(value).map(|c| &c.tensor)
    }

    /// The integers bound to `param`, which must be constant.
    ///
    /// # Errors
    /// Where it is left out, computed, or not integer.
    pub fn ints(&self, op: OpId, param: &str) -> Result<Vec<i64>, Miss> {
        Ok(self.constant(op, param)?.to_i64s()?)
    }

    /// The integers bound to `param`, or `default` where it is left out.
    ///
    /// # Errors
    /// Where it is computed or not integer.
    pub fn ints_or(&self, op: OpId, param: &str, default: &[i64]) -> Result<Vec<i64>, Miss> {
        if self.program.op(op).arg(param).is_none() { Ok(default.to_vec()) } else { self.ints(op, param) }
    }

    /// One integer or truth value, or `default` where it is left out.
    ///
    /// # Errors
    /// Where it is computed or has not one element.
    pub fn int_or(&self, op: OpId, param: &str, default: i64) -> Result<i64, Miss> {
        if self.program.op(op).arg(param).is_none() {
            return Ok(default);
        }
        let t = self.constant(op, param)?;
        t.scalar_i64().ok_or_else(|| Miss::new(format!("{param} is not one integer")))
    }

    /// One truth value, or `default` where it is left out.
    ///
    /// # Errors
    /// Where it is computed or has not one element.
    pub fn flag_or(&self, op: OpId, param: &str, default: bool) -> Result<bool, Miss> {
        Ok(self.int_or(op, param, i64::from(default))? != 0)
    }

    /// Text, or `default` where it is left out.
    ///
    /// # Errors
    /// Where it is computed or no text.
    pub fn text_or(&self, op: OpId, param: &str, default: &'static str) -> Result<&'a str, Miss> {
        if self.program.op(op).arg(param).is_none() {
            return Ok(default);
        }
        self.constant(op, param)?.scalar_str().ok_or_else(|| Miss::new(format!("{param} is no text")))
    }

    /// The tensor type of a value.
    ///
    /// # Errors
    /// Where it is not known to be a tensor.
    pub fn tensor(&self, value: ValueId) -> Result<&'a TensorType, Miss> {
        self.facts
            .tensor(self.program, value)
            .ok_or_else(|| Miss::new(format!("the type of {} is not known", self.program.value(value).name)))
    }

    /// The extents of a value, which must all be known.
    ///
    /// # Errors
    /// Where one is not.
    pub fn dims(&self, value: ValueId) -> Result<SmallVec<[u64; 5]>, Miss> {
        let t = self.tensor(value)?;
        t.known_dims().ok_or_else(|| {
            Miss::new(format!("the shape of {} is not known: {t}", self.program.value(value).name))
        })
    }

    /// An attribute of a NeuralNetwork layer.
    pub fn attr(&self, op: OpId, name: &str) -> Option<&'a Attr> {
        self.program.op(op).attr(name)
    }

    /// Whether nothing but one op uses the value.
    pub fn has_one_use(&self, value: ValueId) -> bool {
        self.program.use_count(value) == 1 && !self.program.is_output(value)
    }

    /// The smallest value that the limit `id` has over the target's families.
    ///
    /// # Errors
    /// Where nothing is known of it.
    pub fn limit(&self, id: &str) -> Result<u64, Miss> {
        self.objective.limit(id).ok_or_else(|| Miss::new(format!("nothing is known of {id} on the target")))
    }

    /// Which set of ops the program is written in.
    pub fn dialect(&self) -> DialectId {
        self.program.dialect
    }
}
