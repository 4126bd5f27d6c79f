//! Models by others, upgraded and read again: interface, ops, and what is refused.

use std::path::Path;

use anewrite_convert::{Document, NewPackage, export, import};
use anewrite_ir::mil::Mil;
use anewrite_ir::{Opset, verify};
use anewrite_tensor::DType;
use anewrite_upgrade::{UpgradeError, UpgradeOptions, Upgraded, upgrade};
use coreml_package::{Chunk, PackageOutput, WriteOptions, write_package};

fn source(name: &str) -> Document {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name);
    import(&coreml_package::open(path).unwrap()).unwrap()
}

fn upgraded(name: &str, opset: Opset, precision: DType) -> Result<Upgraded, UpgradeError> {
    upgrade(&source(name), UpgradeOptions { opset, precision, ..UpgradeOptions::default() })
}

/// Writes the model as a package and reads that.
fn written(upgraded: &Upgraded) -> Document {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.mlpackage");
    let made = export(&upgraded.document, &NewPackage).unwrap();
    let model = vec![Chunk::Bytes(made.model_bytes(&upgraded.document).unwrap())];
    let output = PackageOutput { base: None, model, weights: made.weights };
    write_package(&path, &output, &WriteOptions::new()).unwrap();
    import(&coreml_package::open(&path).unwrap()).unwrap()
}

fn kinds(d: &Document) -> Vec<String> {
    let p = &d.parts[0].program;
    p.all_ops().map(|op| p.op(op).kind.to_string()).collect()
}

#[test]
fn models_by_others_become_programs_of_every_opset() {
    for name in [
        "models/cifar_net.mlmodel",
        "models/blazeface.mlmodel",
        "models/spokestack_filter.mlmodel",
        "models/s4tf_bmm.mlmodel",
        "convert/nn_image.mlmodel",
        "convert/nn_control.mlmodel",
        "convert/nn_loops.mlmodel",
    ] {
        for opset in [Opset::Ios15, Opset::Ios16, Opset::Ios17, Opset::Ios18] {
            for precision in [DType::F16, DType::F32] {
                let new = upgraded(name, opset, precision);
                let new = written(&new.unwrap_or_else(|e| panic!("{name} for {}: {e}", opset.name())));
                let part = &new.parts[0];
                assert_eq!(part.info().kind, "mlProgram");
                assert_eq!(part.info().spec_version, 6 + opset as i32, "{name}");
                assert!(verify::verify(&part.program, &Mil).is_ok(), "{name} for {}", opset.name());
                let mut described: Vec<&str> = part.info().outputs().collect();
                let body = part.program.functions().next().unwrap().1.body;
                let outputs = part.program.block(body).outputs.iter();
                let mut made: Vec<&str> = outputs.map(|&v| &*part.program.value(v).name).collect();
                described.sort_unstable();
                made.sort_unstable();
                assert_eq!(made, described, "{name}");
            }
        }
    }
}

#[test]
fn the_interface_survives() {
    let (old, new) = (source("models/spokestack_filter.mlmodel"), "models/spokestack_filter.mlmodel");
    let new = written(&upgraded(new, Opset::Ios16, DType::F16).unwrap());
    assert_eq!(new.info().inputs().collect::<Vec<_>>(), old.info().inputs().collect::<Vec<_>>());
    let p = &new.parts[0].program;
    let body = p.functions().next().unwrap().1.body;
    let (x, y) = (p.block(body).args[0], p.block(body).outputs[0]);
    assert_eq!(p.ty(x).to_string(), "tensor<fp32, [257, 1, 1]>");
    assert_eq!(p.ty(y).to_string(), "tensor<fp32, [1, 1, 40]>");
    assert_eq!(new.info().description().metadata, old.info().description().metadata);
}

#[test]
fn names_that_are_no_identifiers_change_with_a_note() {
    let new = upgraded("models/blazeface.mlmodel", Opset::Ios15, DType::F16).unwrap();
    assert_eq!(new.document.info().outputs().collect::<Vec<_>>(), ["_1477", "_1011"]);
    assert!(new.notes.iter().any(|n| n.starts_with("1477 is named _1477")), "{:?}", new.notes);
}

#[test]
fn images_are_prepared_and_classified_by_ops() {
    // red, green and blue biases stand in the order of the image's channels
    let new = written(&upgraded("convert/nn_image.mlmodel", Opset::Ios15, DType::F32).unwrap());
    let kinds = kinds(&new);
    assert!(kinds.iter().any(|k| k == "mul") && kinds.iter().any(|k| k == "add"), "{kinds:?}");
}

#[test]
fn loops_and_branches_become_ops_with_blocks() {
    let new = written(&upgraded("convert/nn_control.mlmodel", Opset::Ios15, DType::F32).unwrap());
    let kinds = kinds(&new);
    assert!(kinds.iter().any(|k| k == "cond" || k == "while_loop"), "{kinds:?}");
}

#[test]
fn a_pipeline_is_upgraded_part_by_part() {
    let new = upgraded("convert/pipeline.mlmodel", Opset::Ios16, DType::F16).unwrap();
    let new = written(&new);
    assert_eq!(new.info().kind, "pipelineClassifier");
    assert!(new.parts.len() > 1 && new.parts.iter().all(|p| p.info().kind == "mlProgram"));
}

#[test]
fn what_has_no_equal_is_refused_with_all_of_it() {
    let refused = |name: &str| match upgraded(name, Opset::Ios16, DType::F16) {
        Err(UpgradeError::Refused(all)) => all.iter().map(ToString::to_string).collect::<Vec<_>>(),
        other => panic!("{name}: {other:?}"),
    };
    let why = refused("models/s4tf_updatable.mlmodel");
    assert!(matches!(why.as_slice(), [one] if one.contains("trained")), "{why:?}");
    let why = refused("convert/nn_quantized.mlmodel");
    assert!(why.iter().any(|w| w.contains("nn.custom")), "{why:?}");
    let program = upgraded("models/ironmill_mnist_base.mlpackage", Opset::Ios16, DType::F16);
    assert!(matches!(program, Err(UpgradeError::NoNetwork(_))), "{program:?}");
}
