//! Reading types.

use anewrite_tensor::DType;

use super::cursor::Cursor;
use super::error::Fault;
use super::lex::{Token, clip};
use crate::types::{Dim, Shape, TensorType, Type};

type Result<T> = std::result::Result<T, Fault>;

/// How deep types and attributes may nest.
pub(super) const MAX_NESTING: u32 = 64;

/// Dims of a type; also bounds the brackets of a literal.
pub(super) const MAX_RANK: usize = 32;

impl Cursor<'_> {
    /// Whether a type starts here, given that a name could stand here too.
    pub(super) fn at_type(&self) -> bool {
        matches!(self.peek(), Token::Ident(_))
            && matches!(self.peek_second(), Token::Punct('<') | Token::Ident(_) | Token::Quoted(_))
    }

    pub(super) fn parse_type(&mut self) -> Result<Type> {
        self.type_at(0)
    }

    fn type_at(&mut self, depth: u32) -> Result<Type> {
        if depth > MAX_NESTING {
            return Err(self.fault(format!("types nest more than {MAX_NESTING} deep here")));
        }
        let at = self.at();
        let Token::Ident(word) = self.peek() else { return Err(self.wanted("a type")) };
        self.bump()?;
        if let Some(dtype) = DType::from_name(word) {
            return Ok(TensorType::fixed(dtype, []).into());
        }
        if word == "unknown" {
            return Ok(Type::Unknown);
        }
        if !matches!(word, "tensor" | "state" | "list" | "dict" | "tuple") {
            let e = Fault::new(at, format!("`{}` is no type", clip(word)));
            return Err(e.hint("tensor<fp16, [1, 3]>, state<…>, list<…>, dict<…>, tuple<…> and unknown are"));
        }
        self.expect_punct('<')?;
        let ty = match word {
            "tensor" => Type::Tensor(self.tensor_body()?),
            "state" => match self.type_at(depth + 1)? {
                Type::Tensor(t) => Type::State(t),
                _ => return Err(Fault::new(at, "a state holds a tensor")),
            },
            "list" => {
                let Type::Tensor(element) = self.type_at(depth + 1)? else {
                    return Err(Fault::new(at, "a list holds tensors"));
                };
                self.expect_punct(',')?;
                let length = if self.eat_punct('?')? { None } else { Some(self.count("a length or `?`")?) };
                Type::List { element, length }
            }
            "dict" => {
                let key = Box::new(self.type_at(depth + 1)?);
                self.expect_punct(',')?;
                Type::Dict { key, value: Box::new(self.type_at(depth + 1)?) }
            }
            _ => {
                let mut types = Vec::new();
                while self.peek() != Token::Punct('>') {
                    types.push(self.type_at(depth + 1)?);
                    if !self.eat_punct(',')? {
                        break;
                    }
                }
                Type::Tuple(types)
            }
        };
        self.expect_punct('>')?;
        Ok(ty)
    }

    /// `fp16, [1, ?, 3]`
    pub(super) fn tensor_body(&mut self) -> Result<TensorType> {
        let at = self.at();
        let word = self.name("a dtype")?;
        let dtype = DType::from_name(&word).ok_or_else(|| {
            let e = Fault::new(at, format!("`{}` is no dtype", clip(&word)));
            e.hint("fp16, fp32, int32, bool, string, uint8 and such are")
        })?;
        self.expect_punct(',')?;
        if self.peek() == Token::Punct('[') && self.peek_second() == Token::Ellipsis {
            self.bump()?;
            self.bump()?;
            self.expect_punct(']')?;
            return Ok(TensorType { dtype, shape: None });
        }
        let mut shape = Shape::new();
        self.list('[', ']', |c| {
            if shape.len() == MAX_RANK {
                return Err(c.fault(format!("a shape of more than {MAX_RANK} dims")));
            }
            shape.push(c.dim()?);
            Ok(())
        })?;
        Ok(TensorType { dtype, shape: Some(shape) })
    }

    /// A number, `?`, or an expression of symbols, whose meaning does not outlive the program that it is from.
    fn dim(&mut self) -> Result<Dim> {
        if let (Token::Number(_), Token::Punct(',' | ']')) = (self.peek(), self.peek_second()) {
            return Ok(Dim::Known(self.count("an extent")?));
        }
        let mut depth = 0u32;
        loop {
            match self.peek() {
                Token::Punct(',' | ']') if depth == 0 => return Ok(Dim::Unknown),
                Token::Punct('(') => depth += 1,
                Token::Punct(')') => match depth.checked_sub(1) {
                    Some(d) => depth = d,
                    None => return Err(self.wanted("an extent")),
                },
                Token::Punct('?' | ',' | '+' | '-' | '*' | '/') | Token::Ident(_) | Token::Number(_) => {}
                Token::Ellipsis => {}
                _ => return Err(self.wanted("an extent")),
            }
            self.bump()?;
        }
    }
}
