//! `cargo xtask corpus-eval`: runs every model of a corpus through the evaluator in fp32 and compares each output with
//! what torch computed, the figures of docs/evaluator-corpus.md.
//!
//! A corpus is a folder of cases; a case has `case.json`, samples of inputs and torch's outputs as `.npz`, and models.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anewrite::{Features, Model, RunOptions, Runner, read_features};
use anewrite_interp::{Arithmetic, Options, Value};
use anyhow::{Context, ensure};
use serde::Deserialize;

/// Compare the evaluator with torch over a corpus.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder with the cases.
    #[arg(long, value_name = "FOLDER")]
    models: PathBuf,
    /// Only cases of this name.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Write the results as a page.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    stateful: bool,
    samples: Vec<Sample>,
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
struct Sample {
    function: String,
    inputs: String,
    outputs: String,
}

#[derive(Deserialize)]
struct Variant {
    variant: String,
    file: Option<String>,
}

/// How near an output comes to torch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Nearness {
    /// The same numbers.
    Equal,
    /// Decibels: the largest number of torch's result over the root of the mean squared difference.
    Psnr(f64),
}

/// One output of a model, at its worst sample.
struct Row {
    model: String,
    output: String,
    limit: f64,
    nearness: Nearness,
    seconds: f64,
}

/// What the weights of a variant are, which bounds how near it can come.
enum Weights {
    Single,
    Half,
    /// Rounded further after torch computed.
    Compressed,
}

impl Weights {
    fn of(variant: &str) -> Weights {
        match variant.split('-').collect::<Vec<_>>().as_slice() {
            ["nn"] | ["fp32", _] => Weights::Single,
            ["nn", "fp16w"] | ["fp16", _] => Weights::Half,
            _ => Weights::Compressed,
        }
    }

    fn limit(&self) -> f64 {
        match self {
            Weights::Single => 100.0,
            Weights::Half => 44.0,
            Weights::Compressed => 0.0,
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&args.models)
        .with_context(|| format!("listing {}", args.models.display()))?
        .filter_map(|e| e.ok().map(|e| e.path()).filter(|p| p.join("case.json").is_file()))
        .collect();
    folders.sort();
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for folder in folders {
        let case: Case = serde_json::from_str(&std::fs::read_to_string(folder.join("case.json"))?)?;
        if args.only.as_ref().is_some_and(|n| *n != case.name) {
            continue;
        }
        for variant in &case.variants {
            let Some(file) = &variant.file else { continue };
            let model = format!("{}/{}", case.name, variant.variant);
            match compare(&folder, &case, file, &model, Weights::of(&variant.variant).limit()) {
                Ok(new) => {
                    new.iter().for_each(|r| println!("{}", line(r)));
                    rows.extend(new);
                }
                Err(e) => {
                    println!("{model}: {e:#}");
                    broken.push(format!("{model}: {e:#}"));
                }
            }
        }
    }
    ensure!(!rows.is_empty() || !broken.is_empty(), "there is no case in {}", args.models.display());
    let far = rows.iter().filter(|r| !near(r)).count();
    println!("{} outputs, {far} under their limit, {} models not run", rows.len(), broken.len());
    if let Some(path) = &args.page {
        std::fs::write(path, page(&rows, &broken)).with_context(|| format!("writing {}", path.display()))?;
    }
    ensure!(far == 0 && broken.is_empty(), "the evaluator does not agree with torch");
    Ok(())
}

fn near(row: &Row) -> bool {
    match row.nearness {
        Nearness::Equal => true,
        Nearness::Psnr(db) => db >= row.limit,
    }
}

fn compare(folder: &Path, case: &Case, file: &str, name: &str, limit: f64) -> anyhow::Result<Vec<Row>> {
    let model = Model::open(folder.join(file))?;
    let evaluator = Options { arithmetic: Arithmetic::Fp32, ..Options::default() };
    let mut rows: Vec<Row> = Vec::new();
    let mut kept: Option<Runner<'_>> = None;
    for sample in &case.samples {
        let function = (sample.function != "main").then(|| sample.function.clone());
        let inputs = read_features(folder.join(&sample.inputs))?;
        let wanted = read_features(folder.join(&sample.outputs))?;
        // the samples of a model with states are successive predictions
        let mut runner = match kept.take().filter(|_| case.stateful) {
            Some(runner) => runner,
            None => Runner::new(&model, &RunOptions { evaluator, function })?,
        };
        let started = Instant::now();
        let outputs = runner.predict(&inputs).with_context(|| sample.inputs.clone())?;
        let seconds = started.elapsed().as_secs_f64();
        kept = Some(runner);
        for (output, want) in &wanted {
            let nearness = measure(find(&outputs, output)?, want)?;
            match rows.iter_mut().find(|r| r.output == *output) {
                Some(row) => {
                    row.nearness = worse(row.nearness, nearness);
                    row.seconds = row.seconds.max(seconds);
                }
                None => {
                    rows.push(Row { model: name.into(), output: output.clone(), limit, nearness, seconds })
                }
            }
        }
    }
    Ok(rows)
}

/// The output of that name. coremltools renames an output `state`, and a classifier has its probabilities as a
/// dictionary under whatever name.
fn find<'a>(outputs: &'a Features, name: &str) -> anyhow::Result<&'a Value> {
    let renamed = || outputs.get(&format!("{name}_workaround"));
    let dict = || outputs.values().find(|v| matches!(v, Value::Dict(_)));
    let found = outputs.get(name).or_else(renamed).or_else(dict);
    found.with_context(|| format!("there is no output {name}"))
}

fn numbers(value: &Value) -> anyhow::Result<Vec<f64>> {
    Ok(match value {
        Value::Dict(d) => d.values.to_f64s()?,
        other => other.tensor()?.to_f64s()?,
    })
}

fn measure(have: &Value, want: &Value) -> anyhow::Result<Nearness> {
    if let (Value::Tensor(h), Value::Tensor(w)) = (have, want) {
        let count = |dims: &[u64]| dims.iter().filter(|&&d| d != 1).copied().collect::<Vec<_>>();
        ensure!(count(h.dims()) == count(w.dims()), "{:?} where torch has {:?}", h.dims(), w.dims());
    }
    if let (Value::Tensor(h), Value::Tensor(w)) = (have, want)
        && let (Some(h), Some(w)) = (h.as_texts(), w.as_texts())
    {
        ensure!(h == w, "{h:?} where torch has {w:?}");
        return Ok(Nearness::Equal);
    }
    let (have, want) = (numbers(have)?, numbers(want)?);
    ensure!(have.len() == want.len(), "{} numbers where torch has {}", have.len(), want.len());
    if have == want {
        return Ok(Nearness::Equal);
    }
    let peak = want.iter().fold(0f64, |m, v| m.max(v.abs()));
    let square = have.iter().zip(&want).map(|(h, w)| (h - w).powi(2)).sum::<f64>() / want.len() as f64;
    Ok(Nearness::Psnr(20.0 * (peak / square.sqrt()).log10()))
}

fn worse(a: Nearness, b: Nearness) -> Nearness {
    match (a, b) {
        (Nearness::Psnr(x), Nearness::Psnr(y)) => {
            Nearness::Psnr(if x.is_nan() || y.is_nan() { f64::NAN } else { x.min(y) })
        }
        (Nearness::Psnr(x), _) | (_, Nearness::Psnr(x)) => Nearness::Psnr(x),
        _ => Nearness::Equal,
    }
}

fn shown(nearness: Nearness) -> String {
    match nearness {
        Nearness::Equal => "equal".into(),
        Nearness::Psnr(db) => format!("{db:.1} dB"),
    }
}

fn line(row: &Row) -> String {
    let mark = if near(row) { "" } else { "  UNDER THE LIMIT" };
    format!("{} {}: {} ({:.2} s){mark}", row.model, row.output, shown(row.nearness), row.seconds)
}

fn page(rows: &[Row], broken: &[String]) -> String {
    let mut out = String::from(
        "# The evaluator against torch\n\nWritten by `cargo xtask corpus-eval --models CORPUS --page \
         docs/evaluator-corpus.md`.\n\nEach model of the corpus, evaluated in fp32, against what torch computed on the \
         same inputs: the worst PSNR over the samples, which is torch's largest number over the root mean square of the \
         difference. Models whose weights are fp32 must reach 100 dB, those with fp16 weights 44 dB; in compressed ones \
         the weights were rounded after torch computed, so that the figure says how much that costs.\n\n\
         | model | output | PSNR | limit |\n|---|---|---:|---:|\n",
    );
    for row in rows {
        let limit = if row.limit > 0.0 { format!("{:.0} dB", row.limit) } else { String::new() };
        // writing to a string does not fail
        let _ = writeln!(out, "| {} | `{}` | {} | {limit} |", row.model, row.output, shown(row.nearness));
    }
    if !broken.is_empty() {
        out += "\n## Not run\n\n";
        broken.iter().for_each(|b| {
            let _ = writeln!(out, "- {b}");
        });
    }
    out
}
