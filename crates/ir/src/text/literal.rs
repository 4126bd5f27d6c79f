//! Reading constants.

use std::borrow::Cow;
use std::sync::Arc;

use anewrite_tensor::{DType, Payload, Tensor};

use super::cursor::Cursor;
use super::error::Fault;
use super::lex::Token;
use super::number::{Packer, integer, nan_pattern, pattern};
use super::types::MAX_RANK;
use super::{BlobReader, BlobText, random};
use crate::types::{TensorType, Type};

type Result<T> = std::result::Result<T, Fault>;

/// One element of a constant, its dtype not decided yet.
pub(super) enum Element<'a> {
    Number(&'a str),
    Nan(Option<u64>),
    Bool(bool),
    Text(Cow<'a, str>),
}

/// Elements in brackets, and where they start.
pub(super) struct Content<'a> {
    at: usize,
    dims: Vec<u64>,
    elements: Vec<Element<'a>>,
}

/// A constant, or the content of one whose type is not written.
pub(super) enum Literal<'a> {
    Typed(Tensor),
    Bare(Content<'a>),
}

/// What reading constants needs beside the text.
pub(super) struct Source<'o> {
    pub(super) blobs: Option<&'o BlobReader<'o>>,
    /// Elements drawn by `random` so far.
    pub(super) drawn: u64,
}

impl<'a> Content<'a> {
    /// The constant, of the dtype that its elements suggest; `floats` decides for numbers with a fraction.
    pub(super) fn infer(self, floats: DType) -> Result<Tensor> {
        let is_float = |e: &Element<'_>| match e {
            Element::Number(s) => integer(s).is_none(),
            e => matches!(e, Element::Nan(_)),
        };
        let dtype = match self.elements.first() {
            None => {
                let e = Fault::new(self.at, "the dtype of an empty list cannot be told");
                return Err(e.hint("write the type: tensor<int32, [0]>([])"));
            }
            Some(Element::Text(_)) => DType::String,
            Some(Element::Bool(_)) => DType::Bool,
            Some(_) if self.elements.iter().any(is_float) => floats,
            Some(_) => DType::I32,
        };
        let dims = self.dims.clone();
        self.into_tensor(dtype, &dims)
    }

    /// The constant of a stated type. A list of all elements in one pair of brackets is taken for any shape.
    fn into_tensor(self, dtype: DType, dims: &[u64]) -> Result<Tensor> {
        let at = self.at;
        let count = dims.iter().try_fold(1u64, |p, &d| p.checked_mul(d));
        let have = self.elements.len() as u64;
        let flat = self.dims.len() == 1 && !dims.is_empty() && count == Some(have);
        let empty = count == Some(0) && have == 0 && !self.dims.is_empty();
        if self.dims != dims && !flat && !empty {
            let (have, want) = (self.dims, dims);
            return Err(Fault::new(at, format!("the elements make a shape of {have:?}, not {want:?}")));
        }
        let payload = if dtype == DType::String { strings(self.elements, at)? } else { self.pack(dtype)? };
        Tensor::new(dtype, dims.iter().copied(), payload).map_err(|e| Fault::new(at, e.to_string()))
    }

    fn pack(self, dtype: DType) -> Result<Payload> {
        let mut packer = Packer::new(dtype);
        for e in self.elements {
            let bits = match e {
                Element::Bool(b) if dtype == DType::Bool => Ok(u64::from(b)),
                Element::Number(s) => pattern(dtype, s),
                Element::Nan(bits) => nan_pattern(dtype, bits),
                Element::Bool(b) => Err(format!("`{b}` is no {dtype}")),
                Element::Text(_) => Err(format!("text is no {dtype}")),
            };
            packer.push(bits.map_err(|e| Fault::new(self.at, e))?);
        }
        Ok(packer.finish().into())
    }
}

fn strings(elements: Vec<Element<'_>>, at: usize) -> Result<Payload> {
    let text = |e| match e {
        Element::Text(s) => Ok(Arc::from(&*s)),
        _ => Err(Fault::new(at, "the elements of a string tensor stand between double quotes")),
    };
    let all: Vec<Arc<str>> = elements.into_iter().map(text).collect::<Result<_>>()?;
    Ok(Payload::Strings(all.into()))
}

impl<'a> Cursor<'a> {
    /// Whether a constant starts here, given that a name could stand here too.
    pub(super) fn at_literal(&self) -> bool {
        let typed = matches!(self.peek_second(), Token::Punct('<' | '('));
        match self.peek() {
            Token::Number(_) | Token::Text(_) | Token::Punct('[') => true,
            Token::Ident("true" | "false" | "inf" | "nan") => true,
            Token::Ident(_) => typed,
            _ => false,
        }
    }

    pub(super) fn literal(&mut self, source: &mut Source<'_>) -> Result<Literal<'a>> {
        let at = self.at();
        let typed = match (self.peek(), self.peek_second()) {
            (Token::Ident("nan"), _) => false,
            (Token::Ident("random"), Token::Punct('<')) => return self.random(source).map(Literal::Typed),
            (Token::Ident(_), Token::Punct('<' | '(')) => true,
            _ => false,
        };
        if !typed {
            return self.content().map(Literal::Bare);
        }
        match self.parse_type()? {
            Type::Tensor(t) => self.tensor(&t, at, source).map(Literal::Typed),
            ty => Err(Fault::new(at, format!("a constant of type {ty} cannot stand here"))),
        }
    }

    /// The parenthesised content of a constant whose type was just read.
    pub(super) fn tensor(&mut self, ty: &TensorType, at: usize, source: &mut Source<'_>) -> Result<Tensor> {
        self.expect_punct('(')?;
        let dims = ty.known_dims().ok_or_else(|| {
            Fault::new(at, format!("a constant of type {ty} has extents that are not known"))
        })?;
        let tensor = if self.peek() == Token::Ident("BLOBFILE") {
            self.blob(ty, at, source)?
        } else {
            self.content()?.into_tensor(ty.dtype, &dims)?
        };
        self.expect_punct(')')?;
        Ok(tensor)
    }

    fn random(&mut self, source: &mut Source<'_>) -> Result<Tensor> {
        let at = self.at();
        self.bump()?;
        self.expect_punct('<')?;
        let ty = self.tensor_body()?;
        self.expect_punct('>')?;
        self.expect_punct('(')?;
        let seed = self.count("a seed")?;
        self.expect_punct(')')?;
        source.drawn = source.drawn.saturating_add(ty.count().unwrap_or(u64::MAX));
        if source.drawn > random::MAX_DRAWN {
            let most = random::MAX_DRAWN;
            return Err(Fault::new(at, format!("more than {most} elements are drawn in one text")));
        }
        random::draw(&ty, seed).map_err(|e| Fault::new(at, e))
    }

    /// `BLOBFILE(path = …, offset = …)`, asked from the caller.
    fn blob(&mut self, ty: &TensorType, at: usize, source: &Source<'_>) -> Result<Tensor> {
        self.bump()?;
        let mut text = BlobText::default();
        self.list('(', ')', |c| {
            let key_at = c.at();
            let key = c.name("path, offset, length or digest")?;
            c.expect_punct('=')?;
            let typed = matches!((c.peek(), c.peek_second()), (Token::Ident(_), Token::Punct('<' | '(')));
            if typed {
                c.parse_type()?;
                c.expect_punct('(')?;
            }
            match &*key {
                "path" => text.path = Some(c.text()?.into_owned()),
                "digest" => text.digest = Some(c.text()?.into_owned()),
                "offset" => text.offset = Some(c.count("an offset")?),
                "length" => text.length = Some(c.count("a length")?),
                other => {
                    let other = super::lex::clip(other);
                    return Err(Fault::new(key_at, format!("`{other}` says nothing about a blob")));
                }
            }
            if typed { c.expect_punct(')') } else { Ok(()) }
        })?;
        let Some(read) = source.blobs else {
            let e = Fault::new(at, "the bytes of this constant are not in the text");
            return Err(e.hint("read the text together with its weight file"));
        };
        let tensor = read(&text, ty).map_err(|e| Fault::new(at, e))?;
        if Some(tensor.dims()) != ty.known_dims().as_deref() || tensor.dtype() != ty.dtype {
            let have = TensorType::fixed(tensor.dtype(), tensor.dims().iter().copied());
            return Err(Fault::new(at, format!("the file holds {have} here, the text says {ty}")));
        }
        Ok(tensor)
    }

    fn content(&mut self) -> Result<Content<'a>> {
        let at = self.at();
        let mut nest = Nest { dims: Vec::new(), rank: None };
        let mut elements = Vec::new();
        self.nested(0, &mut nest, &mut elements)?;
        let dims = nest.dims.into_iter().map(Option::unwrap_or_default).collect();
        Ok(Content { at, dims, elements })
    }

    fn nested(&mut self, level: usize, nest: &mut Nest, out: &mut Vec<Element<'a>>) -> Result<()> {
        if self.peek() != Token::Punct('[') {
            if *nest.rank.get_or_insert(level) != level || nest.dims.len() > level {
                return Err(self.fault("the brackets are not equally deep everywhere"));
            }
            out.push(self.element()?);
            return Ok(());
        }
        if level == MAX_RANK || nest.rank.is_some_and(|r| level >= r) {
            return Err(self.fault("the brackets are not equally deep everywhere"));
        }
        if nest.dims.len() == level {
            nest.dims.push(None);
        }
        let at = self.at();
        let mut n = 0;
        self.list('[', ']', |c| {
            n += 1;
            c.nested(level + 1, nest, out)
        })?;
        let Some(seen) = nest.dims.get_mut(level) else { return Ok(()) };
        match *seen.get_or_insert(n) {
            same if same == n => Ok(()),
            other => Err(Fault::new(at, format!("{n} elements here, {other} in the list before"))),
        }
    }

    fn element(&mut self) -> Result<Element<'a>> {
        let e = match self.peek() {
            Token::Number(s) => Element::Number(s),
            Token::Ident("inf") => Element::Number("inf"),
            Token::Ident("true") => Element::Bool(true),
            Token::Ident("false") => Element::Bool(false),
            Token::Text(_) => return self.text().map(Element::Text),
            Token::Ident("nan") => {
                self.bump()?;
                if !self.eat_punct('(')? {
                    return Ok(Element::Nan(None));
                }
                let bits = self.count("the bits of a NaN")?;
                self.expect_punct(')')?;
                return Ok(Element::Nan(Some(bits)));
            }
            _ => return Err(self.wanted("a number, a text, `true` or `false`")),
        };
        self.bump()?;
        Ok(e)
    }
}

/// The brackets of a literal so far: extent by level, and the level at which elements stand.
struct Nest {
    dims: Vec<Option<u64>>,
    rank: Option<usize>,
}
