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
        Activation::of(f)?.usual()
    }
}

/// An activation with the numbers that it has, if any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Activation {
    pub(crate) kind: Gate,
    /// `alpha x + beta` of the linear one and within the hard sigmoid, `alpha tanh(beta x)`.
    pub(crate) numbers: (f64, f64),
}

impl Activation {
    const SIGMOID: Activation = Activation { kind: Gate::Sigmoid, numbers: (0.0, 0.0) };
    const TANH: Activation = Activation { kind: Gate::Tanh, numbers: (1.0, 1.0) };

    pub(crate) fn of(f: Fields<'_>) -> Result<Activation, Reason> {
        // In recurrent layers the factors of the scaled tanh are 1 where none are stated, as those of MIL's ops.
        for (name, kind) in
            [("linear", Gate::Linear), ("scaledTanh", Gate::Tanh), ("sigmoidHard", Gate::HardSigmoid)]
        {
            let Some(p) = f.message(name)? else { continue };
            let (usual, stated) = (Activation::usual_numbers(kind), (p.float("alpha")?, p.float("beta")?));
            // Converters leave the numbers out, or round them.
            let near = (stated.0 - usual.0).abs() <= 0.01 && (stated.1 - usual.1).abs() <= 0.01;
            let numbers = if near || stated == (0.0, 0.0) { usual } else { stated };
            return Ok(Activation { kind, numbers });
        }
        for (name, kind) in [("sigmoid", Gate::Sigmoid), ("tanh", Gate::Tanh), ("ReLU", Gate::Relu)] {
            if f.has(name) {
                return Ok(Activation { kind, numbers: Activation::usual_numbers(kind) });
            }
        }
        Err(Reason::field("activations", "an activation that recurrent layers do not take, or none"))
    }

    fn usual_numbers(kind: Gate) -> (f64, f64) {
        match kind {
            Gate::Linear => (1.0, 0.0),
            Gate::Tanh => Activation::TANH.numbers,
            Gate::HardSigmoid => Gate::HARD_SIGMOID,
            Gate::Sigmoid | Gate::Relu => (0.0, 0.0),
        }
    }

    /// The activation without numbers of its own.
    pub(crate) fn usual(self) -> Result<Gate, Reason> {
        let Activation { kind, numbers: (alpha, beta) } = self;
        match (alpha, beta) == Activation::usual_numbers(kind) {
            true => Ok(kind),
            false => Err(Reason::Missing(format!("a recurrent {kind:?} of {alpha} and {beta}"))),
        }
    }

    /// The activations of the field, which must be `N`; without any, the first is a sigmoid and the others are tanh.
    pub(crate) fn all<const N: usize>(f: Fields<'_>, field: &str) -> Result<[Activation; N], Reason> {
        let found: Vec<_> = f.messages(field)?.into_iter().map(Activation::of).collect::<Result<_, _>>()?;
        let n = found.len();
        if n == 0 {
            let default = |i| if i == 0 { Activation::SIGMOID } else { Activation::TANH };
            return Ok(std::array::from_fn(default));
        }
        found
            .try_into()
            .map_err(|_| Reason::field(field, format!("{N} activations are needed, this has {n}")))
    }
}

fn usual<const N: usize>(all: [Activation; N]) -> Result<[Gate; N], Reason> {
    for a in all {
        a.usual()?;
    }
    Ok(all.map(|a| a.kind))
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
    pub(crate) fn of(f: Fields<'_>, options: Fields<'_>, bias: &str) -> Result<Common, Reason> {
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
        let [gate, output] = usual(Activation::all(f, "activations")?)?;
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
        if usual(Activation::all::<3>(f, "activationsBackwardLSTM")?)? != lstm.gates {
            return Err(Reason::Missing("an LSTM whose directions have different activations".into()));
        }
        Ok(lstm)
    }

    fn of(f: Fields<'_>, activations: &str) -> Result<Lstm, Reason> {
        let (lstm, all, coupled) = Lstm::read(f, activations)?;
        if coupled {
            return Err(Reason::Missing("an LSTM whose forget gate is what the input gate leaves".into()));
        }
        usual(all)?;
        Ok(lstm)
    }

    /// Any LSTM: what it says, its activations with their numbers, and whether its forget gate is what the input gate
    /// leaves of 1, without weights of its own.
    pub(crate) fn read(f: Fields<'_>, activations: &str) -> Result<(Lstm, [Activation; 3], bool), Reason> {
        let p = f.message_or_empty("params")?;
        let clip = p.float_or("cellClipThreshold", CLIP)?;
        let all = Activation::all::<3>(f, activations)?;
        let lstm = Lstm {
            common: Common::of(f, p, "hasBiasVectors")?,
            gates: all.map(|a| a.kind),
            forget_bias: p.flag("forgetBias")?,
            peephole: p.flag("hasPeepholeVectors")?,
            clip: (clip < NO_CLIP).then_some(clip),
        };
        Ok((lstm, all, p.flag("coupledInputAndForgetGate")?))
    }
}
