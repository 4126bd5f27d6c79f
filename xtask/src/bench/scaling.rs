//! What an op costs in programs of different sizes. Whatever is quadratic shows here.

use std::path::Path;
use std::process::{Command, Stdio};

use anewrite_testkit::models;
use anyhow::{Context, ensure};

use super::stats::spread;
use super::{Bench, Line, remove, timed};

const SIZES: &[usize] = &[2000, 4000, 8000, 16000, 32000];
/// Runs of each size; the fastest counts, since a busy machine only ever adds. It still blurs times, so that instructions
/// decide where they can be counted.
const RUNS: usize = 10;
const TARGET: f64 = 1.3;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let out = bench.path("out.mlpackage");
    let mut paths = Vec::new();
    for &ops in SIZES {
        let path = bench.path(&format!("{ops}.mlpackage"));
        models::mixed_program(&path, ops, 1)?;
        paths.push(path);
    }
    // Sizes in turn, so that no size has all of a quiet or of a busy spell.
    let mut fastest = vec![f64::MAX; SIZES.len()];
    for _ in 0..RUNS {
        for (fastest, path) in fastest.iter_mut().zip(&paths) {
            *fastest = fastest.min(timed(&mut bench.rewrite(path, &out))?.as_secs_f64());
        }
    }
    let per_op: Vec<f64> = fastest.iter().zip(SIZES).map(|(seconds, &ops)| seconds / ops as f64).collect();
    for ((ops, seconds), per_op) in SIZES.iter().zip(&fastest).zip(&per_op) {
        println!("{ops} computing ops: {:.1} ms, {:.2} µs an op", seconds * 1e3, per_op * 1e6);
    }
    let by_time = spread(per_op.iter().copied());
    let has_valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    let (measured, how) = if has_valgrind.is_ok_and(|status| status.success()) {
        let mut counts = Vec::new();
        for (path, &ops) in paths.iter().zip(SIZES) {
            let count = instructions(bench, path, &out)?;
            println!("{ops} computing ops: {count} instructions, {:.0} an op", count as f64 / ops as f64);
            counts.push(count as f64 / ops as f64);
        }
        let how = format!("in instructions, counted by callgrind ({by_time:.2}× in time)");
        (spread(counts.iter().copied()), how)
    } else {
        (
            by_time,
            format!("in time, fastest of {RUNS} runs; valgrind, which counts instructions, is not here"),
        )
    };
    let (smallest, largest) = (SIZES[0], SIZES[SIZES.len() - 1]);
    let line = Line {
        what: format!(
            "cost of an op in programs of {smallest} to {largest} computing ops, largest over smallest"
        ),
        target: format!("within {TARGET}×"),
        measured: format!("{measured:.2}× {how}"),
        met: measured <= TARGET,
    };
    for path in paths.iter().chain([&out]) {
        remove(path)?;
    }
    Ok(vec![line])
}

/// Instructions that the command runs, counted by callgrind.
fn instructions(bench: &Bench, model: &Path, out: &Path) -> anyhow::Result<u64> {
    let counts = bench.path("callgrind.out");
    let rewrite = bench.rewrite(model, out);
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", counts.display()));
    command.arg(rewrite.get_program()).args(rewrite.get_args()).stdout(Stdio::null()).stdin(Stdio::null());
    let output = command.output().context("running valgrind")?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&counts).context("reading what callgrind counted")?;
    remove(&counts)?;
    total(&text).context("callgrind's file has no totals")
}

/// The sum over a callgrind file.
fn total(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_callgrind_file_is_found() {
        assert_eq!(total("version: 1\nevents: Ir\nfn=(1) main\n3 17\n\ntotals: 12345\n"), Some(12345));
        assert_eq!(total("summary: 77\n"), Some(77));
        assert_eq!(total("events: Ir\n"), None);
    }
}
