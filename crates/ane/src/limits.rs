use rustc_hash::FxHashMap;
use serde::Deserialize;

use crate::family::{Family, FamilySet};
use crate::table::{Confidence, Route, tables};

/// A numeric limit of one family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The id, such as `LIM-CONV-KW`.
    pub id: &'static str,
    /// What is limited, in words.
    pub what: &'static str,
    /// The largest value known or held to be accepted: what a rewrite should stay within.
    pub value: u64,
    /// The smallest value known or held to be refused; `None` where no refusal is known. Between
    /// `value` and this, sources are silent or differ.
    pub refused_from: Option<u64>,
    /// How the numbers are known for this family.
    pub confidence: Confidence,
    /// Keys of the sources, resolved by [`source`](crate::source).
    pub sources: &'static [String],
}

/// The value of a numeric limit for a family.
///
/// `None` when there is no such limit, when no source gives one for the family, or when the limit is
/// a set of values or a note instead of a number.
///
/// ```
/// use anewrite_ane::{limit, Family};
///
/// let width = limit("LIM-CONV-KW", Family::H16).ok_or("no such limit")?;
/// assert_eq!((width.value, width.refused_from), (15, Some(16)));
/// # Ok::<(), &str>(())
/// ```
pub fn limit(id: &str, family: Family) -> Option<Limit> {
    let row = tables().limits.row(id)?;
    let value = row.values.iter().find(|v| v.families.contains(family))?;
    Some(Limit {
        id: &row.id,
        what: &row.what,
        value: value.value?,
        refused_from: value.refused_from,
        confidence: value.confidence,
        sources: &value.sources,
    })
}

/// The members of a limit that is a set of values (`LIM-STRIDE`), for a family.
pub fn limit_set(id: &str, family: Family) -> Option<&'static [u64]> {
    tables().limits.value(id, family).and_then(|v| v.set.as_deref())
}

/// Every limit with everything that sources say of it, for those who explain a verdict.
pub fn limits() -> &'static [LimitRow] {
    &tables().limits.rows
}

/// One limit with everything that sources say of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRow {
    /// The id, such as `LIM-CONV-KW`.
    pub id: String,
    /// What is limited, in words.
    pub what: String,
    /// The reason why no condition uses it: it is no matter of Core ML, or no number.
    pub unused: Option<String>,
    /// The rows that state it in words, where it is no number to compare with.
    #[serde(default)]
    pub stated_by: Vec<String>,
    /// The values, each for some families; families do not repeat.
    #[serde(default, rename = "value")]
    pub values: Vec<LimitValue>,
    /// What other sources say, kept to be shown beside the values in use.
    #[serde(default, rename = "dissent")]
    pub dissents: Vec<Dissent>,
}

/// The value of a limit on some families.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitValue {
    /// The families it holds for.
    pub families: FamilySet,
    /// The largest accepted value.
    pub value: Option<u64>,
    /// The smallest refused value.
    pub refused_from: Option<u64>,
    /// The members, for a limit that is a set.
    pub set: Option<Vec<u64>>,
    /// How it is known.
    pub confidence: Confidence,
    /// Keys of the sources.
    pub sources: Vec<String>,
    /// What the sources saw, where the numbers alone mislead.
    pub note: Option<String>,
}

/// A statement on a limit that is not the one in use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dissent {
    /// The families it speaks of.
    pub families: FamilySet,
    /// What it says.
    pub says: String,
    /// Whether it was seen through Core ML or below it.
    #[serde(default)]
    pub route: Route,
    /// Keys of the sources.
    pub sources: Vec<String>,
}

impl LimitValue {
    pub(crate) fn value(&self) -> Option<f64> {
        self.value.map(|n| n as f64)
    }

    pub(crate) fn refused_from(&self) -> Option<f64> {
        self.refused_from.map(|n| n as f64)
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = f64> {
        self.value.iter().chain(self.set.iter().flatten()).map(|&n| n as f64)
    }
}

/// Every limit, by id.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) rows: Vec<LimitRow>,
    by_id: FxHashMap<String, usize>,
}

impl Limits {
    pub(crate) fn new(rows: Vec<LimitRow>) -> Limits {
        let by_id = rows.iter().enumerate().map(|(i, row)| (row.id.clone(), i)).collect();
        Limits { rows, by_id }
    }

    pub(crate) fn row(&self, id: &str) -> Option<&LimitRow> {
        self.rows.get(*self.by_id.get(id)?)
    }

    pub(crate) fn value(&self, id: &str, family: Family) -> Option<&LimitValue> {
        self.row(id)?.values.iter().find(|v| v.families.contains(family))
    }
}
