//! For each rule a model in testdata/ in which it fires, written and read again.

use std::path::{Path, PathBuf};

use anewrite::{Grade, Model, RewriteOptions, Selection, WriteOptions, rewrite};

/// For whom a rule fires in its model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// For every family that the model can meet.
    All,
    /// For these: another one runs the op as it is, and would pay for more ops.
    Target(&'static str),
    /// For nobody, because nothing more would run on an engine: the model computes in 32 bits, or of the new layers as
    /// little is known as of the old ones. Forced.
    Forced,
}

use For::{All, Forced, Target};

/// Rule, model, and for whom the rule fires in it.
const FIRES: &[(&str, &str, For)] = &[
    ("C001", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C002", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C003", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C010", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C011", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C012", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C013", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C014", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C015", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C020", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("C021", "generated/canonical/mixed-iOS16.mlpackage", All),
    ("M001", "generated/m001_max_pool/fp16-iOS16.mlpackage", All),
    ("M002", "generated/m002_conv/fp16-iOS16.mlpackage", All),
    ("M003", "generated/m003_upsample/fp16-iOS16.mlpackage", Target("h11,h12")),
    ("M004", "generated/m004_band/fp16-iOS16.mlpackage", Forced),
    ("M005", "generated/m005_cumsum/fp16-iOS16.mlpackage", Forced),
    ("M006", "generated/m006_gather/fp16-iOS16.mlpackage", Forced),
    ("N001", "generated/n001_add/nn.mlmodel", All),
    ("N002", "generated/n002_multiply/nn.mlmodel", All),
    ("N003", "generated/n003_subtract/nn.mlmodel", All),
    ("N004", "generated/n004_concat/nn.mlmodel", All),
    ("N005", "generated/n005_split/nn.mlmodel", All),
    ("N006", "generated/n006_load_constant/nn.mlmodel", All),
    ("N007", "generated/n007_extremum/nn.mlmodel", All),
    ("N008", "generated/n008_divide/nn.mlmodel", All),
    ("N009", "generated/n009_divide_tensors/nn.mlmodel", Forced),
    ("N010", "generated/n010_softmax/nn.mlmodel", All),
    ("N011", "generated/n011_reduce/nn.mlmodel", All),
    ("N012", "generated/n012_slice/nn.mlmodel", Forced),
    ("N013", "generated/n013_pad/nn.mlmodel", Forced),
    ("N014", "generated/n014_matmul/nn.mlmodel", All),
    ("N015", "generated/n015_upsample/nn.mlmodel", All),
    ("N016", "generated/n016_transpose/nn.mlmodel", Forced),
    ("N017", "generated/n017_gather/nn.mlmodel", All),
    ("N018", "generated/n018_power/nn.mlmodel", All),
    ("N019", "generated/n019_compare_with_number/nn.mlmodel", Forced),
    ("N020", "generated/n020_modulo/nn.mlmodel", All),
    ("N021", "generated/n021_logic/nn.mlmodel", All),
    ("N022", "generated/n022_gelu/nn.mlmodel", All),
    ("N023", "generated/n023_clip/nn.mlmodel", Forced),
    ("N024", "generated/n024_functions/nn.mlmodel", All),
    ("N025", "generated/n025_layer_normalization/nn.mlmodel", All),
    ("N026", "generated/n026_multiply_channels/nn.mlmodel", All),
    ("N027", "generated/n027_product_tree/nn.mlmodel", Forced),
    ("N028", "generated/n028_log_sum_exp/nn.mlmodel", Forced),
    ("N029", "generated/n029_means_and_dots/nn.mlmodel", All),
    ("N030", "generated/n030_max_pool/nn.mlmodel", All),
    ("N031", "generated/n031_pool_stride/nn.mlmodel", All),
    ("N032", "generated/n032_dilated/nn.mlmodel", All),
    ("N033", "generated/n033_upsample/nn.mlmodel", All),
    ("N034", "generated/n034_tile/nn.mlmodel", Forced),
    ("N035", "generated/n035_broadcast/nn.mlmodel", All),
    ("N036", "generated/n036_embedding/nn.mlmodel", Forced),
    ("N037", "generated/n037_reshape/nn.mlmodel", All),
    ("N038", "generated/n038_slices/nn.mlmodel", All),
    ("N039", "generated/n039_cumsum/nn.mlmodel", Forced),
    ("N040", "generated/n040_reverse/nn.mlmodel", Forced),
    ("N041", "generated/n041_arg_max/nn.mlmodel", Forced),
    ("N042", "generated/n042_known/nn.mlmodel", All),
    ("N043", "generated/n043_axes/nn.mlmodel", All),
    ("N044", "generated/n044_average_pool/nn.mlmodel", All),
    ("N045", "generated/n045_simple_recurrent/nn.mlmodel", Forced),
    ("N046", "generated/n046_unidirectional_lstm/nn.mlmodel", Forced),
    ("N047", "generated/n047_gru/nn.mlmodel", Forced),
    ("N048", "generated/n048_bidirectional_lstm/nn.mlmodel", Forced),
];

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

#[test]
fn every_rule_has_a_model() {
    for rule in anewrite::rules() {
        let code = rule.info().code.to_string();
        assert!(FIRES.iter().any(|(c, ..)| *c == code), "{code} is not in the list of this file");
    }
}

#[test]
fn every_rule_fires_in_its_model() {
    let none: &[&str] = &[];
    for (code, path, whom) in FIRES {
        let model = Model::open(testdata(path)).unwrap();
        let approximate = anewrite::rules()
            .iter()
            .any(|r| r.info().code.to_string() == *code && r.info().grade == Grade::Approximate);
        let selection = Selection::new(&[code], none).unwrap().approximate(approximate);
        let mut options = RewriteOptions { selection, ..RewriteOptions::default() };
        let fires = |options: &RewriteOptions| {
            let done = rewrite(&model, options).unwrap();
            done.report.parts.iter().any(|p| p.firings.iter().any(|f| f.code == *code))
        };
        assert_eq!(fires(&options), *whom == All, "{code} in {path}");
        match whom {
            All => {}
            Target(name) => options.target = Some(anewrite::Target::parse(name).unwrap()),
            Forced => options.selection = options.selection.force(&[code]).unwrap(),
        }
        assert!(fires(&options), "{code} does not fire in {path}");

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
