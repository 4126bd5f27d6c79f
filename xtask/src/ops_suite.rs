//! `cargo xtask ops-suite`: coremltools' own tests with our evaluator in the place of Core ML.
//!
//! The wheel of coremltools carries the tests of its ops and layers, whose expected numbers its makers check on the real
//! runtime. A pytest plugin (xtask/python/anewrite_predict.py) answers `MLModel.predict` from a process of this command.
//! A test counts where it predicted; each one that fails must be named in xtask/python/explained.toml with a reason that
//! lies outside of the evaluator.

mod summary;
mod worker;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use self::summary::Summary;

/// Where the wheel has the tests of ops and layers.
const SUITES: &[&str] = &[
    "coremltools.converters.mil.mil.ops.tests",
    "coremltools.test.neural_network.test_numpy_nn_layers",
    "coremltools.test.neural_network.test_simple_nn_inference",
];

/// Run coremltools' tests of ops and layers against the evaluator.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A Python with coremltools 9.0, torch 2.7 and pytest.
    #[arg(long, value_name = "PYTHON", required_unless_present_any = ["worker", "report"])]
    python: Option<PathBuf>,
    /// Judge the report of an earlier run, which the plugin wrote.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// At most this many cases of a test function; 0 for all.
    #[arg(long, default_value_t = 12)]
    most: usize,
    /// Only tests that this pytest expression selects.
    #[arg(long, short = 'k', value_name = "EXPRESSION")]
    only: Option<String>,
    /// Write the results as a page.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Answer predictions on the standard input; what the plugin starts.
    #[arg(long, hide = true)]
    worker: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.worker {
        return worker::serve();
    }
    let folder = tempfile::tempdir()?;
    let report = match (&args.report, &args.python) {
        (Some(report), _) => report.clone(),
        (None, Some(python)) => {
            let report = folder.path().join("report.jsonl");
            test(python, args, &report)?;
            report
        }
        (None, None) => bail!("--python is missing"),
    };
    let root = crate::workspace_root();
    let explained = std::fs::read_to_string(root.join("xtask/python/explained.toml"))?;
    let summary = Summary::read(&std::fs::read_to_string(&report)?, &explained)?;
    print!("{summary}");
    if let Some(page) = &args.page {
        std::fs::write(page, summary.page(args.most))
            .with_context(|| format!("writing {}", page.display()))?;
    }
    ensure!(summary.unexplained() == 0, "{} failures are not explained", summary.unexplained());
    if args.only.is_none() {
        let stale = summary.stale();
        ensure!(stale.is_empty(), "explained.toml names what does not fail: {stale:?}");
        ensure!(summary.share() >= 0.97, "{:.1}% pass, 97% are the aim", 100.0 * summary.share());
    }
    Ok(())
}

/// Runs pytest, whose exit status says nothing here: the report does.
fn test(python: &Path, args: &Args, report: &Path) -> anyhow::Result<()> {
    let here = std::env::current_exe().context("the path of this command")?;
    let mut command = Command::new(python);
    let plugin = crate::workspace_root().join("xtask/python");
    let path = match std::env::var_os("PYTHONPATH") {
        Some(old) => std::env::join_paths(std::iter::once(plugin).chain(std::env::split_paths(&old)))?,
        None => plugin.into(),
    };
    command
        .args(["-m", "pytest", "-q", "--no-header", "--tb=no", "-W", "ignore", "-p", "no:cacheprovider"])
        .args(["-p", "anewrite_predict", "--pyargs"])
        .args(SUITES)
        .arg(format!("--anewrite-worker={} ops-suite --worker", here.display()))
        .arg(format!("--anewrite-report={}", report.display()))
        .arg(format!("--anewrite-most={}", args.most))
        // both precisions: in fp16 the tests allow much more
        .env("INCLUDE_MIL_FP32_UNIT_TESTS", "1")
        .env("PYTHONPATH", path)
        .current_dir(report.parent().unwrap_or(Path::new(".")))
        .stdout(std::process::Stdio::null());
    if let Some(only) = &args.only {
        command.args(["-k", only]);
    }
    command.status().with_context(|| format!("running {}", python.display()))?;
    ensure!(report.exists(), "pytest made no report: are coremltools, torch and pytest installed?");
    Ok(())
}
