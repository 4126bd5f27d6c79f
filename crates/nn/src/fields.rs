//! Reading a layer's fields by their schema names, with proto3's defaults for those that are not set.

use anewrite_ir::{Attr, Str};

use crate::error::Reason;

/// The fields of a layer's message, or of one nested in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [(Str, Attr)]);

impl<'a> Fields<'a> {
    /// The field `name`, if it is set.
    pub(crate) fn get(self, name: &str) -> Option<&'a Attr> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, a)| a)
    }

    /// Whether the field is set: for members of a oneof, and messages.
    pub(crate) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// An integer; 0 where it is not set.
    pub(crate) fn int(self, name: &str) -> Result<i64, Reason> {
        self.read(name, 0, Attr::as_int, "an integer")
    }

    /// An extent or a count: an integer that is not negative; 0 where it is not set.
    pub(crate) fn size(self, name: &str) -> Result<u64, Reason> {
        let n = self.int(name)?;
        u64::try_from(n).map_err(|_| Reason::field(name, format!("{n} is no size")))
    }

    /// A number; 0 where it is not set.
    pub(crate) fn float(self, name: &str) -> Result<f64, Reason> {
        self.read(name, 0.0, Attr::as_float, "a number")
    }

    /// A number for which 0 stands for `default`.
    pub(crate) fn float_or(self, name: &str, default: f64) -> Result<f64, Reason> {
        let x = self.float(name)?;
        Ok(if x == 0.0 { default } else { x })
    }

    /// A truth value; false where it is not set.
    pub(crate) fn flag(self, name: &str) -> Result<bool, Reason> {
        self.read(name, false, Attr::as_bool, "a truth value")
    }

    /// The name of an enumeration's value; `first` (the value 0) where it is not set.
    pub(crate) fn choice(self, name: &str, first: &'a str) -> Result<&'a str, Reason> {
        match self.get(name) {
            None => Ok(first),
            Some(a) => a.as_str().ok_or_else(|| Reason::field(name, "an enumeration's value is needed")),
        }
    }

    /// A repeated integer; empty where it is not set.
    pub(crate) fn ints(self, name: &str) -> Result<Vec<i64>, Reason> {
        self.read(name, Vec::new(), Attr::as_ints, "a list of integers")
    }

    /// A repeated extent; empty where it is not set.
    pub(crate) fn sizes(self, name: &str) -> Result<Vec<u64>, Reason> {
        let size = |n: i64| u64::try_from(n).map_err(|_| Reason::field(name, format!("{n} is no size")));
        self.ints(name)?.into_iter().map(size).collect()
    }

    /// `N` extents; `default` where none is set.
    pub(crate) fn sizes_or<const N: usize>(self, name: &str, default: [u64; N]) -> Result<[u64; N], Reason> {
        let v = self.sizes(name)?;
        if v.is_empty() {
            return Ok(default);
        }
        let n = v.len();
        v.try_into().map_err(|_| Reason::field(name, format!("{N} values are needed, this has {n}")))
    }

    /// A repeated truth value; empty where it is not set.
    pub(crate) fn flags(self, name: &str) -> Result<Vec<bool>, Reason> {
        let all = |a: &Attr| match a {
            Attr::List(items) => items.iter().map(Attr::as_bool).collect(),
            _ => None,
        };
        self.read(name, Vec::new(), all, "a list of truth values")
    }

    /// A repeated number; empty where it is not set.
    pub(crate) fn floats(self, name: &str) -> Result<Vec<f64>, Reason> {
        let all = |a: &Attr| match a {
            Attr::List(items) => items.iter().map(Attr::as_float).collect(),
            _ => None,
        };
        self.read(name, Vec::new(), all, "a list of numbers")
    }

    /// A nested message; `None` where it is not set.
    pub(crate) fn message(self, name: &str) -> Result<Option<Fields<'a>>, Reason> {
        match self.get(name) {
            None => Ok(None),
            Some(Attr::Message(m)) => Ok(Some(Fields(m))),
            Some(_) => Err(Reason::field(name, "a message is needed")),
        }
    }

    /// A nested message, empty where it is not set.
    pub(crate) fn message_or_empty(self, name: &str) -> Result<Fields<'a>, Reason> {
        Ok(self.message(name)?.unwrap_or(Fields(&[])))
    }

    /// A repeated message; empty where it is not set.
    pub(crate) fn messages(self, name: &str) -> Result<Vec<Fields<'a>>, Reason> {
        let wrong = || Reason::field(name, "a list of messages is needed");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Attr::List(items)) => items
                .iter()
                .map(|a| match a {
                    Attr::Message(m) => Ok(Fields(m.as_slice())),
                    _ => Err(wrong()),
                })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// The message at a dotted path, whose numbers index repeated messages; `None` where it is not set.
    pub(crate) fn at(self, path: &str) -> Option<Fields<'a>> {
        let mut here = self;
        let mut steps = path.split('.').peekable();
        while let Some(name) = steps.next() {
            let attr = match (here.get(name)?, steps.peek()) {
                (Attr::List(items), Some(n)) => {
                    let item = items.get(n.parse::<usize>().ok()?)?;
                    steps.next();
                    item
                }
                (a, _) => a,
            };
            match attr {
                Attr::Message(m) => here = Fields(m),
                _ => return None,
            }
        }
        Some(here)
    }

    fn read<T>(
        self,
        name: &str,
        default: T,
        f: impl FnOnce(&Attr) -> Option<T>,
        what: &str,
    ) -> Result<T, Reason> {
        match self.get(name) {
            None => Ok(default),
            Some(a) => f(a).ok_or_else(|| Reason::field(name, format!("{what} is needed"))),
        }
    }
}
