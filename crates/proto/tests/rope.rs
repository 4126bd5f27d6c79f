//! Ropes against prost's encoding of the same fields.

use bytes::Bytes;
use coreml_proto::rope::{Piece, Rope};
use proptest::prelude::*;
use prost::encoding;

/// What to append to a message.
#[derive(Clone, Debug)]
enum Part {
    Source(usize, usize),
    Bytes(u32, Vec<u8>),
    Varint(u32, u64),
    Float(u32, f32),
    Double(u32, f64),
    Nested(u32, Vec<Part>),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let number = || prop_oneof![1_u32..20, Just(2048)];
    let leaf = prop_oneof![
        (0_usize..300, 0_usize..300).prop_map(|(start, len)| Part::Source(start, (start + len).min(300))),
        // On both sides of the length up to which new bytes are joined.
        (number(), prop_oneof![0_usize..9, 1020_usize..1030])
            .prop_map(|(number, len)| Part::Bytes(number, (0..len).map(|at| at as u8).collect())),
        (number(), any::<u64>()).prop_map(|(number, value)| Part::Varint(number, value)),
        (number(), any::<f32>()).prop_map(|(number, value)| Part::Float(number, value)),
        (number(), any::<f64>()).prop_map(|(number, value)| Part::Double(number, value)),
    ];
    let message = proptest::collection::vec(leaf, 0..6);
    message.prop_recursive(4, 40, 4, move |inner| {
        let nested = (number(), inner.clone()).prop_map(|(number, parts)| vec![Part::Nested(number, parts)]);
        proptest::collection::vec(prop_oneof![nested, inner], 1..4).prop_map(|parts| parts.concat())
    })
}

fn rope(parts: &[Part]) -> Rope {
    let mut rope = Rope::new();
    for part in parts {
        match part {
            Part::Source(start, end) => rope.push_source(*start as u64..*end as u64),
            Part::Bytes(number, bytes) => rope.push_bytes_field(*number, bytes.clone()),
            Part::Varint(number, value) => rope.push_varint_field(*number, *value),
            Part::Float(number, value) => rope.push_fixed32_field(*number, value.to_bits()),
            Part::Double(number, value) => rope.push_fixed64_field(*number, value.to_bits()),
            Part::Nested(number, parts) => rope.push_field(*number, &self::rope(parts)),
        }
    }
    rope
}

fn encoded(parts: &[Part], source: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            Part::Source(start, end) => bytes.extend_from_slice(&source[*start..*end]),
            Part::Bytes(number, content) => encoding::bytes::encode(*number, content, &mut bytes),
            Part::Varint(number, value) => encoding::uint64::encode(*number, value, &mut bytes),
            Part::Float(number, value) => encoding::float::encode(*number, value, &mut bytes),
            Part::Double(number, value) => encoding::double::encode(*number, value, &mut bytes),
            Part::Nested(number, parts) => {
                encoding::bytes::encode(*number, &encoded(parts, source), &mut bytes);
            }
        }
    }
    bytes
}

proptest! {
    #[test]
    fn nested_ropes_are_what_prost_encodes(parts in parts()) {
        let source: Vec<u8> = (0..300_u32).map(|at| (at * 7 % 251) as u8).collect();
        let rope = rope(&parts);
        let expected = encoded(&parts, &source);
        prop_assert_eq!(rope.len(), expected.len() as u64);
        prop_assert_eq!(rope.is_empty(), expected.is_empty());
        prop_assert_eq!(&rope.to_vec(&source).unwrap(), &expected);
        let mut written = Vec::new();
        rope.write_to(&source, &mut written).unwrap();
        prop_assert_eq!(written, expected);
        let mut before: Option<&Piece> = None;
        for piece in rope.pieces() {
            prop_assert!(!piece.is_empty());
            if let (Some(Piece::Source(a)), Piece::Source(b)) = (before, piece) {
                prop_assert_ne!(a.end, b.start);
            }
            before = Some(piece);
        }
    }
}

#[test]
fn source_ranges_that_touch_become_one() {
    let mut rope = Rope::new();
    rope.push_source(10..20);
    rope.push_source(20..20);
    rope.push_slice(&[]);
    rope.push_source(20..25);
    assert_eq!(rope.as_source(), Some(10..25));
    assert_eq!(rope.new_len(), 0);
    // The same bytes in another order are two ranges.
    rope.push_source(9..10);
    assert_eq!(rope.pieces(), [Piece::Source(10..25), Piece::Source(9..10)]);
    assert_eq!(rope.as_source(), None);
}

#[test]
fn many_small_fields_are_few_pieces_and_large_bytes_are_shared() {
    let large = Bytes::from(vec![7; 1 << 20]);
    let mut child = Rope::new();
    for value in 0..100_000 {
        child.push_varint_field(3, value);
    }
    child.push_bytes_field(4, large.clone());
    child.push_varint_field(5, 1);
    let mut rope = Rope::new();
    rope.push_field(1, &child);
    assert!(rope.pieces().len() < 20, "{} pieces", rope.pieces().len());
    let shared = rope.pieces().iter().any(
        |piece| matches!(piece, Piece::Bytes(bytes) if bytes.as_ptr() == large.as_ptr() && bytes.len() == large.len()),
    );
    assert!(shared);
}

#[test]
fn a_clone_is_not_changed_by_appending_to_the_original() {
    let mut rope = Rope::new();
    rope.push_slice(b"ab");
    let copy = rope.clone();
    rope.push_slice(b"cd");
    assert_eq!(copy.to_vec(&[]).unwrap(), b"ab");
    assert_eq!(rope.to_vec(&[]).unwrap(), b"abcd");
}

#[test]
fn ranges_outside_the_source_are_errors() {
    let rope = Rope::from(2..5);
    assert_eq!(rope.to_vec(&[1, 2, 3, 4, 5]).unwrap(), [3, 4, 5]);
    let error = rope.to_vec(&[1, 2, 3, 4]).unwrap_err();
    assert_eq!((error.range, error.source_len), (2..5, 4));
    let error = rope.write_to(&[], &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
