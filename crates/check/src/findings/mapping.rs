//! Networks that only the mapping of their arrays keeps at specification 4, or a single layer at that mapping.

use anewrite_diag::{Answer, Finding, Severity};
use anewrite_ir::DialectId;
use anewrite_nn::Mapping;

use super::{Subject, names, new, reasoned};

pub(super) fn find(subject: &Subject<'_>) -> Option<Finding> {
    let program = subject.program;
    if program.dialect != DialectId::Nn {
        return None;
    }
    let (message, advice, op) = match (Mapping::is_stated(program), Mapping::newer_layers(program).as_slice())
    {
        (true, []) => (
            "Every layer is one that specification 3 had; that the arrays or images keep their own axes is all that \
             is newer.",
            "Where the model must be of an older specification, convert it with the mapping to five axes: for arrays \
             of one axis or three.",
            None,
        ),
        (false, &[only]) => (
            "It is the only layer of specification 4 or later, and so the reason why tensors have ranks of their own; \
             the format forbids the older mapping beside it, and without it outputs would have other shapes. Rules \
             leave it.",
            "Replace it in the source of the model, or upgrade the model to an ML Program.",
            Some(only),
        ),
        _ => return None,
    };
    let mut found = new(17, Severity::Note, Answer::Unknown, message.to_owned());
    found.families = names(subject.target.families());
    found.advice = Some(advice.to_owned());
    match op {
        Some(op) => found.ops.push(subject.place(op, None)),
        None => {
            let first = program.functions().next().map(|(_, f)| f.name.to_string());
            found.ops.push(anewrite_diag::Place {
                function: first.unwrap_or_default(),
                op: String::new(),
                kind: "model".to_owned(),
                observed: None,
                fixed_by: None,
            });
        }
    }
    let says = "The format maps arrays to five axes only in networks whose layers are all older than specification 4.";
    found.evidence.push(reasoned(says.to_owned(), subject.target.families(), "derived"));
    Some(found)
}
