use std::fmt;

use super::{Expr, Op, Subject};

/// Prints an expression as the tables write it, with parentheses only where they are needed.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Num(n) => write!(f, "{n}"),
            Expr::Text(text) => write!(f, "'{text}'"),
            Expr::Bool(value) => write!(f, "{value}"),
            Expr::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Expr::Limit(id) => f.write_str(id),
            Expr::Value(name) => f.write_str(name),
            Expr::Opset => f.write_str("opset"),
            Expr::Fact(subject, fact) => write!(f, "{subject}.{}", fact.word()),
            Expr::Index(e, i) => write!(f, "{}[{i}]", Inside(e, 8)),
            Expr::Slice(e, from, to) => {
                write!(f, "{}[", Inside(e, 8))?;
                from.map_or(Ok(()), |i| write!(f, "{i}"))?;
                f.write_str(":")?;
                to.map_or(Ok(()), |i| write!(f, "{i}"))?;
                f.write_str("]")
            }
            Expr::Call(func, e) => write!(f, "{}({e})", func.word()),
            Expr::Quantified(q, set, e) => write!(f, "{}({}, {e})", q.word(), set.word()),
            Expr::Not(e) => write!(f, "not {}", Inside(e, 3)),
            Expr::Neg(e) => write!(f, "-{}", Inside(e, 6)),
            Expr::Binary(op, a, b) => {
                let level = level(*op);
                write!(f, "{} {} {}", Inside(a, level), op.word(), Inside(b, level + 1))
            }
            Expr::Default(a, b) => write!(f, "{} ?? {}", Inside(a, 7), Inside(b, 7)),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Operand(name) => f.write_str(name),
            Subject::Result(0) => f.write_str("out"),
            Subject::Result(i) => write!(f, "out{i}"),
            Subject::It => f.write_str("it"),
        }
    }
}

/// An expression where only those of at least this level stand without parentheses.
struct Inside<'e>(&'e Expr, u8);

impl fmt::Display for Inside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = match self.0 {
            Expr::Binary(op, _, _) => level(*op),
            Expr::Not(_) => 3,
            Expr::Neg(_) | Expr::Default(_, _) => 6,
            _ => 8,
        };
        if own < self.1 { write!(f, "({})", self.0) } else { write!(f, "{}", self.0) }
    }
}

const fn level(op: Op) -> u8 {
    match op {
        Op::Or => 1,
        Op::And => 2,
        Op::Eq | Op::Ne | Op::Le | Op::Lt | Op::Ge | Op::Gt | Op::In => 3,
        Op::Add | Op::Sub => 4,
        Op::Mul | Op::Div | Op::Rem => 5,
    }
}
