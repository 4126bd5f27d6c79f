//! All layer types of the format: since when, what they do besides computing, and how they lower.

use std::sync::OnceLock;

use anewrite_ir::Effect;
use rustc_hash::FxHashMap;

use crate::error::Reason;
use crate::lower::{Rule, rules as r};

/// How far a layer type lowers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Every layer of the type does.
    Lowered,
    /// All do but those named.
    Partly(&'static str),
    /// None does by itself, because MIL has nothing that means it, because the type has no meaning in the format, or
    /// because it is about the network around it, with which it lowers.
    Missing(&'static str),
}

/// A layer type.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// The field of `NeuralNetworkLayer` that holds its parameters, which is also the op's kind after `nn.`.
    pub name: &'static str,
    /// The first specification version with it.
    pub since: i32,
    /// What it does besides computing.
    pub effect: Effect,
    /// How far it lowers.
    pub status: Status,
    rule: Option<(Rule, &'static str)>,
}

impl Layer {
    pub(crate) fn rule(&self) -> Result<(Rule, &'static str), Reason> {
        match (self.rule, self.status) {
            (Some(rule), _) => Ok(rule),
            (None, Status::Missing(why)) if self.effect == Effect::Opaque => Err(Reason::Opaque(why)),
            (None, Status::Missing(why) | Status::Partly(why)) => Err(Reason::Missing(why.into())),
            (None, Status::Lowered) => Err(Reason::Missing("this layer".into())),
        }
    }
}

const fn row(name: &'static str, since: i32, rule: Rule, with: &'static str) -> Layer {
    Layer { name, since, effect: Effect::Pure, status: Status::Lowered, rule: Some((rule, with)) }
}

const fn partly(layer: Layer, but: &'static str) -> Layer {
    Layer { status: Status::Partly(but), ..layer }
}

const fn random(layer: Layer) -> Layer {
    Layer { effect: Effect::Random, ..layer }
}

const fn missing(name: &'static str, since: i32, effect: Effect, why: &'static str) -> Layer {
    Layer { name, since, effect, status: Status::Missing(why), rule: None }
}

const NETWORKS: &str = "it lowers with the network that it stands in";

/// The table, in the order of the format's field numbers.
static LAYERS: &[Layer] = &[
    row("convolution", 1, r::convolution, ""),
    row("pooling", 1, r::pooling, ""),
    row("activation", 1, r::activation, ""),
    row("innerProduct", 1, r::inner_product, ""),
    row("embedding", 1, r::embedding, ""),
    row("batchnorm", 1, r::batchnorm, ""),
    row("mvn", 1, r::mvn, ""),
    row("l2normalize", 1, r::l2_normalize, ""),
    row("softmax", 1, r::softmax, ""),
    row("lrn", 1, r::lrn, ""),
    row("crop", 1, r::crop, ""),
    row("padding", 1, r::padding, ""),
    row("upsample", 1, r::upsample, ""),
    row("resizeBilinear", 3, r::resize_bilinear, ""),
    row("cropResize", 3, r::crop_resize, ""),
    row("unary", 1, r::unary, ""),
    row("add", 1, r::chain, "add"),
    row("multiply", 1, r::chain, "mul"),
    row("average", 1, r::average, ""),
    row("scale", 1, r::scale, ""),
    row("bias", 1, r::bias, ""),
    row("max", 1, r::chain, "maximum"),
    row("min", 1, r::chain, "minimum"),
    row("dot", 1, r::dot, ""),
    row("reduce", 1, r::reduce, ""),
    row("loadConstant", 1, r::load_constant, ""),
    row("reshape", 1, r::reshape, ""),
    row("flatten", 1, r::flatten, ""),
    row("permute", 1, r::permute, ""),
    row("concat", 1, r::concat, ""),
    row("split", 1, r::split, ""),
    row("sequenceRepeat", 1, r::sequence_repeat, ""),
    row("reorganizeData", 1, r::reorganize, ""),
    row("slice", 1, r::slice, ""),
    row("simpleRecurrent", 1, r::simple_recurrent, ""),
    row("gru", 1, r::gru, ""),
    row("uniDirectionalLSTM", 1, r::unidirectional_lstm, ""),
    row("biDirectionalLSTM", 1, r::bidirectional_lstm, ""),
    missing("custom", 2, Effect::Opaque, "the app implements it"),
    row("copy", 4, r::copy, ""),
    missing("branch", 4, Effect::Opaque, NETWORKS),
    missing("loop", 4, Effect::Opaque, NETWORKS),
    missing("loopBreak", 4, Effect::Opaque, NETWORKS),
    missing("loopContinue", 4, Effect::Opaque, NETWORKS),
    row("rangeStatic", 4, r::range_static, ""),
    row("rangeDynamic", 4, r::range_dynamic, ""),
    row("clip", 4, r::clip, ""),
    row("ceil", 4, r::same_op, "ceil"),
    row("floor", 4, r::same_op, "floor"),
    row("sign", 4, r::same_op, "sign"),
    row("round", 4, r::same_op, "round"),
    row("exp2", 4, r::same_op, "exp2"),
    row("sin", 4, r::same_op, "sin"),
    row("cos", 4, r::same_op, "cos"),
    row("tan", 4, r::same_op, "tan"),
    row("asin", 4, r::same_op, "asin"),
    row("acos", 4, r::same_op, "acos"),
    row("atan", 4, r::same_op, "atan"),
    row("sinh", 4, r::same_op, "sinh"),
    row("cosh", 4, r::same_op, "cosh"),
    row("tanh", 4, r::same_op, "tanh"),
    row("asinh", 4, r::inverse_hyperbolic, "asinh"),
    row("acosh", 4, r::inverse_hyperbolic, "acosh"),
    row("atanh", 4, r::same_op, "atanh"),
    row("erf", 4, r::same_op, "erf"),
    row("gelu", 4, r::gelu, ""),
    row("equal", 4, r::compare, "equal"),
    row("notEqual", 4, r::compare, "not_equal"),
    row("lessThan", 4, r::compare, "less"),
    row("lessEqual", 4, r::compare, "less_equal"),
    row("greaterThan", 4, r::compare, "greater"),
    row("greaterEqual", 4, r::compare, "greater_equal"),
    row("logicalOr", 4, r::logical, "logical_or"),
    row("logicalXor", 4, r::logical, "logical_xor"),
    row("logicalNot", 4, r::logical_not, ""),
    row("logicalAnd", 4, r::logical, "logical_and"),
    row("modBroadcastable", 4, r::pair, "mod"),
    row("minBroadcastable", 4, r::pair, "minimum"),
    row("maxBroadcastable", 4, r::pair, "maximum"),
    row("addBroadcastable", 4, r::pair, "add"),
    row("powBroadcastable", 4, r::pair, "pow"),
    row("divideBroadcastable", 4, r::pair, "real_div"),
    row("floorDivBroadcastable", 4, r::pair, "floor_div"),
    row("multiplyBroadcastable", 4, r::pair, "mul"),
    row("subtractBroadcastable", 4, r::pair, "sub"),
    row("tile", 4, r::tile, ""),
    row("stack", 4, r::stack, ""),
    row("gather", 4, r::gather, ""),
    row("scatter", 4, r::scatter, ""),
    row("gatherND", 4, r::gather_nd, ""),
    row("scatterND", 4, r::scatter_nd, ""),
    row("softmaxND", 4, r::softmax_nd, ""),
    row("gatherAlongAxis", 4, r::gather_along_axis, ""),
    row("scatterAlongAxis", 4, r::scatter_along_axis, ""),
    row("reverse", 4, r::reverse, ""),
    row("reverseSeq", 4, r::reverse_sequence, ""),
    row("splitND", 4, r::split_nd, ""),
    row("concatND", 4, r::concat_nd, ""),
    row("transpose", 4, r::transpose, ""),
    row("sliceStatic", 4, r::slice_static, ""),
    partly(
        row("sliceDynamic", 4, r::slice_dynamic, ""),
        "computed squeezeMasks: the rank of a MIL value is part of its type",
    ),
    row("slidingWindows", 4, r::sliding_windows, ""),
    row("topK", 4, r::topk, ""),
    row("argMin", 4, r::argmax, "reduce_argmin"),
    row("argMax", 4, r::argmax, "reduce_argmax"),
    row("embeddingND", 4, r::embedding_nd, ""),
    row("batchedMatmul", 4, r::batched_matmul, ""),
    row("getShape", 4, r::get_shape, ""),
    row("loadConstantND", 4, r::load_constant_nd, ""),
    row("fillLike", 4, r::fill_like, ""),
    row("fillStatic", 4, r::fill_static, ""),
    row("fillDynamic", 4, r::fill_dynamic, ""),
    row("broadcastToLike", 4, r::broadcast_like, ""),
    row("broadcastToStatic", 4, r::broadcast_static, ""),
    row("broadcastToDynamic", 4, r::broadcast_dynamic, ""),
    partly(
        row("squeeze", 4, r::squeeze, ""),
        "squeezeAll of unknown extents: the rank of a MIL value is part of its type",
    ),
    row("expandDims", 4, r::expand_dims, ""),
    row("flattenTo2D", 4, r::flatten_to_2d, ""),
    row("reshapeLike", 4, r::reshape_like, ""),
    row("reshapeStatic", 4, r::reshape_static, ""),
    row("reshapeDynamic", 4, r::reshape_dynamic, ""),
    row("rankPreservingReshape", 4, r::rank_preserving_reshape, ""),
    row("constantPad", 4, r::constant_pad, ""),
    random(row("randomNormalLike", 4, r::normal, "like")),
    random(row("randomNormalStatic", 4, r::normal, "static")),
    random(row("randomNormalDynamic", 4, r::normal, "dynamic")),
    random(row("randomUniformLike", 4, r::uniform, "like")),
    random(row("randomUniformStatic", 4, r::uniform, "static")),
    random(row("randomUniformDynamic", 4, r::uniform, "dynamic")),
    random(row("randomBernoulliLike", 4, r::bernoulli, "like")),
    random(row("randomBernoulliStatic", 4, r::bernoulli, "static")),
    random(row("randomBernoulliDynamic", 4, r::bernoulli, "dynamic")),
    random(row("categoricalDistribution", 4, r::categorical, "")),
    row("reduceL1", 4, r::reduce_nd, "reduce_l1_norm"),
    row("reduceL2", 4, r::reduce_nd, "reduce_l2_norm"),
    row("reduceMax", 4, r::reduce_nd, "reduce_max"),
    row("reduceMin", 4, r::reduce_nd, "reduce_min"),
    row("reduceSum", 4, r::reduce_nd, "reduce_sum"),
    row("reduceProd", 4, r::reduce_nd, "reduce_prod"),
    row("reduceMean", 4, r::reduce_nd, "reduce_mean"),
    row("reduceLogSum", 4, r::reduce_nd, "reduce_log_sum"),
    row("reduceSumSquare", 4, r::reduce_nd, "reduce_sum_square"),
    row("reduceLogSumExp", 4, r::reduce_nd, "reduce_log_sum_exp"),
    row("whereNonZero", 4, r::non_zero, ""),
    row("matrixBandPart", 4, r::matrix_band_part, ""),
    row("lowerTriangular", 4, r::triangular, "lower"),
    row("upperTriangular", 4, r::triangular, "upper"),
    row("whereBroadcastable", 4, r::where_broadcastable, ""),
    row("layerNormalization", 4, r::layer_normalization, ""),
    row("NonMaximumSuppression", 4, r::nms, ""),
    row("oneHot", 5, r::one_hot, ""),
    row("cumSum", 5, r::cumsum, ""),
    row("clampedReLU", 5, r::clamped_relu, ""),
    row("argSort", 5, r::argsort, ""),
    row("pooling3d", 5, r::pooling3d, ""),
    row("globalPooling3d", 5, r::global_pooling3d, ""),
    row("sliceBySize", 5, r::slice_by_size, ""),
    row("convolution3d", 5, r::convolution3d, ""),
];

/// All layer types, in the order of the format's field numbers.
///
/// ```
/// assert_eq!(anewrite_nn::layers().len(), 158);
/// ```
pub fn layers() -> &'static [Layer] {
    LAYERS
}

/// The layer type `name` (`convolution`, without `nn.`).
///
/// ```
/// use anewrite_nn::{Status, layer};
/// assert_eq!(layer("addBroadcastable").unwrap().status, Status::Lowered);
/// assert!(matches!(layer("custom").unwrap().status, Status::Missing(_)));
/// assert!(layer("addbroadcastable").is_none());
/// ```
pub fn layer(name: &str) -> Option<&'static Layer> {
    static BY_NAME: OnceLock<FxHashMap<&'static str, &'static Layer>> = OnceLock::new();
    BY_NAME.get_or_init(|| LAYERS.iter().map(|l| (l.name, l)).collect()).get(name).copied()
}
