"""Ops that work element by element: unary, binary, activations, casts."""
import numpy as np
import torch
import torch.nn.functional as F
from golden import Typed, b, case, f16, f32, i32, rand, text, whole

INF, NAN = float("inf"), float("nan")
EDGES16 = [65504, -65504, 6.1e-5, -6.1e-5, 6e-8, -6e-8, 0.0, -0.0, 1 / 3, 2049, 0.5, 1.5]
SPECIAL = [INF, -INF, NAN, 0.0, -0.0]
X = f32(rand(2, 3, 5))
X16 = f16(EDGES16)

# ---------------------------------------------------------------- unary
EXACT = {"abs": torch.abs, "ceil": torch.ceil, "floor": torch.floor, "round": torch.round, "identity": lambda x: x}
for name, f in EXACT.items():
    case(name, name, {"x": X}, {}, f(X.t), within="exact")
    s = f32([*SPECIAL, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, 1e30, -1e30, 8388609, 2147483904])
    case(f"{name} of special values", name, {"x": s}, {}, f(s.t), within="exact")
    case(f"{name}, fp16 edges", name, {"x": X16}, {}, f(X16.t), within="exact")
    case(f"{name} of nothing", name, {"x": f32(np.zeros((2, 0, 3)))}, {}, f(torch.zeros(2, 0, 3)), within="exact")
n = i32(whole(2, 5))
case("abs, int32", "abs", {"x": n}, {}, i32(np.abs(n.n)), within="exact")
case("square, int32", "square", {"x": n}, {}, i32(n.n ** 2), within="exact")
case("sign, int32", "sign", {"x": n}, {}, i32(np.sign(n.n)), within="exact")
case("identity, bool", "identity", {"x": b([[True, False, True]])}, {}, b([[True, False, True]]), within="exact")
case("sign", "sign", {"x": X}, {}, torch.sign(X.t), within="exact")
s = f32([INF, -INF, 1e-38, -1e-38, 0.0])
case("sign of special values", "sign", {"x": s}, {}, torch.sign(s.t), within="exact")
case("logical_not", "logical_not", {"x": b([[True, False], [False, False]])}, {}, b([[False, True], [True, True]]), within="exact")

UNIT = f32(rand(2, 3, 5, lo=-1, hi=1))
POSITIVE = f32(rand(3, 7, lo=0.01, hi=9))
CURVES = {"acos": (torch.acos, UNIT, [1, -1, 0, 2, NAN]), "asin": (torch.asin, UNIT, [1, -1, 0, -0.0, 2, NAN]),
          "atan": (torch.atan, X, SPECIAL + [1e30]), "atanh": (torch.atanh, f32(rand(2, 5, lo=-0.99, hi=0.99)), [1, -1, 0, 2, NAN]),
          "cos": (torch.cos, X, SPECIAL + [100.5, -1000.25]), "sin": (torch.sin, X, SPECIAL + [100.5, -1000.25]),
          "tan": (torch.tan, X, [0, 1.57, 3.14, -20.5, INF]), "cosh": (torch.cosh, X, SPECIAL + [20.5]),
          "sinh": (torch.sinh, X, SPECIAL + [20.5, 1e-6]), "tanh": (torch.tanh, X, SPECIAL + [50, -50, 1e-6]),
          "erf": (torch.erf, X, SPECIAL + [5, -5, 1e-6]), "exp": (torch.exp, X, SPECIAL + [-200, 30]),
          "exp2": (torch.exp2, X, SPECIAL + [-1070, 30, 10]), "sqrt": (torch.sqrt, POSITIVE, [0, -0.0, INF, -1, NAN, 1e-20]),
          "square": (torch.square, X, SPECIAL + [1e-10])}
for name, (f, x, special) in CURVES.items():
    case(name, name, {"x": x}, {}, f(x.t), within="curve")
    case(f"{name} of special values", name, {"x": f32(special)}, {}, f(f32(special).t), within="curve")
    half = f16(np.abs(EDGES16[2:]) if name == "sqrt" else np.clip(EDGES16[2:], -0.99, 0.99))
    case(f"{name}, fp16", name, {"x": half}, {}, f(half.t), within="curve")

SMALL = 1.401298464324817e-45
for name, f, default in (("inverse", lambda x, e: 1 / (x + e), float(np.float32(1e-4))), ("log", lambda x, e: torch.log(x + e), SMALL),
                         ("rsqrt", lambda x, e: torch.rsqrt(x + e), float(np.float32(1e-12)))):
    case(f"{name}, default epsilon", name, {"x": POSITIVE}, {}, f(POSITIVE.t, default), within="curve")
    zero = f32([0.0, 1e-20, INF, NAN])
    case(f"{name} of zero and special values", name, {"x": zero}, {}, f(zero.t, default), within="curve")
    e = f32(0.5)
    case(f"{name}, epsilon 0.5", name, {"x": POSITIVE}, {"epsilon": e}, f(POSITIVE.t, 0.5), within="curve")
    h, e = f16([0.25, 2, 100, 6e-5]), f16(0.125)
    case(f"{name}, fp16", name, {"x": h}, {"epsilon": e}, f(h.t, 0.125), within="curve")
case("log of negative numbers", "log", {"x": f32([-1.0, -INF])}, {}, f32([NAN, NAN]), within="curve")

C = f32([-3, -1.25, -1.2, 0, 2.5, 7, INF, -INF, NAN])
case("clip", "clip", {"x": C}, {"alpha": f32(-1.2), "beta": f32(2.5)}, torch.clamp(C.t, f32(-1.2).n.item(), 2.5), within="exact")
case("clip, fp16, iOS17", "clip", {"x": f16([-3, 0.5, 9])}, {"alpha": f16(-1), "beta": f16(2)}, f16([-1, 0.5, 2]), within="exact", opset=17, dtype="fp16")
case("threshold", "threshold", {"x": C}, {"alpha": f32(-1.2)}, torch.clamp(C.t, min=f32(-1.2).n.item()), within="exact")

# ---------------------------------------------------------------- casts
FLOATS = f32([0.0, -0.0, 0.4, -0.4, 1.9, -1.9, 7, -2147483648, 16777216])
case("cast fp32 to int32", "cast", {"x": FLOATS}, {"dtype": text("int32")}, i32(np.trunc(FLOATS.n)), truth="numpy", within="exact")
B = f32([0.0, -0.0, 0.4, NAN, INF, -3])
case("cast fp32 to bool", "cast", {"x": B}, {"dtype": text("bool")}, b(B.t.bool().numpy()), within="exact")
case("cast int32 to fp32", "cast", {"x": i32([[0, -7], [16777217, 2147483647]])}, {"dtype": text("fp32")},
     f32(np.array([[0, -7], [16777217, 2147483647]], dtype=np.int32).astype(np.float32)), truth="numpy", within="rounded")
case("cast int32 to fp16", "cast", {"x": i32([0, -7, 2049, 65504])}, {"dtype": text("fp16")}, f16([0, -7, 2049, 65504]), truth="numpy", within="rounded")
case("cast int32 to bool", "cast", {"x": i32([0, -7, 1])}, {"dtype": text("bool")}, b([False, True, True]), truth="numpy", within="exact")
case("cast bool to int32", "cast", {"x": b([False, True])}, {"dtype": text("int32")}, i32([0, 1]), truth="numpy", within="exact")
case("cast bool to fp16", "cast", {"x": b([False, True])}, {"dtype": text("fp16")}, f16([0, 1]), truth="numpy", within="exact")
H = f32([1 / 3, 65519, 6e-8, 1e-9, -0.0, NAN, INF])
case("cast fp32 to fp16", "cast", {"x": H}, {"dtype": text("fp16")}, f16(H.stored), truth="numpy", within="rounded")
case("cast fp16 to fp32", "cast", {"x": X16}, {"dtype": text("fp32")}, f32(X16.stored), truth="numpy", within="exact")
for d, v in (("int8", [-128, 127, 0, -3]), ("uint8", [255, 0, 7, 128]), ("int16", [-32768, 32767, 5, 0]), ("uint16", [65535, 0, 9, 256])):
    case(f"cast fp32 to {d}", "cast", {"x": f32(v)}, {"dtype": text(d)}, Typed(d, v), truth="numpy", within="exact", opset=17)
    case(f"cast {d} to int32", "cast", {"x": Typed(d, v)}, {"dtype": text("int32")}, i32(v), truth="numpy", within="exact", opset=17)
    case(f"cast {d} to fp32", "cast", {"x": Typed(d, v)}, {"dtype": text("fp32")}, f32(v), truth="numpy", within="exact", opset=17)

# ---------------------------------------------------------------- binary
A, V = f32(rand(2, 1, 3, 4)), f32(rand(5, 1, 4))
SA, SB = f32([INF, INF, -INF, NAN, 1.0, 0.0, -0.0, 1e30]), f32([1.0, INF, INF, 1.0, NAN, -0.0, 0.0, 1e10])
I, J = i32(whole(2, 3, 4)), i32([-3, 2, 5, -1])
ARITHMETIC = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "real_div": torch.true_divide,
              "maximum": torch.maximum, "minimum": torch.minimum}
for name, f in ARITHMETIC.items():
    case(f"{name}, broadcast", name, {"x": A, "y": V}, {}, f(A.t, V.t))
    case(f"{name} with a constant scalar", name, {"x": A}, {"y": f32(0.3)}, f(A.t, f32(0.3).t))
    case(f"{name} of special values", name, {"x": SA, "y": SB}, {}, f(SA.t, SB.t))
    if name != "real_div":
        case(f"{name}, int32", name, {"x": I, "y": J}, {}, i32(f(I.t, J.t).numpy()), within="exact")
    case(f"{name} of nothing", name, {"x": f32(np.zeros((0, 3))), "y": f32(np.zeros((1, 3)))}, {}, np.zeros((0, 3)))
    h = f16([60000, 6e-8, 1 / 3]), f16([0.5, 0.25, 3])
    case(f"{name}, fp16", name, {"x": h[0], "y": h[1]}, {}, f(h[0].t, h[1].t))
case("real_div by zero", "real_div", {"x": f32([1, -1, 0, 1]), "y": f32([0.0, 0.0, 0.0, -0.0])}, {}, f32([INF, -INF, NAN, -INF]))
D = f32([-3, -2, -0.5, 0.5, 2, 3.5])
for name, f in (("floor_div", np.floor_divide), ("mod", np.mod)):
    case(f"{name}, signs", name, {"x": A, "y": f32(V.n + np.sign(V.n) + 0.25)}, {}, f(A.n, f32(V.n + np.sign(V.n) + 0.25).n), truth="numpy")
    case(f"{name}, whole quotients", name, {"x": f32([6, -6, 7, -7, 0]), "y": f32([3, 3, -2, 2, 5])}, {}, f(np.array([6., -6, 7, -7, 0]), np.array([3., 3, -2, 2, 5])), truth="numpy")
    case(f"{name}, int32", name, {"x": I, "y": J}, {}, i32(f(I.n, J.n)), truth="numpy", within="exact")
P, Q = f32(rand(2, 4, lo=0.1, hi=3)), f32([2, -1, 0.5, 0])
case("pow", "pow", {"x": P, "y": Q}, {}, torch.pow(P.t, Q.t), within="curve")
S, T = f32([0, 0, -2, -2, 1, INF, -8, 0.5]), f32([0, 2, 3, 2, 1e9, -1, 1 / 3, INF])
case("pow of special values", "pow", {"x": S, "y": T}, {}, torch.pow(S.t, T.t), within="curve")
case("pow, int32", "pow", {"x": i32([2, -3, 7, 5]), "y": i32([10, 3, 0, 1])}, {}, i32([1024, -27, 1, 5]), truth="numpy", within="exact")
COMPARE = {"equal": torch.eq, "not_equal": torch.ne, "less": torch.lt, "less_equal": torch.le, "greater": torch.gt, "greater_equal": torch.ge}
K = f32([[-1, 0, 1], [2, 0.5, -0.0]])
for name, f in COMPARE.items():
    case(f"{name}, broadcast", name, {"x": K, "y": f32([0, 0, 0.5])}, {}, b(f(K.t, f32([0, 0, 0.5]).t).numpy()), within="exact")
    case(f"{name} of special values", name, {"x": SA, "y": SB}, {}, b(f(SA.t, SB.t).numpy()), within="exact")
    case(f"{name}, int32", name, {"x": I, "y": J}, {}, b(f(I.t, J.t).numpy()), within="exact")
L, M = b([[True, False, True, False]]), b([[True], [False]])
for name, f in (("logical_and", torch.logical_and), ("logical_or", torch.logical_or), ("logical_xor", torch.logical_xor)):
    case(name, name, {"x": L, "y": M}, {}, b(f(L.t, M.t).numpy()), within="exact")
cond = b([[True], [False]])
case("select, broadcast", "select", {"cond": cond, "a": f32([[1, 2, 3], [4, 5, 6]]), "b": f32([[7, 8, 9], [1, 1, 2]])}, {}, f32([[1, 2, 3], [1, 1, 2]]), within="exact", dtype="fp32")
case("select between NaN and infinity", "select", {"cond": b([True, False, True]), "a": f32([NAN, NAN, -0.0]), "b": f32([1, INF, NAN])}, {}, f32([NAN, INF, -0.0]), within="exact", dtype="fp32")
case("select, int32, scalar condition", "select", {"cond": b(False), "a": i32([1, 2]), "b": i32([3, 4])}, {}, i32([3, 4]), within="exact")

# ---------------------------------------------------------------- activations
R = f32(rand(2, 3, 4, lo=-8, hi=8))
Z = f32([INF, -INF, NAN, 0.0, 88, -88, 30, -30, 1e-6])
al, be = f32(0.3), f32(1.7)
a, c = al.n.item(), be.n.item()
ACTIVATIONS = {
    "relu": ({}, F.relu, "exact"), "relu6": ({}, F.relu6, "exact"), "sigmoid": ({}, torch.sigmoid, "curve"),
    "silu": ({}, F.silu, "curve"), "softplus": ({}, lambda x: torch.logaddexp(x, torch.zeros_like(x)), "curve"),
    "softsign": ({}, F.softsign, "curve"), "elu": ({"alpha": al}, lambda x: F.elu(x, a), "curve"),
    "leaky_relu": ({"alpha": al}, lambda x: F.leaky_relu(x, a), "sum"),
    "thresholded_relu": ({"alpha": al}, lambda x: torch.where(x >= a, x, torch.zeros_like(x)), "exact"),
    "linear_activation": ({"alpha": al, "beta": be}, lambda x: a * x + c, "sum"),
    "scaled_tanh": ({"alpha": al, "beta": be}, lambda x: a * torch.tanh(c * x), "curve"),
    "sigmoid_hard": ({"alpha": al, "beta": be}, lambda x: torch.clamp(a * x + c, 0, 1), "sum"),
    "clamped_relu": ({"alpha": al, "beta": be}, lambda x: torch.clamp(torch.where(x >= 0, x, a * x), max=c), "sum"),
}
for name, (params, f, within) in ACTIVATIONS.items():
    case(name, name, {"x": R}, params, f(R.t), within=within)
    # softsign of an infinity is NaN by its formula and ±1 as a limit: sources differ
    z = f32([v for v in Z.n if not (name == "softsign" and np.isinf(v)) and not (name in ("silu", "thresholded_relu") and not np.isfinite(v))])
    case(f"{name} of special values", name, {"x": z}, params, f(z.t), within=within)
    h = f16(np.clip(rand(7, lo=-9, hi=9), -8.5, 8.5))
    p16 = {k: f16(v.n) for k, v in params.items()}
    if within != "exact":
        p = [v.n.item() for v in p16.values()]
        wide = {"elu": lambda x: F.elu(x, *p), "leaky_relu": lambda x: F.leaky_relu(x, *p), "linear_activation": lambda x: p[0] * x + p[1],
                "scaled_tanh": lambda x: p[0] * torch.tanh(p[1] * x), "sigmoid_hard": lambda x: torch.clamp(p[0] * x + p[1], 0, 1),
                "clamped_relu": lambda x: torch.clamp(torch.where(x >= 0, x, p[0] * x), max=p[1])}.get(name, f)
        case(f"{name}, fp16", name, {"x": h}, p16, wide(h.t), within=within)
        if params:
            case(f"{name}, fp16 data, fp32 parameters", name, {"x": h}, params, f(h.t), within=within, opset=17)
case("thresholded_relu at the threshold", "thresholded_relu", {"x": f32([0.3, 0.29, 0.31])}, {"alpha": al}, f32([0.3, 0, 0.31]), within="exact")
case("gelu, default mode", "gelu", {"x": R}, {}, F.gelu(R.t), within="curve")
case("gelu EXACT of special values", "gelu", {"x": f32([30, -30, 0.0, INF])}, {"mode": text("EXACT")}, F.gelu(f32([30, -30, 0.0, INF]).t), within="curve")
case("gelu TANH_APPROXIMATION", "gelu", {"x": R}, {"mode": text("TANH_APPROXIMATION")}, F.gelu(R.t, approximate="tanh"), within="curve")
case("gelu SIGMOID_APPROXIMATION", "gelu", {"x": R}, {"mode": text("SIGMOID_APPROXIMATION")}, R.t * torch.sigmoid(1.702 * R.t), within="curve")
case("softmax, default axis", "softmax", {"x": R}, {}, F.softmax(R.t, -1), within="curve")
case("softmax, axis -2", "softmax", {"x": R}, {"axis": i32(-2)}, F.softmax(R.t, -2), within="curve")
case("softmax, axis 0", "softmax", {"x": R}, {"axis": i32(0)}, F.softmax(R.t, 0), within="curve")
W = f32([[1000, 999, -INF], [-1000, -1001, -999], [-INF, 0, -INF]])
case("softmax of large numbers and masks", "softmax", {"x": W}, {}, F.softmax(W.t, -1), within="curve")
W = f16([[60000, 59968, 0], [1, 2, 3]])
case("softmax, fp16", "softmax", {"x": W}, {}, F.softmax(W.t, -1), within="curve")
slopes = f32([0.25, -0.5, 2])
x4 = f32(rand(2, 3, 4, 2))
case("prelu, rank 4", "prelu", {"x": x4}, {"alpha": slopes}, F.prelu(x4.t, slopes.t))
for shape in ((2, 3, 5), (1, 3, 2, 2, 3)):
    x, w = f32(rand(*shape)), f32([0.25] * 3)
    case(f"prelu, rank {len(shape)}", "prelu", {"x": x}, {"alpha": w}, F.prelu(x.t, w.t))
for shape in ((2, 3, 5), (2, 3, 4, 2)):
    x, w, v = f32(rand(*shape, lo=-9, hi=9)), f32([0.5, 2, 1.25]), f32([1, 0.25, 3])
    per = lambda p: p.t.reshape(-1, *[1] * (len(shape) - 2))
    y = per(w) * torch.logaddexp(per(v) * x.t, torch.zeros(1, dtype=torch.float64))
    case(f"softplus_parametric, rank {len(shape)}", "softplus_parametric", {"x": x}, {"alpha": w, "beta": v}, y, within="curve")
