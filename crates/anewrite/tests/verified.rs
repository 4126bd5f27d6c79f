//! Every program passes the verifier, as it is read and after every patch: models under testdata/, and those in the folders that
//! `ANEWRITE_MODELS` names (separated by colons).

use std::path::{Path, PathBuf};

use anewrite::{Model, RewriteOptions, rewrite};
use anewrite_ir::mil::Mil;
use anewrite_ir::verify::verify;
use anewrite_ir::{Dialect, DialectId};
use anewrite_nn::Nn;

/// Public models that are no networks: every layer of this one reads the network's input, whatever its channels, for
/// the file only carries weights.
const CONTRADICTORY: &[(&str, &str)] =
    &[("kraken_overfit_newpoly.mlmodel", "32 channels a group for 1 channels in 1 groups")];

fn models(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|e| Some(e.ok()?.path())) {
        match path.extension().and_then(|e| e.to_str()) {
            Some("mlmodel" | "mlpackage") => out.push(path),
            _ if path.is_dir() => models(&path, out),
            _ => {}
        }
    }
}

fn all_models() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    models(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata"), &mut paths);
    for folder in std::env::var("ANEWRITE_MODELS").unwrap_or_default().split(':').filter(|f| !f.is_empty()) {
        models(Path::new(folder), &mut paths);
    }
    paths.sort();
    paths
}

#[test]
fn what_is_read_is_well_formed() {
    let paths = all_models();
    let (mut programs, mut wrong) = (0, Vec::new());
    for path in &paths {
        let Ok(source) = coreml_package::open(path) else { continue };
        let Ok(document) = anewrite_convert::import(&source) else { continue };
        for part in &document.parts {
            programs += 1;
            let layers = Nn::of(&part.program);
            let dialect: &dyn Dialect = match part.program.dialect {
                DialectId::Mil => &Mil,
                DialectId::Nn => &layers,
            };
            if let Err(found) = verify(&part.program, dialect) {
                let known = CONTRADICTORY.iter().any(|(file, what)| {
                    path.ends_with(file) && found.0.len() == 1 && found.0[0].what.contains(what)
                });
                if known {
                    continue;
                }
                wrong.push(format!("{}: {found}", path.display()));
            }
        }
    }
    assert!(programs >= 10, "{programs} programs in {} models", paths.len());
    assert!(wrong.is_empty(), "{} of {programs} programs:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// In builds with debug assertions the verifier looks at the program after each patch.
#[test]
fn every_patch_leaves_a_well_formed_program() {
    let (mut patches, mut wrong) = (0, Vec::new());
    for path in all_models() {
        let Ok(model) = Model::open(&path) else { continue };
        match rewrite(&model, &RewriteOptions::default()) {
            Ok(r) => patches += r.report.parts.iter().map(|p| p.firings.len()).sum::<usize>(),
            Err(e) => wrong.push(format!("{}: {e}", path.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(patches > 10, "{patches} patches");
}
