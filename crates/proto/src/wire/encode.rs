//! Writing tags and varints.

use super::WireType;

/// Appends `value` as a varint: one to ten bytes.
///
/// ```
/// let mut bytes = Vec::new();
/// coreml_proto::wire::put_varint(&mut bytes, 300);
/// assert_eq!(bytes, [0xac, 0x02]);
/// ```
pub fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Appends the tag of a field. `number` is one that the schema gives: readers refuse any outside 1 to
/// [`super::MAX_FIELD_NUMBER`].
///
/// ```
/// use coreml_proto::wire::{WireType, put_tag};
///
/// let mut bytes = Vec::new();
/// put_tag(&mut bytes, 502, WireType::Len);
/// assert_eq!(bytes, [0xb2, 0x1f]);
/// ```
pub fn put_tag(bytes: &mut Vec<u8>, number: u32, wire: WireType) {
    put_varint(bytes, tag(number, wire));
}

/// How many bytes [`put_varint`] writes for `value`.
///
/// ```
/// assert_eq!([0, 127, 128, u64::MAX].map(coreml_proto::wire::varint_len), [1, 1, 2, 10]);
/// ```
pub fn varint_len(value: u64) -> usize {
    // Seven bits a byte; zero has one bit.
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// How many bytes [`put_tag`] writes for a field of this number.
///
/// ```
/// assert_eq!([1, 15, 16, 2047, 2048].map(coreml_proto::wire::tag_len), [1, 1, 2, 2, 3]);
/// ```
pub fn tag_len(number: u32) -> usize {
    varint_len(tag(number, WireType::Varint))
}

fn tag(number: u32, wire: WireType) -> u64 {
    debug_assert!((1..=super::MAX_FIELD_NUMBER).contains(&number), "field number {number}");
    (u64::from(number) << 3) | wire as u64
}
