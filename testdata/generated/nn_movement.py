"""Cases of make_generated.py: windows, resizing and moving of data in NeuralNetworks."""

import numpy as np
import torch
import torch.nn.functional as F
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from network import Network, case, draw


class Old(Network):
    """A network of the first specification, whose tensors are [Seq, B, C, H, W]; inputs are [C, H, W]."""

    def __init__(self, outputs, **inputs):
        features = [(k, datatypes.Array(*v.shape)) for k, v in inputs.items()]
        self.b = NeuralNetworkBuilder(features, [(o, None) for o in outputs])
        self.spec = self.b.spec

    def pool(self, name, kind, kernel, stride, padding="VALID", sides=(0, 0, 0, 0), x="x", **more):
        """`sides`: top, bottom, left, right."""
        sides = dict(zip(["padding_top", "padding_bottom", "padding_left", "padding_right"], sides))
        self.b.add_pooling(name, *kernel, *stride, kind, padding, x, name, **sides, **more)


def pooled(x, kind, kernel, stride, sides=(0, 0, 0, 0), excluded=False):
    """What torch makes of [C, H, W], padded by hand: `sides` are top, bottom, left, right."""
    top, bottom, left, right = sides

    def pad(x, value):
        return F.pad(torch.from_numpy(x).double()[None], (left, right, top, bottom), value=value)

    if kind == "MAX":
        return F.max_pool2d(pad(x, float("-inf")), kernel, stride)[0].numpy()
    if kind == "L2":
        area = kernel[0] * kernel[1]
        return torch.sqrt(F.avg_pool2d(pad(x * x, 0.0), kernel, stride) * area)[0].numpy()
    mean = F.avg_pool2d(pad(x, 0.0), kernel, stride)
    if excluded:
        mean = mean / F.avg_pool2d(pad(np.ones_like(x), 0.0), kernel, stride)
    return mean[0].numpy()


@case
def n030_max_pool():
    """Max pooling with large windows: uneven padding, `same` on either side, a last window over the end; small ones,
    and averages, stay."""
    x = draw(301, 3, 19, 32)
    n = Old(["uneven", "same", "heavy", "last", "small", "mean"], x=x)
    n.pool("uneven", "MAX", (15, 31), (1, 2), sides=(4, 3, 11, 9))
    n.pool("same", "MAX", (14, 20), (2, 3), "SAME")
    n.pool("heavy", "MAX", (14, 20), (2, 3), "SAME", same_padding_asymmetry_mode="TOP_LEFT_HEAVY")
    n.pool("last", "MAX", (14, 14), (2, 4), "INCLUDE_LAST_PIXEL", sides=(1, 1, 2, 2))
    n.pool("small", "MAX", (5, 8), (1, 1))
    n.pool("mean", "AVERAGE", (5, 8), (1, 1))
    # same: 10 and 11 windows, (10 - 1) * 2 + 14 - 19 = 13 and (11 - 1) * 3 + 20 - 32 = 18 of padding
    # last: 19 + 2 - 14 = 7 and 32 + 4 - 14 = 22 rounded up to strides: 1 and 2 more
    truth = {
        "uneven": pooled(x, "MAX", (15, 31), (1, 2), (4, 3, 11, 9)),
        "same": pooled(x, "MAX", (14, 20), (2, 3), (6, 7, 9, 9)),
        "heavy": pooled(x, "MAX", (14, 20), (2, 3), (7, 6, 9, 9)),
        "last": pooled(x, "MAX", (14, 14), (2, 4), (1, 2, 2, 4)),
        "small": pooled(x, "MAX", (5, 8), (1, 1)),
        "mean": pooled(x, "AVERAGE", (5, 8), (1, 1)),
    }
    return n, {"x": x}, truth


@case
def n031_pool_stride():
    """Pooling with strides of 4, 6, 3 and 8: maxima, means with and without padding, norms, a last window over the end;
    a stride of 2, and a mean whose last window reaches over the end, stay."""
    x = draw(311, 3, 30, 41) - np.float32(0.5)
    n = Old(["largest", "mean", "inside", "norm", "last", "single", "small", "over"], x=x)
    n.pool("largest", "MAX", (5, 3), (4, 6), sides=(1, 2, 0, 2))
    n.pool("mean", "AVERAGE", (4, 7), (4, 3), sides=(2, 1, 3, 0), exclude_pad_area=False)
    n.pool("inside", "AVERAGE", (4, 7), (3, 8), "SAME", exclude_pad_area=True)
    n.pool("norm", "L2", (2, 3), (4, 4))
    n.pool("last", "MAX", (3, 3), (4, 5), "INCLUDE_LAST_PIXEL", sides=(0, 0, 1, 1))
    n.pool("single", "MAX", (8, 8), (30, 41))
    n.pool("small", "MAX", (2, 2), (2, 2))
    n.pool("over", "AVERAGE", (4, 4), (4, 4), "INCLUDE_LAST_PIXEL", exclude_pad_area=False)
    # inside: 10 and 6 windows, 9 * 3 + 4 - 30 = 1 and 5 * 8 + 7 - 41 = 6 of padding
    # last: 30 - 3 = 27 and 41 + 2 - 3 = 40 rounded up to strides: 1 and 0 more
    over = np.pad(x, [(0, 0), (0, 2), (0, 3)])
    count = np.pad(np.ones_like(x), [(0, 0), (0, 2), (0, 3)])
    truth = {
        "largest": pooled(x, "MAX", (5, 3), (4, 6), (1, 2, 0, 2)),
        "mean": pooled(x, "AVERAGE", (4, 7), (4, 3), (2, 1, 3, 0)),
        "inside": pooled(x, "AVERAGE", (4, 7), (3, 8), (0, 1, 3, 3), excluded=True),
        "norm": pooled(x, "L2", (2, 3), (4, 4)),
        "last": pooled(x, "MAX", (3, 3), (4, 5), (0, 1, 1, 1)),
        "single": pooled(x, "MAX", (8, 8), (30, 41)).reshape(-1),
        "small": pooled(x, "MAX", (2, 2), (2, 2)),
        "over": pooled(over, "AVERAGE", (4, 4), (4, 4)) / pooled(count, "AVERAGE", (4, 4), (4, 4)),
    }
    return n, {"x": x}, truth


@case
def n033_upsample():
    """Bilinear upsampling by 4 and 3, 1 and 6, on either grid; resizing to 4 times the height; aligned corners, factors of
    2, and sizes that are no multiples, stay."""
    x = draw(331, 3, 5, 7)
    n = Old(["middles", "steps", "wide", "grid", "corners", "small", "uneven"], x=x)

    def up(name, height, width, mode):
        n.b.add_upsample(name, height, width, "x", name, mode="BILINEAR", linear_upsample_mode=mode)

    up("middles", 4, 3, "ALIGN_CORNERS_FALSE")
    up("steps", 3, 4, "DEFAULT")
    up("wide", 1, 6, "ALIGN_CORNERS_FALSE")
    n.b.add_resize_bilinear("grid", "x", "grid", 20, 7, mode="UPSAMPLE_MODE")
    up("corners", 3, 3, "ALIGN_CORNERS_TRUE")
    up("small", 2, 2, "ALIGN_CORNERS_FALSE")
    n.b.add_resize_bilinear("uneven", "x", "uneven", 15, 20, mode="STRICT_ALIGN_ENDPOINTS_MODE")

    def torched(height, width, corners=False):
        y = torch.from_numpy(x).double()[None]
        return F.interpolate(y, size=(height, width), mode="bilinear", align_corners=corners)[0].numpy()

    def stepped(height, width):
        """Element `o` at `o / f`, not beyond the last."""
        y = x.astype(np.float64)
        for axis, f in [(1, height), (2, width)]:
            n = y.shape[axis]
            at = np.minimum(np.arange(n * f) / f, n - 1)
            low = np.floor(at).astype(int)
            high = np.minimum(low + 1, n - 1)
            share = (at - low).reshape([-1 if i == axis else 1 for i in range(3)])
            y = y.take(low, axis) * (1 - share) + y.take(high, axis) * share
        return y

    truth = {
        "middles": torched(20, 21),
        "steps": stepped(3, 4),
        "wide": torched(5, 42),
        "grid": stepped(4, 1),
        "corners": torched(15, 21, True),
        "small": torched(10, 14),
        "uneven": torched(15, 20, True),
    }
    return n, {"x": x}, truth


@case
def n044_average_pool():
    """Means over large windows: common factors with the stride, parts of different size, padding that counts; the whole
    plane; a norm, and a mean that leaves padding out, stay."""
    x = draw(441, 3, 20, 37) + np.float32(0.25)
    y = draw(442, 2, 16, 15)
    n = Old(["factors", "parts", "zeros", "norm", "inside", "plane", "most", "length"], x=x, y=y)
    n.pool("factors", "AVERAGE", (18, 30), (6, 5), exclude_pad_area=False)
    n.pool("parts", "AVERAGE", (15, 29), (1, 2))
    n.pool("zeros", "AVERAGE", (16, 5), (2, 1), sides=(3, 2, 0, 1), exclude_pad_area=False)
    n.pool("norm", "L2", (15, 5), (1, 1))
    n.pool("inside", "AVERAGE", (16, 5), (2, 1), sides=(3, 2, 0, 1), exclude_pad_area=True)
    n.pool("plane", "AVERAGE", (16, 15), (1, 1), x="y")
    n.pool("most", "MAX", (17, 16), (3, 3), sides=(1, 1, 1, 0), x="y")
    n.pool("length", "L2", (16, 15), (16, 15), x="y")
    truth = {
        "factors": pooled(x, "AVERAGE", (18, 30), (6, 5)),
        "parts": pooled(x, "AVERAGE", (15, 29), (1, 2)),
        "zeros": pooled(x, "AVERAGE", (16, 5), (2, 1), (3, 2, 0, 1)),
        "norm": pooled(x, "L2", (15, 5), (1, 1)),
        "inside": pooled(x, "AVERAGE", (16, 5), (2, 1), (3, 2, 0, 1), excluded=True),
        "plane": pooled(y, "AVERAGE", (16, 15), (1, 1)).reshape(-1),
        "most": pooled(y, "MAX", (17, 16), (3, 3), (1, 1, 1, 0)).reshape(-1),
        "length": pooled(y, "L2", (16, 15), (16, 15)).reshape(-1),
    }
    return n, {"x": x, "y": y}, truth


@case
def n032_dilated():
    """Dilated convolutions: groups and a bias, uneven padding, `same`, a row alone; with a stride, with two dilations, and
    deconvolutions, stay."""
    x = draw(321, 4, 13, 18)
    n = Old(["groups", "same", "row", "stride", "two"], x=x)

    def conv(name, shape, seed, border="valid", bias=None, **more):
        """`shape`: output channels, channels of a group, height, width."""
        out, channels, height, width = shape
        w, stride = draw(seed, *shape), more.pop("stride", 1)
        n.b.add_convolution(name, channels, out, height, width, stride, stride, border, more.pop("groups", 1), w.transpose(2, 3, 1, 0), bias,
                            bias is not None, input_name="x", output_name=name, **more)
        return torch.from_numpy(w).double()

    def torched(w, bias=None, sides=(0, 0, 0, 0), **more):
        top, bottom, left, right = sides
        padded = F.pad(torch.from_numpy(x).double()[None], (left, right, top, bottom))
        bias = None if bias is None else torch.from_numpy(bias).double()
        return F.conv2d(padded, w, bias, **more)[0].numpy()

    bias = draw(322, 6)
    sides = {"padding_top": 1, "padding_bottom": 3, "padding_left": 0, "padding_right": 2}
    groups = conv("groups", (6, 2, 3, 2), 323, bias=bias, groups=2, dilation_factors=[3, 3], **sides)
    same = conv("same", (5, 4, 3, 4), 324, "same", dilation_factors=[2, 2], same_padding_asymmetry_mode="TOP_LEFT_HEAVY")
    row = conv("row", (2, 4, 1, 3), 325, dilation_factors=[1, 4])
    stride = conv("stride", (2, 4, 3, 3), 326, stride=2, dilation_factors=[2, 2])
    two = conv("two", (2, 4, 3, 3), 327, dilation_factors=[2, 3])
    truth = {
        "groups": torched(groups, bias, (1, 3, 0, 2), groups=2, dilation=3),
        "same": torched(same, sides=(2, 2, 3, 3), dilation=2),
        "row": torched(row, dilation=(1, 4)),
        "stride": torched(stride, stride=2, dilation=2),
        "two": torched(two, dilation=(2, 3)),
    }
    return n, {"x": x}, truth


@case
def n034_tile():
    """tile: of sequences and channels, of single rows and columns, of nothing; of the width, and of the batch, stay."""
    x, y = draw(341, 2, 1, 3, 1, 5), draw(342, 2, 3, 1, 1)
    n = Network(["all", "plane", "none", "width", "batch"], x=x, y=y)
    kinds = {"all": ("x", [4, 1, 2, 6, 1]), "plane": ("y", [1, 1, 4, 7]), "none": ("all", [1, 1, 1, 1, 1]),
             "width": ("x", [1, 1, 1, 1, 2]), "batch": ("y", [2, 1, 1, 1])}
    values = {"x": x, "y": y}
    for name, (source, reps) in kinds.items():
        n.b.add_tile(name, source, name, reps)
        values[name] = np.tile(values[source], reps)
    return n, {"x": x, "y": y}, {k: values[k] for k in kinds}


@case
def n035_broadcast():
    """Layers that broadcast over what was repeated to a shape; one whose result has its shape from the repetition, and
    one that repeats more than one element, stay."""
    x, y, z, w = draw(351, 2, 3, 4, 5), draw(352, 3, 1, 1), draw(353, 2, 1, 1, 5), draw(354, 2, 3, 2, 5)
    n = Network(["product", "chosen", "grown", "pattern"], x=x, y=y, z=z, w=w)
    n.b.add_broadcast_to_static("a", "y", "a", [2, 3, 4, 5])
    n.pair("multiply", "b", "x", "a")
    n.b.add_tile("c", "z", "c", [1, 3, 4, 1])
    n.pair("subtract", "product", "c", "b")
    n.b.add_broadcast_to_like("d", ["y", "x"], "d")
    n.b.add_greater_than("e", ["x", "d"], "e")
    n.b.add_where_broadcastable("chosen", ["e", "c", "x"], "chosen")
    n.b.add_tile("f", "z", "f", [1, 1, 3, 1])
    n.pair("add", "grown", "z", "f")
    n.b.add_tile("g", "w", "g", [1, 1, 2, 1])
    n.pair("max", "pattern", "g", "x")
    truth = {
        "product": z - x * y,
        "chosen": np.where(x > y, np.broadcast_to(z, x.shape), x),
        "grown": np.tile(z + z, [1, 1, 3, 1]),
        "pattern": np.maximum(np.tile(w, [1, 1, 2, 1]), x),
    }
    return n, {"x": x, "y": y, "z": z, "w": w}, truth


@case
def n037_reshape():
    """Changes of shape: there and back, two in a row, in rank 5 with one batch, after another tensor; alone in another
    rank, with another batch, and channels last, stay."""
    x, y = draw(371, 2, 1, 3, 4, 5), draw(372, 6, 7)
    n = Network(["back", "row", "flat", "planes", "like", "alone", "batch", "last"], x=x, y=y)
    n.b.add_expand_dims("a", "y", "a", [0, 3])
    n.b.add_gelu("b", "a", "b", mode="TANH_APPROXIMATION")
    n.b.add_squeeze("c", "b", "c", axes=[0])
    n.b.add_squeeze("d", "c", "d", axes=[-1])
    n.b.add_expand_dims("e", "d", "e", [1])
    n.b.add_rank_preserving_reshape("f", "e", "f", [0, 7, -1])
    n.b.add_flatten_to_2d("back", "f", "back", axis=1)
    n.b.add_reshape_static("g", "x", "g", [2, 3, 20])
    n.b.add_reshape_static("row", "g", "row", [4, 30])
    n.b.add_reshape_static("flat", "x", "flat", [2, 1, 60, 1, 1])
    n.b.add_rank_preserving_reshape("planes", "x", "planes", [6, 0, 1, 5, 4])
    n.b.add_reshape_like("like", ["y", "row_like"], "like")
    n.constant("row_like", np.zeros((3, 14), np.float32))
    layers = n.spec.neuralNetwork.layers
    layers.insert(len(layers) - 2, layers.pop())
    n.b.add_expand_dims("alone", "y", "alone", [1])
    n.b.add_reshape_static("batch", "x", "batch", [1, 2, 3, 4, 5])
    n.b.add_flatten("last", 1, "x", "last")
    gelu = F.gelu(torch.from_numpy(y).double(), approximate="tanh").numpy()
    truth = {
        "back": gelu,
        "row": x.reshape(4, 30),
        "flat": x.reshape(2, 1, 60, 1, 1),
        "planes": x.reshape(6, 1, 1, 5, 4),
        "like": y.reshape(3, 14),
        "alone": y[:, None],
        "batch": x.reshape(1, 2, 3, 4, 5),
        "last": x.transpose(0, 1, 3, 4, 2).reshape(2, 1, 60, 1, 1),
    }
    return n, {"x": x, "y": y}, truth


@case
def n038_slices():
    """Slices at loaded places: with every input, from a place on, by size; of the batch, and at a computed place, stay."""
    x, at = draw(381, 2, 6, 7, 9), np.float32([2])
    n = Network(["box", "rest", "size", "batch", "moving"], x=x, at=at)
    for name, value in {"b": [0, 1, 0, -7], "e": [2, 5, 3, 8], "s": [1, 2, 1, 3], "o": [0, 0, 1, 0], "p": [1, 0, 0, 0],
                        "q": [0, 0, 0, 0], "two": [2], "one": [1]}.items():
        n.constant(name, np.float32(value))
    n.b.add_slice_dynamic("box", ["x", "b", "e", "s", "o", "p", "q"], "box")
    n.b.add_slice_dynamic("rest", ["x", "b"], "rest", end_ids=[2, 6, 7, 9], strides=[1, 1, 1, 1], begin_masks=[False] * 4,
                          end_masks=[True] * 4, squeeze_masks=[False] * 4)
    n.b.add_slice_by_size("size", ["x", "two"], "size", axis=2, size=4)
    n.b.add_slice_by_size("batch", ["x", "one"], "batch", axis=0, size=1)
    n.b.add_slice_by_size("moving", ["x", "at"], "moving", axis=2, size=4)
    truth = {
        "box": x[:, 1:5:2, :3, 2:8:3],
        "rest": x[:, 1:, :, 2:],
        "size": x[:, :, 2:6],
        "batch": x[1:],
        "moving": x[:, :, 2:6],
    }
    return n, {"x": x, "at": at}, truth


@case
def n036_embedding():
    """embeddingND of rank 5: single indices, and a plane of them with one batch; of rank 2, and with a batch, stay."""
    table, bias = draw(361, 3, 5), draw(362, 3)
    rng = np.random.default_rng(363)
    at = {"x": (7, 2, 1, 1, 1), "y": (2, 1, 3, 4, 1), "u": (6, 1), "v": (2, 2, 3, 1, 1)}
    at = {k: rng.integers(0, 5, shape).astype(np.float32) for k, shape in at.items()}
    n = Network(["single", "plane", "flat", "batch"], **at)
    truth = {}
    for name, (source, value) in zip(["single", "plane", "flat", "batch"], at.items()):
        shift = bias if name == "single" else None
        n.b.add_embedding_nd(name, source, name, 5, 3, table, shift)
        truth[name] = table.T[value[..., 0].astype(int)] + (0 if shift is None else shift)
    return n, at, truth


@case
def n039_cumsum():
    """cumSum of channels, height and width, from either end, without the last element; of the batch, and of channels
    without the last, stay."""
    x = draw(391, 2, 5, 6, 11)
    kinds = {"channels": (1, False, False), "back": (-3, False, True), "rows": (2, True, False), "columns": (3, True, True),
             "plain": (-1, False, False), "batch": (0, False, False), "before": (1, True, False)}
    n = Network(list(kinds), x=x)
    truth = {}
    for name, (axis, exclusive, reverse) in kinds.items():
        n.b.add_cumsum(name, ["x"], name, axis=axis, exclusive=exclusive, reverse=reverse)
        y = np.flip(x, axis) if reverse else x
        sums = y.cumsum(axis)
        sums = sums - y if exclusive else sums
        truth[name] = np.flip(sums, axis) if reverse else sums
    return n, {"x": x}, truth


@case
def n040_reverse():
    """reverse of channels, with a batch of one too; of the width, and of more channels than 16, stay."""
    x, y = draw(401, 1, 5, 4, 3), draw(402, 20, 2, 3)
    n = Network(["channels", "both", "width", "many"], x=x, y=y)
    n.b.add_reverse("channels", "x", "channels", [False, True, False, False])
    n.b.add_reverse("both", "x", "both", [True, True, False, False])
    n.b.add_reverse("width", "x", "width", [False, False, False, True])
    n.b.add_reverse("many", "y", "many", [True, False, False])
    truth = {"channels": x[:, ::-1], "both": x[:, ::-1], "width": x[..., ::-1], "many": y[::-1]}
    return n, {"x": x, "y": y}, truth


@case
def n041_arg_max():
    """argMax and argMin of channels, height and width, with ties; where the axis goes, and of the batch, they stay."""
    x = np.round(draw(411, 2, 7, 6, 9))
    kinds = {"channels": ("argmax", 1), "rows": ("argmax", -2), "columns": ("argmin", 3), "least": ("argmin", 1)}
    n = Network([*kinds, "gone", "batch"], x=x)
    truth = {}
    for name, (kind, axis) in kinds.items():
        getattr(n.b, f"add_{kind}")(name, "x", name, axis=axis, keepdims=True)
        truth[name] = np.expand_dims(getattr(x, kind)(axis), axis)
    n.b.add_argmax("gone", "x", "gone", axis=1, keepdims=False)
    n.b.add_argmin("batch", "x", "batch", axis=0, keepdims=True)
    return n, {"x": x}, {**truth, "gone": x.argmax(1), "batch": x.argmin(0, keepdims=True)}


@case
def n042_known():
    """Fills, ranges and shapes that are known before the model runs; a fill and a range that an input decides stay."""
    x, end = draw(421, 2, 3, 4), np.float32([5])
    n = Network(["sum", "shape", "five", "moving"], x=x, end=end)
    n.b.add_fill_like("like", "x", "like", value=0.75)
    n.pair("add", "a", "x", "like")
    n.b.add_range_static("ramp", "ramp", start=-1, end=3, step=1)
    n.pair("multiply", "b", "a", "ramp")
    n.constant("extents", np.float32([3, 4]))
    n.b.add_fill_dynamic("filled", "extents", "filled", value=-0.5)
    n.pair("add", "c", "b", "filled")
    n.constant("last", np.float32([-3]))
    n.constant("first", np.float32([1]))
    n.b.add_range_dynamic("down", ["last", "first"], "down", start=0, step=-1)
    n.pair("subtract", "sum", "c", "down")
    n.b.add_get_shape("shape", "x", "shape")
    n.b.add_fill_static("whole", "whole", [1, 1, 2, 1, 3], value=2.5)
    n.pair("max", "five", "whole", "whole")
    n.b.add_range_dynamic("moving", ["end"], "moving", start=0, step=1)
    truth = {
        "sum": (x + 0.75) * np.arange(-1, 3) - 0.5 - np.arange(1, -3, -1),
        "shape": np.float32(x.shape),
        "five": np.full((1, 1, 2, 1, 3), 2.5),
        "moving": np.arange(5.0),
    }
    return n, {"x": x, "end": end}, truth


@case
def n043_axes():
    """softmaxND along Seq, height and width, and concatND along height and width, of rank 5; of the batch, and of rank 4,
    they stay."""
    x, y, u = draw(431, 2, 3, 4, 5, 7), draw(432, 2, 3, 4, 2, 7), draw(433, 3, 4, 5)
    n = Network(["seq", "rows", "columns", "joined", "side", "batch", "three"], x=x, y=y, u=u)
    axes = {"seq": 0, "rows": 3, "columns": -1, "batch": 1}
    for name, axis in axes.items():
        n.b.add_softmax_nd(name, "x", name, axis=axis)
    n.b.add_concat_nd("joined", ["y", "x", "y"], "joined", axis=3)
    n.b.add_concat_nd("side", ["x", "rows"], "side", axis=-1)
    n.b.add_softmax_nd("three", "u", "three", axis=-1)
    truth = {name: torch.softmax(torch.from_numpy(x).double(), axis).numpy() for name, axis in axes.items()}
    truth["joined"] = np.concatenate([y, x, y], 3)
    truth["side"] = np.concatenate([x, truth["rows"]], 4)
    truth["three"] = torch.softmax(torch.from_numpy(u).double(), -1).numpy()
    return n, {"x": x, "y": y, "u": u}, truth


@case
def nn_windows():
    """The layers of N030 to N033 and N044 on a tensor of rank 3 and on sequences with a batch, each with its own rank."""
    shapes = {"x": (2, 15, 16), "s": (2, 2, 2, 15, 16)}
    values = {k: draw(500 + i, *shape) for i, (k, shape) in enumerate(shapes.items())}
    n = Network([f"{kind}_{k}" for k in values for kind in ["max", "stride", "mean", "dilated", "up"]], **values)
    weights = draw(510, 3, 2, 3, 3)
    truth = {}
    for k, v in values.items():
        flat = torch.from_numpy(v).double().reshape(-1, *v.shape[-3:])

        def pool(name, kind, kernel, stride):
            n.b.add_pooling(name, *kernel, *stride, kind, "VALID", k, name)

        pool(f"max_{k}", "MAX", (14, 9), (2, 1))
        pool(f"stride_{k}", "MAX", (2, 3), (4, 3))
        pool(f"mean_{k}", "AVERAGE", (15, 4), (1, 2))
        n.b.add_convolution(f"dilated_{k}", 2, 3, 3, 3, 1, 1, "valid", 1, weights.transpose(2, 3, 1, 0), None, False,
                            input_name=k, output_name=f"dilated_{k}", dilation_factors=[2, 2])
        n.b.add_upsample(f"up_{k}", 1, 3, k, f"up_{k}", mode="BILINEAR", linear_upsample_mode="ALIGN_CORNERS_FALSE")
        made = {
            "max": F.max_pool2d(flat, (14, 9), (2, 1)),
            "stride": F.max_pool2d(flat, (2, 3), (4, 3)),
            "mean": F.avg_pool2d(flat, (15, 4), (1, 2)),
            "dilated": F.conv2d(flat, torch.from_numpy(weights).double(), dilation=2),
            "up": F.interpolate(flat, scale_factor=(1, 3), mode="bilinear", align_corners=False),
        }
        truth |= {f"{kind}_{k}": y.reshape(*v.shape[:-3], *y.shape[1:]).numpy() for kind, y in made.items()}
    return n, values, truth
