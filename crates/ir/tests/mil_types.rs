//! Inferred types against coremltools', value by value. `data/mil_types.py` builds the programs and writes the types
//! that coremltools infers for them.

use std::collections::HashMap;
use std::fmt::Write;

use anewrite_ir::infer::{Inferred, infer};
use anewrite_ir::mil::Mil;
use anewrite_ir::{Const, ConstOrigin, DialectId, Dim, NewOp, Place, Program, TensorType, Type, ValueId};
use anewrite_tensor::{DType, Payload, Tensor};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    name: String,
    opset: String,
    inputs: Vec<Typed>,
    ops: Vec<Line>,
    /// Numbers for the unknown extents of the inputs, and the extents of all results for them.
    #[serde(default)]
    at: Vec<At>,
}

#[derive(Deserialize)]
struct At(Vec<i64>, Vec<Vec<Option<u64>>>);

/// Name, element type, extents.
#[derive(Deserialize)]
struct Typed(String, String, Option<Vec<Option<u64>>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Const { r#const: Typed, elements: Vec<Value> },
    Op { kind: String, operands: Vec<(String, Vec<String>)>, results: Vec<Typed> },
}

impl Typed {
    fn ty(&self) -> TensorType {
        let dims = self.2.as_ref().map(|d| d.iter().map(|d| d.map_or(Dim::Unknown, Dim::Known)).collect());
        TensorType { dtype: DType::from_name(&self.1).unwrap(), shape: dims }
    }
}

fn constant(ty: &TensorType, elements: &[Value]) -> Tensor {
    let dims = ty.known_dims().unwrap();
    if ty.dtype == DType::String {
        let texts: Vec<_> = elements.iter().map(|e| e.as_str().unwrap().into()).collect();
        return Tensor::new(ty.dtype, dims, Payload::Strings(texts.into())).unwrap();
    }
    let number = |e: &Value| e.as_f64().or_else(|| e.as_bool().map(|b| f64::from(u8::from(b)))).unwrap();
    let numbers: Vec<f64> = elements.iter().map(number).collect();
    Tensor::from_f64s(ty.dtype, &dims, &numbers).unwrap()
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("data/mil_types.json")).unwrap()
}

fn program(case: &Case) -> Program {
    let mut p = Program::new(DialectId::Mil);
    let (_, body) = p.add_function("main", &case.opset);
    let mut values: HashMap<&str, ValueId> = HashMap::new();
    for input in &case.inputs {
        values.insert(&input.0, p.add_arg(body, &input.0, input.ty().into()));
    }
    for line in &case.ops {
        match line {
            Line::Const { r#const, elements } => {
                let tensor = constant(&r#const.ty(), elements);
                let data = Const { tensor, origin: ConstOrigin::New, sealed: false };
                values.insert(&r#const.0, p.add_const(body, &r#const.0, data));
            }
            Line::Op { kind, operands, results } => {
                let mut op = NewOp::new(kind);
                for (param, names) in operands {
                    for name in names {
                        op = op.operand(param, values[&**name]);
                    }
                }
                for r in results {
                    op = op.result(&r.0, r.ty());
                }
                let op = p.add_op(Place::End(body), op);
                for (r, &value) in results.iter().zip(&p.op(op).results) {
                    values.insert(&r.0, value);
                }
            }
        }
    }
    p
}

/// The type with its symbols in words.
fn shown(ty: &Type, inferred: &Inferred) -> String {
    let Some(TensorType { shape: Some(shape), .. }) = ty.tensor() else { return ty.to_string() };
    let dim = |d: &Dim| match d {
        Dim::Expr(e) => inferred.dims.show(*e),
        d => d.to_string(),
    };
    format!("[{}]", shape.iter().map(dim).collect::<Vec<_>>().join(", "))
}

#[test]
fn inferred_types_are_those_of_coremltools() {
    let (mut wrong, mut checked, mut refined) = (String::new(), 0, String::new());
    for case in cases() {
        let p = program(&case);
        let inferred = infer(&p, &Mil);
        for d in &inferred.disagreements {
            let op = p.op(d.op);
            let stored = op.results.get(d.result).map(|&r| p.ty(r).to_string());
            writeln!(wrong, "{}: {} {stored:?}: {:?}", case.name, op.kind, d.inferred).unwrap();
        }
        for &op in &inferred.opaque {
            writeln!(wrong, "{}: no definition of {}", case.name, p.op(op).kind).unwrap();
        }
        for &value in &inferred.refined {
            let op = p.def_op(value).unwrap();
            let place = p.all_ops().position(|o| o == op).unwrap();
            let ty = shown(inferred.facts.ty(&p, value), &inferred);
            writeln!(refined, "{} {place} {}: {} is {ty}", case.name, p.op(op).kind, p.ty(value)).unwrap();
        }
        checked += p.op_count();
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(checked > 300, "{checked} ops");
    assert_eq!(refined, include_str!("data/mil_types_refined.txt"), "{refined}");
}

#[test]
fn symbols_stand_for_the_extents_that_coremltools_finds() {
    let (mut wrong, mut checked, mut open) = (String::new(), 0, Vec::new());
    for case in cases() {
        let p = program(&case);
        let inferred = infer(&p, &Mil);
        let results: Vec<ValueId> = p.all_ops().flat_map(|op| p.op(op).results.to_vec()).collect();
        for At(numbers, extents) in &case.at {
            let values = inferred.dims.evaluate(|n| numbers.get(n as usize).copied());
            assert_eq!(results.len(), extents.len(), "{}", case.name);
            for (&value, want) in results.iter().zip(extents) {
                let shape =
                    inferred.facts.tensor(&p, value).and_then(|t| t.shape.clone()).unwrap_or_default();
                let have: Vec<Option<u64>> = shape.iter().map(|&d| values.dim(d)).collect();
                let agrees = have.len() == want.len()
                    && have.iter().zip(want).all(|(h, w)| h.is_none() || w.is_none() || h == w);
                let name = &p.value(value).name;
                if !agrees {
                    let ty = shown(inferred.facts.ty(&p, value), &inferred);
                    writeln!(wrong, "{} {name} at {numbers:?}: {want:?}, not {have:?} = {ty}", case.name)
                        .unwrap();
                }
                if have.iter().zip(want).any(|(h, w)| h.is_none() && w.is_some()) {
                    open.push(format!("{} {name}", case.name));
                }
                checked += want.len();
            }
        }
    }
    open.dedup();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(checked > 200, "{checked} extents");
    assert!(open.is_empty(), "not followed: {open:#?}");
}
