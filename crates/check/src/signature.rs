//! What an op shows to tables and formulas, as bytes: ops that show the same are judged once.

use anewrite_ane::VALUE_LIMIT;
use anewrite_ir::infer::Facts;
use anewrite_ir::{OpId, Program, Type, ValueId};
use anewrite_tensor::{DType, Tensor};

use crate::view::is_weight;

/// Everything that [`View`](crate::View) shows of an op; `None` for one that shows more than operands and results.
pub(crate) fn signature(program: &Program, facts: &Facts, op: OpId) -> Option<Vec<u8>> {
    let o = program.op(op);
    if !o.attrs.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(256);
    text(&mut out, &o.kind);
    text(&mut out, &program.function(program.func_of(op)).opset);
    for operand in &o.operands {
        text(&mut out, &operand.param);
        match program.constant(operand.value) {
            Some(c) => constant(&mut out, &c.tensor)?,
            None => {
                let weight =
                    program.def_op(operand.value).is_some_and(|from| is_weight(&program.op(from).kind));
                out.push(if weight { b'w' } else { b'v' });
            }
        }
        ty(&mut out, program, facts, operand.value);
    }
    out.push(b'>');
    o.results.iter().for_each(|&result| ty(&mut out, program, facts, result));
    Some(out)
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_le_bytes());
}

/// A constant with its elements, where they are few enough to be asked for.
fn constant(out: &mut Vec<u8>, tensor: &Tensor) -> Option<()> {
    if tensor.count() > VALUE_LIMIT as u64 {
        out.push(b'c');
        return Some(());
    }
    out.push(b'k');
    if tensor.dtype() == DType::String {
        text(out, tensor.scalar_str()?);
    } else {
        let bytes = tensor.bytes().ok()?;
        number(out, bytes.len() as u64);
        out.extend_from_slice(&bytes);
    }
    Some(())
}

fn ty(out: &mut Vec<u8>, program: &Program, facts: &Facts, value: ValueId) {
    let (Type::Tensor(t) | Type::State(t)) = facts.ty(program, value) else {
        return out.push(b'?');
    };
    out.push(t.dtype as u8);
    match &t.shape {
        None => out.push(u8::MAX),
        Some(shape) => {
            number(out, shape.len() as u64);
            for dim in shape {
                match dim.known() {
                    Some(n) => number(out, n),
                    None => out.push(b'?'),
                }
            }
        }
    }
}
