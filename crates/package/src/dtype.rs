//! Element types of weight blobs.

use std::fmt;

/// Element type of a blob, with the numbers of the storage format
/// (`BlobDataType` in coremltools, `mlmodel/src/MILBlob/Blob/BlobDataType.hpp`).
///
/// Types below eight bits are packed without gaps, lowest bits first; the last byte may end in
/// unused bits, which the blob's metadata counts.
///
/// ```
/// use coreml_package::BlobType;
/// assert_eq!(BlobType::from_number(12), Some(BlobType::UInt3));
/// assert_eq!(BlobType::UInt3.bits(), 3);
/// assert_eq!(BlobType::UInt3.bytes_for(11), Some(5)); // 33 bits
/// assert_eq!(BlobType::from_number(18), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BlobType {
    /// IEEE 754 binary16.
    Float16 = 1,
    /// IEEE 754 binary32.
    Float32 = 2,
    /// Unsigned 8 bits.
    UInt8 = 3,
    /// Signed 8 bits.
    Int8 = 4,
    /// The upper half of a binary32.
    BFloat16 = 5,
    /// Signed 16 bits.
    Int16 = 6,
    /// Unsigned 16 bits.
    UInt16 = 7,
    /// Signed 4 bits.
    Int4 = 8,
    /// One bit.
    UInt1 = 9,
    /// Unsigned 2 bits.
    UInt2 = 10,
    /// Unsigned 4 bits.
    UInt4 = 11,
    /// Unsigned 3 bits.
    UInt3 = 12,
    /// Unsigned 6 bits.
    UInt6 = 13,
    /// Signed 32 bits.
    Int32 = 14,
    /// Unsigned 32 bits.
    UInt32 = 15,
    /// 8-bit float, 4 exponent and 3 mantissa bits, finite only.
    Float8E4M3FN = 16,
    /// 8-bit float, 5 exponent and 2 mantissa bits.
    Float8E5M2 = 17,
}

impl BlobType {
    /// Every type, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::Float16,
        Self::Float32,
        Self::UInt8,
        Self::Int8,
        Self::BFloat16,
        Self::Int16,
        Self::UInt16,
        Self::Int4,
        Self::UInt1,
        Self::UInt2,
        Self::UInt4,
        Self::UInt3,
        Self::UInt6,
        Self::Int32,
        Self::UInt32,
        Self::Float8E4M3FN,
        Self::Float8E5M2,
    ];

    /// The type with this number in the storage format.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.number() == number)
    }

    /// The number in the storage format.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// Bits of one element.
    pub fn bits(self) -> u32 {
        match self {
            Self::UInt1 => 1,
            Self::UInt2 => 2,
            Self::UInt3 => 3,
            Self::Int4 | Self::UInt4 => 4,
            Self::UInt6 => 6,
            Self::UInt8 | Self::Int8 | Self::Float8E4M3FN | Self::Float8E5M2 => 8,
            Self::Float16 | Self::BFloat16 | Self::Int16 | Self::UInt16 => 16,
            Self::Float32 | Self::Int32 | Self::UInt32 => 32,
        }
    }

    /// Bytes that `elements` elements take, packed; `None` if that passes 64 bits.
    pub fn bytes_for(self, elements: u64) -> Option<u64> {
        let bits = u128::from(elements) * u128::from(self.bits());
        u64::try_from(bits.div_ceil(8)).ok()
    }

    /// Elements in `size` bytes whose last byte ends in `padding_bits` unused bits; `None` if that
    /// is no whole number, or if there is a whole byte or more of padding. Types of whole bytes
    /// have no padding: their field is not read, as early writers left it unset.
    pub fn elements_in(self, size: u64, padding_bits: u64) -> Option<u64> {
        let width = u128::from(self.bits());
        let padding = if width < 8 { padding_bits } else { 0 };
        if padding >= 8 {
            return None;
        }
        let bits = (u128::from(size) * 8).checked_sub(u128::from(padding))?;
        if bits % width != 0 { None } else { u64::try_from(bits / width).ok() }
    }
}

impl fmt::Display for BlobType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float16 => "fp16",
            Self::Float32 => "fp32",
            Self::UInt8 => "uint8",
            Self::Int8 => "int8",
            Self::BFloat16 => "bf16",
            Self::Int16 => "int16",
            Self::UInt16 => "uint16",
            Self::Int4 => "int4",
            Self::UInt1 => "uint1",
            Self::UInt2 => "uint2",
            Self::UInt4 => "uint4",
            Self::UInt3 => "uint3",
            Self::UInt6 => "uint6",
            Self::Int32 => "int32",
            Self::UInt32 => "uint32",
            Self::Float8E4M3FN => "fp8e4m3fn",
            Self::Float8E5M2 => "fp8e5m2",
        })
    }
}
