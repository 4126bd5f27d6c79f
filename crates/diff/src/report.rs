//! What differs, as data and as text.

use std::fmt::{self, Write};

use rustc_hash::FxHashMap;
use serde::Serialize;

/// All that differs between two programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProgramDiff {
    /// Descriptions and metadata that differ, as the caller compared them with [`compare_facts`].
    pub facts: Vec<FactChange>,
    /// Every function of either program: the old ones in their order, then new ones.
    pub functions: Vec<FunctionDiff>,
}

/// A named text that differs: a description, a metadata entry, an option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactChange {
    /// What it is called.
    pub key: String,
    /// What it was; nothing where it is new.
    pub before: Option<String>,
    /// What it is; nothing where it is gone.
    pub after: Option<String>,
}

/// What became of one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionDiff {
    /// Its name.
    pub name: String,
    /// Whether it is there before and after, and the same.
    pub status: FunctionStatus,
    /// What differs, in order: each thing at its new place, what is gone at its old one.
    pub changes: Vec<Change>,
    /// The changes with the lines around them, in runs.
    #[serde(skip)]
    pub hunks: Vec<Vec<DiffLine>>,
}

/// Whether a function is there before and after, and the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FunctionStatus {
    /// Nothing in it differs.
    Same,
    /// Something in it differs.
    Changed,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// One op or constant, or a line that opens or ends a block, that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// How it differs.
    pub kind: ChangeKind,
    /// What it is.
    pub what: LineKind,
    /// The name of the op's first result, or of the constant, after the change where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The kind of the op, after the change where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// Its line before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its line after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its line differs, and perhaps its place.
    Changed,
    /// Only its place among the others differs.
    Moved,
}

/// What stands on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineKind {
    /// An op.
    Op,
    /// A constant on a line of its own.
    Constant,
    /// The first or last line of a function, or the end of a nested block.
    Frame,
}

/// One line of a printed diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    /// Which of the programs has it.
    pub sign: LineSign,
    /// The line with its indentation.
    pub text: String,
}

/// Which of the programs has a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSign {
    /// Both.
    Both,
    /// The old one.
    Old,
    /// The new one.
    New,
}

impl LineSign {
    /// The character at the start of the line.
    pub fn character(self) -> char {
        match self {
            LineSign::Both => ' ',
            LineSign::Old => '-',
            LineSign::New => '+',
        }
    }
}

/// Numbers of changed ops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// New ops.
    pub added: usize,
    /// Ops that are gone.
    pub removed: usize,
    /// Ops whose line differs.
    pub changed: usize,
    /// Ops of which only the place differs.
    pub moved: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { added, removed, changed, moved } = self;
        write!(f, "{added} ops added, {removed} removed, {changed} changed, {moved} moved")
    }
}

impl ProgramDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.functions.iter().all(|f| f.status == FunctionStatus::Same)
    }

    /// How many ops differ.
    pub fn summary(&self) -> Summary {
        let mut s = Summary::default();
        let changes = self.functions.iter().flat_map(|f| &f.changes).filter(|c| c.what == LineKind::Op);
        for c in changes {
            match c.kind {
                ChangeKind::Added => s.added += 1,
                ChangeKind::Removed => s.removed += 1,
                ChangeKind::Changed => s.changed += 1,
                ChangeKind::Moved => s.moved += 1,
            }
        }
        s
    }

    /// The diff as lines that start with a space, `-` or `+`, in hunks headed by the function's name; nothing where
    /// nothing differs. What moved shows at both its places.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if !self.facts.is_empty() {
            out.push_str("@@ description and metadata @@\n");
        }
        for fact in &self.facts {
            for (sign, value) in [('-', &fact.before), ('+', &fact.after)] {
                let Some(value) = value else { continue };
                for (i, line) in value.split('\n').enumerate() {
                    let lead = if i == 0 { format!("{}: ", fact.key) } else { "    ".into() };
                    // writing to a string does not fail
                    let _ = writeln!(out, "{sign}{lead}{}", line.trim_end_matches('\r'));
                }
            }
        }
        for f in &self.functions {
            for hunk in &f.hunks {
                let _ = writeln!(out, "@@ {} @@", f.name);
                for line in hunk {
                    let _ = writeln!(out, "{}{}", line.sign.character(), line.text);
                }
            }
        }
        out
    }
}

/// Which of two lists of named texts differ: in the order of the old list, then what is new.
///
/// ```
/// let before = [("author".to_owned(), "a".to_owned()), ("version".to_owned(), "1".to_owned())];
/// let after = [("version".to_owned(), "2".to_owned())];
/// let changes = anewrite_diff::compare_facts(&before, &after);
/// assert_eq!((changes[0].key.as_str(), &changes[0].after), ("author", &None));
/// assert_eq!(changes[1].after.as_deref(), Some("2"));
/// ```
pub fn compare_facts(before: &[(String, String)], after: &[(String, String)]) -> Vec<FactChange> {
    let index =
        |list: &'_ [(String, String)]| -> FxHashMap<String, String> { list.iter().cloned().collect() };
    let (old, new) = (index(before), index(after));
    let gone_or_changed = before.iter().filter(|(k, v)| new.get(k) != Some(v)).map(|(k, v)| FactChange {
        key: k.clone(),
        before: Some(v.clone()),
        after: new.get(k).cloned(),
    });
    let added = after.iter().filter(|(k, _)| !old.contains_key(k)).map(|(k, v)| FactChange {
        key: k.clone(),
        before: None,
        after: Some(v.clone()),
    });
    gone_or_changed.chain(added).collect()
}
