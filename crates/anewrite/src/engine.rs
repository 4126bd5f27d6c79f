//! The engine's knowledge as the driver's objective: what ops come to on each family of a target.

mod facet;
mod pricing;
#[cfg(test)]
mod tests;

use anewrite_ane::{Family, FamilySet, Target};
use anewrite_rewrite::{Doubt, Objective, Pricing, Scenario};

use pricing::EnginePricing;

/// What is good for one target.
pub(crate) struct Engine {
    target: Target,
}

impl Engine {
    pub(crate) fn new(target: Target) -> Self {
        Engine { target }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// What nobody knows is taken one way and then the other, on each family in turn.
    fn cases(&self) -> Vec<(Family, Doubt)> {
        let families = self.target.families();
        families.iter().flat_map(|f| [(f, Doubt::Refused), (f, Doubt::Runs)]).collect()
    }
}

impl Objective for Engine {
    fn limit(&self, id: &str) -> Option<u64> {
        self.target.families().iter().filter_map(|f| anewrite_ane::limit(id, f)).map(|l| l.value).min()
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let cases = self.cases().into_iter();
        cases.map(|(family, doubt)| Scenario { target: family.to_string(), doubt }).collect()
    }

    fn pricing(&self) -> Box<dyn Pricing + '_> {
        Box::new(EnginePricing::new(&self.target, self.cases()))
    }

    fn on_record(&self, id: &str) -> Result<(), String> {
        let row = anewrite_ane::row(id).ok_or_else(|| format!("the tables have no row {id}"))?;
        if self.target.families().intersection(row.families).is_empty() {
            return Err(format!("{id} speaks of other families than {}", self.target.families()));
        }
        Ok(())
    }
}

/// The families that a model of this specification version can meet.
pub(crate) fn default_target(spec_version: i32) -> Target {
    Target::default_for(anewrite_ane::Os(lowest_ios(spec_version)))
}

/// The first iOS that reads a specification version. Versions and systems: the Core ML specification's own list.
fn lowest_ios(spec_version: i32) -> u32 {
    match spec_version {
        ..=1 => 11,
        2 | 3 => 12,
        4 => 13,
        5 => 14,
        6 => 15,
        7 => 16,
        8 => 17,
        9 => 18,
        _ => 26,
    }
}

/// All families of a target, for reports.
pub(crate) fn family_names(families: FamilySet) -> Vec<String> {
    families.iter().map(|f| f.to_string()).collect()
}
