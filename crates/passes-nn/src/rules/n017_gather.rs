//! N017: a `gather` at constant indices is slices, joined.

use anewrite_ir::{Attrs, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::{Axis, layer, slice};
use crate::rules::operands::{Operand, axis_from_end, loaded, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `gather` whose indices are loaded from a constant by a `slice` for each run of them, and a `concat`.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 9, 4, 5]> x) {
    ///     i = nn.loadConstantND()[data = tensor<fp32, [4]>([1.0, 3.0, 5.0, -9.0]), shape = [4]];
    ///     z = nn.gather(input = (x, i))[axis = 1];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 9, 4, 5]> x) {
    ///     a = nn.slice(input = x)[startIndex = 1, endIndex = 6, stride = 2];
    ///     b = nn.slice(input = x)[endIndex = 1, stride = 1];
    ///     z = nn.concat(input = (a, b));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// The indices are cut into runs of one step. A slice with that step holds the elements of its run in order, and the
    /// pieces stand one behind the other as the indices do.
    ///
    /// ## Applies when
    /// 1. the indices are a loaded vector of whole numbers within the axis, whose extent is known
    /// 2. the axis is the third from the end; or height or width, and the indices are a single run
    /// 3. at most 16 runs (profit: each costs a layer)
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct Gather = N 17 "gather";
    grade: BitExact, purpose: Enable,
}

/// More pieces than this cost more than the gather.
const MAX_RUNS: usize = 16;

impl Rule for Gather {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.gather")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let inputs: Vec<ValueId> = m.data(op).args(INPUT).collect();
        let &[x, at] = inputs.as_slice() else {
            return Err(Miss::new(format!("the layer has {} inputs", inputs.len())));
        };
        let x = Operand::of(m, x)?;
        let indices = loaded(m, at).ok_or(Miss::new("the indices are computed"))?;
        let shape = Operand::of(m, at)?.shape;
        ensure!(shape.len() == 1, "the indices have rank {}", shape.len());
        ensure!((1..=65_536).contains(&indices.count()), "{} indices", indices.count());
        let rank = x.shape.len();
        let back = axis_from_end(m, op, rank)?;
        let beyond =
            || Miss::new(format!("the axis is the {back}. from the end, a slice takes the last three"));
        let axis = usize::try_from(back).ok().and_then(Axis::from_end).ok_or_else(beyond)?;
        ensure!(rank >= 3, "the operand has rank {rank}, a slice needs 3");
        let extent = x.shape[rank - back as usize].known().and_then(|n| i64::try_from(n).ok());
        let n = extent.ok_or(Miss::new("the extent of the axis is not known"))?;
        let mut front = Vec::new();
        for i in indices.to_f64s()? {
            let whole = (i.fract() == 0.0 && i.abs() < 1e9).then_some(i as i64);
            let i = whole.map(|i| if i < 0 { i + n } else { i }).filter(|i| (0..n).contains(i));
            front.push(i.ok_or(Miss::new("an index is no whole number within the axis"))?);
        }
        let runs = runs(&front);
        ensure!(runs.len() <= MAX_RUNS, "the indices form {} runs", runs.len());
        ensure!(runs.len() == 1 || back == 3, "several runs along an axis that concat does not join");
        let x = patch.tap(x.value);
        let mut pieces = Vec::with_capacity(runs.len());
        for (start, step, count) in runs {
            let end = start + step * (count - 1) + 1;
            pieces.push((INPUT, slice(patch, x, axis, [start, end, step])?));
        }
        let joined = match pieces.as_slice() {
            [(_, one)] => *one,
            all => layer(patch, "nn.concat", all, Attrs::new())?,
        };
        patch.replace(m.result(op)?, joined)
    }
}

/// The indices cut into runs of growing indices from the left, each as long as it can be: start, step, count. A step
/// over 1 needs three.
fn runs(indices: &[i64]) -> Vec<(i64, i64, i64)> {
    let mut out = Vec::new();
    let mut rest = indices;
    while let [start, tail @ ..] = rest {
        let step = tail.first().map_or(1, |next| next - start);
        let follows = |(i, x): (usize, &i64)| *x == start + step * (i as i64 + 1);
        let more = if step > 0 { tail.iter().enumerate().take_while(|&p| follows(p)).count() } else { 0 };
        let (step, count) = if step > 1 && more < 2 { (1, 1) } else { (step.max(1), more + 1) };
        out.push((*start, step, count as i64));
        rest = &rest[count..];
    }
    out
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Gather = &Gather;

    fn gather(x: &str, indices: &str, n: usize, axis: i64) -> String {
        let layers = format!(
            "i = nn.loadConstantND()[data = tensor<fp32, [{n}]>({indices}), shape = [{n}]];
             z = nn.gather(input = (x, i))[axis = {axis}];"
        );
        arrays(&format!("tensor<fp32, {x}> x"), &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn indices_are_cut_into_runs() {
        assert_eq!(runs(&[0, 1, 2, 5, 4, 3]), [(0, 1, 3), (5, 1, 1), (4, 1, 1), (3, 1, 1)]);
        assert_eq!(runs(&[7, 9, 1, 4, 7, 7]), [(7, 1, 1), (9, 1, 1), (1, 3, 3), (7, 1, 1)]);
    }

    #[test]
    fn one_run_of_the_width() {
        let got = bench(RULE).fires(&gather("[2, 4, 9]", "[2.0, 4.0, 6.0]", 3, -1));
        assert!(
            got.contains("startIndex: Int(2), endIndex: Int(7), stride: Int(2), axis: Enum(\"WIDTH_AXIS\")"),
            "{got}"
        );
    }

    #[test]
    fn declines() {
        for (x, indices, n, axis, reason) in [
            ("[2, 4, 9]", "[2.0, 0.0]", 2, -1, "several runs"),
            ("[2, 4, 9]", "[2.0]", 1, 0, "within the axis"),
            ("[2, 4, 9]", "[0.5]", 1, 2, "within the axis"),
            ("[3, 2, 4, 9]", "[1.0]", 1, 0, "the 4. from the end"),
            ("[?, 4, 9]", "[1.0]", 1, 0, "not known"),
            ("[4, 9]", "[1.0]", 1, 0, "rank 2"),
        ] {
            let why = bench(RULE).declines(&gather(x, indices, n, axis));
            assert!(why.contains(reason), "{x} {indices}: {why}");
        }
        let args = "tensor<fp32, [2, 4, 9]> x, tensor<fp32, [3]> i";
        let why = bench(RULE).declines(&arrays(args, "z = nn.gather(input = (x, i))[axis = 0];"));
        assert!(why.contains("computed"), "{why}");
        let image = "i = nn.loadConstant()[data = tensor<fp32, [1]>([1.0]), shape = [1, 1, 1]];
                     z = nn.gather(input = (x, i))[axis = 2];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
