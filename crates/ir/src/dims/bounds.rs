//! Between which numbers an expression lies, as far as its parts tell, and the larger and smaller of two.

use std::cmp::Ordering;

use super::{Atom, DimTable, Int, Poly};

/// The least and the greatest value; `None` where there is no such bound or it does not fit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    low: Option<i64>,
    high: Option<i64>,
}

impl Bounds {
    pub(super) fn at_least(low: i64) -> Bounds {
        Bounds { low: Some(low), high: None }
    }

    pub(super) fn exactly(n: i64) -> Bounds {
        Bounds { low: Some(n), high: Some(n) }
    }

    pub(super) fn max(self, other: Bounds) -> Bounds {
        let low = match (self.low, other.low) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        Bounds { low, high: self.high.zip(other.high).map(|(a, b)| a.max(b)) }
    }

    pub(super) fn min(self, other: Bounds) -> Bounds {
        let high = match (self.high, other.high) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Bounds { low: self.low.zip(other.low).map(|(a, b)| a.min(b)), high }
    }

    /// Known only where nothing is negative and the divisor is not 0.
    pub(super) fn floor_div(self, by: Bounds) -> Bounds {
        let (Some(low @ 0..), Some(least @ 1..)) = (self.low, by.low) else { return Bounds::default() };
        Bounds { low: Some(by.high.map_or(0, |most| low / most)), high: self.high.map(|h| h / least) }
    }

    fn add(self, other: Bounds) -> Bounds {
        let sum = |a: Option<i64>, b: Option<i64>| a?.checked_add(b?);
        Bounds { low: sum(self.low, other.low), high: sum(self.high, other.high) }
    }

    fn scale(self, by: i64) -> Bounds {
        let times = |a: Option<i64>| a?.checked_mul(by);
        let (low, high) = (times(self.low), times(self.high));
        if by < 0 { Bounds { low: high, high: low } } else { Bounds { low, high } }
    }

    /// Known only where neither is negative.
    fn mul(self, other: Bounds) -> Bounds {
        let (Some(a @ 0..), Some(b @ 0..)) = (self.low, other.low) else { return Bounds::default() };
        let high = self.high.zip(other.high).and_then(|(a, b)| a.checked_mul(b));
        Bounds { low: a.checked_mul(b), high }
    }
}

/// So many quotients are held against the rest of an expression.
const MAX_CANCELLED: usize = 4;

impl DimTable {
    /// A number that `n` is never below.
    pub fn lower_bound(&self, n: Int) -> Option<i64> {
        let computed = self.low(self.poly(n));
        let Int::Expr(e) = n else { return computed };
        computed.max(self.assumed.get(&e).copied())
    }

    /// A number that `n` is never above.
    pub fn upper_bound(&self, n: Int) -> Option<i64> {
        self.low(self.poly(n).times(-1)?)?.checked_neg()
    }

    /// The lower bound from the parts. A quotient that is subtracted is at most what exact division gives, which
    /// cancels against the rest: `n - floor(n / 2)` is at least half of `n`.
    fn low(&self, p: Poly) -> Option<i64> {
        let (mut best, mut p, mut scale) = (self.bounds(&p).low, p, 1i64);
        for _ in 0..MAX_CANCELLED {
            let Some((exact, d)) = self.without_quotient(&p) else { break };
            let Some(scaled) = scale.checked_mul(d) else { break };
            (p, scale) = (exact, scaled);
            let low = self.bounds(&p).low;
            best = best.max(low.map(|l| l.div_euclid(scale) + i64::from(l.rem_euclid(scale) != 0)));
        }
        best
    }

    /// `d * p` with the first subtracted `floor(q / d)` taken for `q / d`, and `d`.
    fn without_quotient(&self, p: &Poly) -> Option<(Poly, i64)> {
        p.0.iter().enumerate().find_map(|(i, (m, c))| {
            let ([atom], ..0) = (m.as_slice(), *c) else { return None };
            let Some(Atom::FloorDiv(q, d)) = self.atoms.get(*atom as usize) else { return None };
            let [(one, d @ 1..)] = d.0.as_slice() else { return None };
            let mut rest = p.clone();
            rest.0.remove(i);
            let mut exact = rest.times(*d)?;
            exact.0.extend(q.times(*c)?.0);
            one.is_empty().then_some((exact.merged()?, *d))
        })
    }

    /// Takes it as given that `n` is at least `low`: it is the extent of a tensor that exists.
    pub fn assume_at_least(&mut self, n: Int, low: i64) {
        let Int::Expr(e) = n else { return };
        if self.lower_bound(n).is_none_or(|l| l < low) {
            self.assumed.insert(e, low);
        }
    }

    /// The larger of `a` and `b`.
    pub fn max(&mut self, a: Int, b: Int) -> Int {
        match self.order(a, b) {
            Some(Ordering::Less) => return b,
            Some(_) => return a,
            None => {}
        }
        let (pa, pb) = self.sorted(a, b);
        if self.is_min_with(&pa, &pb) {
            return self.intern(pb);
        }
        if self.is_min_with(&pb, &pa) {
            return self.intern(pa);
        }
        let bounds = self.bounds(&pa).max(self.bounds(&pb));
        self.atom(Atom::Max(pa, pb), bounds)
    }

    /// The smaller of `a` and `b`.
    pub fn min(&mut self, a: Int, b: Int) -> Int {
        match self.order(a, b) {
            Some(Ordering::Greater) => return b,
            Some(_) => return a,
            None => {}
        }
        let (pa, pb) = self.sorted(a, b);
        let bounds = self.bounds(&pa).min(self.bounds(&pb));
        self.atom(Atom::Min(pa, pb), bounds)
    }

    fn sorted(&self, a: Int, b: Int) -> (Poly, Poly) {
        let (pa, pb) = (self.poly(a), self.poly(b));
        if pb < pa { (pb, pa) } else { (pa, pb) }
    }

    /// Whether `p` is the smaller of `other` and something.
    fn is_min_with(&self, p: &Poly, other: &Poly) -> bool {
        let [(m, 1)] = p.0.as_slice() else { return false };
        let [atom] = m.as_slice() else { return false };
        matches!(self.atoms.get(*atom as usize), Some(Atom::Min(a, b)) if a == other || b == other)
    }

    /// How `a` compares with `b`, if that is the same for all values of the symbols; two that may be equal count
    /// as equal when only one of the other two outcomes remains.
    pub(super) fn order(&mut self, a: Int, b: Int) -> Option<Ordering> {
        let difference = self.sub(a, b);
        match (self.lower_bound(difference), self.upper_bound(difference)) {
            (Some(0), Some(0)) => Some(Ordering::Equal),
            (Some(0..), _) => Some(Ordering::Greater),
            (_, Some(..=0)) => Some(Ordering::Less),
            _ => None,
        }
    }

    pub(super) fn bounds(&self, p: &Poly) -> Bounds {
        let mut sum = Bounds::exactly(0);
        for (monomial, c) in &p.0 {
            let mut term = Bounds::exactly(1);
            for (i, &atom) in monomial.iter().enumerate() {
                let b = self.atom_bounds.get(atom as usize).copied().unwrap_or_default();
                term = if i == 0 { b } else { term.mul(b) };
            }
            sum = sum.add(term.scale(*c));
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maximum_takes_in_what_is_never_larger() {
        let mut t = DimTable::default();
        let n = t.fresh();
        let n = t.int(n);
        assert_eq!(t.max(n, Int::Known(1)), n);
        let less = t.sub(n, Int::Known(1));
        assert_eq!(t.max(n, less), n);
        assert_eq!(t.min(n, less), less);
        let least = t.min(n, Int::Known(512));
        assert_ne!(least, n);
        assert_eq!(t.max(least, n), n);
        assert_eq!(t.evaluate(|_| Some(600)).int(least), Some(512));
    }

    #[test]
    fn extents_are_positive_and_bounds_follow() {
        let mut t = DimTable::default();
        let n = t.fresh();
        let n = t.int(n);
        let less = t.sub(n, Int::Known(3));
        assert_eq!(t.lower_bound(less), Some(-2));
        let half = t.floor_div(n, Int::Known(2));
        assert_eq!(t.lower_bound(half), Some(0));
        let least = t.min(n, Int::Known(7));
        assert_eq!((t.lower_bound(least), t.upper_bound(least)), (Some(1), Some(7)));
        let rest = t.sub(Int::Known(7), least);
        assert_eq!((t.lower_bound(rest), t.upper_bound(rest)), (Some(0), Some(6)));
        t.assume_at_least(less, 0);
        assert_eq!(t.lower_bound(less), Some(0));
        let over = t.sub(n, half);
        assert_eq!((t.lower_bound(over), t.upper_bound(over)), (Some(1), None));
        assert_eq!(t.max(n, half), n);
        let any = t.fresh_int();
        assert_eq!(t.lower_bound(any), None);
    }

    /// Random expressions of two symbols, beside their values computed directly.
    #[test]
    fn expressions_and_bounds_hold_for_numbers() {
        let points = [(1i64, 1i64), (1, 7), (2, 3), (5, 1), (12, 35), (40, 6)];
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut below = |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % n
        };
        for _ in 0..300 {
            let mut t = DimTable::default();
            let symbols = [t.fresh(), t.fresh()].map(|d| t.int(d));
            let mut known: Vec<(Int, Vec<i64>)> = vec![
                (symbols[0], points.iter().map(|p| p.0).collect()),
                (symbols[1], points.iter().map(|p| p.1).collect()),
            ];
            for _ in 0..8 {
                let n = below(9) as i64 - 3;
                known.push((Int::Known(n), vec![n; points.len()]));
                let (x, xs) = known[below(known.len() as u64) as usize].clone();
                let (y, ys) = known[below(known.len() as u64) as usize].clone();
                let by = Int::Known(below(5) as i64 + 2);
                let zip = |f: fn(i64, i64) -> i64| xs.iter().zip(&ys).map(|(a, b)| f(*a, *b)).collect();
                known.push(match below(6) {
                    0 => (t.add(x, y), zip(|a, b| a + b)),
                    1 => (t.sub(x, y), zip(|a, b| a - b)),
                    2 => (t.mul(x, y), zip(|a, b| a.saturating_mul(b))),
                    3 => (t.max(x, y), zip(i64::max)),
                    4 => (t.min(x, y), zip(i64::min)),
                    _ => (
                        t.floor_div(x, by),
                        xs.iter().map(|a| a.div_euclid(by.known().unwrap_or(1))).collect(),
                    ),
                });
            }
            for (n, values) in &known {
                let (low, high) = (t.lower_bound(*n), t.upper_bound(*n));
                for ((a, b), &value) in points.iter().zip(values) {
                    let at = t.evaluate(|s| [Some(*a), Some(*b)].get(s as usize).copied().flatten());
                    // products that do not fit have become symbols without a value
                    if let Some(have) = at.int(*n).filter(|_| value.unsigned_abs() < 1 << 40) {
                        let shown = if let Int::Expr(e) = n { t.show(*e) } else { String::new() };
                        assert_eq!(have, value, "{shown} at {a}, {b}");
                        assert!(low.is_none_or(|l| l <= value), "{shown} at {a}, {b}: {low:?}");
                        assert!(high.is_none_or(|h| h >= value), "{shown} at {a}, {b}: {high:?}");
                    }
                }
            }
        }
    }
}
