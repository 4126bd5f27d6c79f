//! C010: ops that hand their input on as it is.

use anewrite_ir::OpId;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule, ensure};

declare_rule! {
    /// ## What it does
    /// Takes out ops whose result is their input: `identity`, `cast` to the same dtype, `reshape` and `squeeze` to the
    /// same shape, `transpose` that moves no axis, `concat` and `split` of one piece, `pad` and `tile` by nothing,
    /// slices of everything.
    ///
    /// ## Before / after
    /// ```mil before
    /// func main<CoreML6>(tensor<fp16, [2, 3, 5]> x) {
    ///   a = relu(x = x);
    ///   b = transpose(x = a, perm = [0, -2, 2]);
    ///   c = reshape(x = b, shape = [2, -1, 5]);
    ///   y = tanh(x = c);
    /// } -> (y);
    /// ```
    /// ```mil after
    /// func main<CoreML6>(tensor<fp16, [2, 3, 5]> x) {
    ///   a = relu(x = x);
    ///   y = tanh(x = a);
    /// } -> (y);
    /// ```
    ///
    /// ## Equivalence: bit-exact
    /// Every element of the result is the element of the input at the same index: the parameters say so for any data.
    ///
    /// ## Applies when
    /// 1. input and result have the same type, unknown dims included
    /// 2. the parameters that decide it are constants
    /// 3. the result is not an output of the model fed by an input of the model: some op must give it its name
    pub struct IdentityMoves = C 10 "identity-moves";
    grade: BitExact, purpose: Clean,
}

/// Ops that only place elements, and with input and output of one shape place none elsewhere.
const BY_TYPE: &[&str] =
    &["identity", "cast", "reshape", "squeeze", "expand_dims", "flatten2d", "reshape_like"];

const OTHERS: &[&str] = &["transpose", "concat", "split", "pad", "tile", "slice_by_index", "slice_by_size"];

impl Rule for IdentityMoves {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::one_of(&[BY_TYPE, OTHERS].concat())
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let op = m.root();
        let kind = &*m.data(op).kind;
        let input = m.arg(op, if kind == "concat" { "values" } else { "x" })?;
        let output = m.result(op)?;
        ensure!(m.facts.ty(m.program, input) == m.facts.ty(m.program, output), "the result has another type");
        if !BY_TYPE.contains(&kind) {
            moves_nothing(m, op, kind)?;
        }
        let input = patch.tap(input);
        patch.replace(output, input)
    }
}

fn moves_nothing(m: &Match<'_>, op: OpId, kind: &str) -> Result<(), Miss> {
    match kind {
        "transpose" => {
            let perm = m.ints(op, "perm")?;
            let rank = perm.len() as i64;
            let still = perm.iter().zip(0..).all(|(&p, i)| p == i || p + rank == i);
            ensure!(still, "it moves axes: {perm:?}");
        }
        "concat" => ensure!(m.data(op).args("values").count() == 1, "it joins several values"),
        "split" => {}
        "pad" => {
            let pad = m.ints(op, "pad")?;
            ensure!(pad.iter().all(|&n| n == 0), "it pads by {pad:?}");
        }
        "tile" => {
            let reps = m.ints(op, "reps")?;
            ensure!(reps.iter().all(|&n| n == 1), "it repeats by {reps:?}");
        }
        // Of equal shapes: a slice can keep the extents and still reverse the order.
        _ => {
            let stride = m.ints_or(op, "stride", &[])?;
            ensure!(stride.iter().all(|&s| s > 0), "it goes backwards: {stride:?}");
            m.dims(m.arg(op, "x")?)?;
        }
    }
    Ok(())
}
