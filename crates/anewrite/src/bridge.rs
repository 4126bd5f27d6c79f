//! A NeuralNetwork beside the ML Program that it became: other names, other shapes, preprocessing as ops.

use anewrite_convert::{Feature, FeatureKind, Interface, NetworkHead, Part};
use anewrite_interp::{EvalError, Value};
use anewrite_ir::{DialectId, Str, Type, ValueId};
use anewrite_tensor::DType;
use anewrite_verify::Bridge;

use crate::Error;
use crate::run::{enter, of_rank, pixels};

/// The two sides of one network.
pub(crate) struct Upgraded {
    old: Interface,
    new: Interface,
    /// The types of the network's inputs.
    types: Vec<(Str, Type)>,
    /// What surrounds the network in its model.
    head: Option<NetworkHead>,
    /// The network's value with a classifier's probabilities.
    probabilities: Option<String>,
}

impl Upgraded {
    /// The bridge between two parts, if one is a network and the other a program.
    ///
    /// # Errors
    /// Where what surrounds the network cannot be read.
    pub(crate) fn of(
        document: &anewrite_convert::Document,
        old: &Part,
        new: &Part,
    ) -> Result<Option<Upgraded>, Error> {
        if (old.program.dialect, new.program.dialect) != (DialectId::Nn, DialectId::Mil) {
            return Ok(None);
        }
        let head = document.head(old)?;
        let p = &old.program;
        let last = || {
            let (_, f) = p.functions().next()?;
            p.block(f.body).outputs.last().map(|&v| p.value(v).name.to_string())
        };
        let probabilities = match &head {
            Some(h) if h.labels.is_some() && h.probabilities.is_empty() => last(),
            Some(h) if h.labels.is_some() => Some(h.probabilities.clone()),
            _ => None,
        };
        let args = p.functions().next().map(|(_, f)| p.block(f.body).args.as_slice()).unwrap_or_default();
        let types = args.iter().map(|&v| (p.value(v).name.clone(), p.ty(v).clone())).collect();
        let (old, new) = (old.info().interface(None), new.info().interface(None));
        Ok(Some(Upgraded { old, new, types, head, probabilities }))
    }

    /// The input of the network of that name, and that of the program.
    fn input(&self, name: &str) -> Option<(&Feature, &Feature)> {
        let at = self.old.inputs.iter().position(|f| f.name == name)?;
        Some((&self.old.inputs[at], self.new.inputs.get(at)?))
    }

    fn each(
        &self,
        inputs: &[(Str, Value)],
        of: impl Fn(&Feature, &Feature, &Value) -> Result<(Str, Value), String>,
    ) -> Result<Vec<(Str, Value)>, EvalError> {
        let one = |(name, value): &(Str, Value)| match self.input(name) {
            None => Ok((name.clone(), value.clone())),
            Some((old, new)) => {
                of(old, new, value).map_err(|why| EvalError::Input { name: name.to_string(), why })
            }
        };
        inputs.iter().map(one).collect()
    }
}

impl Bridge for Upgraded {
    fn before(&self, inputs: &[(Str, Value)]) -> Result<Vec<(Str, Value)>, EvalError> {
        self.each(inputs, |old, _, value| {
            let value = match value {
                Value::Tensor(a) => {
                    let a = enter(a.clone(), old, self.head.as_ref(), &self.old)?;
                    match self.types.iter().find(|(n, _)| **n == *old.name) {
                        Some((_, ty)) => Value::Tensor(of_rank(a, old, ty)?),
                        None => Value::Tensor(a),
                    }
                }
                other => other.clone(),
            };
            Ok((old.name.as_str().into(), value))
        })
    }

    fn after(&self, inputs: &[(Str, Value)]) -> Result<Vec<(Str, Value)>, EvalError> {
        self.each(inputs, |_, new, value| {
            let value = match (value, &new.kind) {
                // an image of one sequence and batch, in a program `[1, C, H, W]`
                (Value::Tensor(a), FeatureKind::Image { color, .. }) => {
                    let a = pixels(a.clone(), *color)?;
                    let dims = a.dims().iter().copied().skip(a.rank().saturating_sub(4));
                    Value::Tensor(a.reshaped(dims).map_err(|e| e.to_string())?)
                }
                (other, _) => other.clone(),
            };
            Ok((new.name.as_str().into(), value))
        })
    }

    fn output<'a>(&'a self, name: &'a str) -> &'a str {
        match self.old.outputs.iter().position(|f| f.name == name) {
            Some(at) => self.new.outputs.get(at).map_or(name, |f| &f.name),
            None if self.probabilities.as_deref() == Some(name) => &self.new.probabilities,
            None => name,
        }
    }
}

/// Whether constants of a network were rounded when it became a program: it computes in 16 bits, or unpacks quantised
/// weights by factors of its own.
pub(crate) fn is_rounded(part: &Part) -> bool {
    let p = &part.program;
    is_half(part) || p.all_ops().any(|op| p.op(op).kind.starts_with("constexpr_"))
}

/// Whether a program computes in 16 bits. One that does not never runs on the engine.
pub(crate) fn is_half(part: &Part) -> bool {
    let p = &part.program;
    let is_half = |&v: &ValueId| p.tensor_type(v).is_some_and(|t| t.dtype == DType::F16);
    p.all_ops().any(|op| p.op(op).results.iter().any(is_half))
}

/// By how much the error under 16-bit arithmetic may grow from a network to its program: where a layer is one rounding
/// to a network, its ops are several.
pub(crate) const GROWTH: f64 = 2.0;
