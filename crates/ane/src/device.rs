use std::sync::OnceLock;

use crate::family::Family;
use crate::os::Os;
use crate::table::Confidence;

/// A chip and the family of its engine.
#[derive(Clone, Debug)]
pub struct Chip {
    /// The name on the command line: `a17-pro`, `m1-max`.
    pub slug: &'static str,
    /// The marketing name.
    pub name: &'static str,
    /// The family of its engine.
    pub family: Family,
    /// How the family is known.
    pub confidence: Confidence,
    /// Why this family is held to be right.
    pub basis: &'static str,
    /// Cores of the engine, where published.
    pub cores: Option<u32>,
    /// Trillions of operations per second as published; of int8 on some chips, of fp16 on others.
    pub tops: Option<f32>,
}

/// A device with one of its chips. A device sold with two chips stands twice.
#[derive(Clone, Debug)]
pub struct Device {
    /// The name on the command line: `iphone-13`, `ipad-air-4`, `mac-studio-2022`.
    pub slug: &'static str,
    /// The slug without the generation: `ipad-air`, `mac-studio`.
    pub group: &'static str,
    /// The full name with the year.
    pub name: &'static str,
    /// The chip.
    pub chip: &'static Chip,
    /// The year of its release.
    pub year: u32,
    /// `ios`, `ipados`, `macos`, `tvos`, `watchos` or `visionos`.
    pub platform: &'static str,
    /// The release it came with.
    pub lowest: Os,
    /// The last release it gets; `None` where it is still supported.
    pub highest: Option<Os>,
}

impl Device {
    /// Whether it can run release `os`, by upgrading if need be.
    pub fn runs(&self, os: Os) -> bool {
        self.highest.is_none_or(|highest| highest >= os)
    }
}

struct Catalogue {
    chips: &'static [Chip],
    devices: Vec<Device>,
}

/// Every chip that is known, older ones first within each series.
pub fn chips() -> &'static [Chip] {
    catalogue().chips
}

/// Every device that is known.
pub fn devices() -> &'static [Device] {
    &catalogue().devices
}

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    static CHIPS: OnceLock<Vec<Chip>> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let chips =
            CHIPS.get_or_init(|| records(include_str!("../data/chips.tsv")).filter_map(chip).collect());
        let devices =
            records(include_str!("../data/devices.tsv")).filter_map(|row| device(row, chips)).collect();
        Catalogue { chips, devices }
    })
}

/// The rows of a table of tab-separated fields, without comments and the line of headings.
pub(crate) fn records(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#')).skip(1).map(|line| line.split('\t').collect())
}

/// A row that does not fit is left out; a test counts them.
fn chip(row: Vec<&'static str>) -> Option<Chip> {
    let [slug, name, family, confidence, cores, tops, basis] = row[..] else { return None };
    let confidence = match confidence {
        "measured" => Confidence::Measured,
        "derived" => Confidence::Derived,
        "reported" => Confidence::Reported,
        "guess" => Confidence::Guess,
        _ => return None,
    };
    let family = Family::from_name(family)?;
    Some(Chip { slug, name, family, confidence, basis, cores: cores.parse().ok(), tops: tops.parse().ok() })
}

fn device(row: Vec<&'static str>, chips: &'static [Chip]) -> Option<Device> {
    let [slug, group, name, chip, year, platform, lowest, highest] = row[..] else { return None };
    Some(Device {
        slug,
        group,
        name,
        chip: chips.iter().find(|c| c.slug == chip)?,
        year: year.parse().ok()?,
        platform,
        lowest: Os(lowest.parse().ok()?),
        highest: highest.parse().ok().map(Os),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_tables_is_read() {
        assert_eq!(chips().len(), records(include_str!("../data/chips.tsv")).count());
        assert_eq!(devices().len(), records(include_str!("../data/devices.tsv")).count());
    }

    #[test]
    fn families_are_not_the_marketing_number() {
        let family = |slug: &str| chips().iter().find(|c| c.slug == slug).map(|c| c.family);
        assert_eq!(family("a13"), Some(Family::H12));
        assert_eq!(family("a14"), Some(Family::H13));
        assert_eq!(family("m1-ultra"), Some(Family::H13));
        assert_eq!(family("a17-pro"), Some(Family::H16));
        assert_eq!(family("a11"), Some(Family::NoEngine));
        assert_eq!(family("s9"), Some(Family::Undisclosed));
    }

    #[test]
    fn support_ends_where_it_ended() {
        let find = |slug: &str| devices().iter().find(|d| d.slug == slug).cloned();
        let (xs, ipad) = (find("iphone-xs"), find("ipad-8"));
        assert!(xs.is_some_and(|d| d.runs(Os(18)) && !d.runs(Os(26))));
        assert!(ipad.is_some_and(|d| d.runs(Os(26))));
    }
}
