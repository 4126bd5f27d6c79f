//! Quantising and dequantising while the model runs.

use anewrite_tensor::{DType, Dims};

use crate::array::Array;
use crate::call::{Call, Computed};
use crate::elementwise::{Width, along, zip3};
use crate::error::EvalError;
use crate::kernel::{Table, real};
use crate::math::Math;

pub(crate) const TABLE: Table = &[("dequantize", real!(dequantize)), ("quantize", real!(quantize))];

/// The extents with which a scalar or a vector along `axis` of `x` broadcasts.
pub(super) fn spread(call: &Call<'_>, of: &Array, x: &Array) -> Result<Dims, EvalError> {
    if of.rank() == 0 {
        return Ok(Dims::from_slice(&[]));
    }
    let axis = call.axis("axis", x.rank())?;
    Ok(along(axis, of.len() as u64, x.rank()))
}

/// The zero points as floats; 0 where there are none.
pub(super) fn zeros_of<T: Math>(call: &Call<'_>, x: &Array) -> Result<(Vec<T>, Dims), EvalError> {
    match call.find("zero_point")? {
        Some(zero) => Ok((zero.to_f64s()?.into_iter().map(T::of).collect(), spread(call, zero, x)?)),
        None => Ok((vec![T::zero()], Dims::from_slice(&[]))),
    }
}

/// `round(input / scale) + zero_point`, halves to even, held to the range of the integers.
fn quantize<T: Math>(call: &Call<'_>) -> Computed {
    let (x, scale) = (call.array("input")?, call.array("scale")?);
    let name = call.text("output_dtype")?;
    let dtype = match name.to_ascii_lowercase().as_str() {
        "int8" => DType::I8,
        "uint8" => DType::U8,
        _ => {
            return Err(EvalError::bad("output_dtype", format!("{name:?} where int8 or uint8 is needed")));
        }
    };
    let width = Width::of(dtype);
    let (zero, zero_dims) = zeros_of::<T>(call, x)?;
    let (_, out) = zip3(
        call,
        (call.items::<T>("input")?, x.dims()),
        (call.items::<T>("scale")?, &spread(call, scale, x)?),
        (&zero, &zero_dims),
        |x: T, scale, zero| width.truncate(((x / scale).nearest() + zero).wide()),
    )?;
    call.one(dtype, x.dims(), out)
}

/// `scale * (input - zero_point)`.
fn dequantize<T: Math>(call: &Call<'_>) -> Computed {
    let (x, scale) = (call.array("input")?, call.array("scale")?);
    let (zero, zero_dims) = zeros_of::<T>(call, x)?;
    let (_, out) = zip3(
        call,
        (call.items::<i64>("input")?, x.dims()),
        (call.items::<T>("scale")?, &spread(call, scale, x)?),
        (&zero, &zero_dims),
        |x, scale: T, zero: T| scale * (T::of(x as f64) - zero),
    )?;
    call.one(scale.dtype(), x.dims(), out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arithmetic, Options, Value, evaluate};

    fn run(kind: &str, args: &[(&str, Value)]) -> Array {
        let options = Options { arithmetic: Arithmetic::Fp32, ..Options::default() };
        evaluate(kind, args, options).unwrap()[0].tensor().unwrap().clone()
    }

    fn array<T: crate::Element>(dtype: DType, dims: &[u64], items: Vec<T>) -> Value {
        Array::new(dtype, dims.iter().copied(), items).unwrap().into()
    }

    #[test]
    fn quantized_along_an_axis() {
        let axis = array(DType::I32, &[], vec![-1i64]);
        let name = Value::from(Array::texts([], vec!["int8".into()]).unwrap());
        let x = array(DType::F32, &[2, 3], vec![0.25f32, -3.0, 1e9, 0.75, 2.5, f32::NEG_INFINITY]);
        let scale = array(DType::F32, &[3], vec![0.5f32, 1.0, 2.0]);
        let zero = array(DType::I8, &[3], vec![0i64, -5, 7]);
        let got = run(
            "quantize",
            &[
                ("input", x),
                ("scale", scale.clone()),
                ("zero_point", zero.clone()),
                ("axis", axis.clone()),
                ("output_dtype", name),
            ],
        );
        // numpy.clip(numpy.around(x / scale) + zero, -128, 127)
        assert_eq!(got.to_i64s().unwrap(), [0, -8, 127, 2, -3, -128]);
        assert_eq!(got.dtype(), DType::I8);
        let got = run(
            "dequantize",
            &[("input", got.into()), ("scale", scale), ("zero_point", zero), ("axis", axis)],
        );
        // scale * (q - zero)
        assert_eq!(got.to_f64s().unwrap(), [0.0, -3.0, 240.0, 1.0, 2.0, -270.0]);
    }

    #[test]
    fn one_scale_for_all_and_unsigned() {
        let name = Value::from(Array::texts([], vec!["uint8".into()]).unwrap());
        let x = array(DType::F32, &[4], vec![-1f32, 1.25, 3.75, 1000.0]);
        let scale = array(DType::F32, &[], vec![0.5f32]);
        let got = run("quantize", &[("input", x), ("scale", scale.clone()), ("output_dtype", name.clone())]);
        // numpy.clip(numpy.around(x / 0.5), 0, 255)
        assert_eq!(got.to_i64s().unwrap(), [0, 2, 8, 255]);
        let got = run("dequantize", &[("input", got.into()), ("scale", scale)]);
        assert_eq!(got.to_f64s().unwrap(), [0.0, 1.0, 4.0, 127.5]);
    }
}
