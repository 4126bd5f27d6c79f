//! Types, attributes and constants in words.

use std::fmt::{self, Write};

use anewrite_tensor::{DType, Payload, Tensor};
use sha2::{Digest, Sha256};

use super::names::{Name, Text};
use super::number::{Notation, elements};
use super::{BlobRef, MAX_LITERAL};
use crate::dims::DimTable;
use crate::op::Attr;
use crate::types::{Dim, TensorType, Type};

/// A type, its symbols spelled out where their table is given.
pub(super) struct TypeText<'a>(pub(super) &'a Type, pub(super) Option<&'a DimTable>);

impl fmt::Display for TypeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sub = |t| TypeText(t, self.1);
        match self.0 {
            Type::Tensor(t) => tensor_type(f, t, self.1),
            Type::State(t) => {
                f.write_str("state<")?;
                tensor_type(f, t, self.1)?;
                f.write_str(">")
            }
            Type::List { element, length } => {
                f.write_str("list<")?;
                tensor_type(f, element, self.1)?;
                match length {
                    Some(n) => write!(f, ", {n}>"),
                    None => f.write_str(", ?>"),
                }
            }
            Type::Dict { key, value } => write!(f, "dict<{}, {}>", sub(key), sub(value)),
            Type::Tuple(types) => {
                f.write_str("tuple<")?;
                for (i, t) in types.iter().enumerate() {
                    write!(f, "{}{}", comma(i), sub(t))?;
                }
                f.write_str(">")
            }
            Type::Unknown => f.write_str("unknown"),
        }
    }
}

fn tensor_type(f: &mut fmt::Formatter<'_>, t: &TensorType, table: Option<&DimTable>) -> fmt::Result {
    let (Some(shape), Some(table)) = (&t.shape, table) else { return write!(f, "{t}") };
    write!(f, "tensor<{}, [", t.dtype)?;
    for (i, d) in shape.iter().enumerate() {
        f.write_str(comma(i))?;
        match d {
            Dim::Expr(e) => f.write_str(&table.show(*e))?,
            d => write!(f, "{d}")?,
        }
    }
    f.write_str("]>")
}

fn comma(i: usize) -> &'static str {
    if i == 0 { "" } else { ", " }
}

/// An attribute without its type.
pub(super) struct AttrText<'a>(pub(super) &'a Attr);

impl fmt::Display for AttrText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Attr::Bool(b) => b.fmt(f),
            Attr::Int(n) => n.fmt(f),
            Attr::Float(x) => float_attr(f, *x),
            Attr::Text(s) => Text(s).fmt(f),
            Attr::Enum(s) => Name(s).fmt(f),
            Attr::Bytes(b) => {
                f.write_str("bytes(\"")?;
                b.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
                f.write_str("\")")
            }
            Attr::List(items) => {
                f.write_char('[')?;
                for (i, x) in items.iter().enumerate() {
                    write!(f, "{}{}", comma(i), AttrText(x))?;
                }
                f.write_char(']')
            }
            Attr::Message(fields) => {
                f.write_char('{')?;
                for (i, (name, x)) in fields.iter().enumerate() {
                    write!(f, "{}{} = {}", comma(i), Name(name), AttrText(x))?;
                }
                f.write_char('}')
            }
        }
    }
}

/// Most float fields are 32 bits wide: those whose short form is only right at that width end in `f`.
fn float_attr(f: &mut fmt::Formatter<'_>, x: f64) -> fmt::Result {
    if x.is_nan() {
        return f.write_str("nan");
    }
    let (wide, narrow) = (format!("{x:?}"), format!("{:?}", x as f32));
    let narrows = f64::from(x as f32).to_bits() == x.to_bits();
    if narrows && narrow.len() < wide.len() { write!(f, "{narrow}f") } else { f.write_str(&wide) }
}

/// How a constant is written.
#[derive(Clone, Copy)]
pub(super) struct ConstStyle<'a> {
    /// Floats in hexadecimal or decimal.
    pub(super) notation: Notation,
    /// Whether the reader knows the type, if it is this one for floats.
    pub(super) untyped: Option<DType>,
    /// Whether texts and numbers inside a reference carry their types.
    pub(super) full: bool,
    /// Where the bytes are.
    pub(super) blob: Option<&'a BlobRef>,
    /// Whether bytes that are not shown are digested.
    pub(super) digest: bool,
}

/// A constant with its type, unless the reader knows it.
pub(super) fn constant(out: &mut dyn Write, t: &Tensor, style: ConstStyle<'_>) -> fmt::Result {
    let shown = if t.count() <= MAX_LITERAL { elements(t, style.notation) } else { None };
    let known = match t.dtype() {
        DType::I32 | DType::Bool | DType::String => style.untyped.is_some(),
        d => style.untyped == Some(d),
    };
    if known && t.count() > 0 && shown.is_some() {
        return nested(out, t.dims(), &mut shown.unwrap_or_default().iter());
    }
    if t.rank() == 0 && !style.full {
        write!(out, "{}(", t.dtype())?;
    } else {
        write!(out, "{}(", TensorType::fixed(t.dtype(), t.dims().iter().copied()))?;
    }
    match shown {
        Some(elements) => nested(out, t.dims(), &mut elements.iter())?,
        None => reference(out, t, style)?,
    }
    out.write_char(')')
}

/// Elements in as many brackets as there are dims; one pair where there are no elements.
fn nested<'s>(
    out: &mut dyn Write,
    dims: &[u64],
    elements: &mut impl Iterator<Item = &'s String>,
) -> fmt::Result {
    let Some((&n, inner)) = dims.split_first() else {
        return out.write_str(elements.next().map_or("", String::as_str));
    };
    out.write_char('[')?;
    if !dims.contains(&0) {
        for i in 0..n {
            out.write_str(comma(i as usize))?;
            nested(out, inner, elements)?;
        }
    }
    out.write_char(']')
}

fn reference(out: &mut dyn Write, t: &Tensor, style: ConstStyle<'_>) -> fmt::Result {
    let text = |out: &mut dyn Write, s: &str| match style.full {
        true => write!(out, "tensor<string, []>({})", Text(s)),
        false => write!(out, "{}", Text(s)),
    };
    let number = |out: &mut dyn Write, n: u64| match style.full {
        true => write!(out, "tensor<uint64, []>({n})"),
        false => write!(out, "{n}"),
    };
    out.write_str("BLOBFILE(")?;
    if let Some(blob) = style.blob {
        out.write_str("path = ")?;
        text(out, &blob.path)?;
        out.write_str(", offset = ")?;
        number(out, blob.offset)?;
        out.write_str(", ")?;
    }
    out.write_str("length = ")?;
    number(out, byte_len(t))?;
    if style.digest
        && let Some(d) = digest(t)
    {
        out.write_str(", digest = ")?;
        text(out, &d)?;
    }
    out.write_char(')')
}

/// Length of the elements in bytes; of text, the sum.
fn byte_len(t: &Tensor) -> u64 {
    match t.payload() {
        Payload::Strings(_) => t.payload().stored_len() as u64,
        _ => t.count().saturating_mul(u64::from(t.dtype().bits())).div_ceil(8),
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of the elements as dense little-endian bytes; text elements
/// each with their length before them. `None` where they cannot be read.
pub(super) fn digest(t: &Tensor) -> Option<String> {
    let mut hash = Sha256::new();
    match t.payload() {
        Payload::Bytes(b) => hash.update(b),
        Payload::Chunks(chunks) => chunks.iter().for_each(|c| hash.update(c)),
        Payload::Varints(_) => hash.update(t.bytes().ok()?),
        Payload::Strings(s) => s.iter().for_each(|s| {
            hash.update((s.len() as u64).to_le_bytes());
            hash.update(s.as_bytes());
        }),
    }
    let mut out = String::with_capacity(16);
    for b in hash.finalize().iter().take(8) {
        let _ = write!(out, "{b:02x}");
    }
    Some(out)
}
