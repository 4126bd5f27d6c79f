//! The axes that reductions name.

use anewrite_ir::{Attr, OpId};
use anewrite_rewrite::{Match, Miss, ensure};

/// The axes that a reducing layer takes together, counted from the end, from 1, sorted, each once: those of `reduce`, or
/// of the layers that name any axes, which must keep them.
pub(super) fn reduced(m: &Match<'_>, op: OpId, rank: usize) -> Result<Vec<i64>, Miss> {
    if &*m.data(op).kind == "nn.reduce" {
        let axes = match m.attr(op, "axis").and_then(Attr::as_str).unwrap_or("CHW") {
            "CHW" => vec![1, 2, 3],
            "HW" => vec![1, 2],
            "C" => vec![3],
            "H" => vec![2],
            "W" => vec![1],
            other => return Err(Miss::new(format!("there is no axis {other}"))),
        };
        ensure!(axes.iter().all(|&a| a <= rank as i64), "the operand has rank {rank}");
        return Ok(axes);
    }
    let is_set = |name: &str| m.attr(op, name).and_then(Attr::as_bool) == Some(true);
    ensure!(is_set("keepDims"), "the reduced axes go, reduce keeps them");
    match is_set("reduceAll") {
        true => Ok((1..=rank as i64).collect()),
        false => from_end(m.attr(op, "axes"), rank),
    }
}

/// What `reduce` calls these axes.
pub(super) fn name(axes: &[i64]) -> Result<&'static str, Miss> {
    Ok(match axes {
        [1] => "W",
        [2] => "H",
        [3] => "C",
        [1, 2] => "HW",
        [1, 2, 3] => "CHW",
        _ => {
            let why = format!("the axes are {axes:?} from the end, reduce takes C, H, W, HW and CHW");
            return Err(Miss::new(why));
        }
    })
}

/// Axes counted from the end, from 1, sorted, each once.
fn from_end(axes: Option<&Attr>, rank: usize) -> Result<Vec<i64>, Miss> {
    let axes = axes.and_then(Attr::as_ints).ok_or(Miss::new("the axes are not known"))?;
    let rank = rank as i64;
    let mut all = Vec::new();
    for a in axes {
        ensure!((-rank..rank).contains(&a), "there is no axis {a} in rank {rank}");
        all.push(if a < 0 { -a } else { rank - a });
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
