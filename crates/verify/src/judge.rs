//! Whether outputs of whole models are near enough.

use anewrite_interp::{Array, Value};
use serde::Serialize;

use crate::compare::{Difference, describe, exceeds, half_ulp_spacing};
use crate::decide::Decided;

/// Under 16-bit arithmetic an output may always be this many steps of fp16 off.
pub(crate) const FLOOR: f64 = 4.0;

/// The growth of the 16-bit error that is always allowed.
pub const LEAST_GROWTH: f64 = 1.5;

/// The outcome for one output in one case.
#[derive(Clone, Debug, Serialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// `fp64` or `ane16`.
    pub arithmetic: &'static str,
    /// The inputs on which it was worst.
    pub case: String,
    /// How far the rewritten model is from the original: under `ane16` from the original in fp64.
    pub difference: Difference,
    /// The same for the original, under `ane16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Difference>,
    /// What is allowed: of the largest difference in fp64, of the root mean square under `ane16`.
    pub allowed: f64,
    /// Whether the output is a decision (an index, a comparison), and the figures are those of the value behind it.
    pub decided: bool,
    /// Decisions that differ although the value behind them agrees: their margin is below what is allowed.
    pub near_ties: u64,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

impl OutputReport {
    /// The worse of two cases: one that is wrong, else the one further from what is allowed.
    pub(crate) fn worse(self, other: OutputReport) -> OutputReport {
        let key = |r: &OutputReport| {
            let of = if r.arithmetic == "fp64" { r.difference.max_abs } else { r.difference.rms };
            (r.wrong.is_some(), if r.allowed > 0.0 { of / r.allowed } else { of })
        };
        let (a, b) = (key(&self), key(&other));
        let is_worse = if a.0 == b.0 { b.1 > a.1 } else { b.0 };
        if is_worse { other } else { self }
    }
}

/// One output in a case: what the programs gave for it.
pub(crate) struct Given<'a> {
    pub(crate) name: &'a str,
    pub(crate) case: &'a str,
    /// The original in fp64.
    pub(crate) old: &'a Value,
    /// The original under 16-bit arithmetic, where it ran.
    pub(crate) old16: Option<&'a Value>,
    /// The rewritten model, under the arithmetic that is judged.
    pub(crate) new: &'a Value,
    /// The same three for the op that decides the output.
    pub(crate) decided: Option<[Option<&'a Decided>; 3]>,
}

/// What the numbers are held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Share of the scale in fp64.
    pub(crate) share: f64,
    /// Whether constants were rounded anew: the difference in fp64 is then held to the limit of 16 bits.
    pub(crate) rounded: bool,
    /// By how much the 16-bit error may grow.
    pub(crate) growth: f64,
}

impl Given<'_> {
    /// In fp64: equal to a share of the scale.
    pub(crate) fn in_64(&self, limits: &Limits) -> OutputReport {
        let mut report = self.report("fp64");
        match self.numbers() {
            Numbers::Floats(old, new) => {
                let d = Difference::of(&old, &new);
                report.allowed = limits.share * d.scale;
                let mut off = d.max_abs;
                if limits.rounded {
                    let old16 =
                        self.old16.and_then(floats).map(|x| Difference::of(&old, &x).rms).unwrap_or(0.0);
                    report.allowed = (LEAST_GROWTH * old16).max(FLOOR * half_ulp_spacing(d.reference_rms));
                    off = d.rms;
                }
                if d.broken > 0 {
                    report.wrong = Some(format!("{}, which is not finite", describe(&d, &old, &new)));
                } else if exceeds(off, report.allowed) {
                    report.wrong =
                        Some(format!("{}; {:.2e} is allowed", describe(&d, &old, &new), report.allowed));
                }
                report.difference = d;
            }
            Numbers::Whole => self.decisions(limits, &mut report),
            Numbers::Unlike(why) => report.wrong = Some(why),
        }
        report
    }

    /// Under 16-bit arithmetic: the error may be a few times that of the original.
    pub(crate) fn in_16(&self, limits: &Limits) -> OutputReport {
        let mut report = self.report("ane16");
        match self.numbers() {
            Numbers::Floats(old, new) => {
                let old16 = self.old16.and_then(floats).unwrap_or_else(|| old.clone());
                self.sixteen(&old, &old16, &new, limits, &mut report);
            }
            Numbers::Whole => self.decisions(limits, &mut report),
            Numbers::Unlike(why) => report.wrong = Some(why),
        }
        report
    }

    fn sixteen(&self, old: &[f64], old16: &[f64], new: &[f64], limits: &Limits, report: &mut OutputReport) {
        // Only where the original stays finite is there an error to compare with.
        let reference: Vec<f64> =
            old.iter().zip(old16).map(|(&a, &b)| if b.is_finite() { a } else { f64::NAN }).collect();
        let masked: Vec<f64> =
            new.iter().zip(old16).map(|(&n, &b)| if b.is_finite() { n } else { f64::NAN }).collect();
        let (own, d) = (Difference::of(&reference, old16), Difference::of(&reference, &masked));
        let growth = limits.growth.max(LEAST_GROWTH);
        report.allowed = (growth * own.rms).max(FLOOR * half_ulp_spacing(d.reference_rms));
        let lost = Difference::of(old16, new);
        report.difference = Difference { healed: lost.healed, broken: lost.broken, ..d };
        if lost.broken > 0 {
            report.wrong = Some(format!("{} under 16-bit arithmetic", describe(&lost, old16, new)));
        } else if exceeds(report.difference.rms, report.allowed) {
            report.wrong = Some(format!(
                "its 16-bit error is {:.2e} (root mean square); the original's is {:.2e}, and {:.2e} is allowed",
                report.difference.rms, own.rms, report.allowed
            ));
        }
        report.original = Some(own);
    }

    /// Whole numbers, truth values and texts: equal, or decided by less than what is allowed.
    fn decisions(&self, limits: &Limits, report: &mut OutputReport) {
        report.decided = true;
        let Some([Some(old), old16, Some(new)]) = self.decided else {
            let other = self.old16.filter(|_| report.arithmetic == "ane16");
            if !same(self.old, self.new) && !other.is_some_and(|o| same(o, self.new)) {
                report.wrong = Some("it differs, and no single op decides it".into());
            }
            return;
        };
        let value = |d: &Decided| d.value().and_then(|a| a.to_f64s().ok());
        let (Some(a), Some(b)) = (value(old), value(new)) else {
            if !same(&old.result, &new.result) {
                report.wrong = Some("it differs".into());
            }
            return;
        };
        if a.len() != b.len() {
            if !same(&old.result, &new.result) {
                report.wrong = Some("it differs, and is decided by different values".into());
            }
            return;
        }
        let allowed = if report.arithmetic == "fp64" {
            let d = Difference::of(&a, &b);
            let allowed =
                if limits.rounded { FLOOR * half_ulp_spacing(d.scale) } else { limits.share * d.scale };
            report.allowed = allowed;
            if d.broken > 0 || exceeds(d.max_abs, allowed) {
                report.wrong = Some(format!(
                    "the value that decides it: {}; {allowed:.2e} is allowed",
                    describe(&d, &a, &b)
                ));
            }
            report.difference = d;
            allowed
        } else {
            let own = old16.and_then(value).filter(|x| x.len() == a.len()).unwrap_or_else(|| a.clone());
            self.sixteen(&a, &own, &b, limits, report);
            if let Some(w) = &mut report.wrong {
                *w = format!("the value that decides it: {w}");
            }
            // Each of the two candidates may be off.
            let largest = report.original.as_ref().map_or(0.0, |o| o.max_abs);
            2.0 * (limits.growth.max(LEAST_GROWTH) * largest)
                .max(FLOOR * half_ulp_spacing(report.difference.scale))
        };
        if report.wrong.is_some() || same(&old.result, &new.result) {
            return;
        }
        match (old.margins(&new.result), elements(&old.result), elements(&new.result)) {
            (Some(margins), Some(a), Some(b)) if margins.len() == a.len() && a.len() == b.len() => {
                for ((i, margin), (a, b)) in margins.into_iter().enumerate().zip(a.iter().zip(&b)) {
                    if a == b {
                        continue;
                    }
                    report.near_ties += 1;
                    if exceeds(margin, allowed) {
                        report.wrong = Some(format!(
                            "element {i} is {b} and was {a}, decided by {margin:.2e}; {allowed:.2e} is allowed"
                        ));
                        return;
                    }
                }
            }
            _ => report.wrong = Some("it differs".into()),
        }
    }

    fn report(&self, arithmetic: &'static str) -> OutputReport {
        OutputReport {
            name: self.name.to_owned(),
            arithmetic,
            case: self.case.to_owned(),
            difference: Difference { cosine: 1.0, ..Difference::default() },
            original: None,
            allowed: 0.0,
            decided: false,
            near_ties: 0,
            wrong: None,
        }
    }

    fn numbers(&self) -> Numbers {
        match (self.old, self.new) {
            (Value::Tensor(a), Value::Tensor(b)) => {
                if a.dims() != b.dims() {
                    return Numbers::Unlike(format!(
                        "its extents are {:?} and were {:?}",
                        b.dims(),
                        a.dims()
                    ));
                }
                match (a.dtype().is_float() && b.dtype().is_float(), a.to_f64s(), b.to_f64s()) {
                    (true, Ok(a), Ok(b)) => Numbers::Floats(a, b),
                    _ => Numbers::Whole,
                }
            }
            (Value::Dict(a), Value::Dict(b)) => {
                match (same_arrays(&a.keys, &b.keys), a.values.to_f64s(), b.values.to_f64s()) {
                    (true, Ok(a), Ok(b)) if a.len() == b.len() => Numbers::Floats(a, b),
                    _ => Numbers::Unlike("its keys differ".into()),
                }
            }
            (Value::State(a), Value::State(b)) => match (a.get().to_f64s(), b.get().to_f64s()) {
                (Ok(a), Ok(b)) if a.len() == b.len() => Numbers::Floats(a, b),
                _ => Numbers::Unlike("its extents differ".into()),
            },
            (Value::List(_), Value::List(_)) => Numbers::Whole,
            _ => Numbers::Unlike("it is another kind of value".into()),
        }
    }
}

enum Numbers {
    Floats(Vec<f64>, Vec<f64>),
    Whole,
    Unlike(String),
}

fn floats(v: &Value) -> Option<Vec<f64>> {
    match v {
        Value::Tensor(a) => a.to_f64s().ok(),
        Value::Dict(d) => d.values.to_f64s().ok(),
        Value::State(s) => s.get().to_f64s().ok(),
        Value::List(_) => None,
    }
}

/// Elements in words, to be told apart.
fn elements(v: &Value) -> Option<Vec<String>> {
    let a = v.tensor().ok()?;
    match a.as_texts() {
        Some(t) => Some(t.iter().map(ToString::to_string).collect()),
        None => Some(a.to_f64s().ok()?.iter().map(ToString::to_string).collect()),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Tensor(a), Value::Tensor(b)) => same_arrays(a, b),
        (Value::Dict(a), Value::Dict(b)) => {
            same_arrays(&a.keys, &b.keys) && same_arrays(&a.values, &b.values)
        }
        (Value::List(a), Value::List(b)) => {
            let pair = |(a, b): (&Option<Array>, &Option<Array>)| match (a, b) {
                (Some(a), Some(b)) => same_arrays(a, b),
                (a, b) => a.is_none() && b.is_none(),
            };
            a.items.len() == b.items.len() && a.items.iter().zip(b.items.iter()).all(pair)
        }
        _ => false,
    }
}

fn same_arrays(a: &Array, b: &Array) -> bool {
    if a.dims() != b.dims() {
        return false;
    }
    match (a.as_texts(), b.as_texts()) {
        (Some(a), Some(b)) => a == b,
        (None, None) => match (a.to_f64s(), b.to_f64s()) {
            (Ok(a), Ok(b)) => a.iter().zip(&b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())),
            _ => false,
        },
        _ => false,
    }
}
