//! Every rule is verified at its grade on the models that were made for it, patch by patch and as a whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anewrite::{Model, RewriteOptions, Selection, Verification, rewrite};

fn models(folder: &Path, out: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.map(|e| e.unwrap().path()) {
        match path.extension().and_then(|e| e.to_str()) {
            Some("mlmodel" | "mlpackage") => out.push(path),
            _ if path.is_dir() => models(&path, out),
            _ => {}
        }
    }
}

#[test]
fn every_rule_keeps_its_promise_on_its_models() {
    let mut paths = Vec::new();
    models(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/generated"), &mut paths);
    paths.sort();
    let codes: Vec<String> = anewrite::rules().iter().map(|r| r.info().code.to_string()).collect();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for path in &paths {
        let model = Model::open(path).unwrap();
        let none: &[&str] = &[];
        let selection = Selection::new(none, none).unwrap().approximate(true).force(&codes).unwrap();
        let options = RewriteOptions { selection, ..RewriteOptions::default() };
        let report = match rewrite(&model, &options) {
            Ok(done) => done.report,
            Err(e) => {
                wrong.push(format!("{}: {e}", path.display()));
                continue;
            }
        };
        let verified = match report.verified {
            Verification::Verified(v) => v,
            Verification::NotVerified { .. } if !report.changed => continue,
            other => {
                wrong.push(format!("{}: {other:?}", path.display()));
                continue;
            }
        };
        for part in verified.parts {
            seen.extend(part.patches.equal.into_keys());
            let unchecked =
                part.patches.unchecked.iter().map(|n| format!("{} at {}: {}", n.code, n.at, n.what));
            wrong.extend(
                unchecked.chain(part.model.not_run).map(|what| format!("{}: {what}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<_> = codes.iter().filter(|c| !seen.contains(*c)).collect();
    assert!(missing.is_empty(), "never verified: {missing:?}");
}
