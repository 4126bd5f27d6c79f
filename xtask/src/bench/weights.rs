//! A package of 3 GB whose rewrite touches no weights, against copying it with cp.

use std::path::Path;
use std::process::{Command, Stdio};

use anewrite_testkit::models;

use super::stats::median;
use super::{Bench, Line, memory, remove, timed};

const BYTES: u64 = 3_000_000_000;
const RUNS: usize = 5;
/// Wall time over that of cp.
const TARGET: f64 = 1.2;
/// Anonymous memory in bytes.
const MEMORY: u64 = 100_000_000;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let (model, ours, copy) =
        (bench.path("large.mlpackage"), bench.path("rewritten.mlpackage"), bench.path("copied.mlpackage"));
    models::large_program(&model, BYTES, 1)?;
    let (mut rewrites, mut copies) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        let copied = timed(&mut cp(&model, &copy))?;
        remove(&copy)?;
        let rewritten = timed(&mut bench.rewrite(&model, &ours))?;
        remove(&ours)?;
        println!("run {run}: cp {:.3} s, ours {:.3} s", copied.as_secs_f64(), rewritten.as_secs_f64());
        copies.push(copied);
        rewrites.push(rewritten);
    }
    let peak = memory::peak(&mut bench.rewrite(&model, &ours))?;
    remove(&ours)?;
    remove(&model)?;
    let (ours, cp) = (median(&rewrites), median(&copies));
    let ratio = ours / cp;
    Ok(vec![
        Line {
            what: "package of 3 GB whose weights stay, on tmpfs: `rewrite` over `cp -r`".to_owned(),
            target: format!("at most {TARGET}×"),
            measured: format!("{ratio:.2}× ({ours:.3} s over {cp:.3} s)"),
            met: ratio <= TARGET,
        },
        Line {
            what: "its anonymous memory".to_owned(),
            target: format!("under {} MB", MEMORY / 1_000_000),
            measured: format!("{:.1} MB", peak.anonymous as f64 / 1e6),
            met: peak.anonymous < MEMORY,
        },
    ])
}

fn cp(from: &Path, to: &Path) -> Command {
    let mut command = Command::new("cp");
    command.arg("-r").args([from, to]).stdin(Stdio::null());
    command
}
