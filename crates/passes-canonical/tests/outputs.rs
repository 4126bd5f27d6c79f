//! Outputs of a model keep their names whatever stands for them.

use anewrite_ir::mil::Mil;
use anewrite_passes_canonical::rules;
use anewrite_testkit::Bench;

fn bench(code: &str) -> Bench<'static> {
    let rule = rules().iter().find(|rule| rule.info().code.to_string() == code).unwrap();
    Bench { rule: *rule, dialect: &Mil, limits: &[] }
}

#[test]
fn an_output_that_now_stands_for_another_value_keeps_its_name() {
    bench("C011").rewrites(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
           h = relu(x = x);
           z = add(x = h, y = fp16(0.0));
           w = tanh(x = z);
         } -> (h, w);",
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
           h = relu(x = x);
           w = tanh(x = h);
         } -> (h, w);",
    );
    bench("C003").rewrites(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
           a = relu(x = x);
           b = relu(x = x);
           w = tanh(x = b);
         } -> (a, w);",
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
           a = relu(x = x);
           w = tanh(x = a);
         } -> (a, w);",
    );
}

#[test]
fn what_stands_for_an_output_takes_its_name() {
    bench("C011").rewrites(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
           h = relu(x = x);
           z = add(x = h, y = fp16(0.0));
           w = tanh(x = h);
         } -> (z, w);",
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
           z = relu(x = x);
           w = tanh(x = z);
         } -> (z, w);",
    );
}

#[test]
fn two_outputs_are_not_one() {
    let why = bench("C011").declines(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
           h = relu(x = x);
           z = add(x = h, y = fp16(0.0));
         } -> (h, z);",
    );
    assert_eq!(why, "the model's output would need another op to carry its name");
}
