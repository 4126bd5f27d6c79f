//! The command that benches measure and the corpus is rewritten with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The given command, or the release build of this workspace.
pub(crate) fn release(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(command) = given {
        return std::path::absolute(command).context("the path of the command");
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = crate::workspace_root();
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "anewrite-cli"])
        .current_dir(root)
        .status()
        .context("building the command")?;
    ensure!(status.success(), "the command does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release").join(format!("anewrite{}", std::env::consts::EXE_SUFFIX)))
}
