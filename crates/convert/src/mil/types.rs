//! Types of values: `ValueType` messages read and written.

use anewrite_ir::{Dim, Shape, TensorType, Type};
use anewrite_tensor::DType;
use bytes::Bytes;
use coreml_proto::wire::Value;

use crate::error::{Problem, Read};
use crate::read::{Depth, Span, each_field, once};

/// A type, and whether its message holds nothing that the type does not say.
#[derive(Clone)]
pub(super) struct TypeRead {
    pub(super) ty: Type,
    pub(super) whole: bool,
}

const UNKNOWN: TypeRead = TypeRead { ty: Type::Unknown, whole: false };

/// Reads the `ValueType` at `range`.
pub(super) fn value_type(spec: &Bytes, range: Span, depth: Depth) -> Read<TypeRead> {
    let depth = depth.down(1)?;
    let mut member = None;
    let known = each_field(spec, range, |number, value, _| match (number, value) {
        (1..=5, Value::Bytes(r)) => once(&mut member, (number, r.clone()), "type"),
        _ => Ok(false),
    })?;
    let read = match member {
        Some((1, r)) => {
            let (ty, whole) = tensor_type(spec, r)?;
            TypeRead { ty: ty.map_or(Type::Unknown, Type::Tensor), whole }
        }
        Some((2, r)) => list_type(spec, r, depth)?,
        Some((3, r)) => tuple_type(spec, r, depth)?,
        Some((4, r)) => dictionary_type(spec, r, depth)?,
        Some((_, r)) => state_type(spec, r, depth)?,
        None => UNKNOWN,
    };
    Ok(TypeRead { whole: read.whole && known, ..read })
}

/// Reads the `TensorType` at `range`. No type where the element type is not known.
fn tensor_type(spec: &Bytes, range: Span) -> Read<(Option<TensorType>, bool)> {
    let (mut data_type, mut rank) = (None, None);
    let mut shape = Some(Shape::new());
    let mut whole = each_field(spec, range, |number, value, _| match (number, value) {
        (1, Value::Varint(n)) => once(&mut data_type, *n, "dataType"),
        (2, Value::Varint(n)) => once(&mut rank, *n as i64, "rank"),
        (3, Value::Bytes(r)) => {
            let (dim, known) = dimension(spec, r.clone())?;
            match (dim, &mut shape) {
                (Some(dim), Some(shape)) => shape.push(dim),
                _ => shape = None,
            }
            Ok(known)
        }
        _ => Ok(false),
    })?;
    let rank = rank.unwrap_or(0);
    match &shape {
        Some(shape) if rank == shape.len() as i64 => {}
        // A negative rank says that none is known; coremltools says the same with one dim for all.
        Some(dims) if rank < 0 && dims.is_empty() => {
            shape = None;
            whole = false;
        }
        Some(_) => whole = false,
        None => whole &= rank == 1,
    }
    let Some(dtype) = data_type.and_then(dtype_of) else { return Ok((None, false)) };
    if let Some(dims) = shape.iter().next() {
        let known = || dims.iter().filter_map(|d| d.known());
        if known().try_fold(1u64, |p, d| p.checked_mul(d).filter(|&p| p < 1 << 63)).is_none() {
            return Err(Problem::Overflow(known().collect()).into());
        }
    }
    Ok((Some(TensorType { dtype, shape }), whole))
}

/// Reads the `Dimension` at `range`: `None` for the one that stands for any number of dims.
fn dimension(spec: &Bytes, range: Span) -> Read<(Option<Dim>, bool)> {
    let mut member = None;
    let mut whole = each_field(spec, range, |number, value, _| match (number, value) {
        (1 | 2, Value::Bytes(r)) => once(&mut member, (number, r.clone()), "dimension"),
        _ => Ok(false),
    })?;
    let Some((number, r)) = member else { return Ok((Some(Dim::Unknown), false)) };
    let mut content = None;
    whole &= each_field(spec, r, |number, value, _| match (number, value) {
        (1, Value::Varint(n)) => once(&mut content, *n, "dimension"),
        _ => Ok(false),
    })?;
    let content = content.unwrap_or(0);
    let dim = match number {
        1 => Some(Dim::Known(content)),
        _ if content == 0 => Some(Dim::Unknown),
        _ => None,
    };
    Ok((dim, whole))
}

fn list_type(spec: &Bytes, range: Span, depth: Depth) -> Read<TypeRead> {
    let (mut element, mut length) = (None, None);
    let mut whole = each_field(spec, range, |number, value, _| match (number, value) {
        (1, Value::Bytes(r)) => once(&mut element, r.clone(), "type"),
        (2, Value::Bytes(r)) => once(&mut length, r.clone(), "length"),
        _ => Ok(false),
    })?;
    let Some(element) = element else { return Ok(UNKNOWN) };
    let element = value_type(spec, element, depth)?;
    let length = match length {
        Some(r) => {
            let (dim, known) = dimension(spec, r)?;
            whole &= known && dim.is_some();
            dim.and_then(Dim::known)
        }
        None => {
            whole = false;
            None
        }
    };
    match element.ty {
        Type::Tensor(t) => {
            Ok(TypeRead { ty: Type::List { element: t, length }, whole: whole && element.whole })
        }
        _ => Ok(UNKNOWN),
    }
}

fn tuple_type(spec: &Bytes, range: Span, depth: Depth) -> Read<TypeRead> {
    let mut types = Vec::new();
    let mut whole = true;
    whole &= each_field(spec, range, |number, value, _| match (number, value) {
        (1, Value::Bytes(r)) => {
            let member = value_type(spec, r.clone(), depth)?;
            types.push(member.ty);
            Ok(member.whole)
        }
        _ => Ok(false),
    })?;
    Ok(TypeRead { ty: Type::Tuple(types), whole })
}

fn dictionary_type(spec: &Bytes, range: Span, depth: Depth) -> Read<TypeRead> {
    let (mut key, mut value) = (None, None);
    let whole = each_field(spec, range, |number, v, _| match (number, v) {
        (1, Value::Bytes(r)) => once(&mut key, r.clone(), "keyType"),
        (2, Value::Bytes(r)) => once(&mut value, r.clone(), "valueType"),
        _ => Ok(false),
    })?;
    let (Some(key), Some(value)) = (key, value) else { return Ok(UNKNOWN) };
    let (key, value) = (value_type(spec, key, depth)?, value_type(spec, value, depth)?);
    let whole = whole && key.whole && value.whole;
    Ok(TypeRead { ty: Type::Dict { key: Box::new(key.ty), value: Box::new(value.ty) }, whole })
}

fn state_type(spec: &Bytes, range: Span, depth: Depth) -> Read<TypeRead> {
    let mut wrapped = None;
    let whole = each_field(spec, range, |number, value, _| match (number, value) {
        (1, Value::Bytes(r)) => once(&mut wrapped, r.clone(), "wrappedType"),
        _ => Ok(false),
    })?;
    let Some(wrapped) = wrapped else { return Ok(UNKNOWN) };
    let wrapped = value_type(spec, wrapped, depth)?;
    match wrapped.ty {
        Type::Tensor(t) => Ok(TypeRead { ty: Type::State(t), whole: whole && wrapped.whole }),
        _ => Ok(UNKNOWN),
    }
}

/// Element types and their numbers in the schema (`DataType` of MIL.proto).
const DTYPES: [(u64, DType); 22] = [
    (1, DType::Bool),
    (2, DType::String),
    (10, DType::F16),
    (11, DType::F32),
    (12, DType::F64),
    (13, DType::BF16),
    (21, DType::I8),
    (22, DType::I16),
    (23, DType::I32),
    (24, DType::I64),
    (25, DType::I4),
    (31, DType::U8),
    (32, DType::U16),
    (33, DType::U32),
    (34, DType::U64),
    (35, DType::U4),
    (36, DType::U2),
    (37, DType::U1),
    (38, DType::U6),
    (39, DType::U3),
    (40, DType::F8E4M3),
    (41, DType::F8E5M2),
];

fn dtype_of(number: u64) -> Option<DType> {
    DTYPES.iter().find(|(n, _)| *n == number).map(|(_, d)| *d)
}

/// The number that the schema has for an element type.
pub(super) fn dtype_number(dtype: DType) -> Option<u64> {
    DTYPES.iter().find(|(_, d)| *d == dtype).map(|(n, _)| *n)
}
