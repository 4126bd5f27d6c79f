//! The occurrences of one large repeated scalar.

use std::ops::Range;

use super::{Element, Form};
use crate::wire::{Field, Value, WireError, WireFault, read_varint};

/// A large repeated scalar whose occurrences are being met.
pub(super) struct Gathering {
    pub(super) number: u32,
    pub(super) element: Element,
    pub(super) elements: u64,
    packed: usize,
    unpacked: usize,
    /// Spans of fields, joined where they touch.
    runs: Vec<Range<usize>>,
    /// Where the elements of the last packed chunk are.
    chunk: Range<usize>,
}

impl Gathering {
    pub(super) fn new(number: u32, element: Element) -> Gathering {
        Gathering { number, element, elements: 0, packed: 0, unpacked: 0, runs: Vec::new(), chunk: 0..0 }
    }

    /// Counts the elements of one occurrence and notes where they are. Single elements may be followed by more, `alike` in
    /// number and length.
    pub(super) fn add(&mut self, source: &[u8], field: &Field, alike: usize) -> Result<(), WireError> {
        match &field.value {
            Value::Bytes(chunk) => {
                self.packed += 1;
                self.elements += count(source, chunk, self.element)?;
                self.chunk = chunk.clone();
            }
            _ => {
                self.unpacked += 1;
                self.elements += 1 + alike as u64;
            }
        }
        let end = field.span.end + alike * field.span.len();
        match self.runs.last_mut() {
            Some(last) if last.end == field.span.start => last.end = end,
            _ => self.runs.push(field.span.start..end),
        }
        Ok(())
    }

    /// The form, and the runs as [`super::Payload`] has them.
    pub(super) fn finish(self) -> (Form, Vec<Range<usize>>) {
        match (self.packed, self.unpacked) {
            (1, 0) => (Form::Packed, vec![self.chunk]),
            (_, 0) => (Form::Chunked, self.runs),
            (0, _) => (Form::Unpacked, self.runs),
            _ => (Form::Mixed, self.runs),
        }
    }
}

/// How many elements a packed chunk has.
fn count(source: &[u8], chunk: &Range<usize>, element: Element) -> Result<u64, WireError> {
    if let Some(width) = element.width() {
        return match chunk.len() % width {
            0 => Ok((chunk.len() / width) as u64),
            _ => Err(WireError {
                offset: chunk.start,
                what: WireFault::PackedLength { length: chunk.len(), width },
            }),
        };
    }
    let source = source.get(..chunk.end).unwrap_or_default();
    let mut at = chunk.start;
    let mut count = 0;
    while at < chunk.end {
        at = read_varint(source, at)?.1;
        count += 1;
    }
    Ok(count)
}
