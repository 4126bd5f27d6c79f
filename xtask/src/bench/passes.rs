//! A program of 2,000 computing ops: rewriting it, against what coremltools needs to load it, run its default passes and
//! save it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anewrite_testkit::models;
use anyhow::{Context, ensure};
use serde::Deserialize;

use super::stats::median;
use super::{Bench, Line, remove, timed};

const OPS: usize = 2000;
/// Rounds of one run of coremltools and several of ours.
const ROUNDS: usize = 3;
const OURS_A_ROUND: usize = 7;
const TARGET: f64 = 120.0;

/// Seconds as time_passes.py prints them.
#[derive(Deserialize)]
struct Steps {
    load: f64,
    passes: f64,
    save: f64,
}

pub(super) fn measure(bench: &Bench, python: &Path) -> anyhow::Result<Vec<Line>> {
    let (model, out) = (bench.path("passes.mlpackage"), bench.path("out.mlpackage"));
    models::mixed_program(&model, OPS, 1)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        for _ in 0..OURS_A_ROUND {
            ours.push(timed(&mut bench.rewrite(&model, &out))?);
        }
        remove(&out)?;
        let steps = coremltools(python, &model, &out)?;
        println!(
            "round {round}: coremltools load {:.2} s, passes {:.2} s, save {:.2} s; ours {:.4} s",
            steps.load,
            steps.passes,
            steps.save,
            median(&ours[ours.len() - OURS_A_ROUND..])
        );
        theirs.push(Duration::from_secs_f64(steps.load + steps.passes + steps.save));
        remove(&out)?;
    }
    remove(&model)?;
    let (ours, theirs) = (median(&ours), median(&theirs));
    let ratio = theirs / ours;
    Ok(vec![Line {
        what: format!("{OPS} computing ops: coremltools load, default passes, save, over our `rewrite`"),
        target: format!("at least {TARGET}×"),
        measured: format!("{ratio:.0}× ({theirs:.2} s over {:.1} ms)", ours * 1e3),
        met: ratio >= TARGET,
    }])
}

fn coremltools(python: &Path, model: &Path, out: &Path) -> anyhow::Result<Steps> {
    let script = crate::workspace_root().join("xtask/python/time_passes.py");
    let output = Command::new(python)
        .arg(&script)
        .args([model, out])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", python.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} fails: {said}", script.display());
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} prints no result: {said}", script.display()))
}
