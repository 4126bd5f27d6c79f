//! Whether the values of a patch agree with those that they stand for.

use anewrite_interp::{Arithmetic, Array, Value};
use anewrite_rewrite::{Claim, Grade, IndexMap, Zeros};
use anewrite_tensor::DType;

use crate::compare::{Difference, EXACT, describe};
use crate::fill::nearest;
use crate::oracle::Ran;
use crate::region::{Pair, Side};

/// What pairs are held to.
pub(crate) struct Judge<'a> {
    pub(crate) claim: &'a Claim<'a>,
    pub(crate) pairs: &'a [Pair],
    pub(crate) arithmetic: Arithmetic,
    /// How far the value of each pair may be off besides; nothing where it is empty.
    pub(crate) slack: Vec<f64>,
}

/// Compares all pairs.
///
/// # Errors
/// The first difference that the rule's grade does not allow.
pub(crate) fn judge(j: &Judge<'_>, ran: &Ran) -> Result<(), String> {
    for (i, pair) in j.pairs.iter().enumerate() {
        let slack = j.slack.get(i).copied().unwrap_or(0.0);
        let name = &j.claim.program.value(pair.old).name;
        let (old, new) = arrays(j, pair, ran).map_err(|why| format!("{name}: {why}"))?;
        agree(j, &old, &new, slack).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

/// The two arrays of a pair, the old one moved to where the new one has its elements.
pub(crate) fn arrays(j: &Judge<'_>, pair: &Pair, ran: &Ran) -> Result<(Array, Array), String> {
    let constant = |p: &anewrite_ir::Program, v| {
        let t = p.constant(v).map(|c| &c.tensor)?;
        let mut items = t.to_f64s().ok()?;
        if j.arithmetic != Arithmetic::Fp64 && t.dtype().is_float() {
            items.iter_mut().for_each(|x| *x = nearest(DType::F16, *x));
        }
        Array::new::<f64>(t.dtype(), t.dims().iter().copied(), items).ok()
    };
    let found = |held: Option<&Value>| held.and_then(|v| v.tensor().ok()).cloned();
    let p = j.claim.program;
    let old = found(ran.old.get(&pair.old)).or_else(|| constant(p, pair.old));
    let new = match pair.new {
        Side::Patch(v) => found(ran.new.get(&v)).or_else(|| constant(&j.claim.patch.body, v)),
        Side::Program(v) => found(ran.old.get(&v)).or_else(|| constant(p, v)),
    };
    let (Some(old), Some(new)) = (old, new) else { return Err("it is no tensor".into()) };
    let old = moved(&old, &pair.map)?;
    if old.dims() != new.dims() && pair.map != IndexMap::Reshaped {
        return Err(format!("its extents would be {:?} and were {:?}", new.dims(), old.dims()));
    }
    if old.len() != new.len() {
        return Err(format!("{} elements would stand for {}", new.len(), old.len()));
    }
    Ok((old, new))
}

fn moved(a: &Array, map: &IndexMap) -> Result<Array, String> {
    let IndexMap::Transposed(perm) = map else { return Ok(a.clone()) };
    let items = a.to_f64s().map_err(|e| e.to_string())?;
    let dims = a.dims();
    if perm.len() != dims.len() || perm.iter().any(|&axis| axis >= dims.len()) {
        return Err(format!("{perm:?} is no order of the axes of {a:?}"));
    }
    let mut strides = vec![1usize; dims.len()];
    for axis in (0..dims.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * dims[axis + 1] as usize;
    }
    let to: Vec<u64> = perm.iter().map(|&axis| dims[axis]).collect();
    let steps: Vec<usize> = perm.iter().map(|&axis| strides[axis]).collect();
    let mut index = vec![0u64; to.len()];
    let mut out: Vec<f64> = Vec::with_capacity(items.len());
    for _ in 0..items.len() {
        let at: usize = index.iter().zip(&steps).map(|(&i, &s)| i as usize * s).sum();
        out.extend(items.get(at));
        for axis in (0..to.len()).rev() {
            index[axis] += 1;
            if index[axis] < to[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Array::new(a.dtype(), to, out).map_err(|e| e.to_string())
}

fn agree(j: &Judge<'_>, old: &Array, new: &Array, slack: f64) -> Result<(), String> {
    if let (Some(a), Some(b)) = (old.as_texts(), new.as_texts()) {
        return if a == b { Ok(()) } else { Err("the texts differ".into()) };
    }
    let (Ok(a), Ok(b)) = (old.to_f64s(), new.to_f64s()) else { return Err("text against numbers".into()) };
    if !old.dtype().is_float() || j.claim.rule.grade == Grade::BitExact {
        return same_bits(&a, &b);
    }
    let d = Difference::of(&a, &b);
    if d.broken + d.healed > 0 {
        let at = a
            .iter()
            .zip(&b)
            .position(|(a, b)| (a.is_nan() != b.is_nan()) || (!a.is_nan() && !b.is_finite() && a != b));
        let at =
            at.or_else(|| a.iter().zip(&b).position(|(a, b)| a.is_finite() != b.is_finite())).unwrap_or(0);
        return Err(format!("element {at} would be {} and was {}", b[at], a[at]));
    }
    let share = match j.claim.rule.grade {
        Grade::Approximate => j.claim.rule.bound,
        _ => EXACT,
    };
    let allowed = share * d.scale + slack;
    if d.max_abs > allowed {
        return Err(format!(
            "{}; {:.2e} off at a scale of {:.2e}, where {allowed:.2e} is allowed",
            describe(&d, &a, &b),
            d.max_abs,
            d.scale
        ));
    }
    if j.claim.rule.zeros == Zeros::Keep && j.claim.rule.grade == Grade::Exact && d.flipped_zeros > 0 {
        return Err(format!("{} zeros change their sign, which the rule does not say", d.flipped_zeros));
    }
    Ok(())
}

fn same_bits(a: &[f64], b: &[f64]) -> Result<(), String> {
    let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    match a.iter().zip(b).position(|pair| !same(pair)) {
        None => Ok(()),
        Some(at) => Err(format!("element {at} would be {:e} and was {:e}", b[at], a[at])),
    }
}
