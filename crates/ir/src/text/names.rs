//! Names and text with anything in them, written so that they can be read back.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Words that mean something else where a value's name could stand.
const RESERVED: [&str; 4] = ["true", "false", "inf", "nan"];

/// Whether a name can stand without quotes.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
        && !RESERVED.contains(&name)
}

/// A name, between backquotes where it needs them.
pub(super) struct Name<'a>(pub(super) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain(self.0) { f.write_str(self.0) } else { escaped(f, '`', self.0) }
    }
}

/// Text between double quotes.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(f, '"', self.0)
    }
}

fn escaped(f: &mut fmt::Formatter<'_>, quote: char, text: &str) -> fmt::Result {
    f.write_char(quote)?;
    for c in text.chars() {
        match c {
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            '\\' => f.write_str("\\\\")?,
            c if c == quote => write!(f, "\\{c}")?,
            c if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                write!(f, "\\u{{{:x}}}", u32::from(c))?;
            }
            c => f.write_char(c)?,
        }
    }
    f.write_char(quote)
}

/// Undoes the escapes; `None` where one is not known.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            c @ ('\\' | '"' | '`' | '\'') => c,
            'u' => {
                let rest = chars.as_str().strip_prefix('{')?;
                let (digits, after) = rest.split_once('}')?;
                chars = after.chars();
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
            }
            _ => return None,
        });
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back() {
        for s in ["", "a b", "q\"`\\\n\t\r", "\u{1}\u{202e}é漢", "1.2", "true", "x@1", "a.b_C9"] {
            let shown = Text(s).to_string();
            assert_eq!(unescape(&shown[1..shown.len() - 1]).unwrap(), s);
            let name = Name(s).to_string();
            match name.strip_prefix('`') {
                Some(inner) => assert_eq!(unescape(&inner[..inner.len() - 1]).unwrap(), s),
                None => assert_eq!(name, "a.b_C9"),
            }
        }
        assert_eq!(unescape("\\q"), None);
        assert_eq!(unescape("\\u{110000}"), None);
    }
}
