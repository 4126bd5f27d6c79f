//! The parts of an `Operation` message and where each one's bytes are. Import and export both read ops through this,
//! so that they agree on which operand is which.

use std::ops::Range;

use bytes::Bytes;
use coreml_proto::wire::Value;

use crate::error::{At, Read};
use crate::read::{Span, each_field, entry, once, text};

/// An op's message, taken apart. Operand slots count the bindings of [`OpView::bindings`] and then the attributes, each
/// in order of the file.
#[derive(Default)]
pub(super) struct OpView {
    /// Where the text of its type is.
    pub(super) kind: Span,
    /// The field with its type, tag included; empty where it is left out.
    pub(super) kind_field: Span,
    /// Its inputs.
    pub(super) inputs: Vec<Input>,
    /// The bindings of all inputs, in their order.
    pub(super) bindings: Vec<BindingView>,
    /// Its attributes.
    pub(super) attributes: Vec<AttributeView>,
    /// What it defines.
    pub(super) outputs: Vec<NamedView>,
    /// The contents of its nested blocks.
    pub(super) blocks: Vec<Span>,
    /// Whether the message, its map entries, bindings and outputs have no field that is not known.
    pub(super) plain: bool,
}

/// An entry of `inputs`.
pub(super) struct Input {
    /// The field, tag included.
    pub(super) field: Span,
    /// Where the text of the parameter's name is.
    pub(super) key: Span,
    /// Its bindings, as a range of [`OpView::bindings`].
    pub(super) bindings: Range<usize>,
    /// Whether entry, argument and bindings have nothing else.
    pub(super) plain: bool,
}

/// An `Argument.Binding`.
pub(super) struct BindingView {
    /// The member of the oneof that is set, tag included; empty where none is.
    pub(super) member: Span,
    /// What it binds.
    pub(super) to: Bound,
}

/// What a binding binds.
pub(super) enum Bound {
    /// A value by its name, whose text is here.
    Name(Span),
    /// A constant, whose `Value` is here.
    Value(Span),
    /// Nothing that is known.
    Nothing,
}

/// An entry of `attributes`.
pub(super) struct AttributeView {
    /// The field, tag included.
    pub(super) field: Span,
    /// Where the text of the name is.
    pub(super) key: Span,
    /// The content of the `Value`.
    pub(super) value: Span,
    /// The value's field in the entry, tag included; empty where it is left out.
    pub(super) value_field: Span,
    /// Whether the entry has nothing else.
    pub(super) plain: bool,
}

/// A `NamedValueType`.
pub(super) struct NamedView {
    /// The field that holds the message, tag included.
    pub(super) field: Span,
    /// The field with the name, tag included, and the text in it.
    pub(super) name: Option<(Span, Span)>,
    /// The content of the type.
    pub(super) ty: Option<Span>,
    /// Whether it has nothing else.
    pub(super) plain: bool,
}

impl OpView {
    /// Reads the `Operation` at `range`, in place of what the view held.
    pub(super) fn read(&mut self, spec: &Bytes, range: Span) -> Read<()> {
        self.inputs.clear();
        self.bindings.clear();
        self.attributes.clear();
        self.outputs.clear();
        self.blocks.clear();
        let none = range.start..range.start;
        let mut kind = None;
        let mut plain = true;
        plain &= each_field(spec, range, |number, value, span| {
            let Value::Bytes(r) = value else { return Ok(false) };
            match number {
                1 => once(&mut kind, (r.clone(), span), "type"),
                2 => self.input(spec, r.clone(), span),
                3 => {
                    let output =
                        named(spec, r.clone(), span).at(|| format!("outputs[{}]", self.outputs.len()))?;
                    let plain = output.plain;
                    self.outputs.push(output);
                    Ok(plain)
                }
                4 => {
                    self.blocks.push(r.clone());
                    Ok(true)
                }
                5 => {
                    let e = entry(spec, r.clone()).at(|| "attributes".into())?;
                    self.attributes.push(AttributeView {
                        field: span,
                        key: e.key,
                        value: e.value,
                        value_field: e.value_field,
                        plain: e.plain,
                    });
                    Ok(e.plain)
                }
                _ => Ok(false),
            }
        })?;
        self.plain = plain;
        (self.kind, self.kind_field) = kind.unwrap_or((none.clone(), none));
        Ok(())
    }

    fn input(&mut self, spec: &Bytes, range: Span, field: Span) -> Read<bool> {
        let e = entry(spec, range).at(|| "inputs".into())?;
        let first = self.bindings.len();
        let mut plain = e.plain;
        plain &= each_field(spec, e.value, |number, value, _| {
            let (1, Value::Bytes(r)) = (number, value) else { return Ok(false) };
            let (binding, plain) = binding(spec, r.clone())?;
            self.bindings.push(binding);
            Ok(plain)
        })
        .at(|| step(spec, "inputs", &e.key))?;
        self.inputs.push(Input { field, key: e.key, bindings: first..self.bindings.len(), plain });
        Ok(plain)
    }
}

fn binding(spec: &Bytes, range: Span) -> Read<(BindingView, bool)> {
    let mut set = None;
    let plain = each_field(spec, range.clone(), |number, value, span| match (number, value) {
        (1, Value::Bytes(r)) => once(&mut set, (span, Bound::Name(r.clone())), "binding"),
        (2, Value::Bytes(r)) => once(&mut set, (span, Bound::Value(r.clone())), "binding"),
        _ => Ok(false),
    })?;
    let plain = plain && set.is_some();
    let (member, to) = set.unwrap_or((range.end..range.end, Bound::Nothing));
    Ok((BindingView { member, to }, plain))
}

/// Reads the `NamedValueType` at `range`, which is in `field`.
pub(super) fn named(spec: &Bytes, range: Span, field: Span) -> Read<NamedView> {
    let (mut name, mut ty) = (None, None);
    let plain = each_field(spec, range, |number, value, span| match (number, value) {
        (1, Value::Bytes(r)) => once(&mut name, (span, r.clone()), "name"),
        (2, Value::Bytes(r)) => once(&mut ty, r.clone(), "type"),
        _ => Ok(false),
    })?;
    Ok(NamedView { field, name, ty, plain })
}

/// The step of a path into a map: `inputs["x"]`.
pub(super) fn step(spec: &Bytes, field: &str, key: &Span) -> String {
    format!("{field}[{:?}]", text(spec, key.clone()).unwrap_or("?"))
}
