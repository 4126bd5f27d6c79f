//! Weight files: where they come from, and which of their blobs a model names.

use std::sync::Arc;

use anewrite_tensor::DType;
use bytes::Bytes;
use coreml_package::{BlobFile, BlobType, OpenError, OpenProblem, Package, Source};
use rustc_hash::FxHashMap;

use crate::error::{Problem, Read};
use crate::read::Span;

/// Where weight files come from.
pub trait WeightSource {
    /// The weight file that a model refers to, such as `@model_path/weights/weight.bin`.
    ///
    /// # Errors
    /// Where there is none, or it is no weight file.
    fn weight_file(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError>;

    /// Whether a model from here can have weight files at all: packages can, lone model files cannot.
    fn has_files(&self) -> bool;
}

impl WeightSource for Source {
    fn weight_file(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError> {
        Source::weight_file(self, reference)
    }

    fn has_files(&self) -> bool {
        !matches!(self, Source::ModelFile(_))
    }
}

impl WeightSource for Package {
    fn weight_file(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError> {
        Package::weight_file(self, reference)
    }

    fn has_files(&self) -> bool {
        true
    }
}

/// A model that has no weight files: its specification holds everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWeights;

impl WeightSource for NoWeights {
    fn weight_file(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError> {
        Err(OpenError::new("(memory)", OpenProblem::NoWeightFiles(reference.to_owned())))
    }

    fn has_files(&self) -> bool {
        false
    }
}

/// The blob type of an element type; `None` where weight files cannot hold it.
pub(crate) fn blob_type(dtype: DType) -> Option<BlobType> {
    Some(match dtype {
        DType::F16 => BlobType::Float16,
        DType::F32 => BlobType::Float32,
        DType::BF16 => BlobType::BFloat16,
        DType::F8E4M3 => BlobType::Float8E4M3FN,
        DType::F8E5M2 => BlobType::Float8E5M2,
        DType::I4 => BlobType::Int4,
        DType::I8 => BlobType::Int8,
        DType::I16 => BlobType::Int16,
        DType::I32 => BlobType::Int32,
        DType::U1 => BlobType::UInt1,
        DType::U2 => BlobType::UInt2,
        DType::U3 => BlobType::UInt3,
        DType::U4 => BlobType::UInt4,
        DType::U6 => BlobType::UInt6,
        DType::U8 => BlobType::UInt8,
        DType::U16 => BlobType::UInt16,
        DType::U32 => BlobType::UInt32,
        _ => return None,
    })
}

/// A place in the specification that names a blob.
#[derive(Clone, Debug)]
pub(crate) struct BlobRef {
    /// Which of [`WeightUses::files`].
    pub(crate) file: u32,
    /// Offset of the blob's record.
    pub(crate) offset: u64,
    /// The content of the `BlobFileValue` message.
    pub(crate) span: Span,
}

/// Every blob that a model names, and the files they are in.
#[derive(Debug, Default)]
pub(crate) struct WeightUses {
    /// The files by reference, in order of first use.
    pub(crate) files: Vec<(Arc<str>, Arc<BlobFile>)>,
    by_name: FxHashMap<Arc<str>, u32>,
    /// The places, in order of reading.
    pub(crate) refs: Vec<BlobRef>,
    /// Blobs by address of their bytes, to know them again.
    by_address: FxHashMap<(usize, usize), (u32, u64)>,
}

impl WeightUses {
    /// Notes that the message at `span` names the blob at `offset` of the file `reference`, which is opened.
    pub(crate) fn note(
        &mut self,
        source: &dyn WeightSource,
        reference: &str,
        offset: u64,
        span: Span,
    ) -> Read<(u32, Arc<BlobFile>)> {
        let index = match self.by_name.get(reference) {
            Some(&index) => index,
            None => {
                let file = source.weight_file(reference)?;
                let name: Arc<str> = reference.into();
                let index = self.files.len() as u32;
                self.by_name.insert(Arc::clone(&name), index);
                self.files.push((name, file));
                index
            }
        };
        self.refs.push(BlobRef { file: index, offset, span });
        let file = self.files.get(index as usize).map(|(_, file)| Arc::clone(file));
        Ok((index, file.ok_or(Problem::Missing("fileName"))?))
    }

    /// Remembers where the bytes of a blob are.
    pub(crate) fn remember(&mut self, file: u32, offset: u64, data: &Bytes) {
        if !data.is_empty() {
            self.by_address.entry((data.as_ptr().addr(), data.len())).or_insert((file, offset));
        }
    }

    /// The blob that consists of exactly these bytes of a map: file and offset.
    pub(crate) fn find(&self, data: &Bytes) -> Option<(u32, u64)> {
        self.by_address.get(&(data.as_ptr().addr(), data.len())).copied()
    }
}
