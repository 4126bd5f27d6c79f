//! Texts that are not of the form, and texts made to do harm.

use anewrite_ir::text::{ParseError, PrintOptions, parse, print};
use proptest::prelude::*;

use crate::body;

fn error(source: &str) -> ParseError {
    match parse(source) {
        Ok(p) => panic!("this was read:\n{}", print(&p, &PrintOptions::default())),
        Err(e) => e,
    }
}

#[test]
fn errors_say_where_and_what() {
    let cases: &[(&str, (usize, usize), &str)] = &[
        ("", (1, 1), "there is no program here"),
        ("func main<CoreML6>(x) {} -> (x);", (1, 20), "the type of `x` is missing"),
        (&body("y = relu(x = z);"), (2, 14), "`z` is not defined above"),
        (&body("y = relu(x = x);\n y = relu(x = x);"), (3, 2), "`y` is defined a second time"),
        (&body("y = relu(x = x)"), (3, 1), "`;` is wanted here, not `}`"),
        (&body("y = nope(x = x);"), (2, 1), "cannot be inferred: the op nope has no definition here"),
        (&body("y = relu(x = tensor<fp17, [1]>([0]));"), (2, 21), "`fp17` is no dtype"),
        (&body("y = add(x = x, y = tensor<fp16, [2]>([0]));"), (2, 38), "make a shape of [1], not [2]"),
        (&body("y = add(x = x, y = int8(128));"), (2, 25), "128 is outside int8"),
        (&body("y = add(x = x, y = [[1], [2, 3]]);"), (2, 26), "2 elements here, 1 in the list before"),
        (&body("y = add(x = x, y = [1, [2]]);"), (2, 24), "not equally deep everywhere"),
        (&body("y = add(x = x, y = \"a);"), (2, 20), "text starts here and never ends"),
        (&body("a, b = relu(x = x);"), (2, 1), "2 results are named, the op has 1"),
        (&body("y = relu(x = x) {} -> (q);"), (2, 24), "`q` is not defined above"),
        (&body("tensor<fp16, [2]> y = const()[val = fp16(1)];"), (2, 37), "declared is tensor<fp16, [2]>"),
        (&body("y = const()[val = []];"), (2, 19), "the dtype of an empty list cannot be told"),
        (&body("y = relu(x = random<fp16, [99999999]>(1));"), (2, 14), "more than 4194304 elements"),
        (&body("y = relu(x = tensor<fp16, [?]>([1]));"), (2, 14), "has extents that are not known"),
        (&body("y = relu(x = tensor<fp16, [9223372036854775807, 4]>([1]));"), (2, 53), "a shape of [1]"),
        ("func a<CoreML6>() {} -> (); func a<CoreML6>() {} -> ();", (1, 29), "a second function called `a`"),
        ("func m() { a = relu(); } -> ();", (1, 12), "the op of a NeuralNetwork is called nn.<layer>"),
        ("program(1.0) { func m<CoreML6>() {} -> ();", (1, 43), "`func` or `}` is wanted here, not the end"),
        (&body("é = relu(x = x);"), (2, 1), "'é' starts nothing that is known"),
        (&body("y = relu(x = \"\\q\");"), (2, 14), "there is an escape here that is not known"),
        (&body("y = relu(x = x) { t = relu(x = x); } -> (t);\nz = relu(x = t);"), (3, 14), "has ended"),
    ];
    for (source, place, what) in cases {
        let e = error(source);
        assert_eq!((e.line, e.column), *place, "{e}\n{source}");
        assert!(e.to_string().contains(what), "{e}\n{source}");
    }
}

#[test]
fn nesting_is_bounded() {
    let many = |s: &str| s.repeat(100_000);
    let head = "func m(x) { y = nn.a(input = x)";
    for (text, what) in [
        (format!("{head}[a = {}", many("[")), "nest more than"),
        (format!("{head}[a = {}", many("{a = ")), "nest more than"),
        (format!("{head}[a = {}", many("tuple<>(")), "nest more than"),
        (format!("func m({}", many("dict<")), "nest more than"),
        (format!("func m(x) {{ {}", many("y = nn.loop() { ")), "nest more than"),
        (format!("func m(x) {{ y = nn.a(input = {}", many("[")), "equally deep"),
        (format!("func m(tensor<fp16, [{}", many("(")), "an extent is wanted"),
    ] {
        let e = error(&text);
        assert!(e.what.contains(what), "{e}");
    }
}

const SAMPLES: [&str; 3] = [
    "program(1.0)\n[b = dict<string, string>({{\"k\", \"v\"}})]\n{ func main<ios15>(tensor<fp16, [2, ?]> x) \
     { k = const()[name = \"k\", val = tensor<fp16, [3]>([0x1p-1, nan(0x7e01), -inf])]; tensor<fp16, [2, 3]> y = add(x = x, y = k); \
     tensor<bool, [2]> a, unknown b = foo(v = (y, 3, [true])) (fp16 p) { } -> (p), { } -> (); } -> (y); }",
    "func main(image, tensor<fp32, [...]> m) { `c 1`@0 = nn.convolution(input = (image, m))\
     [w = tensor<uint3, [2, 1]>([[1], [7]]), p = {a = [1, {b = E}], c = 0.1f, d = bytes(\"0aff\")}] sealed; } -> (`c 1`@0);",
    "func f<CoreML7>(state<tensor<fp16, [4]>> s, list<tensor<int32, [1]>, 3> l, dict<string, tuple<bool, unknown>> d) \
     { write_state(input = s, data = random<fp16, [4]>(3)); t = relu(x = [[0.5], [1e-5]]); } -> (t);",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn mutated_texts_never_panic(
        sample in 0..SAMPLES.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<prop::sample::Index>()), 1..6),
    ) {
        const PIECES: [&str; 24] = [
            "(", ")", "[", "]", "{", "}", "<", ">", ",", ";", "=", "\"", "`", "@", "-", "->", "...", "?", "é",
            "18446744073709551616", "0x1p99999", "tensor<fp16, [4294967296, 4294967296]>([])", "const()", "nan(",
        ];
        let mut text: Vec<char> = SAMPLES[sample].chars().collect();
        for (place, how, other) in edits {
            let at = place.index(text.len().max(1)).min(text.len());
            match how {
                0 if at < text.len() => { text.remove(at); }
                1 => { let p = PIECES[other.index(PIECES.len())]; text.splice(at..at, p.chars()); }
                2 => text.truncate(at),
                _ => {
                    let end = other.index(text.len() + 1).max(at);
                    let copy: Vec<char> = text[at..end].to_vec();
                    text.splice(at..at, copy);
                }
            }
        }
        let text: String = text.into_iter().collect();
        match parse(&text) {
            Err(e) => prop_assert!(e.line <= text.lines().count().max(1) + 1),
            Ok(p) => {
                let once = print(&p, &PrintOptions::default());
                let again = parse(&once);
                prop_assert!(again.is_ok(), "{}\n{once}", again.unwrap_err());
                prop_assert_eq!(print(&again.unwrap(), &PrintOptions::default()), once);
            }
        }
    }
}

#[test]
fn the_samples_are_read() {
    for s in SAMPLES {
        crate::stable(s, &PrintOptions::default());
        crate::stable(s, &PrintOptions::short());
    }
}
