//! Where custom layers cut a network: what goes into each, what comes out, and how much lies on which side.

use anewrite_diag::Finding;
use anewrite_ir::{Attr, OpId, ValueId};
use rustc_hash::FxHashSet;

use super::Subject;

/// Custom layers that are looked at; each costs a walk over the network.
const MOST: usize = 16;

/// Names in a list of values.
const NAMES: usize = 3;

/// Says of each custom layer of the finding where it cuts, and of all which classes they ask for.
pub(super) fn describe(subject: &Subject<'_>, found: &mut Finding, ops: &[OpId]) {
    let mut classes: Vec<String> = Vec::new();
    for (i, (&op, place)) in ops.iter().zip(&mut found.ops).enumerate() {
        let class = class(subject, op);
        place.observed =
            Some(if i < MOST { format!("{class}; {}", cut(subject, op)) } else { class.clone() });
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    let more = classes.len().saturating_sub(MOST);
    classes.truncate(MOST);
    found.message += &match more {
        0 => format!(" The app must have: {}.", classes.join(", ")),
        n => format!(" The app must have: {} and {n} more.", classes.join(", ")),
    };
}

fn class(subject: &Subject<'_>, op: OpId) -> String {
    match subject.program.op(op).attr("className").and_then(Attr::as_str) {
        Some(name) if !name.is_empty() => format!("class {name}"),
        _ => "a class without a name".to_owned(),
    }
}

/// What a custom layer takes and gives, what passes by it, and what lies on each side.
fn cut(subject: &Subject<'_>, custom: OpId) -> String {
    let program = subject.program;
    let block = program.block_of(custom);
    let ops: Vec<OpId> = program.ops(block).collect();
    let operands = |op: OpId| {
        let nested = program.op(op).blocks.iter().flat_map(|&b| program.walk(b));
        let all = std::iter::once(op).chain(nested).flat_map(|o| program.op(o).operands.iter());
        all.map(|o| o.value).filter(|&v| program.constant(v).is_none()).collect::<Vec<ValueId>>()
    };
    let at = ops.iter().position(|&op| op == custom).unwrap_or(0);
    let mut needed: FxHashSet<ValueId> = operands(custom).into_iter().collect();
    let mut before: FxHashSet<OpId> = FxHashSet::default();
    for &op in ops.iter().take(at).rev() {
        if program.op(op).results.iter().any(|r| needed.contains(r)) {
            before.insert(op);
            needed.extend(operands(op));
        }
    }
    let mut reached: FxHashSet<ValueId> = program.op(custom).results.iter().copied().collect();
    let (mut behind, mut beside) = (FxHashSet::default(), FxHashSet::default());
    let mut past: Vec<ValueId> = Vec::new();
    for &op in ops.iter().skip(at + 1) {
        let inputs = operands(op);
        if !inputs.iter().any(|v| reached.contains(v)) {
            continue;
        }
        behind.insert(op);
        reached.extend(program.op(op).results.iter().copied());
        for v in inputs {
            if !reached.contains(&v) && !past.contains(&v) {
                past.push(v);
            }
        }
    }
    let loads = |op: OpId| crate::judge::loads_constant(&program.op(op).kind);
    beside.extend(
        ops.iter()
            .copied()
            .filter(|op| *op != custom && !before.contains(op) && !behind.contains(op) && !loads(*op)),
    );
    let mut says = format!(
        "takes {}, gives {}",
        list(subject, &operands(custom)),
        list(subject, &program.op(custom).results)
    );
    if !past.is_empty() {
        says += &format!(", and {} must get past it", list(subject, &past));
    }
    says += ";";
    let sides = [("before", &before), ("behind", &behind), ("beside", &beside)];
    let sides = sides.map(|(side, ops)| format!(" {} {side} it", amount(subject, ops)));
    says + &sides.join(",")
}

/// How many ops, and their share of what arithmetic is known.
fn amount(subject: &Subject<'_>, ops: &FxHashSet<OpId>) -> String {
    let open = ops.iter().any(|&op| {
        let results = &subject.program.op(op).results;
        results
            .iter()
            .any(|&r| subject.facts.tensor(subject.program, r).is_none_or(|t| t.known_dims().is_none()))
    });
    let layers = match ops.len() {
        1 => "1 layer".to_owned(),
        n => format!("{n} layers"),
    };
    match ops.len() {
        0 => "nothing".to_owned(),
        _ if open => format!("{layers} of unknown shapes"),
        _ => format!("{layers} with {:.1} % of the known arithmetic", subject.share(ops) * 100.0),
    }
}

fn list(subject: &Subject<'_>, values: &[ValueId]) -> String {
    let mut names: Vec<String> =
        values.iter().take(NAMES).map(|&v| subject.program.value(v).name.to_string()).collect();
    match values.len() {
        0 => return "nothing".to_owned(),
        n if n > NAMES => names.push(format!("{} more", n - NAMES)),
        _ => {}
    }
    names.join(", ")
}
