//! Keys of map entries, without copying their text until a path needs it.

use std::cmp::Ordering;
use std::ops::Range;

use prost_reflect::{Kind, MapKey};

use super::shape::KEY;
use crate::wire::{Fields, Value, WireError};

/// The key of a map's entry.
#[derive(Clone)]
pub(super) enum Key {
    /// Where the text is in the source.
    Text(Range<usize>),
    Number(MapKey),
}

impl Key {
    /// The key of the entry at `range`, which is of this kind; the kind's default where the entry has none.
    pub(super) fn read(source: &[u8], range: Range<usize>, kind: &Kind) -> Result<Key, WireError> {
        let mut value = None;
        for field in Fields::within(source, range)? {
            let field = field?;
            if field.number == KEY {
                value = Some(field.value);
            }
        }
        let bits = match &value {
            Some(Value::Varint(bits) | Value::Fixed64(bits)) => *bits,
            Some(Value::Fixed32(bits)) => u64::from(*bits),
            _ => 0,
        };
        let zigzag = (bits >> 1) ^ (bits & 1).wrapping_neg();
        Ok(Key::Number(match kind {
            Kind::Bool => MapKey::Bool(bits != 0),
            Kind::Int32 | Kind::Sfixed32 => MapKey::I32(bits as i32),
            Kind::Sint32 => MapKey::I32(zigzag as i32),
            Kind::Int64 | Kind::Sfixed64 => MapKey::I64(bits as i64),
            Kind::Sint64 => MapKey::I64(zigzag as i64),
            Kind::Uint32 | Kind::Fixed32 => MapKey::U32(bits as u32),
            Kind::Uint64 | Kind::Fixed64 => MapKey::U64(bits),
            _ => {
                return Ok(Key::Text(match value {
                    Some(Value::Bytes(text)) => text,
                    _ => 0..0,
                }));
            }
        }))
    }

    /// The key for a path. Text that is not UTF-8 is made so; decoding such a message fails.
    pub(super) fn to_map_key(&self, source: &[u8]) -> MapKey {
        match self {
            Key::Number(key) => key.clone(),
            Key::Text(_) => MapKey::String(String::from_utf8_lossy(self.text(source)).into_owned()),
        }
    }

    pub(super) fn text<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        match self {
            Key::Number(_) => &[],
            Key::Text(text) => source.get(text.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn compare(&self, other: &Key, source: &[u8]) -> Ordering {
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.cmp(b),
            (a, b) => a.text(source).cmp(b.text(source)),
        }
    }
}
