use std::fmt;

use serde::Deserialize;

/// A generation of the Neural Engine, or the lack of one.
///
/// The names are those of the engine's compiler. They are **not** the marketing number of the
/// A-series chip: H13 is the engine of A14 and M1. Some sources call the same family "A13".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// No engine, or one that Core ML does not use (A11 and before, Intel Macs).
    NoEngine,
    /// An engine whose family is not public (S9, S10). No table speaks of it.
    Undisclosed,
    /// A12, A12X, A12Z; the first engine open to Core ML.
    H11,
    /// A13.
    H12,
    /// A14, M1 family.
    H13,
    /// A15, M2 family.
    H14,
    /// A16, M3 family.
    H15,
    /// A17 Pro, M4 family.
    H16,
    /// A18, A18 Pro, M5 family.
    H17,
    /// A19 and A19 Pro by guess, M6.
    H18,
}

impl Family {
    /// Every family whose engine Core ML uses and tables can speak of, oldest first.
    pub const ENGINES: [Family; 8] = [
        Family::H11,
        Family::H12,
        Family::H13,
        Family::H14,
        Family::H15,
        Family::H16,
        Family::H17,
        Family::H18,
    ];

    /// The number of families, with and without an engine.
    pub(crate) const COUNT: usize = 10;

    const ALL: [Family; Family::COUNT] = [
        Family::NoEngine,
        Family::Undisclosed,
        Family::H11,
        Family::H12,
        Family::H13,
        Family::H14,
        Family::H15,
        Family::H16,
        Family::H17,
        Family::H18,
    ];

    /// The name in tables and on the command line: `H13`, `none`, `undisclosed`.
    pub const fn name(self) -> &'static str {
        match self {
            Family::NoEngine => "none",
            Family::Undisclosed => "undisclosed",
            Family::H11 => "H11",
            Family::H12 => "H12",
            Family::H13 => "H13",
            Family::H14 => "H14",
            Family::H15 => "H15",
            Family::H16 => "H16",
            Family::H17 => "H17",
            Family::H18 => "H18",
        }
    }

    /// The inverse of [`Family::name`], in any letter case.
    pub fn from_name(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|f| f.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "std::borrow::Cow<'_, str>")]
pub struct FamilySet(u16);

impl FamilySet {
    /// The empty set.
    pub const EMPTY: FamilySet = FamilySet(0);

    /// Every family with an engine that Core ML uses.
    pub fn engines() -> FamilySet {
        Family::ENGINES.into_iter().collect()
    }

    /// Whether `family` is in the set.
    pub const fn contains(self, family: Family) -> bool {
        self.0 & (1 << family as u16) != 0
    }

    /// Adds a family.
    pub const fn insert(&mut self, family: Family) {
        self.0 |= 1 << family as u16;
    }

    /// The families in both sets.
    #[must_use]
    pub const fn intersection(self, other: FamilySet) -> FamilySet {
        FamilySet(self.0 & other.0)
    }

    /// The families in either set.
    #[must_use]
    pub const fn union(self, other: FamilySet) -> FamilySet {
        FamilySet(self.0 | other.0)
    }

    /// Whether no family is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of families in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The families, oldest first.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |&f| self.contains(f))
    }

    /// Reads `H13`, `H13+`, `H11-H15`, `all` (every engine) or several of these with commas between.
    ///
    /// # Errors
    /// The part that is none of these.
    pub fn parse(text: &str) -> Result<FamilySet, String> {
        let mut set = FamilySet::EMPTY;
        for part in text.split(',').map(str::trim) {
            let unknown = || format!("`{part}` is not a family, a range of families or `all`");
            let (from, to) = if part.eq_ignore_ascii_case("all") {
                (Family::H11, Family::H18)
            } else if let Some(from) = part.strip_suffix('+') {
                (Family::from_name(from).ok_or_else(unknown)?, Family::H18)
            } else if let Some((from, to)) = part.split_once('-') {
                (Family::from_name(from).ok_or_else(unknown)?, Family::from_name(to).ok_or_else(unknown)?)
            } else {
                let one = Family::from_name(part).ok_or_else(unknown)?;
                (one, one)
            };
            set = Family::ALL.into_iter().filter(|&f| f >= from && f <= to).fold(set, |mut s, f| {
                s.insert(f);
                s
            });
        }
        Ok(set)
    }
}

impl FromIterator<Family> for FamilySet {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> FamilySet {
        families.into_iter().fold(FamilySet::EMPTY, |mut set, family| {
            set.insert(family);
            set
        })
    }
}

impl TryFrom<std::borrow::Cow<'_, str>> for FamilySet {
    type Error = String;

    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<FamilySet, String> {
        FamilySet::parse(&text)
    }
}

impl fmt::Display for FamilySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, family) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            f.write_str(family.name())?;
        }
        Ok(())
    }
}
