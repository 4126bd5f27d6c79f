//! The layers of tests/golden/layers.json, whose expected outputs come from torch and numpy: shapes under
//! inference, under the lowering of every opset, and with unknown extents.

mod common;

use anewrite_ir::dims::DimTable;
use anewrite_ir::infer::{Facts, infer};
use anewrite_ir::mil::Mil;
use anewrite_ir::{
    Binding, Builder, Const, ConstOrigin, Dialect, DialectId, Dim, NewOp, Opset, Place, Program, TensorType,
    Type, ValueId,
};
use anewrite_nn::{Detail, INPUT, Nn, layer, layers, lower};
use anewrite_tensor::DType;
use common::{Case, cases, lowered_dims};

/// The case as a program of one `nn` op, with the given types of inputs; the values of its outputs.
fn program(case: &Case, inputs: &[TensorType]) -> (Program, Vec<ValueId>) {
    let mut p = Program::new(DialectId::Nn);
    let (_, body) = p.add_function("main", "");
    let mut op = NewOp::new(&format!("nn.{}", case.kind));
    for (i, ty) in inputs.iter().enumerate() {
        let v = p.add_arg(body, &format!("x{i}"), ty.clone().into());
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
    let results = p.op(op).results.to_vec();
    (p, results)
}

#[test]
fn inferred_shapes_are_those_of_the_golden_outputs() {
    let mut wrong = Vec::new();
    for case in cases() {
        let inputs: Vec<TensorType> = case.inputs.iter().map(|x| x.ty()).collect();
        let (p, outputs) = program(&case, &inputs);
        let inferred = infer(&p, &Nn { mapping: case.mapping });
        for d in inferred.disagreements.iter().filter(|_| !takes_shape_from_values(&case)) {
            wrong.push(format!("{}: {:?}", case.name, d.inferred));
        }
        for (v, want) in outputs.iter().zip(&case.outputs) {
            let have = inferred.facts.ty(&p, *v);
            // How many elements are not zero is not a matter of types, nor is what depends on an input's values.
            let by_value = matches!(&*case.kind, "whereNonZero") || takes_shape_from_values(&case);
            if !by_value && *have != Type::Tensor(want.ty()) {
                wrong.push(format!("{}: {have} for {:?}", case.name, want.shape));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of the layers:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether an input's values, which inference does not see, decide the output's shape.
fn takes_shape_from_values(case: &Case) -> bool {
    let more = case.inputs.len() > 1;
    matches!(
        &*case.kind,
        "reshapeDynamic" | "fillDynamic" | "rangeDynamic" | "sliceDynamic" | "broadcastToDynamic"
    ) || case.kind.ends_with("Dynamic")
        || (matches!(&*case.kind, "tile" | "constantPad") && more)
        || case.computed
}

/// Whether a type says nothing that the array denies.
fn agrees(have: &Type, want: &TensorType) -> bool {
    let Type::Tensor(TensorType { dtype, shape: Some(have) }) = have else { return false };
    let want = want.shape.as_deref().unwrap_or_default();
    let fits = |(h, w): (&Dim, &Dim)| h == w || h.known().is_none();
    *dtype == DType::F32 && have.len() == want.len() && have.iter().zip(want).all(fits)
}

/// Lowers a case; its inputs that decide shapes are constants.
fn lowered(case: &Case, opset: Opset, detail: Detail) -> Result<Vec<Type>, String> {
    let mut p = Program::new(DialectId::Mil);
    let (_, body) = p.add_function("main", opset.name());
    let (mut facts, mut dims) = (Facts::default(), DimTable::default());
    let args: Vec<ValueId> = case
        .inputs
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let ty = x.lowered(case.mapping);
            if (i > 0 || takes_shape_from_values(case)) && x.data.len() <= 8 && !case.computed {
                let dims = lowered_dims(&x.shape, case.mapping);
                let t = anewrite_tensor::Tensor::from_f64s(DType::F32, &dims, &x.data).unwrap();
                return p.add_const(body, "k", Const { tensor: t, origin: ConstOrigin::New, sealed: false });
            }
            p.add_arg(body, &format!("x{i}"), ty.into())
        })
        .collect();
    let mut b = Builder::new(&mut p, &mut facts, &mut dims, &Mil, opset, Place::End(body));
    let out = lower(&case.call().detail(detail), &mut b, &args).map_err(|e| e.to_string())?;
    let types = out.iter().map(|&v| b.ty(v).clone()).collect();
    for op in b.made().to_vec() {
        let kind = b.program().op(op).kind.clone();
        if Mil.schema(&kind, opset).is_none() {
            return Err(format!("{kind} is no op of {}", opset.name()));
        }
    }
    Ok(types)
}

#[test]
fn lowerings_of_every_opset_have_the_shapes_of_the_golden_outputs() {
    let mut wrong = Vec::new();
    for case in cases() {
        for opset in [Opset::Ios15, Opset::Ios16, Opset::Ios17, Opset::Ios18, Opset::Ios26] {
            for detail in [Detail::Full, Detail::Types] {
                let types = match lowered(&case, opset, detail) {
                    Ok(types) => types,
                    Err(e) => {
                        wrong.push(format!("{} ({}): {e}", case.name, opset.name()));
                        continue;
                    }
                };
                for (have, want) in types.iter().zip(&case.outputs) {
                    let want = want.lowered(case.mapping);
                    let by_value = matches!(&*case.kind, "whereNonZero") || (case.kind == "rangeDynamic");
                    let right = if case.computed || by_value {
                        by_value || agrees(have, &want)
                    } else {
                        *have == Type::Tensor(want.clone())
                    };
                    if !right {
                        wrong.push(format!("{} ({}): {have} for {want}", case.name, opset.name()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} lowerings:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_unknown_extent_never_makes_a_wrong_one() {
    let mut wrong = Vec::new();
    for case in cases() {
        for (i, input) in case.inputs.iter().enumerate() {
            for axis in 0..input.shape.len() {
                let mut types: Vec<TensorType> = case.inputs.iter().map(|x| x.ty()).collect();
                types[i].shape.as_mut().unwrap()[axis] = Dim::Unknown;
                let (p, outputs) = program(&case, &types);
                let inferred = infer(&p, &Nn { mapping: case.mapping });
                for (v, want) in outputs.iter().zip(&case.outputs) {
                    let Type::Tensor(TensorType { shape: Some(have), .. }) = inferred.facts.ty(&p, *v) else {
                        continue;
                    };
                    let fits = have.len() == want.shape.len()
                        && have.iter().zip(&want.shape).all(|(h, w)| h.known().is_none_or(|n| n == *w));
                    if !fits && !takes_shape_from_values(&case) && case.kind != "whereNonZero" {
                        wrong.push(format!(
                            "{} with input {i} open at {axis}: {have:?} for {:?}",
                            case.name, want.shape
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} results:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_layer_type_with_a_lowering_has_a_golden_case() {
    let tried: Vec<String> = cases().into_iter().map(|c| c.kind).collect();
    let missing: Vec<&str> =
        layers().iter().map(|l| l.name).filter(|n| !tried.iter().any(|t| t == n)).collect();
    assert_eq!(missing, ["custom", "branch", "loop", "loopBreak", "loopContinue"]);
    assert!(tried.iter().all(|t| layer(t).is_some()));
}
