//! Sums of products by an equation of labels.

use super::common::*;
use crate::infer::{InferCx, InferError, bad};
use crate::schema::Types;
use crate::types::{Shape, Type};

/// `equation` names the axes of each of `values` and those of the result: `bnij,bnjk->bnik`. An extent of 1
/// broadcasts.
pub(super) fn einsum(cx: &mut InferCx<'_>) -> Result<Types, InferError> {
    let text: String = cx.text("equation")?.chars().filter(|c| !c.is_whitespace()).collect();
    let Some((inputs, output)) = text.split_once("->") else {
        return bad("equation", format!("{text:?} has no ->"));
    };
    let mut labels: Vec<(char, Shape)> = Vec::new();
    let mut dtype = None;
    let mut inputs = inputs.split(',');
    let all = cx.args;
    for arg in all.iter().filter(|a| &*a.param == "values") {
        let Type::Tensor(t) = &arg.ty else { return bad("values", format!("{} is no tensor", arg.ty)) };
        let shape = t.shape.as_ref().ok_or(InferError::NotKnown("values"))?;
        let Some(axes) = inputs.next() else {
            return bad("equation", format!("{text:?} has too few inputs"));
        };
        if axes.chars().count() != shape.len() || !axes.chars().all(char::is_alphabetic) {
            return bad("equation", format!("{axes:?} does not name the axes of rank {}", shape.len()));
        }
        if *dtype.get_or_insert(t.dtype) != t.dtype {
            return bad("values", format!("elements of {} beside others", t.dtype));
        }
        for (label, &dim) in axes.chars().zip(shape) {
            let dim: Shape = [dim].into_iter().collect();
            match labels.iter().position(|(l, _)| *l == label) {
                None => labels.push((label, dim)),
                Some(i) => {
                    let both = broadcast_shapes(cx, "values", &labels[i].1, &dim)?;
                    labels[i].1 = both;
                }
            }
        }
    }
    if inputs.next().is_some() {
        return bad("equation", format!("{text:?} has too many inputs"));
    }
    let mut shape = Shape::new();
    for (i, label) in output.char_indices() {
        match labels.iter().find(|(l, _)| *l == label) {
            Some((_, d)) if !output[..i].contains(label) => shape.extend(d.iter().copied()),
            _ => return bad("equation", format!("{label:?} of the result in {text:?}")),
        }
    }
    tensor(dtype.ok_or(InferError::Missing("values"))?, shape)
}
