//! Convolutions large enough for every way to compute them. Data, weights and biases are the whole numbers
//! `seq(n, a, m)`: `i * a % m - m / 2`, so that sums are exact; a result is told by `Σ y[i] · seq(…, 3, 13)[i]`, which
//! torch 2.7 gave for `F.conv2d(F.pad(x, …), w, b, …)` and its kin in float64.

use crate::testing::{flag, floats, int, int_list, numbers, on, text};
use crate::{EvalError, Value};

/// `(torch.arange(n) * a) % m - m // 2`
pub(crate) fn seq(n: u64, a: u64, m: u64) -> Vec<f32> {
    (0..n).map(|i| (i * a % m) as f32 - (m / 2) as f32).collect()
}

pub(crate) fn tensor(dims: &[u64], a: u64, m: u64) -> Value {
    floats(dims, &seq(dims.iter().product(), a, m))
}

/// `(y.flatten() * seq(y.numel(), 3, 13)).sum()`
pub(crate) fn told(y: &Value) -> f64 {
    let y = numbers(y);
    seq(y.len() as u64, 3, 13).into_iter().zip(y).map(|(s, y)| f64::from(s) * y).sum()
}

struct Case<'a> {
    op: &'a str,
    x: &'a [u64],
    weight: &'a [u64],
    bias: u64,
    strides: &'a [i64],
    dilations: &'a [i64],
    pad: &'a [i64],
    groups: i64,
}

const PLAIN: Case<'static> =
    Case { op: "conv", x: &[], weight: &[], bias: 0, strides: &[], dilations: &[], pad: &[], groups: 1 };

fn run(case: &Case<'_>) -> Result<f64, EvalError> {
    let mut args = vec![
        ("x", tensor(case.x, 7, 11)),
        ("weight", tensor(case.weight, 5, 9)),
        ("pad_type", text(if case.pad.is_empty() { "valid" } else { "custom" })),
        ("groups", int(case.groups)),
    ];
    if case.bias > 0 {
        args.push(("bias", tensor(&[case.bias], 2, 5)));
    }
    for (name, list) in [("strides", case.strides), ("dilations", case.dilations), ("pad", case.pad)] {
        if !list.is_empty() {
            args.push((name, int_list(list)));
        }
    }
    Ok(told(&on(case.op, &args)?))
}

#[test]
fn columns_in_blocks() {
    let case = Case { x: &[2, 40, 31, 29], weight: &[24, 40, 3, 3], bias: 24, ..PLAIN };
    assert_eq!(run(&Case { strides: &[1, 2], pad: &[1, 2, 0, 1], ..case }).unwrap(), -9045.0);
    let deep = Case { x: &[1, 150, 23, 41], weight: &[36, 150, 3, 3], pad: &[1, 1, 1, 1], ..PLAIN };
    assert_eq!(run(&deep).unwrap(), -769.0);
    let few = Case { x: &[1, 300, 5, 7], weight: &[20, 300, 3, 3], bias: 20, pad: &[1, 1, 1, 1], ..PLAIN };
    assert_eq!(run(&few).unwrap(), -534.0);
}

#[test]
fn groups_and_single_channels() {
    let depthwise = Case { x: &[2, 6, 17, 23], weight: &[12, 1, 3, 5], bias: 12, groups: 6, ..PLAIN };
    let depthwise = Case { strides: &[2, 3], dilations: &[2, 1], pad: &[2, 1, 0, 3], ..depthwise };
    assert_eq!(run(&depthwise).unwrap(), 679.0);
    let grouped = Case { x: &[1, 12, 19, 21], weight: &[8, 6, 2, 3], bias: 8, groups: 2, ..PLAIN };
    assert_eq!(run(&Case { dilations: &[3, 2], ..grouped }).unwrap(), -1702.0);
    let pointwise = Case { x: &[3, 10, 9, 7], weight: &[14, 5, 1, 1], bias: 14, groups: 2, ..PLAIN };
    assert_eq!(run(&pointwise).unwrap(), 581.0);
}

#[test]
fn one_and_three_spatial_axes() {
    let one = Case { x: &[2, 5, 401], weight: &[7, 5, 9], bias: 7, strides: &[4], pad: &[3, 6], ..PLAIN };
    assert_eq!(run(&one).unwrap(), 234.0);
    let three = Case { x: &[1, 4, 7, 9, 11], weight: &[6, 4, 2, 3, 3], strides: &[1, 2, 1], ..PLAIN };
    let three = Case { dilations: &[2, 1, 1], pad: &[1, 0, 2, 1, 1, 1], ..three };
    assert_eq!(run(&three).unwrap(), 1688.0);
}

#[test]
fn transposed() {
    let plain = Case { op: "conv_transpose", ..PLAIN };
    let two = Case { x: &[2, 30, 13, 17], weight: &[30, 10, 4, 3], bias: 10, strides: &[2, 3], ..plain };
    assert_eq!(run(&Case { dilations: &[1, 2], ..two }).unwrap(), 6467.0);
    let grouped = Case { x: &[1, 8, 37, 45], weight: &[8, 5, 3, 3], bias: 10, groups: 2, ..plain };
    assert_eq!(run(&Case { strides: &[2, 2], ..grouped }).unwrap(), 1800.0);
    let three = Case { x: &[1, 3, 4, 5, 6], weight: &[3, 4, 2, 3, 3], bias: 4, ..plain };
    assert_eq!(run(&Case { strides: &[2, 1, 3], ..three }).unwrap(), 571.0);
}

#[test]
fn misfits_are_errors() {
    let fits = Case { x: &[1, 4, 5, 6], weight: &[3, 4, 2, 3], bias: 3, ..PLAIN };
    assert!(run(&fits).is_ok());
    for wrong in [
        Case { weight: &[3, 3, 2, 3], ..fits },
        Case { weight: &[3, 4, 6, 3], ..fits },
        Case { weight: &[3, 4, 0, 3], ..fits },
        Case { weight: &[3, 4, 2], ..fits },
        Case { bias: 4, ..fits },
        Case { groups: 0, ..fits },
        Case { groups: 4, weight: &[3, 1, 2, 3], ..fits },
        Case { strides: &[1, 0], ..fits },
        Case { strides: &[1], ..fits },
        Case { dilations: &[1, i64::MAX], ..fits },
        Case { pad: &[1, 1, -1, 1], ..fits },
        Case { op: "conv_transpose", weight: &[3, 4, 2, 3], ..fits },
    ] {
        assert!(run(&wrong).is_err(), "{:?} {:?}", wrong.x, wrong.weight);
    }
    let empty = Case { x: &[0, 4, 5, 6], ..fits };
    assert_eq!(run(&empty).unwrap(), 0.0);
    let x = tensor(&[1, 2, 5], 7, 11);
    let args =
        [("x", x), ("kernel_sizes", int_list(&[6])), ("pad_type", text("valid")), ("ceil_mode", flag(true))];
    assert!(on("max_pool", &args).is_err());
}
