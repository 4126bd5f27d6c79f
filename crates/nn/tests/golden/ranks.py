"""Every older layer in both array mappings: [Seq, B, C, H, W] of one, of a sequence, of a batch, and of both.

Expected values come from the arrays with all five axes, so that what a layer does to Seq and B shows.
"""
from case import *  # noqa: F403
from combine import normal, window
from compute import average, conv
from move import align, borders, sampled, strict

LEADS = ((1, 1), (2, 1), (1, 3), (2, 3))
SHAPE = (3, 4, 5)


def every(name, kind, params, expected, *shapes, exact=True, lo=-2.0, hi=2.0):
    """One case a lead in the rank-5 mapping, one of rank 5 in the exact one."""
    shapes = shapes or (SHAPE,)
    for s, b in LEADS:
        rank5(f"{name}, sequence {s}, batch {b}", kind, params, [rand(s, b, *shape, lo=lo, hi=hi) for shape in shapes], expected)
    if exact:
        case(f"{name} of rank 5", kind, params, [rand(2, 3, *shape, lo=lo, hi=hi) for shape in shapes], expected)


CHANNELS, PLANE = (-3, -2, -1), (-2, -1)
every("mvn", "mvn", {"normalizeVariance": True, "epsilon": 0.5}, lambda x: normal(x, PLANE, 0.5))
every("mvn across channels", "mvn", {"acrossChannels": True, "normalizeVariance": True, "epsilon": 0.25}, lambda x: normal(x, CHANNELS, 0.25))
every("mvn of the mean", "mvn", {"acrossChannels": True}, lambda x: x - x.mean(CHANNELS, keepdim=True))
every("l2normalize", "l2normalize", {"epsilon": 0.5}, lambda x: x / (x.square().sum(CHANNELS, keepdim=True) + 0.5).sqrt())
every("softmax", "softmax", {}, lambda x: x.softmax(-3))
every("lrn", "lrn", {"alpha": 0.5, "beta": 0.75, "localSize": 3, "k": 2.0}, lead4(lambda x: x / (2 + 0.5 / 3 * window(x)) ** 0.75))
every("crop", "crop", {"cropAmounts": borders(1, 0, 2, 1)}, lambda x: x[..., 1:, 2:-1])
every("padding", "padding", {"paddingAmounts": borders(2, 0, 1, 3), "constant": {"value": 0.5}}, lambda x: F.pad(x, (1, 3, 2, 0), value=0.5))
every("upsample BILINEAR", "upsample", {"scalingFactor": [2, 3], "mode": "BILINEAR", "linearUpsampleMode": "ALIGN_CORNERS_TRUE"}, lambda x: sampled(x, np.linspace(0, 3, 8), np.linspace(0, 4, 15)))
every("upsample NN", "upsample", {"scalingFactor": [2, 3]}, lambda x: x.repeat_interleave(2, -2).repeat_interleave(3, -1))
every("resizeBilinear", "resizeBilinear", {"targetSize": [3, 7]}, lambda x: sampled(x, strict(4, 3), strict(5, 7)))
every("resizeBilinear by parts", "resizeBilinear", {"targetSize": [5, 2], "mode": {"samplingMethod": "ROI_ALIGN_MODE"}}, lambda x: sampled(x, align(4, 5), align(5, 2)))
for kind, f in {"SQRT": torch.sqrt, "RSQRT": lambda x: (x + 0.125).rsqrt(), "INVERSE": lambda x: 1 / (x + 0.125), "POWER": lambda x: x ** 1.5, "EXP": torch.exp, "LOG": lambda x: torch.log(x + 0.125), "ABS": torch.abs,
                "THRESHOLD": lambda x: x.clamp(min=1.5)}.items():
    numbers = {"POWER": 1.5, "THRESHOLD": 1.5}
    params = {"type": kind, "epsilon": 0.125, "scale": 0.5, "shift": 0.25} | ({"alpha": numbers[kind]} if kind in numbers else {})
    every(f"unary {kind}", "unary", params, lambda x, f=f: f(0.5 * x + 0.25), lo=0.25, hi=3.0)
for kind, f in {"add": torch.add, "multiply": torch.mul, "max": torch.maximum, "min": torch.minimum}.items():
    every(f"{kind} of two", kind, {}, f, SHAPE, SHAPE)
    every(f"{kind} by channel", kind, {}, f, SHAPE, (3, 1, 1))
for kind, f in {"add": torch.add, "multiply": torch.mul}.items():
    every(f"{kind} of a number", kind, {"alpha": -1.5}, lambda x, f=f: f(x, t(-1.5)))
every("average", "average", {}, lambda a, b, c: (a + b + c) / 3, SHAPE, SHAPE, SHAPE)
every("scale by channel", "scale", {"shapeScale": [3], "scale": w(A3), "hasBias": True, "shapeBias": [3], "bias": w(B3)}, lambda x: x * per(A3) + per(B3))
every("scale by plane", "scale", {"shapeScale": [1, 4, 5], "scale": w(np.arange(20))}, lambda x: x * t(np.arange(20)).reshape(4, 5))
every("bias by channel", "bias", {"shape": [3], "bias": w(A3)}, lambda x: x + per(A3))
every("bias of one", "bias", {"shape": [1], "bias": w([0.75])}, lambda x: x + 0.75)
every("bias by element", "bias", {"shape": [3, 4, 5], "bias": w(np.arange(60) / 8)}, lambda x: x + t(np.arange(60) / 8).reshape(3, 4, 5))
every("dot", "dot", {}, lambda a, b: (a * b).sum(-3, keepdim=True), (5, 1, 1), (5, 1, 1))
every("dot as cosine", "dot", {"cosineSimilarity": True}, lambda a, b: F.cosine_similarity(a, b, dim=-3).unsqueeze(-3), (5, 1, 1), (5, 1, 1))
AXES = {"CHW": CHANNELS, "HW": PLANE, "C": (-3,), "H": (-2,), "W": (-1,)}
for mode, axis, f in (("SUM", "CHW", torch.sum), ("AVG", "HW", torch.mean), ("MAX", "C", torch.amax), ("MIN", "H", torch.amin)):
    every(f"reduce {mode} over {axis}", "reduce", {"mode": mode, "axis": axis}, lambda x, f=f, axis=axis: f(x, AXES[axis], keepdim=True))
every("reduce L2", "reduce", {"mode": "L2", "axis": "W"}, lambda x: x.square().sum(-1, keepdim=True).sqrt())
every("reduce ARGMAX", "reduce", {"mode": "ARGMAX", "axis": "C"}, lambda x: x.argmax(-3, keepdim=True).double())
every("flatten", "flatten", {}, lambda x: x.reshape(*x.shape[:2], 60, 1, 1))
every("flatten, channels last", "flatten", {"mode": "CHANNEL_LAST"}, lambda x: x.permute(0, 1, 3, 4, 2).reshape(*x.shape[:2], 60, 1, 1))
every("concat", "concat", {}, lambda a, b: torch.cat((a, b), -3), SHAPE, (2, 4, 5))
every("split", "split", {"nOutputs": 3}, lambda x: torch.chunk(x, 3, -3))
every("sequenceRepeat", "sequenceRepeat", {"nRepetitions": 3}, lambda x: x.repeat(3, 1, 1, 1, 1))
every("slice of channels", "slice", {"startIndex": 0, "endIndex": -1, "stride": 2}, lambda x: x[:, :, 0:-1:2])
every("slice of rows", "slice", {"startIndex": 1, "endIndex": 4, "stride": 2, "axis": "HEIGHT_AXIS"}, lambda x: x[..., 1:4:2, :])
every("permute", "permute", {"axis": [0, 3, 1, 2]}, lambda x: x.permute(0, 1, 4, 2, 3))
every("reshape", "reshape", {"targetShape": [5, 12, 1]}, lambda x: x.reshape(*x.shape[:2], 5, 12, 1))
space = lambda x: x.reshape(-1, 3, 2, 2, 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(*x.shape[:2], 12, 2, 2)
every("reorganizeData SPACE_TO_DEPTH", "reorganizeData", {"blockSize": 2}, space, (3, 4, 4))
every("reorganizeData DEPTH_TO_SPACE", "reorganizeData", {"mode": "DEPTH_TO_SPACE", "blockSize": 2}, lead4(lambda x: x.reshape(-1, 2, 2, 2, 3, 4).permute(0, 3, 4, 1, 5, 2).reshape(-1, 2, 6, 8)), (8, 3, 4))
BN = {"channels": 3, "gamma": w(A3), "beta": w(B3), "epsilon": 0.25}
every("batchnorm", "batchnorm", BN | {"mean": w(B3), "variance": w(A3 ** 2)}, lambda x: (x - per(B3)) / (per(A3 ** 2) + 0.25).sqrt() * per(A3) + per(B3))
every("batchnorm of the instance", "batchnorm", BN | {"computeMeanVar": True, "instanceNormalization": True}, lambda x: normal(x, PLANE, 0.25) * per(A3) + per(B3))
M, MB = rand(4, 60), rand(4)
every("innerProduct", "innerProduct", {"inputChannels": 60, "outputChannels": 4, "hasBias": True, "weights": w(M), "bias": w(MB)}, lambda x: F.linear(x.flatten(-3), t(M), t(MB))[..., None, None])
TABLE = rand(3, 7)
for s, b in LEADS:
    rank5(f"embedding, sequence {s}, batch {b}", "embedding", {"inputDim": 7, "outputChannels": 3, "weights": w(TABLE)}, [RNG.integers(0, 7, (s, b, 1, 1, 1)).astype(float)],
          lambda x: t(TABLE).T[x.reshape(x.shape[:2]).long()][..., None, None])
    conv(f"convolution, same, sequence {s}, batch {b}", rand(s, b, 3, 4, 5), (3, 2), 2, stride=[2, 1], border={"same": {}}, mapping="rank5",
         expected=lambda x, k, b: F.conv2d(F.pad(x, (*same(5, 2, 1), *same(4, 3, 2))), k, b, (2, 1)))
every("pooling MAX", "pooling", {"kernelSize": [2, 3], "stride": [2, 2], "valid": {}}, lead4(lambda x: F.max_pool2d(x, (2, 3), 2)))
every("pooling AVERAGE without padding", "pooling", {"type": "AVERAGE", "kernelSize": [2, 3], "stride": [2, 1], "avgPoolExcludePadding": True, "valid": {"paddingAmounts": borders(1, 0, 2, 1)}},
      lead4(lambda x: average(x, (2, 3), (2, 1), (2, 1, 1, 0), True)))
every("pooling AVERAGE, global", "pooling", {"type": "AVERAGE", "globalPooling": True}, lambda x: x.mean(PLANE, keepdim=True))
for kind, f in {"PReLU": lambda x: torch.where(x >= 0, x, x * per(A3)), "ELU": lambda x: torch.where(x >= 0, x, 1.5 * torch.expm1(x)), "sigmoid": torch.sigmoid}.items():
    params = {"PReLU": {"alpha": w(A3)}, "ELU": {"alpha": 1.5}, "sigmoid": {}}[kind]
    every(f"activation {kind}", "activation", {kind: params}, f)
