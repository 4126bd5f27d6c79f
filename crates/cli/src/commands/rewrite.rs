//! `anewrite rewrite`

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use anewrite::{
    Model, PartReport, Progress, Report, RewriteOptions, Rewritten, Selection, Table, Target, Verification,
    WriteOptions,
};

use super::{json, stdout, verify};
use crate::args::{Format, Rewrite, Rewriting};
use crate::fail::Failure;
use crate::progress::{self, Spinner};

pub(crate) fn run(args: &Rewrite) -> Result<ExitCode, Failure> {
    let options = RewriteOptions {
        target: target(&args.rules)?,
        selection: selection(&args.rules)?,
        stop_after: args.stop_after,
        verify: verify::proof(&args.proof)?,
        why: args.why.as_deref().map(|c| anewrite::rule(c).map(|r| r.info().code)).transpose()?,
    };
    let output = args.output.as_ref().filter(|_| !args.dry_run);
    let write = WriteOptions::new().force(args.force).fsync(args.fsync).input(&args.input);
    if let Some(output) = output {
        anewrite::check_output(&args.input, output, &write)?;
    }
    let spinner = Spinner::start("rewriting");
    let model = Model::open(&args.input)?;
    let mut rewritten = anewrite::rewrite_with(&model, &options, &mut |event| spinner.event(&event))?;
    drop(spinner);
    if let Some(output) = output {
        let bar = progress::bytes(model.byte_len());
        let step = bar.clone();
        let written = rewritten.write(output, &write.progress(Progress::new(move |n| step.inc(n))));
        bar.finish_and_clear();
        if let Some(leftover) = written?.leftover {
            let mut err = anstream::stderr().lock();
            writeln!(err, "warning: what was replaced could not be removed: {}", leftover.display())?;
        }
    }
    let mut out = stdout();
    match args.format {
        Format::Json => json(&mut out, &with_diff(&rewritten, args.diff)?)?,
        Format::Text => text(&mut out, args, &rewritten)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// For whom a model is rewritten, if the user says.
pub(crate) fn target(args: &Rewriting) -> Result<Option<Target>, Failure> {
    Ok(args.target.as_deref().map(Target::parse).transpose().map_err(anewrite::Error::from)?)
}

/// The rules that the user chose.
pub(crate) fn selection(args: &Rewriting) -> Result<Selection, Failure> {
    let selection = Selection::new(&args.select, &args.ignore)?;
    Ok(selection.force(&args.force_rule)?.approximate(args.allow.is_some()))
}

fn with_diff(rewritten: &Rewritten<'_>, diff: bool) -> Result<serde_json::Value, Failure> {
    let mut report = serde_json::to_value(&rewritten.report)?;
    if let (true, Some(fields)) = (diff, report.as_object_mut()) {
        fields.insert("diff".into(), serde_json::to_value(rewritten.diff())?);
    }
    Ok(report)
}

fn text(out: &mut dyn Write, args: &Rewrite, rewritten: &Rewritten<'_>) -> Result<(), Failure> {
    let report = &rewritten.report;
    if args.diff {
        let diff = rewritten.diff();
        if !diff.is_empty() {
            writeln!(out, "{diff}")?;
        }
    }
    for part in &report.parts {
        if !part.path.is_empty() {
            writeln!(out, "{}:", part.path)?;
        }
        firings(out, part)?;
        for miss in &part.near_misses {
            writeln!(
                out,
                "{} does not fire at {} {}: {}",
                args.why.as_deref().unwrap_or(""),
                miss.kind,
                miss.op,
                miss.why
            )?;
        }
        let whole = report.parts.len() == 1;
        let bytes = report.bytes_after.filter(|_| whole).map(|after| (report.bytes_before, after));
        sizes(out, part, bytes)?;
        plans(out, part)?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    summary(out, args, report)
}

/// Firings of one rule whose notes are shown; JSON has all.
const NOTES: usize = 8;

/// What fired: many firings of one rule are one line.
pub(crate) fn firings(out: &mut dyn Write, part: &PartReport) -> Result<(), Failure> {
    let codes: BTreeSet<(&str, &str)> = part.firings.iter().map(|f| (f.code.as_str(), f.name)).collect();
    for (code, name) in codes {
        let of_code: Vec<_> = part.firings.iter().filter(|f| f.code == code).collect();
        let removed: usize = of_code.iter().map(|f| f.removed.len()).sum();
        let added: usize = of_code.iter().map(|f| f.added.len()).sum();
        let places: Vec<&str> = of_code.iter().take(3).map(|f| f.at.as_str()).collect();
        let more = if of_code.len() > places.len() { ", ..." } else { "" };
        writeln!(
            out,
            "{code} {name}: {} times, -{removed} +{added} ops, at {}{more}",
            of_code.len(),
            places.join(", ")
        )?;
        for f in of_code.iter().filter(|f| !f.notes.is_empty()).take(NOTES) {
            for note in &f.notes {
                writeln!(out, "  {}: {note}", f.at)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn sizes(
    out: &mut dyn Write,
    part: &PartReport,
    bytes: Option<(u64, u64)>,
) -> Result<(), Failure> {
    let mut table = Table::new(&part.before, &part.after);
    table.rows.retain(|r| r.before != r.after || !r.what.starts_with(' '));
    if let Some((before, after)) = bytes {
        table.push("file size (bytes)", before, after);
    }
    Ok(write!(out, "{table}")?)
}

/// A line for each set of families that plan the network alike.
pub(crate) fn plans(out: &mut dyn Write, part: &PartReport) -> Result<(), Failure> {
    for p in &part.plans {
        let (b, a) = (&p.before, &p.after);
        write!(
            out,
            "plan on {}: eligible {:.1} -> {:.1} %, segments on the engine {} -> {}, boundaries {} -> {}",
            p.families.join(", "),
            b.eligible * 100.0,
            a.eligible * 100.0,
            b.segments,
            a.segments,
            b.boundaries,
            a.boundaries
        )?;
        if let (Some(before), Some(after)) = (b.ms, a.ms) {
            let whose = if p.estimates == "measured" { "" } else { ", by an M4's planner" };
            write!(out, ", estimated {before:.4} -> {after:.4} ms{whose}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn summary(out: &mut dyn Write, args: &Rewrite, report: &Report) -> Result<(), Failure> {
    writeln!(out, "for {}", report.target.join(", "))?;
    match &report.verified {
        Verification::NotVerified { why } if report.changed => writeln!(out, "not verified: {why}")?,
        Verification::NotVerified { .. } => {}
        Verification::PatchesOnly { why, report } => {
            verify::patches(out, report)?;
            writeln!(out, "the whole model is not verified: {why}")?;
        }
        Verification::Verified(report) => {
            verify::patches(out, report)?;
            for part in &report.parts {
                verify::model(out, &part.model)?;
            }
            writeln!(out, "verified: equal to the original, {:.2} s", report.seconds)?;
        }
    }
    let done = match (&args.output, report.bytes_after) {
        (Some(path), Some(bytes)) => {
            let what = if report.changed { "rewritten" } else { "nothing to rewrite; copied as it is" };
            format!("{what}: {} ({bytes} bytes)", path.display())
        }
        _ if report.changed => "nothing was written (dry run)".to_owned(),
        _ => "nothing to rewrite".to_owned(),
    };
    Ok(writeln!(out, "{done}, {:.2} s", report.seconds)?)
}
