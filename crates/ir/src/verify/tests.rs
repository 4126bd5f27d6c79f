//! One broken program for each invariant, and programs in which nothing is broken.

use anewrite_tensor::{DType, Tensor};

use super::*;
use crate::defuse::{Use, User};
use crate::edit::{NewOp, Place};
use crate::ids::Id;
use crate::mil::Mil;
use crate::op::{Const, ConstOrigin};
use crate::types::{TensorType, Type};

fn parse(text: &str) -> Program {
    text::parse(text).unwrap()
}

fn value(p: &Program, name: &str) -> ValueId {
    p.values().find(|(_, v)| &*v.name == name).unwrap().0
}

fn op(p: &Program, result: &str) -> OpId {
    p.def_op(value(p, result)).unwrap()
}

/// Three ops in a row and a loop.
fn sample() -> Program {
    let mut p = parse(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x, tensor<bool, []> go) {
             a = relu(x = x);
             b = add(x = a, y = a);
             c, d = while_loop(loop_vars = (a, b))
                 (tensor<fp16, [2, 3]> i, tensor<fp16, [2, 3]> j) {
                     k = add(x = i, y = j);
                 } -> (go),
                 (tensor<fp16, [2, 3]> i2, tensor<fp16, [2, 3]> j2) {
                     k2 = add(x = i2, y = b);
                 } -> (k2, i2);
             e = transpose(x = c, perm = [1, 0]);
         } -> (e, d);",
    );
    // names of one block may come back in the other
    for (second, first) in [("i2", "i"), ("j2", "j"), ("k2", "k")] {
        p.rename(value(&p, second), first);
    }
    verify(&p, &Mil).unwrap();
    p
}

/// What `verify` finds, as `Invariant: entity: what`.
fn found(p: &Program) -> Vec<String> {
    let found = verify(p, &Mil).map_or_else(|v| v, |()| Violations::default());
    // a broken program can still be told about
    let _ = (found.to_string(), found.annotated(p));
    found.0.iter().map(|v| format!("{:?}: {}", v.invariant, v.what)).collect()
}

fn finds(p: &Program, want: &[&str]) {
    let found = found(p);
    let all = want.iter().all(|w| found.iter().any(|f| f.starts_with(w)));
    assert!(all && !want.is_empty(), "{found:#?}");
    let kinds = |s: &str| s.split(':').next().unwrap_or_default().to_owned();
    let wanted: Vec<String> = want.iter().map(|w| kinds(w)).collect();
    assert!(found.iter().all(|f| wanted.contains(&kinds(f))), "{found:#?}");
}

#[test]
fn broken_chains_are_found() {
    let mut p = sample();
    let (a, b) = (op(&p, "a"), op(&p, "b"));
    p.ops[b].link.label = 0;
    finds(&p, &["Order: label 0 after"]);

    let mut p = sample();
    p.ops[b].link.prev = None;
    finds(&p, &["Order: it says that it comes after None"]);

    // a chain that goes round
    let mut p = sample();
    p.ops[b].link.next = Some(a);
    let f = found(&p);
    assert!(f.contains(&"Order: it stands in two places".into()), "{f:#?}");
    assert!(f.contains(&"Order: it stands in no block".into()), "{f:#?}");

    let mut p = sample();
    p.ops[a].alive = false;
    finds(&p, &["Order: it is removed, yet in the chain"]);
}

#[test]
fn broken_nesting_is_found() {
    let mut p = sample();
    let the_loop = op(&p, "c");
    let body = p.functions().next().unwrap().1.body;
    p.ops[the_loop].op.blocks[1] = body;
    let f = found(&p);
    assert!(f.contains(&"Nesting: it stands in two places".into()), "{f:#?}");

    let mut p = sample();
    let nested = p.op(the_loop).blocks[0];
    p.blocks[nested].parent = Some(op(&p, "a"));
    let f = found(&p);
    assert!(f.iter().any(|f| f.starts_with("Nesting: it says that it is in Some(op0)")), "{f:#?}");

    let mut p = sample();
    p.ops[the_loop].op.blocks.push(BlockId::from_index(77));
    finds(&p, &["Nesting: there is no block b77"]);
}

#[test]
fn broken_definitions_are_found() {
    let mut p = sample();
    let (a, b) = (op(&p, "a"), op(&p, "b"));
    let vb = value(&p, "b");
    p.ops[a].op.results[0] = vb;
    let f = found(&p);
    assert!(f.contains(&"Definition: result 0, b, says that it is result 0 of op1".into()), "{f:#?}");

    let mut p = sample();
    p.ops[b].op.results.push(ValueId::from_index(500));
    finds(&p, &["Definition: there is no value v500"]);

    let mut p = sample();
    let origin = ConstOrigin::New;
    let body = p.functions().next().unwrap().1.body;
    let k = p.add_const(body, "k", Const { tensor: Tensor::i32s([1, 0]), origin, sealed: false });
    p.values[k].ty = TensorType::fixed(DType::I32, [3]).into();
    finds(&p, &["Definition: its content is tensor<int32, [2]>"]);
}

#[test]
fn uses_before_definitions_are_found() {
    let mut p = sample();
    let (a, ve) = (op(&p, "a"), value(&p, "e"));
    p.set_operand(a, 0, ve);
    finds(&p, &["Dominance: x: e, result 0 of op"]);

    // what a nested block defines is not there after it
    let mut p = sample();
    let k = value(&p, "k");
    p.set_operand(op(&p, "e"), 0, k);
    finds(&p, &["Dominance: x: k, result 0 of op"]);

    // a constant of a nested block is not there outside
    let mut p = sample();
    let (e, nested) = (op(&p, "e"), p.op(op(&p, "c")).blocks[1]);
    let data = Const { tensor: Tensor::i32s([1, 0]), origin: ConstOrigin::New, sealed: false };
    let inner = p.add_const(nested, "inner", data);
    p.set_operand(e, 1, inner);
    finds(&p, &["Dominance: perm: inner, a constant of b2"]);

    // its own result
    let mut p = sample();
    let (b, vb) = (op(&p, "b"), value(&p, "b"));
    p.set_operand(b, 1, vb);
    finds(&p, &["Dominance: y: b, result 0 of op1, is not defined here"]);

    let mut p = sample();
    let nested = p.op(op(&p, "c")).blocks[0];
    p.set_output(nested, 0, value(&p, "e"));
    finds(&p, &["Output: output 0: e, result 0 of", "Type: loop_vars: one truth value is needed"]);
}

#[test]
fn names_are_taken_once_where_they_can_be_seen() {
    let mut p = sample();
    p.rename(value(&p, "b"), "a");
    finds(&p, &["Name: a is the name of another value too"]);

    // i, j and k of the two blocks do not see each other, but k would see a
    let mut p = sample();
    p.rename(value(&p, "k"), "a");
    finds(&p, &["Name: a is the name of another value too"]);

    let mut p = sample();
    p.pin(value(&p, "k"));
    p.rename(value(&p, "k"), "a");
    assert_eq!(found(&p), Vec::<String>::new());

    let mut p = sample();
    p.names.clear();
    finds(&p, &["Name: the table of names counts 0 of "]);
}

#[test]
fn edges_that_no_operand_has_are_found() {
    let mut p = sample();
    let (x, d) = (value(&p, "x"), op(&p, "e"));
    p.edges.add_use(x, Use { user: User::Op(d), slot: 7 });
    finds(&p, &["Edges: 2 uses are counted, 1 exist", "Edges: edges ["]);

    let mut p = sample();
    let b = op(&p, "b");
    p.ops[b].op.operands[1].value = x;
    let f = found(&p);
    assert_eq!(f.iter().filter(|f| f.starts_with("Edges")).count(), 4, "{f:#?}");
}

#[test]
fn operands_out_of_the_definition_are_found() {
    let mut p = sample();
    let (body, x) = (p.functions().next().unwrap().1.body, value(&p, "x"));
    let t: Type = TensorType::fixed(DType::F16, [2, 3]).into();
    let relu = |p: &mut Program, name: &str, params: &[&str]| {
        let new = params.iter().fold(NewOp::new("relu"), |n, param| n.operand(param, x));
        p.add_op(Place::End(body), new.result(name, t.clone()))
    };
    relu(&mut p, "f", &["x", "slope"]);
    finds(&p, &["Param: relu has no parameter slope"]);

    let mut p = sample();
    relu(&mut p, "f", &["x", "x"]);
    finds(&p, &["Param: x is given twice"]);

    let mut p = sample();
    relu(&mut p, "f", &[]);
    finds(&p, &["Param: the parameter x is missing"]);

    // a sealed op has what the file has
    let sealed = relu(&mut p, "g", &["x", "slope"]);
    p.seal(sealed);
    finds(&p, &["Param: the parameter x is missing"]);
}

#[test]
fn constants_may_follow_from_constants() {
    let text = "func main<CoreML6>(tensor<fp16, [2, 3]> x, tensor<fp32, [4, 3]> w) {
        k = constexpr_cast(source_val = random<fp16, [4, 3]>(1), output_dtype = \"fp32\");
        y = cast(x = x, dtype = \"fp32\");
        z = linear(x = y, weight = k);
    } -> (z);";
    let mut p = parse(text);
    assert_eq!(found(&p), Vec::<String>::new());
    p.set_operand(op(&p, "z"), 1, value(&p, "w"));
    finds(&p, &["Constant: weight must be constant, w is not"]);
}

#[test]
fn ops_of_later_opsets_are_found() {
    let text = "func main<CoreML8>(state<tensor<fp16, [2, 3]>> s) {
        x = read_state(input = s);
        y = conv_of_the_future(x = x, future = x);
    } -> (x);";
    let text = text.replace("y = conv", "tensor<fp16, [1]> y = conv");
    assert_eq!(found(&parse(&text)), Vec::<String>::new());
    let text =
        text.replace("CoreML8", "CoreML7").replace("x = read_state", "tensor<fp16, [2, 3]> x = read_state");
    finds(&parse(&text), &["Opset: read_state is not in CoreML7"]);
}

#[test]
fn stated_types_that_cannot_be_are_found() {
    let text = "func main<CoreML6>(tensor<fp16, [?, 3]> x) {
        tensor<fp16, [3, 2]> y = transpose(x = x, perm = [1, 0]);
    } -> (y);";
    let p = parse(text);
    finds(&p, &["Type: y is stated as tensor<fp16, [3, 2]>, inferred as tensor<fp16, [3, d0]>"]);
    let text = verify(&p, &Mil).unwrap_err().annotated(&p);
    assert!(text.contains("// Type: y is stated as"), "{text}");

    let text = text::parse(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x) { y = transpose(x = x, perm = [1, 0]); } -> (y);",
    );
    let mut p = text.unwrap();
    let t = op(&p, "y");
    let axes = Const { tensor: Tensor::i32s([1, 1]), origin: ConstOrigin::New, sealed: false };
    let axes = p.add_const(p.block_of(t), "axes", axes);
    p.set_operand(t, 1, axes);
    finds(&p, &["Type: perm: axis 1 is named twice"]);
}

#[test]
fn edits_and_their_undoing_break_nothing() {
    let mut p = sample();
    let mark = p.mark();
    let (a, x) = (value(&p, "a"), value(&p, "x"));
    p.replace_uses(a, x);
    verify(&p, &Mil).unwrap();
    assert!(p.remove_op(op(&p, "a")));
    verify(&p, &Mil).unwrap();
    let e = op(&p, "e");
    let t: Type = TensorType::fixed(DType::F16, [2, 3]).into();
    let c = value(&p, "c");
    p.add_op(Place::Before(e), NewOp::new("relu").operand("x", c).result("a", t));
    verify(&p, &Mil).unwrap();
    p.rollback(mark);
    verify(&p, &Mil).unwrap();
}
