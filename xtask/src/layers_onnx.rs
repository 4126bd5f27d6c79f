//! `cargo xtask layers-onnx`: a second source for the older NeuralNetwork layers. Their golden cases, which the evaluator
//! is tested to give, against what onnxruntime computes of them as converted by onnxmltools' Core ML importer.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

/// Compare the golden cases of older layers with onnxmltools and onnxruntime.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The interpreter of an environment with the versions in xtask/python/requirements-onnx.txt.
    #[arg(long)]
    python: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let root = crate::workspace_root();
    let status = Command::new(&args.python)
        .arg(root.join("xtask/python/layers_onnx.py"))
        .arg(root.join("crates/nn/tests/golden/layers.json"))
        .status()
        .with_context(|| format!("running {}", args.python.display()))?;
    ensure!(status.success(), "a layer differs without a known reason, or the script failed");
    Ok(())
}
