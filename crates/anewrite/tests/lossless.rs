//! What no rule touches is as it was, in every model of testdata/.

use std::fs;
use std::path::{Path, PathBuf};

use anewrite::{Model, RewriteOptions, Selection, WriteOptions, rewrite};

/// These tests are about bytes: other tests verify what these models compute.
fn unverified() -> RewriteOptions {
    RewriteOptions { verify: None, ..RewriteOptions::default() }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// Every model below a folder.
fn models(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        match path.extension().and_then(|e| e.to_str()) {
            Some("mlmodel" | "mlpackage") => out.push(path),
            _ if path.is_dir() => models(&path, out),
            _ => {}
        }
    }
}

/// Every file of a model with its content.
fn files(path: &Path, out: &mut Vec<(PathBuf, Vec<u8>)>, root: &Path) {
    if path.is_file() {
        out.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(path).unwrap()));
        return;
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    entries.iter().for_each(|p| files(p, out, root));
}

fn content(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    files(path, &mut out, path);
    out
}

fn all() -> Vec<PathBuf> {
    let mut out = Vec::new();
    models(&testdata(), &mut out);
    assert!(out.len() > 20, "{out:?}");
    out
}

#[test]
fn a_model_that_nothing_applies_to_comes_out_byte_for_byte() {
    let nothing = Selection::new(&["P"], &["C"]).unwrap();
    for path in all() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join(path.file_name().unwrap());
        let model = Model::open(&path).unwrap();
        let options = RewriteOptions { selection: nothing.clone(), ..unverified() };
        let mut done = rewrite(&model, &options).unwrap();
        assert!(!done.report.changed);
        done.write(&out, &WriteOptions::new()).unwrap();
        assert!(content(&path) == content(&out), "{} differs", path.display());
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for path in all() {
        let folder = tempfile::tempdir().unwrap();
        let outs = ["a", "b"].map(|name| {
            let out = folder.path().join(name).with_extension(path.extension().unwrap());
            let model = Model::open(&path).unwrap();
            rewrite(&model, &unverified()).unwrap().write(&out, &WriteOptions::new()).unwrap();
            content(&out)
        });
        assert!(outs[0] == outs[1], "{}", path.display());
    }
}

#[test]
fn the_interface_stays() {
    for path in all() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out").with_extension(path.extension().unwrap());
        let model = Model::open(&path).unwrap();
        rewrite(&model, &unverified()).unwrap().write(&out, &WriteOptions::new()).unwrap();
        let mut diff = anewrite::diff(&path, &out).unwrap();
        // a network from which newer layers went states the version that it needs
        diff.facts.retain(|f| f.key != "specification version" || f.after >= f.before);
        assert!(diff.facts.is_empty(), "{}: {:?}", path.display(), diff.facts);
    }
}
