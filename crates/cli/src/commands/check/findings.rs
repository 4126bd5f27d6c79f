//! Findings, the worst first.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anewrite::{CheckReport, Finding, FindingAnswer, Severity};

use super::families::ranges;
use super::summary::count;

/// Ops that are named where not all are.
const SOME: usize = 4;

pub(super) fn print(out: &mut dyn Write, report: &CheckReport, verbose: bool) -> io::Result<()> {
    let several = report.parts.len() > 1;
    for part in &report.parts {
        for finding in &part.findings {
            let place = if several { part.path.as_str() } else { "" };
            if finding.severity == Severity::Note && !verbose {
                continue;
            }
            writeln!(out)?;
            self::finding(out, finding, place, report.target.len(), verbose)?;
        }
    }
    if !verbose {
        notes(out, report)?;
    }
    closing(out, report)
}

fn finding(out: &mut dyn Write, f: &Finding, place: &str, families: usize, verbose: bool) -> io::Result<()> {
    let style = style(f.severity);
    let ops = match f.ops.iter().filter(|p| !p.op.is_empty()).count() {
        0 => String::new(),
        n => format!(": {}", count(n, "op")),
    };
    let share = if f.arithmetic >= 0.0005 {
        format!(", {:.1} % of the arithmetic", f.arithmetic * 100.0)
    } else {
        String::new()
    };
    let on =
        if f.families.len() == families { String::new() } else { format!(", on {}", ranges(&f.families)) };
    let part = if place.is_empty() { String::new() } else { format!(" in {place}") };
    writeln!(out, "{style}{}{style:#} {} {}{ops}{share}{on}{part}", word(f.severity), f.code, f.name)?;
    writeln!(out, "  {}", f.message)?;
    ops_of(out, f, verbose)?;
    for (i, e) in f.evidence.iter().enumerate() {
        if i > 0 {
            if e.row.is_some() && e.says != f.message {
                let of = e.ops.map_or_else(String::new, |n| format!(" ({} of them)", count(n, "op")));
                writeln!(out, "  {}{of}: {}", ranges(&e.families), e.says)?;
            }
            continue;
        }
        if let Some(text) = &e.core_ml_says {
            writeln!(out, "  Core ML says: {text}")?;
        }
    }
    known(out, f)?;
    if f.families.iter().any(|on| f.runs_on.contains(on))
        || f.runs_on.is_empty()
        || f.answer != FindingAnswer::Refused
    {
        // Where nothing newer runs them there is nothing to add.
    } else {
        writeln!(out, "  runs on {}", ranges(&f.runs_on))?;
    }
    if let Some(cost) = f.cost.as_ref().filter(|cost| cost.ms >= 0.0005) {
        writeln!(
            out,
            "  on the engine they would save {:.3} of {:.3} ms of the plan ({})",
            cost.ms, cost.of_ms, cost.family
        )?;
    }
    for fix in &f.fixes {
        let all = if fix.ops == f.ops.len() { "all".to_owned() } else { fix.ops.to_string() };
        writeln!(out, "  fix: `anewrite rewrite` replaces {all} of them by {} {}", fix.rule, fix.name)?;
    }
    for declined in &f.declined {
        writeln!(out, "  {} declines {}: {}", declined.rule, declined.op, declined.why)?;
    }
    if let Some(advice) = &f.advice {
        writeln!(out, "  do: {advice}")?;
    }
    Ok(())
}

fn ops_of(out: &mut dyn Write, f: &Finding, verbose: bool) -> io::Result<()> {
    let named: Vec<_> = f.ops.iter().filter(|p| !p.op.is_empty() || p.observed.is_some()).collect();
    let shown = if verbose { named.len() } else { SOME.min(named.len()) };
    for place in named.iter().take(shown) {
        let function = if place.function.is_empty() || place.function == "main" {
            String::new()
        } else {
            format!("{}: ", place.function)
        };
        let observed = place.observed.as_ref().map_or_else(String::new, |o| format!(": {o}"));
        let fixed = match &place.fixed_by {
            Some(rule) if verbose => format!(" [{rule}]"),
            _ => String::new(),
        };
        let name = [place.kind.as_str(), place.op.as_str()].join(" ");
        writeln!(out, "    {function}{}{observed}{fixed}", name.trim_end())?;
    }
    if named.len() > shown {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for place in named.iter().skip(shown) {
            *kinds.entry(&place.kind).or_default() += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let most = kinds.iter().take(5).map(|(kind, n)| format!("{n} {kind}"));
        let more = if kinds.len() > 5 { ", …" } else { "" };
        let list = most.collect::<Vec<_>>().join(", ");
        writeln!(out, "    and {} more: {list}{more}", named.len() - shown)?;
    }
    Ok(())
}

/// How it is known: measured, derived or unknown, on which families, by which sources.
fn known(out: &mut dyn Write, f: &Finding) -> io::Result<()> {
    let mut by_how: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut sources: Vec<&str> = Vec::new();
    for e in &f.evidence {
        for known in &e.known {
            let families = by_how.entry(known.how.as_str()).or_default();
            families
                .extend(known.families.iter().filter(|f| !families.contains(f)).cloned().collect::<Vec<_>>());
        }
        sources.extend(e.sources.iter().map(|s| s.key.as_str()));
    }
    sources.sort_unstable();
    sources.dedup();
    let order = ["measured", "derived", "reported", "guess", "unknown"];
    let mut parts = Vec::new();
    for how in order {
        let Some(families) = by_how.get_mut(how) else { continue };
        families.sort();
        let word = if how == "guess" { "guessed" } else { how };
        parts.push(format!("{word} on {}", ranges(families)));
    }
    if parts.is_empty() {
        return Ok(());
    }
    let sources = if sources.is_empty() { String::new() } else { format!(" [{}]", sources.join(", ")) };
    writeln!(out, "  {}{sources}", parts.join("; "))
}

/// Notes in a line each.
fn notes(out: &mut dyn Write, report: &CheckReport) -> io::Result<()> {
    let notes: Vec<&Finding> = report.findings().filter(|f| f.severity == Severity::Note).collect();
    if notes.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    for f in notes {
        let style = style(f.severity);
        let ops = match f.ops.iter().filter(|p| !p.op.is_empty()).count() {
            0 => String::new(),
            n => format!(" ({})", count(n, "op")),
        };
        writeln!(out, "{style}note{style:#} {} {}{ops}: {}", f.code, f.name, f.message)?;
    }
    Ok(())
}

fn closing(out: &mut dyn Write, report: &CheckReport) -> io::Result<()> {
    let of = |severity| report.findings().filter(|f| f.severity == severity).count();
    let (errors, warnings, notes) = (of(Severity::Error), of(Severity::Warning), of(Severity::Note));
    writeln!(out)?;
    if errors + warnings + notes == 0 {
        return writeln!(out, "Nothing keeps this model off the engine, as far as is known.");
    }
    write!(out, "{}, {}, {}", count(errors, "error"), count(warnings, "warning"), count(notes, "note"))?;
    let fixed: usize = report.findings().flat_map(|f| &f.fixes).map(|fix| fix.ops).sum();
    match fixed {
        0 if report.tried_rules => writeln!(out, "; no rule fires on the ops found")?,
        0 => writeln!(out, "; {}", report.rules)?,
        n => writeln!(out, "; `anewrite rewrite` replaces {} of those found", count(n, "op"))?,
    }
    let code = report.findings().next().map_or_else(String::new, |f| f.code.to_string());
    writeln!(out, "`anewrite explain {code}` tells more of a code, --verbose lists every op.")
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn style(severity: Severity) -> anstyle::Style {
    match severity {
        Severity::Error => anstyle::AnsiColor::Red.on_default().bold(),
        Severity::Warning => anstyle::AnsiColor::Yellow.on_default().bold(),
        Severity::Note => anstyle::AnsiColor::Cyan.on_default(),
    }
}
