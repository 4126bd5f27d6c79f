//! Single observations of others, on machines that are not the M4 of the large scans: what ran, what was refused.
//! Each case names its source by the key under which `data/sources.toml` lists it.

use anewrite_ane::{Answer, SimpleOp, Target, eligibility};
use anewrite_tensor::DType;

fn answer(op: &SimpleOp, target: &str) -> Answer {
    eligibility(op, &Target::parse(target).expect("the test names a target")).answer()
}

fn linear(inputs: u64, outputs: u64) -> SimpleOp {
    SimpleOp::new("linear")
        .input("x", DType::F16, &[1, inputs])
        .constant("weight", DType::F16, &[outputs, inputs])
        .constant("bias", DType::F16, &[outputs])
        .result(DType::F16, &[1, outputs])
}

fn unary(op: &str, dtype: DType, dims: &[u64]) -> SimpleOp {
    SimpleOp::new(op).input("x", dtype, dims).result(dtype, dims)
}

/// LARQ: a Mac of the Max class, macOS 15.7.4; the generation is one of M1 to M3.
#[test]
fn linear_layers_of_a_max() {
    for chip in ["m1-max", "m2-max", "m3-max"] {
        assert_eq!(answer(&linear(16384, 512), chip), Answer::Yes);
        assert_eq!(answer(&linear(16512, 512), chip), Answer::No);
        assert_eq!(answer(&linear(5120, 17408), chip), Answer::Yes);
        assert_eq!(answer(&unary("silu", DType::F16, &[1, 16384]), chip), Answer::Yes);
        assert_eq!(answer(&unary("silu", DType::F16, &[1, 17408]), chip), Answer::No);
        assert_eq!(answer(&unary("cumsum", DType::F16, &[1, 64]), chip), Answer::No);
    }
}

/// MOB: an iPhone 13 refuses a waveform of 240,000 samples, an M2 a width of 16,390.
#[test]
fn long_axes_on_h14() {
    assert_eq!(answer(&unary("relu", DType::F16, &[1, 240_000]), "iphone-13"), Answer::No);
    assert_eq!(answer(&unary("relu", DType::F16, &[1, 256, 1, 16390]), "m2"), Answer::No);
    assert_eq!(answer(&unary("relu", DType::F16, &[1, 256, 1, 16384]), "m2"), Answer::Yes);
}

/// MOB: every op of models with fp32 compute is refused on an M2.
#[test]
fn fp32_is_refused() {
    for op in ["tanh", "softmax", "reshape", "layer_norm"] {
        assert_eq!(answer(&unary(op, DType::F32, &[1, 128]), "m2"), Answer::No);
    }
}

/// MOB: on an M5 Pro with macOS 27 gathers by computed uint16 indices are refused, casts from fp32 are not.
#[test]
fn gathers_and_casts_of_an_m5_pro() {
    let gather = SimpleOp::new("gather")
        .input("x", DType::F16, &[1, 128, 384])
        .input("indices", DType::U16, &[32])
        .int("axis", 1)
        .result(DType::F16, &[1, 32, 384]);
    assert_eq!(answer(&gather, "m5-pro, macos27"), Answer::No);
    let cast = SimpleOp::new("cast").input("x", DType::F32, &[1, 128, 384]).text("dtype", "fp16");
    assert_eq!(answer(&cast.result(DType::F16, &[1, 128, 384]), "m5-pro, macos27"), Answer::Yes);
}

/// MLP: on an M1 with macOS 14.5 the casts around an fp16 graph were refused; MOB and S1 saw newer systems take them.
#[test]
fn casts_of_an_m1() {
    let cast = SimpleOp::new("cast").input("x", DType::F16, &[1, 1001]).text("dtype", "fp32");
    let cast = cast.result(DType::F32, &[1, 1001]);
    assert_eq!(answer(&cast, "m1"), Answer::Unknown, "releases before and after it");
    assert_eq!(answer(&cast, "m1, macos26"), Answer::Yes);
}

/// MLP: what an image classifier on an M1 ran on the engine.
#[test]
fn an_image_classifier_on_an_m1() {
    let conv = |weight: &[u64], groups, stride: i64| {
        SimpleOp::new("conv")
            .input("x", DType::F16, &[1, weight[1] * groups, 56, 56])
            .constant("weight", DType::F16, weight)
            .ints("strides", &[stride, stride])
            .ints("dilations", &[1, 1])
            .int("groups", groups as i64)
            .result(DType::F16, &[1, weight[0], 56 / stride as u64, 56 / stride as u64])
    };
    assert_eq!(answer(&conv(&[32, 3, 3, 3], 1, 2), "m1"), Answer::Yes);
    assert_eq!(answer(&conv(&[960, 1, 5, 5], 960, 1), "m1"), Answer::Yes);
    let pool =
        SimpleOp::new("avg_pool").input("x", DType::F16, &[1, 1280, 7, 7]).ints("kernel_sizes", &[7, 7]);
    let pool = pool.ints("strides", &[1, 1]).result(DType::F16, &[1, 1280, 1, 1]);
    assert_eq!(answer(&pool, "m1"), Answer::Yes);
    for op in ["relu", "softmax", "squeeze", "transpose"] {
        assert_eq!(answer(&unary(op, DType::F16, &[1, 56, 56, 32]), "m1"), Answer::Yes);
    }
}

/// JR: products of rank 5 were refused on a Mac where the same product of rank 3 ran.
#[test]
fn products_of_rank_5() {
    let matmul = |x: &[u64], y: &[u64], out: &[u64]| {
        SimpleOp::new("matmul").input("x", DType::F16, x).input("y", DType::F16, y).result(DType::F16, out)
    };
    let five = matmul(&[1, 16, 4, 64, 32], &[1, 16, 4, 32, 64], &[1, 16, 4, 64, 64]);
    let three = matmul(&[64, 64, 32], &[64, 32, 64], &[64, 64, 64]);
    for chip in ["m1", "m4"] {
        assert_eq!(answer(&five, chip), Answer::No);
        assert_eq!(answer(&three, chip), Answer::Yes);
    }
}

/// RFD: an M3 Pro with macOS 27 keeps topk on the CPU; S1: an M4 accepts it.
#[test]
fn topk_by_generation() {
    let topk = SimpleOp::new("topk").input("x", DType::F16, &[1, 3900]).int("k", 30).int("axis", -1);
    let topk = topk.result(DType::F16, &[1, 30]).result(DType::U16, &[1, 30]);
    assert_eq!(answer(&topk, "m1"), Answer::No);
    assert_eq!(answer(&topk, "m3-pro"), Answer::No);
    assert_eq!(answer(&topk, "m4"), Answer::Yes);
}

/// MOBC and S1: one release refuses logical_and, the next accepts it.
#[test]
fn logical_and_by_release() {
    let op = SimpleOp::new("logical_and").input("x", DType::Bool, &[1, 64]).input("y", DType::Bool, &[1, 64]);
    let op = op.result(DType::Bool, &[1, 64]);
    assert_eq!(answer(&op, "m4, macos27"), Answer::Yes);
    assert_eq!(answer(&op, "m4"), Answer::Unknown);
}

/// ANC and CT: layers on an M1 of 2021 and 2022.
#[test]
fn layers_of_an_m1() {
    for (layer, expected) in [
        ("nn.addBroadcastable", Answer::Yes),
        ("nn.minBroadcastable", Answer::Yes),
        ("nn.cumSum", Answer::No),
        ("nn.gather", Answer::No),
        ("nn.floor", Answer::No),
        ("nn.batchedMatmul", Answer::No),
    ] {
        assert_eq!(answer(&SimpleOp::new(layer), "m1"), expected, "{layer}");
    }
    for layer in ["nn.uniDirectionalLSTM", "nn.custom", "nn.loop"] {
        assert_eq!(answer(&SimpleOp::new(layer), "iphone-xs"), Answer::No, "{layer}");
    }
}

/// Every op and layer has an answer on every family, and one without evidence is never yes or no.
#[test]
fn an_op_that_shows_nothing_is_judged_too() {
    let all = Target::parse("all").expect("a target");
    for op in anewrite_ane::known_ops() {
        let verdicts = eligibility(&SimpleOp::new(op), &all);
        assert_eq!(verdicts.iter().count(), 8, "{op}");
        assert!(!anewrite_ane::rows(op).is_empty(), "{op}");
    }
}
