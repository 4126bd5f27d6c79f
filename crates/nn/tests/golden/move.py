"""Layers that move elements, look them up, or make them."""
from case import *  # noqa: F403

# ---------------------------------------------------------------- shapes

case("flatten", "flatten", {}, [X4], lambda x: x.reshape(2, 60, 1, 1))
case("flatten, channels last", "flatten", {"mode": "CHANNEL_LAST"}, [X4], lambda x: x.permute(0, 2, 3, 1).reshape(2, 60, 1, 1))
rank5("flatten of one, channels last", "flatten", {"mode": "CHANNEL_LAST"}, [Y5], lambda x: x.permute(0, 1, 3, 4, 2).reshape(1, 1, 18, 1, 1))
rank5("flatten of a sequence", "flatten", {}, [X5], lambda x: x.reshape(2, 2, 18, 1, 1))
rank5("reshape of one", "reshape", {"targetShape": [2, 9, 1]}, [Y5], lambda x: x.reshape(1, 1, 2, 9, 1))
rank5("reshape of one, channels last", "reshape", {"targetShape": [2, 9, 1], "mode": "CHANNEL_LAST"}, [Y5], lambda x: x.permute(0, 1, 3, 4, 2).reshape(1, 1, 9, 1, 2).permute(0, 1, 4, 2, 3))
rank5("reshape to a sequence", "reshape", {"targetShape": [3, 1, 6, 1]}, [Y5], lambda x: x.reshape(3, 1, 1, 6, 1))
rank5("reshape from a sequence", "reshape", {"targetShape": [1, 6, 3, 1]}, [rand(3, 1, 2, 3, 1)], lambda x: x.reshape(1, 1, 6, 3, 1))
rank5("reshape of a sequence, channels last", "reshape", {"targetShape": [6, 1, 1], "mode": "CHANNEL_LAST"}, [rand(3, 1, 2, 3, 1)],
      lambda x: x.permute(0, 1, 3, 4, 2).reshape(3, 1, 1, 1, 6).permute(0, 1, 4, 2, 3))
case("reshape, exact", "reshape", {"targetShape": [6, 1, 3]}, [rand(2, 1, 3, 2, 3)], lambda x: x.reshape(2, 1, 6, 1, 3))
for axes in ([0, 3, 1, 2], [3, 1, 2, 0], [0, 3, 2, 1], []):
    five = [{0: 0, 1: 2, 2: 3, 3: 4}[a] for a in axes or [0, 1, 2, 3]]
    order = [five[0], 1, *five[1:]]
    for n, x in (("one", Y5), ("a sequence", X5)):
        rank5(f"permute {axes} of {n}", "permute", {"axis": axes}, [x], lambda x, order=order: x.permute(order))
case("permute, exact", "permute", {"axis": [3, 1, 2, 0]}, [X5], lambda x: x.permute(4, 1, 2, 3, 0))
case("transpose", "transpose", {"axes": [2, 0, 3, 1]}, [X4], lambda x: x.permute(2, 0, 3, 1))
case("concat", "concat", {}, [X4, rand(2, 1, 4, 5)], lambda a, b: torch.cat((a, b), -3))
rank5("concat of one", "concat", {}, [Y5, rand(1, 1, 2, 2, 3)], lambda a, b: torch.cat((a, b), -3))
rank5("concat of sequences", "concat", {"sequenceConcat": True}, [Y5, rand(2, 1, 3, 2, 3)], lambda a, b: torch.cat((a, b), 0))
case("concatND", "concatND", {"axis": -2}, [rand(2, 3), rand(4, 3)], lambda a, b: torch.cat((a, b), 0))
case("concatND, interleaved", "concatND", {"axis": 0, "interleave": True}, [rand(3, 2), rand(3, 2)], lambda a, b: torch.stack((a, b), 1).reshape(6, 2))
case("stack", "stack", {"axis": -2}, [rand(2, 3), rand(2, 3), rand(2, 3)], lambda *x: torch.stack(x, -2))
case("split", "split", {"nOutputs": 3}, [X4], lambda x: torch.chunk(x, 3, -3))
case("splitND", "splitND", {"axis": 1, "numSplits": 3}, [X4], lambda x: torch.chunk(x, 3, 1))
case("splitND by sizes", "splitND", {"axis": -1, "splitSizes": [1, 3, 1]}, [X4], lambda x: torch.split(x, [1, 3, 1], -1))
rank5("sequenceRepeat of one", "sequenceRepeat", {"nRepetitions": 3}, [Y5], lambda x: x.repeat(3, 1, 1, 1, 1))
rank5("sequenceRepeat by default", "sequenceRepeat", {}, [X5], lambda x: x)
blocks = rand(2, 8, 4, 6)
# Offset within the block outermost in the channels, as tensorflow has it; torch's shuffle has the channel outermost.
case("reorganizeData SPACE_TO_DEPTH", "reorganizeData", {"blockSize": 2}, [blocks], lambda x: x.reshape(2, 8, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 32, 2, 3))
case("reorganizeData DEPTH_TO_SPACE", "reorganizeData", {"mode": "DEPTH_TO_SPACE", "blockSize": 2}, [blocks], lambda x: x.reshape(2, 2, 2, 2, 4, 6).permute(0, 3, 4, 1, 5, 2).reshape(2, 2, 8, 12))
case("reorganizeData PIXEL_SHUFFLE", "reorganizeData", {"mode": "PIXEL_SHUFFLE", "blockSize": 2}, [blocks], lambda x: F.pixel_shuffle(x, 2))
rank5("reorganizeData of a sequence", "reorganizeData", {"blockSize": 2}, [rand(2, 1, 2, 4, 2)], lead4(lambda x: x.reshape(2, 2, 2, 2, 1, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 8, 2, 1)))
ones = rand(1, 2, 1, 3, 1)
case("squeeze", "squeeze", {"axes": [0, -1]}, [ones], lambda x: x.reshape(2, 1, 3))
case("squeeze all", "squeeze", {"squeezeAll": True}, [ones], lambda x: x.reshape(2, 3))
case("squeeze to nothing", "squeeze", {"axes": [0, 1]}, [[[3.0]]], lambda x: x.reshape(1))
case("expandDims", "expandDims", {"axes": [0, 2]}, [rand(2, 3)], lambda x: x.reshape(1, 2, 1, 3))
case("expandDims from the end", "expandDims", {"axes": [-1, -3]}, [rand(2, 3)], lambda x: x.reshape(2, 1, 3, 1))
for shape, axis, want in (((3,), -1, (1, 3)), ((3,), 1, (3, 1)), ((5, 2), 0, (1, 10)), ((5, 5, 3), -2, (5, 15)), ((2, 3, 2), -1, (6, 2))):
    case(f"flattenTo2D {shape} at {axis}", "flattenTo2D", {"axis": axis}, [rand(*shape)], lambda x, want=want: x.reshape(want))
case("reshapeStatic", "reshapeStatic", {"targetShape": [4, -1, 3]}, [rand(2, 3, 4)], lambda x: x.reshape(4, 2, 3))
case("reshapeLike", "reshapeLike", {}, [rand(2, 3, 4), rand(6, 4)], lambda x, y: x.reshape(6, 4))
case("reshapeDynamic", "reshapeDynamic", {}, [rand(2, 6), [3.0, 4.0]], lambda x, s: x.reshape(3, 4))
for shape, target, want in (((20, 10), [5, -1], (5, 40)), ((20, 10, 5), [0, 2, 25], (20, 2, 25)), ((10, 3, 5), [25, 0, -1], (25, 3, 2))):
    case(f"rankPreservingReshape {target}", "rankPreservingReshape", {"targetShape": target}, [rand(*shape)], lambda x, want=want: x.reshape(want))
case("tile", "tile", {"reps": [1, 2, 3]}, [rand(2, 2, 1)], lambda x: x.repeat(1, 2, 3))
case("tile, fewer factors", "tile", {"reps": [3]}, [rand(2, 2, 1)], lambda x: x.repeat(1, 1, 3))
case("tile by a tensor", "tile", {}, [rand(2, 1), [2.0, 3.0]], lambda x, r: x.repeat(2, 3))
case("reverse", "reverse", {"reverseDim": [True, False, True]}, [rand(2, 3, 4)], lambda x: x.flip(0, 2))
case("reverseSeq", "reverseSeq", {"batchAxis": 0, "sequenceAxis": 1}, [np.arange(12).reshape(2, 3, 2), [2.0, 3.0]],
     lambda x, n: torch.stack([torch.cat((x[0][:2].flip(0), x[0][2:])), x[1].flip(0)]))
case("broadcastToStatic", "broadcastToStatic", {"targetShape": [2, 3, 4]}, [rand(3, 1)], lambda x: x.expand(2, 3, 4))
case("broadcastToLike", "broadcastToLike", {}, [rand(3, 1), rand(2, 3, 4)], lambda x, y: x.expand(2, 3, 4))
case("broadcastToDynamic", "broadcastToDynamic", {}, [rand(3, 1), [2.0, 3.0, 4.0]], lambda x, s: x.expand(2, 3, 4))
case("getShape", "getShape", {}, [rand(2, 3, 4)], lambda x: t([2, 3, 4]))
case("loadConstantND", "loadConstantND", {"shape": [2, 3], "data": w(np.arange(6))}, [], lambda: t(np.arange(6)).reshape(2, 3))
case("loadConstant, exact", "loadConstant", {"shape": [3, 1, 2], "data": w(np.arange(6))}, [], lambda: t(np.arange(6)).reshape(1, 1, 3, 1, 2))
rank5("loadConstant", "loadConstant", {"shape": [3, 1, 2], "data": w(np.arange(6))}, [], lambda: t(np.arange(6)).reshape(1, 1, 3, 1, 2))
case("fillLike", "fillLike", {"value": 2.5}, [rand(2, 3)], lambda x: torch.full_like(x, 2.5))
case("fillStatic", "fillStatic", {"value": 2.5, "targetShape": [2, 3]}, [], lambda: torch.full((2, 3), 2.5).double())
case("fillDynamic", "fillDynamic", {"value": 2.5}, [[2.0, 3.0]], lambda s: torch.full((2, 3), 2.5).double())
case("rangeStatic", "rangeStatic", {"endValue": 7.0, "startValue": 0.5, "stepSizeValue": 2.0}, [], lambda: t(np.arange(0.5, 7, 2)))
case("rangeDynamic", "rangeDynamic", {"startValue": 1.0, "stepSizeValue": 2.0}, [[8.0]], lambda e: t(np.arange(1, 8, 2)))
case("rangeDynamic of three", "rangeDynamic", {}, [[8.0], [2.0], [3.0]], lambda e, s, d: t(np.arange(2, 8, 3)))

# ---------------------------------------------------------------- slices

S4 = rand(2, 5, 6, 7)
case("slice of channels", "slice", {"startIndex": 1, "endIndex": -1, "stride": 2}, [S4], lambda x: x[:, 1:-1:2])
case("slice of rows", "slice", {"startIndex": -4, "endIndex": 5, "axis": "HEIGHT_AXIS"}, [S4], lambda x: x[:, :, -4:5])
rank5("slice of columns", "slice", {"startIndex": 0, "endIndex": 2, "axis": "WIDTH_AXIS"}, [X5], lambda x: x[..., 0:2])
SL = {"beginIds": [1, 2, 3], "beginMasks": [True, False, True], "endIds": [3, -3, 2], "endMasks": [False, True, True], "strides": [2, 2, 2]}
cube = rand(5, 5, 5)
case("sliceStatic", "sliceStatic", SL, [cube], lambda x: x[:3:2, 2::2, ::2])
case("sliceStatic, squeezed", "sliceStatic", SL | {"squeezeMasks": [False, True, False]}, [cube], lambda x: x[:3:2, 2, ::2])
case("sliceStatic to one", "sliceStatic", {"beginIds": [1, 2], "endIds": [2, 3], "strides": [1, 1], "beginMasks": [False] * 2, "endMasks": [False] * 2, "squeezeMasks": [True] * 2}, [rand(3, 4)], lambda x: x[1, 2].reshape(1))
case("sliceStatic, backwards", "sliceStatic", {"beginIds": [4, 0], "endIds": [0, 0], "strides": [-2, 1], "beginMasks": [False, True], "endMasks": [False, True], "squeezeMasks": [False] * 2}, [rand(5, 2)], lambda x: x[[4, 2]])
case("sliceDynamic", "sliceDynamic", {"endIds": [3, 4], "strides": [1, 2]}, [rand(4, 5), [1.0, 0.0]], lambda x, b: x[1:3, 0:4:2])
case("sliceDynamic by tensors", "sliceDynamic", {}, [rand(4, 5), [1.0, 0.0], [3.0, 0.0], [1.0, 2.0], [0.0, 0.0], [0.0, 1.0]], lambda x, *_: x[1:3, ::2])
case("sliceBySize", "sliceBySize", {"size": 2, "axis": 1}, [rand(2, 5, 3), [2.0]], lambda x, b: x[:, 2:4])
case("sliceBySize of the first axis", "sliceBySize", {"size": 1, "axis": 0}, [rand(3, 2), [1.0]], lambda x, b: x[1:2])
case("slidingWindows", "slidingWindows", {"axis": 1, "windowSize": 3, "step": 2}, [rand(2, 8, 2)], lambda x: x.unfold(1, 3, 2).permute(0, 1, 3, 2))
case("crop", "crop", {"cropAmounts": borders(1, 2, 0, 3)}, [S4], lambda x: x[:, :, 1:4, :4])
rank5("crop to the size of another", "crop", {"offset": [1, 0]}, [rand(1, 1, 2, 5, 6), rand(1, 1, 3, 3, 2)], lambda x, y: x[..., 1:4, 0:2])
case("padding", "padding", {"paddingAmounts": borders(2, 0, 1, 3), "constant": {"value": 0.5}}, [X4], lambda x: F.pad(x, (1, 3, 2, 0), value=0.5))
case("padding by reflection", "padding", {"paddingAmounts": borders(2, 0, 1, 3), "reflection": {}}, [X4], lambda x: F.pad(x, (1, 3, 2, 0), mode="reflect"))
rank5("padding by the edge", "padding", {"paddingAmounts": borders(2, 0, 1, 3), "replication": {}}, [X5], lead4(lambda x: F.pad(x, (1, 3, 2, 0), mode="replicate")))
case("constantPad", "constantPad", {"padAmounts": [0, 0, 3, 4, 0, 9], "value": 0.5}, [rand(2, 3, 2)], lambda x: F.pad(x, (0, 9, 3, 4, 0, 0), value=0.5))
case("constantPad to a size", "constantPad", {"padAmounts": [0, 0, 5, 0, 0, 2], "padToGivenOutputSizeMode": True}, [rand(2, 3, 4)], lambda x: F.pad(x, (0, 0, 2, 0, 0, 0)))
case("constantPad by a tensor", "constantPad", {"value": 1.0}, [rand(2, 3), [1.0, 0.0, 0.0, 2.0]], lambda x, p: F.pad(x, (0, 2, 1, 0), value=1.0))

# ---------------------------------------------------------------- interpolation

def sampled(x, rows, cols):
    """Bilinear values at the crossings of rows and columns."""
    def along(x, at, axis):
        n = x.shape[axis]
        at = t(at).clamp(0, n - 1)
        lo = at.floor().long()
        hi = (lo + 1).clamp(max=n - 1)
        f = (at - lo).reshape([-1] + [1] * (-axis - 1))
        return x.index_select(axis, lo) * (1 - f) + x.index_select(axis, hi) * f
    return along(along(x, rows, -2), cols, -1)


SM = rand(1, 2, 3, 4)
default = lambda n, m: np.arange(m) * ((n - n / m) / (m - 1) if m > 1 else 0)
corners = lambda n, m: np.linspace(0, n - 1, m)
centres = lambda n, m: (np.arange(m) + 0.5) * n / m - 0.5
strict = lambda n, m: np.linspace(0, n - 1, m) if m > 1 else np.zeros(1)
middle = lambda n, m: np.linspace(0, n - 1, m) if m > 1 else np.array([(n - 1) / 2])
align = lambda n, m: 0.5 * max(1, n - 1) / m + np.arange(m) * max(1, n - 1) / m
case("upsample NN", "upsample", {"scalingFactor": [2, 3]}, [SM], lambda x: x.repeat_interleave(2, -2).repeat_interleave(3, -1))
rank5("upsample NN of a sequence", "upsample", {"scalingFactor": [2, 1]}, [X5], lambda x: x.repeat_interleave(2, -2))
for n, g in (("DEFAULT", default), ("ALIGN_CORNERS_TRUE", corners), ("ALIGN_CORNERS_FALSE", centres)):
    case(f"upsample BILINEAR {n}", "upsample", {"scalingFactor": [2, 3], "mode": "BILINEAR", "linearUpsampleMode": n}, [SM], lambda x, g=g: sampled(x, g(3, 6), g(4, 12)))
    case(f"upsample BILINEAR {n}, fractional", "upsample", {"fractionalScalingFactor": [1.75, 2.0], "mode": "BILINEAR", "linearUpsampleMode": n}, [SM], lambda x, g=g: sampled(x, g(3, 5), g(4, 8)))
for n, g in (("STRICT_ALIGN_ENDPOINTS_MODE", strict), ("ALIGN_ENDPOINTS_MODE", middle), ("UPSAMPLE_MODE", default), ("ROI_ALIGN_MODE", align)):
    case(f"resizeBilinear {n}", "resizeBilinear", {"targetSize": [5, 7], "mode": {"samplingMethod": n}}, [SM], lambda x, g=g: sampled(x, g(3, 5), g(4, 7)))
case("resizeBilinear to one row", "resizeBilinear", {"targetSize": [1, 2], "mode": {"samplingMethod": "ALIGN_ENDPOINTS_MODE"}}, [SM], lambda x: sampled(x, middle(3, 1), middle(4, 2)))


def patches(x, boxes, size, first):
    """Boxes as [h0, w0, h1, w1] in pixels; `first` says whether a box names its image."""
    out = []
    for box in boxes.reshape(boxes.shape[0], -1):
        images, box = (x[0, int(box[0])][None], box[1:]) if first else (x[0], box)
        rows, cols = np.linspace(float(box[0]), float(box[2]), size[0]), np.linspace(float(box[1]), float(box[3]), size[1])
        out.append(sampled(images, rows, cols))
    return torch.stack(out)


CR = {"targetSize": [2, 3], "spatialScale": 1.0}
case("cropResize", "cropResize", CR, [rand(1, 1, 2, 5, 6), np.array([[0, 1, 3, 4], [1.5, 0, 4, 2.5]]).reshape(2, 1, 4, 1, 1)], lambda x, b: patches(x, b, (2, 3), False))
case("cropResize of named images", "cropResize", CR, [rand(1, 2, 2, 5, 6), np.array([[1, 0, 1, 3, 4], [0, 1.5, 0, 4, 2.5]]).reshape(2, 1, 5, 1, 1)], lambda x, b: patches(x, b, (2, 3), True))
rank5("cropResize", "cropResize", CR, [rand(1, 1, 2, 5, 6), np.array([[0, 1, 3, 4]]).reshape(1, 1, 4, 1, 1)], lambda x, b: patches(x, b, (2, 3), False))

# ---------------------------------------------------------------- indices and masks

case("gather", "gather", {"axis": 1}, [rand(2, 3, 5), [[0.0, 2.0, -1.0], [1.0, 1.0, 0.0]]], lambda x, i: x[:, i.long()])
case("gather at axis 0", "gather", {}, [rand(4, 3), [2.0, -4.0]], lambda x, i: x[i.long()])
case("gatherAlongAxis", "gatherAlongAxis", {"axis": -1}, [rand(2, 4), [[0.0, -1.0, 2.0], [3.0, 3.0, -4.0]]], lambda x, i: torch.gather(x, -1, torch.where(i < 0, i + 4, i).long()))
case("gatherND", "gatherND", {}, [rand(3, 4, 2), [[[0.0, 1.0], [2.0, -1.0]]]], lambda x, i: x[i[..., 0].long(), i[..., 1].long()])


def scattered(x, i, u, mode):
    y = x.clone()
    for n, j in enumerate(i.long().tolist()):
        y[:, j] = {"UPDATE": lambda a, b: b, "ADD": torch.add, "SUB": torch.sub, "MUL": torch.mul, "DIV": torch.div, "MAX": torch.maximum, "MIN": torch.minimum}[mode](y[:, j], u[:, n])
    return y


for m in ("UPDATE", "ADD", "SUB", "MUL", "DIV", "MAX", "MIN"):
    case(f"scatter {m}", "scatter", {"axis": 1, "mode": f"SCATTER_{m}"}, [rand(2, 4), [1.0, -1.0], rand(2, 2, lo=0.5)], lambda x, i, u, m=m: scattered(x, i, u, m))
case("scatterND", "scatterND", {"mode": "SCATTER_ADD"}, [rand(3, 2), [[0.0, 1.0], [2.0, 0.0], [0.0, 1.0]], [1.0, 2.0, 3.0]],
     lambda x, i, u: x.index_put((i[:, 0].long(), i[:, 1].long()), u, accumulate=True))
case("scatterAlongAxis", "scatterAlongAxis", {"axis": 1}, [rand(2, 5, 2), np.array([[[0, 1], [4, 3]], [[2, 0], [1, 4]]], float), rand(2, 2, 2)], lambda x, i, u: x.scatter(1, i.long(), u))
distinct = RNG.permutation(24).reshape(2, 3, 4).astype(float)
case("topK", "topK", {"axis": -1, "K": 2}, [distinct], lambda x: tuple(v.double() for v in torch.topk(x, 2, -1)))
case("topK from the bottom", "topK", {"axis": 1, "K": 2, "useBottomK": True}, [distinct], lambda x: tuple(v.double() for v in torch.topk(x, 2, 1, largest=False)))
case("argMax", "argMax", {"axis": 1}, [distinct], lambda x: x.argmax(1, keepdim=True).double())
case("argMin, removed", "argMin", {"axis": -1, "removeDim": True}, [distinct], lambda x: x.argmin(-1).double())
case("argMax of a vector, removed", "argMax", {"removeDim": True}, [[1.0, 5.0, 2.0]], lambda x: t([1.0]))
case("argSort", "argSort", {"axis": 1}, [distinct], lambda x: x.argsort(1).double())
case("argSort, descending", "argSort", {"axis": 2, "descending": True}, [distinct], lambda x: x.argsort(2, descending=True).double())
case("cumSum", "cumSum", {"axis": 1}, [rand(2, 3, 4, 2, lo=0.5, hi=1.5)], lambda x: x.cumsum(1))
case("cumSum, exclusive, reversed", "cumSum", {"axis": -1, "excludeFinalSum": True, "reverse": True}, [[4.0, 6.0, 7.0]], lambda x: t([13, 7, 0]))
case("oneHot", "oneHot", {"oneHotVectorSize": 4, "axis": -1, "onValue": 5.0, "offValue": -1.0}, [[2.0, 0.0]], lambda i: t([[-1, -1, 5, -1], [5, -1, -1, -1]]))
case("oneHot at axis 1", "oneHot", {"oneHotVectorSize": 3, "axis": 1, "onValue": 1.0}, [[[2.0, 0.0], [1.0, 1.0]]], lambda i: F.one_hot(i.long(), 3).permute(0, 2, 1).double())
case("whereNonZero", "whereNonZero", {}, [[[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]], lambda x: x.nonzero().double())
square = rand(2, 4, 5)
case("matrixBandPart", "matrixBandPart", {"numLower": 1, "numUpper": -1}, [square], lambda x: x.triu(-1))
for k in (-2, -1, 0, 2):
    case(f"lowerTriangular {k}", "lowerTriangular", {"k": k}, [square], lambda x, k=k: x.tril(k))
    case(f"upperTriangular {-k}", "upperTriangular", {"k": -k}, [square], lambda x, k=k: x.triu(-k))
boxes = np.array([[[1, 1, 2, 2], [1.2, 1, 2, 2], [5, 5, 2, 2], [8, 8, 1, 1]]], float)
case("NonMaximumSuppression", "NonMaximumSuppression", {"iouThreshold": 0.5, "scoreThreshold": 0.2, "maxBoxes": 3}, [boxes, np.array([[[0.9], [0.8], [0.7], [0.1]]])],
     lambda b, s: (t([[[1, 1, 2, 2], [5, 5, 2, 2], [0, 0, 0, 0]]]), t([[[0.9], [0.7], [0.0]]]), t([[0, 2, -1]]), t([2])))

# ---------------------------------------------------------------- random numbers: shapes only, so the values are nan

nan = lambda *shape: torch.full(shape, float("nan")).double()
for k, p in (("randomNormal", {"mean": 1.0, "stdDev": 2.0}), ("randomUniform", {"minVal": 1.0, "maxVal": 2.0}), ("randomBernoulli", {"prob": 0.5})):
    case(f"{k}Like", f"{k}Like", p | {"seed": 3}, [rand(2, 3)], nan(2, 3))
    case(f"{k}Static", f"{k}Static", p | {"outputShape": [2, 3]}, [], nan(2, 3))
    case(f"{k}Dynamic", f"{k}Dynamic", p, [[2.0, 3.0]], nan(2, 3))
case("categoricalDistribution", "categoricalDistribution", {"numSamples": 5, "isLogits": True, "temperature": 2.0}, [rand(2, 3)], nan(2, 5))

