//! Ops that run, of which a person should know something: values that go wrong, forms that are slow.

use anewrite_ane::{Answer as Verdicts, FamilySet, Row, Target, notes};
use anewrite_diag::{Answer, Finding};
use anewrite_ir::{OpId, Program};
use rustc_hash::{FxHashMap, FxHashSet};

use super::causes::{of_row, severity_of_note};
use super::{Subject, names, new, text};
use crate::View;
use crate::judge::open_forms;
use crate::view::is_weight;

/// A row, the families that it concerns, and the ops with what was seen of each.
type Remark = (&'static Row, FamilySet, Vec<(OpId, Option<String>)>);

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let mut groups: Vec<Remark> = Vec::new();
    let mut by_key: FxHashMap<(&str, FamilySet), usize> = FxHashMap::default();
    let mut add = |op: OpId, on: FamilySet| {
        let view = View::new(subject.program, subject.facts, op);
        let target = Target::new(on, subject.target.os().from);
        for note in notes(&view, &target) {
            if !holds(subject.program, note.row, op) {
                continue;
            }
            let key = (note.row.id.as_str(), note.families);
            let at = *by_key.entry(key).or_insert_with(|| {
                groups.push((note.row, note.families, Vec::new()));
                groups.len() - 1
            });
            if let Some((_, _, ops)) = groups.get_mut(at) {
                ops.push((op, note.observed.map(|observed| observed.to_string())));
            }
        }
    };
    for judged in subject.judged() {
        // A family that refuses the op does not compute it wrongly either.
        let refused = judged.eligibility.families(Verdicts::No);
        let on = subject.target.families().iter().filter(|f| !refused.contains(*f)).collect();
        add(judged.op, on);
    }
    for op in subject.program.all_ops().filter(|&op| is_weight(&subject.program.op(op).kind)) {
        add(op, subject.target.families());
    }
    groups.extend(weights(subject));
    groups.into_iter().map(|group| finding(subject, group)).collect()
}

/// Weights in a form of which nobody knows whether the engine takes it.
fn weights(subject: &Subject<'_>) -> Vec<Remark> {
    let mut groups: Vec<Remark> = Vec::new();
    for op in subject.program.all_ops().filter(|&op| is_weight(&subject.program.op(op).kind)) {
        let view = View::new(subject.program, subject.facts, op);
        let judged = anewrite_ane::eligibility(&view, subject.target);
        let mut open: Vec<(&'static Row, FamilySet)> = Vec::new();
        for (row, family) in open_forms(&judged) {
            let Some(row) = row else { continue };
            match open.iter_mut().find(|(r, _)| r.id == row.id) {
                Some((_, families)) => families.insert(family),
                None => open.push((row, FamilySet::from_iter([family]))),
            }
        }
        for (row, families) in open {
            match groups.iter_mut().find(|(r, f, _)| r.id == row.id && *f == families) {
                Some((_, _, ops)) => ops.push((op, None)),
                None => groups.push((row, families, vec![(op, None)])),
            }
        }
    }
    groups
}

/// Whether a remark that its row cannot narrow down is to the point here: a state that is written after a movement.
fn holds(program: &Program, row: &Row, op: OpId) -> bool {
    row.id != "state-through-movement" || moved(program, op)
}

fn moved(program: &Program, update: OpId) -> bool {
    let moves = |op: OpId| matches!(&*program.op(op).kind, "reshape" | "transpose");
    program.op(update).args("data").filter_map(|v| program.def_op(v)).any(moves)
}

fn finding(subject: &Subject<'_>, (row, families, ops): Remark) -> Finding {
    let kinds = text::kinds(ops.iter().map(|(op, _)| &*subject.program.op(*op).kind));
    let code = of_row(&row.id);
    let open = row.status != anewrite_ane::Status::Note;
    let answer = match code {
        _ if open => Answer::Unknown,
        30..=39 | 46 => Answer::Hazard,
        _ => Answer::Slow,
    };
    let severity = if open { anewrite_diag::Severity::Warning } else { severity_of_note(&row.id) };
    let says = row.sentence(&kinds);
    let mut found = new(code, severity, answer, says.clone());
    found.families = names(families);
    let set: FxHashSet<OpId> = ops.iter().map(|(op, _)| *op).collect();
    found.arithmetic = subject.share(&set);
    found.ops = ops.into_iter().map(|(op, observed)| subject.place(op, observed)).collect();
    found.advice = row.advice.clone();
    let mut known = Vec::new();
    for family in families.iter() {
        text::add(&mut known, row.confidence_on(family), family);
    }
    found.evidence = vec![text::of_row(row, says, &known)];
    found
}
