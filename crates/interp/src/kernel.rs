//! Which op is computed by what.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use crate::arithmetic::Arithmetic;
use crate::call::{Call, Computed};
use crate::error::EvalError;
use crate::ops;

/// Computes one op.
pub(crate) type Run = fn(&Call<'_>) -> Computed;

/// How an op is computed.
#[derive(Clone, Copy)]
pub(crate) enum Kernel {
    /// One function, which looks at the elements itself.
    Any(Run),
    /// One function for each float type.
    Real(Run, Run),
    /// It runs blocks, so the run itself does it.
    Blocks,
}

/// Entries of a table of kernels: the op's kind and its kernel.
pub(crate) type Table = &'static [(&'static str, Kernel)];

/// A kernel that is generic over the float type: `real!(conv)` for `fn conv<T: Real>(call: &Call<'_>) -> Computed`.
macro_rules! real {
    ($f:ident) => {
        $crate::kernel::Kernel::Real($f::<f32>, $f::<f64>)
    };
}
pub(crate) use real;

fn registry() -> &'static FxHashMap<&'static str, Kernel> {
    static REGISTRY: OnceLock<FxHashMap<&'static str, Kernel>> = OnceLock::new();
    REGISTRY.get_or_init(|| ops::TABLES.iter().copied().flatten().copied().collect())
}

/// The kinds of MIL ops that are evaluated, in alphabetic order.
///
/// ```
/// assert!(anewrite_interp::evaluated().contains(&"cond"));
/// ```
pub fn evaluated() -> Vec<&'static str> {
    let mut kinds: Vec<_> = registry().keys().copied().collect();
    kinds.sort_unstable();
    kinds
}

pub(crate) fn compute(call: &Call<'_>) -> Computed {
    let wide = call.arithmetic() == Arithmetic::Fp64;
    match registry().get(call.kind) {
        Some(Kernel::Any(run)) => run(call),
        Some(Kernel::Real(narrow, _)) if !wide => narrow(call),
        Some(Kernel::Real(_, run)) => run(call),
        Some(Kernel::Blocks) => Err(EvalError::Shape(format!("{} needs its blocks", call.kind))),
        None => Err(EvalError::Unsupported(call.kind.to_owned())),
    }
}
