//! Whether a sequence has the length that its type says.

use std::collections::BTreeSet;

use anewrite_ir::{Attr, Def, Dim, OpId, ValueId};
use anewrite_nn::{INPUT, Mapping};
use anewrite_rewrite::{Match, Miss};

/// Refuses a sequence whose length comes from an input of the network in the older mapping: such an input is declared
/// without the axis, and applications give it sequences of any length.
pub(super) fn is_fixed(m: &Match<'_>, sequence: ValueId) -> Result<(), Miss> {
    if Mapping::of(m.program) == Mapping::Exact {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    let mut open = vec![sequence];
    while let Some(value) = open.pop() {
        if !seen.insert(value) {
            continue;
        }
        match m.program.value(value).def {
            Def::Const { .. } => {}
            Def::Op { op, .. } if sets_sequence(m, op, value) => {}
            Def::Op { op, .. } => open.extend(m.data(op).args(INPUT)),
            _ if declares_sequence(m, value) => {}
            _ => {
                return Err(Miss::new(format!(
                    "the number of steps is that of the input {}, which applications choose as they call",
                    m.program.value(value).name
                )));
            }
        }
    }
    Ok(())
}

/// Whether a layer's result has an axis Seq that is not that of an input of the layer.
fn sets_sequence(m: &Match<'_>, op: OpId, result: ValueId) -> bool {
    let data = m.data(op);
    let is_set = |name: &str| m.attr(op, name).and_then(Attr::as_bool) == Some(true);
    match &*data.kind {
        "nn.permute" => {
            let order = m.attr(op, "axis").and_then(Attr::as_ints);
            order.is_some_and(|o| o.first().is_some_and(|&axis| axis != 0))
        }
        "nn.reshape" => {
            let target = m.attr(op, "targetShape").and_then(Attr::as_ints);
            target.is_some_and(|t| t.len() == 4 && t.first().is_some_and(|&n| n > 0))
        }
        "nn.simpleRecurrent" | "nn.gru" => !is_set("sequenceOutput") || data.results.first() != Some(&result),
        "nn.uniDirectionalLSTM" | "nn.biDirectionalLSTM" => {
            let params = m.attr(op, "params");
            let every = params.is_some_and(|p| match p {
                Attr::Message(fields) => {
                    fields.iter().any(|(n, a)| &**n == "sequenceOutput" && a.as_bool() == Some(true))
                }
                _ => false,
            });
            !every || data.results.first() != Some(&result)
        }
        _ => false,
    }
}

/// Whether an input is declared with the axis: its type then has more than one step or element of the batch, for one
/// that is declared without it has one of each.
fn declares_sequence(m: &Match<'_>, input: ValueId) -> bool {
    let shape = m.tensor(input).ok().and_then(|t| t.shape.as_ref());
    shape.is_some_and(|s| {
        s.len() == 5 && !s.starts_with(&[Dim::Known(1); 2]) && s.first().is_some_and(|d| d.known().is_some())
    })
}
