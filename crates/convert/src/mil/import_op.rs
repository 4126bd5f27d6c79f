//! Reading one op of an ML Program.

use anewrite_ir::mil::Mil;
use anewrite_ir::{
    Binding, BlockId, Const, ConstOrigin, Dialect, NewOp, Op, OpId, OpSchema, Operand, Place, Str, ValueId,
};
use bytes::Bytes;
use coreml_proto::wire::Value;
use smallvec::SmallVec;

use super::import::Reader;
use super::source::{ItemKind, OpSource};
use super::value::{ValueRead, scalar_text};
use super::view::{Bound, NamedView, OpView, step};
use crate::error::{At, Fault, Read};
use crate::read::{Depth, Span, each_field, once};

impl Reader<'_, '_> {
    /// Reads an `Operation` as a constant or an op. The answer is also whether all of it is understood.
    pub(super) fn operation(
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

    /// Makes the `Value` at `range` a constant without a name, if it is a tensor or a list of labels. A list is not all
    /// that its constant says, so both it and its op are sealed.
    fn in_place(&mut self, block: BlockId, range: Span, depth: Depth) -> Read<(Option<ValueId>, bool)> {
        let refs = self.values.uses.refs.len();
        let read = self.values.value(range, depth)?;
        let whole = read.whole;
        let Some(tensor) = read.into_tensor() else { return Ok((None, false)) };
        let data = Const { tensor, origin: ConstOrigin::InPlace, sealed: !whole };
        let value = self.program.add_const(block, "", data);
        if self.values.uses.refs.len() > refs {
            self.source.blobs.set(value, Some(refs as u32));
        }
        Ok((Some(value), whole))
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
pub(super) fn defines(spec: &Bytes, range: Span, name: &str, depth: Depth) -> Read<bool> {
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
