"""Layers that compute element by element or over windows."""
from case import *  # noqa: F403

# ---------------------------------------------------------------- activations

ACTIVATIONS = {
    "ReLU": ({}, torch.relu),
    "leakyReLU": ({"alpha": 0.25}, lambda x: torch.where(x >= 0, x, 0.25 * x)),
    "tanh": ({}, torch.tanh),
    "scaledTanh": ({"alpha": 1.5, "beta": 0.5}, lambda x: 1.5 * torch.tanh(0.5 * x)),
    "sigmoid": ({}, torch.sigmoid),
    "linear": ({"alpha": -2.0, "beta": 0.5}, lambda x: 0.5 - 2 * x),
    "sigmoidHard": ({"alpha": 0.25, "beta": 0.5}, lambda x: (0.25 * x + 0.5).clamp(0, 1)),
    "PReLU": ({"alpha": w(A3)}, lambda x: torch.where(x >= 0, x, x * per(A3))),
    "ELU": ({"alpha": 1.5}, lambda x: torch.where(x >= 0, x, 1.5 * torch.expm1(x))),
    "thresholdedReLU": ({"alpha": 0.75}, lambda x: torch.where(x >= 0.75, x, torch.zeros_like(x))),
    "softsign": ({}, F.softsign),
    "softplus": ({}, lambda x: torch.log1p(torch.exp(x))),
    "parametricSoftplus": ({"alpha": w(A3), "beta": w(B3)}, lambda x: per(A3) * torch.log1p(torch.exp(per(B3) * x))),
}
for k, (p, f) in ACTIVATIONS.items():
    case(f"activation {k}", "activation", {k: p}, [X4], f)
    rank5(f"activation {k}", "activation", {k: p}, [X5], f)
case("activation PReLU, one factor", "activation", {"PReLU": {"alpha": w([0.25])}}, [X4], lambda x: torch.where(x >= 0, x, x * 0.25))
case("activation PReLU of rank 3", "activation", {"PReLU": {"alpha": w(A3)}}, [rand(3, 2, 4)], ACTIVATIONS["PReLU"][1])
case("activation linear that changes nothing", "activation", {"linear": {"alpha": 1.0}}, [X4], lambda x: x)
case("activation linear, fields at 0", "activation", {"linear": {}}, [X4], lambda x: 0 * x)
case("clip", "clip", {"minVal": -0.5, "maxVal": 1.25}, [X4], lambda x: x.clamp(-0.5, 1.25))
case("clampedReLU", "clampedReLU", {"alpha": 0.25, "beta": 1.5}, [X4], lambda x: torch.minimum(torch.where(x >= 0, x, 0.25 * x), t(1.5)))
case("gelu", "gelu", {}, [X4], F.gelu)
case("gelu by tanh", "gelu", {"mode": "TANH_APPROXIMATION"}, [X4], lambda x: F.gelu(x, approximate="tanh"))
case("gelu by sigmoid", "gelu", {"mode": "SIGMOID_APPROXIMATION"}, [X4], lambda x: x * torch.sigmoid(1.702 * x))

# ---------------------------------------------------------------- elementwise

for k, f in {"add": torch.add, "multiply": torch.mul, "max": torch.maximum, "min": torch.minimum}.items():
    case(f"{k} of three", k, {}, [X4, rand(2, 3, 1, 1), rand(2, 1, 4, 5)], lambda a, b, c, f=f: f(f(a, b), c))
    rank5(f"{k} of mixed sequences", k, {}, [Y5, X5], f)
    case(f"{k} of one", k, {"alpha": 0.75} if k in ("add", "multiply") else {}, [X4], (lambda x, f=f: f(x, t(0.75))) if k in ("add", "multiply") else (lambda x: x))
case("average", "average", {}, [X4, X4 + 1, X4 * 2], lambda a, b, c: (a + b + c) / 3)
case("dot", "dot", {}, [rand(2, 5, 1, 1), rand(2, 5, 1, 1)], lambda a, b: (a * b).sum(-3, keepdim=True))
rank5("dot as cosine", "dot", {"cosineSimilarity": True}, [rand(1, 1, 5, 1, 1), rand(1, 1, 5, 1, 1)], lambda a, b: F.cosine_similarity(a, b, dim=-3).unsqueeze(-3))
wide, tall = rand(2, 1, 4), rand(3, 1)
for k, f in {"addBroadcastable": torch.add, "subtractBroadcastable": torch.sub, "multiplyBroadcastable": torch.mul, "divideBroadcastable": torch.div,
             "maxBroadcastable": torch.maximum, "minBroadcastable": torch.minimum, "floorDivBroadcastable": torch.floor_divide,
             "modBroadcastable": torch.remainder}.items():
    case(k, k, {}, [wide, tall], f)
case("powBroadcastable", "powBroadcastable", {}, [np.abs(wide), tall], torch.pow)
whole = np.array([[-1.0, 0.0, 2.0], [1.0, 2.0, 0.0]])
for k, f in {"equal": torch.eq, "notEqual": torch.ne, "lessThan": torch.lt, "lessEqual": torch.le, "greaterThan": torch.gt, "greaterEqual": torch.ge}.items():
    case(k, k, {}, [whole, [[0.0], [2.0]]], lambda a, b, f=f: f(a, b).double())
    case(f"{k} of one", k, {"alpha": 2.0}, [whole], lambda a, f=f: f(a, t(2.0)).double())
for k, f in {"logicalAnd": torch.logical_and, "logicalOr": torch.logical_or, "logicalXor": torch.logical_xor}.items():
    case(k, k, {}, [whole, [[1.0], [0.0]]], lambda a, b, f=f: f(a, b).double())
case("logicalNot", "logicalNot", {}, [whole], lambda a: torch.logical_not(a).double())
case("whereBroadcastable", "whereBroadcastable", {}, [whole, rand(4, 1, 1), rand(2, 3)], lambda c, a, b: torch.where(c != 0, a, b))
case("copy", "copy", {}, [X4], lambda x: x)
unit = rand(2, 7, lo=-0.9, hi=0.9)
for k, f in {"floor": torch.floor, "ceil": torch.ceil, "sign": torch.sign, "exp2": torch.exp2, "sin": torch.sin, "cos": torch.cos, "tan": torch.tan, "asin": torch.asin,
             "acos": torch.acos, "atan": torch.atan, "sinh": torch.sinh, "cosh": torch.cosh, "tanh": torch.tanh, "asinh": torch.asinh, "atanh": torch.atanh, "erf": torch.erf}.items():
    case(k, k, {}, [unit], f)
case("acosh", "acosh", {}, [unit + 2.5], torch.acosh)
case("round", "round", {}, [[-1.6, -0.4, 0.3, 1.7, 2.2]], torch.round)
pos = rand(2, 3, lo=0.25, hi=3.0)
for k, f in {"SQRT": torch.sqrt, "RSQRT": lambda x: (x + 1e-6).rsqrt(), "INVERSE": lambda x: 1 / (x + 1e-6), "EXP": torch.exp, "LOG": torch.log, "ABS": torch.abs}.items():
    case(f"unary {k}", "unary", {"type": k}, [pos], f)
case("unary POWER", "unary", {"type": "POWER", "alpha": 2.5}, [pos], lambda x: x ** 2.5)
case("unary THRESHOLD", "unary", {"type": "THRESHOLD", "alpha": 1.0}, [pos], lambda x: x.clamp(min=1.0))
case("unary INVERSE, scaled", "unary", {"type": "INVERSE", "epsilon": 0.125, "scale": -2.0, "shift": 0.5}, [pos], lambda x: 1 / (-2 * x + 0.5 + 0.125))
case("unary RSQRT with epsilon", "unary", {"type": "RSQRT", "epsilon": 0.5}, [pos], lambda x: (x + 0.5).rsqrt())

# ---------------------------------------------------------------- convolution

def conv(name, x, kernel, out, groups=1, stride=None, dilation=None, border=None, bias=True, deconv=False, output_shape=None, mapping="exact", expected=None):
    c = x.shape[-3]
    shape = (c, out // groups, *kernel) if deconv else (out, c // groups, *kernel)
    k, b = rand(*shape), rand(out)
    p = {"outputChannels": out, "kernelChannels": shape[0] if deconv else shape[1], "nGroups": groups, "kernelSize": list(kernel), "hasBias": bias, "weights": w(k)}
    p |= {"bias": w(b)} if bias else {}
    p |= {"stride": stride} if stride else {}
    p |= {"dilationFactor": dilation} if dilation else {}
    p |= {"isDeconvolution": True} if deconv else {}
    p |= {"outputShape": output_shape} if output_shape else {}
    p |= border or {"valid": {}}
    case(name, "convolution", p, [x], lead4(lambda v: expected(v, t(k), t(b) if bias else None)), mapping)


P = rand(1, 4, 7, 6)
conv("convolution, default kernel", P, (3, 3), 2, expected=lambda x, k, b: F.conv2d(x, k, b))
CASES[-1]["fields"] = [f for f in CASES[-1]["fields"] if f[0] != "kernelSize"]
conv("convolution, groups, stride", P, (3, 2), 6, groups=2, stride=[2, 1], expected=lambda x, k, b: F.conv2d(x, k, b, (2, 1), groups=2))
conv("convolution, depthwise, same, dilated", P, (3, 3), 4, groups=4, stride=[2, 2], dilation=[1, 2], border={"same": {}}, bias=False,
     expected=lambda x, k, b: F.conv2d(F.pad(x, (*same(6, 3, 2, 2), *same(7, 3, 2))), k, b, 2, 0, (1, 2), 4))
conv("convolution, same, heavy at the top left", P, (2, 4), 3, stride=[1, 2], border={"same": {"asymmetryMode": "TOP_LEFT_HEAVY"}},
     expected=lambda x, k, b: F.conv2d(F.pad(x, (*same(6, 4, 2, before=True), *same(7, 2, 1, before=True))), k, b, (1, 2)))
conv("convolution, asymmetric borders", P, (3, 3), 2, border={"valid": {"paddingAmounts": borders(1, 2, 0, 3)}},
     expected=lambda x, k, b: F.conv2d(F.pad(x, (0, 3, 1, 2)), k, b))
conv("convolution of rank 5", rand(2, 3, 2, 4, 5), (2, 3), 3, expected=lambda x, k, b: F.conv2d(x, k, b))
for seq, batch in ((1, 1), (1, 3), (2, 1)):
    conv(f"convolution, sequence {seq}, batch {batch}", rand(seq, batch, 2, 4, 5), (2, 3), 3, mapping="rank5", expected=lambda x, k, b: F.conv2d(x, k, b))
dyn = rand(3, 2, 2, 2)
case("convolution with computed weights", "convolution", {"outputChannels": 3, "kernelChannels": 2, "nGroups": 2, "kernelSize": [2, 2], "valid": {}}, [P, rand(4, 2, 2, 2)],
     lambda x, k: F.conv2d(x, k, groups=2))
CASES[-1]["fields"][0][1] = {"i": 4}
D = rand(1, 2, 3, 4)
conv("deconvolution", D, (3, 2), 3, stride=[2, 1], deconv=True, expected=lambda x, k, b: F.conv_transpose2d(x, k, b, (2, 1)))
conv("deconvolution, groups, borders", rand(1, 4, 3, 4), (4, 3), 6, groups=2, stride=[2, 2], deconv=True, border={"valid": {"paddingAmounts": borders(1, 1, 0, 2)}},
     expected=lambda x, k, b: F.conv_transpose2d(x, k, b, 2, 0, groups=2)[:, :, 1:-1, :-2])
conv("deconvolution, same", D, (3, 4), 2, stride=[2, 2], deconv=True, border={"same": {}},
     expected=lambda x, k, b: F.conv_transpose2d(x, k, b, 2)[:, :, 0:6, 1:9])
conv("deconvolution, same, heavy at the top left", D, (3, 4), 2, stride=[2, 2], deconv=True, border={"same": {"asymmetryMode": "TOP_LEFT_HEAVY"}},
     expected=lambda x, k, b: F.conv_transpose2d(x, k, b, 2)[:, :, 1:7, 1:9])
conv("deconvolution to a size", D, (3, 3), 2, stride=[2, 2], deconv=True, border={"valid": {"paddingAmounts": borders(1, 1, 1, 1)}}, output_shape=[6, 8],
     expected=lambda x, k, b: F.conv_transpose2d(x, k, b, 2, 1, 1))
conv("deconvolution beyond its kernels", D, (2, 2), 2, stride=[2, 2], deconv=True, output_shape=[7, 8],
     expected=lambda x, k, b: F.conv_transpose2d(x, k, b, 2, 0, (1, 0)))
conv("deconvolution, batch 3", rand(1, 3, 2, 3, 4), (2, 2), 3, stride=[2, 2], deconv=True, mapping="rank5", expected=lambda x, k, b: F.conv_transpose2d(x, k, b, 2))


def conv3d(name, x, kernel, out, groups, stride, dilation, padding, expected, deconv=False):
    c = x.shape[1]
    k, b = rand(*((c, out // groups) if deconv else (out, c // groups)), *kernel), rand(out)
    p = {"outputChannels": out, "inputChannels": c, "nGroups": groups, "hasBias": True, "weights": w(k), "bias": w(b), "isDeconvolution": deconv}
    for i, axis in enumerate(("Depth", "Height", "Width")):
        p |= {f"kernel{axis}": kernel[i], f"stride{axis}": stride[i], f"dilation{axis}": dilation[i]}
    case(name, "convolution3d", p | padding, [x], lambda v: expected(v, t(k), t(b)))


V = rand(1, 2, 4, 5, 3)
conv3d("convolution3d, valid", V, (2, 3, 2), 4, 2, (1, 2, 1), (1, 1, 1), {"paddingType": "VALID"}, lambda x, k, b: F.conv3d(x, k, b, (1, 2, 1), groups=2))
conv3d("convolution3d, same", V, (2, 3, 3), 2, 1, (2, 2, 1), (1, 1, 1), {"paddingType": "SAME"},
       lambda x, k, b: F.conv3d(F.pad(x, (*same(3, 3, 1), *same(5, 3, 2), *same(4, 2, 2))), k, b, (2, 2, 1)))
conv3d("convolution3d, borders, dilated", V, (2, 2, 2), 2, 1, (1, 1, 1), (2, 1, 1),
       {"customPaddingFront": 1, "customPaddingBottom": 2, "customPaddingLeft": 1, "customPaddingRight": 1}, lambda x, k, b: F.conv3d(F.pad(x, (1, 1, 0, 2, 1, 0)), k, b, 1, 0, (2, 1, 1)))
conv3d("deconvolution3d", V, (2, 2, 2), 3, 1, (2, 1, 2), (1, 1, 1), {"paddingType": "VALID"}, lambda x, k, b: F.conv_transpose3d(x, k, b, (2, 1, 2)), deconv=True)

# ---------------------------------------------------------------- pooling

def pool(name, x, params, expected, mapping="exact"):
    case(f"pooling {name}", "pooling", params, [x], lead4(expected), mapping)


def average(x, k, s, pad, exclude=False):
    area = torch.ones_like(x)
    count = F.avg_pool2d(F.pad(area, pad), k, s) if exclude else 1.0
    return F.avg_pool2d(F.pad(x, pad), k, s) / count


Q = rand(1, 2, 7, 6, lo=0.1)
pool("MAX, default kernel", Q, {"valid": {}}, lambda x: F.max_pool2d(x, 3, 1))
pool("MAX, same", Q, {"kernelSize": [3, 2], "stride": [2, 2], "same": {}}, lambda x: F.max_pool2d(F.pad(x, (*same(6, 2, 2), *same(7, 3, 2)), value=inf), (3, 2), 2))
pool("MAX, same, heavy at the top left", Q, {"kernelSize": [2, 3], "stride": [1, 2], "same": {"asymmetryMode": "TOP_LEFT_HEAVY"}},
     lambda x: F.max_pool2d(F.pad(x, (*same(6, 3, 2, before=True), *same(7, 2, 1, before=True)), value=inf), (2, 3), (1, 2)))
pool("MAX, last pixel", Q, {"kernelSize": [3, 3], "stride": [2, 2], "includeLastPixel": {}}, lambda x: F.max_pool2d(x, 3, 2, 0, ceil_mode=True))
pool("MAX, last pixel, borders", Q, {"kernelSize": [3, 3], "stride": [2, 3], "includeLastPixel": {"paddingAmounts": [1, 1]}}, lambda x: F.max_pool2d(x, 3, (2, 3), 1, ceil_mode=True))
pool("AVERAGE, borders", Q, {"type": "AVERAGE", "kernelSize": [2, 3], "stride": [2, 1], "valid": {"paddingAmounts": borders(1, 0, 2, 1)}}, lambda x: average(x, (2, 3), (2, 1), (2, 1, 1, 0)))
pool("AVERAGE, without padding", Q, {"type": "AVERAGE", "kernelSize": [2, 3], "stride": [2, 1], "avgPoolExcludePadding": True, "valid": {"paddingAmounts": borders(1, 0, 2, 1)}},
     lambda x: average(x, (2, 3), (2, 1), (2, 1, 1, 0), True))
pool("L2", Q, {"type": "L2", "kernelSize": [2, 3], "stride": [2, 1], "valid": {}}, lambda x: (F.avg_pool2d(x * x, (2, 3), (2, 1)) * 6).sqrt())
for k, f in {"MAX": torch.amax, "AVERAGE": torch.mean, "L2": lambda x, d, keepdim: x.square().sum(d, keepdim=keepdim).sqrt()}.items():
    pool(f"{k}, global", Q, {"type": k, "globalPooling": True, "valid": {}}, lambda x, f=f: f(x, (-2, -1), keepdim=True))
pool("MAX, sequence 2", rand(2, 3, 2, 4, 5), {"kernelSize": [2, 2], "stride": [2, 2], "valid": {}}, lambda x: F.max_pool2d(x, 2, 2), "rank5")
pool("AVERAGE, of one", rand(1, 1, 2, 4, 5), {"type": "AVERAGE", "kernelSize": [2, 2], "valid": {}}, lambda x: F.avg_pool2d(x, 2, 1), "rank5")
pool("MAX, global, of one", rand(1, 1, 2, 4, 5), {"globalPooling": True}, lambda x: x.amax((-2, -1), keepdim=True), "rank5")
P3 = {f"{a}{b}": v for (a, b), v in zip([(a, b) for a in ("kernel", "stride") for b in ("Depth", "Height", "Width")], (2, 3, 2, 2, 1, 1))}
case("pooling3d MAX", "pooling3d", P3 | {"paddingType": "VALID"}, [V], lambda x: F.max_pool3d(x, (2, 3, 2), (2, 1, 1)))
case("pooling3d AVERAGE, same, without padding", "pooling3d", P3 | {"type": "AVERAGE", "paddingType": "SAME", "countExcludePadding": True}, [V],
     lambda x: F.avg_pool3d(F.pad(x, (*same(3, 2, 1), *same(5, 3, 1), *same(4, 2, 2))), (2, 3, 2), (2, 1, 1))
     / F.avg_pool3d(F.pad(torch.ones_like(x), (*same(3, 2, 1), *same(5, 3, 1), *same(4, 2, 2))), (2, 3, 2), (2, 1, 1)))
case("pooling3d AVERAGE, borders", "pooling3d", P3 | {"type": "AVERAGE", "customPaddingFront": 1, "customPaddingBack": 1, "customPaddingTop": 2}, [V],
     lambda x: F.avg_pool3d(F.pad(x, (0, 0, 2, 0, 1, 1)), (2, 3, 2), (2, 1, 1)))
case("globalPooling3d MAX", "globalPooling3d", {}, [V], lambda x: x.amax((-3, -2, -1), keepdim=True))
case("globalPooling3d AVERAGE", "globalPooling3d", {"type": "AVERAGE"}, [V], lambda x: x.mean((-3, -2, -1), keepdim=True))

