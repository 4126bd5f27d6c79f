//! How far two arrays are from each other, and whether that is near enough.

use anewrite_tensor::DType;
use serde::Serialize;

/// How an array differs from the one that it should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Elements compared.
    pub elements: u64,
    /// The largest difference, where both are finite.
    pub max_abs: f64,
    /// The largest difference as a share of the element, among elements of at least a millionth of the scale.
    pub max_rel: f64,
    /// The root of the mean square of the differences, where both are finite.
    pub rms: f64,
    /// Peak signal to noise ratio in dB; absent where there is no difference.
    pub psnr: Option<f64>,
    /// The cosine of the angle between the two; 1 for two arrays of zeros.
    pub cosine: f64,
    /// The largest magnitude of the reference's finite elements.
    pub scale: f64,
    /// The root of the mean square of the reference's finite elements.
    pub reference_rms: f64,
    /// Elements that are finite here and not in the reference: an improvement.
    pub healed: u64,
    /// Elements that are not finite here and are another value in the reference.
    pub broken: u64,
    /// Zeros whose sign differs.
    pub flipped_zeros: u64,
    /// Position of the largest difference, or of the first that is no longer finite.
    #[serde(skip)]
    pub worst: usize,
}

impl Difference {
    /// Compares `new` with the reference `old`, element by element; what is left over of the longer is ignored.
    ///
    /// ```
    /// use anewrite_verify::Difference;
    /// let d = Difference::of(&[1.0, -4.0, f64::NAN], &[1.0, -3.5, f64::NAN]);
    /// assert_eq!((d.max_abs, d.scale, d.broken, d.worst), (0.5, 4.0, 0, 1));
    /// ```
    pub fn of(old: &[f64], new: &[f64]) -> Difference {
        let mut d = Difference { elements: old.len() as u64, cosine: 1.0, ..Difference::default() };
        let (mut finite, mut squares, mut old_squares, mut new_squares, mut dot) = (0u64, 0.0, 0.0, 0.0, 0.0);
        for &a in old.iter().filter(|a| a.is_finite()) {
            d.scale = d.scale.max(a.abs());
        }
        let floor = 1e-6 * d.scale;
        for (i, (&a, &b)) in old.iter().zip(new).enumerate() {
            match (a.is_finite(), b.is_finite()) {
                (true, true) => {
                    let off = (a - b).abs();
                    if off > d.max_abs && d.broken == 0 {
                        d.worst = i;
                    }
                    d.max_abs = d.max_abs.max(off);
                    if a.abs() >= floor && a != 0.0 {
                        d.max_rel = d.max_rel.max(off / a.abs());
                    }
                    if a == 0.0 && b == 0.0 && a.is_sign_negative() != b.is_sign_negative() {
                        d.flipped_zeros += 1;
                    }
                    finite += 1;
                    squares += off * off;
                    old_squares += a * a;
                    new_squares += b * b;
                    dot += a * b;
                }
                (false, true) => d.healed += 1,
                _ if a.is_nan() && b.is_nan() || a == b => {}
                _ => {
                    if d.broken == 0 {
                        d.worst = i;
                    }
                    d.broken += 1;
                }
            }
        }
        if finite > 0 {
            let n = finite as f64;
            d.rms = (squares / n).sqrt();
            d.reference_rms = (old_squares / n).sqrt();
            if old_squares > 0.0 && new_squares > 0.0 {
                d.cosine = dot / (old_squares.sqrt() * new_squares.sqrt());
            } else if old_squares != new_squares {
                d.cosine = 0.0;
            }
        }
        if d.rms > 0.0 {
            d.psnr = Some(20.0 * (d.scale / d.rms).log10());
        }
        d
    }
}

/// Values that are equal in real arithmetic agree in fp64 to this share of their scale.
pub const EXACT: f64 = 1e-9;

/// Whether a difference passes its limit; one that is no number does.
pub(crate) fn exceeds(difference: f64, limit: f64) -> bool {
    difference > limit || difference.is_nan()
}

/// The distance of fp16 numbers at a magnitude.
///
/// ```
/// assert_eq!(anewrite_verify::half_ulp_spacing(1.0), 2f64.powi(-10));
/// assert_eq!(anewrite_verify::half_ulp_spacing(0.0), 2f64.powi(-24));
/// ```
pub fn half_ulp_spacing(x: f64) -> f64 {
    spacing(DType::F16, x)
}

/// The distance of the numbers of a float dtype at a magnitude.
pub(crate) fn spacing(dtype: DType, x: f64) -> f64 {
    let (mantissa, lowest) = match dtype {
        DType::F16 => (10, -14),
        DType::BF16 => (7, -126),
        DType::F32 => (23, -126),
        _ => (52, -1022),
    };
    let x = x.abs();
    let exponent = if x.is_finite() && x > 0.0 { (x.log2().floor() as i32).max(lowest) } else { lowest };
    2f64.powi(exponent - mantissa)
}

/// A difference of two numbers in words, at the place where it is worst.
pub(crate) fn describe(d: &Difference, old: &[f64], new: &[f64]) -> String {
    let (a, b) = (old.get(d.worst).copied().unwrap_or(0.0), new.get(d.worst).copied().unwrap_or(0.0));
    format!("element {} is {b:e} and was {a:e}", d.worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_and_nan_have_places() {
        let inf = f64::INFINITY;
        let d = Difference::of(&[inf, -inf, f64::NAN, 1.0, inf], &[inf, inf, 2.0, f64::NAN, 3.0]);
        assert_eq!((d.broken, d.healed, d.worst), (2, 2, 1));
    }

    #[test]
    fn figures_are_those_of_numpy() {
        // numpy: a = [3, -1, 0.5]; b = [3.25, -1, 0.25]; d = a - b
        let d = Difference::of(&[3.0, -1.0, 0.5], &[3.25, -1.0, 0.25]);
        assert_eq!((d.max_abs, d.max_rel, d.scale), (0.25, 0.5, 3.0));
        assert!((d.rms - 0.204_124_145_231_931_5).abs() < 1e-15);
        assert!((d.psnr.unwrap() - 23.344_537_511_509_312).abs() < 1e-9);
        assert!((d.cosine - 0.996_255_775_600_319_7).abs() < 1e-12);
    }

    #[test]
    fn spacing_is_that_of_numpy() {
        // numpy.spacing(numpy.float16(x)), numpy.spacing(numpy.float32(x))
        assert_eq!(spacing(DType::F16, 1000.0), 0.5);
        assert_eq!(spacing(DType::F16, 6e-8), 2f64.powi(-24));
        assert_eq!(spacing(DType::F32, 3.0), 2f64.powi(-22));
    }
}
