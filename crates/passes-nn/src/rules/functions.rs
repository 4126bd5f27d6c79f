//! Activations and unary functions, as the older layers have them.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Miss, PatchBuilder, PatchValue, ensure};
use anewrite_tensor::DType;

use crate::rules::layers::layer;
pub(super) use crate::rules::layers::linear;
use crate::rules::operands::Operand;

/// Numbers of a layer by their fields; a field that would hold 0 is left out, which means the same.
fn numbers(fields: &[(&str, f64)]) -> Attrs {
    let set = fields.iter().filter(|(_, n)| *n != 0.0);
    set.map(|(name, n)| ((*name).into(), Attr::Float(*n))).collect()
}

/// An `activation` of this kind.
pub(super) fn activation(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    kind: &str,
    fields: &[(&str, f64)],
) -> Result<PatchValue, Miss> {
    layer(patch, "nn.activation", &[(INPUT, x)], vec![(kind.into(), Attr::Message(numbers(fields)))])
}

/// A `unary` of this type.
pub(super) fn unary(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    kind: &str,
    fields: &[(&str, f64)],
) -> Result<PatchValue, Miss> {
    let mut attrs: Attrs = vec![("type".into(), Attr::Enum(kind.into()))];
    attrs.extend(numbers(fields));
    layer(patch, "nn.unary", &[(INPUT, x)], attrs)
}

/// `max(x, n)`.
pub(super) fn at_least(patch: &mut PatchBuilder<'_>, x: PatchValue, n: f64) -> Result<PatchValue, Miss> {
    unary(patch, x, "THRESHOLD", &[("alpha", n)])
}

/// `min(x, n)`, which is `-max(-x, -n)`.
pub(super) fn at_most(patch: &mut PatchBuilder<'_>, x: PatchValue, n: f64) -> Result<PatchValue, Miss> {
    let below = unary(patch, x, "THRESHOLD", &[("alpha", -n), ("scale", -1.0)])?;
    linear(patch, below, -1.0, 0.0)
}

/// `x * y`, of one shape.
pub(super) fn product(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    y: PatchValue,
) -> Result<PatchValue, Miss> {
    layer(patch, "nn.multiply", &[(INPUT, x), (INPUT, y)], Attrs::new())
}

/// `factor * x + shift` of numbers that 32 bits need not hold: a `linear` where they do, else the weights of a `scale`,
/// rounded to 32 bits, over an operand of `rank` axes.
pub(super) fn scaled(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    rank: usize,
    [factor, shift]: [f64; 2],
) -> Result<PatchValue, Miss> {
    if [factor, shift].iter().all(|&n| f64::from(n as f32) == n) {
        return linear(patch, x, factor, shift);
    }
    ensure!(
        (3..=5).contains(&rank),
        "32 bits do not hold {factor:e}, and a layer with rounded weights needs rank 3 to 5, the operand has rank {rank}"
    );
    let one = || Attr::List(vec![Attr::Int(1)]);
    let weights = patch.rounded(DType::F32, &[1], &[factor])?;
    let mut attrs: Attrs = vec![("shapeScale".into(), one())];
    let mut inputs = vec![(INPUT, x), ("scale", weights)];
    if shift != 0.0 {
        attrs.push(("hasBias".into(), Attr::Bool(true)));
        attrs.push(("shapeBias".into(), one()));
        inputs.push(("bias", patch.rounded(DType::F32, &[1], &[shift])?));
    }
    layer(patch, "nn.scale", &inputs, attrs)
}

/// `exp(log_base * x)`, a power whose base is a number.
pub(super) fn power_of(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    rank: usize,
    log_base: f64,
) -> Result<PatchValue, Miss> {
    let exponent = scaled(patch, x, rank, [log_base, 0.0])?;
    unary(patch, exponent, "EXP", &[])
}

/// The one finite number that `c` is, if it adds no axes to `x`.
pub(super) fn number(x: &Operand<'_>, c: &Operand<'_>) -> Option<f64> {
    let n = c.constant.filter(|t| t.count() == 1)?.scalar_f64()?;
    (n.is_finite() && c.shape.len() <= x.shape.len()).then_some(n)
}
