//! Recurrent layers written out step by step: what their four rules share.
//!
//! The products with the input are one layer over all steps, whose result is then turned so that the steps lie along
//! the height, where a `slice` cuts them. The products with the state are a layer for each step.

mod length;
mod lstm;

use anewrite_ir::{Attr, Attrs, Dim, OpId, ValueId};
use anewrite_nn::INPUT;
use anewrite_nn::recurrent::{Common, Gate, Gru};
use anewrite_rewrite::{Match, Miss, PatchBuilder, PatchValue, ensure};
use anewrite_tensor::{DType, Tensor};

use crate::rules::functions::{at_least, at_most};
use crate::rules::layers::{self, Axis, layer};
use crate::rules::operands::{Operand, Show};

pub(super) use lstm::{Direction, way};

/// Steps that are written out at most. A step is up to twenty layers, so these make a network of a thousand: longer
/// sequences would make models that nobody can read and that take long to load.
const MAX_STEPS: u64 = 64;

/// Weights of the products with the state that the steps hold at most, all together: each step's layer has its own
/// copy in the file. In 32 bits these are 16 MiB, more than most recurrent networks for phones have in all.
const MOST_HELD: u64 = 1 << 22;

/// A recurrent layer of which everything is known that writing it out needs.
pub(super) struct Unrolled<'m, 'a> {
    m: &'m Match<'a>,
    op: OpId,
    common: Common,
    /// The sequence, `[Seq, B, input, 1, 1]`.
    x: PatchValue,
    steps: u64,
    batch: Dim,
}

impl<'m, 'a> Unrolled<'m, 'a> {
    /// Looks at the layer's input, and at what `gates` products in each of `ways` directions would cost.
    pub(super) fn of(
        m: &'m Match<'a>,
        patch: &mut PatchBuilder<'_>,
        common: Common,
        gates: u64,
        ways: u64,
    ) -> Result<Self, Miss> {
        let op = m.root();
        let Common { input, size, .. } = common;
        ensure!(input > 0 && size > 0, "the layer makes {size} numbers of {input}");
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let one = Dim::Known(1);
        let fits = matches!(*x.shape, [_, _, c, h, w] if c == Dim::Known(input) && h == one && w == one);
        ensure!(fits, "the sequence is {}, not [Seq, B, {input}, 1, 1]", Show(&x.shape));
        let steps = x.shape.first().and_then(|d| d.known());
        let steps = steps.ok_or(Miss::new("the number of steps is not known"))?;
        ensure!((1..=MAX_STEPS).contains(&steps), "{steps} steps, at most {MAX_STEPS} are written out");
        length::is_fixed(m, x.value)?;
        let square = size.checked_mul(size).and_then(|n| n.checked_mul(gates));
        let held = square.and_then(|n| n.checked_mul(ways)).and_then(|n| n.checked_mul(steps));
        ensure!(
            held.is_some_and(|n| n <= MOST_HELD),
            "{gates} matrices of {size} x {size} for each of {steps} steps are over {MOST_HELD} weights"
        );
        let batch = x.shape.get(1).copied().unwrap_or(Dim::Unknown);
        Ok(Unrolled { m, op, common, x: patch.tap(x.value), steps, batch })
    }

    /// The steps in the order in which they are computed.
    pub(super) fn order(&self, reverse: bool) -> Vec<i64> {
        let steps = 0..self.steps as i64;
        if reverse { steps.rev().collect() } else { steps.collect() }
    }

    /// The state that the layer takes as its input `i`, if it takes one; else it starts from zeros.
    pub(super) fn state(&self, patch: &mut PatchBuilder<'_>, i: usize) -> Result<Option<PatchValue>, Miss> {
        let Some(value) = self.m.data(self.op).args(INPUT).nth(i) else { return Ok(None) };
        let (have, one) = (Operand::of(self.m, value)?, Dim::Known(1));
        let want = [one, self.batch, Dim::Known(self.common.size), one, one];
        ensure!(
            layers::same(&have.shape, &want),
            "the state to start from is {}, not {}",
            Show(&have.shape),
            Show(&want)
        );
        Ok(Some(patch.tap(value)))
    }

    /// The weights of the field at `path`, which must be `count` floats.
    pub(super) fn floats(&self, path: &str, count: u64) -> Result<&'a Tensor, Miss> {
        let missing = || Miss::new(format!("{path} is not set"));
        let value = self.m.data(self.op).arg(path).ok_or_else(missing)?;
        let c = self.m.program.constant(value).filter(|c| !c.sealed).ok_or_else(missing)?;
        let t = &c.tensor;
        ensure!(matches!(t.dtype(), DType::F32 | DType::F16), "{path} is quantised");
        ensure!(t.count() == count, "{path} has {} elements, it needs {count}", t.count());
        Ok(t)
    }

    /// The weights of several fields, of `count` each, one behind the other.
    pub(super) fn stacked(&self, paths: &[String], count: u64) -> Result<Tensor, Miss> {
        let all: Vec<&Tensor> = paths.iter().map(|p| self.floats(p, count)).collect::<Result<_, _>>()?;
        let Some(first) = all.first() else { return Err(Miss::new("no weights are asked for")) };
        ensure!(all.iter().all(|t| t.dtype() == first.dtype()), "the weights are of different precision");
        if let [one] = all.as_slice() {
            return Ok(one.reshaped([count])?);
        }
        let mut bytes = Vec::new();
        for t in &all {
            bytes.extend_from_slice(&t.bytes()?);
        }
        Ok(Tensor::new(first.dtype(), [count.saturating_mul(all.len() as u64)], bytes)?)
    }

    /// The products of `weights` with the input, and the bias, for all steps.
    pub(super) fn products(
        &self,
        patch: &mut PatchBuilder<'_>,
        weights: Tensor,
        bias: Option<Bias>,
    ) -> Result<Products, Miss> {
        let rows = weights.count() / self.common.input.max(1);
        let dtype = weights.dtype();
        let weights = patch.constant(weights);
        // Core ML wants both in one precision
        let (within, behind) = match bias {
            Some(b) if b.0.dtype() == dtype => (Some(patch.constant(b.0)), None),
            other => (None, other),
        };
        let mut y = matrix(patch, self.x, (weights, within), [self.common.input, rows])?;
        if let Some(Bias(t)) = behind {
            let attrs = vec![("shape".into(), Attr::List(vec![extent(rows)?]))];
            let t = patch.constant(t);
            y = layer(patch, "nn.bias", &[(INPUT, y), ("bias", t)], attrs)?;
        }
        if self.steps > 1 {
            let order = [2, 1, 0, 3].map(Attr::Int).to_vec();
            y = layer(patch, "nn.permute", &[(INPUT, y)], vec![("axis".into(), Attr::List(order))])?;
        }
        Ok(Products { value: y, cut: self.steps > 1 })
    }

    /// The product of `weights` with a state; `weights` may be those of other steps too.
    pub(super) fn recur(
        &self,
        patch: &mut PatchBuilder<'_>,
        state: PatchValue,
        weights: PatchValue,
        gates: u64,
    ) -> Result<PatchValue, Miss> {
        let size = self.common.size;
        matrix(patch, state, (weights, None), [size, size.saturating_mul(gates)])
    }

    /// The `n`-th of several gates that lie one behind the other along the channels; `count` of them.
    pub(super) fn part(
        &self,
        patch: &mut PatchBuilder<'_>,
        x: PatchValue,
        [n, count]: [i64; 2],
    ) -> Result<PatchValue, Miss> {
        let size = i64::try_from(self.common.size).map_err(|_| Miss::new("the state passes 2^63"))?;
        layers::slice(patch, x, Axis::Channel, [n * size, (n + count) * size, 1])
    }

    /// What the layer gives out of the states after each step: all, or the last.
    pub(super) fn output(
        &self,
        patch: &mut PatchBuilder<'_>,
        all: &[PatchValue],
    ) -> Result<PatchValue, Miss> {
        match all {
            [.., last] if !self.common.sequence || all.len() == 1 => Ok(*last),
            all => join(patch, all),
        }
    }

    /// Replaces the layer's outputs, as many as it names, and tells what that costs.
    pub(super) fn finish(
        &self,
        patch: &mut PatchBuilder<'_>,
        outputs: &[PatchValue],
        [gates, ways]: [u64; 2],
    ) -> Result<(), Miss> {
        let Common { input, size, .. } = self.common;
        let named = &self.m.data(self.op).results;
        ensure!((1..=outputs.len()).contains(&named.len()), "the layer names {} outputs", named.len());
        let mut pairs: Vec<(ValueId, PatchValue)> =
            named.iter().copied().zip(outputs.iter().copied()).collect();
        // What stands for two outputs takes the name of the first: one that people know should have it.
        pairs.sort_by_key(|(old, _)| !self.m.program.is_output(*old));
        let mut given: Vec<PatchValue> = Vec::new();
        for (old, mut new) in pairs {
            if given.contains(&new) && self.m.program.is_output(old) {
                new = same_again(patch, new)?;
            }
            given.push(new);
            patch.replace(old, new)?;
        }
        let per_step = (input.saturating_add(size)).saturating_mul(size).saturating_mul(gates * ways);
        let held = size.saturating_mul(size).saturating_mul(gates * ways);
        let whose = match self.batch.known() {
            Some(_) => "",
            None => " for each element of the batch",
        };
        let sums = per_step.saturating_mul(self.steps).saturating_mul(self.batch.known().unwrap_or(1));
        patch.note(format!(
            "{} layers for {} steps, with the {sums} multiply-adds{whose} that the layer had; each step holds the {held} weights of the state",
            patch.op_count(),
            self.steps,
        ));
        Ok(())
    }
}

/// A bias for all steps.
pub(super) struct Bias(pub(super) Tensor);

/// The products with the input: of one step, or of several along the height.
pub(super) struct Products {
    value: PatchValue,
    cut: bool,
}

impl Products {
    /// Those of some gates.
    pub(super) fn of_gates(
        &self,
        u: &Unrolled<'_, '_>,
        patch: &mut PatchBuilder<'_>,
        gates: [i64; 2],
    ) -> Result<Products, Miss> {
        Ok(Products { value: u.part(patch, self.value, gates)?, cut: self.cut })
    }

    /// Those of a step.
    pub(super) fn at(&self, patch: &mut PatchBuilder<'_>, step: i64) -> Result<PatchValue, Miss> {
        if !self.cut {
            return Ok(self.value);
        }
        layers::slice(patch, self.value, Axis::Height, [step, step + 1, 1])
    }
}

/// An activation; nothing for the one that changes nothing.
pub(super) fn activate(patch: &mut PatchBuilder<'_>, x: PatchValue, gate: Gate) -> Result<PatchValue, Miss> {
    let (name, fields) = match gate {
        Gate::Linear => return Ok(x),
        Gate::Sigmoid => ("sigmoid", Attrs::new()),
        Gate::Tanh => ("tanh", Attrs::new()),
        Gate::Relu => ("ReLU", Attrs::new()),
        Gate::HardSigmoid => {
            let (alpha, beta) = Gate::HARD_SIGMOID;
            ("sigmoidHard", vec![("alpha".into(), Attr::Float(alpha)), ("beta".into(), Attr::Float(beta))])
        }
    };
    activation(patch, x, name, fields)
}

/// As [`activate`], of what is clipped first, where that shows.
pub(super) fn activate_clipped(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    gate: Gate,
) -> Result<PatchValue, Miss> {
    match gate {
        Gate::Linear => {
            let above = at_least(patch, x, -Gru::CLIP)?;
            at_most(patch, above, Gru::CLIP)
        }
        Gate::Relu => {
            let above = activate(patch, x, gate)?;
            at_most(patch, above, Gru::CLIP)
        }
        bounded => activate(patch, x, bounded),
    }
}

fn activation(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    name: &str,
    fields: Attrs,
) -> Result<PatchValue, Miss> {
    layer(patch, "nn.activation", &[(INPUT, x)], vec![(name.into(), Attr::Message(fields))])
}

/// A value of its own that is equal to another: the model's outputs must not be one.
fn same_again(patch: &mut PatchBuilder<'_>, x: PatchValue) -> Result<PatchValue, Miss> {
    layers::linear(patch, x, 1.0, 0.0)
}

/// States as a sequence.
pub(super) fn join(patch: &mut PatchBuilder<'_>, all: &[PatchValue]) -> Result<PatchValue, Miss> {
    if let [one] = all {
        return Ok(*one);
    }
    let inputs: Vec<(&str, PatchValue)> = all.iter().map(|&v| (INPUT, v)).collect();
    layer(patch, "nn.concat", &inputs, vec![("sequenceConcat".into(), Attr::Bool(true))])
}

/// The sum of two values of one shape; the product for `nn.multiply`.
pub(super) fn pair(
    patch: &mut PatchBuilder<'_>,
    kind: &str,
    x: PatchValue,
    y: PatchValue,
) -> Result<PatchValue, Miss> {
    layer(patch, kind, &[(INPUT, x), (INPUT, y)], Attrs::new())
}

/// The product with a matrix, and a bias.
fn matrix(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    (weights, bias): (PatchValue, Option<PatchValue>),
    [from, to]: [u64; 2],
) -> Result<PatchValue, Miss> {
    let mut attrs: Attrs =
        vec![("inputChannels".into(), extent(from)?), ("outputChannels".into(), extent(to)?)];
    let mut inputs = vec![(INPUT, x), ("weights", weights)];
    if let Some(b) = bias {
        attrs.push(("hasBias".into(), Attr::Bool(true)));
        inputs.push(("bias", b));
    }
    layer(patch, "nn.innerProduct", &inputs, attrs)
}

pub(super) fn extent(n: u64) -> Result<Attr, Miss> {
    i64::try_from(n).map(Attr::Int).map_err(|_| Miss::new(format!("an extent of {n}")))
}
