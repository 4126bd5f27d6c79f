//! Operands that no sound file has: every definition answers with types or an error, and never with a panic.

use std::sync::Arc;

use anewrite_ir::dims::{DimTable, Int};
use anewrite_ir::infer::{Arg, InferCx};
use anewrite_ir::mil::{Mil, schemas};
use anewrite_ir::{Dialect, Dim, OpSchema, Opset, ParamKind, TensorType, Type};
use anewrite_tensor::{DType, Payload, Tensor};

/// The same numbers in every run (xorshift of 64 bits).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

const EXTENTS: &[u64] = &[0, 1, 1, 2, 3, 5, 12, 1 << 31, 1 << 62, (1 << 63) - 1, u64::MAX];
const INTEGERS: &[i64] =
    &[-1, -1, 0, 0, 1, 1, 2, 3, 5, -2, -7, 64, 70000, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];
const TEXTS: &[&str] =
    &["", "int32", "fp16", "bool", "valid", "same", "custom", "constant", "->", "bij,bjk->bik", "é"];

fn dims(r: &mut Numbers, table: &mut DimTable) -> Vec<Dim> {
    (0..r.below(7))
        .map(|_| match r.below(6) {
            0 => Dim::Unknown,
            1 => table.fresh(),
            _ => Dim::Known(r.of(EXTENTS)),
        })
        .collect()
}

fn ints(r: &mut Numbers, table: &mut DimTable, count: usize) -> Vec<Int> {
    let symbols = [table.fresh_int(), table.fresh_int()];
    (0..count).map(|_| if r.below(5) == 0 { r.of(&symbols) } else { Int::Known(r.of(INTEGERS)) }).collect()
}

/// A constant vector or scalar whose elements are drawn, of a type that holds them if the parameter's may.
fn constant(r: &mut Numbers, dtype: DType) -> Option<Tensor> {
    let shapes: [&[u64]; 6] = [&[], &[1], &[2], &[4], &[0], &[2, 2]];
    let shape = r.of(&shapes);
    let count = shape.iter().product::<u64>() as usize;
    if dtype == DType::String {
        let texts: Vec<Arc<str>> = (0..count).map(|_| r.of(TEXTS).into()).collect();
        return Tensor::new(dtype, shape.iter().copied(), Payload::Strings(texts.into())).ok();
    }
    let bytes = (0..count).flat_map(|_| {
        let n = r.of(INTEGERS);
        n.to_le_bytes().into_iter().take((dtype.bits() as usize).div_ceil(8)).collect::<Vec<_>>()
    });
    Tensor::new(dtype, shape.iter().copied(), bytes.collect::<Vec<_>>()).ok()
}

fn operand(r: &mut Numbers, table: &mut DimTable, schema: &OpSchema, param: usize, dtype: DType) -> Arg {
    let p = &schema.params[param];
    let allowed: Vec<DType> = p.dtypes.iter().collect();
    let dtype = match r.below(12) {
        0 => r.of(&DType::ALL),
        _ if p.dtypes.has(dtype) => dtype,
        _ => r.of(&allowed),
    };
    let chance = if p.kind == ParamKind::Const { 1 } else { 4 };
    if r.below(chance) == 0
        && let Some(t) = constant(r, dtype)
    {
        let ty = TensorType::fixed(dtype, t.dims().iter().copied());
        let known = t.to_i64s().ok().map(|v| v.into_iter().map(Int::Known).collect());
        return Arg { param: p.name.into(), ty: ty.into(), constant: Some(t), ints: known };
    }
    let shape = (r.below(12) > 0).then(|| dims(r, table).into());
    let mut ty = Type::Tensor(TensorType { dtype, shape });
    let mut known = None;
    if dtype.is_int() && r.below(2) == 0 {
        let count = r.below(6);
        known = Some(ints(r, table, count).into());
        ty = TensorType::fixed(dtype, [count as u64]).into();
    }
    if r.below(20) == 0 {
        ty = Type::Unknown;
    }
    Arg { param: p.name.into(), ty, constant: None, ints: known }
}

#[test]
fn no_operands_make_inference_panic() {
    let mut r = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut answers, mut errors) = (0, 0);
    for schema in schemas() {
        for _ in 0..400 {
            let mut table = DimTable::default();
            let dtype = r.of(&[DType::F16, DType::F32, DType::I32, DType::Bool]);
            let mut args = Vec::new();
            for (param, p) in schema.params.iter().enumerate() {
                let count = match p.kind {
                    ParamKind::Values => r.below(4),
                    _ => usize::from(r.below(8) > 0),
                };
                args.extend((0..count).map(|_| operand(&mut r, &mut table, schema, param, dtype)));
            }
            let mut cx = InferCx {
                kind: schema.name,
                opset: Opset::Ios18,
                args: &args,
                attrs: &Vec::new(),
                blocks: &[],
                dims: &mut table,
                stored: &[],
                ints_out: Vec::new(),
                schema: Some(schema),
            };
            match Mil.infer(&mut cx) {
                Ok(_) => answers += 1,
                Err(e) => {
                    assert!(!e.to_string().is_empty());
                    errors += 1;
                }
            }
        }
    }
    assert!(answers > 1000 && errors > 1000, "{answers} answers, {errors} errors");
}
