//! N045: a `simpleRecurrent` of a few steps is written out.

use anewrite_nn::recurrent::SimpleRecurrent as Layer;
use anewrite_rewrite::{Match, Miss, PatchBuilder, Pattern, Rule, RuleInfo, declare_rule};

use crate::rules::recurrent::{Bias, Unrolled, activate, pair};

declare_rule! {
    /// ## What it does
    /// Replaces a `simpleRecurrent` over a sequence of known length by layers for each step.
    ///
    /// ## Before / after
    /// ```mil before
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 1, 1]> x, tensor<fp32, [1, 1, 2, 1, 1]> s) {
    ///     z, t = nn.simpleRecurrent(input = (x, s))[inputVectorSize = 3, outputVectorSize = 2, activation = {tanh = {}},
    ///       sequenceOutput = true, hasBiasVector = true, weightMatrix = random<fp32, [6]>(1),
    ///       recursionMatrix = random<fp32, [4]>(2), biasVector = random<fp32, [2]>(3)];
    ///   } -> (z, t);
    /// }
    /// ```
    /// ```mil after
    /// program(1.0)[arrayInputShapeMapping = EXACT_ARRAY_MAPPING] {
    ///   func main(tensor<fp32, [2, 1, 3, 1, 1]> x, tensor<fp32, [1, 1, 2, 1, 1]> s) {
    ///     a = nn.innerProduct(input = x)[inputChannels = 3, outputChannels = 2, hasBias = true,
    ///       weights = random<fp32, [6]>(1), bias = random<fp32, [2]>(3)];
    ///     b = nn.permute(input = a)[axis = [2, 1, 0, 3]];
    ///     c = nn.slice(input = b)[endIndex = 1, stride = 1, axis = HEIGHT_AXIS];
    ///     d = nn.innerProduct(input = s)[inputChannels = 2, outputChannels = 2, weights = random<fp32, [4]>(2)];
    ///     e = nn.add(input = (c, d));
    ///     f = nn.activation(input = e)[tanh = {}];
    ///     g = nn.slice(input = b)[startIndex = 1, endIndex = 2, stride = 1, axis = HEIGHT_AXIS];
    ///     h = nn.innerProduct(input = f)[inputChannels = 2, outputChannels = 2, weights = random<fp32, [4]>(2)];
    ///     i = nn.add(input = (g, h));
    ///     t = nn.activation(input = i)[tanh = {}];
    ///     z = nn.concat(input = (f, t))[sequenceConcat = true];
    ///   } -> (z, t);
    /// }
    /// ```
    ///
    /// ## Equivalence: exact
    /// A step is `h = f(W x + R h + b)`. The products `W x + b` of all steps are one layer, which multiplies each step by
    /// the same matrix; a step is then cut out, and `R h` added. Only the order in which sums are rounded differs. Where
    /// no state is given the sequence begins with zeros, and the first step has no product `R h`: the sign of a zero
    /// may differ.
    /// In 16 bits more is rounded: each layer of a step, where the engine's arithmetic is taken to round a step of the
    /// whole layer once.
    ///
    /// ## What it costs
    /// Three to four layers a step and as many multiply-adds as the layer has; the firing says how many. The matrix `W`
    /// stays one, but each step's layer has a copy of `R` in the file, for a layer holds its weights by itself.
    ///
    /// ## Applies when
    /// 1. the sequence is `[Seq, B, inputVectorSize, 1, 1]` with 1 to 64 known steps (profit: more make a network of
    ///    over a thousand layers), and a state to begin with is `[1, B, outputVectorSize, 1, 1]`
    /// 2. under the older mapping of arrays the axis Seq is made by a layer: one that an input has, an application
    ///    may choose as it calls
    /// 3. the steps hold at most 4,194,304 weights of `R` together
    /// 4. weights and biases are floats of one precision, not quantised
    pub struct SimpleRecurrent = N 45 "simple-recurrent";
    grade: Exact, purpose: Enable, growth: 4.0, zeros: MayFlip,
}

impl Rule for SimpleRecurrent {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn pattern(&self) -> Pattern {
        Pattern::op("nn.simpleRecurrent")
    }

    fn rewrite(&self, m: &Match<'_>, patch: &mut PatchBuilder<'_>) -> Result<(), Miss> {
        let layer = Layer::of(&m.data(m.root()).attrs).map_err(|e| Miss::new(e.to_string()))?;
        let common = layer.common;
        let u = Unrolled::of(m, patch, common, 1, 1)?;
        let weights = u.floats("weightMatrix", common.input.saturating_mul(common.size))?.clone();
        let recursion = u.floats("recursionMatrix", common.size.saturating_mul(common.size))?.clone();
        let bias = match common.bias {
            true => Some(Bias(u.floats("biasVector", common.size)?.clone())),
            false => None,
        };
        let given = u.products(patch, weights, bias)?;
        let recursion = patch.constant(recursion);
        let mut state = u.state(patch, 1)?;
        let mut all = Vec::new();
        for step in u.order(common.reverse) {
            let mut sum = given.at(patch, step)?;
            if let Some(state) = state {
                let back = u.recur(patch, state, recursion, 1)?;
                sum = pair(patch, "nn.add", sum, back)?;
            }
            let next = activate(patch, sum, layer.activation)?;
            all.push(next);
            state = Some(next);
        }
        let state = state.ok_or(Miss::new("the sequence has no steps"))?;
        let y = u.output(patch, &all)?;
        u.finish(patch, &[y, state], [1, 1])
    }
}

#[cfg(test)]
mod tests {
    use anewrite_testkit::check_page;

    use super::*;
    use crate::rules::bench::{arrays, bench, images};

    const RULE: &SimpleRecurrent = &SimpleRecurrent;
    const FIELDS: &str = "inputVectorSize = 3, outputVectorSize = 2, activation = {ReLU = {}},
        weightMatrix = random<fp32, [6]>(1), recursionMatrix = random<fp32, [4]>(2)";

    /// Results `z` (the sequence) and `h`.
    fn layer(inputs: &str, more: &str) -> String {
        format!("z, h = nn.simpleRecurrent(input = {inputs})[{FIELDS}{more}];")
    }

    fn of(x: &str, more: &str) -> String {
        arrays(&format!("tensor<fp32, {x}> x"), &layer("x", more))
    }

    #[test]
    fn page() {
        check_page(&bench(RULE));
    }

    #[test]
    fn a_single_step_from_zeros_is_two_layers() {
        let got = bench(RULE).fires(&of("[1, 2, 3, 1, 1]", ", sequenceOutput = true"));
        assert!(got.contains("nn.innerProduct(input = x") && got.contains("ReLU"), "{got}");
        assert!(!got.contains("nn.slice") && !got.contains("nn.permute") && !got.contains("nn.add"), "{got}");
    }

    #[test]
    fn the_last_step_alone_needs_no_sequence() {
        let got = bench(RULE).fires(&of("[3, ?, 3, 1, 1]", ""));
        assert_eq!(got.matches("nn.innerProduct").count(), 3, "{got}");
        assert!(!got.contains("nn.concat"), "{got}");
    }

    #[test]
    fn backwards_the_last_step_is_cut_first() {
        let got = bench(RULE).fires(&of("[3, 1, 3, 1, 1]", ", reverseInput = true"));
        let (last, first) = ("startIndex: Int(2), endIndex: Int(3)", "nn.slice(input = %3, endIndex: Int(1)");
        let (last, first) = (got.find(last), got.find(first));
        assert!(last.is_some() && last < first, "{got}");
    }

    #[test]
    fn outputs_that_are_one_value_stay_two() {
        let args = "tensor<fp32, [2, 1, 3, 1, 1]> x";
        let text = arrays(args, &layer("x", "")).replace("-> (z)", "-> (z, h)");
        let got = bench(RULE).fires(&text);
        assert!(
            got.contains("h = nn.activation(input = z, linear: Message([(\"alpha\", Float(1.0))]))"),
            "{got}"
        );
    }

    #[test]
    fn steps_that_a_layer_makes_under_the_older_mapping() {
        let rows = format!("s = nn.permute(input = x)[axis = [2, 1, 0, 3]]; {}", layer("s", ""));
        let got = bench(RULE).fires(&images("tensor<fp32, [1, 1, 3, 4, 1]> x", &rows));
        assert_eq!(got.matches("nn.innerProduct").count(), 4, "{got}");
        let rows = format!("s = nn.reshape(input = x)[targetShape = [4, 3, 1, 1]]; {}", layer("s", ""));
        bench(RULE).fires(&images("tensor<fp32, [1, 1, 3, 4, 1]> x", &rows));
        bench(RULE).fires(&images("tensor<fp32, [4, 1, 3, 1, 1]> x", &layer("x", "")));
        // the state of another layer has one step, its sequence as many as its input
        let deep = |from: &str| {
            format!(
                "a, b = nn.simpleRecurrent(input = x)[inputVectorSize = 5, outputVectorSize = 3, sequenceOutput = true,
                   activation = {{tanh = {{}}}}, weightMatrix = random<fp32, [15]>(3), recursionMatrix = random<fp32, [9]>(4)];
                 {}",
                layer(from, "")
            )
        };
        bench(RULE).fires(&images("tensor<fp32, [1, 1, 5, 1, 1]> x", &deep("b")));
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 5, 1, 1]> x", &deep("a")));
        assert!(why.contains("applications choose"), "{why}");
        let flat = format!("s = nn.flatten(input = x)[]; {}", layer("s", ""));
        let why = bench(RULE).declines(&images("tensor<fp32, [1, 1, 3, 1, 1]> x", &flat));
        assert!(why.contains("that of the input x, which applications choose"), "{why}");
    }

    #[test]
    fn declines() {
        for (x, reason) in [
            ("[?, 1, 3, 1, 1]", "steps is not known"),
            ("[65, 1, 3, 1, 1]", "65 steps"),
            ("[2, 1, 1, 1, 3]", "the sequence is [2, 1, 1, 1, 3], not [Seq, B, 3, 1, 1]"),
        ] {
            let why = bench(RULE).declines(&of(x, ""));
            assert!(why.contains(reason), "{x}: {why}");
        }
        let state = "tensor<fp32, [2, 1, 3, 1, 1]> x, tensor<fp32, [1, 1, 1, 1, 2]> s";
        let why = bench(RULE).declines(&arrays(state, &layer("(x, s)", "")));
        assert!(why.contains("the state to start from is [1, 1, 1, 1, 2]"), "{why}");
        let large = "z, h = nn.simpleRecurrent(input = x)[inputVectorSize = 1, outputVectorSize = 300,
            activation = {tanh = {}}, weightMatrix = random<fp32, [300]>(1), recursionMatrix = random<fp32, [90000]>(2)];";
        let why = bench(RULE).declines(&arrays("tensor<fp32, [47, 1, 1, 1, 1]> x", large));
        assert!(why.contains("over 4194304 weights"), "{why}");
        bench(RULE).fires(&arrays("tensor<fp32, [46, 1, 1, 1, 1]> x", large));
        let short = of("[2, 1, 3, 1, 1]", ", hasBiasVector = true, biasVector = random<fp32, [2]>(3)");
        let why = bench(RULE).declines(&short.replace("fp32, [4]>(2)", "fp16, [5]>(2)"));
        assert!(why.contains("recursionMatrix has 5 elements, it needs 4"), "{why}");
    }
}
