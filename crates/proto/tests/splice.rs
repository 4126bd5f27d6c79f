//! Splicing: what is not edited stays as it is, what is edited reads as it should.

mod common;

use std::ops::Range;

use common::message_bytes;
use coreml_proto::mil;
use coreml_proto::rope::{Piece, Rope};
use coreml_proto::splice::{Edit, EditError, Edits, splice};
use coreml_proto::wire::{Fields, WireError, WireFault};
use proptest::prelude::*;
use prost::Message;

/// The span of the first field reached from the message at `range` by these numbers, and its payload's range.
fn find(source: &[u8], range: Range<usize>, path: &[(u32, usize)]) -> (Range<usize>, Range<usize>) {
    let ((number, index), rest) = path.split_first().unwrap();
    let field = Fields::within(source, range)
        .unwrap()
        .map(Result::unwrap)
        .filter(|field| field.number == *number)
        .nth(*index)
        .unwrap();
    let payload = field.payload().unwrap_or(field.span.clone());
    if rest.is_empty() { (field.span, payload) } else { find(source, payload, rest) }
}

/// A program whose `main` function has three ops, in a block that is 5 levels below the program.
fn program() -> mil::Program {
    let op = |kind: &str| mil::Operation {
        r#type: kind.to_owned(),
        outputs: vec![mil::NamedValueType { name: format!("{kind}_0"), r#type: None }],
        ..Default::default()
    };
    let block = mil::Block {
        operations: vec![op("relu"), op("tanh"), op("sqrt")],
        outputs: vec!["sqrt_0".to_owned()],
        ..Default::default()
    };
    let function = mil::Function {
        opset: "CoreML6".to_owned(),
        block_specializations: [("CoreML6".to_owned(), block)].into(),
        ..Default::default()
    };
    mil::Program { version: 1, functions: [("main".to_owned(), function)].into(), ..Default::default() }
}

/// From the program to the block: map entry, function, map entry, block.
const BLOCK: [(u32, usize); 4] = [(2, 0), (2, 0), (3, 0), (2, 0)];

fn path(number: u32, index: usize) -> Vec<(u32, usize)> {
    [BLOCK.as_slice(), &[(number, index)]].concat()
}

/// The program after `edit`, by prost.
fn expected(edit: impl FnOnce(&mut mil::Block)) -> mil::Program {
    let mut program = program();
    let function = program.functions.get_mut("main").unwrap();
    edit(function.block_specializations.get_mut("CoreML6").unwrap());
    program
}

proptest! {
    #[test]
    fn keeping_all_is_the_source_range(bytes in message_bytes(), before in 0_usize..3) {
        let source = [vec![0xff; before], bytes.clone(), vec![0xff]].concat();
        let range = before..before + bytes.len();
        let rope = splice(&source, range.clone(), &Rope::new(), |_| Ok::<_, WireError>(Edit::Keep)).unwrap();
        let edited = Edits::new().apply(&source, range.clone()).unwrap();
        for rope in [rope, edited] {
            let as_source = rope.as_source().unwrap_or(before as u64..before as u64);
            prop_assert_eq!(as_source, range.start as u64..range.end as u64);
            prop_assert!(rope.pieces().len() <= 1);
        }
    }

    #[test]
    fn the_source_s_own_content_and_span_change_nothing(bytes in message_bytes()) {
        let range = 0..bytes.len();
        let rope = splice(&bytes, range.clone(), &Rope::new(), |field| {
            let whole = Rope::from(field.span.start as u64..field.span.end as u64);
            Ok::<_, WireError>(match field.payload() {
                Some(inner) => Edit::Content(Rope::from(inner.start as u64..inner.end as u64)),
                None => Edit::Replace(whole),
            })
        });
        let rope = rope.unwrap();
        prop_assert_eq!(rope.len(), bytes.len() as u64);
        prop_assert_eq!(rope.new_len(), 0);
        prop_assert!(rope.pieces().len() <= 1);
    }

    #[test]
    fn dropped_fields_are_gone_and_the_others_keep_their_bytes(bytes in message_bytes(), mask in any::<u64>()) {
        let fields: Vec<_> = Fields::new(&bytes).map(Result::unwrap).collect();
        let dropped = |at: usize| mask >> (at % 64) & 1 == 1;
        let mut edits = Edits::new();
        let mut kept = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            if dropped(at) {
                edits.drop(field.span.clone());
            } else {
                kept.extend_from_slice(&bytes[field.span.clone()]);
            }
        }
        prop_assert_eq!(edits.apply(&bytes, 0..bytes.len()).unwrap().to_vec(&bytes).unwrap(), &kept[..]);
        let mut at = 0..;
        let rope = splice(&bytes, 0..bytes.len(), &Rope::new(), |_| {
            Ok::<_, WireError>(if at.next().is_some_and(dropped) { Edit::Drop } else { Edit::Keep })
        });
        prop_assert_eq!(rope.unwrap().to_vec(&bytes).unwrap(), kept);
    }

    #[test]
    fn malformed_sources_are_errors_not_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        spans in proptest::collection::vec((0_usize..45, 0_usize..45), 0..4),
    ) {
        let mut edits = Edits::new();
        for (start, end) in spans {
            edits.drop(start..end);
            edits.append(end..start, Rope::from(0..2));
            edits.insert_before(end, Rope::from(0..1));
        }
        let _ = edits.apply(&bytes, 0..bytes.len());
    }
}

#[test]
fn edits_deep_in_a_program_read_back_with_prost() {
    let source = program().encode_to_vec();
    let span = |number, index| find(&source, 0..source.len(), &path(number, index)).0;
    let block = find(&source, 0..source.len(), &BLOCK).1;
    let new_op = mil::Operation { r#type: "gelu".to_owned(), ..Default::default() };
    let mut new_field = Rope::new();
    new_field.push_message_field(3, &new_op);
    let mut new_output = Rope::new();
    new_output.push_bytes_field(2, "gelu_0");

    let mut edits = Edits::new();
    edits.drop(span(3, 0));
    edits.insert_before(span(3, 2).start, new_field.clone());
    edits.append(block.clone(), new_output.clone());
    let rope = edits.apply(&source, 0..source.len()).unwrap();
    let bytes = rope.to_vec(&source).unwrap();
    let read = mil::Program::decode(bytes.as_slice()).unwrap();
    let wanted = expected(|block| {
        block.operations.remove(0);
        block.operations.insert(1, new_op.clone());
        block.outputs.push("gelu_0".to_owned());
    });
    assert_eq!(read, wanted);
    // Of the untouched op, the very bytes.
    let tanh = span(3, 1);
    assert!(rope.pieces().iter().any(|piece| {
        matches!(piece, Piece::Source(range) if range.start <= tanh.start as u64 && range.end >= tanh.end as u64)
    }));

    // The same by hand, level by level.
    let by_hand = nested(&source, 0..source.len(), &BLOCK, &new_output, &mut |at, field| {
        if field.number == 3 && *at == 0 {
            *at += 1;
            Edit::Drop
        } else if field.span == span(3, 2) {
            let mut both = new_field.clone();
            both.push_source(field.span.start as u64..field.span.end as u64);
            Edit::Replace(both)
        } else {
            Edit::Keep
        }
    });
    assert_eq!(by_hand.to_vec(&source).unwrap(), bytes);
}

/// Splices the message that `path` leads to, and every message on the way.
fn nested(
    source: &[u8],
    range: Range<usize>,
    path: &[(u32, usize)],
    appended: &Rope,
    edit: &mut impl FnMut(&mut usize, &coreml_proto::wire::Field) -> Edit,
) -> Rope {
    let mut at = 0;
    let Some(((number, _), rest)) = path.split_first() else {
        return splice(source, range, appended, |field| Ok::<_, WireError>(edit(&mut at, field))).unwrap();
    };
    splice(source, range, &Rope::new(), |field| {
        Ok::<_, WireError>(match field.payload() {
            Some(payload) if field.number == *number => {
                Edit::Content(nested(source, payload, rest, appended, edit))
            }
            _ => Edit::Keep,
        })
    })
    .unwrap()
}

#[test]
fn replacing_content_keeps_the_tag_as_it_was_written() {
    // Field 1 with a tag of two bytes where one would do, then field 1 again.
    let source = b"\x8a\x00\x03abc\x0a\x01d";
    let mut content = Rope::new();
    content.push_slice(&[b'z'; 200]);
    let rope = splice(source, 0..source.len(), &Rope::new(), |field| {
        Ok::<_, WireError>(if field.span.start == 0 { Edit::Content(content.clone()) } else { Edit::Keep })
    });
    let expected = [b"\x8a\x00\xc8\x01".as_slice(), &[b'z'; 200], b"\x0a\x01d"].concat();
    assert_eq!(rope.unwrap().to_vec(source).unwrap(), expected);
}

#[test]
fn empty_messages_can_be_appended_to() {
    // Field 1 {}, field 1 { field 2 {} }.
    let source = b"\x0a\x00\x0a\x02\x12\x00";
    let mut one = Rope::new();
    one.push_varint_field(5, 1);
    let mut edits = Edits::new();
    edits.append(2..2, one.clone());
    edits.append(6..6, one.clone());
    let edited = edits.apply(source, 0..source.len()).unwrap().to_vec(source).unwrap();
    assert_eq!(edited, b"\x0a\x02\x28\x01\x0a\x04\x12\x02\x28\x01");
    let mut edits = Edits::new();
    edits.append(0..0, one);
    assert_eq!(edits.apply(&[], 0..0).unwrap().to_vec(&[]).unwrap(), b"\x28\x01");
}

#[test]
fn edits_that_name_no_field_are_refused() {
    let source = program().encode_to_vec();
    let whole = 0..source.len();
    let (span, payload) = find(&source, whole.clone(), &path(3, 1));
    let apply = |set: &dyn Fn(&mut Edits)| {
        let mut edits = Edits::new();
        set(&mut edits);
        edits.apply(&source, whole.clone()).unwrap_err()
    };
    let beside = span.start..span.end - 1;
    assert_eq!(apply(&|edits| edits.drop(beside.clone())), EditError::NotAField(beside.clone()));
    let outside = source.len()..source.len() + 2;
    assert_eq!(apply(&|edits| edits.drop(outside.clone())), EditError::NotAField(outside.clone()));
    // An op that is dropped has no place for an edit.
    let inside = find(&source, payload, &[(3, 0)]).0;
    let both = |edits: &mut Edits| {
        edits.drop(span.clone());
        edits.drop(inside.clone());
    };
    assert_eq!(apply(&both), EditError::NotAField(inside.clone()));
}

#[test]
fn content_for_a_field_without_length_is_refused() {
    let error = splice(b"\x10\x01\x08\x05", 0..4, &Rope::new(), |field| {
        Ok::<_, WireError>(if field.number == 1 { Edit::Content(Rope::new()) } else { Edit::Keep })
    });
    assert_eq!(error.unwrap_err(), WireError { offset: 2, what: WireFault::BadWireType(0) });
}

#[test]
fn messages_nested_beyond_the_bound_are_refused() {
    let nested = |levels: usize| {
        let mut source = vec![0x08, 0x01];
        for _ in 0..levels {
            let mut outer = Vec::new();
            prost::encoding::bytes::encode(1, &source, &mut outer);
            source = outer;
        }
        let mut edits = Edits::new();
        edits.drop(source.len() - 2..source.len());
        edits.apply(&source, 0..source.len())
    };
    assert!(nested(100).is_ok());
    assert!(matches!(nested(101), Err(EditError::Wire(WireError { what: WireFault::TooDeep, .. }))));
}
