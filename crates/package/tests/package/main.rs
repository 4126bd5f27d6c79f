//! Tests of the crate from outside: files made here, by other writers, and by nobody in their
//! right mind.

mod blobs;
mod destination;
mod hostile;
mod killed;
#[cfg(target_os = "linux")]
mod memory;
mod plan;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A manifest as coremltools writes it, with these items below `Data/`; the first is the model.
fn manifest(items: &[&str]) -> String {
    let entries: Vec<String> = items
        .iter()
        .enumerate()
        .map(|(at, path)| {
            let name = path.rsplit('/').next().unwrap();
            format!(
                r#"        "ID-{at}": {{
            "author": "com.apple.CoreML",
            "description": "item {at}",
            "name": "{name}",
            "path": "{path}"
        }}"#
            )
        })
        .collect();
    let entries = entries.join(",\n");
    format!(
        "{{\n    \"fileFormatVersion\": \"1.0.0\",\n    \"itemInfoEntries\": {{\n{entries}\n    }},\n    \
         \"rootModelIdentifier\": \"ID-0\"\n}}\n"
    )
}

const MODEL: &str = "com.apple.CoreML/model.mlmodel";
const WEIGHTS: &str = "com.apple.CoreML/weights";
const REFERENCE: &str = "@model_path/weights/weight.bin";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A package with a model, the weight file of every type, and a file that no item names.
fn make_package(path: &Path) {
    let model = path.join("Data/com.apple.CoreML");
    fs::create_dir_all(model.join("weights")).unwrap();
    fs::write(path.join("Manifest.json"), manifest(&[MODEL, WEIGHTS])).unwrap();
    fs::write(model.join("model.mlmodel"), b"\x08\x07specification").unwrap();
    fs::copy(data("every_type.bin"), model.join("weights/weight.bin")).unwrap();
    fs::write(path.join("Data/notes.txt"), b"kept").unwrap();
}

fn package() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.mlpackage");
    make_package(&path);
    (folder, path)
}

/// Every file below a folder with its content; links as their targets.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_symlink() {
                files.insert(name, fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
            } else if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
