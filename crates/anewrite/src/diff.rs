//! What differs between two models.

use std::fmt;
use std::path::Path;

use anewrite_convert::{Document, ModelInfo};
use anewrite_diff::{DiffOptions, FactChange, ProgramDiff, compare, compare_facts};
use anewrite_ir::{DialectId, Program};
use serde::Serialize;

use crate::report::REPORT_VERSION;
use crate::{Error, Model};

/// What differs between two models.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Version of this form: [`REPORT_VERSION`].
    pub version: u32,
    /// Differences of the interface and the metadata.
    pub facts: Vec<FactChange>,
    /// The networks of either model, paired by their places.
    pub parts: Vec<PartDifference>,
}

/// What differs between two networks at one place.
#[derive(Clone, Debug, Serialize)]
pub struct PartDifference {
    /// The place; empty for a plain model.
    pub path: String,
    /// Functions and ops.
    pub program: ProgramDiff,
}

/// Compares two models, op by op.
///
/// # Errors
/// Where one of them cannot be read.
///
/// ```
/// # fn main() -> Result<(), anewrite::Error> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/ironmill_mnist_base.mlpackage");
/// assert!(anewrite::diff(path, path)?.is_empty());
/// # Ok(())
/// # }
/// ```
pub fn diff(before: impl AsRef<Path>, after: impl AsRef<Path>) -> Result<Difference, Error> {
    let (before, after) = (Model::open(before)?, Model::open(after)?);
    Ok(Difference::of(before.document(), after.document()))
}

impl Difference {
    pub(crate) fn of(before: &Document, after: &Document) -> Difference {
        let options = DiffOptions { digest: true, ..DiffOptions::default() };
        let mut paths: Vec<&str> = before.parts.iter().map(|p| p.path.as_str()).collect();
        for p in &after.parts {
            if !paths.contains(&p.path.as_str()) {
                paths.push(&p.path);
            }
        }
        let parts = paths.into_iter().map(|path| {
            let (a, b) = (program_at(before, path), program_at(after, path));
            let empty = Program::new(a.or(b).map_or(DialectId::Mil, |p| p.dialect));
            let program = compare(a.unwrap_or(&empty), b.unwrap_or(&empty), &options);
            PartDifference { path: path.to_owned(), program }
        });
        Difference {
            version: REPORT_VERSION,
            facts: compare_facts(&facts(before.info()), &facts(after.info())),
            parts: parts.collect(),
        }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.parts.iter().all(|p| p.program.is_empty())
    }
}

fn program_at<'a>(document: &'a Document, path: &str) -> Option<&'a Program> {
    document.parts.iter().find(|p| p.path == path).map(|p| &p.program)
}

/// Interface and metadata as names and texts.
fn facts(info: &ModelInfo) -> Vec<(String, String)> {
    let d = info.description();
    let mut out = vec![
        ("type".to_owned(), info.kind.clone()),
        ("specification version".to_owned(), info.spec_version.to_string()),
    ];
    let features = [("input", &d.input), ("output", &d.output), ("state", &d.state)];
    for (what, list) in features {
        for f in list {
            out.push((format!("{what} {}", f.name), format!("{:?}", f.r#type)));
            if !f.short_description.is_empty() {
                out.push((format!("description of {what} {}", f.name), f.short_description.clone()));
            }
        }
    }
    if let Some(m) = &d.metadata {
        let named = [
            ("description", &m.short_description),
            ("version string", &m.version_string),
            ("author", &m.author),
            ("licence", &m.license),
        ];
        out.extend(named.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.to_owned(), v.clone())));
        out.extend(m.user_defined.iter().map(|(k, v)| (format!("metadata {k}"), v.clone())));
    }
    out
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fact in &self.facts {
            for (sign, text) in [("-", &fact.before), ("+", &fact.after)] {
                if let Some(text) = text {
                    writeln!(f, "{sign} {}: {text}", fact.key)?;
                }
            }
        }
        for part in self.parts.iter().filter(|p| !p.program.is_empty()) {
            if !part.path.is_empty() {
                writeln!(f, "{}", part.path)?;
            }
            f.write_str(&part.program.text())?;
        }
        Ok(())
    }
}
