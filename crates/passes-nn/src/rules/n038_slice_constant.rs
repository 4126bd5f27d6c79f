//! N038: a slice at places that are loaded is a `slice` for each axis.

use anewrite_ir::{Attr, Dim, OpId, ValueId};
use anewrite_nn::INPUT;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

use crate::rules::n012_slice_static::Bounds;
use crate::rules::operands::{Operand, axis_from_end, mapping_stays, whole};

declare_rule! {
    /// ## What it does
    /// Replaces a `sliceDynamic` or `sliceBySize` whose places are loaded from constants by one `slice` for each axis of
    /// which it leaves something out.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 6, 7, 9]> x) {
    ///     b = nn.loadConstantND()[data = tensor<fp32, [4]>([0.0, 1.0, 0.0, -7.0]), shape = [4]];
    ///     e = nn.loadConstantND()[data = tensor<fp32, [4]>([2.0, 5.0, 3.0, 8.0]), shape = [4]];
    ///     z = nn.sliceDynamic(input = (x, b, e))[endMasks = [false, false, true, false], strides = [1, 2, 1, 1]];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 6, 7, 9]> x) {
    ///     c = nn.slice(input = x)[startIndex = 1, endIndex = 5, stride = 2];
    ///     z = nn.slice(input = c)[startIndex = 2, endIndex = 8, stride = 1, axis = WIDTH_AXIS];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7, 9]> x) {
    ///     b = nn.loadConstantND()[data = tensor<fp32, [1]>([2.0]), shape = [1]];
    ///     z = nn.sliceBySize(input = (x, b))[size = 4, axis = 1];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [6, 7, 9]> x) {
    ///     z = nn.slice(input = x)[startIndex = 2, endIndex = 6, stride = 1, axis = HEIGHT_AXIS];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// A box is the slice of a slice: each layer leaves out what the box leaves out along its axis, and hands on the rest
    /// as it is. What is loaded is the same in each run.
    ///
    /// ## Applies when
    /// 1. all inputs but the first are loaded, and whole numbers
    /// 2. something is left out, and only along the last three axes, whose extents are known
    /// 3. no stride is negative, nothing is empty, and no axis goes
    /// 4. `sliceBySize`: it begins within the axis, and the size is positive and does not reach beyond it, or -1
    /// 5. it is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct SliceConstant = N 38 "slice-constant";
    grade: BitExact, purpose: Enable,
}

impl Rule for SliceConstant {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.sliceDynamic", "nn.sliceBySize"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        mapping_stays(m, op)?;
        let inputs: Vec<ValueId> = m.data(op).args(INPUT).collect();
        let (Some(&x), Some(places)) = (inputs.first(), inputs.get(1..)) else {
            return Err(Miss::new("the layer has no input"));
        };
        let x = Operand::of(m, x)?;
        let bounds = match &*m.data(op).kind {
            "nn.sliceBySize" => by_size(m, op, &x, places)?,
            _ => dynamic(m, op, places)?,
        };
        let y = bounds.cut(patch, &x)?;
        patch.replace(m.result(op)?, y)
    }
}

/// Inputs take the place of fields, as many as there are.
fn dynamic(m: &Match<'_>, op: OpId, places: &[ValueId]) -> Result<Bounds, Miss> {
    ensure!((1..=6).contains(&places.len()), "the layer has {} inputs", places.len() + 1);
    let mut bounds = Bounds::of_fields(m, op);
    for (i, &v) in places.iter().enumerate() {
        let numbers = whole(m, v, "the places")?;
        let flags = || numbers.iter().map(|&n| n != 0).collect();
        match i {
            0 => bounds.begins = numbers,
            1 => bounds.ends = numbers,
            2 => bounds.strides = numbers,
            3 => bounds.open_begins = flags(),
            4 => bounds.open_ends = flags(),
            _ => bounds.gone = flags(),
        }
    }
    Ok(bounds)
}

fn by_size(m: &Match<'_>, op: OpId, x: &Operand<'_>, places: &[ValueId]) -> Result<Bounds, Miss> {
    let &[at] = places else {
        return Err(Miss::new(format!("the layer has {} inputs", places.len() + 1)));
    };
    let begin = whole(m, at, "the places")?;
    let &[begin] = begin.as_slice() else {
        return Err(Miss::new(format!("it begins at {} places", begin.len())));
    };
    let rank = x.shape.len();
    let axis = rank - axis_from_end(m, op, rank)? as usize;
    let extent = match x.shape.get(axis) {
        Some(Dim::Known(n)) => i64::try_from(*n).unwrap_or(i64::MAX),
        _ => return Err(Miss::new(format!("the extent of axis {axis} is not known"))),
    };
    let size = m.attr(op, "size").and_then(Attr::as_int).unwrap_or(0);
    ensure!((0..extent).contains(&begin), "it begins at {begin} of {extent}");
    let end = if size == -1 { extent } else { begin.saturating_add(size) };
    ensure!(end > begin && end <= extent, "{size} elements from {begin} on, of {extent}");
    let mut bounds = Bounds::default();
    for (i, d) in x.shape.iter().enumerate() {
        bounds.begins.push(if i == axis { begin } else { 0 });
        bounds.ends.push(if i == axis { end } else { d.known().map_or(0, |n| n as i64) });
        bounds.open_ends.push(i != axis);
    }
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &SliceConstant = &SliceConstant;

    fn numbers(name: &str, v: &[f32]) -> String {
        let n = v.len();
        format!("{name} = nn.loadConstantND()[data = tensor<fp32, [{n}]>({v:?}), shape = [{n}]];")
    }

    fn by_size(x: &str, begin: f32, size: i64, axis: i64) -> String {
        let layers = format!(
            "{} z = nn.sliceBySize(input = (x, b))[size = {size}, axis = {axis}];",
            numbers("b", &[begin])
        );
        arrays(&format!("tensor<fp32, {x}> x"), &layers)
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn every_input_in_the_place_of_a_field() {
        let layers = [
            numbers("b", &[1.0, 5.0, 1.0]),
            numbers("e", &[6.0, 1.0, 8.0]),
            numbers("s", &[2.0, 1.0, 3.0]),
            numbers("o", &[0.0, 1.0, 0.0]),
            numbers("p", &[0.0, 1.0, 0.0]),
            numbers("q", &[0.0, 0.0, 0.0]),
            "z = nn.sliceDynamic(input = (x, b, e, s, o, p, q));".to_owned(),
        ];
        let got = bench(RULE).fires(&arrays("tensor<fp32, [6, 7, 9]> x", &layers.concat()));
        assert!(
            got.contains("nn.slice(input = x, startIndex: Int(1), endIndex: Int(6), stride: Int(2))"),
            "{got}"
        );
        assert!(
            got.contains("startIndex: Int(1), endIndex: Int(8), stride: Int(3), axis: Enum(\"WIDTH_AXIS\")"),
            "{got}"
        );
        assert!(!got.contains("HEIGHT"), "{got}");
    }

    #[test]
    fn to_the_end() {
        let got = bench(RULE).fires(&by_size("[?, 7, ?]", 3.0, -1, -2));
        assert!(
            got.contains("startIndex: Int(3), endIndex: Int(7), stride: Int(1), axis: Enum(\"HEIGHT_AXIS\")"),
            "{got}"
        );
    }

    #[test]
    fn declines() {
        for (x, begin, size, axis, reason) in [
            ("[6, 7, 9]", 3.0, 5, 1, "5 elements from 3 on, of 7"),
            ("[6, 7, 9]", 3.0, 0, 1, "0 elements"),
            ("[6, 7, 9]", -3.0, 2, 1, "begins at -3 of 7"),
            ("[6, 7, 9]", 0.5, 2, 1, "no whole numbers"),
            ("[6, ?, 9]", 3.0, 2, 1, "not known"),
            ("[2, 6, 7, 9]", 1.0, 1, 0, "axis 0 of rank 4"),
            ("[6, 7, 9]", 0.0, 7, 1, "nothing is left out"),
        ] {
            let why = bench(RULE).declines(&by_size(x, begin, size, axis));
            assert!(why.contains(reason), "{x} {begin} {size}: {why}");
        }
        let args = "tensor<fp32, [6, 7, 9]> x, tensor<fp32, [1]> b";
        let why =
            bench(RULE).declines(&arrays(args, "z = nn.sliceBySize(input = (x, b))[size = 4, axis = 1];"));
        assert!(why.contains("computed"), "{why}");
        let gone = numbers("b", &[2.0, 0.0, 0.0])
            + &numbers("e", &[3.0, 7.0, 9.0])
            + "z = nn.sliceDynamic(input = (x, b, e))[squeezeMasks = [true, false, false]];";
        assert!(bench(RULE).declines(&arrays("tensor<fp32, [6, 7, 9]> x", &gone)).contains("an axis goes"));
        let image = "b = nn.loadConstant()[data = tensor<fp32, [1]>([1.0]), shape = [1, 1, 1]];
            z = nn.sliceBySize(input = (x, b))[size = 2, axis = 2];";
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert!(why.contains("last layer"), "{why}");
    }
}
