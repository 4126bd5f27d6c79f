//! Loops and branches of NeuralNetworks, against what the format's documentation says of them and what coremltools'
//! tests expect. Programs in Python stand beside the numbers; `x@1` is the second value of the blob `x`.

use anewrite_interp::{Arithmetic, Array, EvalError, Evaluator, Options, Outputs};
use anewrite_ir::dims::DimTable;
use anewrite_ir::infer::Facts;
use anewrite_ir::mil::Mil;
use anewrite_ir::text::parse;
use anewrite_ir::{Builder, DialectId, Opset, Place, Program, TensorType, verify};
use anewrite_nn::{NetworkOptions, lower_network};
use anewrite_tensor::DType;

type Inputs<'a> = &'a [(&'a str, &'a [f32])];

fn network(body: &str, inputs: Inputs<'_>) -> Program {
    let args: Vec<String> =
        inputs.iter().map(|(name, x)| format!("tensor<fp32, [{}]> {name}", x.len())).collect();
    let head = "program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING]";
    let text = format!("{head} {{ func main({}) {{ {body}; }}", args.join(", "));
    parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn evaluated(p: &Program, inputs: Inputs<'_>) -> Result<Outputs, EvalError> {
    let given = inputs.iter().map(|(name, x)| {
        let a = Array::new(DType::F32, [x.len() as u64], x.to_vec()).unwrap();
        ((*name).into(), a.into())
    });
    let given = given.collect();
    let options = Options { arithmetic: Arithmetic::Fp32, ..Options::default() };
    Evaluator::new(p, options).run("main", given)
}

fn run(body: &str, inputs: Inputs<'_>) -> Result<Outputs, EvalError> {
    evaluated(&network(body, inputs), inputs)
}

/// The network as an ML Program.
fn lowered(network: &Program, inputs: Inputs<'_>, opset: Opset) -> Program {
    let mut p = Program::new(DialectId::Mil);
    let (_, body) = p.add_function("main", opset.name());
    let array = |x: &[f32]| TensorType::fixed(DType::F32, [x.len() as u64]);
    let args: Vec<_> = inputs.iter().map(|(name, x)| p.add_arg(body, name, array(x).into())).collect();
    let (mut facts, mut dims) = (Facts::default(), DimTable::default());
    let mut b = Builder::new(&mut p, &mut facts, &mut dims, &Mil, opset, Place::End(body));
    let options = NetworkOptions { float: DType::F32, compressed: false };
    let out = lower_network(network, &mut b, &args, options).unwrap_or_else(|e| panic!("{e:?}"));
    for v in out {
        p.add_output(body, v);
    }
    let broken = verify::verify(&p, &Mil).err();
    assert!(broken.is_none(), "{broken:?}\n{}", anewrite_ir::text::print(&p, &Default::default()));
    p
}

fn listed(out: &Outputs) -> Vec<f64> {
    out.values.iter().flat_map(|(_, v)| v.tensor().unwrap().to_f64s().unwrap()).collect()
}

/// The numbers of all outputs, one after another: those of the network, and of what it lowers to in the first opset and
/// a later one.
fn numbers(body: &str, inputs: Inputs<'_>) -> Vec<f64> {
    let p = network(body, inputs);
    let have = listed(&evaluated(&p, inputs).unwrap());
    for opset in [Opset::Ios15, Opset::Ios18] {
        let program = lowered(&p, inputs, opset);
        let also = evaluated(&program, inputs).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(listed(&also), have, "as a program of {}", opset.name());
    }
    have
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

#[test]
fn a_blob_that_one_network_alone_makes_and_nothing_reads() {
    // y = x; if c: t = 3 * x; y = t + 1
    let body = r#"
        y@0 = nn.copy(input = x);
        t, y@1 = nn.branch(input = c, carried = y@0)[layer.networks = ["ifBranch"]]
            (t@1, y@2) {
                t@2 = nn.multiply(input = x)[alpha = 3.0];
                y@3 = nn.add(input = t@2)[alpha = 1.0];
            } -> (t@2, y@3);
    } -> (y@1)"#;
    assert_eq!(numbers(body, &[("x", &[2., -1.]), ("c", &[1.])]), [7., -2.]);
    assert_eq!(numbers(body, &[("x", &[2., -1.]), ("c", &[0.])]), [2., -1.]);
}

#[test]
fn blobs_that_a_loop_alone_makes() {
    // n = 0
    // while n < 3: n += 1; last = x * n
    let body = format!(
        r#"{}
        n@1, last@1 = nn.loop(carried = n@0)[maxLoopIterations = 3, layer.networks = ["bodyNetwork"]]
            (n@2, last@2) {{
                n@3 = nn.add(input = n@2)[alpha = 1.0];
                last@3 = nn.multiplyBroadcastable(input = (x, n@3));
            }} -> (n@3, last@3);
    }} -> (last@1, n@1)"#,
        load("n@0", "0")
    );
    assert_eq!(numbers(&body, &[("x", &[2., 5.])]), [6., 15., 3.]);
}

#[test]
fn a_blob_made_in_a_round_and_read_in_the_next() {
    // n = y = 0
    // for _ in range(4):
    //     if n > 0: y += seen        # what the round before saw
    //     n += 1; seen = n * 10
    let (n, y) = (load("n@0", "0"), load("y@0", "0"));
    let body = format!(
        r#"{n} {y}
        n@1, y@1, seen@1 = nn.loop(carried = (n@0, y@0))[maxLoopIterations = 4, layer.networks = ["bodyNetwork"]]
            (n@2, y@2, seen@2) {{
                y@3 = nn.branch(input = n@2, carried = y@2)[layer.networks = ["ifBranch"]]
                    (y@4) {{ y@5 = nn.add(input = (y@4, seen@2)); }} -> (y@5);
                n@3 = nn.add(input = n@2)[alpha = 1.0];
                seen@3 = nn.multiply(input = n@3)[alpha = 10.0];
            }} -> (n@3, y@3, seen@3);
    }} -> (y@1, n@1)"#
    );
    assert_eq!(numbers(&body, &[("x", &[0.])]), [60., 4.]);
}

#[test]
fn a_break_under_a_condition_that_is_computed() {
    // i = s = tests = 0
    // while True:
    //     tests += 1
    //     if not i < limit: break
    //     i += 1
    //     if i > stop: s += 100; break
    //     if i == 2: continue
    //     s += i
    let (i, s, tests) = (load("i@0", "0"), load("s@0", "0"), load("tests@0", "0"));
    let body = format!(
        r#"{i} {s} {tests}
        go, i@1, s@1, tests@1 = nn.loop(carried = (i@0, s@0, tests@0))[conditionVar = "go",
                layer.networks = ["conditionNetwork", "bodyNetwork"]]
            (go@1, i@2, s@2, tests@2) {{
                tests@3 = nn.add(input = tests@2)[alpha = 1.0];
                go@2 = nn.lessThan(input = (i@2, limit));
            }} -> (go@2, i@2, s@2, tests@3),
            (go@3, i@3, s@3, tests@4) {{
                i@4 = nn.add(input = i@3)[alpha = 1.0];
                far = nn.greaterThan(input = (i@4, stop));
                s@4 = nn.branch(input = far, carried = s@3)[layer.networks = ["ifBranch"]]
                    (s@5) {{ s@6 = nn.add(input = s@5)[alpha = 100.0]; nn.loopBreak(); }} -> (s@6);
                two = nn.equal(input = i@4)[alpha = 2.0];
                nn.branch(input = two)[layer.networks = ["ifBranch"]] {{ nn.loopContinue(); }} -> ();
                s@7 = nn.add(input = (s@4, i@4));
            }} -> (go@3, i@4, s@7, tests@4);
    }} -> (i@1, s@1, tests@1)"#
    );
    let ends = |limit: f32, stop: f32| numbers(&body, &[("limit", &[limit]), ("stop", &[stop])]);
    // python: the loop above
    assert_eq!(ends(5., 9.), [5., 13., 6.]);
    assert_eq!(ends(9., 3.), [4., 104., 4.]);
    assert_eq!(ends(0., 3.), [0., 0., 1.]);
    assert_eq!(ends(2., 1.), [2., 101., 2.]);
}

#[test]
fn both_networks_of_a_branch_leave_a_round() {
    // n = y = 0
    // for _ in range(8):
    //     n += 1
    //     if n < 4: y += n; continue
    //     else: y *= 10; break
    //     y = -1
    let (n, y) = (load("n@0", "0"), load("y@0", "0"));
    let body = format!(
        r#"{n} {y}
        n@1, y@1 = nn.loop(carried = (n@0, y@0))[maxLoopIterations = 8, layer.networks = ["bodyNetwork"]]
            (n@2, y@2) {{
                n@3 = nn.add(input = n@2)[alpha = 1.0];
                low = nn.lessThan(input = n@3)[alpha = 4.0];
                y@3 = nn.branch(input = low, carried = y@2)[layer.networks = ["ifBranch", "elseBranch"]]
                    (y@4) {{ y@5 = nn.add(input = (y@4, n@3)); nn.loopContinue(); }} -> (y@5),
                    (y@6) {{ y@7 = nn.multiply(input = y@6)[alpha = 10.0]; nn.loopBreak(); }} -> (y@7);
                y@8 = nn.add(input = x)[alpha = -1.0];
            }} -> (n@3, y@8);
    }} -> (y@1, n@1)"#
    );
    assert_eq!(numbers(&body, &[("x", &[0.])]), [60., 4.]);
}

#[test]
fn a_loop_that_is_left_from_two_branches_deep() {
    // a = b = 0
    // for _ in range(3):
    //     b += 1
    //     for _ in range(6):
    //         a += 1
    //         if b > 1:
    //             if a > 8: break
    //             a += 2
    //         t = a
    //     b += 10 if a > 8 else 0
    let (a, b) = (load("a@0", "0"), load("b@0", "0"));
    let body = format!(
        r#"{a} {b}
        a@1, b@1 = nn.loop(carried = (a@0, b@0))[maxLoopIterations = 3, layer.networks = ["bodyNetwork"]]
            (a@2, b@2) {{
                b@3 = nn.add(input = b@2)[alpha = 1.0];
                a@3, t = nn.loop(carried = a@2)[maxLoopIterations = 6, layer.networks = ["bodyNetwork"]]
                    (a@4, t@1) {{
                        a@5 = nn.add(input = a@4)[alpha = 1.0];
                        later = nn.greaterThan(input = b@3)[alpha = 1.0];
                        a@6 = nn.branch(input = later, carried = a@5)[layer.networks = ["ifBranch"]]
                            (a@7) {{
                                far = nn.greaterThan(input = a@7)[alpha = 8.0];
                                nn.branch(input = far)[layer.networks = ["ifBranch"]] {{ nn.loopBreak(); }} -> ();
                                a@8 = nn.add(input = a@7)[alpha = 2.0];
                            }} -> (a@8);
                        t@2 = nn.copy(input = a@6);
                    }} -> (a@6, t@2);
                more = nn.greaterThan(input = a@3)[alpha = 8.0];
                b@4 = nn.branch(input = more, carried = b@3)[layer.networks = ["ifBranch"]]
                    (b@5) {{ b@6 = nn.add(input = b@5)[alpha = 10.0]; }} -> (b@6);
            }} -> (a@3, b@4);
    }} -> (a@1, b@1)"#
    );
    // python: the loops above
    assert_eq!(numbers(&body, &[("x", &[0.])]), [11., 23.]);
}

#[test]
fn a_blob_of_a_loop_alone_under_a_condition() {
    // i = 0
    // while i < limit: i += 1; last = x * i
    let i = load("i@0", "0");
    let body = format!(
        r#"{i}
        go, i@1, last@1 = nn.loop(carried = i@0)[conditionVar = "go", layer.networks = ["conditionNetwork", "bodyNetwork"]]
            (go@1, i@2, last@2) {{ go@2 = nn.lessThan(input = (i@2, limit)); }} -> (go@2, i@2, last@2),
            (go@3, i@3, last@3) {{
                i@4 = nn.add(input = i@3)[alpha = 1.0];
                last@4 = nn.multiplyBroadcastable(input = (x, i@4));
            }} -> (go@3, i@4, last@4);
    }} -> (last@1)"#
    );
    assert_eq!(numbers(&body, &[("x", &[2., 5.]), ("limit", &[3.])]), [6., 15.]);
}
