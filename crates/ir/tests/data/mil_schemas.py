"""Writes mil_schemas.json: the parameters of every op of coremltools' op sets iOS15 to iOS18, by name.

Run with coremltools 9.0: python mil_schemas.py > mil_schemas.json

For each op and each op set that changes it: per parameter its name, kind (value, const, values), whether it may be
left out, its default where that does not depend on the other operands, the element types it takes (null for any),
and the first parameter of the same type group.
"""

import json

import numpy as np
from coremltools.converters.mil._deployment_compatibility import AvailableTarget
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.input_type import TensorInputType, TupleInputType
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

OPSETS = {5: "CoreML5", 6: "CoreML6", 7: "CoreML7", 8: "CoreML8"}


class Operand:
    """Stands for an operand where a default asks for its element type or rank."""

    dtype, rank, shape, val = types.fp32, 4, (2, 3, 5, 7), None


def defaults(cls):
    op = object.__new__(cls)
    for name, spec in cls.input_spec.input_types.items():
        op.__dict__[name] = None if spec.optional else Operand()
    return dict(op.default_inputs().items())


def plain(value):
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple, range)):
        return [plain(v) for v in value]
    return value


def params(cls):
    out, groups, given = [], {}, defaults(cls)
    for name, spec in cls.input_spec.input_types.items():
        kind = "values" if isinstance(spec, TupleInputType) else "const" if spec.const else "value"
        row = {"name": name, "kind": kind}
        if spec.optional:
            row["optional"] = True
            if given.get(name) is not None:
                row["default"] = plain(given[name])
        if isinstance(spec, TensorInputType):
            group = spec.type_domain_id
            domain = cls.type_domains[group] if group else spec.type_domain
            row["dtypes"] = sorted(types.builtin_to_string(t) for t in domain)
            if group:
                if group in groups:
                    row["like"] = groups[group]
                groups.setdefault(group, name)
        out.append(row)
    return out


def main():
    rows = []
    for name, forms in sorted(SSAOpRegistry.core_ops.items()):
        before = None
        for target, cls in sorted(forms.items(), key=lambda f: f[0].value):
            if target not in (AvailableTarget.iOS15, AvailableTarget.iOS16, AvailableTarget.iOS17, AvailableTarget.iOS18):
                continue
            now = params(cls)
            if now != before:
                rows.append({"op": name, "since": OPSETS[target.value - 1], "params": now})
            before = now
    print("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]")


main()
