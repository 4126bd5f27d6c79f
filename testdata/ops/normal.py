"""Normalisations, reductions, products of matrices, attention."""
import numpy as np
import torch
import torch.nn.functional as F
from golden import b, case, f16, f32, i32, rand, text, whole

INF = float("inf")
for shape in ((2, 3, 5), (2, 3, 4, 2), (1, 3, 2, 3, 2)):
    x = f32(rand(*shape))
    mean, var, gamma, beta = f32(rand(3)), f32(rand(3, lo=0.1, hi=2)), f32(rand(3)), f32(rand(3))
    y = F.batch_norm(x.t, mean.t, var.t, gamma.t, beta.t, eps=float(np.float32(1e-5)))
    case(f"batch_norm, rank {len(shape)}", "batch_norm", {"x": x}, {"mean": mean, "variance": var, "gamma": gamma, "beta": beta}, y)
    y = F.batch_norm(x.t, mean.t, var.t, eps=0.25)
    case(f"batch_norm, rank {len(shape)}, epsilon 0.25, no scale", "batch_norm", {"x": x}, {"mean": mean, "variance": var, "epsilon": f32(0.25)}, y)
x = f16(rand(2, 3, 4))
params = {"mean": f32(rand(3)), "variance": f32(rand(3, lo=0.1, hi=2))}
case("batch_norm, fp16 data, fp32 statistics", "batch_norm", {"x": x}, {**params, "epsilon": f32(0.5)}, F.batch_norm(x.t, params["mean"].t, params["variance"].t, eps=0.5), opset=17)
for shape in ((2, 3, 7), (2, 3, 4, 5)):
    x, gamma, beta = f32(rand(*shape)), f32(rand(3)), f32(rand(3))
    case(f"instance_norm, rank {len(shape)}", "instance_norm", {"x": x}, {"gamma": gamma, "beta": beta}, F.instance_norm(x.t, weight=gamma.t, bias=beta.t, eps=float(np.float32(1e-5))), within="curve")
    case(f"instance_norm, rank {len(shape)}, epsilon 0.5", "instance_norm", {"x": x}, {"epsilon": f32(0.5)}, F.instance_norm(x.t, eps=0.5), within="curve")


def layer_norm(x, axes, gamma, beta, eps):
    mean = x.mean(axes, keepdim=True)
    var = ((x - mean) ** 2).mean(axes, keepdim=True)
    shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
    y = (x - mean) / torch.sqrt(var + eps)
    y = y * gamma.reshape(shape) if gamma is not None else y
    return y + beta.reshape(shape) if beta is not None else y


x = f32(rand(2, 3, 4, 5))
for axes in ([-1], [2, 3], [1, 3], [-3], [0, 1, 2, 3], [1]):
    at = sorted(a % 4 for a in axes)
    size = [x.n.shape[a] for a in at]
    gamma, beta = f32(rand(*size)), f32(rand(*size))
    case(f"layer_norm, axes {axes}", "layer_norm", {"x": x}, {"axes": i32(axes), "gamma": gamma, "beta": beta}, layer_norm(x.t, at, gamma.t, beta.t, float(np.float32(1e-5))), within="curve")
case("layer_norm, all axes by default, epsilon 0.1", "layer_norm", {"x": x}, {"epsilon": f32(0.1)}, layer_norm(x.t, [0, 1, 2, 3], None, None, float(np.float32(0.1))), within="curve")
y = f16(rand(3, 8, lo=-100, hi=100))
case("layer_norm, fp16", "layer_norm", {"x": y}, {"axes": i32([-1]), "gamma": f16(np.ones(8)), "beta": f16(np.zeros(8)), "epsilon": f16(1e-5)}, layer_norm(y.t, [1], None, None, f16(1e-5).n.item()), within="curve")
z = f32([[1000.001, 1000.002, 1000.003, 1000.004]])
case("layer_norm of a small spread around a large mean", "layer_norm", {"x": z}, {"axes": i32([1]), "epsilon": f32(1e-12)}, layer_norm(z.t, [1], None, None, float(np.float32(1e-12))), within="cancelling")
for shape in ((3, 4, 2), (2, 3, 4, 2), (2, 2, 3, 2, 2)):
    x = f32(rand(*shape))
    at = tuple(range(len(shape) - 3, len(shape)))
    for eps in (None, 0.5):
        e = float(np.float32(1e-6)) if eps is None else eps
        y = x.n / np.sqrt((x.n ** 2).sum(at, keepdims=True) + e)
        case(f"l2_norm, rank {len(shape)}, epsilon {eps or 'by default'}", "l2_norm", {"x": x}, {} if eps is None else {"epsilon": f32(eps)}, y, truth="formula", within="curve")
x = f32(np.zeros((1, 2, 2)))
case("l2_norm of zeros", "l2_norm", {"x": x}, {}, x.n, truth="formula", within="curve")
for shape in ((2, 7, 5), (1, 6, 3, 4)):
    x = f32(rand(*shape, lo=-9, hi=9))
    y = F.local_response_norm(x.t, 3, float(np.float32(1e-4)), 0.75, 1.0)
    case(f"local_response_norm, rank {len(shape)}", "local_response_norm", {"x": x}, {"size": i32(3)}, y, within="curve")
    y = F.local_response_norm(x.t, 5, 0.5, 0.25, 2.0)
    case(f"local_response_norm, rank {len(shape)}, parameters", "local_response_norm", {"x": x}, {"size": i32(5), "alpha": f32(0.5), "beta": f32(0.25), "k": f32(2)}, y, within="curve")
x = f32(rand(2, 5, 3, lo=-9, hi=9))
y = F.local_response_norm(x.t, 4, 0.5, 0.25, 2.0)
case("local_response_norm, even size", "local_response_norm", {"x": x}, {"size": i32(4), "alpha": f32(0.5), "beta": f32(0.25), "k": f32(2)}, y, within="curve")

# ---------------------------------------------------------------- reductions
x, p = f32(rand(2, 3, 4, 5)), f32(rand(2, 3, 4, 5, lo=0.1, hi=2))
REDUCE = {"reduce_sum": torch.sum, "reduce_mean": torch.mean, "reduce_max": torch.amax, "reduce_min": torch.amin,
          "reduce_l1_norm": lambda x, dim, keepdim: x.abs().sum(dim, keepdim), "reduce_l2_norm": lambda x, dim, keepdim: (x * x).sum(dim, keepdim).sqrt(),
          "reduce_sum_square": lambda x, dim, keepdim: (x * x).sum(dim, keepdim), "reduce_log_sum": lambda x, dim, keepdim: x.sum(dim, keepdim).log(),
          "reduce_log_sum_exp": torch.logsumexp}


def prod(x, dim, keepdim):
    for d in sorted(dim, reverse=True):
        x = x.prod(d, keepdim)
    return x


REDUCE["reduce_prod"] = prod
for op, f in REDUCE.items():
    data = p if op in ("reduce_log_sum", "reduce_prod") else x
    within = {"reduce_max": "exact", "reduce_min": "exact", "reduce_log_sum": "curve", "reduce_log_sum_exp": "curve"}.get(op, "sum")
    for axes, keep in (([1], False), ([-1], True), ([0, 2], False), ([3, 1], True), ([-3, -2], False), (None, False), (None, True)):
        at = sorted(a % 4 for a in axes) if axes else [0, 1, 2, 3]
        consts = {**({"axes": i32(axes)} if axes else {}), "keep_dims": b(keep)}
        case(f"{op}, axes {axes}, keep_dims {keep}", op, {"x": data}, consts, f(data.t, dim=at, keepdim=keep), within=within)
    h = f16([[0.1, 0.2, 300], [6e-5, 1, 2]])
    case(f"{op}, fp16", op, {"x": h}, {"axes": i32([0])}, f(h.t, dim=[0], keepdim=False), within=within)
    if op in ("reduce_sum", "reduce_prod", "reduce_max", "reduce_min"):
        n = i32(whole(2, 3, 4))
        case(f"{op}, int32", op, {"x": n}, {"axes": i32([1])}, i32(f(n.t, dim=[1], keepdim=False).numpy()), within="exact")
    if op in ("reduce_sum", "reduce_prod", "reduce_sum_square", "reduce_l1_norm"):
        e = f32(np.zeros((2, 0, 3)))
        case(f"{op} over nothing", op, {"x": e}, {"axes": i32([1])}, f(e.t, dim=[1], keepdim=False))
s = f32([[1e30, INF, -1], [INF, -INF, 0], [1, 2, 3]])
for op in ("reduce_sum", "reduce_max", "reduce_min", "reduce_mean"):
    case(f"{op} of infinities", op, {"x": s}, {"axes": i32([1])}, REDUCE[op](s.t, dim=[1], keepdim=False))
s = f32([[1000, 1001, -INF], [-1000, -1001, -1002], [-INF, -INF, -INF]])
case("reduce_log_sum_exp of large numbers", "reduce_log_sum_exp", {"x": s}, {"axes": i32([1])}, torch.logsumexp(s.t, 1), within="curve")
w = f32(np.concatenate([[16777216.0], np.ones(8)]))
case("reduce_sum of small numbers beside a large one", "reduce_sum", {"x": w}, {"axes": i32([0])}, w.t.sum(0))
for op, f in (("reduce_argmax", np.argmax), ("reduce_argmin", np.argmin)):
    for axis, keep in ((1, False), (-1, True), (0, False), (-2, True)):
        y = f(x.n, axis=axis)
        case(f"{op}, axis {axis}, keep_dims {keep}", op, {"x": x}, {"axis": i32(axis), "keep_dims": b(keep)}, i32(np.expand_dims(y, axis) if keep else y), truth="numpy", within="exact")
    case(f"{op}, default axis", op, {"x": x}, {}, i32(f(x.n, axis=-1)), truth="numpy", within="exact")
    t = f32([[1, 3, 3, 1], [2, 2, 2, 2], [INF, 0, INF, -INF]])
    case(f"{op}, ties give the first", op, {"x": t}, {"axis": i32(1)}, i32(f(t.n, axis=1)), truth="numpy", within="exact")
    n = i32(whole(3, 5))
    case(f"{op}, int32 data", op, {"x": n}, {"axis": i32(0)}, i32(f(n.n, axis=0)), truth="numpy", within="exact")
    from golden import u16
    case(f"{op}, uint16 result", op, {"x": x}, {"axis": i32(2), "output_dtype": text("uint16")}, u16(f(x.n, axis=2)), truth="numpy", within="exact", opset=17)

# ---------------------------------------------------------------- products
x, w, v = f32(rand(2, 3, 5)), f32(rand(4, 5)), f32(rand(4))
case("linear", "linear", {"x": x}, {"weight": w, "bias": v}, F.linear(x.t, w.t, v.t))
case("linear without bias", "linear", {"x": x}, {"weight": w}, F.linear(x.t, w.t))
case("linear of a vector", "linear", {"x": f32(x.stored[0, 0])}, {"weight": w, "bias": v}, F.linear(x.t[0, 0], w.t, v.t))
h = f16(rand(3, 5, lo=-90, hi=90))
case("linear, fp16", "linear", {"x": h}, {"weight": f16(w.n), "bias": f16(v.n)}, F.linear(h.t, f16(w.n).t, f16(v.n).t))
n, m = i32(whole(2, 3)), i32(whole(4, 3))
case("linear, int32", "linear", {"x": n}, {"weight": m}, i32(F.linear(n.t, m.t).numpy()), within="exact")
A, B = rand(2, 1, 3, 4), rand(5, 4, 2)
for tx in (False, True):
    for ty in (False, True):
        x = f32(np.swapaxes(A, -1, -2) if tx else A)
        y = f32(np.swapaxes(B, -1, -2) if ty else B)
        z = f32(A).t @ f32(B).t
        case(f"matmul, batch broadcast, transpose {tx} {ty}", "matmul", {"x": x, "y": y}, {"transpose_x": b(tx), "transpose_y": b(ty)}, z)
case("matmul with a constant", "matmul", {"x": f32(A)}, {"y": f32(B[0])}, f32(A).t @ f32(B[0]).t)
case("matmul of a vector and a matrix", "matmul", {"x": f32(A[0, 0, 0]), "y": f32(B)}, {}, f32(A[0, 0, 0]).t @ f32(B).t)
case("matmul of a matrix and a vector", "matmul", {"x": f32(A), "y": f32(B[0, :, 0])}, {}, f32(A).t @ f32(B[0, :, 0]).t)
case("matmul of vectors", "matmul", {"x": f32(A[0, 0, 0]), "y": f32(B[0, :, 0])}, {}, f32(A[0, 0, 0]).t @ f32(B[0, :, 0]).t)
x, y = i32(whole(3, 4)), i32(whole(4, 2))
case("matmul, int32", "matmul", {"x": x, "y": y}, {}, i32((x.t @ y.t).numpy()), within="exact")
x, y = f16([[60000, 30000, -60000, 1]]), f16([[1], [1], [1], [0.25]])
case("matmul, fp16 terms that overflow in between", "matmul", {"x": x, "y": y}, {}, x.t @ y.t)
x, y = f32([[INF, 1], [0, np.nan]]), f32([[1, 0], [2, 1]])
case("matmul of NaN and infinity", "matmul", {"x": x, "y": y}, {}, x.t @ y.t)
x, y = f32(np.zeros((2, 0))), f32(np.zeros((0, 3)))
case("matmul over nothing", "matmul", {"x": x, "y": y}, {}, x.t @ y.t)
EINSUM = [("nchw,nwhu->nchu", (2, 3, 4, 5), (2, 5, 4, 2)), ("chw,whr->chr", (3, 4, 5), (5, 4, 2)), ("abcd,adce->abce", (1, 2, 3, 4), (1, 4, 3, 2))]
for equation, a, c in EINSUM:
    x, y = f32(rand(*a)), f32(rand(*c))
    case(f"einsum {equation}", "einsum", {"values": [x, y]}, {"equation": text(equation)}, torch.einsum(equation, x.t, y.t))
x, y = f32(rand(1, 3, 4, 5)), f32(rand(2, 5, 1, 2))
case("einsum, broadcast batch and height", "einsum", {"values": [x, y]}, {"equation": text("nchw,nwhu->nchu")}, torch.einsum("nchw,nwhu->nchu", x.t.expand(2, 3, 4, 5), y.t.expand(2, 5, 4, 2)))

# ---------------------------------------------------------------- attention
for name, q, k, v, mask in (("no mask", (2, 3, 4), (2, 5, 4), (2, 5, 6), None), ("a mask of truth values", (2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3), "bool"),
                            ("a mask of numbers", (1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4), "float")):
    q, k, v = f32(rand(*q)), f32(rand(*k)), f32(rand(*v))
    ins, m = {"query": q, "key": k, "value": v}, None
    if mask == "bool":
        ins["attn_mask"] = b([[True, False, True, True, False], [False, True, True, False, False], [True] * 5])
    elif mask:
        ins["attn_mask"] = f32([[0, -INF, 0.5, 1, -2], [0, 0, 0, -1, -INF], [1, 2, 3, 4, 5]])
    m = ins["attn_mask"].t if mask else None
    case(f"scaled_dot_product_attention, {name}", "scaled_dot_product_attention", ins, {}, F.scaled_dot_product_attention(q.t, k.t, v.t, m), within="curve", opset=18)
q, k, v = f16(rand(1, 3, 4, lo=-9, hi=9)), f16(rand(1, 5, 4, lo=-9, hi=9)), f16(rand(1, 5, 2))
case("scaled_dot_product_attention, fp16", "scaled_dot_product_attention", {"query": q, "key": k, "value": v}, {}, F.scaled_dot_product_attention(q.t, k.t, v.t), within="curve", opset=18)
