//! How numbers are computed.

/// How floats are stored between ops and added up within them.
///
/// Integers wrap at their dtype's width under each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// fp16 and fp32 values widened to 64 bits, casts between float dtypes without effect: the reference for
    /// equivalence.
    #[default]
    Fp64,
    /// As [`Arithmetic::Fp64`] with 32 bits.
    Fp32,
    /// As the engine computes: every float rounded to fp16 between ops, sums in fp32, overflow judged at the final
    /// sum. The switches are for what sources say beyond that.
    Ane16(Numerics),
}

impl Arithmetic {
    /// The engine's arithmetic without any switch.
    pub const ANE16: Arithmetic = Arithmetic::Ane16(Numerics::PLAIN);

    /// `fp64`, `fp32` or `ane16`.
    pub fn name(self) -> &'static str {
        match self {
            Arithmetic::Fp64 => "fp64",
            Arithmetic::Fp32 => "fp32",
            Arithmetic::Ane16(_) => "ane16",
        }
    }

    /// The arithmetic of that name.
    pub fn from_name(name: &str) -> Option<Arithmetic> {
        [Arithmetic::Fp64, Arithmetic::Fp32, Arithmetic::ANE16].into_iter().find(|a| a.name() == name)
    }

    /// The switches of the engine's arithmetic.
    pub fn numerics(self) -> Option<Numerics> {
        match self {
            Arithmetic::Ane16(n) => Some(n),
            Arithmetic::Fp64 | Arithmetic::Fp32 => None,
        }
    }
}

/// What sources say of the engine's numbers beyond [`Arithmetic::Ane16`]; they contradict each other by family, so that
/// each statement is a switch.
///
/// The sources are two sets of measurements: "M4/M6", the numerics notes of the Apple Neural Engine Microarchitecture
/// Study (families H16 and H18), and "M1/M5", chapter 3 of ane-guide (families H13 and H17). The switches on sums are
/// honoured where the engine's multiply-accumulate array computes: convolutions, products of matrices, einsum,
/// attention. Reductions, pools and elementwise ops hold the whole range of fp16 in both sources. Sums with a switch
/// are added one product at a time, which is slow: this is for regions of the size of a patch.
///
/// Not offered: that products which a transpose feeds overflow from 17321 (one report, M1 and M5; it depends on how the
/// compiler lays tensors out), and the tables behind activations.
///
/// ```
/// use anewrite_interp::{Arithmetic, Array, Numerics, Options, evaluate};
/// use anewrite_tensor::DType;
///
/// let x = Array::new(DType::F16, [1, 3], vec![16384f32, 16384.0, -16384.0])?;
/// let ones = Array::new(DType::F16, [1, 3], vec![1f32; 3])?;
/// let sum = |numerics| {
///     let options = Options { arithmetic: Arithmetic::Ane16(numerics), ..Options::default() };
///     let y = evaluate("linear", &[("x", x.clone().into()), ("weight", ones.clone().into())], options)?;
///     Ok::<_, anewrite_interp::EvalError>(y[0].tensor()?.to_f64s()?[0])
/// };
/// assert_eq!(sum(Numerics::PLAIN)?, 16384.0);
/// assert_eq!(sum(Numerics::H16)?, f64::INFINITY);
/// # Ok::<(), anewrite_interp::EvalError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Numerics {
    /// What products are added up in.
    pub accumulator: Accumulator,
    /// Whether a partial sum of 32768 or more becomes infinite and stays so (LIM-ACC). M4/M6: at any moment of the
    /// sum, the bias included. M1: so for linear, matmul and convolutions of at least two products a sum.
    pub ceiling: bool,
    /// Whether operands of products that are subnormal in fp16 count as zero, and sums that are come out as zero. M1: a
    /// sum of subnormals in a product of matrices is zero. M5, M4/M6: they are kept.
    pub flush: bool,
    /// How results are rounded to fp16, elementwise ops included.
    pub rounding: Rounding,
    /// Whether no NaN comes out of an op: those of inputs and constants are read as +∞, those that an op makes (∞ − ∞,
    /// 0 · ∞, √−1) are zero, and so is −0. M1/M5; of M4/M6 only the first and the last are known.
    pub no_nan: bool,
}

/// What products are added up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Accumulator {
    /// fp32.
    #[default]
    Wide,
    /// 32 bits of fixed point, 16 of them behind the point; beyond ±32768 infinite for good. A product is rounded to
    /// 2⁻¹⁶, halves away from zero, and is dropped where the exponents of its factors (−14 for subnormal ones) sum to −17
    /// or less. The bias is what the sum starts from. Infinite factors count as 2¹⁶. M4/M6.
    Fixed,
    /// Four products at a time in fp16, one after the other, their sums in fp32. M1: gives the source's 5116 for
    /// 4096 and 1024 ones, and its survivors of cancellation but for magnitudes between 2048 and 4096, where the source
    /// loses nothing. M4/M6 deny it.
    Tiled,
}

/// How results are rounded to fp16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rounding {
    /// To the nearest, ties to the even one. M1.
    #[default]
    HalfEven,
    /// To the nearest, ties away from zero: 2049 becomes 2050. M4/M6, for elementwise ops too; M5 gives 2050 as well.
    HalfAway,
}

impl Numerics {
    /// No switch set.
    pub const PLAIN: Numerics = Numerics {
        accumulator: Accumulator::Wide,
        ceiling: false,
        flush: false,
        rounding: Rounding::HalfEven,
        no_nan: false,
    };

    /// What ane-guide measured on M1 (family H13).
    pub const H13: Numerics = Numerics {
        accumulator: Accumulator::Tiled,
        ceiling: true,
        flush: true,
        rounding: Rounding::HalfEven,
        no_nan: true,
    };

    /// What the Microarchitecture Study measured on M4 and M6 alike (families H16 and H18).
    pub const H16: Numerics = Numerics {
        accumulator: Accumulator::Fixed,
        ceiling: true,
        flush: false,
        rounding: Rounding::HalfAway,
        no_nan: true,
    };
}
