use super::{Fact, Set, Subject};
use crate::view::{OpView, Operand, Tensor};

/// One op as the conditions see it: taken from the caller once, then read by every row.
pub(crate) struct Facts<'a> {
    pub(super) view: &'a dyn OpView,
    pub(super) operands: Vec<Operand<'a>>,
    pub(super) results: Vec<Operand<'static>>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(view: &'a dyn OpView) -> Facts<'a> {
        let mut operands = Vec::new();
        view.operands(&mut |operand| operands.push(operand));
        let mut results = Vec::new();
        view.results(&mut |tensor| {
            let name = if results.is_empty() { "out" } else { "out1" };
            results.push(Operand { name, index: results.len(), constant: false, tensor });
        });
        Facts { view, operands, results }
    }

    pub(super) fn subject(
        &'a self,
        subject: &Subject,
        it: Option<&'a Operand<'a>>,
    ) -> Option<&'a Operand<'a>> {
        match subject {
            Subject::Operand(name) => self.operands.iter().find(|o| o.name == &**name),
            Subject::Result(i) => self.results.get(*i),
            Subject::It => it,
        }
    }

    pub(super) fn set(&'a self, set: Set) -> impl Iterator<Item = &'a Operand<'a>> {
        let (operands, results) = match set {
            Set::Operands | Set::Inputs | Set::Constants => (true, false),
            Set::Results => (false, true),
            Set::Tensors => (true, true),
        };
        let wanted = move |o: &&'a Operand<'a>| match set {
            Set::Inputs | Set::Tensors => !o.constant,
            Set::Constants => o.constant,
            Set::Operands | Set::Results => true,
        };
        let operands = if operands { &self.operands[..] } else { &[] };
        let results = if results { &self.results[..] } else { &[] };
        operands.iter().filter(wanted).chain(results)
    }
}

/// The number of elements; `None` where a dimension is not known and `one_for_unknown` is off.
pub(super) fn elements(tensor: &Tensor, one_for_unknown: bool) -> Option<f64> {
    tensor.dims.as_ref()?.iter().try_fold(1.0, |product, dim| match dim {
        Some(dim) => Some(product * *dim as f64),
        None if one_for_unknown => Some(product),
        None => None,
    })
}

/// The width of one element in bytes, a fraction for sub-byte types, 0 for text.
pub(super) fn width(tensor: &Tensor) -> Option<f64> {
    tensor.dtype.map(|dtype| f64::from(dtype.bits()) / 8.0)
}

/// What a fact is called in a sentence, for reasons such as "the shape of x is not known".
pub(super) fn noun(fact: Fact) -> &'static str {
    match fact {
        Fact::Dtype | Fact::Width => "element type",
        _ => "shape",
    }
}
