//! N042: layers whose values are known before the model runs are loaded constants.

use anewrite_ir::Attr;
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};
use anewrite_tensor::{DType, Tensor};

use crate::rules::layers::layer;
use crate::rules::operands::{loaded, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces `fillStatic`, `fillLike`, `fillDynamic`, `rangeStatic`, `rangeDynamic` and `getShape`, where shapes and bounds
    /// are known, by a `loadConstantND`, or of rank 5 without Seq and B by a `loadConstant`.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3]> x) {
    ///     a = nn.fillLike(input = x)[value = 0.5];
    ///     b = nn.addBroadcastable(input = (x, a));
    ///     c = nn.getShape(input = x);
    ///     d = nn.rangeStatic()[startValue = 1.0, endValue = 4.0, stepSizeValue = 1.0];
    ///     e = nn.addBroadcastable(input = (b, d));
    ///   } -> (c, e);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3]> x) {
    ///     a = nn.loadConstantND()[data = tensor<fp32, [6]>([0.5, 0.5, 0.5, 0.5, 0.5, 0.5]), shape = [2, 3]];
    ///     b = nn.addBroadcastable(input = (x, a));
    ///     c = nn.loadConstantND()[data = tensor<fp32, [2]>([2.0, 3.0]), shape = [2]];
    ///     d = nn.loadConstantND()[data = tensor<fp32, [3]>([1.0, 2.0, 3.0]), shape = [3]];
    ///     e = nn.addBroadcastable(input = (b, d));
    ///   } -> (c, e);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// The values depend on shapes, fields and constants alone. Those of a range are `start + i * step`, and taken only
    /// where 32 bits hold each of them as it is.
    ///
    /// ## Applies when
    /// 1. every extent of the result is known; of `getShape`, every extent of the operand
    /// 2. what a range starts from and its step are fields, or loaded
    /// 3. the result has from 1 to 65,536 elements
    /// 4. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct KnownValues = N 42 "known-values";
    grade: BitExact, purpose: Enable,
}

/// A larger constant is not worth its bytes.
const MAX_ELEMENTS: u64 = 1 << 16;

impl Rule for KnownValues {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&[
            "nn.fillStatic",
            "nn.fillLike",
            "nn.fillDynamic",
            "nn.rangeStatic",
            "nn.rangeDynamic",
            "nn.getShape",
        ])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let result = m.result(op)?;
        let dims = m.dims(result)?;
        let count =
            dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d)).filter(|n| (1..=MAX_ELEMENTS).contains(n));
        let count = count.ok_or_else(|| Miss::new(format!("the result is {dims:?}")))?;
        let values: Vec<f64> = match &*m.data(op).kind {
            "nn.getShape" => m.dims(m.arg(op, INPUT)?)?.iter().map(|&n| n as f64).collect(),
            "nn.rangeStatic" | "nn.rangeDynamic" => range(m, count)?,
            _ => {
                let value = m.attr(op, "value").map_or(Some(0.0), Attr::as_float);
                vec![value.ok_or(Miss::new("the value is no number"))?; count as usize]
            }
        };
        ensure!(values.len() as u64 == count, "{} values for {count} elements", values.len());
        let held = values.iter().all(|&x| f64::from(x as f32) == x);
        ensure!(held, "32 bits do not hold each value as it is");
        let data = patch.constant(Tensor::from_f64s(DType::F32, &[count], &values)?);
        let (kind, shape) = match dims.as_slice() {
            [1, 1, plane @ ..] if plane.len() == 3 => ("nn.loadConstant", plane),
            all => ("nn.loadConstantND", all),
        };
        let shape = shape.iter().map(|&n| Attr::Int(n as i64)).collect();
        let y = layer(patch, kind, &[("data", data)], vec![("shape".into(), Attr::List(shape))])?;
        patch.replace(result, y)
    }
}

/// The elements of a range: inputs are its end, start and step, as many as there are.
fn range(m: &Match<'_>, count: u64) -> Result<Vec<f64>, Miss> {
    let op = m.root();
    let inputs: Vec<_> = m.data(op).args(INPUT).collect();
    let number = |i: usize, field: &str| match inputs.get(i) {
        Some(&v) => {
            let t = loaded(m, v).filter(|t| t.count() == 1);
            let t = t.ok_or_else(|| Miss::new(format!("input {i} of the range is computed")))?;
            Ok(t.to_f64s()?.first().copied().unwrap_or(f64::NAN))
        }
        None => m.attr(op, field).map_or(Some(0.0), Attr::as_float).ok_or(Miss::new("a bound is no number")),
    };
    let (start, step) = (number(1, "startValue")?, number(2, "stepSizeValue")?);
    ensure!(start.is_finite() && step.is_finite(), "it starts at {start}, by {step}");
    Ok((0..count).map(|i| start + i as f64 * step).collect())
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &KnownValues = &KnownValues;

    fn of(x: &str, call: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.{call};"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn each_layer() {
        let got = bench(RULE).fires(&of("[2]", "fillStatic()[value = -2.0, targetShape = [1, 1, 1, 2, 1]]"));
        assert!(got.contains("z = nn.loadConstant(data = fp32[2][-2.0, -2.0]"), "{got}");
        let layers = "s = nn.loadConstantND()[data = tensor<fp32, [2]>([1.0, 3.0]), shape = [2]];
            z = nn.fillDynamic(input = s)[value = 4.0];";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [2]> x", layers));
        assert!(got.contains("z = nn.loadConstantND(data = fp32[3][4.0, 4.0, 4.0]"), "{got}");
        let layers = "e = nn.loadConstantND()[data = tensor<fp32, [1]>([-2.0]), shape = [1]];
            s = nn.loadConstantND()[data = tensor<fp32, [1]>([1.0]), shape = [1]];
            z = nn.rangeDynamic(input = (e, s))[stepSizeValue = -1.0];";
        let got = bench(RULE).fires(&arrays("tensor<fp32, [2]> x", layers));
        assert!(got.contains("z = nn.loadConstantND(data = fp32[3][1.0, 0.0, -1.0]"), "{got}");
    }

    #[test]
    fn declines() {
        for (x, call, reason) in [
            ("[2, ?]", "fillLike(input = x)[value = 1.0]", "not known"),
            ("[2, ?]", "getShape(input = x)", "not known"),
            ("[2]", "fillStatic()[value = 1.0, targetShape = [300, 300]]", "the result is [300, 300]"),
            ("[2]", "rangeStatic()[endValue = 1.0, stepSizeValue = 0.1]", "32 bits"),
            ("[1]", "rangeDynamic(input = x)[stepSizeValue = 1.0]", "not known"),
        ] {
            let why = bench(RULE).declines(&of(x, call));
            assert!(why.contains(reason), "{x} {call}: {why}");
        }
        let image = "a = nn.fillLike(input = x)[value = 1.0]; z = nn.add(input = (x, a));";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
