//! Finding out what an input is, from its content.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blob::BlobFile;
use crate::confine;
use crate::error::{OpenError, OpenProblem};
use crate::file::SourceFile;
use crate::package::{MANIFEST, Package};
use crate::staging;
use crate::walk::{Kind, walk};
use crate::weights::WeightFiles;

const PROGRAM: &str = "model.mil";
const ESPRESSO: &str = "model.espresso.net";

/// An open model.
#[derive(Debug)]
#[non_exhaustive]
pub enum Source {
    /// A lone specification, as in `.mlmodel` files.
    ModelFile(ModelFile),
    /// A `.mlpackage` folder.
    Package(Package),
    /// A `.mlmodelc` folder with a `model.mil`.
    Compiled(Compiled),
}

/// A `.mlmodel` file: the specification with all weights inside.
#[derive(Debug)]
pub struct ModelFile {
    file: Arc<SourceFile>,
}

/// A `.mlmodelc` folder: the program as text, with the weight files of the package it came from.
#[derive(Debug)]
pub struct Compiled {
    path: PathBuf,
    program: Arc<SourceFile>,
    metadata: Option<Arc<SourceFile>>,
    weights: WeightFiles,
}

/// Opens a model, whatever its name says: a regular file is a model file, a folder with a
/// `Manifest.json` a package, a folder with a `model.mil` a compiled model. The specification
/// itself is not read; bytes that are none are the parser's to find.
///
/// # Errors
/// One for each thing that is no model, with a hint: nothing there, no permission, an empty file,
/// an archive, a stand-in of git-lfs, a text, a folder without a manifest, a compiled
/// NeuralNetwork, and what [`Package::open`] says of a broken package.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("downloaded.mlmodel");
/// std::fs::write(&path, b"PK\x03\x04 and so on")?;
/// let error = coreml_package::open(&path).unwrap_err();
/// assert!(error.to_string().ends_with("is a zip archive, not a Core ML model"));
/// assert_eq!(error.hint().as_deref(), Some("unpack it first"));
/// # Ok(())
/// # }
/// ```
pub fn open(path: impl AsRef<Path>) -> Result<Source, OpenError> {
    let path = path.as_ref();
    let metadata = fs::metadata(path).map_err(|error| not_found(path, error))?;
    if !metadata.is_dir() {
        return ModelFile::open(path).map(Source::ModelFile);
    }
    if path.join(MANIFEST).symlink_metadata().is_ok() {
        return Package::open(path).map(Source::Package);
    }
    if path.join(PROGRAM).exists() {
        return Compiled::open(path).map(Source::Compiled);
    }
    Err(OpenError::new(path, unknown_folder(path)?))
}

impl Source {
    /// The path that was opened.
    pub fn path(&self) -> &Path {
        match self {
            Self::ModelFile(model) => model.file.path(),
            Self::Package(package) => package.path(),
            Self::Compiled(compiled) => &compiled.path,
        }
    }

    /// The specification in Protocol Buffers' form; compiled models have none.
    pub fn model(&self) -> Option<&Arc<SourceFile>> {
        match self {
            Self::ModelFile(model) => Some(&model.file),
            Self::Package(package) => Some(package.model()),
            Self::Compiled(_) => None,
        }
    }

    /// Bytes in all files of the model; what cannot be listed is left out.
    pub fn byte_len(&self) -> u64 {
        let items = walk(self.path()).unwrap_or_default();
        let files = items.iter().filter(|item| matches!(item.kind, Kind::File));
        match self {
            Self::ModelFile(model) => model.file.len(),
            _ => files.map(|item| item.metadata.len()).sum(),
        }
    }

    /// The weight file that the model refers to, such as `@model_path/weights/weight.bin`.
    ///
    /// # Errors
    /// As [`Package::weight_file`]; a lone model file has no weight files.
    pub fn weight_file(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError> {
        match self {
            Self::ModelFile(model) => {
                let problem = OpenProblem::NoWeightFiles(reference.to_owned());
                Err(OpenError::new(model.file.path(), problem))
            }
            Self::Package(package) => package.weight_file(reference),
            Self::Compiled(compiled) => compiled.weight_file(reference),
        }
    }
}

impl ModelFile {
    /// Opens a file and refuses what its first bytes show to be something else.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let file = SourceFile::open(path)?;
        if file.is_empty() {
            return Err(OpenError::new(path, OpenProblem::Empty));
        }
        if let Some((what, hint)) = foreign(file.bytes()) {
            return Err(OpenError::new(path, OpenProblem::NotAModel { what, hint }));
        }
        Ok(Self { file })
    }

    /// The file.
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }
}

impl Compiled {
    fn open(path: &Path) -> Result<Self, OpenError> {
        let root = path.canonicalize().map_err(|error| OpenError::io(path, error))?;
        let program = SourceFile::open(confine::resolve(&root, &root, PROGRAM, "a model")?)?;
        if program.is_empty() {
            return Err(OpenError::new(path.join(PROGRAM), OpenProblem::Empty));
        }
        let metadata = match path.join("metadata.json").exists() {
            true => {
                let real = confine::resolve(&root, &root, "metadata.json", "a model")?;
                Some(SourceFile::open(real)?)
            }
            false => None,
        };
        let weights = WeightFiles::new(root.clone(), root);
        Ok(Self { path: path.to_owned(), program, metadata, weights })
    }

    /// The folder, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder, canonical.
    pub(crate) fn root(&self) -> &Path {
        self.weights.model_folder()
    }

    /// `model.mil`, the program as text.
    pub fn program(&self) -> &Arc<SourceFile> {
        &self.program
    }

    /// `metadata.json`, Core ML's summary of the model, if it is there.
    pub fn metadata(&self) -> Option<&Arc<SourceFile>> {
        self.metadata.as_ref()
    }

    /// The weight file that the program refers to.
    ///
    /// # Errors
    /// As [`Package::weight_file`].
    pub fn weight_file(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError> {
        self.weights.get(reference)
    }
}

/// Files that people take for models. A specification starts with the tag of one of its fields,
/// nearly always 0x08, so none of these can be one.
fn foreign(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const UNPACK: &str = "unpack it first";
    const FOLDER: &str = "give the folder that holds it";
    const FETCH: &str = "download the file itself";
    let starts: [(&[u8], &str, &str); 10] = [
        (b"PK\x03\x04", "a zip archive", UNPACK),
        (b"PK\x05\x06", "an empty zip archive", FETCH),
        (b"\x1F\x8B", "a gzip archive", UNPACK),
        (b"\xFD7zXZ\0", "an xz archive", UNPACK),
        (b"version https://git-lfs", "a stand-in of git-lfs", "fetch the file with `git lfs pull`"),
        (b"<!DOCTYPE", "a web page", FETCH),
        (b"<!doctype", "a web page", FETCH),
        (b"<html", "a web page", FETCH),
        (b"program(", "a program in MIL text", FOLDER),
        (b"{", "a JSON text, such as a manifest", FOLDER),
    ];
    let found = starts.into_iter().find(|(start, ..)| bytes.starts_with(start));
    if let Some((_, what, hint)) = found {
        return Some((what, hint));
    }
    let tar = bytes.get(257..262) == Some(b"ustar".as_slice());
    tar.then_some(("a tar archive", UNPACK))
}

fn not_found(path: &Path, error: std::io::Error) -> OpenError {
    if error.kind() == std::io::ErrorKind::NotFound {
        let aside = staging::aside_of(path);
        return OpenError::new(path, OpenProblem::NotFound { aside });
    }
    OpenError::io(path, error)
}

/// What to say of a folder that has neither a manifest nor a program.
fn unknown_folder(path: &Path) -> Result<OpenProblem, OpenError> {
    let mut inner: Vec<PathBuf> = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|error| OpenError::io(path, error))?;
    inner.sort();
    let has = |name: &str| inner.iter().any(|path| path.ends_with(name));
    let first = |test: &dyn Fn(&PathBuf) -> bool| inner.iter().find(|path| test(path)).cloned();
    if has(ESPRESSO) {
        return Ok(OpenProblem::Espresso);
    }
    if has("coremldata.bin") {
        if inner.iter().any(|path| path.join(ESPRESSO).exists()) {
            return Ok(OpenProblem::Espresso);
        }
        let inner = first(&|path| path.join(PROGRAM).exists());
        return Ok(OpenProblem::CompiledWithoutProgram { inner });
    }
    let inner = first(&|path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("mlpackage" | "mlmodel" | "mlmodelc")) || path.join(MANIFEST).exists()
    });
    Ok(OpenProblem::NoManifest { inner })
}
