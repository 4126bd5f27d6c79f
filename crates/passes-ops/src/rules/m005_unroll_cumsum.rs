//! M005: a running sum is a product with a triangular matrix, or a chain of shifted additions.

use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};
use anewrite_tensor::Tensor;

use crate::rules::finite::is_finite;

declare_rule! {
    /// ## What it does
    /// Replaces `cumsum` over an axis of `n` elements by `ceil(log2 n)` additions of shifted copies, or, where the input
    /// is known to be finite and the axis is one of the last two, by one `matmul` with a triangular matrix of ones.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   y = cumsum(x = x, axis = 1, exclusive = false, reverse = false);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 3]> x) {
    ///   a = slice_by_index(x = x, begin = [0, 0], end = [0, 2], begin_mask = [true, false], end_mask = [true, false]);
    ///   b = pad(x = a, pad = [0, 0, 1, 0], mode = "constant", constant_val = tensor<fp16, []>(0.0));
    ///   c = add(x = x, y = b);
    ///   d = slice_by_index(x = c, begin = [0, 0], end = [0, 1], begin_mask = [true, false], end_mask = [true, false]);
    ///   e = pad(x = d, pad = [0, 0, 2, 0], mode = "constant", constant_val = tensor<fp16, []>(0.0));
    ///   y = add(x = c, y = e);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: exact
    /// After the step of width `t` each element holds the sum of the `2t` elements up to it, those before the start
    /// counting as 0; after `ceil(log2 n)` steps that is all of them. `reverse` shifts the other way; `exclusive`
    /// shifts the result by one. Each element is added the same elements as by `cumsum`, so infinities and NaN reach
    /// exactly those that follow them. The matrix form adds `0 * x` for the others, which is why it asks for finite
    /// input. Signed zero: a leading -0 becomes +0.
    ///
    /// ## Applies when
    /// 1. the axis is constant and its extent known, at most 65,536
    /// 2. the input is of a float dtype
    pub struct UnrollCumsum = M 5 "unroll-cumsum";
    grade: Exact, purpose: Enable, growth: 2.0, zeros: MayFlip,
}

/// A triangular matrix of more elements would weigh more than the chain costs.
const MAX_MATRIX: u64 = 1 << 18;

impl Rule for UnrollCumsum {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("cumsum")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let input = m.arg(op, "x")?;
        let t = m.tensor(input)?;
        ensure!(t.dtype.is_float(), "x is of {}, which the engine does not compute with", t.dtype);
        let shape = t.shape.as_ref().ok_or(Miss::new("the rank of x is not known"))?;
        let raw = m.int_or(op, "axis", 0)?;
        let axis = usize::try_from(if raw < 0 { raw + shape.len() as i64 } else { raw });
        let axis =
            axis.ok().filter(|&a| a < shape.len()).ok_or(Miss::new(format!("there is no axis {raw}")))?;
        let n =
            shape[axis].known().ok_or(Miss::new(format!("the extent of axis {axis} is not known: {t}")))?;
        ensure!((1..=65_536).contains(&n), "{n} elements on axis {axis}");
        let scan = Scan {
            axis,
            rank: shape.len(),
            n: n as i64,
            exclusive: m.flag_or(op, "exclusive", false)?,
            reverse: m.flag_or(op, "reverse", false)?,
            zero: Tensor::from_f64s(t.dtype, &[], &[0.0])?,
        };
        let x = patch.tap(input);
        let small = n.checked_mul(n).is_some_and(|e| e <= MAX_MATRIX);
        let y = if small && shape.len() >= 2 && axis + 2 >= shape.len() && is_finite(m, input) {
            scan.matrix(patch, x)?
        } else {
            scan.chain(patch, x)?
        };
        patch.replace(m.result(op)?, y)
    }
}

struct Scan {
    axis: usize,
    rank: usize,
    n: i64,
    exclusive: bool,
    reverse: bool,
    zero: Tensor,
}

impl Scan {
    fn chain(&self, patch: &mut PatchBuilder<'_>, x: PatchValue) -> Result<PatchValue, Miss> {
        let mut value = if self.exclusive { self.shifted(patch, x, 1)? } else { x };
        let mut by = 1;
        while by < self.n {
            let other = self.shifted(patch, value, by)?;
            value = patch.op("add", &[("x", value), ("y", other)])?;
            by *= 2;
        }
        Ok(value)
    }

    /// `x` moved by `by` elements along the axis, zeros moving in.
    fn shifted(&self, patch: &mut PatchBuilder<'_>, x: PatchValue, by: i64) -> Result<PatchValue, Miss> {
        let zero = patch.constant(self.zero.clone());
        if by >= self.n {
            // All elements move out; one axis of a slice must not be empty.
            return patch.op("mul", &[("x", x), ("y", zero)]);
        }
        let at = |v: i64| (0..self.rank).map(|i| if i == self.axis { v } else { 0 }).collect::<Vec<_>>();
        let (from, to) = if self.reverse { (by, self.n) } else { (0, self.n - by) };
        let (begin, end) = (patch.ints(&at(from))?, patch.ints(&at(to))?);
        let whole: Vec<bool> = (0..self.rank).map(|i| i != self.axis).collect();
        let begin_mask = patch.constant(Tensor::bools(whole.clone()));
        let end_mask = patch.constant(Tensor::bools(whole));
        let part = patch.op(
            "slice_by_index",
            &[("x", x), ("begin", begin), ("end", end), ("begin_mask", begin_mask), ("end_mask", end_mask)],
        )?;
        let mut amounts = vec![0; 2 * self.rank];
        amounts[2 * self.axis + usize::from(self.reverse)] = by;
        let pad = patch.ints(&amounts)?;
        let mode = patch.text("constant");
        patch.op("pad", &[("x", part), ("pad", pad), ("mode", mode), ("constant_val", zero)])
    }

    fn matrix(&self, patch: &mut PatchBuilder<'_>, x: PatchValue) -> Result<PatchValue, Miss> {
        let last = self.axis + 1 == self.rank;
        let counts = |from: i64, to: i64| {
            let before = if self.reverse { from > to } else { from < to };
            f64::from(u8::from(before || (from == to && !self.exclusive)))
        };
        // Row by row: x[.., from] * u[from, to] for the last axis, l[to, from] * x[.., from, :] for the one before.
        let ones: Vec<f64> = (0..self.n * self.n)
            .map(|i| (i / self.n, i % self.n))
            .map(|(r, c)| if last { counts(r, c) } else { counts(c, r) })
            .collect();
        let n = self.n as u64;
        let ones = patch.constant(Tensor::from_f64s(self.zero.dtype(), &[n, n], &ones)?);
        let (a, b) = if last { (x, ones) } else { (ones, x) };
        let (no, also_no) = (patch.bool(false), patch.bool(false));
        patch.op("matmul", &[("x", a), ("y", b), ("transpose_x", no), ("transpose_y", also_no)])
    }
}

#[cfg(test)]
mod tests {
    use anewrite_ir::mil::Mil;
    use anewrite_testkit::{Bench, check_page};

    use super::*;

    const BENCH: Bench<'_> = Bench { rule: &UnrollCumsum, dialect: &Mil, limits: &[] };

    fn cumsum(shape: &str, args: &str) -> String {
        format!("func main<CoreML6>(tensor<fp16, {shape}> x) {{ y = cumsum(x = x, {args}); }} -> (y);")
    }

    fn of_sigmoid(shape: &str, args: &str) -> String {
        format!(
            "func main<CoreML6>(tensor<bool, {shape}> x) {{
               s = cast(x = x, dtype = \"fp16\");
               y = cumsum(x = s, {args});
             }} -> (y);"
        )
    }

    #[test]
    fn page() {
        check_page(&BENCH);
    }

    #[test]
    fn reverse_pads_behind_and_exclusive_shifts_first() {
        let got = BENCH.fires(&cumsum("[3, 5, 2]", "axis = -2, exclusive = true, reverse = true"));
        let lines: Vec<&str> = got.lines().collect();
        assert!(lines[1].contains("begin = int32[3][0.0, 1.0, 0.0]"), "{got}");
        assert!(lines[2].contains("pad = int32[6][0.0, 0.0, 0.0, 1.0, 0.0, 0.0]"), "{got}");
        assert_eq!(got.matches("= add(").count(), 3, "{got}");
        assert!(got.contains("pad = int32[6][0.0, 0.0, 0.0, 4.0, 0.0, 0.0]"), "{got}");
    }

    #[test]
    fn finite_input_multiplies_by_a_triangle() {
        // numpy: x @ numpy.triu(numpy.ones((3, 3)), 1) is the exclusive running sum over the last axis
        let got = BENCH.fires(&of_sigmoid("[2, 3]", "axis = 1, exclusive = true, reverse = false"));
        assert!(got.contains("y = fp16[3, 3][0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]"), "{got}");
        // numpy: numpy.triu(numpy.ones((2, 2))) @ x is the reversed one over the axis before
        let got = BENCH.fires(&of_sigmoid("[2, 3]", "axis = 0, exclusive = false, reverse = true"));
        assert!(got.contains("x = fp16[2, 2][1.0, 1.0, 0.0, 1.0]"), "{got}");
    }

    #[test]
    fn declines() {
        assert!(BENCH.declines(&cumsum("[?, 3]", "axis = 0")).contains("not known"));
        let ints = "func main<CoreML6>(tensor<int32, [4]> x) { y = cumsum(x = x, axis = 0); } -> (y);";
        assert!(BENCH.declines(ints).contains("int32"));
    }
}
