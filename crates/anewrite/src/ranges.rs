//! Where numbers leave what fp16 can hold: extremes and hazards of every value of a run.

use std::collections::HashMap;

use anewrite_convert::Part;
use anewrite_interp::{Array, EvalError, Observer, Step, Value};
use half::f16;
use serde::Serialize;

use crate::run::Watch;

/// The version of the JSON form of range reports: raised when a field changes its meaning or goes.
pub const RANGES_VERSION: u32 = 1;

/// The greatest finite value of fp16.
const FP16_MAX: f64 = 65504.0;
/// The smallest normal value of fp16.
const FP16_NORMAL: f64 = 6.103_515_625e-5;
/// Sums beyond this are reported to overflow on the engine before they are done (LIM-ACC).
const SUM_LIMIT: f64 = 32768.0;

/// What a run's values reached, over all predictions that were watched.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ranges {
    /// Version of this form: [`RANGES_VERSION`].
    pub version: u32,
    /// Values in the order in which they were first computed.
    pub values: Vec<ValueRange>,
}

/// What one value reached.
#[derive(Clone, Debug, Serialize)]
pub struct ValueRange {
    /// The part of a pipeline; empty for a plain model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// The value's name.
    pub name: String,
    /// The kind of the op that computes it.
    pub kind: String,
    /// Its dtype.
    pub dtype: String,
    /// Number of elements seen.
    pub elements: u64,
    /// The least finite element.
    pub min: f64,
    /// The greatest finite element.
    pub max: f64,
    /// Elements that are no number.
    pub nan: u64,
    /// Elements that are infinite.
    pub infinite: u64,
    /// Finite elements that fp16 cannot hold.
    pub over: u64,
    /// Elements that fp16 holds with fewer bits, below 6.1e-5.
    pub subnormal: u64,
    /// Elements that are not zero and become zero in fp16.
    pub underflow: u64,
    /// The greatest that the sums inside the op can reach on the way, in any order of adding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_sum: Option<f64>,
}

impl ValueRange {
    /// What goes wrong in fp16, in words; empty where nothing does.
    pub fn hazards(&self) -> Vec<String> {
        let share = |n: u64| format!("{:.1} %", 100.0 * n as f64 / self.elements.max(1) as f64);
        let mut all = Vec::new();
        let mut add = |n: u64, what: &str| {
            if n > 0 {
                all.push(format!("{} {what}", share(n)));
            }
        };
        add(self.nan, "NaN");
        add(self.infinite, "infinite");
        add(self.over, "over 65504");
        add(self.underflow, "zero by underflow");
        add(self.subnormal, "subnormal");
        if let Some(sum) = self.partial_sum.filter(|&s| s > SUM_LIMIT) {
            all.push(format!("sums can pass 32768 on the way (up to {sum:.0})"));
        }
        all
    }

    fn take(&mut self, a: &Array) -> Result<(), EvalError> {
        let items = a.to_f64s()?;
        self.elements += items.len() as u64;
        for x in items {
            let magnitude = x.abs();
            if x.is_nan() {
                self.nan += 1;
                continue;
            }
            if x.is_infinite() {
                self.infinite += 1;
                continue;
            }
            self.min = self.min.min(x);
            self.max = self.max.max(x);
            self.over += u64::from(f16::from_f64(magnitude).is_infinite() || magnitude > FP16_MAX + 15.0);
            if x != 0.0 && magnitude < FP16_NORMAL {
                let is_lost = f16::from_f64(magnitude) == f16::ZERO;
                self.underflow += u64::from(is_lost);
                self.subnormal += u64::from(!is_lost);
            }
        }
        Ok(())
    }
}

/// Collects [`Ranges`] from the runs that it watches. Sums are bounded by computing each product a second time.
#[derive(Debug, Default)]
pub struct RangeWatch {
    part: String,
    values: Vec<ValueRange>,
    known: HashMap<(String, String), usize>,
}

impl RangeWatch {
    /// A watch that has seen nothing.
    pub fn new() -> RangeWatch {
        RangeWatch::default()
    }

    /// What was seen.
    pub fn into_ranges(self) -> Ranges {
        Ranges { version: RANGES_VERSION, values: self.values }
    }

    fn entry(&mut self, name: &str, kind: &str, dtype: &str) -> &mut ValueRange {
        let at = *self.known.entry((self.part.clone(), name.to_owned())).or_insert_with(|| {
            self.values.push(ValueRange {
                part: self.part.clone(),
                name: name.to_owned(),
                kind: kind.to_owned(),
                dtype: dtype.to_owned(),
                elements: 0,
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
                nan: 0,
                infinite: 0,
                over: 0,
                subnormal: 0,
                underflow: 0,
                partial_sum: None,
            });
            self.values.len() - 1
        });
        &mut self.values[at]
    }
}

impl Watch for RangeWatch {
    fn part(&mut self, part: &Part) -> &mut dyn Observer {
        part.path.clone_into(&mut self.part);
        self
    }
}

impl Observer for RangeWatch {
    fn after(&mut self, step: &Step<'_>) -> Result<(), EvalError> {
        // the ops of a layer's lowering count for the layer
        let (program, op) = step.layer.unwrap_or((step.program, step.op));
        let o = program.op(op);
        let sum = step.partial_sums()?;
        for (i, &v) in o.results.iter().enumerate() {
            let name = program.value(v).name.clone();
            let result = match (step.layer.is_none(), step.results.get(i)) {
                (true, Some(Value::Tensor(a))) if a.dtype().is_float() => Some(a),
                (true, _) => continue,
                (false, _) => None,
            };
            if result.is_none() && sum.is_none() {
                continue;
            }
            let entry = self.entry(&name, &o.kind, result.map_or("fp32", |a| a.dtype().name()));
            if let Some(a) = result {
                entry.take(a)?;
            }
            if let Some(sum) = sum {
                entry.partial_sum = Some(entry.partial_sum.map_or(sum, |s| s.max(sum)));
            }
        }
        Ok(())
    }
}
