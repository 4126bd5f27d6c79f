//! N026: a `multiply` by one value for each channel is a `scale`, or of one shape.

use anewrite_ir::{Attr, Attrs, Dim, Str};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::layers::{MULTIPLY, layer};
use crate::rules::operands::{Held, Operand, Show};

declare_rule! {
    /// ## What it does
    /// Replaces a `multiply` by one value for each channel: where the values are constant by a `scale`, where they are
    /// computed by a `multiply` with the values repeated over the plane.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0) {
    ///   func main(tensor<fp32, [1, 1, 3, 7, 4]> x, tensor<fp32, [1, 1, 3, 1, 1]> gate) {
    ///     z = nn.multiply(input = (x, gate));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0) {
    ///   func main(tensor<fp32, [1, 1, 3, 7, 4]> x, tensor<fp32, [1, 1, 3, 1, 1]> gate) {
    ///     a = nn.upsample(input = gate)[scalingFactor = [2, 2], mode = NN];
    ///     b = nn.upsample(input = a)[scalingFactor = [2, 2], mode = NN];
    ///     c = nn.upsample(input = b)[scalingFactor = [2, 1], mode = NN];
    ///     d = nn.crop(input = c)[cropAmounts = {borderAmounts = [{endEdgeSize = 1}, {}]}];
    ///     z = nn.multiply(input = (x, d));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil before
    /// program(1.0) {
    ///   func main(tensor<fp32, [1, 1, 2, 7, 4]> x) {
    ///     c = nn.loadConstant()[data = tensor<fp32, [2]>([0.5, -3.0]), shape = [2, 1, 1]];
    ///     z = nn.multiply(input = (x, c));
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0) {
    ///   func main(tensor<fp32, [1, 1, 2, 7, 4]> x) {
    ///     z = nn.scale(input = x)[scale = tensor<fp32, [2]>([0.5, -3.0]), shapeScale = [2]];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// Upsampling by nearest neighbours repeats the one value of a plane, and a crop takes away what is too much of it: each
    /// element is multiplied by the same number, which is bit-exact. A `scale` has a bias too, and where it computes one
    /// that is left out as 0, a product of -0 becomes +0.
    ///
    /// ## Applies when
    /// 1. the layer has two inputs
    /// 2. one is a constant of floats that fits a field: one finite number other than 0, or of the shape `[C]`, `[1, H, W]`
    ///    or `[C, H, W]` with regard to the last three axes of the other
    /// 3. or one has height and width 1 and the other has not; the axes before them have the same extents, all are known,
    ///    and the plane is at most 4,096 in each direction
    /// 4. a factor of 2 is within the limit `LIM-UPSAMPLE`
    pub struct MultiplyChannels = N 26 "multiply-channels";
    grade: Exact, purpose: Enable, zeros: MayFlip,
}

/// Twelve stages of upsampling by two; larger planes are not what channels are weighed over.
const LARGEST_PLANE: u64 = 4096;

impl Rule for MultiplyChannels {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.multiply")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let inputs: Vec<_> = m.data(op).args(INPUT).collect();
        let &[x, y] = inputs.as_slice() else {
            return Err(Miss::new(format!("the layer has {} inputs", inputs.len())));
        };
        let (x, y) = (Operand::of(m, x)?, Operand::of(m, y)?);
        for (large, small) in [(&x, &y), (&y, &x)] {
            if small.constant.is_some()
                && let Ok(held) = Held::of(m, large, small).and_then(Held::not_zero)
            {
                let large = patch.tap(large.value);
                let product = MULTIPLY.with_held(patch, large, held)?;
                return patch.replace(m.result(op)?, product);
            }
        }
        let (planes, large) = match (plane_of(&x, &y), plane_of(&y, &x)) {
            (Some(plane), _) => ((&x, plane), &y),
            (_, Some(plane)) => ((&y, plane), &x),
            _ => {
                return Err(Miss::new(format!(
                    "neither operand has one value for each channel of the other: {} and {}",
                    Show(&x.shape),
                    Show(&y.shape)
                )));
            }
        };
        let (small, plane) = planes;
        ensure!(
            plane.iter().all(|&n| n <= LARGEST_PLANE),
            "the plane is {plane:?}, over {LARGEST_PLANE} in one direction"
        );
        let limit = m.limit("LIM-UPSAMPLE")?;
        ensure!(limit >= 2, "the limit of upsampling is {limit}");
        let gate = patch.tap(small.value);
        let repeated = repeated(patch, gate, plane)?;
        let large_value = patch.tap(large.value);
        let both = if large.value == x.value { [large_value, repeated] } else { [repeated, large_value] };
        let product = layer(patch, "nn.multiply", &both.map(|v| (INPUT, v)), Attrs::new())?;
        patch.replace(m.result(op)?, product)
    }
}

/// Height and width of `large` where `small` has one value for each of its planes of more than one element.
fn plane_of(small: &Operand<'_>, large: &Operand<'_>) -> Option<[u64; 2]> {
    let (lead, one) = small.shape.split_last_chunk::<2>()?;
    let (same_lead, [height, width]) = large.shape.split_last_chunk::<2>()?;
    let known = lead.iter().zip(same_lead).all(|(a, b)| a == b && a.known().is_some());
    let (height, width) = (height.known()?, width.known()?);
    let fits = lead.len() == same_lead.len() && !lead.is_empty() && known && *one == [Dim::Known(1); 2];
    (fits && (height > 1 || width > 1)).then_some([height, width])
}

/// One value for each plane, as planes of this size.
fn repeated(patch: &mut PatchBuilder<'_>, x: PatchValue, plane: [u64; 2]) -> Result<PatchValue, Miss> {
    let (mut y, mut size) = (x, [1u64; 2]);
    while size != plane.map(u64::next_power_of_two) {
        let grows = |i: usize| if size[i] < plane[i] { 2 } else { 1 };
        let by = [grows(0), grows(1)];
        size = [size[0] * by[0], size[1] * by[1]];
        let factors = by.map(|n| Attr::Int(n as i64)).to_vec();
        let attrs: Attrs =
            vec![("scalingFactor".into(), Attr::List(factors)), ("mode".into(), Attr::Enum("NN".into()))];
        y = layer(patch, "nn.upsample", &[(INPUT, y)], attrs)?;
    }
    if size == plane {
        return Ok(y);
    }
    let edge = |surplus: u64| {
        let set = (surplus > 0).then(|| (Str::from("endEdgeSize"), Attr::Int(surplus as i64)));
        Attr::Message(set.into_iter().collect())
    };
    let border = Attr::List(vec![edge(size[0] - plane[0]), edge(size[1] - plane[1])]);
    let amounts = Attr::Message(vec![("borderAmounts".into(), border)]);
    layer(patch, "nn.crop", &[(INPUT, y)], vec![("cropAmounts".into(), amounts)])
}

#[cfg(test)]
mod tests {
    use anewrite_nn::{Mapping, Nn};
    use anewrite_testkit::{Bench, check_page};

    use super::*;
    use crate::rules::bench::arrays;

    static RANK5: Nn = Nn { mapping: Mapping::Rank5 };
    static EXACT: Nn = Nn { mapping: Mapping::Exact };
    const BENCH: Bench<'_> =
        Bench { rule: &MultiplyChannels, dialect: &RANK5, limits: &[("LIM-UPSAMPLE", 2)] };
    const OF_ARRAYS: Bench<'_> = Bench { dialect: &EXACT, ..BENCH };

    #[test]
    fn page() {
        check_page(&BENCH);
    }

    #[test]
    fn batches_and_either_order() {
        let text = arrays(
            "tensor<fp32, [2, 3, 1, 1]> gate, tensor<fp32, [2, 3, 1, 3]> x",
            "z = nn.multiply(input = (gate, x));",
        );
        let got = OF_ARRAYS.fires(&text);
        assert_eq!(got.matches("nn.upsample").count(), 2, "{got}");
        assert!(
            got.contains("scalingFactor: List([Int(1), Int(2)])") && got.contains(", input = x)"),
            "{got}"
        );
        assert!(got.contains("Message([]), Message([(\"endEdgeSize\", Int(1))])"), "{got}");
    }

    #[test]
    fn constants_of_other_shapes() {
        for (kind, x, shape, count, want) in [
            ("loadConstant", "[6, 2, 3, 7, 4]", "[1, 7, 4]", 28, "z = nn.scale"),
            ("loadConstantND", "[2, 3, 7, 4]", "[3, 1, 1]", 3, "z = nn.scale"),
            ("loadConstantND", "[3, 4]", "[1, 1]", 1, "z = nn.multiply(input = x, alpha"),
        ] {
            let layers = format!(
                "c = nn.{kind}()[data = random<fp32, [{count}]>(5), shape = {shape}];
                 z = nn.multiply(input = (c, x));"
            );
            let got = OF_ARRAYS.fires(&arrays(&format!("tensor<fp32, {x}> x"), &layers));
            assert!(got.contains(want) && !got.contains("loadConstant"), "{got}");
        }
    }

    #[test]
    fn declines() {
        for (args, reason) in [
            ("tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [2, 3, 4, 5]> y", "neither operand has one value"),
            ("tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [2, 3, 4, 1]> y", "neither operand has one value"),
            ("tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [1, 3, 1, 1]> y", "neither operand has one value"),
            ("tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [2, 1, 1, 1]> y", "neither operand has one value"),
            ("tensor<fp32, [1, 3, ?, 5]> x, tensor<fp32, [1, 3, 1, 1]> y", "neither operand has one value"),
            ("tensor<fp32, [?, 3, 4, 5]> x, tensor<fp32, [?, 3, 1, 1]> y", "neither operand has one value"),
            ("tensor<fp32, [3, 1, 1]> x, tensor<fp32, [3, 1, 1]> y", "neither operand has one value"),
            ("tensor<fp32, [2, 3, 5000]> x, tensor<fp32, [2, 1, 1]> y", "over 4096"),
            ("tensor<fp32, [...]> x, tensor<fp32, [2, 1, 1]> y", "not known"),
        ] {
            let why = OF_ARRAYS.declines(&arrays(args, "z = nn.multiply(input = (x, y));"));
            assert!(why.contains(reason), "{args}: {why}");
        }
        let one = arrays("tensor<fp32, [2, 4, 5]> x", "z = nn.multiply(input = x)[alpha = 2.0];");
        assert!(OF_ARRAYS.declines(&one).contains("1 inputs"));
        let three = arrays("tensor<fp32, [2, 4, 5]> x", "z = nn.multiply(input = (x, x, x));");
        assert!(OF_ARRAYS.declines(&three).contains("3 inputs"));
        let pair = arrays(
            "tensor<fp32, [2, 3, 4, 5]> x, tensor<fp32, [2, 3, 1, 1]> y",
            "z = nn.multiply(input = (x, y));",
        );
        let unlimited = Bench { limits: &[], ..OF_ARRAYS };
        assert!(unlimited.declines(&pair).contains("nothing is known of LIM-UPSAMPLE"));
        let none = Bench { limits: &[("LIM-UPSAMPLE", 1)], ..OF_ARRAYS };
        assert!(none.declines(&pair).contains("the limit of upsampling is 1"));
    }
}
