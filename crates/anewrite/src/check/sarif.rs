//! Checks in the form that code review tools read: SARIF 2.1.0.

use std::collections::BTreeSet;

use anewrite_diag::{Finding, Kind, Place, Severity, kind};
use serde_json::{Value, json};

use super::CheckReport;

/// Where the form is defined.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

impl CheckReport {
    /// The findings as a SARIF 2.1.0 log with one run.
    ///
    /// `uri` is the model's path as it should stand in the log, relative to the root of a repository. Ops are logical
    /// locations of kind `member`, for a model has no lines.
    ///
    /// ```
    /// # fn main() -> Result<(), anewrite::Error> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/generated/m001_max_pool/fp16-iOS16.mlpackage");
    /// let report = anewrite::check_path(path, &anewrite::CheckOptions::default())?;
    /// let log = report.to_sarif("models/pool.mlpackage");
    /// assert_eq!(log["version"], "2.1.0");
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_sarif(&self, uri: &str) -> Value {
        let codes: BTreeSet<_> = self.findings().map(|f| f.code).collect();
        let kinds: Vec<&Kind> = codes.into_iter().filter_map(kind).collect();
        let parts =
            self.parts.iter().flat_map(|part| part.findings.iter().map(move |f| (part.path.as_str(), f)));
        let results: Vec<Value> = parts.map(|(part, f)| result(uri, part, f, &kinds)).collect();
        json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "anewrite",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": kinds.iter().map(|kind| rule(kind)).collect::<Vec<_>>(),
                }},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }],
        })
    }
}

fn rule(kind: &Kind) -> Value {
    json!({
        "id": kind.code.to_string(),
        "name": kind.name,
        "shortDescription": { "text": kind.title() },
        "help": { "text": kind.page, "markdown": kind.page },
    })
}

fn result(uri: &str, part: &str, finding: &Finding, kinds: &[&Kind]) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let mut text = finding.message.clone();
    if let Some(advice) = &finding.advice {
        text = format!("{text} {advice}");
    }
    for fix in &finding.fixes {
        text = format!("{text} The rule {} replaces {} of {} ops.", fix.rule, fix.ops, finding.ops.len());
    }
    let logical: Vec<Value> =
        finding.ops.iter().filter(|p| !p.op.is_empty()).map(|place| location(part, place)).collect();
    json!({
        "ruleId": finding.code.to_string(),
        "ruleIndex": kinds.iter().position(|kind| kind.code == finding.code),
        "level": level,
        "message": { "text": text },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": encoded(uri) } },
            "logicalLocations": logical,
        }],
        "properties": {
            "families": finding.families,
            "arithmetic": finding.arithmetic,
            "fixable": finding.is_fixable(),
        },
    })
}

fn location(part: &str, place: &Place) -> Value {
    let path: Vec<&str> = [part, &place.function, &place.op].into_iter().filter(|p| !p.is_empty()).collect();
    json!({ "name": place.op, "fullyQualifiedName": path.join("/"), "kind": "member" })
}

/// A path as a relative reference: what may not stand in one is escaped.
fn encoded(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte as char)
            }
            b'\\' => out.push('/'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped() {
        assert_eq!(encoded("my models/größe.mlmodel"), "my%20models/gr%C3%B6%C3%9Fe.mlmodel");
    }
}
