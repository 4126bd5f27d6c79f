//! Elementwise ops of two operands: arithmetic, comparison, logic, selection. All broadcast.

use crate::array::{Array, Data, Element};
use crate::call::{Call, Computed};
use crate::elementwise::{Width, zip, zip3};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table};
use crate::math::Math;
use crate::reduce::{greater, smaller};

/// An op of numbers: for floats, and for integers before they are held to their width.
macro_rules! numbers {
    ($float:expr, $int:expr) => {
        Kernel::Real(
            |call| arithmetic::<f32>(call, $float, $int),
            |call| arithmetic::<f64>(call, $float, $int),
        )
    };
}

/// An op that compares.
macro_rules! compares {
    ($op:tt) => {
        Kernel::Any(|call| compare(call, |a, b| a $op b, |a, b| a $op b, |a, b| a $op b, |a, b| a $op b))
    };
}

pub(crate) const TABLE: Table = &[
    ("add", numbers!(|a, b| a + b, i64::wrapping_add)),
    ("equal", compares!(==)),
    ("floor_div", numbers!(floor_div, floor_div_int)),
    ("greater", compares!(>)),
    ("greater_equal", compares!(>=)),
    ("less", compares!(<)),
    ("less_equal", compares!(<=)),
    ("logical_and", Kernel::Any(|call| logic(call, |a, b| a & b))),
    ("logical_or", Kernel::Any(|call| logic(call, |a, b| a | b))),
    ("logical_xor", Kernel::Any(|call| logic(call, |a, b| a ^ b))),
    ("maximum", numbers!(greater, i64::max)),
    ("minimum", numbers!(smaller, i64::min)),
    ("mod", numbers!(modulo, modulo_int)),
    ("mul", numbers!(|a, b| a * b, i64::wrapping_mul)),
    ("not_equal", compares!(!=)),
    ("pow", Kernel::Real(pow::<f32>, pow::<f64>)),
    ("real_div", numbers!(|a, b| a / b, divide_int)),
    ("select", Kernel::Any(select)),
    ("sub", numbers!(|a, b| a - b, i64::wrapping_sub)),
];

fn unlike(x: &Array, y: &Array) -> EvalError {
    EvalError::Shape(format!("elements of one kind are needed, not of {} and {}", x.dtype(), y.dtype()))
}

fn arithmetic<T: Math>(
    call: &Call<'_>,
    float: impl Fn(T, T) -> T + Sync,
    int: impl Fn(i64, i64) -> i64 + Sync,
) -> Computed {
    let (x, y) = (call.array("x")?, call.array("y")?);
    if let (Some(a), Some(b)) = (x.items::<T>(), y.items::<T>()) {
        let (dims, out) = zip(call, (a, x.dims()), (b, y.dims()), float)?;
        call.one(x.dtype(), &dims, out)
    } else if let (Data::Int(a), Data::Int(b)) = (x.data(), y.data()) {
        let width = Width::of(x.dtype());
        let (dims, out) = zip(call, (a, x.dims()), (b, y.dims()), |a, b| width.wrap(int(a, b)))?;
        call.one(x.dtype(), &dims, out)
    } else {
        Err(unlike(x, y))
    }
}

/// The whole part below the exact quotient, from the remainder as numpy and Python have it: `1.0 // 0.1` is 9.
fn floor_div<T: Math>(a: T, b: T) -> T {
    let (zero, one) = (T::zero(), T::one());
    if b == zero {
        return a / b;
    }
    let rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != zero && (b < zero) != (rest < zero) {
        quotient -= one;
    }
    if quotient == zero {
        return zero.copysign(a / b);
    }
    let whole = quotient.floor();
    if quotient - whole > T::of(0.5) { whole + one } else { whole }
}

/// The remainder of the divisor's sign.
fn modulo<T: Math>(a: T, b: T) -> T {
    let rest = a % b;
    if rest == T::zero() {
        rest.abs().copysign(b)
    } else if (rest < T::zero()) != (b < T::zero()) {
        rest + b
    } else {
        rest
    }
}

/// 0 where the divisor is, as numpy has it.
fn floor_div_int(a: i64, b: i64) -> i64 {
    if b == 0 {
        return 0;
    }
    let (q, r) = (a.wrapping_div(b), a.wrapping_rem(b));
    if r != 0 && (r < 0) != (b < 0) { q - 1 } else { q }
}

fn modulo_int(a: i64, b: i64) -> i64 {
    if b == 0 {
        return 0;
    }
    let r = a.wrapping_rem(b);
    if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
}

/// Integers divide into integers: the quotient without its fraction.
fn divide_int(a: i64, b: i64) -> i64 {
    if b == 0 { 0 } else { a.wrapping_div(b) }
}

fn pow<T: Math>(call: &Call<'_>) -> Computed {
    // Small whole exponents are common, and exact in fewer steps.
    let one = call.find("y")?.and_then(|y| y.items::<T>()).filter(|y| y.len() == 1).and_then(<[T]>::first);
    match one.map(|y| y.wide()) {
        Some(1.0) => arithmetic::<T>(call, |a, _| a, pow_int),
        Some(2.0) => arithmetic::<T>(call, |a, _| a * a, pow_int),
        Some(3.0) => arithmetic::<T>(call, |a, _| a * a * a, pow_int),
        Some(-1.0) => arithmetic::<T>(call, |a, _| a.recip(), pow_int),
        _ => arithmetic::<T>(call, |a, b| a.powf(b), pow_int),
    }
}

/// A negative exponent leaves what is whole of the fraction.
fn pow_int(a: i64, b: i64) -> i64 {
    let odd = b & 1 == 1;
    match (a, b) {
        (_, 0..) => {
            let (mut product, mut factor, mut rest) = (1i64, a, b);
            while rest > 0 {
                if rest & 1 == 1 {
                    product = product.wrapping_mul(factor);
                }
                factor = factor.wrapping_mul(factor);
                rest >>= 1;
            }
            product
        }
        (1, _) => 1,
        (-1, _) => {
            if odd {
                -1
            } else {
                1
            }
        }
        _ => 0,
    }
}

fn compare(
    call: &Call<'_>,
    f32s: impl Fn(f32, f32) -> bool + Sync,
    f64s: impl Fn(f64, f64) -> bool + Sync,
    ints: impl Fn(i64, i64) -> bool + Sync,
    truths: impl Fn(bool, bool) -> bool + Sync,
) -> Computed {
    let (x, y) = (call.array("x")?, call.array("y")?);
    match (x.data(), y.data()) {
        (Data::F32(a), Data::F32(b)) => bools(call, (x, a), (y, b), f32s),
        (Data::F64(a), Data::F64(b)) => bools(call, (x, a), (y, b), f64s),
        (Data::Int(a), Data::Int(b)) => bools(call, (x, a), (y, b), ints),
        (Data::Bool(a), Data::Bool(b)) => bools(call, (x, a), (y, b), truths),
        _ => Err(unlike(x, y)),
    }
}

fn logic(call: &Call<'_>, f: impl Fn(bool, bool) -> bool + Sync) -> Computed {
    let (x, y) = (call.array("x")?, call.array("y")?);
    bools(call, (x, call.items("x")?), (y, call.items("y")?), f)
}

fn bools<T: Element>(
    call: &Call<'_>,
    (x, a): (&Array, &[T]),
    (y, b): (&Array, &[T]),
    f: impl Fn(T, T) -> bool + Sync,
) -> Computed {
    let (dims, out) = zip(call, (a, x.dims()), (b, y.dims()), f)?;
    call.one(anewrite_tensor::DType::Bool, &dims, out)
}

fn select(call: &Call<'_>) -> Computed {
    fn of<T: Element + Default>(call: &Call<'_>, a: &[T]) -> Computed {
        let (cond, x, y) = (call.array("cond")?, call.array("a")?, call.array("b")?);
        let b = y.items::<T>().ok_or_else(|| unlike(x, y))?;
        let (dims, out) = zip3(
            call,
            (call.items::<bool>("cond")?, cond.dims()),
            (a, x.dims()),
            (b, y.dims()),
            |c, a, b| if c { a } else { b },
        )?;
        call.one(x.dtype(), &dims, out)
    }
    crate::call::each!(call.array("a")?, |a| of(call, a))
}

#[cfg(test)]
mod tests {
    use anewrite_tensor::DType;

    use crate::{Arithmetic, Array, Options, Value, evaluate};

    fn run(kind: &str, x: &Array, y: &Array) -> Array {
        let options = Options { arithmetic: Arithmetic::Fp32, ..Options::default() };
        let args = [("x", Value::from(x.clone())), ("y", y.clone().into())];
        evaluate(kind, &args, options).unwrap()[0].tensor().unwrap().clone()
    }

    fn floats(dims: &[u64], items: &[f32]) -> Array {
        Array::new(DType::F32, dims.iter().copied(), items.to_vec()).unwrap()
    }

    fn ints(items: &[i64]) -> Array {
        Array::new(DType::I32, [items.len() as u64], items.to_vec()).unwrap()
    }

    fn same(got: &Array, want: &[f32]) {
        let got = got.items::<f32>().unwrap();
        let bits = |x: &[f32]| x.iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect();
        let (a, b): (Vec<u32>, Vec<u32>) = (bits(got), bits(want));
        assert_eq!(a, b, "{got:?} {want:?}");
    }

    const NAN: f32 = f32::NAN;
    const INF: f32 = f32::INFINITY;

    #[test]
    fn operands_broadcast_both_ways() {
        // numpy: [[1], [2], [3]] - [[10, 20]]
        let got = run("sub", &floats(&[3, 1], &[1.0, 2.0, 3.0]), &floats(&[1, 2], &[10.0, 20.0]));
        assert_eq!(got.dims(), [3, 2]);
        same(&got, &[-9.0, -19.0, -8.0, -18.0, -7.0, -17.0]);
        // numpy: arange(12).reshape(2, 3, 2) + [[100], [200], [300]]
        let x: Vec<f32> = (0..12u8).map(f32::from).collect();
        let got = run("add", &floats(&[2, 3, 2], &x), &floats(&[3, 1], &[100.0, 200.0, 300.0]));
        same(&got, &[100.0, 101.0, 202.0, 203.0, 304.0, 305.0, 106.0, 107.0, 208.0, 209.0, 310.0, 311.0]);
        let empty = run("mul", &floats(&[0, 3], &[]), &floats(&[1, 3], &[1.0; 3]));
        assert_eq!(empty.dims(), [0, 3]);
    }

    #[test]
    fn large_operands_are_computed_in_pieces() {
        // the closed form of each element
        let (rows, columns) = (301u64, 257u64);
        let x: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        let y: Vec<f32> = (0..rows).map(|i| i as f32).collect();
        let got = run("sub", &floats(&[rows, columns], &x), &floats(&[rows, 1], &y));
        let off = got.items::<f32>().unwrap().iter().zip(&x).enumerate();
        assert!(off.into_iter().all(|(i, (g, x))| *g == x - (i / 257) as f32));
    }

    #[test]
    fn floor_division_of_floats() {
        let x = floats(&[8], &[1.0, 5.0, -5.0, INF, 5.0, 0.0, -0.0, NAN]);
        let y = floats(&[8], &[0.1, INF, INF, 2.0, 0.0, 0.0, 3.0, 1.0]);
        // numpy.floor_divide and numpy.mod of float32
        same(&run("floor_div", &x, &y), &[9.0, 0.0, -1.0, NAN, INF, NAN, -0.0, NAN]);
        same(&run("mod", &x, &y), &[0.099_999_99, 5.0, INF, NAN, NAN, NAN, 0.0, NAN]);
        let (x, y) = (floats(&[2], &[-7.5, 7.5]), floats(&[2], &[2.0, -2.0]));
        same(&run("floor_div", &x, &y), &[-4.0, -4.0]);
        same(&run("mod", &x, &y), &[0.5, -0.5]);
    }

    #[test]
    fn integers_wrap_and_divide() {
        let got = |kind, x: &[i64], y: &[i64]| run(kind, &ints(x), &ints(y)).to_i64s().unwrap();
        // numpy of int32
        assert_eq!(got("mul", &[65_537, i64::from(i32::MIN)], &[65_537, -1]), [131_073, -2_147_483_648]);
        assert_eq!(got("add", &[i64::from(i32::MAX)], &[1]), [-2_147_483_648]);
        assert_eq!(got("floor_div", &[7, -7, 7, -7, 3], &[2, 2, -2, -2, 0]), [3, -4, -4, 3, 0]);
        assert_eq!(got("mod", &[7, -7, 7, -7, 3], &[3, 3, -3, -3, 0]), [1, 2, -2, -1, 0]);
        assert_eq!(got("pow", &[3, -2, 5], &[4, 3, 0]), [81, -8, 1]);
        // (numpy.array([7, -7]) / 2).astype("int32")
        assert_eq!(got("real_div", &[7, -7], &[2, 2]), [3, -3]);
    }

    #[test]
    fn no_number_passes_through_extremes_and_fails_comparisons() {
        let x = floats(&[4], &[NAN, 1.0, -INF, 2.0]);
        let y = floats(&[4], &[1.0, NAN, INF, 2.0]);
        // numpy.maximum, numpy.minimum
        same(&run("maximum", &x, &y), &[NAN, NAN, INF, 2.0]);
        same(&run("minimum", &x, &y), &[NAN, NAN, -INF, 2.0]);
        assert_eq!(run("less", &x, &y).to_i64s().unwrap(), [0, 0, 1, 0]);
        assert_eq!(run("not_equal", &x, &y).to_i64s().unwrap(), [1, 1, 1, 0]);
        assert_eq!(run("greater_equal", &x, &y).to_i64s().unwrap(), [0, 0, 0, 1]);
    }

    #[test]
    fn powers() {
        // numpy.power of float32
        let x = floats(&[5], &[-8.0, 0.0, -0.0, NAN, 2.0]);
        same(
            &run("pow", &x, &floats(&[5], &[1.0 / 3.0, -1.0, -1.0, 0.0, 0.5])),
            &[NAN, INF, -INF, 1.0, std::f32::consts::SQRT_2],
        );
        same(&run("pow", &floats(&[2], &[-3.0, -0.0]), &floats(&[], &[3.0])), &[-27.0, -0.0]);
        let got = run("pow", &floats(&[2], &[-3.0, 4.0]), &floats(&[1, 1], &[2.0]));
        assert_eq!(got.dims(), [1, 2]);
        same(&got, &[9.0, 16.0]);
    }

    #[test]
    fn selection_broadcasts_all_three() {
        // numpy.where([[True], [False]], [1, 2, 3], -0.0)
        let cond = Array::new(DType::Bool, [2, 1], vec![true, false]).unwrap();
        let args = [
            ("cond", Value::from(cond)),
            ("a", floats(&[3], &[1.0, 2.0, 3.0]).into()),
            ("b", floats(&[], &[-0.0]).into()),
        ];
        let options = Options { arithmetic: Arithmetic::Fp32, ..Options::default() };
        let got = evaluate("select", &args, options).unwrap();
        let got = got[0].tensor().unwrap();
        assert_eq!(got.dims(), [2, 3]);
        same(got, &[1.0, 2.0, 3.0, -0.0, -0.0, -0.0]);
    }
}
