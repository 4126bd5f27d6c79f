//! Protobuf's wire format without a schema: which fields a message has, and where their bytes are.
//!
//! The format is the one that protobuf's encoding guide defines. Nothing here copies or interprets a payload: a [`Field`]
//! says where it lies, so that whoever edits a message can keep every byte that is not theirs to change.
//!
//! Any input gives fields or a [`WireError`]; reading takes constant memory and one pass.

mod encode;
mod error;

use std::ops::Range;

pub use encode::{put_tag, put_varint, tag_len, varint_len};
pub use error::{WireError, WireFault};

/// How deep groups and messages may nest; protobuf's own readers have the same bound.
pub const MAX_DEPTH: usize = 100;

/// The largest field number, 2²⁹ − 1.
pub const MAX_FIELD_NUMBER: u32 = (1 << 29) - 1;

/// How the bytes of a field are delimited: the three low bits of its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WireType {
    /// A varint: integers, booleans, enums.
    Varint = 0,
    /// Eight bytes: `double`, `fixed64`, `sfixed64`.
    Fixed64 = 1,
    /// A varint length and as many bytes: strings, bytes, messages, packed scalars.
    Len = 2,
    /// Starts a group, which an [`WireType::EndGroup`] of the same number ends.
    StartGroup = 3,
    /// Ends a group.
    EndGroup = 4,
    /// Four bytes: `float`, `fixed32`, `sfixed32`.
    Fixed32 = 5,
}

impl WireType {
    fn from_tag(tag: u32) -> Option<WireType> {
        Some(match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Len,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::Fixed32,
            _ => return None,
        })
    }
}

/// What a field holds. Ranges are offsets in the slice that [`Fields`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The integer of a [`WireType::Varint`] field, as its 64 bits.
    Varint(u64),
    /// The bits of a [`WireType::Fixed32`] field.
    Fixed32(u32),
    /// The bits of a [`WireType::Fixed64`] field.
    Fixed64(u64),
    /// The payload of a [`WireType::Len`] field, without tag and length.
    Bytes(Range<usize>),
    /// The fields inside a group, without its two tags.
    Group(Range<usize>),
}

/// One occurrence of a field in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's number, 1 to [`MAX_FIELD_NUMBER`].
    pub number: u32,
    /// How its bytes are delimited; never [`WireType::EndGroup`].
    pub wire: WireType,
    /// From the first byte of the tag to the end of the value.
    pub span: Range<usize>,
    /// What it holds.
    pub value: Value,
}

impl Field {
    /// Where the payload of a length-delimited field is; `None` for other wire types.
    pub fn payload(&self) -> Option<Range<usize>> {
        match &self.value {
            Value::Bytes(range) => Some(range.clone()),
            _ => None,
        }
    }

    /// The payload of a length-delimited field, out of the slice that the field was read from.
    pub fn bytes<'a>(&self, source: &'a [u8]) -> Option<&'a [u8]> {
        source.get(self.payload()?)
    }
}

/// The fields of one message, in source order.
///
/// The spans of the fields follow each other without a gap; where the message is well-formed they cover it. The first
/// error ends the iteration.
///
/// ```
/// use coreml_proto::wire::{Fields, Value};
///
/// // Field 1 = 150, field 2 = "hi".
/// let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i'];
/// let fields: Vec<_> = Fields::new(&message).collect::<Result<_, _>>().unwrap();
/// assert_eq!(fields[0].value, Value::Varint(150));
/// assert_eq!((fields[1].number, fields[1].span.clone()), (2, 3..7));
/// assert_eq!(fields[1].bytes(&message), Some(&b"hi"[..]));
///
/// let error = Fields::new(&message[..6]).nth(1).unwrap().unwrap_err();
/// assert_eq!(error.offset, 4);
/// ```
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// Ends where the message ends.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// The fields of the message that `bytes` hold. Offsets are relative to `bytes`.
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, at: 0 }
    }

    /// The fields of the message at `range` of `bytes`. Offsets stay relative to `bytes`, so descending into a file of
    /// nested messages needs no arithmetic.
    ///
    /// Fails with [`WireFault::RangePastEnd`] when `range` is not inside `bytes`.
    pub fn within(bytes: &'a [u8], range: Range<usize>) -> Result<Fields<'a>, WireError> {
        match bytes.get(..range.end) {
            Some(bytes) if range.start <= range.end => Ok(Fields { bytes, at: range.start }),
            _ => Err(WireError { offset: range.start, what: WireFault::RangePastEnd }),
        }
    }

    /// The offset of the next field, or the end of the message.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Passes over the fields of fixed width that follow `field`, the last one read, with the very bytes of its tag: the
    /// further elements of an unpacked scalar. Returns how many there were.
    pub(crate) fn skip_alike(&mut self, field: &Field) -> usize {
        let width = match field.value {
            Value::Fixed32(_) => 4,
            Value::Fixed64(_) => 8,
            _ => return 0,
        };
        let stride = field.span.len();
        let tag = self.bytes.get(field.span.start..field.span.end - width).unwrap_or_default();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.chunks_exact(stride).take_while(|element| element.starts_with(tag)).count();
        self.at += count * stride;
        count
    }

    #[inline]
    fn field(&mut self) -> Result<Field, WireError> {
        let start = self.at;
        let (number, wire) = self.tag()?;
        let value = match wire {
            WireType::StartGroup => self.group(number, start)?,
            WireType::EndGroup => {
                return Err(WireError { offset: start, what: WireFault::UnexpectedEndGroup(number) });
            }
            _ => self.scalar(wire)?,
        };
        Ok(Field { number, wire, span: start..self.at, value })
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, WireType), WireError> {
        let offset = self.at;
        let fault = |what| WireError { offset, what };
        let tag = self.varint()?;
        let tag = u32::try_from(tag).map_err(|_| fault(WireFault::TagTooLarge(tag)))?;
        if tag >> 3 == 0 {
            return Err(fault(WireFault::FieldZero));
        }
        let wire = WireType::from_tag(tag).ok_or_else(|| fault(WireFault::BadWireType((tag & 7) as u8)))?;
        Ok((tag >> 3, wire))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, WireError> {
        let (value, end) = read_varint(self.bytes, self.at)?;
        self.at = end;
        Ok(value)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let value = *rest.first_chunk().ok_or(WireError { offset: self.at, what: WireFault::Truncated })?;
        self.at += N;
        Ok(value)
    }

    /// The value of any field that is not a group.
    #[inline]
    fn scalar(&mut self, wire: WireType) -> Result<Value, WireError> {
        Ok(match wire {
            WireType::Varint => Value::Varint(self.varint()?),
            WireType::Fixed32 => Value::Fixed32(u32::from_le_bytes(self.fixed()?)),
            WireType::Fixed64 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            WireType::Len | WireType::StartGroup | WireType::EndGroup => {
                let offset = self.at;
                let length = self.varint()?;
                let left = self.bytes.len() - self.at;
                let end = usize::try_from(length)
                    .ok()
                    .filter(|&length| length <= left)
                    .map(|length| self.at + length)
                    .ok_or(WireError { offset, what: WireFault::LengthPastEnd { length, left } })?;
                let range = self.at..end;
                self.at = end;
                Value::Bytes(range)
            }
        })
    }

    /// Skips a group whose start tag has been read; `start` is where that tag began.
    fn group(&mut self, number: u32, start: usize) -> Result<Value, WireError> {
        let inside = self.at;
        let mut open = vec![number];
        loop {
            let offset = self.at;
            if offset == self.bytes.len() {
                return Err(WireError { offset: start, what: WireFault::OpenGroup(number) });
            }
            let (number, wire) = self.tag()?;
            match wire {
                WireType::StartGroup if open.len() == MAX_DEPTH => {
                    return Err(WireError { offset, what: WireFault::TooDeep });
                }
                WireType::StartGroup => open.push(number),
                WireType::EndGroup => {
                    if open.pop() != Some(number) {
                        return Err(WireError { offset, what: WireFault::UnexpectedEndGroup(number) });
                    }
                    if open.is_empty() {
                        return Ok(Value::Group(inside..offset));
                    }
                }
                _ => {
                    self.scalar(wire)?;
                }
            }
        }
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.at = self.bytes.len();
        }
        Some(field)
    }
}

impl std::iter::FusedIterator for Fields<'_> {}

/// Reads the varint at `at`: its value and the offset after it.
///
/// Fails with [`WireFault::Truncated`] where the bytes end first, and with [`WireFault::VarintTooLong`] where it has more
/// than 64 bits (over ten bytes).
///
/// ```
/// assert_eq!(coreml_proto::wire::read_varint(&[0xac, 0x02, 0x07], 0), Ok((300, 2)));
/// ```
#[inline]
pub fn read_varint(bytes: &[u8], at: usize) -> Result<(u64, usize), WireError> {
    // Nearly every tag and length is one byte.
    match bytes.get(at) {
        Some(&byte) if byte < 0x80 => Ok((u64::from(byte), at + 1)),
        _ => read_long_varint(bytes, at),
    }
}

fn read_long_varint(bytes: &[u8], at: usize) -> Result<(u64, usize), WireError> {
    let rest = bytes.get(at..).unwrap_or_default();
    // Nearly all tags and lengths are of one byte.
    if let Some(&byte) = rest.first()
        && byte < 0x80
    {
        return Ok((u64::from(byte), at + 1));
    }
    let mut value = 0;
    for (index, &byte) in rest.iter().take(10).enumerate() {
        // The tenth byte has one bit left to give.
        if index == 9 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, at + index + 1));
        }
    }
    let what = if rest.len() < 10 { WireFault::Truncated } else { WireFault::VarintTooLong };
    Err(WireError { offset: at, what })
}
