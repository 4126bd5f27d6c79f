//! Constants in the precision that the program computes in: lowerings cast them where they are used.

use std::collections::HashMap;

use anewrite_ir::{Const, ConstOrigin, OpId, Program, ValueId};
use anewrite_tensor::{DType, Tensor, TensorError};
use half::f16;
use half::slice::HalfFloatSliceExt;

/// Takes casts of constants to 16 bits out of a program: the constants themselves are rounded. Returns notes on numbers
/// that 16 bits cannot hold.
///
/// # Errors
/// Where a constant cannot be read.
pub(crate) fn round(program: &mut Program) -> Result<Vec<String>, TensorError> {
    let casts: Vec<OpId> = program.all_ops().filter(|&op| &*program.op(op).kind == "cast").collect();
    let mut rounded: HashMap<ValueId, ValueId> = HashMap::new();
    let mut notes = Vec::new();
    for op in casts {
        let o = program.op(op);
        let (Some(x), Some(result)) = (o.arg("x"), o.result()) else { continue };
        let is_half = program.tensor_type(result).is_some_and(|t| t.dtype == DType::F16);
        let is_output = program.block(program.block_of(op)).outputs.contains(&result);
        let Some(c) = program.constant(x).filter(|c| is_half && !is_output && !c.sealed) else { continue };
        if c.tensor.dtype() != DType::F32 {
            continue;
        }
        let new = match rounded.get(&x) {
            Some(&new) => new,
            None => {
                let (tensor, lost) = halves(&c.tensor)?;
                if lost > 0 {
                    notes.push(format!(
                        "{lost} of {} constants of {} are infinite in 16 bits, as they are on the engine; --precision \
                         fp32 keeps them",
                        c.tensor.count(),
                        users(program, result)
                    ));
                }
                let block = program.block_of(op);
                let data = Const { tensor, origin: ConstOrigin::New, sealed: false };
                let name = program.value(x).name.to_string();
                let name = program.fresh_name(program.func_of(op), &name);
                let new = program.add_const(block, &name, data);
                rounded.insert(x, new);
                new
            }
        };
        program.replace_uses(result, new);
        program.remove_op(op);
    }
    Ok(notes)
}

/// The ops that take a value, in words.
fn users(program: &Program, value: ValueId) -> String {
    let names = program.uses(value).into_iter().filter_map(|u| match u.user {
        anewrite_ir::User::Op(op) => Some(program.op(op).kind.to_string()),
        _ => None,
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The numbers rounded to 16 bits, and how many finite ones are no longer finite.
fn halves(t: &Tensor) -> Result<(Tensor, u64), TensorError> {
    /// Numbers converted at a time: they stay in the cache.
    const BLOCK: usize = 4096;
    let bytes = t.bytes()?;
    let mut out = Vec::with_capacity(bytes.len() / 2);
    let (mut wide, mut narrow) = (Vec::with_capacity(BLOCK), [f16::ZERO; BLOCK]);
    let mut lost = 0;
    for block in bytes.chunks(4 * BLOCK) {
        wide.clear();
        wide.extend(block.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        let narrow = &mut narrow[..wide.len()];
        narrow.convert_from_f32_slice(&wide);
        lost +=
            wide.iter().zip(narrow.iter()).filter(|(w, n)| w.is_finite() && !n.is_finite()).count() as u64;
        out.extend(narrow.iter().flat_map(|n| n.to_le_bytes()));
    }
    Ok((Tensor::new(DType::F16, t.dims().iter().copied(), out)?, lost))
}

#[cfg(test)]
mod tests {
    use anewrite_ir::text;

    use super::*;

    #[test]
    fn constants_are_rounded_to_the_nearest_even_once_for_all_users() {
        // numpy.float16([1 / 3, 2049, 2051, 1e5, -inf, 6e-8, -0.0])
        let mut p = text::parse(
            "func main<CoreML6>(tensor<fp16, [7]> x) {
               c = const()[val = tensor<fp32, [7]>([0.33333334, 2049.0, 2051.0, 100000.0, -inf, 6e-8, -0.0])];
               a = cast(x = c, dtype = \"fp16\");
               b = cast(x = c, dtype = \"fp16\");
               y = add(x = x, y = a);
               z = mul(x = y, y = b);
               w = cast(x = x, dtype = \"fp32\");
             } -> (z, w);",
        )
        .unwrap();
        let notes = round(&mut p).unwrap();
        assert!(matches!(notes.as_slice(), [n] if n.starts_with("1 of 7 constants of add")), "{notes:?}");
        let text = text::print(&p, &Default::default());
        assert_eq!(text.matches("cast(").count(), 1, "{text}");
        let add = p.all_ops().find(|&op| &*p.op(op).kind == "add").unwrap();
        let c = p.constant(p.op(add).arg("y").unwrap()).unwrap();
        let bits: Vec<u16> =
            c.tensor.bytes().unwrap().chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        assert_eq!(bits, [0x3555, 0x6800, 0x6802, 0x7c00, 0xfc00, 0x0001, 0x8000]);
    }
}
