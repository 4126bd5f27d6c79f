use super::*;
use crate::family::Family;
use crate::limits::{LimitRow, Limits};
use crate::simple::SimpleOp;
use crate::view::{Tensor, Value};
use anewrite_tensor::DType;
use smallvec::smallvec;

fn limits() -> Limits {
    let value = r#"
        id = "LIM-A"
        what = "something"
        [[value]]
        families = "H13"
        value = 8
        refused_from = 14
        confidence = "derived"
        sources = []
        [[value]]
        families = "H16"
        set = [2, 3, 8]
        confidence = "reported"
        sources = []
    "#;
    let row: LimitRow = toml::from_str(value).expect("the test's own table");
    Limits::new(vec![row])
}

fn op() -> SimpleOp {
    SimpleOp::new("conv")
        .input("x", DType::F16, &[2, 3, 5, 7])
        .constant("weight", DType::F16, &[11, 3, 1, 9])
        .ints("strides", &[2, 1])
        .text("pad_type", "same")
        .bool("flag", true)
        .value("scale", DType::F32, &[], Value::Floats(smallvec![1.5]))
        .tensor("open", false, Tensor { dtype: Some(DType::I32), dims: Some(smallvec![None, Some(4)]) })
        .result(DType::F16, &[2, 11, 3, 5])
}

fn eval(text: &str, family: Family) -> String {
    let (op, limits) = (op(), limits());
    let facts = Facts::new(&op);
    let expr: Expr = match text.parse() {
        Ok(expr) => expr,
        Err(error) => return error,
    };
    match Ctx::new(&facts, &limits, family).eval(&expr) {
        eval::Val::Unknown(cause) => format!("unknown: {cause}"),
        eval::Val::Absent(name) => format!("absent: {name}"),
        eval::Val::Bool(value) => value.to_string(),
        eval::Val::Num(n) => n.to_string(),
        eval::Val::Text(text) => text.to_string(),
        eval::Val::Nums(items) => format!("{items:?}"),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(eval(text, Family::H13), *expected, "{text}");
    }
}

#[test]
fn facts_and_values() {
    check(&[
        ("x.rank", "4"),
        ("x.dims[-1]", "7"),
        ("x.dims[0]", "2"),
        ("prod(x.dims[2:])", "35"),
        ("prod(x.dims[:-2])", "6"),
        ("x.elements * x.width", "420"),
        ("x.bytes", "420"),
        ("out.dims[1]", "11"),
        ("weight.const and not x.const", "true"),
        ("bias.given", "false"),
        ("strides[0]", "2"),
        ("flag", "[Some(1.0)]"),
        ("flag and true", "true"),
        ("pad_type == 'same'", "true"),
        ("pad_type in ['valid', 'same']", "true"),
        ("scale * 2", "3"),
        ("dilations ?? 1", "1"),
        ("max(dilations ?? [1, 4])", "4"),
        ("x.dtype", "fp16"),
        ("total(inputs, it.rank)", "6"),
        ("7 - 2 - 1", "4"),
        ("7 % 4 * 2", "6"),
        ("-strides[0] + 1", "-1"),
    ]);
}

#[test]
fn the_unknown_stays_unknown_unless_the_rest_decides() {
    check(&[
        ("bias", "absent: bias"),
        ("bias > 1", "unknown: bias is not a known constant"),
        ("weight[0] > 1", "unknown: weight is not a known constant"),
        ("open.dims[0] > 1", "unknown: the shape of open is not known"),
        ("open.dims[1]", "4"),
        ("open.known", "false"),
        ("any(inputs, not it.known)", "true"),
        ("open.elements > 1 or x.rank == 4", "true"),
        ("open.elements > 1 and x.rank == 4", "unknown: the shape of open is not known"),
        ("any(inputs, it.elements > 100)", "true"),
        ("any(inputs, it.elements > 1000)", "unknown: the shape of open is not known"),
        ("all(inputs, it.elements > 1000)", "false"),
        ("opset >= 18", "unknown: the opset is not known"),
    ]);
}

#[test]
fn limits_answer_unknown_in_their_gap() {
    check(&[
        ("weight.dims[-1] <= LIM-A", "unknown: 9 lies where sources on LIM-A are silent or differ"),
        ("x.dims[-1] <= LIM-A", "true"),
        ("x.dims[-1] * 2 <= LIM-A", "false"),
        ("x.dims[-1] * 2 > LIM-A", "true"),
        ("x.rank <= LIM-B", "unknown: no source gives LIM-B for this family"),
        ("x.dims[-1] % LIM-A", "7"),
    ]);
    assert_eq!(eval("strides[0] in LIM-A", Family::H16), "true");
    assert_eq!(eval("x.dims[2] in LIM-A", Family::H16), "false");
    assert_eq!(eval("max(LIM-A)", Family::H16), "8");
}

#[test]
fn errors_name_what_is_wrong() {
    check(&[
        ("x.colour", "`colour` is not a fact of a tensor"),
        ("any(everything, it.rank)", "`everything` is not a set of tensors"),
        ("sqrt(4)", "`sqrt` is not a function"),
        ("1 +", "the expression ends too early"),
        ("1 2", "Num(2.0) follows a complete expression in `1 2`"),
        ("'open", "a text has no closing quote"),
        ("1 $ 2", "`$` is not a sign"),
        ("1.2.3", "`1.2.3` is not a number"),
    ]);
    let deep = "(".repeat(500);
    assert_eq!(eval(&deep, Family::H13), "nested too deeply");
    let deep = "not ".repeat(500);
    assert_eq!(eval(&deep, Family::H13), "nested too deeply");
}

#[test]
fn printing_reads_back_as_the_same_expression() {
    for text in [
        "kernel_sizes[-1] <= LIM-MAXPOOL",
        "not (weight.const or groups ?? 1 == 1) and x.rank in [2, 3]",
        "7 - (2 - 1) * -strides[0]",
        "any(tensors, it.dims[:-1] == 'a' or not it.const)",
        "(a ?? [1])[0] + 2",
    ] {
        let expr: Expr = text.parse().expect(text);
        let again: Expr = expr.to_string().parse().expect("printed text parses");
        assert_eq!(expr, again, "{text} printed as {expr}");
    }
}

#[test]
fn the_observed_value_is_the_one_that_decided() {
    let (op, limits) = (op(), limits());
    let facts = Facts::new(&op);
    let seen = |text: &str, outcome: bool| {
        let expr: Expr = text.parse().expect(text);
        let ctx = Ctx::new(&facts, &limits, Family::H13);
        observe(&ctx, &expr, outcome).map(|o| o.to_string()).unwrap_or_default()
    };
    assert_eq!(seen("x.dims[-1] * 2 <= LIM-A", false), "x.dims[-1] * 2 is 14, not <= 8 (LIM-A)");
    assert_eq!(seen("any(tensors, it.dtype == 'int32')", true), "open.dtype is int32");
    assert_eq!(seen("all(tensors, it.rank <= 3)", false), "x.rank is 4, not <= 3");
    assert_eq!(seen("x.rank == 4 and not strides[0] == 1", true), "strides[0] is 2, not == 1");
    assert_eq!(
        seen("x.rank < 4 or x.dims[-1] * 2 <= LIM-A", false),
        "x.dims[-1] * 2 is 14, not <= 8 (LIM-A)"
    );
}
