//! Whether an output may go where it shall go.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{WriteError, WriteProblem};
use crate::file::FileId;
use crate::options::WriteOptions;
use crate::package::MANIFEST;
use crate::staging;
use crate::walk::{Kind, walk};

/// Whether an output is one file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// A `.mlmodel` file.
    ModelFile,
    /// A `.mlpackage` folder.
    Package,
}

/// Tells, before any work is done, whether an output could be written. The functions that write
/// check the same again.
///
/// # Errors
/// The output is an input, lies in one or around one, under whatever name; something is there
/// that may not be replaced; the folder for it is missing.
///
/// ```
/// use coreml_package::{OutputKind, WriteOptions, check_destination};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let model = folder.path().join("a.mlmodel");
/// # std::fs::write(&model, b"\x08\x01")?;
/// let options = WriteOptions::new().force(true).input(&model);
/// let other = folder.path().join("b.mlmodel");
/// assert!(check_destination(&other, OutputKind::ModelFile, &options).is_ok());
/// assert!(check_destination(&model, OutputKind::ModelFile, &options).is_err());
/// # Ok(())
/// # }
/// ```
pub fn check_destination(
    output: impl AsRef<Path>,
    kind: OutputKind,
    options: &WriteOptions,
) -> Result<(), WriteError> {
    Destination::locate(output.as_ref())?.check(kind, options).map(|_| ())
}

/// A place for an output: its folder, canonical, and its name there.
pub(crate) struct Destination {
    pub(crate) given: PathBuf,
    pub(crate) parent: PathBuf,
    pub(crate) name: OsString,
}

impl Destination {
    /// A path that is a link leads to what it names.
    pub(crate) fn locate(given: &Path) -> Result<Self, WriteError> {
        let error = |problem| WriteError::new(given, problem);
        let is_link = given.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        let path = match given.canonicalize() {
            Ok(real) => real,
            Err(_) if is_link => {
                return Err(error(WriteProblem::NotReplaceable("a link to nothing")));
            }
            Err(_) => given.to_owned(),
        };
        let name = path.file_name().ok_or_else(|| error(WriteProblem::NoName))?.to_owned();
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let parent = parent.canonicalize().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => error(WriteProblem::NoFolder),
            _ => WriteError::io(given, "find the folder", source),
        })?;
        if !parent.is_dir() {
            return Err(error(WriteProblem::NoFolder));
        }
        Ok(Self { given: given.to_owned(), parent, name })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// Cleans up after killed runs for this output.
    pub(crate) fn recover(&self) -> Result<(), WriteError> {
        staging::recover(&self.parent, &self.name)
            .map_err(|error| WriteError::io(&self.given, "clean up after a killed run", error))
    }

    /// Whether there is something to be replaced; an error where it must not be.
    pub(crate) fn check(&self, kind: OutputKind, options: &WriteOptions) -> Result<bool, WriteError> {
        let path = self.path();
        let there = match fs::symlink_metadata(&path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(WriteError::io(&self.given, "look at", error)),
        };
        for input in &options.inputs {
            self.keep_off(input, there.as_ref())?;
        }
        let Some(metadata) = there else {
            return Ok(false);
        };
        let error = |problem| WriteError::new(&self.given, problem);
        if let Some(what) = not_replaceable(&path, &metadata, kind) {
            return Err(error(WriteProblem::NotReplaceable(what)));
        }
        if !options.force {
            return Err(error(WriteProblem::Exists));
        }
        let taken = ids(&path, &metadata).map_err(|error| WriteError::io(&self.given, "look into", error))?;
        for input in &options.inputs {
            let shared = fs::metadata(input)
                .and_then(|metadata| ids(input, &metadata))
                .is_ok_and(|ids| !ids.is_disjoint(&taken));
            if shared {
                return Err(error(WriteProblem::IsInput(input.clone())));
            }
        }
        Ok(true)
    }

    /// Compares files by identity, so that links and second mounts are seen through.
    fn keep_off(&self, input: &Path, there: Option<&Metadata>) -> Result<(), WriteError> {
        // An input that is gone cannot be hit.
        let Ok(real) = input.canonicalize() else {
            return Ok(());
        };
        let Ok(metadata) = fs::metadata(&real) else {
            return Ok(());
        };
        let error = |problem: fn(PathBuf) -> WriteProblem| {
            Err(WriteError::new(&self.given, problem(input.to_owned())))
        };
        let input_id = FileId::of(&metadata);
        let output_id = there.map(FileId::of);
        if output_id == Some(input_id) {
            return error(WriteProblem::IsInput);
        }
        let is = |path: &Path, id| fs::metadata(path).is_ok_and(|found| FileId::of(&found) == id);
        if self.parent.ancestors().any(|above| is(above, input_id)) {
            return error(WriteProblem::InsideInput);
        }
        match output_id {
            Some(id) if real.ancestors().skip(1).any(|above| is(above, id)) => {
                error(WriteProblem::AroundInput)
            }
            _ => Ok(()),
        }
    }
}

/// What is there, if it is of another kind than the output. A folder that is no package is never
/// replaced: it may be anything.
fn not_replaceable(path: &Path, there: &Metadata, kind: OutputKind) -> Option<&'static str> {
    let type_ = there.file_type();
    if type_.is_symlink() {
        return Some("a link");
    }
    match kind {
        OutputKind::ModelFile if type_.is_dir() => Some("a folder"),
        OutputKind::ModelFile if type_.is_file() => None,
        OutputKind::Package if type_.is_file() => Some("a file"),
        OutputKind::Package if type_.is_dir() => {
            let is_package = path.join(MANIFEST).is_file() || path.join("model.mil").is_file();
            let is_empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
            (!is_package && !is_empty).then_some("a folder that is not a model package")
        }
        _ => Some("not a regular file"),
    }
}

/// Identities of a file, or of all files in a folder.
fn ids(path: &Path, metadata: &Metadata) -> io::Result<HashSet<FileId>> {
    if !metadata.is_dir() {
        return Ok(HashSet::from([FileId::of(metadata)]));
    }
    let files = walk(path)?.into_iter().filter(|item| item.kind == Kind::File);
    Ok(files.map(|item| FileId::of(&item.metadata)).collect())
}
