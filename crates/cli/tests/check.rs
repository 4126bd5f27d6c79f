//! `anewrite check` as users meet it.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

fn check(model: &str, args: &[&str]) -> Output {
    Command::cargo_bin("anewrite").unwrap().arg("check").arg(testdata(model)).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(model: &str, args: &[&str]) -> Value {
    let mut all = vec!["--format", "json"];
    all.extend(args);
    let output = check(model, &all);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

const POOL: &str = "generated/m001_max_pool/fp16-iOS16.mlpackage";
const SILERO: &str = "models/silero_vad_unified_int8.mlpackage";

macro_rules! snapshots {
    ($($name:ident: $path:literal, $target:literal;)*) => {$(
        #[test]
        fn $name() {
            // What rules say changes with the rules, and has tests of its own.
            insta::assert_snapshot!(said(&check($path, &["--target", $target, "--no-rules"])));
        }
    )*};
}

snapshots! {
    max_pool_for_all: "generated/m001_max_pool/fp16-iOS16.mlpackage", "all";
    silero_int8_for_m4: "models/silero_vad_unified_int8.mlpackage", "m4";
    blazeface_for_phones: "models/blazeface.mlmodel", "iphone-13,iphone-15-pro";
    ironmill_in_fp32: "models/ironmill_mnist_base.mlpackage", "m1,m4";
    kraken_small: "models/kraken_small.mlmodel", "a14+";
    dtln: "models/dtln_aec_128_part1.mlpackage", "m4";
    gather: "generated/m006_gather/fp16-iOS16.mlpackage", "m1";
}

#[test]
fn exit_codes_follow_fail_on() {
    let code = |model, on| check(model, &["--target", "m4", "--fail-on", on]).status.code();
    assert_eq!(check(POOL, &["--target", "m4"]).status.code(), Some(1), "a rule fixes it");
    assert_eq!(
        [code(POOL, "fixable"), code(POOL, "error"), code(POOL, "never")],
        [Some(1), Some(1), Some(0)]
    );
    assert_eq!(check(POOL, &["--target", "m4", "--no-rules"]).status.code(), Some(0), "no rule was tried");
    assert_eq!(code(SILERO, "error"), Some(1));
    assert_eq!(code("no/such.mlpackage", "never"), Some(2));
}

#[test]
fn the_json_form_is_versioned_and_lists_ops_where_asked() {
    let report = json(POOL, &["--target", "m4,m1"]);
    assert_eq!(report["version"], 1);
    assert_eq!(report["target"][1]["family"], "H16");
    let function = &report["parts"][0]["functions"][0];
    assert!(function.get("op_list").is_none());
    assert_eq!(function["families"].as_array().map(Vec::len), Some(2));
    let finding = &report["parts"][0]["findings"][0];
    assert_eq!(finding["code"], "ANE021");
    assert_eq!(finding["ops"][0]["observed"], "kernel_sizes[-1] is 13, not <= 8 (LIM-MAXPOOL)");
    assert_eq!(finding["fixes"][0]["rule"], "M001");
    assert_eq!(finding["evidence"][0]["core_ml_says"], "Invalid Pool kernel width, must be [1-8] or 32.");
    assert!(finding["evidence"][0]["sources"][0]["place"].as_str().is_some_and(|place| place.contains('.')));
    let listed = json(POOL, &["--target", "m4", "--verbose"]);
    let ops = listed["parts"][0]["functions"][0]["op_list"].as_array().unwrap();
    let pool = ops.iter().find(|op| op["kind"] == "max_pool").unwrap();
    assert_eq!(
        (pool["on"][0]["verdict"].as_str(), pool["on"][0]["side"].as_str()),
        (Some("no"), Some("cpu"))
    );
}

#[test]
fn verbose_prints_the_model_with_places() {
    let text = said(&check(POOL, &["--target", "m4", "--verbose"]));
    assert!(text.contains("// H16 cpu (max-pool-width)"), "{text}");
    assert!(text.contains("// H16 cpu (planner)"), "{text}");
}

#[test]
fn targets_that_are_unknown_are_errors() {
    let output = check(POOL, &["--target", "iphone-31"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean"));
}

/// The properties that SARIF 2.1.0 requires, and those values that it restricts.
#[test]
fn sarif_has_what_the_standard_requires() {
    let output = check(SILERO, &["--format", "sarif"]);
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "anewrite");
    let rules = driver["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(!rules.is_empty() && !results.is_empty());
    for rule in rules {
        assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string());
        assert!(rule["help"]["text"].as_str().is_some_and(|text| text.contains("## What to do")));
    }
    for result in results {
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
        for location in result["locations"].as_array().unwrap() {
            let uri = location["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
            assert!(uri.ends_with("silero_vad_unified_int8.mlpackage") && !uri.contains(' '), "{uri}");
            for logical in location["logicalLocations"].as_array().unwrap() {
                assert!(logical["fullyQualifiedName"].as_str().unwrap().starts_with("main/"));
            }
        }
    }
}

#[test]
fn a_measured_plan_stands_beside_the_prediction() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json");
    let text = r#"{"version": 1, "device": "Mac mini", "chip": "m4", "os": "macOS 26.1", "compute_units": "CPU_AND_NE",
        "ops": [
            {"output": "x_to_fp16", "op": "ios16.cast", "supported": ["ANE", "CPU"], "preferred": "ANE", "cost": 0.1},
            {"output": "y_cast_fp16", "op": "ios16.max_pool", "supported": ["CPU"], "preferred": "CPU", "cost": 0.9},
            {"output": "not_there", "op": "ios16.const"}]}"#;
    std::fs::write(&plan, text).unwrap();
    let plan = plan.to_str().unwrap();
    let report = json(POOL, &["--compute-plan", plan]);
    let measured = &report["parts"][0]["functions"][0]["measured"];
    assert_eq!((measured["matched"].as_u64(), measured["missing"].as_u64()), (Some(2), Some(1)));
    assert_eq!((measured["engine_ops"].as_u64(), measured["agreed"].as_u64()), (Some(1), Some(1)));
    let differences = measured["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1);
    assert_eq!(
        (differences[0]["op"].as_str(), differences[0]["measured"].as_str()),
        (Some("x_to_fp16"), Some("engine"))
    );
    let text = said(&check(POOL, &["--compute-plan", plan]));
    assert!(text.contains("measured on Mac mini, m4, macOS 26.1, CPU_AND_NE (H16)"), "{text}");
    let wrong = check(POOL, &["--compute-plan", plan, "--target", "m1"]);
    assert_eq!(wrong.status.code(), Some(2), "the plan is of another family");
}

#[test]
fn compiled_models_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let text = "program(1.0)\n[buildInfo = dict<string, string>({})]\n{\n    func main<ios16>(tensor<fp16, [1, 8, 20, 20]> x) {\n            tensor<int32, [2]> k = const()[name = tensor<string, []>(\"k\"), val = tensor<int32, [2]>([1, 9])];\n            tensor<int32, [2]> s = const()[name = tensor<string, []>(\"s\"), val = tensor<int32, [2]>([1, 1])];\n            tensor<string, []> p = const()[name = tensor<string, []>(\"p\"), val = tensor<string, []>(\"valid\")];\n            tensor<fp16, [1, 8, 20, 12]> y = max_pool(kernel_sizes = k, pad_type = p, strides = s, x = x)[name = tensor<string, []>(\"y\")];\n        } -> (y);\n}\n";
    std::fs::write(folder.path().join("model.mil"), text).unwrap();
    let output = Command::cargo_bin("anewrite").unwrap().arg("check").arg(folder.path()).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "nothing is fixable here: {said}");
    assert!(said.contains("ANE021") && said.contains("a compiled model cannot be rewritten"), "{said}");
}

#[test]
fn devices_limits_ops_and_findings_are_told() {
    let run = |args: &[&str]| {
        let output = Command::cargo_bin("anewrite").unwrap().args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        said(&output)
    };
    let devices = run(&["devices", "iphone-15-pro"]);
    assert!(devices.contains("A17 Pro") && devices.contains("H16"), "{devices}");
    assert!(run(&["devices"]).lines().count() > 100);
    let list: Value = serde_json::from_str(&run(&["devices", "m1", "--format", "json"])).unwrap();
    assert!(list["devices"].as_array().is_some_and(|d| d.iter().all(|d| d["family"] == "H13")));
    assert!(run(&["explain", "ANE010"]).contains("dtype-int32"));
    assert!(run(&["explain", "LIM-MAXPOOL"]).contains("max-pool-width"));
    assert!(run(&["explain", "nn.concatND"]).contains("nn-nd"));
    assert!(run(&["explain", "max-pool-width"]).contains("Invalid Pool kernel width"));
    let output = Command::cargo_bin("anewrite").unwrap().args(["explain", "LIM-MAXPOLL"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("LIM-MAXPOOL"));
}

#[test]
fn the_page_of_supported_ops_is_current() {
    let output = Command::cargo_bin("anewrite").unwrap().args(["report", "ops"]).output().unwrap();
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/SUPPORTED_OPS.md"));
    assert!(page.unwrap() == said(&output), "run `anewrite report ops -o docs/SUPPORTED_OPS.md`");
}
