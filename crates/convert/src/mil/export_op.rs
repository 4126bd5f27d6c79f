//! Writing one op: new, changed, or anew from the program.

use std::collections::BTreeMap;

use anewrite_ir::{Binding, OpId, Operand, Opset, ValueId};
use coreml_proto::rope::Rope;
use coreml_proto::splice::Edits;

use super::encode::{self, Home, push_text};
use super::export::{Writer, entry};
use super::source::{OpSource, Run};
use super::value::form_of;
use super::view::{Bound, OpView};
use crate::export::ExportProblem;
use crate::read::{Span, text};

impl Writer<'_, '_> {
    /// Writes an op of the source that is still there, and the blocks nested in it.
    pub(super) fn source_op(&mut self, op: OpId) -> Result<(), ExportProblem> {
        let Some(from) = self.source.op(op) else { return Ok(()) };
        if self.sheet.anew || self.is_changed(op, from) {
            self.edit_op(op, from)?;
        }
        for &block in &self.program.op(op).blocks {
            self.block(block)?;
        }
        Ok(())
    }

    fn is_changed(&self, op: OpId, from: &OpSource) -> bool {
        let op = self.program.op(op);
        let operands = op.operands.iter().map(|o| o.value);
        op.name != from.name
            || self.differ(operands, from.operands)
            || self.differ(op.results.iter().copied(), from.results)
    }

    /// Whether values or their names are not those of the source.
    pub(super) fn differ(&self, values: impl ExactSizeIterator<Item = ValueId>, run: Run) -> bool {
        let old = self.source.names_of(run);
        values.len() != old.len()
            || values.zip(old).any(|(v, (old, name))| v != *old || self.program.value(v).name != *name)
    }

    fn edit_op(&mut self, op: OpId, from: &OpSource) -> Result<(), ExportProblem> {
        let (spec, anew) = (self.sheet.spec, self.sheet.anew);
        let mut view = OpView::default();
        view.read(spec, from.content.clone())?;
        let (program, source) = (self.program, self.source);
        let old = source.names_of(from.operands);
        let now = program.op(op);
        if now.operands.len() != old.len() || now.results.len() != view.outputs.len() {
            return Err(ExportProblem::Interface("operands or results were added to an op".into()));
        }
        let skipped = source.skipped.get(&op).map_or(&[][..], |s| s);
        let mut operands = now.operands.iter().zip(old);
        if anew && !view.kind.is_empty() {
            let mut kind = Rope::new();
            push_text(&mut kind, 1, &now.kind);
            self.sheet.replace(view.kind_field.clone(), kind);
        }
        for input in &view.inputs {
            let mut bound = Vec::new();
            let mut all = input.plain;
            for slot in input.bindings.clone() {
                if skipped.contains(&slot) {
                    all = false;
                } else if let Some((operand, old)) = operands.next() {
                    bound.push((slot, operand, old));
                }
            }
            let sealed = |v: ValueId| program.constant(v).is_some_and(|c| c.sealed);
            if anew && all && !bound.is_empty() && !bound.iter().any(|(_, o, _)| sealed(o.value)) {
                let key = text(spec, input.key.clone())?;
                let mut argument = Rope::new();
                for (slot, operand, old) in bound {
                    let binding = view.bindings.get(slot).map(|b| &b.to);
                    argument.push_field(1, &self.binding(op, operand, old.0, binding)?);
                }
                let mut field = Rope::new();
                field.push_field(2, &entry(key, &argument));
                self.sheet.replace(input.field.clone(), field);
                continue;
            }
            for (slot, operand, (value, name)) in bound {
                if operand.value == *value && self.name(operand.value) == *name {
                    continue;
                }
                if let Some(binding) = view.bindings.get(slot) {
                    let member = self.binding(op, operand, *value, Some(&binding.to))?;
                    self.sheet.replace(binding.member.clone(), member);
                }
            }
        }
        for (i, attribute) in view.attributes.iter().enumerate() {
            let key = text(spec, attribute.key.clone())?;
            if key == "name" {
                self.edit_name(now.name.as_deref(), from.name.as_deref(), attribute);
                continue;
            }
            if skipped.contains(&(view.bindings.len() + i)) {
                continue;
            }
            let Some((operand, (old, _))) = operands.next() else { continue };
            let sealed = program.constant(operand.value).is_some_and(|c| c.sealed);
            if operand.value != *old || (anew && attribute.plain && !sealed) {
                let value = self.attribute(operand, *old, &attribute.value)?;
                let mut field = Rope::new();
                if attribute.value_field.is_empty() || anew {
                    field.push_field(5, &entry(key, &value));
                    self.sheet.replace(attribute.field.clone(), field);
                } else {
                    field.push_field(2, &value);
                    self.sheet.replace(attribute.value_field.clone(), field);
                }
            }
        }
        if now.name.is_some() && !view.attributes.iter().any(|a| is_name(spec, &a.key)) {
            self.append_name(from.content.clone(), now.name.as_deref());
        }
        let results: Vec<_> = now.results.iter().zip(source.names_of(from.results)).collect();
        for (output, (&result, (_, name))) in view.outputs.iter().zip(results) {
            self.edit_named(output, result, name, 3)?;
        }
        Ok(())
    }

    fn edit_name(&mut self, now: Option<&str>, old: Option<&str>, attribute: &super::view::AttributeView) {
        let mut field = Rope::new();
        match now {
            Some(name) if Some(name) != old || (self.sheet.anew && attribute.plain) => {
                field.push_field(5, &entry("name", &encode::text_value(name)));
            }
            None if old.is_some() => {}
            _ => return,
        }
        self.sheet.replace(attribute.field.clone(), field);
    }

    fn append_name(&mut self, content: Span, name: Option<&str>) {
        let mut field = Rope::new();
        field.push_field(5, &entry("name", &encode::text_value(name.unwrap_or_default())));
        self.sheet.edits.append(content, field);
    }

    /// An `Argument.Binding`. `old` is the value that the source binds here, in the message `at`.
    fn binding(
        &mut self,
        op: OpId,
        operand: &Operand,
        old: ValueId,
        at: Option<&Bound>,
    ) -> Result<Rope, ExportProblem> {
        let mut rope = Rope::new();
        let data = self.program.constant(operand.value).filter(|_| operand.binding != Binding::Name);
        match (data, at) {
            (Some(_), Some(Bound::Value(value))) if operand.value == old => {
                rope.push_field(2, &self.source_value(old, value)?);
            }
            (Some(data), _) => rope.push_field(2, &self.new_value(operand.value, data)?),
            (None, _) => {
                if self.program.constant(operand.value).is_some() {
                    self.need(operand.value, Some(op), &operand.param)?;
                }
                push_text(&mut rope, 1, &self.name(operand.value));
            }
        }
        Ok(rope)
    }

    /// The `Value` of an attribute.
    fn attribute(&mut self, operand: &Operand, old: ValueId, at: &Span) -> Result<Rope, ExportProblem> {
        if operand.value == old {
            return self.source_value(old, at);
        }
        match self.program.constant(operand.value) {
            Some(data) => self.new_value(operand.value, data),
            None => Err(ExportProblem::NotConstant(operand.param.to_string())),
        }
    }

    /// The `Value` of a constant of the source, made anew in the form that it has there.
    fn source_value(&mut self, value: ValueId, at: &Span) -> Result<Rope, ExportProblem> {
        let spec = self.sheet.spec;
        let Some(data) = self.program.constant(value) else { return Ok(Rope::new()) };
        match self.source.blobs[value].and_then(|blob| self.sheet.blobs.of_source(blob)) {
            Some((file, offset)) => encode::value(spec, &data.tensor, Home::File(&file, offset)),
            None => encode::value(spec, &data.tensor, Home::Message(form_of(spec, at.clone()))),
        }
    }

    /// A `const` op of the source, anew.
    pub(super) fn anew_const(
        &mut self,
        view: &OpView,
        value: ValueId,
        edits: &mut Edits,
    ) -> Result<(), ExportProblem> {
        let spec = self.sheet.spec;
        let Some(data) = self.program.constant(value) else { return Ok(()) };
        if data.sealed {
            return Ok(());
        }
        let mut kind = Rope::new();
        push_text(&mut kind, 1, "const");
        edits.replace(view.kind_field.clone(), kind);
        if let Some(output) = view.outputs.first() {
            let mut field = Rope::new();
            field.push_bytes_field(3, encode::named(&self.name(value), self.program.ty(value))?);
            edits.replace(output.field.clone(), field);
        }
        for attribute in &view.attributes {
            let (key, content) = match (text(spec, attribute.key.clone())?, &data.origin) {
                ("name", anewrite_ir::ConstOrigin::ConstOp { name: Some(name) }) => {
                    ("name", encode::text_value(name))
                }
                ("val", _) => ("val", self.source_value(value, &attribute.value)?),
                _ => continue,
            };
            let mut field = Rope::new();
            field.push_field(5, &entry(key, &content));
            edits.replace(attribute.field.clone(), field);
        }
        Ok(())
    }

    /// A new op's message.
    pub(super) fn new_op(&mut self, op: OpId) -> Result<Rope, ExportProblem> {
        let program = self.program;
        let now = program.op(op);
        if let Some((name, _)) = now.attrs.first() {
            return Err(ExportProblem::Attribute(name.to_string()));
        }
        let mut inputs: BTreeMap<&str, Rope> = BTreeMap::new();
        let mut attributes: BTreeMap<&str, Rope> = BTreeMap::new();
        for operand in &now.operands {
            let data = program.constant(operand.value);
            match (self.binding_of(op, operand), data) {
                (Binding::Attribute, Some(data)) => {
                    attributes.insert(&operand.param, self.new_value(operand.value, data)?);
                }
                (Binding::Attribute, None) => {
                    return Err(ExportProblem::NotConstant(operand.param.to_string()));
                }
                (binding, data) => {
                    let mut content = Rope::new();
                    match data.filter(|_| binding == Binding::Inline) {
                        Some(data) => content.push_field(2, &self.new_value(operand.value, data)?),
                        None => {
                            if data.is_some() {
                                self.need(operand.value, Some(op), &operand.param)?;
                            }
                            push_text(&mut content, 1, &self.name(operand.value));
                        }
                    }
                    inputs.entry(&operand.param).or_default().push_field(1, &content);
                }
            }
        }
        let first = now.result().map(|r| self.name(r));
        if let Some(name) = now.name.clone().or(first) {
            attributes.insert("name", encode::text_value(&name));
        }
        let mut message = Rope::new();
        push_text(&mut message, 1, &now.kind);
        for (param, argument) in &inputs {
            message.push_field(2, &entry(param, argument));
        }
        for &result in &now.results {
            message.push_bytes_field(3, encode::named(&self.name(result), program.ty(result))?);
        }
        for &block in &now.blocks {
            let mut content = Rope::new();
            for &arg in &program.block(block).args {
                content.push_bytes_field(1, encode::named(&self.name(arg), program.ty(arg))?);
            }
            // Ops first: a constant among the outputs gets its name with them.
            let operations = self.new_block(block)?;
            for &output in &program.block(block).outputs {
                let name = self.name(output);
                content.push_header(2, name.len() as u64);
                content.push_slice(name.as_bytes());
            }
            content.push_rope(&operations);
            message.push_field(4, &content);
        }
        for (name, value) in &attributes {
            message.push_field(5, &entry(name, value));
        }
        Ok(message)
    }

    /// How a new op binds an operand. Before iOS 18, `constexpr_*` ops take constants in attributes; from then on in
    /// the arguments themselves.
    fn binding_of(&self, op: OpId, operand: &Operand) -> Binding {
        let constant = self.program.constant(operand.value);
        let constexpr = self.program.op(op).kind.starts_with("constexpr_");
        match (operand.binding, constant) {
            (Binding::Name, Some(_)) if constexpr && self.opset < Some(Opset::Ios18) => Binding::Attribute,
            (Binding::Name, Some(data)) if constexpr => match data.origin {
                anewrite_ir::ConstOrigin::ConstOp { .. } => Binding::Name,
                _ => Binding::Inline,
            },
            (binding, _) => binding,
        }
    }
}

fn is_name(spec: &bytes::Bytes, key: &Span) -> bool {
    spec.get(key.clone()) == Some(b"name")
}
