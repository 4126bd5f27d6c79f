//! Writing a NeuralNetwork: what changed in each layer of the source, as edits.

use anewrite_ir::{Attr, BlockId, Op, OpId, Operand, Program, Str, ValueId};
use coreml_proto::message;
use coreml_proto::rope::Rope;
use coreml_proto::wire::{Fields, Value};
use prost_reflect::{Kind, MessageDescriptor};

use super::encode::{Encoder, Weights};
use super::message::{NETWORK, PAYLOADS, read};
use super::source::{LayerSource, NetworkSource};
use super::version::sink;
use super::view::LayerView;
use super::{CARRIED, INPUT, NETWORKS};
use crate::document::Part;
use crate::error::Problem;
use crate::export::{ExportError, ExportProblem, Sheet};
use crate::place::{Step, steps};
use crate::read::{Depth, Span, each_field};

/// Field number of the layers in each kind of network.
const LAYERS: u32 = 1;

/// Adds the edits for the network of `part`.
pub(crate) fn export(sheet: &mut Sheet<'_>, part: &Part, source: &NetworkSource) -> Result<(), ExportError> {
    let schema = message("CoreML.Specification.NeuralNetworkLayer");
    let place = String::from("network");
    let Some(layer) = schema else { return Err(ExportError::new(place, ExportProblem::UnknownLayer)) };
    let mut writer = Writer { sheet, program: &part.program, source, layer, place };
    writer.network().map_err(|problem| ExportError::new(writer.place.clone(), problem))?;
    let changed = !sheet.anew && !sheet.edits.is_empty();
    // inside a pipeline the version is that of the whole
    if changed && part.path.is_empty() {
        sink(sheet, part, source.needs)
            .map_err(|problem| ExportError::new("specificationVersion".into(), problem))?;
    }
    Ok(())
}

struct Writer<'w, 'a> {
    sheet: &'w mut Sheet<'a>,
    program: &'w Program,
    source: &'w NetworkSource,
    layer: MessageDescriptor,
    /// The layer that is being written, for errors.
    place: String,
}

impl Writer<'_, '_> {
    fn network(&mut self) -> Result<(), ExportProblem> {
        let p = self.program;
        let Some(body) = self.source.body else { return Ok(()) };
        if p.functions().count() != 1 {
            return Err(ExportProblem::Interface("a function was added".into()));
        }
        let Some(from) = self.source.block(body) else { return Ok(()) };
        let block = p.block(body);
        for (old, now) in [(&from.args, &block.args), (&from.outputs, &block.outputs)] {
            if now.len() != old.len() || now.iter().zip(old).any(|(&v, name)| p.value(v).name != *name) {
                return Err(ExportProblem::Interface("inputs or outputs of a network were renamed".into()));
            }
        }
        self.block(body)
    }

    fn block(&mut self, block: BlockId) -> Result<(), ExportProblem> {
        let source = self.source;
        let Some(from) = source.block(block) else {
            return Err(ExportProblem::Interface("a network was added to a layer".into()));
        };
        let items: Vec<_> = from.items.iter().map(|(field, op)| (field, Some(*op))).collect();
        let is_new = |op| source.layer(op).is_none();
        for step in steps(self.program, block, &items, &from.content, is_new)? {
            match step {
                Step::New(op, place) => {
                    self.at_op(op);
                    let mut field = Rope::new();
                    field.push_field(LAYERS, &self.new_layer(op)?);
                    self.sheet.insert(&place, field);
                }
                Step::Gone(i) => {
                    if let Some((field, _)) = from.items.get(i) {
                        self.sheet.drop(field.clone());
                    }
                }
                Step::Item(i) => {
                    if let Some((_, op)) = from.items.get(i) {
                        self.at_op(*op);
                        self.source_layer(*op)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn at_op(&mut self, op: OpId) {
        let op = self.program.op(op);
        let name = op.name.clone().or_else(|| op.result().map(|r| self.program.value(r).name.clone()));
        self.place = format!("layer {:?} ({})", name.as_deref().unwrap_or_default(), op.kind);
    }

    fn name(&self, value: ValueId) -> Str {
        self.program.value(value).name.clone()
    }

    fn source_layer(&mut self, op: OpId) -> Result<(), ExportProblem> {
        let Some(from) = self.source.layer(op) else { return Ok(()) };
        let now = self.program.op(op);
        let same =
            |v: ValueId, (old, name): &(ValueId, Str)| v == *old && self.program.value(v).name == *name;
        let is_changed = now.name != from.name
            || now.operands.len() != from.operands.len()
            || now.results.len() != from.results.len()
            || now.operands.iter().zip(&from.operands).any(|(o, old)| !same(o.value, old))
            || now.results.iter().zip(&from.results).any(|(&r, old)| !same(r, old));
        if is_changed || self.sheet.anew {
            self.edit(now, from)?;
        }
        for &block in &now.blocks {
            self.block(block)?;
        }
        Ok(())
    }

    fn edit(&mut self, now: &Op, from: &LayerSource) -> Result<(), ExportProblem> {
        let anew = self.sheet.anew;
        let view = LayerView::read(self.sheet.spec, &self.layer, from.content.clone())?;
        if now.operands.len() != from.operands.len() || now.results.len() != from.results.len() {
            return Err(ExportProblem::Interface("operands or results were added to a layer".into()));
        }
        if anew || now.name != from.name {
            let mut field = Rope::new();
            push_text(&mut field, 1, now.name.as_deref().unwrap_or_default());
            match &view.name {
                Some((at, _)) => self.sheet.replace(at.clone(), field),
                None if now.name.is_some() => self.sheet.edits.append(from.content.clone(), field),
                None => {}
            }
        }
        let mut inputs = view.inputs.iter();
        for (operand, (old, name)) in now.operands.iter().zip(&from.operands) {
            let current = self.name(operand.value);
            match &*operand.param {
                INPUT => {
                    if self.program.constant(operand.value).is_some() {
                        return Err(ExportProblem::ConstantInput);
                    }
                    if let Some((field, _)) = inputs.next()
                        && (anew || current != *name)
                    {
                        self.replace_text(field, 2, &current);
                    }
                }
                CARRIED if current != *name => {
                    return Err(ExportProblem::Interface("a blob that a loop overwrites was renamed".into()));
                }
                CARRIED => {}
                path if operand.value != *old => self.edit_weight(&view, path, operand)?,
                _ => {}
            }
        }
        for (i, (&result, (_, name))) in now.results.iter().zip(&from.results).enumerate() {
            let current = self.name(result);
            match view.outputs.get(i).filter(|_| i < from.named_results) {
                Some((field, _)) if anew || current != *name => self.replace_text(field, 3, &current),
                None if current != *name => {
                    return Err(ExportProblem::Interface("a blob that a loop overwrites was renamed".into()));
                }
                _ => {}
            }
        }
        if anew { self.params_anew(now, &view, from) } else { Ok(()) }
    }

    fn replace_text(&mut self, field: &Span, number: u32, text: &str) {
        let mut rope = Rope::new();
        push_text(&mut rope, number, text);
        self.sheet.replace(field.clone(), rope);
    }

    /// Puts other elements into one weight of a layer of the source.
    fn edit_weight(&mut self, view: &LayerView, path: &str, operand: &Operand) -> Result<(), ExportProblem> {
        let wrong = || ExportProblem::Attribute(path.to_owned());
        let spec = self.sheet.spec;
        let data = self.program.constant(operand.value).ok_or(ExportProblem::NotConstant(path.into()))?;
        let (number, content) = view.member.clone().ok_or_else(wrong)?;
        let field = self.layer.get_field(number).ok_or_else(wrong)?;
        let Kind::Message(params) = field.kind() else { return Err(wrong()) };
        let content = locate(spec, params, content, path)?.ok_or_else(wrong)?;
        let weights = Weights::new();
        let mut rope = Rope::new();
        Encoder { spec, weights: &weights }.elements(&data.tensor, &mut rope)?;
        let mut old = Vec::new();
        each_field(spec, content.clone(), |number, _, span| {
            if PAYLOADS.iter().any(|(n, _)| *n == number) {
                old.push(span);
            }
            Ok(true)
        })?;
        let mut old = old.into_iter();
        match old.next() {
            Some(first) => self.sheet.replace(first, rope),
            None => self.sheet.edits.append(content, rope),
        }
        for other in old {
            self.sheet.drop(other);
        }
        Ok(())
    }

    /// Makes the parameters of a layer of the source anew, but for what is not in the schema.
    fn params_anew(&mut self, now: &Op, view: &LayerView, from: &LayerSource) -> Result<(), ExportProblem> {
        let spec = self.sheet.spec;
        let weights = weights(self.program, now);
        let encoder = Encoder { spec, weights: &weights };
        let is_layer_field = |number| matches!(number, 4 | 5 | 10);
        let mut fields = vec![(self.layer.clone(), from.content.clone(), "layer.")];
        if let Some((number, content)) = view.member.clone()
            && let Some(Kind::Message(params)) = self.layer.get_field(number).map(|f| f.kind())
        {
            fields.push((params, content, ""));
        }
        for (message, content, prefix) in fields {
            let mut spans: Vec<(u32, Vec<Span>)> = Vec::new();
            for field in Fields::within(spec, content)? {
                let field = field?;
                if !prefix.is_empty() && !is_layer_field(field.number) {
                    continue;
                }
                match spans.iter_mut().find(|(n, _)| *n == field.number) {
                    Some((_, all)) => all.push(field.span),
                    None => spans.push((field.number, vec![field.span])),
                }
            }
            for (number, spans) in spans {
                let Some(field) = message.get_field(number) else { continue };
                let is_network = matches!(field.kind(), Kind::Message(m) if m.full_name() == NETWORK);
                let is_odd = |span: &Span| {
                    now.sealed && read(spec, &message, span.clone(), Depth::default()).is_ok_and(|r| r.odd)
                };
                if is_network || spans.iter().any(is_odd) {
                    continue;
                }
                let name = format!("{prefix}{}", field.name());
                let attr = now.attr(&name);
                if attr.is_none() && !encoder.has_weights(field.name()) {
                    continue;
                }
                let mut rope = Rope::new();
                encoder.field(&field, attr, field.name(), &mut rope)?;
                let mut spans = spans.into_iter();
                if let Some(first) = spans.next() {
                    self.sheet.replace(first, rope);
                }
                for other in spans {
                    self.sheet.drop(other);
                }
            }
        }
        Ok(())
    }

    /// A new layer's message.
    fn new_layer(&mut self, op: OpId) -> Result<Rope, ExportProblem> {
        let now = self.program.op(op);
        let kind = now.kind.strip_prefix("nn.").and_then(|name| self.layer.get_field_by_name(name));
        let field = kind.filter(|f| f.containing_oneof().is_some()).ok_or(ExportProblem::UnknownLayer)?;
        let Kind::Message(params) = field.kind() else { return Err(ExportProblem::UnknownLayer) };
        let first = now.result().map(|r| self.name(r));
        let mut rope = Rope::new();
        push_text(&mut rope, 1, now.name.clone().or(first).as_deref().unwrap_or_default());
        for operand in &now.operands {
            let constant = self.program.constant(operand.value).is_some();
            match &*operand.param {
                INPUT if constant => return Err(ExportProblem::ConstantInput),
                INPUT => push_text(&mut rope, 2, &self.name(operand.value)),
                CARRIED => {}
                path if !constant => return Err(ExportProblem::NotConstant(path.to_owned())),
                _ => {}
            }
        }
        // Blobs that nested networks overwrite are no outputs of the layer itself: its blocks give them.
        let carried = now.blocks.first().map_or(0, |&b| self.program.block(b).outputs.len());
        for &result in now.results.iter().take(now.results.len().saturating_sub(carried)) {
            push_text(&mut rope, 3, &self.name(result));
        }
        let weights = weights(self.program, now);
        let encoder = Encoder { spec: self.sheet.spec, weights: &weights };
        let mut fields = Vec::new();
        for (name, attr) in &now.attrs {
            match name.strip_prefix("layer.") {
                None => fields.push((name.clone(), attr.clone())),
                Some(_) if **name == *NETWORKS => {}
                Some(own) => {
                    let wrong = || ExportProblem::Attribute(name.to_string());
                    let field = self.layer.get_field_by_name(own).ok_or_else(wrong)?;
                    encoder.field(&field, Some(attr), own, &mut rope)?;
                }
            }
        }
        // The format's text says that a scale is 1 by default, its encoding that one left out is 0: readers differ.
        if &*now.kind == "nn.unary" && now.attr("scale").is_none() {
            fields.push(("scale".into(), Attr::Float(1.0)));
        }
        let mut content = encoder.message(&params, &fields, "")?;
        for (number, block) in self.networks(now, &params)? {
            let mut network = Rope::new();
            for inner in self.program.ops(block) {
                network.push_field(LAYERS, &self.new_layer(inner)?);
            }
            content.push_field(number, &network);
        }
        rope.push_field(field.number(), &content);
        Ok(rope)
    }

    /// The fields that the blocks of a new layer go into.
    fn networks(&self, op: &Op, params: &MessageDescriptor) -> Result<Vec<(u32, BlockId)>, ExportProblem> {
        let wrong = || ExportProblem::Attribute(NETWORKS.to_owned());
        let names = match op.attr(NETWORKS) {
            Some(Attr::List(names)) => names.as_slice(),
            _ => &[],
        };
        if names.len() != op.blocks.len() {
            return Err(wrong());
        }
        let number = |(name, &block): (&Attr, &BlockId)| {
            let field = params.get_field_by_name(name.as_str()?)?;
            Some((field.number(), block))
        };
        names.iter().zip(&op.blocks).map(number).collect::<Option<_>>().ok_or_else(wrong)
    }
}

/// The constants of a layer by their paths.
fn weights<'p>(program: &'p Program, op: &Op) -> Weights<'p> {
    let mut weights = Weights::new();
    for operand in &op.operands {
        if !matches!(&*operand.param, INPUT | CARRIED)
            && let Some(data) = program.constant(operand.value)
        {
            weights.entry(operand.param.to_string()).or_default().push(&data.tensor);
        }
    }
    weights
}

/// The content of the message at `path` of the message at `range`.
fn locate(
    spec: &bytes::Bytes,
    mut message: MessageDescriptor,
    mut range: Span,
    path: &str,
) -> Result<Option<Span>, Problem> {
    let mut steps = path.split('.').peekable();
    while let Some(name) = steps.next() {
        let Some(field) = message.get_field_by_name(name) else { return Ok(None) };
        let index = match steps.peek().and_then(|s| s.parse::<usize>().ok()) {
            Some(index) if field.is_list() => {
                steps.next();
                index
            }
            _ => 0,
        };
        let Kind::Message(inner) = field.kind() else { return Ok(None) };
        let mut found = None;
        let mut seen = 0;
        for f in Fields::within(spec, range.clone())? {
            let f = f?;
            if let (Value::Bytes(r), true) = (f.value, f.number == field.number()) {
                if seen == index {
                    found = Some(r);
                }
                seen += 1;
            }
        }
        let Some(found) = found else { return Ok(None) };
        (message, range) = (inner, found);
    }
    Ok(Some(range))
}

fn push_text(rope: &mut Rope, number: u32, text: &str) {
    rope.push_header(number, text.len() as u64);
    rope.push_slice(text.as_bytes());
}
