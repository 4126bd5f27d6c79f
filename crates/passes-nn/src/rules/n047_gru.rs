//! N047: a `gru` of a few steps is written out.

use anewrite_nn::recurrent::Gru as Layer;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::layers::linear;
use crate::rules::recurrent::{Bias, Unrolled, activate_clipped, pair};

declare_rule! {
    /// ## What it does
    /// Replaces a `gru` over a sequence of known length by layers for each step.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 1, 1, 1]> x) {
    ///     z, t = nn.gru(input = x)[inputVectorSize = 1, outputVectorSize = 1, activations = [{sigmoid = {}}, {tanh = {}}],
    ///       sequenceOutput = true, reverseInput = true,
    ///       updateGateWeightMatrix = tensor<fp32, [1]>([0.5]), updateGateRecursionMatrix = tensor<fp32, [1]>([-0.25]),
    ///       resetGateWeightMatrix = tensor<fp32, [1]>([1.5]), resetGateRecursionMatrix = tensor<fp32, [1]>([0.75]),
    ///       outputGateWeightMatrix = tensor<fp32, [1]>([2.0]), outputGateRecursionMatrix = tensor<fp32, [1]>([-3.0])];
    ///   } -> (z);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 1, 1, 1]> x) {
    ///     a = nn.innerProduct(input = x)[inputChannels = 1, outputChannels = 3,
    ///       weights = tensor<fp32, [3]>([0.5, 1.5, 2.0])];
    ///     b = nn.permute(input = a)[axis = [2, 1, 0, 3]];
    ///     c = nn.slice(input = b)[endIndex = 2, stride = 1];
    ///     d = nn.slice(input = b)[startIndex = 2, endIndex = 3, stride = 1];
    ///     e = nn.slice(input = c)[startIndex = 1, endIndex = 2, stride = 1, axis = HEIGHT_AXIS];
    ///     f = nn.slice(input = d)[startIndex = 1, endIndex = 2, stride = 1, axis = HEIGHT_AXIS];
    ///     g = nn.activation(input = e)[sigmoid = {}];
    ///     h = nn.slice(input = g)[endIndex = 1, stride = 1];
    ///     i = nn.activation(input = f)[tanh = {}];
    ///     j = nn.activation(input = h)[linear = {alpha = -1.0, beta = 1.0}];
    ///     k = nn.multiply(input = (j, i));
    ///     l = nn.slice(input = c)[endIndex = 1, stride = 1, axis = HEIGHT_AXIS];
    ///     m = nn.slice(input = d)[endIndex = 1, stride = 1, axis = HEIGHT_AXIS];
    ///     n = nn.innerProduct(input = k)[inputChannels = 1, outputChannels = 2,
    ///       weights = tensor<fp32, [2]>([-0.25, 0.75])];
    ///     o = nn.add(input = (l, n));
    ///     p = nn.activation(input = o)[sigmoid = {}];
    ///     q = nn.slice(input = p)[endIndex = 1, stride = 1];
    ///     r = nn.slice(input = p)[startIndex = 1, endIndex = 2, stride = 1];
    ///     s = nn.multiply(input = (k, r));
    ///     t = nn.innerProduct(input = s)[inputChannels = 1, outputChannels = 1, weights = tensor<fp32, [1]>([-3.0])];
    ///     u = nn.add(input = (m, t));
    ///     v = nn.activation(input = u)[tanh = {}];
    ///     w = nn.activation(input = q)[linear = {alpha = -1.0, beta = 1.0}];
    ///     y = nn.multiply(input = (w, v));
    ///     aa = nn.multiply(input = (q, k));
    ///     ab = nn.add(input = (y, aa));
    ///     z = nn.concat(input = (k, ab))[sequenceConcat = true];
    ///   } -> (z);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// A step is `z, r = f(W x + R h + b)`, `o = g(W x + R (r h) + b)`, `h' = (1 - z) o + z h`, each gate with matrices of
    /// its own. The products with the input of all gates and steps are one layer, whose matrix is those of the gates
    /// one below the other; in each step `R h` of both gates is a layer, and `R (r h)` another. What a linear activation or
    /// `ReLU` takes is clipped at 50, as the layer does, by `max(x, -50)` and `-max(-x, -50)`. Only the order in which
    /// sums are rounded differs, and, where no state is given, the signs of zeros.
    /// In 16 bits more is rounded: each layer of a step, where the engine's arithmetic is taken to round a step of the
    /// whole layer once.
    ///
    /// ## What it costs
    /// Fifteen layers a step and as many multiply-adds as the layer has; the firing says how many. The matrices `W` stay
    /// one, but each step has a copy of the matrices `R` in the file, for a layer holds its weights by itself.
    ///
    /// ## Applies when
    /// 1. the sequence is `[Seq, B, inputVectorSize, 1, 1]` with 1 to 64 known steps (profit: more make a network of
    ///    over a thousand layers), and a state to begin with is `[1, B, outputVectorSize, 1, 1]`
    /// 2. under the older mapping of arrays the axis Seq is made by a layer: one that an input has, an application
    ///    may choose as it calls
    /// 3. the steps hold at most 4,194,304 weights of `R` together
    /// 4. weights are floats of one precision, not quantised
    pub struct Gru = N 47 "gru";
    grade: Exact, purpose: Enable, growth: 4.0, zeros: MayFlip,
}

/// The gates in the order in which their weights are stacked.
const GATES: [&str; 3] = ["updateGate", "resetGate", "outputGate"];

impl Rule for Gru {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.gru")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let gru = Layer::of(&m.data(m.root()).attrs).map_err(|e| Miss::new(e.to_string()))?;
        let common = gru.common;
        let u = Unrolled::of(m, patch, common, 3, 1)?;
        let named = |what: &str| GATES.map(|gate| format!("{gate}{what}"));
        let weights = u.stacked(&named("WeightMatrix"), common.input.saturating_mul(common.size))?;
        let square = common.size.saturating_mul(common.size);
        let [update, reset, output] = named("RecursionMatrix");
        let both = u.stacked(&[update, reset], square)?;
        let output = u.stacked(&[output], square)?;
        let bias = match common.bias {
            true => Some(Bias(u.stacked(&named("BiasVector"), common.size)?)),
            false => None,
        };
        let given = u.products(patch, weights, bias)?;
        let (given, given_output) = (given.of_gates(&u, patch, [0, 2])?, given.of_gates(&u, patch, [2, 1])?);
        let (both, output) = (patch.constant(both), patch.constant(output));
        let mut state = u.state(patch, 1)?;
        let mut all = Vec::new();
        for step in u.order(common.reverse) {
            let (mut gates, mut fresh) = (given.at(patch, step)?, given_output.at(patch, step)?);
            if let Some(h) = state {
                let back = u.recur(patch, h, both, 2)?;
                gates = pair(patch, "nn.add", gates, back)?;
            }
            let gates = activate_clipped(patch, gates, gru.gate)?;
            let update = u.part(patch, gates, [0, 1])?;
            if let Some(h) = state {
                let reset = u.part(patch, gates, [1, 1])?;
                let kept = pair(patch, "nn.multiply", h, reset)?;
                let back = u.recur(patch, kept, output, 1)?;
                fresh = pair(patch, "nn.add", fresh, back)?;
            }
            let fresh = activate_clipped(patch, fresh, gru.output)?;
            let rest = linear(patch, update, -1.0, 1.0)?;
            let mut next = pair(patch, "nn.multiply", rest, fresh)?;
            if let Some(h) = state {
                let kept = pair(patch, "nn.multiply", update, h)?;
                next = pair(patch, "nn.add", next, kept)?;
            }
            all.push(next);
            state = Some(next);
        }
        let state = state.ok_or(Miss::new("the sequence has no steps"))?;
        let y = u.output(patch, &all)?;
        u.finish(patch, &[y, state], [3, 1])
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &Gru = &Gru;

    /// A layer of 3 numbers to 2.
    fn layer(inputs: &str, fields: &str) -> String {
        let mut weights = String::new();
        for (i, gate) in GATES.iter().enumerate() {
            weights += &format!(
                ", {gate}WeightMatrix = random<fp32, [6]>({i}), {gate}RecursionMatrix = random<fp32, [4]>({i}),
                   {gate}BiasVector = random<fp32, [2]>({i})"
            );
        }
        format!(
            "z, h = nn.gru(input = {inputs})[inputVectorSize = 3, outputVectorSize = 2{fields}{weights}];"
        )
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn what_is_not_flat_is_clipped() {
        let count = |first: &str, second: &str| {
            let fields = format!(", activations = [{{{first} = {{}}}}, {{{second} = {{}}}}]");
            let text = arrays("tensor<fp32, [2, 1, 3, 1, 1]> x", &layer("x", &fields));
            bench(RULE).fires(&text).matches("nn.unary").count()
        };
        assert_eq!(count("sigmoidHard", "scaledTanh"), 0);
        assert_eq!(count("sigmoid", "linear"), 4);
        assert_eq!(count("ReLU", "tanh"), 2);
        assert_eq!(count("linear", "ReLU"), 6);
    }

    #[test]
    fn a_state_and_a_bias() {
        let args = "tensor<fp32, [3, 2, 3, 1, 1]> x, tensor<fp32, [1, 2, 2, 1, 1]> s";
        let got = bench(RULE).fires(&arrays(args, &layer("(x, s)", ", hasBiasVectors = true")));
        assert_eq!(got.matches("nn.innerProduct").count(), 7, "{got}");
        assert!(got.contains("bias = fp32[6]"), "{got}");
    }

    #[test]
    fn declines() {
        let args = "tensor<fp32, [3, ?, 3, 1, 1]> x, tensor<fp32, [1, ?, 2, 1, 1]> s";
        let why = bench(RULE).declines(&arrays(args, &layer("(x, s)", "")));
        assert!(why.contains("the state to start from is"), "{why}");
        let direct = images("tensor<fp32, [1, 1, 3, 1, 1]> x", &layer("x", ""));
        assert!(bench(RULE).declines(&direct).contains("applications choose"));
        let missing =
            arrays("tensor<fp32, [3, 1, 3, 1, 1]> x", &layer("x", "")).replace("resetGateRecursion", "other");
        let why = bench(RULE).declines(&missing);
        assert!(why.contains("resetGateRecursionMatrix is not set"), "{why}");
        let open = arrays("tensor<fp32, [?, 1, 3, 1, 1]> x", &layer("x", ""));
        assert!(bench(RULE).declines(&open).contains("steps is not known"));
    }
}
