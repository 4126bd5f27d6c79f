//! Writing a model back: the source with edits, and the weight files that changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use anewrite_tensor::TensorError;
use bytes::Bytes;
use coreml_package::{BlobError, BlobProblem, Chunk, OpenError, SourceFile, WeightLayout};
use coreml_proto::rope::{Piece, Rope};
use coreml_proto::splice::{EditError, Edits};
use coreml_proto::wire::WireError;
use thiserror::Error;

use crate::blobs::Blobs;
use crate::document::{Document, PartSource};
use crate::error::Fault;
use crate::mil;
use crate::nn;
use crate::place::Place;
use crate::read::Span;
use crate::weights::WeightSource;

/// A model ready to be written.
pub struct Export {
    /// The specification, as ranges of the source and new bytes.
    pub model: Rope,
    /// Weight files that are new or changed, by the reference that the model uses. All others stay as they are.
    pub weights: BTreeMap<String, WeightLayout>,
}

impl Export {
    /// Whether specification and weights are the source's, byte for byte.
    pub fn is_unchanged(&self, document: &Document) -> bool {
        self.weights.is_empty() && self.model.as_source() == Some(0..document.spec().len() as u64)
    }

    /// The specification as chunks of the file that it was read from.
    pub fn model_chunks(&self, file: &Arc<SourceFile>) -> Vec<Chunk> {
        let chunk = |piece: &Piece| match piece {
            Piece::Source(range) => Chunk::Copy { file: Arc::clone(file), range: range.clone() },
            Piece::Bytes(bytes) => Chunk::Bytes(bytes.clone()),
        };
        self.model.pieces().iter().map(chunk).collect()
    }
}

/// A program that cannot be written: where, and why.
#[derive(Debug, Error)]
#[error("{place}: {problem}")]
pub struct ExportError {
    place: String,
    problem: Box<ExportProblem>,
}

impl ExportError {
    pub(crate) fn new(place: String, problem: impl Into<ExportProblem>) -> Self {
        ExportError { place, problem: Box::new(problem.into()) }
    }

    /// The op, function or file that it is about.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Why it cannot be written.
    pub fn problem(&self) -> &ExportProblem {
        &self.problem
    }
}

/// Why a program cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportProblem {
    /// A value without a type, which the format asks for.
    #[error("a value has no type that the format can state")]
    UnknownType,
    /// An attribute that the format has no field for, or one of another type; in an ML Program, any that is no value.
    #[error("the attribute {0} does not fit the format")]
    Attribute(String),
    /// A layer that the schema does not have.
    #[error("there is no layer of this kind")]
    UnknownLayer,
    /// A constant where a layer reads a blob.
    #[error("a constant cannot be the input of a layer; a loadConstant layer makes a blob of it")]
    ConstantInput,
    /// A parameter that the format takes in an attribute, bound to a value that is no constant.
    #[error("{0} must be a constant")]
    NotConstant(String),
    /// A constant that is not visible where it is used.
    #[error("the constant {0:?} is used outside the block that it belongs to")]
    NotVisible(String),
    /// A change that rewrites do not make: functions added, inputs or outputs of a function renamed, operands added
    /// to an op.
    #[error("{0}, which a rewrite must not do")]
    Interface(String),
    /// A constant whose elements cannot be read.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A weight file that cannot be opened.
    #[error(transparent)]
    WeightFile(#[from] OpenError),
    /// A blob that cannot be read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A blob that cannot be written.
    #[error("a weight cannot be stored: {0}")]
    NewBlob(#[from] BlobProblem),
    /// A part of the source that cannot be read again.
    #[error("the source cannot be read again: {0}")]
    Source(#[from] crate::Problem),
    /// An edit that does not fit the source.
    #[error("the source cannot be edited: {0}")]
    Edit(#[from] EditError),
}

impl From<Fault> for ExportProblem {
    fn from(fault: Fault) -> Self {
        ExportProblem::Source(fault.into_problem())
    }
}

impl From<WireError> for ExportProblem {
    fn from(error: WireError) -> Self {
        ExportProblem::Source(error.into())
    }
}

/// Writes a document back. What was not changed since the import is the source's bytes; a document without any change
/// gives the source as one range. `weights` is where the document was imported from.
///
/// # Errors
/// The program has something that the format cannot say: see [`ExportProblem`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use coreml_proto::{mil, spec};
/// use prost::Message;
///
/// let block = mil::Block::default();
/// let main = mil::Function {
///     opset: "CoreML6".into(),
///     block_specializations: [("CoreML6".to_owned(), block)].into(),
///     ..Default::default()
/// };
/// let program = mil::Program { functions: [("main".to_owned(), main)].into(), ..Default::default() };
/// let model = spec::Model { r#type: Some(spec::model::Type::MlProgram(program)), ..Default::default() };
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("empty.mlmodel");
/// std::fs::write(&path, model.encode_to_vec())?;
///
/// let source = coreml_package::open(&path)?;
/// let document = anewrite_convert::import(&source)?;
/// let export = anewrite_convert::export(&document, &source)?;
/// assert!(export.is_unchanged(&document));
/// # Ok(())
/// # }
/// ```
pub fn export(document: &Document, weights: &dyn WeightSource) -> Result<Export, ExportError> {
    write(document, weights, false)
}

/// Writes a document back with every op, constant, type and name made anew from the program, even where nothing
/// changed: what the graph does not hold is still the source's. The result means the same as [`export`]'s; this is how
/// tests show that an import loses nothing.
///
/// # Errors
/// As [`export`].
pub fn export_anew(document: &Document, weights: &dyn WeightSource) -> Result<Export, ExportError> {
    write(document, weights, true)
}

/// What the writers of all parts add to.
pub(crate) struct Sheet<'a> {
    pub(crate) spec: &'a Bytes,
    pub(crate) edits: Edits,
    /// Fields that are left out or replaced.
    pub(crate) gone: Vec<Span>,
    /// Fields that stand elsewhere in the output.
    pub(crate) moved: Vec<Span>,
    pub(crate) blobs: Blobs<'a>,
    /// Whether everything is to be made anew.
    pub(crate) anew: bool,
}

fn write(document: &Document, weights: &dyn WeightSource, anew: bool) -> Result<Export, ExportError> {
    let blobs = Blobs::new(&document.uses, weights);
    let mut sheet =
        Sheet { spec: &document.spec, edits: Edits::new(), gone: Vec::new(), moved: Vec::new(), blobs, anew };
    sheet.parts(document)?;
    let in_files = |p: ExportProblem| ExportError::new("weights".into(), p);
    // Offsets of new blobs are known only when all are, and then the messages that name them are made again.
    if sheet.blobs.settle(document, &sheet.gone).map_err(in_files)? {
        sheet.edits = Edits::new();
        sheet.gone.clear();
        sheet.moved.clear();
        sheet.parts(document)?;
        let Sheet { spec, edits, gone, moved, blobs, .. } = &mut sheet;
        blobs.relocate(spec, edits, |span| !inside(gone, span) && !inside(moved, span)).map_err(in_files)?;
    }
    let model = sheet.edits.apply(&document.spec, 0..document.spec.len());
    let model = model.map_err(|e| ExportError::new("model".into(), e))?;
    let weights = sheet.blobs.finish();
    Ok(Export { model, weights })
}

impl Sheet<'_> {
    fn parts(&mut self, document: &Document) -> Result<(), ExportError> {
        for (index, part) in document.parts.iter().enumerate() {
            match &*part.source {
                PartSource::Program(source) => mil::export(self, index, part, source)?,
                PartSource::Network(source) => nn::export(self, part, source)?,
            }
        }
        self.gone.sort_unstable_by_key(|s| s.start);
        self.moved.sort_unstable_by_key(|s| s.start);
        Ok(())
    }

    /// Leaves out a field.
    pub(crate) fn drop(&mut self, field: Span) {
        self.edits.drop(field.clone());
        self.gone.push(field);
    }

    /// Puts other fields in place of one.
    pub(crate) fn replace(&mut self, field: Span, fields: Rope) {
        self.edits.replace(field.clone(), fields);
        self.gone.push(field);
    }

    /// Adds a field at a place.
    pub(crate) fn insert(&mut self, place: &Place, field: Rope) {
        match place {
            Place::Before(at) => self.edits.insert_before(*at, field),
            Place::End(content) => self.edits.append(content.clone(), field),
        }
    }

    /// Leaves out a field that stands elsewhere in the output, and gives it, edited by `inner`.
    pub(crate) fn take(&mut self, field: Span, inner: Edits) -> Result<Rope, ExportProblem> {
        self.edits.drop(field.clone());
        self.moved.push(field.clone());
        let mut inner = inner;
        let within = field.clone();
        self.blobs
            .relocate(self.spec, &mut inner, |span| span.start >= within.start && span.end <= within.end)?;
        Ok(inner.apply(self.spec, field)?)
    }
}

/// Whether `span` lies in one of `spans`, which are sorted and do not overlap.
pub(crate) fn inside(spans: &[Span], span: &Span) -> bool {
    let after = spans.partition_point(|s| s.start <= span.start);
    after.checked_sub(1).and_then(|i| spans.get(i)).is_some_and(|s| span.end <= s.end)
}
