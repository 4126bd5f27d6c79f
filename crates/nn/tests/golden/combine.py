"""Products with matrices, normalisations, reductions."""
from case import *  # noqa: F403

# ---------------------------------------------------------------- matrices

M, MB = rand(4, 6), rand(4)
IP = {"inputChannels": 6, "outputChannels": 4, "hasBias": True, "weights": w(M), "bias": w(MB)}
last = lambda x: F.linear(x, t(M), t(MB))
for shape in ((6,), (2, 6), (2, 3, 6)):
    case(f"innerProduct of rank {len(shape)}", "innerProduct", IP, [rand(*shape)], last)
flat3 = lambda x: last(x.reshape(*x.shape[:-3], -1))[..., None, None]
case("innerProduct of rank 4", "innerProduct", IP, [rand(5, 1, 2, 3)], flat3)
case("innerProduct of rank 5", "innerProduct", IP, [rand(2, 3, 6, 1, 1)], flat3)
rank5("innerProduct of one", "innerProduct", IP, [rand(1, 1, 2, 3, 1)], flat3)
rank5("innerProduct of a sequence", "innerProduct", IP, [rand(3, 2, 6, 1, 1)], flat3)
case("innerProduct without bias", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": w(M)}, [rand(2, 6)], lambda x: x @ t(M).T)
half = lambda a: np.asarray(a, np.float16).astype(float)
b64 = lambda b: __import__("base64").b64encode(b).decode()
case("innerProduct, weights of 16 bits", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": {"float16Value": b64(np.asarray(M, np.float16).tobytes())}}, [rand(2, 6)], lambda x: x @ t(half(M)).T)


def packed(q, bits):
    b = ((np.asarray(q).ravel()[:, None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)
    return b64(np.packbits(b.ravel()).tobytes())


for bits in (8, 4, 3, 1):
    q = RNG.integers(0, 2 ** bits, (4, 6))
    scale, shift = np.array([0.5, 0.25, 1.0, 0.125]), np.array([-1.0, 0.0, 0.5, -0.25])
    raw = {"rawValue": packed(q, bits), "quantization": {"numberOfBits": bits, "linearQuantization": {"scale": scale.tolist(), "bias": shift.tolist()}}}
    case(f"innerProduct, weights of {bits} bits, linear", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": raw}, [rand(2, 6)],
         lambda x, q=q, scale=scale, shift=shift: x @ t(q * scale[:, None] + shift[:, None]).T)
    table = rand(2 ** bits)[: 2 ** bits]
    raw = {"rawValue": packed(q, bits), "quantization": {"numberOfBits": bits, "lookupTableQuantization": {"floatValue": table.tolist()}}}
    case(f"innerProduct, weights of {bits} bits, by table", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": raw}, [rand(2, 6)],
         lambda x, q=q, table=table: x @ t(np.asarray(table, np.float32)[q]).T)
q = RNG.integers(0, 256, (2, 3, 2, 2))
case("deconvolution, weights of 8 bits", "convolution", {"outputChannels": 3, "kernelChannels": 2, "kernelSize": [2, 2], "isDeconvolution": True, "valid": {},
     "weights": {"rawValue": packed(q, 8), "quantization": {"numberOfBits": 8, "linearQuantization": {"scale": [0.5, 0.25, 1.0], "bias": [-1.0, 0.0, 0.5]}}}}, [rand(1, 2, 3, 4)],
     lambda x, q=q: F.conv_transpose2d(x, t(q * np.array([0.5, 0.25, 1.0]).reshape(1, 3, 1, 1) + np.array([-1.0, 0.0, 0.5]).reshape(1, 3, 1, 1))))
q = RNG.integers(0, 256, (4, 6))
case("innerProduct, weights of 8 bits, one scale", "innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": {"rawValue": packed(q, 8), "quantization": {"numberOfBits": 8, "linearQuantization": {"scale": [0.125], "bias": [-4.0]}}}},
     [rand(2, 6)], lambda x, q=q: x @ t(q * 0.125 - 4).T)

BM = {"weightMatrixFirstDimension": 6, "weightMatrixSecondDimension": 4, "hasBias": True, "weights": w(M), "bias": w(MB)}
for shape in ((6,), (2, 6), (2, 2, 3, 6)):
    case(f"batchedMatmul with a matrix, rank {len(shape)}", "batchedMatmul", BM, [rand(*shape)], last)
case("batchedMatmul", "batchedMatmul", {}, [rand(2, 1, 3, 4), rand(5, 4, 2)], torch.matmul)
case("batchedMatmul, transposed", "batchedMatmul", {"transposeA": True, "transposeB": True}, [rand(2, 4, 3), rand(2, 5, 4)], lambda a, b: a.mT @ b.mT)
case("batchedMatmul of vectors", "batchedMatmul", {}, [rand(4), rand(4)], lambda a, b: (a @ b).reshape(1, 1))
TABLE, TB = rand(3, 7), rand(3)
case("embeddingND", "embeddingND", {"vocabSize": 7, "embeddingSize": 3, "hasBias": True, "weights": w(TABLE), "bias": w(TB)}, [[[[1.0], [6.0]], [[0.0], [2.0]]]],
     lambda x: t(TABLE).T[x[..., 0].long()] + t(TB))
EMB = {"inputDim": 7, "outputChannels": 3, "weights": w(TABLE)}
look = lambda x: t(TABLE).T[x.reshape(x.shape[:-3]).long()][..., None, None]
case("embedding of rank 4", "embedding", EMB, [np.array([5.0, 0.0]).reshape(2, 1, 1, 1)], look)
rank5("embedding of one", "embedding", EMB | {"hasBias": True, "bias": w(TB)}, [np.array([5.0]).reshape(1, 1, 1, 1, 1)], lambda x: look(x) + per(TB))
rank5("embedding of a sequence", "embedding", EMB, [np.array([5.0, 0.0, 6.0, 1.0]).reshape(2, 2, 1, 1, 1)], look)

# ---------------------------------------------------------------- normalisation

C3 = {"gamma": w(A3), "beta": w(B3)}
mean, var = np.array([0.5, -1.0, 0.25]), np.array([1.5, 0.25, 2.0])
BN = {"channels": 3, "mean": w(mean), "variance": w(var), "epsilon": 0.01} | C3
bn = lambda x: (x - per(mean)) / (per(var) + 0.01).sqrt() * per(A3) + per(B3)
case("batchnorm", "batchnorm", BN, [X4], bn)
case("batchnorm of rank 3", "batchnorm", BN, [rand(3, 2, 4)], bn)
rank5("batchnorm", "batchnorm", BN, [X5], bn)
rank5("batchnorm of one", "batchnorm", BN, [Y5], bn)
case("batchnorm, default epsilon", "batchnorm", {k: v for k, v in BN.items() if k != "epsilon"}, [X4], lambda x: (x - per(mean)) / (per(var) + 1e-5).sqrt() * per(A3) + per(B3))


def normal(x, axes, eps):
    y = x - x.mean(axes, keepdim=True)
    return y / (y.square().mean(axes, keepdim=True) + eps).sqrt()


case("batchnorm of the instance", "batchnorm", {"channels": 3, "computeMeanVar": True, "instanceNormalization": True, "epsilon": 0.25} | C3, [X4], lambda x: normal(x, (-2, -1), 0.25) * per(A3) + per(B3))
case("batchnorm of the batch", "batchnorm", {"channels": 3, "computeMeanVar": True, "epsilon": 0.25} | C3, [X4], lambda x: normal(x, (0, 2, 3), 0.25) * per(A3) + per(B3))
case("mvn", "mvn", {"normalizeVariance": True, "epsilon": 0.5}, [X4], lambda x: normal(x, (-2, -1), 0.5))
case("mvn across channels", "mvn", {"acrossChannels": True, "normalizeVariance": True}, [X4], lambda x: normal(x, (-3, -2, -1), 1e-6))
case("mvn of the mean", "mvn", {}, [X4], lambda x: x - x.mean((-2, -1), keepdim=True))
G = rand(4, 5)
case("layerNormalization", "layerNormalization", {"normalizedShape": [4, 5], "eps": 0.25, "gamma": w(G), "beta": w(G + 1)}, [X4], lambda x: normal(x, (-2, -1), 0.25) * t(G) + t(G + 1))
case("l2normalize", "l2normalize", {"epsilon": 0.5}, [X4], lambda x: x / (x.square().sum((-3, -2, -1), keepdim=True) + 0.5).sqrt())
window = lambda x: torch.stack([x[:, max(i - 1, 0):i + 2].square().sum(1) for i in range(x.shape[1])], 1)
case("lrn", "lrn", {"alpha": 0.5, "beta": 0.75, "localSize": 3, "k": 2.0}, [rand(2, 5, 2, 3)], lambda x: x / (2 + 0.5 / 3 * window(x)) ** 0.75)
rank5("lrn, default k", "lrn", {"alpha": 0.5, "beta": 0.75, "localSize": 3}, [rand(1, 2, 5, 2, 3)], lead4(lambda x: x / (1 + 0.5 / 3 * window(x)) ** 0.75))
case("softmax", "softmax", {}, [X4], lambda x: x.softmax(-3))
rank5("softmax", "softmax", {}, [Y5], lambda x: x.softmax(-3))
case("softmaxND", "softmaxND", {"axis": -2}, [X4], lambda x: x.softmax(-2))
case("scale by channel", "scale", {"shapeScale": [3], "scale": w(A3), "hasBias": True, "shapeBias": [1], "bias": w([0.5])}, [X4], lambda x: x * per(A3) + 0.5)
rank5("scale by element", "scale", {"shapeScale": [3, 2, 3], "scale": w(np.arange(18)), "hasBias": True, "shapeBias": [1, 2, 3], "bias": w(np.arange(6))}, [X5],
      lambda x: x * t(np.arange(18)).reshape(3, 2, 3) + t(np.arange(6)).reshape(1, 2, 3))
case("bias by channel", "bias", {"shape": [3], "bias": w(A3)}, [rand(3, 2, 2)], lambda x: x + per(A3))

# ---------------------------------------------------------------- reductions

AXES = {"CHW": (-3, -2, -1), "HW": (-2, -1), "C": (-3,), "H": (-2,), "W": (-1,)}
near = rand(2, 3, 4, 2, lo=0.5, hi=1.5)


def product(x, d, keep=True):
    for a in d:
        x = x.prod(a, keepdim=True)
    return x if keep else x.squeeze(d)


REDUCE = {"SUM": lambda x, d: x.sum(d, keepdim=True), "AVG": lambda x, d: x.mean(d, keepdim=True), "PROD": product, "LOGSUM": lambda x, d: (x + 0.5).log().sum(d, keepdim=True),
          "SUMSQUARE": lambda x, d: x.square().sum(d, keepdim=True), "L1": lambda x, d: x.abs().sum(d, keepdim=True), "L2": lambda x, d: x.square().sum(d, keepdim=True).sqrt(),
          "MAX": lambda x, d: x.amax(d, keepdim=True), "MIN": lambda x, d: x.amin(d, keepdim=True)}
for (m, f), a in zip(REDUCE.items(), ("CHW", "HW", "C", "H", "W", "CHW", "HW", "C", "CHW")):
    case(f"reduce {m} over {a}", "reduce", {"mode": m, "axis": a, "epsilon": 0.5}, [near], lambda x, f=f, a=a: f(x, AXES[a]))
case("reduce ARGMAX", "reduce", {"mode": "ARGMAX", "axis": "H"}, [near], lambda x: x.argmax(-2, keepdim=True).double())
rank5("reduce SUM of one", "reduce", {}, [Y5], lambda x: x.sum((-3, -2, -1), keepdim=True))
rank5("reduce AVG of a sequence", "reduce", {"mode": "AVG", "axis": "HW"}, [X5], lambda x: x.mean((-2, -1), keepdim=True))
ND = {"reduceSum": torch.sum, "reduceMean": torch.mean, "reduceMax": torch.amax, "reduceMin": torch.amin, "reduceL1": lambda x, d, keepdim: x.abs().sum(d, keepdim=keepdim),
      "reduceL2": lambda x, d, keepdim: x.square().sum(d, keepdim=keepdim).sqrt(), "reduceSumSquare": lambda x, d, keepdim: x.square().sum(d, keepdim=keepdim),
      "reduceProd": lambda x, d, keepdim: product(x, d, keepdim), "reduceLogSum": lambda x, d, keepdim: x.sum(d, keepdim=keepdim).log(),
      "reduceLogSumExp": lambda x, d, keepdim: torch.logsumexp(x, d, keepdim=keepdim)}
for k, f in ND.items():
    case(k, k, {"axes": [1, -1]}, [near], lambda x, f=f: f(x, (1, -1), keepdim=False))
    case(f"{k}, kept", k, {"axes": [-2], "keepDims": True}, [near], lambda x, f=f: f(x, (-2,), keepdim=True))
case("reduceSum of all", "reduceSum", {"reduceAll": True}, [near], lambda x: x.sum().reshape(1))
case("reduceMean of a vector", "reduceMean", {"axes": [0]}, [rand(5)], lambda x: x.mean().reshape(1))

