//! NeuralNetwork layers written: weights replaced, layers added, what the format refuses.

mod common;

use anewrite_convert::{export, import};
use anewrite_ir::{Attr, Const, ConstOrigin, NewOp, OpId, Place, Program, Type};
use anewrite_tensor::{DType, Tensor};
use coreml_proto::rope::Piece;
use coreml_proto::spec::neural_network_layer::Layer;
use coreml_proto::spec::{Model, NeuralNetworkLayer, model};
use prost::Message;

fn layer_named(p: &Program, name: &str) -> OpId {
    p.all_ops().find(|&op| p.op(op).name.as_deref() == Some(name)).unwrap()
}

#[test]
fn a_weight_is_replaced_alone() {
    let source = common::made("nn_image.mlmodel");
    let mut document = import(&source).unwrap();
    let p = &mut document.parts[0].program;
    let op = layer_named(p, "dense");
    let slot = p.op(op).operands.iter().position(|o| &*o.param == "weights").unwrap();
    let halves = [0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.5, -3.5, 4.5, -4.5];
    let tensor = Tensor::from_f64s(DType::F16, &[2, 5], &halves).unwrap();
    let block = p.block_of(op);
    let new = p.add_const(block, "w", Const { tensor, origin: ConstOrigin::New, sealed: false });
    p.set_operand(op, slot, new);
    let out = export(&document, &source).unwrap().model.to_vec(document.spec()).unwrap();
    let (before, after) = (common::ops(document.spec()), common::ops(&out));
    let changed: Vec<usize> = (0..before.len()).filter(|&i| before[i] != after[i]).collect();
    assert_eq!(changed, [4]);
    let mut want = NeuralNetworkLayer::decode(before[4]).unwrap();
    let Some(Layer::InnerProduct(params)) = &mut want.layer else { unreachable!() };
    let weights = params.weights.as_mut().unwrap();
    weights.float_value.clear();
    weights.float16_value = halves.iter().flat_map(|&h| half::f16::from_f64(h).to_le_bytes()).collect();
    assert_eq!(NeuralNetworkLayer::decode(after[4]).unwrap(), want);
}

#[test]
fn a_new_layer_takes_weights_from_their_place_in_the_file() {
    let source = common::made("nn_image.mlmodel");
    let mut document = import(&source).unwrap();
    let p = &mut document.parts[0].program;
    let old = layer_named(p, "conv");
    let relu = layer_named(p, "relu");
    let from = p.op(old).clone();
    let mut new = NewOp::new("nn.convolution");
    new.op.attrs = from.attrs.clone();
    for o in &from.operands {
        new = new.operand(&o.param, o.value);
    }
    new.op.name = from.name.clone();
    let new = new.result("conv_again", Type::Unknown);
    let new = p.add_op(Place::Before(relu), new);
    let v = p.op(new).results[0];
    p.replace_uses(from.results[0], v);
    assert!(p.remove_op(old));
    let out = export(&document, &source).unwrap();
    // 135 weights of four bytes each are a range of the source.
    let weights = |piece: &&Piece| matches!(piece, Piece::Source(r) if r.end - r.start == 540);
    assert_eq!(out.model.pieces().iter().filter(weights).count(), 1);
    assert!(out.model.new_len() < 120);
    let bytes = out.model.to_vec(document.spec()).unwrap();
    let mut want = NeuralNetworkLayer::decode(common::ops(document.spec())[0]).unwrap();
    want.output = vec!["conv_again".into()];
    assert_eq!(NeuralNetworkLayer::decode(common::ops(&bytes)[0]).unwrap(), want);
    assert_eq!(NeuralNetworkLayer::decode(common::ops(&bytes)[1]).unwrap().input, ["conv_again"]);
}

#[test]
fn new_layers_of_every_kind_of_field() {
    // Each layer of these models anew, beside itself: nested networks, lists, maps, enums, weights in lists.
    for name in ["nn_control.mlmodel", "nn_quantized.mlmodel", "nn_image.mlmodel"] {
        let source = common::made(name);
        let document = import(&source).unwrap();
        let mut copy = document.clone();
        let p = &mut copy.parts[0].program;
        let body = p.functions().next().unwrap().1.body;
        for op in p.ops(body).collect::<Vec<_>>() {
            clone_before(p, op);
        }
        let bytes = export(&copy, &source).unwrap().model.to_vec(document.spec()).unwrap();
        let Some(before) = networks(document.spec()) else { unreachable!() };
        let Some(after) = networks(&bytes) else { unreachable!() };
        assert_eq!(after.len(), 2 * before.len());
        for (i, layer) in before.into_iter().enumerate() {
            assert_eq!(after[2 * i + 1], layer, "{name}");
            assert_eq!(after[2 * i], layer, "{name}, made anew");
        }
    }
}

/// A copy of an op and its blocks before it, under the same names: only to compare messages.
fn clone_before(p: &mut Program, op: OpId) {
    let from = p.op(op).clone();
    let results = from.results.iter().map(|&r| (p.value(r).name.clone(), p.ty(r).clone())).collect();
    let mut new = NewOp { op: from.clone(), results };
    new.op.blocks.clear();
    let new = p.add_op(Place::Before(op), new);
    clone_blocks(p, &from, new);
}

fn clone_blocks(p: &mut Program, from: &anewrite_ir::Op, to: OpId) {
    for &block in &from.blocks {
        let inner = p.add_block(to);
        for op in p.ops(block).collect::<Vec<_>>() {
            let from = p.op(op).clone();
            let results = from.results.iter().map(|&r| (p.value(r).name.clone(), p.ty(r).clone())).collect();
            let mut new = NewOp { op: from.clone(), results };
            new.op.blocks.clear();
            let new = p.add_op(Place::End(inner), new);
            clone_blocks(p, &from, new);
        }
        for v in p.block(block).outputs.clone() {
            p.add_output(inner, v);
        }
    }
}

fn networks(spec: &[u8]) -> Option<Vec<NeuralNetworkLayer>> {
    match Model::decode(spec).unwrap().r#type? {
        model::Type::NeuralNetwork(n) => Some(n.layers),
        model::Type::NeuralNetworkClassifier(n) => Some(n.layers),
        _ => None,
    }
}

#[test]
fn what_a_layer_cannot_say_is_refused() {
    let refused = |change: &dyn Fn(&mut Program, OpId)| {
        let source = common::made("nn_image.mlmodel");
        let mut document = import(&source).unwrap();
        let p = &mut document.parts[0].program;
        let at = layer_named(p, "softmax");
        change(p, at);
        let Err(error) = export(&document, &source) else { panic!("written") };
        error.to_string()
    };
    let add = |p: &mut Program, at: OpId, kind: &str, attrs: Vec<(anewrite_ir::Str, Attr)>| {
        let x = p.op(at).operands[0].value;
        let mut new = NewOp::new(kind).operand("input", x).result("n", Type::Unknown);
        new.op.attrs = attrs;
        p.add_op(Place::Before(at), new);
    };
    assert_eq!(
        refused(&|p, at| add(p, at, "nn.shrink", vec![])),
        r#"layer "n" (nn.shrink): there is no layer of this kind"#
    );
    let wrong = vec![("alpha".into(), Attr::Text("much".into()))];
    assert_eq!(
        refused(&|p, at| add(p, at, "nn.add", wrong.clone())),
        r#"layer "n" (nn.add): the attribute alpha does not fit the format"#
    );
    let unknown = vec![("beta".into(), Attr::Float(1.0))];
    assert_eq!(
        refused(&|p, at| add(p, at, "nn.add", unknown.clone())),
        r#"layer "n" (nn.add): the attribute beta does not fit the format"#
    );
    assert_eq!(
        refused(&|p, at| {
            let block = p.block_of(at);
            let data = Const { tensor: Tensor::i32(1), origin: ConstOrigin::New, sealed: false };
            let k = p.add_const(block, "k", data);
            p.set_operand(at, 0, k);
        }),
        r#"layer "softmax" (nn.softmax): a constant cannot be the input of a layer; a loadConstant layer makes a blob of it"#
    );
    assert_eq!(
        refused(&|p, _| {
            let v = p.block(p.functions().next().unwrap().1.body).outputs[0];
            p.rename(v, "other");
        }),
        r#"network: inputs or outputs of a network were renamed, which a rewrite must not do"#
    );
}

#[test]
fn a_new_unary_layer_states_its_scale() {
    let source = common::made("nn_image.mlmodel");
    let mut document = import(&source).unwrap();
    let p = &mut document.parts[0].program;
    let relu = layer_named(p, "relu");
    let (x, y) = (p.op(relu).operands[0].value, p.op(relu).results[0]);
    let mut new = NewOp::new("nn.unary").operand("input", x).result("at_least", Type::Unknown);
    new.op.attrs = vec![("type".into(), Attr::Enum("THRESHOLD".into()))];
    let new = p.add_op(Place::Before(relu), new);
    p.replace_uses(y, p.op(new).results[0]);
    assert!(p.remove_op(relu));
    let bytes = export(&document, &source).unwrap().model.to_vec(document.spec()).unwrap();
    let layers = common::ops(&bytes).into_iter().map(|l| NeuralNetworkLayer::decode(l).unwrap());
    let unary = layers.filter_map(|l| match l.layer {
        Some(Layer::Unary(params)) => Some((params.scale, params.alpha)),
        _ => None,
    });
    assert_eq!(unary.collect::<Vec<_>>(), [(1.0, 0.0)]);
}
