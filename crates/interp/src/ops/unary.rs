//! Elementwise ops of one operand.

use anewrite_tensor::DType;

use crate::array::Data;
use crate::call::{Call, Computed, each, one};
use crate::elementwise::{Width, map};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table, real};
use crate::math::Math;
use crate::reduce::{greater, smaller};

/// An op of floats.
macro_rules! floats {
    ($f:expr) => {
        Kernel::Real(|call| float::<f32>(call, $f), |call| float::<f64>(call, $f))
    };
}

/// An op of numbers: for floats, and for integers before they are held to their width.
macro_rules! numbers {
    ($f:expr, $int:expr) => {
        Kernel::Real(|call| number::<f32>(call, $f, $int), |call| number::<f64>(call, $f, $int))
    };
}

/// An op of floats that first adds a small number.
macro_rules! padded {
    ($f:expr) => {
        Kernel::Real(|call| with_epsilon::<f32>(call, $f), |call| with_epsilon::<f64>(call, $f))
    };
}

pub(crate) const TABLE: Table = &[
    ("abs", numbers!(|x| x.abs(), i64::wrapping_abs)),
    ("acos", floats!(|x| x.acos())),
    ("asin", floats!(|x| x.asin())),
    ("atan", floats!(|x| x.atan())),
    ("atanh", floats!(|x| x.atanh())),
    ("cast", real!(cast)),
    ("ceil", floats!(|x| x.ceil())),
    ("clip", real!(clip)),
    ("cos", floats!(|x| x.cos())),
    ("cosh", floats!(|x| x.cosh())),
    ("erf", floats!(Math::error_function)),
    ("exp", floats!(Math::exponential)),
    ("exp2", numbers!(|x| x.exp2(), exp2_int)),
    ("floor", floats!(|x| x.floor())),
    ("inverse", padded!(|x| x.recip())),
    ("log", padded!(|x| x.ln())),
    ("logical_not", Kernel::Any(logical_not)),
    ("round", floats!(Math::nearest)),
    ("rsqrt", padded!(|x| x.sqrt().recip())),
    ("sign", numbers!(sign, i64::signum)),
    ("sin", floats!(|x| x.sin())),
    ("sinh", floats!(|x| x.sinh())),
    ("sqrt", floats!(|x| x.sqrt())),
    ("square", numbers!(|x| x * x, |n| n.wrapping_mul(n))),
    ("tan", floats!(|x| x.tan())),
    ("tanh", floats!(Math::hyperbolic_tangent)),
    ("threshold", real!(threshold)),
];

pub(super) fn float<T: Math>(call: &Call<'_>, f: impl Fn(T) -> T + Sync) -> Computed {
    let x = call.array("x")?;
    call.one(x.dtype(), x.dims(), map(call, x.dims(), call.items::<T>("x")?, f)?)
}

fn number<T: Math>(call: &Call<'_>, f: impl Fn(T) -> T + Sync, int: impl Fn(i64) -> i64 + Sync) -> Computed {
    let x = call.array("x")?;
    match x.data() {
        Data::Int(items) => {
            let width = Width::of(x.dtype());
            let out = map(call, x.dims(), items, |n| width.wrap(int(n)))?;
            call.one(x.dtype(), x.dims(), out)
        }
        _ => float(call, f),
    }
}

/// A number that is given, or else the default in the precision of `dtype`.
pub(super) fn parameter<T: Math>(call: &Call<'_>, param: &str, dtype: DType) -> Result<T, EvalError> {
    let x = call.float(param)?;
    Ok(T::of(match (call.find(param)?, dtype) {
        (Some(_), _) => x,
        (None, DType::F16) => half::f16::from_f64(x).to_f64(),
        (None, _) => f64::from(x as f32),
    }))
}

fn with_epsilon<T: Math>(call: &Call<'_>, f: impl Fn(T) -> T + Sync) -> Computed {
    let epsilon = parameter::<T>(call, "epsilon", call.array("x")?.dtype())?;
    float(call, |x: T| f(x + epsilon))
}

fn sign<T: Math>(x: T) -> T {
    if x > T::zero() {
        T::one()
    } else if x < T::zero() {
        -T::one()
    } else {
        x + T::zero()
    }
}

/// The whole part of 2^n.
fn exp2_int(n: i64) -> i64 {
    u32::try_from(n).ok().and_then(|n| 1i64.checked_shl(n)).unwrap_or(0)
}

fn clip<T: Math>(call: &Call<'_>) -> Computed {
    let (low, high) = (T::of(call.float("alpha")?), T::of(call.float("beta")?));
    float(call, |x: T| smaller(high, greater(low, x)))
}

fn threshold<T: Math>(call: &Call<'_>) -> Computed {
    let low = call.float("alpha")?;
    let whole = low as i64;
    let low = T::of(low);
    number(call, |x: T| greater(low, x), |n| n.max(whole))
}

fn logical_not(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let out = map(call, x.dims(), call.items::<bool>("x")?, |b| !b)?;
    call.one(DType::Bool, x.dims(), out)
}

/// Whether a number counts as true.
fn is_set<T: Default + PartialEq>(x: T) -> bool {
    x != T::default()
}

/// Floats lose their fraction, and those beyond the range of an integer dtype become its end; integers keep the bits
/// that fit; everything but 0 is true.
fn cast<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let name = call.text("dtype")?;
    let dtype = DType::from_name(name).filter(|&d| d != DType::String);
    let dtype = dtype.ok_or_else(|| EvalError::bad("dtype", format!("{name:?} is not an element type")))?;
    let (dims, width) = (x.dims(), Width::of(dtype));
    if dtype == DType::Bool {
        if let Data::Bool(_) = x.data() {
            return one(x.clone());
        }
        return each!(x, |items| {
            let out = map(call, dims, items, is_set)?;
            call.one(dtype, dims, out)
        });
    }
    match (x.data(), dtype.is_float()) {
        (Data::F32(_) | Data::F64(_), true) => one(x.clone().retyped(dtype)),
        (Data::F32(items), false) => {
            call.one(dtype, dims, map(call, dims, items, |x| width.truncate(x.into()))?)
        }
        (Data::F64(items), false) => call.one(dtype, dims, map(call, dims, items, |x| width.truncate(x))?),
        (Data::Int(items), true) => call.one(dtype, dims, map(call, dims, items, |n| T::of(n as f64))?),
        (Data::Int(items), false) => call.one(dtype, dims, map(call, dims, items, |n| width.wrap(n))?),
        (Data::Bool(items), true) => {
            let (zero, one) = (T::zero(), T::one());
            call.one(dtype, dims, map(call, dims, items, |b| if b { one } else { zero })?)
        }
        (Data::Bool(items), false) => call.one(dtype, dims, map(call, dims, items, i64::from)?),
        (Data::Text(_), _) => Err(EvalError::Shape("text where numbers are needed".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arithmetic, Array, Options, Value, evaluate};

    fn run(kind: &str, x: Array, more: &[(&str, Value)], arithmetic: Arithmetic) -> Array {
        let mut args = vec![("x", Value::from(x))];
        args.extend(more.iter().cloned());
        let options = Options { arithmetic, ..Options::default() };
        evaluate(kind, &args, options).unwrap()[0].tensor().unwrap().clone()
    }

    fn floats(items: &[f64]) -> Array {
        Array::new(DType::F32, [items.len() as u64], items.to_vec()).unwrap()
    }

    fn scalar(x: f64) -> Value {
        Array::new(DType::F32, [], vec![x]).unwrap().into()
    }

    fn close(kind: &str, x: &[f64], want: &[f64]) {
        for (arithmetic, tolerance) in [(Arithmetic::Fp32, 3e-7), (Arithmetic::Fp64, 1e-12)] {
            let got = run(kind, floats(x), &[], arithmetic).to_f64s().unwrap();
            for (g, w) in got.iter().zip(want) {
                let equal =
                    g == w && g.is_sign_negative() == w.is_sign_negative() || g.is_nan() && w.is_nan();
                assert!(equal || (g - w).abs() <= tolerance * w.abs(), "{kind}: {got:?} {want:?}");
            }
        }
    }

    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;

    #[test]
    fn functions_of_one_number() {
        let x = [-0.5, 0.25, 0.0, -0.0, NAN];
        // numpy of float64, for each
        close("abs", &x, &[0.5, 0.25, 0.0, 0.0, NAN]);
        close("acos", &x, &[2.094_395_102_393_195_3, 1.318_116_071_652_818, std::f64::consts::FRAC_PI_2]);
        close("atanh", &x, &[-0.549_306_144_334_054_8, 0.255_412_811_882_995_36, 0.0, -0.0, NAN]);
        close("erf", &x, &[-0.520_499_877_813_046_5, 0.276_326_390_168_236_96, 0.0, -0.0, NAN]);
        close("exp", &x, &[0.606_530_659_712_633_4, 1.284_025_416_687_741_4, 1.0, 1.0, NAN]);
        close("exp2", &x, &[std::f64::consts::FRAC_1_SQRT_2, 1.189_207_115_002_721, 1.0, 1.0, NAN]);
        close("tanh", &x, &[-0.462_117_157_260_009_8, 0.244_918_662_403_709_13, 0.0, -0.0, NAN]);
        close("sinh", &[-1.0, INF], &[-1.175_201_193_643_801_4, INF]);
        close("cosh", &[-1.0, -INF], &[1.543_080_634_815_243_7, INF]);
        close("sign", &[-3.0, -0.0, 0.5, NAN, -INF], &[-1.0, 0.0, 1.0, NAN, -1.0]);
        close("round", &[0.5, 1.5, -0.5, -2.5, 2.4], &[0.0, 2.0, -0.0, -2.0, 2.0]);
        close("ceil", &[-0.5, 1.25, INF], &[-0.0, 2.0, INF]);
        close("floor", &[-0.5, 1.25, -INF], &[-1.0, 1.0, -INF]);
        close("sqrt", &[-1.0, 2.25, -0.0], &[NAN, 1.5, -0.0]);
    }

    #[test]
    fn what_epsilon_adds() {
        // numpy: 1 / (x + float32(1e-4)), log(x + 1e-45), 1 / sqrt(x + 1e-12) of float32
        close("inverse", &[0.0], &[1.0 / f64::from(1e-4f32)]);
        let log = run("log", floats(&[0.0]), &[], Arithmetic::Fp32).to_f64s().unwrap();
        assert!((log[0] - -103.278_93).abs() < 1e-4);
        close("rsqrt", &[0.0, 4.0], &[1.0 / f64::from(1e-12f32).sqrt(), 0.499_999_999_999_937_5]);
        // numpy.float16(1e-45) is 0
        let x = Array::new(DType::F16, [1], vec![0f32]).unwrap();
        assert_eq!(run("log", x, &[], Arithmetic::ANE16).to_f64s().unwrap(), [-INF]);
        let x = floats(&[0.25]);
        let got = run("inverse", x, &[("epsilon", scalar(0.25))], Arithmetic::Fp64);
        assert_eq!(got.to_f64s().unwrap(), [2.0]);
    }

    #[test]
    fn bounds_let_what_is_no_number_pass() {
        // numpy.minimum(numpy.maximum(x, -1), 2), numpy.maximum(x, 1)
        let x = floats(&[-INF, -0.5, 7.0, NAN]);
        let got = run("clip", x.clone(), &[("alpha", scalar(-1.0)), ("beta", scalar(2.0))], Arithmetic::Fp32);
        assert_eq!(got.to_f64s().unwrap()[..3], [-1.0, -0.5, 2.0]);
        assert!(got.to_f64s().unwrap()[3].is_nan());
        let got = run("threshold", x, &[("alpha", scalar(1.0))], Arithmetic::Fp32).to_f64s().unwrap();
        assert_eq!(got[..3], [1.0, 1.0, 7.0]);
        assert!(got[3].is_nan());
    }

    #[test]
    fn integers() {
        let x = |items: &[i64]| Array::new(DType::I32, [items.len() as u64], items.to_vec()).unwrap();
        let got = |kind, items: &[i64]| run(kind, x(items), &[], Arithmetic::Fp64).to_i64s().unwrap();
        // numpy of int32; 2^n without its fraction
        assert_eq!(got("abs", &[-5, i64::from(i32::MIN)]), [5, -2_147_483_648]);
        assert_eq!(got("square", &[-5, 65_536]), [25, 0]);
        assert_eq!(got("sign", &[-5, 0, 9]), [-1, 0, 1]);
        assert_eq!(got("exp2", &[-1, 0, 10]), [0, 1, 1024]);
    }

    #[test]
    fn casts() {
        let to = |x: Array, dtype: &str| {
            let name = Array::texts([], vec![dtype.into()]).unwrap();
            run("cast", x, &[("dtype", name.into())], Arithmetic::Fp32)
        };
        // numpy.trunc, held to the range
        let x = floats(&[-2.75, 2.75, 3e9, -INF, NAN, -0.0]);
        assert_eq!(
            to(x.clone(), "int32").to_i64s().unwrap(),
            [-2, 2, i64::from(i32::MAX), i64::from(i32::MIN), 0, 0]
        );
        assert_eq!(to(x.clone(), "uint8").to_i64s().unwrap(), [0, 2, 255, 0, 0, 0]);
        assert_eq!(to(x.clone(), "bool").to_i64s().unwrap(), [1, 1, 1, 1, 1, 0]);
        // storage is wider: a cast between floats changes nothing
        assert_eq!(to(floats(&[0.1]), "fp16").items::<f32>().unwrap(), [0.1f32]);
        let ints = Array::new(DType::I32, [4], vec![200i64, -129, 70_000, 0]).unwrap();
        // numpy: astype("int8"), astype("uint16"), astype("bool"), astype("float32")
        assert_eq!(to(ints.clone(), "int8").to_i64s().unwrap(), [-56, 127, 112, 0]);
        assert_eq!(to(ints.clone(), "uint16").to_i64s().unwrap(), [200, 65_407, 4464, 0]);
        assert_eq!(to(ints.clone(), "bool").to_i64s().unwrap(), [1, 1, 1, 0]);
        assert_eq!(to(ints, "fp32").items::<f32>().unwrap(), [200.0, -129.0, 70_000.0, 0.0]);
        let truths = Array::new(DType::Bool, [2], vec![true, false]).unwrap();
        assert_eq!(to(truths.clone(), "fp16").items::<f32>().unwrap(), [1.0, 0.0]);
        assert_eq!(to(truths, "int32").to_i64s().unwrap(), [1, 0]);
    }
}
