//! Products with matrices, and look-ups in them.

use anewrite_ir::ValueId;

use super::context::one;
use super::{Cx, Lowered, One, To};

/// Over the last axis up to rank 3, over C, H and W together from rank 4 on.
///
/// With `int8DynamicQuantize` the runtime rounds the input to 8 bits for speed, in a way that the format does not state;
/// coremltools' tests expect the product itself, within that rounding. So does this, as for `batchedMatmul`.
pub(crate) fn inner_product(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    let rank = cx.rank_from(x, 1)?;
    let (from, to) = (f.size("inputChannels")?, f.size("outputChannels")?);
    let flat = match rank.checked_sub(3) {
        Some(lead @ 1..) => {
            let shape: Vec<To> = (0..lead).map(|i| To::Of(x, i)).chain([To::Size(from)]).collect();
            cx.reshape(x, &shape)?
        }
        _ => x,
    };
    let weight = cx.weight("weights", &[to, from])?;
    let y = linear(cx, flat, weight, to)?;
    match rank {
        0..=3 => one(y),
        _ => one(cx.expand(y, &[-2, -1])?),
    }
}

/// `batchedMatmul` of two inputs, or of one with a matrix that is stored by columns.
pub(crate) fn batched_matmul(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    let f = cx.fields();
    if cx.arity_in(1..=2)? == 1 {
        let x = cx.x(0)?;
        let (from, to) = (f.size("weightMatrixFirstDimension")?, f.size("weightMatrixSecondDimension")?);
        let weight = cx.weight("weights", &[to, from])?;
        return one(linear(cx, x, weight, to)?);
    }
    let (mut a, mut b) = (cx.x(0)?, cx.x(1)?);
    if cx.rank(a)? == 1 {
        a = cx.expand(a, &[0])?;
    }
    if cx.rank(b)? == 1 {
        b = cx.expand(b, &[1])?;
    }
    let mut args = vec![("x", a), ("y", b)];
    for (field, param) in [("transposeA", "transpose_x"), ("transposeB", "transpose_y")] {
        if f.flag(field)? {
            args.push((param, cx.flag(true)));
        }
    }
    one(cx.op("matmul", &args)?)
}

/// `x W^T + b` over the last axis; MIL's op for it ends at rank 3.
fn linear(cx: &mut Cx<'_, '_>, x: ValueId, weight: ValueId, out: u64) -> One {
    let bias = match cx.fields().flag("hasBias")? {
        true => Some(cx.weight("bias", &[out])?),
        false => None,
    };
    if cx.rank(x)? <= 3 {
        let mut args = vec![("x", x), ("weight", weight)];
        args.extend(bias.map(|b| ("bias", b)));
        return cx.op("linear", &args);
    }
    let transposed = cx.flag(true);
    let y = cx.op("matmul", &[("x", x), ("y", weight), ("transpose_y", transposed)])?;
    match bias {
        Some(b) => cx.op2("add", y, b),
        None => Ok(y),
    }
}

/// `embedding`: indices `[.., 1, 1, 1]` to rows `[.., C, 1, 1]`.
pub(crate) fn embedding(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.raw(0)?;
    cx.rank_from(x, 4)?;
    let x = cx.squeeze(x, &[-3, -2, -1])?;
    let y = rows(cx, x, f.size("inputDim")?, f.size("outputChannels")?)?;
    one(cx.expand(y, &[-2, -1])?)
}

/// `embeddingND`: indices `[.., 1]` to rows `[.., C]`.
pub(crate) fn embedding_nd(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.raw(0)?;
    cx.rank_from(x, 2)?;
    let x = cx.squeeze(x, &[-1])?;
    one(rows(cx, x, f.size("vocabSize")?, f.size("embeddingSize")?)?)
}

/// The rows of the table that the indices name. It is stored by columns, and transposed by an op: no byte moves
/// before something computes.
fn rows(cx: &mut Cx<'_, '_>, index: ValueId, count: u64, size: u64) -> One {
    let index = cx.int_of(index)?;
    let table = cx.weight("weights", &[size, count])?;
    let table = cx.transpose(table, &[1, 0])?;
    let axis = cx.int(0)?;
    let y = cx.op("gather", &[("x", table), ("indices", index), ("axis", axis)])?;
    if !cx.fields().flag("hasBias")? {
        return Ok(y);
    }
    let bias = cx.weight("bias", &[size])?;
    cx.op2("add", y, bias)
}
