//! Inputs and outputs of predictions, and the files that hold them.
//!
//! Arrays live in `.npz` files, one array a feature. Texts and dictionaries, which those cannot hold, live in `.json`
//! files: an object whose keys are features, with texts, numbers, nested lists of either, and objects for
//! dictionaries.

mod json;
mod npz;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anewrite_interp::Value;

use crate::Error;

/// Values of features by name.
pub type Features = BTreeMap<String, Value>;

/// Reads features from a `.npz` or a `.json` file.
///
/// # Errors
/// Where the file cannot be read, and for arrays of dtypes that models do not have: the error names file and array.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let file = folder.path().join("in.json");
/// std::fs::write(&file, r#"{"text": "a question", "x": [[1, 2.5], [3, 4]]}"#)?;
/// let features = anewrite::read_features(&file)?;
/// assert_eq!(features["x"].tensor()?.dims(), [2, 2]);
/// anewrite::write_features(&folder.path().join("out.json"), &features)?;
/// # Ok(())
/// # }
/// ```
pub fn read_features(path: impl AsRef<Path>) -> Result<Features, Error> {
    let path = path.as_ref();
    let file = BufReader::new(File::open(path).map_err(|e| bad(path, "", e.to_string()))?);
    match extension(path) {
        Some("npz") => npz::read(path, file),
        Some("json") => json::read(path, file),
        _ => Err(bad(path, "", "features are read from .npz and .json files".into())),
    }
}

/// Writes features: arrays into a `.npz` file, and what such a file cannot hold into the `.json` file of the same name
/// beside it; or everything into a `.json` file. Returns the files that were written.
///
/// # Errors
/// Where a file cannot be written.
pub fn write_features(path: impl AsRef<Path>, features: &Features) -> Result<Vec<PathBuf>, Error> {
    let path = path.as_ref();
    let create =
        |path: &Path| File::create(path).map(BufWriter::new).map_err(|e| bad(path, "", e.to_string()));
    let write_json = |path: &Path, features: &[(&String, &Value)]| {
        let mut out = create(path)?;
        json::write(path, &mut out, features)?;
        out.flush().map_err(|e| bad(path, "", e.to_string()))
    };
    match extension(path) {
        Some("json") => {
            write_json(path, &features.iter().collect::<Vec<_>>())?;
            Ok(vec![path.to_owned()])
        }
        Some("npz") => {
            let (arrays, others): (Vec<_>, Vec<_>) = features.iter().partition(|(_, v)| npz::holds(v));
            npz::write(path, create(path)?, &arrays)?;
            let mut written = vec![path.to_owned()];
            if !others.is_empty() {
                let beside = path.with_extension("json");
                write_json(&beside, &others)?;
                written.push(beside);
            }
            Ok(written)
        }
        _ => Err(bad(path, "", "features are written to .npz and .json files".into())),
    }
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

fn bad(path: &Path, feature: &str, why: String) -> Error {
    let feature = if feature.is_empty() { String::new() } else { format!("{feature}: ") };
    Error::Features { path: path.to_owned(), why: format!("{feature}{why}") }
}
