//! NeuralNetwork layers, evaluated through their lowering, against the results of torch and numpy that the tests of
//! crates/nn hold the lowerings' shapes to.

#[path = "../../nn/tests/common/mod.rs"]
mod common;

use anewrite_interp::{Arithmetic, Array, Evaluator, Options, evaluated};
use anewrite_ir::{Attr, Binding, Const, ConstOrigin, DialectId, NewOp, Place, Program, Str, Type};
use anewrite_nn::{INPUT, Mapping};
use anewrite_tensor::DType;
use common::{Case, cases};

fn program(case: &Case) -> Program {
    let mut p = Program::new(DialectId::Nn);
    if case.mapping == Mapping::Exact {
        p.attrs.push((Mapping::ATTR.into(), Attr::Enum("EXACT_ARRAY_MAPPING".into())));
    }
    let (_, body) = p.add_function("main", "");
    let mut op = NewOp::new(&format!("nn.{}", case.kind));
    for (i, x) in case.inputs.iter().enumerate() {
        let v = p.add_arg(body, &format!("x{i}"), x.ty().into());
        op = op.operand(INPUT, v);
    }
    for (path, t) in &case.weights {
        let data = Const { tensor: t.clone(), origin: ConstOrigin::InPlace, sealed: false };
        let v = p.add_const(body, path, data);
        op = op.operand(path, v);
        op.op.operands.last_mut().unwrap().binding = Binding::Attribute;
    }
    op.op.attrs = case.fields.clone();
    for i in 0..case.outputs.len() {
        op = op.result(&format!("y{i}"), Type::Unknown);
    }
    let op = p.add_op(Place::End(body), op);
    for r in p.op(op).results.clone() {
        p.add_output(body, r);
    }
    p
}

fn check(case: &Case, arithmetic: Arithmetic, tolerance: f64) -> Result<(), String> {
    let p = program(case);
    let inputs = case.inputs.iter().enumerate().map(|(i, x)| {
        let a = Array::new(DType::F32, x.shape.iter().copied(), x.data.clone()).unwrap();
        (Str::from(format!("x{i}")), a.into())
    });
    let mut evaluator = Evaluator::new(&p, Options { arithmetic, ..Options::default() });
    let out = evaluator.run("main", inputs.collect()).map_err(|e| e.to_string())?;
    for (i, ((_, have), want)) in out.values.iter().zip(&case.outputs).enumerate() {
        let have = have.tensor().map_err(|e| e.to_string())?;
        if have.dims() != want.shape {
            return Err(format!("output {i} is {:?}, not {:?}", have.dims(), want.shape));
        }
        let scale = want.data.iter().fold(1f64, |m, v| m.max(v.abs()));
        let have = have.to_f64s().map_err(|e| e.to_string())?;
        // the golden file has single precision parameters in it as they were written
        let far = |(h, w): (&f64, &f64)| !w.is_nan() && (h - w).abs() > tolerance * scale;
        if let Some(at) = have.iter().zip(&want.data).position(far) {
            return Err(format!("output {i}, element {at} is {:e}, not {:e}", have[at], want.data[at]));
        }
    }
    Ok(())
}

fn failures(arithmetic: Arithmetic, tolerance: f64) -> Vec<String> {
    let cases = cases();
    let wrong =
        cases.iter().filter_map(|c| Some(format!("{}: {}", c.name, check(c, arithmetic, tolerance).err()?)));
    wrong.collect()
}

/// Whether all kernels are there that lowerings need.
fn ready() -> bool {
    anewrite_ir::mil::schemas().iter().all(|s| evaluated().contains(&s.name))
}

#[test]
fn layers_agree_with_the_golden_results() {
    if !ready() {
        return;
    }
    for (arithmetic, tolerance) in [(Arithmetic::Fp64, 1e-6), (Arithmetic::Fp32, 1e-5)] {
        let wrong = failures(arithmetic, tolerance);
        assert!(
            wrong.is_empty(),
            "{} layers under {}:\n{}",
            wrong.len(),
            arithmetic.name(),
            wrong.join("\n")
        );
    }
}
