//! Why a layer does not lower.

use anewrite_ir::BuildError;
use anewrite_ir::infer::InferError;
use anewrite_tensor::TensorError;
use thiserror::Error;

/// A layer that does not lower, and why.
#[derive(Clone, Debug, Error)]
#[error("nn.{layer}: {reason}")]
pub struct LowerError {
    /// The layer's type, without `nn.`.
    pub layer: String,
    /// What stands in the way.
    #[source]
    pub reason: Reason,
}

/// What stands in the way of a lowering.
#[derive(Clone, Debug, Error)]
pub enum Reason {
    /// The layer's meaning is not part of the format, or its type is not known.
    #[error("it has no meaning here: {0}")]
    Opaque(&'static str),
    /// The meaning is known and no MIL op of the opset has it.
    #[error("no MIL op means {0}")]
    Missing(String),
    /// A field's value does not fit.
    #[error("field {field}: {why}")]
    Field {
        /// The field, as a dotted path of schema names.
        field: String,
        /// What is wrong, with the value seen.
        why: String,
    },
    /// A data input is missing or does not fit.
    #[error("input {index}: {why}")]
    Input {
        /// Which input, from 0.
        index: usize,
        /// What is wrong.
        why: String,
    },
    /// Weights are missing, of the wrong number, or not readable.
    #[error("weights {path}: {why}")]
    Weights {
        /// The field that holds them, as a dotted path.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// An op of the lowering refuses its operands.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A constant cannot be made.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Reason {
    pub(crate) fn field(field: impl Into<String>, why: impl Into<String>) -> Reason {
        Reason::Field { field: field.into(), why: why.into() }
    }

    pub(crate) fn input(index: usize, why: impl Into<String>) -> Reason {
        Reason::Input { index, why: why.into() }
    }

    pub(crate) fn weights(path: impl Into<String>, why: impl Into<String>) -> Reason {
        Reason::Weights { path: path.into(), why: why.into() }
    }
}

impl From<LowerError> for InferError {
    fn from(e: LowerError) -> InferError {
        match e.reason {
            Reason::Opaque(_) => InferError::Unknown(format!("nn.{}", e.layer)),
            reason => InferError::Bad { param: "layer", why: reason.to_string() },
        }
    }
}
