//! `cargo xtask ane`: checks what is known of the Neural Engine, and how well it agrees with measurements.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anewrite_ane::{check, known_ops, score};
use anyhow::{Context, bail};

/// Check the capability tables of crates/ane, or score them against a planner's annotations.
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    /// Every op and layer has a row, every row a source, every limit a use or a reason why not.
    #[arg(long)]
    check: bool,
    /// A table of ops with the planner's annotations: print how far eligibility, prices and choices agree.
    #[arg(long, value_name = "TABLE")]
    score: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.check {
        check_tables()?;
    }
    if let Some(path) = &args.score {
        let table = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let score = score(&table).map_err(|fault| anyhow::anyhow!("{}: {fault}", path.display()))?;
        println!("{score}");
        if !score.differences.is_empty() {
            bail!("{} differences", score.differences.len());
        }
    }
    Ok(())
}

fn check_tables() -> anyhow::Result<()> {
    let known: BTreeSet<_> = known_ops().collect();
    let mut faults = check(known.iter().copied());
    let layers = layers()?;
    let listed: BTreeSet<_> =
        known.iter().filter_map(|op| op.strip_prefix("nn.")).map(str::to_owned).collect();
    faults
        .extend(layers.difference(&listed).map(|layer| format!("layer {layer} of the schema is not listed")));
    faults.extend(
        listed.difference(&layers).map(|layer| format!("layer {layer} is listed and not in the schema")),
    );
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    let ops = known.iter().filter(|op| !op.starts_with("nn.") && **op != "model").count();
    println!("{ops} ops and {} layers have rows; rows, limits and sources are sound", layers.len());
    Ok(())
}

/// The layer types of the NeuralNetwork schema.
fn layers() -> anyhow::Result<BTreeSet<String>> {
    let schema = protox::compile(["NeuralNetwork.proto"], [crate::workspace_root().join("proto")])?;
    let messages = schema.file.iter().flat_map(|file| &file.message_type);
    let layer =
        messages.clone().find(|m| m.name() == "NeuralNetworkLayer").context("no NeuralNetworkLayer")?;
    let choice =
        layer.oneof_decl.iter().position(|choice| choice.name() == "layer").context("no choice of layers")?;
    let fields = layer.field.iter().filter(|field| field.oneof_index.is_some_and(|i| i as usize == choice));
    Ok(fields.map(|field| field.name().to_owned()).collect())
}
