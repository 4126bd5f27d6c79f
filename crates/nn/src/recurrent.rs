//! What the recurrent layers say in their fields, for their lowering and for rules that replace them.

use anewrite_ir::Attrs;

use crate::error::Reason;
use crate::fields::Fields;

/// A cell state that is clipped at this or more is not clipped; converters write it for "none".
const NO_CLIP: f64 = 500.0;

/// What clips the cell state where a layer states nothing.
const CLIP: f64 = 50.0;

/// An activation that recurrent layers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// `x`.
    Linear,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(a x + b, 0), 1)` with the numbers of [`Gate::HARD_SIGMOID`].
    HardSigmoid,
}

impl Gate {
    /// The slope and the offset of the hard sigmoid.
    pub const HARD_SIGMOID: (f64, f64) = (0.2, 0.5);

    /// Whether its results lie in [-1, 1].
    pub fn is_bounded(self) -> bool {
        !matches!(self, Gate::Linear | Gate::Relu)
    }

    fn of(f: Fields<'_>) -> Result<Gate, Reason> {
        let with = |name: &str, gate: Gate, want: (f64, f64)| -> Result<Option<Gate>, Reason> {
            let Some(p) = f.message(name)? else { return Ok(None) };
            let (alpha, beta) = (p.float("alpha")?, p.float("beta")?);
            // Converters leave the numbers out, or round them.
            let stated = (alpha, beta) != (0.0, 0.0);
            if stated && ((alpha - want.0).abs() > 0.01 || (beta - want.1).abs() > 0.01) {
                return Err(Reason::Missing(format!("a recurrent {name} of {alpha} and {beta}")));
            }
            Ok(Some(gate))
        };
        if let Some(g) = with("linear", Gate::Linear, (1.0, 0.0))? {
            return Ok(g);
        }
        // In recurrent layers the factors of the scaled tanh are 1, as those of MIL's ops.
        if let Some(g) = with("scaledTanh", Gate::Tanh, (1.0, 1.0))? {
            return Ok(g);
        }
        if let Some(g) = with("sigmoidHard", Gate::HardSigmoid, Gate::HARD_SIGMOID)? {
            return Ok(g);
        }
        for (name, gate) in [("sigmoid", Gate::Sigmoid), ("tanh", Gate::Tanh), ("ReLU", Gate::Relu)] {
            if f.has(name) {
                return Ok(gate);
            }
        }
        Err(Reason::field("activations", "an activation that recurrent layers do not take, or none"))
    }

    /// The activations of the field, which must be `N`; without any, the first is a sigmoid and the others are tanh.
    fn all<const N: usize>(f: Fields<'_>, field: &str) -> Result<[Gate; N], Reason> {
        let found: Vec<Gate> = f.messages(field)?.into_iter().map(Gate::of).collect::<Result<_, _>>()?;
        let n = found.len();
        if n == 0 {
            return Ok(std::array::from_fn(|i| if i == 0 { Gate::Sigmoid } else { Gate::Tanh }));
        }
        found
            .try_into()
            .map_err(|_| Reason::field(field, format!("{N} activations are needed, this has {n}")))
    }
}

/// What each of the four layers says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Common {
    /// Numbers in each step of the input.
    pub input: u64,
    /// Numbers in the state.
    pub size: u64,
    /// Whether the output has every step, or the last one alone.
    pub sequence: bool,
    /// Whether there are biases.
    pub bias: bool,
    /// Whether the sequence is read from its end; the output is then in the order in which it is computed.
    pub reverse: bool,
}

impl Common {
    /// `options` holds the flags, `bias` is the name of the one of the biases.
    fn of(f: Fields<'_>, options: Fields<'_>, bias: &str) -> Result<Common, Reason> {
        Ok(Common {
            input: f.size("inputVectorSize")?,
            size: f.size("outputVectorSize")?,
            sequence: options.flag("sequenceOutput")?,
            bias: options.flag(bias)?,
            reverse: f.flag("reverseInput")?,
        })
    }
}

/// `simpleRecurrent`: `h = f(W x + R h + b)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimpleRecurrent {
    /// What all recurrent layers say.
    pub common: Common,
    /// `f`.
    pub activation: Gate,
}

impl SimpleRecurrent {
    /// Reads the layer's fields.
    ///
    /// # Errors
    /// Where a field is not of its type, or the activation not one of recurrent layers.
    pub fn of(attrs: &Attrs) -> Result<SimpleRecurrent, Reason> {
        let f = Fields(attrs);
        let activation = Gate::of(f.message_or_empty("activation")?)?;
        Ok(SimpleRecurrent { common: Common::of(f, f, "hasBiasVector")?, activation })
    }
}

/// `gru`: `z`, `r` are `f(W x + R h + b)`, `o = g(W x + R (r h) + b)`, and `h' = (1 - z) o + z h`. What `f` and `g` take
/// is clipped at 50, which shows where they are not [bounded](Gate::is_bounded).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gru {
    /// What all recurrent layers say.
    pub common: Common,
    /// `f`, of the update gate `z` and the reset gate `r`.
    pub gate: Gate,
    /// `g`, of the output gate `o`.
    pub output: Gate,
}

impl Gru {
    /// What clips the inputs of the activations.
    pub const CLIP: f64 = 50.0;

    /// Reads the layer's fields.
    ///
    /// # Errors
    /// Where a field is not of its type, or an activation not one of recurrent layers.
    pub fn of(attrs: &Attrs) -> Result<Gru, Reason> {
        let f = Fields(attrs);
        let [gate, output] = Gate::all(f, "activations")?;
        Ok(Gru { common: Common::of(f, f, "hasBiasVectors")?, gate, output })
    }
}

/// `uniDirectionalLSTM`, or both directions of `biDirectionalLSTM`, which differ in their weights alone.
///
/// `i`, `f` are `s(W x + R h + p c + b)`, `z = g(W x + R h + b)`, `c' = clip(f c + i z)`, `o = s(W x + R h + p c' + b)`, and
/// `h' = o k(c')`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lstm {
    /// What all recurrent layers say.
    pub common: Common,
    /// `s` of the gates, `g` of the cell's input, `k` of the output.
    pub gates: [Gate; 3],
    /// Whether 1 is added to the bias of the forget gate.
    pub forget_bias: bool,
    /// Whether the gates see the cell state, by the factors `p`.
    pub peephole: bool,
    /// What the cell state is clipped at, if it is.
    pub clip: Option<f64>,
}

impl Lstm {
    /// Reads the fields of `uniDirectionalLSTM`.
    ///
    /// # Errors
    /// Where a field is not of its type, or the layer asks for what is not known to have a meaning.
    pub fn one_way(attrs: &Attrs) -> Result<Lstm, Reason> {
        Lstm::of(Fields(attrs), "activations")
    }

    /// Reads the fields of `biDirectionalLSTM`.
    ///
    /// # Errors
    /// As [`Lstm::one_way`], and where the directions have different activations.
    pub fn both_ways(attrs: &Attrs) -> Result<Lstm, Reason> {
        let f = Fields(attrs);
        let lstm = Lstm::of(f, "activationsForwardLSTM")?;
        if Gate::all::<3>(f, "activationsBackwardLSTM")? != lstm.gates {
            return Err(Reason::Missing("an LSTM whose directions have different activations".into()));
        }
        Ok(lstm)
    }

    fn of(f: Fields<'_>, activations: &str) -> Result<Lstm, Reason> {
        let p = f.message_or_empty("params")?;
        if p.flag("coupledInputAndForgetGate")? {
            return Err(Reason::Missing("an LSTM whose forget gate is what the input gate leaves".into()));
        }
        let clip = p.float_or("cellClipThreshold", CLIP)?;
        Ok(Lstm {
            common: Common::of(f, p, "hasBiasVectors")?,
            gates: Gate::all(f, activations)?,
            forget_bias: p.flag("forgetBias")?,
            peephole: p.flag("hasPeepholeVectors")?,
            clip: (clip < NO_CLIP).then_some(clip),
        })
    }
}
