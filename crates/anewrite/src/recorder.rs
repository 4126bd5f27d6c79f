//! What may be kept of a run besides its outputs.

use anewrite_convert::Part;
use anewrite_interp::{EvalError, Observer, Step, Value};

use crate::ranges::RangeWatch;
use crate::run::Watch;

/// Keeps what was asked for of the runs that it watches.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Extremes and hazards of every value, if they are wanted.
    pub ranges: Option<RangeWatch>,
    /// Every tensor, if they are wanted.
    pub intermediates: Option<Intermediates>,
}

impl Watch for Recorder {
    fn part(&mut self, part: &Part) -> &mut dyn Observer {
        if let Some(ranges) = &mut self.ranges {
            ranges.part(part);
        }
        if let Some(intermediates) = &mut self.intermediates {
            intermediates.part(part);
        }
        self
    }
}

impl Observer for Recorder {
    fn after(&mut self, step: &Step<'_>) -> Result<(), EvalError> {
        if let Some(ranges) = &mut self.ranges {
            ranges.after(step)?;
        }
        match &mut self.intermediates {
            Some(intermediates) => intermediates.after(step),
            None => Ok(()),
        }
    }
}

/// Keeps every tensor that the runs that it watches compute, the last where an op runs again and again.
#[derive(Debug, Default)]
pub struct Intermediates {
    part: String,
    /// The tensors by the names of their values; those of a pipeline's part after its path and a colon.
    pub values: crate::Features,
}

impl Watch for Intermediates {
    fn part(&mut self, part: &Part) -> &mut dyn Observer {
        part.path.clone_into(&mut self.part);
        self
    }
}

impl Observer for Intermediates {
    fn after(&mut self, step: &Step<'_>) -> Result<(), EvalError> {
        if step.layer.is_some() {
            return Ok(());
        }
        for (&v, value) in step.program.op(step.op).results.iter().zip(step.results) {
            if matches!(value, Value::Tensor(_)) {
                let name = &step.program.value(v).name;
                let name =
                    if self.part.is_empty() { name.to_string() } else { format!("{}:{name}", self.part) };
                self.values.insert(name, value.clone());
            }
        }
        Ok(())
    }
}
