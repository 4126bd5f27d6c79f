//! Everything that has a name: rules, findings, limits, rows of the tables, ops.

use std::fmt::Write;

use anewrite_ane::{Confidence, LimitRow, Route, Row, known_ops, limits, row, rows, source};
use anewrite_check::rows_of;
use anewrite_diag::{kind, kinds};

use crate::Error;
use crate::selection::{rule, rules};

/// What is known under a name, as Markdown: the page of a rule (`M001`) or a finding (`ANE021`), a limit with everything
/// that sources say of it (`LIM-CONV-KW`), a row of the tables (`max-pool-width`), or all rows of an op or layer
/// (`max_pool`, `nn.concatND`).
///
/// # Errors
/// Where nothing has that name; the error names what is close to it.
///
/// ```
/// assert!(anewrite::explain("LIM-CONV-KW")?.contains("H16"));
/// assert!(anewrite::explain("ane021")?.starts_with("# ANE021"));
/// assert!(anewrite::explain("LIM-CONV-KV").is_err_and(|e| e.to_string().contains("LIM-CONV-KW")));
/// # Ok::<(), anewrite::Error>(())
/// ```
pub fn explain(name: &str) -> Result<String, Error> {
    if let Ok(code) = name.parse() {
        let kind = kind(code).ok_or_else(|| unknown(name))?;
        let mut out = kind.page.to_owned();
        let rows = rows_of(code);
        if !rows.is_empty() {
            out.push_str("\n## Rows of the tables\n");
            rows.iter().filter_map(|id| row(id)).for_each(|row| brief(&mut out, row));
        }
        return Ok(out);
    }
    if let Ok(rule) = rule(&name.to_ascii_uppercase()) {
        return Ok(rule_page(rule.info()));
    }
    if let Some(limit) = limits().iter().find(|limit| limit.id.eq_ignore_ascii_case(name)) {
        return Ok(limit_page(limit));
    }
    if let Some(row) = row(name) {
        let mut out = format!("# {}\n\nfor {}\n", row.id, row.ops.join(", "));
        full(&mut out, row);
        return Ok(out);
    }
    if let Some(op) = known_ops().find(|op| *op == name) {
        let mut out =
            format!("# {op}\n\nWhat the tables say of it, everything that holds for all ops left out.\n");
        let own = rows(op).into_iter().filter(|row| !row.ops.iter().any(|o| o.ends_with('*')));
        own.for_each(|row| full(&mut out, row));
        return Ok(out);
    }
    Err(unknown(name))
}

fn rule_page(info: &anewrite_rewrite::RuleInfo) -> String {
    let mut out = format!("# {} {}\n\n", info.code, info.name);
    for line in info.page.lines() {
        // A doc comment's lines begin with the blank that stands behind its slashes.
        out.push_str(line.strip_prefix(' ').unwrap_or(line));
        out.push('\n');
    }
    out
}

/// Writing to a string does not fail.
macro_rules! add {
    ($out:expr, $($text:tt)*) => {
        let _ = writeln!($out, $($text)*);
    };
}

fn limit_page(limit: &LimitRow) -> String {
    let mut out = format!("# {}: {}\n\n", limit.id, limit.what);
    if let Some(why) = &limit.unused {
        add!(out, "No condition of the tables compares with it: {why}.\n");
    }
    if !limit.values.is_empty() {
        add!(out, "| families | accepted up to | refused from | known | sources |\n|---|---|---|---|---|");
    }
    for value in &limit.values {
        let number = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
        let accepted = match &value.set {
            Some(set) => set.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
            None => number(value.value),
        };
        let refused = number(value.refused_from);
        let known = how(value.confidence);
        add!(out, "| {} | {accepted} | {refused} | {known} | {} |", value.families, value.sources.join(", "));
    }
    for note in limit.values.iter().filter_map(|value| Some((value.families, value.note.as_ref()?))) {
        add!(out, "\n{}: {}", note.0, note.1);
    }
    if !limit.dissents.is_empty() {
        add!(out, "\n## What other sources say\n");
        for other in &limit.dissents {
            add!(
                out,
                "- {}: {}{} [{}]",
                other.families,
                other.says.trim_end_matches('.'),
                route(other.route),
                other.sources.join(", ")
            );
        }
    }
    let uses: Vec<&str> = all_rows().filter(|row| names(row, &limit.id)).map(|row| row.id.as_str()).collect();
    let stated = limit.stated_by.iter().map(String::as_str);
    let uses: Vec<&str> = uses.into_iter().chain(stated).collect();
    if !uses.is_empty() {
        add!(out, "\nRows that rest on it: {}", uses.join(", "));
    }
    let keys =
        limit.values.iter().flat_map(|v| &v.sources).chain(limit.dissents.iter().flat_map(|d| &d.sources));
    places(&mut out, keys);
    out
}

fn names(row: &Row, limit: &str) -> bool {
    let (when, needs) = row.conditions();
    when.into_iter().chain(needs).any(|condition| condition.contains(limit))
}

/// Every row once.
fn all_rows() -> impl Iterator<Item = &'static Row> {
    let mut seen = rustc_hash::FxHashSet::default();
    known_ops().flat_map(rows).filter(move |row| seen.insert(row.id.as_str()))
}

fn brief(out: &mut String, row: &Row) {
    add!(out, "- `{}` ({}): {}", row.id, row.families, row.sentence(&row.ops.join(", ")));
}

fn full(out: &mut String, row: &Row) {
    let (when, needs) = row.conditions();
    add!(out, "\n## {} ({})\n", row.id, row.families);
    add!(out, "{}", row.sentence(&row.ops.join(", ")));
    if let Some(when) = when {
        add!(out, "- where: `{when}`");
    }
    if let Some(needs) = needs {
        add!(out, "- needs: `{needs}`");
    }
    let status = format!("{:?}", row.status).to_lowercase();
    let measured = if row.measured.is_empty() { String::new() } else { format!(" on {}", row.measured) };
    add!(out, "- status: {status}; {}{measured}{}", how(row.confidence), route(row.route));
    if let Some(range) = row.os {
        let to = range.to.map_or_else(String::new, |to| format!(" to {to}"));
        add!(out, "- releases: from {}{to}", range.from);
    }
    if let Some(reason) = &row.reason {
        add!(out, "- Core ML says: {reason}");
    }
    if let Some(advice) = &row.advice {
        add!(out, "- do: {advice}");
    }
    for key in &row.sources {
        add!(out, "- source {key}: {}", source(key).map_or("", |s| s.place.as_str()));
    }
}

fn route(route: Route) -> &'static str {
    match route {
        Route::CoreMl => "",
        Route::Direct => "; seen below Core ML, where a refusal says nothing certain of Core ML",
    }
}

fn how(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Measured => "measured",
        Confidence::Derived => "derived",
        Confidence::Reported => "reported",
        Confidence::Guess => "guess",
    }
}

fn places<'k>(out: &mut String, keys: impl Iterator<Item = &'k String>) {
    let mut keys: Vec<&String> = keys.collect();
    keys.sort();
    keys.dedup();
    if !keys.is_empty() {
        add!(out, "\n## Sources\n");
    }
    for key in keys {
        if let Some(source) = source(key) {
            add!(out, "- {key}: {} ({})", source.place, source.what);
        }
    }
}

/// Nothing has that name: what is closest to it.
fn unknown(name: &str) -> Error {
    let wanted = name.to_ascii_lowercase();
    let rules = rules().into_iter().map(|rule| rule.info().code.to_string());
    let findings = kinds().iter().flat_map(|kind| [kind.code.to_string(), kind.name.to_owned()]);
    let tables = limits().iter().map(|l| l.id.clone()).chain(all_rows().map(|row| row.id.clone()));
    let names = rules.chain(findings).chain(tables).chain(known_ops().map(str::to_owned));
    let score = |n: String| (strsim::jaro_winkler(&wanted, &n.to_ascii_lowercase()), n);
    let mut near: Vec<(f64, String)> = names.map(score).filter(|(score, _)| *score > 0.85).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.dedup_by(|a, b| a.1 == b.1);
    Error::NothingToExplain {
        name: name.to_owned(),
        similar: near.into_iter().take(3).map(|(_, n)| n).collect(),
    }
}
