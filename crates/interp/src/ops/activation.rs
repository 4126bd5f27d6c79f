//! Activation functions.

use crate::call::{Call, Computed};
use crate::elementwise::{along, zip, zip3};
use crate::error::EvalError;
use crate::kernel::{Kernel, Table, real};
use crate::math::Math;
use crate::ops::unary::float;
use crate::reduce::{Fold, Groups, greater, smaller, sum};

/// A function of x alone.
macro_rules! plain {
    ($f:expr) => {
        Kernel::Real(|call| float::<f32>(call, $f), |call| float::<f64>(call, $f))
    };
}

/// A function of x and the number alpha.
macro_rules! alpha {
    ($f:path) => {
        Kernel::Real(|call| with_alpha::<f32>(call, $f), |call| with_alpha::<f64>(call, $f))
    };
}

/// A function of x and the numbers alpha and beta.
macro_rules! alpha_beta {
    ($f:path) => {
        Kernel::Real(|call| with_both::<f32>(call, $f), |call| with_both::<f64>(call, $f))
    };
}

pub(crate) const TABLE: Table = &[
    ("clamped_relu", alpha_beta!(clamped_relu)),
    ("elu", alpha!(elu)),
    ("gelu", real!(gelu)),
    ("leaky_relu", alpha!(leaky_relu)),
    ("linear_activation", alpha_beta!(linear)),
    ("prelu", real!(prelu)),
    ("relu", plain!(|x| if x < 0.0 { 0.0 } else { x })),
    ("relu6", plain!(relu6)),
    ("scaled_tanh", alpha_beta!(scaled_tanh)),
    ("sigmoid", plain!(Math::logistic)),
    ("sigmoid_hard", alpha_beta!(sigmoid_hard)),
    ("silu", plain!(silu)),
    ("softmax", real!(softmax)),
    ("softplus", plain!(Math::log_one_plus_exp)),
    ("softplus_parametric", real!(softplus_parametric)),
    ("softsign", plain!(|x| x / (1.0 + x.abs()))),
    ("thresholded_relu", alpha!(thresholded_relu)),
];

fn with_alpha<T: Math>(call: &Call<'_>, f: impl Fn(T, T) -> T + Sync) -> Computed {
    let alpha = T::of(call.float("alpha")?);
    float(call, |x: T| f(x, alpha))
}

fn with_both<T: Math>(call: &Call<'_>, f: impl Fn(T, T, T) -> T + Sync) -> Computed {
    let (alpha, beta) = (T::of(call.float("alpha")?), T::of(call.float("beta")?));
    float(call, |x: T| f(x, alpha, beta))
}

#[inline(always)]
fn relu6<T: Math>(x: T) -> T {
    smaller(T::of(6.0), if x < T::zero() { T::zero() } else { x })
}

#[inline(always)]
fn leaky_relu<T: Math>(x: T, alpha: T) -> T {
    if x < T::zero() { alpha * x } else { x }
}

#[inline(always)]
fn elu<T: Math>(x: T, alpha: T) -> T {
    if x > T::zero() { x } else { alpha * x.exp_m1() }
}

#[inline(always)]
fn thresholded_relu<T: Math>(x: T, alpha: T) -> T {
    if x < alpha { T::zero() } else { x }
}

#[inline(always)]
fn clamped_relu<T: Math>(x: T, alpha: T, beta: T) -> T {
    smaller(beta, leaky_relu(x, alpha))
}

#[inline(always)]
fn linear<T: Math>(x: T, alpha: T, beta: T) -> T {
    x * alpha + beta
}

#[inline(always)]
fn scaled_tanh<T: Math>(x: T, alpha: T, beta: T) -> T {
    alpha * (x * beta).hyperbolic_tangent()
}

#[inline(always)]
fn sigmoid_hard<T: Math>(x: T, alpha: T, beta: T) -> T {
    smaller(T::one(), greater(T::zero(), x * alpha + beta))
}

fn gelu<T: Math>(call: &Call<'_>) -> Computed {
    match call.text("mode")? {
        "EXACT" => float(call, gelu_exact::<T>),
        "TANH_APPROXIMATION" => float(call, gelu_tanh::<T>),
        "SIGMOID_APPROXIMATION" => float(call, gelu_sigmoid::<T>),
        mode => Err(EvalError::bad("mode", format!("{mode:?} is no way to compute gelu"))),
    }
}

// Functions rather than closures: what they call must become part of the loop over elements.

#[inline(always)]
fn gelu_exact<T: Math>(x: T) -> T {
    let scale = T::of(std::f64::consts::FRAC_1_SQRT_2);
    T::of(0.5) * x * (T::one() + (x * scale).error_function())
}

#[inline(always)]
fn gelu_tanh<T: Math>(x: T) -> T {
    let scale = T::of((2.0 * std::f64::consts::FRAC_1_PI).sqrt());
    let inner = scale * (x + T::of(0.044_715) * (x * x * x));
    T::of(0.5) * x * (T::one() + inner.hyperbolic_tangent())
}

#[inline(always)]
fn gelu_sigmoid<T: Math>(x: T) -> T {
    x * (x * T::of(1.702)).logistic()
}

#[inline(always)]
fn silu<T: Math>(x: T) -> T {
    x * x.logistic()
}

/// Slopes and the like: one for each extent of axis 1.
fn per_channel<'a, T: Math>(
    call: &Call<'a>,
    param: &str,
    rank: usize,
) -> Result<(&'a [T], anewrite_tensor::Dims), EvalError> {
    let items = call.items::<T>(param)?;
    Ok((items, along(1, items.len() as u64, rank)))
}

fn prelu<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let (alpha, dims) = per_channel::<T>(call, "alpha", x.rank())?;
    let (dims, out) = zip(call, (call.items("x")?, x.dims()), (alpha, &dims), leaky_relu)?;
    call.one(x.dtype(), &dims, out)
}

fn softplus_parametric<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    let (alpha, alpha_dims) = per_channel::<T>(call, "alpha", x.rank())?;
    let (beta, beta_dims) = per_channel::<T>(call, "beta", x.rank())?;
    let (dims, out) = zip3(
        call,
        (call.items("x")?, x.dims()),
        (alpha, &alpha_dims),
        (beta, &beta_dims),
        |x, alpha: T, beta| alpha * (beta * x).log_one_plus_exp(),
    )?;
    call.one(x.dtype(), &dims, out)
}

fn softmax<T: Math>(call: &Call<'_>) -> Computed {
    let x = call.array("x")?;
    if x.rank() == 0 {
        return float(call, |x: T| x * T::zero() + T::one());
    }
    let axis = call.axis("axis", x.rank())?;
    let out = softmax_of(call, call.items::<T>("x")?, x.dims(), axis)?;
    call.one(x.dtype(), x.dims(), out)
}

/// Softmax along an axis.
pub(super) fn softmax_of<T: Math>(
    call: &Call<'_>,
    x: &[T],
    dims: &[u64],
    axis: usize,
) -> Result<Vec<T>, EvalError> {
    let gone: Vec<bool> = (0..dims.len()).map(|i| i == axis).collect();
    let groups = Groups::of(dims, &gone);
    let greatest = Fold { start: T::neg_infinity(), step: greater::<T>, merge: greater::<T> };
    let Some(n) = groups.contiguous().filter(|&n| n > 0) else {
        let tops = greatest.run(call, x, &groups, |top| top)?;
        let (_, powers) = zip(call, (x, dims), (&tops, &groups.dims), |x, top| (x - top).exponential())?;
        let sums = sum(|x| x).run(call, &powers, &groups, T::of)?;
        return Ok(zip(call, (&powers, dims), (&sums, &groups.dims), |x, sum| x / sum)?.1);
    };
    let mut out = call.zeros::<T>(dims)?;
    rows(&mut out, n, |start, row| {
        row.copy_from_slice(x.get(start..start + n).unwrap_or_default());
        softmax_row(row);
    });
    Ok(out)
}

/// Softmax of one row, in place.
pub(super) fn softmax_row<T: Math>(row: &mut [T]) {
    let top = Fold { start: T::neg_infinity(), step: greater::<T>, merge: greater::<T> }.slice(row);
    pulp::Arch::new().dispatch(|| row.iter_mut().for_each(|x| *x = (*x - top).exponential()));
    let share = T::of(sum::<T>(|x| x).slice(row));
    pulp::Arch::new().dispatch(|| row.iter_mut().for_each(|x| *x /= share));
}

/// Calls `f(start, row)` for each row of `n` elements, in parallel where there are many.
pub(super) fn rows<T: Send>(out: &mut [T], n: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    use rayon::prelude::*;
    if out.len() <= crate::elementwise::CHUNK {
        out.chunks_mut(n.max(1)).enumerate().for_each(|(i, row)| f(i * n, row));
    } else {
        let batch = (crate::elementwise::CHUNK / n.max(1)).max(1) * n.max(1);
        out.par_chunks_mut(batch).enumerate().for_each(|(b, rows)| {
            rows.chunks_mut(n.max(1)).enumerate().for_each(|(i, row)| f(b * batch + i * n, row));
        });
    }
}

#[cfg(test)]
mod tests {
    use anewrite_tensor::DType;

    use crate::{Arithmetic, Array, Options, Value, evaluate};

    const INF: f64 = f64::INFINITY;

    fn run(kind: &str, x: &Array, more: &[(&str, Value)], arithmetic: Arithmetic) -> Vec<f64> {
        let mut args = vec![("x", Value::from(x.clone()))];
        args.extend(more.iter().cloned());
        let options = Options { arithmetic, ..Options::default() };
        evaluate(kind, &args, options).unwrap()[0].tensor().unwrap().to_f64s().unwrap()
    }

    fn floats(dims: &[u64], items: &[f64]) -> Array {
        Array::new(DType::F32, dims.iter().copied(), items.to_vec()).unwrap()
    }

    fn check(kind: &str, x: &Array, more: &[(&str, Value)], want: &[f64]) {
        for (arithmetic, tolerance) in [(Arithmetic::Fp32, 4e-7), (Arithmetic::Fp64, 1e-12)] {
            let got = run(kind, x, more, arithmetic);
            assert_eq!(got.len(), want.len());
            for (g, w) in got.iter().zip(want) {
                let same = g == w || g.is_nan() && w.is_nan();
                assert!(same || (g - w).abs() <= tolerance * w.abs().max(0.1), "{kind}: {got:?} {want:?}");
            }
        }
    }

    fn number(name: &'static str, x: f64) -> (&'static str, Value) {
        (name, floats(&[], &[x]).into())
    }

    #[test]
    fn functions_of_x_alone() {
        let x = floats(&[4], &[-1.5, 0.0, 0.75, 7.0]);
        // torch.nn.functional of float64: relu6, silu, softplus, softsign, torch.sigmoid
        check("relu", &x, &[], &[0.0, 0.0, 0.75, 7.0]);
        check("relu6", &x, &[], &[0.0, 0.0, 0.75, 6.0]);
        check(
            "sigmoid",
            &x,
            &[],
            &[0.182_425_523_806_356_35, 0.5, 0.679_178_699_175_393, 0.999_088_948_805_599_4],
        );
        check(
            "silu",
            &x,
            &[],
            &[-0.273_638_285_709_534_5, 0.0, 0.509_384_024_381_544_7, 6.993_622_641_639_195],
        );
        check(
            "softplus",
            &x,
            &[],
            &[
                0.201_413_277_982_752_46,
                std::f64::consts::LN_2,
                1.136_871_006_114_899_9,
                7.000_911_466_453_774,
            ],
        );
        check("softsign", &x, &[], &[-0.6, 0.0, 3.0 / 7.0, 0.875]);
        let edges = floats(&[3], &[-INF, INF, f64::NAN]);
        check("relu", &edges, &[], &[0.0, INF, f64::NAN]);
        check("sigmoid", &edges, &[], &[0.0, 1.0, f64::NAN]);
        check("softplus", &edges, &[], &[0.0, INF, f64::NAN]);
        // 1 / (1 + exp(100))
        assert!(run("sigmoid", &floats(&[1], &[-100.0]), &[], Arithmetic::Fp32)[0] > 0.0);
    }

    #[test]
    fn gelu_in_three_ways() {
        let x = floats(&[3], &[-1.5, 0.75, 3.0]);
        let mode = |m: &str| ("mode", Value::from(Array::texts([], vec![m.into()]).unwrap()));
        // torch.nn.functional.gelu of float64, and with approximate="tanh"; x * sigmoid(1.702 x)
        let exact = [-0.100_210_801_903_287_06, 0.580_029_485_717_348_9, 2.995_950_305_905_11];
        check("gelu", &x, &[], &exact);
        check("gelu", &x, &[mode("EXACT")], &exact);
        check(
            "gelu",
            &x,
            &[mode("TANH_APPROXIMATION")],
            &[-0.100_428_423_019_767_07, 0.579_960_555_165_620_3, 2.996_362_607_918_227],
        );
        let s = |x: f64| x / (1.0 + (-1.702 * x).exp());
        check("gelu", &x, &[mode("SIGMOID_APPROXIMATION")], &[s(-1.5), s(0.75), s(3.0)]);
    }

    #[test]
    fn functions_with_parameters() {
        let x = floats(&[3], &[-2.0, 0.5, 3.0]);
        let (a, b) = (number("alpha", 0.3), number("beta", 0.25));
        // the formulas of the ops' documentation, in float64
        check("leaky_relu", &x, std::slice::from_ref(&a), &[-0.6, 0.5, 3.0]);
        check("elu", &x, std::slice::from_ref(&a), &[0.3 * ((-2f64).exp() - 1.0), 0.5, 3.0]);
        check("thresholded_relu", &x, &[number("alpha", 0.5)], &[0.0, 0.5, 3.0]);
        check("clamped_relu", &x, &[a.clone(), number("beta", 2.0)], &[-0.6, 0.5, 2.0]);
        check("linear_activation", &x, &[a.clone(), b.clone()], &[-0.35, 0.4, 1.15]);
        check("sigmoid_hard", &x, &[a.clone(), b.clone()], &[0.0, 0.4, 1.0]);
        let tanh = |x: f64| 0.3 * (0.25 * x).tanh();
        check("scaled_tanh", &x, &[a, b], &[tanh(-2.0), tanh(0.5), tanh(3.0)]);
    }

    #[test]
    fn parameters_for_each_channel() {
        let x = floats(&[1, 2, 1, 2], &[-1.0, 2.0, -3.0, 4.0]);
        let slopes = ("alpha", Value::from(floats(&[2], &[0.5, 2.0])));
        check("prelu", &x, std::slice::from_ref(&slopes), &[-0.5, 2.0, -6.0, 4.0]);
        let beta = ("beta", Value::from(floats(&[2], &[1.0, -0.5])));
        let f = |a: f64, b: f64, x: f64| a * (b * x).exp().ln_1p();
        check(
            "softplus_parametric",
            &x,
            &[slopes, beta],
            &[f(0.5, 1.0, -1.0), f(0.5, 1.0, 2.0), f(2.0, -0.5, -3.0), f(2.0, -0.5, 4.0)],
        );
    }

    #[test]
    fn softmax_along_any_axis() {
        let x = floats(&[2, 3], &[1.0, 2.0, 4.0, -1.0, 900.0, 900.0]);
        // scipy.special.softmax along axes 1 and 0
        let last =
            [0.042_010_066_134_066_05, 0.114_195_199_384_594_49, 0.843_794_734_481_339_5, 0.0, 0.5, 0.5];
        check("softmax", &x, &[], &last);
        let axis = ("axis", Value::from(Array::new(DType::I32, [], vec![0i64]).unwrap()));
        let first = [0.880_797_077_977_882_4, 0.0, 0.0, 0.119_202_922_022_117_55, 1.0, 1.0];
        check("softmax", &x, &[axis], &first);
        // torch.softmax: a row without any finite number has no result
        check("softmax", &floats(&[1, 2], &[-INF, -INF]), &[], &[f64::NAN, f64::NAN]);
        check("softmax", &floats(&[1, 3], &[-INF, 0.0, 0.0]), &[], &[0.0, 0.5, 0.5]);
    }
}
