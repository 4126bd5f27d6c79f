use std::fmt;

use serde::Deserialize;

/// A system release by its iOS version number.
///
/// The releases of one autumn are one: iOS 17, iPadOS 17, tvOS 17, macOS 14, watchOS 10 and visionOS 1
/// are `Os(17)`. From 26 on all platforms carry the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Os(pub u32);

impl Os {
    /// Reads `ios17`, `ipados17`, `tvos17`, `macos14`, `watchos10`, `visionos1`; the part after a dot is
    /// ignored. `None` for anything else.
    pub fn parse(text: &str) -> Option<Os> {
        let text = text.to_ascii_lowercase();
        let (platform, number) = text.split_at(text.find(|c: char| c.is_ascii_digit())?);
        let number: u32 = number.split('.').next()?.parse().ok()?;
        let ios = match platform.trim_end_matches(['-', ' ']) {
            _ if number >= 26 => number,
            "ios" | "ipados" | "tvos" => number,
            "macos" => number.checked_add(3)?,
            "watchos" => number.checked_add(7)?,
            "visionos" => number.checked_add(16)?,
            _ => return None,
        };
        let known = ["ios", "ipados", "tvos", "macos", "watchos", "visionos"];
        (known.contains(&platform.trim_end_matches(['-', ' '])) && (11..100).contains(&ios))
            .then_some(Os(ios))
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n @ 14..26 => write!(f, "iOS {n} / macOS {}", n - 3),
            n => write!(f, "iOS {n}"),
        }
    }
}

/// Releases from one to another, both included; written `>=27`, `<=26` or `17-18` in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OsRange {
    /// The first release.
    pub from: Os,
    /// The last release; `None` where none is known to be the last.
    pub to: Option<Os>,
}

impl OsRange {
    /// How much of `asked` lies in this range: all of it (`Some(true)`), none (`Some(false)`), a part (`None`).
    pub(crate) fn covers(self, asked: OsRange) -> Option<bool> {
        let end = |to: Option<Os>| to.map_or(u32::MAX, |os| os.0);
        if asked.from >= self.from && end(asked.to) <= end(self.to) {
            Some(true)
        } else if end(asked.to) < self.from.0 || asked.from.0 > end(self.to) {
            Some(false)
        } else {
            None
        }
    }
}

impl TryFrom<String> for OsRange {
    type Error = String;

    fn try_from(text: String) -> Result<OsRange, String> {
        let number =
            |n: &str| n.trim().parse().map(Os).map_err(|_| format!("`{text}` is not a range of releases"));
        if let Some(from) = text.strip_prefix(">=") {
            Ok(OsRange { from: number(from)?, to: None })
        } else if let Some(to) = text.strip_prefix("<=") {
            Ok(OsRange { from: Os(0), to: Some(number(to)?) })
        } else {
            let (from, to) =
                text.split_once('-').ok_or_else(|| format!("`{text}` is not a range of releases"))?;
            Ok(OsRange { from: number(from)?, to: Some(number(to)?) })
        }
    }
}
