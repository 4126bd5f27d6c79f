use std::fmt;

use super::eval::{Ctx, Val};
use super::{Expr, Op, Quantifier};

/// The value that decided a condition: what was looked at, what it was, what it had to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What was looked at, in the language of the tables, with the tensor's name: `x.dims[-1]`.
    pub what: String,
    /// Its value: `65537`, `int32`.
    pub value: String,
    /// What the condition asks: `<= 65536`, `== 'fp16'`; empty for a bare truth.
    pub asked: String,
    /// The id of the limit that was compared with, if one was.
    pub limit: Option<String>,
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.what, self.value)?;
        match &self.limit {
            Some(limit) if self.asked.is_empty() => write!(f, " ({limit})"),
            Some(limit) => write!(f, ", not {} ({limit})", self.asked),
            None if self.asked.is_empty() => Ok(()),
            None => write!(f, ", not {}", self.asked),
        }
    }
}

/// Finds the comparison that made `expr` come out as `outcome`. Of several the one with a limit is
/// meant, else the last: tables write the guard first.
pub(crate) fn observe<'a>(ctx: &Ctx<'a>, expr: &'a Expr, outcome: bool) -> Option<Observed> {
    match expr {
        Expr::Not(e) => observe(ctx, e, !outcome),
        Expr::Binary(Op::And | Op::Or, a, b) => {
            let side = |e| (ctx.truth(e) == Ok(outcome)).then(|| observe(ctx, e, outcome)).flatten();
            let (first, last) = (side(a), side(b));
            if first.as_ref().is_some_and(|seen| seen.limit.is_some()) { first } else { last.or(first) }
        }
        Expr::Quantified(Quantifier::Any | Quantifier::All, set, e) => ctx
            .facts
            .set(*set)
            .find(|&it| ctx.at(it).truth(e) == Ok(outcome))
            .and_then(|it| observe(&ctx.at(it), e, outcome).map(|seen| seen.named(it.name, it.index))),
        Expr::Binary(op @ (Op::Eq | Op::Ne | Op::Le | Op::Lt | Op::Ge | Op::Gt | Op::In), a, b) => {
            let limit = if let Expr::Limit(id) = &**b { Some(id.to_string()) } else { None };
            let bound = match ctx.eval(b) {
                Val::Unknown(_) => b.to_string(),
                value => text(&value),
            };
            Some(Observed {
                what: a.to_string(),
                value: text(&ctx.eval(a)),
                asked: if outcome { String::new() } else { format!("{} {bound}", op.word()) },
                limit,
            })
        }
        other => {
            let value = text(&ctx.eval(other));
            Some(Observed { what: other.to_string(), value, asked: String::new(), limit: None })
        }
    }
}

impl Observed {
    fn named(mut self, name: &str, index: usize) -> Observed {
        let subject =
            if index > 0 && name != "out1" { format!("{name}[{index}].") } else { format!("{name}.") };
        if let Some(fact) = self.what.strip_prefix("it.") {
            self.what = subject + fact;
        }
        self
    }
}

fn text(value: &Val<'_>) -> String {
    match value {
        Val::Unknown(_) => "not known".to_owned(),
        Val::Absent(_) => "not given".to_owned(),
        Val::Bool(value) => value.to_string(),
        Val::Num(n) => n.to_string(),
        Val::Text(text) => text.to_string(),
        Val::Nums(items) if items.len() == 1 => items[0].map_or_else(|| "?".to_owned(), |n| n.to_string()),
        Val::Nums(items) => {
            let items: Vec<_> =
                items.iter().map(|i| i.map_or_else(|| "?".to_owned(), |n| n.to_string())).collect();
            format!("[{}]", items.join(", "))
        }
    }
}
