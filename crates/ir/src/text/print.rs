//! Lines in words.

use std::fmt::{self, Write};

use super::lines::{Layout, Line, LineContent};
use super::names::{Name, Text};
use super::number::Notation;
use super::show::{AttrText, ConstStyle, TypeText, constant, digest};
use super::{BlobRef, MAX_LITERAL, PrintOptions, Style, float_dtype};
use crate::ids::{BlockId, FuncId, OpId, ValueId};
use crate::op::{Attr, Attrs, Binding, ConstOrigin, Op, Operand};
use crate::program::{DialectId, Program};
use crate::types::Type;

/// A key between brackets, where a plain `name` is the op's own.
struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == "name" { f.write_str("`name`") } else { Name(self.0).fmt(f) }
    }
}

/// Prints a program, as a whole or line by line.
///
/// ```
/// use anewrite_ir::text::{self, PrintOptions, Printer};
/// let p = text::parse("func main<CoreML5>(tensor<fp32, [3]> x) { y = relu(x = x); } -> (y);").unwrap();
/// let printer = Printer::new(&p, PrintOptions::short());
/// let (main, _) = p.functions().next().unwrap();
/// let lines = printer.lines(main);
/// assert_eq!(printer.line(lines[1]), "tensor<fp32, [3]> y = relu(x = x);");
/// ```
pub struct Printer<'a> {
    p: &'a Program,
    o: PrintOptions<'a>,
    layout: Layout,
}

impl<'a> Printer<'a> {
    /// Looks over the program once, so that single lines can be printed.
    pub fn new(program: &'a Program, options: PrintOptions<'a>) -> Self {
        Printer { p: program, o: options, layout: Layout::new(program, &options) }
    }

    /// What stands on each line of a function.
    pub fn lines(&self, func: FuncId) -> Vec<Line> {
        self.layout.lines(self.p, &self.o, func)
    }

    /// One line, without its indentation.
    pub fn line(&self, line: Line) -> String {
        let mut out = String::new();
        // writing to a string does not fail
        let _ = self.write_line(&mut out, line.content);
        out
    }

    /// The number after `@` that tells a value from others of its name.
    pub fn suffix(&self, value: ValueId) -> Option<u32> {
        self.layout.suffixes.get(&value).copied()
    }

    /// Whether an operand is a constant that stands in the argument.
    pub fn is_inline(&self, operand: &Operand) -> bool {
        self.layout.is_inline(self.p, &self.o, operand)
    }

    /// The program.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn program(&self, out: &mut dyn Write) -> fmt::Result {
        let indent = u32::from(self.o.header);
        if self.o.header {
            out.write_str("program(1.0)\n")?;
            if !self.p.attrs.is_empty() {
                self.header_attrs(out)?;
                out.write_char('\n')?;
            }
            out.write_str("{\n")?;
        }
        for (i, (func, _)) in self.p.functions().enumerate() {
            if i > 0 {
                out.write_char('\n')?;
            }
            for line in self.lines(func) {
                for _ in 0..line.depth + indent {
                    out.write_str("    ")?;
                }
                self.write_line(out, line.content)?;
                out.write_char('\n')?;
            }
        }
        if self.o.header { out.write_str("}\n") } else { Ok(()) }
    }

    fn write_line(&self, out: &mut dyn Write, content: LineContent) -> fmt::Result {
        match content {
            LineContent::Signature(f) => {
                let f = self.p.function(f);
                write!(out, "func {}", Name(&f.name))?;
                if !f.opset.is_empty() {
                    write!(out, "<{}>", Name(&f.opset))?;
                }
                self.args(out, f.body)?;
                if !f.attrs.is_empty() {
                    out.write_char(' ')?;
                    self.attrs(out, &f.attrs)?;
                }
                out.write_str(" {")
            }
            LineContent::Constant(v) => self.constant(out, v),
            LineContent::Op(op) => self.op(out, op),
            LineContent::NestedEnd { op, ended } => {
                let blocks = &self.p.op(op).blocks;
                let ended = ended as usize;
                self.outputs(out, blocks.get(ended).copied())?;
                match blocks.get(ended + 1) {
                    Some(&next) => {
                        out.write_char(',')?;
                        self.open(out, next)
                    }
                    None => out.write_char(';'),
                }
            }
            LineContent::End(f) => {
                self.outputs(out, Some(self.p.function(f).body))?;
                out.write_char(';')
            }
        }
    }

    fn op(&self, out: &mut dyn Write, id: OpId) -> fmt::Result {
        let op = self.p.op(id);
        for (i, &r) in op.results.iter().enumerate() {
            out.write_str(if i == 0 { "" } else { ", " })?;
            self.declaration(out, r)?;
        }
        if !op.results.is_empty() {
            out.write_str(" = ")?;
        }
        // an op called `const` is one that could not be read as a constant
        match &*op.kind {
            "const" => out.write_str("`const`")?,
            kind => write!(out, "{}", Name(kind))?,
        }
        self.arguments(out, op)?;
        self.brackets(out, op)?;
        if op.sealed {
            out.write_str(" sealed")?;
        }
        match op.blocks.first() {
            Some(&first) => self.open(out, first)?,
            None => out.write_char(';')?,
        }
        match self.o.comments.and_then(|f| f(id)) {
            Some(c) => write!(out, " // {}", c.replace(['\n', '\r'], " ")),
            None => Ok(()),
        }
    }

    fn arguments(&self, out: &mut dyn Write, op: &Op) -> fmt::Result {
        let floats = float_dtype(self.p, op.operands.iter().filter(|o| !self.is_inline(o)));
        let in_parens = |o: &&Operand| o.binding != Binding::Attribute || !self.is_inline(o);
        let operands: Vec<&Operand> = op.operands.iter().filter(in_parens).collect();
        out.write_char('(')?;
        for (i, run) in operands.chunk_by(|a, b| a.param == b.param).enumerate() {
            let Some(first) = run.first() else { continue };
            write!(out, "{}{} = ", if i == 0 { "" } else { ", " }, Name(&first.param))?;
            if run.len() > 1 {
                out.write_char('(')?;
            }
            for (k, o) in run.iter().enumerate() {
                out.write_str(if k == 0 { "" } else { ", " })?;
                if self.is_inline(o) {
                    let untyped = (self.o.style == Style::Short).then_some(floats);
                    self.literal(out, o.value, untyped)?;
                } else {
                    self.name(out, o.value)?;
                }
            }
            if run.len() > 1 {
                out.write_char(')')?;
            }
        }
        out.write_char(')')
    }

    fn brackets(&self, out: &mut dyn Write, op: &Op) -> fmt::Result {
        let mut lead = "[";
        if let Some(name) = op.name.as_ref().filter(|n| self.shows_op_name(op, n)) {
            out.write_str("[name = ")?;
            self.text(out, name)?;
            lead = ", ";
        }
        for o in op.operands.iter().filter(|o| o.binding == Binding::Attribute && self.is_inline(o)) {
            write!(out, "{}{} = ", std::mem::replace(&mut lead, ", "), Key(&o.param))?;
            self.literal(out, o.value, None)?;
        }
        for (key, attr) in &op.attrs {
            let lead = std::mem::replace(&mut lead, ", ");
            write!(out, "{lead}{} = {}", Key(key), AttrText(attr))?;
        }
        if lead == "[" { Ok(()) } else { out.write_char(']') }
    }

    /// Whether the op's own name says something that the result's does not.
    fn shows_op_name(&self, op: &Op, name: &str) -> bool {
        let same = op.result().is_some_and(|r| &*self.p.value(r).name == name);
        self.o.style == Style::Full || !same
    }

    fn constant(&self, out: &mut dyn Write, value: ValueId) -> fmt::Result {
        match self.o.style {
            Style::Full => self.declaration(out, value)?,
            Style::Short => self.name(out, value)?,
        }
        out.write_str(" = const()[")?;
        let Some(c) = self.p.constant(value) else { return out.write_str("];") };
        if let ConstOrigin::ConstOp { name: Some(name) } = &c.origin
            && (self.o.style == Style::Full || *name != self.p.value(value).name)
        {
            out.write_str("name = ")?;
            self.text(out, name)?;
            out.write_str(", ")?;
        }
        out.write_str("val = ")?;
        self.literal(out, value, None)?;
        out.write_str(if c.sealed { "] sealed;" } else { "];" })
    }

    fn literal(
        &self,
        out: &mut dyn Write,
        value: ValueId,
        untyped: Option<anewrite_tensor::DType>,
    ) -> fmt::Result {
        let Some(c) = self.p.constant(value) else { return Ok(()) };
        let full = self.o.style == Style::Full;
        let notation = if full { Notation::Hex } else { Notation::Decimal };
        let blob: Option<BlobRef> =
            if c.tensor.count() > MAX_LITERAL { self.o.blobs.and_then(|f| f(value)) } else { None };
        let style = ConstStyle { notation, untyped, full, blob: blob.as_ref(), digest: self.o.digest };
        constant(out, &c.tensor, style)
    }

    /// The digest that a constant over [`MAX_LITERAL`] elements prints with.
    pub fn digest(&self, value: ValueId) -> Option<String> {
        digest(&self.p.constant(value)?.tensor)
    }

    fn text(&self, out: &mut dyn Write, text: &str) -> fmt::Result {
        match self.o.style {
            Style::Full => write!(out, "tensor<string, []>({})", Text(text)),
            Style::Short => write!(out, "{}", Text(text)),
        }
    }

    fn open(&self, out: &mut dyn Write, block: BlockId) -> fmt::Result {
        if !self.p.block(block).args.is_empty() {
            out.write_char(' ')?;
            self.args(out, block)?;
        }
        out.write_str(" {")
    }

    fn args(&self, out: &mut dyn Write, block: BlockId) -> fmt::Result {
        out.write_char('(')?;
        for (i, &a) in self.p.block(block).args.iter().enumerate() {
            out.write_str(if i == 0 { "" } else { ", " })?;
            self.declaration(out, a)?;
        }
        out.write_char(')')
    }

    fn outputs(&self, out: &mut dyn Write, block: Option<BlockId>) -> fmt::Result {
        out.write_str("} -> (")?;
        let outputs = block.map_or(&[][..], |b| &self.p.block(b).outputs);
        for (i, &v) in outputs.iter().enumerate() {
            out.write_str(if i == 0 { "" } else { ", " })?;
            self.name(out, v)?;
        }
        out.write_char(')')
    }

    /// A value's type and name, where it is defined.
    fn declaration(&self, out: &mut dyn Write, value: ValueId) -> fmt::Result {
        let (ty, table) = match self.o.types {
            Some((facts, table)) => (facts.ty(self.p, value), Some(table)),
            None => (self.p.ty(value), None),
        };
        if *ty != Type::Unknown || self.p.dialect == DialectId::Mil {
            write!(out, "{} ", TypeText(ty, table))?;
        }
        self.name(out, value)
    }

    fn name(&self, out: &mut dyn Write, value: ValueId) -> fmt::Result {
        write!(out, "{}", Name(&self.p.value(value).name))?;
        match self.layout.suffixes.get(&value) {
            Some(n) => write!(out, "@{n}"),
            None => Ok(()),
        }
    }

    fn attrs(&self, out: &mut dyn Write, attrs: &Attrs) -> fmt::Result {
        for (i, (key, attr)) in attrs.iter().enumerate() {
            write!(out, "{}{} = {}", if i == 0 { "[" } else { ", " }, Name(key), AttrText(attr))?;
        }
        out.write_char(']')
    }

    /// The program's attributes; maps from text to text as compiled models have them.
    fn header_attrs(&self, out: &mut dyn Write) -> fmt::Result {
        for (i, (key, attr)) in self.p.attrs.iter().enumerate() {
            write!(out, "{}{} = ", if i == 0 { "[" } else { ", " }, Name(key))?;
            match attr {
                Attr::Message(fields) if fields.iter().all(|(_, v)| matches!(v, Attr::Text(_))) => {
                    out.write_str("dict<tensor<string, []>, tensor<string, []>>({")?;
                    for (k, (name, value)) in fields.iter().enumerate() {
                        let value = value.as_str().unwrap_or_default();
                        out.write_str(if k == 0 { "" } else { ", " })?;
                        write!(out, "{{{}, {}}}", Text(name), Text(value))?;
                    }
                    out.write_str("})")?;
                }
                attr => write!(out, "{}", AttrText(attr))?,
            }
        }
        out.write_char(']')
    }
}
