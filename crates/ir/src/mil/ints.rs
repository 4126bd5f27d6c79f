//! What is known of the elements of small integer tensors, as ops pass it on.
//!
//! Expressions are taken to fit the element type: shape arithmetic goes through `int16` and `uint16` in many files, and
//! an extent too large for it would break the model itself. Nothing is followed through floats, where fp16 rounds
//! integers from 2049 on.

use anewrite_tensor::DType;

use crate::dims::{DimTable, Int};
use crate::infer::InferCx;

/// The elements of an operand, as far as known.
pub(super) fn elements<'a>(cx: &InferCx<'a>, param: &str) -> Option<&'a [Int]> {
    cx.arg(param)?.ints.as_deref()
}

/// The one element of an operand, whatever its rank.
pub(super) fn element(cx: &InferCx<'_>, param: &str) -> Option<Int> {
    match elements(cx, param)? {
        [one] => Some(*one),
        _ => None,
    }
}

/// The first result has these elements. Says nothing where one does not fit `dtype`, or it is no integer type.
pub(super) fn set_elements(cx: &mut InferCx<'_>, dtype: DType, ints: Vec<Int>) {
    let fits = |n: &Int| n.known().is_none_or(|n| fits(dtype, n));
    if !dtype.is_float() && dtype != DType::String && ints.iter().all(fits) {
        cx.set_ints(0, ints);
    }
}

/// The first result has the elements of `param`, in the same order.
pub(super) fn keep_elements(cx: &mut InferCx<'_>, param: &'static str, dtype: DType) {
    if let Some(ints) = elements(cx, param) {
        set_elements(cx, dtype, ints.to_vec());
    }
}

/// Element by element, where shapes are equal or one side has one element.
pub(super) fn zip_elements(
    cx: &mut InferCx<'_>,
    a: &'static str,
    b: &'static str,
    dtype: DType,
    f: impl Fn(&mut DimTable, Int, Int) -> Option<Int>,
) {
    let (Some(x), Some(y)) = (elements(cx, a), elements(cx, b)) else { return };
    let same = || match (cx.shape(a), cx.shape(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    let count = match (x.len(), y.len()) {
        (n, 1) => n,
        (1, n) => n,
        (n, m) if n == m && same() => n,
        _ => return,
    };
    let pick = |v: &[Int], i: usize| v.get(if v.len() == 1 { 0 } else { i }).copied();
    let out: Option<Vec<Int>> = (0..count).map(|i| f(cx.dims, pick(x, i)?, pick(y, i)?)).collect();
    if let Some(out) = out {
        set_elements(cx, dtype, out);
    }
}

fn fits(dtype: DType, n: i64) -> bool {
    let bits = dtype.bits();
    match dtype {
        DType::I64 => true,
        DType::Bool => n == 0 || n == 1,
        DType::I4 | DType::I8 | DType::I16 | DType::I32 => n >= -(1 << (bits - 1)) && n < 1 << (bits - 1),
        DType::U64 => n >= 0,
        _ => n >= 0 && n < 1 << bits,
    }
}
