//! Inputs that tell programs apart.

use anewrite_interp::{Array, EvalError};
use anewrite_tensor::DType;
use half::f16;
use rand::rngs::StdRng;
use rand::{Rng, RngCore};

use crate::domain::Domain;

/// How the elements of an input are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fill {
    /// Normally distributed around 0 with a deviation of 1.
    Normal,
    /// Between 0.1 and 3: inside the domain of logarithms, roots and divisions.
    Positive,
    /// One of -2, -1, -0.5, 0, 1 and 2: many are equal, so that the order of equal ones counts.
    Few,
    /// Normal, all negative.
    Negative,
    /// Normal with a deviation of 1e-4, where an epsilon outweighs the data.
    Tiny,
    /// Normal with a deviation of 300.
    Large,
    /// Normal, with zeros of both signs, subnormal numbers and the smallest normal ones among them.
    Zeros,
    /// Normal, with the largest finite numbers among them.
    Extreme,
    /// Normal, with a few infinities and NaN among them.
    Infinite,
}

impl Fill {
    /// All of them; those that tell most apart stand first.
    pub const ALL: [Fill; 9] = [
        Fill::Normal,
        Fill::Few,
        Fill::Zeros,
        Fill::Tiny,
        Fill::Positive,
        Fill::Infinite,
        Fill::Negative,
        Fill::Large,
        Fill::Extreme,
    ];

    /// In words, for reports.
    pub fn name(self) -> &'static str {
        match self {
            Fill::Normal => "normal",
            Fill::Positive => "positive",
            Fill::Few => "few different values",
            Fill::Negative => "negative",
            Fill::Tiny => "tiny",
            Fill::Large => "large",
            Fill::Zeros => "zeros and subnormals",
            Fill::Extreme => "largest finite values",
            Fill::Infinite => "infinities and NaN",
        }
    }
}

/// Integers whose domain is not known lie between minus and plus this.
const SMALL: i64 = 9;

/// An array of `dtype` and these extents, all of whose floats are numbers that `dtype` has.
///
/// # Errors
/// Where the product of the extents passes `most`.
pub(crate) fn array(
    rng: &mut StdRng,
    dtype: DType,
    dims: &[u64],
    domain: Option<&Domain>,
    fill: Fill,
    most: u64,
) -> Result<Array, EvalError> {
    let count = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d)).filter(|&n| n <= most);
    let count = count.ok_or_else(|| EvalError::Shape(format!("an input of {dims:?} is too large to try")))?;
    let n = usize::try_from(count).unwrap_or(0);
    let dims = dims.iter().copied();
    if dtype == DType::Bool {
        let flags = (0..n).map(|_| rng.next_u32() & 1 == 1).collect();
        return Array::new::<bool>(dtype, dims, flags);
    }
    if dtype.is_int() {
        return Array::new::<i64>(dtype, dims, ints(rng, dtype, n, domain, fill));
    }
    let mut items = match domain {
        Some(d) => within(rng, n, d, fill),
        None => free(rng, dtype, n, fill),
    };
    for x in &mut items {
        *x = nearest(dtype, *x);
    }
    Array::new::<f64>(dtype, dims, items)
}

/// The number of `dtype` that is nearest to `x`.
pub(crate) fn nearest(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F16 => f16::from_f64(x).to_f64(),
        DType::BF16 => half::bf16::from_f64(x).to_f64(),
        DType::F32 => f64::from(x as f32),
        _ => x,
    }
}

fn ints(rng: &mut StdRng, dtype: DType, n: usize, domain: Option<&Domain>, fill: Fill) -> Vec<i64> {
    let signed = !matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64);
    let (low, high) = match domain {
        Some(d) if d.wraps && fill == Fill::Negative => (-(d.high as i64) - 1, -1),
        Some(d) => (d.low.ceil() as i64, d.high.floor() as i64),
        None if signed => (-SMALL, SMALL),
        None => (0, 2 * SMALL),
    };
    let (low, high) = (low.min(high), high.max(low));
    let mut items: Vec<i64> = match fill {
        Fill::Few => (0..n).map(|_| [low, high, midpoint(low, high)][rng.random_range(0..3)]).collect(),
        _ => (0..n).map(|_| rng.random_range(low..=high)).collect(),
    };
    edges(rng, &mut items, &[low, high]);
    items
}

fn midpoint(low: i64, high: i64) -> i64 {
    low + (high - low) / 2
}

/// Floats that must lie in a domain.
fn within(rng: &mut StdRng, n: usize, d: &Domain, fill: Fill) -> Vec<f64> {
    let (low, high) = if d.wraps && fill == Fill::Negative { (-d.high - 1.0, -1.0) } else { (d.low, d.high) };
    let mut items: Vec<f64> = (0..n)
        .map(|_| match fill {
            Fill::Few => [low, high, low + ((high - low) / 2.0).floor()][rng.random_range(0..3)],
            _ if d.whole => rng.random_range(low as i64..=(high as i64).max(low as i64)) as f64,
            _ if high > low => rng.random_range(low..=high),
            _ => low,
        })
        .collect();
    edges(rng, &mut items, &[low, high]);
    items
}

/// Puts each of `values` somewhere, where there is room for all.
fn edges<T: Copy>(rng: &mut StdRng, items: &mut [T], values: &[T]) {
    if items.len() < 2 * values.len() {
        return;
    }
    for &v in values {
        let at = rng.random_range(0..items.len());
        items[at] = v;
    }
}

fn free(rng: &mut StdRng, dtype: DType, n: usize, fill: Fill) -> Vec<f64> {
    let half = matches!(dtype, DType::F16);
    let (largest, tiniest, least) = match dtype {
        DType::F16 => (65504.0, 5.960_464_477_539_063e-8, 6.103_515_625e-5),
        _ => (f64::from(f32::MAX), 1.401_298_464_324_817e-45, f64::from(f32::MIN_POSITIVE)),
    };
    let mut items: Vec<f64> = match fill {
        Fill::Few => (0..n).map(|_| [-2.0, -1.0, -0.5, 0.0, 1.0, 2.0][rng.random_range(0..6)]).collect(),
        Fill::Positive => (0..n).map(|_| rng.random_range(0.1..3.0)).collect(),
        Fill::Negative => normals(rng, n).map(|x| -x.abs() - 1e-3).collect(),
        Fill::Tiny => normals(rng, n).map(|x| 1e-4 * x).collect(),
        Fill::Large => normals(rng, n).map(|x| 300.0 * x).collect(),
        _ => normals(rng, n).collect(),
    };
    let every_fourth = n.div_ceil(4);
    match fill {
        Fill::Zeros => {
            let specials = [0.0, -0.0, tiniest, -tiniest, least, -least, 100.0 * tiniest];
            sprinkle(rng, &mut items, every_fourth, &specials);
        }
        Fill::Extreme => {
            let below = if half { 65472.0 } else { largest / 2.0 };
            sprinkle(rng, &mut items, every_fourth, &[largest, -largest, below]);
        }
        Fill::Infinite => {
            let specials = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
            sprinkle(rng, &mut items, n.div_ceil(64).min(6), &specials);
        }
        _ => {}
    }
    items
}

fn sprinkle(rng: &mut StdRng, items: &mut [f64], times: usize, values: &[f64]) {
    if items.is_empty() {
        return;
    }
    let first = rng.random_range(0..values.len());
    for i in 0..times {
        let at = rng.random_range(0..items.len());
        items[at] = values[(first + i) % values.len()];
    }
}

/// Normally distributed numbers (Box and Muller's method).
fn normals(rng: &mut StdRng, n: usize) -> impl Iterator<Item = f64> {
    (0..n).map(|_| {
        let (a, b): (f64, f64) = (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random_range(0.0..1.0));
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn floats(dtype: DType, fill: Fill) -> Vec<f64> {
        let mut rng = StdRng::seed_from_u64(7);
        array(&mut rng, dtype, &[40, 25], None, fill, 1 << 20).unwrap().to_f64s().unwrap()
    }

    #[test]
    fn each_fill_has_what_it_says() {
        let zeros = floats(DType::F16, Fill::Zeros);
        assert!(
            zeros.iter().any(|x| x.to_bits() == 0)
                && zeros.iter().any(|x| x.to_bits() == (-0.0f64).to_bits())
        );
        assert!(zeros.contains(&2f64.powi(-24)) && zeros.contains(&2f64.powi(-14)));
        let infinite = floats(DType::F32, Fill::Infinite);
        assert!(infinite.contains(&f64::INFINITY) && infinite.iter().any(|x| x.is_nan()));
        assert!(floats(DType::F16, Fill::Extreme).contains(&-65504.0));
        assert!(floats(DType::F16, Fill::Negative).iter().all(|&x| x < 0.0));
        let normal = floats(DType::F16, Fill::Normal);
        assert!(normal.iter().all(|&x| f16::from_f64(x).to_f64() == x));
        assert!((normal.iter().sum::<f64>() / 1000.0).abs() < 0.15);
    }

    #[test]
    fn integers_stay_in_their_domain_and_meet_its_edges() {
        let domain = Domain::index(5, "");
        let mut rng = StdRng::seed_from_u64(3);
        let mut draw = |fill| {
            let a = array(&mut rng, DType::I32, &[64], Some(&domain), fill, 1 << 20).unwrap();
            a.to_i64s().unwrap()
        };
        let up = draw(Fill::Normal);
        assert!(up.iter().all(|n| (0..5).contains(n)) && up.contains(&0) && up.contains(&4));
        let down = draw(Fill::Negative);
        assert!(down.iter().all(|n| (-5..0).contains(n)) && down.contains(&-5));
    }

    #[test]
    fn extents_beyond_the_limit_are_refused() {
        let mut rng = StdRng::seed_from_u64(3);
        assert!(array(&mut rng, DType::F16, &[1 << 40, 1 << 40], None, Fill::Few, 1 << 20).is_err());
    }
}
