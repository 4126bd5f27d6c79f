//! Any message of a layer as an attribute and back, by the schema's descriptors. The elements of weights are not part of
//! it: they stay where they are and become constants.

use std::sync::Arc;

use anewrite_ir::{Attr, Str};
use anewrite_tensor::{DType, Payload, Tensor};
use bytes::{BufMut, Bytes, BytesMut};
use coreml_proto::wire::{Fields, Value, read_varint};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use rustc_hash::FxHashSet;

use crate::error::{At, Read};
use crate::read::{Depth, Span, text};

/// Elements of one repeated field that are kept as an attribute. What is longer stays in the file only, and its layer
/// is sealed; real layers have at most a few thousand.
const MAX_LIST: usize = 1 << 20;

/// The message that holds the elements of a weight.
pub(super) const WEIGHTS: &str = "CoreML.Specification.WeightParams";
/// The message of a network inside a layer.
pub(super) const NETWORK: &str = "CoreML.Specification.NeuralNetwork";

/// The fields of `WeightParams` that hold elements, and what they hold. Raw bytes may be packed values of fewer bits,
/// as the quantization beside them says.
pub(super) const PAYLOADS: [(u32, DType); 4] =
    [(1, DType::F32), (2, DType::F16), (30, DType::U8), (31, DType::I8)];

/// A message taken apart.
#[derive(Debug, Default)]
pub(super) struct MessageRead {
    /// Its fields that are set, in order of their numbers.
    pub(super) fields: Vec<(Str, Attr)>,
    /// The elements of its weights, with their paths.
    pub(super) weights: Vec<(String, Tensor)>,
    /// The networks in it: name of the field, its number, content.
    pub(super) networks: Vec<(Str, u32, Span)>,
    /// Whether something in it is not in the schema, or not held by all this.
    pub(super) odd: bool,
    /// Whether a weight is marked to be trained.
    pub(super) is_updatable: bool,
}

/// Reads the message at `range`.
pub(super) fn read(
    spec: &Bytes,
    message: &MessageDescriptor,
    range: Span,
    depth: Depth,
) -> Read<MessageRead> {
    let mut reader = Reader { spec, out: MessageRead::default(), path: String::new() };
    let fields = reader.message(message, range, depth)?;
    Ok(MessageRead { fields, ..reader.out })
}

struct Reader<'a> {
    spec: &'a Bytes,
    out: MessageRead,
    path: String,
}

impl Reader<'_> {
    fn message(&mut self, message: &MessageDescriptor, range: Span, depth: Depth) -> Read<Vec<(Str, Attr)>> {
        let depth = depth.down(1)?;
        let is_weights = message.full_name() == WEIGHTS;
        if is_weights {
            self.elements(range.clone())?;
        }
        let mut found: Vec<(FieldDescriptor, Value, Span)> = Vec::new();
        for field in Fields::within(self.spec, range)? {
            let field = field?;
            if is_weights && PAYLOADS.iter().any(|(number, _)| *number == field.number) {
                continue;
            }
            match message.get_field(field.number) {
                Some(descriptor) => found.push((descriptor, field.value, field.span)),
                None => self.out.odd = true,
            }
        }
        found.sort_by_key(|(descriptor, ..)| descriptor.number());
        let mut fields = Vec::new();
        for same in found.chunk_by(|(a, ..), (b, ..)| a.number() == b.number()) {
            let Some((descriptor, ..)) = same.first() else { continue };
            let name: Str = descriptor.name().into();
            let at = self.path.len();
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(&name);
            let attr = self.field(descriptor, same, depth).at(|| name.to_string())?;
            self.path.truncate(at);
            if let Some(attr) = attr {
                fields.push((name, attr));
            }
        }
        Ok(fields)
    }

    /// All occurrences of one field.
    fn field(
        &mut self,
        descriptor: &FieldDescriptor,
        found: &[(FieldDescriptor, Value, Span)],
        depth: Depth,
    ) -> Read<Option<Attr>> {
        if descriptor.is_map() {
            return self.map(descriptor, found, depth).map(Some);
        }
        if descriptor.is_list() {
            return self.list(descriptor, found, depth);
        }
        // Readers merge repeated messages and take the last of repeated scalars; no writer makes either.
        self.out.odd |= found.len() > 1;
        let Some((_, value, span)) = found.last() else { return Ok(None) };
        if let (Kind::Message(message), Value::Bytes(range)) = (descriptor.kind(), value)
            && message.full_name() == NETWORK
        {
            self.out.networks.push((descriptor.name().into(), descriptor.number(), range.clone()));
            return Ok(None);
        }
        let attr = self.single(&descriptor.kind(), value, depth)?;
        self.out.odd |= attr.is_none();
        if descriptor.parent_message().full_name() == WEIGHTS && descriptor.name() == "isUpdatable" {
            self.out.is_updatable |= attr == Some(Attr::Bool(true));
        }
        debug_assert!(!span.is_empty());
        Ok(attr)
    }

    fn list(
        &mut self,
        descriptor: &FieldDescriptor,
        found: &[(FieldDescriptor, Value, Span)],
        depth: Depth,
    ) -> Read<Option<Attr>> {
        let kind = descriptor.kind();
        let is_scalar = !matches!(kind, Kind::Message(_) | Kind::String | Kind::Bytes);
        let mut items = Vec::new();
        for (_, value, _) in found {
            match value {
                Value::Bytes(range) if is_scalar => {
                    if !self.packed(&kind, range.clone(), &mut items)? {
                        self.out.odd = true;
                        return Ok(None);
                    }
                }
                value => {
                    let at = self.path.len();
                    self.path.push_str(&format!(".{}", items.len()));
                    match self.single(&kind, value, depth)? {
                        Some(item) => items.push(item),
                        None => self.out.odd = true,
                    }
                    self.path.truncate(at);
                }
            }
            if items.len() > MAX_LIST {
                self.out.odd = true;
                return Ok(None);
            }
        }
        Ok(Some(Attr::List(items)))
    }

    /// Appends the elements of a packed field. False where they are too many.
    fn packed(&self, kind: &Kind, range: Span, items: &mut Vec<Attr>) -> Read<bool> {
        let width = match kind {
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 4,
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 8,
            _ => 0,
        };
        let mut at = range.start;
        while at < range.end {
            let bytes = self.spec.get(at..range.end).unwrap_or_default();
            let (value, next) = match (width, bytes.first_chunk::<4>(), bytes.first_chunk::<8>()) {
                (4, Some(b), _) => (Value::Fixed32(u32::from_le_bytes(*b)), at + 4),
                (8, _, Some(b)) => (Value::Fixed64(u64::from_le_bytes(*b)), at + 8),
                (0, ..) => {
                    let (value, used) = read_varint(bytes, 0).map_err(|e| e.shifted(at))?;
                    (Value::Varint(value), at + used)
                }
                _ => {
                    let what = coreml_proto::wire::WireFault::PackedLength { length: range.len(), width };
                    return Err(coreml_proto::wire::WireError { offset: range.start, what }.into());
                }
            };
            at = next;
            match scalar(kind, &value) {
                Some(item) if items.len() < MAX_LIST => items.push(item),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn map(
        &mut self,
        descriptor: &FieldDescriptor,
        found: &[(FieldDescriptor, Value, Span)],
        depth: Depth,
    ) -> Read<Attr> {
        let (mut entries, mut seen) = (Vec::new(), FxHashSet::default());
        let Kind::Message(entry) = descriptor.kind() else { return Ok(Attr::Message(entries)) };
        for (_, value, _) in found {
            let Value::Bytes(range) = value else {
                self.out.odd = true;
                continue;
            };
            let fields = self.message(&entry, range.clone(), depth)?;
            let mut fields = fields.into_iter();
            match (fields.next(), fields.next()) {
                (Some((key, Attr::Text(name))), Some((_, value)))
                    if &*key == "key" && seen.insert(name.clone()) =>
                {
                    entries.push((name, value));
                }
                _ => self.out.odd = true,
            }
        }
        Ok(Attr::Message(entries))
    }

    /// One value; `None` where its bytes are not of the declared type.
    fn single(&mut self, kind: &Kind, value: &Value, depth: Depth) -> Read<Option<Attr>> {
        Ok(match (kind, value) {
            (Kind::Message(message), Value::Bytes(range)) => {
                Some(Attr::Message(self.message(message, range.clone(), depth)?))
            }
            (Kind::String, Value::Bytes(range)) => Some(Attr::Text(text(self.spec, range.clone())?.into())),
            (Kind::Bytes, Value::Bytes(range)) => {
                Some(Attr::Bytes(self.spec.get(range.clone()).unwrap_or_default().into()))
            }
            (kind, value) => scalar(kind, value),
        })
    }

    /// The elements of a `WeightParams` message.
    fn elements(&mut self, range: Span) -> Read<()> {
        let before = self.out.weights.len();
        for (number, dtype) in PAYLOADS {
            let Some(payload) = payload(self.spec, range.clone(), number, dtype, &mut self.out.odd)? else {
                continue;
            };
            let count = payload.stored_len() as u64 / u64::from(dtype.bits() / 8);
            self.out.weights.push((self.path.clone(), Tensor::new(dtype, [count], payload)?));
        }
        // Elements given twice are none that anybody could agree on.
        self.out.odd |= self.out.weights.len() > before + 1;
        Ok(())
    }
}

/// The elements in one field of the `WeightParams` at `range`, in whatever form protobuf allows; `None` without any.
fn payload(spec: &Bytes, range: Span, number: u32, dtype: DType, odd: &mut bool) -> Read<Option<Payload>> {
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut loose = BytesMut::new();
    let is_floats = dtype == DType::F32;
    for field in Fields::within(spec, range)? {
        let field = field?;
        match &field.value {
            _ if field.number != number => {}
            Value::Bytes(r) => {
                if is_floats && r.len() % 4 != 0 || dtype == DType::F16 && r.len() % 2 != 0 {
                    let width = if is_floats { 4 } else { 2 };
                    let what = coreml_proto::wire::WireFault::PackedLength { length: r.len(), width };
                    return Err(coreml_proto::wire::WireError { offset: field.span.start, what }.into());
                }
                if !loose.is_empty() {
                    chunks.push(loose.split().freeze());
                }
                if !is_floats {
                    *odd |= !chunks.is_empty();
                    chunks.clear();
                }
                if !r.is_empty() {
                    chunks.push(spec.slice(r.clone()));
                }
            }
            Value::Fixed32(bits) if is_floats => loose.put_u32_le(*bits),
            _ => *odd = true,
        }
    }
    if !loose.is_empty() {
        chunks.push(loose.freeze());
    }
    Ok(match chunks.len() {
        0 => None,
        1 => chunks.pop().map(Payload::Bytes),
        _ => Some(Payload::Chunks(Arc::from(chunks))),
    })
}

fn scalar(kind: &Kind, value: &Value) -> Option<Attr> {
    Some(match (kind, value) {
        (Kind::Bool, Value::Varint(n)) => Attr::Bool(*n != 0),
        (Kind::Int32, Value::Varint(n)) => Attr::Int(i64::from(*n as i32)),
        (Kind::Uint32, Value::Varint(n)) => Attr::Int(i64::from(*n as u32)),
        (Kind::Int64 | Kind::Uint64, Value::Varint(n)) => Attr::Int(n.cast_signed()),
        (Kind::Enum(names), Value::Varint(n)) => match names.get_value(*n as i32) {
            Some(name) => Attr::Enum(name.name().into()),
            None => Attr::Int(i64::from(*n as i32)),
        },
        (Kind::Float, Value::Fixed32(bits)) => Attr::Float(f64::from(f32::from_bits(*bits))),
        (Kind::Double, Value::Fixed64(bits)) => Attr::Float(f64::from_bits(*bits)),
        _ => return None,
    })
}
