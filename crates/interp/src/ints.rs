//! Arithmetic of integers and truth values, and casts that round in no way of their own.

use anewrite_tensor::{DType, Tensor};

use crate::error::FoldError;
use crate::fold::{Call, broadcast, each_index, position};

pub(crate) fn evaluate(call: &Call<'_>) -> Result<Tensor, FoldError> {
    match call.kind {
        "add" | "sub" | "mul" | "floor_div" | "mod" | "maximum" | "minimum" | "pow" | "equal"
        | "not_equal" | "less" | "less_equal" | "greater" | "greater_equal" | "logical_and"
        | "logical_or" | "logical_xor" => binary(call),
        "abs" | "sign" | "square" | "logical_not" => unary(call),
        "cast" => cast(call),
        "range_1d" => range(call),
        "reduce_sum" | "reduce_prod" | "reduce_max" | "reduce_min" => reduce(call),
        kind => Err(FoldError::Unsupported(kind.to_owned())),
    }
}

/// The elements of an operand that holds integers or truth values.
fn whole(call: &Call<'_>, t: &Tensor) -> Result<Vec<i64>, FoldError> {
    if t.dtype().is_float() {
        return Err(FoldError::Rounds { kind: call.kind.to_owned(), dtype: t.dtype() });
    }
    Ok(t.to_i64s()?)
}

fn make(call: &Call<'_>, values: &[i64]) -> Result<Tensor, FoldError> {
    let exact = values.iter().all(|v| v.unsigned_abs() < 1 << 53);
    let values: Vec<f64> = values.iter().map(|&v| v as f64).collect();
    if !exact {
        return Err(FoldError::Overflow);
    }
    Tensor::from_f64s(call.dtype, &call.dims, &values).map_err(|_| FoldError::Overflow)
}

fn binary(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let (x, y) = (call.get("x")?, call.get("y")?);
    let (a, b) = (whole(call, x)?, whole(call, y)?);
    let mut out = Vec::new();
    each_index(&call.dims, |index| {
        let at = |t: &Tensor, v: &[i64]| v.get(broadcast(t.dims(), index) as usize).copied();
        let (Some(a), Some(b)) = (at(x, &a), at(y, &b)) else {
            return Err(FoldError::Bad("the operands do not broadcast to the result".into()));
        };
        out.push(combine(call.kind, a, b).ok_or(FoldError::Overflow)?);
        Ok(())
    })?;
    make(call, &out)
}

/// Floor division and the remainder of the divisor's sign, as Python has them.
fn combine(kind: &str, a: i64, b: i64) -> Option<i64> {
    let truth = |c: bool| Some(i64::from(c));
    match kind {
        "add" => a.checked_add(b),
        "sub" => a.checked_sub(b),
        "mul" => a.checked_mul(b),
        "floor_div" => {
            let q = a.checked_div(b)?;
            Some(if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
        }
        "mod" => {
            let r = a.checked_rem(b)?;
            Some(if r != 0 && (r < 0) != (b < 0) { r + b } else { r })
        }
        "maximum" => Some(a.max(b)),
        "minimum" => Some(a.min(b)),
        "pow" => a.checked_pow(u32::try_from(b).ok()?),
        "equal" => truth(a == b),
        "not_equal" => truth(a != b),
        "less" => truth(a < b),
        "less_equal" => truth(a <= b),
        "greater" => truth(a > b),
        "greater_equal" => truth(a >= b),
        "logical_and" => truth(a != 0 && b != 0),
        "logical_or" => truth(a != 0 || b != 0),
        "logical_xor" => truth((a != 0) != (b != 0)),
        _ => None,
    }
}

fn unary(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let x = whole(call, call.get("x")?)?;
    let out: Option<Vec<i64>> = x
        .iter()
        .map(|&v| match call.kind {
            "abs" => v.checked_abs(),
            "sign" => Some(v.signum()),
            "square" => v.checked_mul(v),
            "logical_not" => Some(i64::from(v == 0)),
            _ => None,
        })
        .collect();
    make(call, &out.ok_or(FoldError::Overflow)?)
}

/// From integers, truth values and floats to anything that holds the value, and to floats by rounding to nearest-even,
/// which is what storing a constant in that dtype does.
fn cast(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let x = call.get("x")?;
    let values = x.to_f64s()?;
    let to_int = !call.dtype.is_float() && call.dtype != DType::Bool;
    let values: Vec<f64> = match to_int {
        true => values.iter().map(|v| v.trunc()).collect(),
        false => values,
    };
    Tensor::from_f64s(call.dtype, &call.dims, &values).map_err(|_| FoldError::Overflow)
}

fn range(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let start = whole(call, call.get("start")?)?.first().copied().unwrap_or(0);
    let step = whole(call, call.get("step")?)?.first().copied().unwrap_or(1);
    let count = call.dims.first().copied().unwrap_or(0) as i64;
    let out: Option<Vec<i64>> = (0..count).map(|i| step.checked_mul(i)?.checked_add(start)).collect();
    make(call, &out.ok_or(FoldError::Overflow)?)
}

fn reduce(call: &Call<'_>) -> Result<Tensor, FoldError> {
    let x = call.get("x")?;
    let values = whole(call, x)?;
    let axes = call.ints("axes")?;
    let mut gone = vec![axes.is_none(); x.rank()];
    for a in axes.into_iter().flatten() {
        gone[crate::fold::normal(a, x.rank())?] = true;
    }
    let kept: Vec<u64> = x.dims().iter().zip(&gone).filter(|(_, g)| !**g).map(|(&d, _)| d).collect();
    let cells = kept.iter().product::<u64>() as usize;
    let mut out: Vec<Option<i64>> = vec![None; cells];
    each_index(x.dims(), |index| {
        let at: Vec<u64> = index.iter().zip(&gone).filter(|(_, g)| !**g).map(|(&i, _)| i).collect();
        let cell = &mut out[position(&kept, &at) as usize];
        let v = values[position(x.dims(), index) as usize];
        *cell = Some(match (*cell, call.kind) {
            (None, _) => v,
            (Some(a), "reduce_sum") => a.checked_add(v).ok_or(FoldError::Overflow)?,
            (Some(a), "reduce_prod") => a.checked_mul(v).ok_or(FoldError::Overflow)?,
            (Some(a), "reduce_max") => a.max(v),
            (Some(a), _) => a.min(v),
        });
        Ok(())
    })?;
    let out: Option<Vec<i64>> = out.into_iter().collect();
    make(call, &out.ok_or_else(|| FoldError::Bad("nothing to reduce".into()))?)
}

#[cfg(test)]
mod tests {
    use anewrite_ir::TensorType;

    use super::*;
    use crate::fold::fold;

    fn int(kind: &str, x: [i32; 4], y: [i32; 4]) -> Result<Vec<i64>, FoldError> {
        let (x, y) = (Tensor::i32s(x), Tensor::i32s(y));
        Ok(fold(kind, &[("x", &x), ("y", &y)], &TensorType::fixed(DType::I32, [4]), 99)?.to_i64s()?)
    }

    #[test]
    fn division_follows_the_floor() {
        // numpy.floor_divide and numpy.mod
        assert_eq!(int("floor_div", [7, -7, 7, -7], [2, 2, -2, -2]).unwrap(), [3, -4, -4, 3]);
        assert_eq!(int("mod", [7, -7, 7, -7], [3, 3, -3, -3]).unwrap(), [1, 2, -2, -1]);
        assert_eq!(int("floor_div", [1; 4], [0; 4]), Err(FoldError::Overflow));
        assert_eq!(int("mul", [i32::MAX; 4], [2; 4]), Err(FoldError::Overflow));
    }

    #[test]
    fn sums_over_axes() {
        // numpy.arange(12).reshape(2, 3, 2).sum((0, 2)) and .prod(1) of the first rows
        let x = Tensor::i32s(0..12).reshaped([2, 3, 2]).unwrap();
        let (axes, ty) = (Tensor::i32s([0, -1]), TensorType::fixed(DType::I32, [3]));
        let got = fold("reduce_sum", &[("x", &x), ("axes", &axes)], &ty, 99).unwrap();
        assert_eq!(got.to_i64s().unwrap(), [14, 22, 30]);
    }

    #[test]
    fn floats_are_not_computed_with() {
        let x = Tensor::from_f64s(DType::F16, &[1], &[0.1]).unwrap();
        let e = fold("add", &[("x", &x), ("y", &x)], &TensorType::fixed(DType::F16, [1]), 99);
        assert!(matches!(e, Err(FoldError::Rounds { .. })));
    }

    #[test]
    fn casts_truncate_and_round() {
        let x = Tensor::from_f64s(DType::F32, &[3], &[-2.75, 2.75, 1e6]).unwrap();
        let got = fold("cast", &[("x", &x)], &TensorType::fixed(DType::I32, [3]), 99).unwrap();
        assert_eq!(got.to_i64s().unwrap(), [-2, 2, 1_000_000]);
        let got = fold("cast", &[("x", &x)], &TensorType::fixed(DType::F16, [3]), 99).unwrap();
        assert_eq!(got.to_f64s().unwrap(), [-2.75, 2.75, f64::INFINITY]);
    }
}
