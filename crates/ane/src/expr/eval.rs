use std::borrow::Cow;
use std::fmt;

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
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cause<'a> {
    /// A fact of a tensor is not known: the noun and the tensor's name.
    Fact(&'static str, Cow<'a, str>),
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

impl<'a> Ctx<'a> {
    pub(crate) fn new(facts: &'a Facts<'a>, limits: &'a Limits, family: Family) -> Ctx<'a> {
        Ctx { facts, limits, family, one_for_unknown: false, it: None }
    }

    pub(super) fn at(self, it: &'a Operand<'a>) -> Ctx<'a> {
        Ctx { it: Some(it), ..self }
    }

    /// The value as a truth: `None` with the cause where it cannot be told.
    pub(crate) fn truth(&self, expr: &'a Expr) -> Result<bool, Cause<'a>> {
        match self.eval(expr) {
            Val::Bool(value) => Ok(value),
            Val::Num(value) => Ok(value != 0.0),
            Val::Nums(items) if items.len() == 1 => items[0].map(|n| n != 0.0).ok_or(Cause::Mismatch),
            other => Err(other.cause()),
        }
    }

    /// The value as a number.
    pub(crate) fn number(&self, expr: &'a Expr) -> Result<f64, Cause<'a>> {
        match self.eval(expr) {
            Val::Num(n) => Ok(n),
            Val::Bool(value) => Ok(f64::from(u8::from(value))),
            Val::Nums(items) if items.len() == 1 => items[0].ok_or(Cause::Mismatch),
            other => Err(other.cause()),
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
            Expr::Index(e, i) => self.index(self.eval(e), *i),
            Expr::Slice(e, from, to) => slice(self.eval(e), *from, *to),
            Expr::Call(func, e) => call(*func, self.eval(e)),
            Expr::Quantified(quantifier, set, e) => self.quantified(*quantifier, *set, e),
            Expr::Not(e) => self.truth(e).map_or_else(Val::Unknown, |value| Val::Bool(!value)),
            Expr::Neg(e) => self.number(e).map_or_else(Val::Unknown, |value| Val::Num(-value)),
            Expr::Binary(op, a, b) => self.binary(*op, a, b),
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
        let unknown = || {
            let name: Cow<'a, str> = match subject {
                Subject::Operand(name) => Cow::Borrowed(name),
                _ => Cow::Owned(operand.name.to_owned()),
            };
            Val::Unknown(Cause::Fact(facts::noun(fact), name))
        };
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

    fn index(&self, value: Val<'a>, index: i64) -> Val<'a> {
        let items = match value {
            Val::Nums(items) => items,
            Val::Num(n) => smallvec![Some(n)],
            Val::Unknown(_) | Val::Absent(_) => return value,
            Val::Bool(_) | Val::Text(_) => return Val::Unknown(Cause::Mismatch),
        };
        match position(index, items.len()).and_then(|i| items.get(i)) {
            Some(Some(n)) => Val::Num(*n),
            Some(None) => Val::Unknown(Cause::Fact(facts::noun(Fact::Dims), self.name_of_it())),
            None => Val::Unknown(Cause::Mismatch),
        }
    }

    fn name_of_it(&self) -> Cow<'a, str> {
        Cow::Borrowed(self.it.map_or("a tensor", |it| it.name))
    }

    fn quantified(&self, quantifier: Quantifier, set: super::Set, e: &'a Expr) -> Val<'a> {
        let mut unknown = None;
        let mut total = 0.0;
        for it in self.facts.set(set) {
            let ctx = self.at(it);
            let outcome = match quantifier {
                Quantifier::Total => ctx.number(e).map(|n| total += n),
                Quantifier::Any | Quantifier::All => match ctx.truth(e) {
                    Ok(value) if value == (quantifier == Quantifier::Any) => return Val::Bool(value),
                    Ok(_) => Ok(()),
                    Err(cause) => Err(cause),
                },
            };
            unknown = unknown.or(outcome.err());
        }
        match (unknown, quantifier) {
            (Some(cause), _) => Val::Unknown(cause),
            (None, Quantifier::Total) => Val::Num(total),
            (None, quantifier) => Val::Bool(quantifier == Quantifier::All),
        }
    }

    fn binary(&self, op: Op, a: &'a Expr, b: &'a Expr) -> Val<'a> {
        match op {
            Op::And | Op::Or => self.connect(op == Op::Or, a, b),
            Op::In => self.is_in(a, b),
            Op::Eq | Op::Ne => {
                let equal = equal(self.eval(a), self.eval(b));
                equal.map_or_else(Val::Unknown, |equal| Val::Bool(equal == (op == Op::Eq)))
            }
            Op::Le | Op::Lt | Op::Ge | Op::Gt => self.compare(op, a, b),
            Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Rem => match (self.number(a), self.number(b)) {
                (Ok(a), Ok(b)) => Val::Num(match op {
                    Op::Add => a + b,
                    Op::Sub => a - b,
                    Op::Mul => a * b,
                    Op::Div => a / b,
                    _ => a % b,
                }),
                (Err(cause), _) | (_, Err(cause)) => Val::Unknown(cause),
            },
        }
    }

    /// `and` and `or` of three values: a side that decides alone decides, whatever the other is.
    fn connect(&self, deciding: bool, a: &'a Expr, b: &'a Expr) -> Val<'a> {
        let left = self.truth(a);
        if left == Ok(deciding) {
            return Val::Bool(deciding);
        }
        match (left, self.truth(b)) {
            (_, Ok(right)) if right == deciding => Val::Bool(deciding),
            (Err(cause), _) | (_, Err(cause)) => Val::Unknown(cause),
            (Ok(_), Ok(_)) => Val::Bool(!deciding),
        }
    }

    fn is_in(&self, a: &'a Expr, b: &'a Expr) -> Val<'a> {
        let left = self.eval(a);
        let mut unknown = None;
        if let Expr::List(items) = b {
            for item in items {
                match equal(left.clone(), self.eval(item)) {
                    Ok(true) => return Val::Bool(true),
                    Ok(false) => {}
                    Err(cause) => unknown = Some(cause),
                }
            }
        } else {
            match (left.number(), self.eval(b)) {
                (Ok(n), Val::Nums(items)) => return Val::Bool(items.contains(&Some(n))),
                (Err(cause), _) => unknown = Some(cause),
                (_, other) => unknown = Some(other.cause()),
            }
        }
        unknown.map_or(Val::Bool(false), Val::Unknown)
    }

    fn compare(&self, op: Op, a: &'a Expr, b: &'a Expr) -> Val<'a> {
        let left = match self.number(a) {
            Ok(left) => left,
            Err(cause) => return Val::Unknown(cause),
        };
        if let Expr::Limit(id) = b {
            let Some(limit) = self.limits.value(id, self.family) else {
                return Val::Unknown(Cause::NoLimit(id));
            };
            return match (within(left, limit), op) {
                (None, _) => Val::Unknown(Cause::Gap(id, left)),
                (Some(within), Op::Le | Op::Lt) => Val::Bool(within),
                (Some(within), _) => Val::Bool(!within),
            };
        }
        match self.number(b) {
            Err(cause) => Val::Unknown(cause),
            Ok(right) => Val::Bool(match op {
                Op::Le => left <= right,
                Op::Lt => left < right,
                Op::Ge => left >= right,
                _ => left > right,
            }),
        }
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

fn equal<'a>(a: Val<'a>, b: Val<'a>) -> Result<bool, Cause<'a>> {
    match (a, b) {
        (Val::Text(a), Val::Text(b)) => Ok(a == b),
        (Val::Nums(a), Val::Nums(b)) if a.len() != 1 || b.len() != 1 => {
            let known = a.iter().chain(&b).all(Option::is_some);
            if a.len() != b.len() {
                Ok(false)
            } else if known {
                Ok(a == b)
            } else {
                Err(Cause::Mismatch)
            }
        }
        (a, b) => Ok(a.number()? == b.number()?),
    }
}

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
        return Val::Unknown(Cause::Fact(facts::noun(Fact::Dims), Cow::Borrowed("a tensor")));
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
    fn number(self) -> Result<f64, Cause<'a>> {
        match self {
            Val::Num(n) => Ok(n),
            Val::Bool(value) => Ok(f64::from(u8::from(value))),
            Val::Nums(items) if items.len() == 1 => items[0].ok_or(Cause::Mismatch),
            other => Err(other.cause()),
        }
    }

    fn cause(self) -> Cause<'a> {
        match self {
            Val::Unknown(cause) => cause,
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
