use super::{Backend, Charges};

/// The cost in ms of the cheapest way through some ops of a program, each priced in ms on every backend in the order of
/// [`Backend::ALL`] (`None` where it cannot run); infinite if one has no backend at all.
///
/// The ops before and behind may be on any side: what goes over to them costs nothing. Where the stretch `opens` or
/// `closes` the program, there are none. The engine is taken to be launched for others already, unless the stretch is
/// the whole program, for which this is [`plan`](crate::plan)'s total.
///
/// ```
/// use anewrite_ane::{Family, charges, stretch_cost};
///
/// let [both, cpu] = [[Some(0.1), Some(0.5), Some(0.5)], [None, Some(0.2), Some(0.2)]];
/// let charges = charges(Family::H16);
/// let island = stretch_cost(&[both, cpu, both], &charges, false, false);
/// assert!((island - (0.1 + 0.2 + 0.1 + 2.0 * charges.switch)).abs() < 1e-12);
/// ```
pub fn stretch_cost(ops: &[[Option<f64>; 3]], charges: &Charges, opens: bool, closes: bool) -> f64 {
    let output = if closes { charges.output } else { 0.0 };
    let any = through(ops, charges, Backend::ALL.map(|_| 0.0), output);
    if !(opens && closes) {
        return any;
    }
    let cpu_only =
        through(ops, charges, Backend::ALL.map(|b| if b.is_ane() { f64::INFINITY } else { 0.0 }), 0.0);
    cpu_only.min(any + charges.launch)
}

/// The cheapest way from backends that it costs `from` to start on; one that costs infinitely much is never used.
fn through(ops: &[[Option<f64>; 3]], charges: &Charges, from: [f64; 3], output: f64) -> f64 {
    let mut at = from;
    for (i, op) in ops.iter().enumerate() {
        let least = at.iter().copied().fold(f64::INFINITY, f64::min);
        let switch = if i == 0 { f64::INFINITY } else { charges.switch };
        for b in 0..at.len() {
            let come = if from[b].is_finite() { at[b].min(least + switch) } else { f64::INFINITY };
            at[b] = come + op[b].unwrap_or(f64::INFINITY);
        }
    }
    if !ops.is_empty() {
        at[Backend::Ane as usize] += output;
    }
    at.into_iter().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::{PlanOp, Work, plan};
    use crate::{Confidence, Family, charges};

    /// Costs that are all different, some of them missing, from a counter.
    fn ops(seed: u64, n: usize) -> Vec<[Option<f64>; 3]> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f64 / (1 << 24) as f64
        };
        let mut op = || {
            let ane = (next() > 0.3).then_some(next() * 0.2);
            [ane, Some(next() * 0.5), Some(next() * 0.5)]
        };
        (0..n).map(|_| op()).collect()
    }

    fn total(ops: &[[Option<f64>; 3]], charges: &Charges) -> f64 {
        let op =
            |costs: &[Option<f64>; 3]| PlanOp { costs: *costs, work: Work::default(), reads: Vec::new() };
        plan(&ops.iter().map(op).collect::<Vec<_>>(), charges).total
    }

    #[test]
    fn a_whole_program_costs_what_its_plan_does() {
        let charges = charges(Family::H16);
        for seed in 1..200 {
            let ops = ops(seed, (seed % 9) as usize + 1);
            let (ours, want) = (stretch_cost(&ops, &charges, true, true), total(&ops, &charges));
            assert!((ours - want).abs() < 1e-12, "{seed}: {ours} for {want}");
        }
    }

    #[test]
    fn free_ends_cost_what_the_plan_does_without_its_fixed_charges() {
        let whole = charges(Family::H16);
        let free = Charges { launch: 0.0, output: 0.0, confidence: Confidence::Measured, ..whole };
        let last = Charges { launch: 0.0, ..free };
        for seed in 1..200 {
            let ops = ops(seed, (seed % 9) as usize + 1);
            assert!((stretch_cost(&ops, &whole, false, false) - total(&ops, &free)).abs() < 1e-12);
            assert!((stretch_cost(&ops, &whole, true, false) - total(&ops, &free)).abs() < 1e-12);
            let want = total(&ops, &Charges { output: whole.output, ..last });
            assert!((stretch_cost(&ops, &whole, false, true) - want).abs() < 1e-12);
        }
        assert_eq!(stretch_cost(&[], &whole, true, true), 0.0);
    }
}
