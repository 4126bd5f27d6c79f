//! Dims that are not numbers: polynomials of symbols, kept in one form so that equal ones have equal ids.
//!
//! A symbol for an extent is taken to be at least 1: Core ML has no empty tensors among inputs and states.

mod bounds;
mod poly;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use self::bounds::Bounds;
use self::poly::{Atom, Monomial, Poly, exact_quotient, floor_quotient};
use crate::types::Dim;

/// An interned expression of a [`DimTable`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExprId(u32);

impl std::fmt::Debug for ExprId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "d{}", self.0)
    }
}

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
    atom_bounds: Vec<Bounds>,
    assumed: FxHashMap<ExprId, i64>,
    vars: u32,
}

/// Products with more terms than this become a fresh symbol: exact bookkeeping would cost more than it tells.
const MAX_TERMS: usize = 32;

/// Products of more symbols than this become a fresh symbol, so that squaring again and again stays cheap.
const MAX_DEGREE: usize = 16;

/// How deep [`DimTable::show`] follows quotients and maxima: deeper ones say nothing to a reader.
const MAX_SHOWN_DEPTH: usize = 6;

impl DimTable {
    /// A dim about which nothing is known yet but that it is at least 1, distinct from all others.
    pub fn fresh(&mut self) -> Dim {
        self.symbol(Bounds::at_least(1)).dim()
    }

    /// An integer about which nothing is known, distinct from all others.
    pub fn fresh_int(&mut self) -> Int {
        self.symbol(Bounds::default())
    }

    fn symbol(&mut self, bounds: Bounds) -> Int {
        let var = Atom::Var(self.vars);
        self.vars += 1;
        self.atom(var, bounds)
    }

    /// A dim as an integer to compute with; an unknown one gets a fresh symbol.
    pub fn int(&mut self, dim: Dim) -> Int {
        match dim {
            Dim::Known(n) => match i64::try_from(n) {
                Ok(n) => Int::Known(n),
                Err(_) => self.fresh_int(),
            },
            Dim::Expr(e) => Int::Expr(e),
            Dim::Unknown => self.symbol(Bounds::at_least(1)),
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
                if ma.len() + mb.len() > MAX_DEGREE {
                    return self.fresh_int();
                }
                let mut m: Monomial = ma.iter().chain(mb).copied().collect();
                m.sort_unstable();
                product.0.push((m, c));
            }
        }
        self.normal(product)
    }

    /// `a / b`, rounded towards minus infinity. A fresh symbol for `b = 0`.
    ///
    /// By a number, the form is unique: whole multiples leave the quotient and nested quotients join, so that
    /// the two halvings `floor((n - 1) / 2) + 1` and `floor((n + 1) / 2)` are one expression.
    pub fn floor_div(&mut self, a: Int, b: Int) -> Int {
        match (a, b) {
            (_, Int::Known(0)) => return self.fresh_int(),
            (a, Int::Known(1)) => return a,
            (Int::Known(a), Int::Known(b)) => {
                return floor_quotient(a, b).map_or_else(|| self.fresh_int(), Int::Known);
            }
            _ => {}
        }
        if let Int::Known(b) = b {
            return self.floor_div_known(a, b);
        }
        let (pa, pb) = (self.poly(a), self.poly(b));
        if let Some(q) = exact_quotient(&pa, &pb) {
            return self.normal(q);
        }
        self.quotient_atom(pa, pb)
    }

    /// `a / b` for `b` other than 0.
    fn floor_div_known(&mut self, a: Int, b: i64) -> Int {
        let mut a = self.poly(a);
        let mut b = b;
        if b < 0 {
            let (Some(negated), Some(positive)) = (a.times(-1), b.checked_neg()) else {
                return self.fresh_int();
            };
            (a, b) = (negated, positive);
        }
        // floor((floor(p / c) + r) / b) = floor((p + r*c) / (b*c)), for p an integer
        while let Some((p, c, r)) = self.as_quotient(&a) {
            let (Some(bc), Some(rc)) = (b.checked_mul(c), r.checked_mul(c)) else { break };
            let mut joined = p;
            joined.0.push((Monomial::new(), rc));
            let joined = self.normal(joined);
            (a, b) = (self.poly(joined), bc);
        }
        let by = |part: fn(i64, i64) -> i64| {
            Poly(a.0.iter().map(|(m, c)| (m.clone(), part(*c, b))).filter(|(_, c)| *c != 0).collect())
        };
        let (whole, rest) = (by(i64::div_euclid), by(i64::rem_euclid));
        let whole = self.normal(whole);
        match rest.0.as_slice() {
            [] => whole,
            [(m, _)] if m.is_empty() => whole,
            _ => {
                let fraction = self.quotient_atom(rest, Poly(vec![(Monomial::new(), b)]));
                self.add(whole, fraction)
            }
        }
    }

    /// `p`, `c` and `r` where `a` is `floor(p / c) + r` for numbers `c` and `r`.
    fn as_quotient(&self, a: &Poly) -> Option<(Poly, i64, i64)> {
        let (r, atom) = match a.0.as_slice() {
            [(m, 1)] => (0, m),
            [(none, r), (m, 1)] if none.is_empty() => (*r, m),
            _ => return None,
        };
        let [atom] = atom.as_slice() else { return None };
        match self.atoms.get(*atom as usize)? {
            Atom::FloorDiv(p, c) => match c.0.as_slice() {
                [(m, c)] if m.is_empty() => Some((p.clone(), *c, r)),
                _ => None,
            },
            _ => None,
        }
    }

    fn quotient_atom(&mut self, a: Poly, b: Poly) -> Int {
        let bounds = self.bounds(&a).floor_div(self.bounds(&b));
        self.atom(Atom::FloorDiv(a, b), bounds)
    }

    /// The value of every expression where symbol `n` (`s0`, `s1`… of [`DimTable::show`]) stands for
    /// `symbol(n)`. Expressions of symbols without a value, divisions by 0 and overflows have none.
    ///
    /// ```
    /// use anewrite_ir::dims::{DimTable, Int};
    /// let mut t = DimTable::default();
    /// let n = t.fresh();
    /// let n = t.int(n);
    /// let half = t.floor_div(n, Int::Known(2));
    /// let at_seven = t.evaluate(|_| Some(7));
    /// assert_eq!(at_seven.int(half), Some(3));
    /// ```
    pub fn evaluate(&self, symbol: impl Fn(u32) -> Option<i64>) -> DimValues {
        // an atom's parts are made before it, so one pass in order of making sees every part's value
        let mut atoms: Vec<Option<i64>> = Vec::with_capacity(self.atoms.len());
        for a in &self.atoms {
            let value = match a {
                Atom::Var(n) => symbol(*n),
                Atom::FloorDiv(a, b) => match (a.value(&atoms), b.value(&atoms)) {
                    (Some(a), Some(b)) => floor_quotient(a, b),
                    _ => None,
                },
                Atom::Max(a, b) => a.value(&atoms).zip(b.value(&atoms)).map(|(a, b)| a.max(b)),
                Atom::Min(a, b) => a.value(&atoms).zip(b.value(&atoms)).map(|(a, b)| a.min(b)),
            };
            atoms.push(value);
        }
        DimValues(self.polys.iter().map(|p| p.value(&atoms)).collect())
    }

    fn poly(&self, a: Int) -> Poly {
        match a {
            Int::Known(0) => Poly::default(),
            Int::Known(n) => Poly(vec![(Monomial::new(), n)]),
            Int::Expr(e) => self.polys.get(e.0 as usize).cloned().unwrap_or_default(),
        }
    }

    fn normal(&mut self, p: Poly) -> Int {
        match p.merged() {
            Some(p) if p.0.len() <= MAX_TERMS => self.intern(p),
            _ => self.fresh_int(),
        }
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

    /// The expression that is just this atom.
    fn atom(&mut self, a: Atom, bounds: Bounds) -> Int {
        let id = match self.atom_ids.get(&a) {
            Some(&id) => id,
            None => {
                let id = self.atoms.len() as u32;
                self.atoms.push(a.clone());
                self.atom_bounds.push(bounds);
                self.atom_ids.insert(a, id);
                id
            }
        };
        self.intern(Poly(vec![(SmallVec::from_slice(&[id]), 1)]))
    }

    /// The expression in words a reader can follow: `s0`, `2*s0 + 1`, `floor((s0 - 1) / (2))`. What is nested
    /// deeper than six levels prints as `..`.
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
            Some(Atom::Min(a, b)) => {
                let (a, b) = both(a, b);
                format!("min({a}, {b})")
            }
            None => String::new(),
        }
    }
}

/// The values of a [`DimTable`]'s expressions under one choice of its symbols.
#[derive(Clone, Debug)]
pub struct DimValues(Vec<Option<i64>>);

impl DimValues {
    /// The value of an integer.
    pub fn int(&self, n: Int) -> Option<i64> {
        match n {
            Int::Known(n) => Some(n),
            Int::Expr(e) => *self.0.get(e.0 as usize)?,
        }
    }

    /// The value of a dim; none for [`Dim::Unknown`] and for negative values.
    pub fn dim(&self, d: Dim) -> Option<u64> {
        match d {
            Dim::Known(n) => Some(n),
            Dim::Expr(e) => u64::try_from(self.int(Int::Expr(e))?).ok(),
            Dim::Unknown => None,
        }
    }
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
        assert_eq!(t.show(e), "floor((s0 + 1) / (2)) - 1");
        assert_eq!(t.floor_div(Int::Known(-7), Int::Known(2)), Int::Known(-4));
        let mut power = n;
        for _ in 0..200 {
            power = t.mul(power, power);
        }
        assert!(power.known().is_none());
        let zero = t.floor_div(n, Int::Known(0));
        assert!(zero != n && zero.known().is_none());
        assert!(t.floor_div(Int::Known(i64::MIN), Int::Known(-1)).known().is_none());
    }

    #[test]
    fn quotients_by_numbers_have_one_form() {
        let mut t = DimTable::default();
        let n = t.fresh();
        let n = t.int(n);
        let plus = |t: &mut DimTable, k| t.add(n, Int::Known(k));
        let (less, more) = (plus(&mut t, -1), plus(&mut t, 1));
        let low = t.floor_div(less, Int::Known(2));
        let low = t.add(low, Int::Known(1));
        assert_eq!(low, t.floor_div(more, Int::Known(2)));
        // halved twice with rounding up is a quarter rounded up
        let again = t.add(low, Int::Known(1));
        let again = t.floor_div(again, Int::Known(2));
        let three = plus(&mut t, 3);
        assert_eq!(again, t.floor_div(three, Int::Known(4)));
        let (seven_n, minus_three) = (t.mul(n, Int::Known(7)), Int::Known(-3));
        let a = t.add(seven_n, Int::Known(5));
        let q = t.floor_div(a, minus_three);
        for v in [-8, -1, 0, 1, 2, 3, 4, 11] {
            let at = t.evaluate(|_| Some(v));
            assert_eq!(at.int(q), Some((f64::from(7 * v as i32 + 5) / -3.0).floor() as i64), "{v}");
            assert_eq!(at.int(again), Some((v + 3).div_euclid(4)), "{v}");
        }
    }
}
