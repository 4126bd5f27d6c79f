//! Layers written from attributes, by the schema's descriptors.

use std::collections::BTreeMap;
use std::ops::Bound;

use anewrite_ir::{Attr, Str};
use anewrite_tensor::{Payload, Tensor};
use bytes::Bytes;
use coreml_proto::rope::Rope;
use coreml_proto::wire::put_varint;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::message::{NETWORK, PAYLOADS, WEIGHTS};
use crate::export::ExportProblem;
use crate::mil::push_payload;

/// The elements of a layer's weights by the paths of their fields.
pub(super) type Weights<'a> = BTreeMap<String, Vec<&'a Tensor>>;

/// Writes the messages of one layer.
pub(super) struct Encoder<'a> {
    pub(super) spec: &'a Bytes,
    pub(super) weights: &'a Weights<'a>,
}

impl Encoder<'_> {
    /// A message with these fields; `path` is where it stands in the layer's parameters.
    pub(super) fn message(
        &self,
        message: &MessageDescriptor,
        fields: &[(Str, Attr)],
        path: &str,
    ) -> Result<Rope, ExportProblem> {
        let mut rope = Rope::new();
        if message.full_name() == WEIGHTS {
            for tensor in self.weights.get(path).into_iter().flatten() {
                self.elements(tensor, &mut rope)?;
            }
        }
        if let Some((name, _)) = fields.iter().find(|(name, _)| message.get_field_by_name(name).is_none()) {
            return Err(ExportProblem::Attribute(join(path, name)));
        }
        for descriptor in message.fields() {
            if matches!(descriptor.kind(), Kind::Message(m) if m.full_name() == NETWORK) {
                continue;
            }
            let attr = fields.iter().find(|(name, _)| **name == *descriptor.name()).map(|(_, attr)| attr);
            let path = join(path, descriptor.name());
            if attr.is_some() || self.has_weights(&path) {
                self.field(&descriptor, attr, &path, &mut rope)?;
            }
        }
        Ok(rope)
    }

    /// All occurrences of a field, tags included.
    pub(super) fn field(
        &self,
        field: &FieldDescriptor,
        attr: Option<&Attr>,
        path: &str,
        rope: &mut Rope,
    ) -> Result<(), ExportProblem> {
        let wrong = || ExportProblem::Attribute(path.to_owned());
        let kind = field.kind();
        if field.is_map() {
            let (Some(Attr::Message(entries)), Kind::Message(entry)) = (attr, &kind) else {
                return Err(wrong());
            };
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (key, value) in entries {
                let pair = [("key".into(), Attr::Text(key.clone())), ("value".into(), value.clone())];
                rope.push_field(field.number(), &self.message(entry, &pair, &join(path, key))?);
            }
            return Ok(());
        }
        if field.is_list() {
            let items = match attr {
                Some(Attr::List(items)) => items.as_slice(),
                None => &[],
                Some(_) => return Err(wrong()),
            };
            return self.list(field, items, path, rope);
        }
        self.single(field.number(), &kind, attr, path, rope)
    }

    fn list(
        &self,
        field: &FieldDescriptor,
        items: &[Attr],
        path: &str,
        rope: &mut Rope,
    ) -> Result<(), ExportProblem> {
        let kind = field.kind();
        match kind {
            Kind::Message(_) => {
                let mut i = 0;
                loop {
                    let path = format!("{path}.{i}");
                    let item = items.get(i);
                    if item.is_none() && !self.has_weights(&path) {
                        return Ok(());
                    }
                    self.single(field.number(), &kind, item, &path, rope)?;
                    i += 1;
                }
            }
            Kind::String | Kind::Bytes => {
                for item in items {
                    self.single(field.number(), &kind, Some(item), path, rope)?;
                }
                Ok(())
            }
            _ => {
                let mut packed = Vec::new();
                for item in items {
                    put_scalar(&mut packed, &kind, item).ok_or(ExportProblem::Attribute(path.to_owned()))?;
                }
                if !packed.is_empty() {
                    rope.push_bytes_field(field.number(), packed);
                }
                Ok(())
            }
        }
    }

    fn single(
        &self,
        number: u32,
        kind: &Kind,
        attr: Option<&Attr>,
        path: &str,
        rope: &mut Rope,
    ) -> Result<(), ExportProblem> {
        match (kind, attr) {
            (Kind::Message(message), Some(Attr::Message(fields))) => {
                rope.push_field(number, &self.message(message, fields, path)?);
            }
            (Kind::Message(message), None) => rope.push_field(number, &self.message(message, &[], path)?),
            (Kind::String, Some(Attr::Text(text))) => {
                rope.push_bytes_field(number, Bytes::copy_from_slice(text.as_bytes()));
            }
            (Kind::Bytes, Some(Attr::Bytes(bytes))) => {
                rope.push_bytes_field(number, Bytes::copy_from_slice(bytes));
            }
            (kind, Some(attr)) => {
                let mut bytes = Vec::new();
                let wrong = || ExportProblem::Attribute(path.to_owned());
                put_scalar(&mut bytes, kind, attr).ok_or_else(wrong)?;
                match (kind, bytes.first_chunk::<4>(), bytes.first_chunk::<8>()) {
                    (Kind::Float, Some(b), _) => rope.push_fixed32_field(number, u32::from_le_bytes(*b)),
                    (Kind::Double, _, Some(b)) => rope.push_fixed64_field(number, u64::from_le_bytes(*b)),
                    _ => rope.push_varint_field(number, varint_of(kind, attr).ok_or_else(wrong)?),
                }
            }
            (_, None) => return Err(ExportProblem::Attribute(path.to_owned())),
        }
        Ok(())
    }

    /// The field of a `WeightParams` message that holds a constant's elements.
    pub(super) fn elements(&self, tensor: &Tensor, rope: &mut Rope) -> Result<(), ExportProblem> {
        let number = PAYLOADS.iter().find(|(_, dtype)| *dtype == tensor.dtype()).map(|(number, _)| *number);
        let number = number.ok_or_else(|| ExportProblem::Attribute(format!("of type {}", tensor.dtype())))?;
        match tensor.payload() {
            Payload::Chunks(chunks) => {
                rope.push_header(number, chunks.iter().map(|c| c.len() as u64).sum());
                for chunk in chunks.iter() {
                    push_payload(rope, self.spec, chunk);
                }
            }
            _ => {
                let bytes = tensor.bytes()?;
                rope.push_header(number, bytes.len() as u64);
                push_payload(rope, self.spec, &bytes);
            }
        }
        Ok(())
    }

    /// Whether some weight's path is `path` or begins with it.
    pub(super) fn has_weights(&self, path: &str) -> bool {
        let from = (Bound::Included(path.to_owned()), Bound::Unbounded);
        let next = self.weights.range(from).map(|(p, _)| p.as_str()).find(|p| {
            let rest = p.strip_prefix(path);
            // Names may begin alike without one being inside the other.
            !rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('.'))
        });
        next.is_some_and(|p| p.starts_with(path))
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Appends a number as a packed field holds it.
fn put_scalar(bytes: &mut Vec<u8>, kind: &Kind, attr: &Attr) -> Option<()> {
    match kind {
        Kind::Float => bytes.extend((attr.as_float()? as f32).to_le_bytes()),
        Kind::Double => bytes.extend(attr.as_float()?.to_le_bytes()),
        _ => put_varint(bytes, varint_of(kind, attr)?),
    }
    Some(())
}

fn varint_of(kind: &Kind, attr: &Attr) -> Option<u64> {
    match (kind, attr) {
        (Kind::Bool, Attr::Bool(b)) => Some(u64::from(*b)),
        (Kind::Int32, Attr::Int(n)) => Some(i64::from(i32::try_from(*n).ok()?).cast_unsigned()),
        (Kind::Uint32, Attr::Int(n)) => Some(u64::from(u32::try_from(*n).ok()?)),
        (Kind::Int64 | Kind::Uint64 | Kind::Enum(_), Attr::Int(n)) => Some(n.cast_unsigned()),
        (Kind::Enum(names), Attr::Enum(name)) => {
            Some(i64::from(names.get_value_by_name(name)?.number()).cast_unsigned())
        }
        _ => None,
    }
}
