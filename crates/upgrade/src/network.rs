//! The program: the network's lowering between the inputs and outputs of the new model.

use anewrite_convert::Part;
use anewrite_ir::dims::DimTable;
use anewrite_ir::infer::{Facts, with_symbols};
use anewrite_ir::mil::Mil;
use anewrite_ir::{Builder, Dim, OpId, Place, Program, Type, ValueId};
use anewrite_nn::{Mapping, NetworkOptions, lower_network};
use anewrite_tensor::{DType, Tensor};

use crate::UpgradeOptions;
use crate::description::{Draft, Output, dims};
use crate::preprocessing::{prepare, text};

/// Replaces the placeholders of a new program by what the network means.
pub(crate) fn fill(
    program: &mut Program,
    part: &Part,
    draft: &Draft,
    options: UpgradeOptions,
) -> Result<(), Vec<String>> {
    let lost = || vec!["the new program has no function main".to_owned()];
    let (_, function) = program.functions().next().ok_or_else(lost)?;
    let body = function.body;
    let wanted = draft.outputs.len() + usize::from(draft.probabilities.is_some());
    let placeholders: Vec<OpId> = program.ops(body).take(wanted).collect();
    let Some(&first) = placeholders.first().filter(|_| placeholders.len() == wanted) else {
        return Err(vec!["the network has no output".into()]);
    };
    let args = program.block(body).args.to_vec();
    let (mut facts, mut symbols) = (Facts::default(), DimTable::default());
    for &arg in &args {
        let ty = with_symbols(program.ty(arg), &mut symbols);
        facts.set(arg, ty, None);
    }
    let mut b = Builder::new(program, &mut facts, &mut symbols, &Mil, options.opset, Place::Before(first));
    let mut inputs = Vec::with_capacity(args.len());
    let mut problems = Vec::new();
    for (input, arg) in draft.inputs.iter().zip(args) {
        let ready = prepare(&mut b, arg, draft, input, options.precision);
        let ready = ready.and_then(|v| as_lowered(&mut b, v, &input.lowered));
        match ready {
            Ok(v) => inputs.push(v),
            Err(why) => problems.push(format!("input {}: {why}", input.old)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let network = NetworkOptions { float: options.precision, compressed: options.compressed };
    let results = lower_network(&part.program, &mut b, &inputs, network)
        .map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let source = &part.program;
    let outputs = source.functions().next().map(|(_, f)| source.block(f.body).outputs.to_vec());
    let outputs = outputs.unwrap_or_default();
    let made = |v: ValueId| {
        outputs
            .iter()
            .position(|&o| o == v)
            .and_then(|i| results.get(i))
            .copied()
            .ok_or_else(|| vec![format!("no layer gives {}", source.value(v).name)])
    };
    let mut values = Vec::with_capacity(wanted);
    for output in &draft.outputs {
        let v = made(output.value)?;
        values.push(leave(&mut b, v, output, draft.mapping).map_err(|why| vec![why])?);
    }
    if let (Some(v), Some(labels)) = (draft.probabilities, &draft.model.labels) {
        let v = made(v)?;
        let count = match labels {
            anewrite_convert::Labels::Text(l) => l.len(),
            anewrite_convert::Labels::Int(l) => l.len(),
        };
        values.push(probabilities(&mut b, v, count as u64).map_err(|why| vec![why])?);
    }
    for (&op, value) in placeholders.iter().zip(values) {
        let Some(result) = program.op(op).result() else { continue };
        let name = program.value(result).name.clone();
        program.replace_uses(result, value);
        program.remove_op(op);
        program.rename(value, &name);
    }
    Ok(())
}

/// An input in the shape that the lowering takes: axes of 1 added, or one taken away.
fn as_lowered(b: &mut Builder<'_>, v: ValueId, lowered: &Type) -> Result<ValueId, String> {
    let ty = b.ty(v).clone();
    let (Some(have), Some(want)) = (dims(&ty), dims(lowered)) else {
        return Err("its extents are not known".into());
    };
    let (kind, axes): (_, &[i32]) = match (have.len(), want.len()) {
        (a, b) if a == b => return Ok(v),
        (1, 4) => ("expand_dims", &[0, 2, 3]),
        (a, b) if a + 1 == b => ("expand_dims", &[0]),
        (a, b) if a == b + 1 => ("squeeze", &[0]),
        (a, b) => return Err(format!("rank {a} where the network has {b}")),
    };
    let axes = b.constant(Tensor::i32s(axes.iter().copied()));
    b.op(kind, &[("x", v), ("axes", axes)]).map_err(text)
}

/// An output as the model gives it: a value of its own, of the described type and extents.
fn leave(b: &mut Builder<'_>, v: ValueId, output: &Output, mapping: Mapping) -> Result<ValueId, String> {
    let v = cast(b, v, output.dtype)?;
    let ty = b.ty(v).clone();
    let have = dims(&ty).unwrap_or_default().to_vec();
    let known: Option<Vec<u64>> = have.iter().map(|d| d.known()).collect();
    let one = Dim::Known(1);
    let described = output.shape.as_ref().filter(|s| {
        let product = |v: &[u64]| v.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
        known.as_deref().and_then(product).is_some_and(|n| product(s) == Some(n))
    });
    let v = match (output.is_image, described) {
        (false, Some(shape)) if known.as_ref() == Some(shape) => v,
        (false, Some(shape)) => {
            let shape: Vec<i32> = shape.iter().map(|&n| i32::try_from(n).unwrap_or(i32::MAX)).collect();
            let shape = b.constant(Tensor::i32s(shape));
            b.op("reshape", &[("x", v), ("shape", shape)]).map_err(text)?
        }
        (is_image, _) => {
            // what a network gives where nothing describes it: [C] or [C, H, W] of a single sequence and batch
            let axes: &[i32] = match (is_image, mapping, have.as_slice()) {
                (true, _, [a, ..]) if have.len() == 5 && *a == one => &[0],
                (false, Mapping::Rank5, [a, _, h, w]) if [*a, *h, *w] == [one; 3] => &[0, 2, 3],
                (false, Mapping::Rank5, [a, _, _, _]) if *a == one => &[0],
                _ => &[],
            };
            if axes.is_empty() {
                v
            } else {
                let axes = b.constant(Tensor::i32s(axes.iter().copied()));
                b.op("squeeze", &[("x", v), ("axes", axes)]).map_err(text)?
            }
        }
    };
    b.op("identity", &[("x", v)]).map_err(text)
}

/// The probabilities of classes as `[1, count]`.
fn probabilities(b: &mut Builder<'_>, v: ValueId, count: u64) -> Result<ValueId, String> {
    let v = cast(b, v, DType::F32)?;
    if b.tensor(v).map_err(text)?.count().is_some_and(|n| n != count) {
        return Err(format!("{count} labels for probabilities of type {}", b.ty(v)));
    }
    let count = i32::try_from(count).map_err(|_| "too many labels".to_owned())?;
    let shape = b.constant(Tensor::i32s([1, count]));
    b.op("reshape", &[("x", v), ("shape", shape)]).map_err(text)
}

fn cast(b: &mut Builder<'_>, v: ValueId, to: DType) -> Result<ValueId, String> {
    if b.tensor(v).map_err(text)?.dtype == to {
        return Ok(v);
    }
    let dtype = b.constant(Tensor::string(to.name()));
    b.op("cast", &[("x", v), ("dtype", dtype)]).map_err(text)
}
