//! Layers with fields, weights and inputs that no writer makes: lowering and inference give a result or an error.

mod common;

use anewrite_ir::dims::DimTable;
use anewrite_ir::infer::{Facts, infer};
use anewrite_ir::mil::Mil;
use anewrite_ir::{
    Attr, Attrs, Builder, Const, ConstOrigin, DialectId, Dim, NewOp, Opset, Place, Program, TensorType, Type,
};
use anewrite_nn::{CARRIED, Detail, INPUT, Mapping, NETWORKS, Nn, layers, lower};
use anewrite_tensor::{DType, Tensor};
use common::{Case, cases};

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn int(&mut self) -> i64 {
        self.pick(&[0, 1, -1, 2, 3, 5, -3, 7, 64, 1 << 20, i64::from(i32::MAX), 1 << 40, i64::MAX, i64::MIN])
    }

    fn attr(&mut self) -> Attr {
        match self.below(8) {
            0 => Attr::Float(self.pick(&[0.0, -1.5, 1e30, f64::INFINITY, f64::NAN])),
            1 => Attr::Bool(self.below(2) == 0),
            2 => Attr::Text("SAME".into()),
            3 => Attr::Enum(self.pick(&["SAME", "TOP_LEFT_HEAVY", "MAX", "no such name"]).into()),
            4 => Attr::List((0..self.below(7)).map(|_| Attr::Int(self.int())).collect()),
            5 => Attr::Message(Vec::new()),
            _ => Attr::Int(self.int()),
        }
    }

    fn shape(&mut self) -> TensorType {
        let dtype = self.pick(&[DType::F32, DType::F32, DType::F32, DType::I32, DType::Bool, DType::F64]);
        if self.below(20) == 0 {
            return TensorType { dtype, shape: None };
        }
        let dims = (0..self.below(7)).map(|_| match self.below(8) {
            0 => Dim::Unknown,
            1 => Dim::Known(0),
            2 => Dim::Known(1 << 40),
            n => Dim::Known(n as u64 - 2),
        });
        let dims: Vec<Dim> = dims.collect();
        TensorType::ranked(dtype, dims)
    }

    fn spoil(&mut self, fields: &mut Attrs) {
        if fields.is_empty() {
            return;
        }
        let i = self.below(fields.len());
        match (&mut fields[i].1, self.below(3)) {
            (Attr::Message(inner), 0 | 1) if !inner.is_empty() => self.spoil(inner),
            (Attr::List(items), 0 | 1) if !items.is_empty() => {
                let j = self.below(items.len());
                match &mut items[j] {
                    Attr::Message(inner) if !inner.is_empty() => self.spoil(inner),
                    item => *item = self.attr(),
                }
            }
            (_, 2) if self.below(3) == 0 => drop(fields.remove(i)),
            (attr, _) => *attr = self.attr(),
        }
    }
}

/// The case with one to three things changed, and types for its inputs.
fn spoilt(case: &Case, dice: &mut Dice) -> (Case, Vec<TensorType>) {
    let mut types: Vec<TensorType> = case.inputs.iter().map(|x| x.ty()).collect();
    let mut new = Case {
        name: case.name.clone(),
        kind: case.kind.clone(),
        mapping: case.mapping,
        fields: case.fields.clone(),
        weights: case.weights.clone(),
        inputs: case.inputs.clone(),
        outputs: case.outputs.clone(),
        computed: case.computed,
    };
    for _ in 0..=dice.below(3) {
        match dice.below(6) {
            0 if !types.is_empty() => {
                let i = dice.below(types.len());
                types[i] = dice.shape();
            }
            1 if !types.is_empty() => {
                let i = dice.below(types.len());
                types.remove(i);
            }
            1 => types.push(dice.shape()),
            2 if !new.weights.is_empty() => {
                let i = dice.below(new.weights.len());
                match dice.below(3) {
                    0 => drop(new.weights.remove(i)),
                    1 => new.weights[i].1 = Tensor::from_f64s(DType::U8, &[3], &[1.0, 255.0, 7.0]).unwrap(),
                    _ => new.weights[i].1 = Tensor::from_f64s(DType::F16, &[0], &[]).unwrap(),
                }
            }
            3 => new.mapping = dice.pick(&[Mapping::Rank5, Mapping::Exact]),
            _ => dice.spoil(&mut new.fields),
        }
    }
    (new, types)
}

#[test]
fn no_layer_brings_a_lowering_down() {
    let mut dice = Dice(0x5eed);
    let opsets = [Opset::Ios15, Opset::Ios16, Opset::Ios17, Opset::Ios18, Opset::Ios26];
    let mut lowered = 0u32;
    let all = cases();
    for round in 0..40 {
        for case in &all {
            let (case, types) = spoilt(case, &mut dice);
            let opset = dice.pick(&opsets);
            let mut p = Program::new(DialectId::Mil);
            let (_, body) = p.add_function("main", opset.name());
            let args: Vec<_> = types.iter().map(|t| p.add_arg(body, "x", t.clone().into())).collect();
            let (mut facts, mut dims) = (Facts::default(), DimTable::default());
            let mut b = Builder::new(&mut p, &mut facts, &mut dims, &Mil, opset, Place::End(body));
            let detail = if round % 2 == 0 { Detail::Full } else { Detail::Types };
            lowered += u32::from(lower(&case.call().detail(detail), &mut b, &args).is_ok());
        }
    }
    assert!(lowered > 1000, "only {lowered} lowered: the changes are too coarse to reach the lowerings");
}

#[test]
fn no_program_brings_inference_down() {
    let mut dice = Dice(0xfeed);
    let all = cases();
    for _ in 0..2000 {
        let mut p = Program::new(DialectId::Nn);
        let (_, body) = p.add_function("main", "");
        let ty = dice.shape();
        let mut values = vec![p.add_arg(body, "x", ty.into())];
        for i in 0..dice.below(6) + 1 {
            let case = &all[dice.below(all.len())];
            let (case, _) = spoilt(case, &mut dice);
            let kind = match dice.below(6) {
                0 => layers()[dice.below(layers().len())].name,
                _ => &case.kind,
            };
            let mut op = NewOp::new(&format!("nn.{kind}"));
            for _ in 0..dice.below(4) {
                let param = if dice.below(5) == 0 { CARRIED } else { INPUT };
                op = op.operand(param, dice.pick(&values));
            }
            for (path, t) in &case.weights {
                let data = Const { tensor: t.clone(), origin: ConstOrigin::InPlace, sealed: false };
                op = op.operand(path, p.add_const(body, "", data));
            }
            op.op.attrs = case.fields.clone();
            if dice.below(4) == 0 {
                let names = ["bodyNetwork", "conditionNetwork", "ifBranch", "elseBranch"];
                let names = (0..dice.below(4)).map(|_| Attr::Text(dice.pick(&names).into())).collect();
                op.op.attrs.push((NETWORKS.into(), Attr::List(names)));
            }
            for j in 0..dice.below(4) {
                op = op.result(&format!("y{i}_{j}"), Type::Unknown);
            }
            let op = p.add_op(Place::End(body), op);
            for _ in 0..dice.below(3) {
                let inner = p.add_block(op);
                let name = p.value(values[0]).name.clone();
                let arg = p.add_arg(inner, &name, Type::Unknown);
                let copy = NewOp::new("nn.copy").operand(INPUT, arg).result(&format!("z{i}"), Type::Unknown);
                let copy = p.add_op(Place::End(inner), copy);
                let out = p.op(copy).result().unwrap();
                p.add_output(inner, out);
            }
            values.extend(p.op(op).results.iter());
        }
        infer(&p, &Nn { mapping: dice.pick(&[Mapping::Rank5, Mapping::Exact]) });
    }
}
