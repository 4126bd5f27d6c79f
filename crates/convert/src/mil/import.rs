//! Reading an ML Program.

use anewrite_ir::{Attrs, BlockId, DialectId, Opset, Program, Type, ValueId};
use bytes::Bytes;
use coreml_proto::wire::Value;
use rustc_hash::FxHashSet;

use super::attr::attr_of;
use super::import_op::defines;
use super::names::Names;
use super::source::{BlockSource, FunctionSource, Item, ItemKind, ProgramSource, Run};
use super::value::{ValueReader, note_block};
use super::view::{NamedView, OpView, named, step};
use crate::error::{At, Problem, Read};
use crate::note::Note;
use crate::read::{Depth, Span, each_field, entry, once, text};

/// Reads the `Program` message at `range`.
pub(crate) fn import(
    values: ValueReader<'_>,
    range: Span,
    depth: Depth,
    notes: &mut Vec<Note>,
) -> Read<(Program, ProgramSource)> {
    let spec = values.spec;
    let mut reader = Reader {
        spec,
        values,
        program: Program::new(DialectId::Mil),
        source: ProgramSource::default(),
        names: Names::default(),
        views: Vec::new(),
        opset: None,
        body: 0..0,
        notes,
    };
    let depth = depth.down(1)?;
    let mut functions: Vec<(Span, Span)> = Vec::new();
    each_field(spec, range, |number, value, _| match (number, value) {
        (1, Value::Varint(_)) | (3, Value::Bytes(_)) => Ok(true),
        (2, Value::Bytes(r)) => {
            let e = entry(spec, r.clone()).at(|| "functions".into())?;
            functions.push((e.key, e.value));
            Ok(e.plain)
        }
        (4, Value::Bytes(r)) => {
            let e = entry(spec, r.clone()).at(|| "attributes".into())?;
            reader.program_attribute(&e.key, e.value, depth).at(|| step(spec, "attributes", &e.key))?;
            Ok(e.plain)
        }
        _ => Ok(false),
    })?;
    let mut seen = FxHashSet::default();
    for (key, content) in &functions {
        let name = text(spec, key.clone()).at(|| "functions".into())?;
        if !seen.insert(name) {
            return Err(Problem::RepeatedKey(name.to_owned()).into()).at(|| "functions".into());
        }
        reader.function(name, content.clone(), depth).at(|| step(spec, "functions", key))?;
    }
    if functions.is_empty() {
        return Err(Problem::Missing("functions").into());
    }
    let Reader { program, mut source, .. } = reader;
    for block in &mut source.blocks {
        for item in &mut block.items {
            if let ItemKind::Const { value, unused, .. } = &mut item.what {
                *unused = program.use_count(*value) == 0;
            }
        }
    }
    Ok((program, source))
}

pub(super) struct Reader<'a, 'n> {
    pub(super) spec: &'a Bytes,
    pub(super) values: ValueReader<'a>,
    pub(super) program: Program,
    pub(super) source: ProgramSource,
    pub(super) names: Names,
    /// Views for reuse: one is taken for each level of nesting.
    views: Vec<OpView>,
    pub(super) opset: Option<Opset>,
    /// The body of the function that is read.
    body: Span,
    notes: &'n mut Vec<Note>,
}

impl<'a> Reader<'a, '_> {
    pub(super) fn text(&self, range: Span) -> Read<&'a str> {
        text(self.spec, range)
    }

    fn program_attribute(&mut self, key: &Span, value: Span, depth: Depth) -> Read<()> {
        let name = self.program.intern(text(self.spec, key.clone())?);
        let read = self.values.value(value, depth)?;
        if let Some(attr) = attr_of(&read) {
            self.program.attrs.push((name, attr));
        }
        Ok(())
    }

    fn function(&mut self, name: &str, range: Span, depth: Depth) -> Read<()> {
        let spec = self.spec;
        let depth = depth.down(2)?;
        let (mut opset, mut inputs, mut blocks, mut attrs) = (None, Vec::new(), Vec::new(), Attrs::new());
        each_field(spec, range.clone(), |number, value, span| {
            let Value::Bytes(r) = value else { return Ok(false) };
            match number {
                1 => {
                    inputs.push(named(spec, r.clone(), span).at(|| format!("inputs[{}]", inputs.len()))?);
                    Ok(true)
                }
                2 => once(&mut opset, r.clone(), "opset"),
                3 => {
                    let e = entry(spec, r.clone()).at(|| "block_specializations".into())?;
                    blocks.push((e.key, e.value));
                    Ok(e.plain)
                }
                4 => {
                    let e = entry(spec, r.clone()).at(|| "attributes".into())?;
                    let read = self.values.value(e.value, depth).at(|| step(spec, "attributes", &e.key))?;
                    if let Some(attr) = attr_of(&read) {
                        attrs.push((self.program.intern(text(spec, e.key)?), attr));
                    }
                    Ok(e.plain)
                }
                _ => Ok(false),
            }
        })?;
        let opset = self.text(opset.unwrap_or(0..0)).at(|| "opset".into())?;
        let is_active = |key: &Span| spec.get(key.clone()) == Some(opset.as_bytes());
        let mut active = blocks.iter().filter(|(key, _)| is_active(key));
        let (key, content) = match (active.next(), active.next()) {
            (Some(one), None) => one.clone(),
            (Some(_), Some(_)) => return Err(Problem::RepeatedKey(opset.to_owned()).into()),
            (None, _) => {
                let have = blocks.iter().filter_map(|(k, _)| self.text(k.clone()).ok().map(str::to_owned));
                let have = have.collect();
                return Err(Problem::NoSpecialization { opset: opset.to_owned(), have }.into());
            }
        };
        for (key, content) in blocks.iter().filter(|(key, _)| !is_active(key)) {
            let opset = self.text(key.clone())?.to_owned();
            note_block(&mut self.values, content.clone(), depth)
                .at(|| step(spec, "block_specializations", key))?;
            self.notes.push(Note::InactiveSpecialization { function: name.to_owned(), opset });
        }
        self.opset = Opset::from_name(opset);
        self.names = Names::default();
        self.body = content.clone();
        let (func, body) = self.program.add_function(name, opset);
        self.program.set_function_attrs(func, attrs);
        self.source.functions.push(FunctionSource { body, content: range });
        for (i, input) in inputs.iter().enumerate() {
            self.arg(body, input, depth).at(|| format!("inputs[{i}]"))?;
        }
        self.block(body, content, depth.down(1)?).at(|| step(spec, "block_specializations", &key))?;
        Ok(())
    }

    /// Adds an argument. The answer is whether its message is understood.
    fn arg(&mut self, block: BlockId, view: &NamedView, depth: Depth) -> Read<bool> {
        let (name, ty, whole) = self.name_and_type(view, depth)?;
        let value = self.program.add_arg(block, name, ty);
        self.names.define(&mut self.program, value)?;
        Ok(whole)
    }

    pub(super) fn name_and_type(&mut self, view: &NamedView, depth: Depth) -> Read<(&'a str, Type, bool)> {
        let (_, name) = view.name.clone().ok_or(Problem::Missing("name"))?;
        let name = self.text(name)?;
        let Some(ty) = view.ty.clone() else { return Ok((name, Type::Unknown, false)) };
        let read = self.values.value_type(ty, depth).at(|| format!("{name:?}"))?;
        Ok((name, read.ty, read.whole && view.plain))
    }

    /// Reads the `Block` at `range` into `block`. The answer is whether all of it is understood.
    pub(super) fn block(&mut self, block: BlockId, range: Span, depth: Depth) -> Read<bool> {
        let spec = self.spec;
        let (mut inputs, mut outputs, mut operations) = (Vec::new(), Vec::new(), Vec::new());
        let mut plain = each_field(spec, range.clone(), |number, value, span| {
            let Value::Bytes(r) = value else { return Ok(false) };
            match number {
                1 => {
                    inputs.push(named(spec, r.clone(), span).at(|| format!("inputs[{}]", inputs.len()))?);
                    Ok(true)
                }
                2 => {
                    outputs.push(r.clone());
                    Ok(true)
                }
                3 => {
                    operations.push((span, r.clone()));
                    Ok(true)
                }
                4 => {
                    let e = entry(spec, r.clone()).at(|| "attributes".into())?;
                    self.values.value(e.value, depth).at(|| step(spec, "attributes", &e.key))?;
                    Ok(false)
                }
                _ => Ok(false),
            }
        })?;
        for (i, input) in inputs.iter().enumerate() {
            plain &= self.arg(block, input, depth).at(|| format!("inputs[{i}]"))?;
        }
        let args = self.run_of(&self.program.block(block).args.clone());
        self.source.set_block(block, BlockSource::new(range));
        let mut items = Vec::with_capacity(operations.len());
        self.names.reserve(operations.len());
        let mut view = self.views.pop().unwrap_or_default();
        for (i, (field, content)) in operations.into_iter().enumerate() {
            let (what, whole) = view
                .read(spec, content.clone())
                .and_then(|()| self.operation(block, &view, content.clone(), depth))
                .at(|| format!("operations[{i}]"))?;
            plain &= whole;
            if let ItemKind::Const { value, .. } = &what {
                self.source.places.set(*value, Some(i as u32));
            }
            items.push(Item { field, content, what });
        }
        self.views.push(view);
        for (i, output) in outputs.into_iter().enumerate() {
            let value = self.text(output).and_then(|name| self.find(name)).at(|| format!("outputs[{i}]"))?;
            self.program.add_output(block, value);
        }
        let outputs = self.run_of(&self.program.block(block).outputs.clone());
        if let Some(source) = self.source.block_mut(block) {
            source.items = items;
            source.args = args;
            source.outputs = outputs;
        }
        Ok(plain)
    }

    fn run_of(&mut self, values: &[ValueId]) -> Run {
        let program = &self.program;
        self.source.run(values.iter().map(|&v| (v, program.value(v).name.clone())))
    }

    pub(super) fn find(&self, name: &str) -> Read<ValueId> {
        if let Some(value) = self.names.find(name) {
            return Ok(value);
        }
        let problem = match defines(self.spec, self.body.clone(), name, Depth::default()) {
            Ok(true) => Problem::UsedBeforeDefined,
            _ => Problem::UnknownName,
        };
        Err(problem(name.to_owned()).into())
    }
}
