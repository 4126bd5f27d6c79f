//! Constants: `Value` messages read as tensors, their elements left where they are.

use std::sync::Arc;

use anewrite_ir::{TensorType, Type};
use anewrite_tensor::{DType, Dims, Payload, Tensor, TensorError};
use bytes::{BufMut, Bytes, BytesMut};
use coreml_proto::wire::{Fields, Value, WireError, WireFault, put_varint, read_varint};
use rustc_hash::FxHashMap;

use super::types::{TypeRead, value_type};
use crate::error::{Fault, Problem, Read};
use crate::read::{Depth, Span, each_field, entry, once, text};
use crate::weights::{WeightSource, WeightUses, blob_type};

/// A `Value` message by its parts.
pub(crate) struct ValueRead {
    /// The type that it states.
    pub(crate) ty: Type,
    /// What it holds, if that is a tensor.
    pub(crate) tensor: Option<Tensor>,
    /// What it holds otherwise: the items of a list or tuple, or keys and values of a dictionary in turn.
    pub(crate) items: Vec<ValueRead>,
    /// Whether type and tensor say all that the message says.
    pub(crate) whole: bool,
}

impl ValueRead {
    /// The tensor; for a list of texts or of 64-bit integers, as the labels of a classifier are, the vector of its items.
    pub(crate) fn into_tensor(self) -> Option<Tensor> {
        if self.tensor.is_some() {
            return self.tensor;
        }
        let Type::List { element, .. } = &self.ty else { return None };
        let items: Option<Vec<&Tensor>> = self.items.iter().map(|i| i.tensor.as_ref()).collect();
        let items = items?;
        if items.iter().any(|t| t.dtype() != element.dtype || t.rank() != 0) {
            return None;
        }
        let payload = match element.dtype {
            DType::String => {
                let texts = items.iter().map(|t| t.scalar_str().map(Arc::from));
                Payload::Strings(texts.collect::<Option<Vec<Arc<str>>>>()?.into())
            }
            DType::I64 => {
                let mut bytes = BytesMut::with_capacity(8 * items.len());
                for item in &items {
                    bytes.put_i64_le(item.scalar_i64()?);
                }
                Payload::Bytes(bytes.freeze())
            }
            _ => return None,
        };
        Tensor::new(element.dtype, [items.len() as u64], payload).ok()
    }
}

/// Reads values of one specification, and notes the blobs that they name.
pub(crate) struct ValueReader<'a> {
    pub(crate) spec: &'a Bytes,
    pub(crate) source: &'a dyn WeightSource,
    pub(crate) uses: &'a mut WeightUses,
    /// Types read before, by their bytes: a program has few distinct ones.
    types: FxHashMap<&'a [u8], TypeRead>,
}

impl<'a> ValueReader<'a> {
    pub(crate) fn new(spec: &'a Bytes, source: &'a dyn WeightSource, uses: &'a mut WeightUses) -> Self {
        ValueReader { spec, source, uses, types: FxHashMap::default() }
    }

    /// Reads the `ValueType` at `range`.
    pub(super) fn value_type(&mut self, range: Span, depth: Depth) -> Read<TypeRead> {
        let bytes = self.spec.get(range.clone()).unwrap_or_default();
        if let Some(read) = self.types.get(bytes) {
            return Ok(read.clone());
        }
        let read = value_type(self.spec, range, depth)?;
        self.types.insert(bytes, read.clone());
        Ok(read)
    }

    /// Reads the `Value` at `range`.
    pub(crate) fn value(&mut self, range: Span, depth: Depth) -> Read<ValueRead> {
        let depth = depth.down(1)?;
        let (mut doc, mut ty, mut content) = (None, None, None);
        let mut whole = each_field(self.spec, range, |number, value, _| match (number, value) {
            (1, Value::Bytes(r)) => {
                once(&mut doc, r.clone(), "docString")?;
                Ok(r.is_empty())
            }
            (2, Value::Bytes(r)) => once(&mut ty, r.clone(), "type"),
            (3 | 5, Value::Bytes(r)) => once(&mut content, (number, r.clone()), "value"),
            _ => Ok(false),
        })?;
        let ty = match ty {
            Some(r) => {
                let read = self.value_type(r, depth)?;
                whole &= read.whole;
                read.ty
            }
            None => Type::Unknown,
        };
        let declared = declared(&ty);
        let (tensor, items) = match content {
            Some((3, r)) => self.immediate(r, declared, depth, &mut whole)?,
            Some((_, r)) => (self.blob(r, declared, &mut whole)?, Vec::new()),
            None => (None, Vec::new()),
        };
        Ok(ValueRead { ty, whole: whole && tensor.is_some(), tensor, items })
    }

    fn immediate(
        &mut self,
        range: Span,
        declared: Option<(DType, Dims)>,
        depth: Depth,
        whole: &mut bool,
    ) -> Read<(Option<Tensor>, Vec<ValueRead>)> {
        let depth = depth.down(1)?;
        let mut member = None;
        *whole &= each_field(self.spec, range, |number, value, _| match (number, value) {
            (1..=4, Value::Bytes(r)) => once(&mut member, (number, r.clone()), "value"),
            _ => Ok(false),
        })?;
        match (member, declared) {
            (Some((1, r)), Some((dtype, dims))) => {
                Ok((elements(self.spec, r, dtype, dims, whole)?, Vec::new()))
            }
            (Some((kind @ 2..=4, r)), _) => Ok((None, self.nested(r, kind == 4, depth)?)),
            _ => Ok((None, Vec::new())),
        }
    }

    /// The values inside a list, tuple (`pairs` false) or dictionary (`pairs` true: key, value, key, value…).
    fn nested(&mut self, range: Span, pairs: bool, depth: Depth) -> Read<Vec<ValueRead>> {
        let mut inside = Vec::new();
        let spec = self.spec;
        each_field(spec, range, |number, value, _| match (number, value) {
            (1, Value::Bytes(r)) if pairs => {
                let depth = depth.down(1)?;
                let (mut key, mut content) = (None, None);
                each_field(spec, r.clone(), |number, value, _| match (number, value) {
                    (1, Value::Bytes(r)) => once(&mut key, r.clone(), "key"),
                    (2, Value::Bytes(r)) => once(&mut content, r.clone(), "value"),
                    _ => Ok(false),
                })?;
                for part in [key, content] {
                    inside.push(self.value(part.unwrap_or(r.end..r.end), depth)?);
                }
                Ok(true)
            }
            (1, Value::Bytes(r)) => {
                inside.push(self.value(r.clone(), depth)?);
                Ok(true)
            }
            _ => Ok(false),
        })?;
        Ok(inside)
    }

    fn blob(
        &mut self,
        range: Span,
        declared: Option<(DType, Dims)>,
        whole: &mut bool,
    ) -> Read<Option<Tensor>> {
        let (mut name, mut offset) = (None, None);
        *whole &= each_field(self.spec, range.clone(), |number, value, _| match (number, value) {
            (1, Value::Bytes(r)) => once(&mut name, r.clone(), "fileName"),
            (2, Value::Varint(n)) => once(&mut offset, *n, "offset"),
            _ => Ok(false),
        })?;
        let name = text(self.spec, name.ok_or(Problem::Missing("fileName"))?)?;
        let offset = offset.unwrap_or(0);
        let (index, file) = self.uses.note(self.source, name, offset, range)?;
        let Some((declared, dims)) = declared else { return Ok(None) };
        let blob = file.blob(offset)?;
        let want = dims.iter().try_fold(1u64, |p, &d| p.checked_mul(d)).unwrap_or(u64::MAX);
        if blob_type(declared) != Some(blob.dtype) || blob.elements != want {
            let (stored, have) = (blob.dtype, blob.elements);
            return Err(Problem::BlobType { offset, declared, want, stored, have }.into());
        }
        self.uses.remember(index, offset, &blob.data);
        Ok(Some(Tensor::new(declared, dims, blob.data)?))
    }
}

/// Element type and extents of a type that a constant tensor can have.
fn declared(ty: &Type) -> Option<(DType, Dims)> {
    let Type::Tensor(TensorType { dtype, shape: Some(shape) }) = ty else { return None };
    Some((*dtype, shape.iter().map(|d| d.known()).collect::<Option<_>>()?))
}

/// Field numbers of `TensorValue`.
pub(super) mod form {
    pub(in crate::mil) const FLOATS: u32 = 1;
    pub(in crate::mil) const INTS: u32 = 2;
    pub(in crate::mil) const BOOLS: u32 = 3;
    pub(in crate::mil) const STRINGS: u32 = 4;
    pub(in crate::mil) const LONG_INTS: u32 = 5;
    pub(in crate::mil) const DOUBLES: u32 = 6;
    pub(in crate::mil) const BYTES: u32 = 7;
}

/// Reads the `TensorValue` at `range`. `None` where it has no elements, they are in a form that does not go with the
/// declared type, or are more or fewer than it has (a writer of palettised weights is known to pack two in a byte
/// and to declare bytes): such a value is kept as it is.
fn elements(spec: &Bytes, range: Span, dtype: DType, dims: Dims, whole: &mut bool) -> Read<Option<Tensor>> {
    let mut member = None;
    *whole &= each_field(spec, range, |number, value, _| match (number, value) {
        (1..=7, Value::Bytes(r)) => once(&mut member, (number, r.clone()), "value"),
        _ => Ok(false),
    })?;
    let Some((kind, range)) = member else { return Ok(None) };
    let count = dims.iter().try_fold(1u64, |p, &d| p.checked_mul(d)).unwrap_or(u64::MAX);
    use DType as D;
    let payload = match (kind, dtype) {
        (form::FLOATS, D::F32) => Some(fixed::<4>(spec, range, whole)?),
        (form::DOUBLES, D::F64) => Some(fixed::<8>(spec, range, whole)?),
        (form::INTS, D::I8 | D::I16 | D::I32 | D::U8 | D::U16 | D::U32)
        | (form::LONG_INTS, D::I64 | D::U64)
        | (form::BOOLS, D::Bool) => varints(spec, range, dtype, count, whole)?,
        (form::STRINGS, D::String) => strings(spec, range, count, whole)?,
        (form::BYTES, d) if !matches!(d, D::String | D::Bool) => Some(bytes_of(spec, range, whole)?),
        _ => return Ok(None),
    };
    let Some(payload) = payload else { return Ok(None) };
    match Tensor::new(dtype, dims, payload) {
        Ok(tensor) => Ok(Some(tensor)),
        Err(TensorError::Length { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A `repeated float` or `repeated double` in any of the forms that protobuf allows.
fn fixed<const N: usize>(spec: &Bytes, range: Span, whole: &mut bool) -> Read<Payload> {
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut loose = BytesMut::new();
    *whole &= each_field(spec, range, |number, value, span| match (number, value) {
        (1, Value::Bytes(r)) => {
            if r.len() % N != 0 {
                let what = WireFault::PackedLength { length: r.len(), width: N };
                return Err(WireError { offset: span.start, what }.into());
            }
            if !loose.is_empty() {
                chunks.push(loose.split().freeze());
            }
            chunks.push(spec.slice(r.clone()));
            Ok(true)
        }
        (1, Value::Fixed32(bits)) if N == 4 => {
            loose.put_u32_le(*bits);
            Ok(true)
        }
        (1, Value::Fixed64(bits)) if N == 8 => {
            loose.put_u64_le(*bits);
            Ok(true)
        }
        _ => Ok(false),
    })?;
    if !loose.is_empty() {
        chunks.push(loose.freeze());
    }
    Ok(match chunks.len() {
        0 => Payload::Bytes(Bytes::new()),
        1 => Payload::Bytes(chunks.swap_remove(0)),
        _ => Payload::Chunks(chunks.into()),
    })
}

/// A `repeated int32`, `int64` or `bool`, if it has `count` elements.
fn varints(spec: &Bytes, range: Span, dtype: DType, count: u64, whole: &mut bool) -> Read<Option<Payload>> {
    let mut packed: Option<Span> = None;
    let mut gathered = Vec::new();
    let mut parts = 0;
    *whole &= each_field(spec, range, |number, value, _| {
        match (number, value) {
            (1, Value::Bytes(r)) => {
                if parts == 0 {
                    packed = Some(r.clone());
                } else {
                    if let Some(first) = packed.take() {
                        gathered.extend_from_slice(spec.get(first).unwrap_or_default());
                    }
                    gathered.extend_from_slice(spec.get(r.clone()).unwrap_or_default());
                }
            }
            (1, Value::Varint(n)) => {
                if let Some(first) = packed.take() {
                    gathered.extend_from_slice(spec.get(first).unwrap_or_default());
                }
                put_varint(&mut gathered, *n);
            }
            _ => return Ok(false),
        }
        parts += 1;
        Ok(true)
    })?;
    let base = packed.as_ref().map_or(0, |r| r.start);
    let all = packed.map_or_else(|| Bytes::from(gathered), |r| spec.slice(r));
    let (mut at, mut have, mut single) = (0, 0u64, true);
    while at < all.len() {
        let (value, next) = read_varint(&all, at).map_err(|e| e.shifted(base))?;
        single &= value <= 1;
        (at, have) = (next, have + 1);
    }
    if have != count {
        return Ok(None);
    }
    // Truth values of one byte each are what a dense tensor of truth values is.
    let dense = dtype == DType::Bool && single && all.len() as u64 == count;
    Ok(Some(if dense { Payload::Bytes(all) } else { Payload::Varints(all) }))
}

fn strings(spec: &Bytes, range: Span, count: u64, whole: &mut bool) -> Read<Option<Payload>> {
    let mut all: Vec<Arc<str>> = Vec::new();
    *whole &= each_field(spec, range, |number, value, _| match (number, value) {
        (1, Value::Bytes(r)) => {
            all.push(text(spec, r.clone())?.into());
            Ok(true)
        }
        _ => Ok(false),
    })?;
    Ok((all.len() as u64 == count).then(|| Payload::Strings(all.into())))
}

fn bytes_of(spec: &Bytes, range: Span, whole: &mut bool) -> Read<Payload> {
    let mut content = None;
    *whole &= each_field(spec, range, |number, value, _| match (number, value) {
        (1, Value::Bytes(r)) => once(&mut content, r.clone(), "values"),
        _ => Ok(false),
    })?;
    Ok(Payload::Bytes(content.map_or_else(Bytes::new, |r| spec.slice(r))))
}

/// The text of the `Value` at `range`, if it is one text scalar of at most 113 bytes, written as protobuf's own
/// encoders write it. Quicker than [`ValueReader::value`] for what every op has one of.
pub(super) fn scalar_text(spec: &Bytes, range: Span) -> Option<&str> {
    // Value { type { tensorType { dataType: STRING } } immediateValue { tensor { strings { values: … } } } }
    const TAGS: [(usize, u8); 10] = [
        (0, 0x12),
        (1, 4),
        (2, 0x0a),
        (3, 2),
        (4, 0x08),
        (5, 2),
        (6, 0x1a),
        (8, 0x0a),
        (10, 0x22),
        (12, 0x0a),
    ];
    let bytes = spec.get(range.clone())?;
    let length_at =
        |at: usize| bytes.get(at).is_some_and(|&n| n < 0x80 && usize::from(n) + at + 1 == bytes.len());
    let fits = TAGS.iter().all(|&(at, byte)| bytes.get(at) == Some(&byte));
    if !fits || ![7, 9, 11, 13].into_iter().all(length_at) {
        return None;
    }
    text(spec, range.start + 14..range.end).ok()
}

/// Notes the blobs that a message of the program names, down to the last value: for messages that are kept as bytes.
pub(crate) fn note_block(reader: &mut ValueReader<'_>, block: Span, depth: Depth) -> Read<()> {
    let depth = depth.down(1)?;
    let spec = reader.spec;
    each_field(spec, block, |number, value, _| match (number, value) {
        (3, Value::Bytes(op)) => {
            note_op(reader, op.clone(), depth)?;
            Ok(true)
        }
        (4, Value::Bytes(r)) => {
            let value = entry(spec, r.clone())?.value;
            reader.value(value, depth)?;
            Ok(true)
        }
        _ => Ok(true),
    })?;
    Ok(())
}

fn note_op(reader: &mut ValueReader<'_>, op: Span, depth: Depth) -> Read<()> {
    let depth = depth.down(1)?;
    let spec = reader.spec;
    each_field(spec, op, |number, value, _| {
        match (number, value) {
            (2, Value::Bytes(r)) => {
                let argument = entry(spec, r.clone())?.value;
                each_field(spec, argument, |number, value, _| {
                    let (1, Value::Bytes(binding)) = (number, value) else { return Ok(true) };
                    each_field(spec, binding.clone(), |number, value, _| {
                        if let (2, Value::Bytes(r)) = (number, value) {
                            reader.value(r.clone(), depth)?;
                        }
                        Ok::<_, Fault>(true)
                    })
                })?;
            }
            (4, Value::Bytes(r)) => note_block(reader, r.clone(), depth)?,
            (5, Value::Bytes(r)) => {
                let value = entry(spec, r.clone())?.value;
                reader.value(value, depth)?;
            }
            _ => {}
        }
        Ok(true)
    })?;
    Ok(())
}

/// The member of `TensorValue` that holds the elements of the `Value` at `range`.
pub(super) fn form_of(spec: &Bytes, range: Span) -> Option<u32> {
    let find = |range: Span, number: u32| {
        let mut fields = Fields::within(spec, range).ok()?.flatten();
        fields.find(|f| f.number == number)?.payload()
    };
    let tensor = find(find(range, 3)?, 1)?;
    Fields::within(spec, tensor).ok()?.flatten().map(|f| f.number).find(|n| (1..=7).contains(n))
}
