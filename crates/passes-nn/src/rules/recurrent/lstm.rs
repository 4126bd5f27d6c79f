//! The steps of an LSTM in one direction.

use anewrite_ir::Attr;
use anewrite_nn::INPUT;
use anewrite_nn::recurrent::{Common, Lstm};
use anewrite_rewrite::{Miss, PatchBuilder, PatchValue, ensure};
use anewrite_tensor::{DType, Tensor};

use super::{Bias, Unrolled, activate, extent, pair};
use crate::rules::functions::{at_least, at_most};
use crate::rules::layers::layer;

/// One direction.
pub(in crate::rules) struct Direction {
    /// The field that holds its weights.
    pub(in crate::rules) path: &'static str,
    /// Whether it begins at the end of the sequence.
    pub(in crate::rules) reverse: bool,
    /// The inputs of the layer that may hold its first state and cell state.
    pub(in crate::rules) states: [usize; 2],
}

/// What a direction computes.
pub(in crate::rules) struct Way {
    /// The states, in the order in which they are computed.
    pub(in crate::rules) all: Vec<PatchValue>,
    /// The last state.
    pub(in crate::rules) state: PatchValue,
    /// The last cell state.
    pub(in crate::rules) cell: PatchValue,
}

/// The gates in the order in which their weights are stacked.
const GATES: [&str; 4] = ["inputGate", "forgetGate", "outputGate", "blockInput"];
const INPUT_GATE: i64 = 0;
const FORGET_GATE: i64 = 1;
const OUTPUT_GATE: i64 = 2;
const BLOCK_INPUT: i64 = 3;

/// Factors of the gates for the cell state, in the order of the gates.
type Peepholes = Option<[PatchValue; 3]>;

/// Writes out a direction of the layer.
pub(in crate::rules) fn way(
    u: &Unrolled<'_, '_>,
    patch: &mut PatchBuilder<'_>,
    lstm: &Lstm,
    of: &Direction,
) -> Result<Way, Miss> {
    let Common { input, size, .. } = lstm.common;
    let named = |what: &str| GATES.map(|gate| format!("{}.{gate}{what}", of.path));
    let weights = u.stacked(&named("WeightMatrix"), count(size, input)?)?;
    let recursion = u.stacked(&named("RecursionMatrix"), count(size, size)?)?;
    let bias = bias(u, lstm, &named("BiasVector"), weights.dtype())?;
    let given = u.products(patch, weights, bias)?;
    let recursion = patch.constant(recursion);
    let peepholes = match lstm.peephole {
        true => Some(peepholes(u, patch, of, size)?),
        false => None,
    };
    let [first, cell] = of.states;
    let (mut h, mut c) = (u.state(patch, first)?, u.state(patch, cell)?);
    let bounds = clip(u, lstm, c.is_some())?;
    let mut all = Vec::new();
    for step in u.order(of.reverse) {
        let mut sum = given.at(patch, step)?;
        if let Some(h) = h {
            let back = u.recur(patch, h, recursion, 4)?;
            sum = pair(patch, "nn.add", sum, back)?;
        }
        let gates = Gates::of(u, patch, lstm, sum, (peepholes, c))?;
        let fresh = u.part(patch, sum, [BLOCK_INPUT, 1])?;
        let fresh = activate(patch, fresh, lstm.gates[1])?;
        let mut next = pair(patch, "nn.multiply", gates.input, fresh)?;
        if let (Some(forget), Some(c)) = (gates.forget, c) {
            let kept = pair(patch, "nn.multiply", forget, c)?;
            next = pair(patch, "nn.add", kept, next)?;
        }
        if let Some(bound) = bounds {
            let above = at_least(patch, next, -bound)?;
            next = at_most(patch, above, bound)?;
        }
        let output = gates.output(u, patch, lstm, sum, peepholes, next)?;
        let shown = activate(patch, next, lstm.gates[2])?;
        let state = pair(patch, "nn.multiply", output, shown)?;
        all.push(state);
        (h, c) = (Some(state), Some(next));
    }
    let (Some(state), Some(cell)) = (h, c) else { return Err(Miss::new("the sequence has no steps")) };
    Ok(Way { all, state, cell })
}

/// The gates of a step. Without peepholes one activation makes them all; with them each is made by itself, and that of
/// the output only when the cell state is there.
struct Gates {
    input: PatchValue,
    forget: Option<PatchValue>,
    all: Option<PatchValue>,
}

impl Gates {
    fn of(
        u: &Unrolled<'_, '_>,
        patch: &mut PatchBuilder<'_>,
        lstm: &Lstm,
        sum: PatchValue,
        (peepholes, cell): (Peepholes, Option<PatchValue>),
    ) -> Result<Gates, Miss> {
        let Some([to_input, to_forget, _]) = peepholes else {
            let all = u.part(patch, sum, [INPUT_GATE, 3])?;
            let all = activate(patch, all, lstm.gates[0])?;
            let forget = match cell {
                Some(_) => Some(u.part(patch, all, [FORGET_GATE, 1])?),
                None => None,
            };
            return Ok(Gates { input: u.part(patch, all, [INPUT_GATE, 1])?, forget, all: Some(all) });
        };
        let mut gate = |n: i64, factors: PatchValue| {
            let mut x = u.part(patch, sum, [n, 1])?;
            if let Some(c) = cell {
                let seen = scaled(u, patch, c, factors)?;
                x = pair(patch, "nn.add", x, seen)?;
            }
            activate(patch, x, lstm.gates[0])
        };
        let input = gate(INPUT_GATE, to_input)?;
        let forget = cell.map(|_| gate(FORGET_GATE, to_forget)).transpose()?;
        Ok(Gates { input, forget, all: None })
    }

    fn output(
        &self,
        u: &Unrolled<'_, '_>,
        patch: &mut PatchBuilder<'_>,
        lstm: &Lstm,
        sum: PatchValue,
        peepholes: Peepholes,
        cell: PatchValue,
    ) -> Result<PatchValue, Miss> {
        if let Some(all) = self.all {
            return u.part(patch, all, [OUTPUT_GATE, 1]);
        }
        let mut x = u.part(patch, sum, [OUTPUT_GATE, 1])?;
        if let Some([.., factors]) = peepholes {
            let seen = scaled(u, patch, cell, factors)?;
            x = pair(patch, "nn.add", x, seen)?;
        }
        activate(patch, x, lstm.gates[0])
    }
}

/// The biases of the four gates, with the 1 that the layer adds to that of the forget gate.
fn bias(u: &Unrolled<'_, '_>, lstm: &Lstm, paths: &[String], dtype: DType) -> Result<Option<Bias>, Miss> {
    let size = lstm.common.size;
    let stored = match lstm.common.bias {
        true => Some(u.stacked(paths, size)?),
        false => None,
    };
    if !lstm.forget_bias {
        return Ok(stored.map(Bias));
    }
    let total = count(size, 4)?;
    let forget = size..size.saturating_mul(2);
    let plus = |i: usize| if forget.contains(&(i as u64)) { 1.0 } else { 0.0 };
    let sums: Vec<f64> = match &stored {
        Some(t) => t.to_f64s()?.into_iter().enumerate().map(|(i, b)| b + plus(i)).collect(),
        // Bounded by the recursion matrix, which has as many rows and is in the file.
        None => (0..usize::try_from(total).unwrap_or(0)).map(plus).collect(),
    };
    let exact = Tensor::from_f64s(dtype, &[total], &sums)?;
    // Rounded to 16 bits the sum would be another; a layer of its own can hold it in 32.
    let lost = dtype == DType::F16 && exact.to_f64s()? != sums;
    Ok(Some(Bias(if lost { Tensor::from_f64s(DType::F32, &[total], &sums)? } else { exact })))
}

/// What the cell state must be clipped at. Where it begins at zero and what is added in a step is at most 1, it cannot
/// reach the bound in fewer steps than that.
fn clip(u: &Unrolled<'_, '_>, lstm: &Lstm, starts: bool) -> Result<Option<f64>, Miss> {
    let Some(bound) = lstm.clip else { return Ok(None) };
    ensure!(bound > 0.0, "the cell state is clipped at {bound}");
    let [gate, cell, _] = lstm.gates;
    let grows_by_one = gate.is_bounded() && cell.is_bounded();
    Ok(if !starts && grows_by_one && u.steps as f64 <= bound { None } else { Some(bound) })
}

fn peepholes(
    u: &Unrolled<'_, '_>,
    patch: &mut PatchBuilder<'_>,
    of: &Direction,
    size: u64,
) -> Result<[PatchValue; 3], Miss> {
    let mut factors = |gate: &str| -> Result<PatchValue, Miss> {
        let t = u.floats(&format!("{}.{gate}PeepholeVector", of.path), size)?;
        Ok(patch.constant(t.reshaped([size])?))
    };
    Ok([factors("inputGate")?, factors("forgetGate")?, factors("outputGate")?])
}

/// A state times a factor for each of its numbers.
fn scaled(
    u: &Unrolled<'_, '_>,
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    factors: PatchValue,
) -> Result<PatchValue, Miss> {
    let shape = Attr::List(vec![extent(u.common.size)?]);
    layer(patch, "nn.scale", &[(INPUT, x), ("scale", factors)], vec![("shapeScale".into(), shape)])
}

fn count(a: u64, b: u64) -> Result<u64, Miss> {
    a.checked_mul(b).ok_or_else(|| Miss::new(format!("a matrix of {a} x {b}")))
}
