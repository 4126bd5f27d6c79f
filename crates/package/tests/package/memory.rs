//! Copying takes no memory. Measured in a child, as other tests share this process.

use std::fs;
use std::path::Path;
use std::process::Command;

use coreml_package::{Access, BlobType, Package, PackageOutput, WeightPlan, WriteOptions, write_package};

use crate::{REFERENCE, make_package};

const FOLDER: &str = "COREML_PACKAGE_MEMORY_FOLDER";
const WEIGHT_BYTES: usize = 96 << 20;

/// Peak of memory in KiB, and what of it now is our own.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmHWM:"), field("RssAnon:"))
}

#[test]
#[ignore = "the child of the other test"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let before = memory();
    let base = Package::open(folder.join("in.mlpackage")).unwrap();
    let weights = base.weight_file(REFERENCE).unwrap();
    weights.file().advise(Access::Sparse);
    let offsets: Vec<u64> = weights.records().map(|record| record.unwrap().offset).collect();
    for &offset in &offsets {
        weights.blob(offset).unwrap();
    }
    let mut plan = WeightPlan::new(Some(weights));
    plan.append(BlobType::Int8, vec![1, 2, 3], 0).unwrap();
    let model = vec![coreml_package::Chunk::whole(base.model())];
    let mut output = PackageOutput { base: Some(&base), model, ..Default::default() };
    output.weights.insert(REFERENCE.to_owned(), plan.finish().unwrap());
    write_package(folder.join("out.mlpackage"), &output, &WriteOptions::new()).unwrap();
    let after = memory();
    assert!(offsets.len() > 90);
    assert!(after.0 - before.0 < 8 << 10, "the peak rose from {} to {} KiB", before.0, after.0);
    assert!(after.1 - before.1 < 4 << 10, "own memory rose from {} to {} KiB", before.1, after.1);
}

#[test]
fn copying_and_appending_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.mlpackage");
    make_package(&path);
    let mut plan = WeightPlan::new(None);
    for at in 0..96 {
        plan.append(BlobType::UInt8, vec![at; WEIGHT_BYTES / 96], 0).unwrap();
    }
    let mut output = PackageOutput::default();
    let base = Package::open(&path).unwrap();
    output.base = Some(&base);
    output.model = vec![coreml_package::Chunk::whole(base.model())];
    output.weights.insert(REFERENCE.to_owned(), plan.finish().unwrap());
    let big = folder.path().join("big.mlpackage");
    write_package(&big, &output, &WriteOptions::new()).unwrap();
    drop(output);
    fs::remove_dir_all(&path).unwrap();
    fs::rename(&big, &path).unwrap();

    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::child", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let len = |name: &str| {
        let file = folder.path().join(name).join("Data/com.apple.CoreML/weights/weight.bin");
        fs::metadata(file).unwrap().len()
    };
    assert_eq!(len("out.mlpackage"), len("in.mlpackage") + 64 + 3);
}
