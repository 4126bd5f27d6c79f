//! The summary of a check: what share runs on the engine, in how many pieces, at what price.

use std::io::{self, Write};

use anewrite::{CheckReport, FamilyCheck, FunctionCheck, Measured, PlanNumbers};

use super::families::{chips, ranges};

pub(super) fn print(out: &mut dyn Write, name: &str, report: &CheckReport) -> io::Result<()> {
    let bold = anstyle::Style::new().bold();
    let families: Vec<&str> = report.target.iter().map(|t| t.family.as_str()).collect();
    let all: Vec<String> = families.iter().map(|f| (*f).to_owned()).collect();
    writeln!(out, "{bold}{name}{bold:#}: {}", report.kind)?;
    writeln!(out, "for {} ({}), {} and later", ranges(&families), chips(&report.target, &all), report.os)?;
    for part in &report.parts {
        for function in &part.functions {
            writeln!(out)?;
            let place: Vec<&str> =
                [part.path.as_str(), function.name.as_str()].into_iter().filter(|p| !p.is_empty()).collect();
            let nested = match function.nested_ops {
                0 => String::new(),
                n => format!(", {n} of them inside control flow"),
            };
            writeln!(
                out,
                "{bold}{}{bold:#}: {}{nested}, {}",
                place.join(" "),
                count(function.ops, "op"),
                flops(function.flops)
            )?;
            table(out, report, function)?;
            footnotes(out, function)?;
            if let Some(measured) = &function.measured {
                self::measured(out, measured)?;
            }
        }
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}

/// Families with the same numbers are one line.
fn table(out: &mut dyn Write, report: &CheckReport, function: &FunctionCheck) -> io::Result<()> {
    let head = [
        "",
        "the engine can run",
        "arithmetic",
        "the planner puts there",
        "arithmetic",
        "pieces",
        "estimate",
    ];
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|cell| (*cell).to_owned()).collect()];
    let mut done: Vec<bool> = vec![false; function.families.len()];
    for (i, family) in function.families.iter().enumerate() {
        if done[i] {
            continue;
        }
        let mut alike = Vec::new();
        for (j, other) in function.families.iter().enumerate().skip(i) {
            if !done[j] && cells(function, family) == cells(function, other) {
                done[j] = true;
                alike.push(other.family.clone());
            }
        }
        let name = format!("{} ({})", ranges(&alike), chips(&report.target, &alike));
        rows.push(std::iter::once(name).chain(cells(function, family)).collect());
        if let Some(after) = after(function, &family.family) {
            rows.push(std::iter::once("  after `anewrite rewrite`".to_owned()).chain(after).collect());
        }
    }
    if function.families.iter().all(|f| f.basis == "eligibility") {
        // Without prices the two questions have one answer.
        for row in &mut rows {
            row.truncate(6);
            row.drain(3..5);
        }
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        writeln!(out, "  {}", line.trim_end())?;
    }
    Ok(())
}

/// The numbers after a rewrite, where they differ from those before.
fn after(function: &FunctionCheck, family: &str) -> Option<[String; 6]> {
    let after = function.after_rewrite.as_ref()?;
    let now = function.families.iter().find(|f| f.family == family)?;
    let then = after.families.iter().find(|f| f.family == family)?;
    let off = |ops: usize, of: &FamilyCheck| {
        (
            ops - of.verdicts.yes,
            of.verdicts.unknown,
            ops - of.cautious.engine_ops,
            of.cautious.engine_segments,
        )
    };
    (off(function.ops, now) != off(after.ops, then)).then(|| cells_of(after.ops, then))
}

fn cells(function: &FunctionCheck, family: &FamilyCheck) -> [String; 6] {
    cells_of(function.ops, family)
}

fn cells_of(ops: usize, family: &FamilyCheck) -> [String; 6] {
    let (low, high) = (&family.cautious, family.hopeful.as_ref().unwrap_or(&family.cautious));
    let span = |a: String, b: String| if a == b { a } else { format!("{a}–{b}") };
    let counts = span(low.engine_ops.to_string(), high.engine_ops.to_string());
    let unknown = match family.verdicts.unknown {
        0 => String::new(),
        n => format!(", {n} unknown"),
    };
    let can = family.verdicts.yes_share;
    [
        format!("{} of {ops}{unknown}", family.verdicts.yes),
        span(percent(can), percent((can + family.verdicts.unknown_share).min(1.0))),
        counts,
        span(percent(low.engine_share), percent(high.engine_share)),
        span(
            low.engine_segments.min(high.engine_segments).to_string(),
            low.engine_segments.max(high.engine_segments).to_string(),
        ),
        estimate(low, high),
    ]
}

fn estimate(low: &PlanNumbers, high: &PlanNumbers) -> String {
    let (Some(a), Some(b)) = (&low.ms, &high.ms) else { return String::new() };
    let total = if a.total == b.total { ms(a.total) } else { format!("{} to {}", ms(b.total), ms(a.total)) };
    format!("{total}, CPU alone {}", ms(a.cpu_only))
}

/// A time with three digits that count.
fn ms(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0} ms"),
        v if v >= 10.0 => format!("{v:.1} ms"),
        v if v >= 1.0 => format!("{v:.2} ms"),
        v if v >= 0.1 => format!("{v:.3} ms"),
        v if v >= 0.01 => format!("{:.1} µs", v * 1000.0),
        v => format!("{:.2} µs", v * 1000.0),
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // A share that is not all never reads 100.
    if percent > 99.95 && percent < 100.0 { "99.9 %".to_owned() } else { format!("{percent:.1} %") }
}

/// How far the numbers can be trusted.
fn footnotes(out: &mut dyn Write, function: &FunctionCheck) -> io::Result<()> {
    let of = |basis: &str, confidence: &str| -> Vec<&str> {
        let same = function.families.iter().filter(|f| f.basis == basis && f.confidence == confidence);
        same.map(|f| f.family.as_str()).collect()
    };
    if function.families.iter().any(|f| f.basis == "eligibility") {
        writeln!(
            out,
            "  No planner's prices are known for layers: what the engine can run is taken to be on it."
        )?;
        return Ok(());
    }
    let guessed = of("planner", "guess");
    if !guessed.is_empty() {
        writeln!(
            out,
            "  Prices and charges were measured on an M4 (H16); for {} they are taken over, which is a guess.",
            ranges(&guessed)
        )?;
    }
    let Some(first) = function.families.iter().find_map(|f| f.cautious.ms.as_ref()) else { return Ok(()) };
    let weak = |word: &str| first.trust.iter().find(|(w, _)| *w == word).map_or(0, |(_, n)| *n);
    let (bounds, assumed) = (weak("bound"), weak("assumed"));
    if bounds > 0 {
        writeln!(out, "  The price of {} is only a lower bound.", count(bounds, "op"))?;
    }
    if assumed > 0 {
        writeln!(out, "  The price of {} is an assumption: by the bytes it moves.", count(assumed, "op"))?;
    }
    Ok(())
}

fn measured(out: &mut dyn Write, measured: &Measured) -> io::Result<()> {
    writeln!(
        out,
        "  measured on {} ({}): {} ops on the engine, {} on the GPU, {} on the CPU; {} of the arithmetic on the engine",
        measured.source,
        measured.family,
        measured.engine_ops,
        measured.gpu_ops,
        measured.cpu_ops,
        percent(measured.engine_share)
    )?;
    writeln!(
        out,
        "  {} of {} predicted places agree; {} of the model's ops are not in the plan",
        measured.agreed, measured.predicted, measured.missing
    )?;
    for d in &measured.differences {
        let supported = if d.supported {
            "the plan says that the engine supports it"
        } else {
            "not supported by the engine"
        };
        writeln!(
            out,
            "    {} {}: predicted {} (eligible: {}), measured {}; {supported}",
            d.kind, d.op, d.predicted, d.verdict, d.measured
        )?;
    }
    Ok(())
}

fn flops(flops: f64) -> String {
    let (value, unit) = match flops {
        f if f >= 1e9 => (f / 1e9, "GFLOP"),
        f if f >= 1e6 => (f / 1e6, "MFLOP"),
        f if f >= 1e3 => (f / 1e3, "kFLOP"),
        f => return format!("{f:.0} FLOP"),
    };
    format!("{value:.1} {unit}")
}

pub(super) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_not_all_never_reads_100() {
        assert_eq!([1.0, 0.99999, 0.5, 0.0].map(percent), ["100.0 %", "99.9 %", "50.0 %", "0.0 %"]);
    }

    #[test]
    fn estimates_have_three_digits() {
        assert_eq!([0.1234, 1.234, 12.34, 548.4].map(ms), ["0.123 ms", "1.23 ms", "12.3 ms", "548 ms"]);
        assert_eq!([0.01234, 0.000391].map(ms), ["12.3 µs", "0.39 µs"]);
    }
}
