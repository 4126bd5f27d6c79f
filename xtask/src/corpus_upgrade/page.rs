//! Results in words: a line an upgrade, a summary, a page.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Outcome, Row};

/// One upgrade in one line.
pub(super) fn line(row: &Row) -> String {
    let mut line = format!("{:52} {:12} ", row.model, row.variant);
    let _ = match &row.outcome {
        Outcome::Upgraded { layers, ops, verified, unloadable, .. } => write!(
            line,
            "{layers} layers, {ops} ops, {}, {}",
            verified.as_ref().map_or_else(|why| format!("not verified: {why}"), |()| "verified".to_owned()),
            unloadable.as_ref().map_or_else(|| "loads".to_owned(), |why| format!("does not load: {why}")),
        ),
        Outcome::Refused(why) => write!(line, "refused: {why}"),
        Outcome::Broken(why) => write!(line, "BROKEN: {why}"),
    };
    line
}

/// The counts over all upgrades.
pub(super) fn summary(rows: &[Row]) -> String {
    let mut models: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        models.entry(&row.model).or_default().push(row);
    }
    let all = |of: fn(&Row) -> bool| models.values().filter(|rows| rows.iter().all(|r| of(r))).count();
    let upgraded = |r: &Row| matches!(r.outcome, Outcome::Upgraded { .. });
    let verified = |r: &Row| matches!(&r.outcome, Outcome::Upgraded { verified: Ok(()), .. });
    let loads = |r: &Row| matches!(&r.outcome, Outcome::Upgraded { unloadable: None, .. });
    let mut text = format!(
        "{} networks: {} upgrade to every opset in both precisions, all of {} verified, all of {} loaded by coremltools; {} \
         refused in every one.\n",
        models.len(),
        all(upgraded),
        all(verified),
        all(loads),
        all(|r| matches!(r.outcome, Outcome::Refused(_))),
    );
    for precision in ["fp32", "fp16"] {
        let values: Vec<f64> = rows
            .iter()
            .filter(|r| r.variant.starts_with(precision) && r.model.ends_with("/nn.mlmodel"))
            .filter_map(|r| match &r.outcome {
                Outcome::Upgraded { value: Some(Ok(rel)), .. } => Some(*rel),
                _ => None,
            })
            .collect();
        if let Some(worst) = values.iter().copied().reduce(f64::max) {
            let _ = writeln!(
                text,
                "Of {} networks with weights in 32 bits, upgraded to {precision}, the outside evaluator says how far they are from torch: at most {worst:.1e} of \
                 the largest number.",
                values.len()
            );
        }
    }
    text
}

/// The page with everything, one row a model.
pub(super) fn page(rows: &[Row]) -> String {
    let mut text = String::from(
        "# Every NeuralNetwork of the corpus, upgraded\n\n\
         Made by `cargo xtask corpus-upgrade --python PYTHON --models FOLDER… --judge SCRIPT --page docs/upgrade-corpus.md`. \
         Each network is upgraded to the opsets of iOS 15 to 18 in fp16 and fp32, with the default rules and verification; \
         each package is loaded by coremltools 9.0's strict loader. Where torch's outputs are beside a model, an evaluator \
         that shares no code with this project computes the packages for iOS 16 in fp64 and says how far they are from \
         torch, as a share of the largest number; weights that were quantised (`int8w`, `lut4w`) or halved (`fp16w`) after \
         torch computed are part of that.\n\n",
    );
    text.push_str(&summary(rows));
    text.push_str(
        "\n| model | layers | ops | verified | loads | fp32 from torch | fp16 from torch |\n|---|---|---|---|---|---|---|\n",
    );
    let mut models: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows {
        match models.last_mut() {
            Some((name, of)) if *name == row.model => of.push(row),
            _ => models.push((&row.model, vec![row])),
        }
    }
    for (name, rows) in models {
        let _ = writeln!(text, "| {name} | {} |", cells(&rows).join(" | "));
    }
    text
}

fn cells(rows: &[&Row]) -> Vec<String> {
    let refused: Vec<&str> = rows
        .iter()
        .filter_map(|r| match &r.outcome {
            Outcome::Refused(why) | Outcome::Broken(why) => Some(why.as_str()),
            Outcome::Upgraded { .. } => None,
        })
        .collect();
    let good = rows.len() - refused.len();
    let [mut layers, mut ops] = [0, 0];
    let (mut proved, mut loaded) = (0, 0);
    let mut reasons: Vec<&str> = Vec::new();
    let mut values = [String::from("–"), String::from("–")];
    for row in rows {
        let Outcome::Upgraded { layers: l, ops: o, verified, unloadable, value } = &row.outcome else {
            continue;
        };
        (layers, ops) = (*l, *o);
        proved += usize::from(verified.is_ok());
        loaded += usize::from(unloadable.is_none());
        reasons.extend(verified.as_ref().err().map(String::as_str).into_iter().chain(unloadable.as_deref()));
        if let Some(value) = value {
            let at = usize::from(row.variant.starts_with("fp16"));
            values[at] = value.as_ref().map_or_else(Clone::clone, |rel| format!("{rel:.1e}"));
        }
    }
    reasons.extend(&refused);
    reasons.dedup();
    let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    let plain = |s: String| s.replace('|', "\\|").replace('\n', " ");
    let number = |n: u64| if good == 0 { "–".to_owned() } else { n.to_string() };
    let verified = match good {
        0 => format!("refused{why}"),
        _ => format!("{proved} of {}{why}", rows.len()),
    };
    let [single, half] = values;
    vec![
        number(layers),
        number(ops),
        plain(verified),
        format!("{loaded} of {}", rows.len()),
        plain(single),
        plain(half),
    ]
}
