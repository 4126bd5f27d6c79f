//! What the schema says about fields, in the form that a walk over many messages needs: flat tables, built once.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use prost_reflect::{Cardinality, DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

use super::Element;
use crate::wire::WireType;

/// The number of a map entry's key.
pub(super) const KEY: u32 = 1;

/// All message types of a schema. A [`ShapeId`] is an index; it comes from the schema alone, never from input.
#[derive(Default)]
pub(super) struct Shapes {
    shapes: Vec<Shape>,
    by_name: HashMap<String, ShapeId>,
}

pub(super) type ShapeId = usize;

/// One message type.
pub(super) struct Shape {
    /// Sorted by number.
    fields: Vec<Declared>,
    /// The key's kind, if this is a map's entry.
    pub(super) key: Option<Kind>,
    /// Whether there is a repeated scalar.
    pub(super) scalars: bool,
}

/// A declared field.
pub(super) struct Declared {
    pub(super) number: u32,
    pub(super) holds: Holds,
    pub(super) repeated: bool,
    /// The same number for all members of a oneof.
    pub(super) singular: u32,
    wire: WireType,
}

/// What a field holds, as far as payloads go.
#[derive(Clone, Copy)]
pub(super) enum Holds {
    Message(ShapeId),
    Bytes,
    /// Elements that may be packed.
    Scalars(Element),
    /// Text, or one scalar.
    Small,
}

impl Shapes {
    /// The tables for the schema that `descriptor` is of. Those of our own schema are kept.
    pub(super) fn of(descriptor: &MessageDescriptor) -> Arc<Shapes> {
        static OURS: OnceLock<Arc<Shapes>> = OnceLock::new();
        let pool = descriptor.parent_pool();
        if pool == crate::pool() {
            OURS.get_or_init(|| Arc::new(Shapes::new(pool))).clone()
        } else {
            Arc::new(Shapes::new(pool))
        }
    }

    fn new(pool: &DescriptorPool) -> Shapes {
        let by_name: HashMap<_, _> = pool
            .all_messages()
            .enumerate()
            .map(|(id, message)| (message.full_name().to_owned(), id))
            .collect();
        let shapes = pool.all_messages().map(|message| Shape::new(&message, &by_name)).collect();
        Shapes { shapes, by_name }
    }

    /// The shape of `descriptor`, which is of the schema that these tables were made from.
    pub(super) fn id(&self, descriptor: &MessageDescriptor) -> ShapeId {
        self.by_name[descriptor.full_name()]
    }

    pub(super) fn get(&self, id: ShapeId) -> &Shape {
        &self.shapes[id]
    }
}

impl Shape {
    fn new(message: &MessageDescriptor, ids: &HashMap<String, ShapeId>) -> Shape {
        let mut fields: Vec<_> = message.fields().map(|field| Declared::new(&field, ids)).collect();
        fields.sort_by_key(|field| field.number);
        Shape {
            scalars: fields.iter().any(|field| matches!(field.holds, Holds::Scalars(_))),
            key: message.is_map_entry().then(|| message.map_entry_key_field().kind()),
            fields,
        }
    }

    pub(super) fn field(&self, number: u32) -> Option<&Declared> {
        let at = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        self.fields.get(at)
    }
}

impl Declared {
    fn new(field: &FieldDescriptor, ids: &HashMap<String, ShapeId>) -> Declared {
        let kind = field.kind();
        let repeated = field.cardinality() == Cardinality::Repeated;
        let first = field.containing_oneof().and_then(|oneof| oneof.fields().next());
        let holds = match (&kind, Element::of_repeated(&kind)) {
            (Kind::Message(inner), _) => Holds::Message(ids[inner.full_name()]),
            (Kind::Bytes, _) => Holds::Bytes,
            (_, Some(element)) if repeated => Holds::Scalars(element),
            _ => Holds::Small,
        };
        Declared {
            number: field.number(),
            holds,
            repeated,
            singular: first.map_or(field.number(), |first| first.number()),
            wire: wire_type(&kind),
        }
    }

    /// Whether a field of this wire type can be one or more of its values.
    pub(super) fn allows(&self, wire: WireType) -> bool {
        wire == self.wire || (wire == WireType::Len && matches!(self.holds, Holds::Scalars(_)))
    }
}

/// The wire type of one element of a field of this kind.
fn wire_type(kind: &Kind) -> WireType {
    match kind {
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::Fixed32,
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::Fixed64,
        Kind::String | Kind::Bytes | Kind::Message(_) => WireType::Len,
        _ => WireType::Varint,
    }
}
