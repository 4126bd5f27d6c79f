//! Messages to test with, encoded by prost.

use proptest::prelude::*;
use prost::encoding;

/// Well-formed messages of any fields: all wire types, groups, nested messages, empty payloads, large numbers.
pub(crate) fn message_bytes() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        (number(), any::<u64>(), 0..64).prop_map(|(number, value, shift)| {
            encoded(|bytes| encoding::uint64::encode(number, &(value >> shift), bytes))
        }),
        (number(), any::<u32>()).prop_map(|(n, v)| encoded(|bytes| encoding::fixed32::encode(n, &v, bytes))),
        (number(), any::<u64>()).prop_map(|(n, v)| encoded(|bytes| encoding::fixed64::encode(n, &v, bytes))),
        (number(), proptest::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(n, v)| encoded(|bytes| encoding::bytes::encode(n, &v, bytes))),
    ];
    let message = proptest::collection::vec(field, 0..6).prop_map(|fields| fields.concat());
    message.prop_recursive(3, 24, 4, |inner| {
        let nested = (number(), inner, any::<bool>()).prop_map(|(number, content, group)| {
            encoded(|bytes| {
                if group {
                    encoding::encode_key(number, encoding::WireType::StartGroup, bytes);
                    bytes.extend_from_slice(&content);
                    encoding::encode_key(number, encoding::WireType::EndGroup, bytes);
                } else {
                    encoding::bytes::encode(number, &content, bytes);
                }
            })
        });
        proptest::collection::vec(nested, 0..4).prop_map(|fields| fields.concat())
    })
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![1_u32..20, Just(2047), Just(2048), Just((1 << 29) - 1)]
}

fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes
}
