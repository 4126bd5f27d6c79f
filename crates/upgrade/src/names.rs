//! Names of inputs and outputs: ML Programs take identifiers only.

use std::collections::BTreeMap;

/// The name itself where it is an identifier, else the nearest one: `_` for every other character, and in front of a
/// digit.
///
/// Two names never become one: `taken` has what others became.
pub(crate) fn identifier(name: &str, taken: &BTreeMap<String, String>) -> String {
    let mut new: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if !new.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        new.insert(0, '_');
    }
    if new == name {
        return new;
    }
    while taken.contains_key(&new) || taken.values().any(|n| *n == new) {
        new.push('_');
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_no_identifier_changes() {
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for (name, want) in [
            ("image__0", "image__0"),
            ("1477", "_1477"),
            ("data:0", "data_0"),
            ("data_0", "data_0"),
            ("grüße", "gr__e"),
            ("", "_"),
        ] {
            assert_eq!(identifier(name, &taken), want);
        }
        taken.insert("data_0".into(), "data_0".into());
        assert_eq!(identifier("data:0", &taken), "data_0_");
    }
}
