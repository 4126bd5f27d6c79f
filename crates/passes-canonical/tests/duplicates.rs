//! What C002 and C003 take for equal.

use anewrite_ir::{mil::Mil, text};
use anewrite_passes_canonical::rules;
use anewrite_rewrite::{Context, run};
use anewrite_testkit::Bench;

fn bench(code: &str) -> Bench<'static> {
    let rule = rules().iter().find(|rule| rule.info().code.to_string() == code).unwrap();
    Bench { rule: *rule, dialect: &Mil, limits: &[] }
}

fn two_reshapes(first: &str, second: &str) -> String {
    format!(
        "func main<CoreML6>(tensor<fp16, [2, 6]> x) {{
           a = reshape(x = x, shape = {first});
           b = reshape(x = x, shape = {second});
           c = relu(x = a);
           d = tanh(x = b);
         }} -> (c, d);"
    )
}

#[test]
fn ops_with_small_constants_of_equal_bits_are_one() {
    bench("C003").rewrites(
        &two_reshapes("[3, 4]", "[3, 4]"),
        "func main<CoreML6>(tensor<fp16, [2, 6]> x) {
           a = reshape(x = x, shape = [3, 4]);
           c = relu(x = a);
           d = tanh(x = a);
         } -> (c, d);",
    );
    bench("C003").declines(&two_reshapes("[3, 4]", "[4, 3]"));
    bench("C003").declines(&two_reshapes("[3, 4]", "[3, 4, 1]"));
}

#[test]
fn zeros_of_either_sign_are_not_equal() {
    let ops = |y: &str| {
        format!(
            "func main<CoreML6>(tensor<fp16, [2, 6]> x) {{
               a = real_div(x = x, y = fp16(0.0));
               b = real_div(x = x, y = fp16({y}));
               c = relu(x = a);
               d = tanh(x = b);
             }} -> (c, d);"
        )
    };
    bench("C003").fires(&ops("0.0"));
    bench("C003").declines(&ops("-0.0"));
}

/// Three constants of 400 ones; those that are `different` have a two in a place that no sample looks at.
fn weights(different: &str) -> String {
    let constant = |name: &str| {
        let mut elements = vec!["1"; 400];
        if different.contains(name) {
            elements[50] = "2";
        }
        format!("{name} = const()[name = \"{name}\", val = tensor<int32, [400]>([{}])];", elements.join(", "))
    };
    format!(
        "func main<CoreML6>(tensor<int32, [400]> x) {{
           {}
           {}
           {}
           a = add(x = x, y = u);
           b = mul(x = a, y = v);
           c = sub(x = b, y = w);
         }} -> (c);",
        constant("u"),
        constant("v"),
        constant("w")
    )
}

/// Which constant each of the three ops uses after C002.
fn used(text: &str) -> Vec<String> {
    let bench = bench("C002");
    let cx = Context {
        dialect: &Mil,
        rules: &[bench.rule],
        objective: &bench,
        oracle: None,
        approximate: false,
        forced: &[],
        why: None,
        verify: true,
    };
    let program = run(text::parse(text).unwrap(), &cx).unwrap().program;
    let operand = |op| program.op(op).arg("y").map(|y| program.value(y).name.to_string());
    program.all_ops().filter_map(operand).collect()
}

#[test]
fn constants_that_look_alike_are_compared_in_full() {
    assert_eq!(used(&weights("")), ["u", "u", "u"]);
    assert_eq!(used(&weights("u")), ["u", "v", "v"]);
    assert_eq!(used(&weights("v")), ["u", "v", "u"]);
    assert_eq!(used(&weights("w")), ["u", "u", "w"]);
    assert_eq!(used(&weights("vw")), ["u", "v", "v"]);
}
