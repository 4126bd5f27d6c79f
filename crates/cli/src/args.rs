//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Makes existing Core ML models run on the Apple Neural Engine.
#[derive(Debug, Parser)]
#[command(name = "anewrite", version, max_term_width = 100)]
#[command(after_help = "Exit codes:
  0  done
  1  `diff` and `verify`: the models differ; `check`: what --fail-on names was found
  2  wrong usage, or an input that cannot be read or an output that cannot be written
  3  a rewrite is not equal to what it replaces; nothing was written")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell what keeps a model off the engine, and what a rewrite would change
    Check(Check),
    /// Rewrite a model so that the engine can run more of it
    Rewrite(Rewrite),
    /// Make an ML Program of a NeuralNetwork
    Upgrade(Upgrade),
    /// Print a model as MIL text
    Show(Show),
    /// List what differs between two models, op by op
    Diff(Diff),
    /// Compare two models with the same interface on the same inputs
    Verify(Verify),
    /// Run a model on inputs from files, on any machine
    Run(Run),
    /// List the rules
    Rules(Rules),
    /// List devices with their chips, engine families and systems: what --target takes
    Devices(Devices),
    /// Print the page of a rule (M001), a finding (ANE021), a limit (LIM-CONV-KW), or what is known of an op (max_pool)
    Explain(Explain),
    /// Write a page made from the tables
    Report(Report),
    /// Write a completion script for a shell to the standard output
    Completions(Completions),
    /// Write man pages into a folder
    Man(Man),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: a versioned form
    Json,
}

/// The forms of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people
    #[default]
    Text,
    /// For programs: a versioned form
    Json,
    /// For code review tools: SARIF 2.1.0
    Sarif,
}

/// What makes a check end with exit code 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// A finding that a rule fixes
    #[default]
    Fixable,
    /// An error: ops that are known to stay off the engine
    Error,
    /// An error or a warning
    Warning,
    /// Nothing
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The model: a .mlmodel file, a .mlpackage folder or a compiled .mlmodelc folder
    pub(crate) model: PathBuf,
    /// Devices, chips, families or systems to check for, with commas between: iphone-13, m1, a14+, h13, ios17.
    /// By default all that the model's lowest system runs on
    #[arg(long, value_name = "NAMES")]
    pub(crate) target: Option<String>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: CheckFormat,
    /// What makes the exit code 1
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) fail_on: FailOn,
    /// List every op of every finding, and the model's text with the place of each op
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// A plan measured on a Mac (docs/check.md tells how): shown beside the prediction, with what differs
    #[arg(long, value_name = "PLAN.json")]
    pub(crate) compute_plan: Option<PathBuf>,
    /// Do not try the rules, which tells what they would fix
    #[arg(long)]
    pub(crate) no_rules: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rewrite {
    /// The model: a .mlmodel file or a .mlpackage folder
    pub(crate) input: PathBuf,
    /// Where to write the rewritten model
    #[arg(short, long, value_name = "PATH", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rules: Rewriting,
    /// Say what would be done and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the change, op by op
    #[arg(long)]
    pub(crate) diff: bool,
    /// Replace the output if there is one
    #[arg(long)]
    pub(crate) force: bool,
    /// Make the output survive a loss of power right after the command
    #[arg(long)]
    pub(crate) fsync: bool,
    /// Keep only the first N firings of each network
    #[arg(long, value_name = "N")]
    pub(crate) stop_after: Option<u32>,
    /// Say where this rule came nearest to firing and what it missed
    #[arg(long, value_name = "CODE")]
    pub(crate) why: Option<String>,
    #[command(flatten)]
    pub(crate) proof: Proof,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// For whom a model is rewritten, and by which rules.
#[derive(Debug, Args)]
pub(crate) struct Rewriting {
    /// Devices, chips, families or systems to rewrite for, with commas between: iphone-13, m1, a14+, h13, ios17.
    /// By default all that the model's lowest system runs on
    #[arg(long, value_name = "NAMES")]
    pub(crate) target: Option<String>,
    /// Use only these rules: codes (M001) or letters of groups (M)
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub(crate) select: Vec<String>,
    /// Leave these rules out
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Fire these rules wherever they apply, whether or not the target gains
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    pub(crate) force_rule: Vec<String>,
    /// Allow rules that are not exact
    #[arg(long, value_name = "GRADE", value_parser = ["approximate"])]
    pub(crate) allow: Option<String>,
}

/// How a result is compared with the original.
#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// Do not compare the result with the original
    #[arg(long, conflicts_with_all = ["verify", "inputs", "keep_going", "seed", "memory"])]
    pub(crate) no_verify: bool,
    /// How thoroughly to compare the result with the original
    #[arg(long, value_enum, default_value_t)]
    pub(crate) verify: Thoroughness,
    /// Leave out patches that are not equal to what they replace, and go on
    #[arg(long)]
    pub(crate) keep_going: bool,
    #[command(flatten)]
    pub(crate) runs: Runs,
}

/// How models are run to be compared.
#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Compare on these inputs in place of random ones: .npz files with arrays, .json files with texts and
    /// dictionaries, with commas between. Given again, one prediction follows the other
    #[arg(long, value_name = "FILES")]
    pub(crate) inputs: Vec<String>,
    /// The most memory for values, such as 4G or 512M
    #[arg(long, value_name = "SIZE", default_value = "8G", value_parser = size)]
    pub(crate) memory: u64,
    /// Where random numbers start
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thoroughness {
    /// A few inputs in each shape, for up to a minute
    #[default]
    Fast,
    /// More inputs, for up to ten minutes
    Full,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The model that counts as right
    pub(crate) before: PathBuf,
    /// The model that is compared with it
    pub(crate) after: PathBuf,
    /// How thoroughly
    #[arg(long, value_enum, default_value_t)]
    pub(crate) verify: Thoroughness,
    /// The share of an output's scale that it may be off in fp64
    #[arg(long, value_name = "SHARE", default_value_t = 1e-9)]
    pub(crate) tolerance: f64,
    /// Write the inputs into this folder, with a Python script that compares both models on a Mac, on the CPU and on
    /// the engine
    #[arg(long, value_name = "FOLDER")]
    pub(crate) export: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) runs: Runs,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The model: a .mlmodel file, a .mlpackage folder or a compiled .mlmodelc folder
    pub(crate) model: PathBuf,
    /// Do not digest constants, which reads all weights
    #[arg(long)]
    pub(crate) no_digest: bool,
    /// Print inferred types, with names for unknown dims, in place of the stored ones
    #[arg(long)]
    pub(crate) inferred: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The model before
    pub(crate) before: PathBuf,
    /// The model after
    pub(crate) after: PathBuf,
    /// How to print the difference
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The model: a .mlmodel file or a .mlpackage folder
    pub(crate) model: PathBuf,
    /// Inputs of a prediction: .npz files with arrays, .json files with texts and dictionaries, with commas between.
    /// Given again, one prediction follows the other and states keep their content
    #[arg(long, value_name = "FILES", required = true)]
    pub(crate) inputs: Vec<String>,
    /// Where to write the outputs: a .npz file, with a .json file beside it for what is no array, or a .json file. Of
    /// several predictions the later ones go to NAME.1.npz and so on
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// How floats are computed
    #[arg(long, value_name = "NAME", default_value = "fp32", value_parser = ["fp64", "fp32", "ane16"])]
    pub(crate) arithmetic: String,
    /// The function of a model with several
    #[arg(long, value_name = "NAME")]
    pub(crate) function: Option<String>,
    /// Write every tensor that is computed, besides the outputs
    #[arg(long)]
    pub(crate) intermediates: bool,
    /// Print where values leave what fp16 can hold: extremes, overflow, underflow, sums
    #[arg(long)]
    pub(crate) ranges: bool,
    /// The most memory for values, such as 4G or 512M
    #[arg(long, value_name = "SIZE", default_value = "16G", value_parser = size)]
    pub(crate) memory: u64,
    /// What random ops draw from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// The model: a .mlmodel file with a NeuralNetwork, or a pipeline of such
    pub(crate) input: PathBuf,
    /// Where to write the .mlpackage folder
    #[arg(short, long, value_name = "PATH", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    /// The lowest iOS that the ML Program is to run on
    #[arg(long, value_name = "VERSION", default_value = "15", value_parser = ["15", "16", "17", "18"])]
    pub(crate) ios: String,
    /// What it computes in: fp16, as the engine does, or fp32
    #[arg(long, value_name = "TYPE", default_value = "fp16", value_parser = ["fp16", "fp32"])]
    pub(crate) precision: String,
    #[command(flatten)]
    pub(crate) rules: Rewriting,
    /// Say what would be done and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replace the output if there is one
    #[arg(long)]
    pub(crate) force: bool,
    /// Make the output survive a loss of power right after the command
    #[arg(long)]
    pub(crate) fsync: bool,
    #[command(flatten)]
    pub(crate) proof: Proof,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// A number of bytes with a unit of powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last().map(u8::to_ascii_uppercase) {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("{text} is no size; write a number with K, M or G"))
}

#[derive(Debug, Args)]
pub(crate) struct Rules {
    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A rule, a finding, a limit, a row of the tables, an op or a layer (nn.concatND)
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Devices {
    /// Only those of this name: a device, a chip, a family, a platform, or a part of a name
    pub(crate) name: Option<String>,
    /// How to print the list
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(subcommand)]
    pub(crate) what: ReportWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportWhat {
    /// Every op and layer with what is known of it on each family, as Markdown
    Ops {
        /// Where to write it; by default to the standard output
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder, which must exist
    pub(crate) folder: PathBuf,
}
