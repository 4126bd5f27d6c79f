//! A large payload, in place.

use bytes::Bytes;
use prost_reflect::Kind;

use super::PathStep;
use crate::wire::{Fields, Value, read_varint};

/// What the elements of a payload are, in the schema's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Element {
    /// Uninterpreted bytes: a `bytes` field.
    Byte,
    /// `float`: four bytes, little-endian.
    Float,
    /// `double`: eight bytes, little-endian.
    Double,
    /// `fixed32` or `sfixed32`: four bytes, little-endian.
    Fixed32,
    /// `fixed64` or `sfixed64`: eight bytes, little-endian.
    Fixed64,
    /// `int32`, `int64`, `uint32`, `uint64`, or an enum: a varint; negative values are sign-extended to 64 bits.
    Int,
    /// `sint32` or `sint64`: a zigzag varint.
    Zigzag,
    /// `bool`: a varint, 0 for false.
    Bool,
}

impl Element {
    /// Bytes of one element; `None` for varints, which have one to ten.
    pub fn width(self) -> Option<usize> {
        match self {
            Element::Byte => Some(1),
            Element::Float | Element::Fixed32 => Some(4),
            Element::Double | Element::Fixed64 => Some(8),
            Element::Int | Element::Zigzag | Element::Bool => None,
        }
    }

    /// What a repeated field of this kind has as elements; `None` for strings and messages, and for `bytes`, which are
    /// payloads each.
    pub(super) fn of_repeated(kind: &Kind) -> Option<Element> {
        Some(match kind {
            Kind::Float => Element::Float,
            Kind::Double => Element::Double,
            Kind::Fixed32 | Kind::Sfixed32 => Element::Fixed32,
            Kind::Fixed64 | Kind::Sfixed64 => Element::Fixed64,
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Enum(_) => Element::Int,
            Kind::Sint32 | Kind::Sint64 => Element::Zigzag,
            Kind::Bool => Element::Bool,
            Kind::String | Kind::Bytes | Kind::Message(_) => return None,
        })
    }
}

/// How the source writes a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// One run of bytes, without anything between elements: a `bytes` field, or one packed chunk.
    Packed,
    /// Several packed chunks.
    Chunked,
    /// Each element is a field of its own.
    Unpacked,
    /// Packed chunks and single elements.
    Mixed,
}

/// A large payload of a message: slices of the source, and where in the message they belong.
#[derive(Clone, Debug)]
pub struct Payload {
    /// From the split message to the field.
    pub path: Vec<PathStep>,
    pub(super) element: Element,
    pub(super) form: Form,
    pub(super) elements: u64,
    /// For [`Form::Packed`] the elements alone. Otherwise runs of whole fields, tags and lengths included, so that a
    /// million unpacked elements are one slice. Checked when they were gathered.
    pub(super) runs: Vec<Bytes>,
}

impl Payload {
    /// What the elements are.
    pub fn element(&self) -> Element {
        self.element
    }

    /// How the source writes them.
    pub fn form(&self) -> Form {
        self.form
    }

    /// How many there are; bytes for [`Element::Byte`].
    pub fn elements(&self) -> u64 {
        self.elements
    }

    /// The payload as one slice of the source, without alignment; `None` where the form is not [`Form::Packed`].
    ///
    /// Varints stay encoded.
    pub fn slice(&self) -> Option<&Bytes> {
        self.runs.first().filter(|_| self.form == Form::Packed)
    }

    /// The elements alone, as slices of the source in order: a packed chunk is one slice, an unpacked element is one.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> {
        self.runs.iter().flat_map(|run| {
            let bare = (self.form == Form::Packed).then(|| run.clone());
            let fields =
                Values { run: if bare.is_some() { &[] } else { run } }.map(|value| run.slice_ref(value));
            bare.into_iter().chain(fields)
        })
    }

    /// The elements as one run of bytes: the slice of the source where the form is [`Form::Packed`], else a copy.
    ///
    /// Numbers of fixed width are little-endian; varints stay encoded.
    pub fn contiguous(&self) -> Bytes {
        if let Some(slice) = self.slice() {
            return slice.clone();
        }
        let stored: usize = self.runs.iter().map(Bytes::len).sum();
        let mut all = Vec::with_capacity(match (self.element.width(), usize::try_from(self.elements)) {
            (Some(width), Ok(elements)) => elements.saturating_mul(width).min(stored),
            _ => stored,
        });
        for run in &self.runs {
            for value in (Values { run }) {
                all.extend_from_slice(value);
            }
        }
        all.into()
    }
}

/// The values of a run of fields, without tags and lengths.
struct Values<'a> {
    run: &'a [u8],
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // The run was read once already: none of this fails.
        let field = Fields::new(self.run).next()?.ok()?;
        let value = match field.value {
            Value::Bytes(payload) => payload,
            _ => read_varint(self.run, field.span.start).ok()?.1..field.span.end,
        };
        let value = self.run.get(value)?;
        self.run = self.run.get(field.span.end..)?;
        Some(value)
    }
}
