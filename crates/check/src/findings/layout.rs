//! Tensors whose last axis is so short that most of their memory is padding.

use anewrite_ane::{Answer as Verdicts, FamilySet, limit};
use anewrite_diag::{Answer, Finding, Severity};
use anewrite_ir::OpId;
use rustc_hash::FxHashSet;

use super::{Subject, names, new, reasoned, text};
use crate::Judged;

/// Padding is worth a word from this many times the elements on.
const WORTH_A_WORD: u64 = 4;

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let mut groups: Vec<(FamilySet, Vec<(OpId, String)>)> = Vec::new();
    for judged in subject.judged() {
        let (families, observed) = padded(subject, judged);
        let Some(observed) = observed else { continue };
        match groups.iter_mut().find(|(f, _)| *f == families) {
            Some((_, ops)) => ops.push((judged.op, observed)),
            None => groups.push((families, vec![(judged.op, observed)])),
        }
    }
    groups.into_iter().map(|(families, ops)| finding(subject, families, ops)).collect()
}

/// The families whose memory on the chip a result overflows only because of its padding.
fn padded(subject: &Subject<'_>, judged: &Judged) -> (FamilySet, Option<String>) {
    let refused = judged.eligibility.families(Verdicts::No);
    let (mut families, mut observed) = (FamilySet::EMPTY, None);
    let results = subject.program.op(judged.op).results.iter();
    for tensor in results.filter_map(|&r| subject.facts.tensor(subject.program, r)) {
        let Some(dims) = tensor.known_dims() else { continue };
        let Some((&last, rest)) = dims.split_last() else { continue };
        let rows = rest.iter().fold(1_u64, |n, d| n.saturating_mul(*d));
        let row = last.saturating_mul(u64::from(tensor.dtype.bits())).div_ceil(8);
        for family in subject.target.families().iter().filter(|f| !refused.contains(*f)) {
            let (Some(unit), Some(chip)) = (limit("LIM-INTERLEAVE", family), limit("LIM-SRAM", family))
            else {
                continue;
            };
            let unit = unit.value.max(1);
            let taken = row.div_ceil(unit).saturating_mul(unit).saturating_mul(rows);
            let needed = row.saturating_mul(rows);
            if taken > chip.value && needed <= chip.value && taken / needed.max(1) >= WORTH_A_WORD {
                families.insert(family);
                observed = Some(format!("a last axis of {last} makes {} of {}", size(taken), size(needed)));
            }
        }
    }
    (families, observed)
}

/// Bytes for a reader.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{} kB", bytes / 1000),
        10_000_000..=9_999_999_999 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn finding(subject: &Subject<'_>, families: FamilySet, ops: Vec<(OpId, String)>) -> Finding {
    let message = "The last axis is padded, and is so short that the result does not fit into the memory on the chip \
                   as it would with a long axis last.";
    let mut found = new(16, Severity::Note, Answer::Slow, message.to_owned());
    found.families = names(families);
    let set: FxHashSet<OpId> = ops.iter().map(|(op, _)| *op).collect();
    found.arithmetic = subject.share(&set);
    found.ops = ops.into_iter().map(|(op, observed)| subject.place(op, Some(observed))).collect();
    found.advice = Some("Put the longest axis last, or merge short axes into it.".to_owned());
    let first = families.iter().next().and_then(|f| limit("LIM-INTERLEAVE", f));
    if let Some(unit) = first {
        let says = format!("The engine pads the last axis to {} bytes.", unit.value);
        let mut evidence = reasoned(says, families, text::how(unit.confidence));
        evidence.sources = text::sources(unit.sources);
        found.evidence.push(evidence);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!([512, 64_000, 12_345_678].map(size), ["512 B", "64 kB", "12 MB"]);
        assert_eq!(size(12_000_000_000), "12.0 GB");
    }
}
