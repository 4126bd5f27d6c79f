//! Edits known by their place in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use thiserror::Error;

use super::{Edit, apply};
use crate::rope::Rope;
use crate::wire::{Fields, MAX_DEPTH, WireError, WireFault};

/// Edits of one file, at any depth, by the spans of the fields that they change.
///
/// [`Edits::apply`] walks only where an edit lies: a field that contains one is a message and is re-emitted with a new
/// length, every other field is copied as it is. No schema is needed, and the cost is that of the fields beside the edits,
/// not of the file.
///
/// ```
/// use coreml_proto::rope::Rope;
/// use coreml_proto::splice::Edits;
///
/// // Field 1 { field 2 { field 3 = 5, field 3 = 6 } }, field 4 = 1.
/// let source = [0x0a, 0x06, 0x12, 0x04, 0x18, 0x05, 0x18, 0x06, 0x20, 0x01];
/// let mut edits = Edits::new();
/// edits.drop(4..6);
/// let mut more = Rope::new();
/// more.push_varint_field(3, 7);
/// edits.append(4..8, more.clone());
/// edits.append(0..10, more);
/// let edited = edits.apply(&source, 0..source.len()).unwrap();
/// assert_eq!(edited.to_vec(&source).unwrap(), b"\x0a\x06\x12\x04\x18\x06\x18\x07\x20\x01\x18\x07");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// By start and end of the field's span. At most one edit a field.
    fields: BTreeMap<(usize, usize), Edit>,
    /// New fields to insert before the field whose span starts there.
    inserted: BTreeMap<usize, Rope>,
    /// New fields at the end of the message whose content is there.
    appended: BTreeMap<(usize, usize), Rope>,
}

/// Why edits could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// A message on the way to an edit is malformed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// An edit names bytes that are not one field, or not the content of one message, of the edited message.
    #[error("an edit of bytes {} to {}, which are not a field there", .0.start, .0.end)]
    NotAField(Range<usize>),
}

impl Edits {
    /// No edits.
    pub fn new() -> Edits {
        Edits::default()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.inserted.is_empty() && self.appended.is_empty()
    }

    /// Sets what becomes of the field at `span`, tag through end. A later edit of the same span replaces an earlier one;
    /// an edit of a field inside it is refused by [`Edits::apply`].
    pub fn set(&mut self, span: Range<usize>, edit: Edit) {
        self.fields.insert((span.start, span.end), edit);
    }

    /// Leaves out the field at `span`.
    pub fn drop(&mut self, span: Range<usize>) {
        self.set(span, Edit::Drop);
    }

    /// Puts `bytes` in place of the field at `span`, tag included.
    pub fn replace(&mut self, span: Range<usize>, bytes: Rope) {
        self.set(span, Edit::Replace(bytes));
    }

    /// Inserts new fields before the field whose span begins at `start`; several insertions stay in the order in which
    /// they were made. The field itself may be edited as well.
    pub fn insert_before(&mut self, start: usize, fields: Rope) {
        self.inserted.entry(start).or_default().push_rope(&fields);
    }

    /// Appends new fields to the message whose content is at `content`: the payload of a field, or the edited message.
    pub fn append(&mut self, content: Range<usize>, fields: Rope) {
        self.appended.entry((content.start, content.end)).or_default().push_rope(&fields);
    }

    /// Re-emits the message at `range` of `source` with these edits. Without any, the result is `range` as one piece.
    ///
    /// Fails where a message on the way to an edit is malformed or nested deeper than [`MAX_DEPTH`], and where an edit was
    /// not met ([`EditError::NotAField`]): its span is no field's, or lies outside `range` or inside another edit's.
    pub fn apply(&self, source: &[u8], range: Range<usize>) -> Result<Rope, EditError> {
        let mut unmet = self.places();
        let rope = self.message(source, range, 0, &mut unmet)?;
        match unmet.first() {
            Some(&(start, end, _)) => Err(EditError::NotAField(start..end)),
            None => Ok(rope),
        }
    }

    fn places(&self) -> BTreeSet<Place> {
        let fields = self.fields.keys().map(|&(start, end)| (start, end, Kind::Field));
        let inserted = self.inserted.keys().map(|&start| (start, start, Kind::Insertion));
        let appended = self.appended.keys().map(|&(start, end)| (start, end, Kind::End));
        fields.chain(inserted).chain(appended).collect()
    }

    /// Re-emits the message at `range` and takes the edits that it met out of `unmet`.
    fn message(
        &self,
        source: &[u8],
        range: Range<usize>,
        depth: usize,
        unmet: &mut BTreeSet<Place>,
    ) -> Result<Rope, WireError> {
        if depth > MAX_DEPTH {
            return Err(WireError { offset: range.start, what: WireFault::TooDeep });
        }
        let mut rope = Rope::new();
        for field in Fields::within(source, range.clone())? {
            let field = field?;
            let (start, end) = (field.span.start, field.span.end);
            if let Some(fields) = self.inserted.get(&start) {
                unmet.remove(&(start, start, Kind::Insertion));
                rope.push_rope(fields);
            }
            let edit = self.fields.get(&(start, end)).cloned().unwrap_or_default();
            unmet.remove(&(start, end, Kind::Field));
            let edit = match field.payload().filter(|_| edit == Edit::Keep) {
                Some(payload) if self.reach_into(&payload) => {
                    Edit::Content(self.message(source, payload, depth + 1, unmet)?)
                }
                _ => edit,
            };
            apply(source, &field, edit, &mut rope)?;
        }
        if let Some(fields) = self.appended.get(&(range.start, range.end)) {
            unmet.remove(&(range.start, range.end, Kind::End));
            rope.push_rope(fields);
        }
        Ok(rope)
    }

    /// Whether an edit lies inside `payload`. Spans nest, so one that begins inside and is not an error ends inside.
    fn reach_into(&self, payload: &Range<usize>) -> bool {
        let (first, last) = ((payload.start, 0), (payload.end, payload.end));
        self.fields.range(first..=last).next().is_some()
            || self.inserted.range(payload.clone()).next().is_some()
            || self.appended.range(first..=last).next().is_some()
    }
}

/// Where an edit is, and which kind it has.
type Place = (usize, usize, Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Field,
    Insertion,
    End,
}
