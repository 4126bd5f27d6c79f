//! Ops that the engine cannot run, or of which nobody knows.

use anewrite_ane::{
    Answer as Verdicts, Confidence, Eligibility, FamilySet, OpView, Os, Row, Verdict, Why, eligibility,
};
use anewrite_diag::{Answer, Evidence, Finding, Place, Severity};
use anewrite_ir::OpId;
use rustc_hash::{FxHashMap, FxHashSet};

use super::causes::{NOT_KNOWN, of_row as code_of};
use super::{Subject, cuts, names, new, text};
use crate::View;
use crate::judge::loads_constant;

/// A share of the arithmetic, or of the plan's cost, below which ops do not matter for it.
const LITTLE: f64 = 0.01;

/// The number of the code of custom layers.
const CUSTOM: u16 = 4;

/// What decides about an op on some families.
#[derive(Clone, Debug)]
struct Ground {
    /// The number of the finding's code.
    code: u16,
    row: Option<&'static Row>,
    refused: bool,
    why: Option<Why>,
    known: Vec<(Confidence, FamilySet)>,
    families: FamilySet,
    /// How many ops it decides about.
    ops: usize,
}

/// What ops of one finding have in common: the code, the row that decides, whether it refuses, and the families.
type Key = (u16, &'static str, bool, FamilySet);

struct Group {
    grounds: Vec<Ground>,
    ops: Vec<(OpId, Option<String>)>,
    runs_on: FamilySet,
}

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let mut groups: Vec<Group> = Vec::new();
    let mut by_key: FxHashMap<Key, usize> = FxHashMap::default();
    let mut add = |op: OpId, judged: &Eligibility| {
        let (grounds, observed) = grounds(subject, op, judged);
        let Some(first) = grounds.first() else { return };
        let row = first.row.map_or("", |row| row.id.as_str());
        let key: Key = (first.code, row, first.refused, first.families);
        let runs_on = judged.families(Verdicts::Yes);
        let at = *by_key.entry(key).or_insert_with(|| {
            groups.push(Group { grounds: Vec::new(), ops: Vec::new(), runs_on: FamilySet::engines() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(at) {
            grounds.into_iter().for_each(|ground| group.add(ground));
            group.ops.push((op, observed));
            group.runs_on = group.runs_on.intersection(runs_on);
        }
    };
    for judged in subject.judged() {
        add(judged.op, &judged.eligibility);
    }
    let constants = subject.program.all_ops().filter(|&op| loads_constant(&subject.program.op(op).kind));
    for op in constants {
        add(op, &eligibility(&View::new(subject.program, subject.facts, op), &subject.everywhere()));
    }
    groups.into_iter().map(|group| finding(subject, group)).collect()
}

impl Ground {
    /// Whether both say the same, of whatever families.
    fn is_like(&self, other: &Ground) -> bool {
        self.refused == other.refused
            && self.code == other.code
            && self.row.map(|row| &row.id) == other.row.map(|row| &row.id)
    }
}

impl Group {
    fn add(&mut self, ground: Ground) {
        match self.grounds.iter_mut().find(|known| known.is_like(&ground)) {
            Some(known) => {
                known.families = known.families.union(ground.families);
                known.ops += ground.ops;
                for (confidence, families) in ground.known {
                    families.iter().for_each(|family| text::add(&mut known.known, confidence, family));
                }
            }
            None => self.grounds.push(ground),
        }
    }
}

/// What decides about an op on the families of the target, the weightiest first, and what was seen of it there.
fn grounds(subject: &Subject<'_>, op: OpId, judged: &Eligibility) -> (Vec<Ground>, Option<String>) {
    let mut grounds: Vec<Ground> = Vec::new();
    let mut seen = None;
    let mut open = None;
    for family in subject.target.families().iter() {
        let Some(verdict) = judged.on(family) else { continue };
        let (row, refused, why, confidence) = match verdict {
            Verdict::Yes { .. } => continue,
            Verdict::No { row, observed, confidence } => {
                seen = observed.as_ref().map(ToString::to_string);
                (Some(*row), true, None, *confidence)
            }
            Verdict::Unknown { why, rows, .. } => {
                (rows.first().copied(), false, Some(why.clone()), Confidence::Guess)
            }
        };
        let mut is_open = || *open.get_or_insert_with(|| has_open_shape(subject, op));
        let (code, row) = match row {
            Some(_) if !refused && is_open() => (13, anewrite_ane::row("dynamic-shape")),
            Some(row) => (code_of(&row.id), Some(row)),
            None => (NOT_KNOWN, None),
        };
        let families = FamilySet::from_iter([family]);
        let ground =
            Ground { code, row, refused, why, known: vec![(confidence, families)], families, ops: 1 };
        match grounds.iter_mut().find(|known| known.is_like(&ground)) {
            Some(known) => {
                known.families.insert(family);
                text::add(&mut known.known, confidence, family);
            }
            None => grounds.push(ground),
        }
    }
    // Where the op is refused somewhere, that nothing is known elsewhere adds nothing.
    if grounds.iter().any(|g| g.refused) {
        grounds.retain(|g| g.row.is_some());
    }
    // The newest engine that refuses decides what the finding is called.
    grounds.sort_by_key(|g| std::cmp::Reverse((g.refused, g.families.iter().max())));
    (grounds, seen)
}

fn has_open_shape(subject: &Subject<'_>, op: OpId) -> bool {
    let view = View::new(subject.program, subject.facts, op);
    let open = |t: &anewrite_ane::Tensor| t.dims.as_ref().is_none_or(|dims| dims.contains(&None));
    let mut found = false;
    view.operands(&mut |operand| found |= !operand.constant && open(&operand.tensor));
    view.results(&mut |tensor| found |= open(&tensor));
    found
}

fn finding(subject: &Subject<'_>, group: Group) -> Finding {
    let kinds = text::kinds(group.ops.iter().map(|(op, _)| &*subject.program.op(*op).kind));
    let first = group.grounds.first();
    let refused = first.is_some_and(|g| g.refused);
    let says: Vec<String> = group.grounds.iter().map(|g| sentence(g, &kinds)).collect();
    let message = says.first().cloned().unwrap_or_default();
    let (severity, answer) =
        if refused { (Severity::Error, Answer::Refused) } else { (Severity::Warning, Answer::Unknown) };
    let mut found = new(first.map_or(NOT_KNOWN, |g| g.code), severity, answer, message);
    let ops: FxHashSet<OpId> = group.ops.iter().map(|(op, _)| *op).collect();
    let concerned = group.grounds.iter().filter(|g| g.refused == refused);
    found.families = names(concerned.fold(FamilySet::EMPTY, |all, g| all.union(g.families)));
    found.runs_on = names(group.runs_on);
    found.ops = places(subject, &group.ops);
    found.arithmetic = subject.share(&ops);
    found.cost = subject.cost(&ops);
    if refused && found.arithmetic < LITTLE && is_free(&found) {
        found.severity = Severity::Note;
    }
    found.advice = first.and_then(|g| g.row?.advice.clone());
    let all = found.ops.len();
    let told = group.grounds.iter().zip(says).map(|(ground, says)| Evidence {
        ops: Some(ground.ops).filter(|&ops| ops < all),
        ..evidence(ground, says)
    });
    found.evidence = told.collect();
    if found.code.number() == CUSTOM {
        let ops: Vec<OpId> = group.ops.iter().map(|(op, _)| *op).collect();
        cuts::describe(subject, &mut found, &ops);
    }
    found
}

/// Whether the plan is known to cost next to nothing more because of the finding.
pub(super) fn is_free(found: &Finding) -> bool {
    found.cost.as_ref().is_some_and(|cost| cost.ms <= cost.of_ms * LITTLE)
}

fn places(subject: &Subject<'_>, ops: &[(OpId, Option<String>)]) -> Vec<Place> {
    ops.iter().map(|(op, observed)| subject.place(*op, observed.clone())).collect()
}

/// What a ground says of ops of these types.
fn sentence(ground: &Ground, kinds: &str) -> String {
    let says = ground.row.map(|row| row.sentence(kinds));
    match (&ground.why, says) {
        (None, says) => says.unwrap_or_default(),
        (Some(_), Some(says)) if ground.code == 13 => says,
        (Some(Why::NoEvidence), _) | (Some(_), None) => {
            format!("No source speaks of {kinds} on this generation of the engine.")
        }
        (Some(Why::Open(why)), Some(says)) => {
            // Where the reason is not the row's own sentence, it is a fact that the op does not show, or a gap in a limit.
            let own = ground.row.is_some_and(|row| row.says == **why);
            if own { says } else { format!("{says} Here that cannot be told: {why}.") }
        }
        (Some(Why::Weak), Some(says)) => format!("{says} The evidence is weak."),
        (Some(Why::DependsOnOs), Some(says)) => {
            format!("{says} The target spans releases on which that holds and others: {}.", releases(ground))
        }
        (Some(why), Some(says)) => format!("{says} But {why}."),
    }
}

/// The releases that a row speaks of.
fn releases(ground: &Ground) -> String {
    match ground.row.and_then(|row| row.os) {
        Some(range) if range.from == Os(0) => {
            range.to.map_or_else(String::new, |to| format!("it does up to {to}"))
        }
        Some(range) => match range.to {
            Some(to) => format!("it does from {} to {to}", range.from),
            None => format!("it does from {} on", range.from),
        },
        None => String::new(),
    }
}

fn evidence(ground: &Ground, says: String) -> Evidence {
    match ground.row {
        Some(row) if ground.refused => text::of_row(row, says, &ground.known),
        Some(row) => {
            let mut evidence = text::of_row(row, says, &[]);
            evidence.families = names(ground.families);
            evidence.known = vec![unknown(ground.families)];
            evidence
        }
        None => Evidence {
            says,
            families: names(ground.families),
            row: None,
            known: vec![unknown(ground.families)],
            ops: None,
            core_ml_says: None,
            sources: Vec::new(),
        },
    }
}

fn unknown(families: FamilySet) -> anewrite_diag::Known {
    anewrite_diag::Known { how: "unknown".to_owned(), families: names(families) }
}
