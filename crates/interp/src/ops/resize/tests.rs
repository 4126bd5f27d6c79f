//! Expected values are those of coremltools' tests of the ops, which their makers check on the runtime, of torch's
//! `interpolate`, and of the grids that the documentation of the ops lists.

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
            assert!((h - w).abs() < 2e-6, "{:?}\n{want:?}", y.to_f64s());
        }
    }
}

#[test]
fn grids_between_two_elements() {
    let x = floats(&[1, 1, 2], &[0.0, 1.0]);
    for (mode, five, six) in [
        ("UNALIGN_CORNERS", [0.0, 0.1, 0.5, 0.9, 1.0], [0.0, 0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0, 1.0]),
        ("STRICT_ALIGN_CORNERS", [0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ("ALIGN_CORNERS", [0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ("DEFAULT", [0.0, 0.4, 0.8, 1.0, 1.0], [0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0, 1.0, 1.0]),
        (
            "OFFSET_CORNERS",
            [0.1, 0.3, 0.5, 0.7, 0.9],
            [1.0 / 12.0, 0.25, 5.0 / 12.0, 7.0 / 12.0, 0.75, 11.0 / 12.0],
        ),
    ] {
        for want in [&five[..], &six] {
            let n = want.len() as u64;
            let args = [
                ("x", x.clone()),
                ("target_size_height", ints(&[], &[1])),
                ("target_size_width", ints(&[], &[n as i64])),
                ("sampling_mode", text(mode)),
            ];
            check("resize_bilinear", &args, &[1, 1, n], want);
            let args = [
                ("x", x.clone()),
                ("shape", ints(&[3], &[9, 0, n as i64])),
                ("resized_dims", ints(&[], &[2])),
                ("sampling_mode", text(mode)),
            ];
            check("resize", &args, &[1, 1, n], want);
        }
    }
}

#[test]
fn a_single_sample() {
    let x = floats(&[1, 1, 4], &[0.0, 1.0, 2.0, 3.0]);
    for (mode, want) in [
        ("STRICT_ALIGN_CORNERS", 0.0),
        ("ALIGN_CORNERS", 1.5),
        ("DEFAULT", 0.0),
        ("OFFSET_CORNERS", 1.5),
        ("UNALIGN_CORNERS", 1.5),
    ] {
        check("resize_bilinear", &[("x", x.clone()), ("sampling_mode", text(mode))], &[1, 1, 1], &[want]);
    }
}

#[test]
fn upsampling_as_torch_has_it() {
    // F.interpolate(x, scale_factor=(1.5, 2.75), mode="bilinear", recompute_scale_factor=True, align_corners=...)
    let x = floats(&[1, 1, 2, 2], &[1.0, -2.0, 4.0, 0.5]);
    let factor = |f: f32| floats(&[], &[f]);
    let args = |corners| {
        [
            ("x", x.clone()),
            ("scale_factor_height", factor(1.5)),
            ("scale_factor_width", factor(2.75)),
            ("align_corners", flag(corners)),
        ]
    };
    let aligned =
        [1.0, 0.25, -0.5, -1.25, -2.0, 2.5, 1.6875, 0.875, 0.0625, -0.75, 4.0, 3.125, 2.25, 1.375, 0.5];
    check("upsample_bilinear", &args(true), &[1, 1, 3, 5], &aligned);
    let centred = [1.0, 0.7, -0.5, -1.7, -2.0, 2.5, 2.175, 0.875, -0.425, -0.75, 4.0, 3.65, 2.25, 0.85, 0.5];
    check("upsample_bilinear", &args(false), &[1, 1, 3, 5], &centred);
}

#[test]
fn upsampling_without_half_pixel_centres() {
    let x = floats(&[1, 1, 1, 2], &[1.0, 2.0]);
    let args = |corners, centres| {
        [
            ("x", x.clone()),
            ("scale_factor_height", ints(&[], &[2])),
            ("scale_factor_width", ints(&[], &[3])),
            ("align_corners", flag(corners)),
            ("half_pixel_centers", flag(centres)),
        ]
    };
    let row = [1.0, 4.0 / 3.0, 5.0 / 3.0, 2.0, 2.0, 2.0];
    check("upsample_bilinear", &args(false, false), &[1, 1, 2, 6], &[row, row].concat());
    let row = [1.0, 1.2, 1.4, 1.6, 1.8, 2.0];
    check("upsample_bilinear", &args(true, false), &[1, 1, 2, 6], &[row, row].concat());
    assert!(run("upsample_bilinear", &args(true, true), Arithmetic::Fp64).is_err());
}

#[test]
fn nearest_elements() {
    let x = floats(&[1, 1, 1, 3], &[1.5, -2.5, 3.5]);
    let factors = |h: f32, w: f32| {
        [
            ("x", x.clone()),
            ("scale_factor_height", floats(&[], &[h])),
            ("scale_factor_width", floats(&[], &[w])),
        ]
    };
    let want = [1.5, -2.5, 1.5, -2.5, 1.5, -2.5];
    check("upsample_nearest_neighbor", &factors(3.17, 0.67), &[1, 1, 3, 2], &want);
    let want = [1.5, -2.5, 3.5, 1.5, -2.5, 3.5];
    check("upsample_nearest_neighbor", &factors(2.0, 1.12), &[1, 1, 2, 3], &want);
    // F.interpolate(x, (2, 7), mode="nearest")
    let args =
        [("x", x.clone()), ("target_size_height", ints(&[], &[2])), ("target_size_width", ints(&[], &[7]))];
    let row = [1.5, 1.5, 1.5, -2.5, -2.5, 3.5, 3.5];
    check("resize_nearest_neighbor", &args, &[1, 1, 2, 7], &[row, row].concat());
    let x = ints(&[1, 1, 1, 2, 1], &[-6, 9]);
    let args = [
        ("x", x),
        ("shape", ints(&[4], &[1, 1, 3, 2])),
        ("resized_dims", ints(&[], &[2])),
        ("interpolation_mode", text("NEAREST_NEIGHBOR")),
    ];
    // as in coremltools' test_resize_nearest_neighbor
    check("resize", &args, &[1, 1, 1, 3, 2], &[-6.0, -6.0, 9.0, 9.0, 9.0, 9.0]);
}

#[test]
fn cropping() {
    let x: Vec<f32> = (1..=16).map(|i| i as f32).collect();
    let args = |h: [i64; 2]| {
        [
            ("x", floats(&[1, 1, 4, 4], &x)),
            ("crop_height", ints(&[2], &h)),
            ("crop_width", ints(&[2], &[1, 1])),
        ]
    };
    check("crop", &args([0, 1]), &[1, 1, 3, 2], &[2.0, 3.0, 6.0, 7.0, 10.0, 11.0]);
    assert!(run("crop", &args([3, 2]), Arithmetic::Fp64).is_err());
}

#[test]
fn extents_that_memory_cannot_hold_are_refused() {
    let x = floats(&[1, 1, 1, 2], &[1.0, 2.0]);
    let large = ints(&[], &[i64::from(i32::MAX)]);
    let args = [("x", x), ("target_size_height", large.clone()), ("target_size_width", large)];
    for kind in ["resize_bilinear", "resize_nearest_neighbor"] {
        assert!(matches!(run(kind, &args, Arithmetic::Fp64), Err(EvalError::Memory { .. })), "{kind}");
    }
    let none = Array::new(DType::F32, [1, 1, 0, 2], Vec::<f32>::new()).unwrap();
    let args = [("x", none), ("target_size_height", ints(&[], &[2])), ("target_size_width", ints(&[], &[2]))];
    assert!(run("resize_bilinear", &args, Arithmetic::Fp64).is_err());
}
