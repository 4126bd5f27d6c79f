//! Models: opened, looked at, printed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anewrite_convert::{Document, Part};
use anewrite_ir::{Dialect, DialectId, Program, mil::Mil};
use anewrite_nn::Nn;
use bytes::Bytes;
use coreml_package::Source;

use crate::Error;

/// A Core ML model that was read: a `.mlmodel` file, a `.mlpackage` folder, or bytes in memory.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) source: Option<Arc<Source>>,
    pub(crate) document: Document,
    pub(crate) path: PathBuf,
}

impl Model {
    /// Opens a model. Weights stay in their files until something must compute with them.
    ///
    /// # Errors
    /// Where the path is no model, or the model cannot be read: the error names file, place and reason.
    ///
    /// ```
    /// # fn main() -> Result<(), anewrite::Error> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/ironmill_mnist_base.mlpackage");
    /// let model = anewrite::Model::open(path)?;
    /// assert_eq!(model.kind(), "mlProgram");
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Model, Error> {
        let path = path.as_ref();
        let source = coreml_package::open(path)?;
        if source.model().is_none() {
            return Err(Error::Compiled(path.to_owned()));
        }
        let document = anewrite_convert::import(&source)?;
        Ok(Model { source: Some(Arc::new(source)), document, path: path.to_owned() })
    }

    /// Reads the specification of a model whose weights are all in it: the content of a `.mlmodel` file.
    ///
    /// # Errors
    /// Where the bytes are no model, or the model names weight files.
    pub fn from_bytes(spec: impl Into<Bytes>) -> Result<Model, Error> {
        let name = Path::new("(memory)");
        let document = anewrite_convert::import_spec(name, &spec.into(), &anewrite_convert::NoWeights)?;
        Ok(Model { source: None, document, path: name.to_owned() })
    }

    /// Where it was read from; `(memory)` for bytes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its type as the specification names it: `mlProgram`, `neuralNetworkClassifier`, `pipeline`.
    pub fn kind(&self) -> &str {
        &self.document.info().kind
    }

    /// Its networks with their programs: one, or those of a pipeline.
    pub fn parts(&self) -> &[Part] {
        &self.document.parts
    }

    /// The model as it was read, with what is needed to write it back.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Bytes of all files of the model.
    pub fn byte_len(&self) -> u64 {
        match &self.source {
            Some(source) => source.byte_len(),
            None => self.document.spec().len() as u64,
        }
    }
}

/// The definitions of a program's ops.
pub(crate) fn dialect_of(program: &Program) -> Box<dyn Dialect> {
    match program.dialect {
        DialectId::Mil => Box::new(Mil),
        DialectId::Nn => Box::new(Nn::of(program)),
    }
}
