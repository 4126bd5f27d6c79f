//! Inference through nested blocks: what a loop keeps, what it changes, and blocks nested without end.

use anewrite_ir::infer::infer;
use anewrite_ir::mil::Mil;
use anewrite_ir::{BlockId, DialectId, Dim, NewOp, OpId, Place, Program, TensorType, Type, ValueId};
use anewrite_tensor::DType;

fn rows(n: Dim) -> Type {
    TensorType::ranked(DType::F32, [n, Dim::Known(5)]).into()
}

fn one_bool() -> Type {
    TensorType::fixed(DType::Bool, []).into()
}

/// A function of `x` and `y`, both `[?, 5]`, and `go`, a truth value.
fn function(p: &mut Program) -> (BlockId, [ValueId; 3]) {
    let (_, body) = p.add_function("main", "CoreML8");
    let (x, y) = (p.add_arg(body, "x", rows(Dim::Unknown)), p.add_arg(body, "y", rows(Dim::Unknown)));
    (body, [x, y, p.add_arg(body, "go", one_bool())])
}

/// A loop over `vars` as long as `go` holds; `step` makes the outputs of its body from the body's arguments.
fn looped(
    p: &mut Program,
    block: BlockId,
    vars: &[ValueId],
    go: ValueId,
    step: impl FnOnce(&mut Program, BlockId, &[ValueId]) -> Vec<ValueId>,
) -> OpId {
    let mut new = NewOp::new("while_loop");
    for (i, &v) in vars.iter().enumerate() {
        new = new.operand("loop_vars", v).result(&format!("after{i}"), p.ty(v).clone());
    }
    let op = p.add_op(Place::End(block), new);
    let (test, body) = (p.add_block(op), p.add_block(op));
    for b in [test, body] {
        for (i, &v) in vars.iter().enumerate() {
            let ty = p.ty(v).clone();
            p.add_arg(b, &format!("{b:?}_{i}"), ty);
        }
    }
    p.add_output(test, go);
    let args = p.block(body).args.clone();
    for v in step(p, body, &args) {
        p.add_output(body, v);
    }
    op
}

fn op2(p: &mut Program, b: BlockId, kind: &str, x: ValueId, y: ValueId) -> ValueId {
    let name = format!("{kind}_{x:?}_{y:?}");
    let new = NewOp::new(kind).operand("x", x).operand("y", y).result(&name, rows(Dim::Unknown));
    let op = p.add_op(Place::End(b), new);
    p.op(op).result().unwrap()
}

fn twice(p: &mut Program, b: BlockId, x: ValueId) -> ValueId {
    let k = |p: &mut Program, t| {
        let origin = anewrite_ir::ConstOrigin::New;
        p.add_const(b, &format!("k_{x:?}"), anewrite_ir::Const { tensor: t, origin, sealed: false })
    };
    let (axis, apart) = (k(p, anewrite_tensor::Tensor::i32(0)), k(p, anewrite_tensor::Tensor::bool(false)));
    let new = NewOp::new("concat").operand("values", x).operand("values", x);
    let new = new.operand("axis", axis).operand("interleave", apart);
    let op = p.add_op(Place::End(b), new.result(&format!("cat_{x:?}"), rows(Dim::Unknown)));
    p.op(op).result().unwrap()
}

#[test]
fn an_extent_that_the_body_keeps_survives_the_loop() {
    let mut p = Program::new(DialectId::Mil);
    let (body, [x, y, go]) = function(&mut p);
    let op = looped(&mut p, body, &[x, y], go, |p, b, args| {
        let sum = op2(p, b, "add", args[0], x);
        vec![sum, args[1]]
    });
    let i = infer(&p, &Mil);
    assert!(i.disagreements.is_empty() && i.opaque.is_empty(), "{:?}", i.disagreements);
    let results = &p.op(op).results;
    assert_eq!(i.facts.ty(&p, results[0]), i.facts.ty(&p, x));
    assert_eq!(i.facts.ty(&p, results[1]), i.facts.ty(&p, y));
}

#[test]
fn an_extent_that_the_body_changes_has_a_symbol_of_its_own() {
    let mut p = Program::new(DialectId::Mil);
    let (body, [x, y, go]) = function(&mut p);
    let op = looped(&mut p, body, &[x, y], go, |p, b, args| {
        let grown = twice(p, b, args[0]);
        let kept = op2(p, b, "mul", args[1], y);
        vec![grown, kept]
    });
    let i = infer(&p, &Mil);
    assert!(i.disagreements.is_empty(), "{:?}", i.disagreements);
    let results = &p.op(op).results;
    let (before, after) = (i.facts.tensor(&p, x).unwrap(), i.facts.tensor(&p, results[0]).unwrap());
    assert_ne!(before, after);
    assert_eq!(after.shape.as_ref().unwrap()[1], Dim::Known(5));
    assert_eq!(i.facts.ty(&p, results[1]), i.facts.ty(&p, y));
}

#[test]
fn values_that_change_places_keep_neither_extent() {
    let mut p = Program::new(DialectId::Mil);
    let (body, [x, y, go]) = function(&mut p);
    let op = looped(&mut p, body, &[x, y], go, |_, _, args| vec![args[1], args[0]]);
    let i = infer(&p, &Mil);
    assert!(i.disagreements.is_empty(), "{:?}", i.disagreements);
    for &r in &p.op(op).results {
        assert_ne!(i.facts.ty(&p, r), i.facts.ty(&p, x));
        assert_ne!(i.facts.ty(&p, r), i.facts.ty(&p, y));
    }
}

#[test]
fn both_branches_decide_the_type() {
    let mut p = Program::new(DialectId::Mil);
    let (body, [x, y, go]) = function(&mut p);
    let new = NewOp::new("cond").operand("pred", go);
    let new = new.result("same", rows(Dim::Unknown)).result("either", rows(Dim::Unknown));
    let op = p.add_op(Place::End(body), new);
    for other in [x, y] {
        let b = p.add_block(op);
        p.add_output(b, x);
        p.add_output(b, other);
    }
    let i = infer(&p, &Mil);
    assert!(i.disagreements.is_empty(), "{:?}", i.disagreements);
    let results = &p.op(op).results;
    assert_eq!(i.facts.ty(&p, results[0]), i.facts.ty(&p, x));
    let either = i.facts.ty(&p, results[1]);
    assert!(either != i.facts.ty(&p, x) && either != i.facts.ty(&p, y));
}

#[test]
fn blocks_without_end_are_refused_and_loops_in_loops_stay_cheap() {
    for depth in [7, 3000] {
        let mut p = Program::new(DialectId::Mil);
        let (mut block, [x, y, go]) = function(&mut p);
        for level in 0..depth {
            let vars =
                if level == 0 { [x, y] } else { p.block(block).args.clone().into_vec().try_into().unwrap() };
            let op = looped(&mut p, block, &vars, go, |_, _, args| vec![args[1], args[0]]);
            block = p.op(op).blocks[1];
        }
        let i = infer(&p, &Mil);
        assert_eq!(i.disagreements.is_empty(), depth < 100, "{depth}: {:?}", i.disagreements);
    }
}
