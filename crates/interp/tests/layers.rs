//! NeuralNetwork layers through their lowering, against results of torch and numpy: crates/nn/tests/golden.

#[path = "../../nn/tests/common/mod.rs"]
mod common;

use anewrite_interp::{Arithmetic, Array, Evaluator, Options};
use anewrite_ir::dims::{DimTable, Int};
use anewrite_ir::infer::Facts;
use anewrite_ir::mil::Mil;
use anewrite_ir::{
    Attr, Binding, Builder, Const, ConstOrigin, DialectId, NewOp, Opset, Place, Program, TensorType, Type,
};
use anewrite_nn::{INPUT, Mapping, lower};
use anewrite_tensor::DType;
use common::{Case, cases, lowered_dims};

/// Inputs with as many elements may decide shapes, and are known to the lowering.
const SMALL: usize = 64;

type Results = Vec<(Vec<u64>, Vec<f64>)>;

fn input(x: &common::Array, dims: Vec<u64>) -> Array {
    Array::new(DType::F32, dims, x.data.clone()).unwrap()
}

fn results(p: &Program, inputs: Vec<Array>, arithmetic: Arithmetic) -> Result<Results, String> {
    let named = inputs.into_iter().enumerate().map(|(i, a)| (format!("x{i}").as_str().into(), a.into()));
    let mut run = Evaluator::new(p, Options { arithmetic, ..Options::default() });
    let out = run.run("main", named.collect()).map_err(|e| e.to_string())?;
    let array = |v: &anewrite_interp::Value| {
        let a = v.tensor().map_err(|e| e.to_string())?;
        Ok((a.dims().to_vec(), a.to_f64s().map_err(|e| e.to_string())?))
    };
    out.values.iter().map(|(_, v)| array(v)).collect()
}

/// The layer as ops of an opset.
fn lowered(case: &Case, opset: Opset, arithmetic: Arithmetic) -> Result<Results, String> {
    run_lowered(case, opset, arithmetic, false)
}

/// With `open`, lowered for inputs of which only ranks and what decides them is known.
fn run_lowered(case: &Case, opset: Opset, arithmetic: Arithmetic, open: bool) -> Result<Results, String> {
    let mut p = Program::new(DialectId::Mil);
    let (_, body) = p.add_function("main", opset.name());
    let (mut facts, mut dims) = (Facts::default(), DimTable::default());
    let mut args = Vec::new();
    let mut inputs = Vec::new();
    for (i, x) in case.inputs.iter().enumerate() {
        let mut ty = x.lowered(case.mapping);
        if open && let Some(shape) = &mut ty.shape {
            // Seq and B of 1 decide ranks in the rank-5 mapping.
            let kept = if case.mapping == Mapping::Rank5 { shape.len() - 3 } else { 0 };
            for d in shape.iter_mut().skip(kept) {
                *d = dims.fresh();
            }
        }
        let ty = Type::from(ty);
        let v = p.add_arg(body, &format!("x{i}"), ty.erased());
        let whole =
            !case.computed && !open && x.data.len() <= SMALL && x.data.iter().all(|n| n.fract() == 0.0);
        facts.set(v, ty, whole.then(|| x.data.iter().map(|&n| Int::Known(n as i64)).collect()));
        args.push(v);
        inputs.push(input(x, lowered_dims(&x.shape, case.mapping)));
    }
    let mut b = Builder::new(&mut p, &mut facts, &mut dims, &Mil, opset, Place::End(body));
    let out = lower(&case.call(), &mut b, &args).map_err(|e| e.to_string())?;
    for v in out {
        p.add_output(body, v);
    }
    results(&p, inputs, arithmetic)
}

/// The layer in a network of its own; `None` where the network would map its arrays the other way.
fn network(case: &Case, arithmetic: Arithmetic) -> Option<Result<Results, String>> {
    let mut p = Program::new(DialectId::Nn);
    if case.mapping == Mapping::Exact {
        p.attrs.push((Mapping::ATTR.into(), Attr::Enum("EXACT_ARRAY_MAPPING".into())));
    }
    let (_, body) = p.add_function("main", "");
    let mut op = NewOp::new(&format!("nn.{}", case.kind));
    let mut inputs = Vec::new();
    for (i, x) in case.inputs.iter().enumerate() {
        let ty = TensorType::fixed(DType::F32, x.shape.iter().copied());
        let v = p.add_arg(body, &format!("x{i}"), ty.into());
        op = op.operand(INPUT, v);
        inputs.push(input(x, x.shape.clone()));
    }
    for (path, t) in &case.weights {
        let data = Const { tensor: t.clone(), origin: ConstOrigin::InPlace, sealed: false };
        let v = p.add_const(body, path, data);
        op = op.operand(path, v);
        if let Some(x) = op.op.operands.last_mut() {
            x.binding = Binding::Attribute;
        }
    }
    op.op.attrs = case.fields.clone();
    for i in 0..case.outputs.len() {
        op = op.result(&format!("y{i}"), Type::Unknown);
    }
    let op = p.add_op(Place::End(body), op);
    let results_of_op: Vec<_> = p.op(op).results.iter().copied().collect();
    for v in results_of_op {
        p.add_output(body, v);
    }
    (Mapping::of(&p) == case.mapping).then(|| results(&p, inputs, arithmetic))
}

/// Numbers that go through fp32 on both sides agree to this share of the largest.
fn within(arithmetic: Arithmetic) -> f64 {
    if arithmetic == Arithmetic::Fp64 { 3e-7 } else { 2e-5 }
}

fn compare(have: &Results, case: &Case, raised: bool, arithmetic: Arithmetic) -> Result<(), String> {
    if have.len() < case.outputs.len() {
        return Err(format!("{} results for {}", have.len(), case.outputs.len()));
    }
    for (i, ((dims, have), want)) in have.iter().zip(&case.outputs).enumerate() {
        let shape = if raised { want.shape.clone() } else { lowered_dims(&want.shape, case.mapping) };
        if *dims != shape {
            return Err(format!("output {i}: extents {dims:?} for {shape:?}"));
        }
        let scale = want.data.iter().filter(|x| x.is_finite()).fold(1.0f64, |m, x| m.max(x.abs()));
        for (j, (&h, &w)) in have.iter().zip(&want.data).enumerate().filter(|(_, (_, w))| !w.is_nan()) {
            let near = h == w || (h - w).abs() <= within(arithmetic) * scale;
            if !near {
                return Err(format!("output {i}: {h} for {w} at {j}"));
            }
        }
    }
    Ok(())
}

fn check(run: impl Fn(&Case) -> Option<Result<Results, String>>, raised: bool, arithmetic: Arithmetic) {
    let mut wrong = Vec::new();
    for case in cases() {
        let Some(have) = run(&case) else { continue };
        if let Err(e) = have.and_then(|have| compare(&have, &case, raised, arithmetic)) {
            wrong.push(format!("{}: {e}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} layers under {}:\n{}", wrong.len(), arithmetic.name(), wrong.join("\n"));
}

#[test]
fn layers_of_every_opset_agree_in_double_precision() {
    for opset in [Opset::Ios15, Opset::Ios16, Opset::Ios17, Opset::Ios18] {
        check(|c| Some(lowered(c, opset, Arithmetic::Fp64)), false, Arithmetic::Fp64);
    }
}

#[test]
fn layers_agree_in_single_precision() {
    check(|c| Some(lowered(c, Opset::Ios18, Arithmetic::Fp32)), false, Arithmetic::Fp32);
}

#[test]
fn networks_of_one_layer_agree() {
    for arithmetic in [Arithmetic::Fp64, Arithmetic::Fp32] {
        check(|c| network(c, arithmetic), true, arithmetic);
    }
}

#[test]
fn a_temperature_flattens_probabilities() {
    let fields = |temperature: f64| {
        let n = ("numSamples".into(), Attr::Int(20_000));
        vec![n, ("seed".into(), Attr::Int(5)), ("temperature".into(), Attr::Float(temperature))]
    };
    let share = |temperature: f64| {
        let array =
            |shape: &[u64], data: &[f64]| common::Array { shape: shape.to_vec(), data: data.to_vec() };
        let case = Case {
            name: "samples".into(),
            kind: "categoricalDistribution".into(),
            mapping: Mapping::Exact,
            fields: fields(temperature),
            weights: Vec::new(),
            inputs: vec![array(&[1, 2], &[0.9, 0.1])],
            outputs: vec![array(&[1, 20_000], &[])],
            computed: false,
        };
        let drawn = lowered(&case, Opset::Ios15, Arithmetic::Fp64).unwrap();
        let [(_, drawn)] = drawn.as_slice() else { panic!("one output") };
        drawn.iter().sum::<f64>() / 20_000.0
    };
    // numpy: p = np.array([0.9, 0.1]) ** (1 / T); p / p.sum() = [.9, .1], [.75, .25], [.988, .012]
    for (temperature, want) in [(1.0, 0.1), (2.0, 0.25), (0.5, 0.012195)] {
        let have = share(temperature);
        assert!((have - want).abs() < 0.012, "{have} at {temperature}");
    }
}

/// What a lowering must know of its inputs because ranks or numbers of ops follow from it.
const NEEDED: [&str; 5] = [
    "not every extent is known",
    "how many coordinates a box has must be known",
    "the last axis must be of known extent",
    "a vector of known length is needed",
    "the value of pad is not known",
];

#[test]
fn layers_of_unknown_extents_agree() {
    for opset in [Opset::Ios15, Opset::Ios18] {
        let open = |c: &Case| match run_lowered(c, opset, Arithmetic::Fp64, true) {
            Err(e) if NEEDED.iter().any(|n| e.contains(n)) => None,
            have => Some(have),
        };
        check(open, false, Arithmetic::Fp64);
    }
}
