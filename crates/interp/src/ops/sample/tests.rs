//! Expected values are those of coremltools' tests of the ops, which their makers check on the runtime.

use anewrite_tensor::DType;

use crate::{Arithmetic, Array, EvalError, Options, Value, evaluate};

fn floats(dims: &[u64], items: &[f32]) -> Array {
    Array::new(DType::F32, dims.iter().copied(), items.to_vec()).unwrap()
}

fn ints(dims: &[u64], items: &[i64]) -> Array {
    Array::new(DType::I32, dims.iter().copied(), items.to_vec()).unwrap()
}

fn text(s: &str) -> Array {
    Array::texts([], vec![s.into()]).unwrap()
}

fn flag(b: bool) -> Array {
    Array::new(DType::Bool, [], vec![b]).unwrap()
}

fn run(kind: &str, args: &[(&str, Array)], arithmetic: Arithmetic) -> Result<Array, EvalError> {
    let args: Vec<(&str, Value)> = args.iter().map(|(n, a)| (*n, a.clone().into())).collect();
    let out = evaluate(kind, &args, Options { arithmetic, ..Options::default() })?;
    Ok(out[0].tensor()?.clone())
}

#[track_caller]
fn check(kind: &str, args: &[(&str, Array)], dims: &[u64], want: &[f64]) {
    for arithmetic in [Arithmetic::Fp64, Arithmetic::Fp32] {
        let y = run(kind, args, arithmetic).unwrap();
        assert_eq!(y.dims(), dims);
        for (h, w) in y.to_f64s().unwrap().iter().zip(want) {
            assert!((h - w).abs() < 1e-5, "{:?}\n{want:?}", y.to_f64s());
        }
    }
}

fn sixteen() -> Array {
    floats(&[1, 1, 4, 4], &(1..=16).map(|i| i as f32).collect::<Vec<_>>())
}

fn boxed(roi: &[f32], size: i64, normalized: bool) -> Vec<(&'static str, Array)> {
    vec![
        ("x", sixteen()),
        ("roi", floats(&[1, 1, roi.len() as u64, 1, 1], roi)),
        ("target_height", ints(&[], &[size])),
        ("target_width", ints(&[], &[size])),
        ("normalized_coordinates", flag(normalized)),
        ("sampling_mode", text("ALIGN_CORNERS")),
    ]
}

#[test]
fn boxes_of_one_image() {
    let dims = |n| [1, 1, 1, n, n];
    check("crop_resize", &boxed(&[1.0, 1.0, 2.0, 2.0], 2, false), &dims(2), &[6.0, 7.0, 10.0, 11.0]);
    let third = 1.0 / 3.0;
    let want: Vec<f64> =
        (0..16).map(|i| 6.0 + f64::from(i / 4) * 4.0 * third + f64::from(i % 4) * third).collect();
    check("crop_resize", &boxed(&[1.0, 1.0, 2.0, 2.0], 4, false), &dims(4), &want);
    check("crop_resize", &boxed(&[1.0, 1.0, 2.0, 2.0], 1, false), &dims(1), &[8.5]);
    let third = third as f32;
    let named = [0.0, 0.0, 0.0, third, third];
    check("crop_resize", &boxed(&named, 2, true), &dims(2), &[1.0, 2.0, 5.0, 6.0]);
    check("crop_resize", &boxed(&[2.0, 2.0, 1.0, 1.0], 2, false), &dims(2), &[11.0, 10.0, 7.0, 6.0]);
}

#[test]
fn boxes_beyond_the_image_are_padded() {
    let boxes = [0.1, 0.3, 1.3, 1.0, 0.5, 1.8, 1.0, 0.3, 0.0, 0.4, 0.6, 0.7];
    let want = [3.1, 5.2, 10.0, 10.0, 10.0, 7.9, 10.0, 13.9, 2.2, 3.1, 9.4, 10.3];
    let size = |args: &mut Vec<(&'static str, Array)>| {
        args.extend([
            ("target_height", ints(&[], &[2])),
            ("target_width", ints(&[], &[2])),
            ("normalized_coordinates", flag(true)),
            ("sampling_mode", text("ALIGN_CORNERS")),
            ("pad_value", floats(&[], &[10.0])),
        ]);
    };
    let mut args =
        vec![("x", sixteen()), ("boxes", floats(&[3, 4], &boxes)), ("box_indices", ints(&[3], &[0, 0, 0]))];
    size(&mut args);
    check("crop_resize", &args, &[3, 1, 2, 2], &want);
    let named: Vec<f32> = boxes.chunks(4).flat_map(|b| [&[0.0], b].concat()).collect();
    let mut args = vec![("x", sixteen()), ("roi", floats(&[3, 1, 5, 1, 1], &named))];
    size(&mut args);
    check("crop_resize", &args, &[3, 1, 1, 2, 2], &want);
}

#[test]
fn a_box_of_an_image_that_is_not_there_is_an_error() {
    for at in [-1, 1] {
        let args =
            [("x", sixteen()), ("boxes", floats(&[1, 4], &[0.0; 4])), ("box_indices", ints(&[1], &[at]))];
        assert!(run("crop_resize", &args, Arithmetic::Fp64).is_err());
    }
    let args = [("x", sixteen()), ("boxes", floats(&[2, 4], &[0.0; 8]))];
    assert!(run("crop_resize", &args, Arithmetic::Fp64).is_err());
}

const PLACES: [f32; 8] = [-1.0, -2.0, -3.7, -1.0, 0.0, 0.0, 3.5, 1.2];

fn places(how: &str, beyond: &str, written: &str, corners: bool, at: Array) -> [(&'static str, Array); 7] {
    [
        ("x", floats(&[1, 1, 2, 2], &[11.0, 22.0, 33.0, 44.0])),
        ("coordinates", at),
        ("sampling_mode", text(how)),
        ("padding_mode", text(beyond)),
        ("padding_value", floats(&[], &[6.17])),
        ("coordinates_mode", text(written)),
        ("align_corners", flag(corners)),
    ]
}

#[test]
fn places_in_every_mode() {
    for (how, beyond, written, corners, want) in [
        ("bilinear", "constant", "normalized_minus_one_to_one", true, [8.585, 6.17, 27.5, 6.17]),
        ("nearest", "border", "unnormalized", false, [11.0, 11.0, 11.0, 44.0]),
        ("bilinear", "reflection", "normalized_zero_to_one", true, [22.0, 36.3, 11.0, 34.1]),
        ("nearest", "symmetric", "normalized_zero_to_one", false, [22.0, 33.0, 11.0, 33.0]),
    ] {
        let at = floats(&[1, 2, 2, 2], &PLACES);
        check("resample", &places(how, beyond, written, corners, at), &[1, 1, 2, 2], &want);
    }
    let whole = ints(&[1, 2, 2, 2], &[0, 0, 1, 1, 0, 0, 1, 1]);
    let args = places("bilinear", "constant", "normalized_minus_one_to_one", true, whole);
    check("resample", &args, &[1, 1, 2, 2], &[27.5, 44.0, 27.5, 44.0]);
}

#[test]
fn places_that_are_nowhere_do_no_harm() {
    let wild = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.5, -0.0, f32::NAN];
    for how in ["bilinear", "nearest"] {
        for beyond in ["constant", "border", "reflection", "symmetric"] {
            for written in ["unnormalized", "normalized_minus_one_to_one", "normalized_zero_to_one"] {
                let args = places(how, beyond, written, true, floats(&[1, 2, 2, 2], &wild));
                assert_eq!(run("resample", &args, Arithmetic::Fp64).unwrap().len(), 4);
            }
        }
    }
}

#[test]
fn affine_maps() {
    let args = |h: i64, w: i64| {
        [
            ("x", floats(&[1, 1, 2, 2], &[11.0, 22.0, 33.0, 44.0])),
            ("transform_matrix", floats(&[1, 6], &[-1.0, -2.0, -3.7, -1.0, 3.5, 1.2])),
            ("output_height", ints(&[], &[h])),
            ("output_width", ints(&[], &[w])),
            ("sampling_mode", text("bilinear")),
            ("padding_mode", text("constant")),
            ("padding_value", floats(&[], &[0.0])),
            ("coordinates_mode", text("normalized_minus_one_to_one")),
            ("align_corners", flag(true)),
        ]
    };
    let want = [10.7525, 2.5025, 0.0, 1.98, 0.0, 0.0, 0.0, 0.0, 0.0];
    check("affine", &args(3, 3), &[1, 1, 3, 3], &want);
    let want = [10.7525, 5.94, 2.5025, 0.44, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    check("affine", &args(2, 5), &[1, 1, 2, 5], &want);
}
