//! Where in a message something is.

use prost_reflect::{Kind, MapKey, MessageDescriptor};

/// One step from a message to a field of it.
///
/// A map is one step: from the message that has the map to the value under a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathStep {
    /// The field's number.
    pub field: u32,
    /// Which of its values.
    pub at: At,
}

/// Which value of a field a [`PathStep`] leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// The field as a whole: a singular field, or all elements of a repeated scalar.
    Field,
    /// One element of a repeated field of messages or `bytes`, counted from 0.
    Index(usize),
    /// The value under this key of a map.
    Key(MapKey),
}

impl PathStep {
    /// To a singular field, or to all elements of a repeated scalar.
    pub fn field(field: u32) -> PathStep {
        PathStep { field, at: At::Field }
    }

    /// To element `index` of a repeated field.
    pub fn index(field: u32, index: usize) -> PathStep {
        PathStep { field, at: At::Index(index) }
    }

    /// To the value under a text key of a map.
    pub fn key(field: u32, key: impl Into<String>) -> PathStep {
        PathStep { field, at: At::Key(MapKey::String(key.into())) }
    }
}

/// A path as text with the names of its fields, for messages to people: `functions["main"].block[3].type`.
///
/// Numbers stand where `descriptor`, the type of the message that the path begins at, has no name.
///
/// ```
/// use coreml_proto::hollow::{PathStep, path_text};
///
/// let program = coreml_proto::descriptor_of::<coreml_proto::mil::Program>().unwrap();
/// let path = [PathStep::key(2, "main"), PathStep::index(1, 3), PathStep::field(99)];
/// assert_eq!(path_text(&program, &path), r#"functions["main"].inputs[3].99"#);
/// ```
pub fn path_text(descriptor: &MessageDescriptor, path: &[PathStep]) -> String {
    let mut text = String::new();
    let mut descriptor = Some(descriptor.clone());
    for step in path {
        let field = descriptor.and_then(|descriptor| descriptor.get_field(step.field));
        if !text.is_empty() {
            text.push('.');
        }
        match &field {
            Some(field) => text.push_str(field.name()),
            None => text.push_str(&step.field.to_string()),
        }
        match &step.at {
            At::Field => {}
            At::Index(index) => text.push_str(&format!("[{index}]")),
            At::Key(key) => text.push_str(&format!("[{}]", key_text(key))),
        }
        descriptor = field.and_then(|field| match field.kind() {
            Kind::Message(entry) if entry.is_map_entry() => match entry.map_entry_value_field().kind() {
                Kind::Message(value) => Some(value),
                _ => None,
            },
            Kind::Message(message) => Some(message),
            _ => None,
        });
    }
    text
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => format!("{key:?}"),
    }
}
