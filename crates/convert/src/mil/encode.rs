//! Writing the messages of new types, constants and names.

use anewrite_ir::{Dim, TensorType, Type};
use anewrite_tensor::{DType, Payload, Tensor, TensorError};
use bytes::Bytes;
use coreml_proto::rope::Rope;
use coreml_proto::wire::{WireType, put_tag, put_varint, tag_len, varint_len};

use super::types::dtype_number;
use super::value::form;
use crate::error::Problem;
use crate::export::ExportProblem;

/// Where the elements of a constant go.
pub(super) enum Home<'a> {
    /// Into the message; the number is the member of `TensorValue`, where one is asked for.
    Message(Option<u32>),
    /// Into a weight file: its name in the model, and the offset of the blob.
    File(&'a str, u64),
}

/// Appends a text field, which proto3 leaves out where it is empty.
pub(super) fn push_text(rope: &mut Rope, number: u32, text: &str) {
    if !text.is_empty() {
        let mut field = Vec::with_capacity(text.len() + 8);
        put_field(&mut field, number, text.as_bytes());
        rope.push_slice(&field);
    }
}

/// Appends a length-delimited field.
pub(super) fn put_field(bytes: &mut Vec<u8>, number: u32, content: &[u8]) {
    put_tag(bytes, number, WireType::Len);
    put_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn put_number(bytes: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(bytes, number, WireType::Varint);
    put_varint(bytes, value);
}

/// Appends bytes, as a range of the source where they lie in it.
pub(crate) fn push_payload(rope: &mut Rope, spec: &Bytes, bytes: &Bytes) {
    match offset_in(spec, bytes) {
        Some(start) => rope.push_source(start..start + bytes.len() as u64),
        None => rope.push_bytes(bytes.clone()),
    }
}

fn offset_in(spec: &Bytes, part: &Bytes) -> Option<u64> {
    let start = part.as_ptr().addr().checked_sub(spec.as_ptr().addr())?;
    (start.checked_add(part.len())? <= spec.len()).then_some(start as u64)
}

/// A `NamedValueType`.
pub(super) fn named(name: &str, ty: &Type) -> Result<Vec<u8>, ExportProblem> {
    let mut bytes = Vec::with_capacity(64);
    if !name.is_empty() {
        put_field(&mut bytes, 1, name.as_bytes());
    }
    put_field(&mut bytes, 2, &value_type(ty)?);
    Ok(bytes)
}

/// A `NamedValueType` as a message.
pub(crate) fn new_named(name: &str, ty: &Type) -> Result<coreml_proto::mil::NamedValueType, Problem> {
    let bytes = named(name, ty).map_err(|_| Problem::Missing("a type"))?;
    Ok(prost::Message::decode(bytes.as_slice())?)
}

/// A `ValueType`.
fn value_type(ty: &Type) -> Result<Vec<u8>, ExportProblem> {
    let mut inner = Vec::new();
    let number = match ty {
        Type::Tensor(t) => {
            inner = tensor_type(t)?;
            1
        }
        Type::List { element, length } => {
            put_field(&mut inner, 1, &value_type(&Type::Tensor(element.clone()))?);
            put_field(&mut inner, 2, &dimension(length.map_or(Dim::Unknown, Dim::Known)));
            2
        }
        Type::Tuple(types) => {
            for t in types {
                put_field(&mut inner, 1, &value_type(t)?);
            }
            3
        }
        Type::Dict { key, value } => {
            put_field(&mut inner, 1, &value_type(key)?);
            put_field(&mut inner, 2, &value_type(value)?);
            4
        }
        Type::State(t) => {
            put_field(&mut inner, 1, &value_type(&Type::Tensor(t.clone()))?);
            5
        }
        Type::Unknown => return Err(ExportProblem::UnknownType),
    };
    let mut bytes = Vec::with_capacity(inner.len() + 4);
    put_field(&mut bytes, number, &inner);
    Ok(bytes)
}

fn tensor_type(t: &TensorType) -> Result<Vec<u8>, ExportProblem> {
    let mut bytes = Vec::with_capacity(32);
    put_number(&mut bytes, 1, dtype_number(t.dtype).ok_or(ExportProblem::UnknownType)?);
    match &t.shape {
        Some(shape) => {
            if !shape.is_empty() {
                put_number(&mut bytes, 2, shape.len() as u64);
            }
            for &dim in shape {
                put_field(&mut bytes, 3, &dimension(dim));
            }
        }
        // One dim that stands for any number of them.
        None => {
            put_number(&mut bytes, 2, 1);
            put_field(&mut bytes, 3, &[0x12, 2, 0x08, 1]);
        }
    }
    Ok(bytes)
}

fn dimension(dim: Dim) -> Vec<u8> {
    let (mut bytes, mut inner) = (Vec::new(), Vec::new());
    match dim {
        Dim::Known(n) => {
            if n != 0 {
                put_number(&mut inner, 1, n);
            }
            put_field(&mut bytes, 1, &inner);
        }
        Dim::Unknown | Dim::Expr(_) => put_field(&mut bytes, 2, &inner),
    }
    bytes
}

/// A `Value` that holds a tensor.
pub(super) fn value(spec: &Bytes, tensor: &Tensor, home: Home<'_>) -> Result<Rope, ExportProblem> {
    let ty = TensorType::fixed(tensor.dtype(), tensor.dims().iter().copied());
    let mut bytes = Vec::with_capacity(64);
    put_field(&mut bytes, 2, &value_type(&ty.into())?);
    let mut rope = Rope::new();
    match home {
        Home::Message(form) => {
            let form = form.unwrap_or_else(|| usual_form(tensor.dtype()));
            let elements = elements(spec, tensor, form)?;
            // Lengths from the inside out: the elements, their kind, the tensor in the immediate value.
            let kind = field_len(form, elements.len());
            put_header(&mut bytes, 3, field_len(1, kind));
            put_header(&mut bytes, 1, kind);
            put_header(&mut bytes, form, elements.len());
            rope.push_slice(&bytes);
            rope.push_rope(&elements);
        }
        Home::File(name, offset) => {
            let mut blob = Vec::with_capacity(name.len() + 16);
            put_field(&mut blob, 1, name.as_bytes());
            if offset != 0 {
                put_number(&mut blob, 2, offset);
            }
            put_field(&mut bytes, 5, &blob);
            rope.push_slice(&bytes);
        }
    }
    Ok(rope)
}

fn put_header(bytes: &mut Vec<u8>, number: u32, content: u64) {
    put_tag(bytes, number, WireType::Len);
    put_varint(bytes, content);
}

/// The length of a length-delimited field.
fn field_len(number: u32, content: u64) -> u64 {
    (tag_len(number) + varint_len(content)) as u64 + content
}

/// A `Value` that holds one text.
pub(super) fn text_value(text: &str) -> Rope {
    let mut inner = Vec::with_capacity(text.len() + 16);
    put_field(&mut inner, 1, text.as_bytes());
    for number in [form::STRINGS, 1, 3] {
        let mut outer = Vec::with_capacity(inner.len() + 16);
        put_field(&mut outer, number, &inner);
        inner = outer;
    }
    let mut rope = Rope::new();
    rope.push_slice(&[&[0x12, 4, 0x0a, 2, 0x08, 2], inner.as_slice()].concat());
    rope
}

/// The member of `TensorValue` that Core ML reads elements of a type from.
fn usual_form(dtype: DType) -> u32 {
    match dtype {
        DType::F32 => form::FLOATS,
        DType::F64 => form::DOUBLES,
        DType::I16 | DType::U16 | DType::I32 => form::INTS,
        DType::I64 | DType::U64 => form::LONG_INTS,
        DType::Bool => form::BOOLS,
        DType::String => form::STRINGS,
        _ => form::BYTES,
    }
}

/// The content of the member of `TensorValue` that `form` names.
fn elements(spec: &Bytes, tensor: &Tensor, form: u32) -> Result<Rope, ExportProblem> {
    let mut content = Rope::new();
    if tensor.count() == 0 {
        return Ok(content);
    }
    match (form, tensor.payload()) {
        (form::STRINGS, _) => {
            let unreadable = TensorError::Unreadable(tensor.dtype());
            let mut bytes = Vec::new();
            for text in tensor.strings().ok_or(unreadable)? {
                put_field(&mut bytes, 1, text.as_bytes());
            }
            content.push_bytes(bytes);
        }
        (form::INTS | form::LONG_INTS | form::BOOLS, _) => {
            let packed = varints(tensor)?;
            content.push_header(1, packed.len() as u64);
            push_payload(&mut content, spec, &packed);
        }
        (_, Payload::Chunks(chunks)) => {
            content.push_header(1, chunks.iter().map(|c| c.len() as u64).sum());
            for chunk in chunks.iter() {
                push_payload(&mut content, spec, chunk);
            }
        }
        _ => {
            let bytes = tensor.bytes()?;
            content.push_header(1, bytes.len() as u64);
            push_payload(&mut content, spec, &bytes);
        }
    }
    Ok(content)
}

fn varints(tensor: &Tensor) -> Result<Bytes, ExportProblem> {
    match tensor.payload() {
        Payload::Varints(packed) => Ok(packed.clone()),
        // One byte, 0 or 1, is also the varint of a truth value.
        Payload::Bytes(dense) if tensor.dtype() == DType::Bool && dense.iter().all(|&b| b <= 1) => {
            Ok(dense.clone())
        }
        _ if tensor.dtype() == DType::U64 => {
            let mut packed = Vec::new();
            for element in tensor.bytes()?.as_chunks::<8>().0 {
                put_varint(&mut packed, u64::from_le_bytes(*element));
            }
            Ok(packed.into())
        }
        _ => {
            let mut packed = Vec::new();
            for n in tensor.to_i64s()? {
                put_varint(&mut packed, n.cast_unsigned());
            }
            Ok(packed.into())
        }
    }
}
