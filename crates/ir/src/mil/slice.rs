//! Ops that take or replace a regular part of a tensor.

use super::common::*;
use super::ints::*;
use super::shape::{INDEX_17, MOVED_17};
use crate::dims::{DimTable, Int};
use crate::infer::{InferCx, InferError, bad};
use crate::schema::DefaultValue::{self, Absent};
use crate::schema::Opset::{Ios15, Ios17, Ios18};
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, Shape};

const BY_INDEX: &[Param] = &[
    value("x").of(NUMBER_BOOL),
    value("begin").of(INT32),
    value("end").of(INT32),
    constant_or("stride", Absent).of(INT32),
    constant_or("begin_mask", Absent).of(BOOL),
    constant_or("end_mask", Absent).of(BOOL),
    constant_or("squeeze_mask", Absent).of(BOOL),
];
const BY_INDEX_17: &[Param] = &[
    value("x").of(MOVED_17),
    value("begin").of(INDEX_17),
    value("end").of(INDEX_17).like("begin"),
    constant_or("stride", Absent).of(INDEX_17).like("begin"),
    constant_or("begin_mask", Absent).of(BOOL),
    constant_or("end_mask", Absent).of(BOOL),
    constant_or("squeeze_mask", Absent).of(BOOL),
];
const UPDATE: &[Param] = &[
    value("x").of(MOVED_17),
    value("update").of(MOVED_17).like("x"),
    value("begin").of(INDEX_17),
    value("end").of(INDEX_17).like("begin"),
    constant_or("stride", Absent).of(INDEX_17).like("begin"),
    constant_or("begin_mask", Absent).of(BOOL),
    constant_or("end_mask", Absent).of(BOOL),
    constant_or("squeeze_mask", Absent).of(BOOL),
];
const BY_SIZE: &[Param] = &[value("x").of(NUMBER_BOOL), value("begin").of(INT32), value("size").of(INT32)];
const BY_SIZE_17: &[Param] =
    &[value("x").of(MOVED_17), value("begin").of(INDEX_17), value("size").of(INDEX_17).like("begin")];
const WINDOWS: &[Param] = &[
    value("x").of(NUMBER),
    constant("axis").of(INT32),
    constant("size").of(INT32),
    constant_or("stride", DefaultValue::Int(1)).of(INT32),
];
const WINDOWS_17: &[Param] = &[
    value("x").of(MOVED_17),
    constant("axis").of(INT32),
    constant("size").of(INT32),
    constant_or("stride", DefaultValue::Int(1)).of(INT32),
];

pub(super) const OPS: &[OpSchema] = &[
    pure("slice_by_index", Ios15, BY_INDEX, slice_by_index),
    pure("slice_by_index", Ios17, BY_INDEX_17, slice_by_index),
    pure("slice_by_size", Ios15, BY_SIZE, slice_by_size),
    pure("slice_by_size", Ios17, BY_SIZE_17, slice_by_size),
    pure("slice_update", Ios18, UPDATE, slice_update),
    pure("sliding_windows", Ios15, WINDOWS, sliding_windows),
    pure("sliding_windows", Ios17, WINDOWS_17, sliding_windows),
];

/// What is taken along one axis. An end without a bound is masked; one whose bound is not known is `Some(None)`.
#[derive(Clone, Copy, Debug)]
struct Cut {
    begin: Option<Option<Int>>,
    end: Option<Option<Int>>,
    stride: i64,
    squeeze: bool,
}

fn cuts(cx: &InferCx<'_>, rank: usize) -> Result<Vec<Cut>, InferError> {
    let bounds = |param: &'static str| match elements(cx, param) {
        Some(v) if v.len() == rank => Ok(v.iter().map(|&n| Some(n)).collect()),
        Some([]) | None => Ok(vec![None; rank]),
        Some(v) => bad(param, format!("{} elements for rank {rank}", v.len())),
    };
    let (begin, end) = (bounds("begin")?, bounds("end")?);
    let stride = match cx.ints("stride")? {
        None => vec![1; rank],
        Some(_) => cx.known_ints("stride", rank)?,
    };
    if stride.len() != rank || stride.contains(&0) {
        return bad("stride", format!("{stride:?} for rank {rank}"));
    }
    let (begin_mask, end_mask) = (cx.flags("begin_mask", rank)?, cx.flags("end_mask", rank)?);
    let squeeze = cx.flags("squeeze_mask", rank)?;
    let cut = |i: usize| Cut {
        begin: (!begin_mask[i]).then_some(begin[i]),
        end: (!end_mask[i]).then_some(end[i]),
        stride: stride[i],
        squeeze: squeeze[i],
    };
    Ok((0..rank).map(cut).collect())
}

impl Cut {
    /// The extent that is left of `n`; `None` where the axis goes.
    ///
    /// Bounds with known signs decide before `n` does, and an extent of 1 stays 1, whatever the bounds: this is how
    /// files state these types.
    fn extent(&self, dims: &mut DimTable, n: Dim) -> Result<Option<Dim>, InferError> {
        use Int::Known;
        if self.squeeze {
            return Ok(None);
        }
        let step = Known(self.stride.saturating_abs());
        let forward = self.stride > 0;
        match (self.begin, self.end) {
            (Some(Some(Known(b))), Some(Some(Known(e))))
                if (b >= 0, e >= 0, forward) == (true, true, true) =>
            {
                if e < b {
                    return bad("end", format!("{e} is before begin, {b}"));
                }
                if let one @ Known(..=1) = steps(dims, Known(e - b), step) {
                    return extent("end", one).map(Some);
                }
            }
            (Some(Some(Known(b))), Some(Some(Known(e))))
                if (b < 0, e < 0, forward) == (true, true, false) =>
            {
                if b < e {
                    return bad("end", format!("{e} is after begin, {b}, and the stride negative"));
                }
                if let one @ Known(..=1) = steps(dims, Known(b.saturating_sub(e)), step) {
                    return extent("end", one).map(Some);
                }
            }
            (Some(Some(Known(0))), None) if !forward => return Ok(Some(Dim::Known(1))),
            (Some(Some(Known(-1))), None) if forward => return Ok(Some(Dim::Known(1))),
            _ => {}
        }
        if n == Dim::Known(1) {
            return Ok(Some(n));
        }
        let n = dims.int(n);
        let (Some(begin), Some(end)) = (position(dims, self.begin, n), position(dims, self.end, n)) else {
            return Ok(Some(dims.fresh()));
        };
        let (low, high) = if forward {
            let high = end.map_or(n, |e| dims.min(e, n));
            (begin.unwrap_or(Known(0)), high)
        } else {
            let last = dims.sub(n, Known(1));
            let high = begin.map_or(last, |b| dims.min(b, last));
            (end.unwrap_or(Known(-1)), high)
        };
        let length = dims.sub(high, low);
        let length = dims.max(Known(0), length);
        extent("x", steps(dims, length, step)).map(Some)
    }

    /// The places of `n` elements that are taken, in order, if known.
    fn places(&self, n: usize) -> Option<Vec<usize>> {
        let n = i64::try_from(n).ok()?;
        let known = |bound: Option<Option<Int>>| match bound {
            None => Some(None),
            Some(bound) => {
                let b = bound?.known()?;
                Some(Some(if b < 0 { b.saturating_add(n).max(0) } else { b }))
            }
        };
        if self.squeeze {
            let b = self.begin.flatten()?.known()?;
            let b = if b < 0 { b.saturating_add(n) } else { b };
            return (0..n).contains(&b).then(|| vec![b as usize]);
        }
        let (begin, end) = (known(self.begin)?, known(self.end)?);
        let (mut at, end) = if self.stride > 0 {
            (begin.unwrap_or(0), end.unwrap_or(n).min(n))
        } else {
            (begin.unwrap_or(n - 1).min(n - 1), end.unwrap_or(-1))
        };
        let mut places = Vec::new();
        while (self.stride > 0 && at < end) || (self.stride < 0 && at > end) {
            places.push(usize::try_from(at).ok()?);
            at = at.saturating_add(self.stride);
        }
        Some(places)
    }
}

/// `length / step`, rounded up.
fn steps(dims: &mut DimTable, length: Int, step: Int) -> Int {
    let more = dims.sub(step, Int::Known(1));
    let length = dims.add(length, more);
    dims.floor_div(length, step)
}

/// Where a bound lies counted from the front: `None` where that is not known, `Some(None)` for no bound.
fn position(dims: &mut DimTable, bound: Option<Option<Int>>, n: Int) -> Option<Option<Int>> {
    let Some(bound) = bound else { return Some(None) };
    let bound = bound?;
    if dims.lower_bound(bound).is_some_and(|low| low >= 0) {
        return Some(Some(bound));
    }
    dims.upper_bound(bound).filter(|&high| high < 0)?;
    let from_front = dims.add(n, bound);
    Some(Some(dims.max(Int::Known(0), from_front)))
}

fn cut_shape(cx: &mut InferCx<'_>, shape: &Shape, cuts: &[Cut]) -> Result<Shape, InferError> {
    let mut out = Shape::new();
    for (&n, cut) in shape.iter().zip(cuts) {
        out.extend(cut.extent(cx.dims, n)?);
    }
    Ok(out)
}

fn slice_by_index(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let cuts = cuts(cx, shape.len())?;
    let dims = cut_shape(cx, shape, &cuts)?;
    if let (Some(ints), [cut]) = (elements(cx, "x"), cuts.as_slice())
        && let Some(places) = cut.places(ints.len())
        && dims.first().is_none_or(|d| d.known() == Some(places.len() as u64))
    {
        let taken: Option<Vec<Int>> = places.iter().map(|&i| ints.get(i).copied()).collect();
        if let Some(taken) = taken {
            set_elements(cx, x.dtype, taken);
        }
    }
    tensor(x.dtype, dims)
}

fn slice_update(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let shape = cx.shape("x")?;
    let cuts = cuts(cx, shape.len())?;
    let part = cut_shape(cx, shape, &cuts)?;
    let update = cx.shape("update")?;
    if update.is_empty() {
        return bad("update", "rank 1 or more is needed");
    }
    agreed_shapes("update", &part, update)?;
    same(cx)
}

/// A size of −1 means all from `begin` on.
fn slice_by_size(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    for param in ["begin", "size"] {
        match shape_of_rank(cx, param, 1)?.first() {
            Some(Dim::Known(n)) if *n != shape.len() as u64 => {
                return bad(param, format!("{n} elements for rank {}", shape.len()));
            }
            _ => {}
        }
    }
    let (begin, size) = (elements(cx, "begin"), elements(cx, "size"));
    let mut dims = Shape::new();
    for (i, &n) in shape.iter().enumerate() {
        let begin = begin.and_then(|b| b.get(i).copied());
        dims.push(match size.and_then(|s| s.get(i).copied()) {
            Some(Int::Known(-1)) => {
                let n = cx.dims.int(n);
                match position(cx.dims, Some(begin), n) {
                    Some(Some(b)) => extent("begin", cx.dims.sub(n, b))?,
                    _ => cx.dims.fresh(),
                }
            }
            Some(size) if cx.dims.lower_bound(size).is_some_and(|low| low >= 0) => extent("size", size)?,
            Some(Int::Known(n)) => return bad("size", format!("{n} at axis {i}")),
            _ => cx.dims.fresh(),
        });
    }
    if let (Some(ints), Some([Int::Known(from)]), [Dim::Known(count)]) =
        (elements(cx, "x"), begin, dims.as_slice())
    {
        let from = if *from < 0 { from.saturating_add(ints.len() as i64) } else { *from };
        let range = usize::try_from(from).ok().zip(usize::try_from(*count).ok());
        if let Some(part) = range.and_then(|(from, count)| ints.get(from..from.checked_add(count)?)) {
            set_elements(cx, x.dtype, part.to_vec());
        }
    }
    tensor(x.dtype, dims)
}

/// The windows' count takes the place of the axis, their size stands behind it.
fn sliding_windows(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let axis = cx.axis("axis", shape.len())?;
    let (size, stride) = (cx.int("size")?, cx.int("stride")?);
    if size <= 0 || stride <= 0 {
        return bad("size", format!("windows of {size} every {stride}"));
    }
    let mut dims = shape.clone();
    let n = cx.dims.int(dims[axis]);
    let room = cx.dims.sub(n, Int::Known(size));
    if let Int::Known(..=-1) = room {
        return bad("size", format!("windows of {size} in an extent of {n:?}"));
    }
    let count = cx.dims.floor_div(room, Int::Known(stride));
    dims[axis] = extent("size", cx.dims.add(count, Int::Known(1)))?;
    dims.insert(axis + 1, Dim::Known(size.unsigned_abs()));
    tensor(x.dtype, dims)
}
