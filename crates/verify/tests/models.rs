//! Whole programs that differ in one thing: the comparison finds it, and says where.

use std::cell::Cell;

use anewrite_interp::Arithmetic;
use anewrite_ir::{Program, text};
use anewrite_verify::{
    Event, Flexible, Input, Mode, ModelOptions, ModelReport, Plan, Subject, first_difference, recheck, verify,
};

fn parse(text: &str) -> Program {
    text::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Compares two programs whose inputs are described so.
fn compare_as(before: &str, after: &str, inputs: &[Input]) -> (ModelReport, Option<(String, String)>) {
    let (a, b) = (parse(before), parse(after));
    let subject = Subject {
        before: &a,
        after: &b,
        inputs: &|_| inputs.to_vec(),
        growth: &|_, _| 1.0,
        rounded: false,
        bridge: None,
    };
    let options = ModelOptions::default();
    let report = verify(&subject, &options, &[], &mut |_| ());
    let place = report.failure.as_ref().map(|f| {
        assert!(recheck(&subject, &options, f).is_some());
        first_difference(&subject, &options, f).map_or_else(Default::default, |d| (d.kind, d.name))
    });
    (report, place)
}

fn compare(before: &str, after: &str) -> (ModelReport, Option<(String, String)>) {
    compare_as(before, after, &[])
}

/// The place where two programs part.
#[track_caller]
fn parts(before: &str, after: &str) -> (String, String) {
    compare(before, after).1.expect("not caught")
}

#[track_caller]
fn agrees(before: &str, after: &str) -> ModelReport {
    let (report, place) = compare(before, after);
    assert!(place.is_none(), "{:?}", report.failure.map(|f| f.what));
    assert!(report.has_compared() && report.not_run.is_empty(), "{:?}", report.not_run);
    report
}

fn named(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

const NET: &str = "func main<CoreML6>(tensor<fp16, [1, 3, 7, 9]> x) {
    w = const()[name = \"w\", val = random<fp16, [5, 3, 3, 3]>(7)];
    a = conv(x = x, weight = w, strides = [1, 1], pad_type = \"custom\", pad = [1, 1, 1, 1], dilations = [1, 1], groups = 1);
    b = relu(x = a);
    n = layer_norm(x = b, axes = [3], epsilon = tensor<fp16, []>(1e-5));
    y = softmax(x = n, axis = 1);
} -> (y);";

#[test]
fn the_same_program_agrees_in_both_arithmetics() {
    let report = agrees(NET, NET);
    let seen: Vec<&str> = report.outputs.iter().map(|o| o.arithmetic).collect();
    assert_eq!(seen, ["fp64", "ane16"]);
    assert!(report.outputs.iter().all(|o| o.name == "y" && o.difference.elements == 5 * 7 * 9));
    let sixteen = &report.outputs[1];
    let original = sixteen.original.as_ref().unwrap();
    assert!(original.rms > 0.0 && original.rms < 1e-2 && sixteen.difference.rms == original.rms);
}

#[test]
fn the_first_op_that_differs_is_named() {
    assert_eq!(parts(NET, &NET.replace("pad = [1, 1, 1, 1]", "pad = [1, 1, 0, 2]")), named("conv", "a"));
    assert_eq!(parts(NET, &NET.replace("b = relu(x = a)", "b = abs(x = a)")), named("abs", "b"));
    assert_eq!(parts(NET, &NET.replace("1e-5", "1e-4")), named("layer_norm", "n"));
    assert_eq!(parts(NET, &NET.replace("axis = 1", "axis = 2")), named("softmax", "y"));
}

#[test]
fn an_op_between_that_one_side_lacks_does_not_hide_the_next() {
    let after = NET.replace("b = relu(x = a)", "t = mul(x = a, y = tensor<fp16, []>(1.5)); b = relu(x = t)");
    assert_eq!(parts(NET, &after), named("relu", "b"));
}

#[test]
fn more_error_in_16_bits_than_the_original_has_is_too_much() {
    let sum = |order: &str| format!("func main<CoreML6>(tensor<fp16, [2, 64]> x) {{ {order} }} -> (y);");
    let before = sum("y = reduce_mean(x = x, axes = [1], keep_dims = true);");
    // equal in real arithmetic, but the large number takes the low bits of the small ones
    let after = sum(
        "c = add(x = x, y = tensor<fp16, []>(2048.0)); m = reduce_mean(x = c, axes = [1], keep_dims = true); y = sub(x = m, y = tensor<fp16, []>(2048.0));",
    );
    let (report, _) = compare(&before, &after);
    let failure = report.failure.unwrap();
    assert!(
        failure.arithmetic == Arithmetic::ANE16 && failure.what.contains("16-bit error"),
        "{}",
        failure.what
    );
}

#[test]
fn overflow_in_16_bits_is_found_and_its_removal_is_no_fault() {
    let plain =
        "func main<CoreML6>(tensor<fp16, [2, 8]> x) { y = mul(x = x, y = tensor<fp16, []>(0.5)); } -> (y);";
    let loud = "func main<CoreML6>(tensor<fp16, [2, 8]> x) {
        a = mul(x = x, y = tensor<fp16, []>(60000.0)); b = mul(x = a, y = tensor<fp16, []>(0.5)); y = real_div(x = b, y = tensor<fp16, []>(60000.0));
    } -> (y);";
    let (report, _) = compare(plain, loud);
    assert_eq!(report.failure.unwrap().arithmetic, Arithmetic::ANE16);
    let report = agrees(loud, plain);
    assert!(report.outputs[1].difference.healed > 0);
}

#[test]
fn decisions_are_compared_at_the_value_behind_them() {
    let pick = |body: &str| {
        format!(
            "func main<CoreML6>(tensor<fp16, [6, 50]> x) {{ {body} y = reduce_argmax(x = a, axis = 1, keep_dims = false); }} -> (y);"
        )
    };
    let report =
        agrees(&pick("a = sin(x = x);"), &pick("b = sin(x = x); a = mul(x = b, y = tensor<fp16, []>(1.0));"));
    assert!(report.outputs.iter().all(|o| o.decided && o.difference.elements == 300));
    let (report, _) = compare(
        &pick("a = sin(x = x);"),
        &pick("b = sin(x = x); a = mul(x = b, y = tensor<fp16, []>(1.01));"),
    );
    assert!(report.failure.unwrap().what.contains("the value that decides it"));
    let last = "func main<CoreML6>(tensor<fp16, [6, 50]> x) { a = sin(x = x); r = reverse(x = a, axes = [1]);
        i = reduce_argmax(x = r, axis = 1, keep_dims = false); y = sub(x = 49, y = i); } -> (y);";
    let (report, _) = compare(&pick("a = sin(x = x);"), last);
    assert!(report.failure.is_none() || report.failure.unwrap().what.contains("no single op"));
}

#[test]
fn states_are_followed_over_several_steps() {
    let keeps = |update: &str| {
        format!(
            "func main<CoreML8>(state<tensor<fp16, [3]>> s, tensor<fp16, [3]> x) {{
                old = read_state(input = s);
                new = {update};
                coreml_update_state(state = s, value = new);
                y = add(x = old, y = x);
            }} -> (y);"
        )
    };
    let before = keeps("add(x = old, y = x)").replace(
        "coreml_update_state(state = s, value = new);",
        "z = coreml_update_state(state = s, value = new);",
    );
    let after = keeps("sub(x = old, y = x)").replace(
        "coreml_update_state(state = s, value = new);",
        "z = coreml_update_state(state = s, value = new);",
    );
    let report = agrees(&before, &before);
    assert!(report.outputs.iter().any(|o| o.name == "state s"), "{:?}", report.outputs);
    assert!(compare(&before, &after).0.failure.is_some());
}

#[test]
fn flexible_shapes_are_tried_at_both_ends() {
    let mean = |n: &str| {
        format!(
            "func main<CoreML6>(tensor<fp32, [1, ?]> x) {{ s = reduce_sum(x = x, axes = [1], keep_dims = true); y = {n}; }} -> (y);"
        )
    };
    let before = "func main<CoreML6>(tensor<fp32, [1, ?]> x) { y = reduce_mean(x = x, axes = [1], keep_dims = true); } -> (y);";
    // right for the described extent alone
    let after = mean("real_div(x = s, y = tensor<fp32, []>(10.0))");
    let input = Input {
        name: "x".into(),
        shape: vec![1, 10],
        flexible: Flexible::Range(vec![(1, Some(1)), (2, None)]),
        ..Input::default()
    };
    let (report, _) = compare_as(before, &after, std::slice::from_ref(&input));
    let failure = report.failure.unwrap();
    assert!(failure.case.label.contains("minimum"), "{}", failure.case.label);
    assert!(
        report.inputs.iter().any(|n| n.contains("no maximum of axis 1") && n.contains("32")),
        "{:?}",
        report.inputs
    );
    let (report, _) = compare_as(before, before, &[input]);
    assert_eq!(report.cases.len(), 4, "{:?}", report.cases);
}

#[test]
fn extents_that_must_agree_are_chosen_together() {
    let program = "func main<CoreML6>(tensor<fp32, [?, 4]> x, tensor<fp32, [?, 4]> z) { y = add(x = x, y = z); } -> (y);";
    let input = |name: &str, low, high| Input {
        name: name.into(),
        shape: vec![5, 4],
        flexible: Flexible::Range(vec![(low, Some(high)), (4, Some(4))]),
        ..Input::default()
    };
    let (report, place) = compare_as(program, program, &[input("x", 2, 9), input("z", 3, 20)]);
    assert!(place.is_none() && report.not_run.is_empty(), "{:?}", report.not_run);
    assert!(
        report.inputs.iter().any(|n| n == "axis 0 of x and axis 0 of z must agree"),
        "{:?}",
        report.inputs
    );
}

#[test]
fn integers_follow_what_is_done_with_them() {
    let program = "func main<CoreML6>(tensor<int32, [4]> ids, tensor<int32, [1, 7]> mask) {
        table = const()[name = \"table\", val = random<fp16, [11, 3]>(7)];
        rows = gather(x = table, indices = ids, axis = 0);
        m = cast(x = mask, dtype = \"fp16\");
        inverse = sub(x = tensor<fp16, []>(1.0), y = m);
        away = mul(x = inverse, y = tensor<fp16, []>(-10000.0));
        total = reduce_sum(x = away, axes = [1], keep_dims = true);
        y = add(x = rows, y = total);
    } -> (y);";
    let report = agrees(program, program);
    let notes = report.inputs.join("\n");
    assert!(notes.contains("ids: whole numbers from 0 to 10 (gather over 11)"), "{notes}");
    assert!(notes.contains("mask: whole numbers from 0 to 1 (scaled by -10000, as masks are)"), "{notes}");
}

#[test]
fn what_will_be_done_is_said_first_and_kept_within_its_time() {
    let p = parse(NET);
    let subject = Subject {
        before: &p,
        after: &p,
        inputs: &|_| Vec::new(),
        growth: &|_, _| 1.0,
        rounded: false,
        bridge: None,
    };
    let (plan, cases) = (Cell::new(Plan::default()), Cell::new(0));
    let mut first = None;
    let options = ModelOptions { mode: Mode::Full, seconds: Some(1e-12), ..ModelOptions::default() };
    let report = verify(&subject, &options, &[], &mut |event| {
        first.get_or_insert(matches!(event, Event::Plan(_)));
        match event {
            Event::Plan(p) => plan.set(p.clone()),
            Event::Case(..) => cases.set(cases.get() + 1),
        }
    });
    let plan = plan.take();
    assert_eq!(first, Some(true));
    assert_eq!((cases.get(), report.cases.len(), plan.runs), (1, 1, 4));
    assert!(plan.sampled.unwrap().starts_with("1 of 6 cases"));
    assert!(plan.operations > 2.0 * 5.0 * 27.0 * 63.0 && plan.memory > 8 * 5 * 63);
}
