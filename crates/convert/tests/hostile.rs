//! Bytes that are no good model give an error that names the place, or a model; never a panic.

mod common;

use std::path::Path;

use anewrite_convert::{ImportError, Problem, export, import_spec};
use bytes::Bytes;
use common::NoFiles;
use coreml_package::{BlobType, Chunk, PackageOutput, WeightPlan, WriteOptions, write_package};
use coreml_proto::mil::argument::{Binding, binding};
use coreml_proto::mil::{
    Argument, Block, DataType, Dimension, Function, NamedValueType, Operation, Program, TensorType,
    TensorValue, Value, ValueType, dimension, tensor_value, value, value_type,
};
use coreml_proto::spec::{Model, Scaler, model};
use proptest::prelude::*;
use prost::Message;

fn ty(dtype: DataType, dims: &[u64]) -> ValueType {
    let dim = |&size: &u64| Dimension {
        dimension: Some(dimension::Dimension::Constant(dimension::ConstantDimension { size })),
    };
    let tensor = TensorType {
        data_type: dtype.into(),
        rank: dims.len() as i64,
        dimensions: dims.iter().map(dim).collect(),
        attributes: Default::default(),
    };
    ValueType { r#type: Some(value_type::Type::TensorType(tensor)) }
}

fn named(name: &str, dims: &[u64]) -> NamedValueType {
    NamedValueType { name: name.into(), r#type: Some(ty(DataType::Float32, dims)) }
}

fn op(kind: &str, inputs: &[(&str, &str)], output: &str) -> Operation {
    let argument = |name: &str| Argument {
        arguments: vec![Binding { binding: Some(binding::Binding::Name(name.into())) }],
    };
    Operation {
        r#type: kind.into(),
        inputs: inputs.iter().map(|(param, name)| ((*param).to_owned(), argument(name))).collect(),
        outputs: vec![named(output, &[2, 3])],
        ..Default::default()
    }
}

fn constant(name: &str, value: Value) -> Operation {
    let out = NamedValueType { name: name.into(), r#type: value.r#type.clone() };
    Operation {
        r#type: "const".into(),
        outputs: vec![out],
        attributes: [("val".to_owned(), value)].into(),
        ..Default::default()
    }
}

fn blob(dtype: DataType, dims: &[u64], offset: u64) -> Value {
    let file = value::BlobFileValue { file_name: "@model_path/weights/weight.bin".into(), offset };
    Value {
        r#type: Some(ty(dtype, dims)),
        value: Some(value::Value::BlobFileValue(file)),
        ..Default::default()
    }
}

fn model_of(operations: Vec<Operation>, outputs: &[&str]) -> Model {
    let block = Block {
        operations,
        outputs: outputs.iter().map(|s| (*s).to_owned()).collect(),
        ..Default::default()
    };
    let main = Function {
        inputs: vec![named("x", &[2, 3])],
        opset: "CoreML6".into(),
        block_specializations: [("CoreML6".to_owned(), block)].into(),
        ..Default::default()
    };
    let program = Program { version: 1, functions: [("main".to_owned(), main)].into(), ..Default::default() };
    Model { specification_version: 7, r#type: Some(model::Type::MlProgram(program)), ..Default::default() }
}

fn import(bytes: impl Into<Bytes>) -> Result<anewrite_convert::Document, ImportError> {
    import_spec(Path::new("bad.mlmodel"), &bytes.into(), &NoFiles)
}

fn refused(operations: Vec<Operation>) -> String {
    import(model_of(operations, &[]).encode_to_vec()).unwrap_err().to_string()
}

const BODY: &str = r#"bad.mlmodel: mlProgram.functions["main"].block_specializations["CoreML6"]"#;

#[test]
fn names_that_do_not_add_up() {
    let add = |x, y, out| op("add", &[("x", x), ("y", y)], out);
    assert_eq!(
        refused(vec![add("x", "x", "a"), add("a", "b", "a2")]),
        format!(r#"{BODY}.operations[1].inputs["y"]: "b" is not defined"#)
    );
    // A cycle: a needs b, b needs a.
    assert_eq!(
        refused(vec![op("relu", &[("x", "b")], "a"), op("relu", &[("x", "a")], "b")]),
        format!(r#"{BODY}.operations[0].inputs["x"]: "b" is used before it is defined"#)
    );
    assert_eq!(
        refused(vec![op("relu", &[("x", "a")], "a")]),
        format!(r#"{BODY}.operations[0].inputs["x"]: "a" is used before it is defined"#)
    );
    assert_eq!(
        refused(vec![op("relu", &[("x", "x")], "a"), op("relu", &[("x", "x")], "a")]),
        format!(r#"{BODY}.operations[1].outputs[0]: "a" is defined twice"#)
    );
    assert_eq!(
        refused(vec![op("relu", &[("x", "x")], "x")]),
        format!(r#"{BODY}.operations[0].outputs[0]: "x" is defined twice"#)
    );
    let missing = import(model_of(vec![], &["y"]).encode_to_vec()).unwrap_err();
    assert_eq!(missing.to_string(), format!(r#"{BODY}.outputs[0]: "y" is not defined"#));
}

#[test]
fn extents_that_overflow() {
    let mut big = op("relu", &[("x", "x")], "a");
    big.outputs = vec![named("a", &[1 << 40, 3, 1 << 40])];
    let error = refused(vec![big]);
    assert!(error.starts_with(&format!(r#"{BODY}.operations[0].outputs[0]."a": the extents"#)), "{error}");
}

#[test]
fn a_trillion_elements_take_no_memory() {
    let shape = TensorValue {
        value: Some(tensor_value::Value::Ints(tensor_value::RepeatedInts {
            values: vec![1_000_000, 1_000_000],
        })),
    };
    let shape = Value {
        r#type: Some(ty(DataType::Int32, &[2])),
        value: Some(value::Value::ImmediateValue(value::ImmediateValue {
            value: Some(value::immediate_value::Value::Tensor(shape)),
        })),
        ..Default::default()
    };
    let mut fill = op("fill", &[("shape", "s")], "y");
    fill.outputs = vec![named("y", &[1_000_000, 1_000_000])];
    let spec = Bytes::from(model_of(vec![constant("s", shape), fill], &["y"]).encode_to_vec());
    let document = import(spec.clone()).unwrap();
    assert!(export(&document, &NoFiles).unwrap().is_unchanged(&document));
    // A constant that claims as much is one that is not understood: kept, and no constant.
    let huge = Value { r#type: Some(ty(DataType::Float32, &[1_000_000, 1_000_000])), ..Default::default() };
    let document = import(model_of(vec![constant("k", huge)], &[]).encode_to_vec()).unwrap();
    let p = &document.parts[0].program;
    let op = p.op_ids().next().unwrap();
    assert!(&*p.op(op).kind == "const" && p.op(op).sealed);
}

/// A length-delimited field.
fn wrapped(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    coreml_proto::wire::put_varint(&mut bytes, u64::from(number) << 3 | 2);
    coreml_proto::wire::put_varint(&mut bytes, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn nesting_a_thousand_deep() {
    let mut block = Vec::new();
    for _ in 0..1000 {
        let op = [wrapped(1, b"cond"), wrapped(4, &block)].concat();
        block = wrapped(3, &op);
    }
    let specialization = [wrapped(1, b"CoreML6"), wrapped(2, &block)].concat();
    let function = [wrapped(2, b"CoreML6"), wrapped(3, &specialization)].concat();
    let entry = [wrapped(1, b"main"), wrapped(2, &function)].concat();
    let error = import(wrapped(502, &wrapped(2, &entry))).unwrap_err();
    assert!(matches!(error.problem(), Problem::TooDeep), "{error}");

    let mut network = Vec::new();
    for _ in 0..1000 {
        let layer = [wrapped(2, b"x"), wrapped(605, &wrapped(1, &network))].concat();
        network = wrapped(1, &layer);
    }
    let error = import(wrapped(500, &network)).unwrap_err();
    assert!(matches!(error.problem(), Problem::TooDeep), "{error}");

    let mut model = wrapped(500, b"");
    for _ in 0..1000 {
        model = wrapped(202, &wrapped(1, &model));
    }
    let error = import(model).unwrap_err();
    assert!(matches!(error.problem(), Problem::TooDeep), "{error}");

    let mut list = ty(DataType::Float32, &[1]).encode_to_vec();
    for _ in 0..1000 {
        list = wrapped(2, &wrapped(1, &list));
    }
    let output = [wrapped(1, b"y"), wrapped(2, &list)].concat();
    let op = [wrapped(1, b"make_list"), wrapped(3, &output)].concat();
    let specialization = [wrapped(1, b"CoreML6"), wrapped(2, &wrapped(3, &op))].concat();
    let function = [wrapped(2, b"CoreML6"), wrapped(3, &specialization)].concat();
    let entry = [wrapped(1, b"main"), wrapped(2, &function)].concat();
    let error = import(wrapped(502, &wrapped(2, &entry))).unwrap_err();
    assert!(matches!(error.problem(), Problem::TooDeep), "{error}");
}

#[test]
fn models_without_a_network() {
    let scaler =
        Model { r#type: Some(model::Type::Scaler(Scaler::default())), ..Default::default() }.encode_to_vec();
    assert_eq!(
        import(scaler.clone()).unwrap_err().to_string(),
        "bad.mlmodel: a model of type scaler has no network in it"
    );
    let pipeline = wrapped(202, &wrapped(1, &scaler));
    assert_eq!(
        import(pipeline).unwrap_err().to_string(),
        "bad.mlmodel: a model of type pipeline has no network in it"
    );
    assert!(matches!(import(b"\x08\x07".to_vec()).unwrap_err().problem(), Problem::NoModelType));
    let both = [wrapped(500, b""), wrapped(502, b"")].concat();
    assert!(matches!(import(both).unwrap_err().problem(), Problem::Repeated("Type")));
    let empty = import(wrapped(502, b"")).unwrap_err().to_string();
    assert_eq!(empty, "bad.mlmodel: mlProgram: functions is missing");
}

#[test]
fn functions_without_their_block() {
    let mut model = model_of(vec![], &[]);
    let Some(model::Type::MlProgram(program)) = &mut model.r#type else { unreachable!() };
    program.functions.get_mut("main").unwrap().opset = "CoreML8".into();
    assert_eq!(
        import(model.encode_to_vec()).unwrap_err().to_string(),
        r#"bad.mlmodel: mlProgram.functions["main"]: the opset is "CoreML8", but there are block specializations for ["CoreML6"] only"#
    );
}

#[test]
fn blobs_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(Value, &str); 5] = [
        (blob(DataType::Float16, &[2, 3], 64), ""),
        (blob(DataType::Float16, &[2, 3], 1 << 40), "lies outside the file"),
        (blob(DataType::Float16, &[2, 3], 128), "in place of the mark 0xdeadbeef"),
        (
            blob(DataType::Float32, &[2, 3], 64),
            "fp32 with 6 elements is declared, the blob at 64 holds 6 of fp16",
        ),
        (
            blob(DataType::Float16, &[3, 3], 64),
            "fp16 with 9 elements is declared, the blob at 64 holds 6 of fp16",
        ),
    ];
    for (i, (value, want)) in cases.into_iter().enumerate() {
        let mut plan = WeightPlan::new(None);
        plan.append(BlobType::Float16, vec![1; 12], 0).unwrap();
        plan.append(BlobType::Float16, vec![2; 200], 0).unwrap();
        let mut package = PackageOutput::default();
        let spec = model_of(vec![constant("w", value)], &["w"]).encode_to_vec();
        package.model.push(Chunk::Bytes(spec.into()));
        package.weights.insert("@model_path/weights/weight.bin".into(), plan.finish().unwrap());
        let path = folder.path().join(format!("{i}.mlpackage"));
        write_package(&path, &package, &WriteOptions::new()).unwrap();
        let source = coreml_package::open(&path).unwrap();
        match anewrite_convert::import(&source) {
            Ok(_) => assert_eq!(want, ""),
            Err(error) => {
                let error = error.to_string();
                assert!(!want.is_empty() && error.contains(want), "{error}");
                assert!(error.contains(r#"operations[0].attributes["val"]"#), "{error}");
            }
        }
    }
    let no_file = refused(vec![constant("w", blob(DataType::Float16, &[2, 3], 64))]);
    assert!(no_file.contains("no such file"), "{no_file}");
}

#[test]
fn every_truncation_is_judged() {
    for name in ["states.mlpackage", "classifier.mlpackage", "nn_control.mlmodel", "pipeline.mlmodel"] {
        let source = common::made(name);
        let spec = source.model().unwrap().bytes().clone();
        for len in 0..spec.len() {
            let part = spec.slice(..len);
            // Cut between two fields of the model, what is left may be one.
            if let Ok(document) = import_spec(Path::new("cut"), &part, &source) {
                assert!(export(&document, &source).unwrap().is_unchanged(&document));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changed_bytes_never_panic(
        which in 0..6_usize,
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let names = [
            "blocks.mlpackage", "states.mlpackage", "palette-iOS18.mlpackage", "nn_control.mlmodel",
            "nn_quantized.mlmodel", "pipeline.mlmodel",
        ];
        let source = common::made(names[which]);
        let mut spec = source.model().unwrap().bytes().to_vec();
        for (at, byte) in flips {
            let at = at.index(spec.len());
            spec[at] = byte;
        }
        let spec = Bytes::from(spec);
        if let Ok(document) = import_spec(Path::new("flipped"), &spec, &source) {
            let same = export(&document, &source).unwrap();
            prop_assert!(same.is_unchanged(&document));
            // Made anew, it may still be refused where a type is not known, and must not panic.
            let _ = anewrite_convert::export_anew(&document, &source);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = import(bytes.clone());
        let _ = import(wrapped(502, &wrapped(2, &wrapped(2, &bytes))));
        let _ = import(wrapped(500, &wrapped(1, &bytes)));
    }
}
