//! Sums of products of atoms: what an expression of dims is made of.

use smallvec::SmallVec;

/// What cannot be expanded further.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Atom {
    /// A free symbol, numbered in order of appearance.
    Var(u32),
    /// Division towards minus infinity.
    FloorDiv(Poly, Poly),
    /// The larger of two.
    Max(Poly, Poly),
    /// The smaller of two.
    Min(Poly, Poly),
}

/// A product of atoms, sorted.
pub(super) type Monomial = SmallVec<[u32; 2]>;

/// Sum of products with integer factors, sorted by monomial; the empty monomial is the constant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Poly(pub(super) Vec<(Monomial, i64)>);

impl Poly {
    /// Sorted, with one term a monomial and none of factor 0; nothing on overflow.
    pub(super) fn merged(mut self) -> Option<Poly> {
        self.0.sort_unstable();
        let mut out: Vec<(Monomial, i64)> = Vec::with_capacity(self.0.len());
        for (m, c) in self.0 {
            match out.last_mut() {
                Some((last, sum)) if *last == m => *sum = sum.checked_add(c)?,
                _ => out.push((m, c)),
            }
        }
        out.retain(|(_, c)| *c != 0);
        Some(Poly(out))
    }

    /// Every term times `by`; nothing on overflow.
    pub(super) fn times(&self, by: i64) -> Option<Poly> {
        self.0.iter().map(|(m, c)| Some((m.clone(), c.checked_mul(by)?))).collect::<Option<_>>().map(Poly)
    }

    /// The value where atom `n` has the value `atoms[n]`; none on overflow.
    pub(super) fn value(&self, atoms: &[Option<i64>]) -> Option<i64> {
        let mut sum = 0i64;
        for (m, c) in &self.0 {
            let mut term = *c;
            for &atom in m {
                term = term.checked_mul((*atoms.get(atom as usize)?)?)?;
            }
            sum = sum.checked_add(term)?;
        }
        Some(sum)
    }
}

/// `a / b` towards minus infinity; none for `b = 0` and on overflow.
pub(super) fn floor_quotient(a: i64, b: i64) -> Option<i64> {
    let q = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
}

/// `a / b` where `b` is one monomial that divides every term of `a`.
pub(super) fn exact_quotient(a: &Poly, b: &Poly) -> Option<Poly> {
    let [(mb, cb)] = b.0.as_slice() else { return None };
    let divide = |(ma, ca): &(Monomial, i64)| {
        let mut rest = ma.clone();
        for atom in mb {
            let at = rest.iter().position(|x| x == atom)?;
            rest.remove(at);
        }
        (ca.checked_rem(*cb)? == 0).then_some((rest, ca.checked_div(*cb)?))
    };
    a.0.iter().map(divide).collect::<Option<Vec<_>>>().map(Poly)
}
