//! NeuralNetwork layers, which are evaluated as what they lower to.

use std::rc::Rc;

use anewrite_ir::dims::{DimTable, Int};
use anewrite_ir::infer::Facts;
use anewrite_ir::mil::Mil;
use anewrite_ir::{Builder, DialectId, OpId, Opset, Place, Program, Str, Type, ValueId};
use anewrite_nn::{INPUT, LayerCall, Mapping, lower};
use rustc_hash::FxHashMap;

use crate::array::Array;
use crate::call::Computed;
use crate::error::EvalError;
use crate::run::Run;
use crate::value::Value;

/// Inputs with as many elements may decide shapes.
const SMALL: usize = 64;

/// A layer lowered for inputs of certain types.
struct Lowered {
    program: Program,
    args: Vec<ValueId>,
    outputs: Vec<ValueId>,
}

/// What a lowering was made for: the inputs' types, and the elements of those that may decide shapes.
type Key = Vec<(Type, Option<Vec<i64>>)>;

/// Lowerings that loops use again.
#[derive(Default)]
pub(crate) struct Layers {
    kept: FxHashMap<OpId, (Key, Rc<Lowered>)>,
}

impl Layers {
    pub(crate) fn compute(
        &mut self,
        run: &mut Run<'_>,
        op: OpId,
        args: &[(Str, Value)],
        mapping: Mapping,
    ) -> Computed {
        let inputs = args.iter().filter(|(param, _)| &**param == INPUT);
        let inputs = inputs.map(|(_, v)| {
            let a = v.tensor()?;
            a.reshaped(mapping.lowered_dims(a.dims()))
        });
        let inputs: Vec<Array> = inputs.collect::<Result<_, EvalError>>()?;
        let key: Key = inputs
            .iter()
            .map(|a| {
                let small = (a.len() <= SMALL).then(|| a.to_i64s().ok()).flatten();
                (Type::from(a.ty()), small)
            })
            .collect();
        let lowered = match self.kept.get(&op) {
            Some((known, lowered)) if *known == key => lowered.clone(),
            _ => {
                let lowered = Rc::new(make(run.program, op, &key, mapping)?);
                if run.rounds > 0 {
                    self.kept.insert(op, (key, lowered.clone()));
                }
                lowered
            }
        };
        let args = lowered.args.iter().copied().zip(inputs.into_iter().map(Value::from)).collect();
        let mut out = run.lowering(&lowered.program, args, &lowered.outputs, op)?;
        for v in &mut out {
            if let Value::Tensor(a) = v {
                *v = Value::Tensor(a.reshaped(mapping.tensor_dims(a.dims()))?);
            }
        }
        Ok(out)
    }
}

fn make(p: &Program, op: OpId, key: &Key, mapping: Mapping) -> Result<Lowered, EvalError> {
    let call = LayerCall::of(p, op, mapping);
    let call = call.ok_or_else(|| EvalError::Unsupported(p.op(op).kind.to_string()))?;
    let mut program = Program::new(DialectId::Mil);
    let (_, body) = program.add_function("layer", Opset::Ios18.name());
    let (mut facts, mut dims) = (Facts::default(), DimTable::default());
    let mut args = Vec::with_capacity(key.len());
    for (i, (ty, ints)) in key.iter().enumerate() {
        let v = program.add_arg(body, &format!("x{i}"), ty.clone());
        let ints = ints.as_ref().map(|n| n.iter().map(|&n| Int::Known(n)).collect());
        facts.set(v, ty.clone(), ints);
        args.push(v);
    }
    let mut b = Builder::new(&mut program, &mut facts, &mut dims, &Mil, Opset::Ios18, Place::End(body));
    let outputs = lower(&call, &mut b, &args)?;
    for &v in &outputs {
        program.add_output(body, v);
    }
    Ok(Lowered { program, args, outputs })
}
