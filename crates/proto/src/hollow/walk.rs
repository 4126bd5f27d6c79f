//! One pass over a message and everything below it, by wire format and schema.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use super::gather::Gathering;
use super::key::Key;
use super::shape::{Declared, Holds, Shape, ShapeId, Shapes};
use super::{At, Element, Form, Hollow, Oddity, OddityKind, PathStep, Payload};
use crate::wire::{Field, Fields, MAX_DEPTH, WireError, WireFault, put_varint, read_varint};

/// How many bytes the paths of all payloads and oddities may have. A model has some hundreds for each constant; input made
/// to use up memory could have a hundred steps, or very long keys, for every few bytes.
const MAX_PATHS: usize = 1 << 28;

/// Splits one message. `'a` is that of the source and of the schema's tables.
pub(super) struct Walk<'a> {
    shapes: &'a Shapes,
    source: &'a Bytes,
    threshold: usize,
    /// To the message at hand: numbers, and which of the values.
    path: Vec<(u32, Place)>,
    /// Bytes of the keys in `path`.
    path_text: usize,
    depth: usize,
    /// Bytes of all paths so far.
    paths: usize,
    payloads: Vec<Payload>,
    oddities: Vec<Oddity>,
}

/// [`At`], with keys still in the source.
#[derive(Clone)]
enum Place {
    Field,
    Index(usize),
    Key(Key),
}

/// What has been met of one message.
#[derive(Default)]
struct Met {
    /// Occurrences by number (of a oneof's first member for all of them); declared fields only, so this stays short.
    counts: SmallVec<[(u32, usize); 8]>,
    keys: Vec<(u32, Key)>,
    gatherings: Vec<Gathering>,
    odd: BTreeSet<(u32, OddityKind)>,
}

impl Met {
    /// How often this was met before.
    fn count(&mut self, number: u32) -> usize {
        match self.counts.iter_mut().find(|(met, _)| *met == number) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.counts.push((number, 0));
                0
            }
        }
    }

    /// Notes an occurrence of a large repeated scalar and those of the same length that follow it.
    fn gather(
        &mut self,
        source: &[u8],
        field: &Field,
        alike: usize,
        element: Element,
    ) -> Result<(), WireError> {
        match self.gatherings.iter_mut().find(|gathering| gathering.number == field.number) {
            Some(gathering) => gathering.add(source, field, alike),
            None => {
                let mut gathering = Gathering::new(field.number, element);
                gathering.add(source, field, alike)?;
                self.gatherings.push(gathering);
                Ok(())
            }
        }
    }

    /// The numbers of the maps in which a key occurs again.
    fn maps_with_repeated_keys(&mut self, source: &[u8]) -> BTreeSet<u32> {
        self.keys.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.compare(&b.1, source)));
        let same =
            |pair: &&[(u32, Key)]| matches!(pair, [a, b] if a.0 == b.0 && a.1.compare(&b.1, source).is_eq());
        self.keys.windows(2).filter(same).filter_map(|pair| pair.first()).map(|(number, _)| *number).collect()
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(shapes: &'a Shapes, source: &'a Bytes, threshold: usize) -> Walk<'a> {
        let (path, payloads, oddities) = Default::default();
        Walk { shapes, source, threshold, path, path_text: 0, depth: 0, paths: 0, payloads, oddities }
    }

    pub(super) fn run(mut self, shape: ShapeId) -> Result<Hollow, WireError> {
        let mut small = Vec::new();
        self.message(0..self.source.len(), shape, &mut small)?;
        self.payloads.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Hollow { message: small.into(), payloads: self.payloads, oddities: self.oddities })
    }

    /// Appends the message at `range`, hollowed, to `small`.
    fn message(&mut self, range: Range<usize>, shape: ShapeId, small: &mut Vec<u8>) -> Result<(), WireError> {
        if self.depth > MAX_DEPTH {
            return Err(WireError { offset: range.start, what: WireFault::TooDeep });
        }
        let shapes = self.shapes;
        let shape = shapes.get(shape);
        let large = self.large_scalars(&range, shape)?;
        let mut met = Met::default();
        let mut fields = Fields::within(self.source, range.clone())?;
        while let Some(field) = fields.next() {
            let field = field?;
            let Some(declared) = shape.field(field.number) else {
                self.odd(&mut met, field.number, OddityKind::Unknown, field.span.start)?;
                continue;
            };
            if !declared.allows(field.wire) {
                self.odd(&mut met, field.number, OddityKind::WireType, field.span.start)?;
                continue;
            }
            match declared.holds {
                Holds::Scalars(element) if large.contains(&field.number) => {
                    let alike = fields.skip_alike(&field);
                    met.gather(self.source, &field, alike, element)?;
                }
                Holds::Scalars(_) => self.keep(&field, small),
                _ => self.single(&mut met, &field, declared, shape, small)?,
            }
        }
        for gathering in std::mem::take(&mut met.gatherings) {
            let (number, element, elements) = (gathering.number, gathering.element, gathering.elements);
            let (form, runs) = gathering.finish();
            self.payload(Some((number, Place::Field)), element, form, elements, runs)?;
        }
        if met.keys.len() > 1 {
            for number in met.maps_with_repeated_keys(self.source) {
                self.odd(&mut met, number, OddityKind::Repeated, range.start)?;
            }
        }
        Ok(())
    }

    /// Appends a field that is not a repeated scalar.
    fn single(
        &mut self,
        met: &mut Met,
        field: &Field,
        declared: &Declared,
        shape: &Shape,
        small: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let index = met.count(declared.singular);
        if !declared.repeated && index > 0 {
            self.odd(met, field.number, OddityKind::Repeated, field.span.start)?;
        }
        let mut place = if declared.repeated { Place::Index(index) } else { Place::Field };
        // The step to a map's entry leads to its value: from there, none.
        let step = |place| shape.key.is_none().then_some((field.number, place));
        match (declared.holds, field.payload()) {
            (Holds::Message(inner), Some(payload)) => {
                if let Some(kind) = &self.shapes.get(inner).key {
                    let key = Key::read(self.source, payload.clone(), kind)?;
                    met.keys.push((field.number, key.clone()));
                    place = Place::Key(key);
                }
                self.descend(field, payload, inner, step(place), small)
            }
            (Holds::Bytes, Some(payload)) if payload.len() >= self.threshold => {
                let elements = payload.len() as u64;
                self.payload(step(place), Element::Byte, Form::Packed, elements, vec![payload])
            }
            _ => {
                self.keep(field, small);
                Ok(())
            }
        }
    }

    /// Copies a field as it is.
    fn keep(&self, field: &Field, small: &mut Vec<u8>) {
        small.extend_from_slice(self.source.get(field.span.clone()).unwrap_or_default());
    }

    /// Appends the field with its hollowed content.
    fn descend(
        &mut self,
        field: &Field,
        payload: Range<usize>,
        inner: ShapeId,
        step: Option<(u32, Place)>,
        small: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let tag_end = read_varint(self.source, field.span.start)?.1;
        small.extend_from_slice(self.source.get(field.span.start..tag_end).unwrap_or_default());
        let start = small.len();
        let (steps, text) = (self.path.len(), self.path_text);
        if let Some((_, Place::Key(key))) = &step {
            self.path_text += key.text(self.source).len();
        }
        self.path.extend(step);
        self.depth += 1;
        self.message(payload, inner, small)?;
        self.depth -= 1;
        self.path.truncate(steps);
        self.path_text = text;
        // The length is known only now, and belongs before the content.
        let end = small.len();
        put_varint(small, (end - start) as u64);
        let length = small.len() - end;
        if let Some(moved) = small.get_mut(start..) {
            moved.rotate_right(length);
        }
        Ok(())
    }

    /// The repeated scalars of a message whose occurrences have `threshold` bytes or more together.
    fn large_scalars(&self, range: &Range<usize>, shape: &Shape) -> Result<SmallVec<[u32; 4]>, WireError> {
        if !shape.scalars || range.len() < self.threshold {
            return Ok(SmallVec::new());
        }
        let mut sizes: SmallVec<[(u32, usize); 4]> = SmallVec::new();
        let mut fields = Fields::within(self.source, range.clone())?;
        while let Some(field) = fields.next() {
            let field = field?;
            let declared = shape.field(field.number).filter(|declared| declared.allows(field.wire));
            if !declared.is_some_and(|declared| matches!(declared.holds, Holds::Scalars(_))) {
                continue;
            }
            let alike = fields.skip_alike(&field);
            let size = field.payload().map_or(field.span.len() * (1 + alike), |payload| payload.len());
            match sizes.iter_mut().find(|(number, _)| *number == field.number) {
                Some((_, sum)) => *sum += size,
                None => sizes.push((field.number, size)),
            }
        }
        Ok(sizes.into_iter().filter(|(_, size)| *size >= self.threshold).map(|(number, _)| number).collect())
    }

    fn payload(
        &mut self,
        step: Option<(u32, Place)>,
        element: Element,
        form: Form,
        elements: u64,
        runs: Vec<Range<usize>>,
    ) -> Result<(), WireError> {
        let path = self.path_and(step, runs.first().map_or(0, |run| run.start))?;
        let runs = runs.into_iter().map(|run| self.source.slice(run)).collect();
        self.payloads.push(Payload { path, element, form, elements, runs });
        Ok(())
    }

    fn odd(&mut self, met: &mut Met, number: u32, what: OddityKind, offset: usize) -> Result<(), WireError> {
        if met.odd.insert((number, what)) {
            let path = self.path_and(None, offset)?;
            self.oddities.push(Oddity { path, number, what });
        }
        Ok(())
    }

    /// The path to the message at hand, and one step further.
    fn path_and(&mut self, step: Option<(u32, Place)>, offset: usize) -> Result<Vec<PathStep>, WireError> {
        self.paths += (self.path.len() + 1) * size_of::<PathStep>() + self.path_text;
        if self.paths > MAX_PATHS {
            return Err(WireError { offset, what: WireFault::TooManyParts });
        }
        let steps = self.path.iter().chain(&step);
        Ok(steps.map(|(field, place)| PathStep { field: *field, at: place.resolve(self.source) }).collect())
    }
}

impl Place {
    fn resolve(&self, source: &[u8]) -> At {
        match self {
            Place::Field => At::Field,
            Place::Index(index) => At::Index(*index),
            Place::Key(key) => At::Key(key.to_map_key(source)),
        }
    }
}
