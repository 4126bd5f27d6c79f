//! Plans that were measured on a Mac, beside the prediction.

use std::path::Path;

use anewrite_ane::{Answer, Family};
use anewrite_check::{Examined, Placement, Side};
use anewrite_ir::Program;
use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::report::{Difference, Measured};
use super::summary::{answer, answer_word, op_name, share, side_word};
use crate::Error;

/// The version of the form of measured plans.
const PLAN_VERSION: u32 = 1;

/// A plan that `MLComputePlan` gave on a device, in the form that docs/check.md describes.
#[derive(Clone, Debug, Deserialize)]
pub struct MeasuredPlan {
    /// Version of the form: 1.
    pub version: u32,
    /// The device, in words.
    #[serde(default)]
    pub device: Option<String>,
    /// Its chip, as a target names it: `m4`.
    #[serde(default)]
    pub chip: Option<String>,
    /// Its system, in words.
    #[serde(default)]
    pub os: Option<String>,
    /// What Core ML was allowed to use: `CPU_AND_NE`, `ALL`.
    #[serde(default)]
    pub compute_units: Option<String>,
    /// The ops.
    pub ops: Vec<MeasuredOp>,
}

/// An op of a measured plan.
#[derive(Clone, Debug, Deserialize)]
pub struct MeasuredOp {
    /// The network's place in a pipeline, as a check names it; empty for a plain model.
    #[serde(default)]
    pub part: String,
    /// Its function.
    #[serde(default = "main")]
    pub function: String,
    /// The name of its first output, or of its layer.
    pub output: String,
    /// Its type.
    #[serde(default)]
    pub op: String,
    /// Where it can run: `ANE`, `GPU`, `CPU`.
    #[serde(default)]
    pub supported: Vec<String>,
    /// Where it will run; absent for constants.
    #[serde(default)]
    pub preferred: Option<String>,
    /// Its share of the plan's cost, from 0 to 1.
    #[serde(default)]
    pub cost: Option<f64>,
}

fn main() -> String {
    "main".to_owned()
}

impl MeasuredPlan {
    /// Reads a plan.
    ///
    /// # Errors
    /// Where the file cannot be read, or is not of the form and its version.
    pub fn open(path: impl AsRef<Path>) -> Result<MeasuredPlan, Error> {
        let path = path.as_ref();
        let fault = |what: String| Error::Plan(format!("{}: {what}", path.display()));
        let text = std::fs::read(path).map_err(|e| fault(e.to_string()))?;
        MeasuredPlan::parse(&text).map_err(|e| fault(e.to_string()))
    }

    /// Reads a plan from JSON.
    ///
    /// # Errors
    /// Where it is not of the form and its version.
    ///
    /// ```
    /// use anewrite::MeasuredPlan;
    ///
    /// let plan = MeasuredPlan::parse(br#"{"version": 1, "chip": "m4", "ops": [{"output": "y", "preferred": "ANE"}]}"#)?;
    /// assert_eq!(plan.ops[0].function, "main");
    /// assert!(MeasuredPlan::parse(br#"{"version": 2, "ops": []}"#).is_err());
    /// # Ok::<(), anewrite::Error>(())
    /// ```
    pub fn parse(json: &[u8]) -> Result<MeasuredPlan, Error> {
        let plan: MeasuredPlan = serde_json::from_slice(json).map_err(|e| Error::Plan(e.to_string()))?;
        if plan.version != PLAN_VERSION {
            return Err(Error::Plan(format!("version {} is not known, only {PLAN_VERSION}", plan.version)));
        }
        Ok(plan)
    }
}

/// What a plan says of a function; `None` where it has none of its ops.
pub(super) fn compare(
    plan: &MeasuredPlan,
    part: &str,
    program: &Program,
    function: &Examined,
    placements: &[Placement],
    family: Family,
) -> Option<Measured> {
    let name = &*program.function(function.function).name;
    let of_function = plan.ops.iter().filter(|op| op.part == part && op.function == name);
    let by_output: FxHashMap<&str, &MeasuredOp> = of_function.map(|op| (op.output.as_str(), op)).collect();
    let placement = placements.iter().find(|p| p.family == family)?;
    let mut measured = Measured {
        source: source(plan),
        family: family.to_string(),
        matched: 0,
        missing: 0,
        engine_ops: 0,
        gpu_ops: 0,
        cpu_ops: 0,
        engine_share: 0.0,
        predicted: 0,
        agreed: 0,
        differences: Vec::new(),
    };
    let (mut on, mut off) = (0.0, 0.0);
    for (scope, sides) in function.scopes.iter().zip(placement.sides()) {
        for (judged, side) in scope.ops.iter().zip(sides) {
            let output = op_name(program, judged.op);
            let layer = program.op(judged.op).name.as_deref();
            let found = by_output.get(output.as_str()).or_else(|| by_output.get(layer?));
            let Some((op, preferred)) = found.and_then(|op| Some((op, op.preferred.as_deref()?))) else {
                measured.missing += 1;
                continue;
            };
            measured.matched += 1;
            let (count, flops, place) = match preferred {
                "ANE" => (&mut measured.engine_ops, &mut on, "engine"),
                "GPU" => (&mut measured.gpu_ops, &mut off, "gpu"),
                _ => (&mut measured.cpu_ops, &mut off, "cpu"),
            };
            *count += 1;
            *flops += judged.work.flops;
            let supported = op.supported.iter().any(|device| device == "ANE") || preferred == "ANE";
            let answer = answer(judged, placement);
            if side != Side::Unknown {
                measured.predicted += 1;
                measured.agreed += usize::from((side == Side::Engine) == (place == "engine"));
            }
            let differs = (side == Side::Engine) != (place == "engine") || side == Side::Unknown;
            let wrong = !op.supported.is_empty() && supported != (answer == Answer::Yes);
            if differs || wrong {
                measured.differences.push(Difference {
                    op: output,
                    kind: program.op(judged.op).kind.to_string(),
                    predicted: side_word(side),
                    verdict: answer_word(answer),
                    measured: place.to_owned(),
                    supported,
                });
            }
        }
    }
    measured.engine_share = share(on, off, measured.engine_ops, measured.cpu_ops + measured.gpu_ops);
    (measured.matched > 0).then_some(measured)
}

fn source(plan: &MeasuredPlan) -> String {
    let known: Vec<&str> = [&plan.device, &plan.chip, &plan.os, &plan.compute_units]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    if known.is_empty() { "a measured plan".to_owned() } else { known.join(", ") }
}
