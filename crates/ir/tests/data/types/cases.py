"""Builds single ops with coremltools and writes down the types that it gives their results.

A family's script calls `case` for each op to look at and `write` at the end. Run it with a Python that has
coremltools 9.0:

    python make.py            # every family
    python make.py pool norm  # some

Each case holds the arguments that were given (type; value if it is a small constant), the types of the results or
the fact that coremltools refuses, the values of the parameters that were left out, and, for symbolic extents, the
results with numbers in their place.
"""

import json
import logging
import pathlib
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import coremltools as ct
import numpy as np
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import Function, Program, get_new_symbol, types

FOLDER = pathlib.Path(__file__).parent
OPSETS = {5: ct.target.iOS15, 6: ct.target.iOS16, 7: ct.target.iOS17, 8: ct.target.iOS18}
SUB_BYTE = {
    "int4": types.np_int4_dtype,
    "uint1": types.np_uint1_dtype,
    "uint2": types.np_uint2_dtype,
    "uint3": types.np_uint3_dtype,
    "uint4": types.np_uint4_dtype,
    "uint6": types.np_uint6_dtype,
}
NUMPY = {"fp16": np.float16, "fp32": np.float32, "bool": bool, **SUB_BYTE}


class T:
    """A value that is not constant. An extent that is text is a symbol."""

    def __init__(self, dtype, *dims):
        self.dtype, self.dims = dtype, dims


class S(T):
    """A state."""


class C:
    """A constant whose elements do not matter."""

    def __init__(self, dtype, *dims):
        self.dtype, self.dims = dtype, dims

    def array(self):
        return np.ones(self.dims, dtype=NUMPY.get(self.dtype) or np.dtype(self.dtype))


class V:
    """A constant of a dtype, with its elements."""

    def __init__(self, dtype, value):
        self.dtype, self.value = dtype, value

    def array(self):
        a = np.array(self.value, dtype=NUMPY.get(self.dtype) or np.dtype(self.dtype))
        return a[()] if a.shape == () else a


CASES = {}


def numbers(dims, at):
    return [at.get(d, d) if isinstance(d, str) else d for d in dims]


def build(op, args, opset, at):
    """The op with symbols replaced by `at`; those that it does not name stay symbols."""
    symbols, inputs, given = {}, {}, {}

    def one(name, a):
        if isinstance(a, T):
            dims = [symbols.setdefault(d, get_new_symbol()) if isinstance(d, str) else d for d in numbers(a.dims, at)]
            dtype = types.string_to_builtin(a.dtype)
            make = mb.state_tensor_placeholder if isinstance(a, S) else mb.placeholder
            inputs[name] = make(dims, dtype) if isinstance(a, S) else make(dims, dtype, allow_rank0_input=True)
            return lambda f: f.inputs[name]
        if callable(a):
            return a
        value = a.array() if isinstance(a, (C, V)) else a
        return lambda f: value

    for name, a in args.items():
        given[name] = [one(f"{name}_{i}", x) for i, x in enumerate(a)] if isinstance(a, list) and any(
            isinstance(x, (T, C, V)) for x in a
        ) else one(name, a)
    with Function(inputs, opset_version=OPSETS[opset]) as f:
        kwargs = {k: [x(f) for x in g] if isinstance(g, list) else g(f) for k, g in given.items()}
        made = build_op(op, kwargs)
        outs = list(made) if isinstance(made, (list, tuple)) else [made]
        f.set_outputs([o for o in outs])
    # a list or a tuple of values hides its op; the first result's op is the one that was asked for
    return outs[0].op, {v: k for k, v in symbols.items()}


def build_op(op, kwargs):
    if op == "coreml_update_state":
        return mb.coreml_update_state(**kwargs)
    return getattr(mb, op)(**kwargs)


def described(ty, names):
    if types.is_state(ty):
        return {"state": described(ty.wrapped_type(), names)}
    if types.is_list(ty):
        element, length = ty.T[0], ty.T[1]
        return {"list": described(element, names), "length": int(length) if isinstance(length, (int, np.integer)) else None}
    if types.is_dict(ty):
        return {"dict": [described(t, names) for t in ty.T]}
    if not types.is_tensor(ty):
        return {"dtype": "string" if ty == types.str else types.builtin_to_string(ty), "dims": []}
    dtype = ty.get_primitive()
    dims = [int(d) if isinstance(d, (int, np.integer, float)) else names.get(d, "?") for d in ty.get_shape()]
    if any(str(d).startswith("*") for d in ty.get_shape()):
        dims = None
    return {"dtype": "string" if dtype == types.str else types.builtin_to_string(dtype), "dims": dims}


def plain(value):
    if isinstance(value, list):
        return [plain(v) for v in value]
    if hasattr(value, "ls"):
        return plain(value.ls)
    return value.tolist() if hasattr(value, "tolist") else value


def case(family, op, args, opset=5, at=(), fails=False):
    """Adds a case. `at` is a list of numbers for the symbols; `fails` says that coremltools refuses it."""
    entry = {"op": op, "opset": f"CoreML{opset}"}
    try:
        made, names = build(op, args, opset, {})
    except Exception as e:
        if not fails:
            raise RuntimeError(f"{op} {args}") from e
        made = None
    if made is None:
        entry["args"] = [[k, raw(a)] for k, x in args.items() for a in (x if is_many(x) else [x])]
        entry["fails"] = True
    else:
        assert not fails, f"{op} is accepted: {made}"
        listed = []
        for k in (k for k in args if not k.startswith("_")):
            for v, x in zip(flat(made.inputs[k]), args[k] if is_many(args[k]) else [args[k]]):
                d = described(v.sym_type, names)
                if v.val is not None and not isinstance(x, C):
                    d["value"] = plain(v.val)
                elif v.op is not None and v.op.op_type == "const":
                    d["value"] = None
                listed.append([k, d])
        entry["args"] = listed
        entry["results"] = [described(o.sym_type, names) for o in made.outputs]
        left_out = {k: v for k, v in made.inputs.items() if k not in args and not k.startswith("_")}
        entry["defaults"] = {k: plain(v.val) for k, v in left_out.items() if not isinstance(v, (list, tuple))}
        if made.blocks:
            entry["blocks"] = [
                {
                    "args": [described(v.sym_type, names) for v in b.inputs],
                    "outputs": [described(v.sym_type, names) for v in b.outputs],
                }
                for b in made.blocks
            ]
        entry["at"] = []
        for numbers_ in at:
            point = {"symbols": numbers_}
            try:
                there, left = build(op, args, opset, numbers_)
                point["results"] = [described(o.sym_type, left) for o in there.outputs]
            except Exception:
                point["fails"] = True
            entry["at"].append(point)
    CASES.setdefault(family, []).append(entry)


def is_many(a):
    return isinstance(a, list) and any(isinstance(x, (T, C, V)) for x in a)


def flat(v):
    return list(v) if isinstance(v, (list, tuple)) else [v]


def raw(a):
    """An argument as it was meant, for ops that coremltools refuses to build."""
    if isinstance(a, S):
        return {"state": {"dtype": a.dtype, "dims": list(a.dims)}}
    if isinstance(a, T):
        return {"dtype": a.dtype, "dims": list(a.dims)}
    value = a.array() if isinstance(a, (C, V)) else a
    if isinstance(value, str):
        return {"dtype": "string", "dims": [], "value": value}
    array = np.array(value)
    names = {"float64": "fp32", "float32": "fp32", "float16": "fp16", "int64": "int32"}
    dtype = getattr(a, "dtype", names.get(array.dtype.name, array.dtype.name))
    return {"dtype": dtype, "dims": list(array.shape), "value": None if isinstance(a, C) else array.tolist()}


def write(wanted):
    for family, cases in CASES.items():
        if wanted and family not in wanted:
            continue
        lines = ",\n".join(json.dumps(c) for c in cases)
        (FOLDER / f"{family}.json").write_text(f"[\n{lines}\n]\n")
        print(f"{family}: {len(cases)} cases")
