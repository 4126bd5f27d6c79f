//! Findings about the layers of NeuralNetworks.

mod common;

use anewrite_diag::{Answer, Finding, Severity};
use common::{code, of};

fn network(mapping: &str, args: &str, layers: &str) -> String {
    format!("program(1.0)[{mapping}] {{ func main({args}) {{ {layers} }} -> (z); }}")
}

const OLD: &str = "arrayInputShapeMapping = RANK5_ARRAY_MAPPING";
const EXACT: &str = "arrayInputShapeMapping = EXACT_ARRAY_MAPPING";
const X: &str = "tensor<fp32, [1, 1, 16, 40, 40]> x";

#[track_caller]
fn fires(layers: &str, target: &str, number: u16) -> Finding {
    let found = of(&network(OLD, X, layers), target);
    let codes: Vec<_> = found.iter().map(|f| f.code.to_string()).collect();
    code(&found, number).cloned().unwrap_or_else(|| panic!("ANE{number:03} is not among {codes:?}"))
}

#[track_caller]
fn is_silent(layers: &str, target: &str, number: u16) {
    let found = of(&network(OLD, X, layers), target);
    assert!(code(&found, number).is_none(), "ANE{number:03}: {}", code(&found, number).unwrap().message);
}

#[test]
fn layers_of_which_nobody_knows() {
    let average = fires("z = nn.average(input = (x, x))[];", "m1", 3);
    assert_eq!((average.answer, average.severity), (Answer::Unknown, Severity::Warning));
    is_silent("z = nn.add(input = (x, x))[];", "m1", 3);
}

#[test]
fn recurrent_layers() {
    let layer = "r = nn.flatten(input = x)[]; z, h = nn.simpleRecurrent(input = r)[inputVectorSize = 25600, outputVectorSize = 2,
        activation = {tanh = {}}, weightMatrix = random<fp32, [51200]>(1), recursionMatrix = random<fp32, [4]>(2)];";
    let found = fires(layer, "m1", 5);
    assert_eq!((found.answer, found.ops.len()), (Answer::Refused, 1));
    assert!(found.advice.is_some_and(|a| a.contains("N045 to N048")));
    is_silent("z = nn.flatten(input = x)[];", "m1", 5);
}

#[test]
fn layers_of_ios_13_on_old_engines() {
    let text = network(EXACT, "tensor<fp32, [1, 16, 40, 40]> x", "z = nn.addBroadcastable(input = (x, x));");
    assert!(code(&of(&text, "a12"), 8).is_some());
    is_silent("z = nn.add(input = (x, x))[];", "a12", 8);
}

#[test]
fn convolutions_that_are_too_large_or_dilated() {
    let conv = |fields: &str, weights: u64| {
        format!(
            "z = nn.convolution(input = x)[outputChannels = 2, kernelChannels = 16, nGroups = 1, valid = {{}}, {fields},
               weights = random<fp32, [{weights}]>(1)];"
        )
    };
    let large = fires(&conv("kernelSize = [1, 39]", 2 * 16 * 39), "m1", 20);
    assert_eq!((large.answer, large.ops.len()), (Answer::Unknown, 1), "the limit is a guess for layers");
    is_silent(&conv("kernelSize = [1, 5]", 2 * 16 * 5), "m1", 20);
    assert_eq!(
        fires(&conv("kernelSize = [3, 3], dilationFactor = [2, 2]", 288), "m1", 23).answer,
        Answer::Unknown
    );
    is_silent(&conv("kernelSize = [3, 3]", 288), "m1", 23);
}

#[test]
fn pooling_strides_of_old_engines() {
    let pool = |stride: u32| {
        format!(
            "z = nn.pooling(input = x)[type = MAX, kernelSize = [4, 4], stride = [{stride}, {stride}], valid = {{}}];"
        )
    };
    assert_eq!(fires(&pool(4), "a12", 22).severity, Severity::Error);
    is_silent(&pool(2), "a12", 22);
    is_silent(&pool(4), "m1", 22);
}

#[test]
fn products_of_planes_and_odd_factors() {
    let product = "z = nn.innerProduct(input = x)[inputChannels = 25600, outputChannels = 2, weights = random<fp32, [51200]>(1)];";
    assert_eq!(fires(product, "m1", 24).answer, Answer::Unknown);
    is_silent(
        &format!("f = nn.flatten(input = x)[]; {}", product.replace("input = x", "input = f")),
        "m1",
        24,
    );
    let upsample =
        |factor: u32| format!("z = nn.upsample(input = x)[scalingFactor = [{factor}, {factor}], mode = NN];");
    assert_eq!(fires(&upsample(3), "m1", 26).answer, Answer::Unknown);
    is_silent(&upsample(2), "m1", 26);
}

#[test]
fn slices_that_saturate() {
    let slice = |start: u32| {
        format!("z = nn.slice(input = x)[startIndex = {start}, endIndex = 9, stride = 1, axis = WIDTH_AXIS];")
    };
    assert_eq!(fires(&slice(1), "m1", 35).answer, Answer::Hazard);
    is_silent(&slice(0), "m1", 35);
    is_silent(&slice(1), "m4", 35);
}

#[test]
fn custom_layers_say_where_they_cut() {
    let layers = "a = nn.activation(input = x)[ReLU = {}];
        side = nn.activation(input = x)[tanh = {}];
        c = nn.custom(input = a)[className = \"Swish\"];
        d = nn.activation(input = c)[sigmoid = {}];
        e = nn.custom(input = (d, side))[className = \"Mix\"];
        z = nn.add(input = (e, a));";
    let found = fires(layers, "m1", 4);
    assert!(found.message.ends_with("The app must have: class Swish, class Mix."), "{}", found.message);
    let seen: Vec<&str> = found.ops.iter().filter_map(|p| p.observed.as_deref()).collect();
    let [swish, mix] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(
        *swish,
        "class Swish; takes a, gives c, and side, a must get past it; 1 layer with 50.0 % of the known arithmetic before it, \
         3 layers of unknown shapes behind it, 1 layer with 50.0 % of the known arithmetic beside it"
    );
    assert!(
        mix.starts_with("class Mix; takes d, side, gives e, and a must get past it; 4 layers of unknown"),
        "{mix}"
    );
    assert!(mix.ends_with("1 layer of unknown shapes behind it, nothing beside it"), "{mix}");
}

#[test]
fn how_weights_are_stored() {
    let product = |dtype: &str| {
        format!("z = nn.scale(input = x)[scale = random<{dtype}, [16]>(1), shapeScale = [16]];")
    };
    let half = fires(&product("fp16"), "m1", 49);
    assert_eq!((half.severity, half.ops.len()), (Severity::Note, 1));
    assert!(half.message.contains("16 bits") && half.evidence[0].sources[0].key == "HOL16", "{half:?}");
    is_silent(&product("fp32"), "m1", 49);
    let quantised = fires(
        "z = nn.scale(input = x)[scale = {quantization = {numberOfBits = 8, linearQuantization = {scale = [0.5]}}},
           scale = random<uint8, [16]>(1), shapeScale = [16]];",
        "m1",
        49,
    );
    assert!(quantised.message.contains("quantised"), "{quantised:?}");
}

#[test]
fn the_mapping_of_arrays() {
    let old = "z = nn.activation(input = x)[ReLU = {}];";
    let exact = of(&network(EXACT, "tensor<fp32, [16, 40, 40]> x", old), "m1");
    let found = code(&exact, 17).unwrap();
    assert_eq!((found.severity, found.ops[0].kind.as_str()), (Severity::Note, "model"));
    is_silent(old, "m1", 17);
    let both = network(EXACT, "tensor<fp32, [16, 40, 40]> x", "z = nn.clip(input = x)[maxVal = 6.0];");
    assert!(code(&of(&both, "m1"), 17).is_none(), "arrays of their own ranks are wanted");
    let last = fires("y = nn.clip(input = x)[maxVal = 6.0]; z = nn.add(input = (x, y));", "m1", 17);
    assert_eq!(last.ops[0].op, "y");
    is_silent("y = nn.clip(input = x)[maxVal = 6.0]; z = nn.tanh(input = y);", "m1", 17);
}
