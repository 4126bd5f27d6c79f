"""Gather and scatter in every mode, sorting, searching, non-maximum suppression."""
import numpy as np
import torch
from golden import b, case, f16, f32, i16, i32, i8, rand, text, u16, u8, whole

NP = dict(truth="numpy", within="exact")
X = f32(rand(3, 4, 5))
MODES = ["update", "add", "sub", "mul", "div", "max", "min"]


def apply(mode, y, at, u):
    """Updates one after another, so that repeated places see each other."""
    old = y[at]
    y[at] = {"update": lambda: u, "add": lambda: old + u, "sub": lambda: old - u, "mul": lambda: old * u, "div": lambda: old / u,
             "max": lambda: np.maximum(old, u), "min": lambda: np.minimum(old, u)}[mode]()


# ---------------------------------------------------------------- gather
for axis, idx in ((0, [2, 0]), (1, [[0, 3], [1, 1], [2, 0]]), (-1, 4), (2, [-1, 0, -5]), (0, -2)):
    i = i32(idx)
    case(f"gather, axis {axis}, indices {idx}", "gather", {"x": X, "indices": i}, {"axis": i32(axis)}, np.take(X.n, i.n, axis), **NP)
case("gather, default axis", "gather", {"x": X}, {"indices": i32([1])}, np.take(X.n, [1], 0), **NP)
case("gather, no indices", "gather", {"x": X, "indices": i32(np.zeros(0))}, {"axis": i32(1)}, np.zeros((3, 0, 5)), **NP)
case("gather, int32 data", "gather", {"x": i32([5, 6, 7]), "indices": i32([2, 2, 0])}, {}, i32([7, 7, 5]), **NP)
for opset in (16, 17):
    i = i32(RNG := whole(3, 2, lo=0, hi=4))
    y = np.stack([np.take(X.n[k], i.n[k], 0) for k in range(3)])
    case(f"gather, batch_dims 1, iOS{opset}", "gather", {"x": X, "indices": i}, {"axis": i32(1), "batch_dims": i32(1)}, y, opset=opset, **NP)
    i = i32(whole(3, 2, lo=0, hi=5))
    y = np.stack([np.take(X.n[k], i.n[k], 1) for k in range(3)])
    case(f"gather, batch_dims 1, axis 2, iOS{opset}", "gather", {"x": X, "indices": i}, {"axis": i32(2), "batch_dims": i32(1)}, y, opset=opset, **NP)
for d in (u16, i16, u8, i8):
    i = d([1, 0, 2])
    case(f"gather, {i.dtype} indices", "gather", {"x": X, "indices": i}, {"axis": i32(0)}, np.take(X.n, i.n, 0), opset=17, **NP)
case("gather, validated indices in range", "gather", {"x": X, "indices": i32([2, 0])}, {"axis": i32(0), "validate_indices": b(True)}, np.take(X.n, [2, 0], 0), opset=17, **NP)
for bad in ([0, 3], [-1]):
    case(f"gather, validated indices {bad}", "gather", {"x": X, "indices": i32(bad)}, {"axis": i32(0), "validate_indices": b(True)}, None, opset=17, fails=True, truth="formula")
    case(f"gather, indices {bad} that nobody checks", "gather", {"x": X, "indices": i32(bad)}, {"axis": i32(0), "validate_indices": b(False)}, None, opset=17, free=True, truth="formula")
for axis, shape in ((0, (2, 4, 5)), (1, (3, 6, 5)), (-1, (3, 4, 2))):
    i = i32(whole(*shape, lo=0, hi=X.n.shape[axis]))
    case(f"gather_along_axis {axis}", "gather_along_axis", {"x": X, "indices": i}, {"axis": i32(axis)}, np.take_along_axis(X.n, i.n, axis), **NP)
i = i32(whole(3, 4, 2, lo=-5, hi=5))
case("gather_along_axis, negative indices", "gather_along_axis", {"x": X, "indices": i}, {"axis": i32(2)}, np.take_along_axis(X.n, i.n, 2), **NP)
i = i32(np.full((3, 4, 1), 5))
case("gather_along_axis, validated, out of range", "gather_along_axis", {"x": X, "indices": i}, {"axis": i32(2), "validate_indices": b(True)}, None, opset=17, fails=True, truth="formula")
for idx in ([[0, 1], [2, 3]], [[[2]], [[0]]], [[1, 2, 3], [0, 0, 4], [2, 1, 0]]):
    i = i32(idx)
    y = X.n[tuple(np.moveaxis(i.n, -1, 0))]
    case(f"gather_nd, depth {i.n.shape[-1]}, rank {i.n.ndim}", "gather_nd", {"x": X, "indices": i}, {}, y, **NP)
case("gather_nd, negative indices", "gather_nd", {"x": X, "indices": i32([[-1, 0], [0, -2]])}, {}, X.n[[-1, 0], [0, -2]], **NP)
for opset in (16, 17):
    i = i32([[[1], [3]], [[0], [2]], [[3], [3]]])
    y = np.stack([X.n[k][i.n[k, :, 0]] for k in range(3)])
    case(f"gather_nd, batch_dims 1, iOS{opset}", "gather_nd", {"x": X, "indices": i}, {"batch_dims": i32(1)}, y, opset=opset, **NP)
case("gather_nd, validated, out of range", "gather_nd", {"x": X, "indices": i32([[0, 4]])}, {"validate_indices": b(True)}, None, opset=17, fails=True, truth="formula")
case("gather_nd, out of range, unchecked", "gather_nd", {"x": X, "indices": i32([[0, 4], [-9, 0]])}, {"validate_indices": b(False)}, None, opset=17, free=True, truth="formula")

# ---------------------------------------------------------------- scatter
D = f32(rand(3, 4, 2, lo=0.5, hi=3))
for mode in MODES:
    idx = [2, 0] if mode == "update" else [2, 0, 2]
    for axis in (0, -2):
        shape = list(D.n.shape)
        shape[axis] = len(idx)
        u = f32(rand(*shape, lo=0.5, hi=3))
        y = np.moveaxis(D.n.copy(), axis, 0)
        for k, at in enumerate(idx):
            apply(mode, y, at, np.moveaxis(u.n, axis, 0)[k])
        case(f"scatter, {mode}, axis {axis}", "scatter", {"data": D, "indices": i32(idx), "updates": u}, {"axis": i32(axis), "mode": text(mode)}, np.moveaxis(y, 0, axis), truth="formula")
    shape = (2, 4, 2)
    i = i32(np.array([[[0, 2], [1, 1], [2, 0], [0, 0]], [[1, 0], [0, 2], [1, 2], [2, 1]]]))
    u = f32(rand(*shape, lo=0.5, hi=3))
    y = D.n.copy()
    for at in np.ndindex(*shape):
        apply(mode, y, (i.n[at], at[1], at[2]), u.n[at])
    case(f"scatter_along_axis, {mode}", "scatter_along_axis", {"data": D, "indices": i, "updates": u}, {"axis": i32(0), "mode": text(mode)}, y, truth="formula")
    idx = [[0, 1], [2, 3]] if mode == "update" else [[0, 1], [2, 3], [0, 1]]
    u = f32(rand(len(idx), 2, lo=0.5, hi=3))
    y = D.n.copy()
    for k, at in enumerate(idx):
        apply(mode, y, tuple(at), u.n[k])
    case(f"scatter_nd, {mode}", "scatter_nd", {"data": D, "indices": i32(idx), "updates": u}, {"mode": text(mode)}, y, truth="formula")
u = f32(rand(2, 4, 2))
y = D.n.copy()
y[[0, 2]] += u.n
case("scatter, default axis and mode", "scatter", {"data": D, "indices": i32([0, 2]), "updates": u}, {}, y, truth="formula")
y = D.n.copy()
y[[-1, 0]] = u.n
case("scatter, negative indices", "scatter", {"data": D, "indices": i32([-1, 0]), "updates": u}, {"axis": i32(0), "mode": text("update")}, y, truth="formula")
u = f32(rand(3, 2))
y = D.n.copy()
for k, at in enumerate(((0, 0), (1, 1), (2, -1))):
    y[at] += u.n[k]
case("scatter_nd, default mode, negative index", "scatter_nd", {"data": D, "indices": i32([[0, 0], [1, 1], [2, -1]]), "updates": u}, {}, y, truth="formula")
u = f32(rand(1, 3, 4, 2))
y = D.n.copy()
y += u.n[0]
case("scatter_nd, whole elements", "scatter_nd", {"data": f32(D.n), "indices": i32([[0], [1], [2]]), "updates": f32(u.n[0])}, {"mode": text("add")}, y, truth="formula")
n, m = i32([1, 2, 3, 4]), i32([10, -20])
case("scatter, int32", "scatter", {"data": n, "indices": i32([3, 1]), "updates": m}, {"mode": text("add")}, i32([1, -18, 3, 14]), **NP)
u = f32(rand(1, 4, 2))
case("scatter, validated, out of range", "scatter", {"data": D, "indices": i32([3]), "updates": u}, {"mode": text("add"), "validate_indices": b(True)}, None, opset=17, fails=True, truth="formula")
case("scatter, out of range, unchecked", "scatter", {"data": D, "indices": i32([3]), "updates": u}, {"mode": text("add"), "validate_indices": b(False)}, None, opset=17, free=True, truth="formula")
u = f32(rand(1, 2))
case("scatter_nd, validated, negative", "scatter_nd", {"data": D, "indices": i32([[0, -1]]), "updates": u}, {"validate_indices": b(True)}, None, opset=17, fails=True, truth="formula")
i, u = i32(np.full((1, 4, 2), 3)), f32(rand(1, 4, 2))
case("scatter_along_axis, validated, out of range", "scatter_along_axis", {"data": D, "indices": i, "updates": u}, {"validate_indices": b(True)}, None, opset=17, fails=True, truth="formula")

# ---------------------------------------------------------------- sorting, searching
TIES = f32([[3, 1, 3, 2, 1], [0, 0, 0, 0, 0], [-1, np.inf, 5, -np.inf, 5]])


def order(x, axis, ascending):
    """Equal elements keep their order."""
    return np.argsort(x if ascending else -x, axis=axis, kind="stable")


for up in (False, True):
    for axis in (0, 1, -1):
        case(f"argsort, axis {axis}, ascending {up}", "argsort", {"x": X}, {"axis": i32(axis), "ascending": b(up)}, i32(order(X.n, axis, up)), **NP)
    case(f"argsort with ties, ascending {up}", "argsort", {"x": TIES}, {"ascending": b(up)}, i32(order(TIES.n, -1, up)), **NP)
    for axis, k in ((-1, 2), (0, 3), (1, 1)):
        i = np.take(order(X.n, axis, up), range(k), axis)
        consts = {"k": i32(k), "axis": i32(axis), "ascending": b(up)}
        case(f"topk, {k} of axis {axis}, ascending {up}", "topk", {"x": X}, consts, (np.take_along_axis(X.n, i, axis), i32(i)), **NP)
    i = np.take(order(TIES.n, -1, up), range(3), -1)
    case(f"topk with ties, ascending {up}", "topk", {"x": TIES}, {"k": i32(3), "ascending": b(up)}, (np.take_along_axis(TIES.n, i, -1), i32(i)), **NP)
i = order(X.n, -1, False)[..., :1]
case("topk, defaults", "topk", {"x": X}, {}, (np.take_along_axis(X.n, i, -1), i32(i)), **NP)
n = i32(whole(3, 6))
i = order(n.n, 1, False)[:, :2]
case("topk, int32, values only", "topk", {"x": n}, {"k": i32(2), "axis": i32(1), "return_indices": b(False)}, i32(np.take_along_axis(n.n, i, 1)), opset=16, **NP)
i = order(X.n, 1, False)
case("topk, all, uint16 indices", "topk", {"x": X}, {"k": i32(-1), "axis": i32(1), "output_indices_dtype": text("uint16")}, (np.take_along_axis(X.n, i, 1), u16(i)), opset=17, **NP)
case("argsort, int32", "argsort", {"x": n}, {"axis": i32(0)}, i32(order(n.n, 0, False)), **NP)
for name, x in (("fp32", f32([[0, 1.5, 0], [-0.0, -2, 1e-30]])), ("bool", b([True, False, True])), ("int32", i32([[[0, 1], [2, 0]]])), ("nothing", f32(np.zeros((2, 3)))), ("NaN", f32([0, np.nan, 1]))):
    case(f"non_zero, {name}", "non_zero", {"x": x}, {}, i32(np.argwhere(x.n)), **NP)


def iou(a, c):
    """Boxes as centre and size."""
    lo = np.maximum(a[:2] - a[2:] / 2, c[:2] - c[2:] / 2)
    hi = np.minimum(a[:2] + a[2:] / 2, c[:2] + c[2:] / 2)
    both = np.prod(np.maximum(hi - lo, 0))
    union = np.prod(a[2:]) + np.prod(c[2:]) - both
    return both / union if union > 0 else 0.0


def suppressed(boxes, scores, threshold, least, most, per_class):
    """By descending best score; a box goes where a kept one (of its best class) overlaps it more. At least one stays."""
    best, kind = scores.max(-1), scores.argmax(-1)
    kept = []
    for i in np.argsort(-best, kind="stable"):
        if best[i] >= least and all(iou(boxes[i], boxes[j]) <= threshold for j in kept if not per_class or kind[i] == kind[j]):
            kept.append(int(i))
    kept = kept[:most] or [int(np.argmax(best))]
    out = np.zeros((most, 4)), np.zeros((most, scores.shape[-1])), np.full(most, -1)
    for place, i in enumerate(kept):
        out[0][place], out[1][place], out[2][place] = boxes[i], scores[i], i
    return (*out, len(kept))


boxes = np.stack([np.concatenate([rand(9, 2, lo=0, hi=4), rand(9, 2, lo=1, hi=3)], -1) for _ in range(2)])
scores = rand(2, 9, 3, lo=0, hi=1)
for per_class in (False, True):
    for most, threshold, least in ((4, 0.3, 0.2), (12, 0.1, 0.6), (3, 0.5, 1.5)):
        x, s = f32(boxes), f32(scores)
        t, l = f32(threshold), f32(least)
        parts = [suppressed(x.n[k], s.n[k], t.n, l.n, most, per_class) for k in range(2)]
        y = [np.stack([p[i] for p in parts]) for i in range(4)]
        consts = {"iou_threshold": t, "score_threshold": l, "max_boxes": i32(most), "per_class_suppression": b(per_class)}
        case(f"non_maximum_suppression, {most} boxes, score {least}, per class {per_class}", "non_maximum_suppression", {"boxes": x, "scores": s}, consts, (y[0], y[1], i32(y[2]), i32(y[3])), truth="formula", within="exact")
        if least < 1:
            parts = [suppressed(x.n[k], s.n[k], t.n, -np.inf, most, per_class) for k in range(2)]
            y = [np.stack([p[i] for p in parts]) for i in range(3)]
            consts = {"iou_threshold": t, "max_boxes": i32(most), "per_class_suppression": b(per_class)}
            flip = lambda a: np.swapaxes(a, 1, 2)
            case(f"non_maximum_suppression, iOS17, {most} boxes, per class {per_class}", "non_maximum_suppression", {"boxes": f32(flip(boxes)), "scores": f32(flip(scores))}, consts, (flip(y[0]), flip(y[1]), i32(y[2])), truth="formula", within="exact", opset=17)
