//! What a package to be written consists of, beside what is copied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::chunk::Chunk;
use crate::confine;
use crate::error::{OpenError, OpenProblem};
use crate::manifest::{Manifest, ManifestItem, ManifestProblem, derived_identifier};
use crate::output::PackageOutput;
use crate::package::{DATA, MANIFEST, Package};
use crate::plan::WeightLayout;

const AUTHOR: &str = "com.apple.CoreML";
const MODEL: &str = "com.apple.CoreML/model.mlmodel";

/// Files of a package that are not copied, by their paths in the package.
pub(crate) type Changed<'a> = BTreeMap<PathBuf, NewFile<'a>>;

/// A file that is not copied.
pub(crate) enum NewFile<'a> {
    /// Given by the caller.
    Chunks(&'a [Chunk]),
    /// Made here.
    Text(Chunk),
}

impl NewFile<'_> {
    pub(crate) fn chunks(&self) -> &[Chunk] {
        match self {
            Self::Chunks(chunks) => chunks,
            Self::Text(chunk) => std::slice::from_ref(chunk),
        }
    }
}

/// What differs from the base, by paths in which links are resolved.
pub(crate) fn changed_files<'a>(
    base: &Package,
    package: &'a PackageOutput<'_>,
) -> Result<Changed<'a>, OpenError> {
    let root = base.root();
    let inside = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_owned();
    let mut changed = Changed::new();
    changed.insert(inside(base.model_path()), NewFile::Chunks(&package.model));
    let mut uncovered = Vec::new();
    for (reference, layout) in &package.weights {
        let path = match base.weights().real_path(reference) {
            Ok(real) => inside(&real),
            Err(error) if matches!(error.problem(), OpenProblem::MissingItem { .. }) => {
                inside(&base.weights().new_path(reference)?)
            }
            Err(error) => return Err(error),
        };
        let item = path.strip_prefix(DATA).ok().and_then(Path::to_str);
        if let Some(item) = item.filter(|item| !base.manifest().covers(item)) {
            uncovered.push(item.to_owned());
        }
        add(&mut changed, path, reference, layout)?;
    }
    if !uncovered.is_empty() {
        let mut manifest = base.manifest().clone();
        let digest = digest(package);
        for path in uncovered {
            if !manifest.covers(&path) {
                let item = weight_item(&path);
                let id = derived_identifier(&item.path, &digest);
                manifest = manifest.with_item(&id, &item).map_err(|problem| {
                    let (ManifestProblem::Broken(text) | ManifestProblem::Version(text)) = problem;
                    OpenError::new(base.manifest_path(), OpenProblem::Manifest(text))
                })?;
            }
        }
        let text = Chunk::Bytes(manifest.raw().clone());
        changed.insert(inside(base.manifest_path()), NewFile::Text(text));
    }
    Ok(changed)
}

/// The files of a package without a base.
pub(crate) fn new_files<'a>(package: &'a PackageOutput<'_>) -> Result<Changed<'a>, OpenError> {
    let data = Path::new(DATA);
    let digest = digest(package);
    let mut items = BTreeMap::new();
    let root_id = derived_identifier(MODEL, &digest);
    let model = ManifestItem {
        path: MODEL.to_owned(),
        name: "model.mlmodel".to_owned(),
        author: AUTHOR.to_owned(),
        description: "CoreML Model Specification".to_owned(),
    };
    items.insert(root_id.clone(), model);
    let mut changed = Changed::new();
    changed.insert(data.join(MODEL), NewFile::Chunks(&package.model));
    for (reference, layout) in &package.weights {
        let name = confine::weight_path(data, reference)?;
        let name = confine::relative(data, name)?;
        let path = Path::new(AUTHOR).join(name);
        let item = weight_item(&path.to_string_lossy());
        items.insert(derived_identifier(&item.path, &digest), item);
        add(&mut changed, data.join(path), reference, layout)?;
    }
    let manifest = Chunk::Bytes(Manifest::create(&root_id, &items));
    changed.insert(PathBuf::from(MANIFEST), NewFile::Text(manifest));
    Ok(changed)
}

/// Adds a weight file, unless its place is taken.
fn add<'a>(
    changed: &mut Changed<'a>,
    path: PathBuf,
    reference: &str,
    layout: &'a WeightLayout,
) -> Result<(), OpenError> {
    if changed.contains_key(&path) {
        return Err(OpenError::new(path, OpenProblem::Clash(reference.to_owned())));
    }
    changed.insert(path, NewFile::Chunks(layout.chunks()));
    Ok(())
}

/// The manifest item for a weight file: the folder below the author's that it lies in, as
/// coremltools has it, or the file itself where there is no such folder.
fn weight_item(path: &str) -> ManifestItem {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let depth = parts.len().min(2);
    let head = parts.get(..depth).unwrap_or_default();
    ManifestItem {
        path: head.join("/"),
        name: head.last().copied().unwrap_or_default().to_owned(),
        author: AUTHOR.to_owned(),
        description: "CoreML Model Weights".to_owned(),
    }
}

/// What identifiers of new items derive from: the bytes of the model that stand in memory, and
/// the place and length of everything else. Weights are not read.
fn digest(package: &PackageOutput<'_>) -> Sha256 {
    let mut digest = Sha256::new();
    for chunk in &package.model {
        match chunk {
            Chunk::Bytes(bytes) => digest.update(bytes),
            Chunk::Copy { range, .. } => {
                digest.update(range.start.to_le_bytes());
                digest.update(range.end.to_le_bytes());
            }
            Chunk::Stream(stream) => digest.update(stream.byte_len().to_le_bytes()),
        }
    }
    for (reference, layout) in &package.weights {
        digest.update(reference.as_bytes());
        digest.update(layout.byte_len().to_le_bytes());
    }
    digest
}
