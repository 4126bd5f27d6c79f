//! What concerns a program as a whole: how many ops, how large, how many shapes.

use anewrite_ane::{Note, SimpleOp, notes};
use anewrite_diag::{Answer, Finding, Place};
use anewrite_ir::{OpId, Program, Side, ValueId};
use anewrite_tensor::{DType, Payload};
use rustc_hash::FxHashSet;

use super::causes::{of_row, severity_of_note};
use super::{Subject, names, new, text};

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let ops = |f: &crate::Examined| f.scopes.iter().map(|s| s.ops.len()).sum::<usize>();
    let most_ops = subject.examined.iter().map(ops).max().unwrap_or(0);
    let (bytes, largest) = weights(subject.program);
    let model = SimpleOp::new("model")
        .int("ops", most_ops as i64)
        .int("weight_bytes", i64::try_from(bytes).unwrap_or(i64::MAX))
        .int("largest_weight_bytes", i64::try_from(largest).unwrap_or(i64::MAX))
        .int("enumerated_shapes", i64::try_from(subject.interface.enumerated_shapes).unwrap_or(i64::MAX))
        .int("conv1x1_chain", longest_chain(subject));
    notes(&model, subject.target).into_iter().map(finding).collect()
}

fn finding(note: Note) -> Finding {
    let says = note.row.sentence("");
    let mut found = new(of_row(&note.row.id), severity_of_note(&note.row.id), Answer::Slow, says.clone());
    found.families = names(note.families);
    let observed = note.observed.map(|observed| observed.to_string());
    found.ops.push(Place {
        function: String::new(),
        op: String::new(),
        kind: "model".to_owned(),
        observed,
        fixed_by: None,
    });
    found.advice = note.row.advice.clone();
    let mut known = Vec::new();
    for family in note.families.iter() {
        text::add(&mut known, note.row.confidence_on(family), family);
    }
    found.evidence = vec![text::of_row(note.row, says, &known)];
    found
}

/// Bytes of the constants that ops use, and of the longest; data that several share counts once.
fn weights(program: &Program) -> (u64, u64) {
    let (mut seen, mut data) = (Side::<ValueId, bool>::new(false), FxHashSet::default());
    let (mut bytes, mut largest) = (0_u64, 0_u64);
    for op in program.all_ops() {
        for operand in &program.op(op).operands {
            let Some(constant) = program.constant(operand.value) else { continue };
            if std::mem::replace(seen.entry(operand.value), true) || constant.tensor.dtype() == DType::String
            {
                continue;
            }
            if let Payload::Bytes(b) = constant.tensor.payload()
                && !data.insert((b.as_ptr() as usize, b.len()))
            {
                continue;
            }
            let bits = constant.tensor.count().saturating_mul(u64::from(constant.tensor.dtype().bits()));
            bytes = bytes.saturating_add(bits.div_ceil(8));
            largest = largest.max(bits.div_ceil(8));
        }
    }
    (bytes, largest)
}

/// The longest run of 1x1 convolutions that read each other.
fn longest_chain(subject: &Subject<'_>) -> i64 {
    let program = subject.program;
    let mut lengths: Side<OpId, i64> = Side::new(0);
    let mut longest = 0;
    for op in subject.judged().map(|judged| judged.op) {
        let o = program.op(op);
        let weight =
            o.arg("weight").and_then(|w| subject.facts.tensor(program, w)).and_then(|t| t.known_dims());
        let is_1x1 = weight.is_some_and(|dims| dims.len() > 2 && dims.iter().skip(2).all(|&d| d == 1));
        if &*o.kind != "conv" || !is_1x1 {
            continue;
        }
        let before = o.arg("x").and_then(|x| program.def_op(x)).map_or(0, |from| lengths[from]);
        lengths.set(op, before + 1);
        longest = longest.max(before + 1);
    }
    longest
}
