//! Reading messages at wire level: the few shapes that every message is made of.

use std::ops::Range;

use bytes::Bytes;
use coreml_proto::wire::{Fields, MAX_DEPTH, Value};

use crate::error::{Problem, Read};

/// A place in the specification.
pub(crate) type Span = Range<usize>;

/// Calls `each` for every field of the message at `range`: number, value, span with tag. `each` answers whether it
/// knows the field; the result is whether it knew all.
pub(crate) fn each_field(
    spec: &Bytes,
    range: Span,
    mut each: impl FnMut(u32, &Value, Span) -> Read<bool>,
) -> Read<bool> {
    let mut all = true;
    for field in Fields::within(spec, range)? {
        let field = field?;
        all &= each(field.number, &field.value, field.span)?;
    }
    Ok(all)
}

/// Sets a field that occurs once.
pub(crate) fn once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Read<bool> {
    match slot.replace(value) {
        None => Ok(true),
        Some(_) => Err(Problem::Repeated(name).into()),
    }
}

/// The text at `range`.
pub(crate) fn text(spec: &Bytes, range: Span) -> Read<&str> {
    let bytes = spec.get(range).unwrap_or_default();
    Ok(std::str::from_utf8(bytes).map_err(|_| Problem::Utf8)?)
}

/// An entry of a map from text to messages.
pub(crate) struct Entry {
    /// Where the key's text is; empty where it is left out.
    pub(crate) key: Span,
    /// Where the value's content is; empty where it is left out.
    pub(crate) value: Span,
    /// The value's field, tag included; empty where it is left out.
    pub(crate) value_field: Span,
    /// Whether the entry has nothing but key and value.
    pub(crate) plain: bool,
}

/// Reads the map entry at `range`.
pub(crate) fn entry(spec: &Bytes, range: Span) -> Read<Entry> {
    let (mut key, mut value) = (None, None);
    let plain = each_field(spec, range.clone(), |number, v, span| match (number, v) {
        (1, Value::Bytes(r)) => once(&mut key, r.clone(), "the key of a map entry"),
        (2, Value::Bytes(r)) => once(&mut value, (r.clone(), span), "the value of a map entry"),
        _ => Ok(false),
    })?;
    let none = range.end..range.end;
    let (value, value_field) = value.unwrap_or((none.clone(), none.clone()));
    Ok(Entry { key: key.unwrap_or(none), value, value_field, plain })
}

/// How many messages deep a reader is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Depth(usize);

impl Depth {
    /// `levels` messages further in.
    pub(crate) fn down(self, levels: usize) -> Read<Depth> {
        match self.0 + levels {
            depth if depth <= MAX_DEPTH => Ok(Depth(depth)),
            _ => Err(Problem::TooDeep.into()),
        }
    }
}
