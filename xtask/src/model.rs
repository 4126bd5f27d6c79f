//! `cargo xtask model`: writes one of the generated models, to look at or to measure with other tools.

use std::path::PathBuf;

use anewrite_testkit::models::{self, Chain};
use anyhow::Context;
use clap::ValueEnum;

/// Write a generated model: the same arguments give the same bytes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What kind of model.
    kind: Kind,
    /// Where to write it; nothing may be there.
    output: PathBuf,
    /// Which chain, by its name in anewrite_testkit::models::Chain.
    #[arg(long, required_if_eq("kind", "chain"))]
    chain: Option<String>,
    /// Its size: computing ops of a mixed program or a chain, megabytes of weights of the large ones.
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
    /// An ML Program that is one long chain.
    Chain,
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
        Kind::Chain => {
            let name = args.chain.as_deref().unwrap_or_default();
            let chain = Chain::ALL.iter().find(|chain| format!("{chain:?}").eq_ignore_ascii_case(name));
            let chain = *chain.with_context(|| format!("no chain `{name}`; there are {:?}", Chain::ALL))?;
            models::chain_program(&args.output, chain, usize::try_from(args.size)?)?;
        }
        Kind::LargeProgram => models::large_program(&args.output, bytes, args.seed)?,
        Kind::LargeNetwork => models::large_network(&args.output, bytes, args.seed)?,
    }
    Ok(())
}
