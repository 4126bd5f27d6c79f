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

from case import CASES

for part in ("compute", "combine", "move", "recur", "computed", "deconvolve", "gates", "ranks"):
    __import__(part)

with open(sys.argv[1], "w") as out:
    rows = ",\n".join(json.dumps(c, separators=(",", ":")).replace("NaN", "null") for c in CASES)
    out.write(f"[\n{rows}\n]\n")
print(len(CASES), "cases,", len({c["kind"] for c in CASES}), "layer types")
