use std::borrow::Cow;
use std::fmt;

use anewrite_tensor::DType;
use smallvec::{SmallVec, smallvec};

use super::facts::{self, Facts};
use super::{Expr, Fact, Func, Op, Quantifier, Subject};
use crate::family::Family;
use crate::limits::{LimitValue, Limits};
use crate::view::{Operand, Value};

/// What an expression is evaluated against.
#[derive(Clone, Copy)]
pub(crate) struct Ctx<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) limits: &'a Limits,
    pub(crate) family: Family,
    /// Whether an unknown extent counts as one, as Core ML's planner counts it.
    pub(crate) one_for_unknown: bool,
    it: Option<&'a Operand<'a>>,
}

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Val<'a> {
    /// It cannot be told.
    Unknown(Cause<'a>),
    /// The operand of that name is not bound.
    Absent(&'a str),
    Bool(bool),
    Num(f64),
    Text(Cow<'a, str>),
    /// Numbers, some of them perhaps not known.
    Nums(SmallVec<[Option<f64>; 6]>),
}

/// Why a value cannot be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cause<'a> {
    /// A fact of a tensor is not known: the noun and the tensor's name.
    Fact(&'static str, &'a str),
    /// The value of an operand is not a known constant.
    Value(&'a str),
    /// The opset of the op is not known.
    Opset,
    /// No source gives this limit for the family.
    NoLimit(&'a str),
    /// The number lies where sources are silent or differ: limit, number.
    Gap(&'a str, f64),
    /// The expression does not fit the op: an error in the table.
    Mismatch,
}

type Known<'a, T> = Result<T, Cause<'a>>;

impl<'a> Ctx<'a> {
    pub(crate) fn new(facts: &'a Facts<'a>, limits: &'a Limits, family: Family) -> Ctx<'a> {
        Ctx { facts, limits, family, one_for_unknown: false, it: None }
    }

    /// The same for another family.
    pub(crate) fn on(self, family: Family) -> Ctx<'a> {
        Ctx { family, ..self }
    }

    pub(super) fn at(self, it: &'a Operand<'a>) -> Ctx<'a> {
        Ctx { it: Some(it), ..self }
    }

    /// The value as a truth, or why it cannot be told.
    pub(crate) fn truth(&self, expr: &'a Expr) -> Known<'a, bool> {
        match expr {
            Expr::Bool(value) => Ok(*value),
            Expr::Not(e) => self.truth(e).map(|value| !value),
            Expr::Binary(op @ (Op::And | Op::Or), a, b) => self.connect(*op == Op::Or, a, b),
            Expr::Binary(Op::In, a, b) => self.is_in(a, b),
            Expr::Binary(op @ (Op::Eq | Op::Ne), a, b) => Ok(self.equal(a, b)? == (*op == Op::Eq)),
            Expr::Binary(op @ (Op::Le | Op::Lt | Op::Ge | Op::Gt), a, b) => self.compare(*op, a, b),
            Expr::Quantified(q @ (Quantifier::Any | Quantifier::All), set, e) => {
                self.quantified(*q == Quantifier::Any, *set, e)
            }
            other => match self.eval(other) {
                Val::Bool(value) => Ok(value),
                value => value.number().map(|n| n != 0.0),
            },
        }
    }

    /// The value as a number, or why it cannot be told.
    pub(crate) fn number(&self, expr: &'a Expr) -> Known<'a, f64> {
        match expr {
            Expr::Num(n) => Ok(*n),
            Expr::Neg(e) => Ok(-self.number(e)?),
            Expr::Binary(op @ (Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Rem), a, b) => {
                let (a, b) = (self.number(a)?, self.number(b)?);
                Ok(match op {
                    Op::Add => a + b,
                    Op::Sub => a - b,
                    Op::Mul => a * b,
                    Op::Div => a / b,
                    _ => a % b,
                })
            }
            Expr::Quantified(Quantifier::Total, set, e) => {
                self.facts.set(*set).try_fold(0.0, |total, it| Ok(total + self.at(it).number(e)?))
            }
            other => self.eval(other).number(),
        }
    }

    pub(crate) fn eval(&self, expr: &'a Expr) -> Val<'a> {
        match expr {
            Expr::Num(n) => Val::Num(*n),
            Expr::Text(text) => Val::Text(Cow::Borrowed(text)),
            Expr::Bool(value) => Val::Bool(*value),
            Expr::List(items) => self.list(items),
            Expr::Limit(id) => match self.limits.value(id, self.family) {
                Some(limit) => Val::Nums(limit.numbers().map(Some).collect()),
                None => Val::Unknown(Cause::NoLimit(id)),
            },
            Expr::Value(name) => self.operand_value(name),
            Expr::Opset => match self.facts.view.opset() {
                Some(opset) => Val::Num(f64::from(opset)),
                None => Val::Unknown(Cause::Opset),
            },
            Expr::Fact(subject, fact) => self.fact(subject, *fact),
            Expr::Index(e, i) => match &**e {
                Expr::Fact(subject, Fact::Dims) => self.dim(subject, *i),
                e => index(self.eval(e), *i),
            },
            Expr::Slice(e, from, to) => slice(self.eval(e), *from, *to),
            Expr::Call(func, e) => call(*func, self.eval(e)),
            Expr::Neg(_)
            | Expr::Quantified(Quantifier::Total, ..)
            | Expr::Binary(Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Rem, ..) => {
                self.number(expr).map_or_else(Val::Unknown, Val::Num)
            }
            Expr::Not(_) | Expr::Quantified(..) | Expr::Binary(..) => {
                self.truth(expr).map_or_else(Val::Unknown, Val::Bool)
            }
            Expr::Default(a, b) => match self.eval(a) {
                Val::Absent(_) => self.eval(b),
                value => value,
            },
        }
    }

    fn list(&self, items: &'a [Expr]) -> Val<'a> {
        let mut numbers = SmallVec::new();
        for item in items {
            match self.number(item) {
                Ok(number) => numbers.push(Some(number)),
                Err(cause) => return Val::Unknown(cause),
            }
        }
        Val::Nums(numbers)
    }

    fn operand_value(&self, name: &'a str) -> Val<'a> {
        match self.facts.view.value(name) {
            Some(Value::Ints(ints)) => Val::Nums(ints.iter().map(|&i| Some(i as f64)).collect()),
            Some(Value::Floats(floats)) => Val::Nums(floats.iter().map(|&f| Some(f)).collect()),
            Some(Value::Bools(bools)) => {
                Val::Nums(bools.iter().map(|&b| Some(f64::from(u8::from(b)))).collect())
            }
            Some(Value::Text(text)) => Val::Text(Cow::Owned(text)),
            None if self.facts.operands.iter().any(|o| o.name == name) => Val::Unknown(Cause::Value(name)),
            None => Val::Absent(name),
        }
    }

    fn fact(&self, subject: &'a Subject, fact: Fact) -> Val<'a> {
        let found = self.facts.subject(subject, self.it);
        if fact == Fact::Given {
            return Val::Bool(found.is_some());
        }
        let Some(operand) = found else {
            return match subject {
                Subject::Operand(name) => Val::Absent(name),
                _ => Val::Unknown(Cause::Mismatch),
            };
        };
        let unknown = || Val::Unknown(Cause::Fact(facts::noun(fact), operand.name));
        let tensor = &operand.tensor;
        let number = |n: Option<f64>| n.map_or_else(unknown, Val::Num);
        match fact {
            Fact::Given => Val::Bool(true),
            Fact::Known => Val::Bool(facts::elements(tensor, false).is_some()),
            Fact::Const => Val::Bool(operand.constant),
            Fact::Index => Val::Num(operand.index as f64),
            Fact::Dtype => tensor.dtype.map_or_else(unknown, |d| Val::Text(Cow::Borrowed(d.name()))),
            Fact::Rank => number(tensor.dims.as_ref().map(|d| d.len() as f64)),
            Fact::Elements => number(facts::elements(tensor, self.one_for_unknown)),
            Fact::Width => number(facts::width(tensor)),
            Fact::Bytes => {
                let elements = facts::elements(tensor, self.one_for_unknown);
                number(elements.zip(facts::width(tensor)).map(|(n, width)| n * width))
            }
            Fact::Dims => tensor.dims.as_ref().map_or_else(unknown, |dims| {
                let extent = |d: &Option<u64>| d.map(|d| d as f64).or(self.one_for_unknown.then_some(1.0));
                Val::Nums(dims.iter().map(extent).collect())
            }),
        }
    }

    /// One extent, without making a list of all: most conditions ask for nothing else.
    fn dim(&self, subject: &'a Subject, index: i64) -> Val<'a> {
        let Some(operand) = self.facts.subject(subject, self.it) else {
            return self.fact(subject, Fact::Dims);
        };
        let unknown = Val::Unknown(Cause::Fact(facts::noun(Fact::Dims), operand.name));
        let Some(dims) = &operand.tensor.dims else { return unknown };
        match position(index, dims.len()).and_then(|i| dims.get(i)) {
            Some(Some(extent)) => Val::Num(*extent as f64),
            Some(None) if self.one_for_unknown => Val::Num(1.0),
            Some(None) => unknown,
            None => Val::Unknown(Cause::Mismatch),
        }
    }

    /// The name of an element type, where the expression asks for one and it is known.
    fn dtype(&self, expr: &'a Expr) -> Option<&'static str> {
        let Expr::Fact(subject, Fact::Dtype) = expr else { return None };
        self.facts.subject(subject, self.it)?.tensor.dtype.map(DType::name)
    }

    /// `any` (if `deciding`) or `all` over a set: one tensor that decides does, whatever the others are.
    fn quantified(&self, deciding: bool, set: super::Set, e: &'a Expr) -> Known<'a, bool> {
        let mut unknown = None;
        for it in self.facts.set(set) {
            match self.at(it).truth(e) {
                Ok(value) if value == deciding => return Ok(deciding),
                Ok(_) => {}
                Err(cause) => unknown = unknown.or(Some(cause)),
            }
        }
        unknown.map_or(Ok(!deciding), Err)
    }

    /// `or` (if `deciding`) or `and`: a side that decides alone does, whatever the other is.
    fn connect(&self, deciding: bool, a: &'a Expr, b: &'a Expr) -> Known<'a, bool> {
        match self.truth(a) {
            Ok(left) if left == deciding => Ok(deciding),
            Ok(_) => self.truth(b),
            Err(cause) => match self.truth(b) {
                Ok(right) if right == deciding => Ok(deciding),
                _ => Err(cause),
            },
        }
    }

    fn equal(&self, a: &'a Expr, b: &'a Expr) -> Known<'a, bool> {
        match (self.dtype(a), b) {
            (Some(dtype), Expr::Text(text)) => Ok(dtype == &**text),
            (None, Expr::Num(n)) => Ok(self.number(a)? == *n),
            _ => equal(&self.eval(a), &self.eval(b)),
        }
    }

    fn is_in(&self, a: &'a Expr, b: &'a Expr) -> Known<'a, bool> {
        let Expr::List(items) = b else {
            let left = self.number(a)?;
            return match self.eval(b) {
                Val::Nums(items) => Ok(items.contains(&Some(left))),
                other => Err(other.cause()),
            };
        };
        if let Some(dtype) = self.dtype(a) {
            return Ok(items.iter().any(|item| matches!(item, Expr::Text(text) if **text == *dtype)));
        }
        let left = self.eval(a);
        let mut unknown = None;
        for item in items {
            match equal(&left, &self.eval(item)) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(cause) => unknown = Some(cause),
            }
        }
        unknown.map_or(Ok(false), Err)
    }

    fn compare(&self, op: Op, a: &'a Expr, b: &'a Expr) -> Known<'a, bool> {
        let left = self.number(a)?;
        if let Expr::Limit(id) = b {
            let limit = self.limits.value(id, self.family).ok_or(Cause::NoLimit(id))?;
            let within = within(left, limit).ok_or(Cause::Gap(id, left))?;
            return Ok(within == matches!(op, Op::Le | Op::Lt));
        }
        let right = self.number(b)?;
        Ok(match op {
            Op::Le => left <= right,
            Op::Lt => left < right,
            Op::Ge => left >= right,
            _ => left > right,
        })
    }
}

/// Whether a number is within a limit: yes up to its value, no from where it was refused, and
/// nobody knows in between.
fn within(number: f64, limit: &LimitValue) -> Option<bool> {
    if limit.value().is_some_and(|value| number <= value) {
        Some(true)
    } else if limit.refused_from().is_some_and(|from| number >= from) {
        Some(false)
    } else {
        None
    }
}

fn equal<'a>(a: &Val<'a>, b: &Val<'a>) -> Known<'a, bool> {
    match (a, b) {
        (Val::Text(a), Val::Text(b)) => Ok(a == b),
        (Val::Nums(a), Val::Nums(b)) if a.len() != 1 || b.len() != 1 => {
            if a.iter().chain(b).any(Option::is_none) { Err(Cause::Mismatch) } else { Ok(a == b) }
        }
        (a, b) => Ok(a.number()? == b.number()?),
    }
}

fn index(value: Val<'_>, index: i64) -> Val<'_> {
    let items = match value {
        Val::Nums(items) => items,
        Val::Num(n) => smallvec![Some(n)],
        Val::Unknown(_) | Val::Absent(_) => return value,
        Val::Bool(_) | Val::Text(_) => return Val::Unknown(Cause::Mismatch),
    };
    match position(index, items.len()).and_then(|i| items.get(i)) {
        Some(Some(n)) => Val::Num(*n),
        Some(None) => Val::Unknown(SOME_SHAPE),
        None => Val::Unknown(Cause::Mismatch),
    }
}

/// The cause where it is no longer known whose extent is missing.
const SOME_SHAPE: Cause<'static> = Cause::Fact("shape", "a tensor");

fn position(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    usize::try_from(if index < 0 { len + index } else { index }).ok()
}

fn slice(value: Val<'_>, from: Option<i64>, to: Option<i64>) -> Val<'_> {
    let Val::Nums(items) = value else { return value };
    let clamp = |i: Option<i64>, none: usize| match i {
        None => none,
        Some(i) => position(i, items.len()).map_or(0, |i| i.min(items.len())),
    };
    let (from, to) = (clamp(from, 0), clamp(to, items.len()));
    Val::Nums(items.get(from..to.max(from)).unwrap_or_default().iter().copied().collect())
}

fn call(func: Func, value: Val<'_>) -> Val<'_> {
    let items = match value {
        Val::Nums(items) => items,
        Val::Num(n) => smallvec![Some(n)],
        Val::Unknown(_) | Val::Absent(_) => return value,
        Val::Bool(_) | Val::Text(_) => return Val::Unknown(Cause::Mismatch),
    };
    if func == Func::Len {
        return Val::Num(items.len() as f64);
    }
    let Some(known) = items.into_iter().collect::<Option<SmallVec<[f64; 8]>>>() else {
        return Val::Unknown(SOME_SHAPE);
    };
    let numbers = known.into_iter();
    Val::Num(match func {
        Func::Prod => numbers.product(),
        Func::Min => numbers.fold(f64::INFINITY, f64::min),
        Func::Max => numbers.fold(f64::NEG_INFINITY, f64::max),
        Func::Sum | Func::Len => numbers.sum(),
    })
}

impl<'a> Val<'a> {
    fn number(&self) -> Known<'a, f64> {
        match self {
            Val::Num(n) => Ok(*n),
            Val::Bool(value) => Ok(f64::from(u8::from(*value))),
            Val::Nums(items) if items.len() == 1 => items[0].ok_or(SOME_SHAPE),
            other => Err(other.cause()),
        }
    }

    fn cause(&self) -> Cause<'a> {
        match self {
            Val::Unknown(cause) => *cause,
            Val::Absent(name) => Cause::Value(name),
            _ => Cause::Mismatch,
        }
    }
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Fact(noun, name) => write!(f, "the {noun} of {name} is not known"),
            Cause::Value(name) => write!(f, "{name} is not a known constant"),
            Cause::Opset => f.write_str("the opset is not known"),
            Cause::NoLimit(id) => write!(f, "no source gives {id} for this family"),
            Cause::Gap(id, n) => write!(f, "{n} lies where sources on {id} are silent or differ"),
            Cause::Mismatch => f.write_str("the condition does not fit this op"),
        }
    }
}
