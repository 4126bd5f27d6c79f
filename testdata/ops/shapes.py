"""Ops that move elements: shapes, joining, padding, slicing, blocks of pixels, and ops that make tensors."""
import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from golden import Typed, b, case, f16, f32, i16, i32, i8, rand, text, u16, u8, u32, whole

X = f32(rand(2, 3, 4, 5))
NP = dict(truth="numpy", within="exact")


def onnx_op(kind, x, **attributes):
    """What onnxruntime computes for one node."""
    def value(name, shape):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    node = onnx.helper.make_node(kind, ["x"], ["y"], **attributes)
    graph = onnx.helper.make_graph([node], "g", [value("x", x.shape)], [value("y", None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x.astype(np.float32)})[0]


# ---------------------------------------------------------------- shapes
for perm in ([3, 1, 0, 2], [0, -1, 2, 1], [-4, -2, -3, -1]):
    case(f"transpose {perm}", "transpose", {"x": X}, {"perm": i32(perm)}, X.n.transpose(perm), **NP)
n = b(whole(2, 3) > 0)
case("transpose, bool", "transpose", {"x": n}, {"perm": i32([1, 0])}, b(n.n.T), **NP)
for d, m in (("int8", i8), ("uint8", u8), ("int16", i16), ("uint16", u16)):
    v = m(np.arange(6).reshape(2, 3) * 20)
    case(f"transpose, {d}", "transpose", {"x": v}, {"perm": i32([1, 0])}, m(v.n.T), opset=17, **NP)
s = f32([[np.nan, np.inf], [-0.0, -np.inf]])
case("transpose of special values", "transpose", {"x": s}, {"perm": i32([1, 0])}, s.n.T, **NP)
e = f32(np.zeros((2, 0, 3)))
case("transpose of nothing", "transpose", {"x": e}, {"perm": i32([2, 0, 1])}, e.n.transpose(2, 0, 1), **NP)
for shape in ([6, 20], [-1, 5], [2, 0, -1], [0, 3, 2, -1, 5], [120], [4, 1, 30]):
    zeros = [X.n.shape[i] if k == 0 else k for i, k in enumerate(shape)]
    if 0 in shape and len(shape) != 4:
        continue
    case(f"reshape to {shape}", "reshape", {"x": X}, {"shape": i32(shape)}, X.n.reshape(zeros), **NP)
case("reshape to [0, 0, -1, 5]", "reshape", {"x": X}, {"shape": i32([0, 0, -1, 5])}, X.n.reshape(2, 3, 4, 5), **NP)
case("reshape to [0, 4, 3, 0]", "reshape", {"x": X}, {"shape": i32([0, 4, 3, 0])}, X.n.reshape(2, 4, 3, 5), **NP)
case("reshape of a scalar", "reshape", {"x": f32(2.5)}, {"shape": i32([1, 1])}, np.full((1, 1), 2.5), **NP)
case("reshape, int16 shape", "reshape", {"x": X}, {"shape": i16([5, -1])}, X.n.reshape(5, 24), opset=17, **NP)
case("reshape to a shape that is an input", "reshape", {"x": X, "shape": i32([8, -1])}, {}, X.n.reshape(8, 15), **NP)
R = [f32(np.zeros((2, 3, 4))), f32(np.zeros((1, 5, 6)))]
x = f32(rand(6, 30))
for opset in (16, 17):
    case(f"reshape_like, iOS{opset}", "reshape_like", {"x": x, "ref_tensors": R}, {"begins": [i32(0), i32(1)], "ends": [i32(2), i32(0)], "end_masks": [b(False), b(True)]}, x.n.reshape(2, 3, 5, 6), opset=opset, **NP)
case("reshape_like, negative ends", "reshape_like", {"x": f32(rand(3, 2)), "ref_tensors": [f32(np.zeros((2, 3, 4)))]}, {"begins": [i32(-3)], "ends": [i32(-1)], "end_masks": [b(False)]}, None, free=True, opset=16, truth="formula")
for axes in ([0], [-1], [1, 3], [0, -1], [-3, 2]):
    x = f32(rand(3, 4))
    at = sorted(a % (2 + len(axes)) for a in axes)
    y = x.n
    for a in at:
        y = np.expand_dims(y, a)
    case(f"expand_dims {axes}", "expand_dims", {"x": x}, {"axes": i32(axes)}, y, **NP)
case("expand_dims, int8", "expand_dims", {"x": i8([1, -2])}, {"axes": i32([0])}, i8([[1, -2]]), opset=17, **NP)
x = f32(rand(1, 3, 1, 4, 1))
for axes in (None, [0], [-1, 2], [0, 2, 4]):
    case(f"squeeze {axes}", "squeeze", {"x": x}, {"axes": i32(axes)} if axes else {}, np.squeeze(x.n, tuple(axes) if axes else None), **NP)
x = f32(rand(2, 1, 3))
case("squeeze leaves other extents than 1", "squeeze", {"x": x}, {"axes": i32([0, 1])}, torch.squeeze(x.t, (0, 1)), within="exact")
for axis in (0, 1, 2, -1, 4):
    y = X.n.reshape(int(np.prod(X.n.shape[:axis])), -1)
    case(f"flatten2d, axis {axis}", "flatten2d", {"x": X}, {"axis": i32(axis)}, y, **NP)
case("flatten2d, default axis", "flatten2d", {"x": X}, {}, X.n.reshape(2, 60), **NP)
case("shape", "shape", {"x": X}, {}, i32([2, 3, 4, 5]), **NP)
case("shape of a scalar", "shape", {"x": f32(1)}, {}, i32(np.zeros(0)), **NP)

# ---------------------------------------------------------------- joining, parting
A, B, C = f32(rand(2, 3, 4)), f32(rand(2, 1, 4)), f32(rand(2, 2, 4))
for axis in (1, -2):
    case(f"concat, axis {axis}", "concat", {"values": [A, B, C]}, {"axis": i32(axis)}, np.concatenate([A.n, B.n, C.n], axis), **NP)
case("concat with a part of nothing", "concat", {"values": [A, f32(np.zeros((2, 0, 4)))]}, {"axis": i32(1)}, A.n, **NP)
D, E = f32(rand(2, 3, 4)), f32(rand(2, 3, 4))
for axis in (0, 1, -1):
    y = np.stack([A.n, D.n, E.n], axis % 3 + 1)
    shape = list(A.n.shape)
    shape[axis] *= 3
    case(f"concat, interleaved, axis {axis}", "concat", {"values": [A, D, E]}, {"axis": i32(axis), "interleave": b(True)}, y.reshape(shape), **NP)
case("concat of int32", "concat", {"values": [i32([1, 2]), i32([3])]}, {"axis": i32(0)}, i32([1, 2, 3]), **NP)
for axis in (0, 2, 3, -1):
    case(f"stack, axis {axis}", "stack", {"values": [A, D]}, {"axis": i32(axis)}, np.stack([A.n, D.n], axis), **NP)
for axis, n in ((-1, 5), (2, 2)):
    case(f"split in {n}, axis {axis}", "split", {"x": X}, {"num_splits": i32(n), "axis": i32(axis)}, tuple(np.split(X.n, n, axis)), **NP)
case("split by sizes", "split", {"x": X}, {"split_sizes": i32([1, 3, 1]), "axis": i32(3)}, tuple(np.split(X.n, [1, 4], 3)), **NP)
case("split by sizes and number", "split", {"x": X}, {"num_splits": i32(2), "split_sizes": i32([3, 1]), "axis": i32(-2)}, tuple(np.split(X.n, [3], 2)), **NP)
case("tile", "tile", {"x": A}, {"reps": i32([2, 1, 3])}, np.tile(A.n, (2, 1, 3)), **NP)
case("tile by an input", "tile", {"x": A, "reps": i32([1, 3, 2])}, {}, np.tile(A.n, (1, 3, 2)), **NP)
for axes in (None, [0], [-1, 1]):
    case(f"reverse {axes}", "reverse", {"x": A}, {"axes": i32(axes)} if axes else {}, np.flip(A.n, axes), **NP)
case("reverse, uint8", "reverse", {"x": u8([1, 2, 200])}, {"axes": i32([0])}, u8([200, 2, 1]), opset=17, **NP)


def reverse_sequence(x, lengths, seq, batch):
    y = x.copy()
    for i, n in enumerate(lengths):
        at = [slice(None)] * x.ndim
        at[batch], at[seq] = i, slice(0, n)
        y[tuple(at)] = np.flip(x[tuple(at)], seq - (1 if batch < seq else 0))
    return y


for seq, batch, lengths in ((1, 0, [3, 2]), (2, 1, [0, 4, 1]), (0, 2, [1, 2, 0, 2])):
    y = reverse_sequence(A.n, lengths, seq, batch)
    case(f"reverse_sequence, axes {seq} and {batch}", "reverse_sequence", {"x": A, "lengths": i32(lengths)}, {"seq_axis": i32(seq), "batch_axis": i32(batch)}, y, truth="formula", within="exact")

# ---------------------------------------------------------------- padding
x = f32(rand(2, 3, 4))
case("pad, constant 0", "pad", {"x": x}, {"pad": i32([0, 1, 2, 0, 1, 3])}, np.pad(x.n, ((0, 1), (2, 0), (1, 3))), **NP)
case("pad, constant value, last axes", "pad", {"x": x}, {"pad": i32([1, 0, 0, 2]), "mode": text("constant"), "constant_val": f32(-1.5)}, np.pad(x.n, ((0, 0), (1, 0), (0, 2)), constant_values=-1.5), **NP)
case("pad with infinity", "pad", {"x": x}, {"pad": i32([1, 1]), "constant_val": f32(-np.inf)}, np.pad(x.n, ((0, 0), (0, 0), (1, 1)), constant_values=-np.inf), **NP)
case("pad, reflect", "pad", {"x": x}, {"pad": i32([2, 1, 3, 2]), "mode": text("reflect")}, np.pad(x.n, ((0, 0), (2, 1), (3, 2)), mode="reflect"), **NP)
case("pad, replicate", "pad", {"x": x}, {"pad": i32([2, 1, 3, 4]), "mode": text("replicate")}, np.pad(x.n, ((0, 0), (2, 1), (3, 4)), mode="edge"), **NP)
case("pad by an input", "pad", {"x": x, "pad": i32([1, 0, 0, 1, 2, 0])}, {"mode": text("constant"), "constant_val": f32(7)}, np.pad(x.n, ((1, 0), (0, 1), (2, 0)), constant_values=7), **NP)
h = f16(rand(1, 2, 3))
case("pad, fp16", "pad", {"x": h}, {"pad": i32([1, 2]), "constant_val": f16(65504)}, np.pad(h.n, ((0, 0), (0, 0), (1, 2)), constant_values=65504), **NP)

# ---------------------------------------------------------------- slices
def index(begin, end, stride=None, bm=None, em=None, sq=None):
    """Python's slice: where an end is ignored it has none, which is also right for negative strides."""
    out = []
    for i in range(len(begin)):
        if sq and sq[i]:
            out.append(begin[i])
            continue
        s = stride[i] if stride else 1
        out.append(slice(None if bm and bm[i] else begin[i], None if em and em[i] else end[i], s))
    return tuple(out)


T, N = True, False
SLICES = {"plain": ([0, 1, 1, 2], [2, 3, 4, 5]), "negative bounds": ([-1, -3, 0, -4], [2, -1, -1, -1]),
          "strides": ([0, 0, 1, 0], [2, 3, 4, 5], [1, 2, 2, 3]), "negative strides": ([1, 2, 3, 4], [0, 0, 0, 1], [-1, -1, -2, -3]),
          "begin and end masks": ([1, 1, 1, 1], [1, 2, 2, 2], None, [T, N, T, N], [T, T, N, N]),
          "negative strides with masks": ([0, 0, 0, 0], [0, 0, 0, 0], [-1, -1, -2, -3], [T, T, T, T], [T, T, T, T]),
          "squeeze": ([1, 0, -1, 0], [0, 3, 0, 5], None, None, None, [T, N, T, N]),
          "squeeze of all axes": ([1, 2, -1, 0], [2, 3, 4, 1], None, None, None, [T, T, T, T]),
          "ends beyond the extent": ([0, 0, -9, 1], [9, 3, 4, 99]), "everything by masks": ([0] * 4, [0] * 4, None, [T] * 4, [T] * 4)}
for name, parts in SLICES.items():
    keys = ("begin", "end", "stride", "begin_mask", "end_mask", "squeeze_mask")
    consts = {k: (b if k.endswith("mask") else i32)(v) for k, v in zip(keys, parts) if v is not None}
    case(f"slice_by_index, {name}", "slice_by_index", {"x": X}, consts, X.n[index(*parts)], **NP)
    if name in ("plain", "strides", "begin and end masks"):
        dynamic = {k: consts.pop(k) for k in ("begin", "end")}
        case(f"slice_by_index, {name}, bounds as inputs", "slice_by_index", {"x": X, **dynamic}, consts, X.n[index(*parts)], **NP)
    if "squeeze" not in name and "beyond" not in name:
        consts = {k: (b if k.endswith("mask") else i32)(v) for k, v in zip(keys, parts) if v is not None}
        y = X.n.copy()
        update = f32(rand(*y[index(*parts)].shape))
        y[index(*parts)] = update.n
        case(f"slice_update, {name}", "slice_update", {"x": X, "update": update}, consts, y, opset=18, **NP)
y = X.n.copy()
update = f32(rand(3, 5))
y[1, :, -1, :] = update.n
case("slice_update, squeeze", "slice_update", {"x": X, "update": update}, {"begin": i32([1, 0, -1, 0]), "end": i32([2, 3, 0, 5]), "squeeze_mask": b([T, N, T, N])}, y, opset=18, **NP)
v = i8([[1, 2, 3], [4, 5, 6]])
case("slice_by_index, int8 data, int16 bounds", "slice_by_index", {"x": v}, {"begin": i16([0, 1]), "end": i16([2, 3])}, i8(v.n[:, 1:]), opset=17, **NP)
case("slice_by_size", "slice_by_size", {"x": X}, {"begin": i32([0, 1, 2, 3]), "size": i32([2, 1, 2, 2])}, X.n[:, 1:2, 2:4, 3:5], **NP)
case("slice_by_size, the rest", "slice_by_size", {"x": X}, {"begin": i32([1, 0, 2, 1]), "size": i32([-1, 2, -1, 3])}, X.n[1:, :2, 2:, 1:4], **NP)
case("slice_by_size, begin as an input", "slice_by_size", {"x": X, "begin": i32([0, 1, 1, 3])}, {"size": i32([2, 2, 3, 1])}, X.n[:, 1:3, 1:4, 3:4], **NP)
for axis, size, stride in ((1, 2, 1), (-1, 3, 2), (0, 2, 1), (2, 2, 3)):
    y = np.moveaxis(np.lib.stride_tricks.sliding_window_view(X.n, size, axis), -1, axis % 4 + 1)
    y = np.take(y, range(0, y.shape[axis % 4], stride), axis % 4)
    case(f"sliding_windows, axis {axis}, size {size}, stride {stride}", "sliding_windows", {"x": X}, {"axis": i32(axis), "size": i32(size), "stride": i32(stride)}, y, **NP)
case("sliding_windows, default stride", "sliding_windows", {"x": f32([1, 2, 3, 4])}, {"axis": i32(0), "size": i32(3)}, f32([[1, 2, 3], [2, 3, 4]]), **NP)
case("crop", "crop", {"x": X}, {"crop_height": i32([1, 0]), "crop_width": i32([2, 1])}, X.n[:, :, 1:, 2:-1], **NP)
x = f32(rand(3, 4, 5))
case("crop, rank 3", "crop", {"x": x}, {"crop_height": i32([0, 2]), "crop_width": i32([0, 0])}, x.n[:, :2], **NP)

# ---------------------------------------------------------------- blocks of pixels
x = f32(rand(2, 12, 2, 3))
case("depth_to_space", "depth_to_space", {"x": x}, {"block_size": i32(2)}, onnx_op("DepthToSpace", x.n, blocksize=2, mode="DCR"), truth="onnxruntime", within="exact")
case("pixel_shuffle", "pixel_shuffle", {"x": x}, {"upscale_factor": i32(2)}, F.pixel_shuffle(x.t, 2), within="exact")
x = f32(rand(2, 3, 4, 6))
case("space_to_depth", "space_to_depth", {"x": x}, {"block_size": i32(2)}, onnx_op("SpaceToDepth", x.n, blocksize=2), truth="onnxruntime", within="exact")
case("pixel_unshuffle", "pixel_unshuffle", {"x": x}, {"downscale_factor": u32(2)}, F.pixel_unshuffle(x.t, 2), within="exact", opset=16)


def space_to_batch(x, block, pad):
    """The place inside a block becomes the outer part of the batch index."""
    x = np.pad(x, ((0, 0), (0, 0), *pad))
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // block[0], block[0], w // block[1], block[1]).transpose(3, 5, 0, 1, 2, 4)
    return x.reshape(n * block[0] * block[1], c, h // block[0], w // block[1])


def batch_to_space(x, block, crop):
    n, c, h, w = x.shape
    n //= block[0] * block[1]
    x = x.reshape(block[0], block[1], n, c, h, w).transpose(2, 3, 4, 0, 5, 1).reshape(n, c, h * block[0], w * block[1])
    return x[:, :, crop[0][0]:x.shape[2] - crop[0][1], crop[1][0]:x.shape[3] - crop[1][1]]


for block, pad in (([2, 3], [[0, 0], [0, 0]]), ([2, 2], [[1, 3], [2, 0]])):
    case(f"space_to_batch {block} {pad}", "space_to_batch", {"x": x}, {"block_shape": i32(block), "paddings": i32(pad)}, space_to_batch(x.n, block, pad), truth="formula", within="exact")
x = f32(rand(12, 2, 3, 2))
for block, crop in (([2, 3], [[0, 0], [0, 0]]), ([3, 2], [[1, 2], [0, 3]])):
    case(f"batch_to_space {block} {crop}", "batch_to_space", {"x": x}, {"block_shape": i32(block), "crops": i32(crop)}, batch_to_space(x.n, block, crop), truth="formula", within="exact")

# ---------------------------------------------------------------- bands, sums, making
x = f32(rand(2, 4, 5))
for low, up in ((0, -1), (-1, 0), (0, 0), (1, 2), (2, 0), (-1, -1)):
    y = np.where((np.subtract.outer(np.arange(4), np.arange(5)) <= (low if low >= 0 else 9)) & (np.subtract.outer(np.arange(4), np.arange(5)) >= (-up if up >= 0 else -9)), x.n, 0)
    case(f"band_part {low} {up}", "band_part", {"x": x}, {"lower": i32(low), "upper": i32(up)}, y, truth="formula", within="exact")
s = f32([[1, np.inf], [np.nan, 2]])
case("band_part drops NaN and infinity", "band_part", {"x": s}, {"lower": i32(0), "upper": i32(0)}, f32([[1, 0], [0, 2]]), truth="formula", within="exact")


def cumsum(x, axis, exclusive, reverse):
    x = np.flip(x, axis) if reverse else x
    y = np.cumsum(x, axis)
    y = y - x if exclusive else y
    return np.flip(y, axis) if reverse else y


x = f32(rand(2, 3, 4))
for axis in (0, 1, -1):
    for exclusive in (False, True):
        for reverse in (False, True):
            case(f"cumsum, axis {axis}, exclusive {exclusive}, reverse {reverse}", "cumsum", {"x": x}, {"axis": i32(axis), "exclusive": b(exclusive), "reverse": b(reverse)}, cumsum(x.n, axis, exclusive, reverse), truth="numpy")
case("cumsum, default axis", "cumsum", {"x": x}, {}, np.cumsum(x.n, 0), truth="numpy")
n = i32(whole(2, 3))
case("cumsum, int32", "cumsum", {"x": n}, {"axis": i32(1)}, i32(np.cumsum(n.n, 1)), **NP)
case("fill, default value", "fill", {}, {"shape": i32([2, 3])}, f32(np.zeros((2, 3))), **NP)
case("fill, shape as an input", "fill", {"shape": i32([3, 2])}, {"value": f16(1.5)}, f16(np.full((3, 2), 1.5)), **NP)
case("fill, int32", "fill", {}, {"shape": i32([2]), "value": i32(-7)}, i32([-7, -7]), **NP)
case("fill, bool", "fill", {}, {"shape": i32([1, 2]), "value": b(True)}, b([[True, True]]), **NP)
case("fill_like, default value", "fill_like", {"ref_tensor": i32([[1, 2]])}, {}, f32([[0, 0]]), opset=16, **NP)
case("fill_like, int32", "fill_like", {"ref_tensor": f32(rand(2, 3))}, {"value": i32(4)}, i32(np.full((2, 3), 4)), opset=16, **NP)
for axis in (-1, 0, 1, -2):
    i = i32([[0, 3, 1], [2, 2, 0]])
    y = np.moveaxis(np.eye(5)[i.n], -1, axis)
    case(f"one_hot, axis {axis}", "one_hot", {"indices": i}, {"one_hot_vector_size": i32(5), "axis": i32(axis)}, i32(y), **NP)
i = i32([1, 0])
case("one_hot, values", "one_hot", {"indices": i}, {"one_hot_vector_size": i32(3), "on_value": f32(2.5), "off_value": f32(-1)}, f32([[-1, 2.5, -1], [2.5, -1, -1]]), **NP)
case("one_hot, size as an input", "one_hot", {"indices": i, "one_hot_vector_size": i32(2)}, {}, i32([[0, 1], [1, 0]]), **NP)
for start, end, step in ((0, 7, 2), (5, -3, -2), (2, 2, 1), (-3, 4, 3)):
    y = np.arange(start, end, step)
    case(f"range_1d {start} {end} {step}, int32", "range_1d", {"end": i32(end)}, {"start": i32(start), "step": i32(step)}, i32(y), **NP)
    case(f"range_1d {start} {end} {step}, fp32", "range_1d", {}, {"end": f32(end), "start": f32(start), "step": f32(step)}, f32(y), **NP)
case("range_1d, fractions", "range_1d", {}, {"end": f32(2.25), "start": f32(-0.5), "step": f32(0.75)}, f32(np.arange(-0.5, 2.25, 0.75)), **NP)
