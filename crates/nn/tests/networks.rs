//! Types through layers that hold networks: what a loop keeps, what it changes, and what a branch leaves open.

use anewrite_ir::infer::infer;
use anewrite_ir::{Attr, Attrs, BlockId, DialectId, NewOp, OpId, Place, Program, TensorType, Type, ValueId};
use anewrite_nn::{CARRIED, INPUT, Mapping, NETWORKS, Nn};
use anewrite_tensor::DType;

fn matrix(rows: u64) -> Type {
    TensorType::fixed(DType::F32, [rows, 5]).into()
}

fn layer(
    p: &mut Program,
    block: BlockId,
    kind: &str,
    inputs: &[ValueId],
    out: &str,
    fields: Attrs,
) -> ValueId {
    let mut op = NewOp::new(&format!("nn.{kind}"));
    for &v in inputs {
        op = op.operand(INPUT, v);
    }
    op.op.attrs = fields;
    let op = p.add_op(Place::End(block), op.result(out, Type::Unknown));
    p.op(op).result().unwrap()
}

/// A layer `kind` whose networks overwrite `carried`; its blocks, each with arguments of the same names.
fn holder(
    p: &mut Program,
    block: BlockId,
    kind: &str,
    networks: &[&str],
    carried: &[ValueId],
) -> (OpId, Vec<(BlockId, Vec<ValueId>)>) {
    let mut op = NewOp::new(&format!("nn.{kind}"));
    let names: Vec<String> = carried.iter().map(|&v| p.value(v).name.to_string()).collect();
    for (&v, name) in carried.iter().zip(&names) {
        op = op.operand(CARRIED, v).result(name, Type::Unknown);
    }
    let list = networks.iter().map(|&n| Attr::Text(n.into())).collect();
    op.op.attrs = vec![(NETWORKS.into(), Attr::List(list))];
    let op = p.add_op(Place::End(block), op);
    let mut blocks = Vec::new();
    for _ in networks {
        let inner = p.add_block(op);
        let args = names.iter().map(|n| p.add_arg(inner, n, Type::Unknown)).collect();
        blocks.push((inner, args));
    }
    (op, blocks)
}

fn shown(p: &Program, values: &[ValueId]) -> Vec<String> {
    let inferred = infer(p, &Nn { mapping: Mapping::Exact });
    assert!(inferred.disagreements.is_empty(), "{:?}", inferred.disagreements);
    let dims = |v: &ValueId| match inferred.facts.tensor(p, *v).and_then(|t| t.shape.clone()) {
        Some(s) => {
            s.iter().map(|d| d.known().map_or("?".into(), |n| n.to_string())).collect::<Vec<_>>().join("x")
        }
        None => "unknown".into(),
    };
    values.iter().map(dims).collect()
}

#[test]
fn a_loop_keeps_what_its_body_keeps_and_opens_what_grows() {
    let mut p = Program::new(DialectId::Nn);
    let (_, main) = p.add_function("main", "");
    let kept = p.add_arg(main, "kept", matrix(2));
    let grows = p.add_arg(main, "grows", matrix(1));
    let (op, blocks) = holder(&mut p, main, "loop", &["bodyNetwork"], &[kept, grows]);
    let (body, args) = &blocks[0];
    let a = layer(&mut p, *body, "tanh", &[args[0]], "a", vec![]);
    let fields = vec![("axis".into(), Attr::Int(0))];
    let b = layer(&mut p, *body, "concatND", &[args[1], a], "b", fields);
    for (v, name) in [(a, "kept"), (b, "grows")] {
        let v = layer(&mut p, *body, "copy", &[v], name, vec![]);
        p.add_output(*body, v);
    }
    let results = p.op(op).results.to_vec();
    assert_eq!(shown(&p, &[results[0], results[1], a, b]), ["2x5", "?x5", "2x5", "?x5"]);
}

#[test]
fn a_loop_ends_after_its_condition() {
    let mut p = Program::new(DialectId::Nn);
    let (_, main) = p.add_function("main", "");
    let n = p.add_arg(main, "n", TensorType::fixed(DType::F32, [1]).into());
    let x = p.add_arg(main, "x", matrix(3));
    let (op, blocks) = holder(&mut p, main, "loop", &["conditionNetwork", "bodyNetwork"], &[n, x]);
    let (test, args) = &blocks[0];
    let go = layer(&mut p, *test, "lessThan", &[args[0]], "go", vec![("alpha".into(), Attr::Float(4.0))]);
    for &v in args {
        p.add_output(*test, v);
    }
    let (body, args) = &blocks[1];
    let next = layer(&mut p, *body, "add", &[args[0]], "n", vec![("alpha".into(), Attr::Float(1.0))]);
    let y = layer(&mut p, *body, "sin", &[args[1]], "x", vec![]);
    p.add_output(*body, next);
    p.add_output(*body, y);
    let results = p.op(op).results.to_vec();
    assert_eq!(shown(&p, &[results[0], results[1], go, y]), ["1", "3x5", "1", "3x5"]);
}

#[test]
fn a_branch_leaves_open_what_its_networks_make_different() {
    let mut p = Program::new(DialectId::Nn);
    let (_, main) = p.add_function("main", "");
    let x = p.add_arg(main, "x", matrix(4));
    let (op, blocks) = holder(&mut p, main, "branch", &["ifBranch", "elseBranch"], &[x]);
    for ((block, args), axis) in blocks.iter().zip([0, 1]) {
        let fields = vec![("axis".into(), Attr::Int(axis))];
        let y = layer(&mut p, *block, "concatND", &[args[0], args[0]], "x", fields);
        p.add_output(*block, y);
    }
    let (other, blocks) = holder(&mut p, main, "branch", &["ifBranch"], &[x]);
    let (block, args) = &blocks[0];
    let y = layer(&mut p, *block, "sin", &[args[0]], "x", vec![]);
    p.add_output(*block, y);
    let (a, b) = (p.op(op).result().unwrap(), p.op(other).result().unwrap());
    assert_eq!(shown(&p, &[a, b]), ["?x?", "4x5"]);
}

#[test]
fn loops_in_loops_in_loops_end() {
    let mut p = Program::new(DialectId::Nn);
    let (_, main) = p.add_function("main", "");
    let x = p.add_arg(main, "x", matrix(1));
    let (mut block, mut value, mut around) = (main, x, Vec::new());
    for _ in 0..60 {
        let (op, blocks) = holder(&mut p, block, "loop", &["bodyNetwork"], &[value]);
        around.push((block, op));
        let (inner, args) = &blocks[0];
        (block, value) = (*inner, args[0]);
    }
    let fields = vec![("axis".into(), Attr::Int(0))];
    let y = layer(&mut p, block, "concatND", &[value, value], "x", fields);
    p.add_output(block, y);
    for (outer, op) in around.iter().rev().filter(|(b, _)| *b != main) {
        let result = p.op(*op).result().unwrap();
        p.add_output(*outer, result);
    }
    infer(&p, &Nn { mapping: Mapping::Exact });
}
