//! Reading attributes.

use super::cursor::Cursor;
use super::error::Fault;
use super::lex::Token;
use super::number::{float, integer};
use super::types::MAX_NESTING;
use crate::op::Attr;

type Result<T> = std::result::Result<T, Fault>;

impl Cursor<'_> {
    /// An attribute, with its type or without.
    pub(super) fn attribute(&mut self, depth: u32) -> Result<Attr> {
        if depth > MAX_NESTING {
            return Err(self.fault(format!("attributes nest more than {MAX_NESTING} deep here")));
        }
        match (self.peek(), self.peek_second()) {
            (Token::Text(_), _) => Ok(Attr::Text(self.text()?.as_ref().into())),
            (Token::Number(s), _) => {
                let attr = number_attr(s).ok_or_else(|| self.wanted("a number"))?;
                self.bump()?;
                Ok(attr)
            }
            (Token::Punct('['), _) => self.attributes('[', ']', depth),
            (Token::Punct('('), _) => self.attributes('(', ')', depth),
            (Token::Punct('{'), Token::Punct('{')) => self.map(depth),
            (Token::Punct('{'), _) => self.message(depth),
            (Token::Ident("bytes"), Token::Punct('(')) => self.bytes(),
            (Token::Ident(_), Token::Punct('<' | '(')) => {
                self.parse_type()?;
                self.expect_punct('(')?;
                if self.eat_punct(')')? {
                    return Ok(Attr::List(Vec::new()));
                }
                let attr = self.attribute(depth + 1)?;
                self.expect_punct(')')?;
                Ok(attr)
            }
            (Token::Ident(word), _) => {
                self.bump()?;
                Ok(match word {
                    "true" => Attr::Bool(true),
                    "false" => Attr::Bool(false),
                    "inf" => Attr::Float(f64::INFINITY),
                    "nan" => Attr::Float(f64::NAN),
                    word => Attr::Enum(word.into()),
                })
            }
            (Token::Quoted(_), _) => Ok(Attr::Enum(self.name("a name")?.as_ref().into())),
            _ => Err(self.wanted("an attribute's value")),
        }
    }

    fn attributes(&mut self, open: char, close: char, depth: u32) -> Result<Attr> {
        let mut items = Vec::new();
        self.list(open, close, |c| {
            items.push(c.attribute(depth + 1)?);
            Ok(())
        })?;
        Ok(Attr::List(items))
    }

    /// `{{"key", value}, …}`
    fn map(&mut self, depth: u32) -> Result<Attr> {
        let mut fields = Vec::new();
        self.list('{', '}', |c| {
            c.expect_punct('{')?;
            let key = match c.attribute(depth + 1)? {
                Attr::Text(s) | Attr::Enum(s) => s,
                Attr::Int(n) => n.to_string().into(),
                _ => return Err(c.fault("the key before this is neither text nor a whole number")),
            };
            c.expect_punct(',')?;
            let value = c.attribute(depth + 1)?;
            c.expect_punct('}')?;
            fields.push((key, value));
            Ok(())
        })?;
        Ok(Attr::Message(fields))
    }

    /// `{key = value, …}`
    fn message(&mut self, depth: u32) -> Result<Attr> {
        let mut fields = Vec::new();
        self.list('{', '}', |c| {
            let key = c.name("a field's name")?.as_ref().into();
            c.expect_punct('=')?;
            fields.push((key, c.attribute(depth + 1)?));
            Ok(())
        })?;
        Ok(Attr::Message(fields))
    }

    fn bytes(&mut self) -> Result<Attr> {
        self.bump()?;
        self.expect_punct('(')?;
        let at = self.at();
        let digits = self.text()?;
        self.expect_punct(')')?;
        let nibble = |b: &u8| char::from(*b).to_digit(16).map(|d| d as u8);
        let pairs = digits.as_bytes().chunks(2).map(|p| match p {
            [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            _ => None,
        });
        let bytes: Option<Vec<u8>> = pairs.collect();
        let bytes =
            bytes.ok_or_else(|| Fault::new(at, "bytes are written as pairs of hexadecimal digits"))?;
        Ok(Attr::Bytes(bytes.into()))
    }
}

/// `3`, `0.5`, `0x1p-3`, or `0.1f` for what is short only at 32 bits.
fn number_attr(text: &str) -> Option<Attr> {
    if let Some(n) = integer(text) {
        return Some(Attr::Int(i64::try_from(n).ok()?));
    }
    match text.strip_suffix('f') {
        Some(narrow) if !text.contains("0x") && float(narrow).is_some() => {
            Some(Attr::Float(f64::from(narrow.parse::<f32>().ok()?)))
        }
        _ => Some(Attr::Float(float(text)?)),
    }
}
