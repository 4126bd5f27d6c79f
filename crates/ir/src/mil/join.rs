//! Ops that join several tensors or part one.

use smallvec::SmallVec;

use super::common::*;
use super::ints::*;
use crate::dims::Int;
use crate::infer::{InferCx, InferError, MAX_KNOWN_INTS, bad, normal_axis};
use crate::schema::DefaultValue::{Absent, Bool};
use crate::schema::Opset::Ios15;
use crate::schema::{OpSchema, Param, Types};
use crate::types::{Dim, Shape, TensorType};

const CONCAT: &[Param] =
    &[values("values"), constant("axis").of(INT32), constant_or("interleave", Bool(false)).of(BOOL)];
const STACK: &[Param] = &[values("values"), constant("axis").of(INT32)];
const SPLIT: &[Param] = &[
    value("x").of(NUMBER_BOOL),
    constant_or("num_splits", Absent).of(INT32),
    constant_or("split_sizes", Absent).of(INT32),
    constant("axis").of(INT32),
];

/// A split into more parts than this is refused, as no file can have one.
const MAX_PARTS: i64 = 1 << 16;

pub(super) const OPS: &[OpSchema] = &[
    pure("concat", Ios15, CONCAT, concat),
    pure("split", Ios15, SPLIT, split),
    pure("stack", Ios15, STACK, stack),
];

/// The values' tensor types and shapes; element types must be equal.
fn joined<'a>(cx: &InferCx<'a>) -> Result<Vec<(&'a TensorType, &'a Shape)>, InferError> {
    let mut out: Vec<(&TensorType, &Shape)> = Vec::new();
    for a in cx.args("values") {
        let Some(t) = a.ty.tensor() else {
            return bad("values", format!("tensors are needed, one is {}", a.ty));
        };
        if let Some((first, _)) = out.first()
            && first.dtype != t.dtype
        {
            return bad("values", format!("{} beside {}", t.dtype, first.dtype));
        }
        out.push((t, t.shape.as_ref().ok_or(InferError::NotKnown("values"))?));
    }
    Ok(out)
}

/// The elements of all values, one after another, where their order is that of the result. Single ones that are not
/// known become symbols as long as some are known.
fn joined_elements(cx: &mut InferCx<'_>, values: &[(&TensorType, &Shape)]) -> Option<Vec<Int>> {
    let (first, _) = values.first()?;
    if first.dtype.is_float() || values.len() > MAX_KNOWN_INTS {
        return None;
    }
    let mut any = false;
    let mut out = Vec::new();
    for (a, (t, shape)) in cx.args("values").zip(values) {
        match a.ints.as_deref() {
            _ if shape.len() > 1 => return None,
            Some(ints) => {
                any = true;
                out.extend_from_slice(ints);
            }
            None => {
                let count = t.count().filter(|&n| n <= MAX_KNOWN_INTS as u64)?;
                out.extend((0..count).map(|_| cx.dims.fresh_int()));
            }
        }
        if out.len() > MAX_KNOWN_INTS {
            return None;
        }
    }
    any.then_some(out)
}

/// Scalars concatenate into a vector.
fn concat(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let values = joined(cx)?;
    let &[(first, shape), ref rest @ ..] = values.as_slice() else {
        return Err(InferError::Missing("values"));
    };
    let mut dims = shape.clone();
    if dims.is_empty() {
        if rest.iter().any(|(_, s)| !s.is_empty()) {
            return bad("values", "scalars and tensors together");
        }
        dims.push(Dim::Known(values.len() as u64));
    } else {
        let axis = cx.axis("axis", dims.len())?;
        let interleave = cx.flag("interleave")?;
        let mut total = cx.dims.int(dims[axis]);
        for (i, (_, s)) in rest.iter().enumerate() {
            if s.len() != dims.len() {
                return bad("values", format!("rank {} beside rank {}", s.len(), dims.len()));
            }
            for (at, (d, &other)) in dims.iter_mut().zip(s.iter()).enumerate() {
                match agreed(*d, other) {
                    _ if at == axis && !interleave => {}
                    Some(both) => *d = both,
                    None => {
                        let n = i + 1;
                        return bad(
                            "values",
                            format!("extent {other} of value {n} against {d} at axis {at}"),
                        );
                    }
                }
            }
            let n = cx.dims.int(s[axis]);
            total = cx.dims.add(total, n);
        }
        dims[axis] = extent("values", total)?;
    }
    let in_order = values.len() == 1 || cx.flag("interleave").is_ok_and(|i| !i);
    if in_order && let Some(ints) = joined_elements(cx, &values) {
        set_elements(cx, first.dtype, ints);
    }
    tensor(first.dtype, dims)
}

fn stack(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let values = joined(cx)?;
    let &[(first, shape), ref rest @ ..] = values.as_slice() else {
        return Err(InferError::Missing("values"));
    };
    let mut dims = shape.clone();
    for (_, s) in rest {
        dims = agreed_shapes("values", &dims, s)?;
    }
    let axis = normal_axis("axis", cx.int("axis")?, dims.len() + 1)?;
    dims.insert(axis, Dim::Known(values.len() as u64));
    if axis == 0
        && let Some(ints) = joined_elements(cx, &values)
    {
        set_elements(cx, first.dtype, ints);
    }
    tensor(first.dtype, dims)
}

/// `split_sizes` decides, where given; else `num_splits` equal parts.
fn split(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let x = cx.tensor("x")?;
    let shape = cx.shape("x")?;
    let axis = cx.axis("axis", shape.len())?;
    let n = cx.dims.int(shape[axis]);
    let parts = match cx.arg("num_splits") {
        Some(_) => Some(cx.int("num_splits")?).map(|n| (n, (1..=MAX_PARTS).contains(&n))),
        None => None,
    };
    if let Some((parts, false)) = parts {
        return bad("num_splits", format!("{parts} parts"));
    }
    let sizes = match (cx.arg("split_sizes"), parts) {
        (Some(_), _) => {
            let sizes = cx.ints("split_sizes")?.unwrap_or_default();
            if parts.is_some_and(|(p, _)| p != sizes.len() as i64) {
                return bad("split_sizes", format!("{} of them and another num_splits", sizes.len()));
            }
            let total = sizes.iter().fold(Int::Known(0), |sum, &s| cx.dims.add(sum, s));
            if let (Int::Known(total), Int::Known(n)) = (total, n)
                && total != n
            {
                return bad("split_sizes", format!("they add up to {total}, the extent is {n}"));
            }
            sizes
        }
        (None, Some((parts, _))) => {
            if let Int::Known(n) = n
                && n % parts != 0
            {
                return bad("num_splits", format!("{parts} parts of an extent of {n}"));
            }
            let size = cx.dims.floor_div(n, Int::Known(parts));
            vec![size; parts as usize]
        }
        (None, None) => return Err(InferError::Missing("num_splits")),
    };
    let mut types: Types = SmallVec::new();
    let mut at = 0;
    for (i, &size) in sizes.iter().enumerate() {
        let mut dims = shape.clone();
        dims[axis] = extent("split_sizes", size)?;
        let end = dims[axis].known().and_then(|n| usize::try_from(n).ok()?.checked_add(at));
        if let (Some(ints), 1, Some(end)) = (elements(cx, "x"), shape.len(), end) {
            if let Some(part) = ints.get(at..end) {
                cx.set_ints(i, part.to_vec());
            }
            at = end;
        }
        types.push(TensorType { dtype: x.dtype, shape: Some(dims) }.into());
    }
    Ok(types)
}
