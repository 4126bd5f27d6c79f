//! Loops and branches of NeuralNetworks, against what the format's documentation says of them and what coremltools'
//! tests expect. Programs in Python stand beside the numbers; `x@1` is the second value of the blob `x`.

use anewrite_interp::{Arithmetic, Array, EvalError, Evaluator, Options, Outputs};
use anewrite_ir::text::parse;
use anewrite_tensor::DType;

fn run(body: &str, inputs: &[(&str, &[f32])]) -> Result<Outputs, EvalError> {
    let args: Vec<String> =
        inputs.iter().map(|(name, x)| format!("tensor<fp32, [{}]> {name}", x.len())).collect();
    let head = "program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING]";
    let text = format!("{head} {{ func main({}) {{ {body}; }}", args.join(", "));
    let p = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let given = inputs.iter().map(|(name, x)| {
        let a = Array::new(DType::F32, [x.len() as u64], x.to_vec()).unwrap();
        ((*name).into(), a.into())
    });
    let given = given.collect();
    let options = Options { arithmetic: Arithmetic::Fp32, ..Options::default() };
    Evaluator::new(&p, options).run("main", given)
}

/// The numbers of all outputs, one after another.
fn numbers(body: &str, inputs: &[(&str, &[f32])]) -> Vec<f64> {
    let out = run(body, inputs).unwrap();
    out.values.iter().flat_map(|(_, v)| v.tensor().unwrap().to_f64s().unwrap()).collect()
}

/// `<blob> = [<value>]` as a layer.
fn load(blob: &str, value: &str) -> String {
    format!("{blob} = nn.loadConstantND()[data = tensor<fp32, [1]>([{value}]), shape = [1], data = {{}}];")
}

#[test]
fn a_branch_takes_the_first_network_where_its_input_is_not_near_zero() {
    let body = r#"
        y = nn.branch(input = c)[layer.networks = ["ifBranch", "elseBranch"]]
            (y@1) { y@2 = nn.multiply(input = x)[alpha = 10.0]; } -> (y@2),
            (y@3) { y@4 = nn.add(input = x)[alpha = 10.0]; } -> (y@4);
    } -> (y)"#;
    // coremltools: x * 10 if abs(c) > 1e-6 else x + 10
    let x: (&str, &[f32]) = ("x", &[1., 2., 3.]);
    assert_eq!(numbers(body, &[x, ("c", &[1.])]), [10., 20., 30.]);
    assert_eq!(numbers(body, &[x, ("c", &[-0.5])]), [10., 20., 30.]);
    assert_eq!(numbers(body, &[x, ("c", &[0.])]), [11., 12., 13.]);
    assert_eq!(numbers(body, &[x, ("c", &[-1e-7])]), [11., 12., 13.]);
}

#[test]
fn without_the_network_everything_stays() {
    let body = r#"
        y@0 = nn.copy(input = x);
        y@1 = nn.branch(input = c, carried = y@0)[layer.networks = ["ifBranch"]]
            (y@2) { y@3 = nn.add(input = y@2)[alpha = 1.0]; } -> (y@3);
    } -> (y@1)"#;
    assert_eq!(numbers(body, &[("x", &[5.]), ("c", &[1.])]), [6.]);
    assert_eq!(numbers(body, &[("x", &[5.]), ("c", &[0.])]), [5.]);
}

#[test]
fn a_blob_that_only_one_network_writes() {
    let body = r#"
        y = nn.branch(input = c)[layer.networks = ["ifBranch"]]
            (y@1) { y@2 = nn.multiply(input = x)[alpha = 3.0]; } -> (y@2);
    } -> (y)"#;
    assert_eq!(numbers(body, &[("x", &[2.]), ("c", &[1.])]), [6.]);
    let e = run(body, &[("x", &[2.]), ("c", &[0.])]).unwrap_err();
    assert!(e.to_string().contains("no value"), "{e}");
}

#[test]
fn loops_by_count() {
    // coremltools: y = 0; for _ in range(5): y += 2
    let body = |input: &str| {
        format!(
            r#"
        y@0 = nn.copy(input = x);
        y@1 = nn.loop({input}carried = y@0)[maxLoopIterations = 5, layer.networks = ["bodyNetwork"]]
            (y@2) {{ t = nn.add(input = y@2)[alpha = 2.0]; y@3 = nn.copy(input = t); }} -> (y@3);
    }} -> (y@1)"#
        )
    };
    assert_eq!(numbers(&body(""), &[("x", &[0.])]), [10.]);
    // an input stands before the field
    assert_eq!(numbers(&body("input = n, "), &[("x", &[0.]), ("n", &[3.])]), [6.]);
    assert_eq!(numbers(&body("input = n, "), &[("x", &[7.]), ("n", &[0.])]), [7.]);
}

#[test]
fn the_condition_is_computed_once_more_than_the_body() {
    // tests = i = 0
    // def go(): global tests; tests += 1; return i < limit
    // g = go(); n = 0
    // while g and n < most: i += 1; n += 1; g = go()
    let body = |most: u32| {
        let (i, tests) = (load("i@0", "0"), load("tests@0", "0"));
        format!(
            r#"{i} {tests}
        go, i@1, tests@1 = nn.loop(carried = (i@0, tests@0))[conditionVar = "go", maxLoopIterations = {most},
                layer.networks = ["conditionNetwork", "bodyNetwork"]]
            (go@1, i@2, tests@2) {{
                tests@3 = nn.add(input = tests@2)[alpha = 1.0];
                go@2 = nn.lessThan(input = (i@2, limit));
            }} -> (go@2, i@2, tests@3),
            (go@3, i@3, tests@4) {{ i@4 = nn.add(input = i@3)[alpha = 1.0]; }} -> (go@3, i@4, tests@4);
    }} -> (i@1, tests@1, go)"#
        )
    };
    // most = 0 is no bound
    assert_eq!(numbers(&body(0), &[("limit", &[3.])]), [3., 4., 0.]);
    assert_eq!(numbers(&body(2), &[("limit", &[3.])]), [2., 3., 1.]);
    assert_eq!(numbers(&body(5), &[("limit", &[0.])]), [0., 1., 0.]);
}

#[test]
fn a_break_leaves_what_was_written_before_it() {
    // x = 1; n = 0
    // for _ in range(10):
    //     n += 1; x += 1
    //     if x > 3: break
    //     x *= 2
    let one = load("n@0", "0");
    let body = format!(
        r#"{one}
        y@0 = nn.copy(input = x);
        n@1, y@1 = nn.loop(carried = (n@0, y@0))[maxLoopIterations = 10, layer.networks = ["bodyNetwork"]]
            (n@2, y@2) {{
                n@3 = nn.add(input = n@2)[alpha = 1.0];
                y@3 = nn.add(input = y@2)[alpha = 1.0];
                far = nn.greaterThan(input = y@3)[alpha = 3.0];
                nn.branch(input = far)[layer.networks = ["ifBranch"]] {{ nn.loopBreak(); }} -> ();
                y@4 = nn.multiply(input = y@3)[alpha = 2.0];
            }} -> (n@3, y@4);
    }} -> (y@1, n@1)"#
    );
    assert_eq!(numbers(&body, &[("x", &[1.])]), [5., 2.]);
}

#[test]
fn a_round_goes_on_with_the_next_one() {
    // i = s = 0
    // for _ in range(6):
    //     i += 1
    //     if i in (2, 4, 6): continue        # the blob `skip` is set in the branch, before it
    //     s += i
    let (i, s, skip) = (load("i@0", "0"), load("s@0", "0"), load("skip@0", "-1"));
    let body = format!(
        r#"{i} {s} {skip}
        i@1, s@1, skip@1 = nn.loop(carried = (i@0, s@0, skip@0))[maxLoopIterations = 6, layer.networks = ["bodyNetwork"]]
            (i@2, s@2, skip@2) {{
                i@3 = nn.add(input = i@2)[alpha = 1.0];
                half = nn.multiply(input = i@3)[alpha = 0.5];
                low = nn.floor(input = half);
                even = nn.equal(input = (half, low));
                skip@3 = nn.branch(input = even, carried = skip@2)[layer.networks = ["ifBranch"]]
                    (skip@4) {{ skip@5 = nn.copy(input = i@3); nn.loopContinue(); }} -> (skip@5);
                s@3 = nn.add(input = (s@2, i@3));
            }} -> (i@3, s@3, skip@3);
    }} -> (i@1, s@1, skip@1)"#
    );
    assert_eq!(numbers(&body, &[("x", &[0.])]), [6., 9., 6.]);
}

#[test]
fn loops_in_loops_read_what_is_around() {
    // k = s = 0
    // for _ in range(3):
    //     k += 1
    //     for _ in range(2): s = s * 2 + k
    let (k, s) = (load("k@0", "0"), load("s@0", "0"));
    let body = format!(
        r#"{k} {s}
        k@1, s@1 = nn.loop(carried = (k@0, s@0))[maxLoopIterations = 3, layer.networks = ["bodyNetwork"]]
            (k@2, s@2) {{
                k@3 = nn.add(input = k@2)[alpha = 1.0];
                s@3 = nn.loop(input = twice, carried = s@2)[layer.networks = ["bodyNetwork"]]
                    (s@4) {{
                        t = nn.multiply(input = s@4)[alpha = 2.0];
                        s@5 = nn.add(input = (t, k@3));
                    }} -> (s@5);
            }} -> (k@3, s@3);
    }} -> (s@1, k@1)"#
    );
    assert_eq!(numbers(&body, &[("twice", &[2.])]), [81., 3.]);
}

#[test]
fn a_break_ends_the_inner_loop_only() {
    // a = b = 0
    // for _ in range(4):
    //     for _ in range(5):
    //         a += 1
    //         break
    //     b += 1
    let (a, b) = (load("a@0", "0"), load("b@0", "0"));
    let body = format!(
        r#"{a} {b}
        a@1, b@1 = nn.loop(carried = (a@0, b@0))[maxLoopIterations = 4, layer.networks = ["bodyNetwork"]]
            (a@2, b@2) {{
                a@3 = nn.loop(carried = a@2)[maxLoopIterations = 5, layer.networks = ["bodyNetwork"]]
                    (a@4) {{ a@5 = nn.add(input = a@4)[alpha = 1.0]; nn.loopBreak(); }} -> (a@5);
                b@3 = nn.add(input = b@2)[alpha = 1.0];
            }} -> (a@3, b@3);
    }} -> (a@1, b@1)"#
    );
    assert_eq!(numbers(&body, &[("x", &[0.])]), [4., 4.]);
}

#[test]
fn what_grows_in_a_loop() {
    // y = x[:1]; for _ in range(3): y = numpy.concatenate((y, 2 * y))
    let body = r#"
        y@0 = nn.copy(input = x);
        y@1 = nn.loop(carried = y@0)[maxLoopIterations = 3, layer.networks = ["bodyNetwork"]]
            (y@2) {
                t = nn.multiply(input = y@2)[alpha = 2.0];
                y@3 = nn.concatND(input = (y@2, t))[axis = 0];
            } -> (y@3);
    } -> (y@1)"#;
    assert_eq!(numbers(body, &[("x", &[1.])]), [1., 2., 2., 4., 2., 4., 4., 8.]);
}

#[test]
fn a_loop_without_an_end_ends() {
    let body = format!(
        r#"{}
        go@1 = nn.loop(carried = go@0)[conditionVar = "go", layer.networks = ["conditionNetwork", "bodyNetwork"]]
            (go@2) {{ }} -> (go@2), (go@3) {{ }} -> (go@3);
    }} -> (go@1)"#,
        load("go@0", "1")
    );
    let e = run(&body, &[("x", &[0.])]).unwrap_err();
    assert!(e.to_string().contains("rounds"), "{e}");
}
