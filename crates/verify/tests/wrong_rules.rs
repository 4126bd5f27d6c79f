//! Rules that are wrong on purpose, one for each way of being wrong: the oracle catches every one, and lets their right
//! counterparts pass.

use anewrite_ir::mil::Mil;
use anewrite_rewrite::{
    DriverError, IndexMap, Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule,
};
use anewrite_tensor::{DType, Tensor};
use anewrite_testkit::Bench;
use anewrite_verify::{PatchOptions, PatchOracle, PatchSummary};

/// A rule of one op, made of a function.
macro_rules! wrong {
    ($module:ident, $code:literal, $kind:literal, { $($attrs:tt)* }, |$m:ident, $p:ident| $body:expr) => {
        mod $module {
            use super::*;

            declare_rule! {
                /// ## What it does
                /// Something wrong.
                pub struct Wrong = C $code "wrong";
                $($attrs)*
            }

            impl Rule for Wrong {
                fn info(&self) -> &'static RuleInfo {
                    &INFO
                }

                fn pattern(&self) -> Pattern {
                    Pattern::op($kind)
                }

                fn rewrite(&self, $m: &Match<'_>, $p: &mut PatchBuilder<'_>) -> Result<(), Miss> {
                    $body
                }
            }
        }
    };
}

/// The op again, with some of its arguments replaced or, where `None`, left out.
fn again(m: &Match<'_>, p: &mut PatchBuilder<'_>, with: &[(&str, Option<PatchValue>)]) -> Result<(), Miss> {
    let o = m.data(m.root());
    let mut args: Vec<(String, PatchValue)> = Vec::new();
    for x in &o.operands {
        match with.iter().find(|(name, _)| **name == *x.param) {
            Some((_, Some(v))) => args.push((x.param.to_string(), *v)),
            Some((_, None)) => {}
            None => args.push((x.param.to_string(), p.tap(x.value))),
        }
    }
    let args: Vec<(&str, PatchValue)> = args.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    let y = p.op(&o.kind, &args)?;
    p.replace(m.result(m.root())?, y)
}

/// So that a rule fires once on what it made itself.
fn once(done: bool) -> Result<(), Miss> {
    if done { Err(Miss::new("done")) } else { Ok(()) }
}

fn judge(rule: &dyn Rule, text: &str) -> Result<PatchSummary, String> {
    let oracle = PatchOracle::new(PatchOptions::default());
    match (Bench { rule, dialect: &Mil, limits: &[] }).judged(text, &oracle) {
        Ok(_) => Ok(oracle.summary()),
        Err(DriverError::NotEqual { difference, .. }) => Err(difference),
        Err(e) => panic!("{e}"),
    }
}

#[track_caller]
fn caught(rule: &dyn Rule, text: &str) -> String {
    match judge(rule, text) {
        Err(difference) => difference,
        Ok(summary) => panic!("not caught: {summary:?}"),
    }
}

#[track_caller]
fn passes(rule: &dyn Rule, text: &str) {
    let summary = judge(rule, text).unwrap();
    assert!(summary.distinct > 0 && summary.runs > 0 && summary.unchecked.is_empty(), "{summary:?}");
}

wrong!(padding, 901, "conv", { grade: Exact, purpose: Clean }, |m, p| {
    once(m.ints(m.root(), "pad")? != [1, 1, 1, 1])?;
    let pad = p.ints(&[1, 1, 0, 2])?;
    again(m, p, &[("pad", Some(pad))])
});

#[test]
fn padding_that_is_off_by_one() {
    let text = "func main<CoreML6>(tensor<fp16, [1, 3, 7, 9]> x) {
        w = const()[name = \"w\", val = random<fp16, [5, 3, 3, 3]>(7)];
        y = conv(x = x, weight = w, strides = [1, 1], pad_type = \"custom\", pad = [1, 1, 1, 1], dilations = [1, 1], groups = 1);
    } -> (y);";
    caught(&padding::Wrong, text);
}

wrong!(axes, 902, "transpose", { grade: BitExact, purpose: Clean }, |m, p| {
    let x = p.tap(m.arg(m.root(), "x")?);
    p.replace(m.result(m.root())?, x)
});

#[test]
fn swapped_axes_of_a_square() {
    let text = "func main<CoreML6>(tensor<fp16, [4, 4]> x) {
        a = identity(x = x);
        y = transpose(x = a, perm = [1, 0]);
        z = identity(x = y);
    } -> (z);";
    caught(&axes::Wrong, text);
    passes(&axes::Wrong, &text.replace("[1, 0]", "[0, 1]"));
}

wrong!(bias, 903, "linear", { grade: Exact, purpose: Clean }, |m, p| {
    once(m.data(m.root()).arg("bias").is_none())?;
    again(m, p, &[("bias", None)])
});

#[test]
fn a_dropped_bias() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 5]> x) {
        w = const()[name = \"w\", val = random<fp16, [3, 5]>(7)];
        y = linear(x = x, weight = w, bias = tensor<fp16, [3]>([0.0, 0.001, 0.0]));
    } -> (y);";
    caught(&bias::Wrong, text);
    passes(&bias::Wrong, &text.replace("0.001", "0.0"));
}

wrong!(epsilon, 904, "layer_norm", { grade: Exact, purpose: Clean }, |m, p| {
    let half = m.constant(m.root(), "epsilon")?.scalar_f64().unwrap_or(0.0);
    once(half < 5e-6)?;
    let e = p.constant(Tensor::from_f64s(DType::F16, &[], &[1e-6])?);
    again(m, p, &[("epsilon", Some(e))])
});

#[test]
fn another_epsilon() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 6, 5]> x) {
        y = layer_norm(x = x, axes = [2], epsilon = tensor<fp16, []>(1e-5));
    } -> (y);";
    caught(&epsilon::Wrong, text);
}

wrong!(negative, 905, "abs", { grade: BitExact, purpose: Clean }, |m, p| {
    let x = p.tap(m.arg(m.root(), "x")?);
    p.replace(m.result(m.root())?, x)
});

#[test]
fn right_for_all_but_negative_inputs() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 5]> x) { a = sin(x = x); y = abs(x = a); z = cos(x = y); } -> (z);";
    caught(&negative::Wrong, text);
}

#[test]
fn what_stands_before_may_make_it_right() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 5]> x) { a = square(x = x); y = abs(x = a); z = cos(x = y); } -> (z);";
    let summary = judge(&negative::Wrong, text).unwrap();
    assert_eq!(summary.in_context, 1);
}

wrong!(rounding, 906, "mul", { grade: Exact, purpose: Clean }, |m, p| {
    let (x, c) = two_factors(m)?;
    let (x, y) = (p.tap(x), p.constant(Tensor::from_f64s(DType::F16, &[], &[c])?));
    let y = p.op("mul", &[("x", x), ("y", y)])?;
    p.replace(m.result(m.root())?, y)
});

wrong!(rounded, 907, "mul", { grade: Exact, purpose: Clean }, |m, p| {
    let (x, c) = two_factors(m)?;
    let (x, y) = (p.tap(x), p.rounded(DType::F16, &[], &[c])?);
    let y = p.op("mul", &[("x", x), ("y", y)])?;
    p.replace(m.result(m.root())?, y)
});

wrong!(misrounded, 908, "mul", { grade: Exact, purpose: Clean }, |m, p| {
    let (x, c) = two_factors(m)?;
    let (x, y) = (p.tap(x), p.rounded(DType::F16, &[], &[1.01 * c])?);
    let y = p.op("mul", &[("x", x), ("y", y)])?;
    p.replace(m.result(m.root())?, y)
});

/// The input of two multiplications by constants in a row, and the product of the constants.
fn two_factors(m: &Match<'_>) -> Result<(anewrite_ir::ValueId, f64), Miss> {
    let none = || Miss::new("done");
    let inner = m.program.def_op(m.arg(m.root(), "x")?).ok_or_else(none)?;
    once(&*m.data(inner).kind != "mul")?;
    let factor = |op| Ok::<f64, Miss>(m.constant(op, "y")?.scalar_f64().unwrap_or(1.0));
    Ok((m.arg(inner, "x")?, factor(inner)? * factor(m.root())?))
}

#[test]
fn constants_that_are_rounded_in_silence() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 5]> x) {
        a = mul(x = x, y = tensor<fp16, []>(1.2998046875));
        y = mul(x = a, y = tensor<fp16, []>(0.7001953125));
    } -> (y);";
    caught(&rounding::Wrong, text);
    passes(&rounded::Wrong, text);
    caught(&misrounded::Wrong, text);
}

wrong!(ties, 909, "reduce_argmax", { grade: BitExact, purpose: Clean }, |m, p| {
    let x = m.arg(m.root(), "x")?;
    once(m.program.def_op(x).is_some_and(|op| &*m.data(op).kind == "reverse"))?;
    let x = p.tap(x);
    let (axes, axis, keep, last) = (p.ints(&[1])?, p.int(1)?, p.bool(false), p.int(5)?);
    let back = p.op("reverse", &[("x", x), ("axes", axes)])?;
    let at = p.op("reduce_argmax", &[("x", back), ("axis", axis), ("keep_dims", keep)])?;
    let y = p.op("sub", &[("x", last), ("y", at)])?;
    p.replace(m.result(m.root())?, y)
});

#[test]
fn another_order_among_equals() {
    let text = "func main<CoreML6>(tensor<fp16, [3, 6]> x) {
        y = reduce_argmax(x = x, axis = 1, keep_dims = false);
    } -> (y);";
    let how = caught(&ties::Wrong, text);
    assert!(how.contains("few different values"), "{how}");
}

wrong!(nan, 910, "mul", { grade: Exact, purpose: Clean, zeros: MayFlip }, |m, p| {
    let x = p.tap(m.arg(m.root(), "x")?);
    let zero = p.constant(Tensor::from_f64s(DType::F16, &[], &[0.0])?);
    let never = p.constant(Tensor::bool(false));
    let y = p.op("select", &[("cond", never), ("a", x), ("b", zero)])?;
    p.replace(m.result(m.root())?, y)
});

#[test]
fn a_lost_nan() {
    let text =
        "func main<CoreML6>(tensor<fp16, [2, 5]> x) { y = mul(x = x, y = tensor<fp16, []>(0.0)); } -> (y);";
    let how = caught(&nan::Wrong, text);
    assert!(how.contains("NaN"), "{how}");
}

wrong!(zero, 911, "add", { grade: Exact, purpose: Clean }, |m, p| {
    let x = p.tap(m.arg(m.root(), "x")?);
    p.replace(m.result(m.root())?, x)
});

wrong!(said_zero, 912, "add", { grade: Exact, purpose: Clean, zeros: MayFlip }, |m, p| {
    let x = p.tap(m.arg(m.root(), "x")?);
    p.replace(m.result(m.root())?, x)
});

#[test]
fn a_sign_of_zero_that_the_rule_says_nothing_of() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 5]> x) {
        a = sin(x = x);
        y = add(x = a, y = tensor<fp16, []>(0.0));
        z = cos(x = y);
    } -> (z);";
    let how = caught(&zero::Wrong, text);
    assert!(how.contains("sign"), "{how}");
    passes(&said_zero::Wrong, text);
}

wrong!(size, 913, "reduce_mean", { grade: Exact, purpose: Clean }, |m, p| {
    let x = m.arg(m.root(), "x")?;
    let extent = m.tensor(x)?.shape.as_ref().and_then(|s| s[1].known()).unwrap_or(7);
    let (x, axes, keep) = (p.tap(x), p.ints(&[1])?, p.bool(true));
    let sum = p.op("reduce_sum", &[("x", x), ("axes", axes), ("keep_dims", keep)])?;
    let n = p.constant(Tensor::from_f64s(DType::F32, &[], &[extent as f64])?);
    let y = p.op("real_div", &[("x", sum), ("y", n)])?;
    p.replace(m.result(m.root())?, y)
});

#[test]
fn wrong_at_flexible_sizes_only() {
    let text = |n: &str| {
        format!(
            "func main<CoreML6>(tensor<fp32, [2, {n}]> x) {{ y = reduce_mean(x = x, axes = [1], keep_dims = true); }} -> (y);"
        )
    };
    passes(&size::Wrong, &text("9"));
    caught(&size::Wrong, &text("?"));
}

wrong!(rough, 914, "gelu", { grade: Approximate, purpose: Clean, bound: 1e-3 }, |m, p| {
    let x = p.tap(m.arg(m.root(), "x")?);
    let c = p.constant(Tensor::from_f64s(DType::F32, &[], &[1.702])?);
    let scaled = p.op("mul", &[("x", x), ("y", c)])?;
    let gate = p.op("sigmoid", &[("x", scaled)])?;
    let y = p.op("mul", &[("x", x), ("y", gate)])?;
    p.replace(m.result(m.root())?, y)
});

wrong!(rough_enough, 915, "gelu", { grade: Approximate, purpose: Clean, bound: 0.2 }, |m, p| {
    rough::Wrong.rewrite(m, p)
});

#[test]
fn an_approximation_beyond_its_bound() {
    let text = "func main<CoreML6>(tensor<fp32, [4, 50]> x) { y = gelu(x = x, mode = \"EXACT\"); } -> (y);";
    caught(&rough::Wrong, text);
    passes(&rough_enough::Wrong, text);
}

wrong!(witness, 916, "relu", { grade: BitExact, purpose: Clean }, |m, p| {
    once(m.program.use_count(m.result(m.root())?) == 0)?;
    let inner = m.arg(m.root(), "x")?;
    once(m.program.def_op(inner).is_none_or(|op| &*m.data(op).kind != "sin"))?;
    let op = m.program.def_op(inner).ok_or_else(|| Miss::new("done"))?;
    let x = p.tap(m.arg(op, "x")?);
    let (there, back) = (p.ints(&[1, 2, 0])?, p.ints(&[2, 0, 1])?);
    let moved = p.op("transpose", &[("x", x), ("perm", there)])?;
    let sine = p.op("sin", &[("x", moved)])?;
    p.witness(inner, sine, IndexMap::Transposed([2, 0, 1].into_iter().collect()));
    let y = p.op("relu", &[("x", sine)])?;
    let y = p.op("transpose", &[("x", y), ("perm", back)])?;
    p.replace(m.result(m.root())?, y)
});

#[test]
fn a_witness_at_the_wrong_place() {
    let text = "func main<CoreML6>(tensor<fp16, [3, 3, 3]> x) { a = sin(x = x); b = relu(x = a); y = cos(x = b); } -> (y);";
    let how = caught(&witness::Wrong, text);
    assert!(how.starts_with("a:"), "{how}");
}

wrong!(rebound, 917, "cos", { grade: BitExact, purpose: Clean }, |m, p| {
    let sine = m.program.def_op(m.arg(m.root(), "x")?).ok_or_else(|| Miss::new("done"))?;
    p.rebind(m.root(), 0, m.arg(sine, "x")?)
});

#[test]
fn an_operand_that_is_another_value() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 3]> x) { a = exp(x = x); b = sin(x = a); y = cos(x = b); } -> (y);";
    caught(&rebound::Wrong, text);
}

wrong!(constant, 918, "add", { grade: BitExact, purpose: Clean }, |m, p| {
    let c = m.constant(m.root(), "y")?.to_f64s()?;
    once(c.first() == Some(&0.5))?;
    let other = p.constant(Tensor::from_f64s(DType::F16, &[3], &[0.5, c[1], c[2]])?);
    p.replace(m.arg(m.root(), "y")?, other)
});

#[test]
fn a_constant_that_is_another() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 3]> x) {
        c = const()[name = \"c\", val = tensor<fp16, [3]>([1.5, 2.0, 3.0])];
        y = add(x = x, y = c);
    } -> (y);";
    let how = caught(&constant::Wrong, text);
    assert!(how.starts_with("c:"), "{how}");
}

wrong!(ranged, 919, "clip", { grade: BitExact, purpose: Clean, assumptions: &[anewrite_rewrite::Assumption::Range { low: -1.0, high: 2.0 }] }, |m, p| {
    let x = p.tap(m.arg(m.root(), "x")?);
    p.replace(m.result(m.root())?, x)
});

#[test]
fn an_assumption_holds_up_to_its_edges_and_counts_beyond() {
    let text = |low: &str| {
        format!(
            "func main<CoreML6>(tensor<fp16, [20, 5]> x) {{
            a = identity(x = x);
            b = clip(x = a, alpha = tensor<fp16, []>({low}), beta = tensor<fp16, []>(2.0));
            y = sin(x = b);
        }} -> (y);"
        )
    };
    let summary = judge(&ranged::Wrong, &text("-1.0")).unwrap();
    assert_eq!(summary.beyond, 1, "{summary:?}");
    caught(&ranged::Wrong, &text("-0.9990234375"));
}

wrong!(twin, 920, "cast", { grade: BitExact, purpose: Clean }, |m, p| {
    let none = || Miss::new("done");
    let before = m.program.prev_op(m.root()).filter(|&o| &*m.data(o).kind == "cast").ok_or_else(none)?;
    let y = p.tap(m.result(before)?);
    p.replace(m.result(m.root())?, y)
});

#[test]
fn what_comes_from_constants_alone_is_compared_as_it_is_made() {
    let text = |second: &str| {
        format!(
            "func main<CoreML6>(tensor<fp16, [3]> x) {{
               a = cast(x = tensor<fp32, [3]>([1.5, -2.0, 0.25]), dtype = \"fp16\");
               b = cast(x = tensor<fp32, [3]>([{second}]), dtype = \"fp16\");
               y = add(x = x, y = a);
               z = mul(x = y, y = b);
             }} -> (z);"
        )
    };
    passes(&twin::Wrong, &text("1.5, -2.0, 0.25"));
    caught(&twin::Wrong, &text("1.5, -2.0, 0.5"));
}
