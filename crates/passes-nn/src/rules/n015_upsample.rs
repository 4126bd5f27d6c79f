//! N015: an `upsample` of nearest neighbours by a large factor is several by small ones.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::layers::layer;

declare_rule! {
    /// ## What it does
    /// Replaces an `upsample` of nearest neighbours by factors over the engine's limit by a chain within it.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 3, 5, 7]> x) {
    ///     z = nn.upsample(input = x)[scalingFactor = [4, 2], mode = NN];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 3, 5, 7]> x) {
    ///     a = nn.upsample(input = x)[scalingFactor = [2, 2], mode = NN];
    ///     z = nn.upsample(input = a)[scalingFactor = [2, 1], mode = NN];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Element `i` of the result is element `floor(i / k)` of the operand, and `floor(floor(i / a) / b) = floor(i / (a b))`
    /// for whole numbers.
    ///
    /// ## Applies when
    /// 1. the mode is nearest neighbour and the factors are whole numbers
    /// 2. a factor is over the limit `LIM-UPSAMPLE`, and both have only prime factors within it
    pub struct Upsample = N 15 "upsample";
    grade: BitExact, purpose: Enable,
}

impl Rule for Upsample {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.upsample")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let mode = m.attr(op, "mode").and_then(Attr::as_str).unwrap_or("NN");
        ensure!(mode == "NN", "the mode is {mode}, and two interpolations are not one");
        let has_fractions =
            matches!(m.attr(op, "fractionalScalingFactor"), Some(Attr::List(f)) if !f.is_empty());
        ensure!(!has_fractions, "the factors are fractions");
        let scales = m.attr(op, "scalingFactor").and_then(Attr::as_ints).unwrap_or_default();
        let &[height, width] = scales.as_slice() else {
            return Err(Miss::new(format!("{} factors", scales.len())));
        };
        let limit = i64::try_from(m.limit("LIM-UPSAMPLE")?).unwrap_or(i64::MAX);
        ensure!(
            height.max(width) > limit,
            "the factors {height} and {width} are within the limit of {limit}"
        );
        let (mut rows, mut columns) = (factors(height, limit)?, factors(width, limit)?);
        let stages = rows.len().max(columns.len());
        rows.resize(stages, 1);
        columns.resize(stages, 1);
        let mut y = patch.tap(m.arg(op, INPUT)?);
        for (h, w) in rows.into_iter().zip(columns) {
            let mut attrs = Attrs::new();
            for (name, a) in &m.data(op).attrs {
                let a = match &**name {
                    "scalingFactor" => Attr::List(vec![Attr::Int(h), Attr::Int(w)]),
                    _ => a.clone(),
                };
                attrs.push((name.clone(), a));
            }
            y = layer(patch, "nn.upsample", &[(INPUT, y)], attrs)?;
        }
        patch.replace(m.result(op)?, y)
    }
}

/// The prime factors of `n` gathered into factors of at most `limit`, larger ones first.
fn factors(n: i64, limit: i64) -> Result<Vec<i64>, Miss> {
    ensure!((1..1 << 20).contains(&n), "a factor is {n}");
    let (mut out, mut rest) = (Vec::new(), n);
    while rest > 1 {
        let largest = (2..=limit.min(rest)).rev().find(|d| rest % d == 0);
        let f =
            largest.ok_or_else(|| Miss::new(format!("{n} has a prime factor over the limit of {limit}")))?;
        out.push(f);
        rest /= f;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use anewrite_nn::{Mapping, Nn};
    use anewrite_testkit::{Bench, check_page};

    use super::*;
    use crate::rules::bench::arrays;

    static NN: Nn = Nn { mapping: Mapping::Exact };
    const BENCH: Bench<'_> = Bench { rule: &Upsample, dialect: &NN, limits: &[("LIM-UPSAMPLE", 2)] };

    fn upsample(fields: &str) -> String {
        arrays("tensor<fp32, [1, 3, 5, 7]> x", &format!("z = nn.upsample(input = x)[{fields}];"))
    }

    #[test]
    fn page() {
        check_page(&BENCH);
    }

    #[test]
    fn declines() {
        for (fields, reason) in [
            ("scalingFactor = [2, 2], mode = NN", "within the limit"),
            ("scalingFactor = [6, 2], mode = NN", "prime factor"),
            ("scalingFactor = [4, 4], mode = BILINEAR", "two interpolations"),
            ("fractionalScalingFactor = [4.0, 4.0], linearUpsampleMode = ALIGN_CORNERS_TRUE", "fractions"),
        ] {
            let why = BENCH.declines(&upsample(fields));
            assert!(why.contains(reason), "{fields}: {why}");
        }
        let none = Bench { limits: &[], ..BENCH };
        assert!(none.declines(&upsample("scalingFactor = [4, 4], mode = NN")).contains("LIM-UPSAMPLE"));
    }
}
