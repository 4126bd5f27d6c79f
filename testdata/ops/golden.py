"""How a golden case is made and written: typed values, and one JSON line a case.

Inputs are rounded to their element type first; expected values are computed from the rounded ones in float64, so that
they are the true results, and are stored unrounded unless they are exact.
"""
import json
import math

import numpy as np
import torch

CASES = {}
GROUP = [None]
RNG = np.random.default_rng(11)
NUMPY = {"fp16": np.float16, "fp32": np.float32, "fp64": np.float64, "int8": np.int8, "uint8": np.uint8, "int16": np.int16,
         "uint16": np.uint16, "int32": np.int32, "uint32": np.uint32, "int64": np.int64, "bool": np.bool_}
# Types below a byte: numbers in a wider array.
WIDER = {"uint1": np.uint8, "uint2": np.uint8, "uint3": np.uint8, "uint4": np.uint8, "uint6": np.uint8, "int4": np.int8}


class Typed:
    """Numbers with the element type that a model has for them."""

    def __init__(self, dtype, array):
        self.dtype = dtype
        if dtype == "string":
            self.n = np.asarray(array, dtype=object)
            return
        stored = np.asarray(array).astype(NUMPY.get(dtype) or WIDER[dtype])
        self.stored = stored
        self.n = stored.astype(np.float64) if dtype.startswith("fp") else stored

    @property
    def t(self):
        """As a torch tensor: floats in double precision, integers as int64."""
        return torch.tensor(self.n if self.dtype.startswith("fp") or self.dtype == "bool" else self.n.astype(np.int64))


def of(dtype):
    return lambda array: Typed(dtype, array)


f16, f32, i8, u8, i16, u16, i32, u32, b = map(of, ("fp16", "fp32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "bool"))


def text(s):
    return Typed("string", s)


def rand(*shape, lo=-2.0, hi=2.0):
    """Numbers of three digits: short to write, far enough apart to tell ops from each other."""
    return np.round(RNG.uniform(lo, hi, shape), 2)


def whole(*shape, lo=-9, hi=10):
    return RNG.integers(lo, hi, shape)


def number(v, dtype, exact):
    if dtype == "bool":
        return bool(v)
    if not dtype.startswith("fp"):
        return int(v)
    v = float(v)
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    if v == 0 and math.copysign(1, v) < 0:
        return "-0"
    if not exact:
        short = float(f"{v:.13g}")
    else:
        short = float(str(NUMPY[dtype](v)))
    return int(short) if short.is_integer() and abs(short) < 1e9 else short


def written(v, exact=True):
    flat = v.n.ravel().tolist() if v.dtype == "string" else [number(x, v.dtype, exact) for x in v.n.ravel()]
    return [v.dtype, list(v.n.shape), flat]


def pairs(values, exact=True):
    """Parameter, value; a list stands for a parameter that takes several."""
    out = []
    for name, v in values.items():
        for one in v if isinstance(v, list) else [v]:
            out.append([name, written(one, exact)])
    return out


def raw(dtype, array):
    """An expected value in float64 without rounding."""
    v = Typed.__new__(Typed)
    v.dtype, v.n = dtype, np.asarray(array.detach().numpy() if torch.is_tensor(array) else array)
    return v


def outputs(out, dtype, within):
    out = out if isinstance(out, (tuple, list)) else (out,)
    made = []
    for o in out:
        o = o if isinstance(o, Typed) else raw(dtype, o)
        o = raw(o.dtype, o.n.astype(np.float64)) if o.dtype.startswith("fp") else o
        exact = within == "exact" or not o.dtype.startswith("fp")
        if exact and o.dtype.startswith("fp"):
            rounded = o.n.astype(NUMPY[o.dtype]).astype(np.float64)
            assert np.array_equal(rounded, o.n, equal_nan=True), f"not exact: {o.n} {rounded}"
        made.append(written(o, exact))
    return made


def add(case):
    cases = CASES.setdefault(GROUP[0], [])
    assert case["name"] not in {c["name"] for c in cases}, case["name"]
    cases.append(case)


def case(name, op, ins, consts, out, truth="torch", within="sum", opset=15, dtype=None, **more):
    """One op. `ins` are arguments of the function, `consts` constants. `within` says how near a result must be: `exact`
    (the same bits), `sum` (rounding of sums and products), `curve` (rounding of transcendental functions). `more`:
    `fails` (it must be refused), `free` (any result of that type, but no crash), `chance` (bounds of a distribution).
    """
    first = next(iter({**ins, **consts}.values()))
    first = first[0] if isinstance(first, list) else first
    entry = {"name": name, "op": op, "opset": f"CoreML{opset - 10}", "truth": truth, "within": within,
             "in": pairs(ins), "const": pairs(consts)}
    if out is not None:
        entry["out"] = outputs(out, dtype or first.dtype, within)
    add({**entry, **more})


def program(name, ops, source, ins, out, truth="numpy", within="sum", dtype="fp32", **more):
    """A whole function in the text form, for ops that need others around them. Names of `ins` are its arguments."""
    add({"name": name, "op": ops[0], "also": ops[1:], "text": source, "truth": truth, "within": within,
         "in": pairs(ins), "out": outputs(out, dtype, within), **more})


def dump(folder):
    for group, cases in CASES.items():
        lines = [json.dumps(c, separators=(",", ":"), ensure_ascii=False) for c in cases]
        (folder / f"{group}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
