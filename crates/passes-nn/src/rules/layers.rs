//! The older layers that broadcasting ones are replaced by, and the shapes that they take.

use anewrite_ir::{Attr, Attrs, Dim, Shape};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, PatchValue, ensure};
use anewrite_tensor::{DType, Tensor};

use crate::rules::operands::{Held, Operand, Show, padded};

/// One elementwise operation, as the older layers have it.
pub(super) struct Elementwise {
    /// The layer for several inputs, or for one and a number.
    of_inputs: &'static str,
    /// The layer that holds its second operand in a field.
    of_weights: &'static str,
    /// That field, and the one with its shape.
    weights: &'static str,
    shape: &'static str,
}

/// Addition.
pub(super) const ADD: Elementwise =
    Elementwise { of_inputs: "nn.add", of_weights: "nn.bias", weights: "bias", shape: "shape" };

/// Multiplication.
pub(super) const MULTIPLY: Elementwise =
    Elementwise { of_inputs: "nn.multiply", of_weights: "nn.scale", weights: "scale", shape: "shapeScale" };

impl Elementwise {
    /// The operation on the inputs of a broadcasting layer: with a constant in a field where one fits, else of two
    /// inputs.
    pub(super) fn of_pair(
        &self,
        m: &Match<'_>,
        patch: &mut PatchBuilder<'_>,
        [x, y]: &[Operand<'_>; 2],
    ) -> Result<PatchValue, Miss> {
        // one constant is asked for, the second where both are
        let (constant, other) = if y.constant.is_some() { (y, x) } else { (x, y) };
        let unfit = match Held::of(m, other, constant).and_then(Held::not_zero) {
            Ok(held) => {
                let other = patch.tap(other.value);
                return self.with_held(patch, other, held);
            }
            Err(miss) => miss,
        };
        let (vx, vy) = (patch.tap(x.value), patch.tap(y.value));
        self.of_two(patch, (&x.shape, vx), (&y.shape, vy)).map_err(|miss| match constant.constant {
            Some(_) => Miss::new(format!("{}; {}", unfit.why, miss.why)),
            None => miss,
        })
    }

    /// `x` with a constant.
    pub(super) fn with_held(
        &self,
        patch: &mut PatchBuilder<'_>,
        x: PatchValue,
        held: Held,
    ) -> Result<PatchValue, Miss> {
        match held {
            Held::Number(n) => {
                layer(patch, self.of_inputs, &[(INPUT, x)], vec![("alpha".into(), Attr::Float(n))])
            }
            Held::Weights(t, shape) => self.with_weights(patch, x, t, &shape),
        }
    }

    fn with_weights(
        &self,
        patch: &mut PatchBuilder<'_>,
        x: PatchValue,
        weights: Tensor,
        shape: &[u64],
    ) -> Result<PatchValue, Miss> {
        let extent = |&n: &u64| i64::try_from(n).map(Attr::Int);
        let shape: Result<Vec<Attr>, _> = shape.iter().map(extent).collect();
        let shape = shape.map_err(|_| Miss::new("an extent of the constant passes 2^63"))?;
        let weights = patch.constant(weights);
        let attrs = vec![(self.shape.into(), Attr::List(shape))];
        layer(patch, self.of_weights, &[(INPUT, x), (self.weights, weights)], attrs)
    }

    /// Two values, the larger first, which gives the result its shape.
    pub(super) fn of_two(
        &self,
        patch: &mut PatchBuilder<'_>,
        x: (&Shape, PatchValue),
        y: (&Shape, PatchValue),
    ) -> Result<PatchValue, Miss> {
        let (large, small) = larger_first(x, y)?;
        layer(patch, self.of_inputs, &[(INPUT, large), (INPUT, small)], Attrs::new())
    }
}

/// Layers of which each input is broadcast.
pub(super) const BROADCASTING: &[&str] = &[
    "nn.addBroadcastable",
    "nn.subtractBroadcastable",
    "nn.multiplyBroadcastable",
    "nn.divideBroadcastable",
    "nn.floorDivBroadcastable",
    "nn.modBroadcastable",
    "nn.powBroadcastable",
    "nn.minBroadcastable",
    "nn.maxBroadcastable",
    "nn.equal",
    "nn.notEqual",
    "nn.lessThan",
    "nn.lessEqual",
    "nn.greaterThan",
    "nn.greaterEqual",
    "nn.logicalAnd",
    "nn.logicalOr",
    "nn.logicalXor",
    "nn.whereBroadcastable",
];

/// `x * -1 + beta`.
pub(super) fn negative(patch: &mut PatchBuilder<'_>, x: PatchValue, beta: f64) -> Result<PatchValue, Miss> {
    linear(patch, x, -1.0, beta)
}

/// `alpha * x + beta`.
pub(super) fn linear(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    alpha: f64,
    beta: f64,
) -> Result<PatchValue, Miss> {
    let mut linear: Attrs = vec![("alpha".into(), Attr::Float(alpha))];
    if beta != 0.0 {
        linear.push(("beta".into(), Attr::Float(beta)));
    }
    layer(patch, "nn.activation", &[(INPUT, x)], vec![("linear".into(), Attr::Message(linear))])
}

/// `x` from `start` on before `end` along one of its last three axes, by a stride. The stride is written even where it
/// is 1: Core ML refuses a slice without one.
pub(super) fn slice(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    axis: Axis,
    [start, end, stride]: [i64; 3],
) -> Result<PatchValue, Miss> {
    let mut attrs = Attrs::new();
    for (field, n) in [("startIndex", start), ("endIndex", end), ("stride", stride)] {
        if n != 0 {
            attrs.push((field.into(), Attr::Int(n)));
        }
    }
    if axis != Axis::Channel {
        attrs.push(("axis".into(), Attr::Enum(axis.of_slice().into())));
    }
    layer(patch, "nn.slice", &[(INPUT, x)], attrs)
}

/// One of the axes that a `slice` can cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Channel,
    Height,
    Width,
}

impl Axis {
    /// The axis that is the `n`-th from the end, from 1.
    pub(super) fn from_end(n: usize) -> Option<Axis> {
        [Axis::Width, Axis::Height, Axis::Channel].get(n.checked_sub(1)?).copied()
    }

    fn of_slice(self) -> &'static str {
        match self {
            Axis::Channel => "CHANNEL_AXIS",
            Axis::Height => "HEIGHT_AXIS",
            Axis::Width => "WIDTH_AXIS",
        }
    }
}

/// `x * alpha`, where `x` has rank 3 or more unless 32 bits hold `alpha`.
pub(super) fn scaled(patch: &mut PatchBuilder<'_>, x: PatchValue, alpha: f64) -> Result<PatchValue, Miss> {
    if f64::from(alpha as f32) == alpha {
        return layer(patch, "nn.multiply", &[(INPUT, x)], vec![("alpha".into(), Attr::Float(alpha))]);
    }
    let weights = patch.rounded(DType::F32, &[1], &[alpha])?;
    let attrs: Attrs = vec![("shapeScale".into(), Attr::List(vec![Attr::Int(1)]))];
    layer(patch, "nn.scale", &[(INPUT, x), ("scale", weights)], attrs)
}

/// A layer with one output.
pub(super) fn layer(
    patch: &mut PatchBuilder<'_>,
    kind: &str,
    inputs: &[(&str, PatchValue)],
    attrs: Attrs,
) -> Result<PatchValue, Miss> {
    match patch.op_with(kind, inputs, attrs)?.as_slice() {
        [one] => Ok(*one),
        r => Err(Miss::new(format!("{kind} has {} outputs where one is needed", r.len()))),
    }
}

/// The operands in the order in which the older layers broadcast: all of the second onto the first.
///
/// Equal shapes of any rank are taken. Others have at most the axes B, C, H and W, and the second one has, besides
/// extents of 1, the first one's B alone, C alone, H and W, or C, H and W, which is what coremltools' converter
/// relies on.
fn larger_first<T>(x: (&Shape, T), y: (&Shape, T)) -> Result<(T, T), Miss> {
    if same(x.0, y.0) {
        return Ok((x.1, y.1));
    }
    let shapes = format!("{} and {}", Show(x.0), Show(y.0));
    ensure!(
        x.0.len() <= 4 && y.0.len() <= 4,
        "the older layer takes only equal shapes in rank 5, these are {shapes}"
    );
    if broadcasts_onto(y.0, x.0) {
        return Ok((x.1, y.1));
    }
    if broadcasts_onto(x.0, y.0) {
        return Ok((y.1, x.1));
    }
    Err(Miss::new(format!("the older layer does not broadcast {shapes}")))
}

pub(super) fn same(a: &[Dim], b: &[Dim]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b && *a != Dim::Unknown)
}

fn broadcasts_onto(small: &Shape, large: &Shape) -> bool {
    const SHARED: [&[usize]; 5] = [&[], &[0], &[1], &[2, 3], &[1, 2, 3]];
    if small.len() > large.len() {
        return false;
    }
    let (small, large) = (padded(small, 4), padded(large, 4));
    let fits = |axis: usize, shared: &[usize]| match (small.get(axis), large.get(axis)) {
        (Some(s), Some(l)) if shared.contains(&axis) => same(&[*s], &[*l]),
        (Some(s), _) => *s == Dim::Known(1),
        _ => false,
    };
    SHARED.iter().any(|shared| (0..4).all(|axis| fits(axis, shared)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[u64]) -> Shape {
        dims.iter().map(|&d| Dim::Known(d)).collect()
    }

    /// What coremltools' converter does for pairs of shapes: see the script beside the table.
    const TABLE: &str = include_str!("../../tests/data/elementwise_layers.tsv");

    #[test]
    fn as_coremltools_converter_but_for_results_of_higher_rank() {
        let dims = |s: &str| shape(&s.split(',').map(|n| n.parse().unwrap()).collect::<Vec<_>>());
        let mut seen = 0;
        for row in TABLE.lines() {
            let [x, y, want] = *row.split('\t').collect::<Vec<_>>() else { panic!("{row}") };
            let (x, y) = (dims(x), dims(y));
            let got = larger_first((&x, "xy"), (&y, "yx")).map(|(first, _)| first);
            let want = match want {
                // the converter puts an input first that has fewer axes than the result
                "xy" if x.len() < y.len() => ["yx", "broadcasting"],
                "yx" if y.len() < x.len() => ["xy", "broadcasting"],
                other => [other; 2],
            };
            assert!(want.contains(&got.unwrap_or("broadcasting")), "{row}");
            seen += 1;
        }
        assert_eq!(seen, 529);
    }

    #[test]
    fn reasons_name_the_shapes() {
        let why = |x: &[u64], y: &[u64]| larger_first((&shape(x), ()), (&shape(y), ())).unwrap_err().why;
        assert!(why(&[2, 3, 4, 5], &[5]).contains("does not broadcast [2, 3, 4, 5] and [5]"));
        assert!(why(&[1, 2, 3, 4, 5], &[3, 1, 1]).contains("rank 5"));
    }

    #[test]
    fn extents_that_may_differ_are_not_equal() {
        let open: Shape = [Dim::Known(3), Dim::Unknown].into_iter().collect();
        assert!(larger_first((&open, ()), (&open, ())).is_err());
    }
}
