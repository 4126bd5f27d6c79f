//! What the tests of this crate share: test models, and a reader of messages that knows nothing of the crate.
#![allow(dead_code, reason = "each test file uses a part")]

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anewrite_convert::{Document, WeightSource, import_spec};
use anewrite_ir::{BlockId, Const, ConstOrigin, OpId, Program, ValueId};
use anewrite_tensor::Tensor;
use bytes::Bytes;
use coreml_package::{BlobFile, OpenError, Source};
use coreml_proto::mil::{Operation, value};
use coreml_proto::wire::{Fields, Value};
use prost::Message;

/// Real models, and those that make_models.py made.
pub(crate) fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let mut paths = Vec::new();
    find(&root.join("models"), &mut paths);
    find(&root.join("convert"), &mut paths);
    assert!(paths.len() > 20, "{} models in {}", paths.len(), root.display());
    paths
}

fn find(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        match path.extension().and_then(|e| e.to_str()) {
            Some("mlmodel" | "mlpackage") => out.push(path),
            _ if path.is_dir() => find(&path, out),
            _ => {}
        }
    }
}

/// A model that make_models.py made.
pub(crate) fn made(name: &str) -> Source {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/convert").join(name);
    coreml_package::open(path).unwrap()
}

/// A place without weight files.
pub(crate) struct NoFiles;

impl WeightSource for NoFiles {
    fn weight_file(&self, reference: &str) -> Result<Arc<BlobFile>, OpenError> {
        BlobFile::open(Path::new("/nowhere").join(reference))
    }

    fn has_files(&self) -> bool {
        false
    }
}

/// Imports a specification that stands alone.
pub(crate) fn read(spec: impl Into<Bytes>) -> Document {
    import_spec(Path::new("model.mlmodel"), &spec.into(), &NoFiles).unwrap()
}

/// One message of a model: a step of the path to it, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What it is.
    pub(crate) kind: &'static str,
    /// Its content.
    pub(crate) content: Range<usize>,
}

impl Found {
    fn new(kind: &'static str, content: Range<usize>) -> Self {
        Found { kind, content }
    }
}

fn children(bytes: &[u8], range: &Range<usize>) -> Vec<(u32, Range<usize>)> {
    let fields = Fields::within(bytes, range.clone()).unwrap();
    let message = |f: coreml_proto::wire::Field| match f.value {
        Value::Bytes(r) => Some((f.number, r)),
        _ => None,
    };
    fields.filter_map(|f| message(f.unwrap())).collect()
}

fn entry_value(bytes: &[u8], range: &Range<usize>) -> Range<usize> {
    children(bytes, range).into_iter().find(|(n, _)| *n == 2).unwrap().1
}

/// Every message of a model that matters here, each before what it holds.
pub(crate) fn messages(bytes: &[u8]) -> Vec<Found> {
    let mut out = Vec::new();
    model(bytes, 0..bytes.len(), &mut out);
    out
}

/// The bytes of every op and layer, nested ones too.
pub(crate) fn ops(bytes: &[u8]) -> Vec<&[u8]> {
    let is_op = |f: &Found| matches!(f.kind, "operation" | "layer");
    messages(bytes).into_iter().filter(is_op).map(|f| &bytes[f.content]).collect()
}

fn model(bytes: &[u8], range: Range<usize>, out: &mut Vec<Found>) {
    out.push(Found::new("model", range.clone()));
    for (number, r) in children(bytes, &range) {
        match number {
            502 => program(bytes, r, out),
            303 | 403 | 500 => network(bytes, r, out),
            202 => pipeline(bytes, r, out),
            200 | 201 => {
                for (_, r) in children(bytes, &r) {
                    pipeline(bytes, r, out);
                }
            }
            _ => {}
        }
    }
}

fn pipeline(bytes: &[u8], range: Range<usize>, out: &mut Vec<Found>) {
    for (number, r) in children(bytes, &range) {
        if number == 1 {
            model(bytes, r, out);
        }
    }
}

fn program(bytes: &[u8], range: Range<usize>, out: &mut Vec<Found>) {
    out.push(Found::new("program", range.clone()));
    for (number, r) in children(bytes, &range) {
        if number == 2 {
            let function = entry_value(bytes, &r);
            out.push(Found::new("function", function.clone()));
            for (number, r) in children(bytes, &function) {
                if number == 3 {
                    block(bytes, entry_value(bytes, &r), out);
                }
            }
        }
    }
}

fn block(bytes: &[u8], range: Range<usize>, out: &mut Vec<Found>) {
    out.push(Found::new("block", range.clone()));
    for (number, r) in children(bytes, &range) {
        if number == 3 {
            out.push(Found::new("operation", r.clone()));
            for (number, r) in children(bytes, &r) {
                match number {
                    2 => argument(bytes, entry_value(bytes, &r), out),
                    3 => out.push(Found::new("output", r)),
                    4 => block(bytes, r, out),
                    5 => value_message(bytes, entry_value(bytes, &r), out),
                    _ => {}
                }
            }
        }
    }
}

fn argument(bytes: &[u8], range: Range<usize>, out: &mut Vec<Found>) {
    out.push(Found::new("argument", range.clone()));
    for (_, binding) in children(bytes, &range) {
        out.push(Found::new("binding", binding.clone()));
        for (number, r) in children(bytes, &binding) {
            if number == 2 {
                value_message(bytes, r, out);
            }
        }
    }
}

fn value_message(bytes: &[u8], range: Range<usize>, out: &mut Vec<Found>) {
    out.push(Found::new("value", range.clone()));
    for (number, r) in children(bytes, &range) {
        if number == 2 {
            out.push(Found::new("type", r));
        }
    }
}

fn network(bytes: &[u8], range: Range<usize>, out: &mut Vec<Found>) {
    out.push(Found::new("network", range.clone()));
    for (number, r) in children(bytes, &range) {
        if number == 1 {
            layer(bytes, r, out);
        }
    }
}

fn layer(bytes: &[u8], range: Range<usize>, out: &mut Vec<Found>) {
    out.push(Found::new("layer", range.clone()));
    for (number, r) in children(bytes, &range) {
        if number < 100 {
            continue;
        }
        out.push(Found::new("params", r.clone()));
        for (inner, r) in children(bytes, &r) {
            match (number, inner) {
                (605, 1 | 2) | (615, 3 | 4) => network(bytes, r, out),
                (140, 20 | 21) => out.push(Found::new("weights", r)),
                _ => {}
            }
        }
    }
}

/// a = relu(x), b = mul(a, k1), c = add(b, k2), d = tanh(c); each constant stands before its user.
pub(crate) fn chain() -> Document {
    read(include_bytes!("../../../../testdata/convert/chain.mlmodel").as_slice())
}

pub(crate) fn op_giving(p: &Program, name: &str) -> OpId {
    p.all_ops().find(|&op| p.op(op).results.iter().any(|&r| &*p.value(r).name == name)).unwrap()
}

pub(crate) fn const_named(p: &Program, name: &str) -> ValueId {
    p.values().find(|(v, value)| p.constant(*v).is_some() && &*value.name == name).unwrap().0
}

pub(crate) fn new_const(p: &mut Program, block: BlockId, name: &str, tensor: Tensor) -> ValueId {
    p.add_const(block, name, Const { tensor, origin: ConstOrigin::New, sealed: false })
}

/// Offsets of blobs, in order of the ops that name them, the blobs that are old first.
pub(crate) fn offsets(spec: &[u8]) -> Vec<u64> {
    let mut all = Vec::new();
    for op in ops(spec) {
        let op = Operation::decode(op).unwrap();
        if let Some(value::Value::BlobFileValue(b)) = op.attributes.get("val").and_then(|v| v.value.clone()) {
            all.push(b.offset);
        }
    }
    all.sort_unstable();
    all
}
