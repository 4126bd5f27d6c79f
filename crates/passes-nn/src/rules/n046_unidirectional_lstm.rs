//! N046: a `uniDirectionalLSTM` of a few steps is written out.

use anewrite_nn::recurrent::Lstm;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::recurrent::{Direction, Unrolled, way};

declare_rule! {
    /// ## What it does
    /// Replaces a `uniDirectionalLSTM` over a sequence of known length by layers for each step.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 1, 1, 1]> x) {
    ///     z, h, s = nn.uniDirectionalLSTM(input = x)[inputVectorSize = 1, outputVectorSize = 1,
    ///       activations = [{sigmoid = {}}, {tanh = {}}, {tanh = {}}], params = {hasBiasVectors = true, forgetBias = true},
    ///       weightParams.inputGateWeightMatrix = tensor<fp32, [1]>([0.5]),
    ///       weightParams.forgetGateWeightMatrix = tensor<fp32, [1]>([-1.5]),
    ///       weightParams.blockInputWeightMatrix = tensor<fp32, [1]>([2.0]),
    ///       weightParams.outputGateWeightMatrix = tensor<fp32, [1]>([0.75]),
    ///       weightParams.inputGateRecursionMatrix = tensor<fp32, [1]>([-0.5]),
    ///       weightParams.forgetGateRecursionMatrix = tensor<fp32, [1]>([1.25]),
    ///       weightParams.blockInputRecursionMatrix = tensor<fp32, [1]>([-1.0]),
    ///       weightParams.outputGateRecursionMatrix = tensor<fp32, [1]>([0.25]),
    ///       weightParams.inputGateBiasVector = tensor<fp32, [1]>([0.125]),
    ///       weightParams.forgetGateBiasVector = tensor<fp32, [1]>([-0.25]),
    ///       weightParams.blockInputBiasVector = tensor<fp32, [1]>([0.375]),
    ///       weightParams.outputGateBiasVector = tensor<fp32, [1]>([0.625])];
    ///   } -> (h, s);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 1, 1, 1]> x) {
    ///     a = nn.innerProduct(input = x)[inputChannels = 1, outputChannels = 4, hasBias = true,
    ///       weights = tensor<fp32, [4]>([0.5, -1.5, 0.75, 2.0]), bias = tensor<fp32, [4]>([0.125, 0.75, 0.625, 0.375])];
    ///     b = nn.permute(input = a)[axis = [2, 1, 0, 3]];
    ///     c = nn.slice(input = b)[endIndex = 1, stride = 1, axis = HEIGHT_AXIS];
    ///     d = nn.slice(input = c)[endIndex = 3, stride = 1];
    ///     e = nn.activation(input = d)[sigmoid = {}];
    ///     i = nn.slice(input = e)[endIndex = 1, stride = 1];
    ///     j = nn.slice(input = c)[startIndex = 3, endIndex = 4, stride = 1];
    ///     k = nn.activation(input = j)[tanh = {}];
    ///     l = nn.multiply(input = (i, k));
    ///     m = nn.slice(input = e)[startIndex = 2, endIndex = 3, stride = 1];
    ///     n = nn.activation(input = l)[tanh = {}];
    ///     o = nn.multiply(input = (m, n));
    ///     p = nn.slice(input = b)[startIndex = 1, endIndex = 2, stride = 1, axis = HEIGHT_AXIS];
    ///     q = nn.innerProduct(input = o)[inputChannels = 1, outputChannels = 4,
    ///       weights = tensor<fp32, [4]>([-0.5, 1.25, 0.25, -1.0])];
    ///     r = nn.add(input = (p, q));
    ///     t = nn.slice(input = r)[endIndex = 3, stride = 1];
    ///     u = nn.activation(input = t)[sigmoid = {}];
    ///     f = nn.slice(input = u)[startIndex = 1, endIndex = 2, stride = 1];
    ///     v = nn.slice(input = u)[endIndex = 1, stride = 1];
    ///     w = nn.slice(input = r)[startIndex = 3, endIndex = 4, stride = 1];
    ///     y = nn.activation(input = w)[tanh = {}];
    ///     aa = nn.multiply(input = (v, y));
    ///     ab = nn.multiply(input = (f, l));
    ///     s = nn.add(input = (ab, aa));
    ///     ac = nn.slice(input = u)[startIndex = 2, endIndex = 3, stride = 1];
    ///     ad = nn.activation(input = s)[tanh = {}];
    ///     h = nn.multiply(input = (ac, ad));
    ///   } -> (h, s);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// A step is `i, f, o = s(W x + R h + b)`, `g = k(W x + R h + b)`, `c' = f c + i g`, `h' = o l(c')`, each gate with
    /// matrices of its own. The products with the input of all gates and steps are one layer, whose matrix is those of
    /// the gates one below the other; so are, in each step, the products with the state. Peepholes are `scale` layers
    /// of the cell state, the bias of 1 of the forget gate is added to its vector. The cell state is clipped by
    /// `max(c, -bound)` and `-max(-c, -bound)`; not where it cannot get so far: it begins at zero, gates and cell input are
    /// at most 1, and there are no more steps than the bound. Only the order in which sums are rounded differs, and,
    /// where no state is given, the signs of zeros.
    /// In 16 bits more is rounded: each layer of a step, where the engine's arithmetic is taken to round a step of the
    /// whole layer once.
    ///
    /// ## What it costs
    /// Fifteen layers a step, twenty-four with peepholes and clipping, and as many multiply-adds as the layer has; the
    /// firing says how many. The matrices `W` stay one, but each step has a copy of the matrices `R` in the file, for a
    /// layer holds its weights by itself.
    ///
    /// ## Applies when
    /// 1. the sequence is `[Seq, B, inputVectorSize, 1, 1]` with 1 to 64 known steps (profit: more make a network of
    ///    over a thousand layers), and states to begin with are `[1, B, outputVectorSize, 1, 1]`
    /// 2. under the older mapping of arrays the axis Seq is made by a layer: one that an input has, an application
    ///    may choose as it calls
    /// 3. the steps hold at most 4,194,304 weights of `R` together
    /// 4. weights are floats of one precision, not quantised
    /// 5. the forget gate is not coupled to the input gate
    pub struct UnidirectionalLstm = N 46 "unidirectional-lstm";
    grade: Exact, purpose: Enable, growth: 4.0, zeros: MayFlip,
}

impl Rule for UnidirectionalLstm {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.uniDirectionalLSTM")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let lstm = Lstm::one_way(&m.data(m.root()).attrs).map_err(|e| Miss::new(e.to_string()))?;
        let u = Unrolled::of(m, patch, lstm.common, 4, 1)?;
        let direction = Direction { path: "weightParams", reverse: lstm.common.reverse, states: [1, 2] };
        let done = way(&u, patch, &lstm, &direction)?;
        let y = u.output(patch, &done.all)?;
        u.finish(patch, &[y, done.state, done.cell], [4, 1])
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &UnidirectionalLstm = &UnidirectionalLstm;
    const GATES: [&str; 4] = ["inputGate", "forgetGate", "blockInput", "outputGate"];

    /// A layer of 3 numbers to 2, with weights of this type.
    fn layer(dtype: &str, inputs: &str, fields: &str, params: &str) -> String {
        let mut weights = String::new();
        for (i, gate) in GATES.iter().enumerate() {
            weights += &format!(
                ", weightParams.{gate}WeightMatrix = random<{dtype}, [6]>({i}),
                   weightParams.{gate}RecursionMatrix = random<{dtype}, [4]>({i}),
                   weightParams.{gate}BiasVector = random<{dtype}, [2]>({i})"
            );
            if *gate != "blockInput" {
                weights += &format!(", weightParams.{gate}PeepholeVector = random<{dtype}, [2]>(9{i})");
            }
        }
        format!(
            "z, h, c = nn.uniDirectionalLSTM(input = {inputs})[inputVectorSize = 3, outputVectorSize = 2,
               params = {{{params}}}{fields}{weights}];"
        )
    }

    fn of(steps: u64, fields: &str, params: &str) -> String {
        arrays(&format!("tensor<fp32, [{steps}, 1, 3, 1, 1]> x"), &layer("fp32", "x", fields, params))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn gates_with_peepholes_are_made_one_by_one() {
        let got = bench(RULE).fires(&of(2, "", "hasPeepholeVectors = true"));
        // the output gate of the first step, and all three of the second
        assert_eq!(got.matches("nn.scale").count(), 4, "{got}");
        assert_eq!(got.matches("sigmoid: Message").count(), 5, "{got}");
    }

    #[test]
    fn the_cell_state_is_clipped_where_it_can_get_so_far() {
        let clipped = |steps, fields: &str, params: &str| {
            bench(RULE).fires(&of(steps, fields, params)).matches("nn.unary").count()
        };
        assert_eq!(clipped(3, "", "cellClipThreshold = 3.0"), 0);
        assert_eq!(clipped(3, "", "cellClipThreshold = 2.5"), 6);
        assert_eq!(clipped(51, "", ""), 102, "the default is 50");
        assert_eq!(clipped(51, "", "cellClipThreshold = 500.0"), 0, "which means none");
        let linear = ", activations = [{sigmoid = {}}, {linear = {alpha = 1.0}}, {tanh = {}}]";
        assert_eq!(clipped(2, linear, ""), 4);
        let state = "tensor<fp32, [2, 1, 3, 1, 1]> x, tensor<fp32, [1, 1, 2, 1, 1]> s, tensor<fp32, [1, 1, 2, 1, 1]> t";
        let got = bench(RULE).fires(&arrays(state, &layer("fp32", "(x, s, t)", "", "")));
        assert_eq!(got.matches("nn.unary").count(), 4, "{got}");
        assert!(got.contains("nn.unary(input = ") && got.contains("scale: Float(-1.0)"), "{got}");
    }

    #[test]
    fn a_forget_bias_that_16_bits_cannot_hold_is_a_layer() {
        let text = |fields: &str| {
            let layer = layer("fp16", "x", fields, "hasBiasVectors = true, forgetBias = true");
            arrays("tensor<fp32, [2, 1, 3, 1, 1]> x", &layer)
        };
        let forget = "weightParams.forgetGateBiasVector = random<fp16, [2]>(1)";
        let held =
            text("").replace(forget, "weightParams.forgetGateBiasVector = tensor<fp16, [2]>([0.5, -3.0])");
        let got = bench(RULE).fires(&held);
        assert!(!got.contains("nn.bias") && got.contains("bias = fp16[8]"), "{got}");
        let lost =
            text("").replace(forget, "weightParams.forgetGateBiasVector = tensor<fp16, [2]>([0.0001, -3.0])");
        let got = bench(RULE).fires(&lost);
        assert!(got.contains("nn.bias") && got.contains("bias = fp32[8]"), "{got}");
    }

    #[test]
    fn steps_that_a_layer_makes_under_the_older_mapping() {
        let rows = format!("s = nn.permute(input = x)[axis = [2, 1, 0, 3]]; {}", layer("fp32", "s", "", ""));
        let got = bench(RULE).fires(&images("tensor<fp32, [1, 1, 3, 4, 1]> x", &rows));
        assert_eq!(got.matches("nn.innerProduct").count(), 4, "{got}");
        let direct = images("tensor<fp32, [1, 1, 3, 1, 1]> x", &layer("fp32", "x", "", ""));
        assert!(bench(RULE).declines(&direct).contains("applications choose"));
    }

    #[test]
    fn declines() {
        let coupled = of(2, "", "coupledInputAndForgetGate = true");
        let why = bench(RULE).declines(&coupled);
        assert!(why.contains("forget gate is what the input gate leaves"), "{why}");
        let mixed = of(2, "", "")
            .replace("forgetGateWeightMatrix = random<fp32", "forgetGateWeightMatrix = random<fp16");
        let why = bench(RULE).declines(&mixed);
        assert!(why.contains("different precision"), "{why}");
        let why = bench(RULE).declines(&of(2, "", "cellClipThreshold = -1.0"));
        assert!(why.contains("clipped at -1"), "{why}");
        let bytes = of(2, "", "").replace("weightParams.forgetGateRecursionMatrix = random<fp32, [4]>(1)",
            "weightParams = {forgetGateRecursionMatrix = {quantization = {numberOfBits = 8, linearQuantization = {scale = [0.5]}}}},
             weightParams.forgetGateRecursionMatrix = random<uint8, [4]>(1)");
        let why = bench(RULE).declines(&bytes);
        assert!(why.contains("weightParams.forgetGateRecursionMatrix is quantised"), "{why}");
    }
}
