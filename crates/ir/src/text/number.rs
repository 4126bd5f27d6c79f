//! Elements of constants as text: every bit pattern of every dtype comes back as it was.

use std::fmt::{self, Write};
use std::sync::OnceLock;

use anewrite_tensor::{DType, Tensor};
use half::{bf16, f16};

/// How numbers of floating point are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    /// `0x1.8p+1`, as Core ML's compiler writes them.
    Hex,
    /// `3.0`: the fewest digits that round to the same element.
    Decimal,
}

/// Packs elements one after the other, those under a byte from the low bit up.
pub(super) struct Packer {
    dtype: DType,
    bytes: Vec<u8>,
    bit: u32,
}

impl Packer {
    pub(super) fn new(dtype: DType) -> Self {
        Packer { dtype, bytes: Vec::new(), bit: 0 }
    }

    pub(super) fn push(&mut self, bits: u64) {
        let width = self.dtype.bits();
        if width >= 8 {
            let n = (width / 8) as usize;
            self.bytes.extend(bits.to_le_bytes().iter().take(n));
            return;
        }
        for i in 0..width {
            if self.bit == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= (((bits >> i) & 1) as u8) << self.bit;
            }
            self.bit = (self.bit + 1) % 8;
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// The bits of element `i` of packed `bytes`.
fn bits_at(dtype: DType, bytes: &[u8], i: usize) -> u64 {
    let width = dtype.bits() as usize;
    (0..width).fold(0, |acc, k| {
        let at = i * width + k;
        let byte = bytes.get(at / 8).copied().unwrap_or(0);
        acc | u64::from((byte >> (at % 8)) & 1) << k
    })
}

/// The elements of a tensor as text; `None` where they cannot be read.
pub(super) fn elements(t: &Tensor, notation: Notation) -> Option<Vec<String>> {
    if let Some(strings) = t.strings() {
        return Some(strings.iter().map(|s| super::names::Text(s).to_string()).collect());
    }
    let bytes = t.bytes().ok()?;
    let dtype = t.dtype();
    let count = usize::try_from(t.count()).ok()?;
    if dtype == DType::Bool {
        return bytes.iter().map(|b| if *b > 1 { None } else { Some((*b == 1).to_string()) }).collect();
    }
    Some((0..count).map(|i| element(dtype, bits_at(dtype, &bytes, i), notation)).collect())
}

fn element(dtype: DType, bits: u64, notation: Notation) -> String {
    if !dtype.is_float() {
        let unused = 64 - dtype.bits();
        return match dtype {
            DType::I4 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => {
                (((bits << unused) as i64) >> unused).to_string()
            }
            _ => bits.to_string(),
        };
    }
    let x = float_of(dtype, bits);
    if x.is_nan() {
        return if quiet_nan(dtype) == bits { "nan".into() } else { format!("nan({bits:#x})") };
    }
    match notation {
        _ if x.is_infinite() => if x < 0.0 { "-inf" } else { "inf" }.into(),
        Notation::Hex => Hex(x).to_string(),
        Notation::Decimal => decimal(dtype, x, bits),
    }
}

fn decimal(dtype: DType, x: f64, bits: u64) -> String {
    match dtype {
        DType::F64 => format!("{x:?}"),
        DType::F32 => format!("{:?}", x as f32),
        _ => {
            for digits in 0..17 {
                let short = format!("{x:.digits$e}").parse::<f64>().unwrap_or(x);
                if round(dtype, short) == Some(bits) {
                    return format!("{short:?}");
                }
            }
            format!("{x:?}")
        }
    }
}

/// The value of a bit pattern of a floating-point dtype.
fn float_of(dtype: DType, bits: u64) -> f64 {
    match dtype {
        DType::F16 => f64::from(f16::from_bits(bits as u16)),
        DType::BF16 => f64::from(bf16::from_bits(bits as u16)),
        DType::F32 => f64::from(f32::from_bits(bits as u32)),
        DType::F64 => f64::from_bits(bits),
        _ => bytes_as_floats(dtype).get(bits as usize & 0xff).copied().unwrap_or(f64::NAN),
    }
}

/// The value of each of the 256 patterns of an 8-bit float.
fn bytes_as_floats(dtype: DType) -> &'static [f64] {
    static TABLES: [OnceLock<Vec<f64>>; 2] = [OnceLock::new(), OnceLock::new()];
    let table = &TABLES[usize::from(dtype == DType::F8E5M2)];
    table.get_or_init(|| {
        let all = Tensor::new(dtype, [256], (0..=255u8).collect::<Vec<u8>>());
        all.ok().and_then(|t| t.to_f64s().ok()).unwrap_or_default()
    })
}

/// The pattern that a plain `nan` stands for.
fn quiet_nan(dtype: DType) -> u64 {
    match dtype {
        DType::F16 => 0x7e00,
        DType::BF16 => 0x7fc0,
        DType::F32 => 0x7fc0_0000,
        DType::F64 => 0x7ff8_0000_0000_0000,
        DType::F8E5M2 => 0x7e,
        _ => 0x7f,
    }
}

/// The pattern nearest to `x`; `None` for an 8-bit float that does not have exactly this value.
fn round(dtype: DType, x: f64) -> Option<u64> {
    Some(match dtype {
        _ if x.is_nan() => quiet_nan(dtype),
        DType::F16 => u64::from(f16::from_f64(x).to_bits()),
        DType::BF16 => u64::from(bf16::from_f64(x).to_bits()),
        DType::F32 => u64::from((x as f32).to_bits()),
        DType::F64 => x.to_bits(),
        _ => {
            let same = |y: &f64| *y == x && y.is_sign_negative() == x.is_sign_negative();
            bytes_as_floats(dtype).iter().position(same)? as u64
        }
    })
}

/// The pattern of a number written out, or why there is none.
pub(super) fn pattern(dtype: DType, text: &str) -> Result<u64, String> {
    if dtype.is_float() {
        let bad = || format!("`{}` is no number", super::lex::clip(text));
        // a decimal fp32 is rounded once, not by way of fp64
        if dtype == DType::F32 && !text.contains("0x") {
            return text.parse::<f32>().map(|x| u64::from(x.to_bits())).map_err(|_| bad());
        }
        let x = float(text).ok_or_else(bad)?;
        return round(dtype, x).ok_or_else(|| format!("{text} is no {dtype} value"));
    }
    let n = integer(text).ok_or_else(|| format!("`{}` is no integer", super::lex::clip(text)))?;
    let width = dtype.bits();
    let (low, high) = match dtype {
        DType::I4 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => {
            (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1)
        }
        DType::Bool | DType::String => return Err(format!("`{text}` is no {dtype}")),
        _ => (0, (1i128 << width) - 1),
    };
    if n < low || n > high {
        return Err(format!("{n} is outside {dtype}, which holds {low} to {high}"));
    }
    Ok(n as u64 & (u64::MAX >> (64 - width)))
}

/// The pattern of a NaN, given as such or plain.
pub(super) fn nan_pattern(dtype: DType, bits: Option<u64>) -> Result<u64, String> {
    match bits {
        _ if !dtype.is_float() => Err(format!("there is no NaN of {dtype}")),
        None => Ok(quiet_nan(dtype)),
        Some(b) if b >> dtype.bits().min(63) == 0 && float_of(dtype, b).is_nan() => Ok(b),
        Some(b) if dtype == DType::F64 && f64::from_bits(b).is_nan() => Ok(b),
        Some(b) => Err(format!("{b:#x} is no NaN of {dtype}")),
    }
}

/// An integer, decimal or hexadecimal.
pub(super) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let n = match digits.strip_prefix("0x") {
        Some(hex) if !hex.starts_with('+') => i128::from_str_radix(hex, 16).ok()?,
        _ if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    Some(if negative { -n } else { n })
}

/// A number, decimal or hexadecimal; infinities among them.
pub(super) fn float(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) => hex_float(hex)?,
        None if digits == "inf" => f64::INFINITY,
        None if digits.starts_with(|c: char| c.is_ascii_digit()) => digits.parse().ok()?,
        None => return None,
    };
    Some(sign * magnitude)
}

fn hex_float(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((d, e)) => (d, e.parse::<i32>().ok()?.clamp(-5000, 5000)),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || fraction.len() > 1000 || whole.len() > 1000 {
        return None;
    }
    let mut mantissa = 0u64;
    let mut exponent = exponent - 4 * fraction.len() as i32;
    for c in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(c.to_digit(16)?);
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            // what no longer fits only tells ties from the rest
            mantissa |= u64::from(digit != 0);
            exponent += 4;
        }
    }
    let mut x = mantissa as f64;
    while exponent != 0 {
        let step = exponent.clamp(-1000, 1000);
        x *= 2f64.powi(step);
        exponent -= step;
    }
    Some(x)
}

/// A finite number as C's `%a` writes it.
pub(super) struct Hex(pub(super) f64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.to_bits();
        if bits >> 63 == 1 {
            f.write_char('-')?;
        }
        let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
        let (lead, exponent) = match (exponent, fraction) {
            (0, 0) => (0, 0),
            (0, _) => (0, -1022),
            (e, _) => (1, e - 1023),
        };
        write!(f, "0x{lead}")?;
        if fraction != 0 {
            let digits = format!("{fraction:013x}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        write!(f, "p{exponent:+}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_floats_as_the_c_library_writes_them() {
        // printf("%a") of glibc
        let cases = [
            (10000.0, "0x1.388p+13"),
            (0.0, "0x0p+0"),
            (-0.0, "-0x0p+0"),
            (5.960464477539063e-08, "0x1p-24"),
            (0.1, "0x1.999999999999ap-4"),
            (-1.5, "-0x1.8p+0"),
            (5e-324, "0x0.0000000000001p-1022"),
        ];
        for (x, text) in cases {
            assert_eq!(Hex(x).to_string(), text);
            assert_eq!(float(text).unwrap().to_bits(), x.to_bits());
        }
        assert_eq!(float("0x1p+20000"), Some(f64::INFINITY));
        assert_eq!(float("0x3"), Some(3.0));
        for bad in ["0x", "0xp1", "0x.8p0", "1e", "x", "", "-", "0x1p", "infinity", "+1", "1__0"] {
            assert_eq!(float(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_small_pattern_comes_back() {
        for dtype in [DType::F16, DType::BF16, DType::F8E4M3, DType::F8E5M2, DType::I8, DType::U3, DType::I4]
        {
            for bits in 0..1u64 << dtype.bits() {
                for notation in [Notation::Hex, Notation::Decimal] {
                    let text = element(dtype, bits, notation);
                    let back = match text.strip_prefix("nan") {
                        Some("") => nan_pattern(dtype, None),
                        Some(p) => {
                            let b = integer(p.trim_matches(['(', ')'])).map(|b| b as u64);
                            nan_pattern(dtype, b)
                        }
                        None => pattern(dtype, &text),
                    };
                    assert_eq!(back, Ok(bits), "{dtype} {text}");
                }
            }
        }
    }

    #[test]
    fn wide_patterns_come_back() {
        let f32s = [0x3dcccccdu64, 1, 0x7f7fffff, 0x80000000, 0x7f800000, 0x00800000, 0x7fc00000];
        let f64s = [0x3fb999999999999au64, 1, 0x7fefffffffffffff, 0x8000000000000001];
        let cases = f32s.map(|b| (DType::F32, b)).into_iter().chain(f64s.map(|b| (DType::F64, b)));
        for (dtype, bits) in cases {
            for notation in [Notation::Hex, Notation::Decimal] {
                let text = element(dtype, bits, notation);
                let back = if text == "nan" { nan_pattern(dtype, None) } else { pattern(dtype, &text) };
                assert_eq!(back, Ok(bits), "{text}");
            }
        }
        assert_eq!(pattern(DType::U64, "18446744073709551615"), Ok(u64::MAX));
        assert_eq!(element(DType::U64, u64::MAX, Notation::Hex), "18446744073709551615");
        assert_eq!(pattern(DType::I64, "-9223372036854775808"), Ok(1 << 63));
    }

    #[test]
    fn out_of_range_is_told() {
        assert_eq!(pattern(DType::I4, "8").unwrap_err(), "8 is outside int4, which holds -8 to 7");
        assert!(pattern(DType::U8, "-1").is_err() && pattern(DType::I32, "1.0").is_err());
        assert!(pattern(DType::F8E4M3, "0.3").is_err());
        assert!(nan_pattern(DType::F16, Some(0x17e00)).is_err());
        assert!(nan_pattern(DType::F16, Some(0x3c00)).is_err());
    }
}
