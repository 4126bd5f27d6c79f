//! NeuralNetwork layers: the table of types against the schema, and types through real networks: those under
//! testdata/, and those in the folders that `ANEWRITE_MODELS` names (separated by colons).

use std::path::{Path, PathBuf};

use anewrite_convert::import;
use anewrite_ir::infer::infer;
use anewrite_ir::{DialectId, Dim, Type, ValueId};
use anewrite_nn::{Nn, layers};
use serde_json::Value;

#[test]
fn the_table_of_layers_is_the_schemas() {
    let layer = coreml_proto::message("CoreML.Specification.NeuralNetworkLayer").unwrap();
    let oneof = layer.oneofs().find(|o| o.name() == "layer").unwrap();
    let mut fields: Vec<(u32, String)> = oneof.fields().map(|f| (f.number(), f.name().to_owned())).collect();
    fields.sort();
    let known: Vec<&str> = layers().iter().map(|l| l.name).collect();
    assert_eq!(fields.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), known);
    // Fields up to 599 are those of the first three versions, from 600 on those of the fourth, from 1450 on the fifth's.
    for ((number, name), layer) in fields.iter().zip(layers()) {
        let since = match number {
            0..600 => 1..=3,
            600..1450 => 4..=4,
            _ => 5..=5,
        };
        assert!(since.contains(&layer.since), "{name}: {}", layer.since);
    }
}

fn models(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        match path.extension().and_then(|e| e.to_str()) {
            Some("mlmodel") => out.push(path),
            Some("mlpackage") => {}
            _ if path.is_dir() => models(&path, out),
            _ => {}
        }
    }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

#[test]
fn types_reach_every_value_that_no_custom_layer_makes() {
    let mut paths = Vec::new();
    models(&testdata(), &mut paths);
    for folder in std::env::var("ANEWRITE_MODELS").unwrap_or_default().split(':').filter(|f| !f.is_empty()) {
        models(Path::new(folder), &mut paths);
    }
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for path in paths {
        let Ok(source) = coreml_package::open(&path) else { continue };
        let Ok(document) = import(&source) else { continue };
        for part in document.parts.iter().filter(|p| p.program.dialect == DialectId::Nn) {
            let p = &part.program;
            let inferred = infer(p, &Nn::of(p));
            // A file that only keeps weights: each of its layers reads the model's input, whatever it needs.
            let keeps_weights = path.ends_with("kraken_overfit_newpoly.mlmodel");
            for d in inferred.disagreements.iter().filter(|_| !keeps_weights) {
                let op = p.op(d.op);
                wrong.push(format!("{}: {} {:?}: {:?}", path.display(), op.kind, op.name, d.inferred));
            }
            let custom = p.all_ops().any(|op| &*p.op(op).kind == "nn.custom");
            for op in p.all_ops().filter(|_| !custom) {
                for &r in &p.op(op).results {
                    checked += 1;
                    if inferred.facts.tensor(p, r).is_none_or(|t| t.shape.is_none()) {
                        wrong.push(format!("{}: {} has no type", path.display(), p.value(r).name));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 300, "{checked} values");
}

/// The extents of an output of a network, -1 where one is not known.
fn extents(file: &str, output: &str) -> Vec<i64> {
    let source = coreml_package::open(testdata().join(file)).unwrap();
    let document = import(&source).unwrap();
    let p = &document.parts[0].program;
    let inferred = infer(p, &Nn::of(p));
    let (_, main) = p.functions().next().unwrap();
    let named = |v: &ValueId| &*p.value(*v).name == output;
    let value = p.block(main.body).outputs.iter().copied().find(named).unwrap();
    let Type::Tensor(t) = inferred.facts.ty(p, value) else { panic!("{file}: {output}") };
    t.shape.iter().flatten().map(|d: &Dim| d.known().map_or(-1, |n| n as i64)).collect()
}

#[test]
fn outputs_have_the_extents_that_torch_computes() {
    let text = std::fs::read_to_string(testdata().join("nn/shapes.json")).unwrap();
    let files: Value = serde_json::from_str(&text).unwrap();
    for (file, outputs) in files.as_object().unwrap() {
        for (output, want) in outputs.as_object().unwrap() {
            let want: Vec<i64> = want.as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
            assert_eq!(extents(&format!("nn/{file}"), output), want, "{file}: {output}");
        }
    }
}

#[test]
fn outputs_of_networks_from_the_world_have_the_extents_they_are_described_with() {
    // BlazeFace has 896 anchors with one score and sixteen coordinates each; the others say it themselves.
    assert_eq!(extents("models/blazeface.mlmodel", "1011"), [1, 896, 1]);
    assert_eq!(extents("models/blazeface.mlmodel", "1477"), [1, 896, 16]);
    assert_eq!(extents("models/spokestack_filter.mlmodel", "melspec_outputs__0"), [1, 1, 1, 1, 40]);
    assert_eq!(extents("models/s4tf_bmm.mlmodel", "Identity"), [1, 3]);
    assert_eq!(extents("models/kraken_small.mlmodel", "C_0"), [1, 1, 1, 12, -1]);
}
