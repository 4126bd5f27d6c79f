//! Where the ops of a block go among those that the source has.

use anewrite_ir::{BlockId, OpId, Program};

use crate::export::ExportProblem;
use crate::read::Span;

/// A place for a new field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the field that begins at this offset of the source.
    Before(usize),
    /// After the last field of the message with this content.
    End(Span),
}

/// What to write next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An item of the source that is still there, by its number.
    Item(usize),
    /// An item whose op was removed.
    Gone(usize),
    /// A new op.
    New(OpId, Place),
}

/// The steps that turn the items of a source block into the ops of `block`: what is left of the source in its order,
/// and new ops at the place of the last removed op before the next one that is left, or else right before that one.
/// `items` are fields with the ops they became, if they became one; `content` is the message around them.
pub(crate) fn steps(
    program: &Program,
    block: BlockId,
    items: &[(&Span, Option<OpId>)],
    content: &Span,
    is_new: impl Fn(OpId) -> bool,
) -> Result<Vec<Step>, ExportProblem> {
    let moved = || ExportProblem::Interface("ops of the source changed places".into());
    let mut steps = Vec::with_capacity(items.len());
    let last_gone = last_gone(program, items);
    let mut cursor = program.ops(block).next();
    let new_ops = |cursor: &mut Option<OpId>, place: Place, steps: &mut Vec<Step>| {
        while let Some(op) = *cursor
            && is_new(op)
        {
            steps.push(Step::New(op, place.clone()));
            *cursor = program.next_op(op);
        }
    };
    for (i, ((field, op), last_gone)) in items.iter().zip(last_gone).enumerate() {
        match op {
            None => steps.push(Step::Item(i)),
            Some(op) if program.is_alive(*op) => {
                new_ops(&mut cursor, Place::Before(field.start), &mut steps);
                if cursor != Some(*op) {
                    return Err(moved());
                }
                cursor = program.next_op(*op);
                steps.push(Step::Item(i));
            }
            Some(_) => {
                if last_gone {
                    new_ops(&mut cursor, Place::Before(field.start), &mut steps);
                }
                steps.push(Step::Gone(i));
            }
        }
    }
    new_ops(&mut cursor, end(items, content), &mut steps);
    if cursor.is_some() {
        return Err(moved());
    }
    Ok(steps)
}

/// The place behind the last item.
pub(crate) fn end(items: &[(&Span, Option<OpId>)], content: &Span) -> Place {
    match items.last() {
        Some((field, _)) if field.end < content.end => Place::Before(field.end),
        _ => Place::End(content.clone()),
    }
}

/// For each item, whether it is the last removed op before an op that is still there.
fn last_gone(program: &Program, items: &[(&Span, Option<OpId>)]) -> Vec<bool> {
    let mut later = false;
    let mut flags: Vec<bool> = (items.iter().rev())
        .map(|(_, op)| match op {
            None => false,
            Some(op) if program.is_alive(*op) => {
                later = false;
                false
            }
            Some(_) => !std::mem::replace(&mut later, true),
        })
        .collect();
    flags.reverse();
    flags
}
