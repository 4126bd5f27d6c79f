//! Writing the messages of new types, constants and names.

use anewrite_ir::{Dim, TensorType, Type};
use anewrite_tensor::{DType, Payload, Tensor, TensorError};
use bytes::Bytes;
use coreml_proto::rope::Rope;
use coreml_proto::wire::put_varint;

use super::types::dtype_number;
use super::value::form;
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
        rope.push_header(number, text.len() as u64);
        rope.push_slice(text.as_bytes());
    }
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
pub(super) fn named(name: &str, ty: &Type) -> Result<Rope, ExportProblem> {
    let mut rope = Rope::new();
    push_text(&mut rope, 1, name);
    rope.push_field(2, &value_type(ty)?);
    Ok(rope)
}

/// A `ValueType`.
pub(super) fn value_type(ty: &Type) -> Result<Rope, ExportProblem> {
    let mut rope = Rope::new();
    match ty {
        Type::Tensor(t) => rope.push_field(1, &tensor_type(t)?),
        Type::List { element, length } => {
            let mut list = Rope::new();
            list.push_field(1, &value_type(&Type::Tensor(element.clone()))?);
            list.push_field(2, &dimension(length.map_or(Dim::Unknown, Dim::Known)));
            rope.push_field(2, &list);
        }
        Type::Tuple(types) => {
            let mut tuple = Rope::new();
            for t in types {
                tuple.push_field(1, &value_type(t)?);
            }
            rope.push_field(3, &tuple);
        }
        Type::Dict { key, value } => {
            let mut dict = Rope::new();
            dict.push_field(1, &value_type(key)?);
            dict.push_field(2, &value_type(value)?);
            rope.push_field(4, &dict);
        }
        Type::State(t) => {
            let mut state = Rope::new();
            state.push_field(1, &value_type(&Type::Tensor(t.clone()))?);
            rope.push_field(5, &state);
        }
        Type::Unknown => return Err(ExportProblem::UnknownType),
    }
    Ok(rope)
}

fn tensor_type(t: &TensorType) -> Result<Rope, ExportProblem> {
    let mut rope = Rope::new();
    rope.push_varint_field(1, dtype_number(t.dtype).ok_or(ExportProblem::UnknownType)?);
    match &t.shape {
        Some(shape) => {
            if !shape.is_empty() {
                rope.push_varint_field(2, shape.len() as u64);
            }
            for &dim in shape {
                rope.push_field(3, &dimension(dim));
            }
        }
        None => {
            let mut variadic = Rope::new();
            variadic.push_varint_field(1, 1);
            let mut dim = Rope::new();
            dim.push_field(2, &variadic);
            rope.push_varint_field(2, 1);
            rope.push_field(3, &dim);
        }
    }
    Ok(rope)
}

fn dimension(dim: Dim) -> Rope {
    let (mut rope, mut inner) = (Rope::new(), Rope::new());
    match dim {
        Dim::Known(n) => {
            if n != 0 {
                inner.push_varint_field(1, n);
            }
            rope.push_field(1, &inner);
        }
        Dim::Unknown | Dim::Expr(_) => rope.push_field(2, &inner),
    }
    rope
}

/// A `Value` that holds a tensor.
pub(super) fn value(spec: &Bytes, tensor: &Tensor, home: Home<'_>) -> Result<Rope, ExportProblem> {
    let ty = TensorType::fixed(tensor.dtype(), tensor.dims().iter().copied());
    let mut rope = Rope::new();
    rope.push_field(2, &value_type(&ty.into())?);
    match home {
        Home::Message(form) => {
            let mut immediate = Rope::new();
            immediate.push_field(1, &tensor_value(spec, tensor, form)?);
            rope.push_field(3, &immediate);
        }
        Home::File(name, offset) => {
            let mut blob = Rope::new();
            push_text(&mut blob, 1, name);
            if offset != 0 {
                blob.push_varint_field(2, offset);
            }
            rope.push_field(5, &blob);
        }
    }
    Ok(rope)
}

/// A `Value` that holds one text.
pub(super) fn text_value(text: &str) -> Rope {
    let (mut tensor, mut ty, mut rope) = (Rope::new(), Rope::new(), Rope::new());
    tensor.push_varint_field(1, 2);
    ty.push_field(1, &tensor);
    rope.push_field(2, &ty);
    let (mut strings, mut tensor, mut immediate) = (Rope::new(), Rope::new(), Rope::new());
    strings.push_header(1, text.len() as u64);
    strings.push_slice(text.as_bytes());
    tensor.push_field(form::STRINGS, &strings);
    immediate.push_field(1, &tensor);
    rope.push_field(3, &immediate);
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

fn tensor_value(spec: &Bytes, tensor: &Tensor, asked: Option<u32>) -> Result<Rope, ExportProblem> {
    let form = asked.unwrap_or_else(|| usual_form(tensor.dtype()));
    let mut content = Rope::new();
    if tensor.count() > 0 {
        match form {
            form::STRINGS => {
                let unreadable = TensorError::Unreadable(tensor.dtype());
                for text in tensor.strings().ok_or(unreadable)? {
                    content.push_header(1, text.len() as u64);
                    content.push_slice(text.as_bytes());
                }
            }
            form::INTS | form::LONG_INTS | form::BOOLS => {
                let packed = varints(tensor)?;
                content.push_header(1, packed.len() as u64);
                push_payload(&mut content, spec, &packed);
            }
            _ => match tensor.payload() {
                Payload::Chunks(chunks) => {
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
            },
        }
    }
    let mut rope = Rope::new();
    rope.push_field(form, &content);
    Ok(rope)
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
