use anewrite_tensor::{DType, TensorError};
use thiserror::Error;

/// Why an op is not evaluated.
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
        dtype: DType,
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
