//! What can be wrong with a model that is read, and where.

use std::path::PathBuf;

use anewrite_tensor::{DType, TensorError};
use coreml_package::{BlobError, BlobType, OpenError};
use coreml_proto::wire::{MAX_DEPTH, WireError};
use thiserror::Error;

/// A model that cannot be imported: the file, the place in its message, and why.
#[derive(Debug, Error)]
#[error("{}: {}{problem}", file.display(), place(path))]
pub struct ImportError {
    file: PathBuf,
    path: String,
    problem: Box<Problem>,
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl ImportError {
    pub(crate) fn new(file: impl Into<PathBuf>, fault: Fault) -> Self {
        let Fault { mut steps, problem } = fault;
        steps.reverse();
        let mut path = String::new();
        for step in steps {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&step);
        }
        ImportError { file: file.into(), path, problem }
    }

    /// The file with the specification.
    pub fn file(&self) -> &std::path::Path {
        &self.file
    }

    /// The place in the model's message, such as
    /// `mlProgram.functions["main"].block_specializations["CoreML6"].operations[12]`; empty for the model itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong there.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

/// What is wrong with a model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// Bytes that are no protobuf message; the offset is the file's.
    #[error("the file is damaged or no model: {0}")]
    Wire(#[from] WireError),
    /// A message of the schema that prost cannot decode.
    #[error("the message cannot be decoded: {0}")]
    Decode(#[from] prost::DecodeError),
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8")]
    Utf8,
    /// Messages nested deeper than protobuf readers allow.
    #[error("nested deeper than {MAX_DEPTH} messages")]
    TooDeep,
    /// A field that can occur once occurs again, or two members of a oneof are set. Readers disagree about such
    /// messages.
    #[error("{0} is given more than once")]
    Repeated(&'static str),
    /// A field that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The same key twice in a map.
    #[error("the key {0:?} is given more than once")]
    RepeatedKey(String),
    /// The model holds no network: other kinds of models have nothing to rewrite.
    #[error("a model of type {0} has no network in it")]
    NoNetwork(String),
    /// The oneof of model types is not set, or set to a type that is not in the published schema.
    #[error("no model type that is known is set, so this is no Core ML model or one of a newer kind")]
    NoModelType,
    /// A compiled model, which has no specification.
    #[error("a compiled model has no specification; its program is text")]
    Compiled,
    /// The function names an opset for which it has no block.
    #[error("the opset is {opset:?}, but there are block specializations for {have:?} only")]
    NoSpecialization {
        /// The opset that the function names.
        opset: String,
        /// The opsets that it has blocks for.
        have: Vec<String>,
    },
    /// A name that nothing defines.
    #[error("{0:?} is not defined")]
    UnknownName(String),
    /// A name that is defined after its use, as in a cycle.
    #[error("{0:?} is used before it is defined")]
    UsedBeforeDefined(String),
    /// A name that is defined twice in one block.
    #[error("{0:?} is defined twice")]
    DefinedTwice(String),
    /// A constant whose extents and elements do not agree.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The extents of a type overflow.
    #[error("the extents {0:?} have a product over 2^63")]
    Overflow(Vec<u64>),
    /// A weight file that cannot be opened.
    #[error(transparent)]
    WeightFile(#[from] OpenError),
    /// A blob that cannot be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A blob that holds something else than the program declares.
    #[error("{declared} with {want} elements is declared, the blob at {offset} holds {have} of {stored}")]
    BlobType {
        /// Offset of the blob's record in its file.
        offset: u64,
        /// The declared element type.
        declared: DType,
        /// The declared number of elements.
        want: u64,
        /// The element type in the file.
        stored: BlobType,
        /// The number of elements in the file.
        have: u64,
    },
}

/// An error on its way up: the steps of the path are added from the inside out.
#[derive(Debug)]
pub(crate) struct Fault {
    steps: Vec<String>,
    problem: Box<Problem>,
}

impl Fault {
    /// What is wrong, without where.
    pub(crate) fn into_problem(self) -> Problem {
        *self.problem
    }
}

pub(crate) type Read<T> = Result<T, Fault>;

impl<P: Into<Problem>> From<P> for Fault {
    fn from(problem: P) -> Self {
        Fault { steps: Vec::new(), problem: Box::new(problem.into()) }
    }
}

/// Adds where to an error, at no cost while there is none.
pub(crate) trait At {
    fn at(self, step: impl FnOnce() -> String) -> Self;
}

impl<T> At for Read<T> {
    fn at(self, step: impl FnOnce() -> String) -> Self {
        self.map_err(|mut fault| {
            fault.steps.push(step());
            fault
        })
    }
}
