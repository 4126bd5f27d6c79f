#!/usr/bin/env python3
"""Makes the model in which every canonical rule fires, with inputs and the results that numpy computes.

    python make_canonical.py        (coremltools 9.0, numpy 2.2)

The folder is laid out like the corpus: case.json, inputs.npz, outputs.npz, the package beside them.
"""
import json
import pathlib
import shutil

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

HERE = pathlib.Path(__file__).parent / "canonical"
RNG = np.random.default_rng(20)
WEIGHT = RNG.standard_normal(120).astype(np.float32).reshape(1, 2, 3, 20)
TABLE = RNG.standard_normal((20, 3)).astype(np.float32)


@mb.program(input_specs=[mb.TensorSpec(shape=(1, 2, 3, 20), dtype=types.fp32)], opset_version=ct.target.iOS16)
def program(x):
    mb.tanh(x=x, name="dead")
    a = mb.add(x=x, y=WEIGHT.copy(), name="first_weight")
    a = mb.mul(x=a, y=WEIGHT.copy(), name="same_weight")
    left = mb.relu(x=a, name="left")
    right = mb.relu(x=a, name="right")
    a = mb.sub(x=left, y=mb.tanh(x=right, name="of_right"), name="joined")
    a = mb.identity(x=a, name="nothing")
    a = mb.mul(x=a, y=np.float32(1.0), name="times_one")
    t = mb.transpose(x=a, perm=[0, 2, 3, 1], name="t1")
    t = mb.transpose(x=t, perm=[0, 2, 1, 3], name="t2")
    a = mb.reshape(x=t, shape=[1, 60, 2], name="r1")
    a = mb.reshape(x=a, shape=[1, 2, 3, 20], name="r2")
    h = mb.cast(x=a, dtype="fp16", name="narrow")
    h = mb.exp(x=mb.clip(x=h, alpha=np.float16(-2.0), beta=np.float16(2.0), name="clipped"), name="e")
    h = mb.cast(x=mb.cast(x=h, dtype="fp32", name="wide"), dtype="fp16", name="back")
    a = mb.cast(x=mb.square(x=h, name="sq"), dtype="fp32", name="wide_again")
    c = mb.transpose(x=a, perm=[0, 2, 3, 1], name="in_1")
    c = mb.sigmoid(x=mb.add(x=c, y=np.float32([0.5, -1.5]), name="shifted"), name="s")
    c = mb.transpose(x=c, perm=[0, 3, 1, 2], name="out_1")
    n = mb.slice_by_index(x=mb.shape(x=c, name="extents"), begin=[1], end=[4], name="n")
    w = mb.transpose(x=mb.const(val=TABLE, name="table"), perm=[1, 0], name="table_t")
    y = mb.add(x=mb.reshape(x=c, shape=n, name="rows"), y=w, name="y")
    return y


def truth(x):
    a = (x + WEIGHT) * WEIGHT
    a = np.maximum(a, 0) - np.tanh(np.maximum(a, 0))
    a = a.transpose(0, 2, 3, 1).transpose(0, 2, 1, 3).reshape(1, 2, 3, 20)
    e = np.exp(np.clip(a, -2, 2)) ** 2
    s = 1 / (1 + np.exp(-(e.transpose(0, 2, 3, 1) + np.float32([0.5, -1.5]))))
    return s.transpose(0, 3, 1, 2).reshape(2, 3, 20) + TABLE.T


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    model = ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16,
                       pass_pipeline=ct.PassPipeline.EMPTY, compute_precision=ct.precision.FLOAT32)
    model.save(str(HERE / "mixed-iOS16.mlpackage"))
    x = RNG.standard_normal((1, 2, 3, 20)).astype(np.float32)
    np.savez(HERE / "inputs.npz", x=x)
    np.savez(HERE / "outputs.npz", y=truth(x.astype(np.float64)).astype(np.float32))
    case = {"name": "canonical", "note": "every canonical rule fires", "stateful": False,
            "samples": [{"function": "main", "inputs": "inputs.npz", "outputs": "outputs.npz"}],
            "variants": [{"variant": "mixed-iOS16", "file": "mixed-iOS16.mlpackage", "status": "ok"}]}
    (HERE / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main()
