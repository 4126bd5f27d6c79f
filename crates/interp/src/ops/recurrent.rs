//! Recurrent layers over `[step, batch, feature]`.
//!
//! What the documentation of the ops leaves open is as coremltools' tests against the runtime have it: `clip` bounds
//! the cell state, `reverse` gives its outputs in the order in which they are computed, and the reset gate of `gru`
//! acts before the recurrent product unless `reset_after` is set.

use smallvec::smallvec;

use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::gemm::{View, product};
use crate::kernel::{Table, real};
use crate::real::Real;
use crate::value::Value;

pub(crate) const TABLE: Table = &[("gru", real!(gru)), ("lstm", real!(lstm)), ("rnn", real!(rnn))];

/// The slope of `hard_sigmoid`: 0.2 as models hold it, in 32 bits.
const SLOPE: f64 = 0.2_f32 as f64;

/// The activations; those with numbers have 0.2 and 0.5 (`hard_sigmoid`), 1 and 1 (`scaled_tanh`), 1 and 0 (`linear`).
#[derive(Clone, Copy)]
enum Activation {
    Tanh,
    Sigmoid,
    HardSigmoid,
    Relu,
    Linear,
}

impl Activation {
    fn of(call: &Call<'_>, param: &str) -> Result<Activation, EvalError> {
        let name = call.text(param)?;
        Ok(match name.to_ascii_lowercase().as_str() {
            "tanh" | "scaled_tanh" => Activation::Tanh,
            "sigmoid" => Activation::Sigmoid,
            "hard_sigmoid" | "sigmoid_hard" => Activation::HardSigmoid,
            "relu" => Activation::Relu,
            "linear" => Activation::Linear,
            _ => return Err(EvalError::bad(param, format!("{name:?} is no activation of recurrent layers"))),
        })
    }

    fn apply<T: Real>(self, x: T) -> T {
        match self {
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => T::one() / (T::one() + (-x).exp()),
            // NaN stays NaN
            Activation::HardSigmoid => {
                let y = T::of(SLOPE) * x + T::of(0.5);
                if y < T::zero() {
                    T::zero()
                } else if y > T::one() {
                    T::one()
                } else {
                    y
                }
            }
            Activation::Relu if x < T::zero() => T::zero(),
            Activation::Relu | Activation::Linear => x,
        }
    }
}

/// The extents of a sequence.
#[derive(Clone, Copy)]
struct Sizes {
    steps: usize,
    batch: usize,
    input: usize,
    hidden: usize,
}

impl Sizes {
    fn of(call: &Call<'_>) -> Result<Sizes, EvalError> {
        let (x, hh) = (call.array("x")?, call.array("weight_hh")?);
        match (x.dims(), hh.dims()) {
            (&[steps, batch, input], &[_, hidden]) => Ok(Sizes {
                steps: steps as usize,
                batch: batch as usize,
                input: input as usize,
                hidden: hidden as usize,
            }),
            _ => Err(EvalError::Shape(format!("a sequence {x:?} and recurrent weights {hh:?}"))),
        }
    }

    fn state(self) -> usize {
        self.batch.saturating_mul(self.hidden)
    }

    /// Steps to compute; none where the state has no elements.
    fn turns(self) -> usize {
        if self.state() == 0 { 0 } else { self.steps }
    }

    fn dims(self, wide: usize) -> [u64; 2] {
        [self.batch as u64, (self.hidden as u64).saturating_mul(wide as u64)]
    }
}

fn held<'a, T: Real>(
    call: &Call<'a>,
    param: &str,
    want: Option<usize>,
) -> Result<Option<&'a [T]>, EvalError> {
    let Some(items) = call.find_items::<T>(param)? else { return Ok(None) };
    match want {
        Some(n) if n == items.len() => Ok(Some(items)),
        _ => Err(EvalError::bad(param, format!("{} numbers do not fit the other operands", items.len()))),
    }
}

fn needed<'a, T: Real>(call: &Call<'a>, param: &str, want: Option<usize>) -> Result<&'a [T], EvalError> {
    held(call, param, want)?.ok_or_else(|| EvalError::Missing(param.to_owned()))
}

/// What one direction computes with: rows are gates, each as many as the hidden size.
struct Weights<'a, T> {
    sizes: Sizes,
    gates: usize,
    hh: &'a [T],
    /// Input times weights plus bias, for all steps and batches: `[step * batch, gates * hidden]`.
    projected: Vec<T>,
}

impl<'a, T: Real> Weights<'a, T> {
    fn of(call: &Call<'a>, sizes: Sizes, gates: usize, [ih, hh, bias]: [&str; 3]) -> Result<Self, EvalError> {
        let rows = gates.checked_mul(sizes.hidden);
        let times = |n: usize| rows.and_then(|r| r.checked_mul(n));
        let ih = needed::<T>(call, ih, times(sizes.input))?;
        let hh = needed(call, hh, times(sizes.hidden))?;
        let bias = held::<T>(call, bias, rows)?;
        let rows = rows.unwrap_or(0);
        let places = sizes.steps.saturating_mul(sizes.batch);
        let mut projected = call.zeros::<T>(&[places as u64, rows as u64])?;
        if let Some(bias) = bias {
            for row in projected.chunks_exact_mut(rows.max(1)) {
                row.copy_from_slice(bias);
            }
        }
        product(
            (places, rows, sizes.input),
            call.items("x")?,
            View::rows(0, sizes.input),
            ih,
            View::cols(0, sizes.input),
            &mut projected,
            View::rows(0, rows),
            true,
            places.saturating_mul(rows) > 4096,
        )?;
        Ok(Weights { sizes, gates, hh, projected })
    }

    fn width(&self) -> usize {
        self.gates * self.sizes.hidden
    }

    /// The gates at a step before the state is added: `[batch, gates * hidden]`.
    fn at(&self, step: usize) -> Result<&[T], EvalError> {
        let n = self.sizes.batch * self.width();
        self.projected.get(step * n..(step + 1) * n).ok_or_else(|| EvalError::Shape("a step too many".into()))
    }

    /// Adds state times the weights of `count` gates from `first` on to `into`, `[batch, count * hidden]`.
    fn recur(&self, state: &[T], first: usize, count: usize, into: &mut [T]) -> Result<(), EvalError> {
        let h = self.sizes.hidden;
        product(
            (self.sizes.batch, count * h, h),
            state,
            View::rows(0, h),
            self.hh,
            View::cols(first * h * h, h),
            into,
            View::rows(0, count * h),
            true,
            self.sizes.batch * h > 4096,
        )
    }
}

/// Whether the sequence runs from its end.
fn backwards(call: &Call<'_>) -> Result<bool, EvalError> {
    match call.text("direction")? {
        "forward" => Ok(false),
        "reverse" => Ok(true),
        other => Err(EvalError::bad("direction", format!("{other:?} is neither forward nor reverse"))),
    }
}

/// The states of all steps, or of the last alone, and the last; each `width` wide for a batch.
struct Track<T> {
    steps: Vec<T>,
    all: bool,
}

impl<T: Real> Track<T> {
    fn new(call: &Call<'_>, sizes: Sizes, directions: usize) -> Result<Self, EvalError> {
        let all = call.flag("output_sequence")?;
        let [batch, width] = sizes.dims(directions);
        let steps = call.zeros(&[if all { sizes.steps as u64 } else { 1 }, batch, width])?;
        Ok(Track { steps, all })
    }

    /// Notes the state at a step as columns from `column` on of rows `width` wide.
    fn put(&mut self, place: usize, sizes: Sizes, state: &[T], column: usize, width: usize) {
        let (h, place) = (sizes.hidden.max(1), if self.all { place } else { 0 });
        let rows = self.steps.chunks_exact_mut(width.max(1)).skip(place * sizes.batch);
        for (to, from) in rows.zip(state.chunks_exact(h)) {
            if let Some(part) = to.get_mut(column..column + sizes.hidden) {
                part.copy_from_slice(from);
            }
        }
    }
}

fn sequence_out<T: Real>(
    call: &Call<'_>,
    sizes: Sizes,
    directions: usize,
    track: Track<T>,
    states: Vec<Vec<T>>,
) -> Computed {
    let dtype = call.array("x")?.dtype();
    let [batch, width] = sizes.dims(directions);
    let steps = if track.all { sizes.steps as u64 } else { 1 };
    let mut out = smallvec![Value::Tensor(call.make(dtype, &[steps, batch, width], track.steps)?)];
    for state in states {
        out.push(Value::Tensor(call.make(dtype, &[batch, width], state)?));
    }
    Ok(out)
}

fn rnn<T: Real>(call: &Call<'_>) -> Computed {
    let sizes = Sizes::of(call)?;
    let act = Activation::of(call, "activation")?;
    let reverse = backwards(call)?;
    let w = Weights::<T>::of(call, sizes, 1, ["weight_ih", "weight_hh", "bias"])?;
    let mut h = needed::<T>(call, "initial_h", Some(sizes.state()))?.to_vec();
    let mut track = Track::new(call, sizes, 1)?;
    track.put(0, sizes, &h, 0, sizes.hidden);
    for turn in 0..sizes.turns() {
        let mut next = w.at(if reverse { sizes.steps - 1 - turn } else { turn })?.to_vec();
        w.recur(&h, 0, 1, &mut next)?;
        next.iter_mut().for_each(|x| *x = act.apply(*x));
        h = next;
        track.put(turn, sizes, &h, 0, sizes.hidden);
    }
    sequence_out(call, sizes, 1, track, vec![h])
}

/// Gates in the order reset, new, update.
fn gru<T: Real>(call: &Call<'_>) -> Computed {
    let sizes = Sizes::of(call)?;
    let (gate, act) = (Activation::of(call, "recurrent_activation")?, Activation::of(call, "activation")?);
    let reverse = backwards(call)?;
    let after = call.find("reset_after")?.is_some() && call.flag("reset_after")?;
    // With the reset after the product there are two biases: that of the input is outside the reset, `bias` inside.
    let own = held::<T>(call, "input_bias", sizes.hidden.checked_mul(3))?;
    let names = if after { "input_bias" } else { "bias" };
    let mut w = Weights::<T>::of(call, sizes, 3, ["weight_ih", "weight_hh", names])?;
    let inside = if after { held::<T>(call, "bias", sizes.hidden.checked_mul(3))? } else { None };
    if let (false, Some(own)) = (after, own) {
        for row in w.projected.chunks_exact_mut(own.len().max(1)) {
            row.iter_mut().zip(own).for_each(|(x, &b)| *x += b);
        }
    }
    let mut h = needed::<T>(call, "initial_h", Some(sizes.state()))?.to_vec();
    let mut track = Track::new(call, sizes, 1)?;
    track.put(0, sizes, &h, 0, sizes.hidden);
    let n = sizes.hidden;
    for turn in 0..sizes.turns() {
        let given = w.at(if reverse { sizes.steps - 1 - turn } else { turn })?;
        let mut back = vec![T::zero(); given.len()];
        if after {
            if let Some(bias) = inside {
                back.chunks_exact_mut(bias.len().max(1)).for_each(|row| row.copy_from_slice(bias));
            }
            w.recur(&h, 0, 3, &mut back)?;
        } else {
            for (gates, column) in [(0, 0), (2, 2)] {
                let mut part = vec![T::zero(); h.len()];
                w.recur(&h, gates, 1, &mut part)?;
                place(&mut back, &part, column, n);
            }
            let reset = |i: usize| gate.apply(pick(given, i, 0, n) + pick(&back, i, 0, n));
            let kept: Vec<T> = h.iter().enumerate().map(|(i, &x)| x * reset(i)).collect();
            let mut part = vec![T::zero(); h.len()];
            w.recur(&kept, 1, 1, &mut part)?;
            place(&mut back, &part, 1, n);
        }
        let next = |(i, &old): (usize, &T)| {
            let sum = |g: usize| pick(given, i, g, n) + pick(&back, i, g, n);
            let z = gate.apply(sum(2));
            let new = if after {
                let r = gate.apply(sum(0));
                act.apply(pick(given, i, 1, n) + r * pick(&back, i, 1, n))
            } else {
                act.apply(sum(1))
            };
            (T::one() - z) * new + z * old
        };
        h = h.iter().enumerate().map(next).collect();
        track.put(turn, sizes, &h, 0, n);
    }
    sequence_out(call, sizes, 1, track, vec![h])
}

/// The number of gate `g` for element `i` of a state, from rows of three gates.
fn pick<T: Real>(gates: &[T], i: usize, g: usize, hidden: usize) -> T {
    let at = i / hidden.max(1) * 3 * hidden + g * hidden + i % hidden.max(1);
    gates.get(at).copied().unwrap_or_else(T::nan)
}

fn place<T: Real>(gates: &mut [T], part: &[T], g: usize, hidden: usize) {
    for (row, from) in gates.chunks_exact_mut((3 * hidden).max(1)).zip(part.chunks_exact(hidden.max(1))) {
        if let Some(to) = row.get_mut(g * hidden..(g + 1) * hidden) {
            to.copy_from_slice(from);
        }
    }
}

const FORWARD: ([&str; 3], &str) = (["weight_ih", "weight_hh", "bias"], "peephole");
const BACKWARD: ([&str; 3], &str) = (["weight_ih_back", "weight_hh_back", "bias_back"], "peephole_back");

fn lstm<T: Real>(call: &Call<'_>) -> Computed {
    let sizes = Sizes::of(call)?;
    let both = call.text("direction")? == "bidirectional";
    let directions = if both { 2 } else { 1 };
    let width = sizes.hidden.saturating_mul(directions);
    let wide = sizes.state().checked_mul(directions);
    let (mut h, mut c) =
        (needed::<T>(call, "initial_h", wide)?.to_vec(), needed::<T>(call, "initial_c", wide)?.to_vec());
    let mut track = Track::new(call, sizes, directions)?;
    let ways = if both {
        vec![(FORWARD, false, true), (BACKWARD, true, true)]
    } else {
        vec![(FORWARD, backwards(call)?, false)]
    };
    for (i, ((weights, peephole), reverse, aligned)) in ways.into_iter().enumerate() {
        let column = i * sizes.hidden;
        let cell = Cell::of(call, sizes, peephole)?;
        let w = Weights::<T>::of(call, sizes, 4, weights)?;
        let (mut h_own, mut c_own) = (part(&h, column, sizes, width), part(&c, column, sizes, width));
        track.put(0, sizes, &h_own, column, width);
        for turn in 0..sizes.turns() {
            let step = if reverse { sizes.steps - 1 - turn } else { turn };
            let mut gates = w.at(step)?.to_vec();
            w.recur(&h_own, 0, 4, &mut gates)?;
            cell.step(&gates, &mut h_own, &mut c_own);
            track.put(if aligned { step } else { turn }, sizes, &h_own, column, width);
        }
        if !track.all {
            track.put(0, sizes, &h_own, column, width);
        }
        put_part(&mut h, &h_own, column, sizes, width);
        put_part(&mut c, &c_own, column, sizes, width);
    }
    sequence_out(call, sizes, directions, track, vec![h, c])
}

/// The columns of one direction.
fn part<T: Real>(state: &[T], column: usize, sizes: Sizes, width: usize) -> Vec<T> {
    let rows = state.chunks_exact(width.max(1));
    rows.flat_map(|row| row.get(column..column + sizes.hidden).unwrap_or_default()).copied().collect()
}

fn put_part<T: Real>(state: &mut [T], own: &[T], column: usize, sizes: Sizes, width: usize) {
    for (row, from) in state.chunks_exact_mut(width.max(1)).zip(own.chunks_exact(sizes.hidden.max(1))) {
        if let Some(to) = row.get_mut(column..column + sizes.hidden) {
            to.copy_from_slice(from);
        }
    }
}

/// What an LSTM does after the products; gates in the order input, forget, output, cell.
struct Cell<'a, T> {
    hidden: usize,
    gate: Activation,
    cell: Activation,
    out: Activation,
    peephole: Option<&'a [T]>,
    clip: Option<T>,
}

impl<'a, T: Real> Cell<'a, T> {
    fn of(call: &Call<'a>, sizes: Sizes, peephole: &str) -> Result<Self, EvalError> {
        Ok(Cell {
            hidden: sizes.hidden,
            gate: Activation::of(call, "recurrent_activation")?,
            cell: Activation::of(call, "cell_activation")?,
            out: Activation::of(call, "activation")?,
            peephole: held(call, peephole, sizes.hidden.checked_mul(3))?,
            clip: call.find_float("clip")?.map(T::of),
        })
    }

    fn step(&self, gates: &[T], h: &mut [T], c: &mut [T]) {
        let n = self.hidden.max(1);
        for ((h, c), gates) in h.chunks_exact_mut(n).zip(c.chunks_exact_mut(n)).zip(gates.chunks_exact(4 * n))
        {
            let (input, rest) = gates.split_at(n);
            let (forget, rest) = rest.split_at(n);
            let (output, new) = rest.split_at(n);
            for (j, (h, c)) in h.iter_mut().zip(c.iter_mut()).enumerate() {
                let at = |v: &[T]| v.get(j).copied().unwrap_or_else(T::nan);
                let peep = |gate: usize, c: T| match self.peephole {
                    Some(p) => p.get(gate * n + j).copied().unwrap_or_else(T::nan) * c,
                    None => T::zero(),
                };
                let i = self.gate.apply(at(input) + peep(0, *c));
                let f = self.gate.apply(at(forget) + peep(1, *c));
                let next = f * *c + i * self.cell.apply(at(new));
                *c = match self.clip {
                    Some(bound) if next > bound => bound,
                    Some(bound) if next < -bound => -bound,
                    _ => next,
                };
                *h = self.gate.apply(at(output) + peep(2, *c)) * self.out.apply(*c);
            }
        }
    }
}

#[cfg(test)]
mod tests;
