//! Reading an ML Program.

use anewrite_ir::mil::Mil;
use anewrite_ir::{
    Attr, Binding, BlockId, Const, ConstOrigin, Dialect, DialectId, NewOp, Op, OpId, OpSchema, Operand,
    Opset, Place, Program, Str, Type, ValueId,
};
use bytes::Bytes;
use coreml_proto::wire::Value;
use smallvec::SmallVec;

use super::names::Names;
use super::source::{BlockSource, FunctionSource, Item, ItemKind, OpSource, ProgramSource};
use super::value::{ValueRead, ValueReader, note_block, scalar_text};
use super::view::{Bound, NamedView, OpView, named, step};
use crate::error::{At, Fault, Problem, Read};
use crate::note::Note;
use crate::read::{Depth, Span, each_field, entry, once, text};

/// Elements of program attributes that are kept for the text form; longer ones are left to the file.
const MAX_ATTR_ELEMENTS: u64 = 64;

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
    for (i, (key, content)) in functions.iter().enumerate() {
        let name = text(spec, key.clone()).at(|| "functions".into())?;
        if functions.iter().take(i).any(|(k, _)| spec.get(k.clone()) == Some(name.as_bytes())) {
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

struct Reader<'a, 'n> {
    spec: &'a Bytes,
    values: ValueReader<'a>,
    program: Program,
    source: ProgramSource,
    names: Names,
    /// Views for reuse: one is taken for each level of nesting.
    views: Vec<OpView>,
    opset: Option<Opset>,
    /// The body of the function that is read.
    body: Span,
    notes: &'n mut Vec<Note>,
}

impl<'a> Reader<'a, '_> {
    fn text(&self, range: Span) -> Read<&'a str> {
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
        let (mut opset, mut inputs, mut blocks) = (None, Vec::new(), Vec::new());
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
                    self.values.value(e.value, depth).at(|| step(spec, "attributes", &e.key))?;
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
        let (_, body) = self.program.add_function(name, opset);
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

    fn name_and_type(&mut self, view: &NamedView, depth: Depth) -> Read<(&'a str, Type, bool)> {
        let (_, name) = view.name.clone().ok_or(Problem::Missing("name"))?;
        let name = self.text(name)?;
        let Some(ty) = view.ty.clone() else { return Ok((name, Type::Unknown, false)) };
        let read = self.values.value_type(ty, depth).at(|| format!("{name:?}"))?;
        Ok((name, read.ty, read.whole && view.plain))
    }

    /// Reads the `Block` at `range` into `block`. The answer is whether all of it is understood.
    fn block(&mut self, block: BlockId, range: Span, depth: Depth) -> Read<bool> {
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

    fn run_of(&mut self, values: &[ValueId]) -> super::source::Run {
        let program = &self.program;
        self.source.run(values.iter().map(|&v| (v, program.value(v).name.clone())))
    }

    fn find(&self, name: &str) -> Read<ValueId> {
        if let Some(value) = self.names.find(name) {
            return Ok(value);
        }
        let problem = match defines(self.spec, self.body.clone(), name, Depth::default()) {
            Ok(true) => Problem::UsedBeforeDefined,
            _ => Problem::UnknownName,
        };
        Err(problem(name.to_owned()).into())
    }

    fn operation(
        &mut self,
        block: BlockId,
        view: &OpView,
        content: Span,
        depth: Depth,
    ) -> Read<(ItemKind, bool)> {
        let depth = depth.down(1)?;
        let kind = self.text(view.kind.clone()).at(|| "type".into())?;
        if kind == "const"
            && let Some(read) = self.constant(block, view, depth)?
        {
            return Ok(read);
        }
        self.op(block, kind, view, content, depth)
    }

    /// Reads a `const` op as a constant; `None` where it has any other form than the usual, so that it is an op like
    /// any that is not known.
    fn constant(&mut self, block: BlockId, view: &OpView, depth: Depth) -> Read<Option<(ItemKind, bool)>> {
        let [output] = view.outputs.as_slice() else { return Ok(None) };
        if !view.inputs.is_empty() || !view.blocks.is_empty() {
            return Ok(None);
        }
        let (mut name, mut val, mut plain) = (None, None, view.plain);
        for attribute in &view.attributes {
            match self.text(attribute.key.clone())? {
                "name" => {
                    let text = self.op_name(attribute.value.clone(), depth)?;
                    plain &= text.is_some();
                    once(&mut name, text, "the attribute name")?;
                }
                "val" => {
                    let refs = self.values.uses.refs.len();
                    let read = self.values.value(attribute.value.clone(), depth);
                    let read = read.at(|| "attributes[\"val\"]".into())?;
                    let blob = (self.values.uses.refs.len() > refs).then_some(refs as u32);
                    once(&mut val, (read, blob), "the attribute val")?;
                }
                _ => return Ok(None),
            }
        }
        let Some((ValueRead { ty, tensor: Some(tensor), whole, .. }, blob)) = val else { return Ok(None) };
        let (value_name, declared, known) = self.name_and_type(output, depth).at(|| "outputs[0]".into())?;
        plain &= whole && known && declared == ty;
        let origin = ConstOrigin::ConstOp { name: name.flatten() };
        let data = Const { tensor, origin, sealed: !plain };
        let value = self.program.add_const(block, value_name, data);
        self.names.define(&mut self.program, value)?;
        if blob.is_some() {
            self.source.blobs.set(value, blob);
        }
        let name = self.program.value(value).name.clone();
        Ok(Some((ItemKind::Const { value, name, unused: false }, plain)))
    }

    /// The text of a `name` attribute, if it is one text and nothing else.
    fn op_name(&mut self, value: Span, depth: Depth) -> Read<Option<Str>> {
        if let Some(text) = scalar_text(self.spec, value.clone()) {
            return Ok(Some(self.program.intern(text)));
        }
        let read = self.values.value(value, depth).at(|| "attributes[\"name\"]".into())?;
        let text = read.tensor.as_ref().filter(|t| read.whole && t.rank() == 0).and_then(|t| t.scalar_str());
        Ok(text.map(|t| self.program.intern(t)))
    }

    fn op(
        &mut self,
        block: BlockId,
        kind: &str,
        view: &OpView,
        content: Span,
        depth: Depth,
    ) -> Read<(ItemKind, bool)> {
        let schema = self.opset.and_then(|opset| Mil.schema(kind, opset));
        let mut skipped = Vec::new();
        let mut plain = view.plain;
        let mut operands = Vec::with_capacity(view.bindings.len());
        for input in &view.inputs {
            let (read, known) = self
                .input(block, schema, input, view, &mut operands, &mut skipped, depth)
                .at(|| step(self.spec, "inputs", &input.key))?;
            plain &= known && read;
        }
        let mut name = None;
        for (i, attribute) in view.attributes.iter().enumerate() {
            let key = self.text(attribute.key.clone()).at(|| "attributes".into())?;
            if key == "name" {
                let text = self.op_name(attribute.value.clone(), depth)?;
                plain &= text.is_some() && name.is_none();
                name = text.or(name);
                continue;
            }
            let read = self.in_place(block, attribute.value.clone(), depth);
            let (value, whole) = read.at(|| step(self.spec, "attributes", &attribute.key))?;
            // On ops that are not known, an attribute may be an input or a setting.
            plain &= whole && schema.is_some_and(|s| s.param(key).is_some());
            match value {
                Some(value) => {
                    let param = self.program.intern(key);
                    operands.push(Operand { param, value, binding: Binding::Attribute });
                }
                None => skipped.push(view.bindings.len() + i),
            }
        }
        let mut results = Vec::with_capacity(view.outputs.len());
        for (i, output) in view.outputs.iter().enumerate() {
            let read = self.name_and_type(output, depth).at(|| format!("outputs[{i}]"))?;
            let (name, ty, whole) = read;
            plain &= whole;
            results.push((self.program.intern(name), ty));
        }
        let op = Op {
            kind: self.program.intern(kind),
            name: name.clone(),
            operands,
            attrs: Vec::new(),
            blocks: SmallVec::new(),
            results: SmallVec::new(),
            sealed: !plain,
        };
        let id = self.program.add_op(Place::End(block), NewOp { op, results });
        self.remember(id, content, name, skipped);
        for (i, content) in view.blocks.iter().enumerate() {
            let inner = self.program.add_block(id);
            self.names.enter();
            let whole = depth.down(1).and_then(|depth| self.block(inner, content.clone(), depth));
            plain &= whole.at(|| format!("blocks[{i}]"))?;
            self.names.leave();
        }
        if !plain {
            self.program.seal(id);
        }
        for i in 0..self.program.op(id).results.len() {
            let result = self.program.op(id).results[i];
            self.names.define(&mut self.program, result).at(|| format!("outputs[{i}]"))?;
        }
        Ok((ItemKind::Op(id), plain))
    }

    #[allow(clippy::too_many_arguments, reason = "the state of one op under reading")]
    fn input(
        &mut self,
        block: BlockId,
        schema: Option<&OpSchema>,
        input: &super::view::Input,
        view: &OpView,
        operands: &mut Vec<Operand>,
        skipped: &mut Vec<usize>,
        depth: Depth,
    ) -> Read<(bool, bool)> {
        let key = self.text(input.key.clone())?;
        let known = schema.is_none_or(|s| s.param(key).is_some());
        let param = self.program.intern(key);
        let mut read_all = !input.bindings.is_empty();
        for slot in input.bindings.clone() {
            let Some(binding) = view.bindings.get(slot) else { continue };
            let (value, binding) = match &binding.to {
                Bound::Name(r) => (Some(self.find(self.text(r.clone())?)?), Binding::Name),
                Bound::Value(r) => {
                    let (value, whole) = self.in_place(block, r.clone(), depth.down(3)?)?;
                    read_all &= whole;
                    (value, Binding::Inline)
                }
                Bound::Nothing => (None, Binding::Name),
            };
            match value {
                Some(value) => operands.push(Operand { param: param.clone(), value, binding }),
                None => {
                    read_all = false;
                    skipped.push(slot);
                }
            }
        }
        Ok((read_all, known))
    }

    /// Makes the `Value` at `range` a constant without a name, if it is a tensor.
    fn in_place(&mut self, block: BlockId, range: Span, depth: Depth) -> Read<(Option<ValueId>, bool)> {
        let refs = self.values.uses.refs.len();
        let read = self.values.value(range, depth)?;
        let Some(tensor) = read.tensor else { return Ok((None, false)) };
        let data = Const { tensor, origin: ConstOrigin::InPlace, sealed: !read.whole };
        let value = self.program.add_const(block, "", data);
        if self.values.uses.refs.len() > refs {
            self.source.blobs.set(value, Some(refs as u32));
        }
        Ok((Some(value), read.whole))
    }

    fn remember(&mut self, op: OpId, content: Span, name: Option<Str>, skipped: Vec<usize>) {
        let program = &self.program;
        let name_of = |v: ValueId| (v, program.value(v).name.clone());
        let operands = self.source.run(program.op(op).operands.iter().map(|o| name_of(o.value)));
        let results = self.source.run(program.op(op).results.iter().map(|&v| name_of(v)));
        self.source.ops.push(OpSource { content, name, operands, results });
        if !skipped.is_empty() {
            self.source.skipped.insert(op, skipped);
        }
    }
}

/// Whether some op of the block at `range`, or of one nested in it, defines `name`.
fn defines(spec: &Bytes, range: Span, name: &str, depth: Depth) -> Read<bool> {
    let (mut found, mut view) = (false, OpView::default());
    let mut nested = Vec::new();
    each_field(spec, range, |number, value, _| {
        if let (3, Value::Bytes(r)) = (number, value) {
            view.read(spec, r.clone())?;
            nested.append(&mut view.blocks);
            let has = |o: &NamedView| o.name.clone().and_then(|(_, r)| spec.get(r)) == Some(name.as_bytes());
            found |= view.outputs.iter().any(has);
        }
        Ok::<_, Fault>(true)
    })?;
    for block in nested {
        found = found || defines(spec, block, name, depth.down(2)?)?;
    }
    Ok(found)
}

/// A small value as an attribute for the text form.
fn attr_of(read: &ValueRead) -> Option<Attr> {
    if let Some(tensor) = &read.tensor {
        if tensor.count() > MAX_ATTR_ELEMENTS {
            return None;
        }
        let mut all: Vec<Attr> = if let Some(texts) = tensor.strings() {
            texts.iter().map(|t| Attr::Text(t.clone())).collect()
        } else if tensor.dtype().is_float() {
            tensor.to_f64s().ok()?.into_iter().map(Attr::Float).collect()
        } else {
            let bools = tensor.dtype() == anewrite_tensor::DType::Bool;
            let one = |n: i64| if bools { Attr::Bool(n != 0) } else { Attr::Int(n) };
            tensor.to_i64s().ok()?.into_iter().map(one).collect()
        };
        return if tensor.rank() == 0 { all.pop() } else { Some(Attr::List(all)) };
    }
    match &read.ty {
        Type::Dict { .. } => {
            let pairs = read.items.as_chunks::<2>().0.iter();
            let pairs = pairs.map(|[k, v]| Some((k.tensor.as_ref()?.scalar_str()?.into(), attr_of(v)?)));
            Some(Attr::Message(pairs.collect::<Option<_>>()?))
        }
        _ => Some(Attr::List(read.items.iter().map(attr_of).collect::<Option<_>>()?)),
    }
}
