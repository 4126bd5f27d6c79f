"""Makes the models of this folder: for each rewrite rule a small model in which it fires, with truth beside it.

    python make_generated.py [--only NAME…]

A folder holds one model in some variants (`nn`, `nn-fp16w` with 16-bit weights: NeuralNetworks; `fp32-iOS15`,
`fp16-iOS16`: ML Programs), inputs.npz, and in outputs.npz what numpy and torch compute. case.json says what is there.
Weights and inputs are multiples of 1/64 drawn with fixed seeds, so that every variant holds the same numbers.
Each network also has layers that its rule must leave as they are. Needs coremltools 9.0 and torch 2.7.
"""

import argparse
import json
import pathlib
import shutil

from network import CASES, Network, case, draw
import nn_arithmetic  # noqa: F401
import nn_movement  # noqa: F401
import nn_recurrent  # noqa: F401
import coremltools as ct
import numpy as np
import torch
import torch.nn.functional as F
from coremltools.converters.mil import Builder as mb

FOLDER = pathlib.Path(__file__).parent


# ---------------------------------------------------------------- NeuralNetworks

@case
def n001_add():
    """addBroadcastable: of values, of constants per channel, per element and alone; one along the width stays."""
    x, y, w = draw(1, 2, 3, 4, 5), draw(2, 3, 1, 1), draw(3, 4, 5)
    channel, element, width = draw(4, 1, 3, 1, 1), draw(5, 3, 4, 5), draw(6, 5)
    n = Network(["sum", "other"], x=x, y=y, w=w)
    for name, value in {"channel": channel, "element": element, "number": np.float32([0.75]), "width": width}.items():
        n.constant(name, value)
    n.pair("add", "a", "y", "x")
    n.pair("add", "b", "a", "channel")
    n.pair("add", "c", "number", "b")
    n.pair("add", "d", "c", "w")
    n.pair("add", "sum", "d", "element")
    n.pair("add", "other", "x", "width")
    return n, {"x": x, "y": y, "w": w}, {"sum": x + y + channel + 0.75 + w + element, "other": x + width}


@case
def n002_multiply():
    """multiplyBroadcastable: of values, of constants per channel, per plane and alone; one of batch and channel stays."""
    x, gate = draw(11, 2, 3, 4, 5), draw(12, 1, 3, 1, 1)
    channel, plane, both = draw(13, 3, 1, 1), draw(14, 4, 5), draw(15, 2, 3, 1, 1)
    n = Network(["product", "other"], x=x, gate=gate)
    for name, value in {"channel": channel, "plane": plane, "number": np.float32([-1.5]), "both": both}.items():
        n.constant(name, value)
    n.pair("multiply", "a", "gate", "x")
    n.pair("multiply", "b", "a", "channel")
    n.pair("multiply", "c", "plane", "b")
    n.pair("multiply", "product", "c", "number")
    n.pair("multiply", "other", "x", "both")
    return n, {"x": x, "gate": gate}, {"product": gate * x * channel * plane * -1.5, "other": x * both}


@case
def n003_subtract():
    """subtractBroadcastable: the smaller operand on either side, constants on either side; one along the width stays."""
    x, y = draw(21, 2, 3, 4, 5), draw(22, 4, 5)
    mean, top, width = draw(23, 1, 3, 1, 1), draw(24, 3, 4, 5), draw(25, 5)
    n = Network(["difference", "other"], x=x, y=y)
    constants = {"mean": mean, "top": top, "number": np.float32([0.25]), "one": np.float32([1.0]), "width": width}
    for name, value in constants.items():
        n.constant(name, value)
    n.pair("subtract", "a", "x", "y")
    n.pair("subtract", "b", "y", "a")
    n.pair("subtract", "c", "b", "mean")
    n.pair("subtract", "d", "top", "c")
    n.pair("subtract", "e", "d", "number")
    n.pair("subtract", "difference", "one", "e")
    n.pair("subtract", "other", "width", "x")
    difference = 1 - (top - (y - (x - y) - mean) - 0.25)
    return n, {"x": x, "y": y}, {"difference": difference, "other": width - x}


@case
def n004_concat():
    """concatND: of channels, counted from either end, and of sequences; one of rows stays."""
    x, y, u, v = draw(31, 2, 3, 4, 5), draw(32, 2, 2, 4, 5), draw(33, 2, 1, 3, 2, 7), draw(34, 3, 1, 3, 2, 7)
    n = Network(["channels", "sequences", "rows"], x=x, y=y, u=u, v=v)
    n.b.add_concat_nd("a", ["x", "y"], "a", axis=1)
    n.b.add_concat_nd("channels", ["y", "a", "x"], "channels", axis=-3)
    n.b.add_concat_nd("sequences", ["v", "u"], "sequences", axis=0)
    n.b.add_concat_nd("rows", ["x", "x"], "rows", axis=2)
    truth = {
        "channels": np.concatenate([y, x, y, x], 1),
        "sequences": np.concatenate([v, u], 0),
        "rows": np.concatenate([x, x], 2),
    }
    return n, {"x": x, "y": y, "u": u, "v": v}, truth


@case
def n005_split():
    """splitND: of channels into a number of parts, equal sizes and others, and of columns; of the batch stays."""
    x = draw(41, 2, 6, 4, 5)
    outputs = ["third", "first", "half", "small", "large", "left", "right", "front", "back"]
    n = Network(outputs, x=x)
    n.b.add_split_nd("thirds", "x", ["first", "second", "third"], axis=1, num_splits=3)
    n.b.add_split_nd("halves", "x", ["unused", "half"], axis=-3, split_sizes=[3, 3])
    n.b.add_split_nd("unequal", "x", ["small", "large"], axis=1, split_sizes=[2, 4])
    n.b.add_split_nd("columns", "x", ["left", "right"], axis=3, split_sizes=[1, 4])
    n.b.add_split_nd("batch", "x", ["front", "back"], axis=0, num_splits=2)
    truth = [x[:, 4:], x[:, :2], x[:, 3:], x[:, :2], x[:, 2:], x[..., :1], x[..., 1:], x[:1], x[1:]]
    return n, {"x": x}, dict(zip(outputs, truth))


@case
def n006_load_constant():
    """loadConstantND: one of rank 5, and one of lower rank before a layer of rank 5; one with a batch stays."""
    x = draw(51, 2, 2, 3, 4, 5)
    whole, plane, batch = draw(52, 1, 1, 3, 4, 5), draw(53, 4, 5), draw(54, 1, 2, 3, 1, 1)
    n = Network(["most"], x=x)
    for name, value in {"whole": whole, "plane": plane, "batch": batch}.items():
        n.constant(name, value)
    n.pair("max", "a", "x", "whole")
    n.pair("min", "b", "a", "plane")
    n.pair("max", "most", "b", "batch")
    return n, {"x": x}, {"most": np.maximum(np.minimum(np.maximum(x, whole), plane), batch)}


@case
def n007_extremum():
    """maxBroadcastable and minBroadcastable: of equal shapes, with a number; one along the width stays."""
    x, y, width = draw(201, 2, 3, 4, 5), draw(202, 2, 3, 4, 5), draw(203, 5)
    n = Network(["inner", "other"], x=x, y=y)
    for name, value in {"low": np.float32([-0.75]), "high": np.float32([1.25]), "width": width}.items():
        n.constant(name, value)
    n.pair("max", "a", "y", "x")
    n.pair("min", "b", "a", "y")
    n.pair("max", "c", "low", "b")
    n.pair("min", "inner", "c", "high")
    n.pair("max", "other", "x", "width")
    inner = np.minimum(np.maximum(np.minimum(np.maximum(x, y), y), -0.75), 1.25)
    return n, {"x": x, "y": y}, {"inner": inner, "other": np.maximum(x, width)}


@case
def n008_divide():
    """divideBroadcastable: by a power of two, by another number, per channel; by a value stays."""
    x, y = draw(211, 2, 3, 4, 5), draw(212, 2, 3, 4, 5)
    y = np.where(y == 0, np.float32(0.5), y)
    channel = np.float32([0.5, -3, 7]).reshape(3, 1, 1)
    n = Network(["quotient", "other"], x=x, y=y)
    for name, value in {"eight": np.float32([-8]), "three": np.float32([3]), "channel": channel}.items():
        n.constant(name, value)
    n.pair("divide", "a", "x", "eight")
    n.pair("divide", "b", "a", "three")
    n.pair("divide", "quotient", "b", "channel")
    n.pair("divide", "other", "x", "y")
    return n, {"x": x, "y": y}, {"quotient": x / -8 / 3 / channel, "other": x / y}


@case
def n010_softmax():
    """softmaxND: over channels, counted from either end; over the width stays."""
    x = draw(221, 2, 3, 4, 5)
    n = Network(["channels", "again", "width"], x=x)
    n.b.add_softmax_nd("channels", "x", "channels", axis=1)
    n.b.add_softmax_nd("again", "channels", "again", axis=-3)
    n.b.add_softmax_nd("width", "x", "width", axis=-1)
    channels = torch.softmax(torch.from_numpy(x), 1)
    truth = {"channels": channels, "again": torch.softmax(channels, 1), "width": torch.softmax(torch.from_numpy(x), -1)}
    return n, {"x": x}, {k: v.numpy() for k, v in truth.items()}


@case
def n011_reduce():
    """Reductions of the last axes that stay, in each mode; of the batch, and of axes that go, stay."""
    x = draw(231, 2, 3, 4, 5)
    kinds = {"sum": [1], "mean": [2, 3], "max": [-1], "min": [1, 2, 3], "sumsquare": [2], "l1": [-3], "l2": [-2, -1],
             "prod": [3]}
    n = Network([*kinds, "batch", "gone"], x=x)
    for kind, axes in kinds.items():
        getattr(n.b, f"add_reduce_{kind}")(kind, "x", kind, axes=axes, keepdims=True)
    n.b.add_reduce_max("batch", "x", "batch", axes=[0], keepdims=True)
    n.b.add_reduce_mean("gone", "x", "gone", axes=[3], keepdims=False)

    def over(f, kind):
        return f(axis=tuple(kinds[kind]), keepdims=True)

    truth = {
        "sum": over(x.sum, "sum"),
        "mean": over(x.mean, "mean"),
        "max": over(x.max, "max"),
        "min": over(x.min, "min"),
        "sumsquare": over((x * x).sum, "sumsquare"),
        "l1": over(np.abs(x).sum, "l1"),
        "l2": np.sqrt(over((x * x).sum, "l2")),
        "prod": over(x.prod, "prod"),
        "batch": x.max(0, keepdims=True),
        "gone": x.mean(3),
    }
    return n, {"x": x}, truth


@case
def n012_slice():
    """sliceStatic: of each of the last axes, with strides and from the end; of the batch, and backwards, stay."""
    x = draw(241, 2, 6, 7, 9)
    n = Network(["box", "wide", "batch", "back"], x=x)

    def cut(name, begin, end, stride):
        shut = [False] * 4
        n.b.add_slice_static(name, "x", name, begin, end, stride, shut, shut, squeeze_masks=shut)

    cut("box", [0, 1, 0, -6], [2, 6, 3, 8], [1, 2, 1, 3])
    cut("wide", [0, 0, 0, 2], [2, 6, 7, -1], [1, 1, 1, 1])
    cut("batch", [1, 0, 0, 0], [2, 6, 7, 4], [1, 1, 1, 1])
    cut("back", [0, 5, 0, 0], [2, 1, 7, 9], [1, -1, 1, 1])
    truth = {"box": x[:, 1:6:2, :3, 3:8:3], "wide": x[..., 2:8], "batch": x[1:, ..., :4], "back": x[:, 5:1:-1]}
    return n, {"x": x}, truth


@case
def n013_pad():
    """constantPad: of height and width by a number and by zeros; of channels stays."""
    x = draw(251, 2, 3, 4, 5)
    n = Network(["framed", "below", "deep"], x=x)

    def pad(name, value, amounts):
        n.b.add_constant_pad(name, ["x"], name, value, pad_to_given_output_size_mode=False, pad_amounts=amounts)

    pad("framed", -0.5, [0, 0, 0, 0, 1, 2, 0, 3])
    pad("below", 0.0, [0, 0, 0, 0, 0, 4, 0, 0])
    pad("deep", 2.0, [0, 0, 1, 0, 0, 0, 0, 0])
    truth = {
        "framed": np.pad(x, [(0, 0), (0, 0), (1, 2), (0, 3)], constant_values=-0.5),
        "below": np.pad(x, [(0, 0), (0, 0), (0, 4), (0, 0)]),
        "deep": np.pad(x, [(0, 0), (1, 0), (0, 0), (0, 0)], constant_values=2.0),
    }
    return n, {"x": x}, truth


@case
def n014_matmul():
    """batchedMatmul with a matrix: of rank 2 and 3, with and without bias; of rank 4, and of two values, stay."""
    x, y = draw(261, 2, 7, 3), draw(262, 2, 2, 7, 3)
    w, v, bias = draw(263, 3, 5), draw(264, 5, 4), draw(265, 5)
    n = Network(["product", "four", "both"], x=x, y=y)

    def times(name, inputs, matrix, bias=None):
        size = {"weight_matrix_rows": matrix.shape[0], "weight_matrix_columns": matrix.shape[1]}
        n.b.add_batched_mat_mul(name, inputs, name, W=matrix, bias=bias, **size)

    times("a", ["x"], w, bias)
    times("product", ["a"], v)
    times("four", ["y"], w, bias)
    n.b.add_batched_mat_mul("both", ["x", "x"], "both", transpose_b=True)
    truth = {"product": (x @ w + bias) @ v, "four": y @ w + bias, "both": x @ x.transpose(0, 2, 1)}
    return n, {"x": x, "y": y}, truth


@case
def n015_upsample():
    """upsample by 4 and 2, by 2 and 8; by 2, and by 3, stay."""
    x = draw(271, 1, 2, 3, 5)
    n = Network(["large", "tall", "small", "three"], x=x)
    scales = {"large": (4, 2), "tall": (2, 8), "small": (2, 2), "three": (3, 1)}
    for name, (h, w) in scales.items():
        n.b.add_upsample(name, h, w, "x", name)
    return n, {"x": x}, {k: x.repeat(h, -2).repeat(w, -1) for k, (h, w) in scales.items()}


@case
def n016_transpose():
    """transpose of rank 5 that leaves the batch, or moves one of 1; one that moves another, and one of rank 4, stay."""
    x, y, u = draw(281, 2, 1, 3, 4, 5), draw(282, 2, 3, 4, 5), draw(283, 1, 1, 3, 4, 5)
    n = Network(["turned", "moved", "four", "single"], x=x, y=y, u=u)
    n.b.add_transpose("turned", [3, 1, 0, 4, 2], "x", "turned")
    n.b.add_transpose("moved", [1, 0, 2, 3, 4], "x", "moved")
    n.b.add_transpose("four", [0, 2, 3, 1], "y", "four")
    n.b.add_transpose("single", [1, 0, 4, 2, 3], "u", "single")
    truth = {"turned": x.transpose(3, 1, 0, 4, 2), "moved": x.transpose(1, 0, 2, 3, 4), "four": y.transpose(0, 2, 3, 1)}
    truth["single"] = u.transpose(1, 0, 4, 2, 3)
    return n, {"x": x, "y": y, "u": u}, truth


@case
def n017_gather():
    """gather at constant indices: runs of channels, one run of the width; of the batch stays."""
    x = draw(291, 2, 9, 4, 7)
    n = Network(["runs", "columns", "batch"], x=x)
    for name, axis, at in [("runs", 1, [1, 3, 5, -9]), ("columns", -1, [1, 3, 5]), ("batch", 0, [1, 0, 1])]:
        n.constant(name + "_at", np.float32(at))
        n.b.add_gather(name, ["x", name + "_at"], name, axis=axis)
    return n, {"x": x}, {"runs": x[:, [1, 3, 5, 0]], "columns": x[..., [1, 3, 5]], "batch": x[[1, 0, 1]]}


@case
def nn_image():
    """Several of the layers in a network of images of rank 5; its last newer layer keeps the ranks."""
    image = np.random.default_rng(61).integers(0, 256, (1, 6, 9, 3), dtype=np.uint8)
    mean, gain = draw(62, 3, 1, 1), draw(63, 6, 9)
    n = Network(["joined"], images={"image": image})
    n.constant("mean", mean)
    n.constant("gain", gain)
    n.pair("subtract", "a", "image", "mean")
    n.pair("multiply", "b", "a", "gain")
    n.pair("add", "c", "b", "image")
    n.b.add_concat_nd("d", ["c", "image"], "d", axis=-3)
    n.b.add_split_nd("parts", "d", ["front", "back"], axis=-3, num_splits=2)
    n.b.add_clip("clipped", "back", "clipped", min_value=8.0, max_value=200.0)
    n.b.add_concat_nd("joined", ["clipped", "front"], "joined", axis=-3)
    x = image.transpose(0, 3, 1, 2).astype(np.float32)
    joined = np.concatenate([x.clip(8, 200), (x - mean) * gain + x], 1)
    return n, {"image": image}, {"joined": joined}


# ---------------------------------------------------------------- ML Programs

class Operation:
    """An ML Program made by `build` from inputs of the same names."""

    def __init__(self, build, targets=(("fp32", "iOS15"), ("fp16", "iOS16")), **inputs):
        self.build, self.targets, self.inputs = build, targets, inputs

    def variants(self):
        specs = [mb.TensorSpec(shape=v.shape) for v in self.inputs.values()]
        passes = ct.PassPipeline()
        passes.remove_passes({"common::remove_redundant_ops"})  # it fails on two ops of a kind over one input
        precision = {"fp16": ct.precision.FLOAT16, "fp32": ct.precision.FLOAT32}
        made = {}
        for dtype, target in self.targets:
            made[f"{dtype}-{target}"] = ct.convert(
                mb.program(input_specs=specs)(self.build),
                convert_to="mlprogram",
                compute_precision=precision[dtype],
                minimum_deployment_target=getattr(ct.target, target),
                pass_pipeline=passes,
                skip_model_load=True,
            )
        return made


@case
def m001_max_pool():
    """A max pool over 9 by 13 with strides and uneven padding."""
    x = draw(101, 1, 4, 15, 20)

    def build(x):
        return mb.max_pool(x=x, kernel_sizes=[9, 13], strides=[1, 2], pad_type="custom", pad=[4, 3, 6, 5], name="y")

    padded = F.pad(torch.from_numpy(x), (6, 5, 4, 3), value=float("-inf"))
    return Operation(build, x=x), {"x": x}, {"y": F.max_pool2d(padded, (9, 13), (1, 2)).numpy()}


@case
def m002_conv():
    """A convolution with a kernel 33 wide: strides, uneven padding, two groups, a bias."""
    x, weight, bias = draw(111, 1, 4, 6, 80), draw(112, 6, 2, 2, 33) / 16, draw(113, 6)

    def build(x):
        return mb.conv(
            x=x, weight=weight, bias=bias, strides=[1, 2], pad_type="custom", pad=[0, 1, 16, 9], groups=2, name="y"
        )

    padded = F.pad(torch.from_numpy(x), (16, 9, 0, 1))
    y = F.conv2d(padded, torch.from_numpy(weight), torch.from_numpy(bias), (1, 2), groups=2)
    return Operation(build, x=x), {"x": x}, {"y": y.numpy()}


@case
def m003_upsample():
    """Nearest neighbours, 4 times as high and 4 times as wide."""
    x = draw(121, 1, 3, 5, 7)

    def build(x):
        return mb.upsample_nearest_neighbor(x=x, scale_factor_height=4, scale_factor_width=4, name="y")

    return Operation(build, x=x), {"x": x}, {"y": x.repeat(4, -2).repeat(4, -1)}


@case
def m004_band():
    """A band of a matrix, and a lower triangle."""
    x = draw(131, 2, 6, 9)

    def build(x):
        return mb.band_part(x=x, lower=2, upper=1, name="band"), mb.band_part(x=x, lower=-1, upper=0, name="lower")

    band = np.triu(np.tril(x, 1), -2)
    return Operation(build, x=x), {"x": x}, {"band": band, "lower": np.tril(x)}


@case
def m005_cumsum():
    """Running sums: plain, without the last element, and from behind."""
    x = draw(141, 2, 7, 5)

    def build(x):
        return (
            mb.cumsum(x=x, axis=1, name="plain"),
            mb.cumsum(x=x, axis=2, exclusive=True, name="before"),
            mb.cumsum(x=x, axis=1, reverse=True, name="behind"),
        )

    sums = x.cumsum(2)
    before = np.concatenate([np.zeros_like(sums[..., :1]), sums[..., :-1]], 2)
    behind = x[:, ::-1].cumsum(1)[:, ::-1]
    return Operation(build, x=x), {"x": x}, {"plain": x.cumsum(1), "before": before, "behind": behind}


@case
def m006_gather():
    """Gathering at constant indices: runs of two steps, one index, and backwards."""
    x = draw(151, 2, 9, 5)

    def build(x):
        return (
            mb.gather(x=x, indices=np.int32([1, 3, 5, -9]), axis=1, name="runs"),
            mb.gather(x=x, indices=np.int32(-2), axis=2, name="one"),
            mb.gather(x=x, indices=np.int32([3, 2, 1]), axis=1, name="back"),
        )

    truth = {"runs": x[:, [1, 3, 5, 0]], "one": x[..., 3], "back": x[:, [3, 2, 1]]}
    return Operation(build, x=x), {"x": x}, truth


# ---------------------------------------------------------------- writing

def make(name):
    folder = FOLDER / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    model, inputs, truth = CASES[name]()
    np.savez(folder / "inputs.npz", **inputs)
    np.savez(folder / "outputs.npz", **{k: np.asarray(v, dtype=np.float32) for k, v in truth.items()})
    variants = []
    for variant, made in model.variants().items():
        file = variant + (".mlmodel" if variant.startswith("nn") else ".mlpackage")
        made.save(str(folder / file))
        for weights in folder.glob("*.mlpackage/Data/*/weights"):
            if not any(weights.iterdir()):
                (weights / ".gitkeep").touch()  # which git needs to keep the folder that the manifest names
        variants.append({"variant": variant, "file": file, "status": "ok"})
    info = {
        "name": name,
        "note": CASES[name].__doc__,
        "stateful": False,
        "samples": [{"function": "main", "inputs": "inputs.npz", "outputs": "outputs.npz"}],
        "variants": variants,
    }
    (folder / "case.json").write_text(json.dumps(info, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(CASES))
    for name in parser.parse_args().only or CASES:
        make(name)
        print(name)


if __name__ == "__main__":
    main()
