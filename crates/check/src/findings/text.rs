//! Words that several findings share.

use anewrite_ane::{Confidence, FamilySet, Row, source};
use anewrite_diag::{Evidence, Known, SourceRef};

use super::names;

/// A confidence as a word.
pub(super) fn how(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Measured => "measured",
        Confidence::Derived => "derived",
        Confidence::Reported => "reported",
        Confidence::Guess => "guess",
    }
}

/// `exp`, `exp or log`, `exp, log, sin or 3 more`: op types without the prefix of layers.
pub(super) fn kinds<'k>(kinds: impl IntoIterator<Item = &'k str>) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for kind in kinds {
        let kind = kind.strip_prefix("nn.").unwrap_or(kind);
        if !distinct.contains(&kind) {
            distinct.push(kind);
        }
    }
    match distinct[..] {
        [] => String::new(),
        [one] => one.to_owned(),
        [ref most @ .., last] if distinct.len() <= 4 => format!("{} or {last}", most.join(", ")),
        [a, b, c, ..] => format!("{a}, {b}, {c} or {} more", distinct.len() - 3),
        [..] => distinct.join(", "),
    }
}

/// What a row says of some families. The confidence of each family is given with it.
pub(super) fn of_row(row: &Row, says: String, known: &[(Confidence, FamilySet)]) -> Evidence {
    let all = known.iter().fold(FamilySet::EMPTY, |all, (_, families)| all.union(*families));
    Evidence {
        says,
        families: names(all),
        row: Some(row.id.clone()),
        known: known
            .iter()
            .filter(|(_, families)| !families.is_empty())
            .map(|(confidence, families)| Known {
                how: how(*confidence).to_owned(),
                families: names(*families),
            })
            .collect(),
        ops: None,
        core_ml_says: row.reason.clone(),
        sources: sources(&row.sources),
    }
}

pub(super) fn sources(keys: &[String]) -> Vec<SourceRef> {
    let place = |key: &String| source(key).map_or_else(String::new, |s| s.place.clone());
    keys.iter().map(|key| SourceRef { key: key.clone(), place: place(key) }).collect()
}

/// Adds families to those of one confidence.
pub(super) fn add(
    known: &mut Vec<(Confidence, FamilySet)>,
    confidence: Confidence,
    family: anewrite_ane::Family,
) {
    match known.iter_mut().find(|(c, _)| *c == confidence) {
        Some((_, families)) => families.insert(family),
        None => known.push((confidence, FamilySet::from_iter([family]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_listed_once_and_cut() {
        assert_eq!(kinds(["exp", "nn.exp", "exp"]), "exp");
        assert_eq!(kinds(["a", "b"]), "a or b");
        assert_eq!(kinds(["a", "b", "c", "d"]), "a, b, c or d");
        assert_eq!(kinds(["a", "b", "c", "d", "e"]), "a, b, c or 2 more");
        assert_eq!(kinds([]), "");
    }
}
