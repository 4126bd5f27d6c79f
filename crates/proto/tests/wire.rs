//! The wire scan against prost, which reads the same format with other code.

mod common;

use std::ops::Range;

use common::message_bytes;
use coreml_proto::wire::{Field, Fields, Value, WireError, WireFault, WireType, read_varint};
use proptest::prelude::*;
use prost::Message;
use prost::encoding;

/// The fields before the first error, and that error.
fn scan(bytes: &[u8]) -> (Vec<Field>, Option<WireError>) {
    let mut fields = Vec::new();
    for field in Fields::new(bytes) {
        match field {
            Ok(field) => fields.push(field),
            Err(error) => return (fields, Some(error)),
        }
    }
    (fields, None)
}

/// The offset of the first fault in `bytes`, and what it is.
fn fault(bytes: &[u8]) -> (usize, WireFault) {
    let error = scan(bytes).1.expect("an error");
    (error.offset, error.what)
}

fn check_tiling(bytes: &[u8]) {
    let (fields, error) = scan(bytes);
    let mut at = 0;
    for field in &fields {
        assert_eq!(field.span.start, at);
        assert!(field.span.end > at && field.span.end <= bytes.len());
        if let Value::Bytes(inner) | Value::Group(inner) = &field.value {
            assert!(inner.start > at && inner.start <= inner.end && inner.end <= field.span.end);
        }
        at = field.span.end;
    }
    match error {
        None => assert_eq!(at, bytes.len()),
        Some(error) => assert!(error.offset >= at && error.offset <= bytes.len(), "{error}"),
    }
}

/// Whether prost reads `bytes`. The unit message has no fields: prost skips all and so judges nothing but the format.
fn prost_accepts(bytes: &[u8]) -> bool {
    <() as Message>::decode(bytes).is_ok()
}

proptest! {
    #[test]
    fn any_bytes_give_fields_without_gaps_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        check_tiling(&bytes);
        prop_assert_eq!(scan(&bytes).1.is_none(), prost_accepts(&bytes));
    }

    #[test]
    fn cut_and_flipped_messages_are_judged_as_prost_does(
        mut bytes in message_bytes(),
        cut in any::<proptest::sample::Index>(),
        flip in proptest::option::of((any::<proptest::sample::Index>(), 0..8)),
    ) {
        prop_assert_eq!(scan(&bytes).1, None);
        check_tiling(&bytes);
        match flip {
            Some((at, bit)) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1_u8 << bit;
            }
            _ => bytes.truncate(cut.index(bytes.len() + 1)),
        }
        check_tiling(&bytes);
        prop_assert_eq!(scan(&bytes).1.is_none(), prost_accepts(&bytes));
    }

    #[test]
    fn varints_read_back(value in any::<u64>(), shift in 0..64, before in 0_usize..3) {
        let value = value >> shift;
        let mut bytes = vec![0xff; before];
        encoding::encode_varint(value, &mut bytes);
        let mut ours = vec![0xff; before];
        coreml_proto::wire::put_varint(&mut ours, value);
        prop_assert_eq!(&ours, &bytes);
        prop_assert_eq!(coreml_proto::wire::varint_len(value), bytes.len() - before);
        prop_assert_eq!(read_varint(&bytes, before), Ok((value, bytes.len())));
        let truncated = WireError { offset: before, what: WireFault::Truncated };
        prop_assert_eq!(read_varint(&bytes[..bytes.len() - 1], before), Err(truncated));
    }
}

#[test]
fn every_wire_type_is_read() {
    let mut bytes = Vec::new();
    encoding::int64::encode(1, &-2, &mut bytes);
    encoding::float::encode(16, &-1.5, &mut bytes);
    encoding::double::encode(3, &1e300, &mut bytes);
    encoding::string::encode(4, &"né".to_owned(), &mut bytes);
    bytes.extend_from_slice(&[0x2b, 0x08, 0x09, 0x2c]);
    let (fields, error) = scan(&bytes);
    assert_eq!(error, None);
    let seen: Vec<_> = fields.iter().map(|field| (field.number, field.wire, field.value.clone())).collect();
    assert_eq!(
        seen,
        [
            (1, WireType::Varint, Value::Varint(-2_i64 as u64)),
            (16, WireType::Fixed32, Value::Fixed32((-1.5_f32).to_bits())),
            (3, WireType::Fixed64, Value::Fixed64(1e300_f64.to_bits())),
            (4, WireType::Len, Value::Bytes(28..31)),
            (5, WireType::StartGroup, Value::Group(32..34)),
        ]
    );
    assert_eq!(fields[3].bytes(&bytes), Some("né".as_bytes()));
    assert_eq!(fields[0].bytes(&bytes), None);
}

#[test]
fn faults_say_where_and_what() {
    assert_eq!(fault(b"\x08\x01\x08"), (3, WireFault::Truncated));
    assert_eq!(fault(b"\x08\x01\x0d\0\0\0"), (3, WireFault::Truncated));
    assert_eq!(fault(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), (1, WireFault::VarintTooLong));
    assert_eq!(fault(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), (0, WireFault::VarintTooLong));
    assert_eq!(fault(b"\x80\x80\x80\x80\x10"), (0, WireFault::TagTooLarge(1 << 32)));
    assert_eq!(fault(b"\x10\x00\x02\x00"), (2, WireFault::FieldZero));
    assert_eq!(fault(b"\x0e"), (0, WireFault::BadWireType(6)));
    assert_eq!(fault(b"\x0f"), (0, WireFault::BadWireType(7)));
    assert_eq!(fault(b"\x0a\x03ab"), (1, WireFault::LengthPastEnd { length: 3, left: 2 }));
    let huge = b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(fault(huge), (1, WireFault::LengthPastEnd { length: u64::MAX, left: 0 }));
    assert_eq!(fault(b"\x08\x01\x0c"), (2, WireFault::UnexpectedEndGroup(1)));
    assert_eq!(fault(b"\x0b\x14"), (1, WireFault::UnexpectedEndGroup(2)));
    assert_eq!(fault(b"\x08\x01\x13\x08\x01"), (2, WireFault::OpenGroup(2)));
}

#[test]
fn groups_nest_to_the_bound() {
    let nested = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
    assert_eq!(scan(&nested(100)).1, None);
    assert_eq!(fault(&nested(101)), (100, WireFault::TooDeep));
    // A million open groups cost neither stack nor memory.
    assert_eq!(fault(&vec![0x0b; 1_000_000]), (100, WireFault::TooDeep));
}

#[test]
fn a_nested_message_keeps_the_offsets_of_its_source() {
    let source = [0xff, 0x0a, 0x02, 0x10, 0x07, 0xff];
    let outer = Fields::within(&source, 1..5).unwrap().next().unwrap().unwrap();
    assert_eq!(outer.payload(), Some(3..5));
    let inner = Fields::within(&source, outer.payload().unwrap()).unwrap().next().unwrap().unwrap();
    assert_eq!((inner.number, inner.span, inner.value), (2, 3..5, Value::Varint(7)));
    let outside = |range: Range<usize>| Fields::within(&source, range).unwrap_err().what;
    assert_eq!(outside(3..7), WireFault::RangePastEnd);
    assert_eq!(outside(Range { start: 4, end: 3 }), WireFault::RangePastEnd);
}

#[test]
fn iteration_ends_with_the_first_error() {
    let mut fields = Fields::new(b"\x0e\x08\x01");
    assert!(fields.next().unwrap().is_err());
    assert_eq!(fields.next(), None);
}
