//! For each rule a model in testdata/ in which it fires, written and read again.

use std::path::{Path, PathBuf};

use anewrite::{Model, RewriteOptions, Selection, WriteOptions, rewrite};

/// Rule and model. Where the target would gain nothing, because the model computes in 32 bits, the rule is forced.
const FIRES: &[(&str, &str)] = &[
    ("C001", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C002", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C003", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C010", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C011", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C012", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C013", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C014", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C015", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C020", "generated/canonical/mixed-iOS16.mlpackage"),
    ("C021", "generated/canonical/mixed-iOS16.mlpackage"),
    ("M001", "generated/m001_max_pool/fp16-iOS16.mlpackage"),
    ("M002", "generated/m002_conv/fp16-iOS16.mlpackage"),
    ("M003", "generated/m003_upsample/fp16-iOS16.mlpackage"),
    ("M004", "generated/m004_band/fp16-iOS16.mlpackage"),
    ("M005", "generated/m005_cumsum/fp16-iOS16.mlpackage"),
    ("M006", "generated/m006_gather/fp16-iOS16.mlpackage"),
    ("N001", "generated/n001_add/nn.mlmodel"),
    ("N002", "generated/n002_multiply/nn.mlmodel"),
    ("N003", "generated/n003_subtract/nn.mlmodel"),
    ("N004", "generated/n004_concat/nn.mlmodel"),
    ("N005", "generated/n005_split/nn.mlmodel"),
    ("N006", "generated/n006_load_constant/nn.mlmodel"),
    ("N007", "generated/n007_extremum/nn.mlmodel"),
    ("N008", "generated/n008_divide/nn.mlmodel"),
    ("N010", "generated/n010_softmax/nn.mlmodel"),
    ("N011", "generated/n011_reduce/nn.mlmodel"),
    ("N012", "generated/n012_slice/nn.mlmodel"),
    ("N013", "generated/n013_pad/nn.mlmodel"),
];

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

#[test]
fn every_rule_has_a_model() {
    for rule in anewrite::rules() {
        let code = rule.info().code.to_string();
        assert!(FIRES.iter().any(|(c, _)| *c == code), "{code} is not in the list of this file");
    }
}

#[test]
fn every_rule_fires_in_its_model() {
    let none: &[&str] = &[];
    for (code, path) in FIRES {
        let model = Model::open(testdata(path)).unwrap();
        let selection = Selection::new(&[code], none).unwrap();
        let mut options = RewriteOptions { selection, ..RewriteOptions::default() };
        let fires = |options: &RewriteOptions| {
            let done = rewrite(&model, options).unwrap();
            done.report.parts.iter().any(|p| p.firings.iter().any(|f| f.code == *code))
        };
        if !fires(&options) {
            options.selection = options.selection.force(&[code]).unwrap();
            assert!(fires(&options), "{code} does not fire in {path}");
        }

        let folder = tempfile::tempdir().unwrap();
        let out =
            folder.path().join(if path.ends_with(".mlmodel") { "out.mlmodel" } else { "out.mlpackage" });
        let mut done = rewrite(&model, &options).unwrap();
        done.write(&out, &WriteOptions::new()).unwrap();
        let again = Model::open(&out).unwrap();
        let ops = |m: &Model| m.parts().iter().map(|p| p.program.op_count()).sum::<usize>();
        let promised: u64 = done.report.parts.iter().map(|p| p.after.op_count()).sum();
        assert_eq!(ops(&again) as u64, promised, "{code} in {path}");
        assert!(
            rewrite(&again, &options).unwrap().report.parts.iter().all(|p| p.firings.is_empty()),
            "{code} twice"
        );
    }
}

#[test]
fn stop_after_keeps_the_first_firings() {
    let model = Model::open(testdata("generated/canonical/mixed-iOS16.mlpackage")).unwrap();
    let all = rewrite(&model, &RewriteOptions::default()).unwrap();
    let last = all.report.parts[0].firings.last().unwrap().number;
    for n in 0..=last {
        let some =
            rewrite(&model, &RewriteOptions { stop_after: Some(n), ..RewriteOptions::default() }).unwrap();
        let numbers: Vec<u32> = some.report.parts[0].firings.iter().map(|f| f.number).collect();
        assert_eq!(numbers, (1..=n).collect::<Vec<_>>());
    }
}
