use std::fmt;

use crate::annotation::annotated_ops;
use crate::family::{Family, FamilySet};
use crate::judge::eligibility;
use crate::os::Os;
use crate::planner::{Backend, PlanOp, Trust, charges, plan, prices};
use crate::target::Target;
use crate::verdict::Answer;

/// How well the tables and formulas of this crate agree with a planner's own annotations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Rows of the table.
    pub rows: usize,
    /// Rows whose support on the engine is what [`eligibility`] says.
    pub eligible: usize,
    /// Estimates printed in the table.
    pub estimates: usize,
    /// Those of them for which a formula is known.
    pub with_formula: usize,
    /// Those with a formula that it gives to 1e-6 of their value.
    pub reproduced: usize,
    /// The largest relative difference among these.
    pub largest_difference: f64,
    /// Models of the table.
    pub models: usize,
    /// Models in which [`plan`] chooses the backend that was chosen, for every op.
    pub chosen: usize,
    /// What does not agree, one sentence each.
    pub differences: Vec<String>,
}

/// Compares this crate's answers for an M4 under release 27 with a table of annotations, which
/// [`annotated_ops`] describes. The table's estimates are not used for any answer.
///
/// # Errors
/// Where the table cannot be read.
pub fn score(table: &str) -> Result<Score, String> {
    let ops = annotated_ops(table)?;
    let target = Target::new(FamilySet::from_iter([Family::H16]), Os(27));
    let mut score = Score { rows: ops.len(), ..Score::default() };
    for model in ops.chunk_by(|a, b| a.model == b.model) {
        let mut planned = Vec::new();
        for annotated in model {
            let answer = eligibility(&annotated.op, &target).answer();
            let agrees = answer == if annotated.on_engine { Answer::Yes } else { Answer::No };
            score.eligible += usize::from(agrees);
            let name = || format!("{} ({})", annotated.model, crate::view::OpView::op(&annotated.op));
            if !agrees {
                score.differences.push(format!(
                    "{}: on the engine {answer:?}, in the table {}",
                    name(),
                    annotated.on_engine
                ));
            }
            let prices = prices(&annotated.op, Family::H16);
            for (backend, printed) in Backend::ALL.into_iter().zip(annotated.estimates) {
                let Some(printed) = printed else { continue };
                score.estimates += 1;
                let price = prices.on(backend);
                if matches!(price.trust, Trust::Bound | Trust::Assumed) {
                    continue;
                }
                score.with_formula += 1;
                let difference = (price.ms - printed).abs() / printed;
                if difference <= 1e-6 {
                    score.reproduced += 1;
                    score.largest_difference = score.largest_difference.max(difference);
                } else {
                    score.differences.push(format!(
                        "{}: {} ms {} instead of {printed}",
                        name(),
                        backend.name(),
                        price.ms
                    ));
                }
            }
            planned.push(PlanOp::new(&prices, answer == Answer::Yes));
        }
        score.models += 1;
        let plan = plan(&planned, &charges(Family::H16));
        let wanted: Vec<_> = model.iter().map(|annotated| annotated.selected).collect();
        if plan.backends == wanted {
            score.chosen += 1;
        } else {
            let name = model.first().map_or("", |annotated| &annotated.model);
            score.differences.push(format!("{name}: chosen {:?} instead of {wanted:?}", plan.backends));
        }
    }
    Ok(score)
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "eligibility   {} of {} rows", self.eligible, self.rows)?;
        let (with, printed) = (self.with_formula, self.estimates);
        writeln!(f, "estimates     {} of {with} with a formula, of {printed} printed", self.reproduced)?;
        writeln!(f, "              largest relative difference {:.1e}", self.largest_difference)?;
        write!(f, "choice        {} of {} models", self.chosen, self.models)?;
        for difference in &self.differences {
            write!(f, "\n{difference}")?;
        }
        Ok(())
    }
}
