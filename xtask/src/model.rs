//! `cargo xtask model`: writes one of the generated models, to look at or to measure with other tools.

use std::path::PathBuf;

use anewrite_testkit::models;
use clap::ValueEnum;

/// Write a generated model: the same arguments give the same bytes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What kind of model.
    kind: Kind,
    /// Where to write it; nothing may be there.
    output: PathBuf,
    /// Its size: computing ops of a mixed program, megabytes of weights of the large ones.
    #[arg(long)]
    size: u64,
    /// What its weights and the order of its blocks come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// An ML Program of many small ops.
    Mixed,
    /// An ML Program of large weights.
    LargeProgram,
    /// A NeuralNetwork of large weights.
    LargeNetwork,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    anyhow::ensure!(!args.output.exists(), "{} exists; choose another name", args.output.display());
    let bytes = args.size.saturating_mul(1_000_000);
    match args.kind {
        Kind::Mixed => models::mixed_program(&args.output, usize::try_from(args.size)?, args.seed)?,
        Kind::LargeProgram => models::large_program(&args.output, bytes, args.seed)?,
        Kind::LargeNetwork => models::large_network(&args.output, bytes, args.seed)?,
    }
    Ok(())
}
