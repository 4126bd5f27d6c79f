//! Memory for rewriting a NeuralNetwork of 500 MB, whose weights stand inside the specification.

use anewrite_testkit::models;

use super::{Bench, Line, memory, remove};

const BYTES: u64 = 500_000_000;
const RUNS: usize = 3;
/// Anonymous and resident memory in bytes.
const ANONYMOUS: u64 = 40_000_000;
const RESIDENT: u64 = 150_000_000;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let (model, out) = (bench.path("large.mlmodel"), bench.path("rewritten.mlmodel"));
    models::large_network(&model, BYTES, 1)?;
    let mut worst = memory::Peak::default();
    for run in 1..=RUNS {
        let peak = memory::peak(&mut bench.rewrite(&model, &out))?;
        println!(
            "run {run}: {:.1} MB anonymous, {:.1} MB resident",
            peak.anonymous as f64 / 1e6,
            peak.resident as f64 / 1e6
        );
        worst.anonymous = worst.anonymous.max(peak.anonymous);
        worst.resident = worst.resident.max(peak.resident);
        remove(&out)?;
    }
    remove(&model)?;
    let line = |what: &str, bytes: u64, most: u64| Line {
        what: format!("NeuralNetwork of 500 MB: {what} memory, worst of {RUNS} runs"),
        target: format!("at most {} MB", most / 1_000_000),
        measured: format!("{:.1} MB", bytes as f64 / 1e6),
        met: bytes <= most,
    };
    Ok(vec![line("anonymous", worst.anonymous, ANONYMOUS), line("resident", worst.resident, RESIDENT)])
}
