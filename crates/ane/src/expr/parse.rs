use super::lex::{Token, tokens};
use super::{Expr, Fact, Func, Op, Quantifier, Set, Subject};

/// The deepest nesting accepted; the tables need three.
const MAX_DEPTH: usize = 64;

/// Parses one expression, which must fill the whole text.
pub(super) fn parse(text: &str) -> Result<Expr, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let expr = parser.expr()?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(format!("{token:?} follows a complete expression in `{text}`")),
    }
}

struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    at: usize,
    depth: usize,
}

/// The binary operators from the loosest to the tightest level.
const LEVELS: [&[Op]; 5] = [
    &[Op::Or],
    &[Op::And],
    &[Op::Eq, Op::Ne, Op::Le, Op::Lt, Op::Ge, Op::Gt, Op::In],
    &[Op::Add, Op::Sub],
    &[Op::Mul, Op::Div, Op::Rem],
];
/// The level of comparisons, which do not chain and which `not` binds looser than.
const COMPARISONS: usize = 2;

impl<'a> Parser<'_, 'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Result<Token<'a>, String> {
        let token = self.peek().ok_or("the expression ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(s)) if s == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.eat(sign) { Ok(()) } else { Err(format!("`{sign}` expected, found {:?}", self.peek())) }
    }

    fn expr(&mut self) -> Result<Expr, String> {
        self.nested(|parser| parser.level(0))
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Result<Expr, String>) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("nested too deeply".to_owned());
        }
        let expr = parse(self);
        self.depth -= 1;
        expr
    }

    fn level(&mut self, level: usize) -> Result<Expr, String> {
        let Some(ops) = LEVELS.get(level) else { return self.unary() };
        if level == COMPARISONS && self.peek() == Some(Token::Name("not")) {
            self.at += 1;
            return Ok(Expr::Not(Box::new(self.nested(|parser| parser.level(level))?)));
        }
        let mut left = self.level(level + 1)?;
        while let Some(op) = self.operator(ops) {
            let right = self.level(level + 1)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
            if level == COMPARISONS {
                break;
            }
        }
        Ok(left)
    }

    fn operator(&mut self, ops: &[Op]) -> Option<Op> {
        let (Token::Sign(word) | Token::Name(word)) = self.peek()? else { return None };
        let op = Op::from_word(word).filter(|op| ops.contains(op))?;
        self.at += 1;
        Some(op)
    }

    fn unary(&mut self) -> Result<Expr, String> {
        if self.eat("-") {
            return Ok(Expr::Neg(Box::new(self.nested(Self::unary)?)));
        }
        let value = self.postfix()?;
        if self.eat("??") {
            return Ok(Expr::Default(Box::new(value), Box::new(self.nested(Self::unary)?)));
        }
        Ok(value)
    }

    fn postfix(&mut self) -> Result<Expr, String> {
        let mut value = self.atom()?;
        while self.eat("[") {
            let from = self.integer()?;
            value = if self.eat(":") {
                Expr::Slice(Box::new(value), from, self.integer()?)
            } else {
                Expr::Index(Box::new(value), from.ok_or("an index is missing")?)
            };
            self.expect("]")?;
        }
        Ok(value)
    }

    fn integer(&mut self) -> Result<Option<i64>, String> {
        let negative = self.eat("-");
        match self.peek() {
            Some(Token::Num(n)) if n.fract() == 0.0 && n < 1e9 => {
                self.at += 1;
                Ok(Some(if negative { -(n as i64) } else { n as i64 }))
            }
            _ if negative => Err("a whole number must follow `-` in an index".to_owned()),
            _ => Ok(None),
        }
    }

    fn atom(&mut self) -> Result<Expr, String> {
        match self.next()? {
            Token::Num(n) => Ok(Expr::Num(n)),
            Token::Text(text) => Ok(Expr::Text(text.into())),
            Token::Limit(id) => Ok(Expr::Limit(id.into())),
            Token::Sign("(") => {
                let inner = self.expr()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("[") => self.list(),
            Token::Name("true") => Ok(Expr::Bool(true)),
            Token::Name("false") => Ok(Expr::Bool(false)),
            Token::Name("opset") => Ok(Expr::Opset),
            Token::Name(name) if self.eat("(") => self.call(name),
            Token::Name(name) if self.eat(".") => {
                let Token::Name(word) = self.next()? else {
                    return Err(format!("a fact must follow `{name}.`"));
                };
                let fact =
                    Fact::from_word(word).ok_or_else(|| format!("`{word}` is not a fact of a tensor"))?;
                Ok(Expr::Fact(subject(name), fact))
            }
            Token::Name(name) => Ok(Expr::Value(name.into())),
            other => Err(format!("a value expected, found {other:?}")),
        }
    }

    fn list(&mut self) -> Result<Expr, String> {
        let mut items = Vec::new();
        while !self.eat("]") {
            items.push(self.expr()?);
            if !self.eat(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(Expr::List(items))
    }

    fn call(&mut self, name: &str) -> Result<Expr, String> {
        let expr = if let Some(quantifier) = Quantifier::from_word(name) {
            let Token::Name(word) = self.next()? else { return Err(format!("`{name}` needs a set first")) };
            let set = Set::from_word(word).ok_or_else(|| format!("`{word}` is not a set of tensors"))?;
            self.expect(",")?;
            Expr::Quantified(quantifier, set, Box::new(self.expr()?))
        } else {
            let func = Func::from_word(name).ok_or_else(|| format!("`{name}` is not a function"))?;
            Expr::Call(func, Box::new(self.expr()?))
        };
        self.expect(")")?;
        Ok(expr)
    }
}

fn subject(name: &str) -> Subject {
    match name {
        "it" => Subject::It,
        "out" => Subject::Result(0),
        "out1" => Subject::Result(1),
        operand => Subject::Operand(operand.into()),
    }
}
