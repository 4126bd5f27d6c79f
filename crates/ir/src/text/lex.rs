//! Tokens of the text form.

use super::error::Fault;

/// One token. Text and quoted names are still escaped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A plain name: letters, digits, `_` and `.`, not starting with a digit.
    Ident(&'a str),
    /// A name between backquotes.
    Quoted(&'a str),
    /// What starts like a number; whether it is one shows when its dtype is known.
    Number(&'a str),
    /// Text between double quotes.
    Text(&'a str),
    /// One of `( ) [ ] { } < > , ; = ? @ + * /` and a lone `-`.
    Punct(char),
    /// `->`
    Arrow,
    /// `...`
    Ellipsis,
    /// The end of the text.
    End,
}

impl Token<'_> {
    /// The token in an error message.
    pub(super) fn show(&self) -> String {
        match self {
            Token::Ident(s) | Token::Number(s) => format!("`{}`", clip(s)),
            Token::Quoted(s) => format!("the name `{}`", clip(s)),
            Token::Text(s) => format!("the text \"{}\"", clip(s)),
            Token::Punct(c) => format!("`{c}`"),
            Token::Arrow => "`->`".into(),
            Token::Ellipsis => "`...`".into(),
            Token::End => "the end of the text".into(),
        }
    }
}

/// At most 40 characters of what may be megabytes.
pub(super) fn clip(s: &str) -> String {
    match s.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", s.get(..end).unwrap_or_default()),
        None => s.to_owned(),
    }
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Lexer { text, at }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The text from `start` to here.
    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip_blank(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => self.at += 1,
                (b'/', b'/') => {
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.at += rest.find('\n').unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    /// The next token and the byte where it starts.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, usize), Fault> {
        self.skip_blank();
        let start = self.at;
        if start >= self.text.len() {
            return Ok((Token::End, start));
        }
        let token = match self.byte(0) {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                self.skip_while(is_name_byte);
                Token::Ident(self.since(start))
            }
            b'0'..=b'9' => self.number(start),
            b'-' if self.byte(1) == b'>' => {
                self.at += 2;
                Token::Arrow
            }
            b'-' if self.byte(1).is_ascii_alphanumeric() => self.number(start),
            b'.' if self.byte(1) == b'.' && self.byte(2) == b'.' => {
                self.at += 3;
                Token::Ellipsis
            }
            b'"' => Token::Text(self.quoted(b'"', "text")?),
            b'`' => Token::Quoted(self.quoted(b'`', "a quoted name")?),
            b @ (b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b',' | b';' | b'=' | b'?' | b'@'
            | b'+' | b'*' | b'/' | b'-') => {
                self.at += 1;
                Token::Punct(char::from(b))
            }
            _ => {
                let c = self.text.get(start..).and_then(|s| s.chars().next()).unwrap_or('?');
                let hint = "names with such characters stand between backquotes";
                return Err(Fault::new(start, format!("{c:?} starts nothing that is known")).hint(hint));
            }
        };
        Ok((token, start))
    }

    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        while self.at < self.text.len() && keep(self.byte(0)) {
            self.at += 1;
        }
    }

    /// Everything that could belong to a number, a sign after an exponent's letter included.
    fn number(&mut self, start: usize) -> Token<'a> {
        self.at += 1;
        let from = if self.text.as_bytes().get(start) == Some(&b'-') { start + 1 } else { start };
        let hex = self.text.get(from..).is_some_and(|s| s.starts_with("0x"));
        let exponent = if hex { *b"pP" } else { *b"eE" };
        while self.at < self.text.len() {
            let (b, last) = (self.byte(0), self.text.as_bytes().get(self.at - 1).copied().unwrap_or(0));
            let sign = matches!(b, b'+' | b'-') && exponent.contains(&last);
            if !(is_name_byte(b) || sign) {
                break;
            }
            self.at += 1;
        }
        Token::Number(self.since(start))
    }

    fn quoted(&mut self, end: u8, what: &str) -> Result<&'a str, Fault> {
        let open = self.at;
        self.at += 1;
        let start = self.at;
        loop {
            match self.byte(0) {
                _ if self.at >= self.text.len() => {
                    return Err(Fault::new(open, format!("{what} starts here and never ends")));
                }
                b'\\' => self.at += 2,
                b if b == end => break,
                _ => self.at += 1,
            }
        }
        let inner = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(inner)
    }
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'.'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(text);
        let mut out = Vec::new();
        loop {
            match lexer.next().unwrap().0 {
                Token::End => return out,
                t => out.push(t),
            }
        }
    }

    #[test]
    fn numbers_keep_their_signs_and_exponents() {
        use Token::{Arrow, Number, Punct};
        let t = tokens("-0x1.8p-3 1e+5 0x1e-inf -> 7");
        assert_eq!(
            t,
            [Number("-0x1.8p-3"), Number("1e+5"), Number("0x1e"), Number("-inf"), Arrow, Number("7")]
        );
        assert_eq!(tokens("3-"), [Number("3"), Punct('-')]);
    }

    #[test]
    fn comments_and_escapes() {
        use Token::{Ident, Quoted, Text};
        assert_eq!(tokens("a // b\nc"), [Ident("a"), Ident("c")]);
        assert_eq!(tokens(r#" "a\"b" `x\`y` "#), [Text(r#"a\"b"#), Quoted(r"x\`y")]);
        assert!(Lexer::new("\"abc\\").next().is_err());
        assert!(Lexer::new("é").next().is_err());
    }
}
