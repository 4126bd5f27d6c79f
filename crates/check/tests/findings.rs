//! Each finding where it is due, and not where it is not.

mod common;

use anewrite_check::Interface;
use anewrite_diag::{Answer, Finding, Severity};
use anewrite_ir::text::parse;
use anewrite_ir::{Attr, DialectId, NewOp, Place, Program, TensorType, Type};
use anewrite_tensor::DType;
use common::{code, look, of};

fn main(body: &str, outputs: &str) -> String {
    format!("func main<CoreML8>(tensor<fp16, [1, 16, 40, 40]> x) {{ {body} }} -> ({outputs});")
}

#[track_caller]
fn fires(body: &str, target: &str, number: u16) -> Finding {
    let found = of(&main(body, "y"), target);
    let codes: Vec<_> = found.iter().map(|f| f.code.to_string()).collect();
    code(&found, number).cloned().unwrap_or_else(|| panic!("ANE{number:03} is not among {codes:?}"))
}

#[track_caller]
fn is_silent(body: &str, target: &str, number: u16) {
    let found = of(&main(body, "y"), target);
    assert!(code(&found, number).is_none(), "ANE{number:03}: {}", code(&found, number).unwrap().message);
}

#[test]
fn ops_that_no_engine_or_only_newer_ones_run() {
    let cumsum = fires("y = cumsum(x = x, axis = 2);", "m4", 1);
    assert_eq!((cumsum.answer, cumsum.runs_on.len()), (Answer::Refused, 0));
    let sine = fires("y = sin(x = x);", "m1", 2);
    assert!(sine.runs_on.contains(&"H16".to_owned()) && sine.families == ["H13"], "{sine:?}");
    is_silent("y = sin(x = x);", "m4", 2);
    is_silent("y = cos(x = x);", "m4", 1);
}

#[test]
fn element_types() {
    let island =
        "i = cast(x = x, dtype = \"int32\"); j = add(x = i, y = 3); y = cast(x = j, dtype = \"fp16\");";
    let found = fires(island, "m4", 10);
    assert_eq!(found.ops.len(), 3);
    assert_eq!(found.evidence[0].core_ml_says.as_deref(), Some("Unsupported tensor data type: int32"));
    assert_eq!(found.evidence[0].known[0].how, "measured");
    let single = "f = cast(x = x, dtype = \"fp32\"); g = exp(x = f); y = cast(x = g, dtype = \"fp16\");";
    assert_eq!(fires(single, "m4", 11).ops.len(), 1, "the casts themselves are taken");
    is_silent("y = exp(x = x);", "m4", 10);
}

#[test]
fn ranks_and_extents() {
    let rank6 = "a = reshape(x = x, shape = [1, 2, 2, 4, 40, 40]); b = relu(x = a); y = reshape(x = b, shape = [1, 16, 40, 40]);";
    assert_eq!(fires(rank6, "m4", 14).ops.len(), 3);
    let long = "a = reshape(x = x, shape = [1, 1, 1, 25600]); b = relu(x = a); y = reshape(x = b, shape = [1, 16, 40, 40]);";
    assert!(fires(long, "m2", 15).ops[0].observed.as_deref().is_some_and(|o| o.contains("25600")));
    is_silent(long, "m4", 15);
    is_silent(rank6.replace("1, 2, 2, 4, 40, 40", "1, 2, 8, 40, 40").as_str(), "m4", 14);
}

#[test]
fn open_shapes_are_unknown_and_not_refused() {
    let text = "func main<CoreML8>(tensor<fp16, [1, 16, ?, 40]> x) { y = relu(x = x); } -> (y);";
    let found = of(text, "m4");
    let open = code(&found, 13).unwrap();
    assert_eq!((open.answer, open.severity), (Answer::Unknown, Severity::Warning));
}

#[test]
fn windows_and_their_limits() {
    let pool = |w: u32| {
        format!(
            "y = max_pool(x = x, kernel_sizes = [1, {w}], strides = [1, 1], pad_type = \"valid\", pad = [0, 0, 0, 0], ceil_mode = false);"
        )
    };
    assert_eq!(fires(&pool(9), "m4", 21).severity, Severity::Error);
    is_silent(&pool(8), "m4", 21);
}

#[test]
fn recurrence_control_flow_and_computed_places() {
    let gather = "func main<CoreML8>(tensor<fp16, [100, 8]> t, tensor<int32, [4]> i) { y = gather(x = t, indices = i, axis = 0); } -> (y);";
    assert!(code(&of(gather, "m4"), 7).is_some() || code(&of(gather, "m4"), 10).is_some());
    let mut p = Program::new(DialectId::Mil);
    let (_, body) = p.add_function("main", "CoreML6");
    let ty = TensorType::fixed(DType::F16, [3, 5]);
    let x = p.add_arg(body, "x", ty.clone().into());
    let flag = p.add_arg(body, "flag", TensorType::fixed(DType::Bool, []).into());
    let cond = NewOp::new("cond").operand("pred", flag).result("c", ty.clone());
    let cond = p.add_op(Place::End(body), cond);
    for name in ["d", "e"] {
        let block = p.add_block(cond);
        let op = p.add_op(Place::End(block), NewOp::new("abs").operand("x", x).result(name, ty.clone()));
        let out = p.op(op).result().unwrap();
        p.add_output(block, out);
    }
    let found = look(&p, "m4", &Interface::default());
    assert_eq!(code(&found, 6).unwrap().ops.len(), 1);
}

#[test]
fn constants_that_fp16_does_not_hold() {
    let single = |c: &str| {
        format!(
            "f = cast(x = x, dtype = \"fp32\"); g = add(x = f, y = {c}); y = cast(x = g, dtype = \"fp16\");"
        )
    };
    assert!(fires(&single("-1e9"), "m4", 30).ops[0].observed.as_deref().is_some_and(|o| o.contains("-1e9")));
    fires(&single("1e-12"), "m4", 31);
    is_silent(&single("-1e4"), "m4", 30);
    is_silent(&single("1e-5"), "m4", 31);
    is_silent(&single("0.0"), "m4", 31);
}

#[test]
fn sums_behind_images_can_pass_the_accumulators() {
    let text = |w: &str| {
        format!(
            "func main<CoreML8>(tensor<fp16, [1, 1, 4, 4]> x) {{ y = conv(x = x, weight = {w}, strides = [1, 1], pad_type = \"valid\", pad = [0, 0, 0, 0], dilations = [1, 1], groups = 1); }} -> (y);"
        )
    };
    let images = Interface { images: vec![("x".to_owned(), 0.0, 255.0)], ..Interface::default() };
    let large = parse(&text("[[[[100.0, 29.0]]]]")).unwrap();
    let found = look(&large, "m4", &images);
    assert!(code(&found, 33).unwrap().ops[0].observed.as_deref().is_some_and(|o| o.contains("32895")));
    assert!(code(&look(&large, "m4", &Interface::default()), 33).is_none(), "nothing is known of the input");
    let small = parse(&text("[[[[100.0, 28.0]]]]")).unwrap();
    assert!(code(&look(&small, "m4", &images), 33).is_none());
}

#[test]
fn small_models_stay_where_they_are() {
    let found = fires("y = exp(x = x);", "m4", 43);
    assert_eq!((found.severity, found.answer), (Severity::Note, Answer::Unplaced));
    assert!(found.message.contains("even with every op"));
}

#[test]
fn lists_of_shapes_and_their_limit() {
    let p = parse(&main("y = relu(x = x);", "y")).unwrap();
    let shapes = |n| Interface { enumerated_shapes: n, ..Interface::default() };
    assert!(code(&look(&p, "m4", &shapes(129)), 45).is_some());
    assert!(code(&look(&p, "m4", &shapes(128)), 45).is_none());
}

#[test]
fn layers_go_by_their_own_rows() {
    let mut p = Program::new(DialectId::Nn);
    let (_, body) = p.add_function("main", "");
    let ty = TensorType::fixed(DType::F32, [1, 1, 3, 8, 6]);
    let x = p.add_arg(body, "x", ty.into());
    let activation = |case: &str| {
        let mut op = NewOp::new("nn.activation").operand("input", x).result("y", Type::Unknown);
        op.op.attrs = vec![(case.into(), Attr::Message(Vec::new()))];
        op
    };
    let mut plain = p.clone();
    plain.add_op(Place::End(body), activation("ReLU"));
    let found = look(&plain, "m4", &Interface::default());
    assert!(code(&found, 34).is_none(), "a rectifier does not collapse");
    p.add_op(Place::End(body), activation("softplus"));
    let custom = NewOp::new("nn.custom").operand("input", x).result("z", Type::Unknown);
    p.add_op(Place::End(body), custom);
    let found = look(&p, "m4", &Interface::default());
    assert!(code(&found, 34).is_some());
    let custom = code(&found, 4).unwrap();
    assert!(custom.severity == Severity::Error && custom.cost.is_none(), "layers have no prices: {custom:?}");
}
