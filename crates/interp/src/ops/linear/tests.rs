//! Products of matrices and by equation, told as in the tests of convolutions: expected values are of torch 2.7.

use crate::ops::conv::tests::{seq, tensor, told};
use crate::testing::{numbers, on, text};
use crate::{Accumulator, Arithmetic, Array, Numerics, Options, evaluate};
use anewrite_tensor::DType;

#[test]
fn matrices_broadcast() {
    // seq(a, 7, 11).reshape(a) @ seq(b, 5, 9).reshape(b)
    let product = |a: &[u64], b: &[u64]| {
        told(&on("matmul", &[("x", tensor(a, 7, 11)), ("y", tensor(b, 5, 9))]).unwrap())
    };
    assert_eq!(product(&[3, 1, 17, 33], &[5, 33, 19]), 213.0);
    assert_eq!(product(&[2, 7, 40], &[40, 9]), 38.0);
    assert_eq!(product(&[40], &[3, 40, 9]), 176.0);
    assert_eq!(product(&[2, 9, 40], &[40]), -595.0);
}

#[test]
fn equations() {
    // torch.einsum(equation, seq(…, 7, 11), seq(…, 5, 9), seq(…, 4, 7))
    let sum = |equation: &str, shapes: &[&[u64]]| {
        let steps = [(7, 11), (5, 9), (4, 7)];
        let mut args = vec![("equation", text(equation))];
        args.extend(shapes.iter().zip(steps).map(|(dims, (a, m))| ("values", tensor(dims, a, m))));
        on("einsum", &args).map(|y| told(&y))
    };
    assert_eq!(sum("nchw,nwhu->nchu", &[&[2, 3, 4, 5], &[2, 5, 4, 6]]).unwrap(), 754.0);
    assert_eq!(sum("chw,whr->chr", &[&[3, 4, 5], &[5, 4, 6]]).unwrap(), 135.0);
    assert_eq!(sum("abc,cbd->dac", &[&[3, 4, 5], &[5, 4, 6]]).unwrap(), -1259.0);
    assert_eq!(sum("ii,ij->j", &[&[4, 4], &[4, 3]]).unwrap(), -60.0);
    assert_eq!(sum("ab, bc, cd -> da", &[&[3, 4], &[4, 5], &[5, 2]]).unwrap(), 484.0);
    assert_eq!(sum("abc,ad->db", &[&[3, 4, 5], &[3, 2]]).unwrap(), -281.0);
    assert!(sum("ab,bc->ac", &[&[3, 4], &[5, 2]]).is_err());
    assert!(sum("ab,bc->acx", &[&[3, 4], &[4, 2]]).is_err());
    assert!(sum("ab->a", &[&[3, 4], &[4, 2]]).is_err());
}

/// Sums of the fixed-point accumulator differ from plain ones in each op that the array of multipliers computes.
#[test]
fn switches_reach_every_op_with_products() {
    let half = |dims: &[u64], items: Vec<f32>| Array::new(DType::F16, dims.iter().copied(), items).unwrap();
    let (big, ones) = (vec![16384.0, 16384.0, -16384.0, 1.0], vec![1.0; 4]);
    let numerics = Numerics { accumulator: Accumulator::Fixed, ..Numerics::PLAIN };
    let plain_and_fixed = |op: &str, args: &[(&str, crate::Value)]| {
        [Numerics::PLAIN, numerics].map(|n| {
            let options = Options { arithmetic: Arithmetic::Ane16(n), ..Options::default() };
            numbers(&evaluate(op, args, options).unwrap()[0])[0]
        })
    };
    let want = [16384.0, f64::INFINITY];
    let x = || half(&[1, 4], big.clone()).into();
    assert_eq!(
        plain_and_fixed("linear", &[("x", x()), ("weight", half(&[1, 4], ones.clone()).into())]),
        want
    );
    assert_eq!(plain_and_fixed("matmul", &[("x", x()), ("y", half(&[4, 1], ones.clone()).into())]), want);
    let equation = ("equation", text("ab,bc->ac"));
    let values = [("values", x()), ("values", half(&[4, 1], ones.clone()).into()), equation];
    assert_eq!(plain_and_fixed("einsum", &values), want);
    let conv = |x: &[u64], w: &[u64]| {
        [
            ("x", half(x, big.clone()).into()),
            ("weight", half(w, ones.clone()).into()),
            ("pad_type", text("valid")),
        ]
    };
    assert_eq!(plain_and_fixed("conv", &conv(&[1, 4, 1], &[1, 4, 1])), want);
    assert_eq!(plain_and_fixed("conv", &conv(&[1, 2, 2], &[1, 2, 2])), want);
    assert_eq!(plain_and_fixed("conv_transpose", &conv(&[1, 4, 1], &[4, 1, 1])), want);
    // scores of zero, so that each weight is a quarter
    let value = half(&[1, 4, 1], vec![65504.0, 65504.0, 65504.0, -65504.0]).into();
    let zeros = |dims: &[u64]| half(dims, seq(dims.iter().product(), 0, 1)).into();
    let args = [("query", zeros(&[1, 1, 2])), ("key", zeros(&[1, 4, 2])), ("value", value)];
    assert_eq!(plain_and_fixed("scaled_dot_product_attention", &args), [32752.0, f64::INFINITY]);
}
