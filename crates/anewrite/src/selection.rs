//! The rules there are, and which of them to use.

use std::str::FromStr;

use anewrite_rewrite::{Code, Grade, Rule};

use crate::Error;

/// Every rule, in the order in which the driver tries them.
pub fn rules() -> Vec<&'static dyn Rule> {
    let all = [anewrite_passes_canonical::rules(), anewrite_passes_nn::rules(), anewrite_passes_ops::rules()];
    all.into_iter().flatten().copied().collect()
}

/// The rule with this code.
///
/// # Errors
/// Where there is none.
///
/// ```
/// assert_eq!(anewrite::rule("C012")?.info().name, "compose-transposes");
/// assert!(anewrite::rule("C999").is_err());
/// # Ok::<(), anewrite::Error>(())
/// ```
pub fn rule(code: &str) -> Result<&'static dyn Rule, Error> {
    let unknown = || Error::UnknownRule(code.to_owned());
    let parsed = Code::from_str(code).map_err(|_| unknown())?;
    rules().into_iter().find(|r| r.info().code == parsed).ok_or_else(unknown)
}

/// Which rules to use: all that are selected and not ignored.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    select: Vec<String>,
    ignore: Vec<String>,
    forced: Vec<Code>,
    approximate: bool,
}

impl Selection {
    /// Takes codes (`M001`) and letters for whole groups (`M`). None selected means all.
    ///
    /// # Errors
    /// Where one names no rule.
    ///
    /// ```
    /// use anewrite::Selection;
    /// assert!(Selection::new(&["C", "M001"], &["C003"]).is_ok());
    /// assert!(Selection::new(&["Q"], &["C"]).is_err());
    /// ```
    pub fn new(select: &[impl AsRef<str>], ignore: &[impl AsRef<str>]) -> Result<Selection, Error> {
        let select = checked(select)?;
        let ignore = checked(ignore)?;
        Ok(Selection { select, ignore, forced: Vec::new(), approximate: false })
    }

    /// Makes these rules fire wherever they apply, whether or not the target gains.
    ///
    /// # Errors
    /// Where one names no rule.
    pub fn force(mut self, codes: &[impl AsRef<str>]) -> Result<Selection, Error> {
        let names = checked(codes)?;
        self.forced = rules().iter().map(|r| r.info().code).filter(|&c| named(&names, c)).collect();
        Ok(self)
    }

    /// Allows rules of grade [`Grade::Approximate`].
    #[must_use]
    pub fn approximate(mut self, allow: bool) -> Selection {
        self.approximate = allow;
        self
    }

    pub(crate) fn allows_approximate(&self) -> bool {
        self.approximate
    }

    pub(crate) fn forced(&self) -> &[Code] {
        &self.forced
    }

    pub(crate) fn rules(&self) -> Vec<&'static dyn Rule> {
        let wanted = |r: &&'static dyn Rule| {
            let info = r.info();
            (self.select.is_empty() || named(&self.select, info.code))
                && !named(&self.ignore, info.code)
                && (self.approximate || info.grade != Grade::Approximate)
        };
        rules().into_iter().filter(wanted).collect()
    }
}

fn named(names: &[String], code: Code) -> bool {
    let code = code.to_string();
    names.iter().any(|n| code.starts_with(n.as_str()))
}

/// A name is a letter of [`Code::LETTERS`] or the code of a rule.
fn checked(names: &[impl AsRef<str>]) -> Result<Vec<String>, Error> {
    let check = |n: &str| {
        let is_group = n.len() == 1 && Code::LETTERS.contains(n);
        if is_group || rule(n).is_ok() { Ok(n.to_owned()) } else { Err(Error::UnknownRule(n.to_owned())) }
    };
    names.iter().map(|n| check(n.as_ref())).collect()
}
