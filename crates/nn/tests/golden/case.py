"""How a case is made: inputs, parameters as coremltools messages, expected outputs."""
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
    elif p.rawValue or p.int8RawValue:
        signed = not p.rawValue
        raw = np.frombuffer(p.int8RawValue if signed else p.rawValue, np.int8 if signed else np.uint8)
        weights[path] = {"dtype": "int8" if signed else "uint8", "data": raw.tolist()}
        return fields_of_rest(p)
    return []


def fields_of_rest(p):
    rest = nn.WeightParams()
    rest.quantization.CopyFrom(p.quantization)
    return [["quantization", {"m": fields_of(rest.quantization, "", {})}]]


def listed(x):
    x = x.detach().numpy() if torch.is_tensor(x) else np.asarray(x, dtype=float)
    return {"shape": list(x.shape), "data": [float(f"{v:.12g}") for v in x.astype(float).ravel()]}


def case(name, kind, params, inputs, expected, mapping="exact", computed=False):
    """`expected` takes the inputs as float64 tensors and gives an output, or a tuple of them. With `computed`, the values of
    inputs are not known when the layer is lowered."""
    layer = nn.NeuralNetworkLayer()
    json_format.ParseDict({kind: params}, layer)
    weights = {}
    fields = fields_of(getattr(layer, kind), "", weights)
    out = expected(*[t(x) for x in inputs]) if callable(expected) else expected
    out = out if isinstance(out, tuple) else (out,)
    CASES.append({"name": name, "kind": kind, "mapping": mapping, "fields": fields, "weights": weights,
                  "inputs": [listed(x) for x in inputs], "outputs": [listed(x) for x in out]} | ({"computed": True} if computed else {}))


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


X4 = rand(2, 3, 4, 5)
X5 = rand(2, 2, 3, 2, 3)
Y5 = rand(1, 1, 3, 2, 3)
A3 = np.array([0.5, -0.25, 2.0])
B3 = np.array([1.5, 0.5, -1.0])
inf = float("-inf")


def per(a):
    """Factors against axis -3."""
    return t(a).reshape(-1, 1, 1)


def same(size, k, s, d=1, before=False):
    """The borders that keep ceil(size / s): before and after."""
    total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
    lo = total - total // 2 if before else total // 2
    return lo, total - lo
