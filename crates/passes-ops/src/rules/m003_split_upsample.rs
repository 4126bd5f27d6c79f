//! M003: nearest upsampling by a product is a chain of upsamplings by its factors.

use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};
use anewrite_tensor::{DType, Tensor};

declare_rule! {
    /// ## What it does
    /// Replaces an `upsample_nearest_neighbor` by a factor that the engine does not take, such as 4, by a chain of
    /// upsamplings by factors that it does.
    ///
    /// ## Before / after
    /// With a limit of 2:
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [1, 3, 5, 7]> x) {
    ///   y = upsample_nearest_neighbor(x = x, scale_factor_height = 4, scale_factor_width = 2);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [1, 3, 5, 7]> x) {
    ///   a = upsample_nearest_neighbor(x = x, scale_factor_height = 2, scale_factor_width = 2);
    ///   y = upsample_nearest_neighbor(x = a, scale_factor_height = 2, scale_factor_width = 1);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Element `i` of an upsampling by `f` is element `floor(i / f)` of its input, and
    /// `floor(floor(i / a) / b) = floor(i / (a*b))` for whole `a` and `b`.
    ///
    /// ## Applies when
    /// 1. both factors are constant whole numbers, and one passes the limit
    /// 2. each is a product of factors within the limit
    pub struct SplitUpsample = M 3 "split-upsample";
    grade: BitExact, purpose: Enable,
}

impl Rule for SplitUpsample {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("upsample_nearest_neighbor")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let limit = m.limit("LIM-UPSAMPLE")?;
        let (height, width) = (factor(m, "scale_factor_height")?, factor(m, "scale_factor_width")?);
        ensure!(
            height > limit || width > limit,
            "the factors {height} and {width} are within the limit of {limit}"
        );
        let (rows, columns) = (factors(height, limit)?, factors(width, limit)?);
        let mut value = patch.tap(m.arg(op, "x")?);
        for i in 0..rows.len().max(columns.len()) {
            let h = constant(m, "scale_factor_height", rows.get(i).copied().unwrap_or(1))?;
            let w = constant(m, "scale_factor_width", columns.get(i).copied().unwrap_or(1))?;
            let (h, w) = (patch.constant(h), patch.constant(w));
            let args = [("x", value), ("scale_factor_height", h), ("scale_factor_width", w)];
            value = patch.op("upsample_nearest_neighbor", &args)?;
        }
        patch.replace(m.result(op)?, value)
    }
}

fn factor(m: &Match<'_>, param: &str) -> Result<u64, Miss> {
    if m.data(m.root()).arg(param).is_none() {
        return Ok(1);
    }
    let f = m.constant(m.root(), param)?.scalar_f64().ok_or(Miss::new("a factor is not one number"))?;
    ensure!(f.fract() == 0.0 && (1.0..1e6).contains(&f), "{param} is {f}, not a whole number");
    Ok(f as u64)
}

/// The factor in the dtype that the model gives it in.
fn constant(m: &Match<'_>, param: &str, factor: u64) -> Result<Tensor, Miss> {
    let dtype = m.constant(m.root(), param).map_or(DType::I32, |t| t.dtype());
    Ok(Tensor::from_f64s(dtype, &[], &[factor as f64])?)
}

/// The prime factors of `n` gathered into factors of at most `limit`, larger ones first.
fn factors(n: u64, limit: u64) -> Result<Vec<u64>, Miss> {
    let (mut out, mut rest) = (Vec::new(), n);
    while rest > 1 {
        let largest = (2..=limit.min(rest)).rev().find(|d| rest.is_multiple_of(*d));
        let f =
            largest.ok_or_else(|| Miss::new(format!("{n} has a prime factor over the limit of {limit}")))?;
        out.push(f);
        rest /= f;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use anewrite_ir::mil::Mil;
    use anewrite_testkit::{Bench, check_page};

    use super::*;

    const BENCH: Bench<'_> = Bench { rule: &SplitUpsample, dialect: &Mil, limits: &[("LIM-UPSAMPLE", 2)] };

    fn upsample(h: &str, w: &str) -> String {
        format!(
            "func main<CoreML6>(tensor<fp16, [1, 3, 5, 7]> x) {{
               y = upsample_nearest_neighbor(x = x, scale_factor_height = {h}, scale_factor_width = {w});
             }} -> (y);"
        )
    }

    #[test]
    fn page() {
        check_page(&BENCH);
    }

    #[test]
    fn factors_are_taken_apart() {
        assert_eq!(factors(12, 4).unwrap(), [4, 3]);
        assert_eq!(factors(8, 2).unwrap(), [2, 2, 2]);
        assert!(factors(1, 2).unwrap().is_empty());
        assert!(factors(6, 2).is_err());
    }

    #[test]
    fn declines() {
        assert!(BENCH.declines(&upsample("2", "2")).contains("within the limit"));
        assert!(BENCH.declines(&upsample("tensor<fp32, []>(2.5)", "tensor<fp32, []>(4.0)")).contains("2.5"));
        assert!(BENCH.declines(&upsample("6", "2")).contains("prime factor"));
    }
}
