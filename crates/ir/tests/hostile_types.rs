//! Inference of every op on operands that no sane model has: it answers or refuses, and never panics or hangs.

use std::time::{Duration, Instant};

use anewrite_ir::dims::{DimTable, Int};
use anewrite_ir::infer::{Arg, BlockTypes, InferCx};
use anewrite_ir::mil::{Mil, schemas};
use anewrite_ir::{DTypes, Dialect, Dim, OpSchema, Opset, Param, ParamKind, TensorType, Type};
use anewrite_tensor::{DType, Tensor};

/// xorshift64: the same operands in every run.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const EXTENTS: &[u64] = &[0, 1, 1, 2, 2, 3, 4, 5, 8, 1 << 31, 1 << 62, u64::MAX - 1, u64::MAX];
const INTS: &[i64] = &[0, 1, 1, 2, 2, 3, -1, -2, -3, 5, 1 << 30, i32::MAX as i64, i32::MIN as i64];
const TEXTS: &[&str] = &[
    "",
    "valid",
    "same",
    "same_lower",
    "custom",
    "fp16",
    "fp32",
    "int32",
    "uint8",
    "string",
    "forward",
    "reverse",
    "bidirectional",
    "tanh",
    "sigmoid",
    "DEFAULT",
    "LINEAR",
    "bilinear",
    "constant",
    "logits",
    "normalized_minus_one_to_one",
    "CORNERS_HEIGHT_FIRST",
    "abc,acd->abd",
    "ab,ab->",
    "->",
    "a,b,c->cba",
];

fn dim(r: &mut Rng, dims: &mut DimTable) -> Dim {
    match r.below(6) {
        0 => Dim::Unknown,
        1 => dims.fresh(),
        2 => {
            let n = dims.fresh();
            let n = dims.int(n);
            let m = dims.mul(n, Int::Known(r.pick(INTS)));
            dims.add(m, Int::Known(r.pick(INTS))).dim()
        }
        _ => Dim::Known(r.pick(EXTENTS)),
    }
}

fn tensor_type(r: &mut Rng, dims: &mut DimTable, of: DTypes, rank: usize) -> TensorType {
    let dtypes: Vec<DType> = if r.below(20) == 0 { DType::ALL.to_vec() } else { of.iter().collect() };
    let rank = if r.below(4) == 0 { r.below(7) } else { rank };
    let shape = (r.below(25) != 0).then(|| (0..rank).map(|_| dim(r, dims)).collect());
    TensorType { dtype: r.pick(&dtypes), shape }
}

fn ty(r: &mut Rng, dims: &mut DimTable, of: DTypes, rank: usize) -> Type {
    let t = tensor_type(r, dims, of, rank);
    match r.below(16) {
        0 => Type::State(t),
        1 | 2 => Type::List { element: t, length: r.pick(&[None, Some(0), Some(u64::MAX)]) },
        3 => Type::Unknown,
        _ => Type::Tensor(t),
    }
}

fn arg(r: &mut Rng, dims: &mut DimTable, p: &Param, rank: usize) -> Arg {
    let mut ty = ty(r, dims, p.dtypes, rank);
    let (mut constant, mut ints) = (None, None);
    if p.kind == ParamKind::Const || r.below(3) == 0 {
        constant = small_constant(r, p.dtypes, rank);
    }
    if let Some(t) = &constant {
        ty = TensorType::fixed(t.dtype(), t.dims().iter().copied()).into();
        let known = t.to_i64s().ok().map(|v| v.into_iter().map(Int::Known).collect());
        ints = known.filter(|_| r.below(2) == 0);
    } else if r.below(4) == 0 {
        ints = Some((0..r.below(6)).map(|_| some_int(r, dims)).collect());
    }
    Arg { param: p.name.into(), ty, constant, ints }
}

fn some_int(r: &mut Rng, dims: &mut DimTable) -> Int {
    let d = dim(r, dims);
    if r.below(2) == 0 { Int::Known(r.pick(&[i64::MIN, -1, 0, 1, 7, i64::MAX])) } else { dims.int(d) }
}

fn small_constant(r: &mut Rng, of: DTypes, rank: usize) -> Option<Tensor> {
    let dtypes: Vec<DType> = of.iter().collect();
    let dtype = r.pick(&dtypes);
    if dtype == DType::String {
        return Some(Tensor::string(r.pick(TEXTS)));
    }
    // scalars and vectors of about as many elements as there are axes are what parameters are
    let count = r.pick(&[0, 1, rank.saturating_sub(2), rank, 2 * rank.saturating_sub(2), 2 * rank]);
    let dims: Vec<u64> = if count == 1 && r.below(2) == 0 { vec![] } else { vec![count as u64] };
    let values: Vec<f64> = (0..count).map(|_| r.pick(INTS) as f64).collect();
    Tensor::from_f64s(dtype, &dims, &values).ok()
}

fn attempt(r: &mut Rng, schema: &'static OpSchema) -> bool {
    let mut dims = DimTable::default();
    let rank = r.below(6);
    let mut args = Vec::new();
    for p in schema.params {
        let count = match p.kind {
            ParamKind::Values => r.below(4),
            _ => usize::from(r.below(12) != 0),
        };
        for _ in 0..count {
            let a = arg(r, &mut dims, p, rank);
            args.push(a);
        }
    }
    let types =
        |r: &mut Rng, dims: &mut DimTable| (0..r.below(4)).map(|_| ty(r, dims, DTypes::ANY, 2)).collect();
    let blocks: Vec<BlockTypes> = (0..r.below(4))
        .map(|_| BlockTypes { args: types(r, &mut dims), outputs: types(r, &mut dims) })
        .collect();
    let mut cx = InferCx {
        kind: schema.name,
        opset: r.pick(&[Opset::Ios15, Opset::Ios16, Opset::Ios17, Opset::Ios18, Opset::Ios26]),
        args: &args,
        attrs: &Vec::new(),
        blocks: &blocks,
        dims: &mut dims,
        stored: &[],
        ints_out: Vec::new(),
        schema: Some(schema),
    };
    match Mil.infer(&mut cx) {
        Ok(types) => {
            let total: usize = types.iter().filter_map(|t| t.tensor()?.rank()).sum();
            assert!(total < 1 << 12, "{} gives {total} axes", schema.name);
            true
        }
        Err(e) => {
            assert!(!e.to_string().is_empty());
            false
        }
    }
}

#[test]
fn inference_survives_any_operands() {
    let mut r = Rng(0x9e37_79b9_7f4a_7c15);
    let started = Instant::now();
    let mut accepted = 0;
    for schema in schemas() {
        for _ in 0..100 {
            accepted += usize::from(attempt(&mut r, schema));
        }
    }
    assert!(accepted > 1500, "only {accepted} were accepted: the operands are too wild to test anything");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
