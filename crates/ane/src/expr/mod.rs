//! The little language in which the tables state conditions and counts.
//!
//! ```text
//! kernel_sizes[-1] <= LIM-MAXPOOL
//! all(tensors, it.rank <= LIM-RANK)
//! not weight.const or groups ?? 1 == 1
//! 2 * out.elements * prod(kernel_sizes)
//! ```
//!
//! A bare name is the value of the constant operand of that name; `name.fact` is a fact of a bound
//! operand (`rank`, `dims`, `dtype`, `const`, `given`, `elements`, `bytes`, `index`, `width`), `out.fact`
//! one of the first result. `LIM-…` is a limit of the family being judged. `any`, `all` and `total` run
//! over a set (`operands`, `inputs` that are not constant, `constants`, `results`, `tensors` = inputs and
//! results) with the tensor at hand called `it`. `a ?? b` is `b` where operand `a` is not bound.
//!
//! Nothing is ever guessed: what the caller does not know makes the answer unknown, with the reason,
//! unless the rest of the condition decides it alone.

mod eval;
mod facts;
mod lex;
mod observe;
mod parse;
mod print;

pub(crate) use eval::Ctx;
pub(crate) use facts::Facts;
pub use observe::Observed;
pub(crate) use observe::observe;

use std::str::FromStr;

use serde::Deserialize;

/// A parsed condition or count.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Expr {
    Num(f64),
    Text(Box<str>),
    Bool(bool),
    List(Vec<Expr>),
    Limit(Box<str>),
    /// The value of a constant operand.
    Value(Box<str>),
    Opset,
    Fact(Subject, Fact),
    Index(Box<Expr>, i64),
    Slice(Box<Expr>, Option<i64>, Option<i64>),
    Call(Func, Box<Expr>),
    Quantified(Quantifier, Set, Box<Expr>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    /// `a ?? b`.
    Default(Box<Expr>, Box<Expr>),
}

/// Whose fact is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Subject {
    /// The first tensor bound to an operand.
    Operand(Box<str>),
    /// A result by its place.
    Result(usize),
    /// The tensor a quantifier is at.
    It,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($variant),+ }

        impl $name {
            pub(crate) const fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            pub(crate) fn from_word(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// What can be asked of a tensor. `width` is the size of one element in bytes; `known` is whether
    /// every extent is.
    Fact {
        Rank = "rank", Dims = "dims", Dtype = "dtype", Const = "const", Given = "given",
        Elements = "elements", Bytes = "bytes", Index = "index", Width = "width", Known = "known",
    }
}
words! {
    /// Functions of one list.
    Func { Len = "len", Prod = "prod", Sum = "sum", Min = "min", Max = "max" }
}
words! {
    /// Functions that run over the tensors of an op.
    Quantifier { Any = "any", All = "all", Total = "total" }
}
words! {
    /// The tensors that a quantifier runs over.
    Set {
        Operands = "operands", Inputs = "inputs", Constants = "constants", Results = "results",
        Tensors = "tensors",
    }
}
words! {
    /// Operators of two sides.
    Op {
        Or = "or", And = "and", Eq = "==", Ne = "!=", Le = "<=", Lt = "<", Ge = ">=", Gt = ">",
        In = "in", Add = "+", Sub = "-", Mul = "*", Div = "/", Rem = "%",
    }
}

impl Expr {
    /// Calls `visit` for this expression and every one inside it.
    pub(crate) fn walk<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        visit(self);
        match self {
            Expr::List(items) => items.iter().for_each(|e| e.walk(visit)),
            Expr::Index(e, _)
            | Expr::Slice(e, _, _)
            | Expr::Call(_, e)
            | Expr::Quantified(_, _, e)
            | Expr::Not(e)
            | Expr::Neg(e) => e.walk(visit),
            Expr::Binary(_, a, b) | Expr::Default(a, b) => {
                a.walk(visit);
                b.walk(visit);
            }
            Expr::Num(_)
            | Expr::Text(_)
            | Expr::Bool(_)
            | Expr::Limit(_)
            | Expr::Value(_)
            | Expr::Opset
            | Expr::Fact(_, _) => {}
        }
    }

    /// The ids of the limits that the expression names.
    pub(crate) fn limits(&self) -> Vec<&str> {
        let mut ids = Vec::new();
        self.walk(&mut |e| {
            if let Expr::Limit(id) = e {
                ids.push(&**id);
            }
        });
        ids
    }
}

impl FromStr for Expr {
    type Err = String;

    fn from_str(text: &str) -> Result<Expr, String> {
        parse::parse(text)
    }
}

impl TryFrom<String> for Expr {
    type Error = String;

    fn try_from(text: String) -> Result<Expr, String> {
        parse::parse(&text)
    }
}

#[cfg(test)]
mod tests;
