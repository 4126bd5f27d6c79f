//! Re-emitting a message with edits, field by field, in source order.
//!
//! Decoding a message and encoding it again loses unknown fields, the order of maps and every unusual but valid form.
//! Splicing loses nothing: what an edit does not name is the source's bytes, and where nothing is named the result is the
//! source range itself.
//!
//! [`splice`] asks for an edit of each field of one message, and nests: the child's rope is its parent's
//! [`Edit::Content`]. [`Edits`] is the same for edits that are known by their place in the file, at any depth, when
//! nobody wants to walk there.

mod edits;

use std::ops::Range;

pub use edits::{EditError, Edits};

use crate::rope::Rope;
use crate::wire::{Field, Fields, WireError, WireType, put_varint, read_varint};

/// What becomes of one occurrence of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Edit {
    /// Its bytes are copied.
    #[default]
    Keep,
    /// It is left out.
    Drop,
    /// These bytes take its place, tag included: any number of fields, the source's own span among them to insert before
    /// or after it.
    Replace(Rope),
    /// It keeps its tag and gets this content. For length-delimited fields. Where the content is the source's own, this is
    /// [`Edit::Keep`].
    Content(Rope),
}

/// Re-emits the message at `range` of `source` with `edit`'s answer for each field, then `appended`.
///
/// Ranges of the result and spans of the fields are offsets in `source`. Where every answer keeps, and nothing is
/// appended, the result is `range` as one piece.
///
/// Fails where the message is malformed, where [`Edit::Content`] is given to a field that has no length
/// ([`WireFault::BadWireType`](crate::wire::WireFault::BadWireType)), and where `edit` fails.
///
/// ```
/// use coreml_proto::rope::Rope;
/// use coreml_proto::splice::{Edit, splice};
/// use coreml_proto::wire::WireError;
///
/// // Field 1 = 5, field 2 = "a", field 9 = 1 (unknown to us), field 2 = "b".
/// let source = [0x08, 0x05, 0x12, 0x01, b'a', 0x48, 0x01, 0x12, 0x01, b'b'];
/// let mut new_content = Rope::new();
/// new_content.push_slice(b"xyz");
/// let spliced = splice(&source, 0..source.len(), &Rope::new(), |field| {
///     Ok::<_, WireError>(match field.bytes(&source) {
///         Some(b"b") => Edit::Content(new_content.clone()),
///         _ => Edit::Keep,
///     })
/// })
/// .unwrap();
/// assert_eq!(spliced.to_vec(&source).unwrap(), b"\x08\x05\x12\x01a\x48\x01\x12\x03xyz");
/// assert_eq!(spliced.new_len(), 4);
/// ```
pub fn splice<E: From<WireError>>(
    source: &[u8],
    range: Range<usize>,
    appended: &Rope,
    mut edit: impl FnMut(&Field) -> Result<Edit, E>,
) -> Result<Rope, E> {
    let mut rope = Rope::new();
    for field in Fields::within(source, range)? {
        let field = field?;
        apply(source, &field, edit(&field)?, &mut rope)?;
    }
    rope.push_rope(appended);
    Ok(rope)
}

/// Appends what `edit` makes of `field`.
fn apply(source: &[u8], field: &Field, edit: Edit, rope: &mut Rope) -> Result<(), WireError> {
    match edit {
        Edit::Keep => rope.push_source(file_range(&field.span)),
        Edit::Drop => {}
        Edit::Replace(bytes) => rope.push_rope(&bytes),
        Edit::Content(content) => {
            let Some(old) = field.payload() else {
                let what = crate::wire::WireFault::BadWireType(field.wire as u8);
                return Err(WireError { offset: field.span.start, what });
            };
            if is_range(&content, &old) {
                rope.push_source(file_range(&field.span));
            } else {
                debug_assert_eq!(field.wire, WireType::Len);
                // The tag stays as it is written, even where it takes more bytes than it needs.
                let (_, tag_end) = read_varint(source, field.span.start)?;
                rope.push_source(file_range(&(field.span.start..tag_end)));
                let mut length = Vec::with_capacity(10);
                put_varint(&mut length, content.len());
                rope.push_slice(&length);
                rope.push_rope(&content);
            }
        }
    }
    Ok(())
}

/// Whether `rope` is exactly these bytes of the source.
fn is_range(rope: &Rope, range: &Range<usize>) -> bool {
    if range.is_empty() { rope.is_empty() } else { rope.as_source() == Some(file_range(range)) }
}

/// A range in memory as a range of the file: `usize` has at most 64 bits.
fn file_range(range: &Range<usize>) -> Range<u64> {
    range.start as u64..range.end as u64
}
