//! The command as users meet it: output, errors, exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

fn anewrite<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::cargo_bin("anewrite").unwrap().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const MODEL: &str = "generated/canonical/mixed-iOS16.mlpackage";

#[test]
fn rewrite_writes_a_model_and_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.mlpackage");
    let done = anewrite([Path::new("rewrite"), &testdata(MODEL), Path::new("-o"), &out]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let said = text(&done.stdout);
    assert!(
        said.contains("C012 compose-transposes") && said.contains("verified: equal to the original"),
        "{said}"
    );
    assert!(out.join("Manifest.json").exists());
    let differs = anewrite([Path::new("diff"), &testdata(MODEL), &out]);
    assert_eq!(differs.status.code(), Some(1));
    let equal = anewrite([Path::new("verify"), &testdata(MODEL), &out]);
    assert!(
        equal.status.success() && text(&equal.stdout).ends_with("the models agree\n"),
        "{}",
        text(&equal.stdout)
    );
    let same = anewrite([Path::new("diff"), &out, &out]);
    assert_eq!((same.status.code(), text(&same.stdout)), (Some(0), String::new()));
    let again = anewrite([Path::new("rewrite"), &testdata(MODEL), Path::new("-o"), &out]);
    assert_eq!(again.status.code(), Some(2), "an output that is there stays");
    let forced =
        anewrite([Path::new("rewrite"), &testdata(MODEL), Path::new("-o"), &out, Path::new("--force")]);
    assert!(forced.status.success());
}

#[test]
fn json_is_versioned() {
    let model = testdata(MODEL);
    let done = anewrite(["rewrite", model.to_str().unwrap(), "--dry-run", "--diff", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["bytes_after"], serde_json::Value::Null);
    assert!(json["parts"][0]["firings"].as_array().is_some_and(|f| f.len() > 5));
    assert!(json["diff"]["parts"][0]["program"]["functions"].is_array());
}

#[test]
fn an_output_that_is_the_input_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.mlmodel");
    fs::copy(testdata("models/kraken_small.mlmodel"), &model).unwrap();
    let before = fs::read(&model).unwrap();
    let done = anewrite([Path::new("rewrite"), &model, Path::new("-o"), &model, Path::new("--force")]);
    assert_eq!(done.status.code(), Some(2));
    assert_eq!(fs::read(&model).unwrap(), before);
}

#[test]
fn wrong_words_are_told_what_is_right() {
    let model = testdata(MODEL);
    let model = model.to_str().unwrap();
    for (args, hint) in [
        (vec!["rewrite", model, "--dry-run", "--select", "M999"], "M999"),
        (vec!["rewrite", model, "--dry-run", "--target", "iphone-31"], "iphone-1"),
        (vec!["explain", "Q001"], "anewrite rules"),
        (vec!["rewrite", model], "--output"),
        (vec!["show", "no/such/model"], "no such file"),
    ] {
        let done = anewrite(&args);
        assert_eq!(done.status.code(), Some(2), "{args:?}");
        assert!(text(&done.stderr).contains(hint), "{args:?}: {}", text(&done.stderr));
    }
}

#[test]
fn hostile_inputs_are_one_clear_error_and_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(testdata("models/kraken_small.mlmodel")).unwrap();
    let noise: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let empty = folder.path().join("folder.mlpackage");
    fs::create_dir(&empty).unwrap();
    let mut cases = vec![empty];
    for (name, bytes) in [
        ("empty.mlmodel", Vec::new()),
        ("truncated.mlmodel", whole[..whole.len() / 2].to_vec()),
        ("noise.mlmodel", noise),
        ("archive.mlmodel", b"PK\x03\x04 and more".to_vec()),
        ("no_network.mlmodel", vec![8, 4]),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        cases.push(path);
    }
    for path in cases {
        let out = folder.path().join("out");
        let done = anewrite([Path::new("rewrite"), &path, Path::new("-o"), &out]);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{}: {said}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(name) && !said.contains("panicked"), "{said}");
        assert!(!out.exists());
    }
}

#[test]
fn rules_explain_completions_and_man_pages() {
    let rules = text(&anewrite(["rules"]).stdout);
    assert!(rules.contains("M001 split-max-pool (bit-exact, enable)"), "{rules}");
    assert!(text(&anewrite(["explain", "M001"]).stdout).contains("## Equivalence"));
    assert!(text(&anewrite(["completions", "bash"]).stdout).contains("complete"));
    let folder = tempfile::tempdir().unwrap();
    assert!(anewrite([Path::new("man"), folder.path()]).status.success());
    assert!(folder.path().join("anewrite-rewrite.1").exists());
}

#[test]
fn compiled_models_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(testdata("mil/silero-vad-unified-v6.0.0.mil"), folder.path().join("model.mil")).unwrap();
    let done = anewrite([Path::new("show"), folder.path(), Path::new("--no-digest")]);
    assert_eq!(done.status.code(), Some(2), "its weights are missing: {}", text(&done.stdout));
    let done = anewrite([Path::new("show"), &testdata(MODEL)]);
    assert!(text(&done.stdout).contains("transpose("));
}

#[test]
fn verification_can_be_turned_off_and_says_so() {
    let args = [Path::new("rewrite"), &testdata(MODEL), Path::new("--dry-run"), Path::new("--no-verify")];
    let done = anewrite(args);
    assert!(done.status.success());
    assert!(
        text(&done.stdout).contains("not verified: verification was turned off"),
        "{}",
        text(&done.stdout)
    );
}

#[test]
fn models_that_differ_end_with_1() {
    let (a, b) = ("models/ironmill_mnist_base.mlpackage", "models/ironmill_mnist_palettized.mlpackage");
    let done = anewrite([Path::new("verify"), &testdata(a), &testdata(b)]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("the models differ: "), "{}", text(&done.stdout));
    let json =
        anewrite([Path::new("verify"), &testdata(a), &testdata(b), Path::new("--format"), Path::new("json")]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&report["equal"], &report["version"]), (&serde_json::json!(false), &serde_json::json!(1)));
}

#[test]
fn upgrade_writes_a_package_that_is_equal_and_refuses_with_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (testdata("models/cifar_net.mlmodel"), folder.path().join("out.mlpackage"));
    let dry = anewrite([Path::new("upgrade"), &model, Path::new("--dry-run")]);
    assert!(
        dry.status.success() && text(&dry.stdout).contains("nothing was written"),
        "{}",
        text(&dry.stderr)
    );
    let done = anewrite([Path::new("upgrade"), &model, Path::new("-o"), &out, Path::new("--ios=16")]);
    let said = text(&done.stdout);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(said.contains("18 layers became") && said.contains("verified: equal to the original"), "{said}");
    assert!(said.contains("upgraded to mlProgram of opset CoreML6, fp16"), "{said}");
    let equal = anewrite([Path::new("verify"), &model, &out]);
    assert!(equal.status.success(), "{}", text(&equal.stdout));
    let blind = anewrite([Path::new("upgrade"), &model, Path::new("--dry-run"), Path::new("--no-verify")]);
    assert!(text(&blind.stdout).contains("not verified: verification was turned off"));
    let json = anewrite([Path::new("upgrade"), &model, Path::new("--dry-run"), Path::new("--format=json")]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["version"], &json["verified"]["status"]), (&1.into(), &"verified".into()));

    let refused = testdata("convert/nn_quantized.mlmodel");
    let out = folder.path().join("none.mlpackage");
    let done = anewrite([Path::new("upgrade"), &refused, Path::new("-o"), &out]);
    assert_eq!((done.status.code(), out.exists()), (Some(2), false));
    assert!(text(&done.stderr).contains("nn.custom"), "{}", text(&done.stderr));
}
