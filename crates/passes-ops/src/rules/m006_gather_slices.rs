//! M006: gathering at constant indices is slicing and joining.

use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};
use anewrite_tensor::Tensor;

declare_rule! {
    /// ## What it does
    /// Replaces a `gather` whose indices are constant by slices of the runs that the indices form, and one `concat`.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 9, 5]> x) {
    ///   y = gather(x = x, indices = [1, 3, 5, -9], axis = 1);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 9, 5]> x) {
    ///   a = slice_by_index(x = x, begin = [0, 1, 0], end = [0, 6, 0], stride = [1, 2, 1], begin_mask = [true, false, true], end_mask = [true, false, true]);
    ///   b = slice_by_index(x = x, begin = [0, 0, 0], end = [0, 1, 0], stride = [1, 1, 1], begin_mask = [true, false, true], end_mask = [true, false, true]);
    ///   y = concat(values = (a, b), axis = 1, interleave = false);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// The indices are cut into runs: neighbours, or three and more of equal step. A slice with that step holds the elements of its run in order,
    /// and the pieces stand one behind the other as the indices do. A run that goes back by one is a slice, reversed.
    ///
    /// ## Applies when
    /// 1. the indices are a constant scalar or vector, all within the axis, whose extent is known
    /// 2. the table is no constant: that one can be gathered once and for all
    /// 3. there are no batch dims
    /// 4. at most 16 runs (profit: each costs an op)
    pub struct GatherSlices = M 6 "gather-slices";
    grade: BitExact, purpose: Enable,
}

/// More pieces than this cost more than the gather.
const MAX_RUNS: usize = 16;

impl Rule for GatherSlices {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("gather")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let indices = m.constant(op, "indices")?;
        let input = m.arg(op, "x")?;
        ensure!(m.value_constant(input).is_none(), "the table is a constant");
        ensure!(m.int_or(op, "batch_dims", 0)? == 0, "the gather has batch dims");
        ensure!(indices.rank() <= 1, "the indices have rank {}", indices.rank());
        ensure!((1..=65_536).contains(&indices.count()), "{} indices", indices.count());
        let t = m.tensor(input)?;
        let shape = t.shape.as_ref().ok_or(Miss::new("the rank of x is not known"))?;
        let raw = m.int_or(op, "axis", 0)?;
        let axis = usize::try_from(if raw < 0 { raw + shape.len() as i64 } else { raw });
        let axis =
            axis.ok().filter(|&a| a < shape.len()).ok_or(Miss::new(format!("there is no axis {raw}")))?;
        let n = shape[axis].known().and_then(|n| i64::try_from(n).ok());
        let n = n.ok_or(Miss::new(format!("the extent of axis {axis} is not known: {t}")))?;
        let front: Vec<i64> = indices.to_i64s()?.iter().map(|&i| if i < 0 { i + n } else { i }).collect();
        if let Some(out) = front.iter().find(|i| !(0..n).contains(*i)) {
            return Err(Miss::new(format!("index {out} is outside the axis of {n}")));
        }
        let runs = runs(&front);
        ensure!(runs.len() <= MAX_RUNS, "the indices form {} runs", runs.len());
        let x = patch.tap(input);
        let mut pieces = Vec::with_capacity(runs.len());
        for run in &runs {
            pieces.push(run.piece(patch, x, axis, shape.len())?);
        }
        let mut value = match pieces.as_slice() {
            [one] => *one,
            _ => {
                let axis = patch.int(axis as i64)?;
                let interleave = patch.bool(false);
                let mut args: Vec<_> = pieces.iter().map(|&v| ("values", v)).collect();
                args.extend([("axis", axis), ("interleave", interleave)]);
                patch.op("concat", &args)?
            }
        };
        if indices.rank() == 0 {
            let axes = patch.ints(&[axis as i64])?;
            value = patch.op("squeeze", &[("x", value), ("axes", axes)])?;
        }
        patch.replace(m.result(op)?, value)
    }
}

/// Indices `start`, `start + step`… of which there are `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    start: i64,
    step: i64,
    count: i64,
}

impl Run {
    fn piece(
        &self,
        patch: &mut PatchBuilder<'_>,
        x: PatchValue,
        axis: usize,
        rank: usize,
    ) -> Result<PatchValue, Miss> {
        let last = self.start + self.step * (self.count - 1);
        let (low, high) = (self.start.min(last), self.start.max(last));
        let at =
            |v: i64, other: i64| (0..rank).map(|i| if i == axis { v } else { other }).collect::<Vec<_>>();
        let (begin, end) = (patch.ints(&at(low, 0))?, patch.ints(&at(high + 1, 0))?);
        let stride = patch.ints(&at(self.step.abs(), 1))?;
        let whole: Vec<bool> = (0..rank).map(|i| i != axis).collect();
        let begin_mask = patch.constant(Tensor::bools(whole.clone()));
        let end_mask = patch.constant(Tensor::bools(whole));
        let args = [("x", x), ("begin", begin), ("end", end), ("stride", stride)];
        let part = patch.op(
            "slice_by_index",
            &[&args[..], &[("begin_mask", begin_mask), ("end_mask", end_mask)]].concat(),
        )?;
        if self.step > 0 {
            return Ok(part);
        }
        let axes = patch.ints(&[axis as i64])?;
        patch.op("reverse", &[("x", part), ("axes", axes)])
    }
}

/// The indices cut into runs from the left, each as long as it can be: neighbours upwards or downwards, and three or
/// more with a larger step upwards.
fn runs(indices: &[i64]) -> Vec<Run> {
    let mut out = Vec::new();
    let mut rest = indices;
    while let [start, tail @ ..] = rest {
        let step = tail.first().map_or(1, |next| next - start);
        let steps = tail.iter().zip(1..).take_while(|(i, n)| **i == start + step * n).count();
        let run = match steps as i64 + 1 {
            count if count >= 2 && step.abs() == 1 => Run { start: *start, step, count },
            count if count >= 3 && step > 1 => Run { start: *start, step, count },
            _ => Run { start: *start, step: 1, count: 1 },
        };
        rest = rest.get(run.count as usize..).unwrap_or_default();
        out.push(run);
    }
    out
}

#[cfg(test)]
mod tests {
    use anewrite_ir::mil::Mil;
    use anewrite_testkit::{Bench, check_page};

    use super::*;

    const BENCH: Bench<'_> = Bench { rule: &GatherSlices, dialect: &Mil, limits: &[] };

    fn gather(shape: &str, args: &str) -> String {
        format!("func main<CoreML6>(tensor<fp16, {shape}> x) {{ y = gather(x = x, {args}); }} -> (y);")
    }

    #[test]
    fn page() {
        check_page(&BENCH);
    }

    #[test]
    fn runs_of_each_kind() {
        let run = |start, step, count| Run { start, step, count };
        assert_eq!(runs(&[3, 2, 1, 0]), [run(3, -1, 4)]);
        assert_eq!(runs(&[0, 0, 5]), [run(0, 1, 1), run(0, 1, 1), run(5, 1, 1)]);
        assert_eq!(runs(&[4, 6, 8, 1, 2]), [run(4, 2, 3), run(1, 1, 2)]);
        assert_eq!(runs(&[7, 4]), [run(7, 1, 1), run(4, 1, 1)]);
    }

    #[test]
    fn a_scalar_index_drops_its_axis() {
        let got = BENCH.fires(&gather("[2, 9, 5]", "indices = -2, axis = -1"));
        assert!(got.contains("begin = int32[3][0.0, 0.0, 3.0]"), "{got}");
        assert!(got.contains("= squeeze(axes = int32[1][2.0]"), "{got}");
    }

    #[test]
    fn backwards_is_reversed() {
        let got = BENCH.fires(&gather("[4, 3]", "indices = [3, 2, 1], axis = 0"));
        assert!(got.contains("reverse(axes = int32[1][0.0]"), "{got}");
        assert!(
            got.contains("begin = int32[2][1.0, 0.0]") && got.contains("end = int32[2][4.0, 0.0]"),
            "{got}"
        );
    }

    #[test]
    fn declines() {
        assert!(BENCH.declines(&gather("[2, 9]", "indices = [0, 9], axis = 1")).contains("outside"));
        assert!(BENCH.declines(&gather("[2, ?]", "indices = [0, 1], axis = 1")).contains("not known"));
        let scattered: Vec<String> = (0..17).map(|i| (i * i * 3 % 101).to_string()).collect();
        let args = format!("indices = [{}], axis = 1", scattered.join(", "));
        assert!(BENCH.declines(&gather("[2, 101]", &args)).contains("runs"));
        let computed = "func main<CoreML6>(tensor<fp16, [4, 3]> x, tensor<int32, [2]> i) {
                          y = gather(x = x, indices = i, axis = 0);
                        } -> (y);";
        assert!(BENCH.declines(computed).contains("no constant"));
    }
}
