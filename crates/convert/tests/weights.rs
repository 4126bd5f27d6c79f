//! Weight files: blobs that die, that stay, that are new, and that are the same under another shape.

mod common;

use std::path::Path;

use anewrite_convert::{export, import_spec};
use anewrite_ir::Program;
use anewrite_tensor::{DType, Tensor};
use bytes::Bytes;
use common::{chain, const_named, new_const, offsets, op_giving};
use coreml_package::{BlobType, Chunk, PackageOutput, Source, WeightPlan, WriteOptions, write_package};
use coreml_proto::mil::argument::binding;
use coreml_proto::mil::value;
use coreml_proto::spec::{Model, model};
use prost::Message;

/// A package with three blobs of `sizes` fp16 elements: `w0` used by the op that gives `y0`, and so on.
fn package(folder: &Path, sizes: [u64; 3]) -> Source {
    let mut plan = WeightPlan::new(None);
    let ids = sizes.map(|n| {
        let bytes: Vec<u8> = (0..n).flat_map(|i| ((i % 2039) as u16 + n as u16 % 7).to_le_bytes()).collect();
        plan.append(BlobType::Float16, bytes, 0).unwrap()
    });
    let layout = plan.finish().unwrap();
    let blobs = ids.map(|id| layout.offset_of(id).unwrap());
    let spec = with_blobs(chain().spec(), sizes, blobs);
    let mut package = PackageOutput::default();
    package.model.push(Chunk::Bytes(spec.into()));
    package.weights.insert("@model_path/weights/weight.bin".into(), layout);
    let path = folder.join("weights.mlpackage");
    write_package(&path, &package, &WriteOptions::new()).unwrap();
    coreml_package::open(&path).unwrap()
}

/// The program of `spec` with its ops replaced by `const` ops that name blobs, and ops that use them.
fn with_blobs(spec: &[u8], sizes: [u64; 3], offsets: [u64; 3]) -> Vec<u8> {
    let mut model = Model::decode(spec).unwrap();
    let Some(model::Type::MlProgram(p)) = &mut model.r#type else { unreachable!() };
    let f = p.functions.values_mut().next().unwrap();
    let block = f.block_specializations.get_mut(&f.opset).unwrap();
    let relu = block.operations[0].clone();
    let scalar = block.operations.iter().find(|o| o.r#type == "const").unwrap().clone();
    let mut ops = Vec::new();
    for (i, (size, offset)) in sizes.into_iter().zip(offsets).enumerate() {
        let mut weight = scalar.clone();
        weight.outputs[0].name = format!("w{i}");
        weight.attributes.remove("name");
        let val = weight.attributes.get_mut("val").unwrap();
        let Some(coreml_proto::mil::value_type::Type::TensorType(t)) =
            &mut val.r#type.as_mut().unwrap().r#type
        else {
            unreachable!()
        };
        t.rank = 1;
        t.dimensions = vec![coreml_proto::mil::Dimension {
            dimension: Some(coreml_proto::mil::dimension::Dimension::Constant(
                coreml_proto::mil::dimension::ConstantDimension { size },
            )),
        }];
        weight.outputs[0].r#type = val.r#type.clone();
        let file_name = "@model_path/weights/weight.bin".to_owned();
        val.value = Some(value::Value::BlobFileValue(value::BlobFileValue { file_name, offset }));
        ops.push(weight);
        let mut user = relu.clone();
        user.r#type = "my_op".into();
        user.outputs[0].name = format!("y{i}");
        let bind =
            coreml_proto::mil::argument::Binding { binding: Some(binding::Binding::Name(format!("w{i}"))) };
        user.inputs.insert("w".into(), coreml_proto::mil::Argument { arguments: vec![bind] });
        ops.push(user);
    }
    block.operations = ops;
    block.outputs = vec!["y2".into()];
    model.encode_to_vec()
}

fn weight_of<'p>(p: &'p Program, name: &str) -> &'p Tensor {
    &p.constant(const_named(p, name)).unwrap().tensor
}

#[test]
fn dead_weights_are_left_out_where_they_are_many() {
    let folder = tempfile::tempdir().unwrap();
    let source = package(folder.path(), [40, 700_000, 50]);
    let mut document = anewrite_convert::import(&source).unwrap();
    let kept = weight_of(&document.parts[0].program, "w2").bytes().unwrap();
    let p = &mut document.parts[0].program;
    let dead = op_giving(p, "y1");
    assert!(p.remove_op(dead));
    let out = export(&document, &source).unwrap();
    let layout = &out.weights["@model_path/weights/weight.bin"];
    assert!(layout.is_compacted() && layout.byte_len() < 1000, "{}", layout.byte_len());

    let Source::Package(base) = &source else { unreachable!() };
    let model = out.model_chunks(source.model().unwrap());
    let path = folder.path().join("out.mlpackage");
    let package = PackageOutput { base: Some(base), model, weights: out.weights };
    write_package(&path, &package, &WriteOptions::new()).unwrap();
    let again = coreml_package::open(&path).unwrap();
    let read = anewrite_convert::import(&again).unwrap();
    assert_eq!(weight_of(&read.parts[0].program, "w2").bytes().unwrap(), kept);
    assert_eq!(read.parts[0].program.op_count(), 2);
}

#[test]
fn few_dead_weights_stay() {
    let folder = tempfile::tempdir().unwrap();
    let source = package(folder.path(), [40, 400_000, 50]);
    let mut document = anewrite_convert::import(&source).unwrap();
    let p = &mut document.parts[0].program;
    let dead = op_giving(p, "y1");
    assert!(p.remove_op(dead));
    assert!(export(&document, &source).unwrap().weights.is_empty());
}

#[test]
fn a_field_that_may_name_a_blob_keeps_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let source = package(folder.path(), [40, 700_000, 50]);
    // A field of the program that this build does not know.
    let spec = source.model().unwrap().bytes();
    let program = common::messages(spec).into_iter().find(|f| f.kind == "program").unwrap();
    let mut edits = coreml_proto::splice::Edits::new();
    let mut field = coreml_proto::rope::Rope::new();
    field.push_varint_field(99, 128);
    edits.append(program.content, field);
    let spec = Bytes::from(edits.apply(spec, 0..spec.len()).unwrap().to_vec(spec).unwrap());
    let mut document = import_spec(Path::new("newer"), &spec, &source).unwrap();
    let p = &mut document.parts[0].program;
    let dead = op_giving(p, "y1");
    assert!(p.remove_op(dead));
    assert!(export(&document, &source).unwrap().weights.is_empty());
}

#[test]
fn a_weight_under_another_shape_moves_no_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let source = package(folder.path(), [40, 60, 50]);
    let mut document = anewrite_convert::import(&source).unwrap();
    let p = &mut document.parts[0].program;
    let op = op_giving(p, "y1");
    let block = p.block_of(op);
    let slot = p.op(op).operands.iter().position(|o| &*o.param == "w").unwrap();
    let flat = weight_of(p, "w1").clone();
    let shaped = new_const(p, block, "shaped", flat.reshaped([5, 12]).unwrap());
    p.set_operand(op, slot, shaped);
    // A part of a weight is a new blob, copied from the old one's place.
    let op = op_giving(p, "y0");
    let half = weight_of(p, "w0").bytes().unwrap().slice(..40);
    let half = Tensor::new(DType::F16, [20], half).unwrap();
    let half = new_const(p, block, "half", half);
    p.set_operand(op, slot, half);
    let out = export(&document, &source).unwrap();
    let bytes = out.model.to_vec(document.spec()).unwrap();
    let old = offsets(document.spec());
    let layout = &out.weights["@model_path/weights/weight.bin"];
    let end = layout.byte_len() - 40 - 64;
    assert_eq!(offsets(&bytes), [old[1], old[2], end]);
    assert!(
        layout
            .chunks()
            .iter()
            .any(|c| matches!(c, Chunk::Copy { range, .. } if range.end - range.start == 40))
    );
}
