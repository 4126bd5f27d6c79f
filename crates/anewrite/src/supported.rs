//! The page of ops and layers, family by family, made from the tables.

use std::fmt::Write;

use anewrite_ane::{Family, FamilySet, Standing, chips, known_ops, restrictions, standing};

/// Every op and layer with what the tables say of it on each family, as Markdown: SUPPORTED_OPS.md.
///
/// ```
/// let page = anewrite::supported_ops();
/// assert!(page.contains("| `softmax` |"));
/// ```
pub fn supported_ops() -> String {
    let mut out = String::from(HEAD);
    let of = |family: Family| {
        let names = chips().iter().filter(|c| c.family == family).map(|c| c.name);
        names.collect::<Vec<_>>().join(", ")
    };
    for family in Family::ENGINES {
        // Writing to a string does not fail.
        let _ = writeln!(out, "| {family} | {} |", of(family));
    }
    let (layers, ops): (Vec<&str>, Vec<&str>) =
        known_ops().filter(|op| *op != "model").partition(|op| op.starts_with("nn."));
    section(&mut out, "Ops of ML Programs", &ops);
    section(&mut out, "Layers of NeuralNetworks", &layers);
    out
}

const HEAD: &str = "# Ops and layers on the Neural Engine

Made by `anewrite report ops` from the tables in crates/ane/data, where every statement has its sources; `anewrite explain
max_pool` prints all that is known of an op. *yes*: the engine runs it. *if*: it depends on the op, by the conditions on
the right. *no*: it does not. *?*: nobody knows, or there is only a guess. What holds for every op is not repeated: fp16, at
most five axes, known shapes, axes within the limits (`anewrite explain LIM-AXIS-W-H`).

| family | chips |
|---|---|
";

fn section(out: &mut String, title: &str, ops: &[&str]) {
    let names = Family::ENGINES.map(|f| f.to_string()).join(" | ");
    let line = "---|".repeat(Family::ENGINES.len());
    let _ = write!(out, "\n## {title}\n\n| op | {names} | conditions |\n|---|{line}---|\n");
    for op in ops {
        let cells = Family::ENGINES.map(|family| word(standing(op, family))).join(" | ");
        let _ = writeln!(out, "| `{}` | {cells} | {} |", op.trim_start_matches("nn."), conditions(op));
    }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Yes => "yes",
        Standing::Conditional => "if",
        Standing::No => "no",
        Standing::Unknown => "?",
    }
}

/// The sentences of the restrictions, those of some families with their names, where they can decide something.
fn conditions(op: &str) -> String {
    let mut said: Vec<(String, FamilySet)> = Vec::new();
    for family in Family::ENGINES.into_iter().filter(|f| standing(op, *f) == Standing::Conditional) {
        for row in restrictions(op, family) {
            let sentence = row.sentence(op);
            match said.iter_mut().find(|(known, _)| *known == sentence) {
                Some((_, families)) => families.insert(family),
                None => said.push((sentence, FamilySet::from_iter([family]))),
            }
        }
    }
    let conditional: FamilySet =
        Family::ENGINES.into_iter().filter(|f| standing(op, *f) == Standing::Conditional).collect();
    let text = |(sentence, families): &(String, FamilySet)| {
        let sentence = sentence.replace('|', "\\|");
        if *families == conditional { sentence } else { format!("{families}: {sentence}") }
    };
    said.iter().map(text).collect::<Vec<_>>().join(" ")
}
