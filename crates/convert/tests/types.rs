//! Types of real ML Programs: those under testdata/, and those in the folders that `ANEWRITE_MODELS` names (separated by
//! colons).

use std::path::{Path, PathBuf};

use anewrite_ir::infer::infer;
use anewrite_ir::mil::Mil;
use anewrite_ir::{DialectId, Program};
use serde_json::Value;

fn models(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        match path.extension().and_then(|e| e.to_str()) {
            Some("mlmodel" | "mlpackage") => out.push(path),
            _ if path.is_dir() => models(&path, out),
            _ => {}
        }
    }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

fn programs(path: &Path) -> Vec<Program> {
    let Ok(source) = coreml_package::open(path) else { return Vec::new() };
    let Ok(document) = anewrite_convert::import(&source) else { return Vec::new() };
    let parts = document.parts.into_iter().map(|p| p.program);
    parts.filter(|p| p.dialect == DialectId::Mil).collect()
}

#[test]
fn inferred_types_are_the_stored_ones_or_more_precise() {
    let mut paths = Vec::new();
    models(&testdata(), &mut paths);
    for folder in std::env::var("ANEWRITE_MODELS").unwrap_or_default().split(':').filter(|f| !f.is_empty()) {
        models(Path::new(folder), &mut paths);
    }
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for path in paths {
        for p in programs(&path) {
            let inferred = infer(&p, &Mil);
            for d in &inferred.disagreements {
                let op = p.op(d.op);
                let stored = op.results.get(d.result).map(|&r| p.ty(r).to_string());
                wrong.push(format!("{}: {} {stored:?}: {:?}", path.display(), op.kind, d.inferred));
            }
            for &op in inferred.opaque.iter().filter(|&&op| !p.op(op).sealed) {
                wrong.push(format!("{}: no definition of {}", path.display(), p.op(op).kind));
            }
            checked += p.op_count();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 200, "{checked} ops");
}

/// `shapes.json` has what torch computes for models with open extents; the symbols of the inputs stand for the sizes
/// that it was given.
#[test]
fn open_extents_are_followed_to_the_outputs() {
    let folder = testdata().join("flexible");
    let shapes: Value = serde_json::from_slice(&std::fs::read(folder.join("shapes.json")).unwrap()).unwrap();
    let mut compared = 0;
    for (name, rows) in shapes.as_object().unwrap() {
        let programs = programs(&folder.join(name));
        let [p] = programs.as_slice() else { panic!("{name} is not read") };
        let inferred = infer(p, &Mil);
        let (_, main) = p.functions().next().unwrap();
        for row in rows.as_array().unwrap() {
            let sizes: Vec<i64> = row[0].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
            let values = inferred.dims.evaluate(|s| sizes.get(s as usize).copied());
            for (&output, want) in p.block(main.body).outputs.iter().zip(row[1].as_array().unwrap()) {
                let shape = inferred.facts.tensor(p, output).and_then(|t| t.shape.clone()).unwrap();
                let have: Vec<Option<u64>> = shape.iter().map(|&d| values.dim(d)).collect();
                let want: Vec<Option<u64>> = want.as_array().unwrap().iter().map(Value::as_u64).collect();
                assert_eq!(have, want, "{name} at {sizes:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 40, "{compared} outputs");
}
