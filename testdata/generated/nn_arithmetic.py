"""Cases of make_generated.py: arithmetic, logic, activations and normalisations of NeuralNetworks."""

import numpy as np
import torch

from network import Network, case, draw


@case
def n009_divide_tensors():
    """divideBroadcastable by a value of the same shape, per channel, and of a number; by a value of the width stays."""
    x, y, gate, width = draw(301, 2, 3, 4, 5), draw(302, 2, 3, 4, 5), draw(303, 3, 1, 1), draw(304, 5)
    y, gate, width = (np.where(v == 0, np.float32(0.5), v) for v in (y, gate, width))
    n = Network(["quotient", "other"], x=x, y=y, gate=gate, width=width)
    n.constant("number", np.float32([-2.5]))
    n.pair("divide", "a", "x", "y")
    n.pair("divide", "b", "a", "gate")
    n.pair("divide", "c", "number", "y")
    n.pair("add", "quotient", "b", "c")
    n.pair("divide", "other", "x", "width")
    return n, {"x": x, "y": y, "gate": gate, "width": width}, {"quotient": x / y / gate - 2.5 / y, "other": x / width}


@case
def n018_power():
    """powBroadcastable: exponents of each kind, negative bases with whole ones, a base; of two values stays."""
    x, y = draw(311, 2, 3, 4, 5), draw(312, 2, 3, 4, 5)
    nonzero = np.where(x == 0, np.float32(0.25), x)
    exponents = {"square": 2, "cube": 3, "seventh": 7, "root": 0.5, "inverse": -1, "falling": -1.5, "ninth": 9}
    n = Network([*exponents, "decimal", "both"], x=nonzero, y=y)
    n.b.add_unary("size", "x", "size", mode="abs")
    for name, exponent in exponents.items():
        n.constant(name + "_exponent", np.float32([exponent]))
        base = "size" if name in ("root", "falling") else "x"
        n.pair("pow", name, base, name + "_exponent")
    n.constant("ten", np.float32([10]))
    n.pair("pow", "decimal", "ten", "y")
    n.pair("pow", "both", "size", "y")
    base = nonzero.astype(np.float64)
    truth = {name: (abs(base) if name in ("root", "falling") else base) ** e for name, e in exponents.items()}
    return n, {"x": nonzero, "y": y}, {**truth, "decimal": 10.0 ** y.astype(np.float64), "both": abs(base) ** y}


@case
def n019_compare_with_number():
    """Comparisons with numbers of fitting sign, with values at them; with others, and of two values, stay."""
    x, y = draw(315, 2, 3, 4, 5), draw(316, 2, 3, 4, 5)
    x[0, 0, 0, :4] = [0.75, -1.25, 1.5, -0.5]
    n = Network(["reached", "below", "above", "short", "strict", "both"], x=x, y=y)
    n.b.add_greater_than("reached", ["x"], "reached", use_greater_than_equal=True, alpha=0.75)
    n.b.add_less_than("below", ["x"], "below", alpha=1.5)
    n.constant("bound", np.float32([-1.25]))
    n.b.add_less_than("above", ["bound", "x"], "above")
    n.b.add_less_than("short", ["x"], "short", use_less_than_equal=True, alpha=-0.5)
    n.b.add_greater_than("strict", ["x"], "strict", alpha=0.75)
    n.b.add_less_than("both", ["x", "y"], "both")
    truth = {"reached": x >= 0.75, "below": x < 1.5, "above": -1.25 < x, "short": x <= -0.5, "strict": x > 0.75}
    return n, {"x": x, "y": y}, {**truth, "both": x < y}


@case
def n020_modulo():
    """modBroadcastable by powers of two of both signs, at multiples and beside them; by 3 and by a value stays."""
    x, y = np.round(draw(321, 2, 3, 4, 5) * 64) / 8, draw(322, 2, 3, 4, 5)
    y = np.where(y == 0, np.float32(1.5), y)
    n = Network(["four", "two", "one", "three", "value"], x=x, y=y)
    divisors = {"four": 4, "two": -2, "one": 1, "three": 3}
    for name, divisor in divisors.items():
        n.constant(name + "_divisor", np.float32([divisor]))
        n.pair("mod", name, "x", name + "_divisor")
    n.pair("mod", "value", "x", "y")
    return n, {"x": x, "y": y}, {**{name: np.mod(x, d) for name, d in divisors.items()}, "value": np.mod(x, y)}


@case
def n021_logic():
    """Logic on comparisons: each layer, of equal shapes and per channel, a choice of numbers; of others it stays."""
    x, y, gate = draw(331, 2, 3, 4, 5), draw(332, 2, 3, 4, 5), draw(333, 3, 1, 1)
    n = Network(["both", "either", "neither", "gated", "differ", "choice", "any"], x=x, y=y, gate=gate)
    n.b.add_less_than("less", ["x", "y"], "less")
    n.b.add_greater_than("more", ["x"], "more", alpha=0.5)
    n.b.add_greater_than("open", ["gate"], "open", alpha=-0.25)
    n.b.add_logical("both", ["less", "more"], "both", "AND")
    n.b.add_logical("either", ["less", "more"], "either", "OR")
    n.b.add_logical("neither", ["either"], "neither", "NOT")
    n.b.add_logical("gated", ["neither", "open"], "gated", "OR")
    n.b.add_logical("differ", ["open", "both"], "differ", "XOR")
    n.constant("yes", np.float32([0.5]))
    n.constant("no", np.float32([-4]))
    n.b.add_where_broadcastable("choice", ["both", "yes", "no"], "choice")
    n.b.add_logical("any", ["x", "less"], "any", "AND")
    less, more, is_open = x < y, x > 0.5, gate > -0.25
    truth = {
        "both": less & more,
        "either": less | more,
        "neither": ~(less | more),
        "gated": ~(less | more) | is_open,
        "differ": (less & more) ^ is_open,
        "choice": np.where(less & more, 0.5, -4),
        "any": (x != 0) & less,
    }
    return n, {"x": x, "y": y, "gate": gate}, truth


@case
def n022_gelu():
    """gelu by a hyperbolic tangent and by a sigmoid; by the error function, and of a matrix, stays."""
    x, y = 2 * draw(341, 2, 3, 4, 5), draw(342, 4, 5)
    n = Network(["tangent", "sigmoid", "exact", "matrix"], x=x, y=y)
    modes = {"tangent": "TANH_APPROXIMATION", "sigmoid": "SIGMOID_APPROXIMATION", "exact": "EXACT"}
    for name, mode in modes.items():
        n.b.add_gelu(name, "x", name, mode=mode)
    n.b.add_gelu("matrix", "y", "matrix", mode="TANH_APPROXIMATION")
    gelu = torch.nn.functional.gelu
    t = torch.from_numpy(x)
    truth = {
        "tangent": gelu(t, approximate="tanh"),
        "sigmoid": t * torch.sigmoid(1.702 * t),
        "exact": gelu(t),
        "matrix": gelu(torch.from_numpy(y), approximate="tanh"),
    }
    return n, {"x": x, "y": y}, {k: v.numpy() for k, v in truth.items()}


@case
def n023_clip():
    """clip on both sides, and clampedReLU, of negative slopes too."""
    x = draw(351, 2, 3, 4, 5)
    n = Network(["inner", "leaky", "steep"], x=x)
    n.b.add_clip("inner", "x", "inner", min_value=-0.75, max_value=1.25)
    n.b.add_clamped_relu("leaky", "x", "leaky", alpha=0.125, beta=0.5)
    n.b.add_clamped_relu("steep", "x", "steep", alpha=-2.0, beta=1.5)

    def clamped(alpha, beta):
        return np.minimum(np.where(x >= 0, x, alpha * x), beta)

    return n, {"x": x}, {"inner": np.clip(x, -0.75, 1.25), "leaky": clamped(0.125, 0.5), "steep": clamped(-2.0, 1.5)}


@case
def n024_functions():
    """tanh, exp2 and cosh; sinh, and the exp2 of a matrix, stay."""
    x, y = 2 * draw(361, 2, 3, 4, 5), draw(362, 4, 5)
    n = Network(["tangent", "power", "cosine", "sine", "matrix"], x=x, y=y)
    n.b.add_tanh("tangent", "x", "tangent")
    n.b.add_exp2("power", "x", "power")
    n.b.add_cosh("cosine", "x", "cosine")
    n.b.add_sinh("sine", "x", "sine")
    n.b.add_exp2("matrix", "y", "matrix")
    truth = {"tangent": np.tanh(x), "power": np.exp2(x), "cosine": np.cosh(x), "sine": np.sinh(x), "matrix": np.exp2(y)}
    return n, {"x": x, "y": y}, truth


@case
def n025_layer_normalization():
    """layerNormalization over planes, images and rows of height 1; over the width of higher planes stays."""
    x, row = draw(371, 2, 3, 4, 5), draw(372, 2, 3, 1, 5)
    x[0, 1] *= 1 / 64  # the epsilon counts as much as the variance here
    shapes = {"plane": (4, 5), "image": (3, 4, 5), "flat": (5,), "width": (5,)}
    inputs = {"plane": "x", "image": "x", "flat": "row", "width": "x"}
    n = Network([*shapes], x=x, row=row)
    truth = {}
    for i, (name, shape) in enumerate(shapes.items()):
        gamma, beta = draw(373 + i, *shape), draw(377 + i, *shape)
        n.b.add_layer_normalization(name, inputs[name], name, shape, gamma, beta, eps=1e-3)
        value = torch.from_numpy(x if inputs[name] == "x" else row).double()
        weights = (torch.from_numpy(gamma).double(), torch.from_numpy(beta).double())
        truth[name] = torch.nn.functional.layer_norm(value, shape, *weights, eps=1e-3).numpy()
    return n, {"x": x, "row": row}, truth


@case
def n026_multiply_channels():
    """multiply per channel: of a gate, over a plane that is no power of two, and of a constant; of one shape stays."""
    x, gate, y, factor = draw(381, 1, 3, 7, 5), draw(382, 1, 3, 1, 1), draw(383, 1, 3, 7, 5), draw(384, 3, 1, 1)
    n = Network(["gated", "weighed", "same"], x=x, gate=gate, y=y)
    n.constant("factor", factor)
    n.b.add_activation("open", "SIGMOID", "gate", "open")
    n.b.add_elementwise("gated", ["x", "open"], "gated", mode="MULTIPLY")
    n.b.add_elementwise("weighed", ["x", "factor"], "weighed", mode="MULTIPLY")
    n.b.add_elementwise("same", ["x", "y"], "same", mode="MULTIPLY")
    truth = {"gated": x * torch.sigmoid(torch.from_numpy(gate)).numpy(), "weighed": x * factor, "same": x * y}
    return n, {"x": x, "gate": gate, "y": y}, truth


@case
def n027_product_tree():
    """reduceProd over an odd width and over planes, a reduce of products; of the batch, and of an axis that goes, stay."""
    x = draw(391, 2, 3, 4, 5)
    n = Network(["width", "plane", "channels", "batch", "gone"], x=x)
    n.b.add_reduce_prod("width", "x", "width", axes=[-1], keepdims=True)
    n.b.add_reduce_prod("plane", "x", "plane", axes=[2, 3], keepdims=True)
    n.b.add_reduce("channels", "x", "channels", axis="C", mode="prod")
    n.b.add_reduce_prod("batch", "x", "batch", axes=[0], keepdims=True)
    n.b.add_reduce_prod("gone", "x", "gone", axes=[3], keepdims=False)
    truth = {
        "width": x.prod(-1, keepdims=True),
        "plane": x.prod((2, 3), keepdims=True),
        "channels": x.prod(1, keepdims=True),
        "batch": x.prod(0, keepdims=True),
        "gone": x.prod(3),
    }
    return n, {"x": x}, truth


@case
def n028_log_sum_exp():
    """reduceLogSumExp of values whose exponentials pass 16 bits, and reduceLogSum; over the width, or where an axis
    goes, they stay."""
    x = 16 * draw(401, 1, 3, 4, 5)
    y = np.abs(draw(402, 2, 3, 4, 5)) + 0.25
    axes = {"channels": [1], "plane": [2, 3], "image": [1, 2, 3], "width": [3]}
    n = Network([*axes, "sum", "gone"], x=x, y=y)
    truth = {"sum": np.log(y.sum(-1, keepdims=True)), "gone": np.log(y.sum(1))}
    for name, over in axes.items():
        n.b.add_reduce_logsumexp(name, "x", name, axes=over, keepdims=True)
        truth[name] = torch.logsumexp(torch.from_numpy(x).double(), over, keepdim=True).numpy()
    n.b.add_reduce_logsum("sum", "y", "sum", axes=[-1], keepdims=True)
    n.b.add_reduce_logsum("gone", "y", "gone", axes=[1], keepdims=False)
    return n, {"x": x, "y": y}, truth


@case
def n029_means_and_dots():
    """average of two and of three values, and dot; a dot of directions stays."""
    x, y, w = draw(411, 2, 3, 4, 5), draw(412, 2, 3, 4, 5), draw(413, 2, 3, 4, 5)
    n = Network(["two", "three", "dot", "cosine"], x=x, y=y, w=w)
    n.b.add_elementwise("two", ["x", "y"], "two", mode="AVE")
    n.b.add_elementwise("three", ["x", "y", "w"], "three", mode="AVE")
    n.b.add_elementwise("dot", ["x", "y"], "dot", mode="DOT")
    n.b.add_elementwise("cosine", ["x", "w"], "cosine", mode="COS")
    cosine = torch.nn.functional.cosine_similarity(torch.from_numpy(x), torch.from_numpy(w), 1).numpy()[:, None]
    truth = {"two": (x + y) / 2, "three": (x + y + w) / 3, "dot": (x * y).sum(1, keepdims=True), "cosine": cosine}
    return n, {"x": x, "y": y, "w": w}, truth
