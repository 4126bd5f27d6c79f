//! The parts of a `NeuralNetworkLayer` message and where each one's bytes are.

use bytes::Bytes;
use coreml_proto::wire::Value;
use prost_reflect::MessageDescriptor;

use crate::error::Read;
use crate::read::{Span, each_field, once};

/// A layer's message, taken apart.
#[derive(Debug, Default)]
pub(super) struct LayerView {
    /// The field with its name, tag included, and the text.
    pub(super) name: Option<(Span, Span)>,
    /// The names of what it reads: field and text.
    pub(super) inputs: Vec<(Span, Span)>,
    /// The names of what it writes: field and text.
    pub(super) outputs: Vec<(Span, Span)>,
    /// Contents of `inputTensor`.
    pub(super) input_tensors: Vec<Span>,
    /// Contents of `outputTensor`.
    pub(super) output_tensors: Vec<Span>,
    /// `isUpdatable`.
    pub(super) is_updatable: Option<bool>,
    /// The member of the oneof that is set: number and content.
    pub(super) member: Option<(u32, Span)>,
    /// Whether it has nothing else.
    pub(super) plain: bool,
}

impl LayerView {
    /// Reads the layer at `range`; `layer` is the schema's message.
    pub(super) fn read(spec: &Bytes, layer: &MessageDescriptor, range: Span) -> Read<LayerView> {
        let mut view = LayerView::default();
        let plain = each_field(spec, range, |number, value, span| match (number, value) {
            (1, Value::Bytes(r)) => once(&mut view.name, (span, r.clone()), "name"),
            (2, Value::Bytes(r)) => {
                view.inputs.push((span, r.clone()));
                Ok(true)
            }
            (3, Value::Bytes(r)) => {
                view.outputs.push((span, r.clone()));
                Ok(true)
            }
            (4, Value::Bytes(r)) => {
                view.input_tensors.push(r.clone());
                Ok(true)
            }
            (5, Value::Bytes(r)) => {
                view.output_tensors.push(r.clone());
                Ok(true)
            }
            (10, Value::Varint(n)) => once(&mut view.is_updatable, *n != 0, "isUpdatable"),
            (_, Value::Bytes(r)) if layer.get_field(number).is_some() => {
                once(&mut view.member, (number, r.clone()), "layer")
            }
            _ => Ok(false),
        })?;
        view.plain = plain;
        Ok(view)
    }
}
