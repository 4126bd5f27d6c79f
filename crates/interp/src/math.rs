//! Functions of one number, for both float types.
//!
//! Those of `f32` have no branches and call nothing, so loops over them become vector code. Their errors are within
//! 2 units in the last place.

use crate::real::Real;

/// A float with the functions that elementwise ops need.
pub(crate) trait Math: Real {
    /// e to the power of the number.
    fn exponential(self) -> Self;
    /// The hyperbolic tangent.
    fn hyperbolic_tangent(self) -> Self;
    /// 1 / (1 + e^-x).
    fn logistic(self) -> Self;
    /// The integral of the bell curve: 2/√π ∫ e^-t² from 0 to x.
    fn error_function(self) -> Self;
    /// The nearest whole number, the even one of two.
    fn nearest(self) -> Self;

    /// ln(1 + e^x), without overflow.
    #[inline(always)]
    fn log_one_plus_exp(self) -> Self {
        let rest = (-self.abs()).exponential().ln_1p();
        if self > Self::zero() { self + rest } else { rest }
    }
}

impl Math for f64 {
    #[inline(always)]
    fn exponential(self) -> f64 {
        self.exp()
    }

    #[inline(always)]
    fn hyperbolic_tangent(self) -> f64 {
        self.tanh()
    }

    #[inline(always)]
    fn logistic(self) -> f64 {
        let z = (-self.abs()).exp();
        let high = 1.0 / (1.0 + z);
        if self >= 0.0 { high } else { z * high }
    }

    #[inline(always)]
    fn error_function(self) -> f64 {
        libm::erf(self)
    }

    #[inline(always)]
    fn nearest(self) -> f64 {
        self.round_ties_even()
    }
}

impl Math for f32 {
    /// Splits x into n ln 2 + r, as the Cephes library does in `expf`, with its polynomial for e^r.
    #[inline(always)]
    fn exponential(self) -> f32 {
        // Adding this rounds to a whole number, which is then found in the low bits.
        const ROUND: f32 = 12_582_912.0;
        // ln 2 in two parts, the first with so few bits that its multiples are exact.
        const HIGH: f32 = 0.693_359_4;
        const LOW: f32 = -2.121_944_4e-4;
        // Beyond these ends the result is 0 and infinity.
        let x = self.clamp(-104.0, 89.0);
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * HIGH) - n * LOW;
        let p = horner(r, [1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_66, 0.5]);
        let p = p * (r * r) + r + 1.0;
        // 2^n in two factors: n reaches beyond the exponents of one float on both sides.
        let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
        let half = n >> 1;
        p * power_of_two(half) * power_of_two(n.wrapping_sub(half))
    }

    /// Near 0 the odd polynomial of the Cephes library's `tanhf`, beyond through e^2x.
    #[inline(always)]
    fn hyperbolic_tangent(self) -> f32 {
        let a = self.abs();
        let s = a * a;
        let p = horner(s, [-5.704_988_7e-3, 0.020_639_088, -5.373_971_6e-2, 0.133_314_42, -0.333_332_8]);
        let near = a + a * (s * p);
        let far = 1.0 - 2.0 / ((a + a).exponential() + 1.0);
        (if a < 0.625 { near } else { far }).copysign(self)
    }

    #[inline(always)]
    fn logistic(self) -> f32 {
        let z = (-self.abs()).exponential();
        let high = 1.0 / (1.0 + z);
        if self >= 0.0 { high } else { z * high }
    }

    /// Near 0 an odd polynomial, beyond 1 - e^q(x): both fitted by weighted least squares towards the least maximum
    /// of the relative error, in 40 digits.
    #[inline(always)]
    fn error_function(self) -> f32 {
        let a = self.abs();
        let s = a * a;
        let near = [-6.111_293e-4, 5.016_228_6e-3, -2.678_195_8e-2, 0.112_822_3, -0.376_125_34, 0.128_379_15];
        let near = a + a * horner(s, near);
        // From 4 on the result is 1.
        let t = if a > 4.0 { 4.0 } else { a };
        let far = [
            1.982_212_3e-4,
            -3.065_504_8e-3,
            2.231_526_7e-2,
            -0.104_113_79,
            -0.636_975_94,
            -1.127_797_4,
            -1.664_327_1e-4,
        ];
        let far = 1.0 - horner(t, far).exponential();
        (if a < 0.9 { near } else { far }).copysign(self)
    }

    #[inline(always)]
    fn nearest(self) -> f32 {
        self.round_ties_even()
    }
}

/// A polynomial, its highest coefficient first.
#[inline(always)]
fn horner<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    coefficients.into_iter().fold(0.0, |sum, c| sum * x + c)
}

/// 2^n for exponents of normal numbers.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The greatest error in units in the last place, over floats of all magnitudes.
    fn worst(low: f32, high: f32, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let steps = 200_001;
        let mut worst = 0f64;
        for i in 0..steps {
            let x = low + (high - low) * (i as f32 / (steps - 1) as f32);
            let (got, want) = (f64::from(f(x)), exact(f64::from(x)));
            let unit = f64::from((want as f32).abs().next_up()) - f64::from((want as f32).abs());
            worst = worst.max((got - want).abs() / unit);
        }
        worst
    }

    #[test]
    fn the_fast_functions_are_within_two_units() {
        // against the C library's functions of f64
        for (low, high) in [(-103.0, 88.7), (-1.0, 1.0), (-0.01, 0.01)] {
            assert!(worst(low, high, f32::exponential, f64::exp) < 2.0);
        }
        for (low, high) in [(-10.0, 10.0), (-0.7, 0.7), (-1e-3, 1e-3)] {
            assert!(worst(low, high, f32::hyperbolic_tangent, f64::tanh) < 2.0);
            assert!(worst(low, high, f32::error_function, libm::erf) < 2.0);
            assert!(worst(low, high, f32::logistic, |x| 1.0 / (1.0 + (-x).exp())) < 3.0);
        }
        assert!(worst(-87.0, -5.0, f32::logistic, |x| 1.0 / (1.0 + (-x).exp())) < 3.0);
        assert!(worst(-80.0, 80.0, f32::log_one_plus_exp, |x| x.exp().ln_1p()) < 3.0);
    }

    #[test]
    fn the_fast_functions_at_their_edges() {
        assert_eq!(f32::INFINITY.exponential(), f32::INFINITY);
        assert_eq!(f32::NEG_INFINITY.exponential(), 0.0);
        assert_eq!(88.75f32.exponential(), f32::INFINITY);
        assert_eq!(0f32.exponential(), 1.0);
        assert!((-100f32).exponential() > 0.0);
        for f in [f32::exponential, f32::hyperbolic_tangent, f32::logistic, f32::error_function] {
            assert!(f(f32::NAN).is_nan());
        }
        for f in [f32::hyperbolic_tangent, f32::error_function] {
            assert_eq!((f(f32::INFINITY), f(f32::NEG_INFINITY)), (1.0, -1.0));
            assert_eq!(f(-0.0).to_bits(), (-0f32).to_bits());
            // scipy.special.erf and numpy.tanh of a subnormal number
            assert!(f(1e-40) > 0.0);
        }
        assert_eq!((f32::INFINITY.logistic(), f32::NEG_INFINITY.logistic()), (1.0, 0.0));
        assert_eq!(f32::NEG_INFINITY.log_one_plus_exp(), 0.0);
        assert_eq!(1e30f32.log_one_plus_exp(), 1e30);
        assert_eq!((2.5f32.nearest(), (-1.5f32).nearest()), (2.0, -2.0));
    }
}
