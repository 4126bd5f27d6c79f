//! What the data inputs of a layer are: their shapes, and the constants that other layers load.

use std::fmt;

use anewrite_ir::{Attr, Dim, OpId, Shape, ValueId};
use anewrite_nn::{INPUT, Mapping};
use anewrite_rewrite::{Match, Miss, ensure};
use anewrite_tensor::{DType, Tensor};

/// A data input of a layer.
pub(super) struct Operand<'a> {
    /// What it is.
    pub(super) value: ValueId,
    /// Its extents.
    pub(super) shape: Shape,
    /// Its elements, flat, where a layer loads them as floats.
    pub(super) constant: Option<&'a Tensor>,
}

impl<'a> Operand<'a> {
    pub(super) fn of(m: &Match<'a>, value: ValueId) -> Result<Self, Miss> {
        let t = m.tensor(value)?;
        let name = &m.program.value(value).name;
        let shape = t.shape.clone().ok_or_else(|| Miss::new(format!("the rank of {name} is not known")))?;
        let constant = loaded(m, value);
        Ok(Operand { value, shape, constant })
    }
}

/// Refuses to take away the last layer for whose sake the tensors of the network have ranks of their own: without it
/// all would have five axes, and outputs that are arrays other shapes.
pub(super) fn mapping_stays(m: &Match<'_>, op: OpId) -> Result<(), Miss> {
    ensure!(
        !Mapping::rests_on(m.program, op),
        "it is the last layer for which tensors may have any rank; without it outputs have other shapes"
    );
    Ok(())
}

/// The two inputs of a broadcasting layer.
pub(super) fn pair<'a>(m: &Match<'a>, op: OpId) -> Result<[Operand<'a>; 2], Miss> {
    let inputs: Vec<ValueId> = m.data(op).args(INPUT).collect();
    let &[x, y] = inputs.as_slice() else {
        return Err(Miss::new(format!("the layer has {} inputs", inputs.len())));
    };
    Ok([Operand::of(m, x)?, Operand::of(m, y)?])
}

/// Which axis from the end the field `axis` of a layer over tensors of `rank` axes names, from 1.
pub(super) fn axis_from_end(m: &Match<'_>, op: OpId, rank: usize) -> Result<i64, Miss> {
    let axis = m.attr(op, "axis").map_or(Some(0), Attr::as_int).ok_or(Miss::new("the axis is no integer"))?;
    let rank = rank as i64;
    ensure!((-rank..rank).contains(&axis), "there is no axis {axis} in rank {rank}");
    Ok(if axis < 0 { -axis } else { rank - axis })
}

/// The constant that a layer loads. `None` for quantised ones, whose bytes mean nothing elsewhere.
pub(super) fn loaded<'a>(m: &Match<'a>, value: ValueId) -> Option<&'a Tensor> {
    let layer = m.data(m.program.def_op(value)?);
    if layer.sealed || !matches!(&*layer.kind, "nn.loadConstantND" | "nn.loadConstant") {
        return None;
    }
    let data = m.program.constant(layer.arg("data")?)?;
    (!data.sealed && matches!(data.tensor.dtype(), DType::F32 | DType::F16)).then_some(&data.tensor)
}

/// Most whole numbers that a rule reads of a loaded constant.
const MOST_WHOLE: u64 = 1 << 16;

/// The whole numbers that a layer loads; `what` says what they are.
pub(super) fn whole(m: &Match<'_>, value: ValueId, what: &str) -> Result<Vec<i64>, Miss> {
    let t = loaded(m, value).ok_or_else(|| Miss::new(format!("{what} are computed")))?;
    ensure!(t.count() <= MOST_WHOLE, "{what} are {} numbers", t.count());
    let whole = |x: f64| (x.fract() == 0.0 && x.abs() < 1e9).then_some(x as i64);
    let all: Option<Vec<i64>> = t.to_f64s()?.into_iter().map(whole).collect();
    all.ok_or_else(|| Miss::new(format!("{what} are no whole numbers")))
}

/// How a constant fits a layer that holds it in a field of its own.
pub(super) enum Held {
    /// One number for all elements.
    Number(f64),
    /// Elements for the last three axes, with the shape that the field states: `[C]`, `[1, H, W]` or `[C, H, W]`.
    Weights(Tensor, Vec<u64>),
}

/// A constant with more elements than this is not copied: into the field of a layer while other layers load it too,
/// or with other values.
pub(super) const MOST_COPIED: u64 = 1 << 16;

impl Held {
    /// The constant `c` as a field of a layer over `x`, whose shape the result must have.
    pub(super) fn of(m: &Match<'_>, x: &Operand<'_>, c: &Operand<'_>) -> Result<Held, Miss> {
        let tensor = c.constant.ok_or(Miss::new("no operand is a constant of floats"))?;
        let (c_rank, x_rank) = (c.shape.len(), x.shape.len());
        ensure!(c_rank <= x_rank, "the constant has rank {c_rank}, the other operand {x_rank}");
        if tensor.count() == 1 {
            let number = tensor.to_f64s()?.first().copied().unwrap_or(f64::NAN);
            ensure!(number.is_finite(), "the constant is {number}");
            return Ok(Held::Number(number));
        }
        let (c_shape, x_shape) = (padded(&c.shape, x_rank), Show(&x.shape));
        let (Some((_, [channels, height, width])), Some((lead, [cc, ch, cw]))) =
            (x.shape.split_last_chunk::<3>(), c_shape.split_last_chunk::<3>())
        else {
            return Err(Miss::new(format!("a layer with weights needs rank 3, the operand is {x_shape}")));
        };
        let one = &Dim::Known(1);
        let per_channel = cc == channels && ch == one && cw == one;
        let per_element = (cc == one || cc == channels) && ch == height && cw == width;
        ensure!(
            lead.iter().all(|d| d == one) && (per_channel || per_element),
            "a constant of shape {} is neither per channel nor per element of {x_shape}",
            Show(&c.shape)
        );
        let uses = m.program.use_count(c.value);
        ensure!(
            uses == 1 || tensor.count() <= MOST_COPIED,
            "{} elements that {uses} layers use would be copied",
            tensor.count()
        );
        let extents = [cc, ch, cw].map(|d| d.known().unwrap_or(1));
        let shape = match extents {
            [channels, 1, 1] => vec![channels],
            all => all.to_vec(),
        };
        Ok(Held::Weights(tensor.reshaped([tensor.count()])?, shape))
    }

    /// Refuses 0 for a number: the format cannot tell a field that is 0 from one that is not set.
    pub(super) fn not_zero(self) -> Result<Held, Miss> {
        ensure!(!matches!(self, Held::Number(0.0)), "the constant is 0, which a field leaves out");
        Ok(self)
    }

    /// The negated constant.
    pub(super) fn negated(self) -> Result<Held, Miss> {
        Ok(match self {
            Held::Number(n) => Held::Number(-n),
            Held::Weights(t, shape) => {
                ensure!(t.count() <= MOST_COPIED, "{} elements would be written anew, negated", t.count());
                let negative: Vec<f64> = t.to_f64s()?.iter().map(|x| -x).collect();
                Held::Weights(Tensor::from_f64s(t.dtype(), t.dims(), &negative)?, shape)
            }
        })
    }
}

/// `shape` with axes of extent 1 before it, up to `rank`.
pub(super) fn padded(shape: &Shape, rank: usize) -> Shape {
    let ones = rank.saturating_sub(shape.len());
    std::iter::repeat_n(Dim::Known(1), ones).chain(shape.iter().copied()).collect()
}

/// A shape as people write it.
pub(super) struct Show<'a>(pub(super) &'a [Dim]);

impl fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match d.known() {
                Some(n) => write!(f, "{n}")?,
                None => f.write_str("?")?,
            }
        }
        f.write_str("]")
    }
}
