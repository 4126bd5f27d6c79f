//! Expected values are from torch in double precision where torch has the layer, else from the formula in numpy; every
//! operand is `sin(i * step + offset)` over its elements.

use anewrite_tensor::DType;

use crate::{Arithmetic, Array, Options, Value, evaluate};

const STEPS: u64 = 3;
const BATCH: u64 = 2;
const INPUT: u64 = 3;
const HIDDEN: u64 = 2;

fn ramp(dims: &[u64], step: f64) -> Array {
    let n = dims.iter().product::<u64>();
    let items: Vec<f64> = (0..n).map(|i| (i as f64 * step + 0.3).sin()).collect();
    Array::new(DType::F32, dims.iter().copied(), items).unwrap()
}

fn text(s: &str) -> Array {
    Array::texts([], vec![s.into()]).unwrap()
}

fn yes() -> Array {
    Array::new(DType::Bool, [], vec![true]).unwrap()
}

fn number(x: f32) -> Array {
    Array::new(DType::F32, [], vec![x]).unwrap()
}

fn args(gates: u64, directions: u64) -> Vec<(&'static str, Array)> {
    vec![
        ("x", ramp(&[STEPS, BATCH, INPUT], 0.7)),
        ("initial_h", ramp(&[BATCH, HIDDEN * directions], 0.5)),
        ("weight_ih", ramp(&[gates * HIDDEN, INPUT], 1.1)),
        ("weight_hh", ramp(&[gates * HIDDEN, HIDDEN], 0.9)),
        ("bias", ramp(&[gates * HIDDEN], 1.3)),
        ("output_sequence", yes()),
    ]
}

fn lstm(directions: u64) -> Vec<(&'static str, Array)> {
    let mut all = args(4, directions);
    all.push(("initial_c", ramp(&[BATCH, HIDDEN * directions], 0.2)));
    all
}

fn run(kind: &str, args: Vec<(&'static str, Array)>, arithmetic: Arithmetic) -> Vec<(Vec<u64>, Vec<f64>)> {
    let args: Vec<(&str, Value)> = args.into_iter().map(|(n, a)| (n, a.into())).collect();
    let out = evaluate(kind, &args, Options { arithmetic, ..Options::default() }).unwrap();
    let array = |v: &Value| v.tensor().map(|a| (a.dims().to_vec(), a.to_f64s().unwrap())).unwrap();
    out.iter().map(array).collect()
}

#[track_caller]
fn check(kind: &str, args: &[(&'static str, Array)], want: &[(&[u64], &[f64])]) {
    for (arithmetic, within) in [(Arithmetic::Fp64, 2e-9), (Arithmetic::Fp32, 2e-6)] {
        let have = run(kind, args.to_vec(), arithmetic);
        assert!(have.len() >= want.len());
        for (i, ((dims, have), (want_dims, want))) in have.iter().zip(want).enumerate() {
            assert_eq!(dims, want_dims, "result {i}");
            for (h, w) in have.iter().zip(*want) {
                assert!((h - w).abs() <= within, "result {i}: {have:?}\nwant {want:?}");
            }
        }
    }
}

const ALL: [u64; 3] = [STEPS, BATCH, HIDDEN];
const STATE: [u64; 2] = [BATCH, HIDDEN];
/// `torch.nn.LSTM` with its gates reordered.
const FORWARD: [f64; 12] = [
    0.526607539,
    0.081446657,
    0.329778432,
    0.115610853,
    -0.016371183,
    0.686341743,
    0.527509321,
    -0.007424730,
    0.308729705,
    0.022411727,
    -0.006864594,
    0.615659427,
];

#[test]
fn lstm_forward() {
    let cell = [0.566044479, 0.067219401, -0.048088492, 0.850862875];
    check("lstm", &lstm(1), &[(&ALL, &FORWARD), (&STATE, &FORWARD[8..]), (&STATE, &cell)]);
    let mut last = lstm(1);
    last.retain(|(n, _)| *n != "output_sequence");
    check("lstm", &last, &[(&[1, BATCH, HIDDEN], &FORWARD[8..]), (&STATE, &FORWARD[8..]), (&STATE, &cell)]);
}

#[test]
fn lstm_reverse_gives_outputs_in_the_order_of_computation() {
    // torch.nn.LSTM of x.flip(0)
    let y = [
        0.403872070,
        -0.002643457,
        -0.163015687,
        0.725834367,
        -0.009896210,
        0.611983718,
        0.293411613,
        0.092885998,
        0.424363367,
        0.069750527,
        0.361888702,
        -0.176577733,
    ];
    let cell = [0.714991433, 0.218379886, 0.777134885, -0.430156732];
    let mut a = lstm(1);
    a.push(("direction", text("reverse")));
    check("lstm", &a, &[(&ALL, &y), (&STATE, &y[8..]), (&STATE, &cell)]);
}

#[test]
fn lstm_in_both_directions() {
    // torch.nn.LSTM of x, and of x.flip(0) flipped back, side by side
    let y = [
        0.526607539,
        0.081446657,
        -0.553967659,
        0.028092294,
        0.482958773,
        -0.057296071,
        -0.316423909,
        -0.008185809,
        -0.016371183,
        0.686341743,
        0.008497570,
        -0.245743701,
        0.590138254,
        -0.055561427,
        -0.384123175,
        0.060588032,
        0.308729705,
        0.022411727,
        -0.020405083,
        -0.035496070,
        0.000339926,
        0.586368665,
        0.104003621,
        0.232991974,
    ];
    let h = [
        0.308729705,
        0.022411727,
        -0.553967659,
        0.028092294,
        0.000339926,
        0.586368665,
        -0.316423909,
        -0.008185809,
    ];
    let c = [
        0.566044479,
        0.067219401,
        -0.810157137,
        0.219133241,
        0.002343852,
        0.785205001,
        -0.740626963,
        -0.016551367,
    ];
    let mut a = lstm(2);
    a.push(("direction", text("bidirectional")));
    a.push(("weight_ih_back", ramp(&[4 * HIDDEN, INPUT], 0.6)));
    a.push(("weight_hh_back", ramp(&[4 * HIDDEN, HIDDEN], 0.4)));
    a.push(("bias_back", ramp(&[4 * HIDDEN], 0.8)));
    let wide = [BATCH, 2 * HIDDEN];
    check("lstm", &a, &[(&[STEPS, BATCH, 2 * HIDDEN], &y), (&wide, &h), (&wide, &c)]);
    a.retain(|(n, _)| *n != "output_sequence");
    check("lstm", &a, &[(&[1, BATCH, 2 * HIDDEN], &h), (&wide, &h), (&wide, &c)]);
}

#[test]
fn lstm_with_peepholes_a_clipped_cell_and_other_activations() {
    // i, f += p * c; c = clip(f * c + i * max(n, 0), -0.4, 0.4); o += p * c; h = clip(0.2 * o + 0.5, 0, 1) * c
    let y = [
        0.400000000,
        0.000000000,
        0.400000000,
        0.002504922,
        0.000000000,
        0.400000000,
        0.400000000,
        0.000000000,
        0.324137104,
        0.006388093,
        0.000000000,
        0.400000000,
    ];
    let mut a = lstm(1);
    a[0].1 = Array::new(
        DType::F32,
        [STEPS, BATCH, INPUT],
        a[0].1.to_f64s().unwrap().iter().map(|x| 3.0 * x).collect(),
    )
    .unwrap();
    a.push(("peephole", ramp(&[3 * HIDDEN], 2.1)));
    a.push(("clip", number(0.4)));
    a.push(("recurrent_activation", text("hard_sigmoid")));
    a.push(("cell_activation", text("relu")));
    a.push(("activation", text("linear")));
    let cell = [0.4f32.into(), 0.058024432, 0.0, 0.4f32.into()];
    let y = y.map(|v: f64| if v == 0.4 { 0.4f32.into() } else { v });
    for (have, want) in run("lstm", a, Arithmetic::Fp64).iter().zip([&y[..], &y[8..], &cell]) {
        for (h, w) in have.1.iter().zip(want) {
            assert!((h - w).abs() < 1e-8, "{have:?} {want:?}");
        }
    }
}

#[test]
fn gru_resets_the_state_before_the_product() {
    // r, z = sigmoid(...); o = tanh(x Wo + (h * r) Ro + bo); h = (1 - z) * o + z * h
    let y = [
        0.407410109,
        -0.435519826,
        0.682973328,
        -0.311844435,
        -0.639992791,
        -0.356566166,
        0.746134891,
        -0.652078646,
        0.343449514,
        -0.596222715,
        -0.508128637,
        -0.576571425,
    ];
    check("gru", &args(3, 1), &[(&ALL, &y), (&STATE, &y[8..])]);
    let y = [
        0.116834708,
        -0.308744608,
        -0.271987695,
        0.906898367,
        -0.710050823,
        -0.227450933,
        0.079896798,
        -0.447824532,
        0.358671255,
        -0.625856135,
        0.425616041,
        -0.656770247,
    ];
    let mut a = args(3, 1);
    a.push(("direction", text("reverse")));
    check("gru", &a, &[(&ALL, &y), (&STATE, &y[8..])]);
}

#[test]
fn gru_resets_after_the_product() {
    // torch.nn.GRU with its gates reordered; `bias` is that of the state, `input_bias` that of the input
    let y = [
        0.359213578,
        0.078964491,
        0.890929201,
        0.294674862,
        -0.338165533,
        0.124719252,
        0.893229755,
        -0.144930239,
        0.082171407,
        0.112615521,
        -0.094978573,
        -0.101770092,
    ];
    let mut a = args(3, 1);
    a.push(("reset_after", yes()));
    a.push(("input_bias", ramp(&[3 * HIDDEN], 0.37)));
    check("gru", &a, &[(&ALL, &y), (&STATE, &y[8..])]);
}

#[test]
fn rnn_with_relu() {
    // torch.nn.RNN(nonlinearity="relu")
    let y = [
        2.561499627,
        0.000000000,
        1.362343944,
        1.912542212,
        0.000000000,
        4.700351905,
        4.002917123,
        0.997566852,
        4.522680269,
        1.635145526,
        1.041243566,
        6.071609231,
    ];
    let mut a = args(1, 1);
    a.push(("activation", text("relu")));
    check("rnn", &a, &[(&ALL, &y), (&STATE, &y[8..])]);
}

#[test]
fn misfits_are_errors_and_endless_empty_sequences_end() {
    let with = |name: &'static str, a: Array| {
        let mut all = lstm(1);
        all.retain(|(n, _)| *n != name);
        all.push((name, a));
        let args: Vec<(&str, Value)> = all.into_iter().map(|(n, a)| (n, a.into())).collect();
        evaluate("lstm", &args, Options::default())
    };
    assert!(with("initial_h", ramp(&[BATCH, 3], 1.0)).is_err());
    assert!(with("weight_hh", ramp(&[7, HIDDEN], 1.0)).is_err());
    assert!(with("bias", ramp(&[3], 1.0)).is_err());
    assert!(with("x", ramp(&[STEPS, INPUT], 1.0)).is_err());
    assert!(with("direction", text("bidirectional")).is_err());
    assert!(with("activation", text("softplus")).is_err());
    let none = |dims: &[u64]| Array::new(DType::F32, dims.iter().copied(), Vec::<f32>::new()).unwrap();
    let args: Vec<(&str, Value)> = vec![
        ("x", none(&[1 << 60, 0, INPUT]).into()),
        ("initial_h", none(&[0, HIDDEN]).into()),
        ("weight_ih", ramp(&[HIDDEN, INPUT], 1.0).into()),
        ("weight_hh", ramp(&[HIDDEN, HIDDEN], 1.0).into()),
    ];
    let out = evaluate("rnn", &args, Options::default()).unwrap();
    assert_eq!(out[1].tensor().unwrap().dims(), [0, HIDDEN]);
}
