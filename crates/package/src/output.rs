//! Writing models: whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunk::Chunk;
use crate::contents::{Changed, changed_files, new_files};
use crate::create::create;
use crate::destination::{Destination, OutputKind};
use crate::error::{OpenError, OpenProblem, WriteError, WriteProblem};
use crate::file::SourceFile;
use crate::options::WriteOptions;
use crate::package::Package;
use crate::plan::WeightLayout;
use crate::source::Source;
use crate::staging::Staging;
use crate::walk::{Kind, walk};

const FILE_MODE: u32 = 0o666;
const FOLDER_MODE: u32 = 0o777;

/// What a finished output is like.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Bytes in all files of it.
    pub bytes: u64,
    /// A folder with the replaced content that could not be removed.
    pub leftover: Option<PathBuf>,
}

/// A package to be written.
#[derive(Default)]
pub struct PackageOutput<'a> {
    /// The package that it derives from: manifest, other files and permissions are kept. Without
    /// one the package is new, with identifiers derived from the model.
    pub base: Option<&'a Package>,
    /// The model file.
    pub model: Vec<Chunk>,
    /// Weight files that are new or changed, by the reference that the specification uses, such
    /// as `@model_path/weights/weight.bin`. Others of the base are copied as they are. Two
    /// references to one file must not both be here; [`Package::weight_file`] gives the same file
    /// for both.
    pub weights: BTreeMap<String, WeightLayout>,
}

/// Writes a `.mlmodel` file.
///
/// # Errors
/// The destination is refused (see [`crate::check_destination`]), an input changed meanwhile, or
/// the system fails. Nothing is visible then, and an earlier file is as it was.
///
/// ```
/// use coreml_package::{Chunk, WriteOptions, write_model_file};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let output = folder.path().join("small.mlmodel");
/// let chunks = [Chunk::Bytes("\x08\x01".into()), Chunk::Bytes("\x12\x00".into())];
/// let written = write_model_file(&output, &chunks, &WriteOptions::new())?;
/// assert_eq!(written.bytes, 4);
/// assert_eq!(std::fs::read(&output)?, b"\x08\x01\x12\x00");
/// # Ok(())
/// # }
/// ```
pub fn write_model_file(
    output: impl AsRef<Path>,
    chunks: &[Chunk],
    options: &WriteOptions,
) -> Result<Written, WriteError> {
    let mut options = options.clone();
    protect(&mut options, chunks);
    // A derived file has the permissions of the one that it mostly consists of.
    let mode = chunks.iter().find_map(|chunk| match chunk {
        Chunk::Copy { file, .. } => Some(file.mode()),
        _ => None,
    });
    publish(output.as_ref(), OutputKind::ModelFile, &options, |new| {
        create(new, chunks, mode.unwrap_or(FILE_MODE), &options)
    })
}

/// Copies a model byte for byte: what is written where nothing changes.
///
/// # Errors
/// As [`write_model_file`].
///
/// ```
/// use coreml_package::WriteOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let input = folder.path().join("in.mlmodel");
/// # std::fs::write(&input, b"\x08\x01")?;
/// # let output = folder.path().join("out.mlmodel");
/// let source = coreml_package::open(&input)?;
/// coreml_package::copy(&source, &output, &WriteOptions::new())?;
/// assert_eq!(std::fs::read(&output)?, std::fs::read(&input)?);
/// # Ok(())
/// # }
/// ```
pub fn copy(
    source: &Source,
    output: impl AsRef<Path>,
    options: &WriteOptions,
) -> Result<Written, WriteError> {
    let output = output.as_ref();
    let root = match source {
        Source::ModelFile(model) => {
            return write_model_file(output, &[Chunk::whole(model.file())], options);
        }
        Source::Package(package) => package.root(),
        Source::Compiled(compiled) => compiled.root(),
    };
    let options = options.clone().input(root);
    publish(output, OutputKind::Package, &options, |new| copy_folder(root, new, BTreeMap::new(), &options))
}

/// Writes a `.mlpackage` folder.
///
/// With a base, `Manifest.json` is kept byte for byte; an entry is added only for weight files
/// that no entry covers. Links of the base inside it stay links.
///
/// # Errors
/// As [`write_model_file`]; also a weight file reference that leaves the package.
///
/// ```
/// use coreml_package::{BlobType, Chunk, PackageOutput, WeightPlan, WriteOptions, write_package};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let mut plan = WeightPlan::new(None);
/// plan.append(BlobType::Int8, vec![1, 2, 3], 0)?;
/// let mut package = PackageOutput::default();
/// package.model.push(Chunk::Bytes("\x08\x07".into()));
/// package.weights.insert("@model_path/weights/weight.bin".into(), plan.finish()?);
/// let output = folder.path().join("new.mlpackage");
/// write_package(&output, &package, &WriteOptions::new())?;
///
/// let source = coreml_package::open(&output)?;
/// let weights = source.weight_file("@model_path/weights/weight.bin")?;
/// assert_eq!(&weights.blob(64)?.data[..], [1, 2, 3]);
/// # Ok(())
/// # }
/// ```
pub fn write_package(
    output: impl AsRef<Path>,
    package: &PackageOutput<'_>,
    options: &WriteOptions,
) -> Result<Written, WriteError> {
    let output = output.as_ref();
    let mut options = options.clone();
    protect(&mut options, &package.model);
    for layout in package.weights.values() {
        protect(&mut options, layout.chunks());
    }
    let input = |error| WriteError::new(output, WriteProblem::Input(error));
    let (root, changed) = match package.base {
        Some(base) => {
            options.inputs.push(base.root().to_owned());
            (Some(base.root()), changed_files(base, package).map_err(input)?)
        }
        None => (None, new_files(package).map_err(input)?),
    };
    publish(output, OutputKind::Package, &options, |new| match root {
        Some(root) => copy_folder(root, new, changed, &options),
        None => {
            make_folder(new, FOLDER_MODE)?;
            let bytes = write_files(new, changed, &options)?;
            sync_folders(new, &options)?;
            Ok(bytes)
        }
    })
}

/// Everything that chunks copy from is an input.
fn protect(options: &mut WriteOptions, chunks: &[Chunk]) {
    let mut last: Option<&Arc<SourceFile>> = None;
    for chunk in chunks {
        if let Chunk::Copy { file, .. } = chunk {
            let known = last.is_some_and(|last| Arc::ptr_eq(last, file));
            if !known && !options.inputs.iter().any(|input| input == file.path()) {
                options.inputs.push(file.path().to_owned());
            }
            last = Some(file);
        }
    }
}

/// Lets `make` build the output out of sight, then gives it its name.
fn publish(
    output: &Path,
    kind: OutputKind,
    options: &WriteOptions,
    make: impl FnOnce(&Path) -> Result<u64, WriteError>,
) -> Result<Written, WriteError> {
    let destination = Destination::locate(output)?;
    // Before anything is touched, and again, as there may be more to be seen after a recovery.
    destination.check(kind, options)?;
    destination.recover()?;
    destination.check(kind, options)?;
    let error = |action| move |source| WriteError::io(output, action, source);
    let staging = Staging::create(&destination.parent, &destination.name)
        .map_err(error("make a folder for temporary files"))?;
    let new = staging.new_entry();
    let bytes = make(&new).map_err(|error| error.moved(&new, output))?;
    // Again, as making it took time.
    let path = destination.path();
    if destination.check(kind, options)? {
        staging.publish_over(&path).map_err(error("replace"))?;
    } else {
        staging.publish_new(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => WriteError::new(output, WriteProblem::Exists),
            _ => WriteError::io(output, "rename into place", source),
        })?;
    }
    if options.fsync {
        sync(&destination.parent)?;
    }
    Ok(Written { bytes, leftover: staging.finish() })
}

/// Copies a folder, with `changed` files in place of, or beside, those that are there.
fn copy_folder(
    from: &Path,
    to: &Path,
    mut changed: Changed<'_>,
    options: &WriteOptions,
) -> Result<u64, WriteError> {
    let read = |path: &Path| {
        let path = path.to_owned();
        move |source| WriteError::io(path, "read", source)
    };
    let mode = fs::metadata(from).map_err(read(from))?.mode();
    make_folder(to, mode & 0o777)?;
    let mut bytes = 0;
    for item in walk(from).map_err(read(from))? {
        let (source, target) = (from.join(&item.path), to.join(&item.path));
        let mode = item.metadata.mode() & 0o777;
        match item.kind {
            Kind::Folder => make_folder(&target, mode)?,
            Kind::Link => {
                let link = fs::read_link(&source).map_err(read(&source))?;
                std::os::unix::fs::symlink(link, &target)
                    .map_err(|error| WriteError::io(&target, "make a link", error))?;
            }
            Kind::File => {
                bytes += match changed.remove(&item.path) {
                    Some(new) => create(&target, new.chunks(), mode, options)?,
                    None => {
                        let file = SourceFile::open(&source)
                            .map_err(|error| WriteError::new(&target, WriteProblem::Input(error)))?;
                        create(&target, &[Chunk::whole(&file)], mode, options)?
                    }
                }
            }
            Kind::Special => {
                let error = OpenError::new(&source, OpenProblem::NotRegular);
                return Err(WriteError::new(&target, WriteProblem::Input(error)));
            }
        }
    }
    bytes += write_files(to, changed, options)?;
    sync_folders(to, options)?;
    Ok(bytes)
}

/// Writes files that are new, with the folders above them.
fn write_files(root: &Path, files: Changed<'_>, options: &WriteOptions) -> Result<u64, WriteError> {
    let mut bytes = 0;
    for (path, file) in files {
        let target = root.join(path);
        if let Some(folder) = target.parent() {
            let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder);
            made.map_err(|error| WriteError::io(folder, "make the folder", error))?;
        }
        bytes += create(&target, file.chunks(), FILE_MODE, options)?;
    }
    Ok(bytes)
}

fn make_folder(path: &Path, mode: u32) -> Result<(), WriteError> {
    // We must be able to write into it, whatever the original allows.
    let made = DirBuilder::new().mode(mode | 0o700).create(path);
    made.map_err(|error| WriteError::io(path, "make the folder", error))
}

/// Makes the entries of every folder below `root` durable; files are already.
fn sync_folders(root: &Path, options: &WriteOptions) -> Result<(), WriteError> {
    if !options.fsync {
        return Ok(());
    }
    let items = walk(root).map_err(|error| WriteError::io(root, "read", error))?;
    for item in items.iter().filter(|item| item.kind == Kind::Folder) {
        sync(&root.join(&item.path))?;
    }
    sync(root)
}

fn sync(folder: &Path) -> Result<(), WriteError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|error| WriteError::io(folder, "make durable", error))
}
