"""Convolutions and pools: every kind of padding, in one to three dimensions."""
import numpy as np
import torch
import torch.nn.functional as F
from golden import b, case, f16, f32, i32, rand, text, u8

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def same(sizes, kernel, strides, dilations, lower):
    """Pads so that each begun stride gives an element; the odd one at the end, or at the start for `same_lower`."""
    out = []
    for n, k, s, d in zip(sizes, kernel, strides, dilations):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        small = total // 2
        out += [total - small, small] if lower else [small, total - small]
    return out


def pads(kind, sizes, kernel, strides, dilations, custom):
    if kind in ("same", "same_lower"):
        return same(sizes, kernel, strides, dilations, kind == "same_lower")
    return custom if kind == "custom" else [0] * (2 * len(sizes))


def around(x, pad, value=0.0):
    """Torch names the last axis first."""
    flipped = [p for i in reversed(range(len(pad) // 2)) for p in pad[2 * i:2 * i + 2]]
    return F.pad(x, flipped, value=value)


def convolve(x, w, bias, kind, strides, dilations, groups, custom):
    pad = pads(kind, x.shape[2:], w.shape[2:], strides, dilations, custom)
    return CONV[len(strides)](around(x, pad), w, bias, strides, 0, dilations, groups)


def conv(name, shape, weight, kind="valid", strides=None, dilations=None, groups=1, custom=None, bias=True, of=f32, dynamic=False, opset=15):
    n = len(shape) - 2
    opset = max(opset, 16) if kind == "same_lower" else opset
    strides, dilations = strides or [1] * n, dilations or [1] * n
    x, w, v = of(rand(*shape)), of(rand(*weight, lo=-1, hi=1)), of(rand(weight[0]))
    consts = {"weight": w, "bias": v, "strides": i32(strides), "pad_type": text(kind), "pad": i32(custom or [0] * (2 * n)),
              "dilations": i32(dilations), "groups": i32(groups)}
    if not bias:
        del consts["bias"]
    ins = {"x": x, **({"weight": consts.pop("weight")} if dynamic else {})}
    case(name, "conv", ins, consts, convolve(x.t, w.t, v.t if bias else None, kind, strides, dilations, groups, custom), opset=opset)


x, w = f32(rand(2, 3, 5, 7)), f32(rand(4, 3, 2, 3))
case("conv, all defaults", "conv", {"x": x}, {"weight": w}, F.conv2d(x.t, w.t))
conv("conv 1-D", (2, 3, 9), (4, 3, 3), strides=[2])
conv("conv 1-D, same_lower, dilation 2", (1, 2, 10), (3, 2, 4), "same_lower", dilations=[2])
conv("conv 2-D", (2, 3, 6, 7), (4, 3, 3, 2), bias=False)
conv("conv 2-D, 1 by 1", (2, 5, 4, 3), (3, 5, 1, 1))
conv("conv 2-D, asymmetric pad, stride, dilation", (1, 2, 8, 9), (3, 2, 3, 2), "custom", [2, 1], [1, 3], custom=[0, 2, 3, 1])
for kind in ("same", "same_lower"):
    conv(f"conv 2-D, {kind}, even kernel", (1, 2, 5, 6), (3, 2, 4, 2), kind)
    conv(f"conv 2-D, {kind}, strides over the kernel", (1, 2, 7, 8), (2, 2, 2, 3), kind, [3, 2])
    conv(f"conv 2-D, {kind}, dilated, strided", (1, 2, 9, 10), (2, 2, 3, 2), kind, [2, 3], [2, 3])
conv("conv 2-D, groups", (2, 6, 5, 4), (4, 3, 3, 2), groups=2)
conv("conv 2-D, depthwise, two outputs a channel", (1, 3, 6, 5), (6, 1, 3, 3), "same", groups=3)
conv("conv 2-D, weight as an input", (1, 3, 4, 5), (2, 3, 2, 2), bias=False, dynamic=True)
conv("conv 3-D", (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), "custom", [1, 2, 1], [2, 1, 1], custom=[1, 0, 0, 1, 2, 1])
conv("conv 3-D, same, groups", (1, 4, 3, 4, 5), (2, 2, 2, 2, 3), "same", [1, 2, 2], groups=2)
conv("conv, fp16", (1, 3, 6, 5), (4, 3, 3, 3), "same", of=f16)
conv("conv, fp16 1-D of iOS17", (1, 3, 12), (2, 3, 5), "same", [2], of=f16, opset=17)
# terms that fp16 cannot add up one by one: the sum passes 65504 and comes back, and small ones vanish beside large ones
x, w = f16([[[60000.0, 30000, -60000, 0.25]]]), f16([[[1.0, 1, 1, 1]]])
case("conv, fp16 terms that overflow in between", "conv", {"x": x}, {"weight": w, "pad_type": text("valid")}, F.conv1d(x.t, w.t))
x, w = f32(np.where(rand(1, 2, 4, 4) > 1.6, np.inf, rand(1, 2, 4, 4))), f32(rand(1, 2, 2, 2, lo=0.1))
x.stored[0, 0, 1, 2] = np.nan
x = f32(x.stored)
case("conv of NaN and infinity", "conv", {"x": x}, {"weight": w}, F.conv2d(x.t, w.t))
for scale in (0.5, [[[[0.5]]], [[[0.25]]], [[[2.0]]]]):
    x, w = f32(rand(1, 2, 5, 4)), u8(np.random.default_rng(3).integers(0, 256, (3, 2, 2, 3)))
    s, o = f32(scale), f32(np.asarray(scale) * -100)
    case(f"conv_quantized, linear, {'a scale a channel' if isinstance(scale, list) else 'one scale'}", "conv_quantized", {"x": x},
         {"weight": w, "quantization_type": text("linear"), "nbits": i32(8), "quant_scale": s, "quant_bias": o, "strides": i32([2, 1]),
          "pad_type": text("custom"), "pad": i32([1, 0, 0, 2])},
         convolve(x.t, w.t.double() * s.t + o.t, None, "custom", [2, 1], [1, 1], 1, [1, 0, 0, 2]))


# ---------------------------------------------------------------- transposed
def back(name, shape, weight, kind="valid", strides=None, dilations=None, groups=1, custom=None, bias=True, output=None, of=f32, opset=15):
    """The whole transposed convolution; pads cut its ends. `same` keeps stride times the extent, the odd cut at the end."""
    n = len(shape) - 2
    strides, dilations = strides or [1] * n, dilations or [1] * n
    x, w, v = of(rand(*shape)), of(rand(*weight, lo=-1, hi=1)), of(rand(weight[1] * groups))
    full = TRANSPOSED[n](x.t, w.t, None, strides, 0, 0, groups, dilations)
    want = output[2:] if output else [k * s for k, s in zip(shape[2:], strides)] if kind.startswith("same") else None
    for i in range(n):
        size, axis = full.shape[2 + i], 2 + i
        before = custom[2 * i] if kind == "custom" else 0
        length = size - before - (custom[2 * i + 1] if kind == "custom" else 0)
        if want is not None:
            length = want[i]
            if kind == "same":
                before = max(size - length, 0) // 2
            elif kind == "same_lower":
                before = max(size - length, 0) - max(size - length, 0) // 2
        if before + length > size:
            full = torch.cat([full, full.new_zeros([*full.shape[:axis], before + length - size, *full.shape[axis + 1:]])], axis)
        full = full.narrow(axis, before, length)
    if bias:
        full = full + v.t.reshape(-1, *[1] * n)
    consts = {"weight": w, "bias": v, "strides": i32(strides), "pad_type": text(kind), "dilations": i32(dilations), "groups": i32(groups)}
    if custom:
        consts["pad"] = i32(custom)
    if output:
        consts["output_shape"] = i32(output)
    if not bias:
        del consts["bias"]
    case(name, "conv_transpose", {"x": x}, consts, full, opset=opset)


back("conv_transpose 1-D, stride 2", (2, 3, 5), (3, 4, 3), strides=[2])
back("conv_transpose 2-D", (2, 3, 4, 5), (3, 2, 3, 2), bias=False)
back("conv_transpose 2-D, strides, dilations, asymmetric pad", (1, 2, 4, 3), (2, 3, 3, 4), "custom", [2, 3], [2, 1], custom=[1, 0, 2, 3])
back("conv_transpose 2-D, groups", (1, 4, 3, 4), (4, 3, 2, 3), strides=[2, 1], groups=2)
back("conv_transpose 2-D, same", (1, 2, 3, 4), (2, 2, 3, 4), "same", [2, 3])
back("conv_transpose 2-D, same, odd cut", (1, 2, 3, 4), (2, 2, 4, 3), "same", [1, 2])
back("conv_transpose 2-D, same, output_shape", (1, 2, 3, 4), (2, 2, 3, 3), "same", [2, 2], output=[1, 2, 5, 7])
back("conv_transpose 2-D, custom, output_shape as computed", (1, 2, 3, 4), (2, 3, 3, 3), "custom", [2, 2], custom=[1, 1, 1, 1], output=[1, 3, 5, 7])
back("conv_transpose 3-D", (1, 2, 2, 3, 4), (2, 3, 2, 3, 2), "custom", [2, 1, 2], [1, 2, 1], custom=[0, 1, 1, 0, 1, 1])
back("conv_transpose, fp16", (1, 3, 4, 5), (3, 2, 2, 2), strides=[2, 2], of=f16)
back("conv_transpose, fp16, iOS17", (1, 3, 4), (3, 2, 3), strides=[3], of=f16, opset=17)


# ---------------------------------------------------------------- pools
def windows(x, kernel, strides, pad, value):
    x = around(x, pad, value)
    for i, (k, s) in enumerate(zip(kernel, strides)):
        x = x.unfold(2 + i, k, s)
    return x.flatten(-len(kernel))


def pooled(op, x, kernel, strides, pad, exclude):
    if op == "max_pool":
        return windows(x, kernel, strides, pad, -np.inf).amax(-1)
    w = windows(x, kernel, strides, pad, 0.0)
    if op == "l2_pool":
        return (w * w).sum(-1).sqrt()
    count = windows(torch.ones_like(x), kernel, strides, pad, 0.0).sum(-1) if exclude else w.shape[-1]
    return w.sum(-1) / count


def pool(name, op, shape, kernel, kind="valid", strides=None, custom=None, exclude=None, of=f32):
    n = len(shape) - 2
    strides = strides or [1] * n
    x = of(rand(*shape, lo=-3, hi=1))
    pad = pads(kind, shape[2:], kernel, strides, [1] * n, custom)
    consts = {"kernel_sizes": i32(kernel), "strides": i32(strides), "pad_type": text(kind)}
    if custom:
        consts["pad"] = i32(custom)
    if exclude is not None:
        consts["exclude_padding_from_average"] = b(exclude)
    case(f"{op}{name}", op, {"x": x}, consts, pooled(op, x.t, kernel, strides, pad, exclude), within="exact" if op == "max_pool" else "sum", opset=16 if kind == "same_lower" else 15)


for op in ("avg_pool", "max_pool", "l2_pool"):
    flags = (False, True) if op == "avg_pool" else (None,)
    pool(", 1-D", op, (2, 3, 9), [3], strides=[2])
    pool(", 2-D", op, (1, 2, 7, 6), [3, 2], strides=[2, 3])
    for e in flags:
        more = {None: "", False: ", padding counted", True: ", padding excluded"}[e]
        pool(f", asymmetric pad{more}", op, (1, 2, 6, 7), [3, 4], "custom", [2, 1], [1, 0, 2, 3], e)
        for kind in ("same", "same_lower"):
            pool(f", {kind}, even kernel{more}", op, (1, 2, 5, 6), [2, 4], kind, [1, 1], None, e)
            pool(f", {kind}, strides{more}", op, (1, 2, 7, 8), [3, 2], kind, [2, 3], None, e)
        if op != "l2_pool":
            pool(f", 3-D{more}", op, (1, 2, 4, 5, 6), [2, 3, 2], "custom", [1, 2, 2], [1, 0, 0, 1, 1, 1], e)
    pool(", fp16", op, (1, 2, 6, 5), [3, 3], "custom", [2, 2], [1, 1, 1, 1], of=f16)
for shape, k, s, p in (((1, 2, 7, 8), [3, 2], [2, 3], [1, 1]), ((1, 1, 7, 6), [2, 3], [3, 2], [0, 1]), ((1, 2, 5, 5), [2, 2], [3, 3], [0, 0])):
    x = f32(rand(*shape))
    consts = {"kernel_sizes": i32(k), "strides": i32(s), "pad_type": text("custom"), "pad": i32([p[0], p[0], p[1], p[1]]), "ceil_mode": b(True)}
    size = f"{shape[2:]} by {k} steps {s} pad {p}"
    case(f"max_pool, ceil_mode, {size}", "max_pool", {"x": x}, consts, F.max_pool2d(x.t, k, s, p, ceil_mode=True), within="exact")
    for e in (False, True):
        y = F.avg_pool2d(x.t, k, s, p, ceil_mode=True, count_include_pad=not e)
        case(f"avg_pool, ceil_mode, exclude {e}, {size}", "avg_pool", {"x": x}, {**consts, "exclude_padding_from_average": b(e)}, y)
x = f32([[[1, np.nan, 3, -np.inf, 5, np.inf, 0]]])
case("max_pool of NaN and infinity", "max_pool", {"x": x}, {"kernel_sizes": i32([2]), "strides": i32([2]), "pad_type": text("valid")}, F.max_pool1d(x.t, 2, 2), within="exact")
x = f32(np.full((1, 1, 3), -5.0))
case("max_pool, padding is not zero", "max_pool", {"x": x}, {"kernel_sizes": i32([2]), "pad_type": text("custom"), "pad": i32([1, 1])}, F.max_pool1d(x.t, 2, 1, 1), within="exact")
