//! Findings about ML Programs that are not about one op's type, rank or window.

mod common;

use anewrite_check::Interface;
use anewrite_diag::{Answer, Finding, Severity};
use anewrite_ir::text::parse;
use common::{code, look, of};

fn main(body: &str) -> String {
    format!("func main<CoreML8>(tensor<fp16, [1, 16, 40, 40]> x) {{ {body} }} -> (y);")
}

#[track_caller]
fn finding(text: &str, target: &str, number: u16) -> Finding {
    let found = of(text, target);
    let codes: Vec<_> = found.iter().map(|f| f.code.to_string()).collect();
    code(&found, number).cloned().unwrap_or_else(|| panic!("ANE{number:03} is not among {codes:?}"))
}

#[track_caller]
fn is_silent(text: &str, target: &str, number: u16) {
    let found = of(text, target);
    assert!(code(&found, number).is_none(), "ANE{number:03}: {}", code(&found, number).unwrap().message);
}

#[test]
fn devices_without_an_engine() {
    assert_eq!(finding(&main("y = relu(x = x);"), "iphone-8", 9).answer, Answer::Refused);
    is_silent(&main("y = relu(x = x);"), "m1", 9);
}

#[test]
fn truth_values_that_are_tiled() {
    let text = main(
        "b = greater(x = x, y = 0.5); t = tile(x = b, reps = [1, 1, 1, 2]); y = cast(x = t, dtype = \"fp16\");",
    );
    assert_eq!(finding(&text, "m4", 12).ops.len(), 1);
    is_silent(&main("y = tile(x = x, reps = [1, 1, 1, 2]);"), "m4", 12);
}

#[test]
fn last_axes_that_are_mostly_padding() {
    let wide =
        |shape: &str| format!("func main<CoreML8>(tensor<fp16, {shape}> x) {{ y = exp(x = x); }} -> (y);");
    let found = finding(&wide("[1, 512, 512, 1]"), "m4", 16);
    assert!(found.ops[0].observed.as_deref().is_some_and(|o| o.contains("a last axis of 1")), "{found:?}");
    is_silent(&wide("[1, 1, 512, 512]"), "m4", 16);
}

#[test]
fn large_attention() {
    let attention = |n: u32| {
        format!(
            "func main<CoreML8>(tensor<fp16, [1, 2, {n}, 64]> q) {{
               y = scaled_dot_product_attention(query = q, key = q, value = q); }} -> (y);"
        )
    };
    assert_eq!(finding(&attention(3000), "m1", 25).ops.len(), 1);
    is_silent(&attention(64), "m1", 25);
}

#[test]
fn kernels_that_compile_for_minutes() {
    let conv = |k: u64| {
        main(&format!(
            "y = conv(x = x, weight = random<fp16, [2, 16, {k}, {k}]>(1), strides = [1, 1], pad_type = \"valid\",
               pad = [0, 0, 0, 0], dilations = [1, 1], groups = 1);"
        ))
    };
    assert_eq!(finding(&conv(15), "m4", 27).severity, Severity::Warning);
    is_silent(&conv(3), "m4", 27);
}

#[test]
fn infinite_masks() {
    let text = |c: &str| main(&format!("y = add(x = x, y = tensor<fp16, []>({c}));"));
    assert_eq!(finding(&text("-inf"), "m4", 32).ops.len(), 1);
    is_silent(&text("-1e4"), "m4", 32);
}

#[test]
fn programs_of_thousands_of_ops() {
    let chain = |n: usize| {
        let mut body = "v0 = relu(x = x);".to_owned();
        for i in 1..n {
            body += &format!("v{i} = exp(x = v{});", i - 1);
        }
        main(&body).replace("-> (y)", &format!("-> (v{})", n - 1))
    };
    assert_eq!(finding(&chain(3300), "m4", 40).severity, Severity::Warning);
    is_silent(&chain(100), "m4", 40);
}

#[test]
fn boundaries_between_the_engine_and_the_rest() {
    let conv = |x: &str, y: &str, seed: u32| {
        format!(
            "{y} = conv(x = {x}, weight = random<fp16, [384, 384, 3, 3]>({seed}), strides = [1, 1], pad_type = \"same\",
               pad = [0, 0, 0, 0], dilations = [1, 1], groups = 1);"
        )
    };
    let text = |between: &str| {
        format!(
            "func main<CoreML8>(tensor<fp16, [1, 384, 64, 64]> x) {{ {} {between} {} }} -> (y);",
            conv("x", "a", 1),
            conv("b", "y", 2)
        )
    };
    assert!(!finding(&text("b = cumsum(x = a, axis = 2);"), "m4", 42).ops.is_empty());
    is_silent(&text("b = exp(x = a);"), "m4", 42);
}

#[test]
fn palettes_of_few_bits() {
    let text = |bits: u32, colours: u32| {
        main(&format!(
            "w = constexpr_lut_to_dense(indices = random<uint{bits}, [2, 16, 1, 1]>(1), lut = random<fp16, [1, 1, 1, 1, {colours}, 1]>(2));
             y = conv(x = x, weight = w, strides = [1, 1], pad_type = \"valid\", pad = [0, 0, 0, 0], dilations = [1, 1], groups = 1);"
        ))
    };
    assert_eq!(finding(&text(2, 4), "m4", 44).ops[0].kind, "constexpr_lut_to_dense");
    is_silent(&text(4, 16), "m4", 44);
}

#[test]
fn states_of_odd_widths() {
    let text = |width: u32| {
        format!(
            "func main<CoreML8>(state<tensor<fp16, [1, {width}]>> s, tensor<fp16, [1, {width}]> x) {{
               r = read_state(input = s); y = add(x = r, y = x); }} -> (y);"
        )
    };
    assert_eq!(finding(&text(33), "m4", 46).ops.len(), 1);
    is_silent(&text(64), "m4", 46);
}

#[test]
fn chains_of_small_convolutions_on_the_newest_engine() {
    let chain = |n: usize| {
        let mut body = String::new();
        for i in 0..n {
            let x = if i == 0 { "x".to_owned() } else { format!("v{}", i - 1) };
            body += &format!(
                "v{i} = conv(x = {x}, weight = random<fp16, [16, 16, 1, 1]>(1), strides = [1, 1], pad_type = \"valid\",
                   pad = [0, 0, 0, 0], dilations = [1, 1], groups = 1);"
            );
        }
        main(&body).replace("-> (y)", &format!("-> (v{})", n - 1))
    };
    let p = parse(&chain(400)).unwrap();
    assert!(code(&look(&p, "h18", &Interface::default()), 47).is_some());
    is_silent(&chain(400), "m4", 47);
    is_silent(&chain(4), "h18", 47);
}

#[test]
fn the_largest_elements_are_found_slowly() {
    let text =
        main("y = topk(x = x, k = 4, axis = 1, ascending = false, return_indices = false, sort = true);");
    assert!(code(&of(&text, "m4"), 48).is_some_and(|f| f.answer == Answer::Slow));
    is_silent(&main("y = exp(x = x);"), "m4", 48);
}
