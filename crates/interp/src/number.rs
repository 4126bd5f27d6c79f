//! Elements as numbers, for ops that order, add or compare them whatever they are stored as.

use std::cmp::Ordering;

use anewrite_tensor::DType;

use crate::array::Element;
use crate::elementwise::Width;

/// An element that is a number.
pub(crate) trait Number: Element + Default + PartialOrd {
    /// The number, as near as the type has it.
    fn of(x: f64) -> Self;

    /// The number, as near as `f64` has it.
    fn wide(self) -> f64;

    /// A total order: both zeros are equal, NaN is above all.
    fn order(self, other: Self) -> Ordering {
        self.partial_cmp(&other).unwrap_or_else(|| {
            let is_nan = |x: Self| x.partial_cmp(&x).is_none();
            is_nan(self).cmp(&is_nan(other))
        })
    }

    /// `self + other`; integers wrap.
    fn plus(self, other: Self) -> Self;
    /// `self - other`; integers wrap.
    fn minus(self, other: Self) -> Self;
    /// `self * other`; integers wrap.
    fn times(self, other: Self) -> Self;
    /// `self / other`; `None` where integers are divided by zero.
    fn over(self, other: Self) -> Option<Self>;
    /// The value as elements of `dtype` hold it.
    fn within(self, dtype: DType) -> Self;
}

macro_rules! float {
    ($t:ty) => {
        impl Number for $t {
            fn of(x: f64) -> Self {
                x as $t
            }
            fn wide(self) -> f64 {
                self.into()
            }
            fn plus(self, other: Self) -> Self {
                self + other
            }
            fn minus(self, other: Self) -> Self {
                self - other
            }
            fn times(self, other: Self) -> Self {
                self * other
            }
            fn over(self, other: Self) -> Option<Self> {
                Some(self / other)
            }
            fn within(self, _: DType) -> Self {
                self
            }
        }
    };
}

float!(f32);
float!(f64);

impl Number for i64 {
    fn of(x: f64) -> Self {
        x as i64
    }
    fn wide(self) -> f64 {
        self as f64
    }
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }
    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
    fn over(self, other: Self) -> Option<Self> {
        (other != 0).then(|| self.wrapping_div(other))
    }
    fn within(self, dtype: DType) -> Self {
        Width::of(dtype).wrap(self)
    }
}

impl Number for bool {
    fn of(x: f64) -> Self {
        x != 0.0
    }
    fn wide(self) -> f64 {
        u8::from(self).into()
    }
    fn plus(self, other: Self) -> Self {
        self || other
    }
    fn minus(self, other: Self) -> Self {
        self != other
    }
    fn times(self, other: Self) -> Self {
        self && other
    }
    fn over(self, other: Self) -> Option<Self> {
        other.then_some(self)
    }
    fn within(self, _: DType) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_wrap_at_their_width() {
        // numpy.array([200, -200, 2**31, -1]).astype(...)
        assert_eq!([200i64, -200].map(|x| x.within(DType::I8)), [-56, 56]);
        assert_eq!([300i64, -1].map(|x| x.within(DType::U8)), [44, 255]);
        assert_eq!((1i64 << 31).within(DType::I32), -(1 << 31));
        assert_eq!((-1i64).within(DType::U32), (1 << 32) - 1);
    }

    #[test]
    fn nan_is_above_infinity() {
        let mut x = [f32::NAN, 1.0, f32::INFINITY, -0.0, f32::NEG_INFINITY];
        x.sort_by(|a, b| a.order(*b));
        assert_eq!(x[..4], [f32::NEG_INFINITY, -0.0, 1.0, f32::INFINITY]);
        assert!(x[4].is_nan());
        assert_eq!(Number::order(0.0f32, -0.0), Ordering::Equal);
    }
}
