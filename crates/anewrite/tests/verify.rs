//! Comparing models: the user's inputs, models that differ, and cases for a Mac.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anewrite::{
    Features, Model, RewriteOptions, Verification, VerifyOptions, export_cases, read_features, verify,
};
use anewrite_interp::Array;
use anewrite_tensor::DType;

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

fn open(path: &str) -> Model {
    Model::open(testdata(path)).unwrap()
}

const MNIST: &str = "models/ironmill_mnist_base.mlpackage";

fn digit(model: &Model) -> Features {
    let name = model.document().info().interface(None).inputs[0].name.clone();
    let pixels: Vec<f32> = (0..784).map(|i| ((i * 7919) % 256) as f32 / 255.0).collect();
    Features::from([(name, Array::new(DType::F32, [1, 1, 28, 28], pixels).unwrap().into())])
}

#[test]
fn the_users_inputs_stand_in_for_random_ones() {
    let model = open(MNIST);
    let options = VerifyOptions { inputs: vec![digit(&model), digit(&model)], ..VerifyOptions::default() };
    let options = RewriteOptions { verify: Some(options), ..RewriteOptions::default() };
    let done = anewrite::rewrite(&model, &options).unwrap();
    let Verification::Verified(report) = done.report.verified else { panic!("{:?}", done.report.verified) };
    assert_eq!(report.parts[0].model.cases, ["inputs 1", "inputs 2"]);
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let model = open(MNIST);
    let wrong =
        Features::from([("nothing".to_owned(), Array::new(DType::F32, [1], vec![0f32]).unwrap().into())]);
    let options = VerifyOptions { inputs: vec![wrong], ..VerifyOptions::default() };
    let error = verify(&model, &model, &options, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("nothing is no input of the model"), "{error}");
}

#[test]
fn models_of_other_weights_differ_and_the_op_is_named() {
    // the palettized model is the other with its weights rounded to 16 values
    let (a, b) = (open(MNIST), open("models/ironmill_mnist_palettized.mlpackage"));
    let report = verify(&a, &b, &VerifyOptions::default(), &mut |_| ()).unwrap();
    assert!(!report.equal && report.first.is_some(), "{report:?}");
}

#[test]
fn models_with_other_interfaces_are_not_compared() {
    let (a, b) = (open(MNIST), open("models/dtln_aec_128_part1.mlpackage"));
    let error = verify(&a, &b, &VerifyOptions::default(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("other inputs"), "{error}");
}

#[test]
fn without_verification_the_report_says_so() {
    let options = RewriteOptions { verify: None, ..RewriteOptions::default() };
    let model = open(MNIST);
    let report = anewrite::rewrite(&model, &options).unwrap().report;
    assert!(report.changed);
    assert!(
        matches!(report.verified, Verification::NotVerified { why } if why == "verification was turned off")
    );
}

#[test]
fn cases_are_exported_with_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let model = open(MNIST);
    let written = export_cases(&model, &VerifyOptions::default(), folder.path()).unwrap();
    let names: BTreeSet<String> =
        written.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(
        names.iter().map(String::as_str).collect::<Vec<_>>(),
        ["case0.0.npz", "case1.0.npz", "cases.json", "compare_on_mac.py"]
    );
    let list: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("cases.json")).unwrap()).unwrap();
    assert_eq!(list["cases"][1]["steps"][0][0], "case1.0.npz");
    let back = read_features(folder.path().join("case0.0.npz")).unwrap();
    let interface = model.document().info().interface(None);
    let keys: Vec<&str> = back.keys().map(String::as_str).collect();
    assert_eq!(keys, [interface.inputs[0].name.as_str()]);
    let options = VerifyOptions { inputs: vec![back], ..VerifyOptions::default() };
    assert!(verify(&model, &model, &options, &mut |_| ()).unwrap().equal);
}
