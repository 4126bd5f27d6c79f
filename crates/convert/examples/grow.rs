//! Puts ops that change nothing into a model, with new constants of all kinds: `grow IN -o OUT`. For judges of
//! written models.
#![allow(clippy::print_stdout, reason = "an example")]

use anewrite_convert::{Document, export, import};
use anewrite_ir::{
    Attr, BlockId, Const, ConstOrigin, DialectId, Id, NewOp, Place, Program, TensorType, ValueId,
};
use anewrite_tensor::{DType, Tensor};
use coreml_package::{PackageOutput, Source, WriteOptions, write_model_file, write_package};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, _, output] = args.as_slice() else { return Err("grow IN -o OUT".into()) };
    let source = coreml_package::open(input)?;
    let mut document = import(&source)?;
    for part in &mut document.parts {
        match part.program.dialect {
            DialectId::Mil => grow_program(&mut part.program)?,
            DialectId::Nn => grow_network(&mut part.program),
        }
    }
    save(&source, &document, output)
}

fn save(source: &Source, document: &Document, output: &str) -> Result<(), Box<dyn std::error::Error>> {
    let export = export(document, source)?;
    let Some(file) = source.model() else { return Ok(()) };
    let model = export.model_chunks(file);
    let options = WriteOptions::new();
    match source {
        Source::Package(base) => {
            println!("{} weight files changed", export.weights.len());
            let package = PackageOutput { base: Some(base), model, weights: export.weights };
            write_package(output, &package, &options)?;
        }
        _ => {
            write_model_file(output, &model, &options)?;
        }
    }
    Ok(())
}

fn constant(p: &mut Program, block: BlockId, tensor: Tensor) -> ValueId {
    let func = p.block(block).func;
    let name = p.fresh_name(func, "grown_const");
    p.add_const(block, &name, Const { tensor, origin: ConstOrigin::New, sealed: false })
}

fn grow_program(p: &mut Program) -> Result<(), Box<dyn std::error::Error>> {
    let ops: Vec<_> = p.all_ops().collect();
    for (i, op) in ops.into_iter().enumerate() {
        let block = p.block_of(op);
        if p.op(op).sealed || p.op(op).kind.starts_with("constexpr") {
            continue;
        }
        // The same weight as a new constant: it must come out at the offset that it has.
        let weight = p.op(op).operands.iter().position(|o| &*o.param == "weight");
        if let Some(slot) = weight
            && let Some(c) = p.constant(p.op(op).operands[slot].value)
        {
            let tensor = c.tensor.clone();
            let new = constant(p, block, tensor);
            p.set_operand(op, slot, new);
        }
        let [result] = p.op(op).results.as_slice() else { continue };
        let result = *result;
        let Some(ty) = p.tensor_type(result).cloned() else { continue };
        let (Some(dims), Some(next)) = (ty.known_dims(), p.next_op(op)) else { continue };
        if p.is_output(result) || !matches!(ty.dtype, DType::F16 | DType::F32) || i % 3 != 0 {
            continue;
        }
        let last: Vec<u64> = dims.last().copied().into_iter().collect();
        let ones = vec![1.0; last.iter().product::<u64>() as usize];
        let factor = constant(p, block, Tensor::from_f64s(ty.dtype, &last, &ones)?);
        let shape = constant(p, block, Tensor::i32s(dims.iter().map(|&d| d as i32)));
        let func = p.func_of(op);
        let users = p.uses(result);
        let (a, b) = (p.fresh_name(func, "grown_mul"), p.fresh_name(func, "grown_reshape"));
        let mul = NewOp::new("mul").operand("x", result).operand("y", factor).result(&a, ty.clone());
        let mul = p.add_op(Place::Before(next), mul);
        let Some(product) = p.op(mul).result() else { continue };
        let same = if dims.is_empty() {
            product
        } else {
            let reshape = NewOp::new("reshape").operand("x", product).operand("shape", shape).result(&b, ty);
            let reshape = p.add_op(Place::Before(next), reshape);
            p.op(reshape).result().unwrap_or(product)
        };
        for u in users {
            match u.user {
                anewrite_ir::User::Op(user) => p.set_operand(user, u.slot as usize, same),
                anewrite_ir::User::Output(block) => p.set_output(block, u.slot as usize, same),
            }
        }
    }
    Ok(())
}

fn grow_network(p: &mut Program) {
    let ops: Vec<_> = p.all_ops().collect();
    for op in ops {
        let block = p.block_of(op);
        if p.op(op).sealed {
            continue;
        }
        let weight = p.op(op).operands.iter().position(|o| &*o.param == "weights");
        if let Some(slot) = weight
            && let Some(c) = p.constant(p.op(op).operands[slot].value)
            && op.index() % 2 == 0
        {
            let tensor = c.tensor.clone();
            let new = constant(p, block, tensor);
            p.set_operand(op, slot, new);
        }
        let [result] = p.op(op).results.as_slice() else { continue };
        let result = *result;
        let Some(next) = p.next_op(op) else { continue };
        if p.is_output(result) || p.value(result).pinned || p.use_count(result) == 0 {
            continue;
        }
        let func = p.func_of(op);
        let name = p.fresh_name(func, "grown_linear");
        let users = p.uses(result);
        let mut linear = NewOp::new("nn.activation").operand("input", result);
        let alpha =
            Attr::Message(vec![("alpha".into(), Attr::Float(1.0)), ("beta".into(), Attr::Float(0.0))]);
        linear.op.attrs.push(("linear".into(), alpha));
        let linear = linear.result(&name, TensorType { dtype: DType::F32, shape: None });
        let linear = p.add_op(Place::Before(next), linear);
        let Some(same) = p.op(linear).result() else { continue };
        for u in users {
            match u.user {
                anewrite_ir::User::Op(user) => p.set_operand(user, u.slot as usize, same),
                anewrite_ir::User::Output(block) => p.set_output(block, u.slot as usize, same),
            }
        }
    }
}
