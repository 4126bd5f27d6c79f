//! Chores of this workspace, run as `cargo xtask <subcommand>`.
//!
//! One file per subcommand. Each has an `Args` type for its options and a `run` that does the work; to add one, add the
//! module, a variant of [`Task`] and its arm in [`main`].

// A command-line tool talks to its user on the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod ane;
mod bench;
mod command;
mod corpus;
mod corpus_eval;
mod corpus_upgrade;
mod layers_onnx;
mod layers_table;
mod model;
mod ops_suite;
mod ops_table;
mod proto;
mod tidy;

use clap::{Parser, Subcommand};

/// Chores of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Ane(ane::Args),
    Bench(bench::Args),
    Corpus(corpus::Args),
    CorpusEval(corpus_eval::Args),
    CorpusUpgrade(corpus_upgrade::Args),
    LayersOnnx(layers_onnx::Args),
    LayersTable(layers_table::Args),
    Model(model::Args),
    OpsSuite(ops_suite::Args),
    OpsTable(ops_table::Args),
    Proto(proto::Args),
    Tidy(tidy::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Ane(args) => ane::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Corpus(args) => corpus::run(&args),
        Task::LayersOnnx(args) => layers_onnx::run(&args),
        Task::LayersTable(args) => layers_table::run(&args),
        Task::CorpusEval(args) => corpus_eval::run(&args),
        Task::CorpusUpgrade(args) => corpus_upgrade::run(&args),
        Task::Model(args) => model::run(&args),
        Task::OpsSuite(args) => ops_suite::run(&args),
        Task::OpsTable(args) => ops_table::run(&args),
        Task::Proto(args) => proto::run(&args),
        Task::Tidy(args) => tidy::run(&args),
    }
}

/// The folder that holds the workspace's `Cargo.toml`.
fn workspace_root() -> &'static std::path::Path {
    let xtask = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}
