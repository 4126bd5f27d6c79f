//! C013: a reshape of a reshape needs only the last one.

use anewrite_ir::{Dim, TensorType};
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

declare_rule! {
    /// ## What it does
    /// Replaces a chain of two of `reshape`, `squeeze`, `expand_dims` and `flatten2d` by one `reshape`, or by nothing
    /// where the second gives back the shape that the first got.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 3, 5]> x) {
    ///   y = reshape(x = x, shape = [6, 5]);
    ///   z = reshape(x = y, shape = [5, -1]);
    /// } -> (z);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 3, 5]> x) {
    ///   z = reshape(x = x, shape = [5, 6]);
    /// } -> (z);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Both keep the elements in row-major order, so the order after both is the order before.
    ///
    /// ## Applies when
    /// 1. the last shape is known, or all of it but one extent
    /// 2. the first op has no other user (profit: else no op would go), or the chain gives back its input's type
    pub struct ComposeReshapes = C 13 "compose-reshapes";
    grade: BitExact, purpose: Clean,
}

const KINDS: &[&str] = &["reshape", "squeeze", "expand_dims", "flatten2d"];

impl Rule for ComposeReshapes {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(KINDS).operand("x", Pattern::one_of(KINDS).named("first"))
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let (first, second) = (m.op("first")?, m.root());
        let (x, z) = (m.arg(first, "x")?, m.result(second)?);
        if m.facts.ty(m.program, x) == m.facts.ty(m.program, z) {
            let x = patch.tap(x);
            return patch.replace(z, x);
        }
        ensure!(m.has_one_use(m.result(first)?), "the first op has other users, so no op would go");
        let shape = target(m.tensor(z)?)?;
        let x = patch.tap(x);
        let shape = patch.ints(&shape)?;
        let new = patch.op("reshape", &[("x", x), ("shape", shape)])?;
        patch.replace(z, new)
    }
}

/// The extents for a reshape to this type, -1 for the one that is not known.
fn target(t: &TensorType) -> Result<Vec<i64>, Miss> {
    let shape = t.shape.as_ref().ok_or(Miss::new("the rank of the result is not known"))?;
    let mut unknown = 0;
    let mut out = Vec::with_capacity(shape.len());
    for d in shape {
        match *d {
            // A reshape reads 0 as "copy the input's extent".
            Dim::Known(0) => return Err(Miss::new("the result is empty")),
            Dim::Known(n) => out.push(i64::try_from(n).map_err(|_| Miss::new("an extent passes 2^63"))?),
            _ => {
                unknown += 1;
                out.push(-1);
            }
        }
    }
    ensure!(unknown <= 1, "{unknown} extents of the result are not known: {t}");
    Ok(out)
}
