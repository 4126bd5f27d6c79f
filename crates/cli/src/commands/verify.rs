//! `anewrite verify`, and the words for what was verified.

use std::io::Write;
use std::process::ExitCode;

use anewrite::{
    ComparisonReport, Features, Mode, Model, ModelReport, OutputReport, VerifiedReport, VerifyOptions,
};

use super::{json, stdout};
use crate::args::{Format, Proof, Runs, Thoroughness, Verify};
use crate::fail::Failure;
use crate::progress::Spinner;

/// The options that `rewrite` and `verify` share.
fn options(runs: &Runs, how: Thoroughness) -> Result<VerifyOptions, Failure> {
    let mode = match how {
        Thoroughness::Fast => Mode::Fast,
        Thoroughness::Full => Mode::Full,
    };
    let mut inputs = Vec::with_capacity(runs.inputs.len());
    for files in &runs.inputs {
        let mut features = Features::new();
        for file in files.split(',') {
            features.extend(anewrite::read_features(file)?);
        }
        inputs.push(features);
    }
    Ok(VerifyOptions { mode, memory: runs.memory, seed: runs.seed, inputs, ..VerifyOptions::default() })
}

/// How `rewrite` and `upgrade` compare their result with the original; `None` where the user does not want that.
pub(crate) fn proof(args: &Proof) -> Result<Option<VerifyOptions>, Failure> {
    if args.no_verify {
        return Ok(None);
    }
    let options = options(&args.runs, args.verify)?;
    Ok(Some(VerifyOptions { keep_going: args.keep_going, ..options }))
}

pub(crate) fn run(args: &Verify) -> Result<ExitCode, Failure> {
    let (before, after) = (Model::open(&args.before)?, Model::open(&args.after)?);
    let options = VerifyOptions { tolerance: args.tolerance, ..options(&args.runs, args.verify)? };
    if let Some(folder) = &args.export {
        let written = anewrite::export_cases(&before, &options, folder)?;
        let mut err = anstream::stderr().lock();
        writeln!(err, "wrote {} files to {}", written.len(), folder.display())?;
    }
    let spinner = Spinner::start("comparing");
    let report = anewrite::verify(&before, &after, &options, &mut |event| spinner.event(&event))?;
    drop(spinner);
    let mut out = stdout();
    match args.format {
        Format::Json => json(&mut out, &report)?,
        Format::Text => text(&mut out, &report)?,
    }
    out.flush()?;
    Ok(if report.equal { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn text(out: &mut dyn Write, report: &ComparisonReport) -> Result<(), Failure> {
    for part in &report.parts {
        if !part.path.is_empty() {
            writeln!(out, "{}:", part.path)?;
        }
        model(out, &part.model)?;
    }
    if let Some(first) = &report.first {
        let sampled = if first.sampled { " (some elements of each value were compared)" } else { "" };
        writeln!(out, "the models part at {} {}: {}{sampled}", first.kind, first.name, first.how)?;
    }
    match &report.wrong {
        None => writeln!(out, "the models agree")?,
        Some(wrong) => writeln!(out, "the models differ: {wrong}")?,
    }
    Ok(())
}

/// The patches of a rewrite.
pub(crate) fn patches(out: &mut dyn Write, report: &VerifiedReport) -> Result<(), Failure> {
    for part in &report.parts {
        let p = &part.patches;
        write!(
            out,
            "patches: {} compared with what they replace, {} of them different",
            p.patches, p.distinct
        )?;
        if p.in_context > 0 {
            write!(out, ", {} equal only where they stand", p.in_context)?;
        }
        if p.sampled > 0 {
            write!(out, ", {} on fewer inputs because of their size", p.sampled)?;
        }
        writeln!(out)?;
        for note in &p.unchecked {
            writeln!(out, "patch {} at {} could not be run alone: {}", note.code, note.at, note.what)?;
        }
        for note in p.left_out.iter().chain(&part.left_out) {
            writeln!(out, "left out: {} at {}: {}", note.code, note.at, note.what)?;
        }
    }
    Ok(())
}

/// One network.
pub(crate) fn model(out: &mut dyn Write, report: &ModelReport) -> Result<(), Failure> {
    for note in &report.inputs {
        writeln!(out, "input {note}")?;
    }
    for (_, plan) in &report.plans {
        if let Some(sampled) = &plan.sampled {
            writeln!(out, "sampled: {sampled}")?;
        }
    }
    for why in &report.not_run {
        writeln!(out, "not compared: {why}")?;
    }
    for o in &report.outputs {
        output(out, o)?;
    }
    Ok(())
}

pub(crate) fn output(out: &mut dyn Write, o: &OutputReport) -> Result<(), Failure> {
    let d = &o.difference;
    let psnr = d.psnr.map_or("no difference".into(), |p| format!("PSNR {p:.1} dB"));
    let what = if o.decided { " (the value behind it)" } else { "" };
    write!(
        out,
        "{} {}{what}: max abs {:.2e}, max rel {:.2e}, {psnr}, cosine {:.9}",
        o.name, o.arithmetic, d.max_abs, d.max_rel, d.cosine
    )?;
    if let Some(own) = &o.original {
        write!(out, "; RMS error {:.2e}, the original's {:.2e}, allowed {:.2e}", d.rms, own.rms, o.allowed)?;
    }
    if d.healed > 0 {
        write!(out, "; {} elements are finite that were not", d.healed)?;
    }
    if o.near_ties > 0 {
        write!(out, "; {} near ties decided otherwise", o.near_ties)?;
    }
    match &o.wrong {
        Some(wrong) => writeln!(out, "; WRONG: {wrong} ({})", o.case)?,
        None => writeln!(out)?,
    }
    Ok(())
}
