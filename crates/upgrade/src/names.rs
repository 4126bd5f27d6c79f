//! Names of inputs and outputs: ML Programs take identifiers only.

use std::collections::BTreeMap;

use anewrite_ir::mil::identifier as identifier_of;

/// The name itself where it is an identifier, else the nearest one: `_` for every other character, and in front of a
/// digit.
///
/// Two names never become one: `taken` has what others became.
pub(crate) fn identifier(name: &str, taken: &BTreeMap<String, String>) -> String {
    let mut new = identifier_of(name);
    if new == name {
        return new;
    }
    while taken.contains_key(&new) || taken.values().any(|n| *n == new) {
        new.push('_');
    }
    new
}

/// Whether an upgrade may give a feature of a network this name.
///
/// ```
/// use anewrite_upgrade::may_become;
/// assert!(may_become("image", "image") && may_become("1477", "_1477") && may_become("data:0", "data_0_"));
/// assert!(!may_become("image", "image_") && !may_become("data:0", "data0"));
/// ```
pub fn may_become(old: &str, new: &str) -> bool {
    let nearest = identifier_of(old);
    if nearest == old {
        return new == old;
    }
    new.strip_prefix(&nearest).is_some_and(|rest| rest.bytes().all(|b| b == b'_'))
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
