//! `anewrite devices`

use std::io::{self, Write};
use std::process::ExitCode;

use anewrite::{Confidence, Device, Family, Target};
use serde::Serialize;

use super::{json, stdout};
use crate::args::{Devices, Format};
use crate::fail::Failure;

/// The version of the JSON form.
const VERSION: u32 = 1;

pub(crate) fn run(args: &Devices) -> Result<ExitCode, Failure> {
    let found: Vec<&Device> = match &args.name {
        None => anewrite::devices().iter().collect(),
        Some(name) => find(name)?,
    };
    let mut out = stdout();
    match args.format {
        Format::Text => text(&mut out, &found)?,
        Format::Json => json(&mut out, &list(&found))?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Devices that a name stands for, or that have it in theirs.
fn find(name: &str) -> Result<Vec<&'static Device>, Failure> {
    let wanted = name.to_ascii_lowercase();
    let is = |d: &&Device| {
        let chip = d.chip.slug == wanted || d.chip.name.eq_ignore_ascii_case(&wanted);
        let exact = d.slug == wanted || d.group == wanted || d.platform == wanted;
        exact || chip || d.chip.family.name().eq_ignore_ascii_case(&wanted)
    };
    let exact: Vec<&Device> = anewrite::devices().iter().filter(is).collect();
    if !exact.is_empty() {
        return Ok(exact);
    }
    let within = |d: &&Device| d.slug.contains(&wanted) || d.name.to_ascii_lowercase().contains(&wanted);
    let found: Vec<&Device> = anewrite::devices().iter().filter(within).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    // A name with a plus, a list, a system: the families that it stands for.
    let target = Target::parse(name).map_err(anewrite::Error::from)?;
    let runs = |d: &&Device| target.families().contains(d.chip.family) && d.runs(target.os().from);
    Ok(anewrite::devices().iter().filter(runs).collect())
}

#[derive(Serialize)]
struct List<'a> {
    version: u32,
    devices: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    target: &'a str,
    name: &'a str,
    year: u32,
    platform: &'a str,
    chip: &'a str,
    family: &'static str,
    family_known: &'static str,
    family_basis: &'a str,
    cores: Option<u32>,
    tops: Option<f32>,
    lowest_os: String,
    highest_os: Option<String>,
}

fn list<'a>(devices: &[&'a Device]) -> List<'a> {
    let row = |d: &&'a Device| Row {
        target: d.slug,
        name: d.name,
        year: d.year,
        platform: d.platform,
        chip: d.chip.name,
        family: d.chip.family.name(),
        family_known: how(d.chip.confidence),
        family_basis: d.chip.basis,
        cores: d.chip.cores,
        tops: d.chip.tops,
        lowest_os: d.lowest.to_string(),
        highest_os: d.highest.map(|os| os.to_string()),
    };
    List { version: VERSION, devices: devices.iter().map(row).collect() }
}

fn how(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Measured => "measured",
        Confidence::Derived => "derived",
        Confidence::Reported => "reported",
        Confidence::Guess => "guess",
    }
}

fn text(out: &mut dyn Write, devices: &[&Device]) -> io::Result<()> {
    let head = ["target", "device", "chip", "family", "cores", "TOPS", "system"].map(str::to_owned);
    let mut rows = vec![head];
    for d in devices {
        let family = match (d.chip.family, d.chip.confidence) {
            (Family::NoEngine | Family::Undisclosed, _) => d.chip.family.to_string(),
            (family, Confidence::Guess) => format!("{family} (guess)"),
            (family, _) => family.to_string(),
        };
        let number = |n: Option<String>| n.unwrap_or_else(|| "–".to_owned());
        let last = d.highest.map_or_else(|| "on".to_owned(), |os| format!("to {}", os.0));
        rows.push([
            d.slug.to_owned(),
            d.name.to_owned(),
            d.chip.name.to_owned(),
            family,
            number(d.chip.cores.map(|n| n.to_string())),
            number(d.chip.tops.map(|n| n.to_string())),
            format!("{} {last}", d.lowest.0),
        ]);
    }
    let widths: Vec<usize> = (0..7)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(
        out,
        "\nSystems by their iOS number: 17 is also macOS 14, watchOS 10 and visionOS 1; from 26 on all are the same."
    )
}
