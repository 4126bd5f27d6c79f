//! Byte strings made of ranges of one source file and of new bytes.
//!
//! A changed message of a large model is mostly bytes of the file it came from. A [`Rope`] says which ranges those are, so
//! whoever writes it can stream or copy them, and what is in memory is only what is new. [`crate::splice`] builds ropes
//! from edits.

use std::io::{self, Write};
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::wire::{WireType, put_tag, put_varint};

/// New bytes up to this length are joined with the new bytes before them: tags, lengths and small messages would
/// otherwise be one allocation each. Longer ones stay shared.
const JOINED: usize = 1024;

/// A run of joined bytes is closed at this length, so that appending never moves much.
const RUN: usize = 1 << 16;

/// A run of bytes in a [`Rope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the source, by file offset.
    Source(Range<u64>),
    /// Bytes that the source does not have.
    Bytes(Bytes),
}

impl Piece {
    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Piece::Source(range) => range.end.saturating_sub(range.start),
            Piece::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Whether the piece has no bytes. No piece of a rope is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A byte string made of pieces. Cloning copies no bytes. Equality compares pieces, not the bytes they stand for.
///
/// ```
/// use coreml_proto::rope::{Piece, Rope};
///
/// // A file with a message in field 1; its copy gets one more varint, field 7.
/// let source = [0x0a, 0x02, 0x08, 0x05];
/// let mut child = Rope::new();
/// child.push_source(2..4);
/// child.push_varint_field(7, 300);
/// let mut message = Rope::new();
/// message.push_field(1, &child);
///
/// assert_eq!(message.len(), 7);
/// assert_eq!(message.pieces()[1], Piece::Source(2..4));
/// assert_eq!(message.to_vec(&source).unwrap(), [0x0a, 0x05, 0x08, 0x05, 0x38, 0xac, 0x02]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rope {
    pieces: Vec<Piece>,
    len: u64,
}

/// A rope that names bytes which its source does not have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("bytes {} to {} of a source of {source_len} bytes", range.start, range.end)]
pub struct RopeError {
    /// The range that is not inside the source.
    pub range: Range<u64>,
    /// The length of the source.
    pub source_len: usize,
}

impl Rope {
    /// A rope without bytes.
    pub fn new() -> Rope {
        Rope::default()
    }

    /// The length in bytes. Takes constant time.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces, in order. None is empty, and no two source ranges that touch follow each other.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// How many of the bytes are not in the source.
    pub fn new_len(&self) -> u64 {
        self.pieces.iter().filter(|piece| matches!(piece, Piece::Bytes(_))).map(Piece::len).sum()
    }

    /// The one source range that the rope consists of: what an edit that changed nothing gives.
    pub fn as_source(&self) -> Option<Range<u64>> {
        match self.pieces.as_slice() {
            [Piece::Source(range)] => Some(range.clone()),
            _ => None,
        }
    }

    /// Appends bytes of the source; an empty range appends nothing.
    pub fn push_source(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        self.len += range.end - range.start;
        match self.pieces.last_mut() {
            Some(Piece::Source(last)) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push(Piece::Source(range)),
        }
    }

    /// Appends new bytes, sharing them where they are many.
    pub fn push_bytes(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if bytes.len() <= JOINED {
            self.push_slice(&bytes);
        } else {
            self.len += bytes.len() as u64;
            self.pieces.push(Piece::Bytes(bytes));
        }
    }

    /// Appends new bytes by copying them.
    pub fn push_slice(&mut self, slice: &[u8]) {
        if slice.is_empty() {
            return;
        }
        self.len += slice.len() as u64;
        match self.pieces.pop() {
            Some(Piece::Bytes(last)) if last.len() < RUN => match last.try_into_mut() {
                Ok(mut open) => {
                    open.extend_from_slice(slice);
                    self.pieces.push(Piece::Bytes(open.freeze()));
                }
                Err(shared) => {
                    self.pieces.push(Piece::Bytes(shared));
                    self.pieces.push(Piece::Bytes(Bytes::copy_from_slice(slice)));
                }
            },
            last => {
                self.pieces.extend(last);
                self.pieces.push(Piece::Bytes(BytesMut::from(slice).freeze()));
            }
        }
    }

    /// Appends the bytes of another rope on the same source.
    pub fn push_rope(&mut self, rope: &Rope) {
        for piece in &rope.pieces {
            match piece {
                Piece::Source(range) => self.push_source(range.clone()),
                Piece::Bytes(bytes) => self.push_bytes(bytes.clone()),
            }
        }
    }

    /// Appends a length-delimited field (a message, string or packed field) with this content.
    pub fn push_field(&mut self, number: u32, content: &Rope) {
        self.push_header(number, content.len());
        self.push_rope(content);
    }

    /// Appends a length-delimited field whose content is bytes of the source.
    pub fn push_source_field(&mut self, number: u32, content: Range<u64>) {
        self.push_header(number, content.end.saturating_sub(content.start));
        self.push_source(content);
    }

    /// Appends a length-delimited field whose content is new bytes.
    pub fn push_bytes_field(&mut self, number: u32, content: impl Into<Bytes>) {
        let content = content.into();
        self.push_header(number, content.len() as u64);
        self.push_bytes(content);
    }

    /// Appends a length-delimited field with an encoded message.
    pub fn push_message_field(&mut self, number: u32, message: &impl prost::Message) {
        self.push_bytes_field(number, message.encode_to_vec());
    }

    /// Appends an integer, boolean or enum field. Negative values of `int32`, `int64` and enums are given sign-extended
    /// to 64 bits.
    pub fn push_varint_field(&mut self, number: u32, value: u64) {
        let mut field = Vec::with_capacity(15);
        put_tag(&mut field, number, WireType::Varint);
        put_varint(&mut field, value);
        self.push_slice(&field);
    }

    /// Appends a `float`, `fixed32` or `sfixed32` field from its bits.
    pub fn push_fixed32_field(&mut self, number: u32, bits: u32) {
        let mut field = Vec::with_capacity(9);
        put_tag(&mut field, number, WireType::Fixed32);
        field.extend_from_slice(&bits.to_le_bytes());
        self.push_slice(&field);
    }

    /// Appends a `double`, `fixed64` or `sfixed64` field from its bits.
    pub fn push_fixed64_field(&mut self, number: u32, bits: u64) {
        let mut field = Vec::with_capacity(13);
        put_tag(&mut field, number, WireType::Fixed64);
        field.extend_from_slice(&bits.to_le_bytes());
        self.push_slice(&field);
    }

    /// Appends the tag and the length of a length-delimited field, whose content the caller appends next.
    pub fn push_header(&mut self, number: u32, content_len: u64) {
        let mut header = Vec::with_capacity(15);
        put_tag(&mut header, number, WireType::Len);
        put_varint(&mut header, content_len);
        self.push_slice(&header);
    }

    /// The bytes, all in memory: for small ropes and tests. Large ones are written piece by piece.
    ///
    /// Fails where a source range is not inside `source`.
    pub fn to_vec(&self, source: &[u8]) -> Result<Vec<u8>, RopeError> {
        let mut all = Vec::new();
        for piece in &self.pieces {
            all.extend_from_slice(resolve(piece, source)?);
        }
        Ok(all)
    }

    /// Writes the bytes piece by piece, without joining them.
    ///
    /// Fails where writing fails, and with [`io::ErrorKind::InvalidInput`] around a [`RopeError`] where a source range is
    /// not inside `source`.
    pub fn write_to(&self, source: &[u8], out: &mut impl Write) -> io::Result<()> {
        for piece in &self.pieces {
            let bytes =
                resolve(piece, source).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            out.write_all(bytes)?;
        }
        Ok(())
    }
}

impl From<Range<u64>> for Rope {
    fn from(range: Range<u64>) -> Rope {
        let mut rope = Rope::new();
        rope.push_source(range);
        rope
    }
}

impl From<Bytes> for Rope {
    fn from(bytes: Bytes) -> Rope {
        let mut rope = Rope::new();
        rope.push_bytes(bytes);
        rope
    }
}

fn resolve<'a>(piece: &'a Piece, source: &'a [u8]) -> Result<&'a [u8], RopeError> {
    match piece {
        Piece::Bytes(bytes) => Ok(bytes),
        Piece::Source(range) => {
            let start = usize::try_from(range.start).ok();
            let end = usize::try_from(range.end).ok();
            start
                .zip(end)
                .and_then(|(start, end)| source.get(start..end))
                .ok_or_else(|| RopeError { range: range.clone(), source_len: source.len() })
        }
    }
}
