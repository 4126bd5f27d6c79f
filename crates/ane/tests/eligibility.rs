//! Verdicts at the boundaries of the limits, and where sources are weak or differ.

use anewrite_ane::{
    Answer, Confidence, Eligibility, Family, SimpleOp, Target, Tensor, Verdict, Why, eligibility,
};
use anewrite_tensor::DType;

fn judge(op: &SimpleOp, target: &str) -> Eligibility {
    let target = Target::parse(target).expect("the test names a target");
    eligibility(op, &target)
}

/// The answers of H13, H14, H15, H16, H17 and H18 as letters.
fn answers(op: &SimpleOp) -> String {
    let verdicts = judge(op, "h13+");
    let letters = verdicts.iter().map(|(_, verdict)| match verdict.answer() {
        Answer::Yes => 'y',
        Answer::No => 'n',
        Answer::Unknown => '?',
    });
    letters.collect()
}

fn max_pool(height: i64, width: i64) -> SimpleOp {
    SimpleOp::new("max_pool")
        .input("x", DType::F16, &[1, 64, 32, 32])
        .ints("kernel_sizes", &[height, width])
        .ints("strides", &[1, 1])
        .result(DType::F16, &[1, 64, 32, 32])
}

fn conv(kernel: &[u64]) -> SimpleOp {
    let mut weight = vec![64, 64];
    weight.extend(kernel);
    SimpleOp::new("conv")
        .input("x", DType::F16, &[1, 64, 32, 32])
        .constant("weight", DType::F16, &weight)
        .ints("strides", &[1, 1])
        .ints("dilations", &[1, 1])
        .int("groups", 1)
        .result(DType::F16, &[1, 64, 32, 32])
}

fn relu(dims: &[u64]) -> SimpleOp {
    SimpleOp::new("relu").input("x", DType::F16, dims).result(DType::F16, dims)
}

fn gather(constant: bool, dtype: DType) -> SimpleOp {
    let op = SimpleOp::new("gather").input("x", DType::F16, &[1, 64, 32, 32]);
    let indices = Tensor::new(dtype, &[32]);
    op.tensor("indices", constant, indices).int("axis", 1).result(DType::F16, &[1, 32, 32, 32])
}

#[test]
fn pooling_windows() {
    assert_eq!(answers(&max_pool(8, 8)), "yyyyyy");
    assert_eq!(answers(&max_pool(9, 9)), "???nnn");
    assert_eq!(answers(&max_pool(1, 9)), "???nnn");
    assert_eq!(answers(&max_pool(9, 1)), "yyyyyy");
    assert_eq!(answers(&max_pool(1, 13)), "???nnn");
    assert_eq!(answers(&max_pool(1, 14)), "nnnnnn");
    assert_eq!(answers(&max_pool(1, 32)), "??????");
}

#[test]
fn convolution_kernels() {
    assert_eq!(answers(&conv(&[1, 13])), "yyyyyy");
    assert_eq!(answers(&conv(&[1, 14])), "?yyyyy");
    assert_eq!(answers(&conv(&[1, 15])), "?yyyyy");
    assert_eq!(answers(&conv(&[1, 16])), "n??nnn");
    assert_eq!(answers(&conv(&[1, 17])), "nnnnnn");
    assert_eq!(answers(&conv(&[16, 1])), "yyyyyy");
    assert_eq!(answers(&conv(&[29, 1])), "yyyyyy");
    assert_eq!(answers(&conv(&[31, 1])), "?yyyyy");
    assert_eq!(answers(&conv(&[32, 1])), "nnnnnn");
    assert_eq!(answers(&conv(&[17, 17])), "nnnnnn");
    assert_eq!(judge(&conv(&[16, 16]), "m4").answer(), Answer::Yes);
}

#[test]
fn axes() {
    assert_eq!(answers(&relu(&[1, 1, 1, 16384])), "yyyyyy");
    assert_eq!(answers(&relu(&[1, 1, 1, 16385])), "nnnyyy");
    assert_eq!(answers(&relu(&[1, 1, 1, 65536])), "nnnyyy");
    assert_eq!(answers(&relu(&[1, 1, 1, 65537])), "nnnnnn");
    assert_eq!(answers(&relu(&[1, 1, 65537, 1])), "nnnnnn");
    assert_eq!(answers(&relu(&[1, 65536, 1, 1])), "???yyy");
    assert_eq!(answers(&relu(&[1, 65537, 1, 1])), "nnnnnn");
    assert_eq!(answers(&relu(&[65537, 1, 1, 1])), "nnnnnn");
    assert_eq!(answers(&relu(&[1, 1, 1, 1, 1, 1])), "nnnnnn");
    assert_eq!(answers(&relu(&[1, 2, 3, 4, 5])), "yyyyyy");
}

#[test]
fn the_observed_value_is_told() {
    let verdicts = judge(&max_pool(9, 9), "m4");
    let Some(Verdict::No { row, observed: Some(seen), confidence }) = verdicts.on(Family::H16) else {
        panic!("a refusal with a value");
    };
    assert_eq!(row.id, "max-pool-width");
    assert_eq!(seen.to_string(), "kernel_sizes[-1] is 9, not <= 8 (LIM-MAXPOOL)");
    assert_eq!(*confidence, Confidence::Measured);
    let verdicts = judge(&relu(&[1, 1, 1, 16385]), "iphone-13");
    let Some(Verdict::No { observed: Some(seen), .. }) = verdicts.on(Family::H14) else {
        panic!("a refusal")
    };
    assert_eq!(seen.to_string(), "x.dims[-1] is 16385, not <= 16384 (LIM-AXIS-W-H)");
}

#[test]
fn gather_by_what_its_indices_are() {
    assert_eq!(answers(&gather(true, DType::U16)), "nyyyyy");
    assert_eq!(answers(&gather(true, DType::I32)), "n?????");
    assert_eq!(answers(&gather(false, DType::I16)), "nnnnnn");
    assert_eq!(answers(&gather(false, DType::I32)), "nnnnnn");
}

#[test]
fn element_types() {
    let add = |dtype| {
        SimpleOp::new("add").input("x", dtype, &[1, 8]).input("y", dtype, &[1, 8]).result(dtype, &[1, 8])
    };
    assert_eq!(answers(&add(DType::F16)), "yyyyyy");
    assert_eq!(answers(&add(DType::I32)), "nnnnnn");
    assert_eq!(answers(&add(DType::F32)), "nnnnnn");
    assert_eq!(answers(&add(DType::I8)), "??????");
}

#[test]
fn what_is_not_shown_is_unknown_and_says_what() {
    let open = Tensor { dtype: Some(DType::F16), dims: Some([Some(1), None, Some(8)].into_iter().collect()) };
    let op = SimpleOp::new("relu").tensor("x", false, open.clone()).result_tensor(open);
    let verdicts = judge(&op, "m4");
    assert!(
        matches!(verdicts.on(Family::H16), Some(Verdict::Unknown { rows, .. }) if rows[0].id == "dynamic-shape"),
        "{verdicts:?}"
    );
    let pool =
        SimpleOp::new("max_pool").input("x", DType::F16, &[1, 2, 3, 4]).result(DType::F16, &[1, 2, 3, 4]);
    let verdicts = judge(&pool, "m4");
    let Some(Verdict::Unknown { why: Why::Open(why), .. }) = verdicts.on(Family::H16) else {
        panic!("{verdicts:?}")
    };
    assert_eq!(why, "kernel_sizes is not a known constant");
}

#[test]
fn no_engine_and_no_evidence() {
    assert!(judge(&relu(&[1, 8]), "iphone-8").is_no());
    assert!(judge(&SimpleOp::new("nn.addBroadcastable"), "iphone-8").is_no());
    let verdicts = judge(&relu(&[1, 8]), "apple-watch-series-9");
    assert!(matches!(verdicts.on(Family::Undisclosed), Some(Verdict::Unknown { why: Why::NoEvidence, .. })));
    let verdicts = judge(&SimpleOp::new("no_such_op"), "m4");
    assert!(matches!(verdicts.on(Family::H16), Some(Verdict::Unknown { why: Why::NoEvidence, .. })));
}

#[test]
fn layers_that_the_first_rules_replace() {
    for (layer, old, new) in [
        ("nn.addBroadcastable", Answer::No, Answer::Yes),
        ("nn.multiplyBroadcastable", Answer::No, Answer::Yes),
        ("nn.subtractBroadcastable", Answer::No, Answer::Yes),
        ("nn.concatND", Answer::No, Answer::No),
        ("nn.splitND", Answer::No, Answer::No),
        ("nn.loadConstantND", Answer::No, Answer::No),
        ("nn.add", Answer::Yes, Answer::Yes),
        ("nn.multiply", Answer::Yes, Answer::Yes),
        ("nn.scale", Answer::Yes, Answer::Yes),
        ("nn.activation", Answer::Yes, Answer::Yes),
        ("nn.concat", Answer::Yes, Answer::Yes),
        ("nn.split", Answer::Unknown, Answer::Unknown),
        ("nn.loadConstant", Answer::Yes, Answer::Yes),
    ] {
        let op = SimpleOp::new(layer);
        assert_eq!(judge(&op, "h12").answer(), old, "{layer}");
        assert_eq!(judge(&op, "m1").answer(), new, "{layer}");
    }
}
