//! A program of 2,000 computing ops: checking it for all families, with and without the dry run of the rules.

use std::time::Duration;

use anewrite_testkit::models;

use super::stats::median;
use super::{Bench, Line, remove, timed};

const OPS: usize = 2000;
const RUNS: usize = 15;
const LIMIT: Duration = Duration::from_millis(100);

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let model = bench.path("check.mlpackage");
    models::mixed_program(&model, OPS, 1)?;
    let time = |rules: bool| -> anyhow::Result<f64> {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(timed(&mut bench.check(&model, rules))?);
        }
        Ok(median(&runs))
    };
    let (with, without) = (time(true)?, time(false)?);
    remove(&model)?;
    Ok(vec![Line {
        what: format!("{OPS} computing ops: `check` for all families, the dry run of the rules included"),
        target: format!("at most {} ms", LIMIT.as_millis()),
        measured: format!("{:.1} ms; without the rules {:.1} ms", with * 1e3, without * 1e3),
        met: with <= LIMIT.as_secs_f64(),
    }])
}
