//! Each of the first rules fires on the models that were made for it, as often as they were made for.

use std::path::{Path, PathBuf};

use anewrite::{
    DType, Features, Model, RewriteOptions, RunOptions, Runner, Selection, Value, Verification, WriteOptions,
};
use anewrite_interp::Array;

/// Folder under testdata/generated, rule, firings in each of its models.
const CASES: &[(&str, &str, usize)] = &[
    ("n001_add", "N001", 5),
    ("n002_multiply", "N002", 4),
    ("n003_subtract", "N003", 6),
    ("n004_concat", "N004", 3),
    ("n005_split", "N005", 4),
    ("n006_load_constant", "N006", 2),
    ("n006_load_constant", "N006", 2),
    ("n009_divide_tensors", "N009", 3),
    ("n018_power", "N018", 8),
    ("n019_compare_with_number", "N019", 4),
    ("n020_modulo", "N020", 3),
    ("n021_logic", "N021", 6),
    ("n022_gelu", "N022", 2),
    ("n023_clip", "N023", 3),
    ("n024_functions", "N024", 3),
    ("n025_layer_normalization", "N025", 3),
    ("n026_multiply_channels", "N026", 2),
    ("n027_product_tree", "N027", 3),
    ("n028_log_sum_exp", "N028", 4),
    ("n029_means_and_dots", "N029", 3),
    ("nn_image", "N001", 1),
    ("nn_image", "N002", 1),
    ("nn_image", "N003", 1),
    ("nn_image", "N004", 2),
    ("nn_image", "N005", 1),
    ("m001_max_pool", "M001", 1),
    ("m002_conv", "M002", 1),
    ("m003_upsample", "M003", 1),
    ("m004_band", "M004", 2),
    ("m005_cumsum", "M005", 3),
    ("m006_gather", "M006", 3),
];

fn models(case: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/generated").join(case);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut found: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "mlmodel" || e == "mlpackage"));
    found.sort();
    found
}

#[test]
fn each_rule_fires_where_it_should() {
    let mut wrong = Vec::new();
    for &(case, code, firings) in CASES {
        let selection =
            Selection::new(&[code], &[] as &[&str]).unwrap().approximate(true).force(&[code]).unwrap();
        let options = RewriteOptions { selection, ..RewriteOptions::default() };
        let models = models(case);
        assert!(!models.is_empty(), "{case} holds no model");
        for path in models {
            let model = Model::open(&path).unwrap();
            let rewritten =
                anewrite::rewrite(&model, &options).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let fired: usize = rewritten.report.parts.iter().map(|p| p.firings.len()).sum();
            if fired != firings {
                wrong.push(format!("{code} fires {fired} times and not {firings} on {}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_last_newer_layer_of_a_network_of_images_stays() {
    for path in models("nn_image") {
        let model = Model::open(&path).unwrap();
        let selection = Selection::new(&["N"], &[] as &[&str]).unwrap();
        let selection = selection.force(&["N001", "N002", "N003", "N004", "N005", "N006"]).unwrap();
        let options = RewriteOptions { selection, ..RewriteOptions::default() };
        let rewritten = anewrite::rewrite(&model, &options).unwrap();
        let ops = &rewritten.report.parts[0].after.ops;
        let kinds: Vec<&str> = ops.keys().map(String::as_str).collect();
        assert!(
            kinds.contains(&"nn.clip") && !kinds.iter().any(|k| k.ends_with("Broadcastable")),
            "{kinds:?}"
        );
    }
}

#[test]
fn the_last_newer_layer_goes_where_no_shape_is_seen() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/generated/nn_classifier");
    let model = Model::open(folder.join("nn.mlmodel")).unwrap();
    let mut rewritten = anewrite::rewrite(&model, &RewriteOptions::default()).unwrap();
    let report = &rewritten.report;
    assert!(matches!(report.verified, Verification::Verified(_)), "{:?}", report.verified);
    assert_eq!(report.parts[0].firings.iter().map(|f| f.code.as_str()).collect::<Vec<_>>(), ["N001"]);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("out.mlmodel");
    rewritten.write(&path, &WriteOptions::new()).unwrap();
    let new = Model::open(&path).unwrap();
    assert!(new.document().info().spec_version < 4, "{}", new.document().info().spec_version);

    // torch's, by the script beside the model
    let images = anewrite::read_features(folder.join("inputs.npz")).unwrap();
    let truth = anewrite::read_features(folder.join("outputs.npz")).unwrap();
    let numbers = |v: &Value| v.tensor().unwrap().to_f64s().unwrap();
    let (pixels, want) = (numbers(&images["image"]), numbers(&truth["probabilities"]));
    let pixels: Vec<i64> = pixels.into_iter().map(|x| x as i64).collect();
    for (image, want) in pixels.chunks(7 * 9 * 3).zip(want.chunks(4)) {
        for model in [&model, &new] {
            let image = Array::new(DType::U8, [7, 9, 3], image.to_vec()).unwrap();
            let mut runner = Runner::new(model, &RunOptions::default()).unwrap();
            let made = runner.predict(&Features::from([("image".to_owned(), image.into())])).unwrap();
            let name = &runner.interface().probabilities;
            let Value::Dict(d) = &made[name] else { panic!("{made:?}") };
            for (have, want) in d.values.to_f64s().unwrap().iter().zip(want) {
                assert!((have - want).abs() < 1e-5, "{have} is not {want}");
            }
        }
    }
}
