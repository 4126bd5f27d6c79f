//! Ops of graphs as tables and planner see them.

use anewrite_ane::{Answer, Family, Target};
use anewrite_check::{Doubt, judge, judge_block, plan_ops};
use anewrite_ir::infer::infer;
use anewrite_ir::mil::Mil;
use anewrite_ir::text::parse;
use anewrite_ir::{Attr, BlockId, Const, ConstOrigin, DialectId, NewOp, Place, Program, TensorType, Type};
use anewrite_nn::Nn;
use anewrite_tensor::{DType, Tensor};

fn m4() -> Target {
    Target::parse("m4").unwrap()
}

fn body(p: &Program) -> BlockId {
    p.functions().next().unwrap().1.body
}

#[test]
fn compressed_weights_are_constants_and_no_ops_of_the_plan() {
    let text = "program(1.0)
{
    func main<ios16>(tensor<fp16, [1, 4, 6, 5]> x) {
            tensor<fp16, [3, 4, 1, 1]> w = constexpr_affine_dequantize()[axis = tensor<int32, []>(0), name = tensor<string, []>(\"w\"), quantized_data = tensor<int8, [3, 4, 1, 1]>([[[[1]], [[2]], [[3]], [[4]]], [[[5]], [[6]], [[7]], [[8]]], [[[9]], [[10]], [[11]], [[12]]]]), scale = tensor<fp16, []>(0x1p-3), zero_point = tensor<int8, []>(0)];
            tensor<fp16, [1, 3, 6, 5]> y = conv(weight = w, x = x)[name = tensor<string, []>(\"y\")];
        } -> (y);
}";
    let p = parse(text).unwrap();
    let inferred = infer(&p, &Mil);
    let ops = judge_block(&p, &inferred.facts, body(&p), &m4());
    assert_eq!(ops.len(), 1);
    assert_eq!(ops[0].eligibility.answer(), Answer::Yes);
    assert_eq!(ops[0].work.flops, 2.0 * 12.0 * 30.0);
    assert!(ops[0].reads.is_empty());
}

#[test]
fn a_result_read_twice_or_inside_a_nested_block_crosses_once() {
    let mut p = Program::new(DialectId::Mil);
    let (_, body) = p.add_function("main", "CoreML6");
    let ty = TensorType::fixed(DType::F16, [3, 5]);
    let x = p.add_arg(body, "x", ty.clone().into());
    let flag = p.add_arg(body, "flag", TensorType::fixed(DType::Bool, []).into());
    let a = p.add_op(Place::End(body), NewOp::new("exp").operand("x", x).result("a", ty.clone()));
    let a = p.op(a).result().unwrap();
    let twice = NewOp::new("add").operand("x", a).operand("y", a).result("b", ty.clone());
    let twice = p.add_op(Place::End(body), twice);
    let cond = NewOp::new("cond").operand("pred", flag).result("c", ty.clone());
    let cond = p.add_op(Place::End(body), cond);
    for name in ["d", "e"] {
        let block = p.add_block(cond);
        let op = p.add_op(Place::End(block), NewOp::new("abs").operand("x", a).result(name, ty.clone()));
        let out = p.op(op).result().unwrap();
        p.add_output(block, out);
    }
    let inferred = infer(&p, &Mil);
    let ops = judge_block(&p, &inferred.facts, body, &m4());
    let of = |op| ops.iter().find(|j| j.op == op).unwrap();
    assert_eq!(of(twice).reads.len(), 1);
    assert_eq!(of(cond).reads.as_slice(), of(twice).reads.as_slice());
    assert_eq!(plan_ops(&ops, Family::H16, Doubt::Runs)[1].reads, [(0, 30)]);
}

#[test]
fn a_layer_has_the_work_of_what_it_means_and_no_price() {
    let mut p = Program::new(DialectId::Nn);
    let (_, body) = p.add_function("main", "");
    let x = p.add_arg(body, "x", TensorType::fixed(DType::F32, [7]).into());
    let weights = Tensor::new(DType::F32, [3, 7], vec![0_u8; 84]).unwrap();
    let w = p.add_const(body, "w", Const { tensor: weights, origin: ConstOrigin::New, sealed: false });
    let layer = NewOp::new("nn.innerProduct").operand("input", x).operand("weights", w);
    let mut layer = layer.result("y", Type::Unknown);
    layer.op.attrs = vec![("inputChannels".into(), Attr::Int(7)), ("outputChannels".into(), Attr::Int(3))];
    let layer = p.add_op(Place::End(body), layer);
    let inferred = infer(&p, &Nn::of(&p));
    let judged = judge(&p, &inferred.facts, layer, &m4());
    assert!(judged.prices.is_none());
    assert_eq!(judged.work.flops, 2.0 * 21.0);
}

#[test]
fn a_doubt_is_settled_as_asked() {
    let mut p = Program::new(DialectId::Mil);
    let (_, body) = p.add_function("main", "CoreML6");
    let ty = TensorType::fixed(DType::F16, [4, 4]);
    let x = p.add_arg(body, "x", ty.clone().into());
    let op = p.add_op(Place::End(body), NewOp::new("nobody_knows").operand("x", x).result("y", ty));
    let inferred = infer(&p, &Mil);
    let judged = judge(&p, &inferred.facts, op, &m4());
    assert!(judged.on_engine(Family::H16, Doubt::Runs) && !judged.on_engine(Family::H16, Doubt::Refused));
    assert!(!judged.on_engine(Family::H13, Doubt::Runs), "H13 is not of the target");
}
