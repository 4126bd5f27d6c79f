//! Why an op is not evaluated.

use anewrite_nn::LowerError;
use anewrite_tensor::TensorError;
use thiserror::Error;

/// Why a program or an op is not evaluated.
#[derive(Clone, Debug, Error)]
pub enum EvalError {
    /// There is no definition of the op here.
    #[error("{0} has no meaning here: it is custom, or newer than this build")]
    Unsupported(String),
    /// A parameter is missing.
    #[error("the parameter {0} is missing")]
    Missing(String),
    /// A parameter has a value that the op does not take.
    #[error("the parameter {param}: {why}")]
    Bad {
        /// The parameter.
        param: String,
        /// What is wrong, with the value seen.
        why: String,
    },
    /// Extents or types do not fit.
    #[error("{0}")]
    Shape(String),
    /// A run would need more memory than it was given.
    #[error("{wanted} bytes more are needed beyond the {live} in use, the limit is {limit}; raise --memory")]
    Memory {
        /// Bytes asked for.
        wanted: u64,
        /// Bytes in use.
        live: u64,
        /// The most that may be in use.
        limit: u64,
    },
    /// The program has no function of that name.
    #[error("there is no function {0}")]
    Function(String),
    /// An input is missing, or does not fit its type.
    #[error("input {name}: {why}")]
    Input {
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A loop runs on.
    #[error("a loop runs for more than {0} rounds")]
    Endless(u64),
    /// A layer does not lower to ops.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// A constant cannot be read or made.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// An op of the program fails.
    #[error("{kind} {name}: {source}")]
    At {
        /// The op's kind.
        kind: String,
        /// The op's name, or that of its result.
        name: String,
        /// Why.
        source: Box<EvalError>,
    },
    /// Whoever watches the run ends it.
    #[error("{0}")]
    Stopped(String),
}

impl EvalError {
    /// A parameter with a value that the op does not take.
    pub(crate) fn bad(param: &str, why: impl Into<String>) -> EvalError {
        EvalError::Bad { param: param.to_owned(), why: why.into() }
    }
}

/// Why a constant is not computed when a program is rewritten.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FoldError {
    /// There is no definition of the op here.
    #[error("{0} is not evaluated on constants")]
    Unsupported(String),
    /// The op would compute with floats.
    #[error("{kind} of {dtype} rounds, which is left to the machine that runs the model")]
    Rounds {
        /// The op.
        kind: String,
        /// The dtype.
        dtype: anewrite_tensor::DType,
    },
    /// A parameter is missing.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// An operand does not fit.
    #[error("{0}")]
    Bad(String),
    /// A result is out of the range of its dtype, or divides by zero.
    #[error("the result overflows or divides by zero")]
    Overflow,
    /// The result would have more bytes than the caller allows.
    #[error("the result would take {0} bytes")]
    TooLarge(u64),
    /// A constant cannot be read or made.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}
