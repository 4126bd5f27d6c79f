#!/usr/bin/env python3
"""Writes layers.json: one small layer a case, with its inputs and what it must give.

    make_layers.py OUT.json        needs coremltools 9.0, torch 2.7 and numpy

The parameters are built as coremltools protobuf messages, so that names and types of fields are the format's; the
expected outputs come from torch and numpy formulas of what the format's description says a layer does. Tensors
under the rank-5 mapping are written as [Seq, B, C, H, W].

A field becomes {"i": int}, {"f": float}, {"b": bool}, {"t": text}, {"e": enumeration value}, {"l": list} or
{"m": [[name, field], ...]}; only fields that are set are there. Weights are kept apart by the path of their field.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from coremltools.proto import NeuralNetwork_pb2 as nn
from google.protobuf import json_format

CASES = []
RNG = np.random.default_rng(7)


def rand(*shape, lo=-2.0, hi=2.0):
    """Numbers of three digits: short to write, exact enough to tell layers apart."""
    return np.round(RNG.uniform(lo, hi, shape), 2)


def w(a):
    return {"floatValue": np.asarray(a, dtype=float).ravel().tolist()}


def t(a):
    return torch.tensor(np.asarray(a, dtype=float))


def fields_of(message, path, weights):
    out = []
    for f, v in message.ListFields():
        many = f.is_repeated if hasattr(f, "is_repeated") and not callable(f.is_repeated) else f.label == f.LABEL_REPEATED
        here = f"{path}{f.name}"
        if f.message_type is not None and f.message_type.name == "WeightParams":
            for i, p in enumerate(v if many else [v]):
                kept = weight(p, f"{here}.{i}" if many else here, weights)
                if kept:
                    out.append([f.name, {"m": kept}])
        elif f.message_type is not None and many:
            out.append([f.name, {"l": [{"m": fields_of(m, f"{here}.{i}.", weights)} for i, m in enumerate(v)]}])
        elif f.message_type is not None:
            out.append([f.name, {"m": fields_of(v, f"{here}.", weights)}])
        else:
            one = lambda x: ({"e": f.enum_type.values_by_number[x].name} if f.enum_type is not None else {"b": x} if isinstance(x, bool)
                             else {"i": x} if isinstance(x, int) else {"t": x} if isinstance(x, str) else {"f": x})
            out.append([f.name, {"l": [one(x) for x in v]} if many else one(v)])
    return out


def weight(p, path, weights):
    if len(p.floatValue):
        weights[path] = {"dtype": "fp32", "data": list(p.floatValue)}
    elif p.float16Value:
        weights[path] = {"dtype": "fp16", "data": np.frombuffer(p.float16Value, np.float16).astype(float).tolist()}
    elif p.rawValue:
        weights[path] = {"dtype": "uint8", "data": list(p.rawValue)}
        return fields_of_rest(p)
    return []


def fields_of_rest(p):
    rest = nn.WeightParams()
    rest.quantization.CopyFrom(p.quantization)
    return [["quantization", {"m": fields_of(rest.quantization, "", {})}]]


def listed(x):
    x = x.detach().numpy() if torch.is_tensor(x) else np.asarray(x, dtype=float)
    return {"shape": list(x.shape), "data": [float(f"{v:.12g}") for v in x.astype(float).ravel()]}


def case(name, kind, params, inputs, expected, mapping="exact"):
    """`expected` takes the inputs as float64 tensors and gives an output, or a tuple of them."""
    layer = nn.NeuralNetworkLayer()
    json_format.ParseDict({kind: params}, layer)
    weights = {}
    fields = fields_of(getattr(layer, kind), "", weights)
    out = expected(*[t(x) for x in inputs]) if callable(expected) else expected
    out = out if isinstance(out, tuple) else (out,)
    CASES.append({"name": name, "kind": kind, "mapping": mapping, "fields": fields, "weights": weights,
                  "inputs": [listed(x) for x in inputs], "outputs": [listed(x) for x in out]})


def rank5(name, *args):
    case(f"{name}, rank 5", *args, mapping="rank5")


def borders(top, bottom, left, right):
    return {"borderAmounts": [{"startEdgeSize": top, "endEdgeSize": bottom}, {"startEdgeSize": left, "endEdgeSize": right}]}


def lead4(f):
    """Applies f with all axes before the last three merged."""
    def run(x, *more):
        y = f(x.reshape(-1, *x.shape[-3:]), *more)
        return y.reshape(*x.shape[:-3], *y.shape[1:])
    return run


# ---------------------------------------------------------------- activations

X4 = rand(2, 3, 4, 5)
X5 = rand(2, 2, 3, 2, 3)
Y5 = rand(1, 1, 3, 2, 3)
A3 = np.array([0.5, -0.25, 2.0])
B3 = np.array([1.5, 0.5, -1.0])
per = lambda a: t(a).reshape(-1, 1, 1)
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


def same(size, k, s, d=1, before=False):
    total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
    lo = total - total // 2 if before else total // 2
    return lo, total - lo


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
inf = float("-inf")
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

# ---------------------------------------------------------------- matrices

M, MB = rand(4, 6), rand(4)
IP = {"inputChannels": 6, "outputChannels": 4, "hasBias": True, "weights": w(M), "bias": w(MB)}
last = lambda x: F.linear(x, t(M), t(MB))
for shape in ((6,), (2, 6), (2, 3, 6)):
    case(f"innerProduct of rank {len(shape)}", "innerProduct", IP, [rand(*shape)], last)
flat3 = lambda x: last(x.reshape(*x.shape[:-3], -1))[..., None, None]
case("innerProduct of rank 4", "innerProduct", IP, [rand(5, 1, 2, 3)], flat3)
case("innerProduct of rank 5", "innerProduct", IP, [rand(2, 3, 6, 1, 1)], flat3)
rank5("innerProduct of one", "innerProduct", IP, [rand(1, 1, 2, 3, 1)], flat3)
rank5("innerProduct of a sequence", "innerProduct", IP, [rand(3, 2, 6, 1, 1)], flat3)
case("innerProduct without bias", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": w(M)}, [rand(2, 6)], lambda x: x @ t(M).T)
half = lambda a: np.asarray(a, np.float16).astype(float)
b64 = lambda b: __import__("base64").b64encode(b).decode()
case("innerProduct, weights of 16 bits", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": {"float16Value": b64(np.asarray(M, np.float16).tobytes())}}, [rand(2, 6)], lambda x: x @ t(half(M)).T)


def packed(q, bits):
    b = ((np.asarray(q).ravel()[:, None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)
    return b64(np.packbits(b.ravel()).tobytes())


for bits in (8, 4, 3, 1):
    q = RNG.integers(0, 2 ** bits, (4, 6))
    scale, shift = np.array([0.5, 0.25, 1.0, 0.125]), np.array([-1.0, 0.0, 0.5, -0.25])
    raw = {"rawValue": packed(q, bits), "quantization": {"numberOfBits": bits, "linearQuantization": {"scale": scale.tolist(), "bias": shift.tolist()}}}
    case(f"innerProduct, weights of {bits} bits, linear", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": raw}, [rand(2, 6)],
         lambda x, q=q, scale=scale, shift=shift: x @ t(q * scale[:, None] + shift[:, None]).T)
    table = rand(2 ** bits)[: 2 ** bits]
    raw = {"rawValue": packed(q, bits), "quantization": {"numberOfBits": bits, "lookupTableQuantization": {"floatValue": table.tolist()}}}
    case(f"innerProduct, weights of {bits} bits, by table", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": raw}, [rand(2, 6)],
         lambda x, q=q, table=table: x @ t(np.asarray(table, np.float32)[q]).T)
q = RNG.integers(0, 256, (2, 3, 2, 2))
case("deconvolution, weights of 8 bits", "convolution", {"outputChannels": 3, "kernelChannels": 2, "kernelSize": [2, 2], "isDeconvolution": True, "valid": {},
     "weights": {"rawValue": packed(q, 8), "quantization": {"numberOfBits": 8, "linearQuantization": {"scale": [0.5, 0.25, 1.0], "bias": [-1.0, 0.0, 0.5]}}}}, [D],
     lambda x, q=q: F.conv_transpose2d(x, t(q * np.array([0.5, 0.25, 1.0]).reshape(1, 3, 1, 1) + np.array([-1.0, 0.0, 0.5]).reshape(1, 3, 1, 1))))
q = RNG.integers(0, 256, (4, 6))
case("innerProduct, weights of 8 bits, one scale", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": {"rawValue": packed(q, 8), "quantization": {"numberOfBits": 8, "linearQuantization": {"scale": [0.125], "bias": [-4.0]}}}},
     [rand(2, 6)], lambda x, q=q: x @ t(q * 0.125 - 4).T)

BM = {"weightMatrixFirstDimension": 6, "weightMatrixSecondDimension": 4, "hasBias": True, "weights": w(M), "bias": w(MB)}
for shape in ((6,), (2, 6), (2, 2, 3, 6)):
    case(f"batchedMatmul with a matrix, rank {len(shape)}", "batchedMatmul", BM, [rand(*shape)], last)
case("batchedMatmul", "batchedMatmul", {}, [rand(2, 1, 3, 4), rand(5, 4, 2)], torch.matmul)
case("batchedMatmul, transposed", "batchedMatmul", {"transposeA": True, "transposeB": True}, [rand(2, 4, 3), rand(2, 5, 4)], lambda a, b: a.mT @ b.mT)
case("batchedMatmul of vectors", "batchedMatmul", {}, [rand(4), rand(4)], lambda a, b: (a @ b).reshape(1, 1))
TABLE, TB = rand(3, 7), rand(3)
case("embeddingND", "embeddingND", {"vocabSize": 7, "embeddingSize": 3, "hasBias": True, "weights": w(TABLE), "bias": w(TB)}, [[[[1.0], [6.0]], [[0.0], [2.0]]]],
     lambda x: t(TABLE).T[x[..., 0].long()] + t(TB))
EMB = {"inputDim": 7, "outputChannels": 3, "weights": w(TABLE)}
look = lambda x: t(TABLE).T[x.reshape(x.shape[:-3]).long()][..., None, None]
case("embedding of rank 4", "embedding", EMB, [np.array([5.0, 0.0]).reshape(2, 1, 1, 1)], look)
rank5("embedding of one", "embedding", EMB | {"hasBias": True, "bias": w(TB)}, [np.array([5.0]).reshape(1, 1, 1, 1, 1)], lambda x: look(x) + per(TB))
rank5("embedding of a sequence", "embedding", EMB, [np.array([5.0, 0.0, 6.0, 1.0]).reshape(2, 2, 1, 1, 1)], look)

# ---------------------------------------------------------------- normalisation

C3 = {"gamma": w(A3), "beta": w(B3)}
mean, var = np.array([0.5, -1.0, 0.25]), np.array([1.5, 0.25, 2.0])
BN = {"channels": 3, "mean": w(mean), "variance": w(var), "epsilon": 0.01} | C3
bn = lambda x: (x - per(mean)) / (per(var) + 0.01).sqrt() * per(A3) + per(B3)
case("batchnorm", "batchnorm", BN, [X4], bn)
case("batchnorm of rank 3", "batchnorm", BN, [rand(3, 2, 4)], bn)
rank5("batchnorm", "batchnorm", BN, [X5], bn)
rank5("batchnorm of one", "batchnorm", BN, [Y5], bn)
case("batchnorm, default epsilon", "batchnorm", {k: v for k, v in BN.items() if k != "epsilon"}, [X4], lambda x: (x - per(mean)) / (per(var) + 1e-5).sqrt() * per(A3) + per(B3))


def normal(x, axes, eps):
    y = x - x.mean(axes, keepdim=True)
    return y / (y.square().mean(axes, keepdim=True) + eps).sqrt()


case("batchnorm of the instance", "batchnorm", {"channels": 3, "computeMeanVar": True, "instanceNormalization": True, "epsilon": 0.25} | C3, [X4], lambda x: normal(x, (-2, -1), 0.25) * per(A3) + per(B3))
case("batchnorm of the batch", "batchnorm", {"channels": 3, "computeMeanVar": True, "epsilon": 0.25} | C3, [X4], lambda x: normal(x, (0, 2, 3), 0.25) * per(A3) + per(B3))
case("mvn", "mvn", {"normalizeVariance": True, "epsilon": 0.5}, [X4], lambda x: normal(x, (-2, -1), 0.5))
case("mvn across channels", "mvn", {"acrossChannels": True, "normalizeVariance": True}, [X4], lambda x: normal(x, (-3, -2, -1), 1e-6))
case("mvn of the mean", "mvn", {}, [X4], lambda x: x - x.mean((-2, -1), keepdim=True))
G = rand(4, 5)
case("layerNormalization", "layerNormalization", {"normalizedShape": [4, 5], "eps": 0.25, "gamma": w(G), "beta": w(G + 1)}, [X4], lambda x: normal(x, (-2, -1), 0.25) * t(G) + t(G + 1))
case("l2normalize", "l2normalize", {"epsilon": 0.5}, [X4], lambda x: x / (x.square().sum((-3, -2, -1), keepdim=True) + 0.5).sqrt())
window = lambda x: torch.stack([x[:, max(i - 1, 0):i + 2].square().sum(1) for i in range(x.shape[1])], 1)
case("lrn", "lrn", {"alpha": 0.5, "beta": 0.75, "localSize": 3, "k": 2.0}, [rand(2, 5, 2, 3)], lambda x: x / (2 + 0.5 / 3 * window(x)) ** 0.75)
rank5("lrn, default k", "lrn", {"alpha": 0.5, "beta": 0.75, "localSize": 3}, [rand(1, 2, 5, 2, 3)], lead4(lambda x: x / (1 + 0.5 / 3 * window(x)) ** 0.75))
case("softmax", "softmax", {}, [X4], lambda x: x.softmax(-3))
rank5("softmax", "softmax", {}, [Y5], lambda x: x.softmax(-3))
case("softmaxND", "softmaxND", {"axis": -2}, [X4], lambda x: x.softmax(-2))
case("scale by channel", "scale", {"shapeScale": [3], "scale": w(A3), "hasBias": True, "shapeBias": [1], "bias": w([0.5])}, [X4], lambda x: x * per(A3) + 0.5)
rank5("scale by element", "scale", {"shapeScale": [3, 2, 3], "scale": w(np.arange(18)), "hasBias": True, "shapeBias": [1, 2, 3], "bias": w(np.arange(6))}, [X5],
      lambda x: x * t(np.arange(18)).reshape(3, 2, 3) + t(np.arange(6)).reshape(1, 2, 3))
case("bias by channel", "bias", {"shape": [3], "bias": w(A3)}, [rand(3, 2, 2)], lambda x: x + per(A3))

# ---------------------------------------------------------------- reductions

AXES = {"CHW": (-3, -2, -1), "HW": (-2, -1), "C": (-3,), "H": (-2,), "W": (-1,)}
near = rand(2, 3, 4, 2, lo=0.5, hi=1.5)


def product(x, d, keep=True):
    for a in d:
        x = x.prod(a, keepdim=True)
    return x if keep else x.squeeze(d)


REDUCE = {"SUM": lambda x, d: x.sum(d, keepdim=True), "AVG": lambda x, d: x.mean(d, keepdim=True), "PROD": product, "LOGSUM": lambda x, d: (x + 0.5).log().sum(d, keepdim=True),
          "SUMSQUARE": lambda x, d: x.square().sum(d, keepdim=True), "L1": lambda x, d: x.abs().sum(d, keepdim=True), "L2": lambda x, d: x.square().sum(d, keepdim=True).sqrt(),
          "MAX": lambda x, d: x.amax(d, keepdim=True), "MIN": lambda x, d: x.amin(d, keepdim=True)}
for (m, f), a in zip(REDUCE.items(), ("CHW", "HW", "C", "H", "W", "CHW", "HW", "C", "CHW")):
    case(f"reduce {m} over {a}", "reduce", {"mode": m, "axis": a, "epsilon": 0.5}, [near], lambda x, f=f, a=a: f(x, AXES[a]))
case("reduce ARGMAX", "reduce", {"mode": "ARGMAX", "axis": "H"}, [near], lambda x: x.argmax(-2, keepdim=True).double())
rank5("reduce SUM of one", "reduce", {}, [Y5], lambda x: x.sum((-3, -2, -1), keepdim=True))
rank5("reduce AVG of a sequence", "reduce", {"mode": "AVG", "axis": "HW"}, [X5], lambda x: x.mean((-2, -1), keepdim=True))
ND = {"reduceSum": torch.sum, "reduceMean": torch.mean, "reduceMax": torch.amax, "reduceMin": torch.amin, "reduceL1": lambda x, d, keepdim: x.abs().sum(d, keepdim=keepdim),
      "reduceL2": lambda x, d, keepdim: x.square().sum(d, keepdim=keepdim).sqrt(), "reduceSumSquare": lambda x, d, keepdim: x.square().sum(d, keepdim=keepdim),
      "reduceProd": lambda x, d, keepdim: product(x, d, keepdim), "reduceLogSum": lambda x, d, keepdim: x.sum(d, keepdim=keepdim).log(),
      "reduceLogSumExp": lambda x, d, keepdim: torch.logsumexp(x, d, keepdim=keepdim)}
for k, f in ND.items():
    case(k, k, {"axes": [1, -1]}, [near], lambda x, f=f: f(x, (1, -1), keepdim=False))
    case(f"{k}, kept", k, {"axes": [-2], "keepDims": True}, [near], lambda x, f=f: f(x, (-2,), keepdim=True))
case("reduceSum of all", "reduceSum", {"reduceAll": True}, [near], lambda x: x.sum().reshape(1))
case("reduceMean of a vector", "reduceMean", {"axes": [0]}, [rand(5)], lambda x: x.mean().reshape(1))

# ---------------------------------------------------------------- shapes

case("flatten", "flatten", {}, [X4], lambda x: x.reshape(2, 60, 1, 1))
case("flatten, channels last", "flatten", {"mode": "CHANNEL_LAST"}, [X4], lambda x: x.permute(0, 2, 3, 1).reshape(2, 60, 1, 1))
rank5("flatten of one, channels last", "flatten", {"mode": "CHANNEL_LAST"}, [Y5], lambda x: x.permute(0, 1, 3, 4, 2).reshape(1, 1, 18, 1, 1))
rank5("flatten of a sequence", "flatten", {}, [X5], lambda x: x.reshape(2, 2, 18, 1, 1))
rank5("reshape of one", "reshape", {"targetShape": [2, 9, 1]}, [Y5], lambda x: x.reshape(1, 1, 2, 9, 1))
rank5("reshape of one, channels last", "reshape", {"targetShape": [2, 9, 1], "mode": "CHANNEL_LAST"}, [Y5], lambda x: x.permute(0, 1, 3, 4, 2).reshape(1, 1, 9, 1, 2).permute(0, 1, 4, 2, 3))
rank5("reshape to a sequence", "reshape", {"targetShape": [3, 1, 6, 1]}, [Y5], lambda x: x.reshape(3, 1, 1, 6, 1))
rank5("reshape from a sequence", "reshape", {"targetShape": [1, 6, 3, 1]}, [rand(3, 1, 2, 3, 1)], lambda x: x.reshape(1, 1, 6, 3, 1))
rank5("reshape of a sequence, channels last", "reshape", {"targetShape": [6, 1, 1], "mode": "CHANNEL_LAST"}, [rand(3, 1, 2, 3, 1)],
      lambda x: x.permute(0, 1, 3, 4, 2).reshape(3, 1, 1, 1, 6).permute(0, 1, 4, 2, 3))
case("reshape, exact", "reshape", {"targetShape": [6, 1, 3]}, [rand(2, 1, 3, 2, 3)], lambda x: x.reshape(2, 1, 6, 1, 3))
for axes in ([0, 3, 1, 2], [3, 1, 2, 0], [0, 3, 2, 1], []):
    five = [{0: 0, 1: 2, 2: 3, 3: 4}[a] for a in axes or [0, 1, 2, 3]]
    order = [five[0], 1, *five[1:]]
    for n, x in (("one", Y5), ("a sequence", X5)):
        rank5(f"permute {axes} of {n}", "permute", {"axis": axes}, [x], lambda x, order=order: x.permute(order))
case("permute, exact", "permute", {"axis": [3, 1, 2, 0]}, [X5], lambda x: x.permute(4, 1, 2, 3, 0))
case("transpose", "transpose", {"axes": [2, 0, 3, 1]}, [X4], lambda x: x.permute(2, 0, 3, 1))
case("concat", "concat", {}, [X4, rand(2, 1, 4, 5)], lambda a, b: torch.cat((a, b), -3))
rank5("concat of one", "concat", {}, [Y5, rand(1, 1, 2, 2, 3)], lambda a, b: torch.cat((a, b), -3))
rank5("concat of sequences", "concat", {"sequenceConcat": True}, [Y5, rand(2, 1, 3, 2, 3)], lambda a, b: torch.cat((a, b), 0))
case("concatND", "concatND", {"axis": -2}, [rand(2, 3), rand(4, 3)], lambda a, b: torch.cat((a, b), 0))
case("concatND, interleaved", "concatND", {"axis": 0, "interleave": True}, [rand(3, 2), rand(3, 2)], lambda a, b: torch.stack((a, b), 1).reshape(6, 2))
case("stack", "stack", {"axis": -2}, [rand(2, 3), rand(2, 3), rand(2, 3)], lambda *x: torch.stack(x, -2))
case("split", "split", {"nOutputs": 3}, [X4], lambda x: torch.chunk(x, 3, -3))
case("splitND", "splitND", {"axis": 1, "numSplits": 3}, [X4], lambda x: torch.chunk(x, 3, 1))
case("splitND by sizes", "splitND", {"axis": -1, "splitSizes": [1, 3, 1]}, [X4], lambda x: torch.split(x, [1, 3, 1], -1))
rank5("sequenceRepeat of one", "sequenceRepeat", {"nRepetitions": 3}, [Y5], lambda x: x.repeat(3, 1, 1, 1, 1))
rank5("sequenceRepeat by default", "sequenceRepeat", {}, [X5], lambda x: x)
blocks = rand(2, 8, 4, 6)
# Offset within the block outermost in the channels, as tensorflow has it; torch's shuffle has the channel outermost.
case("reorganizeData SPACE_TO_DEPTH", "reorganizeData", {"blockSize": 2}, [blocks], lambda x: x.reshape(2, 8, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 32, 2, 3))
case("reorganizeData DEPTH_TO_SPACE", "reorganizeData", {"mode": "DEPTH_TO_SPACE", "blockSize": 2}, [blocks], lambda x: x.reshape(2, 2, 2, 2, 4, 6).permute(0, 3, 4, 1, 5, 2).reshape(2, 2, 8, 12))
case("reorganizeData PIXEL_SHUFFLE", "reorganizeData", {"mode": "PIXEL_SHUFFLE", "blockSize": 2}, [blocks], lambda x: F.pixel_shuffle(x, 2))
rank5("reorganizeData of a sequence", "reorganizeData", {"blockSize": 2}, [rand(2, 1, 2, 4, 2)], lead4(lambda x: x.reshape(2, 2, 2, 2, 1, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 8, 2, 1)))
ones = rand(1, 2, 1, 3, 1)
case("squeeze", "squeeze", {"axes": [0, -1]}, [ones], lambda x: x.reshape(2, 1, 3))
case("squeeze all", "squeeze", {"squeezeAll": True}, [ones], lambda x: x.reshape(2, 3))
case("squeeze to nothing", "squeeze", {"axes": [0, 1]}, [[[3.0]]], lambda x: x.reshape(1))
case("expandDims", "expandDims", {"axes": [0, 2]}, [rand(2, 3)], lambda x: x.reshape(1, 2, 1, 3))
case("expandDims from the end", "expandDims", {"axes": [-1, -3]}, [rand(2, 3)], lambda x: x.reshape(2, 1, 3, 1))
for shape, axis, want in (((3,), -1, (1, 3)), ((3,), 1, (3, 1)), ((5, 2), 0, (1, 10)), ((5, 5, 3), -2, (5, 15)), ((2, 3, 2), -1, (6, 2))):
    case(f"flattenTo2D {shape} at {axis}", "flattenTo2D", {"axis": axis}, [rand(*shape)], lambda x, want=want: x.reshape(want))
case("reshapeStatic", "reshapeStatic", {"targetShape": [4, -1, 3]}, [rand(2, 3, 4)], lambda x: x.reshape(4, 2, 3))
case("reshapeLike", "reshapeLike", {}, [rand(2, 3, 4), rand(6, 4)], lambda x, y: x.reshape(6, 4))
case("reshapeDynamic", "reshapeDynamic", {}, [rand(2, 6), [3.0, 4.0]], lambda x, s: x.reshape(3, 4))
for shape, target, want in (((20, 10), [5, -1], (5, 40)), ((20, 10, 5), [0, 2, 25], (20, 2, 25)), ((10, 3, 5), [25, 0, -1], (25, 3, 2))):
    case(f"rankPreservingReshape {target}", "rankPreservingReshape", {"targetShape": target}, [rand(*shape)], lambda x, want=want: x.reshape(want))
case("tile", "tile", {"reps": [1, 2, 3]}, [rand(2, 2, 1)], lambda x: x.repeat(1, 2, 3))
case("tile, fewer factors", "tile", {"reps": [3]}, [rand(2, 2, 1)], lambda x: x.repeat(1, 1, 3))
case("tile by a tensor", "tile", {}, [rand(2, 1), [2.0, 3.0]], lambda x, r: x.repeat(2, 3))
case("reverse", "reverse", {"reverseDim": [True, False, True]}, [rand(2, 3, 4)], lambda x: x.flip(0, 2))
case("reverseSeq", "reverseSeq", {"batchAxis": 0, "sequenceAxis": 1}, [np.arange(12).reshape(2, 3, 2), [2.0, 3.0]],
     lambda x, n: torch.stack([torch.cat((x[0][:2].flip(0), x[0][2:])), x[1].flip(0)]))
case("broadcastToStatic", "broadcastToStatic", {"targetShape": [2, 3, 4]}, [rand(3, 1)], lambda x: x.expand(2, 3, 4))
case("broadcastToLike", "broadcastToLike", {}, [rand(3, 1), rand(2, 3, 4)], lambda x, y: x.expand(2, 3, 4))
case("broadcastToDynamic", "broadcastToDynamic", {}, [rand(3, 1), [2.0, 3.0, 4.0]], lambda x, s: x.expand(2, 3, 4))
case("getShape", "getShape", {}, [rand(2, 3, 4)], lambda x: t([2, 3, 4]))
case("loadConstantND", "loadConstantND", {"shape": [2, 3], "data": w(np.arange(6))}, [], lambda: t(np.arange(6)).reshape(2, 3))
case("loadConstant, exact", "loadConstant", {"shape": [3, 1, 2], "data": w(np.arange(6))}, [], lambda: t(np.arange(6)).reshape(1, 1, 3, 1, 2))
rank5("loadConstant", "loadConstant", {"shape": [3, 1, 2], "data": w(np.arange(6))}, [], lambda: t(np.arange(6)).reshape(1, 1, 3, 1, 2))
case("fillLike", "fillLike", {"value": 2.5}, [rand(2, 3)], lambda x: torch.full_like(x, 2.5))
case("fillStatic", "fillStatic", {"value": 2.5, "targetShape": [2, 3]}, [], lambda: torch.full((2, 3), 2.5).double())
case("fillDynamic", "fillDynamic", {"value": 2.5}, [[2.0, 3.0]], lambda s: torch.full((2, 3), 2.5).double())
case("rangeStatic", "rangeStatic", {"endValue": 7.0, "startValue": 0.5, "stepSizeValue": 2.0}, [], lambda: t(np.arange(0.5, 7, 2)))
case("rangeDynamic", "rangeDynamic", {"startValue": 1.0, "stepSizeValue": 2.0}, [[8.0]], lambda e: t(np.arange(1, 8, 2)))
case("rangeDynamic of three", "rangeDynamic", {}, [[8.0], [2.0], [3.0]], lambda e, s, d: t(np.arange(2, 8, 3)))

# ---------------------------------------------------------------- slices

S4 = rand(2, 5, 6, 7)
case("slice of channels", "slice", {"startIndex": 1, "endIndex": -1, "stride": 2}, [S4], lambda x: x[:, 1:-1:2])
case("slice of rows", "slice", {"startIndex": -4, "endIndex": 5, "axis": "HEIGHT_AXIS"}, [S4], lambda x: x[:, :, -4:5])
rank5("slice of columns", "slice", {"startIndex": 0, "endIndex": 2, "axis": "WIDTH_AXIS"}, [X5], lambda x: x[..., 0:2])
SL = {"beginIds": [1, 2, 3], "beginMasks": [True, False, True], "endIds": [3, -3, 2], "endMasks": [False, True, True], "strides": [2, 2, 2]}
cube = rand(5, 5, 5)
case("sliceStatic", "sliceStatic", SL, [cube], lambda x: x[:3:2, 2::2, ::2])
case("sliceStatic, squeezed", "sliceStatic", SL | {"squeezeMasks": [False, True, False]}, [cube], lambda x: x[:3:2, 2, ::2])
case("sliceStatic to one", "sliceStatic", {"beginIds": [1, 2], "endIds": [2, 3], "strides": [1, 1], "beginMasks": [False] * 2, "endMasks": [False] * 2, "squeezeMasks": [True] * 2}, [rand(3, 4)], lambda x: x[1, 2].reshape(1))
case("sliceStatic, backwards", "sliceStatic", {"beginIds": [4, 0], "endIds": [0, 0], "strides": [-2, 1], "beginMasks": [False, True], "endMasks": [False, True], "squeezeMasks": [False] * 2}, [rand(5, 2)], lambda x: x[[4, 2]])
case("sliceDynamic", "sliceDynamic", {"endIds": [3, 4], "strides": [1, 2]}, [rand(4, 5), [1.0, 0.0]], lambda x, b: x[1:3, 0:4:2])
case("sliceDynamic by tensors", "sliceDynamic", {}, [rand(4, 5), [1.0, 0.0], [3.0, 0.0], [1.0, 2.0], [0.0, 0.0], [0.0, 1.0]], lambda x, *_: x[1:3, ::2])
case("sliceBySize", "sliceBySize", {"size": 2, "axis": 1}, [rand(2, 5, 3), [2.0]], lambda x, b: x[:, 2:4])
case("sliceBySize of the first axis", "sliceBySize", {"size": 1, "axis": 0}, [rand(3, 2), [1.0]], lambda x, b: x[1:2])
case("slidingWindows", "slidingWindows", {"axis": 1, "windowSize": 3, "step": 2}, [rand(2, 8, 2)], lambda x: x.unfold(1, 3, 2).permute(0, 1, 3, 2))
case("crop", "crop", {"cropAmounts": borders(1, 2, 0, 3)}, [S4], lambda x: x[:, :, 1:4, :4])
rank5("crop to the size of another", "crop", {"offset": [1, 0]}, [rand(1, 1, 2, 5, 6), rand(1, 1, 3, 3, 2)], lambda x, y: x[..., 1:4, 0:2])
case("padding", "padding", {"paddingAmounts": borders(2, 0, 1, 3), "constant": {"value": 0.5}}, [X4], lambda x: F.pad(x, (1, 3, 2, 0), value=0.5))
case("padding by reflection", "padding", {"paddingAmounts": borders(2, 0, 1, 3), "reflection": {}}, [X4], lambda x: F.pad(x, (1, 3, 2, 0), mode="reflect"))
rank5("padding by the edge", "padding", {"paddingAmounts": borders(2, 0, 1, 3), "replication": {}}, [X5], lead4(lambda x: F.pad(x, (1, 3, 2, 0), mode="replicate")))
case("constantPad", "constantPad", {"padAmounts": [0, 0, 3, 4, 0, 9], "value": 0.5}, [rand(2, 3, 2)], lambda x: F.pad(x, (0, 9, 3, 4, 0, 0), value=0.5))
case("constantPad to a size", "constantPad", {"padAmounts": [0, 0, 5, 0, 0, 2], "padToGivenOutputSizeMode": True}, [rand(2, 3, 4)], lambda x: F.pad(x, (0, 0, 2, 0, 0, 0)))
case("constantPad by a tensor", "constantPad", {"value": 1.0}, [rand(2, 3), [1.0, 0.0, 0.0, 2.0]], lambda x, p: F.pad(x, (0, 2, 1, 0), value=1.0))

# ---------------------------------------------------------------- interpolation

def sampled(x, rows, cols):
    """Bilinear values at the crossings of rows and columns."""
    def along(x, at, axis):
        n = x.shape[axis]
        at = t(at).clamp(0, n - 1)
        lo = at.floor().long()
        hi = (lo + 1).clamp(max=n - 1)
        f = (at - lo).reshape([-1] + [1] * (-axis - 1))
        return x.index_select(axis, lo) * (1 - f) + x.index_select(axis, hi) * f
    return along(along(x, rows, -2), cols, -1)


SM = rand(1, 2, 3, 4)
default = lambda n, m: np.arange(m) * ((n - n / m) / (m - 1) if m > 1 else 0)
corners = lambda n, m: np.linspace(0, n - 1, m)
centres = lambda n, m: (np.arange(m) + 0.5) * n / m - 0.5
strict = lambda n, m: np.linspace(0, n - 1, m) if m > 1 else np.zeros(1)
middle = lambda n, m: np.linspace(0, n - 1, m) if m > 1 else np.array([(n - 1) / 2])
align = lambda n, m: 0.5 * max(1, n - 1) / m + np.arange(m) * max(1, n - 1) / m
case("upsample NN", "upsample", {"scalingFactor": [2, 3]}, [SM], lambda x: x.repeat_interleave(2, -2).repeat_interleave(3, -1))
rank5("upsample NN of a sequence", "upsample", {"scalingFactor": [2, 1]}, [X5], lambda x: x.repeat_interleave(2, -2))
for n, g in (("DEFAULT", default), ("ALIGN_CORNERS_TRUE", corners), ("ALIGN_CORNERS_FALSE", centres)):
    case(f"upsample BILINEAR {n}", "upsample", {"scalingFactor": [2, 3], "mode": "BILINEAR", "linearUpsampleMode": n}, [SM], lambda x, g=g: sampled(x, g(3, 6), g(4, 12)))
    case(f"upsample BILINEAR {n}, fractional", "upsample", {"fractionalScalingFactor": [1.75, 2.0], "mode": "BILINEAR", "linearUpsampleMode": n}, [SM], lambda x, g=g: sampled(x, g(3, 5), g(4, 8)))
for n, g in (("STRICT_ALIGN_ENDPOINTS_MODE", strict), ("ALIGN_ENDPOINTS_MODE", middle), ("UPSAMPLE_MODE", default), ("ROI_ALIGN_MODE", align)):
    case(f"resizeBilinear {n}", "resizeBilinear", {"targetSize": [5, 7], "mode": {"samplingMethod": n}}, [SM], lambda x, g=g: sampled(x, g(3, 5), g(4, 7)))
case("resizeBilinear to one row", "resizeBilinear", {"targetSize": [1, 2], "mode": {"samplingMethod": "ALIGN_ENDPOINTS_MODE"}}, [SM], lambda x: sampled(x, middle(3, 1), middle(4, 2)))


def patches(x, boxes, size, first):
    """Boxes as [h0, w0, h1, w1] in pixels; `first` says whether a box names its image."""
    out = []
    for box in boxes.reshape(boxes.shape[0], -1):
        images, box = (x[0, int(box[0])][None], box[1:]) if first else (x[0], box)
        rows, cols = np.linspace(float(box[0]), float(box[2]), size[0]), np.linspace(float(box[1]), float(box[3]), size[1])
        out.append(sampled(images, rows, cols))
    return torch.stack(out)


CR = {"targetSize": [2, 3], "spatialScale": 1.0}
case("cropResize", "cropResize", CR, [rand(1, 1, 2, 5, 6), np.array([[0, 1, 3, 4], [1.5, 0, 4, 2.5]]).reshape(2, 1, 4, 1, 1)], lambda x, b: patches(x, b, (2, 3), False))
case("cropResize of named images", "cropResize", CR, [rand(1, 2, 2, 5, 6), np.array([[1, 0, 1, 3, 4], [0, 1.5, 0, 4, 2.5]]).reshape(2, 1, 5, 1, 1)], lambda x, b: patches(x, b, (2, 3), True))
rank5("cropResize", "cropResize", CR, [rand(1, 1, 2, 5, 6), np.array([[0, 1, 3, 4]]).reshape(1, 1, 4, 1, 1)], lambda x, b: patches(x, b, (2, 3), False))

# ---------------------------------------------------------------- indices and masks

case("gather", "gather", {"axis": 1}, [rand(2, 3, 5), [[0.0, 2.0, -1.0], [1.0, 1.0, 0.0]]], lambda x, i: x[:, i.long()])
case("gather at axis 0", "gather", {}, [rand(4, 3), [2.0, -4.0]], lambda x, i: x[i.long()])
case("gatherAlongAxis", "gatherAlongAxis", {"axis": -1}, [rand(2, 4), [[0.0, -1.0, 2.0], [3.0, 3.0, -4.0]]], lambda x, i: torch.gather(x, -1, torch.where(i < 0, i + 4, i).long()))
case("gatherND", "gatherND", {}, [rand(3, 4, 2), [[[0.0, 1.0], [2.0, -1.0]]]], lambda x, i: x[i[..., 0].long(), i[..., 1].long()])


def scattered(x, i, u, mode):
    y = x.clone()
    for n, j in enumerate(i.long().tolist()):
        y[:, j] = {"UPDATE": lambda a, b: b, "ADD": torch.add, "SUB": torch.sub, "MUL": torch.mul, "DIV": torch.div, "MAX": torch.maximum, "MIN": torch.minimum}[mode](y[:, j], u[:, n])
    return y


for m in ("UPDATE", "ADD", "SUB", "MUL", "DIV", "MAX", "MIN"):
    case(f"scatter {m}", "scatter", {"axis": 1, "mode": f"SCATTER_{m}"}, [rand(2, 4), [1.0, -1.0], rand(2, 2, lo=0.5)], lambda x, i, u, m=m: scattered(x, i, u, m))
case("scatterND", "scatterND", {"mode": "SCATTER_ADD"}, [rand(3, 2), [[0.0, 1.0], [2.0, 0.0], [0.0, 1.0]], [1.0, 2.0, 3.0]],
     lambda x, i, u: x.index_put((i[:, 0].long(), i[:, 1].long()), u, accumulate=True))
case("scatterAlongAxis", "scatterAlongAxis", {"axis": 1}, [rand(2, 5, 2), np.array([[[0, 1], [4, 3]], [[2, 0], [1, 4]]], float), rand(2, 2, 2)], lambda x, i, u: x.scatter(1, i.long(), u))
distinct = RNG.permutation(24).reshape(2, 3, 4).astype(float)
case("topK", "topK", {"axis": -1, "K": 2}, [distinct], lambda x: tuple(v.double() for v in torch.topk(x, 2, -1)))
case("topK from the bottom", "topK", {"axis": 1, "K": 2, "useBottomK": True}, [distinct], lambda x: tuple(v.double() for v in torch.topk(x, 2, 1, largest=False)))
case("argMax", "argMax", {"axis": 1}, [distinct], lambda x: x.argmax(1, keepdim=True).double())
case("argMin, removed", "argMin", {"axis": -1, "removeDim": True}, [distinct], lambda x: x.argmin(-1).double())
case("argMax of a vector, removed", "argMax", {"removeDim": True}, [[1.0, 5.0, 2.0]], lambda x: t([1.0]))
case("argSort", "argSort", {"axis": 1}, [distinct], lambda x: x.argsort(1).double())
case("argSort, descending", "argSort", {"axis": 2, "descending": True}, [distinct], lambda x: x.argsort(2, descending=True).double())
case("cumSum", "cumSum", {"axis": 1}, [near], lambda x: x.cumsum(1))
case("cumSum, exclusive, reversed", "cumSum", {"axis": -1, "excludeFinalSum": True, "reverse": True}, [[4.0, 6.0, 7.0]], lambda x: t([13, 7, 0]))
case("oneHot", "oneHot", {"oneHotVectorSize": 4, "axis": -1, "onValue": 5.0, "offValue": -1.0}, [[2.0, 0.0]], lambda i: t([[-1, -1, 5, -1], [5, -1, -1, -1]]))
case("oneHot at axis 1", "oneHot", {"oneHotVectorSize": 3, "axis": 1, "onValue": 1.0}, [[[2.0, 0.0], [1.0, 1.0]]], lambda i: F.one_hot(i.long(), 3).permute(0, 2, 1).double())
case("whereNonZero", "whereNonZero", {}, [[[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]], lambda x: x.nonzero().double())
square = rand(2, 4, 5)
case("matrixBandPart", "matrixBandPart", {"numLower": 1, "numUpper": -1}, [square], lambda x: x.triu(-1))
for k in (-2, -1, 0, 2):
    case(f"lowerTriangular {k}", "lowerTriangular", {"k": k}, [square], lambda x, k=k: x.tril(k))
    case(f"upperTriangular {-k}", "upperTriangular", {"k": -k}, [square], lambda x, k=k: x.triu(-k))
boxes = np.array([[[1, 1, 2, 2], [1.2, 1, 2, 2], [5, 5, 2, 2], [8, 8, 1, 1]]], float)
case("NonMaximumSuppression", "NonMaximumSuppression", {"iouThreshold": 0.5, "scoreThreshold": 0.2, "maxBoxes": 3}, [boxes, np.array([[[0.9], [0.8], [0.7], [0.1]]])],
     lambda b, s: (t([[[1, 1, 2, 2], [5, 5, 2, 2], [0, 0, 0, 0]]]), t([[[0.9], [0.7], [0.0]]]), t([[0, 2, -1]]), t([2])))

# ---------------------------------------------------------------- random numbers: shapes only, so the values are nan

nan = lambda *shape: torch.full(shape, float("nan")).double()
for k, p in (("randomNormal", {"mean": 1.0, "stdDev": 2.0}), ("randomUniform", {"minVal": 1.0, "maxVal": 2.0}), ("randomBernoulli", {"prob": 0.5})):
    case(f"{k}Like", f"{k}Like", p | {"seed": 3}, [rand(2, 3)], nan(2, 3))
    case(f"{k}Static", f"{k}Static", p | {"outputShape": [2, 3]}, [], nan(2, 3))
    case(f"{k}Dynamic", f"{k}Dynamic", p, [[2.0, 3.0]], nan(2, 3))
case("categoricalDistribution", "categoricalDistribution", {"numSamples": 5, "isLogits": True, "temperature": 2.0}, [rand(2, 3)], nan(2, 5))

# ---------------------------------------------------------------- recurrent

I, H = 3, 2
SIG, TANH = {"sigmoid": {}}, {"tanh": {}}


def run_lstm(x, h, c, ws, peep=None, plus=0.0, clip=50.0):
    """ws: (W, R, b) of the input gate, forget gate, block input and output gate."""
    out = []
    for v in x:
        pre = [v @ t(W).T + h @ t(R).T + t(b) for W, R, b in ws]
        p = [t(a) for a in peep] if peep else [0.0] * 3
        i, f, z = torch.sigmoid(pre[0] + p[0] * c), torch.sigmoid(pre[1] + p[1] * c + plus), torch.tanh(pre[2])
        c = (f * c + i * z).clamp(-clip, clip)
        h = torch.sigmoid(pre[3] + p[2] * c) * torch.tanh(c)
        out.append(h)
    return torch.stack(out), h, c


def lstm_weights():
    ws = [(rand(H, I), rand(H, H), rand(H)) for _ in range(4)]
    p = {}
    for name, (a, b, c) in zip(("inputGate", "forgetGate", "blockInput", "outputGate"), ws):
        p |= {f"{name}WeightMatrix": w(a), f"{name}RecursionMatrix": w(b), f"{name}BiasVector": w(c)}
    return ws, p


five = lambda v: v[..., None, None]
seq = lambda x: x.reshape(x.shape[0], x.shape[1], -1)
one_state = lambda v: five(v[None])
WS, WP = lstm_weights()
WB, WPB = lstm_weights()
LS = {"inputVectorSize": I, "outputVectorSize": H, "activations": [SIG, TANH, TANH], "weightParams": WP}
ZERO = lambda x: torch.zeros(x.shape[1], H).double()
x3, h0, c0 = rand(3, 2, I, 1, 1), rand(1, 2, H, 1, 1), rand(1, 2, H, 1, 1)


def uni(x, h=None, c=None, reverse=False, sequence=True, **more):
    y, h, c = run_lstm(seq(x).flip(0) if reverse else seq(x), ZERO(x) if h is None else h.reshape(-1, H), ZERO(x) if c is None else c.reshape(-1, H), WS, **more)
    y = (y.flip(0) if reverse else y) if sequence else h[None]
    return five(y), one_state(h), one_state(c)


case("uniDirectionalLSTM", "uniDirectionalLSTM", LS | {"params": {"sequenceOutput": True, "hasBiasVectors": True}}, [x3, h0, c0], uni)
case("uniDirectionalLSTM of the last step", "uniDirectionalLSTM", LS | {"params": {"hasBiasVectors": True, "forgetBias": True}, "reverseInput": True}, [x3], lambda x: uni(x, reverse=True, sequence=False, plus=1.0))
rank5("uniDirectionalLSTM of one step", "uniDirectionalLSTM", LS | {"params": {"sequenceOutput": True, "hasBiasVectors": True}}, [rand(1, 1, I, 1, 1)], uni)
rank5("uniDirectionalLSTM", "uniDirectionalLSTM", LS | {"params": {"sequenceOutput": True, "hasBiasVectors": True}, "reverseInput": True}, [x3, h0, c0], lambda *a: uni(*a, reverse=True))
PEEP = [rand(H) for _ in range(3)]
case("uniDirectionalLSTM with peepholes", "uniDirectionalLSTM",
     LS | {"params": {"sequenceOutput": True, "hasBiasVectors": True, "hasPeepholeVectors": True}, "weightParams": WP | {f"{n}GatePeepholeVector": w(p) for n, p in zip(("input", "forget", "output"), PEEP)}}, [x3], lambda x: uni(x, peep=PEEP))
case("uniDirectionalLSTM without biases", "uniDirectionalLSTM", LS | {"params": {"sequenceOutput": True, "forgetBias": True}}, [x3],
     lambda x: tuple(five(v) if v.dim() == 3 else one_state(v) for v in run_lstm(seq(x), ZERO(x), ZERO(x), [(a, b, np.zeros(H)) for a, b, _ in WS], plus=1.0)))


def both(x, h=None, c=None, hb=None, cb=None, sequence=True):
    z = lambda v: ZERO(x) if v is None else v.reshape(-1, H)
    y, h, c = run_lstm(seq(x), z(h), z(c), WS)
    yb, hb, cb = run_lstm(seq(x).flip(0), z(hb), z(cb), WB)
    y = torch.cat((y, yb.flip(0)), -1) if sequence else torch.cat((h, hb), -1)[None]
    return (five(y), *(one_state(v) for v in (h, c, hb, cb)))


BI = {"inputVectorSize": I, "outputVectorSize": H, "activationsForwardLSTM": [SIG, TANH, TANH], "activationsBackwardLSTM": [SIG, TANH, TANH], "weightParams": [WP, WPB]}
case("biDirectionalLSTM", "biDirectionalLSTM", BI | {"params": {"sequenceOutput": True, "hasBiasVectors": True}}, [x3, h0, c0, rand(1, 2, H, 1, 1), rand(1, 2, H, 1, 1)], both)
rank5("biDirectionalLSTM of the last step", "biDirectionalLSTM", BI | {"params": {"hasBiasVectors": True}}, [rand(3, 1, I, 1, 1)], lambda x: both(x, sequence=False))
RW, RR, RB = rand(H, I), rand(H, H), rand(H)


def run_rnn(x, h, reverse=False, sequence=True, act=torch.relu):
    out = []
    for v in (seq(x).flip(0) if reverse else seq(x)):
        h = act((v @ t(RW).T + h @ t(RR).T + t(RB)).clamp(-50, 50))
        out.append(h)
    y = torch.stack(out)
    y = (y.flip(0) if reverse else y) if sequence else h[None]
    return five(y), one_state(h)


SR = {"inputVectorSize": I, "outputVectorSize": H, "hasBiasVector": True, "weightMatrix": w(RW), "recursionMatrix": w(RR), "biasVector": w(RB), "sequenceOutput": True}
case("simpleRecurrent", "simpleRecurrent", SR | {"activation": {"ReLU": {}}}, [x3, h0], lambda x, h: run_rnn(x, h.reshape(-1, H)))
rank5("simpleRecurrent, reversed", "simpleRecurrent", SR | {"activation": {"sigmoidHard": {"alpha": 0.2, "beta": 0.5}}, "reverseInput": True}, [x3], lambda x: run_rnn(x, ZERO(x), True, act=lambda v: (0.2 * v + 0.5).clamp(0, 1)))
GW = {g: (rand(H, I), rand(H, H), rand(H)) for g in ("update", "reset", "output")}


def run_gru(x, h, reverse=False, sequence=True):
    g = lambda n, v, h: v @ t(GW[n][0]).T + h @ t(GW[n][1]).T + t(GW[n][2])
    out = []
    for v in (seq(x).flip(0) if reverse else seq(x)):
        z, r = torch.sigmoid(g("update", v, h)), torch.sigmoid(g("reset", v, h))
        h = (1 - z) * torch.tanh(g("output", v, h * r)) + z * h
        out.append(h)
    y = torch.stack(out)
    y = (y.flip(0) if reverse else y) if sequence else h[None]
    return five(y), one_state(h)


GP = {"inputVectorSize": I, "outputVectorSize": H, "activations": [SIG, TANH], "hasBiasVectors": True}
for g, (a, b, c) in GW.items():
    GP |= {f"{g}GateWeightMatrix": w(a), f"{g}GateRecursionMatrix": w(b), f"{g}GateBiasVector": w(c)}
case("gru", "gru", GP | {"sequenceOutput": True}, [x3, h0], lambda x, h: run_gru(x, h.reshape(-1, H)))
rank5("gru of the last step, reversed", "gru", GP | {"reverseInput": True}, [x3], lambda x: run_gru(x, ZERO(x), True, False))
rank5("gru of one step", "gru", GP | {"sequenceOutput": True}, [rand(1, 1, I, 1, 1)], lambda x: run_gru(x, ZERO(x)))

with open(sys.argv[1], "w") as out:
    rows = ",\n".join(json.dumps(c, separators=(",", ":")).replace("NaN", "null") for c in CASES)
    out.write(f"[\n{rows}\n]\n")
print(len(CASES), "cases,", len({c["kind"] for c in CASES}), "layer types")
