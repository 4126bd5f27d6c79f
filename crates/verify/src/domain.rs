//! Which values an input may have, told from what is done with it.

use anewrite_ir::{Attr, Op, OpId, Program, ValueId};
use rustc_hash::FxHashMap;

/// The values that something may have.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// Smallest.
    pub low: f64,
    /// Largest.
    pub high: f64,
    /// Whether only whole numbers are in it.
    pub whole: bool,
    /// Whether the negative numbers from `-high - 1` on count from the end.
    pub wraps: bool,
    /// Where that is known from.
    pub why: String,
}

impl Domain {
    /// Positions along an axis of `extent` elements.
    pub fn index(extent: u64, why: impl Into<String>) -> Domain {
        let high = extent.saturating_sub(1) as f64;
        Domain { low: 0.0, high, whole: true, wraps: true, why: why.into() }
    }

    /// Whole numbers between two.
    pub fn whole(low: f64, high: f64, why: impl Into<String>) -> Domain {
        Domain { low, high, whole: true, wraps: false, why: why.into() }
    }

    /// Numbers between two.
    pub fn range(low: f64, high: f64, why: impl Into<String>) -> Domain {
        Domain { low, high, whole: false, wraps: false, why: why.into() }
    }

    /// What lies in both; this one where nothing does.
    fn meet(self, other: Domain) -> Domain {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        if low > high {
            return self;
        }
        let why = if high < self.high || low > self.low { other.why } else { self.why };
        Domain { low, high, whole: self.whole || other.whole, wraps: self.wraps && other.wraps, why }
    }
}

/// Ops whose first result holds elements of `x`, or the same numbers in another dtype.
const MOVES: &[&str] = &[
    "identity",
    "cast",
    "reshape",
    "reshape_like",
    "transpose",
    "squeeze",
    "expand_dims",
    "slice_by_index",
    "slice_by_size",
    "reverse",
    "tile",
    "flatten2d",
    "split",
    "nn.copy",
    "nn.reshapeStatic",
    "nn.rankPreservingReshape",
    "nn.expandDims",
    "nn.squeeze",
    "nn.transpose",
    "nn.permute",
    "nn.reshape",
    "nn.flatten",
    "nn.flattenTo2D",
    "nn.sliceStatic",
    "nn.split",
    "nn.splitND",
];

/// Factors as negative as this only serve to mask.
const MASKING: f64 = -1e3;

/// Domains of the values that `ops` (in program order) read, from the last op to the first. `extents` gives the
/// extents of a value where they are known.
pub(crate) fn infer(
    p: &Program,
    ops: &[OpId],
    extents: &dyn Fn(ValueId) -> Option<Vec<u64>>,
) -> FxHashMap<ValueId, Domain> {
    let mut found = Found { p, extents, domains: FxHashMap::default() };
    for &op in ops.iter().rev() {
        found.op(p.op(op));
    }
    found.domains
}

struct Found<'a> {
    p: &'a Program,
    extents: &'a dyn Fn(ValueId) -> Option<Vec<u64>>,
    domains: FxHashMap<ValueId, Domain>,
}

impl Found<'_> {
    fn op(&mut self, o: &Op) {
        match &*o.kind {
            "gather" | "gather_along_axis" => self.along(o, "x", "indices", &o.kind),
            "scatter" | "scatter_along_axis" => self.along(o, "data", "indices", &o.kind),
            "gather_nd" => self.nested(o, "x"),
            "scatter_nd" => self.nested(o, "data"),
            "one_hot" => {
                if let Some(depth) = self.number(o, "one_hot_vector_size").filter(|&d| d >= 1.0) {
                    self.set(
                        o,
                        "indices",
                        Domain { wraps: false, ..Domain::index(depth as u64, "one_hot depth") },
                    );
                }
            }
            "nn.embedding" => self.rows(o, "inputDim"),
            "nn.embeddingND" => self.rows(o, "vocabSize"),
            "nn.oneHot" => self.rows(o, "oneHotVectorSize"),
            "nn.gather" => self.layer_gather(o),
            "cast" if o.arg("dtype").is_some_and(|d| self.text(d) == Some("bool")) => {
                self.set(o, "x", Domain::whole(0.0, 1.0, "used as a truth value"));
            }
            "equal" | "not_equal" => self.compared(o),
            "select" => {
                self.back(o, "a", |d| d);
                self.back(o, "b", |d| d);
            }
            "concat" => {
                for v in o.args("values").collect::<Vec<_>>() {
                    self.pass(o.result(), v, |d| d);
                }
            }
            "add" => self.shifted(o, 1.0),
            "sub" => self.shifted(o, -1.0),
            "mul" => self.scaled(o),
            kind if MOVES.contains(&kind) => {
                let from = o.arg("x").or_else(|| o.arg("input"));
                if let Some(from) = from {
                    self.pass(o.result(), from, |d| d);
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, value: ValueId, domain: Domain) {
        if self.p.constant(value).is_some() {
            return;
        }
        let met = match self.domains.remove(&value) {
            Some(known) => known.meet(domain),
            None => domain,
        };
        self.domains.insert(value, met);
    }

    fn set(&mut self, o: &Op, param: &str, domain: Domain) {
        if let Some(v) = o.arg(param) {
            self.put(v, domain);
        }
    }

    /// The operand is what makes the result, changed by `change`.
    fn pass(&mut self, result: Option<ValueId>, from: ValueId, change: impl Fn(Domain) -> Domain) {
        if let Some(d) = result.and_then(|r| self.domains.get(&r)).cloned() {
            self.put(from, change(d));
        }
    }

    fn back(&mut self, o: &Op, param: &str, change: impl Fn(Domain) -> Domain) {
        if let Some(v) = o.arg(param) {
            self.pass(o.result(), v, change);
        }
    }

    fn number(&self, o: &Op, param: &str) -> Option<f64> {
        self.constant(o.arg(param)?)
    }

    fn constant(&self, v: ValueId) -> Option<f64> {
        self.p.constant(v)?.tensor.scalar_f64()
    }

    fn text(&self, v: ValueId) -> Option<&str> {
        self.p.constant(v)?.tensor.scalar_str()
    }

    fn along(&mut self, o: &Op, data: &str, indices: &str, what: &str) {
        let axis = self.number(o, "axis").unwrap_or(0.0) as i64;
        let Some(dims) = o.arg(data).and_then(|v| (self.extents)(v)) else { return };
        let axis =
            usize::try_from(if axis < 0 { axis + dims.len() as i64 } else { axis }).unwrap_or(usize::MAX);
        if let Some(&n) = dims.get(axis) {
            self.set(o, indices, Domain::index(n, format!("{what} over {n}")));
        }
    }

    /// Each row of the indices counts along several axes: all stay within the smallest of them.
    fn nested(&mut self, o: &Op, data: &str) {
        let batch = self.number(o, "batch_dims").unwrap_or(0.0).max(0.0) as usize;
        let Some(dims) = o.arg(data).and_then(|v| (self.extents)(v)) else { return };
        let Some(rows) = o.arg("indices").and_then(|v| (self.extents)(v)) else { return };
        let depth = rows.last().copied().unwrap_or(0) as usize;
        let named = dims.get(batch..).unwrap_or_default();
        if let Some(&n) = named.get(..depth.min(named.len())).unwrap_or_default().iter().min() {
            self.set(o, "indices", Domain::index(n, format!("{} over {n}", o.kind)));
        }
    }

    fn rows(&mut self, o: &Op, attr: &str) {
        let n = o.attr(attr).and_then(Attr::as_int).and_then(|n| u64::try_from(n).ok());
        if let (Some(n), Some(v)) = (n.filter(|&n| n > 0), o.arg("input")) {
            self.put(v, Domain { wraps: false, ..Domain::index(n, format!("{} over {n}", o.kind)) });
        }
    }

    fn layer_gather(&mut self, o: &Op) {
        let inputs: Vec<ValueId> = o.args("input").collect();
        let [data, indices] = inputs.as_slice() else { return };
        let Some(dims) = (self.extents)(*data) else { return };
        let axis = o.attr("axis").and_then(Attr::as_int).unwrap_or(0);
        let axis =
            usize::try_from(if axis < 0 { axis + dims.len() as i64 } else { axis }).unwrap_or(usize::MAX);
        if let Some(&n) = dims.get(axis) {
            self.put(*indices, Domain::index(n, format!("{} over {n}", o.kind)));
        }
    }

    /// What is compared with a number should often be that number.
    fn compared(&mut self, o: &Op) {
        let (Some(x), Some(y)) = (o.arg("x"), o.arg("y")) else { return };
        for (v, c) in [(x, self.constant(y)), (y, self.constant(x))] {
            if let Some(c) = c.filter(|c| c.fract() == 0.0 && c.abs() < 1e6)
                && !self.domains.contains_key(&v)
            {
                self.put(v, Domain::whole(c, c + 1.0, format!("compared with {c}")));
            }
        }
    }

    /// `x + c` or `x - c` (and `c - x`) is in the domain of the result.
    fn shifted(&mut self, o: &Op, sign: f64) {
        let (Some(x), Some(y)) = (o.arg("x"), o.arg("y")) else { return };
        if let Some(c) = self.constant(y) {
            self.pass(o.result(), x, |d| Domain {
                low: d.low - sign * c,
                high: d.high - sign * c,
                wraps: false,
                ..d
            });
        } else if let Some(c) = self.constant(x) {
            self.pass(o.result(), y, |d| {
                let ends = [(d.low - c) * sign, (d.high - c) * sign];
                Domain {
                    low: ends[0].min(ends[1]) + 0.0,
                    high: ends[0].max(ends[1]) + 0.0,
                    wraps: false,
                    ..d
                }
            });
        }
    }

    /// `c · x`: a large negative factor makes a mask of ones into what is added before a softmax.
    fn scaled(&mut self, o: &Op) {
        let (Some(x), Some(y)) = (o.arg("x"), o.arg("y")) else { return };
        for (v, c) in [(x, self.constant(y)), (y, self.constant(x))] {
            let Some(c) = c else { continue };
            if c <= MASKING {
                self.put(v, Domain::whole(0.0, 1.0, format!("scaled by {c}, as masks are")));
            }
        }
    }
}
