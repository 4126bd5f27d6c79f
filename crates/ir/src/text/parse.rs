//! Reading programs, functions and blocks.

use std::borrow::Cow;

use rustc_hash::FxHashSet;

use super::ParseOptions;
use super::cursor::Cursor;
use super::error::Fault;
use super::lex::{Token, clip};
use super::literal::Source;
use super::scope::{Key, Scope};
use crate::ids::{BlockId, FuncId, OpId, ValueId};
use crate::infer::{Inferred, with_symbols};
use crate::op::{Attrs, Str};
use crate::program::{DialectId, Program};
use crate::schema::{Dialect, Opset};
use crate::types::Type;

type Result<T> = std::result::Result<T, Fault>;

/// How deep blocks may nest.
const MAX_DEPTH: u32 = 64;

/// Opsets as compiled models call them.
const COMPILED_OPSETS: [(&str, &str); 5] = [
    ("ios15", "CoreML5"),
    ("ios16", "CoreML6"),
    ("ios17", "CoreML7"),
    ("ios18", "CoreML8"),
    ("ios26", "CoreML9"),
];

pub(super) fn program(text: &str, options: &ParseOptions<'_>) -> Result<Program> {
    let mut parser = Parser {
        c: Cursor::new(text)?,
        p: Program::new(DialectId::Mil),
        source: Source { blobs: options.blobs, drawn: 0 },
        dialect: options.dialect,
        opset: Opset::Ios26,
        scope: Scope::default(),
        in_place: Vec::new(),
        known: Inferred::default(),
        waiting: Vec::new(),
    };
    parser.program()?;
    Ok(parser.p)
}

pub(super) struct Parser<'a, 'o> {
    pub(super) c: Cursor<'a>,
    pub(super) p: Program,
    pub(super) source: Source<'o>,
    pub(super) dialect: Option<&'o dyn Dialect>,
    pub(super) opset: Opset,
    pub(super) scope: Scope,
    /// In-place constants of this function, which get names when all others are known.
    pub(super) in_place: Vec<(ValueId, String)>,
    pub(super) known: Inferred,
    /// Ops whose types are all stated: inference looks at them only when a later op needs it.
    pub(super) waiting: Vec<OpId>,
}

/// A name where it is defined.
pub(super) struct Definition {
    pub(super) key: Key,
    pub(super) at: usize,
    pub(super) ty: Option<Type>,
}

impl<'a> Parser<'a, '_> {
    fn program(&mut self) -> Result<()> {
        let headed = self.c.peek() == Token::Ident("program");
        if headed {
            self.c.bump()?;
            self.c.expect_punct('(')?;
            if !matches!(self.c.peek(), Token::Number(_)) {
                return Err(self.c.wanted("a version number"));
            }
            self.c.bump()?;
            self.c.expect_punct(')')?;
            self.p.attrs = self.attrs()?;
            self.c.expect_punct('{')?;
        } else if self.c.peek() == Token::End {
            return Err(self.c.fault("there is no program here"));
        }
        let mut names: FxHashSet<Str> = FxHashSet::default();
        while self.c.peek() == Token::Ident("func") {
            let at = self.c.at();
            let name = self.function(names.is_empty())?;
            if !names.insert(name.clone()) {
                return Err(Fault::new(at, format!("a second function called `{}`", clip(&name))));
            }
        }
        if headed {
            if !self.c.eat_punct('}')? {
                return Err(self.c.wanted("`func` or `}`"));
            }
        } else if names.is_empty() {
            return Err(self.c.wanted("`program` or `func`"));
        }
        if self.c.peek() == Token::End { Ok(()) } else { Err(self.c.wanted("the end of the text")) }
    }

    /// `[key = value, …]`, or nothing.
    fn attrs(&mut self) -> Result<Attrs> {
        let mut attrs = Attrs::new();
        if self.c.peek() == Token::Punct('[') {
            self.c.list('[', ']', |c| {
                let key = c.name("an attribute's name")?.as_ref().into();
                c.expect_punct('=')?;
                attrs.push((key, c.attribute(0)?));
                Ok(())
            })?;
        }
        Ok(attrs)
    }

    fn function(&mut self, first: bool) -> Result<Str> {
        self.c.bump()?;
        let name = self.c.name("the function's name")?;
        let mut opset = Cow::Borrowed("");
        if self.c.eat_punct('<')? {
            opset = self.c.name("an opset such as CoreML6")?;
            self.c.expect_punct('>')?;
        }
        let compiled = COMPILED_OPSETS.iter().find(|(compiled, _)| *compiled == opset);
        let opset = compiled.map_or(&*opset, |(_, stored)| stored);
        if first && opset.is_empty() {
            self.p.dialect = DialectId::Nn;
        }
        self.opset = Opset::from_name(opset).unwrap_or(Opset::Ios26);
        self.scope = Scope::default();
        self.known = Inferred::default();
        self.waiting.clear();
        let (func, body) = self.p.add_function(&name, opset);
        self.scope.enter();
        self.block_args(body, None)?;
        let attrs = self.attrs()?;
        self.p.set_function_attrs(func, attrs);
        self.block(body, 0)?;
        self.c.eat_punct(';')?;
        self.name_in_place(func);
        Ok(self.p.function(func).name.clone())
    }

    /// In-place constants have no name in the text; they get one that nothing else has.
    fn name_in_place(&mut self, func: FuncId) {
        for (value, base) in std::mem::take(&mut self.in_place) {
            let name = self.p.fresh_name(func, &base);
            self.p.rename(value, &name);
        }
    }

    /// `(type name, …)`. Arguments of a nested block may take their types from the op's `loop_vars`.
    fn block_args(&mut self, block: BlockId, parent: Option<OpId>) -> Result<()> {
        let mut args = Vec::new();
        self.c.list('(', ')', |c| {
            args.push(definition(c)?);
            Ok(())
        })?;
        for (i, arg) in args.into_iter().enumerate() {
            let from_loop = || self.p.op(parent?).args("loop_vars").nth(i).map(|v| self.p.ty(v).clone());
            let ty = match arg.ty.or_else(from_loop) {
                Some(ty) => ty,
                None if self.p.dialect == DialectId::Nn => Type::Unknown,
                None => {
                    let e = Fault::new(arg.at, format!("the type of `{}` is missing", clip(&arg.key.0)));
                    return Err(e.hint("write it before the name: tensor<fp16, [1, 3]> x"));
                }
            };
            let value = self.p.add_arg(block, &arg.key.0, ty);
            self.define(arg.key, arg.at, value)?;
            let ty = with_symbols(self.p.ty(value), &mut self.known.dims);
            self.known.facts.set(value, ty, None);
        }
        Ok(())
    }

    /// Statements and outputs of a block whose scope has been entered.
    fn block(&mut self, block: BlockId, depth: u32) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(self.c.fault(format!("blocks nest more than {MAX_DEPTH} deep here")));
        }
        self.c.expect_punct('{')?;
        while self.c.peek() != Token::Punct('}') {
            self.statement(block, depth)?;
        }
        self.c.bump()?;
        self.c.expect(Token::Arrow)?;
        let mut outputs = Vec::new();
        self.c.list('(', ')', |c| {
            outputs.push((c.at(), key(c, "a value's name")?));
            Ok(())
        })?;
        for (at, key) in outputs {
            let value = self.look_up(&key, at)?;
            self.p.add_output(block, value);
        }
        self.scope.leave();
        Ok(())
    }

    /// The blocks of an op, up to and with the semicolon.
    pub(super) fn nested_blocks(&mut self, op: OpId, depth: u32) -> Result<()> {
        if self.c.eat_punct(';')? {
            return Ok(());
        }
        if !matches!(self.c.peek(), Token::Punct('(' | '{')) {
            return Err(self.c.wanted("`;`"));
        }
        loop {
            let block = self.p.add_block(op);
            self.scope.enter();
            if self.c.peek() == Token::Punct('(') {
                self.block_args(block, Some(op))?;
            }
            self.block(block, depth + 1)?;
            if !self.c.eat_punct(',')? {
                return self.c.expect_punct(';');
            }
        }
    }

    pub(super) fn define(&mut self, key: Key, at: usize, value: ValueId) -> Result<()> {
        if key.1.is_some() {
            self.p.pin(value);
        }
        let name = key.0.clone();
        if self.scope.define(key, value) {
            return Ok(());
        }
        let e = Fault::new(at, format!("`{}` is defined a second time", clip(&name)));
        Err(e.hint("each value of a function has a name of its own; `x@1` is a second value called `x`"))
    }

    pub(super) fn look_up(&mut self, key: &Key, at: usize) -> Result<ValueId> {
        if let Some(value) = self.scope.get(key) {
            return Ok(value);
        }
        let name = clip(&key.0);
        Err(match self.scope.was_defined(key) {
            true => Fault::new(at, format!("`{name}` belongs to a block that has ended")),
            false => Fault::new(at, format!("`{name}` is not defined above"))
                .hint("enumeration values stand in brackets; text stands between double quotes"),
        })
    }
}

/// `name` or `name@2`
pub(super) fn key(c: &mut Cursor<'_>, what: &str) -> Result<Key> {
    let name: Str = c.name(what)?.as_ref().into();
    let mut suffix = None;
    if c.eat_punct('@')? {
        let at = c.at();
        let n = c.count("which one of the values of this name")?;
        suffix = Some(u32::try_from(n).map_err(|_| Fault::new(at, "there are not so many values"))?);
    }
    Ok((name, suffix))
}

/// `type name` or `name`
pub(super) fn definition(c: &mut Cursor<'_>) -> Result<Definition> {
    let ty = if c.at_type() { Some(c.parse_type()?) } else { None };
    let at = c.at();
    let key = key(c, "a value's name")?;
    Ok(Definition { key, at, ty })
}
