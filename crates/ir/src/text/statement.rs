//! Reading constants and ops.

use anewrite_tensor::Tensor;

use super::error::Fault;
use super::float_dtype;
use super::lex::Token;
use super::literal::Literal;
use super::parse::{Definition, Parser, definition, key};
use crate::edit::{NewOp, Place};
use crate::ids::{BlockId, OpId, ValueId};
use crate::infer::{infer_op, note};
use crate::mil::Mil;
use crate::op::{Attr, Attrs, Binding, Const, ConstOrigin, Operand, Str};
use crate::program::DialectId;
use crate::schema::Dialect;
use crate::types::Type;

type Result<T> = std::result::Result<T, Fault>;

/// One binding of an argument.
enum Item<'a> {
    Value(ValueId),
    Literal(Literal<'a>),
}

/// An argument or a bracketed literal.
struct Argument<'a> {
    param: Str,
    item: Item<'a>,
    binding: Binding,
}

/// What stands between brackets.
#[derive(Default)]
struct Brackets<'a> {
    name: Option<Str>,
    value: Option<(Literal<'a>, usize)>,
    operands: Vec<(Str, Tensor)>,
    attrs: Attrs,
}

impl<'a> Parser<'a, '_> {
    pub(super) fn statement(&mut self, block: BlockId, depth: u32) -> Result<()> {
        let start = self.c.at();
        let mut results = Vec::new();
        if self.c.peek_second() != Token::Punct('(') {
            loop {
                results.push(definition(&mut self.c)?);
                if !self.c.eat_punct(',')? {
                    break;
                }
            }
            self.c.expect_punct('=')?;
        }
        let is_const = self.c.peek() == Token::Ident("const");
        let kind = self.c.name("an op")?;
        let mut args = self.arguments()?;
        let mut brackets = self.brackets(is_const && args.is_empty())?;
        let sealed = self.c.eat(Token::Ident("sealed"))?;
        if let Some((value, at)) = brackets.value.take() {
            self.c.expect_punct(';')?;
            let data = Const {
                tensor: self.tensor_of(value, &[])?,
                origin: ConstOrigin::ConstOp { name: brackets.name },
                sealed,
            };
            return self.constant(block, results, data, at);
        }
        let bracketed = brackets.operands.into_iter().map(|(param, tensor)| Argument {
            param,
            item: Item::Literal(Literal::Typed(tensor)),
            binding: Binding::Attribute,
        });
        args.extend(bracketed);
        let stem = results.first().map_or_else(|| kind.to_string(), |r| r.key.0.to_string());
        let mut new = NewOp::new(&kind);
        new.op.operands = self.operands(block, args, &stem)?;
        (new.op.name, new.op.attrs, new.op.sealed) = (brackets.name, brackets.attrs, sealed);
        new.results =
            results.iter().map(|r| (r.key.0.clone(), r.ty.clone().unwrap_or(Type::Unknown))).collect();
        let op = self.p.add_op(Place::End(block), new);
        self.nested_blocks(op, depth)?;
        for (i, r) in results.iter().enumerate() {
            if let Some(&value) = self.p.op(op).results.get(i) {
                self.define(r.key.clone(), r.at, value)?;
            }
        }
        self.settle(op, &results, start)
    }

    fn constant(&mut self, block: BlockId, results: Vec<Definition>, data: Const, at: usize) -> Result<()> {
        let mut results = results.into_iter();
        let (Some(result), None) = (results.next(), results.next()) else {
            return Err(Fault::new(at, "a constant has one name"));
        };
        let value = self.p.add_const(block, &result.key.0, data);
        let have = self.p.ty(value);
        if let Some(ty) = &result.ty
            && !have.refines(ty)
        {
            return Err(Fault::new(at, format!("this constant is {have}, declared is {ty}")));
        }
        self.define(result.key, result.at, value)
    }

    /// `(param = argument, …)`
    fn arguments(&mut self) -> Result<Vec<Argument<'a>>> {
        let mut args = Vec::new();
        self.c.expect_punct('(')?;
        while !self.c.eat_punct(')')? {
            let param: Str = self.c.name("a parameter's name")?.as_ref().into();
            self.c.expect_punct('=')?;
            if self.c.eat_punct('(')? {
                while !self.c.eat_punct(')')? {
                    args.push(self.argument(param.clone())?);
                    if !self.c.eat_punct(',')? && self.c.peek() != Token::Punct(')') {
                        return Err(self.c.wanted("`,` or `)`"));
                    }
                }
            } else {
                args.push(self.argument(param)?);
            }
            if !self.c.eat_punct(',')? && self.c.peek() != Token::Punct(')') {
                return Err(self.c.wanted("`,` or `)`"));
            }
        }
        Ok(args)
    }

    fn argument(&mut self, param: Str) -> Result<Argument<'a>> {
        let at = self.c.at();
        let (item, binding) = if self.c.at_literal() {
            (Item::Literal(self.c.literal(&mut self.source)?), Binding::Inline)
        } else {
            let key = key(&mut self.c, "a value's name or a constant")?;
            (Item::Value(self.look_up(&key, at)?), Binding::Name)
        };
        Ok(Argument { param, item, binding })
    }

    /// `[name = …, val = …, key = …]`, or nothing.
    fn brackets(&mut self, is_const: bool) -> Result<Brackets<'a>> {
        let mut out = Brackets::default();
        let source = &mut self.source;
        if self.c.peek() != Token::Punct('[') {
            return Ok(out);
        }
        self.c.list('[', ']', |c| {
            let plain = matches!(c.peek(), Token::Ident(_));
            let key = c.name("an attribute's name")?;
            c.expect_punct('=')?;
            let at = c.at();
            let typed = matches!(
                (c.peek(), c.peek_second()),
                (Token::Ident(word), Token::Punct('<' | '(')) if word != "bytes"
            );
            match &*key {
                "name" if plain => {
                    let Attr::Text(name) = c.attribute(0)? else {
                        return Err(Fault::new(at, "an op's name is text"));
                    };
                    out.name = Some(name);
                }
                "val" if is_const && plain => out.value = Some((c.literal(source)?, at)),
                key if typed && !is_aggregate(c.peek()) => match c.literal(source)? {
                    Literal::Typed(t) => out.operands.push((key.into(), t)),
                    Literal::Bare(_) => {
                        return Err(Fault::new(at, "a constant with its type is wanted here"));
                    }
                },
                key => out.attrs.push((key.into(), c.attribute(0)?)),
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// The operands of an op; constants written in place are added to `block`.
    fn operands(&mut self, block: BlockId, args: Vec<Argument<'a>>, stem: &str) -> Result<Vec<Operand>> {
        let named: Vec<Operand> = args
            .iter()
            .filter_map(|a| match a.item {
                Item::Value(value) => Some(Operand { param: a.param.clone(), value, binding: Binding::Name }),
                Item::Literal(_) => None,
            })
            .collect();
        let mut operands = Vec::with_capacity(args.len());
        for Argument { param, item, binding } in args {
            let value = match item {
                Item::Value(value) => value,
                Item::Literal(literal) => {
                    let tensor = self.tensor_of(literal, &named)?;
                    let data = Const { tensor, origin: ConstOrigin::InPlace, sealed: false };
                    let value = self.p.add_const(block, "", data);
                    self.in_place.push((value, format!("{stem}_{param}")));
                    value
                }
            };
            operands.push(Operand { param, value, binding });
        }
        Ok(operands)
    }

    fn tensor_of(&self, literal: Literal<'a>, named: &[Operand]) -> Result<Tensor> {
        match literal {
            Literal::Typed(t) => Ok(t),
            Literal::Bare(content) => content.infer(float_dtype(&self.p, named.iter())),
        }
    }

    /// Infers the types that were left out.
    fn settle(&mut self, op: OpId, results: &[Definition], at: usize) -> Result<()> {
        let dialect: &dyn Dialect = match (self.dialect, self.p.dialect) {
            (Some(d), _) => d,
            (None, DialectId::Mil) => &Mil,
            (None, DialectId::Nn) => {
                if !self.p.op(op).kind.starts_with("nn.") && results.iter().any(|r| r.ty.is_none()) {
                    let e = Fault::new(at, "the op of a NeuralNetwork is called nn.<layer>");
                    return Err(
                        e.hint("the functions of an ML Program state their opset: func main<CoreML6>(…)")
                    );
                }
                return Ok(());
            }
        };
        if results.iter().all(|r| r.ty.is_some()) {
            self.waiting.push(op);
            return Ok(());
        }
        for op in std::mem::take(&mut self.waiting) {
            let found = infer_op(&self.p, dialect, self.opset, op, &self.known.facts, &mut self.known.dims);
            note(&self.p, op, found, &mut self.known);
        }
        let found = infer_op(&self.p, dialect, self.opset, op, &self.known.facts, &mut self.known.dims);
        let found = found.map_err(|e| {
            let e = Fault::new(at, format!("a result's type cannot be inferred: {e}"));
            e.hint("write it before the result's name")
        })?;
        let (have, want) = (found.types.len(), results.len());
        if have != want {
            return Err(Fault::new(at, format!("{want} results are named, the op has {have}")));
        }
        for ((&value, r), ty) in self.p.op(op).results.clone().iter().zip(results).zip(&found.types) {
            if r.ty.is_none() {
                self.p.set_type(value, ty.erased());
            }
        }
        note(&self.p, op, Ok(found), &mut self.known);
        Ok(())
    }
}

/// Whether a type of several values starts here, which makes an attribute and no operand.
fn is_aggregate(token: Token<'_>) -> bool {
    matches!(token, Token::Ident("dict" | "tuple" | "list"))
}
