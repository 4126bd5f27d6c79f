//! Dims that are not numbers: polynomials of symbols, kept in one form so that equal ones have equal ids.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::types::Dim;

/// An interned expression of a [`DimTable`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExprId(u32);

impl std::fmt::Debug for ExprId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "d{}", self.0)
    }
}

/// What cannot be expanded further.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Atom {
    /// A free symbol, numbered in order of appearance.
    Var(u32),
    /// Division towards minus infinity.
    FloorDiv(Poly, Poly),
    /// The larger of two.
    Max(Poly, Poly),
}

/// A product of atoms, sorted.
type Monomial = SmallVec<[u32; 2]>;

/// Sum of products with integer factors, sorted by monomial; the empty monomial is the constant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
struct Poly(Vec<(Monomial, i64)>);

/// An integer that may be known only as an expression: a dim, or an element of a small integer tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Int {
    /// A number, which may be negative.
    Known(i64),
    /// An expression of symbols.
    Expr(ExprId),
}

impl Int {
    /// The number, where there is one.
    pub fn known(self) -> Option<i64> {
        match self {
            Int::Known(n) => Some(n),
            Int::Expr(_) => None,
        }
    }

    /// This integer as an extent: unknown where it is negative.
    pub fn dim(self) -> Dim {
        match self {
            Int::Known(n) => u64::try_from(n).map_or(Dim::Unknown, Dim::Known),
            Int::Expr(e) => Dim::Expr(e),
        }
    }
}

/// The symbols of one program and the expressions made of them.
#[derive(Clone, Debug, Default)]
pub struct DimTable {
    polys: Vec<Poly>,
    ids: FxHashMap<Poly, u32>,
    atoms: Vec<Atom>,
    atom_ids: FxHashMap<Atom, u32>,
    vars: u32,
}

/// Products with more terms than this become a fresh symbol: exact bookkeeping would cost more than it tells.
const MAX_TERMS: usize = 32;

/// How deep [`DimTable::show`] follows quotients and maxima: deeper ones say nothing to a reader.
const MAX_SHOWN_DEPTH: usize = 6;

impl DimTable {
    /// A dim about which nothing is known yet, distinct from all others.
    pub fn fresh(&mut self) -> Dim {
        let var = Atom::Var(self.vars);
        self.vars += 1;
        let atom = self.atom(var);
        match self.intern(Poly(vec![(SmallVec::from_slice(&[atom]), 1)])) {
            Int::Expr(e) => Dim::Expr(e),
            Int::Known(_) => Dim::Unknown,
        }
    }

    /// A dim as an integer to compute with; an unknown one gets a fresh symbol.
    pub fn int(&mut self, dim: Dim) -> Int {
        match dim {
            Dim::Known(n) => match i64::try_from(n) {
                Ok(n) => Int::Known(n),
                Err(_) => self.fresh_int(),
            },
            Dim::Expr(e) => Int::Expr(e),
            Dim::Unknown => self.fresh_int(),
        }
    }

    fn fresh_int(&mut self) -> Int {
        match self.fresh() {
            Dim::Expr(e) => Int::Expr(e),
            _ => Int::Known(0),
        }
    }

    /// `a + b`.
    pub fn add(&mut self, a: Int, b: Int) -> Int {
        if let (Int::Known(a), Int::Known(b)) = (a, b)
            && let Some(n) = a.checked_add(b)
        {
            return Int::Known(n);
        }
        let mut sum = self.poly(a);
        sum.0.extend(self.poly(b).0);
        self.normal(sum)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Int, b: Int) -> Int {
        let minus_b = self.mul(b, Int::Known(-1));
        self.add(a, minus_b)
    }

    /// `a * b`.
    pub fn mul(&mut self, a: Int, b: Int) -> Int {
        if let (Int::Known(a), Int::Known(b)) = (a, b)
            && let Some(n) = a.checked_mul(b)
        {
            return Int::Known(n);
        }
        let (a, b) = (self.poly(a), self.poly(b));
        if a.0.len() * b.0.len() > MAX_TERMS {
            return self.fresh_int();
        }
        let mut product = Poly::default();
        for (ma, ca) in &a.0 {
            for (mb, cb) in &b.0 {
                let Some(c) = ca.checked_mul(*cb) else { return self.fresh_int() };
                let mut m: Monomial = ma.iter().chain(mb).copied().collect();
                m.sort_unstable();
                product.0.push((m, c));
            }
        }
        self.normal(product)
    }

    /// `a / b`, rounded towards minus infinity; exact where every term of `a` divides. A fresh symbol for `b = 0`.
    pub fn floor_div(&mut self, a: Int, b: Int) -> Int {
        match (a, b) {
            (_, Int::Known(0)) => return self.fresh_int(),
            (a, Int::Known(1)) => return a,
            (Int::Known(a), Int::Known(b)) => {
                let q = a.wrapping_div(b);
                return Int::Known(if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) { q - 1 } else { q });
            }
            _ => {}
        }
        let (pa, pb) = (self.poly(a), self.poly(b));
        if let Some(q) = exact_quotient(&pa, &pb) {
            return self.normal(q);
        }
        let atom = self.atom(Atom::FloorDiv(pa, pb));
        self.intern(Poly(vec![(SmallVec::from_slice(&[atom]), 1)]))
    }

    /// The larger of `a` and `b`.
    pub fn max(&mut self, a: Int, b: Int) -> Int {
        match (a, b) {
            (Int::Known(a), Int::Known(b)) => Int::Known(a.max(b)),
            (a, b) if a == b => a,
            _ => {
                let (mut pa, mut pb) = (self.poly(a), self.poly(b));
                if pb < pa {
                    std::mem::swap(&mut pa, &mut pb);
                }
                let atom = self.atom(Atom::Max(pa, pb));
                self.intern(Poly(vec![(SmallVec::from_slice(&[atom]), 1)]))
            }
        }
    }

    fn poly(&self, a: Int) -> Poly {
        match a {
            Int::Known(0) => Poly::default(),
            Int::Known(n) => Poly(vec![(Monomial::new(), n)]),
            Int::Expr(e) => self.polys.get(e.0 as usize).cloned().unwrap_or_default(),
        }
    }

    fn normal(&mut self, mut p: Poly) -> Int {
        p.0.sort_unstable();
        let mut out: Vec<(Monomial, i64)> = Vec::with_capacity(p.0.len());
        for (m, c) in p.0 {
            match out.last_mut() {
                Some((last, sum)) if *last == m => match sum.checked_add(c) {
                    Some(s) => *sum = s,
                    None => return self.fresh_int(),
                },
                _ => out.push((m, c)),
            }
        }
        out.retain(|(_, c)| *c != 0);
        if out.len() > MAX_TERMS {
            return self.fresh_int();
        }
        self.intern(Poly(out))
    }

    fn intern(&mut self, p: Poly) -> Int {
        match p.0.as_slice() {
            [] => return Int::Known(0),
            [(m, c)] if m.is_empty() => return Int::Known(*c),
            _ => {}
        }
        if let Some(&id) = self.ids.get(&p) {
            return Int::Expr(ExprId(id));
        }
        let id = self.polys.len() as u32;
        self.polys.push(p.clone());
        self.ids.insert(p, id);
        Int::Expr(ExprId(id))
    }

    fn atom(&mut self, a: Atom) -> u32 {
        if let Some(&id) = self.atom_ids.get(&a) {
            return id;
        }
        let id = self.atoms.len() as u32;
        self.atoms.push(a.clone());
        self.atom_ids.insert(a, id);
        id
    }

    /// The expression in words a reader can follow: `s0`, `2*s0 + 1`, `floor((s0 - 1) / (2))`. What is nested
    /// deeper than [`MAX_SHOWN_DEPTH`] prints as `..`.
    pub fn show(&self, e: ExprId) -> String {
        self.polys.get(e.0 as usize).map_or_else(String::new, |p| self.show_poly(p, 0))
    }

    fn show_poly(&self, p: &Poly, depth: usize) -> String {
        let mut out = String::new();
        for (m, c) in p.0.iter().rev() {
            if !out.is_empty() {
                out.push_str(if *c < 0 { " - " } else { " + " });
            } else if *c < 0 {
                out.push('-');
            }
            let factors: Vec<String> = m.iter().map(|&a| self.show_atom(a, depth)).collect();
            match (c.unsigned_abs(), factors.is_empty()) {
                (n, true) => out.push_str(&n.to_string()),
                (1, false) => out.push_str(&factors.join("*")),
                (n, false) => out.push_str(&format!("{n}*{}", factors.join("*"))),
            }
        }
        if out.is_empty() { "0".into() } else { out }
    }

    fn show_atom(&self, atom: u32, depth: usize) -> String {
        let both = |a, b| (self.show_poly(a, depth + 1), self.show_poly(b, depth + 1));
        match self.atoms.get(atom as usize) {
            Some(Atom::Var(n)) => format!("s{n}"),
            Some(_) if depth >= MAX_SHOWN_DEPTH => "..".into(),
            Some(Atom::FloorDiv(a, b)) => {
                let (a, b) = both(a, b);
                format!("floor(({a}) / ({b}))")
            }
            Some(Atom::Max(a, b)) => {
                let (a, b) = both(a, b);
                format!("max({a}, {b})")
            }
            None => String::new(),
        }
    }
}

/// `a / b` where `b` is one monomial that divides every term of `a`.
fn exact_quotient(a: &Poly, b: &Poly) -> Option<Poly> {
    let [(mb, cb)] = b.0.as_slice() else { return None };
    let divide = |(ma, ca): &(Monomial, i64)| {
        let mut rest = ma.clone();
        for atom in mb {
            let at = rest.iter().position(|x| x == atom)?;
            rest.remove(at);
        }
        (ca % cb == 0).then_some((rest, ca / cb))
    };
    a.0.iter().map(divide).collect::<Option<Vec<_>>>().map(Poly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_expressions_have_equal_ids() {
        let mut t = DimTable::default();
        let n = t.fresh();
        let n = t.int(n);
        let twice = t.mul(n, Int::Known(2));
        let sum = t.add(n, n);
        assert_eq!(twice, sum);
        let back = t.sub(sum, n);
        assert_eq!(back, n);
        assert_eq!(t.floor_div(twice, Int::Known(2)), n);
        assert_eq!(t.floor_div(twice, n), Int::Known(2));
        assert_eq!(t.sub(twice, sum), Int::Known(0));
    }

    #[test]
    fn a_quotient_that_does_not_divide_stays() {
        let mut t = DimTable::default();
        let n = t.fresh();
        let n = t.int(n);
        let less = t.sub(n, Int::Known(1));
        let q = t.floor_div(less, Int::Known(2));
        let Int::Expr(e) = q else { panic!("{q:?}") };
        assert_eq!(t.show(e), "floor((s0 - 1) / (2))");
        assert_eq!(t.floor_div(Int::Known(-7), Int::Known(2)), Int::Known(-4));
        let zero = t.floor_div(n, Int::Known(0));
        assert!(zero != n && zero.known().is_none());
    }
}
