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

/// What sources say of the engine's numbers beyond [`Arithmetic::Ane16`]; they contradict each other by family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Numerics {}

impl Numerics {
    /// No switch set.
    pub const PLAIN: Numerics = Numerics {};
}
