//! `anewrite upgrade`

use std::io::Write;
use std::process::ExitCode;

use anewrite::{
    DType, Model, Opset, UpgradeOptions, UpgradeReport, UpgradeVerification, Upgraded, Verification,
    WriteOptions,
};

use super::{json, rewrite, stdout, verify};
use crate::args::{Format, Upgrade};
use crate::fail::Failure;
use crate::progress::Spinner;

pub(crate) fn run(args: &Upgrade) -> Result<ExitCode, Failure> {
    let options = UpgradeOptions {
        opset: match args.ios.as_str() {
            "16" => Opset::Ios16,
            "17" => Opset::Ios17,
            "18" => Opset::Ios18,
            _ => Opset::Ios15,
        },
        precision: if args.precision == "fp32" { DType::F32 } else { DType::F16 },
        target: rewrite::target(&args.rules)?,
        selection: rewrite::selection(&args.rules)?,
        verify: verify::proof(&args.proof)?,
    };
    let output = args.output.as_ref().filter(|_| !args.dry_run);
    let write = WriteOptions::new().force(args.force).fsync(args.fsync).input(&args.input);
    if let Some(output) = output {
        anewrite::check_upgrade_output(output, &write)?;
    }
    let spinner = Spinner::start("upgrading");
    let model = Model::open(&args.input)?;
    let mut upgraded = anewrite::upgrade_with(&model, &options, &mut |event| spinner.event(&event))?;
    let written = output.map(|output| upgraded.write(output, &write)).transpose()?;
    drop(spinner);
    let mut out = stdout();
    match args.format {
        Format::Json => json(&mut out, &upgraded.report)?,
        Format::Text => text(&mut out, args, &upgraded)?,
    }
    if let Some(leftover) = written.and_then(|w| w.leftover) {
        let mut err = anstream::stderr().lock();
        writeln!(err, "warning: what was replaced could not be removed: {}", leftover.display())?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn text(out: &mut dyn Write, args: &Upgrade, upgraded: &Upgraded) -> Result<(), Failure> {
    let report = &upgraded.report;
    for part in &report.parts {
        let rewrite = &part.rewrite;
        if !rewrite.path.is_empty() {
            writeln!(out, "{}:", rewrite.path)?;
        }
        if part.upgraded {
            let (layers, ops) = (part.layers.op_count(), rewrite.before.op_count());
            writeln!(out, "{layers} layers became {ops} ops, and these {}", rewrite.after.op_count())?;
        }
        rewrite::firings(out, rewrite)?;
        rewrite::plans(out, rewrite)?;
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "for {}", report.target.join(", "))?;
    verified(out, report)?;
    let kind = format!("{} of opset {}, {}", report.kind, report.opset, report.precision);
    match (&args.output, report.bytes_after) {
        (Some(path), Some(bytes)) => writeln!(
            out,
            "upgraded to {kind}: {} ({bytes} bytes, {} before), {:.2} s",
            path.display(),
            report.bytes_before,
            report.seconds
        )?,
        _ => writeln!(out, "upgraded to {kind}; nothing was written (dry run), {:.2} s", report.seconds)?,
    }
    Ok(())
}

fn verified(out: &mut dyn Write, report: &UpgradeReport) -> Result<(), Failure> {
    match &report.verified {
        UpgradeVerification::NotVerified { why } => writeln!(out, "not verified: {why}")?,
        UpgradeVerification::Verified { lowering, rules, program } => {
            if !lowering.is_empty() {
                writeln!(out, "the lowering, before constants are rounded:")?;
            }
            for part in lowering {
                for o in &part.model.outputs {
                    verify::output(out, o)?;
                }
            }
            if let Verification::Verified(rules) | Verification::PatchesOnly { report: rules, .. } = &**rules
            {
                verify::patches(out, rules)?;
            }
            writeln!(out, "what is written:")?;
            for part in program {
                verify::model(out, &part.model)?;
            }
            writeln!(out, "verified: equal to the original")?;
        }
    }
    Ok(())
}
