use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

/// The code of a kind of finding: `ANE` and three digits. Tens group codes by cause.
///
/// ```
/// use anewrite_diag::Code;
///
/// let code: Code = "ane010".parse()?;
/// assert_eq!(code.to_string(), "ANE010");
/// # Ok::<(), anewrite_diag::BadCode>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl Code {
    /// The code of this number. For declarations: text from outside goes through [`Code::from_str`].
    pub const fn new(number: u16) -> Code {
        Code(number)
    }

    /// The number behind `ANE`.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ANE{:03}", self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Text that is no code of a finding.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no code of a finding: one is ANE and three digits, as ANE010")]
pub struct BadCode(pub String);

impl FromStr for Code {
    type Err = BadCode;

    fn from_str(s: &str) -> Result<Code, BadCode> {
        let bad = || BadCode(s.to_owned());
        let (prefix, digits) = s.split_at_checked(3).ok_or_else(bad)?;
        let all_digits = digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit());
        if !prefix.eq_ignore_ascii_case("ANE") || !all_digits {
            return Err(bad());
        }
        digits.parse().map(Code).map_err(|_| bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ane_and_three_digits() {
        assert_eq!("ANE007".parse::<Code>().map(Code::number), Ok(7));
        for bad in ["", "ANE", "ANE7", "ANE0007", "BNE007", "ANE+07", "АNE007", "M001"] {
            assert!(bad.parse::<Code>().is_err(), "{bad}");
        }
    }
}
