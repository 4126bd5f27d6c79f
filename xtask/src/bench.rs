//! `cargo xtask bench`: the figures of docs/benchmarks.md, each against something measured in the same run.
//!
//! One file per figure. Times are of whole processes, the command's start included; what is compared runs in turn, so
//! that a busy machine slows both down. Memory is sampled from the system while the command runs, in runs of its own.

mod check;
mod forward;
mod memory;
mod network;
mod passes;
mod scaling;
mod stats;
mod weights;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::ValueEnum;

/// Measure speed and memory against coremltools, cp and torch.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A Python with coremltools 9.0 (xtask/python/requirements.txt) and, for forward passes, torch, to compare with.
    #[arg(long, value_name = "PYTHON", required_if_eq_any([("only", "passes"), ("only", "forward")]))]
    python: Option<PathBuf>,
    /// Measure only these.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Figure>,
    /// A folder in memory with 10 GB of room.
    #[arg(long, value_name = "FOLDER", default_value = "/dev/shm")]
    scratch: PathBuf,
    /// Measure this command instead of building the one here.
    #[arg(long, value_name = "PATH")]
    command: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// A program of 2,000 computing ops, against coremltools' default passes.
    Passes,
    /// A program of 2,000 computing ops, checked.
    Check,
    /// Cost of an op in programs of 2,000 to 32,000.
    Scaling,
    /// A package of 3 GB whose weights are not touched, against cp.
    Weights,
    /// Memory for a NeuralNetwork of 500 MB.
    Network,
    /// Forward passes of three networks, against torch.
    Forward,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let wanted = |figure| args.only.is_empty() || args.only.contains(&figure);
    let folder =
        tempfile::Builder::new().prefix("anewrite-bench-").tempdir_in(&args.scratch).with_context(|| {
            format!("making a folder in {}; --scratch chooses another", args.scratch.display())
        })?;
    let bench = Bench {
        command: crate::command::release(args.command.as_deref())?,
        folder: folder.path().to_owned(),
    };
    println!("{}", machine());
    let mut lines = Vec::new();
    if wanted(Figure::Passes) {
        let python = args.python.as_deref().context("--python is needed to compare with coremltools")?;
        lines.extend(passes::measure(&bench, python)?);
    }
    if wanted(Figure::Check) {
        lines.extend(check::measure(&bench)?);
    }
    if wanted(Figure::Scaling) {
        lines.extend(scaling::measure(&bench)?);
    }
    if wanted(Figure::Weights) {
        lines.extend(weights::measure(&bench)?);
    }
    if wanted(Figure::Network) {
        lines.extend(network::measure(&bench)?);
    }
    if wanted(Figure::Forward) {
        let python = args.python.as_deref().context("--python is needed to compare with torch")?;
        lines.extend(forward::measure(&bench, python)?);
    }
    println!("\n| figure | target | measured | |\n|---|---|---|---|");
    for line in &lines {
        println!(
            "| {} | {} | {} | {} |",
            line.what,
            line.target,
            line.measured,
            if line.met { "met" } else { "MISSED" }
        );
    }
    let missed = lines.iter().filter(|line| !line.met).count();
    ensure!(missed == 0, "{missed} of {} targets missed", lines.len());
    Ok(())
}

/// A figure with its target.
struct Line {
    what: String,
    target: String,
    measured: String,
    met: bool,
}

/// What is measured, and where.
struct Bench {
    command: PathBuf,
    folder: PathBuf,
}

impl Bench {
    /// A path in the folder for measurements.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The command that rewrites `input` to `output`, which may exist.
    fn rewrite(&self, input: &Path, output: &Path) -> Command {
        let mut command = Command::new(&self.command);
        command.arg("rewrite").arg(input).arg("-o").arg(output).args(["--force", "--no-verify"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null());
        command
    }

    /// The command that checks a model, with or without the dry run of the rules.
    fn check(&self, model: &Path, rules: bool) -> Command {
        let mut command = Command::new(&self.command);
        command.arg("check").arg(model).args(["--fail-on", "never"]).args((!rules).then_some("--no-rules"));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null());
        command
    }
}

/// Wall time of a process that must succeed.
fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    let wall = start.elapsed();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(wall)
}

/// Removes a file or folder that may not exist.
fn remove(path: &Path) -> anyhow::Result<()> {
    let done = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match done {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// One line on the machine: figures without it say little.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model =
        cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown");
    format!(
        "{} {}, {cores} cores, {}; load {load} at the start",
        std::env::consts::OS,
        std::env::consts::ARCH,
        model.unwrap_or("processor unknown"),
    )
}
