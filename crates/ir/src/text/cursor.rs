//! A place in the text: the token there and the one after it.

use std::borrow::Cow;

use super::error::Fault;
use super::lex::{Lexer, Token};
use super::names::unescape;

type Result<T> = std::result::Result<T, Fault>;

pub(super) struct Cursor<'a> {
    lexer: Lexer<'a>,
    token: (Token<'a>, usize),
    ahead: (Token<'a>, usize),
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next()?;
        let ahead = lexer.next()?;
        Ok(Cursor { lexer, token, ahead })
    }

    /// The token here.
    pub(super) fn peek(&self) -> Token<'a> {
        self.token.0
    }

    /// The token after it.
    pub(super) fn peek_second(&self) -> Token<'a> {
        self.ahead.0
    }

    /// The byte where the token here starts.
    pub(super) fn at(&self) -> usize {
        self.token.1
    }

    /// Steps over the token here and returns it.
    pub(super) fn bump(&mut self) -> Result<Token<'a>> {
        let next = self.lexer.next()?;
        let here = std::mem::replace(&mut self.token, std::mem::replace(&mut self.ahead, next));
        Ok(here.0)
    }

    /// Steps over `token` if it is here.
    pub(super) fn eat(&mut self, token: Token<'_>) -> Result<bool> {
        let here = self.peek() == token;
        if here {
            self.bump()?;
        }
        Ok(here)
    }

    pub(super) fn eat_punct(&mut self, c: char) -> Result<bool> {
        self.eat(Token::Punct(c))
    }

    pub(super) fn expect(&mut self, token: Token<'_>) -> Result<()> {
        if self.eat(token)? { Ok(()) } else { Err(self.wanted(&token.show())) }
    }

    pub(super) fn expect_punct(&mut self, c: char) -> Result<()> {
        self.expect(Token::Punct(c))
    }

    /// An error at this place: something else is wanted here.
    pub(super) fn wanted(&self, what: &str) -> Fault {
        Fault::new(self.at(), format!("{what} is wanted here, not {}", self.peek().show()))
    }

    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::new(self.at(), what)
    }

    /// A name, plain or quoted.
    pub(super) fn name(&mut self, what: &str) -> Result<Cow<'a, str>> {
        let at = self.at();
        match self.peek() {
            Token::Ident(s) => {
                self.bump()?;
                Ok(Cow::Borrowed(s))
            }
            Token::Quoted(s) => {
                self.bump()?;
                plain(s, at)
            }
            _ => Err(self.wanted(what)),
        }
    }

    /// Text between double quotes.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>> {
        let at = self.at();
        match self.peek() {
            Token::Text(s) => {
                self.bump()?;
                plain(s, at)
            }
            _ => Err(self.wanted("text between double quotes")),
        }
    }

    /// A number that is no negative one and fits 64 bits.
    pub(super) fn count(&mut self, what: &str) -> Result<u64> {
        let at = self.at();
        let Token::Number(s) = self.peek() else { return Err(self.wanted(what)) };
        self.bump()?;
        super::number::integer(s)
            .and_then(|n| u64::try_from(n).ok())
            .ok_or_else(|| Fault::new(at, format!("{what} is wanted here, not `{}`", super::lex::clip(s))))
    }

    /// What stands between `open` and `close`, separated by commas; a last comma is allowed.
    pub(super) fn list(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.expect_punct(open)?;
        while !self.eat_punct(close)? {
            item(self)?;
            if !self.eat_punct(',')? {
                return match self.eat_punct(close)? {
                    true => Ok(()),
                    false => Err(self.wanted(&format!("`,` or `{close}`"))),
                };
            }
        }
        Ok(())
    }
}

fn plain(escaped: &str, at: usize) -> Result<Cow<'_, str>> {
    unescape(escaped).ok_or_else(|| {
        Fault::new(at, "there is an escape here that is not known")
            .hint("\\n \\t \\r \\\\ \\\" \\` and \\u{…} are")
    })
}
