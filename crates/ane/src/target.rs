use std::fmt;

use crate::device::{chips, devices};
use crate::family::{Family, FamilySet};
use crate::os::{Os, OsRange};

/// What a model is prepared for: families of engines, and the releases of the system it will meet.
///
/// ```
/// use anewrite_ane::{Family, Target};
///
/// let target = Target::parse("iphone-13, m1")?;
/// assert!(target.families().contains(Family::H14) && target.families().contains(Family::H13));
/// let error = Target::parse("iphone-31").expect_err("no such device");
/// assert!(error.to_string().contains("iphone-13"));
/// # Ok::<(), anewrite_ane::TargetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    families: FamilySet,
    os: OsRange,
}

/// A name that is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing has that name.
    #[error("`{name}` is no device, chip, family or system{}", suggestions(similar))]
    Unknown {
        /// The name given.
        name: String,
        /// Names close to it, the closest first.
        similar: Vec<String>,
    },
    /// Several generations of a device have that name, with engines of different families.
    #[error("`{name}` is more than one device: {}", variants.join(", "))]
    Ambiguous {
        /// The name given.
        name: String,
        /// The names of the generations.
        variants: Vec<String>,
    },
    /// The list of targets is empty.
    #[error("no target is named; try a device (iphone-15-pro), a chip (m1, a14+) or a system (ios17)")]
    Empty,
}

fn suggestions(similar: &[String]) -> String {
    if similar.is_empty() { String::new() } else { format!("; did you mean {}?", similar.join(", ")) }
}

/// The oldest release with ML Programs, taken where nothing says more.
const OLDEST: Os = Os(12);

impl Target {
    /// Reads one or more targets with commas between: devices (`iphone-15-pro`, `ipad-air-4`,
    /// `mac-studio-2022`), chips (`m1`, `a17-pro`), families (`h13`), any of these with a `+` for itself
    /// and all newer ones (`a14+`), systems for every device that runs them (`ios17`, `macos15`), or `all`.
    ///
    /// A system among the others is the oldest release that the model will meet; without one it is
    /// the oldest that any of the devices shipped with.
    ///
    /// # Errors
    /// [`TargetError`] for a name that is none of these, with suggestions.
    pub fn parse(text: &str) -> Result<Target, TargetError> {
        let names = text.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty());
        Target::parse_all(names)
    }

    /// The union of several targets, each as [`Target::parse`] reads it.
    ///
    /// # Errors
    /// [`TargetError`] for the first name that is none.
    pub fn parse_all<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Target, TargetError> {
        let mut families = FamilySet::EMPTY;
        let (mut named, mut shipped): (Option<Os>, Option<Os>) = (None, None);
        let mut systems = Vec::new();
        for name in names {
            let name = name.to_ascii_lowercase();
            if let Some(os) = Os::parse(&name) {
                named = Some(named.map_or(os, |other| other.min(os)));
                systems.push((name, os));
                continue;
            }
            let (found, os) = find(&name)?;
            families = families.union(found);
            shipped = Some(shipped.map_or(os, |other| other.min(os)));
        }
        if families.is_empty() {
            families =
                systems.iter().map(|(name, os)| running(name, *os)).fold(FamilySet::EMPTY, FamilySet::union);
        }
        if families.is_empty() {
            return Err(TargetError::Empty);
        }
        let from = named.or(shipped).unwrap_or(OLDEST);
        Ok(Target { families, os: OsRange { from, to: None } })
    }

    /// Every family with a device that can run release `os`: the target of a model that names none.
    pub fn default_for(os: Os) -> Target {
        let able = devices().iter().filter(|d| d.runs(os)).map(|d| d.chip.family);
        let families = able.filter(|f| Family::ENGINES.contains(f)).collect();
        Target { families, os: OsRange { from: os, to: None } }
    }

    /// The target as far as release `os` and later: what a model that needs `os` can meet of it.
    #[must_use]
    pub fn at_least(mut self, os: Os) -> Target {
        self.os.from = self.os.from.max(os);
        self
    }

    /// A target of these families, for releases from `from` on.
    pub fn new(families: FamilySet, from: Os) -> Target {
        Target { families, os: OsRange { from, to: None } }
    }

    /// The families.
    pub fn families(&self) -> FamilySet {
        self.families
    }

    /// The releases.
    pub fn os(&self) -> OsRange {
        self.os
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.families, self.os.from)
    }
}

/// The families that a name stands for, and the oldest release that its devices shipped with.
fn find(name: &str) -> Result<(FamilySet, Os), TargetError> {
    if name == "all" {
        return Ok((FamilySet::engines(), OLDEST));
    }
    let (single, newer) = name.strip_suffix('+').map_or((name, false), |single| (single, true));
    let base = if let Some(chip) = chips().iter().find(|c| c.slug == single) {
        let shipped = devices().iter().filter(|d| d.chip.slug == single).map(|d| d.lowest).min();
        Some((FamilySet::from_iter([chip.family]), shipped))
    } else if let Some(family) = Family::from_name(single) {
        let shipped = devices().iter().filter(|d| d.chip.family == family).map(|d| d.lowest).min();
        Some((FamilySet::from_iter([family]), shipped))
    } else {
        find_device(single)?
    };
    let Some((families, shipped)) = base else {
        return Err(TargetError::Unknown { name: name.to_owned(), similar: similar(single) });
    };
    let families = match families.iter().min() {
        Some(oldest) if newer => Family::ENGINES.into_iter().filter(|f| *f >= oldest).collect(),
        _ => families,
    };
    Ok((families, shipped.unwrap_or(OLDEST)))
}

type Found = Option<(FamilySet, Option<Os>)>;

/// By slug, or by the name without generation where all generations have one family.
fn find_device(name: &str) -> Result<Found, TargetError> {
    let exact: Vec<_> = devices().iter().filter(|d| d.slug == name).collect();
    let found = if exact.is_empty() { devices().iter().filter(|d| d.group == name).collect() } else { exact };
    let families: FamilySet = found.iter().map(|d| d.chip.family).collect();
    if families.len() > 1 {
        let mut variants: Vec<_> = found.iter().map(|d| format!("{} ({})", d.slug, d.chip.name)).collect();
        variants.dedup();
        return Err(TargetError::Ambiguous { name: name.to_owned(), variants });
    }
    Ok(found.iter().map(|d| d.lowest).min().map(|shipped| (families, Some(shipped))))
}

/// The families of the devices of a platform that run a release.
fn running(name: &str, os: Os) -> FamilySet {
    let platform = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let of_platform = |p: &str| p == platform || (platform == "ios" && p == "ipados");
    let able = devices().iter().filter(|d| of_platform(d.platform) && d.runs(os)).map(|d| d.chip.family);
    able.filter(|f| *f != Family::NoEngine).collect()
}

/// Names like the one given, the closest first.
fn similar(name: &str) -> Vec<String> {
    let families = Family::ENGINES.iter().map(|f| f.name().to_ascii_lowercase());
    let names = devices().iter().map(|d| d.slug.to_owned()).chain(chips().iter().map(|c| c.slug.to_owned()));
    let mut scored: Vec<_> = names.chain(families).map(|n| (strsim::jaro_winkler(name, &n), n)).collect();
    scored.retain(|(score, _)| *score > 0.8);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(text: &str) -> String {
        Target::parse(text).map_or_else(|e| e.to_string(), |t| t.families().to_string())
    }

    #[test]
    fn names_of_every_kind() {
        assert_eq!(families("iphone-13"), "H14");
        assert_eq!(families("m1"), "H13");
        assert_eq!(families("M4-Pro"), "H16");
        assert_eq!(families("h12"), "H12");
        assert_eq!(families("a17-pro+"), "H16, H17, H18");
        assert_eq!(families("iphone-13,m1,h12"), "H12, H13, H14");
        assert_eq!(families("macos26"), "H13, H14, H15, H16, H17");
        assert_eq!(families("ipad-air-4"), "H13");
        assert_eq!(families("mac-studio-2022"), "H13");
        assert_eq!(families("apple-watch-series-9"), "undisclosed");
        assert_eq!(families("iphone-8"), "none");
    }

    #[test]
    fn systems_limit_the_releases() -> Result<(), TargetError> {
        assert_eq!(Target::parse("m4, macos27")?.os().from, Os(27));
        assert_eq!(Target::parse("iphone-13")?.os().from, Os(15));
        assert_eq!(Target::parse("ios17")?.os().from, Os(17));
        assert!(Target::parse("ios17")?.families().contains(Family::H11));
        Ok(())
    }

    #[test]
    fn unknown_and_ambiguous_names_are_errors() {
        assert_eq!(
            families("iphone-31"),
            "`iphone-31` is no device, chip, family or system; did you mean iphone-13, iphone-11, iphone-12?"
        );
        assert!(families("ipad-air").starts_with("`ipad-air` is more than one device: ipad-air-3 (A12)"));
        assert!(families("").starts_with("no target"));
        assert!(families("xyzzy").ends_with("system"));
    }

    #[test]
    fn the_default_is_what_can_run_the_model() {
        assert_eq!(Target::default_for(Os(15)).families(), FamilySet::engines());
        assert!(!Target::default_for(Os(15)).families().contains(Family::NoEngine));
    }
}
