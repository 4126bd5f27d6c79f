//! Attributes of programs and functions, for the text form.

use anewrite_ir::{Attr, Type};
use anewrite_tensor::DType;

use super::value::ValueRead;

/// Elements of a value that is kept; longer ones are left to the file.
const MAX_ELEMENTS: u64 = 64;

/// A small value as an attribute for the text form.
pub(super) fn attr_of(read: &ValueRead) -> Option<Attr> {
    if let Some(tensor) = &read.tensor {
        if tensor.count() > MAX_ELEMENTS {
            return None;
        }
        let mut all: Vec<Attr> = if let Some(texts) = tensor.strings() {
            texts.iter().map(|t| Attr::Text(t.clone())).collect()
        } else if tensor.dtype().is_float() {
            tensor.to_f64s().ok()?.into_iter().map(Attr::Float).collect()
        } else {
            let bools = tensor.dtype() == DType::Bool;
            let one = |n: i64| if bools { Attr::Bool(n != 0) } else { Attr::Int(n) };
            tensor.to_i64s().ok()?.into_iter().map(one).collect()
        };
        return if tensor.rank() == 0 { all.pop() } else { Some(Attr::List(all)) };
    }
    match &read.ty {
        Type::Dict { .. } => {
            let pairs = read.items.as_chunks::<2>().0.iter();
            let pairs = pairs.map(|[k, v]| Some((k.tensor.as_ref()?.scalar_str()?.into(), attr_of(v)?)));
            Some(Attr::Message(pairs.collect::<Option<_>>()?))
        }
        _ => Some(Attr::List(read.items.iter().map(attr_of).collect::<Option<_>>()?)),
    }
}
