//! Sums of products as sources say that the engine adds them.

use crate::arithmetic::{Accumulator, Arithmetic, Numerics, Rounding};

/// The smallest normal value of fp16.
const NORMAL: f64 = 1.0 / 16384.0;
/// From here on a partial sum is infinite.
const CEILING: f64 = 32768.0;
/// One in fixed point.
const FIXED_ONE: f64 = 65536.0;

/// How the products of one op are added up, where it is not simply done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums(Numerics);

impl Sums {
    /// The sums of an arithmetic; `None` where nothing about them is special.
    pub(crate) fn of(arithmetic: Arithmetic) -> Option<Sums> {
        let n = arithmetic.numerics()?;
        (n.accumulator != Accumulator::Wide || n.ceiling || n.flush).then_some(Sums(n))
    }

    /// The sums of a convolution with one product each, which M1 leaves without a ceiling.
    pub(crate) fn of_one(self) -> Option<Sums> {
        match self.0.accumulator {
            Accumulator::Fixed => Some(self),
            _ => Sums::of(Arithmetic::Ane16(Numerics { ceiling: false, ..self.0 })),
        }
    }

    /// `start` and the products.
    pub(crate) fn dot(self, start: f64, products: impl Iterator<Item = (f64, f64)>) -> f64 {
        match self.0.accumulator {
            Accumulator::Fixed => self.fixed(start, products),
            Accumulator::Wide => self.wide(start, products, 1),
            Accumulator::Tiled => self.wide(start, products, 4),
        }
    }

    fn wide(self, start: f64, mut products: impl Iterator<Item = (f64, f64)>, tile: usize) -> f64 {
        let flushed = |x: f64| if self.0.flush && x.abs() < NORMAL { 0.0 } else { x };
        let over = |x: f64| self.0.ceiling && x.abs() >= CEILING;
        let mut sum = start as f32;
        loop {
            let (mut part, mut taken) = (0.0, 0);
            for (a, b) in products.by_ref().take(tile) {
                let product = flushed(a) * flushed(b);
                part = if tile == 1 { product } else { to_half(part + product, self.0.rounding) };
                if over(part) {
                    return f64::INFINITY.copysign(part);
                }
                taken += 1;
            }
            if taken == 0 {
                return flushed(f64::from(sum));
            }
            sum = (f64::from(sum) + part) as f32;
            if over(sum.into()) {
                return f64::INFINITY.copysign(sum.into());
            }
        }
    }

    fn fixed(self, start: f64, products: impl Iterator<Item = (f64, f64)>) -> f64 {
        let mut sum = (decoded(start) * FIXED_ONE).round();
        let limit = CEILING * FIXED_ONE;
        if sum.abs() >= limit {
            return f64::INFINITY.copysign(sum);
        }
        for (a, b) in products {
            let (a, b) = (decoded(a), decoded(b));
            if a == 0.0 || b == 0.0 || exponent(a) + exponent(b) <= -17 {
                continue;
            }
            sum += (a * b * FIXED_ONE).round();
            if sum.abs() >= limit {
                return f64::INFINITY.copysign(sum);
            }
        }
        // the sum has up to 31 bits, so that it must not pass through fp32 on its way to fp16
        to_half(sum / FIXED_ONE, self.0.rounding) + 0.0
    }
}

/// An fp16 value whose exponent bits are all set is read as if it were an ordinary number.
fn decoded(x: f64) -> f64 {
    if x.is_nan() { (1.5 * FIXED_ONE).copysign(x) } else { x.clamp(-FIXED_ONE, FIXED_ONE) }
}

/// The exponent of an fp16 value that is not zero.
fn exponent(x: f64) -> i32 {
    let bits = (x.abs().to_bits() >> 52) as i32 - 1023;
    bits.max(-14)
}

/// The fp16 value that `x` is rounded to, in one step.
pub(crate) fn to_half(x: f64, rounding: Rounding) -> f64 {
    if rounding == Rounding::HalfEven || !x.is_finite() {
        return half::f16::from_f64(x).to_f64();
    }
    let spacing = (f64::from(exponent(x)) - 10.0).exp2();
    let rounded = (x / spacing).round() * spacing;
    if rounded.abs() > 65504.0 { f64::INFINITY.copysign(x) } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(numerics: Numerics) -> Sums {
        Sums::of(Arithmetic::Ane16(numerics)).unwrap()
    }

    fn ones(xs: &[f64], numerics: Numerics) -> f64 {
        to_half(sums(numerics).dot(0.0, xs.iter().map(|&x| (x, 1.0))), numerics.rounding)
    }

    /// The table of measured sums in the study's numerics notes, with weight 1 unless it says otherwise.
    #[test]
    fn fixed_point_sums_are_those_measured_on_m4() {
        let e = |n: i32| f64::from(n).exp2();
        let inf = f64::INFINITY;
        for (xs, want) in [
            (vec![32752.0], 32752.0),
            (vec![32768.0], inf),
            (vec![16384.0, 16376.0], 32768.0),
            (vec![16384.0, 16384.0], inf),
            (vec![16384.0, 16384.0, -16384.0, -16384.0, 1.0], inf),
            (vec![16384.0, e(-16), -16384.0], e(-16)),
            (vec![16384.0, e(-18), -16384.0], 0.0),
            (vec![e(-17)], e(-16)),
            (vec![e(-18)], 0.0),
            (vec![2048.0, 1.0], 2050.0),
            (vec![-4096.0, -2.0], -4100.0),
            (vec![1.0, e(-11)], 1.0 + e(-10)),
            (vec![f64::NAN], inf),
        ] {
            assert_eq!(ones(&xs, Numerics::H16), want, "{xs:?}");
        }
    }

    #[test]
    fn the_bias_is_what_a_fixed_point_sum_starts_from() {
        let e = |n: i32| f64::from(n).exp2();
        let sum = |bias, xs: &[f64]| sums(Numerics::H16).dot(bias, xs.iter().map(|&x| (x, 1.0)));
        assert_eq!(sum(-16384.0, &[16384.0, 16384.0]), 16384.0);
        assert_eq!(sum(-16384.0, &[16384.0, 16384.0, 16384.0]), f64::INFINITY);
        assert_eq!(sum(32.0, &[32736.0]), f64::INFINITY);
        assert_eq!(sum(e(-20), &[0.0]), 0.0);
        assert_eq!(sum(e(-17), &[e(-17)]), e(-15));
    }

    #[test]
    fn small_products_are_dropped_by_the_exponents_of_their_factors() {
        let e = |n: i32| f64::from(n).exp2();
        let product = |w, x| sums(Numerics::H16).dot(0.0, [(w, x)].into_iter());
        assert_eq!(product(1.875 * e(-3), 1.875 * e(-14)), 0.0);
        assert_eq!(product(1.9375 * e(-5), 1.875 * e(-12)), 0.0);
        assert_eq!(product(0.125, 1.5 * e(-13)), 2.0 * e(-16));
        assert_eq!(product(0.25, 0.5 * e(-14)), e(-16));
    }

    /// ane-guide: 4096 and 1024 ones give 5116; of sixteen triples of a value, its negation and one, four ones
    /// survive from 4096 on, and all at 1024.
    #[test]
    fn sums_by_four_are_those_measured_on_m1() {
        let tiled = Numerics { accumulator: Accumulator::Tiled, ..Numerics::PLAIN };
        let worked: Vec<f64> = std::iter::once(4096.0).chain(std::iter::repeat_n(1.0, 1024)).collect();
        assert_eq!(ones(&worked, tiled), 5116.0);
        for (big, survivors) in [(1024.0, 16.0), (4096.0, 4.0), (8000.0, 4.0), (30000.0, 4.0)] {
            let triples = [big, -big, 1.0].repeat(16);
            assert_eq!(ones(&triples, tiled), survivors, "{big}");
        }
        assert_eq!(ones(&[32752.0], Numerics::H13), 32752.0);
        assert_eq!(ones(&[20000.0, 20000.0, -20000.0], Numerics::H13), f64::INFINITY);
        let small = half::f16::from_bits(1).to_f64();
        assert_eq!(ones(&[small, small], Numerics::H13), 0.0);
        assert_eq!(ones(&[small, small], tiled), 2.0 * small);
    }

    #[test]
    fn ties_go_where_the_rounding_says() {
        for (x, even, away) in [
            (2049.0, 2048.0, 2050.0),
            (-2049.0, -2048.0, -2050.0),
            (2051.0, 2052.0, 2052.0),
            (65519.0, 65504.0, 65504.0),
            (65520.0, f64::INFINITY, f64::INFINITY),
            (3.0f64 / 33_554_432.0, 4.0 / 33_554_432.0, 4.0 / 33_554_432.0),
            (1.0f64 / 33_554_432.0, 0.0, 2.0 / 33_554_432.0),
        ] {
            assert_eq!(to_half(x, Rounding::HalfEven), even, "{x}");
            assert_eq!(to_half(x, Rounding::HalfAway), away, "{x}");
        }
    }
}
