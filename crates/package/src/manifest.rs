//! `Manifest.json`: which files a package consists of.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// An item of a package: a file or a folder below `Data/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ManifestItem {
    /// Path relative to `Data/`.
    pub path: String,
    /// File name that the author chose.
    #[serde(default)]
    pub name: String,
    /// Who put the item there; `com.apple.CoreML` for the model and its weights.
    #[serde(default)]
    pub author: String,
    /// What the item is, in words.
    #[serde(default)]
    pub description: String,
}

/// A manifest: its bytes, which are kept, and what they say.
#[derive(Debug, Clone)]
pub struct Manifest {
    raw: Bytes,
    root_identifier: String,
    items: BTreeMap<String, ManifestItem>,
}

/// Why a manifest is refused.
#[derive(Debug)]
pub(crate) enum ManifestProblem {
    Broken(String),
    Version(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parsed {
    file_format_version: Option<String>,
    root_model_identifier: Option<String>,
    item_info_entries: Option<BTreeMap<String, ManifestItem>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entries<'a> {
    #[serde(borrow)]
    item_info_entries: &'a RawValue,
}

impl Manifest {
    pub(crate) fn parse(raw: Bytes) -> Result<Self, ManifestProblem> {
        let broken = |text: &str| ManifestProblem::Broken(text.to_owned());
        // Serde would also take a list for a struct, field by field.
        if raw.trim_ascii_start().first() == Some(&b'[') {
            return Err(broken("a list in place of an object"));
        }
        let parsed: Parsed =
            serde_json::from_slice(&raw).map_err(|error| ManifestProblem::Broken(error.to_string()))?;
        let version = parsed.file_format_version.ok_or_else(|| broken("no fileFormatVersion"))?;
        if version.split('.').next() != Some("1") {
            return Err(ManifestProblem::Version(version));
        }
        let root_identifier = parsed.root_model_identifier.ok_or_else(|| broken("no rootModelIdentifier"))?;
        let items = parsed.item_info_entries.unwrap_or_default();
        if !items.contains_key(&root_identifier) {
            return Err(ManifestProblem::Broken(format!(
                "rootModelIdentifier {root_identifier:?} is not among the itemInfoEntries"
            )));
        }
        Ok(Self { raw, root_identifier, items })
    }

    /// The bytes of the file.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Identifier of the item that is the model.
    pub fn root_identifier(&self) -> &str {
        &self.root_identifier
    }

    /// Items by identifier.
    pub fn items(&self) -> &BTreeMap<String, ManifestItem> {
        &self.items
    }

    /// The item that is the model.
    pub fn root(&self) -> Option<&ManifestItem> {
        self.items.get(&self.root_identifier)
    }

    /// Whether an item is this path below `Data/` or a folder above it.
    pub(crate) fn covers(&self, path: &str) -> bool {
        self.items.values().any(|item| {
            let rest = path.strip_prefix(item.path.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The manifest with one more item, every byte of the old one kept.
    pub(crate) fn with_item(&self, id: &str, item: &ManifestItem) -> Result<Self, ManifestProblem> {
        let broken = |error: &dyn std::fmt::Display| ManifestProblem::Broken(error.to_string());
        let text = std::str::from_utf8(&self.raw).map_err(|error| broken(&error))?;
        let entries: Entries<'_> = serde_json::from_str(text).map_err(|error| broken(&error))?;
        let object = entries.item_info_entries.get();
        // The raw value is a slice of `text`, so the distance of their starts is its offset.
        let start = object.as_ptr().addr() - text.as_ptr().addr();
        let close = start + object.len().saturating_sub(1);
        let (head, tail) = text.split_at_checked(close).ok_or_else(|| broken(&"cut short"))?;
        let kept = head.trim_end();
        let comma = if kept.ends_with('{') { "" } else { "," };
        let entry = entry_text(id, item);
        Self::parse(format!("{kept}{comma}\n{entry}\n    {tail}").into())
    }

    /// A manifest for a model without one, in the order and spacing that coremltools writes.
    pub(crate) fn create(root: &str, items: &BTreeMap<String, ManifestItem>) -> Bytes {
        let mut text = String::from("{\n    \"fileFormatVersion\": \"1.0.0\",\n");
        text.push_str("    \"itemInfoEntries\": {\n");
        let entries: Vec<_> = items.iter().map(|(id, item)| entry_text(id, item)).collect();
        text.push_str(&entries.join(",\n"));
        text.push_str("\n    },\n    \"rootModelIdentifier\": ");
        text.push_str(&quoted(root));
        text.push_str("\n}\n");
        text.into()
    }
}

fn entry_text(id: &str, item: &ManifestItem) -> String {
    let mut text = format!("        {}: {{\n", quoted(id));
    let fields = [
        ("author", &item.author),
        ("description", &item.description),
        ("name", &item.name),
        ("path", &item.path),
    ];
    for (at, (key, value)) in fields.into_iter().enumerate() {
        let comma = if at + 1 < fields.len() { "," } else { "" };
        let _ = writeln!(text, "            \"{key}\": {}{comma}", quoted(value));
    }
    text.push_str("        }");
    text
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An identifier in the form of a UUID (version 8, RFC 9562) made of a digest, so that the same
/// content gives the same identifier in every process.
pub(crate) fn derived_identifier(purpose: &str, digest: &Sha256) -> String {
    let mut hasher = digest.clone();
    hasher.update(purpose.as_bytes());
    let digest = hasher.finalize();
    let mut number = [0; 16];
    number.copy_from_slice(&digest[..16]);
    number[6] = (number[6] & 0x0F) | 0x80;
    number[8] = (number[8] & 0x3F) | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in number.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}
