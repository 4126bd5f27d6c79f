//! Values of upgraded models against torch, by an evaluator from outside: one process for all, for it loads torch.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use serde_json::{Value, json};

/// By model and variant: how far it is from torch, or why that is not known.
pub(super) type Found = BTreeMap<(String, String), Result<f64, String>>;

/// The share of an output's largest number that an upgraded model may be off torch, which computed in 32 bits. Networks
/// whose weights were quantised after torch computed have no limit: how far they are is theirs.
pub(super) fn limit(model: &str, variant: &str) -> f64 {
    let stem = model.rsplit('/').next().unwrap_or(model);
    match stem {
        _ if stem.contains("int8") || stem.contains("lut") => f64::INFINITY,
        _ if variant.starts_with("fp16") || stem.contains("fp16w") => 5e-2,
        _ => 1e-4,
    }
}

/// A folder's name for a model.
pub(super) fn folder(model: &str) -> String {
    model.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Makes a case of each model, with its inputs and torch's outputs beside what it was upgraded to, and runs the evaluator.
pub(super) fn compare(
    python: &Path,
    judge: &Path,
    scratch: &Path,
    cases: &BTreeMap<String, PathBuf>,
) -> anyhow::Result<Found> {
    let mut folders = Vec::new();
    let mut models: BTreeMap<String, &String> = BTreeMap::new();
    for (model, source) in cases {
        let place = scratch.join(folder(model));
        make(model, source, &place)?;
        models.insert(folder(model), model);
        folders.push(place);
    }
    let mut child = Command::new(python)
        .arg(judge)
        .args(&folders)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("running {}", judge.display()))?;
    let mut found = Found::new();
    for line in BufReader::new(child.stdout.take().context("the evaluator prints nothing")?).lines() {
        let line = line.context("reading what the evaluator prints")?;
        println!("{line}");
        let Some((name, variant, rel)) = verdict(&line) else { continue };
        if let Some(model) = models.get(name) {
            found.insert(((*model).clone(), variant.to_owned()), rel);
        }
    }
    child.wait()?;
    Ok(found)
}

/// `NAME/VARIANT ok rel 1.2e-3 (output) …`, or `NAME/VARIANT ERROR …`.
fn verdict(line: &str) -> Option<(&str, &str, Result<f64, String>)> {
    let (place, rest) = line.split_once(char::is_whitespace)?;
    let (name, variant) = place.split_once('/')?;
    let rest = rest.trim_start();
    if let Some(why) = rest.strip_prefix("ERROR") {
        return Some((name, variant, Err(why.trim().to_owned())));
    }
    let rel = rest.split_once("rel ")?.1.split_whitespace().next()?.parse().ok()?;
    Some((name, variant, Ok(rel)))
}

fn make(model: &str, source: &Path, place: &Path) -> anyhow::Result<()> {
    let read = |name: &str| -> anyhow::Result<Vec<u8>> {
        std::fs::read(source.join(name)).with_context(|| format!("reading {name} of {model}"))
    };
    let mut case: Value = serde_json::from_slice(&read("case.json")?)?;
    let files: Vec<String> = case["samples"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|s| [&s["inputs"], &s["outputs"]])
        .filter_map(|f| f.as_str().map(str::to_owned))
        .collect();
    for file in files {
        std::fs::write(place.join(&file), read(&file)?).context("copying a sample")?;
    }
    let variants = super::VALUED.iter().map(|(ios, precision)| format!("{precision}-iOS{ios}"));
    let variants = variants.filter(|v| place.join(format!("{v}.mlpackage")).is_dir());
    let variants: Vec<Value> = variants
        .map(|v| json!({"variant": v, "file": format!("{v}.mlpackage"), "kind": "mlProgram", "status": "ok"}))
        .collect();
    case["name"] = Value::String(folder(model));
    case["variants"] = Value::Array(variants);
    std::fs::write(place.join("case.json"), serde_json::to_vec(&case)?).context("writing a case")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_evaluator() {
        let ok = "crnn_nn_mlmodel/fp16-iOS16   ok    rel 1.25e-03 (log_probs) 1 samples 0.3 s";
        assert_eq!(verdict(ok), Some(("crnn_nn_mlmodel", "fp16-iOS16", Ok(1.25e-3))));
        let error = "a/fp32-iOS16  ERROR KeyError: 'x'";
        assert_eq!(verdict(error), Some(("a", "fp32-iOS16", Err("KeyError: 'x'".into()))));
        assert_eq!(verdict("Torch version 2.7"), None);
    }
}
