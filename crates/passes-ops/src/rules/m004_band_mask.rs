//! M004: a band of a matrix is a choice by a constant mask.

use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};
use anewrite_tensor::Tensor;

declare_rule! {
    /// ## What it does
    /// Replaces `band_part`, which keeps a band around the diagonal of each matrix and zeroes the rest, by a `select`
    /// with a constant mask.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [5, 2, 3]> x) {
    ///   y = band_part(x = x, lower = 0, upper = 1);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [5, 2, 3]> x) {
    ///   y = select(cond = tensor<bool, [1, 2, 3]>([true, true, false, false, true, true]), a = x, b = tensor<fp16, []>(0.0));
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Element `(m, n)` stays where `m - n <= lower` or `lower` is negative, and `n - m <= upper` or `upper` is
    /// negative; all others become 0. The mask holds these conditions, and `select` copies elements.
    ///
    /// ## Applies when
    /// 1. `lower` and `upper` are constants, the last two extents are known
    /// 2. the mask has at most 4,194,304 elements
    pub struct BandMask = M 4 "band-mask";
    grade: BitExact, purpose: Enable,
}

/// A larger mask would weigh more than the op costs.
const MAX_MASK: u64 = 1 << 22;

impl Rule for BandMask {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("band_part")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let (lower, upper) = (m.int_or(op, "lower", -1)?, m.int_or(op, "upper", -1)?);
        let input = m.arg(op, "x")?;
        let t = m.tensor(input)?;
        let shape = t.shape.as_ref().ok_or(Miss::new("the rank of x is not known"))?;
        let rank = shape.len();
        ensure!(rank >= 2, "x has rank {rank}");
        let (Some(rows), Some(columns)) = (shape[rank - 2].known(), shape[rank - 1].known()) else {
            return Err(Miss::new(format!("the last two extents are not known: {t}")));
        };
        let fits = rows.checked_mul(columns).is_some_and(|n| n <= MAX_MASK);
        ensure!(fits, "the mask of {rows} by {columns} passes {MAX_MASK} elements");
        let keep = |m: i64, n: i64| (lower < 0 || m - n <= lower) && (upper < 0 || n - m <= upper);
        let (rows, columns) = (rows as i64, columns as i64);
        let mask = Tensor::bools((0..rows).flat_map(|m| (0..columns).map(move |n| keep(m, n))));
        let mut dims = vec![1; rank];
        (dims[rank - 2], dims[rank - 1]) = (rows as u64, columns as u64);
        let x = patch.tap(input);
        let cond = patch.constant(mask.reshaped(dims)?);
        let zero = patch.constant(Tensor::from_f64s(t.dtype, &[], &[0.0])?);
        let y = patch.op("select", &[("cond", cond), ("a", x), ("b", zero)])?;
        patch.replace(m.result(op)?, y)
    }
}

#[cfg(test)]
mod tests {
    use anewrite_ir::mil::Mil;
    use anewrite_testkit::{Bench, check_page};

    use super::*;

    const BENCH: Bench<'_> = Bench { rule: &BandMask, dialect: &Mil, limits: &[] };

    fn band(shape: &str, args: &str) -> String {
        format!("func main<CoreML6>(tensor<fp16, {shape}> x) {{ y = band_part(x = x, {args}); }} -> (y);")
    }

    #[test]
    fn page() {
        // numpy: np.tril(np.triu(np.ones((2, 3)), 0), 1)
        check_page(&BENCH);
    }

    #[test]
    fn negative_bounds_keep_all() {
        // numpy.tril(numpy.ones((3, 4)), 0): lower kept whole, nothing above the diagonal
        let got = BENCH.fires(&band("[3, 4]", "lower = -1, upper = 0"));
        assert!(
            got.contains("bool[3, 4][1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]"),
            "{got}"
        );
        // numpy.triu(numpy.ones((4, 2)), -2)
        let got = BENCH.fires(&band("[4, 2]", "lower = 2, upper = -1"));
        assert!(got.contains("bool[4, 2][1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0]"), "{got}");
    }

    #[test]
    fn declines() {
        assert!(BENCH.declines(&band("[?, 4]", "lower = 1, upper = 0")).contains("not known"));
        assert!(BENCH.declines(&band("[3000, 3000]", "lower = 1, upper = 0")).contains("passes"));
        BENCH.fires(&band("[?, 3, 4]", "lower = 1, upper = 0"));
    }
}
