//! Errors: what went wrong, where, and what the user can do about it.
//!
//! Every error is a place (a path, for blobs also an offset) and a problem. The text of
//! [`std::fmt::Display`] is one line that names both; [`OpenError::hint`] and [`WriteError::hint`]
//! give the advice, which a front end may print below it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A model, package, manifest or weight file that cannot be opened or read.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct OpenError {
    path: PathBuf,
    problem: Box<OpenProblem>,
}

impl OpenError {
    /// An error about the file or folder at `path`, for those who offer files that are not on a disk.
    pub fn new(path: impl Into<PathBuf>, problem: OpenProblem) -> Self {
        Self { path: path.into(), problem: Box::new(problem) }
    }

    /// Turns an error of the operating system into the problem a reader of the message knows.
    pub(crate) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let problem = match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenProblem::NotFound { aside: None },
            io::ErrorKind::PermissionDenied => OpenProblem::PermissionDenied,
            _ => OpenProblem::Io(source),
        };
        Self::new(path, problem)
    }

    /// The file or folder that the problem is about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &OpenProblem {
        &self.problem
    }

    /// What the user can do, as one sentence without a full stop.
    pub fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}

/// What is wrong with an input.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenProblem {
    /// Nothing is there.
    #[error("no such file or folder")]
    NotFound {
        /// Where a replacement that was cut short has put the earlier content, if it did.
        aside: Option<PathBuf>,
    },
    /// The operating system does not let us read it.
    #[error("permission denied")]
    PermissionDenied,
    /// Any other failure of the operating system.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// A file without a byte in it.
    #[error("the file is empty")]
    Empty,
    /// A folder where a file must be.
    #[error("is a folder, not a file")]
    IsFolder,
    /// A device, socket or pipe.
    #[error("is not a regular file")]
    NotRegular,
    /// More bytes than the address space of this machine holds.
    #[error("has {0} bytes, more than can be mapped on this machine")]
    TooLarge(u64),
    /// A range that does not lie inside the file.
    #[error("bytes {start}..{end} lie outside the file, which has {len} bytes")]
    OutOfRange {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Length of the file in bytes.
        len: u64,
    },
    /// A file whose first bytes show that it is something else.
    #[error("is {what}, not a Core ML model")]
    NotAModel {
        /// What the bytes look like, with its article.
        what: &'static str,
        /// What to do with such a file.
        hint: &'static str,
    },
    /// A folder that is neither a package nor a compiled model.
    #[error("the folder has no Manifest.json, so it is not a model package")]
    NoManifest {
        /// A model found directly inside the folder.
        inner: Option<PathBuf>,
    },
    /// A compiled NeuralNetwork: layers and weights are in Core ML's internal form.
    #[error("is a compiled NeuralNetwork (model.espresso.net), which cannot be read back")]
    Espresso,
    /// A compiled model without `model.mil`.
    #[error("is a compiled model without a model.mil")]
    CompiledWithoutProgram {
        /// A folder inside that does hold a `model.mil`, as in compiled pipelines.
        inner: Option<PathBuf>,
    },
    /// A manifest that is not the JSON it has to be.
    #[error("the manifest is broken: {0}")]
    Manifest(String),
    /// A manifest made for a later format.
    #[error("file format version {0} is not known, only 1.x is")]
    FormatVersion(String),
    /// A path that is absolute, has `..` in it, or names nothing: it could lead out of the package.
    #[error("{0:?} is no path inside the package")]
    Leaves(String),
    /// A symbolic link that ends outside the package.
    #[error("{name:?} is a symbolic link to {}, which is outside the package", target.display())]
    LinkLeaves {
        /// The path as the manifest or the specification has it.
        name: String,
        /// Where it ends.
        target: PathBuf,
    },
    /// A file that the manifest or the specification names and that is not there.
    #[error("{named_by} names {name:?}, which does not exist")]
    MissingItem {
        /// What holds the reference.
        named_by: &'static str,
        /// The path as written there.
        name: String,
    },
    /// A weight file that is to be written twice, or over another file of the package.
    #[error("{0:?} names a file that is also written under another name")]
    Clash(String),
    /// A reference to a weight file in a form that is not understood.
    #[error("the weight file reference {0:?} is not understood")]
    WeightReference(String),
    /// A lone `.mlmodel` whose program refers to a weight file.
    #[error("refers to the weight file {0:?}, which only a package can hold")]
    NoWeightFiles(String),
    /// A weight file whose header is wrong.
    #[error("is not a weight file: {0}")]
    Weights(#[source] BlobProblem),
}

impl OpenProblem {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotFound { aside: Some(aside) } => {
                return Some(format!(
                    "a replacement was cut short; the earlier content is at {}: move it back",
                    aside.display()
                ));
            }
            Self::NotFound { aside: None } => "check the spelling of the path",
            Self::PermissionDenied => "change the permissions or copy the model to a readable place",
            Self::Empty => "the download or copy was probably cut short: fetch the file again",
            Self::IsFolder | Self::NotRegular => "give a .mlmodel file or a .mlpackage folder",
            Self::NotAModel { hint, .. } => hint,
            Self::NoManifest { inner: Some(inner) } => {
                return Some(format!("did you mean {}?", inner.display()));
            }
            Self::NoManifest { inner: None } => "give a .mlmodel file or a .mlpackage folder",
            Self::Espresso => "use the .mlmodel file that it was compiled from",
            Self::CompiledWithoutProgram { inner: Some(inner) } => {
                return Some(format!("its parts can be read one by one, as {}", inner.display()));
            }
            Self::CompiledWithoutProgram { inner: None } => {
                "use the .mlmodel or .mlpackage that it was compiled from"
            }
            Self::FormatVersion(_) => "a newer release of this program may know it",
            Self::LinkLeaves { .. } => {
                "make a copy in which links are replaced by the files, as `cp -RL` does"
            }
            Self::MissingItem { .. } => "the package is incomplete: copy or download it again",
            Self::NoWeightFiles(_) => "give the .mlpackage folder instead of the file inside it",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// A blob that cannot be read, with the weight file and the place of its metadata record.
#[derive(Debug, Error)]
#[error("{}: blob at offset {offset}: {problem}", path.display())]
pub struct BlobError {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) problem: BlobProblem,
}

impl BlobError {
    /// The weight file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Offset of the metadata record in bytes, as the specification gives it.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What is wrong.
    pub fn problem(&self) -> &BlobProblem {
        &self.problem
    }
}

/// What is wrong with a weight file, with a blob in it or with a blob to be added.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BlobProblem {
    /// Fewer bytes than the 64 of the file header.
    #[error("{0} bytes are too few for the 64-byte header")]
    ShortHeader(u64),
    /// A header version other than 2.
    #[error("storage version {0} is not known, only 2 is")]
    Version(u32),
    /// A metadata record that does not lie inside the file.
    #[error("the metadata record lies outside the file, which has {0} bytes")]
    RecordOutside(u64),
    /// A metadata record that the operating system does not give us.
    #[error("the metadata record cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// A metadata record or data that does not start at a multiple of 64.
    #[error("{what} starts at {offset}, which is not a multiple of 64")]
    Misaligned {
        /// The metadata record or the data.
        what: &'static str,
        /// Its offset in bytes.
        offset: u64,
    },
    /// The record does not start with 0xDEADBEEF.
    #[error("the record starts with {0:#010x} in place of the mark 0xdeadbeef")]
    Sentinel(u32),
    /// Data that does not lie inside the file.
    #[error("its data, {size} bytes at {start}, lies outside the file, which has {len} bytes")]
    DataOutside {
        /// First byte of the data.
        start: u64,
        /// Bytes of data.
        size: u64,
        /// Length of the file in bytes.
        len: u64,
    },
    /// A data type number outside the published list.
    #[error("data type {0} is not known")]
    DataType(u32),
    /// A byte count that is no whole number of elements.
    #[error("{size} bytes with {padding_bits} bits of padding are no whole number of {dtype} elements")]
    Size {
        /// Data type of the elements.
        dtype: crate::BlobType,
        /// Bytes of data.
        size: u64,
        /// Unused bits at the end of the last byte.
        padding_bits: u64,
    },
    /// Records that would be read in a circle.
    #[error("the next record would not lie behind this one")]
    NoProgress,
    /// More blobs than the header's 32-bit count can say.
    #[error("a weight file holds at most 4294967295 blobs")]
    TooMany,
    /// A file longer than 64-bit offsets reach.
    #[error("the weight file would be longer than 64-bit offsets reach")]
    TooLong,
    /// `keep` on a plan without a base file.
    #[error("there is no earlier weight file to keep a blob of")]
    NoBase,
}

/// An output that cannot be written. Nothing of it is visible, and what was there before still is.
#[derive(Debug, Error)]
#[error("{}: {problem}", path.display())]
pub struct WriteError {
    path: PathBuf,
    problem: Box<WriteProblem>,
}

impl WriteError {
    pub(crate) fn new(path: impl Into<PathBuf>, problem: WriteProblem) -> Self {
        Self { path: path.into(), problem: Box::new(problem) }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str, source: io::Error) -> Self {
        Self::new(path, WriteProblem::Io { action, source })
    }

    /// The same error of the place below `to` that corresponds to its place below `from`.
    pub(crate) fn moved(mut self, from: &Path, to: &Path) -> Self {
        match self.path.strip_prefix(from) {
            Ok(rest) if rest.as_os_str().is_empty() => self.path = to.to_owned(),
            Ok(rest) => self.path = to.join(rest),
            Err(_) => {}
        }
        self
    }

    /// The output, or the file of it that failed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong.
    pub fn problem(&self) -> &WriteProblem {
        &self.problem
    }

    /// What the user can do, as one sentence without a full stop.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match &*self.problem {
            WriteProblem::Exists => "choose another name, or ask for it to be replaced (force)",
            WriteProblem::IsInput(_) | WriteProblem::InsideInput(_) | WriteProblem::AroundInput(_) => {
                "inputs are never written to: choose an output elsewhere"
            }
            WriteProblem::NotReplaceable(_) => "choose another name, or remove it first",
            WriteProblem::NoName => "give the output a file name",
            WriteProblem::NoFolder => "make the folder first",
            WriteProblem::SourceChanged(_) => "run again when nothing else writes to the input",
            WriteProblem::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space or choose an output on another disk"
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "choose an output in a folder that you may write to"
                }
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// What stands in the way of an output.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteProblem {
    /// Something of that name is there and may not be replaced.
    #[error("already exists")]
    Exists,
    /// The output is the input, under this or another name.
    #[error("is the input {} itself", .0.display())]
    IsInput(PathBuf),
    /// The output would lie inside the input.
    #[error("lies inside the input {}", .0.display())]
    InsideInput(PathBuf),
    /// Replacing the output would remove the input.
    #[error("contains the input {}", .0.display())]
    AroundInput(PathBuf),
    /// What is there is of another kind, so it is not ours to replace.
    #[error("is {0}, which will not be replaced by a model")]
    NotReplaceable(&'static str),
    /// A path that ends in `..` or `/`.
    #[error("the path has no file name")]
    NoName,
    /// The folder that the output goes to is missing.
    #[error("the folder for it does not exist")]
    NoFolder,
    /// An input changed between reading and writing.
    #[error("the input {} changed while it was used", .0.display())]
    SourceChanged(PathBuf),
    /// A stream that gave another number of bytes than it declared.
    #[error("a computed weight gave {written} bytes where {declared} were declared")]
    StreamLength {
        /// Bytes that [`crate::ByteStream::byte_len`] promised.
        declared: u64,
        /// Bytes that came; counting stops at the first one too many.
        written: u64,
    },
    /// The lengths of the chunks add up to more than 64 bits hold.
    #[error("the output would be longer than 64-bit offsets reach")]
    TooLong,
    /// A weight file name or an input file that cannot be used.
    #[error("{0}")]
    Input(#[source] OpenError),
    /// A failure of the operating system.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
}
