//! The engine's knowledge as the driver's objective: the one place where the graph meets the tables.

use anewrite_ane::{Answer, Family, FamilySet, Target};
use anewrite_check::View;
use anewrite_rewrite::{Comparison, Objective, Region};

/// What is good for one target.
pub(crate) struct Engine {
    target: Target,
}

impl Engine {
    pub(crate) fn new(target: Target) -> Self {
        Engine { target }
    }
}

impl Objective for Engine {
    fn limit(&self, id: &str) -> Option<u64> {
        self.target.families().iter().filter_map(|f| anewrite_ane::limit(id, f)).map(|l| l.value).min()
    }

    fn compare(&self, before: Region<'_>, after: Region<'_>) -> Comparison {
        let (old, new) = (self.answers(before), self.answers(after));
        let (mut better, mut same) = (false, Vec::new());
        for ((family, old), (_, new)) in old.into_iter().zip(new) {
            let worse = (new.refused && !old.refused) || (new.unsure && !old.unsure);
            if worse {
                let what = if new.refused { "would be refused" } else { "would be unknown" };
                return Comparison::Worse(format!("an op of the replacement {what} on {family}"));
            }
            better |= (old.refused && !new.refused) || (old.unsure && !new.unsure);
            if old == new {
                same.push((family, old));
            }
        }
        if better {
            return Comparison::Better;
        }
        let (runs, other): (Vec<_>, Vec<_>) = same.iter().partition(|(_, a)| !a.unsure);
        let list =
            |of: &[&(Family, Answers)]| of.iter().map(|(f, _)| f.to_string()).collect::<Vec<_>>().join(", ");
        Comparison::Same(match (runs.is_empty(), other.is_empty()) {
            (false, true) => format!("what stands there runs on {}", list(&runs)),
            (true, _) => format!("it would be as unsure or refused on {}", list(&other)),
            _ => format!("what stands there runs on {}; on {} nothing changes", list(&runs), list(&other)),
        })
    }
}

/// What the engine of one family does with some ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answers {
    /// One at least is known to be refused.
    refused: bool,
    /// One at least is refused or not known to run.
    unsure: bool,
}

impl Engine {
    fn answers(&self, region: Region<'_>) -> Vec<(Family, Answers)> {
        let none = Answers { refused: false, unsure: false };
        let mut out: Vec<_> = self.target.families().iter().map(|f| (f, none)).collect();
        for &op in region.ops {
            let judged =
                anewrite_ane::eligibility(&View::new(region.program, region.facts, op), &self.target);
            for (family, answers) in &mut out {
                match judged.on(*family).map(|v| v.answer()) {
                    Some(Answer::Yes) => {}
                    Some(Answer::No) => (answers.refused, answers.unsure) = (true, true),
                    _ => answers.unsure = true,
                }
            }
        }
        out
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
