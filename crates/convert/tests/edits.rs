//! Where new ops and constants go, and what becomes of those that are not used any more.

mod common;

use anewrite_convert::{Document, Export, ExportProblem, export};
use anewrite_ir::{Attr, Binding, Const, ConstOrigin, NewOp, Place, Program, TensorType};
use anewrite_tensor::{DType, Tensor};
use common::{NoFiles, chain, const_named, new_const, offsets, op_giving};
use coreml_proto::mil::argument::binding;
use coreml_proto::mil::{Block, Operation, tensor_value, value};
use coreml_proto::spec::{Model, model};
use prost::Message;

fn decoded(document: &Document, export: &Export) -> Block {
    let bytes = export.model.to_vec(document.spec()).unwrap();
    let Some(model::Type::MlProgram(p)) = Model::decode(&*bytes).unwrap().r#type else { unreachable!() };
    let f = p.functions.values().next().unwrap();
    f.block_specializations[&f.opset].clone()
}

/// `kind(param=name …) name`, an inline constant as `…`.
fn line(op: &Operation) -> String {
    let mut inputs: Vec<String> = Vec::new();
    for (param, argument) in &op.inputs {
        let names = argument.arguments.iter().map(|b| match &b.binding {
            Some(binding::Binding::Name(n)) => n.as_str(),
            _ => "…",
        });
        inputs.push(format!("{param}={}", names.collect::<Vec<_>>().join(",")));
    }
    inputs.sort();
    let outputs: Vec<&str> = op.outputs.iter().map(|o| o.name.as_str()).collect();
    format!("{}({}) {}", op.r#type, inputs.join(" "), outputs.join(" "))
}

fn lines(document: &Document) -> Vec<String> {
    let out = export(document, &NoFiles).unwrap();
    decoded(document, &out).operations.iter().map(line).collect()
}

#[test]
fn a_new_op_takes_the_place_of_the_removed_and_pulls_its_constant_up() {
    let mut document = chain();
    assert_eq!(
        lines(&document),
        ["relu(x=x) a", "const() k1", "mul(x=a y=k1) b", "const() k2", "add(x=b y=k2) c", "tanh(x=c) d"]
    );
    let p = &mut document.parts[0].program;
    let (a, b, c) = (op_giving(p, "a"), op_giving(p, "b"), op_giving(p, "c"));
    let (k2, va, vb) = (const_named(p, "k2"), p.op(a).results[0], p.op(b).results[0]);
    let ty = p.ty(vb).clone();
    let new = NewOp::new("sub").operand("x", va).operand("y", k2).result("b_new", ty);
    let new = p.add_op(Place::Before(c), new);
    p.replace_uses(vb, p.op(new).results[0]);
    assert!(p.remove_op(b));
    let result = p.op(new).results[0];
    p.rename(result, "b");
    assert_eq!(
        lines(&document),
        ["relu(x=x) a", "const() k2", "sub(x=a y=k2) b", "add(x=b y=k2) c", "tanh(x=c) d"],
        "k1 has no use left, k2 stands before its first"
    );
    // c names b as before, so its bytes are the source's.
    let out = export(&document, &NoFiles).unwrap().model.to_vec(document.spec()).unwrap();
    let before = common::ops(document.spec());
    let after = common::ops(&out);
    assert!([before[0], before[3], before[4], before[5]].iter().all(|op| after.contains(op)));
}

#[test]
fn new_ops_stand_at_the_last_removed_one_or_before_the_next() {
    let mut document = chain();
    let p = &mut document.parts[0].program;
    let (a, b, c, d) = (op_giving(p, "a"), op_giving(p, "b"), op_giving(p, "c"), op_giving(p, "d"));
    let (x, vc, block) = (p.op(a).operands[0].value, p.op(c).results[0], p.block_of(a));
    let ty = p.ty(vc).clone();
    let one = p.add_op(Place::Before(d), NewOp::new("exp").operand("x", x).result("one", ty.clone()));
    let v = p.op(one).results[0];
    let two = p.add_op(Place::Before(d), NewOp::new("exp").operand("x", v).result("two", ty.clone()));
    let v = p.op(two).results[0];
    p.replace_uses(vc, v);
    assert!([c, b, a].into_iter().all(|op| p.remove_op(op)));
    let vd = p.op(d).results[0];
    let last = p.add_op(Place::End(block), NewOp::new("cos").operand("x", vd).result("last", ty));
    p.set_output(block, 0, p.op(last).results[0]);
    // The output keeps its name, so that the interface is the same.
    p.rename(vd, "inner");
    let last = p.op(last).results[0];
    p.rename(last, "d");
    assert_eq!(lines(&document), ["exp(x=x) one", "exp(x=one) two", "tanh(x=two) inner", "cos(x=inner) d"]);
}

#[test]
fn new_constants_stand_before_their_first_user_under_free_names() {
    let mut document = chain();
    let p = &mut document.parts[0].program;
    let (b, d) = (op_giving(p, "b"), op_giving(p, "d"));
    let (block, ty, va) = (p.block_of(b), p.ty(p.op(b).results[0]).clone(), p.op(b).operands[0].value);
    let scale = new_const(p, block, "scale", Tensor::from_f64s(DType::F16, &[3], &[1.0, 2.0, 4.0]).unwrap());
    p.set_operand(b, 1, scale);
    // A constant without a name, as one that stood in an argument, that is now used by name.
    let data = Const { tensor: Tensor::i32s([3, 2]), origin: ConstOrigin::InPlace, sealed: false };
    let shape = p.add_const(block, "", data);
    let reshape = NewOp::new("reshape").operand("x", va).operand("shape", shape).result("r", ty);
    p.add_op(Place::Before(d), reshape);
    assert_eq!(
        lines(&document),
        [
            "relu(x=x) a",
            "const() scale",
            "mul(x=a y=scale) b",
            "const() k2",
            "add(x=b y=k2) c",
            "const() r_shape",
            "reshape(shape=r_shape x=a) r",
            "tanh(x=c) d"
        ]
    );
}

#[test]
fn nested_blocks_see_constants_of_the_block_that_they_belong_to() {
    let mut document = common_blocks();
    let source = common::made("blocks.mlpackage");
    let p = &mut document.parts[0].program;
    let mul = p.all_ops().find(|&op| &*p.op(op).kind == "mul").unwrap();
    let (inner, outer) = (p.block_of(mul), p.functions().next().unwrap().1.body);
    let ones = Tensor::from_f64s(DType::F16, &[1, 12], &[1.0; 12]).unwrap();
    let here = new_const(p, inner, "here", ones.clone());
    let there = new_const(p, outer, "there", ones);
    let ty = p.ty(p.op(mul).results[0]).clone();
    let slot = p.op(mul).operands.iter().position(|o| &*o.param == "x").unwrap();
    let x = p.op(mul).operands[slot].value;
    let first = NewOp::new("mul").operand("x", x).operand("y", here).result("first", ty.clone());
    let first = p.add_op(Place::Before(mul), first);
    let v = p.op(first).results[0];
    let second = NewOp::new("mul").operand("x", v).operand("y", there).result("second", ty);
    let second = p.add_op(Place::Before(mul), second);
    let v = p.op(second).results[0];
    p.set_operand(mul, slot, v);

    let out = export(&document, &source).unwrap();
    let body = decoded(&document, &out);
    let names = |b: &Block| b.operations.iter().map(|o| o.outputs[0].name.clone()).collect::<Vec<_>>();
    let top = names(&body);
    let at = top.iter().position(|n| n == "there").unwrap();
    assert_eq!(body.operations[at + 1].r#type, "while_loop");
    let step = &body.operations[at + 1].blocks[1];
    let cond = step.operations.iter().find(|o| o.r#type == "cond").unwrap();
    let inside = names(&cond.blocks[0]);
    let at = inside.iter().position(|n| n == "here").unwrap();
    assert_eq!(inside[at + 1..at + 3], ["first", "second"]);
    // Twelve fp16 elements go into the weight file, once for both.
    assert_eq!(out.weights.len(), 1);
    let bytes = out.model.to_vec(document.spec()).unwrap();
    assert_eq!(offsets(&bytes), [offsets(document.spec()), vec![192, 192]].concat());
}

fn common_blocks() -> Document {
    anewrite_convert::import(&common::made("blocks.mlpackage")).unwrap()
}

#[test]
fn immediate_values_are_in_the_form_that_core_ml_reads() {
    use tensor_value::Value as V;
    let integers = [-1.0, 0.0, 1.0];
    let positive = [0.0, 1.0, 200.0];
    let cases: [(DType, &[f64], &str); 9] = [
        (DType::F16, &integers, "bytes"),
        (DType::F32, &integers, "floats"),
        (DType::F64, &integers, "doubles"),
        (DType::I8, &integers, "bytes"),
        (DType::U8, &positive, "bytes"),
        (DType::I16, &integers, "ints"),
        (DType::U16, &positive, "ints"),
        (DType::I32, &integers, "ints"),
        (DType::U32, &positive, "bytes"),
    ];
    for (dtype, values, form) in cases {
        let mut document = chain();
        let p = &mut document.parts[0].program;
        let b = op_giving(p, "b");
        let block = p.block_of(b);
        let tensor = Tensor::from_f64s(dtype, &[3], values).unwrap();
        let k = new_const(p, block, "k", tensor);
        p.set_operand(b, 1, k);
        let out = export(&document, &NoFiles).unwrap();
        let body = decoded(&document, &out);
        let op = body.operations.iter().find(|o| o.outputs[0].name == "k").unwrap();
        let Some(value::Value::ImmediateValue(i)) = &op.attributes["val"].value else { unreachable!() };
        let Some(value::immediate_value::Value::Tensor(t)) = &i.value else { unreachable!() };
        let have = match t.value.as_ref().unwrap() {
            V::Bytes(b) => {
                assert_eq!(b.values.len() as u32, 3 * dtype.bits() / 8);
                "bytes"
            }
            V::Floats(f) => {
                assert_eq!(f.values, [-1.0, 0.0, 1.0]);
                "floats"
            }
            V::Doubles(f) => {
                assert_eq!(f.values, [-1.0, 0.0, 1.0]);
                "doubles"
            }
            V::Ints(n) => {
                assert_eq!(n.values.iter().map(|&n| f64::from(n)).collect::<Vec<_>>(), values);
                "ints"
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(have, form, "{dtype}");
        let again = common::read(out.model.to_vec(document.spec()).unwrap());
        let p = &again.parts[0].program;
        assert_eq!(p.constant(const_named(p, "k")).unwrap().tensor.to_f64s().unwrap(), values, "{dtype}");
    }
}

#[test]
fn what_the_format_cannot_say_is_refused() {
    let refused = |change: &dyn Fn(&mut Program)| {
        let mut document = chain();
        change(&mut document.parts[0].program);
        let Err(error) = export(&document, &NoFiles) else { panic!("written") };
        error.to_string()
    };
    let x = |p: &Program| p.block(p.functions().next().unwrap().1.body).args[0];
    assert_eq!(
        refused(&|p| p.rename(x(p), "z")),
        r#"function "main": inputs or outputs of a function were renamed, which a rewrite must not do"#
    );
    assert_eq!(
        refused(&|p| {
            let d = op_giving(p, "d");
            let mut new = NewOp::new("relu").operand("x", x(p)).result("n", p.ty(x(p)).clone());
            new.op.attrs.push(("alpha".into(), Attr::Float(0.5)));
            p.add_op(Place::Before(d), new);
        }),
        "relu that gives n: the attribute alpha does not fit the format"
    );
    assert_eq!(
        refused(&|p| {
            let d = op_giving(p, "d");
            let new = NewOp::new("relu").operand("x", x(p)).result("n", anewrite_ir::Type::Unknown);
            p.add_op(Place::Before(d), new);
        }),
        "relu that gives n: a value has no type that the format can state"
    );
    let mut document = chain();
    let p = &mut document.parts[0].program;
    p.add_function("second", "CoreML6");
    let error = export(&document, &NoFiles).err().unwrap();
    assert!(matches!(error.problem(), ExportProblem::Interface(_)), "{error}");
}

#[test]
fn constants_of_constexpr_ops_go_where_their_opset_has_them() {
    for (name, in_attribute) in [("palette-iOS16.mlpackage", true), ("palette-iOS18.mlpackage", false)] {
        let source = common::made(name);
        let mut document = anewrite_convert::import(&source).unwrap();
        let p = &mut document.parts[0].program;
        let op = p.all_ops().find(|&op| p.op(op).kind.starts_with("constexpr_")).unwrap();
        let next = p.next_op(op).unwrap();
        let old = p.op(op).clone();
        let want = if in_attribute { Binding::Attribute } else { Binding::Inline };
        assert!(old.operands.iter().all(|o| o.binding == want));
        let mut new = NewOp::new(&old.kind);
        for o in &old.operands {
            new = new.operand(&o.param, o.value);
        }
        let new = p.add_op(Place::Before(next), new.result("copy", p.ty(old.results[0]).clone()));
        let new = p.op(new).results[0];
        p.replace_uses(old.results[0], new);
        assert!(p.remove_op(op));
        let out = export(&document, &source).unwrap();
        let op = decoded(&document, &out).operations.into_iter().find(|o| o.r#type == *old.kind).unwrap();
        let from = Model::decode(document.spec().clone()).unwrap();
        let Some(model::Type::MlProgram(p)) = from.r#type else { unreachable!() };
        let f = &p.functions["main"];
        let mut want = f.block_specializations[&f.opset]
            .operations
            .iter()
            .find(|o| o.r#type == *old.kind)
            .unwrap()
            .clone();
        want.outputs[0].name = "copy".into();
        want.attributes.insert("name".into(), op.attributes["name"].clone());
        assert_eq!(op, want, "{name}");
        assert!(out.weights.is_empty());
    }
}

#[test]
fn a_type_states_what_the_graph_knows() {
    let mut document = chain();
    let p = &mut document.parts[0].program;
    let d = op_giving(p, "d");
    let x = p.op(d).operands[0].value;
    let new = NewOp::new("shape").operand("x", x).result("n", TensorType { dtype: DType::I32, shape: None });
    p.add_op(Place::Before(d), new);
    let out = export(&document, &NoFiles).unwrap();
    let again = common::read(out.model.to_vec(document.spec()).unwrap());
    let p = &again.parts[0].program;
    let n = p.op(op_giving(p, "n")).results[0];
    assert_eq!(p.tensor_type(n), Some(&TensorType { dtype: DType::I32, shape: None }));
}
