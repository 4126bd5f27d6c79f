//! Where outputs may not go.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use coreml_package::{
    Chunk, OutputKind, Source, WriteError, WriteOptions, WriteProblem, check_destination, copy, open,
    write_model_file,
};

use crate::{make_package, names, package, tree};

/// Tries to replace `output` by a copy of `input`.
fn over(input: &Path, output: &Path) -> WriteError {
    let source = open(input).unwrap();
    let options = WriteOptions::new().force(true);
    let error = copy(&source, output, &options).expect_err("must be refused");
    let kind = match source {
        Source::ModelFile(_) => OutputKind::ModelFile,
        _ => OutputKind::Package,
    };
    let early = check_destination(output, kind, &options.input(input)).unwrap_err();
    assert_eq!(early.to_string(), error.to_string(), "the early check says the same");
    error
}

fn model(folder: &Path) -> PathBuf {
    let path = folder.join("in.mlmodel");
    fs::write(&path, b"\x08\x01").unwrap();
    path
}

#[test]
fn an_existing_output_needs_force() {
    let folder = tempfile::tempdir().unwrap();
    let input = model(folder.path());
    let output = folder.path().join("out.mlmodel");
    fs::write(&output, b"old").unwrap();
    let source = open(&input).unwrap();
    let error = copy(&source, &output, &WriteOptions::new()).unwrap_err();
    assert!(matches!(error.problem(), WriteProblem::Exists));
    assert_eq!(fs::read(&output).unwrap(), b"old");
    copy(&source, &output, &WriteOptions::new().force(true)).unwrap();
    assert_eq!(fs::read(&output).unwrap(), b"\x08\x01");
    assert_eq!(names(folder.path()), ["in.mlmodel", "out.mlmodel"]);
}

#[test]
fn a_package_is_replaced_as_a_whole() {
    let (folder, path) = package();
    let output = folder.path().join("out.mlpackage");
    make_package(&output);
    fs::write(output.join("Data/only-in-the-old.txt"), b"x").unwrap();
    // What is replaced may resist removal.
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(output.join("Data"), fs::Permissions::from_mode(0o500)).unwrap();
    let options = WriteOptions::new().force(true);
    let written = copy(&open(&path).unwrap(), &output, &options).unwrap();
    assert_eq!(written.leftover, None);
    assert_eq!(tree(&output), tree(&path));
    assert_eq!(names(folder.path()), ["in.mlpackage", "out.mlpackage"]);
}

#[test]
fn the_input_itself_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let input = model(root);
    symlink("in.mlmodel", root.join("soft.mlmodel")).unwrap();
    fs::hard_link(&input, root.join("hard.mlmodel")).unwrap();
    fs::create_dir(root.join("sub")).unwrap();
    symlink("..", root.join("sub/up")).unwrap();
    let names = [
        "in.mlmodel",
        "./in.mlmodel",
        "sub/../in.mlmodel",
        "soft.mlmodel",
        "hard.mlmodel",
        "sub/up/in.mlmodel",
    ];
    for name in names {
        let error = over(&input, &root.join(name));
        assert!(matches!(error.problem(), WriteProblem::IsInput(_)), "{name}: {error}");
        assert_eq!(error.path(), root.join(name));
    }
    assert!(matches!(over(&root.join("soft.mlmodel"), &input).problem(), WriteProblem::IsInput(_)));
    assert_eq!(fs::read(&input).unwrap(), b"\x08\x01");
}

#[test]
fn inside_and_around_the_input() {
    let (folder, path) = package();
    let root = folder.path();
    symlink("in.mlpackage", root.join("soft.mlpackage")).unwrap();
    symlink("in.mlpackage/Data", root.join("data")).unwrap();
    assert!(matches!(over(&path, &path).problem(), WriteProblem::IsInput(_)));
    assert!(matches!(over(&path, &root.join("soft.mlpackage")).problem(), WriteProblem::IsInput(_)));
    assert!(matches!(over(&path, &root.join("soft.mlpackage/")).problem(), WriteProblem::IsInput(_)));
    for inside in ["in.mlpackage/out", "in.mlpackage/Data/x/../out", "soft.mlpackage/out", "data/out"] {
        fs::create_dir_all(path.join("Data/x")).unwrap();
        let error = over(&path, &root.join(inside));
        assert!(matches!(error.problem(), WriteProblem::InsideInput(_)), "{inside}: {error}");
    }
    // A package around a package.
    let outer = root.join("outer.mlpackage");
    make_package(&outer);
    let inner = outer.join("Data/inner.mlpackage");
    make_package(&inner);
    assert!(matches!(over(&inner, &outer).problem(), WriteProblem::AroundInput(_)));
    let file = model(&outer);
    let error = copy(&open(&file).unwrap(), &outer, &WriteOptions::new().force(true)).unwrap_err();
    assert!(matches!(error.problem(), WriteProblem::AroundInput(_)));
    assert_eq!(names(root), ["data", "in.mlpackage", "outer.mlpackage", "soft.mlpackage"]);
}

#[test]
fn hard_links_between_packages() {
    let (folder, path) = package();
    let output = folder.path().join("out.mlpackage");
    make_package(&output);
    let shared = output.join("Data/com.apple.CoreML/weights/weight.bin");
    fs::remove_file(&shared).unwrap();
    fs::hard_link(path.join("Data/com.apple.CoreML/weights/weight.bin"), &shared).unwrap();
    assert!(matches!(over(&path, &output).problem(), WriteProblem::IsInput(_)));
    // A file of the input as the output of something else.
    let link = folder.path().join("link.mlmodel");
    fs::hard_link(path.join("Data/notes.txt"), &link).unwrap();
    let options = WriteOptions::new().force(true).input(&path);
    let error = write_model_file(&link, &[Chunk::Bytes("x".into())], &options).unwrap_err();
    assert!(matches!(error.problem(), WriteProblem::IsInput(_)));
}

#[test]
fn what_is_no_model_is_never_replaced() {
    let (folder, path) = package();
    let root = folder.path();
    let file = model(root);
    fs::create_dir_all(root.join("documents/deep")).unwrap();
    fs::write(root.join("documents/letter.txt"), b"dear").unwrap();
    let said = |error: WriteError| match error.problem() {
        WriteProblem::NotReplaceable(what) => *what,
        other => panic!("{other}"),
    };
    let folder_ = "a folder that is not a model package";
    assert_eq!(said(over(&path, &root.join("documents"))), folder_);
    assert_eq!(said(over(&file, &root.join("documents"))), "a folder");
    assert_eq!(said(over(&path, &file)), "a file");
    symlink("nowhere", root.join("dangling")).unwrap();
    assert_eq!(said(over(&file, &root.join("dangling"))), "a link to nothing");
    assert_eq!(said(over(&file, Path::new("/dev/null"))), "not a regular file");
    assert_eq!(fs::read(root.join("documents/letter.txt")).unwrap(), b"dear");
    // An empty folder is nobody's.
    fs::create_dir(root.join("empty.mlpackage")).unwrap();
    let options = WriteOptions::new().force(true);
    copy(&open(&path).unwrap(), root.join("empty.mlpackage"), &options).unwrap();
    assert_eq!(tree(&root.join("empty.mlpackage")), tree(&path));
}

#[test]
fn places_that_do_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let input = model(folder.path());
    let problem = |path: &Path| {
        copy(&open(&input).unwrap(), path, &WriteOptions::new()).unwrap_err().problem().to_string()
    };
    assert_eq!(problem(&folder.path().join("gone/out")), "the folder for it does not exist");
    assert_eq!(problem(&input.join("out")), "the folder for it does not exist");
    assert_eq!(problem(Path::new("/")), "the path has no file name");
    assert_eq!(problem(&folder.path().join("gone/..")), "the path has no file name");
    assert_eq!(problem(Path::new("")), "the path has no file name");
}

#[test]
fn an_output_behind_a_link_is_written_where_it_leads() {
    let folder = tempfile::tempdir().unwrap();
    let input = model(folder.path());
    fs::create_dir(folder.path().join("sub")).unwrap();
    let real = folder.path().join("sub/real.mlmodel");
    fs::write(&real, b"old").unwrap();
    symlink("sub/real.mlmodel", folder.path().join("link")).unwrap();
    let options = WriteOptions::new().force(true);
    copy(&open(&input).unwrap(), folder.path().join("link"), &options).unwrap();
    assert!(folder.path().join("link").is_symlink());
    assert_eq!(fs::read(&real).unwrap(), b"\x08\x01");
}

#[test]
fn names_as_long_as_names_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let input = model(folder.path());
    let output = folder.path().join("n".repeat(255));
    for _ in 0..2 {
        copy(&open(&input).unwrap(), &output, &WriteOptions::new().force(true)).unwrap();
    }
    assert_eq!(names(folder.path()).len(), 2);
}
