//! N027: a product over an axis is a tree of products of halves.

use anewrite_ir::{Attr, Attrs};
use anewrite_nn::INPUT;
use anewrite_rewrite::{
    Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule, ensure,
};

use crate::rules::axes::reduced;
use crate::rules::functions::product;
use crate::rules::layers::layer;
use crate::rules::operands::{Operand, Show, mapping_stays};

declare_rule! {
    /// ## What it does
    /// Replaces a `reduceProd` or a `reduce` of the mode `PROD`, which the engine has no layer for, by slices and
    /// multiplications: the one half of the axis times the other, until one element is left.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     z = nn.reduceProd(input = x)[axes = [-1], keepDims = true];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 3, 4, 5]> x) {
    ///     last = nn.slice(input = x)[startIndex = 4, endIndex = 5, stride = 1, axis = WIDTH_AXIS];
    ///     a = nn.slice(input = x)[endIndex = 2, stride = 1, axis = WIDTH_AXIS];
    ///     b = nn.slice(input = x)[startIndex = 2, endIndex = 4, stride = 1, axis = WIDTH_AXIS];
    ///     c = nn.multiply(input = (a, b));
    ///     d = nn.slice(input = c)[endIndex = 1, stride = 1, axis = WIDTH_AXIS];
    ///     e = nn.slice(input = c)[startIndex = 1, endIndex = 2, stride = 1, axis = WIDTH_AXIS];
    ///     f = nn.multiply(input = (d, e));
    ///     z = nn.multiply(input = (f, last));
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// The same elements are multiplied, in another order: roundings differ, and a product may overflow on the way where
    /// it does not in the other order. A sum of logarithms, which is sometimes written instead, has no meaning for
    /// negative numbers and is not used.
    ///
    /// ## Applies when
    /// 1. the axes are among the last three of a tensor of rank 3 to 5, stay with extent 1, and have known extents
    /// 2. together they take at most 64 multiplications
    /// 3. a `reduceProd` is not the last layer because of which the tensors of a network of images have ranks of their own
    pub struct ProductTree = N 27 "product-tree";
    grade: Exact, purpose: Enable, growth: 2.0, zeros: MayFlip,
}

/// Three axes of a million elements each; what is left over of odd extents may double it.
const MOST_PRODUCTS: usize = 64;

impl Rule for ProductTree {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&["nn.reduceProd", "nn.reduce"])
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        if &*m.data(op).kind == "nn.reduce" {
            let mode = m.attr(op, "mode").and_then(Attr::as_str).unwrap_or("SUM");
            ensure!(mode == "PROD", "the mode is {mode}");
        }
        mapping_stays(m, op)?;
        let x = Operand::of(m, m.arg(op, INPUT)?)?;
        let rank = x.shape.len();
        ensure!((3..=5).contains(&rank), "the operand has rank {rank}, slices take 3 to 5");
        let axes = reduced(m, op, rank)?;
        let mut extents = Vec::new();
        for &axis in &axes {
            let kind = match axis {
                1 => "WIDTH_AXIS",
                2 => "HEIGHT_AXIS",
                3 => "CHANNEL_AXIS",
                _ => {
                    return Err(Miss::new(format!(
                        "the {axis}. axis from the end is reduced, slices take the last three"
                    )));
                }
            };
            let extent = x.shape.iter().rev().nth(axis as usize - 1).and_then(|d| d.known());
            let extent = extent.ok_or_else(|| Miss::new(format!("the extents are {}", Show(&x.shape))))?;
            ensure!(extent > 0, "an axis has no elements, whose product is 1");
            extents.push((kind, extent));
        }
        let products: usize = extents.iter().map(|&(_, n)| products_of(n)).sum();
        ensure!(products > 0, "all reduced axes have one element");
        ensure!(
            products <= MOST_PRODUCTS,
            "{products} multiplications would be needed, over {MOST_PRODUCTS}"
        );
        let mut y = patch.tap(x.value);
        for (kind, extent) in extents {
            y = over(patch, y, kind, extent)?;
        }
        patch.replace(m.result(op)?, y)
    }
}

/// How many multiplications a tree over `n` elements has.
fn products_of(n: u64) -> usize {
    (n.ilog2() + n.count_ones() - 1) as usize
}

/// The product over one axis of `extent` elements.
fn over(patch: &mut PatchBuilder<'_>, x: PatchValue, axis: &str, extent: u64) -> Result<PatchValue, Miss> {
    let (mut y, mut n, mut odd) = (x, extent, Vec::new());
    while n > 1 {
        let half = n / 2;
        if n % 2 == 1 {
            odd.push(piece(patch, y, axis, [n - 1, n])?);
        }
        let (front, back) = (piece(patch, y, axis, [0, half])?, piece(patch, y, axis, [half, 2 * half])?);
        y = product(patch, front, back)?;
        n = half;
    }
    odd.into_iter().try_fold(y, |y, rest| product(patch, y, rest))
}

fn piece(
    patch: &mut PatchBuilder<'_>,
    x: PatchValue,
    axis: &str,
    [begin, end]: [u64; 2],
) -> Result<PatchValue, Miss> {
    let mut attrs = Attrs::new();
    if begin != 0 {
        attrs.push(("startIndex".into(), Attr::Int(begin as i64)));
    }
    attrs.push(("endIndex".into(), Attr::Int(end as i64)));
    attrs.push(("stride".into(), Attr::Int(1)));
    if axis != "CHANNEL_AXIS" {
        attrs.push(("axis".into(), Attr::Enum(axis.into())));
    }
    layer(patch, "nn.slice", &[(INPUT, x)], attrs)
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &ProductTree = &ProductTree;

    fn prod(x: &str, layer: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &format!("z = nn.{layer};"))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn as_many_products_as_the_bound_counts() {
        for (extent, products) in [(2, 1), (3, 2), (4, 2), (6, 3), (7, 4), (8, 3), (64, 6), (63, 10)] {
            let got = bench(RULE)
                .fires(&prod(&format!("[{extent}, 2, 3]"), "reduce(input = x)[mode = PROD, axis = C]"));
            assert_eq!(got.matches("nn.multiply").count(), products, "{extent}: {got}");
            assert_eq!(products_of(extent), products);
        }
    }

    #[test]
    fn several_axes_one_after_the_other() {
        let got = bench(RULE)
            .fires(&prod("[?, 1, 2, 3]", "reduceProd(input = x)[axes = [1, 2, -1], keepDims = true]"));
        assert_eq!(got.matches("nn.multiply").count(), 3, "{got}");
        assert!(got.contains("HEIGHT_AXIS") && got.contains("WIDTH_AXIS"), "{got}");
        let image = "w = nn.exp2(input = x); z = nn.reduce(input = w)[mode = PROD, axis = HW];";
        let got = bench(RULE).fires(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image));
        assert_eq!(got.matches("nn.multiply").count(), 5, "{got}");
    }

    #[test]
    fn declines() {
        for (x, layer, reason) in [
            ("[2, 3, 4, 5]", "reduceProd(input = x)[axes = [1]]", "the reduced axes go"),
            (
                "[2, 3, 4, 5]",
                "reduceProd(input = x)[axes = [0], keepDims = true]",
                "the 4. axis from the end",
            ),
            (
                "[2, 3, 4, ?]",
                "reduceProd(input = x)[axes = [3], keepDims = true]",
                "the extents are [2, 3, 4, ?]",
            ),
            ("[2, 3, 4, 1]", "reduceProd(input = x)[axes = [3], keepDims = true]", "one element"),
            ("[2, 0, 4, 1]", "reduceProd(input = x)[axes = [1], keepDims = true]", "no elements"),
            ("[4, 5]", "reduceProd(input = x)[axes = [1], keepDims = true]", "rank 2"),
            ("[2, 3, 4]", "reduce(input = x)[mode = AVG, axis = C]", "the mode is AVG"),
            ("[2, 3, 4]", "reduce(input = x)[axis = C]", "the mode is SUM"),
            ("[4194303, 4194303, 3]", "reduce(input = x)[mode = PROD]", "multiplications would be needed"),
            ("[...]", "reduce(input = x)[mode = PROD, axis = C]", "not known"),
        ] {
            let why = bench(RULE).declines(&prod(x, layer));
            assert!(why.contains(reason), "{x} {layer}: {why}");
        }
        let image = "z = nn.reduceProd(input = x)[axes = [2], keepDims = true];";
        assert!(
            bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 4, 6]> x", image)).contains("last layer")
        );
    }
}
