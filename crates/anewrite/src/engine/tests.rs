//! What the objective makes of rules on programs that compute in 16 bits.

use anewrite_ir::mil::Mil;
use anewrite_ir::text;
use anewrite_rewrite::{Code, Context, Outcome, run};

use super::*;

/// Rewrites a function for a target with one rule, which is asked why it does not fire.
fn rewrite(target: &str, code: &str, function: &str) -> Outcome {
    let program = text::parse(function).unwrap_or_else(|e| panic!("{e}\n{function}"));
    let target = if target.is_empty() { default_target(7) } else { Target::parse(target).unwrap() };
    let code: Code = code.parse().unwrap();
    let rules: Vec<_> = crate::rules().into_iter().filter(|r| r.info().code == code).collect();
    let cx = Context {
        dialect: &Mil,
        rules: &rules,
        objective: &Engine::new(target),
        oracle: None,
        approximate: false,
        forced: &[],
        why: Some(code),
        verify: true,
    };
    run(program, &cx).unwrap()
}

fn why(outcome: &Outcome) -> String {
    outcome.near_misses.iter().map(|m| format!("{}: {}\n", m.op, m.why)).collect()
}

fn unary(shape: &str, op: &str) -> String {
    format!(
        "func main<CoreML6>(tensor<fp16, {shape}> x) {{ a = relu(x = x); b = {op}; y = relu(x = b); }} -> (y);"
    )
}

const POOL: &str =
    "max_pool(x = a, kernel_sizes = [9, 9], strides = [1, 1], pad_type = \"valid\", ceil_mode = false)";

#[test]
fn what_becomes_eligible_is_rewritten_for_all_families() {
    for (code, function) in [
        ("M001", unary("[1, 2, 36, 39]", POOL)),
        ("M004", unary("[2, 6, 9]", "band_part(x = a, lower = 1, upper = 2)")),
        ("M005", unary("[2, 6, 9]", "cumsum(x = a, axis = 1)")),
    ] {
        let out = rewrite("", code, &function);
        assert_eq!(out.firings.len(), 1, "{code}: {}", why(&out));
    }
}

#[test]
fn what_one_family_runs_already_is_left_for_it() {
    // H11 and H12 refuse factors over 2, H16 does not, and pays for two ops what one cost.
    let op = "upsample_nearest_neighbor(x = a, scale_factor_height = 4, scale_factor_width = 4)";
    let function = unary("[1, 3, 5, 7]", op);
    assert_eq!(rewrite("h11,h12", "M003", &function).firings.len(), 1);
    let out = rewrite("", "M003", &function);
    assert!(out.firings.is_empty());
    assert!(why(&out).contains("the plan would go from") && why(&out).contains("on H16"), "{}", why(&out));
}

#[test]
fn what_is_refused_before_and_after_is_no_gain() {
    let function = unary("[1, 2, 36, 39]", POOL).replace("fp16", "fp32");
    let out = rewrite("m1", "M001", &function);
    assert!(out.firings.is_empty());
    assert!(why(&out).contains("the target gains nothing: on H13 the plan costs"), "{}", why(&out));
}

/// A recurrent op between two ops: an island that no rule can join to the rest.
#[test]
fn an_op_alone_between_others_that_stay_is_left() {
    let between = |shape: &str| {
        format!(
            "func main<CoreML6>(tensor<fp16, {shape}> x) {{
               a = exp(x = x); b = tan(x = a); c = {POOL}; d = tan(x = c); y = exp(x = d); }} -> (y);"
        )
        .replace("x = a, kernel", "x = b, kernel")
    };
    let out = rewrite("m4", "M001", &between("[1, 2, 36, 39]"));
    assert!(out.firings.is_empty());
    assert!(why(&out).contains("the plan would go from"), "{}", why(&out));
    // 32 MB on each side pay for going there and back.
    let out = rewrite("m4", "M001", &between("[1, 64, 512, 512]"));
    assert_eq!(out.firings.len(), 1, "{}", why(&out));
}

#[test]
fn two_ops_side_by_side_are_weighed_together() {
    // Alone each is an island beside the other; together they join the ops around.
    let function = "func main<CoreML6>(tensor<fp16, [1, 4, 40, 41]> x) {
        a = exp(x = x);
        b = band_part(x = a, lower = 1, upper = 2);
        c = band_part(x = b, lower = 3, upper = -1);
        y = exp(x = c);
      } -> (y);";
    let out = rewrite("m4", "M004", function);
    assert_eq!(out.firings.iter().map(|f| f.with).collect::<Vec<_>>(), [1, 1], "{}", why(&out));
}

#[test]
fn a_kernel_that_costs_the_whole_model_the_engine_goes_first() {
    // Four convolutions and more for one, and none of it pays on so small an input: the hazard decides.
    let function = format!(
        "func main<CoreML6>(tensor<fp16, [1, 1, 1, 40]> x) {{
           y = conv(x = x, weight = tensor<fp16, [1, 1, 1, 20]>([{}]), strides = [1, 1], pad_type = \"valid\", pad = [0, 0, 0, 0], dilations = [1, 1], groups = 1); }} -> (y);",
        ["0.5"; 20].join(", ")
    );
    let out = rewrite("m4", "M002", &function);
    assert_eq!(out.firings.len(), 1, "{}", why(&out));
}

#[test]
fn benefits_on_record_are_asked_of_the_tables() {
    let engine = |target: &str| Engine::new(Target::parse(target).unwrap());
    assert_eq!(engine("m4").on_record("conv-kernel-width"), Ok(()));
    assert!(engine("m4").on_record("conv-old").unwrap_err().contains("other families"));
    assert!(engine("m4").on_record("no-such-row").unwrap_err().contains("no row"));
}
