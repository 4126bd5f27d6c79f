//! The `anewrite` command: arguments in, reports out. What it does is in the crate `anewrite`.

mod args;
mod commands;
mod fail;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Check(args) => commands::check::run(&args),
        Command::Rewrite(args) => commands::rewrite::run(&args),
        Command::Upgrade(args) => commands::upgrade::run(&args),
        Command::Show(args) => commands::show::run(&args),
        Command::Diff(args) => commands::diff::run(&args),
        Command::Verify(args) => commands::verify::run(&args),
        Command::Run(args) => commands::run::run(&args),
        Command::Rules(args) => commands::rules::run(&args),
        Command::Devices(args) => commands::devices::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Completions(args) => commands::generate::completions(&args),
        Command::Man(args) => commands::generate::man(&args),
    };
    done.unwrap_or_else(|failure| failure.report())
}
