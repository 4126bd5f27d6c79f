//! `.mlpackage` folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blob::BlobFile;
use crate::confine;
use crate::error::{OpenError, OpenProblem};
use crate::file::SourceFile;
use crate::manifest::{Manifest, ManifestProblem};
use crate::weights::WeightFiles;

pub(crate) const MANIFEST: &str = "Manifest.json";
pub(crate) const DATA: &str = "Data";

/// An open model package: its manifest, its model file and, when asked for, its weight files.
#[derive(Debug)]
pub struct Package {
    path: PathBuf,
    root: PathBuf,
    manifest: Manifest,
    manifest_file: Arc<SourceFile>,
    model: Arc<SourceFile>,
    model_path: PathBuf,
    weights: WeightFiles,
}

impl Package {
    /// Opens a package folder. Every path in the manifest is checked; only the manifest and the
    /// model file are opened.
    ///
    /// # Errors
    /// The manifest is missing or broken, a path in it leaves the package or names nothing, or the
    /// model file cannot be read or is empty.
    ///
    /// ```
    /// # use coreml_package::{Chunk, PackageOutput, WriteOptions, write_package};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("a.mlpackage");
    /// # let mut output = PackageOutput::default();
    /// # output.model.push(Chunk::Bytes("\x08\x07".into()));
    /// # write_package(&path, &output, &WriteOptions::new())?;
    /// let package = coreml_package::Package::open(&path)?;
    /// assert_eq!(&package.model().bytes()[..], b"\x08\x07");
    /// let item = package.manifest().root().expect("every manifest names a model");
    /// assert_eq!(item.path, "com.apple.CoreML/model.mlmodel");
    /// assert!(package.weight_file("@model_path/../../Manifest.json").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let root = path.canonicalize().map_err(|error| OpenError::io(path, error))?;
        let manifest_path = confine::resolve(&root, &root, MANIFEST, "a package")?;
        let manifest_file = SourceFile::open(&manifest_path)?;
        let manifest = Manifest::parse(manifest_file.bytes().clone()).map_err(|problem| {
            let problem = match problem {
                ManifestProblem::Broken(text) => OpenProblem::Manifest(text),
                ManifestProblem::Version(version) => OpenProblem::FormatVersion(version),
            };
            OpenError::new(path.join(MANIFEST), problem)
        })?;
        let data = root.join(DATA);
        let resolve = |item: &str| confine::resolve(&root, &data, item, "Manifest.json");
        for item in manifest.items().values() {
            resolve(&item.path)?;
        }
        let model_path = match manifest.root() {
            Some(item) => resolve(&item.path)?,
            None => {
                return Err(OpenError::new(path, OpenProblem::Manifest("no model".into())));
            }
        };
        let model = SourceFile::open(&model_path)?;
        if model.is_empty() {
            return Err(OpenError::new(model_path, OpenProblem::Empty));
        }
        let model_folder = model_path.parent().unwrap_or(&root).to_owned();
        let weights = WeightFiles::new(root.clone(), model_folder);
        let path = path.to_owned();
        Ok(Self { path, root, manifest, manifest_file, model, model_path, weights })
    }

    /// The folder, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The model file, which holds the specification.
    pub fn model(&self) -> &Arc<SourceFile> {
        &self.model
    }

    /// The weight file that the specification refers to, such as `@model_path/weights/weight.bin`.
    /// Opened once; later calls give the same file.
    ///
    /// # Errors
    /// The reference leaves the package or names nothing, or the file is no weight file.
    pub fn weight_file(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError> {
        self.weights.get(reference)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn manifest_path(&self) -> &Path {
        self.manifest_file.path()
    }

    pub(crate) fn model_path(&self) -> &Path {
        &self.model_path
    }

    pub(crate) fn weights(&self) -> &WeightFiles {
        &self.weights
    }
}
