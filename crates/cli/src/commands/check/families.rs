//! Lists of families, short.

use anewrite::FamilyInfo;

/// `H13–H15, H17` for families in order.
pub(super) fn ranges(families: &[impl AsRef<str>]) -> String {
    let number = |f: &str| f.strip_prefix('H').and_then(|n| n.parse::<u32>().ok());
    let mut parts: Vec<(String, String)> = Vec::new();
    for family in families.iter().map(AsRef::as_ref) {
        match parts.last_mut() {
            Some((_, last)) if number(last).zip(number(family)).is_some_and(|(a, b)| b == a + 1) => {
                *last = family.to_owned();
            }
            _ => parts.push((family.to_owned(), family.to_owned())),
        }
    }
    let text = |(first, last): &(String, String)| {
        if first == last { first.clone() } else { format!("{first}–{last}") }
    };
    parts.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// The chips of families: the first and the last of the A series and of the M series.
pub(super) fn chips(target: &[FamilyInfo], families: &[String]) -> String {
    let chips: Vec<&str> =
        target.iter().filter(|t| families.contains(&t.family)).flat_map(|t| t.chips.split(", ")).collect();
    let series = ["A", "M"].into_iter().filter_map(|letter| {
        let mut of = chips.iter().filter(|chip| chip.starts_with(letter));
        let first = of.next()?;
        Some(of.next_back().map_or_else(|| (*first).to_owned(), |last| format!("{first}–{last}")))
    });
    let series: Vec<String> = series.collect();
    if series.is_empty() { chips.join(", ") } else { series.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_a_range() {
        assert_eq!(ranges(&["H11", "H13", "H14", "H15", "H17"]), "H11, H13–H15, H17");
        assert_eq!(ranges(&["none", "undisclosed"]), "none, undisclosed");
        assert_eq!(ranges(&[] as &[&str]), "");
    }
}
