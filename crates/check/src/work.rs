//! What a layer of a NeuralNetwork has to do: the work of the MIL ops that it means.

use anewrite_ane::{Family, Work, prices};
use anewrite_ir::dims::DimTable;
use anewrite_ir::infer::Facts;
use anewrite_ir::mil::Mil;
use anewrite_ir::{Builder, DialectId, OpId, Opset, Place, Program};
use anewrite_nn::{Detail, INPUT, LayerCall, Mapping, lower};

use crate::view::View;

/// Arithmetic by the lowering, bytes by what the layer itself reads and writes. Layers without a lowering (custom ones,
/// those with networks in them) count their bytes only.
pub(crate) fn layer_work(program: &Program, facts: &Facts, op: OpId, mapping: Mapping) -> Work {
    let own = prices(&View::new(program, facts, op), Family::NoEngine).work;
    Work { flops: flops(program, facts, op, mapping).unwrap_or(0.0), bytes: own.bytes }
}

fn flops(program: &Program, facts: &Facts, op: OpId, mapping: Mapping) -> Option<f64> {
    let call = LayerCall::of(program, op, mapping)?.detail(Detail::Types);
    let mut scratch = Program::new(DialectId::Mil);
    let (_, body) = scratch.add_function("layer", Opset::Ios18.name());
    let mut known = Facts::default();
    let mut inputs = Vec::new();
    for value in program.op(op).args(INPUT) {
        let ty = mapping.lowered(facts.ty(program, value));
        let arg = scratch.add_arg(body, "x", ty.clone());
        known.set(arg, ty, facts.ints(value).cloned());
        inputs.push(arg);
    }
    let mut dims = DimTable::default();
    let place = Place::End(body);
    let mut b = Builder::new(&mut scratch, &mut known, &mut dims, &Mil, Opset::Ios18, place);
    lower(&call, &mut b, &inputs).ok()?;
    let made = b.made().to_vec();
    let of = |op| prices(&View::new(&scratch, &known, op), Family::NoEngine).work.flops;
    Some(made.into_iter().map(of).sum())
}
