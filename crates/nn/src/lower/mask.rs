//! Bands and triangles of matrices.

use anewrite_ir::ValueId;

use super::context::one;
use super::{Cx, Lowered, One};

pub(crate) fn matrix_band_part(cx: &mut Cx<'_, '_>, _: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let f = cx.fields();
    let x = cx.x(0)?;
    cx.rank_from(x, 2)?;
    one(band(cx, x, f.int("numLower")?, f.int("numUpper")?)?)
}

/// `lowerTriangular` keeps what is on or below diagonal `k`, `upperTriangular` what is on or above it.
pub(crate) fn triangular(cx: &mut Cx<'_, '_>, side: &'static str) -> Lowered {
    cx.arity_in(1..=1)?;
    let x = cx.x(0)?;
    cx.rank_from(x, 2)?;
    let k = cx.fields().int("k")?;
    let lower = side == "lower";
    if lower && k >= 0 {
        return one(band(cx, x, -1, k)?);
    }
    if !lower && k <= 0 {
        return one(band(cx, x, k.saturating_neg(), -1)?);
    }
    // A band reaches up to the main diagonal at least, so a triangle that ends short of it is what another band
    // leaves out. The band of ones says where, for x itself may hold infinities.
    let shape = cx.extents(x)?;
    let (unit, zero) = (cx.num(1.0)?, cx.num(0.0)?);
    let ones = cx.op("fill", &[("shape", shape), ("value", unit)])?;
    let rest = match lower {
        true => band(cx, ones, k.saturating_neg().saturating_sub(1), -1)?,
        false => band(cx, ones, -1, k.saturating_sub(1))?,
    };
    let rest = cx.bool_of(rest)?;
    one(cx.op("select", &[("cond", rest), ("a", zero), ("b", x)])?)
}

fn band(cx: &mut Cx<'_, '_>, x: ValueId, lower: i64, upper: i64) -> One {
    let (lower, upper) = (cx.int(lower)?, cx.int(upper)?);
    cx.op("band_part", &[("x", x), ("lower", lower), ("upper", upper)])
}
