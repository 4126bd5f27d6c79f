//! Reading a NeuralNetwork.

use anewrite_ir::{
    Attr, Attrs, Binding, BlockId, Const, ConstOrigin, DialectId, NewOp, Op, Operand, Place, Program, Str,
    Type, ValueId,
};
use bytes::Bytes;
use coreml_proto::message;
use coreml_proto::wire::Value;
use prost_reflect::{Kind, MessageDescriptor};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::header::{NetworkKind, attributes, header, outputs, shows_no_shape};
use super::message::{MessageRead, read};
use super::source::{BlockSource, LayerSource, NetworkSource};
use super::types::{Mapping, input_type};
use super::usage::Usage;
use super::version::needed;
use super::view::LayerView;
use super::{CARRIED, INPUT, NETWORKS};
use crate::document::ModelInfo;
use crate::error::{At, Problem, Read};
use crate::note::Note;
use crate::read::{Depth, Span, each_field, text};

/// Reads the network message at `range`.
pub(crate) fn import(
    spec: &Bytes,
    range: Span,
    kind: NetworkKind,
    info: &ModelInfo,
    depth: Depth,
    notes: &mut Vec<Note>,
) -> Read<(Program, NetworkSource)> {
    let layer = message("CoreML.Specification.NeuralNetworkLayer").ok_or(Problem::Missing("the schema"))?;
    let header = header(spec, range.clone(), kind)?;
    let description = &info.description;
    let mut program = Program::new(DialectId::Nn);
    let mapping = Mapping { exact_arrays: header.arrays == Some(1), rank4_images: header.images == Some(1) };
    program.attrs = attributes(spec, &header, depth)?;
    if shows_no_shape(info, &header, kind) {
        program.attrs.push((anewrite_nn::Mapping::UNSEEN.into(), Attr::Bool(true)));
    }

    let outputs = outputs(spec, &layer, &header, info, kind)?;
    let inputs = description.input.iter().map(|f| f.name.as_str());
    let read = outputs.iter().map(|(name, _)| name.as_str());
    let usage = Usage::of(spec, &layer, range.clone(), inputs, read, depth)?;
    let (_, body) = program.add_function("main", "");
    let mut reader = Reader {
        spec,
        layer,
        usage,
        program,
        source: NetworkSource { body: Some(body), ..NetworkSource::default() },
        current: FxHashMap::default(),
        hidden: Vec::new(),
        kinds: FxHashMap::default(),
    };
    for feature in &description.input {
        let ty = input_type(feature.r#type.as_ref(), mapping);
        if reader.current.contains_key(feature.name.as_str()) {
            return Err(Problem::DefinedTwice(feature.name.clone()).into()).at(|| "description.input".into());
        }
        reader.arg(body, &feature.name, ty, false);
    }
    reader.network(body, range, depth)?;
    let (mut made, mut seen) = (Vec::new(), FxHashSet::default());
    for (name, must) in &outputs {
        match reader.current.get(name.as_str()) {
            Some(&value) if seen.insert(value) => made.push(value),
            None if *must => notes.push(Note::OutputNotMade { output: name.clone() }),
            _ => {}
        }
    }
    if made.is_empty() {
        notes.push(Note::NoOutput);
        let p = &reader.program;
        let results = p.ops(body).flat_map(|op| p.op(op).results.iter().copied());
        made = results.filter(|&r| p.use_count(r) == 0).collect();
    }
    for value in made {
        reader.program.add_output(body, value);
    }
    let Reader { program, mut source, .. } = reader;
    if let Some(block) = source.blocks.first_mut() {
        let name = |&v: &ValueId| program.value(v).name.clone();
        block.args = program.block(body).args.iter().map(name).collect();
        block.outputs = program.block(body).outputs.iter().map(name).collect();
    }
    source.needs = needed(info, &program);
    Ok((program, source))
}

struct Reader<'a> {
    spec: &'a Bytes,
    layer: MessageDescriptor,
    usage: Usage<'a>,
    program: Program,
    source: NetworkSource,
    /// The value that each name stands for.
    current: FxHashMap<Str, ValueId>,
    /// What definitions in nested networks hid.
    hidden: Vec<(Str, Option<ValueId>)>,
    kinds: FxHashMap<u32, Str>,
}

impl<'a> Reader<'a> {
    fn define(&mut self, value: ValueId) {
        let name = self.program.value(value).name.clone();
        if self.usage.is_shared(&name) {
            self.program.pin(value);
        }
        let old = self.current.insert(name.clone(), value);
        self.hidden.push((name, old));
    }

    fn arg(&mut self, block: BlockId, name: &str, ty: Type, pinned: bool) {
        let value = self.program.add_arg(block, name, ty);
        if pinned {
            self.program.pin(value);
        }
        self.define(value);
    }

    fn network(&mut self, block: BlockId, range: Span, depth: Depth) -> Read<bool> {
        let spec = self.spec;
        let depth = depth.down(1)?;
        let mut layers = Vec::new();
        let mut plain = each_field(spec, range.clone(), |number, value, span| match (number, value) {
            (1, Value::Bytes(r)) => {
                layers.push((span, r.clone()));
                Ok(true)
            }
            (2, Value::Bytes(_)) | (5 | 6, Value::Varint(_)) | (10, Value::Bytes(_)) => Ok(true),
            _ => Ok(false),
        })?;
        let at = self.source.blocks.len();
        self.source.blocks.push(BlockSource { content: range, ..BlockSource::default() });
        let mut items = Vec::with_capacity(layers.len());
        for (i, (field, content)) in layers.into_iter().enumerate() {
            let (op, whole) = self.one(block, content, depth).at(|| format!("layers[{i}]"))?;
            plain &= whole;
            items.push((field, op));
        }
        if let Some(source) = self.source.blocks.get_mut(at) {
            source.items = items;
        }
        Ok(plain)
    }

    fn one(&mut self, block: BlockId, content: Span, depth: Depth) -> Read<(anewrite_ir::OpId, bool)> {
        let spec = self.spec;
        let depth = depth.down(1)?;
        let view = LayerView::read(spec, &self.layer, content.clone())?;
        let name = match &view.name {
            Some((_, r)) => Some(self.program.intern(text(spec, r.clone()).at(|| "name".into())?)),
            None => None,
        };
        let (kind, params) = self.params(&view, depth)?;
        let mut plain = view.plain && view.member.is_some() && !params.odd;
        let is_trained = params.is_updatable || view.is_updatable == Some(true);

        let mut operands = Vec::with_capacity(view.inputs.len() + params.weights.len());
        let input = self.program.intern(INPUT);
        for (i, (_, r)) in view.inputs.iter().enumerate() {
            let value =
                text(spec, r.clone()).and_then(|name| self.find(name)).at(|| format!("input[{i}]"))?;
            operands.push(Operand { param: input.clone(), value, binding: Binding::Name });
        }
        let shared = self.shared(&params);
        let carried = self.program.intern(CARRIED);
        for name in &shared {
            if let Some(&value) = self.current.get(name) {
                operands.push(Operand { param: carried.clone(), value, binding: Binding::Name });
            }
        }
        for (path, tensor) in params.weights {
            let data = Const { tensor, origin: ConstOrigin::InPlace, sealed: false };
            let value = self.program.add_const(block, "", data);
            let param = self.program.intern(&path);
            operands.push(Operand { param, value, binding: Binding::Attribute });
        }
        let mut results = Vec::with_capacity(view.outputs.len() + shared.len());
        let mut here = FxHashSet::default();
        for (i, (_, r)) in view.outputs.iter().enumerate() {
            let name = text(spec, r.clone()).at(|| format!("output[{i}]"))?;
            if !here.insert(name) {
                return Err(Problem::DefinedTwice(name.to_owned()).into()).at(|| format!("output[{i}]"));
            }
            results.push((self.program.intern(name), Type::Unknown));
        }
        results.extend(shared.iter().map(|name| (name.clone(), Type::Unknown)));
        let attrs = self.layer_attrs(&view, params.fields, &params.networks, depth, &mut plain)?;
        let op = Op {
            kind,
            name: name.clone(),
            operands,
            attrs,
            blocks: SmallVec::new(),
            results: SmallVec::new(),
            sealed: !plain || is_trained,
        };
        let id = self.program.add_op(Place::End(block), NewOp { op, results });
        self.remember(id, content, name, view.outputs.len());
        for (field, _, range) in &params.networks {
            let inner = self.program.add_block(id);
            let whole = self.nested(inner, range.clone(), &shared, depth).at(|| field.to_string())?;
            plain &= whole;
        }
        if !plain {
            self.program.seal(id);
        }
        for i in 0..self.program.op(id).results.len() {
            let result = self.program.op(id).results[i];
            if i >= view.outputs.len() {
                self.program.pin(result);
            }
            self.define(result);
        }
        Ok((id, plain))
    }

    /// Reads a network inside a layer. What it overwrites enters as arguments and leaves as outputs, in one order for
    /// all networks of the layer.
    fn nested(&mut self, block: BlockId, range: Span, shared: &[Str], depth: Depth) -> Read<bool> {
        let before = self.hidden.len();
        for name in shared {
            self.arg(block, name, Type::Unknown, true);
        }
        let plain = self.network(block, range, depth.down(1)?)?;
        for name in shared {
            if let Some(&value) = self.current.get(name) {
                self.program.add_output(block, value);
            }
        }
        while self.hidden.len() > before {
            let Some((name, old)) = self.hidden.pop() else { break };
            match old {
                Some(value) => self.current.insert(name, value),
                None => self.current.remove(&name),
            };
        }
        Ok(plain)
    }

    /// The blobs that the networks inside a layer share with what is around it.
    fn shared(&mut self, params: &MessageRead) -> Vec<Str> {
        let mut names: Vec<Str> = Vec::new();
        let mut seen = FxHashSet::default();
        for (_, _, range) in &params.networks {
            for name in self.usage.shared_in(range) {
                if seen.insert(name) {
                    names.push(self.program.intern(name));
                }
            }
        }
        names
    }

    fn find(&self, name: &str) -> Read<ValueId> {
        match self.current.get(name) {
            Some(&value) => Ok(value),
            None if self.usage.is_written(name) => Err(Problem::UsedBeforeDefined(name.to_owned()).into()),
            None => Err(Problem::UnknownName(name.to_owned()).into()),
        }
    }

    /// The layer's kind and parameters.
    fn params(&mut self, view: &LayerView, depth: Depth) -> Read<(Str, MessageRead)> {
        let Some((number, content)) = view.member.clone() else {
            return Ok((self.program.intern(super::UNKNOWN), MessageRead::default()));
        };
        let field = self.layer.get_field(number).ok_or(Problem::Missing("layer"))?;
        let kind = match self.kinds.get(&number) {
            Some(kind) => kind.clone(),
            None => {
                let kind = self.program.intern(&format!("nn.{}", field.name()));
                self.kinds.insert(number, kind.clone());
                kind
            }
        };
        let Kind::Message(message) = field.kind() else { return Ok((kind, MessageRead::default())) };
        let params = read(self.spec, &message, content, depth).at(|| field.name().to_owned())?;
        Ok((kind, params))
    }

    fn layer_attrs(
        &mut self,
        view: &LayerView,
        fields: Vec<(Str, Attr)>,
        networks: &[(Str, u32, Span)],
        depth: Depth,
        plain: &mut bool,
    ) -> Read<Attrs> {
        let mut attrs = fields;
        if !networks.is_empty() {
            let names = networks.iter().map(|(name, ..)| Attr::Text(name.clone())).collect();
            attrs.push((NETWORKS.into(), Attr::List(names)));
        }
        if let Some(is_updatable) = view.is_updatable {
            attrs.push(("layer.isUpdatable".into(), Attr::Bool(is_updatable)));
        }
        let tensors =
            [("layer.inputTensor", &view.input_tensors), ("layer.outputTensor", &view.output_tensors)];
        if let Some(tensor) = message("CoreML.Specification.Tensor") {
            for (name, ranges) in tensors.into_iter().filter(|(_, r)| !r.is_empty()) {
                let mut all = Vec::new();
                for r in ranges {
                    let read = read(self.spec, &tensor, r.clone(), depth).at(|| name.to_owned())?;
                    *plain &= !read.odd;
                    all.push(Attr::Message(read.fields));
                }
                attrs.push((name.into(), Attr::List(all)));
            }
        }
        Ok(attrs)
    }

    fn remember(&mut self, op: anewrite_ir::OpId, content: Span, name: Option<Str>, named_results: usize) {
        let program = &self.program;
        let named = |v: ValueId| (v, program.value(v).name.clone());
        let operands = program.op(op).operands.iter().map(|o| named(o.value)).collect();
        let results = program.op(op).results.iter().map(|&v| named(v)).collect();
        self.source.layers.push(LayerSource { content, name, operands, results, named_results });
    }
}
