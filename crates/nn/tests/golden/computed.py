"""Layers whose parameters are inputs, which are not known when a layer is lowered."""
import torchvision

from case import *  # noqa: F403
from move import patches


def computed(name, kind, params, inputs, expected):
    case(f"{name}, computed", kind, params, inputs, expected, computed=True)


cube = rand(5, 6, 4)
# numpy: x[4:0:-2, 1:-1:2, 0:3]; the bounds that lie outside are clamped, as numpy does
for name, begin, end, stride in (("strides", [4, 1, 0], [0, -1, 3], [-2, 2, 1]), ("strides, bounds outside", [9, -9, 3], [0, 9, -2], [-1, 4, -1])):
    computed(f"sliceDynamic by {name}", "sliceDynamic", {}, [cube, np.array(begin, float), np.array(end, float), np.array(stride, float)],
             lambda x, b, e, s: t(x.numpy()[tuple(slice(*(int(n) for n in v)) for v in zip(b, e, s))].copy()))
computed("sliceDynamic by masks", "sliceDynamic", {"squeezeMasks": [False, True, False]}, [cube, [3.0, 2.0, 1.0], [1.0, 0.0, 3.0], [-1.0, 1.0, 2.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
         lambda x, *_: t(x.numpy()[:1:-1, 2, 1::2].copy()))
computed("sliceDynamic by strides, masks in fields", "sliceDynamic", {"beginMasks": [False, True], "endMasks": [True, False], "squeezeMasks": [False, False]},
         [rand(5, 7), [3.0, 0.0], [0.0, 4.0], [-2.0, 3.0]], lambda x, *_: t(x.numpy()[3::-2, :4:3].copy()))
distinct = RNG.permutation(24).reshape(2, 3, 4).astype(float)
computed("topK", "topK", {"axis": 1}, [distinct, [2.0]], lambda x, k: tuple(v.double() for v in torch.topk(x, 2, 1)))
computed("topK from the bottom", "topK", {"axis": -1, "useBottomK": True}, [distinct, [3.0]], lambda x, k: tuple(v.double() for v in torch.topk(x, 3, -1, largest=False)))
# the format leaves the order of equal elements open: here it is that of a stable sort
ties = np.array([[2.0, 5, 2, 5, 1, 5], [0, 0, 3, 3, 0, 3]])
stable = lambda x, k, down: tuple(v[:, :k].double() for v in torch.sort(x, dim=-1, descending=down, stable=True))
for down in (True, False):
    fields = {"axis": -1} if down else {"axis": -1, "useBottomK": True}
    case(f"topK of ties, {'largest' if down else 'least'}", "topK", fields | {"K": 4}, [ties], lambda x, down=down: stable(x, 4, down))
    computed(f"topK of ties, {'largest' if down else 'least'}", "topK", fields, [ties, [4.0]], lambda x, k, down=down: stable(x, 4, down))
sums = rand(2, 3, 4)
for axis in (0, -2, 2):
    computed(f"cumSum along {axis}", "cumSum", {}, [sums, [float(axis)]], lambda x, a, axis=axis: x.cumsum(axis))
computed("cumSum, exclusive, reversed", "cumSum", {"excludeFinalSum": True, "reverse": True}, [sums, [1.0]], lambda x, a: x.flip(1).cumsum(1).flip(1) - x)
case("tile by a shorter tensor", "tile", {}, [rand(2, 2, 1), [2.0, 3.0]], lambda x, r: x.repeat(1, 2, 3))
computed("tile by a shorter tensor", "tile", {}, [rand(2, 2, 1), [2.0, 3.0]], lambda x, r: x.repeat(1, 2, 3))
# what is shorter grows, at the end that is named; 0 and what is too small leave an axis alone
computed("constantPad to a size", "constantPad", {"padToGivenOutputSizeMode": True, "value": 0.5}, [rand(2, 3, 4), [0.0, 3.0, 5.0, 0.0, 0.0, 2.0]], lambda x, s: F.pad(x, (0, 0, 2, 0, 0, 1), value=0.5))
computed("constantPad", "constantPad", {"value": 1.0}, [rand(2, 3), [1.0, 0.0, 0.0, 2.0]], lambda x, p: F.pad(x, (0, 2, 1, 0), value=1.0))
case("whereBroadcastable, widened by its condition", "whereBroadcastable", {}, [RNG.integers(0, 2, (2, 3, 1)).astype(float), rand(3, 1), rand(1, 4)], lambda c, a, b: torch.where(c != 0, a, b))
case("whereBroadcastable of scalars", "whereBroadcastable", {}, [[1.0, 0.0, 2.0], [5.0], [-3.5]], lambda c, a, b: torch.where(c != 0, a, b))
case("categoricalDistribution of probabilities", "categoricalDistribution", {"numSamples": 5, "temperature": 2.0}, [rand(2, 3, lo=0.1)], torch.full((2, 5), float("nan")).double())

# ---------------------------------------------------------------- boxes


def suppressed(boxes, scores, iou, least, most, per_class):
    """torchvision's suppression of [batch, box, centre and size]; where no score is high enough the best box stays."""
    found = ([], [], [], [])
    for b, s in zip(boxes, scores):
        corners = torch.cat((b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2), 1)
        best, kind = s.max(1)
        keep = torchvision.ops.batched_nms(corners, best, kind, iou) if per_class else torchvision.ops.nms(corners, best, iou)
        keep = [int(i) for i in keep if best[i] >= least][:most] or [int(best.argmax())]
        rest = most - len(keep)
        for out, rows in zip(found, (b[keep], s[keep], t(keep))):
            out.append(torch.cat((rows, torch.full((rest, *rows.shape[1:]), -1.0 if rows.dim() == 1 else 0.0).double())))
        found[3].append(t(len(keep)))
    return tuple(torch.stack(v) for v in found)


def boxes_of(n):
    return np.concatenate((rand(2, n, 2, lo=0, hi=4), rand(2, n, 2, lo=1, hi=3)), 2)


NB, NS = boxes_of(12), np.round(RNG.permutation(72).reshape(2, 12, 3) / 72, 4)
for per_class in (False, True):
    for least in (0.3, 2.0):
        one = float(np.float32(least))
        computed(f"NonMaximumSuppression{' by class' if per_class else ''} from {least} on", "NonMaximumSuppression", {"perClassSuppression": per_class}, [NB, NS, [0.375], [one], [8.0]],
                 lambda b, s, *_, per_class=per_class, one=one: suppressed(b, s, 0.375, one, 8, per_class))
computed("NonMaximumSuppression of few", "NonMaximumSuppression", {"scoreThreshold": 0.5, "maxBoxes": 3}, [NB, NS, [0.25]], lambda b, s, *_: suppressed(b, s, 0.25, 0.5, 3, False))
case("NonMaximumSuppression of many", "NonMaximumSuppression", {"iouThreshold": 0.375, "scoreThreshold": 0.3, "maxBoxes": 8}, [NB, NS], lambda b, s: suppressed(b, s, 0.375, float(np.float32(0.3)), 8, False))
CROP = {"targetSize": [2, 3], "spatialScale": 1.0}
PAIR = np.array([[0, 1, 3, 4], [1.5, 0, 4, 2.5]]).reshape(2, 1, 4, 1, 1)
case("cropResize of every image", "cropResize", CROP, [rand(1, 3, 2, 5, 6), PAIR], lambda x, b: patches(x, b, (2, 3), False))
rank5("cropResize of every image", "cropResize", CROP, [rand(1, 3, 2, 5, 6), PAIR], lambda x, b: patches(x, b, (2, 3), False))
rank5("cropResize of named images", "cropResize", CROP, [rand(1, 2, 2, 5, 6), np.array([[1, 0, 1, 3, 4], [0, 1.5, 0, 4, 2.5]]).reshape(2, 1, 5, 1, 1)], lambda x, b: patches(x, b, (2, 3), True))

# ---------------------------------------------------------------- products of inputs that are rounded while the model runs

# coremltools' tests expect the product with the weights that int8 numbers and one scale stand for
Q = RNG.integers(-127, 128, (4, 6)).astype(np.int8)
RAW = {"int8RawValue": __import__("base64").b64encode(Q.tobytes()).decode(), "quantization": {"numberOfBits": 8, "linearQuantization": {"scale": [0.0625]}}}
BIAS = rand(4)
product = lambda x: F.linear(x, t(Q * 0.0625), t(BIAS))
case("innerProduct, int8DynamicQuantize", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "hasBias": True, "int8DynamicQuantize": True, "weights": RAW, "bias": w(BIAS)}, [rand(2, 6)], product)
case("batchedMatmul, int8DynamicQuantize", "batchedMatmul", {"weightMatrixFirstDimension": 6, "weightMatrixSecondDimension": 4, "hasBias": True, "int8DynamicQuantize": True, "weights": RAW, "bias": w(BIAS)},
     [rand(2, 3, 6)], product)
