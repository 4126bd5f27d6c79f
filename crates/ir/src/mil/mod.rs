//! The MIL dialect: one definition an op, in files by family.
//!
//! To add an op: one `OpSchema` entry in the table of its family's file (name, first opset of that form,
//! parameters with defaults and element types, effect, inference function). Where a later opset changes the
//! parameters, the op has a second entry. Facts follow coremltools' definitions of the op sets iOS15 to iOS18,
//! with which the tests compare every parameter and the types of many programs.

mod activation;
mod attention;
mod binary;
mod classify;
mod common;
mod constexpr;
mod control;
mod conv;
mod einsum;
mod index;
mod ints;
mod join;
mod linear;
mod list;
mod make;
mod movement;
mod norm;
mod order;
mod pool;
mod quantize;
mod random;
mod recurrent;
mod reduction;
mod resize;
mod sample;
mod shape;
mod slice;
mod spatial;
mod state;
mod unary;
mod window;

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use crate::infer::{InferCx, InferError};
use crate::op::Effect;
use crate::schema::{Dialect, OpSchema, Opset, Types};

/// Every family's table.
const FAMILIES: &[&[OpSchema]] = &[
    activation::OPS,
    attention::OPS,
    binary::OPS,
    classify::OPS,
    constexpr::OPS,
    control::OPS,
    conv::OPS,
    index::OPS,
    join::OPS,
    linear::OPS,
    list::OPS,
    make::OPS,
    movement::OPS,
    norm::OPS,
    order::OPS,
    pool::OPS,
    quantize::OPS,
    random::OPS,
    recurrent::OPS,
    reduction::OPS,
    resize::OPS,
    sample::OPS,
    shape::OPS,
    slice::OPS,
    spatial::OPS,
    state::OPS,
    unary::OPS,
];

/// The name itself where it is an identifier, as ML Programs need for what they take and give, else the nearest one: `_`
/// for every other character, and in front of a digit.
///
/// ```
/// use anewrite_ir::mil::identifier;
/// assert_eq!(["image__0", "1477", "data:0", ""].map(identifier), ["image__0", "_1477", "data_0", "_"]);
/// ```
pub fn identifier(name: &str) -> String {
    let mut new: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if !new.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        new.insert(0, '_');
    }
    new
}

/// The ML Program ops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mil;

type Registry = FxHashMap<&'static str, Vec<&'static OpSchema>>;

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut all = Registry::default();
        for schema in FAMILIES.iter().copied().flatten() {
            all.entry(schema.name).or_default().push(schema);
        }
        for forms in all.values_mut() {
            forms.sort_by_key(|s| s.since);
        }
        all
    })
}

/// The definitions of all ops, sorted by name and opset.
pub fn schemas() -> Vec<&'static OpSchema> {
    let mut all: Vec<_> = FAMILIES.iter().copied().flatten().collect();
    all.sort_by_key(|s| (s.name, s.since));
    all
}

impl Dialect for Mil {
    fn effect(&self, kind: &str) -> Effect {
        registry().get(kind).and_then(|forms| forms.last()).map_or(Effect::Opaque, |s| s.effect)
    }

    fn infer(&self, cx: &mut InferCx<'_>) -> Result<Types, InferError> {
        let schema = cx.schema.or_else(|| self.schema(cx.kind, cx.opset));
        let schema = schema.ok_or_else(|| InferError::Unknown(cx.kind.to_owned()))?;
        cx.schema = Some(schema);
        common::check_params(cx, schema)?;
        (schema.infer)(cx)
    }

    fn schema(&self, kind: &str, opset: Opset) -> Option<&'static OpSchema> {
        registry().get(kind)?.iter().rev().find(|s| s.since <= opset).copied()
    }
}
