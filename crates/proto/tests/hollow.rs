//! Hollow messages against prost's decoding of the whole, and against messages that coremltools wrote.

use bytes::Bytes;
use coreml_proto::hollow::{
    At, Element, Form, Hollow, MapKey, OddityKind, PathStep, Payload, hollow, path_text,
};
use coreml_proto::wire::{WireError, WireFault};
use coreml_proto::{descriptor_of, mil, spec};
use proptest::prelude::*;
use prost::Message;
use prost::encoding;
use spec::neural_network_layer::Layer;

const THRESHOLD: usize = 64;

macro_rules! golden {
    ($name:literal) => {
        include_bytes!(concat!("data/", $name, ".bin")).as_slice()
    };
}

fn split<M: prost::Name>(bytes: &[u8]) -> Hollow {
    hollow(&Bytes::copy_from_slice(bytes), &descriptor_of::<M>().unwrap(), THRESHOLD).unwrap()
}

fn error<M: prost::Name>(bytes: &[u8]) -> WireError {
    hollow(&Bytes::copy_from_slice(bytes), &descriptor_of::<M>().unwrap(), THRESHOLD).unwrap_err()
}

/// The one payload, which must be at the end of this chain of singular fields.
fn only<'a>(hollow: &'a Hollow, fields: &[u32]) -> &'a Payload {
    assert_eq!(hollow.payloads.len(), 1);
    let path: Vec<_> = fields.iter().copied().map(PathStep::field).collect();
    hollow.payload(&path).unwrap()
}

fn floats(payload: &Payload) -> Vec<f32> {
    assert_eq!(payload.element(), Element::Float);
    let joined: Vec<u8> = payload.chunks().flatten().collect();
    let contiguous = payload.contiguous();
    assert_eq!(joined, contiguous);
    assert_eq!(payload.elements(), contiguous.len() as u64 / 4);
    contiguous.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// Decodes varints with prost: as a packed field of their own.
fn varints(payload: &Payload) -> Vec<i64> {
    let mut field = Vec::new();
    encoding::bytes::encode(1, &payload.contiguous(), &mut field);
    let values = mil::tensor_value::RepeatedLongInts::decode(field.as_slice()).unwrap().values;
    assert_eq!(payload.elements(), values.len() as u64);
    values
}

#[test]
fn all_forms_of_repeated_floats_are_the_same_payload() {
    let forms = [
        (golden!("weights"), Form::Packed, 1),
        (golden!("weights.chunked"), Form::Chunked, 3),
        (golden!("weights.apart"), Form::Chunked, 2),
        (golden!("weights.unpacked"), Form::Unpacked, 99),
        (golden!("weights.mixed"), Form::Mixed, 5),
    ];
    let expected: Vec<f32> = (0..99).map(|i| i as f32 * 0.25 - 7.0).collect();
    for (bytes, form, chunks) in forms {
        let hollow = split::<spec::WeightParams>(bytes);
        let payload = only(&hollow, &[1]);
        assert_eq!((payload.form(), payload.chunks().count()), (form, chunks));
        assert_eq!(floats(payload), expected);
        assert_eq!(payload.slice().is_some(), form == Form::Packed);
        assert_eq!(hollow.oddities, []);
        let small: spec::WeightParams = hollow.decode().unwrap();
        assert_eq!(small.quantization.as_ref().unwrap().number_of_bits, 8);
        let whole = spec::WeightParams::decode(bytes).unwrap();
        assert_eq!(whole.float_value, expected);
        assert_eq!(small, spec::WeightParams { float_value: vec![], ..whole });
    }
}

#[test]
fn packed_payloads_are_slices_of_the_source() {
    let source = Bytes::from_static(golden!("weights"));
    let hollow = hollow(&source, &descriptor_of::<spec::WeightParams>().unwrap(), THRESHOLD).unwrap();
    let inside = source.as_ptr_range();
    let slice = only(&hollow, &[1]).slice().unwrap();
    assert!(inside.contains(&slice.as_ptr()));
    assert_eq!(only(&hollow, &[1]).contiguous().as_ptr(), slice.as_ptr());
    assert_eq!(only(&hollow, &[1]).chunks().next().unwrap().as_ptr(), slice.as_ptr());
}

#[test]
fn integers_keep_their_sign_and_are_counted() {
    for (bytes, form) in [(golden!("ints"), Form::Packed), (golden!("ints.mixed"), Form::Mixed)] {
        let hollow = split::<mil::TensorValue>(bytes);
        let payload = only(&hollow, &[2, 1]);
        assert_eq!((payload.element(), payload.form()), (Element::Int, form));
        let expected: Vec<i64> =
            (0..70).map(|i: i64| if i % 2 == 0 { i.pow(5) } else { -i.pow(5) }).collect();
        assert_eq!(varints(payload), expected);
    }
    let hollow = split::<mil::TensorValue>(golden!("longs"));
    let expected: Vec<i64> = (0..39).map(|i| (-3_i64).pow(i)).collect();
    assert_eq!(varints(only(&hollow, &[5, 1])), expected);
    let hollow = split::<mil::TensorValue>(golden!("bools"));
    assert_eq!(only(&hollow, &[3, 1]).element(), Element::Bool);
    let expected: Vec<i64> = (0..77).map(|i| i64::from(i % 3 == 0)).collect();
    assert_eq!(varints(only(&hollow, &[3, 1])), expected);
}

#[test]
fn doubles_have_eight_bytes() {
    let hollow = split::<mil::TensorValue>(golden!("doubles"));
    let payload = only(&hollow, &[6, 1]);
    assert_eq!((payload.element(), payload.elements()), (Element::Double, 33));
    let last = payload.contiguous()[32 * 8..].try_into().unwrap();
    assert_eq!(f64::from_le_bytes(last), 32.0 / 7.0);
    let small: mil::TensorValue = hollow.decode().unwrap();
    assert_eq!(small.value, Some(mil::tensor_value::Value::Doubles(Default::default())));
}

#[test]
fn values_of_maps_are_found_by_key() {
    let hollow = split::<mil::Operation>(golden!("const_op"));
    let path = [
        PathStep::key(5, "val"),
        PathStep::field(3),
        PathStep::field(1),
        PathStep::field(7),
        PathStep::field(1),
    ];
    assert_eq!(hollow.payloads.len(), 1);
    let payload = hollow.payload(&path).unwrap();
    assert_eq!((payload.element(), payload.form(), payload.elements()), (Element::Byte, Form::Packed, 260));
    assert_eq!(payload.contiguous()[255..], *b"\xfftail");
    let text = path_text(&descriptor_of::<mil::Operation>().unwrap(), &payload.path);
    assert_eq!(text, r#"attributes["val"].immediateValue.tensor.bytes.values"#);

    let whole = mil::Operation::decode(golden!("const_op")).unwrap();
    let small: mil::Operation = hollow.decode().unwrap();
    assert_ne!(small, whole);
    let value = |op: &mil::Operation| op.attributes["val"].clone();
    assert_eq!(value(&small).r#type, value(&whole).r#type);
    assert_eq!((&small.inputs, &small.outputs), (&whole.inputs, &whole.outputs));
    assert_eq!(small.attributes["name"], whole.attributes["name"]);
    assert!(hollow.payload(&path[..4]).is_none());
    assert!(hollow.payload(&[PathStep::key(5, "name")]).is_none());
}

#[test]
fn elements_of_repeated_messages_are_found_by_index() {
    let hollow = split::<spec::NeuralNetworkLayer>(golden!("lstm_layer"));
    let path = |direction, gate, field| {
        [PathStep::field(430), PathStep::index(20, direction), PathStep::field(gate), PathStep::field(field)]
    };
    assert_eq!(hollow.payloads.len(), 3);
    for direction in 0..2 {
        let values = floats(hollow.payload(&path(direction, 2, 1)).unwrap());
        assert_eq!((values.len(), values[79]), (80, direction as f32 + 79.0 / 8.0));
    }
    let halves = hollow.payload(&path(1, 43, 2)).unwrap();
    assert_eq!((halves.elements(), halves.slice().unwrap()[299]), (300, (299 * 7 % 256) as u8));
    let small: spec::NeuralNetworkLayer = hollow.decode().unwrap();
    let Some(Layer::BiDirectionalLstm(lstm)) = small.layer else { panic!("{:?}", small.layer) };
    let second = &lstm.weight_params[1];
    assert_eq!(second.output_gate_peephole_vector.as_ref().unwrap().float_value, [1.0, 2.0]);
    assert_eq!(second.forget_gate_weight_matrix, Some(Default::default()));
}

#[test]
fn the_threshold_counts_all_occurrences_together() {
    let weights = |bytes: &[u8], threshold| {
        let descriptor = descriptor_of::<spec::WeightParams>().unwrap();
        let hollow = hollow(&Bytes::copy_from_slice(bytes), &descriptor, threshold).unwrap();
        (hollow.payloads.len(), hollow.decode::<spec::WeightParams>().unwrap().float_value.len())
    };
    assert_eq!(weights(golden!("weights"), 99 * 4), (1, 0));
    assert_eq!(weights(golden!("weights"), 99 * 4 + 1), (0, 99));
    assert_eq!(weights(golden!("weights.apart"), 99 * 4), (1, 0));
    // Single elements count with their tags.
    assert_eq!(weights(golden!("weights.unpacked"), 99 * 5), (1, 0));
    assert_eq!(weights(golden!("weights.unpacked"), 99 * 5 + 1), (0, 99));
}

/// How a test writes the elements of a repeated scalar.
#[derive(Clone, Debug)]
enum Run {
    Packed(Vec<i64>),
    Unpacked(Vec<i64>),
    /// Another field between.
    Other(u64),
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let values = || proptest::collection::vec((any::<i64>(), 0..64).prop_map(|(v, shift)| v >> shift), 0..40);
    let run = prop_oneof![
        values().prop_map(Run::Packed),
        values().prop_map(Run::Unpacked),
        any::<u64>().prop_map(Run::Other)
    ];
    proptest::collection::vec(run, 0..6)
}

fn form_of(runs: &[Run]) -> Form {
    let packed = runs.iter().filter(|run| matches!(run, Run::Packed(_))).count();
    let unpacked = runs.iter().any(|run| matches!(run, Run::Unpacked(values) if !values.is_empty()));
    match (packed, unpacked) {
        (1, false) => Form::Packed,
        (_, false) => Form::Chunked,
        (0, true) => Form::Unpacked,
        (_, true) => Form::Mixed,
    }
}

proptest! {
    #[test]
    fn any_mixture_of_floats_reads_as_prost_reads_it(runs in runs()) {
        let mut bytes = Vec::new();
        for run in &runs {
            let as_floats = |values: &[i64]| values.iter().map(|&value| f32::from_bits(value as u32 & 0xff7f_ffff)).collect::<Vec<_>>();
            match run {
                // Unlike prost's own encoder, this writes empty chunks too.
                Run::Packed(values) => {
                    let content: Vec<u8> = as_floats(values).iter().flat_map(|v| v.to_le_bytes()).collect();
                    encoding::bytes::encode(1, &content, &mut bytes);
                }
                Run::Unpacked(values) => encoding::float::encode_repeated(1, &as_floats(values), &mut bytes),
                Run::Other(value) => encoding::bool::encode(50, &(value % 2 == 1), &mut bytes),
            }
        }
        let whole = spec::WeightParams::decode(bytes.as_slice()).unwrap();
        let hollow = split::<spec::WeightParams>(&bytes);
        let small: spec::WeightParams = hollow.decode().unwrap();
        prop_assert_eq!(small.is_updatable, whole.is_updatable);
        match hollow.payload(&[PathStep::field(1)]) {
            Some(payload) => {
                prop_assert_eq!(floats(payload), whole.float_value);
                prop_assert_eq!(payload.form(), form_of(&runs));
                prop_assert!(small.float_value.is_empty());
            }
            None => prop_assert_eq!(small, whole),
        }
    }

    #[test]
    fn any_mixture_of_integers_reads_as_prost_reads_it(runs in runs()) {
        let mut content = Vec::new();
        for run in &runs {
            match run {
                Run::Packed(values) => {
                    let mut packed = Vec::new();
                    values.iter().for_each(|&value| encoding::encode_varint(value as u64, &mut packed));
                    encoding::bytes::encode(1, &packed, &mut content);
                }
                Run::Unpacked(values) => encoding::int64::encode_repeated(1, values, &mut content),
                Run::Other(value) => encoding::uint64::encode(9, value, &mut content),
            }
        }
        let mut bytes = Vec::new();
        encoding::bytes::encode(5, &content, &mut bytes);
        let whole = mil::TensorValue::decode(bytes.as_slice()).unwrap();
        let Some(mil::tensor_value::Value::LongInts(expected)) = whole.value.clone() else { unreachable!() };
        let hollow = split::<mil::TensorValue>(&bytes);
        match hollow.payload(&[PathStep::field(5), PathStep::field(1)]) {
            Some(payload) => {
                prop_assert_eq!(varints(payload), expected.values);
                prop_assert_eq!(payload.form(), form_of(&runs));
            }
            None => prop_assert_eq!(hollow.decode::<mil::TensorValue>().unwrap(), whole),
        }
        let odd = runs.iter().any(|run| matches!(run, Run::Other(_)));
        prop_assert_eq!(hollow.oddities.len(), usize::from(odd));
    }

    #[test]
    fn damaged_messages_give_a_message_or_an_error(
        cut in any::<proptest::sample::Index>(),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        which in 0_usize..3,
        threshold in 0_usize..70,
    ) {
        let (bytes, descriptor) = [
            (golden!("const_op"), descriptor_of::<mil::Operation>()),
            (golden!("lstm_layer"), descriptor_of::<spec::NeuralNetworkLayer>()),
            (golden!("weights.mixed"), descriptor_of::<spec::WeightParams>()),
        ][which].clone();
        let mut bytes = bytes[..bytes.len() - cut.index(bytes.len()) / 2].to_vec();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(hollow) = hollow(&Bytes::from(bytes), &descriptor.unwrap(), threshold) {
            for payload in &hollow.payloads {
                prop_assert_eq!(payload.chunks().map(|chunk| chunk.len()).sum::<usize>(), payload.contiguous().len());
            }
        }
    }
}

#[test]
fn unknown_fields_are_left_out_and_reported_once_a_message() {
    let mut op = Vec::new();
    encoding::string::encode(1, &"relu".to_owned(), &mut op);
    encoding::uint64::encode(77, &1, &mut op);
    encoding::uint64::encode(77, &2, &mut op);
    let mut block = Vec::new();
    encoding::bytes::encode(3, &golden!("const_op").to_vec(), &mut block);
    encoding::bytes::encode(3, &op, &mut block);
    block.extend_from_slice(b"\x2b\x2c");
    let hollow = split::<mil::Block>(&block);
    let seen: Vec<_> = hollow.oddities.iter().map(|odd| (&odd.path[..], odd.number, odd.what)).collect();
    let second = [PathStep::index(3, 1)];
    assert_eq!(seen, [(&second[..], 77, OddityKind::Unknown), (&[], 5, OddityKind::Unknown)]);
    let small: mil::Block = hollow.decode().unwrap();
    assert_eq!(small.operations[1], mil::Operation { r#type: "relu".to_owned(), ..Default::default() });
    assert_eq!(hollow.payloads[0].path[0], PathStep::index(3, 0));
}

#[test]
fn fields_of_another_wire_type_are_reported_and_do_not_stop_decoding() {
    // Field 1 of Operation is a string, here a varint; field 50 of WeightParams is a bool, here four bytes.
    let hollow = split::<mil::Operation>(b"\x08\x05");
    assert_eq!(hollow.oddities[0].what, OddityKind::WireType);
    assert_eq!(hollow.decode::<mil::Operation>().unwrap(), Default::default());
    let mut bytes = golden!("weights").to_vec();
    encoding::fixed32::encode(50, &1, &mut bytes);
    let hollow = split::<spec::WeightParams>(&bytes);
    assert_eq!((hollow.oddities[0].number, hollow.oddities[0].what), (50, OddityKind::WireType));
    // A repeated float takes four bytes or a packed chunk, no varint.
    let hollow = split::<spec::WeightParams>(b"\x08\x05");
    assert_eq!(hollow.oddities[0].what, OddityKind::WireType);
}

#[test]
fn what_readers_would_merge_is_reported() {
    let kinds = |bytes: &[u8]| {
        let hollow = split::<mil::Operation>(bytes);
        hollow.oddities.iter().map(|odd| (odd.number, odd.what)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(b"\x0a\x01a\x0a\x01b"), [(1, OddityKind::Repeated)]);
    // One key of `inputs` twice; an entry without key has the empty one.
    assert_eq!(kinds(b"\x12\x03\x0a\x01x\x12\x03\x0a\x01x"), [(2, OddityKind::Repeated)]);
    assert_eq!(kinds(b"\x12\x00\x12\x02\x0a\x00"), [(2, OddityKind::Repeated)]);
    assert_eq!(kinds(b"\x12\x03\x0a\x01x\x12\x03\x0a\x01y"), []);
    // Two members of one oneof.
    let hollow = split::<mil::TensorValue>(b"\x0a\x00\x12\x00");
    assert_eq!((hollow.oddities[0].number, hollow.oddities[0].what), (2, OddityKind::Repeated));
}

#[test]
fn keys_that_are_numbers_are_read() {
    let map = spec::Int64ToStringMap { map: [(-5, "a".repeat(3)), (7, String::new())].into() };
    let mut bytes = map.encode_to_vec();
    // An unknown field in the entry of key 7, which comes last.
    bytes.extend_from_slice(b"\x0a\x04\x08\x07\x18\x01");
    let hollow = split::<spec::Int64ToStringMap>(&bytes);
    let unknown = hollow.oddities.iter().find(|odd| odd.what == OddityKind::Unknown).unwrap();
    assert_eq!(unknown.path, [PathStep { field: 1, at: At::Key(MapKey::I64(7)) }]);
}

#[test]
fn large_packed_fields_must_be_whole_numbers_of_elements() {
    let mut bytes = Vec::new();
    encoding::bytes::encode(1, &vec![0; 99], &mut bytes);
    let what = WireFault::PackedLength { length: 99, width: 4 };
    assert_eq!(error::<spec::WeightParams>(&bytes), WireError { offset: 2, what });
    let mut bytes = Vec::new();
    encoding::bytes::encode(1, &vec![0x80; 99], &mut bytes);
    let ints = error::<mil::tensor_value::RepeatedInts>(&bytes);
    assert_eq!(ints, WireError { offset: 2, what: WireFault::VarintTooLong });
}

#[test]
fn messages_nested_beyond_the_bound_are_refused() {
    // ListType.type (1) and ValueType.listType (2) in turn, from the inside.
    let nested = |levels: usize| {
        let mut bytes = Vec::new();
        for level in 0..levels {
            let mut outer = Vec::new();
            encoding::bytes::encode(if level % 2 == 0 { 2 } else { 1 }, &bytes, &mut outer);
            bytes = outer;
        }
        bytes
    };
    assert!(mil::ListType::decode(nested(100).as_slice()).is_ok());
    assert_eq!(split::<mil::ListType>(&nested(100)).oddities, []);
    assert!(mil::ValueType::decode(nested(101).as_slice()).is_err());
    assert_eq!(error::<mil::ValueType>(&nested(101)).what, WireFault::TooDeep);
}
