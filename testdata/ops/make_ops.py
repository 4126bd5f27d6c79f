"""Writes the golden cases of single ops, one JSON file a group: `python make_ops.py`.

Needs numpy 2.2.6, torch 2.7.0, onnxruntime 1.32.0 and onnx 1.23.2; the result is the same in every run. Every case names
its truth: `torch`, `numpy`, `onnxruntime`, or `formula`, which is the op's documentation written out in numpy here because
none of the three has that op.
"""
import importlib
import pathlib
import sys

import golden

HERE = pathlib.Path(__file__).parent
GROUPS = ["elementwise", "window", "normal", "shapes", "index", "images", "recurrent", "weights", "control"]

if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.modules.setdefault("golden", golden)
    for group in GROUPS:
        golden.GROUP[0] = group
        golden.RNG = __import__("numpy").random.default_rng(11)
        importlib.import_module(group)
    golden.dump(HERE)
    for group, cases in golden.CASES.items():
        print(f"{group}: {len(cases)} cases, {(HERE / f'{group}.json').stat().st_size} bytes")
