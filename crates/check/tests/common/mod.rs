//! Findings of programs, for the tests beside this folder.
#![allow(dead_code, reason = "each test file uses what it needs")]

use anewrite_ane::{FamilySet, Target};
use anewrite_check::{Interface, Subject, examine, findings, place_all};
use anewrite_diag::Finding;
use anewrite_ir::infer::infer;
use anewrite_ir::mil::Mil;
use anewrite_ir::text::parse;
use anewrite_ir::{DialectId, Program};
use anewrite_nn::Nn;

pub(crate) fn look(p: &Program, target: &str, interface: &Interface) -> Vec<Finding> {
    let inferred = if p.dialect == DialectId::Mil { infer(p, &Mil) } else { infer(p, &Nn::of(p)) };
    let target = Target::parse(target).unwrap();
    let all = Target::new(FamilySet::engines().union(target.families()), target.os().from);
    let examined = examine(p, &inferred.facts, &all);
    let placements: Vec<_> = examined.iter().map(|function| place_all(function, &target)).collect();
    findings(&Subject {
        program: p,
        facts: &inferred.facts,
        target: &target,
        examined: &examined,
        placements: &placements,
        interface,
    })
}

pub(crate) fn of(text: &str, target: &str) -> Vec<Finding> {
    look(&parse(text).unwrap(), target, &Interface::default())
}

/// The finding of this code, if there is one.
pub(crate) fn code(found: &[Finding], number: u16) -> Option<&Finding> {
    found.iter().find(|f| f.code.number() == number)
}
