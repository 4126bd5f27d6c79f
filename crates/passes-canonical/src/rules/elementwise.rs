//! Which ops compute each element from the elements at the same index, and through which parameters.

const UNARY: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "atanh",
    "cast",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "elu",
    "erf",
    "exp",
    "exp2",
    "floor",
    "gelu",
    "inverse",
    "leaky_relu",
    "linear_activation",
    "log",
    "logical_not",
    "clamped_relu",
    "relu",
    "relu6",
    "round",
    "rsqrt",
    "scaled_tanh",
    "sigmoid",
    "sigmoid_hard",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "threshold",
    "thresholded_relu",
];

const BINARY: &[&str] = &[
    "add",
    "equal",
    "floor_div",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "mul",
    "not_equal",
    "pow",
    "real_div",
    "sub",
];

pub(super) fn is_elementwise(kind: &str) -> bool {
    !data_params(kind).is_empty()
}

/// The parameters whose elements are combined; empty for ops that are not elementwise.
pub(super) fn data_params(kind: &str) -> &'static [&'static str] {
    if UNARY.contains(&kind) {
        &["x"]
    } else if BINARY.contains(&kind) {
        &["x", "y"]
    } else if kind == "select" {
        &["a", "b", "cond"]
    } else {
        &[]
    }
}
