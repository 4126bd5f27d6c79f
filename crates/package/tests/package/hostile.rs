//! Inputs that are no models, or mean harm: each is one clear error.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use coreml_package::{OpenProblem, Source, open};
use proptest::prelude::*;

use crate::{MODEL, REFERENCE, WEIGHTS, make_package, manifest, package};

/// The message and the hint without the folder that the test lies in.
fn refusal(path: &Path) -> (String, Option<String>) {
    let error = open(path).expect_err("must be refused");
    let folder = path.parent().unwrap().canonicalize().unwrap();
    let short = |text: String| text.replace(&format!("{}/", folder.display()), "");
    (short(error.to_string()), error.hint().map(short))
}

fn file_refusal(content: &[u8]) -> (String, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("x.mlmodel");
    fs::write(&path, content).unwrap();
    refusal(&path)
}

fn said(message: &str, hint: &str) -> (String, Option<String>) {
    (message.to_owned(), Some(hint.to_owned()))
}

#[test]
fn files_that_are_no_models() {
    let again = "the download or copy was probably cut short: fetch the file again";
    assert_eq!(file_refusal(b""), said("x.mlmodel: the file is empty", again));
    let not = |what| format!("x.mlmodel: is {what}, not a Core ML model");
    let zip = b"PK\x03\x04\x14\0\0\0";
    assert_eq!(file_refusal(zip), said(&not("a zip archive"), "unpack it first"));
    assert_eq!(file_refusal(b"\x1F\x8B\x08\0"), said(&not("a gzip archive"), "unpack it first"));
    let mut tar = vec![0; 512];
    tar[257..263].copy_from_slice(b"ustar\0");
    assert_eq!(file_refusal(&tar), said(&not("a tar archive"), "unpack it first"));
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let fetch = "fetch the file with `git lfs pull`";
    assert_eq!(file_refusal(lfs), said(&not("a stand-in of git-lfs"), fetch));
    let page = b"<!DOCTYPE html><html>";
    assert_eq!(file_refusal(page), said(&not("a web page"), "download the file itself"));
    let json = not("a JSON text, such as a manifest");
    let folder = "give the folder that holds it";
    assert_eq!(file_refusal(manifest(&[MODEL]).as_bytes()), said(&json, folder));
    let mil = not("a program in MIL text");
    assert_eq!(file_refusal(b"program(1.0)\n{"), said(&mil, folder));
}

#[test]
fn nothing_there() {
    let folder = tempfile::tempdir().unwrap();
    let spelling = "check the spelling of the path";
    let gone = refusal(&folder.path().join("gone.mlmodel"));
    assert_eq!(gone.1.as_deref(), Some(spelling));
    assert!(gone.0.ends_with("gone.mlmodel: no such file or folder"), "{}", gone.0);
    let file = folder.path().join("file");
    fs::write(&file, b"\x08\x01").unwrap();
    let below = open(file.join("model.mlmodel")).unwrap_err();
    assert!(matches!(below.problem(), OpenProblem::NotFound { .. }));
    let dangling = folder.path().join("dangling.mlpackage");
    symlink("nowhere", &dangling).unwrap();
    assert!(matches!(open(&dangling).unwrap_err().problem(), OpenProblem::NotFound { .. }));
    let nul = open("a\0b.mlmodel").unwrap_err();
    assert!(matches!(nul.problem(), OpenProblem::Io(_)));
}

#[test]
fn no_permission() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mlmodel");
    fs::write(&path, b"\x08\x01").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    match open(&path) {
        // The superuser may read everything.
        Ok(_) => assert!(rustix::process::geteuid().is_root()),
        Err(error) => assert!(matches!(error.problem(), OpenProblem::PermissionDenied)),
    }
}

/// Opening a pipe waits for a writer unless asked not to.
#[test]
fn a_pipe_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.mlmodel");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    assert!(matches!(open(&path).unwrap_err().problem(), OpenProblem::NotRegular));
    assert!(matches!(open("/dev/null").unwrap_err().problem(), OpenProblem::NotRegular));
}

#[test]
fn folders_that_are_no_models() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let make = |name: &str, files: &[&str]| {
        for file in files {
            let path = root.join(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        root.join(name)
    };
    fs::create_dir(root.join("empty.mlmodel")).unwrap();
    let none = "the folder has no Manifest.json, so it is not a model package";
    let give = "give a .mlmodel file or a .mlpackage folder";
    let empty = refusal(&root.join("empty.mlmodel"));
    assert_eq!(empty, said(&format!("empty.mlmodel: {none}"), give));
    let outer = make("outer", &["b.txt", "inner.mlpackage/Manifest.json"]);
    let hint = "did you mean outer/inner.mlpackage?";
    assert_eq!(refusal(&outer), said(&format!("outer: {none}"), hint));

    let espresso = make("a.mlmodelc", &["coremldata.bin", "model.espresso.net"]);
    let message = "is a compiled NeuralNetwork (model.espresso.net), which cannot be read back";
    let hint = "use the .mlmodel file that it was compiled from";
    assert_eq!(refusal(&espresso), said(&format!("a.mlmodelc: {message}"), hint));
    let inner = make("b.mlmodelc", &["coremldata.bin", "model0/model.espresso.net"]);
    assert_eq!(refusal(&inner), said(&format!("b.mlmodelc: {message}"), hint));
    let pipeline = make("c.mlmodelc", &["coremldata.bin", "model1/model.mil"]);
    let hint = "its parts can be read one by one, as c.mlmodelc/model1";
    let message = "c.mlmodelc: is a compiled model without a model.mil";
    assert_eq!(refusal(&pipeline), said(message, hint));
}

#[test]
fn content_decides_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("package.mlmodel");
    make_package(&package);
    assert!(matches!(open(&package), Ok(Source::Package(_))));
    let model = folder.path().join("model.mlpackage");
    fs::write(&model, b"\x08\x01").unwrap();
    assert!(matches!(open(&model), Ok(Source::ModelFile(_))));
    let compiled = folder.path().join("compiled");
    fs::create_dir(&compiled).unwrap();
    fs::write(compiled.join("model.mil"), b"program(1.0)").unwrap();
    assert!(matches!(open(&compiled), Ok(Source::Compiled(_))));
    let link = folder.path().join("link");
    symlink("package.mlmodel", &link).unwrap();
    assert!(matches!(open(&link), Ok(Source::Package(_))));
}

/// Opens the package of the tests with another manifest.
fn with_manifest(text: &str) -> Result<Source, String> {
    let (_folder, path) = package();
    fs::write(path.join("Manifest.json"), text).unwrap();
    open(&path).map_err(|error| error.to_string())
}

#[track_caller]
fn manifest_refused(text: &str, words: &str) {
    let error = with_manifest(text).expect_err("must be refused");
    assert!(error.contains(words) && error.contains("in.mlpackage"), "{error}");
}

#[test]
fn broken_manifests() {
    assert!(with_manifest(&manifest(&[MODEL, WEIGHTS])).is_ok());
    manifest_refused("", "EOF while parsing");
    manifest_refused(" []", "a list in place of an object");
    manifest_refused("{}", "no fileFormatVersion");
    manifest_refused("\u{FEFF}{}", "the manifest is broken");
    let deep = format!("{{\"x\": {}", "[".repeat(100_000));
    manifest_refused(&deep, "EOF while parsing a list");
    manifest_refused("{\"fileFormatVersion\": \"1.0.0\"}", "no rootModelIdentifier");
    manifest_refused("{\"fileFormatVersion\": 1}", "invalid type");
    let whole = manifest(&[MODEL]);
    manifest_refused(&whole.replace("1.0.0", "2.0.0"), "version 2.0.0 is not known");
    manifest_refused(&whole.replace("\"ID-0\": {", "\"ID-1\": {"), "is not among the itemInfoEntries");
    manifest_refused(&whole.replace("\"path\"", "\"Path\""), "missing field `path`");
    manifest_refused(&whole[..whole.len() / 2], "EOF while parsing");
}

#[test]
fn manifest_paths_that_leave_the_package() {
    let outside = "is no path inside the package";
    for path in ["/etc/passwd", "../../../etc/passwd", "com.apple.CoreML/../../x", "..", ".", "", "/"] {
        manifest_refused(&manifest(&[path]), outside);
        manifest_refused(&manifest(&[MODEL, path]), outside);
    }
    manifest_refused(&manifest(&["com.apple.CoreML/a\\u0000b"]), outside);
    let missing = "Manifest.json names \"com.apple.CoreML/other.mlmodel\", which does not exist";
    manifest_refused(&manifest(&["com.apple.CoreML/other.mlmodel"]), missing);
    manifest_refused(&manifest(&[MODEL, "com.apple.CoreML/other.mlmodel"]), missing);
    manifest_refused(&manifest(&[WEIGHTS]), "is a folder, not a file");
}

#[test]
fn links_that_leave_the_package() {
    let (folder, path) = package();
    let real = folder.path().join("secret.mlmodel");
    fs::write(&real, b"\x08\x01").unwrap();
    let model = path.join("Data").join(MODEL);
    fs::remove_file(&model).unwrap();
    for target in [real.as_path(), Path::new("../../../secret.mlmodel")] {
        symlink(target, &model).unwrap();
        let error = open(&path).unwrap_err();
        let OpenProblem::LinkLeaves { name, target } = error.problem() else { panic!("{error}") };
        assert_eq!((name.as_str(), target), (MODEL, &real.canonicalize().unwrap()));
        assert!(error.hint().unwrap().contains("cp -RL"));
        fs::remove_file(&model).unwrap();
    }
    // One that stays inside is fine.
    fs::write(path.join("Data/real.mlmodel"), b"\x08\x01").unwrap();
    symlink("../real.mlmodel", &model).unwrap();
    let Source::Package(package) = open(&path).unwrap() else { panic!() };
    assert_eq!(&package.model().bytes()[..], b"\x08\x01");
    // A circle ends.
    fs::remove_file(&model).unwrap();
    symlink("model.mlmodel", &model).unwrap();
    assert!(matches!(open(&path).unwrap_err().problem(), OpenProblem::Io(_)));
}

#[test]
fn a_linked_manifest_and_a_linked_data_folder() {
    let (folder, path) = package();
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(path.join("Data"), &elsewhere).unwrap();
    symlink(&elsewhere, path.join("Data")).unwrap();
    assert!(matches!(open(&path).unwrap_err().problem(), OpenProblem::LinkLeaves { .. }));
    fs::rename(path.join("Manifest.json"), folder.path().join("m.json")).unwrap();
    symlink("../m.json", path.join("Manifest.json")).unwrap();
    assert!(matches!(open(&path).unwrap_err().problem(), OpenProblem::LinkLeaves { .. }));
    fs::remove_file(path.join("Manifest.json")).unwrap();
    symlink("nowhere", path.join("Manifest.json")).unwrap();
    assert!(matches!(open(&path).unwrap_err().problem(), OpenProblem::MissingItem { .. }));
}

#[test]
fn weight_references() {
    let (folder, path) = package();
    fs::copy(crate::data("every_type.bin"), folder.path().join("weight.bin")).unwrap();
    let source = open(&path).unwrap();
    let problem = |name: &str| source.weight_file(name).unwrap_err().to_string();
    let first = source.weight_file(REFERENCE).unwrap();
    let again = source.weight_file("weights/./weight.bin").unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &again), "one file however it is spelt");
    let outside = "is no path inside the package";
    for name in [
        "@model_path/../../../weight.bin",
        "../../../weight.bin",
        "@model_path//etc/passwd",
        "/etc/passwd",
        "@model_path/",
        "",
        "weights\0/weight.bin",
    ] {
        assert!(problem(name).contains(outside), "{name:?}: {}", problem(name));
    }
    assert!(problem("@other/weight.bin").contains("is not understood"));
    let missing = "the model names \"weights/gone.bin\", which does not exist";
    assert!(problem("@model_path/weights/gone.bin").contains(missing));
    assert!(problem("@model_path/weights").contains("is a folder"));
    assert!(problem("@model_path/model.mlmodel").contains("too few for the 64-byte header"));
    symlink("../../../../weight.bin", path.join("Data/com.apple.CoreML/weights/link.bin")).unwrap();
    assert!(problem("@model_path/weights/link.bin").contains("which is outside the package"));
}

#[test]
fn a_lone_model_has_no_weight_files() {
    let (_folder, path) = package();
    let source = open(path.join("Data").join(MODEL)).unwrap();
    let error = source.weight_file(REFERENCE).unwrap_err();
    assert!(matches!(error.problem(), OpenProblem::NoWeightFiles(_)));
    assert_eq!(error.hint().unwrap(), "give the .mlpackage folder instead of the file inside it");
}

#[test]
fn an_empty_model_in_a_package() {
    let (_folder, path) = package();
    fs::write(path.join("Data").join(MODEL), b"").unwrap();
    let error = open(&path).unwrap_err();
    assert!(error.to_string().ends_with("model.mlmodel: the file is empty"), "{error}");
}

proptest! {
    /// Any bytes give a model or an error, as a file and as a manifest.
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (folder, path) = package();
        let file = folder.path().join("any.mlmodel");
        fs::write(&file, &bytes).unwrap();
        let _ = open(&file);
        fs::write(path.join("Manifest.json"), &bytes).unwrap();
        prop_assert!(open(&path).is_err());
    }

    /// A manifest with one byte changed opens, or is refused with its name.
    #[test]
    fn a_changed_byte_is_survived(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (_folder, path) = package();
        let mut bytes = manifest(&[MODEL, WEIGHTS]).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        fs::write(path.join("Manifest.json"), &bytes).unwrap();
        if let Err(error) = open(&path) {
            prop_assert!(error.to_string().contains("in.mlpackage"));
        }
    }
}
