//! N006: a `loadConstantND` of rank 5 without Seq and B, or for layers that make it so, is a `loadConstant`.

use anewrite_ir::{Attr, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};
use anewrite_tensor::Tensor;

use crate::rules::layers::{BROADCASTING, layer};
use crate::rules::operands::{MOST_COPIED, Operand, loaded, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `loadConstantND` of shape `[1, 1, C, H, W]` by a `loadConstant`; and one of fewer axes before a layer that
    /// broadcasts it to rank 5.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 2, 1, 3]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp16, [6]>([0.5, 1.0, -2.0, 3.0, 4.0, 5.5]), shape = [1, 1, 2, 1, 3]];
    ///     y = nn.maxBroadcastable(input = (x, c));
    ///   } -> (y);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 2, 1, 3]> x) {
    ///     c = nn.loadConstant()[data = tensor<fp16, [6]>([0.5, 1.0, -2.0, 3.0, 4.0, 5.5]), shape = [2, 1, 3]];
    ///     y = nn.maxBroadcastable(input = (x, c));
    ///   } -> (y);
    /// }
    /// ```
    ///
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 2, 1, 3]> x) {
    ///     c = nn.loadConstantND()[data = tensor<fp16, [2]>([0.5, 1.0]), shape = [2, 1, 1]];
    ///     y = nn.powBroadcastable(input = (x, c));
    ///   } -> (y);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 2, 1, 3]> x) {
    ///     c = nn.loadConstant()[data = tensor<fp16, [2]>([0.5, 1.0]), shape = [2, 1, 1]];
    ///     y = nn.powBroadcastable(input = (x, c));
    ///   } -> (y);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// `loadConstant` gives the tensor `[1, 1, C, H, W]`, whatever the mapping of the network: the same elements, which
    /// stay where they are, in the same shape. A layer that broadcasts puts axes of extent 1 before the first one itself.
    ///
    /// ## Applies when
    /// 1. the shape has five extents, of which the first two are 1; or fewer, and a layer that broadcasts makes rank 5 of
    ///    them, for elsewhere the constant would gain axes
    /// 2. the constant is not quantised, and of fewer axes it has no other user or at most 65,536 elements
    /// 3. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct LoadConstantNd = N 6 "load-constant-nd";
    grade: BitExact, purpose: Enable,
}

impl Rule for LoadConstantNd {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&[&["nn.loadConstantND"], BROADCASTING].concat())
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        if &*m.data(op).kind != "nn.loadConstantND" {
            return for_user(m, patch);
        }
        mapping_stays(m, op)?;
        let result = m.result(op)?;
        let shape = m.attr(op, "shape").and_then(Attr::as_ints).unwrap_or_default();
        let [1, 1, chw @ ..] = &*shape else {
            return Err(Miss::new(format!("the shape is {shape:?}, loadConstant has [1, 1, C, H, W]")));
        };
        ensure!(chw.len() == 3, "the shape is {shape:?}, loadConstant has [1, 1, C, H, W]");
        let data = loaded(m, result).ok_or(Miss::new("the constant is quantised, or not readable"))?;
        let constant = load(patch, data, chw)?;
        patch.replace(result, constant)
    }
}

fn load(patch: &mut PatchBuilder<'_>, data: &Tensor, chw: &[i64]) -> Result<PatchValue, Miss> {
    let shape = chw.iter().map(|&n| Attr::Int(n)).collect();
    let data = patch.constant(data.reshaped([data.count()])?);
    layer(patch, "nn.loadConstant", &[("data", data)], vec![("shape".into(), Attr::List(shape))])
}

/// The layer that broadcasts, with constants of five axes in the place of those of fewer.
fn for_user(m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
    let op = m.root();
    let result = m.result(op)?;
    let rank = Operand::of(m, result)?.shape.len();
    ensure!(rank == 5, "the result has rank {rank}, where that of the constant would be 5");
    let inputs: Vec<ValueId> = m.data(op).args(INPUT).collect();
    let mut args = Vec::with_capacity(inputs.len());
    let mut found = false;
    for &v in &inputs {
        let value = match constant_of_fewer_axes(m, v)? {
            Some((data, chw)) => {
                found = true;
                load(patch, data, &chw)?
            }
            None => patch.tap(v),
        };
        args.push((INPUT, value));
    }
    ensure!(found, "no operand is a constant of fewer axes");
    let y = layer(patch, &m.data(op).kind, &args, m.data(op).attrs.clone())?;
    patch.replace(result, y)
}

/// The constant that `loadConstantND` loads, with its shape in three axes, where it has fewer than five.
fn constant_of_fewer_axes<'a>(m: &Match<'a>, value: ValueId) -> Result<Option<(&'a Tensor, Vec<i64>)>, Miss> {
    let Some(def) = m.program.def_op(value).filter(|&d| &*m.data(d).kind == "nn.loadConstantND") else {
        return Ok(None);
    };
    let shape = m.attr(def, "shape").and_then(Attr::as_ints).unwrap_or_default();
    let lead = shape.len().saturating_sub(3);
    if shape.len() >= 5 || shape.iter().take(lead).any(|&n| n != 1) || m.program.value(value).pinned {
        return Ok(None);
    }
    let Some(data) = loaded(m, value) else { return Ok(None) };
    let uses = m.program.use_count(value);
    ensure!(
        uses == 1 || data.count() <= MOST_COPIED,
        "{} elements that {uses} layers use would be copied",
        data.count()
    );
    let ones = std::iter::repeat_n(1, 3usize.saturating_sub(shape.len()));
    Ok(Some((data, ones.chain(shape.iter().skip(lead).copied()).collect())))
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, constant, images};

    const RULE: &LoadConstantNd = &LoadConstantNd;

    fn loading(extents: &[u64]) -> String {
        let layers = format!("{} z = nn.maxBroadcastable(input = (x, c));", constant("fp32", extents));
        arrays("tensor<fp32, [2, 7, 3, 4, 5]> x", &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn images_of_rank_5() {
        let layers = constant("fp16", &[1, 1, 3, 1, 5]) + "z = nn.minBroadcastable(input = (x, c));";
        let got = bench(RULE).fires(&images("tensor<fp32, [1, 1, 3, 4, 5]> x", &layers));
        assert!(got.contains("= nn.loadConstant(data = fp16[15]"), "{got}");
        assert!(got.contains("shape: List([Int(3), Int(1), Int(5)])"), "{got}");
        let layers = constant("fp16", &[1, 1, 3, 4, 5]) + "z = nn.max(input = (x, c));";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 5]> x", &layers));
        assert!(why.contains("last layer"), "{why}");
    }

    #[test]
    fn fewer_axes_where_a_layer_makes_five() {
        for (extents, shape) in [
            (&[3, 4, 5][..], "[Int(3), Int(4), Int(5)]"),
            (&[1, 5], "[Int(1), Int(1), Int(5)]"),
            (&[1], "[Int(1), Int(1), Int(1)]"),
            (&[1, 3, 1, 5], "[Int(3), Int(1), Int(5)]"),
        ] {
            let got = bench(RULE).fires(&loading(extents));
            assert!(
                got.contains("nn.loadConstant(") && got.contains(&format!("shape: List({shape})")),
                "{got}"
            );
            assert!(!got.contains("nn.loadConstantND"), "{got}");
        }
    }

    #[test]
    fn declines() {
        for extents in [&[7, 3, 4, 5][..], &[2, 1, 3, 4, 5], &[1, 7, 3, 4, 5]] {
            let why = bench(RULE).declines(&loading(extents));
            assert!(why.contains("loadConstant has [1, 1, C, H, W]"), "{extents:?}: {why}");
        }
        // in rank 4 the result would gain an axis
        let layers = format!("{} z = nn.maxBroadcastable(input = (x, c));", constant("fp32", &[3, 4, 5]));
        bench(RULE).declines(&arrays("tensor<fp32, [7, 3, 4, 5]> x", &layers));
        // nor is a large constant copied for each of two layers
        let layers = format!(
            "{} a = nn.maxBroadcastable(input = (x, c)); z = nn.powBroadcastable(input = (a, c));",
            constant("fp32", &[3, 400, 500])
        );
        bench(RULE).declines(&arrays("tensor<fp32, [2, 1, 3, 400, 500]> x", &layers));
        let quantised =
            "c = nn.loadConstantND()[data = tensor<uint8, [3]>([1, 2, 3]), shape = [1, 1, 3, 1, 1],
                           data = {quantization = {numberOfBits = 8, linearQuantization = {scale = [0.5]}}}];
                         z = nn.maxBroadcastable(input = (x, c));";
        let why = bench(RULE).declines(&arrays("tensor<fp32, [2, 1, 3, 4, 5]> x", quantised));
        assert!(why.contains("quantised"), "{why}");
    }
}
