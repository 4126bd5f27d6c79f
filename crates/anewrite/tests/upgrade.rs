//! Upgraded models compute what the networks did: both run by the evaluator on the same inputs, from images to labels.

use std::path::Path;

use anewrite::{
    Arithmetic, DType, EvaluatorOptions, FeatureKind, Features, Interface, Model, Opset, RunOptions, Runner,
    UpgradeOptions, UpgradeVerification, Value, VerifyOptions, WriteOptions, upgrade, verify,
};
use anewrite_interp::Array;

fn source(name: &str) -> Model {
    Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)).unwrap()
}

/// Numbers that no two places share.
fn inputs(interface: &Interface) -> Vec<Value> {
    let one = |kind: &FeatureKind| match kind {
        FeatureKind::Array { shape, .. } => {
            let dims: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
            let n = dims.iter().product::<u64>();
            let items: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
            Array::new(DType::F32, dims, items).unwrap().into()
        }
        FeatureKind::Image { color, size: [h, w], .. } => {
            let dims = [*h as u64, *w as u64, color.channels().unwrap()];
            let n = dims.iter().product::<u64>() as i64;
            Array::new(DType::I32, dims, (0..n).map(|i| i * 37 % 256).collect::<Vec<i64>>()).unwrap().into()
        }
        other => panic!("{other:?}"),
    };
    interface.inputs.iter().map(|f| one(&f.kind)).collect()
}

/// The numbers and texts of every output, in the order of the interface.
fn outputs(model: &Model, inputs: &[Value]) -> Vec<(Vec<f64>, Vec<String>)> {
    let evaluator = EvaluatorOptions { arithmetic: Arithmetic::Fp64, ..Default::default() };
    let options = RunOptions { evaluator, ..RunOptions::default() };
    let mut runner = Runner::new(model, &options).unwrap();
    let names: Vec<String> = runner.interface().inputs.iter().map(|f| f.name.clone()).collect();
    let given: Features = names.into_iter().zip(inputs.iter().cloned()).collect();
    let made = runner.predict(&given).unwrap();
    let array = |a: &Array| match a.as_texts() {
        Some(texts) => (vec![], texts.iter().map(ToString::to_string).collect()),
        None => (a.to_f64s().unwrap(), vec![]),
    };
    let interface = runner.interface();
    let value = |name: &str| match &made[name] {
        Value::Tensor(a) => array(a),
        Value::Dict(d) => (d.values.to_f64s().unwrap(), array(&d.keys).1),
        other => panic!("{other:?}"),
    };
    interface.outputs.iter().map(|f| value(&f.name)).collect()
}

#[test]
fn upgraded_models_give_what_the_networks_gave() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "models/cifar_net.mlmodel",
        "models/spokestack_filter.mlmodel",
        "models/s4tf_bmm.mlmodel",
        "convert/nn_image.mlmodel",
        "convert/nn_control.mlmodel",
    ] {
        let old = source(name);
        let inputs = inputs(&old.document().info().interface(None));
        let want = outputs(&old, &inputs);
        for opset in [Opset::Ios15, Opset::Ios18] {
            // Weights that were rounded to halves are a matter of scale; those in fp32 are the network's own.
            for (precision, within) in [(DType::F32, 1e-6), (DType::F16, 2e-2)] {
                let path = folder.path().join("new.mlpackage");
                let options = UpgradeOptions { opset, precision, ..UpgradeOptions::default() };
                let mut new = upgrade(&old, &options).unwrap();
                let verified = matches!(new.report.verified, UpgradeVerification::Verified { .. });
                assert!(verified, "{name}: {:?}", new.report.verified);
                new.write(&path, &WriteOptions::new().force(true)).unwrap();
                let have = outputs(&Model::open(&path).unwrap(), &inputs);
                assert_eq!(have.len(), want.len(), "{name}");
                for ((numbers, texts), (want, labels)) in have.iter().zip(&want) {
                    assert_eq!((numbers.len(), texts), (want.len(), labels), "{name}");
                    let scale = want.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
                    for (h, w) in numbers.iter().zip(want) {
                        assert!((h - w).abs() <= within * scale, "{name} {precision}: {numbers:?}\n{want:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn loops_that_are_left_give_what_they_give_in_python() {
    let old = source("convert/nn_loops.mlmodel");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.mlpackage");
    let array = |items: &[f32]| Array::new(DType::F32, [items.len() as u64], items.to_vec()).unwrap().into();
    // testdata/convert/make_loops.py prints what its transcript of the loops gives
    for (limit, stop, y, last, tests) in [
        (5.0, 9.0, [7.0, -14.0, 28.0, -3.5], [2.5, -5.0, 10.0, -1.25], 6.0),
        (9.0, 3.0, [102.5, 95.0, 110.0, 98.75], [1.5, -3.0, 6.0, -0.75], 4.0),
        (3.0, 9.0, [2.5, -5.0, 10.0, -1.25], [1.5, -3.0, 6.0, -0.75], 4.0),
    ] {
        let inputs: Vec<Value> = vec![array(&[0.5, -1.0, 2.0, -0.25]), array(&[limit]), array(&[stop])];
        let numbers = |model: &Model| outputs(model, &inputs).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        let want = [y.to_vec(), last.to_vec(), vec![tests], vec![8.0]];
        assert_eq!(numbers(&old), want);
        for opset in [Opset::Ios15, Opset::Ios18] {
            for precision in [DType::F32, DType::F16] {
                let options = UpgradeOptions { opset, precision, ..UpgradeOptions::default() };
                let mut new = upgrade(&old, &options).unwrap();
                new.write(&path, &WriteOptions::new().force(true)).unwrap();
                assert_eq!(numbers(&Model::open(&path).unwrap()), want, "{precision} for {}", opset.name());
            }
        }
    }
}

/// The image classifier with another scale of its preprocessing.
fn with_scale(scale: f32) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/convert/nn_image.mlmodel");
    let mut spec = std::fs::read(path).unwrap();
    let old = (2f32 / 255.0).to_le_bytes();
    let places: Vec<usize> =
        spec.windows(4).enumerate().filter(|(_, w)| **w == old).map(|(i, _)| i).collect();
    let [at] = *places.as_slice() else { panic!("{places:?}") };
    spec[at..at + 4].copy_from_slice(&scale.to_le_bytes());
    Model::from_bytes(spec).unwrap()
}

#[test]
fn a_network_and_its_program_are_compared_over_their_interfaces() {
    let folder = tempfile::tempdir().unwrap();
    let options = VerifyOptions::default();
    let agree = |a: &Model, b: &Model| verify(a, b, &options, &mut |_| ()).unwrap();
    for (name, precision) in
        [("models/blazeface.mlmodel", DType::F16), ("convert/nn_image.mlmodel", DType::F32)]
    {
        let path = folder.path().join("new.mlpackage");
        let how = UpgradeOptions { precision, verify: None, ..UpgradeOptions::default() };
        upgrade(&source(name), &how).unwrap().write(&path, &WriteOptions::new().force(true)).unwrap();
        let report = agree(&source(name), &Model::open(&path).unwrap());
        assert!(report.equal, "{name}: {:?}", report.wrong);
        assert!(report.parts[0].model.outputs.iter().all(|o| o.difference.elements > 0), "{name}");
    }
    // the last one written has the original's scale
    let new = Model::open(folder.path().join("new.mlpackage")).unwrap();
    assert!(agree(&with_scale(2.0 / 255.0), &new).equal);
    let report = agree(&with_scale(2.0 / 254.0), &new);
    assert!(!report.equal, "another preprocessing is not noticed");
    let other = verify(&source("models/cifar_net.mlmodel"), &new, &options, &mut |_| ());
    assert!(other.unwrap_err().to_string().contains("other inputs"));
}

#[test]
fn inputs_of_the_users_own_are_images_to_both() {
    let old = source("convert/nn_image.mlmodel");
    let interface = old.document().info().interface(None);
    let given: Features = interface.inputs.iter().map(|f| f.name.clone()).zip(inputs(&interface)).collect();
    let verify = VerifyOptions { inputs: vec![given], ..VerifyOptions::default() };
    let options = UpgradeOptions { verify: Some(verify), ..UpgradeOptions::default() };
    let report = upgrade(&old, &options).unwrap().report;
    let UpgradeVerification::Verified { program, .. } = report.verified else {
        panic!("{:?}", report.verified)
    };
    assert_eq!(program[0].model.cases, ["inputs 1"]);
}

#[test]
fn programs_pass_through_the_rules_and_ops_have_the_names_of_blobs() {
    let options = UpgradeOptions { opset: Opset::Ios16, ..UpgradeOptions::default() };
    let new = upgrade(&source("models/cifar_net.mlmodel"), &options).unwrap();
    let part = &new.report.parts[0];
    assert!(part.upgraded && part.layers.op_count() == 18 && part.rewrite.after.op_count() < 30);
    assert!(part.rewrite.firings.iter().any(|f| f.code == "C010"), "{:?}", part.rewrite.firings);
    let (old, p) = (source("models/cifar_net.mlmodel"), &new.document.parts[0].program);
    let names: Vec<&str> =
        p.all_ops().filter_map(|op| p.op(op).result()).map(|v| &*p.value(v).name).collect();
    let network = &old.parts()[0].program;
    for op in network.all_ops().filter(|&op| &*network.op(op).kind == "nn.convolution") {
        let blob = anewrite_ir::mil::identifier(&network.value(network.op(op).result().unwrap()).name);
        assert!(names.contains(&blob.as_str()), "{blob} is not among {names:?}");
    }
    assert!(!p.all_ops().any(|op| {
        let o = p.op(op);
        &*o.kind == "cast" && o.arg("x").is_some_and(|x| p.constant(x).is_some())
    }));
}
