//! N048: a `biDirectionalLSTM` of a few steps is written out.

use anewrite_ir::Attrs;
use anewrite_nn::INPUT;
use anewrite_nn::recurrent::Lstm;
use anewrite_rewrite::{Match, Miss, PatchBuilder, PatchValue, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::layers::layer;
use crate::rules::recurrent::{Direction, Unrolled, way};

declare_rule! {
    /// ## What it does
    /// Replaces a `biDirectionalLSTM` over a sequence of known length by layers for each step of each direction.
    ///
    /// ## Before / after
    /// A step of an LSTM is layers as the page of N046 shows them. Those of a single step from zeros:
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 1, 1, 1]> x) {
    ///     z, hf, cf, hb, cb = nn.biDirectionalLSTM(input = x)[inputVectorSize = 1, outputVectorSize = 1,
    ///       activationsForwardLSTM = [{sigmoid = {}}, {tanh = {}}, {tanh = {}}],
    ///       activationsBackwardLSTM = [{sigmoid = {}}, {tanh = {}}, {tanh = {}}], params = {sequenceOutput = true},
    ///       weightParams.0.inputGateWeightMatrix = tensor<fp32, [1]>([0.5]),
    ///       weightParams.0.forgetGateWeightMatrix = tensor<fp32, [1]>([-1.5]),
    ///       weightParams.0.blockInputWeightMatrix = tensor<fp32, [1]>([2.0]),
    ///       weightParams.0.outputGateWeightMatrix = tensor<fp32, [1]>([0.75]),
    ///       weightParams.0.inputGateRecursionMatrix = tensor<fp32, [1]>([-0.5]),
    ///       weightParams.0.forgetGateRecursionMatrix = tensor<fp32, [1]>([1.25]),
    ///       weightParams.0.blockInputRecursionMatrix = tensor<fp32, [1]>([-1.0]),
    ///       weightParams.0.outputGateRecursionMatrix = tensor<fp32, [1]>([0.25]),
    ///       weightParams.1.inputGateWeightMatrix = tensor<fp32, [1]>([0.125]),
    ///       weightParams.1.forgetGateWeightMatrix = tensor<fp32, [1]>([-3.5]),
    ///       weightParams.1.blockInputWeightMatrix = tensor<fp32, [1]>([3.0]),
    ///       weightParams.1.outputGateWeightMatrix = tensor<fp32, [1]>([0.375]),
    ///       weightParams.1.inputGateRecursionMatrix = tensor<fp32, [1]>([-5.5]),
    ///       weightParams.1.forgetGateRecursionMatrix = tensor<fp32, [1]>([5.25]),
    ///       weightParams.1.blockInputRecursionMatrix = tensor<fp32, [1]>([-5.0]),
    ///       weightParams.1.outputGateRecursionMatrix = tensor<fp32, [1]>([5.25])];
    ///   } -> (z, hf, cb);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [1, 1, 1, 1, 1]> x) {
    ///     a = nn.innerProduct(input = x)[inputChannels = 1, outputChannels = 4,
    ///       weights = tensor<fp32, [4]>([0.5, -1.5, 0.75, 2.0])];
    ///     d = nn.slice(input = a)[endIndex = 3, stride = 1];
    ///     e = nn.activation(input = d)[sigmoid = {}];
    ///     i = nn.slice(input = e)[endIndex = 1, stride = 1];
    ///     j = nn.slice(input = a)[startIndex = 3, endIndex = 4, stride = 1];
    ///     k = nn.activation(input = j)[tanh = {}];
    ///     l = nn.multiply(input = (i, k));
    ///     m = nn.slice(input = e)[startIndex = 2, endIndex = 3, stride = 1];
    ///     n = nn.activation(input = l)[tanh = {}];
    ///     hf = nn.multiply(input = (m, n));
    ///     b = nn.innerProduct(input = x)[inputChannels = 1, outputChannels = 4,
    ///       weights = tensor<fp32, [4]>([0.125, -3.5, 0.375, 3.0])];
    ///     o = nn.slice(input = b)[endIndex = 3, stride = 1];
    ///     p = nn.activation(input = o)[sigmoid = {}];
    ///     q = nn.slice(input = p)[endIndex = 1, stride = 1];
    ///     r = nn.slice(input = b)[startIndex = 3, endIndex = 4, stride = 1];
    ///     s = nn.activation(input = r)[tanh = {}];
    ///     cb = nn.multiply(input = (q, s));
    ///     u = nn.slice(input = p)[startIndex = 2, endIndex = 3, stride = 1];
    ///     v = nn.activation(input = cb)[tanh = {}];
    ///     w = nn.multiply(input = (u, v));
    ///     z = nn.concat(input = (hf, w));
    ///   } -> (z, hf, cb);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// The layer is two LSTMs (N046), one of which begins at the end of the sequence; its states are put back into the
    /// order of the sequence, and stand behind the others along the channels. Where the layer gives out the last step
    /// alone, that of each direction is the one that it computes last.
    /// In 16 bits more is rounded: each layer of a step, where the engine's arithmetic is taken to round a step of the
    /// whole layer once.
    ///
    /// ## What it costs
    /// Thirty layers a step, forty-eight with peepholes and clipping, and as many multiply-adds as the layer has; the
    /// firing says how many. The matrices `W` stay one in each direction, but each step has a copy of the matrices `R` in
    /// the file, for a layer holds its weights by itself.
    ///
    /// ## Applies when
    /// 1. the sequence is `[Seq, B, inputVectorSize, 1, 1]` with 1 to 64 known steps (profit: more make a network of
    ///    some two thousand layers), and states to begin with are `[1, B, outputVectorSize, 1, 1]`
    /// 2. under the older mapping of arrays the axis Seq is made by a layer: one that an input has, an application
    ///    may choose as it calls
    /// 3. the steps of both directions hold at most 4,194,304 weights of `R` together
    /// 4. weights are floats of one precision in each direction, not quantised
    /// 5. the forget gate is not coupled to the input gate, and both directions have the same activations
    pub struct BidirectionalLstm = N 48 "bidirectional-lstm";
    grade: Exact, purpose: Enable, growth: 4.0, zeros: MayFlip,
}

const FORWARD: Direction = Direction { path: "weightParams.0", reverse: false, states: [1, 2] };
const BACKWARD: Direction = Direction { path: "weightParams.1", reverse: true, states: [3, 4] };

impl Rule for BidirectionalLstm {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.biDirectionalLSTM")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let lstm = Lstm::both_ways(&m.data(m.root()).attrs).map_err(|e| Miss::new(e.to_string()))?;
        let u = Unrolled::of(m, patch, lstm.common, 4, 2)?;
        let forward = way(&u, patch, &lstm, &FORWARD)?;
        let backward = way(&u, patch, &lstm, &BACKWARD)?;
        let mut aligned = backward.all;
        if lstm.common.sequence {
            aligned.reverse();
        }
        let halves: [PatchValue; 2] = [u.output(patch, &forward.all)?, u.output(patch, &aligned)?];
        let y = layer(patch, "nn.concat", &halves.map(|half| (INPUT, half)), Attrs::new())?;
        let outputs = [y, forward.state, forward.cell, backward.state, backward.cell];
        u.finish(patch, &outputs, [4, 2])
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &BidirectionalLstm = &BidirectionalLstm;

    /// A layer of 3 numbers to 2 in each direction.
    fn layer(inputs: &str, fields: &str, params: &str) -> String {
        let mut weights = String::new();
        for way in [0, 1] {
            for (i, gate) in ["inputGate", "forgetGate", "blockInput", "outputGate"].iter().enumerate() {
                weights += &format!(
                    ", weightParams.{way}.{gate}WeightMatrix = random<fp32, [6]>({way}{i}),
                       weightParams.{way}.{gate}RecursionMatrix = random<fp32, [4]>({way}{i})"
                );
            }
        }
        format!(
            "z, hf, cf, hb, cb = nn.biDirectionalLSTM(input = {inputs})[inputVectorSize = 3, outputVectorSize = 2,
               params = {{{params}}}{fields}{weights}];"
        )
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn the_backward_states_are_put_into_the_order_of_the_sequence() {
        let text = arrays("tensor<fp32, [3, 1, 3, 1, 1]> x", &layer("x", "", "sequenceOutput = true"));
        let got = bench(RULE).fires(&text.replace("-> (z)", "-> (z, hf, hb)"));
        let joins: Vec<&str> = got.lines().filter(|l| l.contains("sequenceConcat")).collect();
        let [forward, backward] = joins.as_slice() else { panic!("{got}") };
        assert!(forward.contains("input = hf, sequenceConcat") && backward.contains("(input = hb,"), "{got}");
        assert!(!got.contains("= nn.concat(input = hf"), "{got}");
    }

    #[test]
    fn the_last_steps_of_both_directions() {
        let text = arrays("tensor<fp32, [3, 1, 3, 1, 1]> x", &layer("x", "", ""));
        let got = bench(RULE).fires(&text.replace("-> (z)", "-> (z, hf, hb)"));
        assert!(got.contains("z = nn.concat(input = hf, input = hb)"), "{got}");
    }

    #[test]
    fn declines() {
        let x = "tensor<fp32, [3, 1, 3, 1, 1]> x";
        let two = ", activationsForwardLSTM = [{sigmoid = {}}, {tanh = {}}, {tanh = {}}],
                   activationsBackwardLSTM = [{sigmoid = {}}, {tanh = {}}, {linear = {}}]";
        let why = bench(RULE).declines(&arrays(x, &layer("x", two, "")));
        assert!(why.contains("different activations"), "{why}");
        let direct = images("tensor<fp32, [1, 1, 3, 1, 1]> x", &layer("x", "", ""));
        assert!(bench(RULE).declines(&direct).contains("applications choose"));
        let states = "tensor<fp32, [3, 1, 3, 1, 1]> x, tensor<fp32, [1, 1, 2, 1, 1]> a, tensor<fp32, [1, 1, 1, 1, 2]> b";
        let why = bench(RULE).declines(&arrays(states, &layer("(x, a, a, a, b)", "", "")));
        assert!(why.contains("start from is [1, 1, 1, 1, 2]"), "{why}");
        let long = arrays("tensor<fp32, [65, 1, 3, 1, 1]> x", &layer("x", "", ""));
        assert!(bench(RULE).declines(&long).contains("65 steps"));
    }
}
