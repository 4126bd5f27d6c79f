//! Models as text.

use std::path::Path;

use anewrite_convert::Document;
use anewrite_ir::infer::infer;
use anewrite_ir::text::{BlobRef, BlobText, ParseOptions, PrintOptions, parse_with, print};
use anewrite_ir::{Program, TensorType, ValueId};
use anewrite_tensor::{Payload, Tensor};
use coreml_package::{Compiled, Source};

use crate::Error;
use crate::model::{Model, dialect_of};

/// How a model is shown.
#[derive(Clone, Copy, Debug)]
pub struct ShowOptions {
    /// Whether constants that are not spelled out show a digest, which takes reading all weights.
    pub digest: bool,
    /// Whether inferred types are shown, with names for dims that are not known, in place of the stored ones.
    pub inferred: bool,
}

impl Default for ShowOptions {
    fn default() -> Self {
        ShowOptions { digest: true, inferred: false }
    }
}

/// A model as MIL text: a `.mlmodel` file, a `.mlpackage` folder, or a compiled `.mlmodelc` folder.
///
/// # Errors
/// Where the model cannot be read.
///
/// ```
/// # fn main() -> Result<(), anewrite::Error> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/models/ironmill_mnist_base.mlpackage");
/// let text = anewrite::show(path, &anewrite::ShowOptions::default())?;
/// assert!(text.contains("max_pool("));
/// # Ok(())
/// # }
/// ```
pub fn show(path: impl AsRef<Path>, options: &ShowOptions) -> Result<String, Error> {
    let path = path.as_ref();
    match coreml_package::open(path)? {
        Source::Compiled(compiled) => Ok(text(&read_compiled(&compiled)?, None, options)),
        _ => Ok(show_model(&Model::open(path)?, options)),
    }
}

/// A model that was opened, as MIL text.
pub fn show_model(model: &Model, options: &ShowOptions) -> String {
    let mut out = String::new();
    for part in model.parts() {
        if !part.path.is_empty() {
            out.push_str(&format!("// {} {}\n", part.path, part.name));
        }
        out.push_str(&text(&part.program, Some(model.document()), options));
    }
    out
}

fn text(program: &Program, document: Option<&Document>, options: &ShowOptions) -> String {
    let blob_of = |v: ValueId| document.and_then(|d| blob_of(d, program, v));
    let inferred = options.inferred.then(|| infer(program, &*dialect_of(program)));
    let print_options = PrintOptions {
        digest: options.digest,
        blobs: Some(&blob_of),
        types: inferred.as_ref().map(|i| (&i.facts, &i.dims)),
        ..PrintOptions::default()
    };
    print(program, &print_options)
}

fn blob_of(document: &Document, program: &Program, value: ValueId) -> Option<BlobRef> {
    match program.constant(value)?.tensor.payload() {
        Payload::Bytes(bytes) => {
            let (file, offset) = document.blob_of(bytes)?;
            Some(BlobRef { path: file.to_owned(), offset })
        }
        _ => None,
    }
}

/// The program of a compiled model.
pub(crate) fn read_compiled(compiled: &Compiled) -> Result<Program, Error> {
    let file = compiled.program();
    let at = |source| Error::Text { path: file.path().to_owned(), source: Box::new(source) };
    let blobs = |blob: &BlobText, ty: &TensorType| read_blob(compiled, blob, ty);
    let options = ParseOptions { blobs: Some(&blobs), dialect: None };
    let text = std::str::from_utf8(file.bytes()).map_err(|_| Error::NotText(file.path().to_owned()))?;
    parse_with(text, &options).map_err(at)
}

fn read_blob(compiled: &Compiled, blob: &BlobText, ty: &TensorType) -> Result<Tensor, String> {
    let (Some(path), Some(offset)) = (&blob.path, blob.offset) else {
        return Err("the constant names no file and offset".into());
    };
    let file = compiled.weight_file(path).map_err(|e| e.to_string())?;
    let data = file.blob(offset).map_err(|e| e.to_string())?.data;
    let dims = ty.known_dims().ok_or("the constant's shape is not known")?;
    Tensor::new(ty.dtype, dims, data).map_err(|e| e.to_string())
}
