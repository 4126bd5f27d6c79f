//! Counting: each datum once, what only steers an op not at all.

use anewrite_diff::Census;
use anewrite_ir::text::parse;
use anewrite_ir::{Const, ConstOrigin, DialectId, NewOp, Place, Program, TensorType};
use anewrite_tensor::{DType, Tensor};

#[test]
fn nested_ops_count_and_constants_count_once() {
    let p = parse(
        "func main<CoreML6>(tensor<fp16, [2, 3]> x, tensor<bool, []> p) {
            k = const()[val = random<fp16, [2, 3]>(1)];
            a = add(x = x, y = k);
            unused = const()[val = random<fp16, [100]>(1)];
            tensor<fp16, [2, 3]> y = cond(pred = p) {
                t = add(x = a, y = k);
            } -> (t), {
                u = transpose(x = a, perm = [0, 1]);
            } -> (u);
        } -> (y);",
    )
    .unwrap();
    let c = Census::of(&p);
    let ops: Vec<(&str, u64)> = c.ops.iter().map(|(k, n)| (k.as_str(), *n)).collect();
    assert_eq!(ops, [("add", 2), ("cond", 1), ("transpose", 1)]);
    assert_eq!((c.op_count(), c.parameters, c.parameter_bytes), (4, 6, 12));
    let mut twice = c.clone();
    twice.merge(&c);
    assert_eq!((twice.op_count(), twice.parameters), (8, 12));
}

#[test]
fn constants_that_share_data_count_once_and_bits_round_up() {
    let mut p = Program::new(DialectId::Mil);
    let (_, b) = p.add_function("main", "CoreML8");
    let data = Tensor::new(DType::U4, [5, 3], vec![0x21; 8]).unwrap();
    let reshaped = data.reshaped([15, 1]).unwrap();
    let own = Tensor::new(DType::F32, [2], vec![0; 8]).unwrap();
    for (i, tensor) in [data, reshaped, own].into_iter().enumerate() {
        let v = p.add_const(b, &format!("c{i}"), Const { tensor, origin: ConstOrigin::New, sealed: false });
        let op =
            NewOp::new("use").operand("x", v).result(&format!("r{i}"), TensorType::fixed(DType::F16, [1]));
        p.add_op(Place::End(b), op);
    }
    let c = Census::of(&p);
    assert_eq!((c.parameters, c.parameter_bytes), (17, 16));
}
