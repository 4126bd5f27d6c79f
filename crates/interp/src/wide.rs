//! What stays in 32 bits where a program runs under 16-bit arithmetic.

use anewrite_ir::{DialectId, OpId, Program, ValueId};
use anewrite_nn::{Whole, whole_numbers};
use anewrite_tensor::DType;

/// Values that are not rounded to 16 bits.
///
/// A program that is typed in 32 bits throughout is run as if it were in 16. In one that mixes both, what it types in 32
/// bits is so on purpose, and never runs on the engine. A network types everything in 32 bits; its indices and counts
/// would name other elements if they were rounded.
#[derive(Debug, Default)]
pub(crate) struct Wide {
    /// Everything: the lowering of a layer that computes with whole numbers.
    all: bool,
    /// Values of 32-bit types.
    typed: bool,
    /// Whole numbers of a network.
    whole: Whole,
}

impl Wide {
    pub(crate) fn of(p: &Program) -> Wide {
        if p.dialect == DialectId::Nn {
            return Wide { whole: whole_numbers(p), ..Wide::default() };
        }
        let is_half = |v: ValueId| p.tensor_type(v).is_some_and(|t| t.dtype == DType::F16);
        let typed = p.all_ops().any(|op| p.op(op).results.iter().any(|&v| is_half(v)));
        Wide { typed, ..Wide::default() }
    }

    /// For the lowering of a layer.
    pub(crate) fn within(&self, op: OpId) -> Wide {
        Wide { all: self.all || self.whole.layers.contains(&op), ..Wide::default() }
    }

    /// Whether a value of this dtype stays as it is.
    pub(crate) fn keeps(&self, v: ValueId, dtype: DType) -> bool {
        self.all || (self.typed && dtype == DType::F32) || self.whole.values.contains(&v)
    }
}
