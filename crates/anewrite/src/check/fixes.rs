//! Which findings a rule fixes: told by a dry run, never by a list.

use anewrite_check::Doubt;
use anewrite_diag::{Answer as Said, Declined, Finding, Fix, Severity};
use anewrite_rewrite::{Grade, Purpose, Rule};
use rustc_hash::{FxHashMap, FxHashSet};

use super::report::{AfterRewrite, PartCheck};
use super::summary::{self, op_name};
use super::{CheckOptions, Checked};
use crate::report::FiringReport;
use crate::rewrite::{RewriteOptions, Rewritten, rewrite};
use crate::selection::{Selection, rules};
use crate::{Error, Model};

/// Reasons shown for one finding at most.
const MOST_DECLINED: usize = 4;

/// Fills in the rules of every finding, and what the functions would be after a rewrite.
pub(super) fn attribute(model: &Model, options: &CheckOptions, parts: &mut [PartCheck]) -> Result<(), Error> {
    let open = |part: &PartCheck| {
        part.findings.iter().any(|f| f.severity > Severity::Note || f.answer == Said::Refused)
    };
    if !parts.iter().any(open) {
        return Ok(());
    }
    let rewritten = rewrite(
        model,
        &RewriteOptions { target: options.target, verify: None, ..RewriteOptions::default() },
    )?;
    for (i, part) in parts.iter_mut().enumerate() {
        replaced(&rewritten, i, options, part);
    }
    declined(model, options, parts)
}

/// Marks the ops that rules replace by ops that no family of the target refuses.
fn replaced(rewritten: &Rewritten<'_>, index: usize, options: &CheckOptions, part: &mut PartCheck) {
    let (Some(report), Some(after)) =
        (rewritten.report.parts.get(index), rewritten.document.parts.get(index))
    else {
        return;
    };
    if report.firings.is_empty() {
        return;
    }
    let Some(target) = options.target else { return };
    let checked = Checked::new(&after.program, target);
    let (mut refused, mut open) = (FxHashMap::default(), FxHashMap::default());
    for judged in checked.examined.iter().flat_map(|f| &f.scopes).flat_map(|s| &s.ops) {
        let families = |doubt| -> Vec<String> {
            let off = target.families().iter().filter(|f| !judged.on_engine(*f, doubt));
            off.map(|f| f.to_string()).collect()
        };
        let name = op_name(&after.program, judged.op);
        refused.insert(name.clone(), families(Doubt::Runs));
        open.insert(name, families(Doubt::Refused));
    }
    let mut by_op: FxHashMap<&str, &FiringReport> = FxHashMap::default();
    for firing in &report.firings {
        for removed in firing.removed.iter().filter_map(|op| op.split_once(' ')) {
            by_op.entry(removed.1).or_insert(firing);
        }
        by_op.entry(&firing.at).or_insert(firing);
    }
    for finding in &mut part.findings {
        if finding.answer == Said::Unplaced || finding.answer == Said::Slow {
            continue;
        }
        let off: &FxHashMap<String, Vec<String>> = match finding.answer {
            Said::Unknown => &open,
            _ => &refused,
        };
        for place in &mut finding.ops {
            let Some(firing) = by_op.get(place.op.as_str()) else { continue };
            // What stands there now must run where the finding says that the old op does not.
            let runs = |op: &String| {
                let name = op.split_once(' ').map_or(op.as_str(), |(_, name)| name);
                off.get(name).is_none_or(|off| !finding.families.iter().any(|f| off.contains(f)))
            };
            if !firing.added.iter().all(runs) {
                continue;
            }
            place.fixed_by = Some(firing.code.clone());
            match finding.fixes.iter_mut().find(|fix| fix.rule == firing.code) {
                Some(fix) => fix.ops += 1,
                None => {
                    finding.fixes.push(Fix {
                        rule: firing.code.clone(),
                        name: firing.name.to_owned(),
                        ops: 1,
                    });
                }
            }
        }
    }
    for (function, (examined, placements)) in
        part.functions.iter_mut().zip(checked.examined.iter().zip(&checked.placements))
    {
        function.after_rewrite = Some(AfterRewrite {
            ops: examined.scopes.iter().map(|s| s.ops.len()).sum(),
            families: summary::families(&after.program, examined, placements),
        });
    }
}

/// Asks rules that look for ops of the kinds that are left why they do not fire there.
fn declined(model: &Model, options: &CheckOptions, parts: &mut [PartCheck]) -> Result<(), Error> {
    let left = |part: &PartCheck| -> Vec<(String, String)> {
        let asked = |f: &&Finding| matches!(f.answer, Said::Refused | Said::Unknown) && !is_general(f);
        let open = part.findings.iter().filter(asked);
        let ops = open.flat_map(|f| &f.ops).filter(|place| place.fixed_by.is_none());
        ops.map(|place| (place.kind.clone(), place.op.clone())).collect()
    };
    let kinds: FxHashSet<String> = parts.iter().flat_map(&left).map(|(kind, _)| kind).collect();
    for rule in rules() {
        if !looks_for(rule, &kinds) {
            continue;
        }
        let info = rule.info();
        let code = info.code.to_string();
        let approximate = info.grade == Grade::Approximate;
        let mut reasons: Vec<FxHashMap<String, String>> = Vec::new();
        if !approximate {
            let selection = Selection::new(&[&code], &[] as &[&str])?;
            let asked = RewriteOptions {
                target: options.target,
                selection,
                why: Some(info.code),
                verify: None,
                ..RewriteOptions::default()
            };
            let outcome = rewrite(model, &asked)?;
            reasons = outcome
                .report
                .parts
                .iter()
                .map(|part| part.near_misses.iter().map(|miss| (miss.op.clone(), miss.why.clone())).collect())
                .collect();
        }
        for (i, part) in parts.iter_mut().enumerate() {
            let reasons = reasons.get(i);
            let asked =
                |f: &&mut Finding| matches!(f.answer, Said::Refused | Said::Unknown) && !is_general(f);
            for finding in part.findings.iter_mut().filter(asked) {
                let ops = finding.ops.iter().filter(|place| place.fixed_by.is_none());
                let found = ops
                    .filter(|place| rule.pattern().root_kinds().contains(&place.kind.as_str()))
                    .find_map(|place| {
                        let why = match reasons {
                            Some(reasons) => reasons.get(&place.op)?.clone(),
                            None => "it is approximate, which has to be allowed".to_owned(),
                        };
                        Some(Declined { rule: code.clone(), op: place.op.clone(), why })
                    });
                if let Some(found) = found.filter(|_| finding.declined.len() < MOST_DECLINED) {
                    finding.declined.push(found);
                }
            }
        }
    }
    Ok(())
}

/// Whether what decides holds for every op, such as its element type: rules for single ops have nothing to say to that.
fn is_general(finding: &Finding) -> bool {
    let row = finding.evidence.first().and_then(|e| anewrite_ane::row(e.row.as_deref()?));
    row.is_none_or(|row| row.ops.iter().any(|op| op.ends_with('*')))
}

fn looks_for(rule: &dyn Rule, kinds: &FxHashSet<String>) -> bool {
    let gated = rule.info().purpose != Purpose::Clean && rule.sweep().is_none();
    gated && rule.pattern().root_kinds().iter().any(|kind| kinds.contains(*kind))
}
