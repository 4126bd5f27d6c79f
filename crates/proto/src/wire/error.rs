//! What can be wrong with the bytes of a message.

use thiserror::Error;

/// Bytes that are not a message: where, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("byte {offset}: {what}")]
pub struct WireError {
    /// The offset of the element at fault, in the slice that was read.
    pub offset: usize,
    /// What is wrong there.
    pub what: WireFault,
}

impl WireError {
    /// The same error seen from a slice that begins `base` bytes earlier.
    pub fn shifted(self, base: usize) -> WireError {
        WireError { offset: self.offset.saturating_add(base), ..self }
    }
}

/// The kinds of [`WireError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireFault {
    /// The bytes end inside a tag, a varint or a number of fixed size.
    #[error("the message ends inside a field")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("a varint of more than 64 bits")]
    VarintTooLong,
    /// A tag that does not fit 32 bits.
    #[error("tag {0} does not fit 32 bits")]
    TagTooLarge(u64),
    /// Field number 0, which no field can have.
    #[error("a field with number 0")]
    FieldZero,
    /// Wire type 6 or 7, which do not exist.
    #[error("wire type {0} does not exist")]
    BadWireType(u8),
    /// A length-delimited field that is longer than what is left of its message.
    #[error("a field of {length} bytes where {left} are left")]
    LengthPastEnd {
        /// The length that the field states.
        length: u64,
        /// How many bytes the message has after the length.
        left: usize,
    },
    /// The end of a group that is not open here.
    #[error("the end of group {0}, which is not open")]
    UnexpectedEndGroup(u32),
    /// A group without its end.
    #[error("group {0} does not end")]
    OpenGroup(u32),
    /// Groups or messages nested deeper than [`super::MAX_DEPTH`].
    #[error("nested deeper than {} levels", super::MAX_DEPTH)]
    TooDeep,
    /// A range that is not inside the bytes it is to be read from.
    #[error("a range that ends outside the data")]
    RangePastEnd,
    /// A packed field whose length is not a whole number of elements.
    #[error("{length} bytes of packed elements of {width} bytes each")]
    PackedLength {
        /// Bytes in the packed field.
        length: usize,
        /// Bytes of an element.
        width: usize,
    },
    /// More payloads and oddities than a report may hold (see [`crate::hollow::hollow`]).
    #[error("too many large or unknown fields for one message")]
    TooManyParts,
}
